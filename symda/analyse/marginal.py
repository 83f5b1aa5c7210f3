"""Minus the log of the marginal likelihood at any Rf: the path integrated out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.emit.lanes import LEAST_PIVOT
from symda.errors import SolveError
from symda.solve import on_edge, settled
from symda.solve.derivatives import Derivatives
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator
    from symda.solve import Judge, Minimiser
    from symda.solve.derivatives import Point

#: Shares of a standard deviation that a slope is taken over; the next where one does not go.
SHARES = (0.1, 0.01)


@dataclass(frozen=True, eq=False)
class Evidence:
    """E at one Rf, and where the action is least there."""

    s: float  #: log of the common factor of Rf.
    value: float
    path: FloatArray  #: (M, D)
    theta: FloatArray  #: (P,)
    held: BoolArray  #: Unknowns that a bound holds, or that are given, (M D + P,).


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
        self._derivatives = Derivatives(evaluator, exact=True)
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
            held = here.held | on_edge(self._judge, problem, path, theta, rf)
            path, theta = self._evaluator.split(path, theta)
            point = here.expansion.point
            volume = self._volume(point, held, path, theta)
        if not math.isfinite(volume):
            return None
        value = point.action - self._normaliser - 0.5 * self._errors * s + volume
        self.known[s] = Evidence(s, value, path, theta, held)
        return self.known[s]

    def rf(self, s: float) -> float:
        """Return Rf of the first state at s."""
        return float(self._rf[self._evaluator.problem.ruled][0]) * math.exp(s)

    def difference(self, one: Evidence, other: Evidence) -> float:
        """Return E at the other point less E at the one, what either holds taken as known."""
        if (one.held == other.held).all():
            return other.value - one.value
        held, values = one.held | other.held, []
        for at in (one, other):
            point = self._point(at.s, self._evaluator.problem.unknowns.join(at.path, at.theta))
            more = self._volume(point, held, at.path, at.theta)
            values.append(at.value + more - self._volume(point, at.held, at.path, at.theta))
        return values[1] - values[0]

    def changed(self, points: Sequence[Evidence]) -> str:
        """Say which unknown a bound holds at some of these points only, for people; or nothing."""
        p = self._evaluator.problem
        held = np.array([one.held for one in points])
        some = np.flatnonzero(held.any(axis=0) & ~held.all(axis=0))
        if not some.size:
            return ""
        i = int(some[-1])
        at = points[int(held[:, i].argmax())]
        upper = self._near_upper(p.unknowns.join(at.path, at.theta), i)
        limits = p.limits[i % p.D if i < p.unknowns.on_path else p.D + i - p.unknowns.on_path]
        return (
            f"{p.unknown_name(i)} is at its {'upper' if upper else 'lower'} bound "
            f"{limits[int(upper)]:.6g} at Rf = {self.rf(at.s):.4g}, and is not at others nearby. "
            "It counts as known where it is and as unknown where it is not, so that E does not "
            "compare between them: widen bounds=."
        )

    def moves(self, one: Evidence) -> dict[int, float]:
        """Return how far the marginal likelihood would move each free parameter.

        In standard deviations: minus the change of the action, and of half the log determinant of
        the path's Hessian, if the parameter moves by one and all other unknowns with it. 0 where
        that is beyond a bound, nan where it cannot be said.
        """
        p = self._evaluator.problem
        x, out = p.unknowns.join(one.path, one.theta), one.held | self._left_out
        with np.errstate(all="ignore"):
            point = self._point(one.s, x)
            least, found = LEAST_PIVOT * point.scale, {}
            for i in range(p.unknowns.on_path, x.size):
                if self._left_out[i] or not p.unknowns.free[i]:
                    continue
                unit = (np.arange(x.size) == i).astype(float)
                others = out & (unit == 0.0)
                along = point.pattern.solve(point.hessian, 0.0 * point.scale, unit, others, least)
                if along is None:
                    found[i] = math.nan
                    continue
                step = along / math.sqrt(along[i])
                move = -float(point.gradient @ step) - self._slope(one, x, step)
                beyond = one.held[i] and (move > 0.0) == self._near_upper(x, i)
                found[i] = 0.0 if beyond else move
        return found

    def _slope(self, one: Evidence, x: FloatArray, step: FloatArray) -> float:
        """Return the change of the path's `_volume` with a step of all unknowns."""
        on_path = self._evaluator.problem.unknowns.on_path
        held = one.held | (np.arange(x.size) >= on_path)
        slope = math.nan
        for share in SHARES:
            sides = []
            for z in (x + share * step, x - share * step):
                path, theta = self._evaluator.split(*self._evaluator.problem.unknowns.split(z))
                sides.append(self._volume(self._point(one.s, z), held, path, theta))
            slope = (sides[0] - sides[1]) / (2.0 * share)
            if math.isfinite(slope):
                break
        return slope

    def _near_upper(self, x: FloatArray, i: int) -> bool:
        """Whether the nearer bound of an unknown is the upper one."""
        unknowns = self._evaluator.problem.unknowns
        lower, upper = float(unknowns.lower[i]), float(unknowns.upper[i])
        # nothing ends where a logit is
        if math.isinf(lower) and math.isinf(upper):
            return bool(x[i] > 0.0)
        return bool(abs(x[i] - upper) < abs(x[i] - lower))

    def _point(self, s: float, x: FloatArray) -> Point:
        rf = self._evaluator.precision(self._rf * math.exp(s))
        return self._derivatives.at(x, rf)

    def _volume(self, point: Point, held: BoolArray, path: FloatArray, theta: FloatArray) -> float:
        """1/2 log det H of what is not held, less the sum of log|det J_n|; nan without a minimum.

        J_n are the residuals of a step by the points that it leads to, so that the errors' density
        is one of the path.
        """
        evaluator, least = self._evaluator, LEAST_PIVOT * point.scale
        found = point.pattern.log_determinant(point.hessian, held | self._left_out, least)
        if found is None:
            return math.nan
        p, kernels, packed = evaluator.problem, evaluator.kernels, evaluator.packed
        slopes = kernels.engine.step_jacobian(path, packed.pieces(theta), packed.steps)
        rows, columns = map(
            np.asarray, kernels.functions["step_jacobian"].sparsity_out(0).get_triplet()
        )
        to = (columns >= p.D) & (columns < p.D + p.E)
        blocks = np.zeros((p.N, p.E, p.E))
        blocks[:, rows[to], columns[to] - p.D] = slopes[:, to]
        return 0.5 * found - float(np.linalg.slogdet(blocks)[1].sum())

    def name(self, i: int) -> str:
        """Name a parameter by its place among the unknowns."""
        problem = self._evaluator.problem
        return problem.parameters[i - problem.unknowns.on_path]

    @property
    def free(self) -> int:
        """Number of free parameters."""
        return int(self._evaluator.problem.free.sum())

    def value(self, s: float) -> float:
        """Return E at s.

        Raises
        ------
        SolveError
            Where the action has no minimum near the one that is known.
        """
        found = self.at(float(s))
        if found is None:
            near = "that of its neighbours" if self.known else "where the run's best path ended"
            fix = "Make the ladder finer" if self.known else "End the ladder earlier"
            raise SolveError(
                f"model_precision: at Rf = {self.rf(s):.4g} of the first state the action has no "
                f"minimum near {near}, or the data leave some unknowns open there. {fix}, or hold "
                "parameters that the data do not determine."
            )
        return found.value
