"""The model's precision estimated: Rf where the data are most probable, the path integrated out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import share as probability
from symda.emit.lanes import LEAST_PIVOT
from symda.errors import SolveError
from symda.solve import on_edge, settled
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from symda.build.kernels import BlockEvaluator
    from symda.solve import Judge, Minimiser

#: A rise of E from its least value to an end of the range that is no rise.
LEVEL = 1e-3
#: Accuracy of log Rf.
ACCURACY = 1e-7
#: Distance in log Rf of the five points that the curvature of E is taken from.
APART = 0.1
#: Their weights for the second derivative, an error of its sixth derivative times APART^4 / 90.
STENCIL = {-2: -1 / 12, -1: 4 / 3, 0: -5 / 2, 1: 4 / 3, 2: -1 / 12}


@dataclass(frozen=True, eq=False)
class ModelPrecision:
    """The common factor of Rf that makes the data most probable.

    What is minimised is E(log Rf) = A - n/2 log Rf + 1/2 log det H, minus the log of the marginal
    likelihood: A is the least action at this Rf, H its Hessian there, n the number of model errors.
    For n/2 log Rf stands half the log determinant of the precision of all errors, so that what is
    left out of E depends on the data only: E of the same data compares between ladders, grids, and
    correlations of errors.

    Attributes
    ----------
    states : tuple of str, (S,)
        The states that have an equation.
    rf : (S,)
        Their Rf at the estimate: one over the variance of a step's error, or of a rate's, as the
        action weighs it. nan where E has no minimum in the range.
    relative : float
        The same in units of one over each state's own variance along the path, the number c of a
        relative ladder; nan for a ladder in absolute numbers, or without an estimate.
    sd : float
        Standard deviation of log Rf, from the curvature of E; nan without an estimate.
    end : {"", "above", "below"}
        Where E falls up to an end of the range: which. Then there is no estimate.
    rise : (float, float)
        By how much E rises from its least value to the lower and the upper end of the range; a
        likelihood falls to exp(-rise).
    searched : (2, S)
        Rf at the ends of the range.
    profile_rf, profile : (G, S), (G,)
        Rf at which E was evaluated, ascending, and E there.
    path : xarray.DataArray, dims (time, state)
        The path at the estimate, or at the end of the range.
    parameters : mapping of str to float
        Parameters there; fixed ones included.
    held : int
        Unknowns that a bound holds there, and that are taken as known.
    """

    states: tuple[str, ...]
    rf: FloatArray
    relative: float
    sd: float
    end: str
    rise: tuple[float, float]
    searched: FloatArray
    profile_rf: FloatArray
    profile: FloatArray
    path: xr.DataArray
    parameters: Mapping[str, float]
    held: int = 0

    @property
    def log_likelihood(self) -> float:
        """Log of the marginal likelihood where it is largest, less a constant of the data."""
        return -float(self.profile.min())

    def interval(self, share: float = 0.95) -> FloatArray:
        """Return the interval that holds each Rf with a probability, (S, 2).

        Rf divided and multiplied by exp(z sd). Where E rises too little towards an end of the range
        for the data to exclude it, the interval has no end there: it goes to 0, or to infinity,
        an exact model. nan without an estimate.

        Parameters
        ----------
        share : float
            The probability.
        """
        z = NormalDist().inv_cdf(0.5 + 0.5 * probability(share, "interval: share"))
        below, above = self._open(z)
        low = np.zeros_like(self.rf) if below else self.rf * np.exp(-z * self.sd)
        high = np.full_like(self.rf, math.inf) if above else self.rf * np.exp(z * self.sd)
        found = np.stack([low, high], axis=1)
        return np.where(np.isnan(self.rf)[:, None], math.nan, found)

    def _open(self, z: float) -> tuple[bool, bool]:
        """Whether the range's ends are within z standard deviations of the least E."""
        below, above = (rise < 0.5 * z**2 for rise in self.rise)
        return below, above

    def table(self, share: float = 0.95) -> pd.DataFrame:
        """Tabulate Rf of each state, with its interval and the range that was searched.

        Parameters
        ----------
        share : float
            Probability of the interval.

        Returns
        -------
        pandas.DataFrame
            Indexed by state: `rf`, `low`, `high` (`interval`), `error` (the standard deviation
            1/sqrt(Rf)), `searched_from`, `searched_to`.
        """
        import pandas as pd

        low, high = self.interval(share).T
        return pd.DataFrame(
            {
                "rf": self.rf,
                "low": low,
                "high": high,
                "error": 1.0 / np.sqrt(self.rf),
                "searched_from": self.searched[0],
                "searched_to": self.searched[1],
            },
            index=pd.Index(self.states, name="state"),
        )

    def __str__(self) -> str:
        return f"{self.words()}\n{self.table().to_string(float_format='{:.4g}'.format)}"

    def words(self) -> str:
        """Say what the data say about Rf."""
        name, (first, last) = self.states[0], self.searched[:, 0]
        where = f"Rf of {name} from {first:.4g} to {last:.4g} was searched"
        if self.end == "above":
            return (
                "The data do not bound Rf above: the model may be exact. There is no estimate; "
                f"{where}."
            )
        if self.end == "below":
            return (
                "The data do not bound Rf below: at every Rf that was tried the model says too "
                f"much. There is no estimate; {where}. Begin the ladder lower, or look for what "
                "the equations lack."
            )
        below, above = self._open(NormalDist().inv_cdf(0.975))
        said = f"Rf of {name} = {self.rf[0]:.4g}, log Rf known to {self.sd:.2g}"
        if math.isfinite(self.relative):
            said += f"; c = {self.relative:.4g} in units of one over each state's variance"
        if above:
            said += ". The data do not bound Rf above with 95 % probability: the model may be exact"
        if below:
            said += ". The data do not bound Rf below with 95 % probability"
        if self.held:
            said += f". Unknowns at a bound, taken as known: {self.held}"
        return f"{said}. {where[0].upper()}{where[1:]}."


