"""Several paths of one problem at once, for importance draws: kernels, and the emitted lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.build.compile import build
from symda.build.engines import Pieces, Theta, addresses
from symda.build.load import load
from symda.build.toolchain import NoCompiler
from symda.emit.draws import emit_draws
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from types import ModuleType

    from symda.build.kernels import BlockEvaluator

#: Vectors of lanes that are computed at once, where a determinant takes at most so many
#: multiplications, some 30 ms; else one, since nothing can be stopped meanwhile.
FULL, SMALL = 4, 3e8


class Paths:
    """Up to `most` paths of a problem; kernels take their steps, or rows of data, in one call.

    Parameters
    ----------
    at : BlockEvaluator
    most : int
    """

    def __init__(self, at: BlockEvaluator, most: int) -> None:
        self._at = at
        p, packed = at.problem, at.packed
        self._steps, self._points = (np.tile(a, (most, 1)) for a in (packed.steps, packed.points))
        self._own = np.tile(packed.own, (most, 1))
        self._first_steps, self._first_points, self._first_rows, self._first = (
            _again(ends, most)
            for ends in (
                packed.first_steps,
                packed.first_points,
                packed.first_rows,
                np.arange(len(packed.use) + 1),
            )
        )
        self._shape = (p.M, p.D)

    def split(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return paths (k, M, D) and parameters (k, P) of unknowns (k, M D + P)."""
        unknowns = self._at.problem.unknowns
        if self._at.given.any:
            both = [self._at.split(*unknowns.split(one)) for one in x]
            return np.stack([one for one, _ in both]), np.stack([one for _, one in both])
        return x[:, : unknowns.on_path].reshape(len(x), *self._shape), x[:, unknowns.on_path :]

    def residuals(self, paths: FloatArray, thetas: FloatArray) -> FloatArray:
        """Return the residuals of all steps, (k N, E)."""
        return self._at.kernels.engine.step_residual(*self._by_steps(paths, thetas))

    def jacobians(self, paths: FloatArray, thetas: FloatArray) -> FloatArray:
        """Return the nonzeros of their derivatives, (k N, nonzeros)."""
        return self._at.kernels.engine.step_jacobian(*self._by_steps(paths, thetas))

    def gradients(
        self, paths: FloatArray, thetas: FloatArray
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return derivatives of what rows of data (k R, D + p) and priors (k S, D + p) cost."""
        engine = self._at.kernels.engine
        by_row = engine.point_gradient(*self._by_rows(paths, thetas))[1]
        if not engine.has_prior:
            return by_row, None
        return by_row, engine.prior_gradient(*self._by_firsts(paths, thetas))[1]

    def hessians(
        self, paths: FloatArray, thetas: FloatArray
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return nonzeros of their second derivatives, (k R, nonzeros) and (k S, nonzeros)."""
        engine = self._at.kernels.engine
        by_row = engine.point_hessian(*self._by_rows(paths, thetas))
        if not engine.has_prior:
            return by_row, None
        return by_row, engine.prior_hessian(*self._by_firsts(paths, thetas))

    def actions(self, paths: FloatArray, thetas: FloatArray, precision: FloatArray) -> FloatArray:
        """Return the actions, (k,)."""
        engine, k = self._at.kernels.engine, len(paths)
        by_step = self._at.by_step(precision)
        if by_step.ndim == 2:
            by_step = np.tile(by_step, (k, 1))
        terms = [
            engine.step_action(*self._by_steps(paths, thetas), by_step),
            engine.point_action(*self._by_rows(paths, thetas)),
        ]
        if engine.has_prior:
            terms.append(engine.prior_action(*self._by_firsts(paths, thetas)))
        return np.asarray(sum(one.reshape(k, -1).sum(axis=1) for one in terms))

    def _by_steps(
        self, paths: FloatArray, thetas: FloatArray
    ) -> tuple[FloatArray, Theta, FloatArray]:
        steps = self._steps[: len(paths) * self._at.problem.N]
        return _stacked(paths), self._pieces(thetas, self._first_points), steps

    def _by_rows(
        self, paths: FloatArray, thetas: FloatArray
    ) -> tuple[FloatArray, Theta, FloatArray]:
        at = self._at.packed.at
        rows = _stacked(paths if len(at) == paths.shape[1] else paths[:, at])
        return rows, self._pieces(thetas, self._first_rows), self._points[: len(rows)]

    def _by_firsts(
        self, paths: FloatArray, thetas: FloatArray
    ) -> tuple[FloatArray, Theta, FloatArray]:
        first = _stacked(paths[:, self._at.packed.first_points[:-1]])
        return first, self._pieces(thetas, self._first), self._own[: len(first)]

    def _pieces(self, thetas: FloatArray, points: IntArray) -> Pieces:
        use = self._at.packed.use
        pieces = len(thetas) * len(use)
        # the first of the next path is the end of the last
        ends = slice(pieces + 1)
        own = np.ascontiguousarray(thetas[:, use]).reshape(pieces, -1)
        return Pieces(own, self._first_steps[ends], points[ends])


def draw_lanes() -> ModuleType | None:
    """Compile what draws are made with, once on a machine, and load it; None without a compiler.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    try:
        return load(build(emit_draws()).library)
    except NoCompiler:
        return None


class DrawLanes:
    """The map of importance draws, of several at once, compiled.

    Parameters
    ----------
    module : ModuleType
        See `draw_lanes`.
    at : BlockEvaluator
    weighed : (N, E, E + D + p)
        W J*, the precision of the residuals times their derivatives at the minimum.
    share : float
        What costs are multiplied by; `weighed` is so already.
    free : (M D + P,)
        Unknowns that vary.
    """

    def __init__(
        self,
        module: ModuleType,
        at: BlockEvaluator,
        weighed: FloatArray,
        share: float,
        free: BoolArray,
    ) -> None:
        p, packed, functions = at.problem, at.packed, at.kernels.functions
        work = p.N * p.E * float(weighed.shape[2]) ** 2
        #: Paths that are computed at once: some end before others, and leave no lane empty.
        self.together = int(module.lanes) * (FULL if work <= SMALL else 1)
        self.paths = Paths(at, self.together)
        self._module, self._n, self._P = module, p.unknowns.count, p.P
        rows, columns = np.nonzero((weighed != 0.0).any(axis=0))
        self._weighed = np.ascontiguousarray(weighed[:, rows, columns])
        i, j = _triplet(at, "step_jacobian")
        order = np.argsort(i, kind="stable")
        second = [_triplet(at, "point_hessian")]
        nothing = np.zeros(0, dtype=np.int64)
        has_prior = "prior_hessian" in functions
        second.append(_triplet(at, "prior_hessian") if has_prior else (nothing, nothing))
        tables = [packed.first_steps, packed.first_points, packed.first_row, packed.use]
        tables += [free[: p.unknowns.on_path].astype(np.int64), _starts(rows, p.E), columns]
        tables += [_starts(i, p.E), j[order], order, *second[0], *second[1]]
        self._tables = [np.ascontiguousarray(one, dtype=np.int64) for one in tables]
        counts = [p.N, p.M, len(packed.at), len(packed.use), p.E, p.D, packed.use.shape[1], p.P]
        counts += [rows.size, i.size, len(second[0][0]), len(second[1][0])]
        self._counts = np.array(counts, dtype=np.int64)
        self._places = np.array([one.ctypes.data for one in self._tables], dtype=np.uintp)
        places = (self._counts, self._places, self._weighed)
        self._layout = (*(one.ctypes.data for one in places), share)

    def moments(self, paths: FloatArray, thetas: FloatArray) -> FloatArray:
        """Return m(x), (k, M D + P)."""
        residuals = self.paths.residuals(paths, thetas)
        by_row, before = self.paths.gradients(paths, thetas)
        found = np.empty((len(paths), self._n))
        self._module.run_moments(
            *self._layout, len(paths), *addresses(residuals, by_row), _address(before),
            *addresses(found),
        )  # fmt: skip
        return found

    def determinants(
        self, paths: FloatArray, thetas: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Return logarithms of det m'(x), (k,), and what is left of m' for theta, (k, P, P).

        The first are those of the path's part, and with them comes whether they are to be trusted:
        pivots are not searched for.
        """
        k = len(paths)
        slopes = self.paths.jacobians(paths, thetas)
        by_row, before = self.paths.hessians(paths, thetas)
        log_dets, fine, corners = np.empty(k), np.empty(k), np.empty((k, self._P, self._P))
        self._module.run_determinants(
            *self._layout, k, *addresses(slopes, by_row), _address(before),
            *addresses(log_dets, fine, corners),
        )  # fmt: skip
        return log_dets, (fine > 0.0) & np.isfinite(log_dets), corners

    def solve(self, columns: FloatArray, right: FloatArray, *, back: bool) -> None:
        """Put the solution of L x = b, or L^T x = b, in the place of the rows of `right`.

        Parameters
        ----------
        columns : (n, width + 1)
            Those of L below its diagonal, and on it.
        right : (k, n + P)
            Of which the first n are b.
        """
        n, height = columns.shape
        self._module.run_solve(
            *addresses(columns), n, height - 1, *addresses(right), *right.shape, back
        )


def _address(one: FloatArray | None) -> int:
    return 0 if one is None else addresses(one)[0]


def _again(ends: IntArray, most: int) -> IntArray:
    """Return where pieces begin of so many paths one after the other, and the end of the last."""
    every = np.arange(most)[:, None] * ends[-1] + ends[:-1]
    return np.append(every.reshape(-1), most * ends[-1])


def _stacked(paths: FloatArray) -> FloatArray:
    return np.ascontiguousarray(paths).reshape(-1, paths.shape[2])


def _starts(rows: IntArray, count: int) -> IntArray:
    """Return where each row begins among entries in their order, and how many there are."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])


def _triplet(at: BlockEvaluator, name: str) -> tuple[IntArray, IntArray]:
    rows, columns = at.kernels.functions[name].sparsity_out(0).get_triplet()
    return np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
