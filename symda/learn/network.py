"""A field with parameters, fitted to the raw data by the error of short forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symda.checks import choice, integer
from symda.declare.fields import bilinear, tanh_field
from symda.declare.model import Model
from symda.declare.numbers import in_units, with_numbers
from symda.derive.forecast import forecast_loss
from symda.errors import DataError, ModelError, OptionError, SolveError
from symda.learn.candidates import columns_of, filled, states_of
from symda.learn.field import Field
from symda.learn.learner import ModelLearner
from symda.learn.series import Series
from symda.types import FloatArray

#: The forms that have a name.
FORMS = ("bilinear", "tanh")
#: Standard deviation of the first weights of a network.
WEIGHT = 0.3
#: In place of a loss that is not finite, so that a search along a line turns back.
BEYOND = 1e100
#: A start ends where this many iterations lower the loss by less than this share.
CREEPS = 20, 1e-4


class _Fitted(ModelLearner):
    """What `fit` leaves, which is no option."""

    parameters: dict[str, float]
    losses: FloatArray


@dataclass
class BiNN(_Fitted):
    """Minimise the error of forecasts of the raw data: the bilinear network, or another field.

    The loss is the mean square of forecasts of 1 to `loss_steps` steps, by the classic method of
    Runge and Kutta, from each datum. It is what EnKS-EM and VODEN are without their inference of
    states. Networks are fitted to data of mean 0 and standard deviation 1. Gradients are exact,
    by reverse mode; the minimiser is L-BFGS.

    Attributes
    ----------
    form : str or Model
        ``"bilinear"`` (`bilinear`), ``"tanh"`` (`tanh_field`), or a model of yours whose parameters
        are fitted: its declared ranges of starts, bounds, typical sizes and scales hold.
    units : int, optional
        Rows of a network's hidden layer: for ``"bilinear"`` of each kind, by default as many as
        states; for ``"tanh"`` 16.
    loss_steps : int
        Steps of the longest forecast.
    interpolate : bool
        Whether gaps are filled, linearly; else forecasts start at complete rows and are compared
        with what was measured behind them.
    starts : int
        How many times weights are drawn; the lowest loss is taken.
    iterations : int
        At most, of each start; one whose loss hardly falls any more ends before.
    seed : int
        Of the draws.

    Notes
    -----
    After `fit`, `parameters` are the values of the fitted model's parameters, and `losses`
    (starts,) is what each start reached, as a share of the loss of forecasts that nothing changes.

    R. Fablet, S. Ouala and C. Herzet, arXiv:1712.07003.
    """

    form: str | Model = "bilinear"
    units: int | None = None
    loss_steps: int = 1
    interpolate: bool = False
    starts: int = 3
    iterations: int = 500
    seed: int = 0

    name = "BiNN"

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """See `Learner.fit`."""
        S = integer(self.loss_steps, f"{where}: loss_steps")
        starts = integer(self.starts, f"{where}: starts")
        iterations = integer(self.iterations, f"{where}: iterations")
        seed = integer(self.seed, f"{where}: seed", least=0)
        runs = [
            filled(one, names, where) if self.interpolate else (one.times, one.values)
            for one in series
        ]
        values = np.concatenate([one for _, one in runs])
        for name, column in zip(names, values.T, strict=True):
            if not np.isfinite(column).any():
                raise DataError(f"{where}: {name} is never measured; learning needs every state.")
        centre, size = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        own = isinstance(self.form, Model)
        if isinstance(self.form, Model):
            model = self.form
            _without_priors(model, where)
            columns = columns_of(model, names, where)
            centre, size = centre[columns], size[columns]
            shift, unit = np.zeros_like(centre), np.ones_like(size)
        else:
            model, columns = self._network(names, where), np.arange(len(names))
            shift, unit = centre, size
        moved = [(times, (one[:, columns] - shift) / unit) for times, one in runs]
        x, h, y, w = _windows(moved, S, size / unit, where, self.interpolate)
        change = w * (y - np.tile(x, (S, 1)))
        still = float(np.sum(change**2))
        time = 1.0
        if not own:
            # in which a state changes by its own size
            speed = (change / np.repeat(np.cumsum(h, axis=0), len(x), axis=0))[w > 0.0]
            time = 1.0 / max(float(np.sqrt(np.mean(speed**2))), np.finfo(float).tiny)
        loss = _Loss(model, (x, h / time, y, w), still)
        random = np.random.default_rng(seed)
        weight = None if own else WEIGHT
        ends = [loss.minimised(random, weight, iterations) for _ in range(starts)]
        self.losses = np.array([value for value, _ in ends])
        if not np.isfinite(self.losses).any():
            raise SolveError(
                f"{where}: forecasts of all {starts} starts diverge; pass a better one."
            )
        best = ends[int(np.nanargmin(self.losses))][1]
        self.parameters = dict(zip((p.name for p in model.parameters), best.tolist(), strict=True))
        found = with_numbers(model, self.parameters)
        if not own:
            found = in_units(found, shift, unit, time, expand=self.form == "bilinear")
        self._field = Field(found)

    def _network(self, names: Sequence[str], where: str) -> Model:
        if not isinstance(self.form, str):
            raise OptionError(
                f"{where}: form must be one of {', '.join(FORMS)} or a model, got "
                f"{type(self.form).__name__}."
            )
        choice(self.form, f"{where}: form", FORMS)
        states = states_of(names)
        units = None if self.units is None else integer(self.units, f"{where}: units")
        if self.form == "tanh":
            return tanh_field(states, units or 16)
        rows = units or len(states)
        return bilinear(states, rows, rows)


class _Coordinates:
    """Parameters as the minimiser moves them: by their declared scales, in units of their sizes."""

    def __init__(self, model: Model) -> None:
        declared = [model.declarations[p] for p in model.parameters]
        self._scales = [one.coordinate for one in declared]
        ends = np.array([one.bounds for one in declared])
        low, high = self.internal(ends.T)
        starts = np.array([one.start or one.bounds for one in declared])
        self._low, self._high = self.internal(starts.T)
        known = [one.value for one in declared]
        self._known = self.internal(np.array([np.nan if v is None else v for v in known]))
        wide = (self._high - self._low) / 2.0
        typical = np.array([np.nan if one.typical is None else one.typical for one in declared])
        size = np.where(np.isfinite(wide) & (wide > 0.0), wide, np.abs(self._known))
        size = np.where([one.scale is not None for one in declared], 1.0, size)
        size = np.where(np.isfinite(typical), typical, size)
        self.size = np.where(np.isfinite(size) & (size > 0.0), size, 1.0)
        self.bounds = np.column_stack([np.where(np.isnan(low), -np.inf, low), high])

    def internal(self, theta: FloatArray) -> FloatArray:
        """Return parameters (..., P) by their scales."""
        with np.errstate(all="ignore"):
            found = [s.internal(v) for s, v in zip(self._scales, theta.T, strict=True)]
        return np.array(found).T

    def natural(self, z: FloatArray) -> FloatArray:
        """Return the parameters (P,)."""
        return np.array([s.natural(v) for s, v in zip(self._scales, z, strict=True)])

    def slope(self, z: FloatArray) -> FloatArray:
        """Return the slopes of `natural`, (P,)."""
        return np.array([s.slope(v) for s, v in zip(self._scales, z, strict=True)])

    def drawn(self, random: np.random.Generator) -> FloatArray:
        """Draw a start, in the declared ranges where there are any."""
        share, normal = random.random(len(self.size)), random.normal(size=len(self.size))
        ranged = np.isfinite(self._high - self._low)
        low, high = np.where(ranged, (self._low, self._high), 0.0)
        free = np.where(np.isfinite(self._known), self._known, self.size * normal)
        found = np.where(ranged, low + share * (high - low), free)
        within: FloatArray = np.clip(found, *self.bounds.T)
        return within


class _Loss:
    """Minimises the loss of one model and one set of forecasts, as a share of `whole`."""

    def __init__(self, model: Model, forecasts: tuple[FloatArray, ...], whole: float) -> None:
        self._forecasts, self._whole = forecasts, whole
        x, h = forecasts[:2]
        self._function = forecast_loss(model, len(h), x.shape[1])
        self._coordinates = _Coordinates(model)

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss and its gradient."""
        x, h, y, w = self._forecasts
        values, gradient = self._function(x, theta, h, y, w)
        return (
            float(np.sum(np.asarray(values))) / self._whole,
            np.asarray(gradient).ravel() / self._whole,
        )

    def minimised(
        self, random: np.random.Generator, weight: float | None, iterations: int
    ) -> tuple[float, FloatArray]:
        """Return the loss at the end and its parameters; nan if it is not finite."""
        from scipy.optimize import Bounds, OptimizeResult, minimize

        known = self._coordinates
        size = known.size
        first = known.drawn(random) if weight is None else weight * random.normal(size=len(size))

        def scaled(z: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = self.at(known.natural(z * size))
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                return BEYOND, np.zeros_like(z)
            return value, gradient * known.slope(z * size) * size

        lowest: list[float] = []

        def creeps(intermediate_result: OptimizeResult) -> None:
            lowest.append(float(intermediate_result.fun))
            count, share = CREEPS
            if len(lowest) > count and lowest[-1 - count] - lowest[-1] < share * lowest[-1]:
                raise StopIteration

        found = minimize(
            scaled,
            first / size,
            jac=True,
            method="L-BFGS-B",
            callback=creeps,
            bounds=Bounds(*(known.bounds / size[:, None]).T),
            options={"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 0.0, "gtol": 1e-12},
        )
        best = known.natural(found.x * size)
        value = self.at(best)[0]
        return (value if np.isfinite(value) else np.nan), best


def _without_priors(model: Model, where: str) -> None:
    for p in model.parameters:
        if model.declarations[p].prior is not None:
            raise ModelError(
                f"{where}: the parameter {p.name} has a prior, which a loss of forecasts does not "
                "weigh; give bounds and a range of starts instead."
            )


def _windows(
    moved: Sequence[tuple[FloatArray, FloatArray]],
    S: int,
    size: FloatArray,
    where: str,
    interpolated: bool,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return of N forecasts where they start (D, N), steps (S, N), data and weights (S D, N)."""
    starts, steps, data = [], [], []
    for times, values in moved:
        count = len(times) - S
        if count < 1:
            continue
        later = np.stack([values[s : s + count] for s in range(1, S + 1)], axis=1)
        kept = np.isfinite(values[:count]).all(axis=1) & np.isfinite(later).any(axis=(1, 2))
        starts.append(values[:count][kept])
        steps.append(np.stack([np.diff(times)[s : s + count] for s in range(S)], axis=1)[kept])
        data.append(later[kept])
    if not sum(len(one) for one in starts):
        fix = "" if interpolated else "; interpolate=True fills gaps"
        raise DataError(
            f"{where}: no complete row has data within {S} step{'s' * (S > 1)} behind it{fix}."
        )
    x, h, y = np.concatenate(starts), np.concatenate(steps), np.concatenate(data)
    w = np.isfinite(y) / size
    flat = len(x), -1
    return x.T, h.T, np.nan_to_num(y).reshape(flat).T, w.reshape(flat).T