@dataclass(frozen=True, eq=False)
class Evidence:
    """E at one Rf, and where the action is least there."""

    s: float  #: log of the common factor of Rf.
    value: float
    path: FloatArray  #: (M, D)
    theta: FloatArray  #: (P,)
    held: int  #: Unknowns that a bound holds.


class Marginal:
    """E as a function of s = log(factor of Rf), each point from the nearest one that is known.

    Parameters
    ----------
    evaluator : BlockEvaluator
        Kernels with the problem.
    judge : Judge
    minimiser : Minimiser
        Of this problem.
    rf : (D,)
        Rf at s = 0.
    left_out : (M D + P,) bool
        Unknowns that nothing measured depends on: they are taken as known.
    path, theta
        Where to start.
    """

    def __init__(
        self,
        evaluator: BlockEvaluator,
        judge: Judge,
        minimiser: Minimiser,
        rf: FloatArray,
        left_out: BoolArray,
        path: FloatArray,
        theta: FloatArray,
    ) -> None:
        p = evaluator.problem
        self._evaluator, self._judge, self._minimiser = evaluator, judge, minimiser
        self._rf, self._left_out = rf, left_out
        self._start = path, theta
        ruled = np.tile(p.ruled, 1 + p.interior)
        logs = np.log(evaluator.weights(rf)[:, ruled])
        #: Model errors whose precision is scaled, and half its log determinant at s = 0.
        self._errors = logs.size
        self._normaliser = 0.5 * float(logs.sum())
        if p.correlations:
            spread = float(np.linalg.slogdet(np.array(p.correlations))[1])
            self._normaliser -= 0.5 * p.N * (1 + p.interior) * spread
        #: What was evaluated, by s.
        self.known: dict[float, Evidence] = {}

    def at(self, s: float) -> Evidence | None:
        """Return E at s; None where the action has no minimum near the one that is known."""
        if s in self.known:
            return self.known[s]
        path, theta = self._start
        if self.known:
            near = min(self.known.values(), key=lambda one: abs(one.s - s))
            path, theta = near.path, near.theta
        problem, rf = self._evaluator.problem, self._rf * math.exp(s)
        with np.errstate(all="ignore"):
            found = self._minimiser.minimise(path, theta, rf)
            here = self._judge.at(found.path, found.theta, rf)
            path, theta, here = settled(self._judge, problem, found.path, found.theta, rf, here)
            if not here.minimum or here.expansion is None:
                return None
            edge = on_edge(self._judge, problem, path, theta, rf)
            held = here.held | edge
            point = here.expansion.point
            least = LEAST_PIVOT * point.scale
            volume = point.pattern.log_determinant(point.hessian, held | self._left_out, least)
        if volume is None:
            return None
        value = point.action - self._normaliser - 0.5 * self._errors * s + 0.5 * volume
        count = int((held & problem.unknowns.free).sum())
        path, theta = self._evaluator.split(path, theta)
        self.known[s] = Evidence(s, value, path, theta, count)
        return self.known[s]

    def value(self, s: float) -> float:
        """Return E at s.

        Raises
        ------
        SolveError
            Where the action has no minimum near the one that is known.
        """
        found = self.at(float(s))
        if found is None:
            rf = self._rf[self._evaluator.problem.ruled][0] * math.exp(s)
            raise SolveError(
                f"model_precision: at Rf = {rf:.4g} of the first state the action has no minimum "
                "near that of its neighbours, or the data leave some unknowns open there. Make the "
                "ladder finer, or hold parameters that the data do not determine."
            )
        return found.value


def most_probable(marginal: Marginal, rungs: FloatArray) -> tuple[Evidence, str, float]:
    """Minimise E over the range of the rungs, those below a rung without a minimum left out.

    Parameters
    ----------
    marginal : Marginal
    rungs : (B,)
        s of the rungs, ascending.

    Returns
    -------
    found : Evidence
        Where E is least.
    end : {"", "above", "below"}
        The end of the range up to which it falls.
    curvature : float
        d2E/ds2 there; nan at an end.
    """
    from scipy.optimize import minimize_scalar

    marginal.value(float(rungs[-1]))
    for s in rungs[-2::-1].tolist():
        if marginal.at(s) is None:
            break
    scanned = [marginal.known[s] for s in sorted(marginal.known)]
    values = np.array([one.value for one in scanned])
    k = int(values.argmin())
    if values[-1] - values[k] < LEVEL:
        return scanned[-1], "above", math.nan
    if values[0] - values[k] < LEVEL:
        return scanned[0], "below", math.nan
    ends = scanned[k - 1].s, scanned[k + 1].s
    found = minimize_scalar(
        marginal.value, bounds=ends, method="bounded", options={"xatol": ACCURACY}
    )
    s = float(found.x)
    parts = [weight * marginal.value(s + i * APART) for i, weight in STENCIL.items()]
    best = marginal.known[s]
    return best, "", math.fsum(parts) / APART**2
