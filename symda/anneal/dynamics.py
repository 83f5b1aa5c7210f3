"""Forward steps of a problem's model: for starts and for growing windows."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from symda.build.implicit import ImplicitStep
from symda.build.kernels import blocks_of
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator, Kernels
    from symda.build.layout import Packed
    from symda.observe import Problem


#: A component this many widths outside its start range has blown up.
BLOWN_UP = 10.0
#: Newton iterations of an implicit step, the change at which they end, and the largest allowed of
#: the last, as shares of the range.
ITERATIONS = 20
SMALL, SETTLED = 1e-12, 1e-3


class Dynamics:
    """Forward steps of a model under the scheme of the action, from the kernels only.

    Parameters
    ----------
    kernels : Kernels
        What evaluates the residual of a step.
    problem : Problem
        Grid, forcing, bounds and start ranges.
    """

    def __init__(self, kernels: Kernels, problem: Problem) -> None:
        self._kernels = kernels
        self.problem = problem

    @cached_property
    def experiments(self) -> tuple[Dynamics, ...]:
        """Those of each experiment; `forecast` and `slopes` are of one."""
        if len(self.problem.segments) == 1:
            return (self,)
        return tuple(Dynamics(self._kernels, one) for one in self.problem.experiments)

    def step(self, n: int, states: FloatArray, theta: FloatArray) -> FloatArray:
        """Take some states over step n, to where its residual is zero.

        Parameters
        ----------
        n : int
            The step, 0 .. N - 1.
        states : (B, D)
        theta : (P,)
            Parameters, common to all.

        Returns
        -------
        (B, 1 + I, D)
            Interior points and then x_{n+1}, kept within bounds and brought back into their start
            ranges where they blow up. An implicit step without a solution stays where it is.
        """
        p = self.problem
        theta = theta[p.use[p.step_experiments[n]]]
        ends = np.zeros((len(states), 1 + p.interior, p.D))
        with np.errstate(all="ignore"):
            if self._explicit:
                ends[:, 0] = -self._residual(n, states, ends[:, 0], theta)
            else:
                for state, end in zip(states, ends, strict=True):
                    end[:] = self._solve(n, state, theta)
            return self._tamed(ends)

    def forecast(self, path: FloatArray, theta: FloatArray, steps: int) -> FloatArray:
        """Extend a path of fewer steps by the model's own trajectory.

        Parameters
        ----------
        path : (n (1 + I) + 1, D)
            The first n steps.
        theta : (P,)
        steps : int
            Steps of the longer path.

        Returns
        -------
        (steps (1 + I) + 1, D)
        """
        parts, x = [path], path[-1:]
        for n in range((len(path) - 1) // (1 + self.problem.interior), steps):
            ends = self.step(n, x, theta)
            parts.append(ends[0])
            x = ends[:, -1]
        return np.concatenate(parts)

    def initial(self, state: FloatArray, theta: FloatArray) -> FloatArray:
        """Return a first state (D,) with the given initial values put in."""
        return self.evaluator.given.state(state, theta)

    def action(self, path: FloatArray, theta: FloatArray, rf: float) -> float:
        """Return the action of a path (M, D) at one Rf for all states."""
        return self.evaluator.action(path, theta, rf)

    def slopes(self, x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Measurement functions and their derivatives by the states, (L,) and (L, D), at x (D,)."""
        values, slopes = self._kernels.measure_slopes(np.ascontiguousarray(x[None]), theta)
        return values[0], slopes[0, :, : self.problem.D]

    @cached_property
    def evaluator(self) -> Evaluator:
        """The action on the problem."""
        return self._kernels.at(self.problem)

    @cached_property
    def _implicit(self) -> ImplicitStep:
        what = "Jacobian of a step, which, of an implicit scheme, nudged starts and windows need"
        moving = np.ones(self.problem.D, dtype=bool)
        return ImplicitStep(blocks_of(self._kernels, what), self.problem, moving)

    @cached_property
    def _packed(self) -> Packed:
        return self.evaluator.packed

    @cached_property
    def _explicit(self) -> bool:
        """Whether r = x_{n+1} - f(x_n): then r - x_{n+1} does not depend on x_{n+1}."""
        p = self.problem
        if p.interior:
            return False
        rng = np.random.default_rng(0)
        low, high = p.state_start.T
        x, *ends = rng.uniform(low, high, (3, p.D))
        ranges = np.where(p.free[:, None], p.parameter_start, p.fixed[:, None])
        theta = rng.uniform(ranges[:, 0], ranges[:, 1])[p.use[0]]
        rest = [self._residual(p.longest, x[None], end[None], theta) - end for end in ends]
        scale = np.abs(rest[0]) + np.abs(ends).max() + np.abs(x).max()
        return bool((np.abs(rest[0] - rest[1]) <= 1e-13 * scale).all())

    def _residual(
        self, n: int, states: FloatArray, ends: FloatArray, theta: FloatArray
    ) -> FloatArray:
        """Residuals (B, D) of step n from `states` to `ends`, both (B, D)."""
        # one path x_n, x_{n+1}, x_n, x_{n+1}, ..., of which every other window is a step
        path = np.stack([states, ends], axis=1).reshape(-1, self.problem.D)
        data = np.repeat(self._packed.steps[n : n + 1], len(path) - 1, axis=0)
        return self._kernels.step_residual(path, theta, data)[::2]

    def _solve(self, n: int, state: FloatArray, theta: FloatArray) -> FloatArray:
        """Solve the residual of an implicit step for (m_n, x_{n+1}) by Newton's method."""
        p = self.problem
        size = np.tile(np.ptp(p.state_start, axis=1), 1 + p.interior)
        window = np.tile(state, (2 + p.interior, 1))
        changes = self._implicit.newton(window, theta, self._packed.steps[n : n + 1])
        try:
            for change in islice(changes, ITERATIONS):
                if (np.abs(change) <= SMALL * size).all():
                    break
        except np.linalg.LinAlgError:
            change = np.full(p.E, np.inf)
        settled = np.isfinite(window).all() and (np.abs(change) <= SETTLED * size).all()
        return window[1:] if settled else np.tile(state, (1 + p.interior, 1))

    def _tamed(self, states: FloatArray) -> FloatArray:
        low, high = self.problem.state_start.T
        width = high - low
        held = np.clip(np.where(np.isnan(states), 0.5 * (low + high), states), low, high)
        far = BLOWN_UP * np.where(width > 0.0, width, 1.0)
        inside = (states >= low - far) & (states <= high + far)
        return np.clip(np.where(inside, states, held), *self.problem.state_bounds.T)
