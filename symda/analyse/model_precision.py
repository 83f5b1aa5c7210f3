"""The model's precision estimated: Rf where the data are most probable, the path integrated out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.marginal import Evidence, Marginal
from symda.checks import share as probability
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


#: A change of E that is none.
LEVEL = 1e-3
#: Beyond the ladder the search goes on until E has risen by this much, three standard deviations.
ENOUGH = 4.5
#: By this factor of Rf at least, and so often at most.
LEAST_FACTOR, FURTHER = 2.0, 30
#: A parameter that the path's determinant would move by more of its standard deviations is not
#: where the marginal likelihood is largest.
MOVED = 0.5
#: So many parameters are looked at.
LOOKED_AT = 20
#: Accuracy of log Rf.
ACCURACY = 1e-7
#: Distance in log Rf of the five points that the curvature of E is taken from.
APART = 0.1
#: Their weights for the second derivative, an error of its sixth derivative times APART^4 / 90.
STENCIL = {-2: -1 / 12, -1: 4 / 3, 0: -5 / 2, 1: 4 / 3, 2: -1 / 12}


@dataclass(frozen=True, eq=False)
class ModelPrecision:
    """The common factor of Rf that makes the data most probable.

    What is minimised is E(log Rf) = A - n/2 log Rf + 1/2 log det H - sum_n log|det J_n|, minus the
    log of the marginal likelihood: A is the least action at this Rf, H its Hessian there, n the
    number of model errors, J_n the derivative of the residuals of step n by the points that the
    step leads to (1 for an explicit scheme). For n/2 log Rf stands half the log determinant of the
    precision of all errors. So E compares between ladders, grids, schemes, and correlations of
    errors, for the same data, the same free parameters in the same units, the same priors and the
    same walks: the normalisers of the latter, and of the data, are not in it.

    Of a linear model with Gaussian noise E is exact, if free parameters enter additively only.
    Others change H: `why` says so where that would move one by more than half of its standard
    deviation.

    Attributes
    ----------
    states : tuple of str, (S,)
        The states that have an equation.
    rf : (S,)
        Their Rf at the estimate: one over the variance of a step's error, or of a rate's, as the
        action weighs it. nan where there is no estimate.
    relative : float
        The same in units of one over each state's own variance along the path, the number c of a
        relative ladder; nan for a ladder in absolute numbers, or without an estimate.
    sd : float
        Standard deviation of log Rf, from the curvature of E; nan without an estimate.
    end : {"", "above", "below"}
        Where E falls up to an end of the range: which. Then there is no estimate.
    why : str
        Why there is no estimate; empty where there is one.
    log_likelihood : float
        -E at the estimate, or at that end of the range; nan where there is another reason.
    rise : (float, float)
        By how much E rises from its least value to the lower and the upper end of the range; a
        likelihood falls to exp(-rise). Where an unknown reaches or leaves a bound in between it
        is taken as known on both sides.
    searched : (2, S)
        Rf at the ends of the range.
    profile_rf, profile : (G, S), (G,)
        Rf at which E was evaluated, ascending, and E there; it jumps where an unknown reaches or
        leaves a bound.
    path : xarray.DataArray, dims (time, state)
        The path at the estimate, or at the end of the range.
    parameters : mapping of str to float
        Parameters there; fixed ones included.
    held : int
        Unknowns that a bound holds there, and that are taken as known.
    unchecked : bool
        Whether it was not checked that the path's determinant leaves the parameters in place.
    """

    states: tuple[str, ...]
    rf: FloatArray
    relative: float
    sd: float
    end: str
    why: str
    log_likelihood: float
    rise: tuple[float, float]
    searched: FloatArray
    profile_rf: FloatArray
    profile: FloatArray
    path: xr.DataArray
    parameters: Mapping[str, float]
    held: int = 0
    unchecked: bool = False

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
        if self.why:
            return f"{self.why} There is no estimate; {where}."
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
        if self.unchecked:
            said += (
                ". Not checked: whether the parameters are where the marginal likelihood is largest"
            )
        return f"{said}. {where[0].upper()}{where[1:]}."


@dataclass(frozen=True, eq=False)
class Search:
    """What a search for the least E found."""

    best: Evidence  #: Where E is least.
    end: str  #: The end of the range up to which it falls: "", "above", "below".
    why: str  #: Why there is no estimate; empty where there is one.
    curvature: float  #: d2E/ds2 there; nan without an estimate.
    rise: tuple[float, float]  #: See `ModelPrecision`.
    unchecked: bool = False


def most_probable(marginal: Marginal, rungs: FloatArray) -> Search:
    """Minimise E over the range of the rungs, and beyond where E does not rise up to its ends.

    Rungs below one without a minimum are left out.

    Parameters
    ----------
    marginal : Marginal
    rungs : (B,)
        s of the rungs, ascending.
    """
    from scipy.optimize import minimize_scalar

    marginal.value(float(rungs[-1]))
    for s in rungs[-2::-1].tolist():
        if marginal.at(s) is None:
            break
    # below a rung without a minimum there is nothing
    for side in (-1, 0):
        apart = max(float(np.diff(rungs)[side]), math.log(LEAST_FACTOR))
        _beyond(marginal, apart if side else -apart)
    scanned, heights = _scanned(marginal)
    k = int(heights.argmin())
    rise = float(heights[0] - heights[k]), float(heights[-1] - heights[k])
    for end, at in (("above", -1), ("below", 0)):
        if rise[at] < LEVEL:
            changed = marginal.changed(scanned[-2:] if at else scanned[:2])
            why = changed or _open_end(marginal, end, scanned[at], _flat(heights, at))
            return Search(scanned[at], "" if changed else end, why, math.nan, rise)
    best, changed = scanned[k], marginal.changed(scanned[k - 1 : k + 2])
    if not changed:
        ends = scanned[k - 1].s, scanned[k + 1].s
        minimize_scalar(marginal.value, bounds=ends, method="bounded", options={"xatol": ACCURACY})
        best = min(_within(marginal, *ends), key=lambda one: one.value)
        parts = [weight * marginal.value(best.s + i * APART) for i, weight in STENCIL.items()]
        low, high = best.s - 2.0 * APART, best.s + 2.0 * APART
        changed = marginal.changed(_within(marginal, min(ends[0], low), max(ends[1], high)))
    if changed:
        return Search(best, "", changed, math.nan, rise)
    curvature = math.fsum(parts) / APART**2
    heights = heights + scanned[k].value - best.value - heights[k]
    rise = float(heights[0]), float(heights[-1])
    why, unchecked = _moved(marginal, best)
    return Search(best, "", why, math.nan if why else curvature, rise, unchecked)


def _scanned(marginal: Marginal) -> tuple[list[Evidence], FloatArray]:
    """Return the known points, ascending, and E there but for a constant, without its jumps."""
    points = [marginal.known[s] for s in sorted(marginal.known)]
    differences = [marginal.difference(*pair) for pair in pairwise(points)]
    return points, np.append(0.0, np.cumsum(differences))


def _beyond(marginal: Marginal, apart: float) -> None:
    """Go on beyond the first or last known point until E has risen, is flat, or is not known."""
    at = -1 if apart > 0.0 else 0
    for _ in range(FURTHER):
        points, heights = _scanned(marginal)
        if heights[at] - heights.min() >= ENOUGH or _flat(heights, at):
            return
        if marginal.at(points[at].s + apart) is None:
            return


def _flat(heights: FloatArray, at: int) -> bool:
    """Whether E is the same at the last, or first, three points."""
    return len(heights) > 2 and float(np.ptp(heights[-3:] if at else heights[:3])) < 2.0 * LEVEL


def _within(marginal: Marginal, low: float, high: float) -> list[Evidence]:
    """Return the known points between two, these included."""
    return [one for one in marginal.known.values() if low <= one.s <= high]


def _open_end(marginal: Marginal, end: str, last: Evidence, flat: bool) -> str:
    """Say that E falls up to an end of what was searched."""
    if end == "above" and flat:
        return "The data do not bound Rf above: the model may be exact."
    if flat:
        return "The data do not bound Rf below."
    which, ladder = {
        "above": ("last", "end the ladder later"),
        "below": ("lowest", "begin the ladder lower"),
    }[end]
    return (
        f"E still falls at Rf = {marginal.rf(last.s):.4g}, the {which} that could be solved: "
        f"{ladder} or make it finer, or hold parameters that the data do not determine."
    )


def _moved(marginal: Marginal, best: Evidence) -> tuple[str, bool]:
    """Say which parameter the path's determinant moves too far; and whether that is not known."""
    if marginal.free > LOOKED_AT:
        return "", True
    moves = marginal.moves(best)
    known = {i: move for i, move in moves.items() if math.isfinite(move)}
    i = max(known, key=lambda i: abs(known[i]), default=None)
    if i is None or abs(known[i]) <= MOVED:
        return "", len(known) < len(moves)
    name = marginal.name(i)
    return (
        f"The least action is not where the data are most probable: with the path integrated out "
        f"{name} would be {'higher' if known[i] > 0.0 else 'lower'} by {abs(known[i]):.2g} of its "
        f"standard deviations or more. Fix {name}, give it a prior, or take fewer steps between "
        "data (steps=)."
    ), False
