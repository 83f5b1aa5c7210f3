"""Forward steps of a problem's model: for starts and for growing windows."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.build.kernels import blocks_of
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockKernels, Evaluator, Kernels, Packed
    from symda.observe import Problem


#: A component this many widths outside its start range has blown up.
BLOWN_UP = 10.0
#: Newton iterations of an implicit step, and the change at which they end, as a share of the range.
ITERATIONS = 20
SMALL = 1e-12


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

    def step(self, n: int, states: FloatArray, theta: FloatArray) -> FloatArray:
        """Take some states over step n, to where its residual is zero.

        Parameters
        ----------
        n : int
            The step, 0 .. N - 1.
        states : (B, D)
            States x_n.
        theta : (P,)
            Parameters, common to all.

        Returns
        -------
        (B, 1 + I, D)
            Interior points and then x_{n+1}, kept within bounds and brought back into their start
            ranges where they blow up. An implicit step without a solution stays where it is.
        """
        p = self.problem
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
            Parameters.
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

    def action(self, path: FloatArray, theta: FloatArray, rf: float) -> float:
        """Return the action of a path (M, D) at one Rf for all states."""
        return self._evaluator.action(path, theta, rf)

    def slopes(self, x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Measurement functions and their derivatives by the states, (L,) and (L, D), at x (D,)."""
        L = self.problem.L
        values = self._kernels.measure(np.ascontiguousarray(x[None]), theta)[0]
        # with Rm = 1 for channel l only, and data one below h, the gradient of
        # Rm/2 (h_l - y_l)^2 is that of h_l
        points = np.ascontiguousarray(np.hstack([np.tile(values - 1.0, (L, 1)), np.eye(L)]))
        rows = self._kernels.point_gradient(
            np.ascontiguousarray(np.tile(x, (L, 1))), theta, points
        )[1]
        return values, rows[:, : self.problem.D]

    @cached_property
    def _evaluator(self) -> Evaluator:
        return self._kernels.at(self.problem)

    @cached_property
    def _blocks(self) -> BlockKernels:
        what = "Jacobian of a step, which, of an implicit scheme, nudged starts and windows need"
        return blocks_of(self._kernels, what)

    @cached_property
    def _packed(self) -> Packed:
        return self._evaluator.packed

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
        theta = rng.uniform(ranges[:, 0], ranges[:, 1])
        rest = [self._residual(0, x[None], end[None], theta) - end for end in ends]
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

    @cached_property
    def _pattern(self) -> tuple[IntArray, IntArray, BoolArray]:
        """Rows and columns of a step's Jacobian, and which belong to what lies after x_n."""
        p = self.problem
        i, j = self._blocks.functions["step_jacobian"].sparsity_out(0).get_triplet()
        rows, columns = np.asarray(i, dtype=np.int64), np.asarray(j, dtype=np.int64)
        after = (columns >= p.D) & (columns < p.D + p.E)
        return rows[after], columns[after] - p.D, after

    def _solve(self, n: int, state: FloatArray, theta: FloatArray) -> FloatArray:
        """Solve the residual of an implicit step for (m_n, x_{n+1}) by Newton's method."""
        p = self.problem
        rows, columns, after = self._pattern
        size = np.tile(p.state_start[:, 1] - p.state_start[:, 0], 1 + p.interior)
        stay = np.tile(state, (1 + p.interior, 1))
        end, data = stay.copy(), self._packed.steps[n : n + 1]
        for _ in range(ITERATIONS):
            window = np.ascontiguousarray(np.concatenate([state[None], end]))
            r = self._kernels.step_residual(window, theta, data)[0]
            J = np.zeros((p.E, p.E))
            J[rows, columns] = self._blocks.engine.step_jacobian(window, theta, data)[0, after]
            try:
                change = np.linalg.solve(J, r)
            except np.linalg.LinAlgError:
                return stay
            end = end - change.reshape(end.shape)
            if (np.abs(change) <= SMALL * size).all():
                return end
        return end if np.isfinite(end).all() and self._settled(change, size) else stay

    @staticmethod
    def _settled(change: FloatArray, size: FloatArray) -> bool:
        """Whether Newton's last change was small enough to go on with."""
        return bool((np.abs(change) <= 1e-3 * size).all())

    def _tamed(self, states: FloatArray) -> FloatArray:
        low, high = self.problem.state_start.T
        width = high - low
        held = np.clip(np.where(np.isnan(states), 0.5 * (low + high), states), low, high)
        far = BLOWN_UP * np.where(width > 0.0, width, 1.0)
        inside = (states >= low - far) & (states <= high + far)
        return np.clip(np.where(inside, states, held), *self.problem.state_bounds.T)
