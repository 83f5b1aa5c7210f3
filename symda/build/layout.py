"""How a problem's data and the numbers of its steps and points lie in arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csc_array

    from symda.observe import Problem


@dataclass(frozen=True, eq=False)
class Packed:
    """A problem's data as the kernels read it: `steps` (N, 3 + S U), `points` (M, 2 (L + Q)).

    Points have data and weights of the L channels and of the Q controls.
    """

    steps: FloatArray
    points: FloatArray


def pack(problem: Problem) -> Packed:
    """Lay out times, step lengths, weights, forcing and data: a row a step, a row a point."""
    head = np.stack([problem.node_times[:-1], problem.h, problem.weight], axis=1)
    steps = np.hstack([head, problem.u.reshape(problem.N, -1)])
    # the square of a control is a misfit to 0
    points = np.hstack([problem.y, np.zeros_like(problem.cost), problem.rm, problem.cost])
    return Packed(np.ascontiguousarray(steps), np.ascontiguousarray(points))


@dataclass(frozen=True, eq=False)
class Assembly:
    """Many small sparse matrices added up: entry k of their nonzeros goes to `target[k]`.

    `rows` and `starts` are the compressed columns of the sum, `size` its shape.
    """

    size: tuple[int, int]
    target: IntArray
    rows: IntArray
    starts: IntArray

    @classmethod
    def of(cls, size: tuple[int, int], rows: IntArray, columns: IntArray) -> Assembly:
        """Plan the sum of entries at (rows, columns), which may repeat."""
        keys, target = np.unique(columns * size[0] + rows, return_inverse=True)
        starts = np.searchsorted(keys, np.arange(size[1] + 1) * size[0])
        return cls(size, target.reshape(-1), keys % size[0], starts)

    @property
    def nonzeros(self) -> int:
        """Nonzeros of the sum."""
        return len(self.rows)

    def assemble(self, values: FloatArray) -> csc_array:
        """Add up to a sparse matrix."""
        from scipy.sparse import csc_array

        return csc_array((self.add_up(values), self.rows, self.starts), shape=self.size)

    def add_up(self, values: FloatArray) -> FloatArray:
        """Nonzeros of the sum."""
        return np.bincount(self.target, values, self.nonzeros).astype(float, copy=False)


class ProblemLayout:
    """Index tables of a whole problem, made of the sparsity of its per-step functions.

    Parameters
    ----------
    functions : mapping of name to casadi.Function
        Per-step and per-point functions.
    """

    def __init__(self, functions: Mapping[str, ca.Function], problem: Problem) -> None:
        N, M, D, P, E = problem.N, problem.M, problem.D, problem.P, problem.E
        self.unknowns = M * D + P
        theta = M * D + np.arange(P)
        windows = np.arange(N)[:, None] * E + np.arange(E + D)
        #: unknowns each step sees, (N, E + D + P)
        self.step_unknowns = np.hstack([windows, np.broadcast_to(theta, (N, P))])
        #: unknowns each point sees, (M, D + P)
        self.point_unknowns = np.hstack(
            [np.arange(M * D).reshape(M, D), np.broadcast_to(theta, (M, P))]
        )
        self._functions = functions
        self._given = bool(problem.given.any())
        self._P = P

    def first_hessian(self, by_step: FloatArray, by_point: FloatArray) -> FloatArray:
        """Nonzeros of the first step's and point's Hessians as one matrix by (window, theta)."""
        D, W = self.point_unknowns.shape[1] - self._P, self.step_unknowns.shape[1]
        first = np.zeros((W, W))
        ends = np.concatenate([np.arange(D), W - self._P + np.arange(self._P)])
        for name, values, at in (
            ("step_hessian", by_step, np.arange(W)),
            ("point_hessian", by_point, ends),
        ):
            sparsity = self._functions[name].sparsity_out(0)
            i, j = (np.asarray(part, dtype=np.int64) for part in sparsity.get_triplet())
            first[at[i], at[j]] += values
        return first + np.triu(first, 1).T

    def _square(self, *parts: tuple[str, IntArray], first: bool = False) -> Assembly:
        rows, columns = [], []
        for name, unknowns in parts:
            i, j = (
                np.asarray(part, dtype=np.int64)
                for part in self._functions[name].sparsity_out(0).get_triplet()
            )
            rows.append(unknowns[:, i].reshape(-1))
            columns.append(unknowns[:, j].reshape(-1))
        if first:
            i, j = np.triu_indices(self.step_unknowns.shape[1])
            rows.append(self.step_unknowns[0, i])
            columns.append(self.step_unknowns[0, j])
        size = (self.unknowns, self.unknowns)
        return Assembly.of(size, np.concatenate(rows), np.concatenate(columns))

    @cached_property
    def upper(self) -> Assembly:
        """Upper triangle of the action's Hessian, of the steps' nonzeros and then the points'."""
        return self._square(
            ("step_hessian", self.step_unknowns), ("point_hessian", self.point_unknowns)
        )

    @cached_property
    def folded(self) -> Assembly:
        """The same, and of what given initial values change, see `Given.nonzeros`."""
        if not self._given:
            return self.upper
        return self._square(
            ("step_hessian", self.step_unknowns),
            ("point_hessian", self.point_unknowns),
            first=True,
        )

    @cached_property
    def upper_lifted(self) -> Assembly:
        """The same of the residuals' curvature and the measurement term."""
        return self._square(
            ("step_curvature", self.step_unknowns), ("point_hessian", self.point_unknowns)
        )

    @cached_property
    def jacobian(self) -> Assembly:
        """Jacobian of all residuals, (N E, M D + P)."""
        sparsity = self._functions["step_jacobian"].sparsity_out(0)
        i, j = (np.asarray(part, dtype=np.int64) for part in sparsity.get_triplet())
        count, E = len(self.step_unknowns), sparsity.size1()
        rows = np.arange(count)[:, None] * E + i
        return Assembly.of(
            (count * E, self.unknowns), rows.reshape(-1), self.step_unknowns[:, j].reshape(-1)
        )
