"""`EnKSEM`: states by an ensemble Kalman smoother and rates by regression on them, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from symda.checks import integer, number
from symda.declare.library import Library
from symda.declare.model import Model
from symda.declare.numbers import in_units, with_numbers
from symda.derive.terms import term_functions
from symda.errors import DataError, OptionError, SolveError
from symda.learn.candidates import check_independent, chosen_field
from symda.learn.ensemble import Ensemble, EnsembleOptions, StatePrior, smoothed
from symda.learn.field import Evaluated, Field
from symda.learn.learner import ModelLearner
from symda.learn.points import make_points
from symda.learn.series import Series
from symda.learn.smooth import Smooth
from symda.learn.transitions import StatePairs, Transitions
from symda.types import BoolArray, FloatArray

#: Steps that a regression takes of all members' steps, about.
SAMPLED = 40_000
#: Iterations without a higher likelihood that end a fit.
PATIENCE = 8
#: Errors of the model are at least this share of the changes of the states.
LEAST = 1e-12
#: Errors of the model in a step are at first the noise, or it divided by 10 up to so many times.
SMOOTHEST = 8
#: Starts of a network, their weights' standard deviation, and steps of the first regression.
STARTS, WEIGHT, FIRST = 3, 0.3, 100


@dataclass(frozen=True, eq=False)
class Iteration:
    """What the smoother was given, and found.

    Attributes
    ----------
    log_likelihood : float
        Of the data, by the errors of their forecasts.
    Q : (D, D)
        Covariance of the model's errors in a unit of time.
    variance : (D,)
        Of the noise, where the data do not say it.
    """

    log_likelihood: float
    Q: FloatArray
    variance: FloatArray


class _Smoothed(ModelLearner):
    """What `fit` leaves, which is no option."""

    parameters: dict[str, float]
    history: tuple[Iteration, ...]
    times: FloatArray
    path: FloatArray


@dataclass
class EnKSEM(_Smoothed):
    """Expectation and maximisation with an ensemble Kalman smoother: EnKS-EM.

    States are given errors of the model in every step. An ensemble Kalman smoother finds the states
    by the data and the present model; then the model's parameters are those that make the smoothed
    members' steps most likely, by Gauss and Newton's method, and the covariance Q of the errors is
    estimated from the same steps. The smoother is of the square-root form, see
    `symda.learn.ensemble.smoothed`. Data that are missing are left out of the analysis.

    Attributes
    ----------
    degree : int
        The rates are all monomials of the states up to it.
    library : Library, optional
        Candidate terms in place of those; all of them are kept.
    form : str
        ``"library"``, or ``"bilinear"`` for the network `bilinear`, with as many units of each kind
        as states, fitted to data of mean 0 and standard deviation 1.
    members : int
        Of the ensemble.
    iterations : int
        At most; a fit ends before if the likelihood ceases to rise.
    lag : int or None
        A datum changes the states of so many steps before it; None for all of them.
    inflation : float
        Factor of the forecasts' spread.
    localisation : float, optional
        Covariances of states are lowered by Gaspari and Cohn's function of the distance of their
        indices around a ring, and are 0 beyond twice this distance. For many states in a row.
    variance : float or (D,), optional
        Noise variance where the recordings do not say it; estimated if None.
    step : float, optional
        Longest step of the smoother; by default the smallest distance of the data.
    seed : int
        Of all draws.

    Notes
    -----
    After `fit`, `path` (M, D) are the mean states at `times` (M,), recording after recording;
    `parameters` are values of the fitted field's parameters and `history` has an `Iteration` for
    each one. The result is that of the iteration with the highest likelihood.

    D. Nguyen, S. Ouala, L. Drumetz and R. Fablet, EM-like learning chaotic dynamics from noisy and
    partial observations, arXiv:1903.10335, algorithm 1. There the regression sees the mean states
    only; here it sees members.
    """

    degree: int = 2
    library: Library | None = None
    form: str = "library"
    members: int = 50
    iterations: int = 80
    lag: int | None = 100
    inflation: float = 1.0
    localisation: float | None = None
    variance: float | Sequence[float] | None = None
    step: float | None = None
    seed: int = 0

    name = "EnKS-EM"

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """See `Learner.fit`."""
        options = self._options(where)
        iterations = integer(self.iterations, f"{where}: iterations")
        seed = integer(self.seed, f"{where}: seed", least=0)
        step = None if self.step is None else number(self.step, f"{where}: step", kind="positive")
        model, columns = chosen_field(self.form, self.library, self.degree, names, where)
        P = len(model.parameters)
        _check(series, names, P, where)
        given = _variances(self.variance, len(names), where)[columns]
        series = [
            replace(one, values=one.values[:, columns], variance=one.variance[:, columns])
            for one in series
        ]
        fit = _Fit(model, series, given, step, options, where)
        if isinstance(model, Library):
            fit.check_terms(model)
        random = np.random.default_rng(seed)
        self.history = tuple(fit.run(random, iterations))
        theta = fit.best_theta
        self.parameters = dict(zip((p.name for p in model.parameters), theta.tolist(), strict=True))
        found = with_numbers(model, self.parameters)
        if self.form == "bilinear":
            found = in_units(found, fit.shift.tolist(), fit.unit.tolist(), fit.time, expand=True)
        self.times, self.path = fit.points.times * fit.time, fit.best_path * fit.unit + fit.shift
        self._field = Field(found)

    def _options(self, where: str) -> EnsembleOptions:
        return EnsembleOptions(
            integer(self.members, f"{where}: members", least=3),
            None if self.lag is None else integer(self.lag, f"{where}: lag", least=0),
            number(self.inflation, f"{where}: inflation", kind="positive"),
            None
            if self.localisation is None
            else number(self.localisation, f"{where}: localisation", kind="positive"),
        )


class _Fit:
    """One fit, in units of the model."""

    best_theta: FloatArray
    best_path: FloatArray

    def __init__(
        self,
        model: Model,
        series: Sequence[Series],
        given: FloatArray,
        step: float | None,
        options: EnsembleOptions,
        where: str,
    ) -> None:
        self.where, self.options = where, options
        D = len(model.states)
        longest = min(one.step for one in series) if step is None else step
        coarse = make_points(series, np.ones(D), longest, where)
        smooth = Smooth.of(series, coarse)
        variance, self.unknown = _noise(series, given, smooth, where)
        X, rates = smooth.path()
        values = np.concatenate([one.values for one in series])
        self.own, self.shift, self.unit, self.time = True, np.zeros(D), np.ones(D), 1.0
        if not isinstance(model, Library):
            self.own, self.shift = False, np.nanmean(values, axis=0)
            self.unit = np.nanstd(values, axis=0)
            self.time = 1.0 / float(np.sqrt(np.mean((rates / self.unit) ** 2)))
        self.series = [self._moved(one) for one in series]
        self.step, self.variance = longest / self.time, variance / self.unit**2
        self.points = make_points(self.series, self.variance, self.step, where)
        self.start = (X - self.shift) / self.unit
        moved = np.concatenate([one.values for one in self.series])
        self.first = np.nanmean(moved, axis=0), np.nanvar(moved, axis=0)
        self.steps = Transitions(model)
        self._behind = np.flatnonzero(self.points.h)

    def _moved(self, one: Series) -> Series:
        return Series(
            one.name,
            one.times / self.time,
            (one.values - self.shift) / self.unit,
            one.variance / self.unit**2,
        )

    def check_terms(self, library: Library) -> None:
        """Raise `DataError` if terms are dependent along the first path."""
        table = Evaluated(term_functions(library)["terms_and_slopes"])(self.start)
        check_independent(library, table, self.start * self.unit + self.shift, self.where)

    def run(self, random: np.random.Generator, iterations: int) -> list[Iteration]:
        """Smooth and fit in turn."""
        pairs = self._pairs(self.start[:, :, None])
        changes = (pairs.y - pairs.x) / np.sqrt(pairs.h)
        self.least = LEAST * np.maximum(np.mean(changes**2, axis=1), np.finfo(float).tiny)
        theta = self._started(pairs, np.diag(np.mean(changes**2, axis=1)), random)
        Q = self._first_errors(theta, random)
        history: list[Iteration] = []
        best, since = -np.inf, 0
        for _ in range(iterations):
            found = self._smoothed(theta, Q, random)
            if not np.isfinite(found.log_likelihood):
                break
            history.append(self._said(found, Q))
            since += 1
            if found.log_likelihood > best:
                best, since = found.log_likelihood, 0
                self.best_theta, self.best_path = theta, found.mean
            if since == PATIENCE:
                break
            pairs = self._pairs(found.mean[:, :, None] + found.members)
            theta = self.steps.fitted(pairs, theta, Q, 1)
            Q = self._covariance(pairs, theta)
            self._set_noise(found)
        if not history:
            raise SolveError(
                f"{self.where}: the members diverge at the first estimate of the rates; pass a "
                "smaller step, fewer terms or more data."
            )
        return history

    def _started(self, pairs: StatePairs, Q: FloatArray, random: np.random.Generator) -> FloatArray:
        """Fit the steps of the first path."""
        if self.own:
            return self.steps.fitted(pairs, np.zeros(self.steps.P), Q, FIRST)
        ends = [
            self.steps.fitted(pairs, WEIGHT * random.normal(size=self.steps.P), Q, FIRST)
            for _ in range(STARTS)
        ]
        sizes = [np.linalg.det(self._covariance(pairs, theta)) for theta in ends]
        return ends[int(np.argmin(np.nan_to_num(sizes, nan=np.inf)))]

    def _first_errors(self, theta: FloatArray, random: np.random.Generator) -> FloatArray:
        """Return the Q, as a share of the noise, of the highest likelihood.

        Iterations change a Q that is far too small or large by little at a time.
        """
        h = float(np.median(self.points.h[self._behind]))
        best, chosen = -np.inf, np.diag(self.variance / h)
        for power in range(SMOOTHEST + 1):
            Q = np.diag(self.variance / h) * 10.0**-power + np.diag(self.least)
            found = self._smoothed(theta, Q, random)
            if best > found.log_likelihood:
                break
            best, chosen = found.log_likelihood, Q
        return chosen

    def _smoothed(self, theta: FloatArray, Q: FloatArray, random: np.random.Generator) -> Ensemble:
        prior = StatePrior(*self.first, Q)
        with np.errstate(all="ignore"):
            return smoothed(self.steps, theta, self.points, prior, self.options, random)

    def _pairs(self, X: FloatArray) -> StatePairs:
        """Return steps of paths X (M, D, N), of some members by turns if there are many."""
        k, N = self._behind, X.shape[2]
        each = min(N, max(1, SAMPLED // k.size))
        chosen = (k[:, None] + np.arange(each) * N // each) % N
        x, y = (
            np.take_along_axis(X[at], chosen[:, None, :], axis=2).transpose(1, 0, 2)
            for at in (k, k + 1)
        )
        D = X.shape[1]
        return StatePairs(x.reshape(D, -1), y.reshape(D, -1), np.repeat(self.points.h[k], each))

    def _covariance(self, pairs: StatePairs, theta: FloatArray) -> FloatArray:
        e = self.steps.errors(pairs, theta)
        found: FloatArray = e @ e.T / e.shape[1] + np.diag(self.least)
        return found

    def _set_noise(self, found: Ensemble) -> None:
        """Estimate the noise that is not known."""
        if not self.unknown.any():
            return
        p = self.points
        N = found.members.shape[2]
        square = (p.y - found.mean) ** 2 + np.sum(found.members**2, axis=2) / (N - 1)
        mean = np.sum(np.where(p.seen, square, 0.0), axis=0) / p.seen.sum(axis=0)
        self.variance = np.where(self.unknown, mean, self.variance)
        self.points = make_points(self.series, self.variance, self.step, self.where)

    def _said(self, found: Ensemble, Q: FloatArray) -> Iteration:
        unit = self.unit
        values = self.points.seen.sum(axis=0)
        return Iteration(
            found.log_likelihood - float(values @ np.log(unit)),
            Q * np.outer(unit, unit) / self.time,
            self.variance * unit**2,
        )


def _check(series: Sequence[Series], names: Sequence[str], P: int, where: str) -> None:
    seen = np.concatenate([np.isfinite(one.values) for one in series])
    for name, column in zip(names, seen.T, strict=True):
        if not column.any():
            raise DataError(f"{where}: {name} is never measured; learning needs every state.")
    if seen.sum() <= P:
        raise DataError(
            f"{where}: {int(seen.sum())} values cannot decide among {P} parameters; measure more, "
            "or take fewer terms."
        )


def _variances(given: float | Sequence[float] | None, D: int, where: str) -> FloatArray:
    """Return the option (D,), nan where it is to be estimated."""
    if given is None:
        return np.full(D, np.nan)
    some = list(given) if isinstance(given, Sequence | np.ndarray) else [given] * D
    if len(some) != D:
        raise OptionError(f"{where}: variance must be a number or {D} of them, got {len(some)}.")
    return np.array([number(v, f"{where}: variance", kind="positive") for v in some])


def _noise(
    series: Sequence[Series], given: FloatArray, smooth: Smooth, where: str
) -> tuple[FloatArray, BoolArray]:
    """Return noise variances (D,) where data have none of their own, and which are estimates."""
    seen = np.concatenate([np.isfinite(one.values) for one in series])
    said = np.concatenate([np.isfinite(one.variance) for one in series])
    unknown = (seen & ~said).any(axis=0) & np.isnan(given)
    if np.isnan(smooth.errors[unknown]).any():
        raise DataError(f"{where}: too few values to estimate their noise; pass variance.")
    return np.where(unknown, smooth.errors, np.where(np.isnan(given), 1.0, given)), unknown
