"""Structured Newton in NumPy and LAPACK: needs no compiler, and takes blocks of any size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from symda.emit.lanes import DAMPING
from symda.solve.box import Box, Sides
from symda.solve.derivatives import Derivatives, Point
from symda.solve.minimum import Minimum, descended
from symda.solve.options import (
    NewtonOptions,
    damped_share,
    tolerance,
)
from symda.status import Reason
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockKernels
    from symda.observe import Problem


class BandedNewton:
    """Damped Newton steps with exact second derivatives, one path at a time.

    Method and rules are those of `symda.solve.newton.Newton`. Along the path the Hessian is a band
    of half width E + D, which LAPACK's banded Cholesky factorises; the parameters are a border,
    taken off by their Schur complement.
    """

    def __init__(self, kernels: BlockKernels, problem: Problem, options: NewtonOptions) -> None:
        self._options = options
        self._evaluator = kernels.at(problem)
        self._derivatives = Derivatives(self._evaluator, exact=self._options.hessian == "exact")
        self._box = Box(problem.unknowns)

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta); see `Minimiser.minimise`."""
        return descended(self._evaluator, self._descend, path, theta, rf)

    def _descend(self, x: FloatArray, rf: FloatArray) -> tuple[FloatArray, Reason, int, int]:
        """Return where it ended, why, and the numbers of iterations and of actions evaluated."""
        damping, box = DampingState(), self._box
        problem = self._evaluator.problem
        damped = damped_share(problem)
        here = self._derivatives.at(x, rf)
        if not here.finite_without(self._sides(x, here).held):
            x = box.inside(x)
            here = self._derivatives.at(x, rf)
        evaluations, narrow, flat, wall = 1, 1.0, 0, False
        for iteration in range(1, self._options.max_iter + 1):
            if not math.isfinite(here.action):
                return x, Reason.NO_VALUE, iteration, evaluations
            sides = self._sides(x, here, narrow)
            if not here.finite_without(sides.held):
                return x, Reason.NO_SLOPE, iteration, evaluations
            least = tolerance(problem, here.action, self._options.tol)
            level = 0.5 * here.steepest(sides.held) <= least
            step = here.step(damping.mu, sides.held)
            if step is None and flat == 1 and not damping.mu:
                flat, damping.mu = 2, DAMPING.slight
            elif step is None:
                damping.rise()
            else:
                trial = box.project(x + step, sides)
                moved = trial - x
                changed = moved != 0.0
                squared_length = float(here.scale[changed] @ moved[changed] ** 2)
                slope = float(here.gradient[changed] @ moved[changed])
                predicted = 0.5 * (damping.mu * squared_length - slope)
                action = self._derivatives.action(trial, rf)
                evaluations += 1
                if not predicted >= 0.0:
                    damping.rise()
                elif level and predicted <= least * (damped if flat and damping.mu else 1.0):
                    if action <= here.action:
                        x = trial
                    if not damping.mu or (flat and damping.slight):
                        return x, Reason.CONVERGED, iteration, evaluations
                    if flat:
                        # a saddle: no step without damping, no decrease with it
                        return x, Reason.SADDLE, iteration, evaluations
                    # a damped step predicts less than can be gained: try one without damping
                    flat, damping.mu = 1, 0.0
                    here = self._derivatives.at(x, rf)
                elif math.isfinite(action) and here.action - action > DAMPING.accept * predicted:
                    there = self._derivatives.at(trial, rf)
                    if there.finite_without(self._sides(trial, there, narrow).held):
                        damping.worked((here.action - action) / predicted)
                        x, here, flat = trial, there, 0
                    else:
                        damping.rise()
                        narrow, wall = 0.25 * narrow, True
                elif level and predicted <= least and damping.slight:
                    # flat directions need some damping, and what is left is lost in rounding
                    return x, Reason.CONVERGED, iteration, evaluations
                else:
                    damping.rise()
                    narrow *= 0.25
            if damping.mu > DAMPING.most:
                if not math.isfinite(here.steepest(sides.held)):
                    return x, Reason.NO_SLOPE, iteration, evaluations
                return x, Reason.WALL if wall else Reason.STUCK, iteration, evaluations
        return x, Reason.LIMIT, iteration, evaluations

    def _sides(self, x: FloatArray, here: Point, narrow: float = 1.0) -> Sides:
        return self._box.sides(x, here.gradient, narrow * self._box.reach(here.scale))


class DampingState:
    """The multiple mu of the Gauss-Newton diagonal, by the rules of `symda.emit.lanes.Damping`."""

    def __init__(self) -> None:
        self.mu = 0.0
        self._low = 0.0
        self._last = DAMPING.first
        self._growth = DAMPING.up

    @property
    def slight(self) -> bool:
        """Whether the Hessian is positive definite without it, or nearly so."""
        return self.mu <= DAMPING.slight

    def rise(self) -> None:
        """Record a step that failed."""
        self._low = self.mu
        self.mu = max(self._growth * self.mu, DAMPING.down * self._last)
        self._growth *= DAMPING.faster

    def worked(self, ratio: float) -> None:
        """Record a step's gain ratio."""
        self._growth = DAMPING.up
        if self.mu > 0.0:
            self._last = self.mu
        if ratio < DAMPING.poor:
            self._low = self.mu
            self.mu = max(2.0 * self.mu, DAMPING.down * self._last)
        elif ratio > DAMPING.good:
            mu = self.mu * (DAMPING.fast if self._low == 0.0 else DAMPING.down)
            if mu < DAMPING.near * self._low:
                mu = math.sqrt(self._low * self.mu)
            self._low = DAMPING.forget * self._low if self._low > DAMPING.least else 0.0
            self.mu = mu if mu > DAMPING.least else 0.0
