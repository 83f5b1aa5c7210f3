"""How a problem's data and the numbers of its steps and points lie in arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.build.engines import Pieces, Theta
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csc_array

    from symda.observe import Problem


@dataclass(frozen=True, eq=False)
class Packed:
    """A problem's data as the kernels read it.

    `steps` are (N, 3 + S U), `points` (M + R, 2 (L + C) + K): data and weights of the L channels
    and of the C values paid, then weights of the K pairs of channels whose noise may be correlated.
    Rows of data are in the order of their grid points; one that was measured several times has
    several.
    """

    steps: FloatArray
    points: FloatArray
    at: IntArray  #: Grid point of each row of data, (M + R,).
    first_row: IntArray  #: First row of each grid point, and the number of rows, (M + 1,).
    #: First step, first point and first row of each experiment, and the numbers of all, (S + 1,).
    first_steps: IntArray
    first_points: IntArray
    first_rows: IntArray
    use: IntArray  #: As `Problem.use`.
    #: Whether the prior of a parameter of the kernels is that of an experiment, (S, p): each
    #: parameter has its prior once.
    own: FloatArray
    pairs: int  #: K

    @property
    def rows(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Data and weights (M + R, L + C) of all rows, and weights of pairs (M + R, K)."""
        width = (self.points.shape[1] - self.pairs) // 2
        y, rm, cross = np.split(self.points, [width, 2 * width], axis=1)
        return y, rm, cross

    #: `points` with the weights of controls only, and of values with priors only; None: none.
    paid: tuple[FloatArray | None, FloatArray | None] = (None, None)

    def pieces(self, theta: FloatArray) -> Theta:
        """Return parameters (P,) as the kernels take them: of each experiment its own."""
        return self._pieces(theta, self.first_points)

    def row_pieces(self, theta: FloatArray) -> Theta:
        """Return them for rows of data."""
        return self._pieces(theta, self.first_rows)

    def first_pieces(self, theta: FloatArray) -> Theta:
        """Return them for the first state of each experiment."""
        return self._pieces(theta, np.arange(len(self.use) + 1))

    def _pieces(self, theta: FloatArray, firsts: IntArray) -> Theta:
        if len(self.use) == 1:
            return theta
        return Pieces(theta[self.use], self.first_steps, firsts)

    def row_states(self, path: FloatArray) -> FloatArray:
        """Return the state that each row of data is of, (M + R, D)."""
        return path if len(self.at) == len(path) else path[self.at]

    def by_point(self, rows: FloatArray) -> FloatArray:
        """Return the sums (M, .) over the rows of each grid point."""
        if len(self.at) == len(self.first_row) - 1:
            return rows
        return np.add.reduceat(rows, self.first_row[:-1], axis=0)

    def own_rows(self, s: int) -> slice:
        """Rows of data of experiment s."""
        return slice(int(self.first_rows[s]), int(self.first_rows[s + 1]))

    @property
    def repeated(self) -> BoolArray:
        """Which rows are repeats, (M + R,)."""
        found = np.ones(len(self.at), dtype=np.bool_)
        found[self.first_row[:-1]] = False
        return found


def pack(problem: Problem, pairs: int = 0) -> Packed:
    """Lay out times, step lengths, weights, forcing and data.

    Parameters
    ----------
    pairs
        How many pairs of channels the kernels know of; 0 in a problem without correlated noise.
    """
    head = np.stack([problem.left_times, problem.h, problem.weight], axis=1)
    steps = np.hstack([head, problem.u.reshape(problem.N, -1)])
    # the square of a control is a misfit to 0; priors of values have no data
    nothing = np.zeros_like(problem.cost)
    points = np.hstack([problem.y, nothing, problem.rm, problem.cost, _cross(problem, pairs)[0]])
    at = np.arange(problem.M)
    if len(problem.repeat_at):
        at = np.concatenate([at, problem.repeat_at])
        order = np.argsort(at, kind="stable")
        none = np.zeros((len(problem.repeat_at), nothing.shape[1]))
        further = _cross(problem, pairs)[1]
        again = np.hstack([problem.repeat_y, none, problem.repeat_rm, none, further])
        at, points = at[order], np.vstack([points, again])[order]
    first_row = np.searchsorted(at, np.arange(problem.M + 1))
    first_points = np.array([*(s.first_point for s in problem.segments), problem.M], dtype=np.int64)
    own = np.zeros(problem.use.shape)
    own.reshape(-1)[np.unique(problem.use, return_index=True)[1]] = 1.0
    return Packed(
        np.ascontiguousarray(steps),
        np.ascontiguousarray(points),
        at,
        first_row,
        np.array([*(s.first_step for s in problem.segments), problem.N], dtype=np.int64),
        first_points,
        first_row[first_points],
        problem.use,
        own,
        pairs,
        _paid_only(points, len(problem.paid), problem.priors, pairs),
    )


