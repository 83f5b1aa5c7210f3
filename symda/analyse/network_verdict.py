"""How far to trust a network's run: the same verdict as of other runs, from questions of its own.

What the data cost where everything is right, with weights w of their priors. Linearised, and in
units of noise and prior, the outputs' errors before the fit are e = J d + n: n the noise, that of
the inputs carried through the network included, and d = N(0, 1) the weights from their priors'
means. The fit leaves (I - H) e, H = J (J^T J + I)^-1 J^T, whose eigenvalues h = s^2/(1 + s^2) are
what `directions` has and of which the sum, p, is the number of directions that data determine. So
twice what outputs and inputs cost has the mean tr (I - H) = n - p, n outputs in all, and a variance
of 2 tr (I - H)^2, at most 2 (n - p). Whatever d is, it is not less than tr (I - H)^2 = n - 2 p +
sum h^2 on average, what weights at the priors' means give. Below that variances are too large, or
the network, which is not linear, fits more noise than its p directions.
Inputs that were measured are unknowns with a datum each and change no number. What equations that
err still pay is counted in: at exact equations data cost more by what the errors pay, to first
order, so the cost lies between the two. Where the noise of the inputs is so large that the network
is not linear in it, inputs take up more than that (twins: never less), so that a cost above the
band still says that something is wrong, and one within it nothing; this is asked by what the
linearised network costs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.judge import percent, wilson
from symda.analyse.network_levels import SAME, beside, climbed, groups
from symda.analyse.verdict import Finding, Verdict
from symda.solve.network.problem import NetworkProblem
from symda.status import Reason, Status

if TYPE_CHECKING:
    import xarray as xr

#: Share of the level from which on errors of the equations matter.
MODEL = 0.1
#: Evidence is strong from here on, 2 log B = 10 of Kass and Raftery, J. Am. Stat. Assoc. 90 (1995).
STRONG = 5.0
#: Standard deviations on both sides of what is expected.
SDS = 2.0


def network_verdict(dataset: xr.Dataset, problem: NetworkProblem) -> Verdict:
    """Judge a network's run by its lowest path, what it stands beside, and how often it was met."""
    paths = climbed(dataset)
    if not paths:
        return Verdict((Finding("minimum", False, "no path reached the last rung"),))
    lowest = _Lowest(dataset, problem, paths[0])
    return Verdict(
        (
            lowest.minimum(),
            lowest.trained(),
            *lowest.inputs(),
            lowest.learned(),
            lowest.solution(),
            lowest.chi_squared(),
            lowest.determined(),
            _level(dataset, problem),
        )
    )


