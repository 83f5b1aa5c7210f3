"""Whether a point is a minimum of the action within the bounds: one test for every solver."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from symda.emit.lanes import DAMPING, LEAST_PIVOT
from symda.solve.box import Box
from symda.solve.derivatives import Derivatives, Point
from symda.solve.options import NEAR, tolerance
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem


#: Share of the action, and of its least size, that may be left to gain at a minimum. Solvers ask
#: for less of themselves.
SHARE = 1e-6
#: The same, of half the sum of squared data over their variances: an exact fit has an action of 0.
EXACT = 1e-12
#: Damping with which a Hessian still counts as positive definite, in units of the Gauss-Newton
#: diagonal: flat directions have no curvature of their own, and residuals that are not quite 0 may
#: give them some of either sign. From the third on only this share may be left to gain.
SLIGHT = (0.0, 1e-3 * DAMPING.slight, DAMPING.slight, 1e2 * DAMPING.slight)
LESS = 0.1
#: Times a step is computed again because unknowns would leave their bounds.
PASSES = 8
#: No unknown is measured in less.
SMALLEST = 1e-150
#: Moving an unknown by its own size away from its bound must cost this much at least, in units of
#: the action, for the bound to hold it.
PUSH = 1e-5
#: Or, for a parameter, by its standard deviation with all others free: at a high Rf its own size is
#: far below that.
PUSH_OF_PARAMETER = 1e-2
#: A logit beyond this is against its bound: nearer than by 5e-5 of the distance of both.
EDGE = 10.0
#: Newton steps at most from where a solver ended, before error bars are taken.
POLISH = 20
#: They end where the next would gain this share of the action, after one of them.
ROUNDED = 1e-18
#: Or after so many in which the decrement did not fall: in curved valleys the first may raise it.
PATIENCE = 3


@dataclass(frozen=True, eq=False)
class Expansion:
    """The action to second order about a point."""

    point: Point  #: The action's derivatives.
    #: Damping with which the Hessian is positive definite, in units of the Gauss-Newton diagonal.
    mu: float
    held: BoolArray  #: Unknowns that stay where they are, (M D + P,).

    def shift(self, gradient: FloatArray) -> FloatArray:
        """Return how the minimum moves if the gradient changes by `gradient`, (M D + P,)."""
        p = self.point
        # an unknown on a bound that does not push is free here, and may be flat
        for mu in (self.mu, *SLIGHT):
            shift, least = mu * p.scale, LEAST_PIVOT * p.scale
            found = p.pattern.solve(p.hessian, shift, -gradient, self.held, least)
            if found is not None:
                return found
        return np.full(gradient.size, np.nan)

    def rise(self, change: FloatArray) -> float:
        """Return by how much the action rises for a change of the unknowns, (M D + P,)."""
        free = np.where(self.held, 0.0, change)
        return 0.5 * float(free @ self.point.pattern.product(self.point.hessian, free))


@dataclass(frozen=True, eq=False)
class Stationarity:
    """How far a point is from a minimum of the action within the bounds."""

    finite: bool  #: Whether the action and its derivatives are.
    #: Whether the Hessian is positive definite, except for flat directions, on unknowns that no
    #: bound holds.
    convex: bool
    #: By how much a Newton step within the bounds would lower the action: half the squared Newton
    #: decrement; nan where the Hessian is not positive definite.
    decrement: float
    tolerance: float  #: What counts as none.
    #: (M D + P,): the Newton step, in units of the unknowns' own sizes 1/sqrt(Gauss-Newton
    #: diagonal). Where the Hessian is not positive definite, the steepest descent; where a
    #: derivative is not finite, 1 for those that are not.
    step: FloatArray
    held: BoolArray  #: Unknowns that a bound holds: on it, and the action falls beyond, (M D + P,).
    #: The action's expansion there, if it is convex and there are matrices.
    expansion: Expansion | None = None

    @property
    def minimum(self) -> bool:
        """Whether it is one."""
        return self.finite and self.convex and self.decrement <= self.tolerance

    def words(self, problem: Problem) -> str:
        """Say what is missing for a minimum, and where; empty for a minimum."""
        if self.minimum:
            return ""
        where = problem.unknown_name(int(np.argmax(np.abs(self.step))))
        if not self.finite:
            what = f"derivative by {where}" if self.step.any() else "value"
            return (
                f"not a minimum: the action has no finite {what}; narrow bounds= and start= to "
                "where the equations can be evaluated"
            )
        if self.convex:
            return (
                f"not a minimum: the action would still fall by {self.decrement:.3g}, most of all "
                f"by a change of {where}; allow more iterations"
            )
        if float(np.abs(self.step).max(initial=0.0)) ** 2 > 2.0 * self.tolerance:
            return (
                "not a minimum: the action still falls, most steeply with "
                f"{where}, and is not convex there; allow more iterations"
            )
        return (
            "not a minimum but a saddle: there is no slope, yet the action falls to either side; "
            "take other starts, or break the symmetry of the start ranges"
        )


class Judge(Protocol):
    """Tells minima of one problem from other points."""

    def at(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Stationarity:
        """Look at a point.

        Parameters
        ----------
        path : ndarray, shape (M, D)
        theta : ndarray, shape (P,)
        rf : ndarray, shape (D,)
        """

    def sizes(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> FloatArray:
        """Return the unknowns' own sizes, (M D + P,).

        1/sqrt(Gauss-Newton diagonal), the standard deviation if all others are known; the declared
        size where that says nothing, or less.
        """


def settled(
    judge: Judge,
    problem: Problem,
    path: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
    here: Stationarity,
) -> tuple[FloatArray, FloatArray, Stationarity]:
    """Take Newton steps from a minimum until rounding ends them.

    A solver ends where the action has nothing left to gain. The momenta Rf r, which the Hessian
    holds, are then known to the square root of that only, times sqrt(Rf): they need more.

    Parameters
    ----------
    judge : Judge
        Of the problem.
    path : ndarray, shape (M, D)
    theta : ndarray, shape (P,)
    rf : ndarray, shape (D,)
    here : Stationarity
        What is at the minimum.

    Returns
    -------
    path, theta : ndarray
        Where the steps end; as given where there are no matrices, or no minimum.
    here : Stationarity
        What is there.
    """
    unknowns, best, idle = problem.unknowns, (path, theta, here), 0
    for _ in range(POLISH):
        if not here.minimum or here.expansion is None or idle == PATIENCE:
            break
        moved = here.expansion.shift(here.expansion.point.gradient)
        x = np.clip(unknowns.join(path, theta) + moved, unknowns.lower, unknowns.upper)
        path, theta = unknowns.split(x)
        here = judge.at(path, theta, rf)
        idle = 0 if here.decrement < 0.9 * best[2].decrement else idle + 1
        if here.minimum and here.decrement < best[2].decrement:
            best = path, theta, here
        if here.expansion and here.decrement <= ROUNDED * abs(here.expansion.point.action):
            break
    return best


def on_edge(
    judge: Judge, problem: Problem, path: FloatArray, theta: FloatArray, rf: FloatArray
) -> BoolArray:
    """Return which free unknowns are logits that ran against a bound, (M D + P,).

    Nothing holds them there, since no logit meets a bound; but they are beyond `EDGE`, and the
    bound is within a standard deviation.
    """
    unknowns = problem.unknowns
    logit = np.array([scale.name == "logit" for scale in problem.scales], dtype=bool)
    if not logit.any():
        return np.zeros(unknowns.count, dtype=bool)
    every = np.concatenate([np.tile(logit[: problem.D], problem.M), logit[problem.D :]])
    far = np.abs(unknowns.join(path, theta)) > EDGE
    # no size is above the declared one, which is 1
    return every & far & unknowns.free & (judge.sizes(path, theta, rf) >= 1.0)


class BandedJudge:
    """Judges by the Hessian's banded factor."""

    def __init__(self, evaluator: BlockEvaluator) -> None:
        self._evaluator = evaluator
        self._derivatives = Derivatives(evaluator, exact=True)
        self._box = Box(evaluator.problem.unknowns)

    def at(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Stationarity:
        """Look at a point; see `Judge.at`."""
        problem = self._evaluator.problem
        x = self._box.unknowns.join(path, theta)
        with np.errstate(all="ignore"):
            here = self._derivatives.at(x, self._evaluator.precision(rf))
            sides = self._box.sides(x, here.gradient, self._box.reach(here.scale))
            sizes = 1.0 / np.sqrt(here.scale)
            acting = np.where(sides.held, 0.0, here.gradient)
            limit = left_over(problem, here.action)
            held = holding(problem, sides.held, here.gradient * sizes)
            held |= self._pushing(x, here, held)
            if not (math.isfinite(here.action) and np.isfinite(acting).all()):
                broken = (~np.isfinite(acting)).astype(float)
                return Stationarity(False, False, math.nan, limit, broken, held)
            for mu in SLIGHT:
                step = self._step(x, here, mu, sides.held)
                if step is not None:
                    curved = here.pattern.product(here.hessian, step)
                    left = max(0.0, -float(acting @ step) - 0.5 * float(step @ curved))
                    # a damped step predicts less than can be gained
                    limit *= LESS if mu >= SLIGHT[2] else 1.0
                    expansion = Expansion(here, mu, held)
                    return Stationarity(True, True, left, limit, step / sizes, held, expansion)
            return Stationarity(True, False, math.nan, limit, -acting * sizes, held)

    def _step(self, x: FloatArray, here: Point, mu: float, held: BoolArray) -> FloatArray | None:
        """Newton step within the bounds; what would leave them stops there, the rest goes on."""
        lower, upper = self._box.unknowns.lower, self._box.unknowns.upper
        change = np.zeros(x.size)
        for _ in range(PASSES):
            slope = here.gradient + here.pattern.product(here.hessian, change)
            found = here.solve(mu, held, -np.where(held, 0.0, slope))
            if found is None or not np.isfinite(found).all():
                return None
            step = change + found
            beyond = ~held & ((x + step < lower) | (x + step > upper))
            if not beyond.any():
                return step
            change = np.where(beyond, np.clip(x + step, lower, upper) - x, change)
            held = held | beyond
        return np.clip(x + step, lower, upper) - x

    def _pushing(self, x: FloatArray, here: Point, held: BoolArray) -> BoolArray:
        """Return which parameters on a bound would move beyond it, if the others moved along.

        The slope alone does not tell: with others not quite at their best it may point inwards.
        """
        unknowns = self._box.unknowns
        limit = PUSH_OF_PARAMETER * math.sqrt(self._evaluator.problem.measurement_scale)
        reach, least = self._box.reach(here.scale), LEAST_PIVOT * here.scale
        outward = np.where(x >= unknowns.upper - reach, 1.0, 0.0)
        outward -= np.where(x <= unknowns.lower + reach, 1.0, 0.0)
        on_bound = unknowns.free & (outward != 0.0)
        pushing = np.zeros_like(held)
        for i in range(unknowns.on_path, held.size):
            if on_bound[i] and not held[i]:
                unit = (np.arange(held.size) == i).astype(float)
                others = (held | on_bound) & (unit == 0.0)
                along = here.pattern.solve(here.hessian, 0.0 * here.scale, unit, others, least)
                if along is not None and along[i] > 0.0:
                    step = -float(along @ here.gradient)
                    pushing[i] = step * outward[i] > limit * math.sqrt(float(along[i]))
        return pushing

    def sizes(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> FloatArray:
        """Return the unknowns' own sizes; see `Judge.sizes`."""
        x = self._box.unknowns.join(path, theta)
        with np.errstate(all="ignore"):
            here = self._derivatives.at(x, self._evaluator.precision(rf))
        return np.maximum(self._box.reach(here.scale) / DAMPING.near_bound, SMALLEST)


def left_over(problem: Problem, action: float) -> float:
    """Return what may be left to gain at a minimum of an action."""
    energy = problem.energy
    exact = min(EXACT * energy, NEAR * problem.measurement_scale)
    return max(tolerance(problem, action, SHARE), exact)


def holding(problem: Problem, near: BoolArray, slope: FloatArray) -> BoolArray:
    """Return which unknowns a bound holds, of those on it: the action has to fall beyond.

    Parameters
    ----------
    near : ndarray of bool, shape (M D + P,)
        On a bound, or fixed.
    slope : ndarray, shape (M D + P,)
        Gradient in units of the unknowns' own sizes.
    """
    pushed = ~(np.abs(slope) <= PUSH * problem.measurement_scale)
    held: BoolArray = near & pushed
    held |= ~problem.unknowns.free
    return held