def _cross(problem: Problem, pairs: int) -> tuple[FloatArray, FloatArray]:
    """Weights of pairs of channels, (M, K) and (R, K); 0 where no noise is correlated."""
    if problem.correlated or not pairs:
        return problem.cross, problem.repeat_cross
    return np.zeros((problem.M, pairs)), np.zeros((len(problem.repeat_at), pairs))


def _paid_only(
    points: FloatArray, paid: int, priors: int, pairs: int
) -> tuple[FloatArray | None, FloatArray | None]:
    """Keep the weights of controls, or of values with priors, of the last `paid` quantities."""
    found: list[FloatArray | None] = []
    end = points.shape[1] - pairs
    for kept in (slice(end - paid, end - priors), slice(end - priors, end)):
        only = None
        if kept.start < kept.stop:
            only = points.copy()
            only[:, end // 2 :] = 0.0
            only[:, kept] = points[:, kept]
        found.append(only)
    return found[0], found[1]


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
        M, D, E = problem.M, problem.D, problem.E
        self.unknowns = M * D + problem.P
        theta = M * D + problem.use
        windows = problem.windows[:, None] + np.arange(E + D)
        #: unknowns each step sees, (N, E + D + p)
        self.step_unknowns = np.hstack([windows, theta[problem.step_experiments]])
        #: unknowns each point's measurement sees, (M, D + p)
        self.measure_unknowns = np.hstack(
            [np.arange(M * D).reshape(M, D), theta[problem.point_experiments]]
        )
        at = np.sort(np.concatenate([np.arange(M), problem.repeat_at]))
        #: unknowns each row of data sees, (M + R, D + p)
        self.point_unknowns = self.measure_unknowns[at]
        #: unknowns the prior of each experiment sees, (S, D + p)
        self.prior_unknowns = self.measure_unknowns[[s.first_point for s in problem.segments]]
        self._functions = functions
        self._given, self._D = bool(problem.given.any()), D
        # first step of each experiment, and the rows of data at its first point
        first_row = np.searchsorted(at, np.arange(M + 1))
        self._firsts = [
            (s.first_step, slice(first_row[s.first_point], first_row[s.first_point + 1]))
            for s in problem.segments
        ]

    def first_hessian(self, s: int, parts: list[FloatArray]) -> FloatArray:
        """Hessian of all that depends on the first state of experiment s, by (window, theta).

        Parameters
        ----------
        parts
            Nonzeros of the Hessians of steps, rows of data and priors, a row each.
        """
        step, rows = self._firsts[s]
        W, D = self.step_unknowns.shape[1], self._D
        P = self.measure_unknowns.shape[1] - D
        ends = np.concatenate([np.arange(D), W - P + np.arange(P)])
        first = np.zeros((W, W))
        wanted = [
            ("step_hessian", parts[0][step], np.arange(W)),
            ("point_hessian", parts[1][rows].sum(axis=0), ends),
        ]
        if len(parts) > 2:
            wanted.append(("prior_hessian", parts[2][s], ends))
        for name, values, at in wanted:
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
            for step, _ in self._firsts:
                rows.append(self.step_unknowns[step, i])
                columns.append(self.step_unknowns[step, j])
        size = (self.unknowns, self.unknowns)
        return Assembly.of(size, np.concatenate(rows), np.concatenate(columns))

    @cached_property
    def upper(self) -> Assembly:
        """Upper triangle of the action's Hessian: nonzeros of steps, rows of data, the prior."""
        return self._square(("step_hessian", self.step_unknowns), *self._others)

    @cached_property
    def folded(self) -> Assembly:
        """The same, and of what given initial values change, see `Given.changes`."""
        if not self._given:
            return self.upper
        return self._square(("step_hessian", self.step_unknowns), *self._others, first=True)

    @cached_property
    def upper_lifted(self) -> Assembly:
        """The same with the residuals' curvature for the steps."""
        return self._square(("step_curvature", self.step_unknowns), *self._others)

    @property
    def _others(self) -> list[tuple[str, IntArray]]:
        found = [("point_hessian", self.point_unknowns)]
        if "prior_hessian" in self._functions:
            found.append(("prior_hessian", self.prior_unknowns))
        return found

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
