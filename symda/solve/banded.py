"""Structured Newton in NumPy and LAPACK: needs no compiler, and takes blocks of any size."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symda.emit.lanes import DAMPING
from symda.solve.box import Box
from symda.solve.derivatives import Derivatives
from symda.solve.minimum import Minimum, Status, record
from symda.solve.options import MESSAGE, NewtonOptions, least_action

if TYPE_CHECKING:
    from symda.build.kernels import Kernels
    from symda.observe import Problem

FloatArray = NDArray[np.float64]


class BandedNewton:
    """Damped Newton steps with exact second derivatives, one path at a time.

    Method and rules are those of `symda.solve.newton.Newton`. Along the path the Hessian is a band
    of half width E + D, which LAPACK's banded Cholesky factorises; the parameters are a border,
    taken off by their Schur complement.

    Parameters
    ----------
    kernels : Kernels
        What evaluates the action, compiled or not.
    problem : Problem
        Data and bounds.
    **options
        See `NewtonOptions`.

    Raises
    ------
    OptionError
        If an option is unknown or out of range.
    """

    def __init__(self, kernels: Kernels, problem: Problem, **options: object) -> None:
        self._options = NewtonOptions.of(**options)
        self._evaluator = kernels.at(problem)
        self._derivatives = Derivatives(self._evaluator, exact=self._options.hessian == "exact")
        self._box = Box.of(problem)
        self._least_action = least_action(problem)

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Go down from (path, theta); see `Solver.minimise`."""
        started = time.perf_counter()
        start = self._box.bounds.clip(*self._evaluator.split(path, theta))
        with np.errstate(over="ignore", invalid="ignore"):
            x, status, iterations, evaluations = self._descend(start, self._evaluator.precision(rf))
            return record(
                self._evaluator,
                x,
                rf,
                status=status,
                message=MESSAGE[status],
                iterations=iterations,
                evaluations=evaluations,
                seconds=time.perf_counter() - started,
            )

    def _descend(self, x: FloatArray, rf: FloatArray) -> tuple[FloatArray, Status, int, int]:
        """Return where it ended, why, and the numbers of iterations and of actions evaluated."""
        damping, tol = Damping(), self._options.tol
        here = self._derivatives.at(x, rf)
        evaluations, narrow, flat = 1, 1.0, False
        for iteration in range(1, self._options.max_iter + 1):
            if not here.finite:
                return x, "failed", iteration, evaluations
            sides = self._box.sides(x, here.gradient, narrow)
            size = max(abs(here.action), self._least_action)
            level = 0.5 * here.steepest(sides.held) <= tol * size
            step = here.step(damping.mu, sides.held)
            if step is None:
                damping.rise()
            else:
                trial = self._box.project(x + step, sides)
                moved = trial - x
                bowl = float(here.scale @ moved**2)
                predicted = 0.5 * (damping.mu * bowl - float(here.gradient @ moved))
                action = self._derivatives.action(trial, rf)
                evaluations += 1
                if not predicted >= 0.0:
                    damping.rise()
                elif level and predicted <= tol * size:
                    if action <= here.action:
                        x = trial
                    if damping.slight:
                        return x, "converged", iteration, evaluations
                    if flat:
                        # a saddle: no step without damping, no decrease with it
                        break
                    flat, damping.mu = True, DAMPING.slight
                elif math.isfinite(action) and here.action - action > DAMPING.accept * predicted:
                    x, flat = trial, False
                    damping.worked((here.action - action) / predicted)
                else:
                    damping.rise()
                    narrow *= 0.25
                if x is trial:
                    here = self._derivatives.at(x, rf)
            if damping.mu > DAMPING.most:
                break
        return x, "stopped", iteration, evaluations


class Damping:
    """The multiple mu of the Gauss-Newton diagonal, by the rules of `symda.emit.lanes.Damping`."""

    def __init__(self) -> None:
        self.mu = 0.0
        self._low = 0.0
        self._last = DAMPING.first
        self._growth = DAMPING.up

    @property
    def slight(self) -> bool:
        """Whether the Hessian is positive definite without it, or as good as."""
        return self.mu <= DAMPING.slight

    def rise(self) -> None:
        """Take note of a step that failed."""
        self._low = self.mu
        self.mu = max(self._growth * self.mu, DAMPING.down * self._last)
        self._growth *= DAMPING.faster

    def worked(self, ratio: float) -> None:
        """Take note of a step's gain ratio."""
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