class _Lowest:
    """The lowest path, and what is asked of it."""

    def __init__(self, dataset: xr.Dataset, problem: NetworkProblem, path: int) -> None:
        self.dataset, self.problem = dataset, problem
        one = self.end = dataset.isel(path=path, beta=-1)
        self.action, self.model = float(one["action"]), float(one["model_term"])
        self.share = self.model / self.action if self.action > 0.0 else 0.0
        #: What outputs and inputs cost, the prior of inputs included.
        self.cost = self.action - problem.weight_cost(one["weights"].values)
        self.weights, self.outputs = problem.network.weights, problem.outputs.size * problem.M
        self.count = float(dataset.attrs.get("determined", math.nan))
        self.squares = float(dataset.attrs.get("determined_squares", math.nan))
        self.volume = float(dataset.attrs.get("determined_volume", math.nan))
        self.linear = float(dataset.attrs.get("carried_cost", math.nan))
        self.carried = float(dataset.attrs.get("carried_volume", math.nan))
        self.free = bool((problem.wd == 0.0).any())

    def minimum(self) -> Finding:
        if int(self.end["status"]) == Status.CONVERGED.code:
            text = f"the lowest path converged at Rf = {float(self.dataset['rf'][-1]):.3g}"
            return Finding("minimum", True, text)
        reason = Reason.of(int(self.end["reason"]))
        why = "its steps gain too little" if reason is Reason.CREEPING else reason
        return Finding("minimum", False, f"the lowest path did not converge: {why}")

    def trained(self) -> Finding:
        about = "back-propagation"
        levels: dict[str, float] = json.loads(self.dataset.attrs.get("baseline", "{}"))
        if not levels:
            text = "not compared with back-propagation (baseline=False, or there was no time)"
            return Finding(about, None, text)
        lower = [name for name, level in levels.items() if level < self.action * (1.0 - SAME)]
        if lower:
            text = (
                f"back-propagation ({', '.join(lower)}) ended lower: the lowest level was not "
                "found; try more paths, or another start or solver"
            )
            return Finding(about, False, text)
        name = min(levels, key=lambda one: levels[one])
        text = f"it ended no lower: {name} {beside(levels[name], self.action)}"
        return Finding(about, True, text)

    def inputs(self) -> Iterator[Finding]:
        if self.problem.unmeasured.size and not self.problem.xd:
            text = "inputs without data or prior can memorise the outputs: levels say nothing"
            yield Finding("inputs", False, text)

    def learned(self) -> Finding:
        """Ask whether the evidence is for the network rather than for a constant output.

        Laplace's approximation, MacKay, Neural Comp. 4 (1992) 448: what the network costs with its
        priors, half of sum log(1 + s^2) for the weights that the data determine, and half the
        logarithm by which noise of the inputs widens the outputs'. Weights without a prior cost
        log(n)/2 each, Schwarz, Ann. Stat. 6 (1978) 461. The constant pays for nothing but its fit.
        """
        about, constant = "learned", float(self.dataset.attrs["constant"])
        own, unit = self.problem.outputs.size, self.problem.c_m
        if self.action >= constant:
            text = "a constant output fits no worse: nothing was learned"
            return Finding(about, False, text)
        if self.count <= own:
            text = (
                f"the data determine {self.count:.1f} of {self.weights} directions among the "
                f"weights, no more than the {own} numbers of a constant output: nothing was learned"
            )
            return Finding(about, False, text)
        if math.isnan(self.carried):
            text = "not compared with a constant output: too many outputs"
            return Finding(about, None, text)
        known = not (self.free or math.isnan(self.volume))
        paid = self.action / unit + self.volume
        if not known:
            paid = self.cost / unit + 0.5 * self.weights * math.log(self.outputs)
        evidence = constant / unit - paid - self.carried
        how = f"{abs(evidence):,.1f} {'above' if evidence >= 0.0 else 'below'}"
        text = f"the logarithm of the evidence is {how} that of a constant output"
        if evidence > STRONG:
            return Finding(about, True, text)
        if known and evidence < 0.0:
            return Finding(about, False, f"{text}: nothing was learned but noise")
        return Finding(about, None, f"{text}: whether more than noise was learned is not known")

    def solution(self) -> Finding:
        said = f"{percent(self.share)} of the level are errors of the equations"
        if self.share > MODEL:
            text = (
                f"{said}; predictions are made without them, so a higher last Rf may predict better"
            )
            return Finding("solution", False, text)
        return Finding("solution", True, said)

    def chi_squared(self) -> Finding:
        about, unit = "chi-squared", self.problem.c_m / 2.0
        why = self._unjudged()
        if why:
            return Finding(about, None, f"cannot be judged: {why}")
        left = self.outputs - self.count
        if left < 1.0:
            text = (
                f"cannot be judged: {self.outputs} outputs against {self.count:.1f} directions "
                "that they determine leave no degree of freedom"
            )
            return Finding(about, None, text)
        around = SDS * math.sqrt(2.0 * left)
        high = unit * (left + around)
        low = unit * max(left - self.count + self.squares - around, 0.0)
        text = f"data cost {self.cost:.6g}"
        band = f"the expected {low:.6g} .. {high:.6g} of {self.outputs} outputs"
        if self.cost > high:
            text += (
                f", above {band}: the network is another, the variances are too small, the prior "
                "holds the weights elsewhere, or the lowest level was not found"
            )
            return Finding(about, False, text)
        bent = abs(self.linear - self.cost)
        if bent > unit * around:
            text += (
                f", not above {band}; what lies below is not known: the network is not linear over "
                f"the noise of the inputs, and would cost {self.linear:.6g} if it were"
            )
            return Finding(about, None, text)
        if self.cost + self.model < low:
            text += (
                f", below {band}: the variances of inputs or outputs are too large, or noise is "
                "being fitted"
            )
            return Finding(about, False, text)
        return Finding(about, True, f"{text}, within {band}")

    def _unjudged(self) -> str:
        """Say why what the data should cost is not known; empty where it is."""
        if self.problem.df is not None:
            return "the outputs have a Student t"
        if self.problem.unmeasured.size:
            return "inputs that were not measured bend what the outputs cost"
        if self.free:
            return "not all weights have a prior, and how much noise they fit is not known"
        if self.share > MODEL:
            return "the equations err, by an Rf that is not that of the data"
        if math.isnan(self.squares) or math.isnan(self.linear):
            return "directions that the data determine were not counted, too many weights or pairs"
        return ""

    def determined(self) -> Finding:
        about = "determined"
        if self.free and self.weights > self.outputs:
            text = "more weights than outputs, and not all have a prior"
            return Finding(about, False, text)
        if math.isnan(self.count):
            text = "directions that the data determine: not counted, too many weights or pairs"
            return Finding(about, None, text)
        text = f"the data determine {self.count:.1f} of {self.weights} directions among the weights"
        if self.free and self.count < self.weights - 1.0:
            return Finding(about, None, f"{text}, and not all others have a prior")
        return Finding(about, True, text)


def _level(dataset: xr.Dataset, problem: NetworkProblem) -> Finding:
    """Say how many starts met the lowest level; weights of back-propagation are none of them."""
    own = dataset.sizes["path"] - int(dataset.attrs.get("taken_up", 0))
    together = groups(dataset, problem)
    met = sum(path < own for path in together[0])
    attempts = sum(path < own for paths in together for path in paths)
    if not met:
        text = (
            "the lowest level was met from weights of back-propagation only, by none of "
            f"{attempts} starts: a lower one may not have been met; take more paths"
        )
        return Finding("level", None, text)
    low, high = wilson(met, attempts)
    text = (
        f"the lowest level was met by {met} of {attempts} starts "
        f"(95 % interval {100 * low:.3g} .. {100 * high:.3g} %)"
    )
    if met < 2:
        return Finding("level", None, f"{text}: a lower one may not have been met; take more paths")
    starts = dataset["start"].values[:own]
    if np.array_equal(starts, np.broadcast_to(starts[0], starts.shape)):
        return Finding("level", None, f"{text}, but all starts are one; take others")
    return Finding("level", True, text)
