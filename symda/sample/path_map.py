"""Randomise, then optimise for a path and parameters: all matrices are bands with a border."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.build.draws import DrawLanes, draw_lanes
from symda.sample.maps import Linear, Map
from symda.sample.target import PathTarget
from symda.sample.white import White
from symda.solve.conditional import Conditional
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator


class PathMap(Map):
    """The map about a minimum of the action.

    Parameters
    ----------
    target : PathTarget

    Raises
    ------
    ValueError
        If the derivative of m at the minimum is not positive definite, or initial values are
        functions of parameters.
    """

    def __init__(self, target: PathTarget) -> None:
        self.target: PathTarget = target
        self._at = target.evaluator
        self._scale = target.problem.measurement_scale
        if target.problem.tied.any():
            raise ValueError("initial values are functions of parameters")
        self._jacobian = self._weighed(target.centre)
        self._table = _Table(self._at, target.white.free)
        band, border, _, corner = self._table.filled(self._parts(target.centre))
        white = _factor(band, border, corner, target.white.free)
        if white is None:
            raise ValueError("it has no Gauss-Newton Hessian that is positive definite")
        self.white = white
        module = draw_lanes()
        self._lanes: DrawLanes | None = None
        if module is not None:
            weighed, share = self._jacobian / self._scale, 1.0 / self._scale
            self._lanes = DrawLanes(module, self._at, weighed, share, target.white.free)

    @property
    def together(self) -> int:
        """How many points are computed at once: one in each lane of the vector registers."""
        return 1 if self._lanes is None else self._lanes.together

    def images(self, x: FloatArray) -> FloatArray:
        """Return L^-1 m(x) of at most `together` points (k, n)."""
        if self._lanes is None:
            return super().images(x)
        with np.errstate(all="ignore"):
            return self.white.pulls(self._lanes.moments(*self._lanes.paths.split(x)), self._lanes)

    def aparts(self, q: FloatArray) -> FloatArray:
        """Return the changes of x (k, n) of as many coordinates."""
        return super().aparts(q) if self._lanes is None else self.white.aparts(q, self._lanes)

    def determinants(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log |det m'(x)| and its sign, of at most `together` points; nan where it is 0."""
        if self._lanes is None:
            return super().determinants(x)
        logs, fine, corners = self._lanes.determinants(*self._lanes.paths.split(x))
        out = np.flatnonzero(~self.target.white.free[self._table.n :])
        corners[:, out] = corners[:, :, out] = 0.0
        corners[:, out, out] = 1.0
        signs, further = np.linalg.slogdet(corners)
        logs += further
        # what needs a search for pivots
        rest = np.flatnonzero(~(fine & np.isfinite(logs)))
        if rest.size:
            logs[rest], signs[rest] = super().determinants(x[rest])
        return logs, signs

    def moment(self, x: FloatArray) -> FloatArray:
        """Return m(x): the model's part by the Jacobian at the centre, the others' gradient."""
        p, at, packed = self.target.problem, self._at, self._at.packed
        engine, layout = at.kernels.engine, at.layout
        path, theta = self.target.whole(x)
        residual = engine.step_residual(path, packed.pieces(theta), packed.steps)
        found = np.zeros(p.unknowns.count)
        W, on_path = p.E + p.D, p.unknowns.on_path
        by_step = np.matmul(residual[:, None, :], self._jacobian)[:, 0]
        _, by_row = engine.point_gradient(
            packed.row_states(path), packed.row_pieces(theta), packed.points
        )
        found[:on_path] = packed.by_point(by_row[:, : p.D]).reshape(-1)
        for s, (segment, use) in enumerate(zip(p.segments, p.use, strict=True)):
            steps, rows = by_step[segment.own_steps], by_row[packed.own_rows(s)]
            begin = segment.first_point * p.D
            found[begin : begin + segment.steps * p.E] += steps[:, : p.E].reshape(-1)
            found[on_path + use] += rows[:, p.D :].sum(axis=0) + steps[:, W:].sum(axis=0)
        found[layout.step_unknowns[:, p.E : W]] += by_step[:, p.E : W]
        if engine.has_prior:
            first = np.ascontiguousarray(path[packed.first_points[:-1]])
            _, by_first = engine.prior_gradient(first, packed.first_pieces(theta), packed.own)
            np.add.at(found, layout.prior_unknowns, by_first)
        return found / self._scale

    def linear(self, x: FloatArray) -> Linear | None:
        """Return m'(x), factorised."""
        with np.errstate(all="ignore"):
            parts = self._parts(x)
        if not all(np.isfinite(one).all() for one in parts):
            return None
        return _Factorised.of(self._table, *self._table.filled(parts))

    def _parts(self, x: FloatArray) -> list[FloatArray]:
        """Return the derivatives of m by steps (N, K, K), rows of data and priors: nonzeros."""
        at, packed, engine = self._at, self._at.packed, self._at.kernels.engine
        path, theta = self.target.whole(x)
        own = self._dense(path, theta)
        found = [np.matmul(self._jacobian.transpose(0, 2, 1), own) / self._scale]
        rows = packed.row_states(path), packed.row_pieces(theta), packed.points
        found.append(engine.point_hessian(*rows) / self._scale)
        if engine.has_prior:
            found.append(at.prior_hessian(path, theta) / self._scale)
        return found

    def _dense(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the derivatives of the residuals of each step by what it sees, (N, E, K)."""
        at, packed = self._at, self._at.packed
        values = at.kernels.engine.step_jacobian(path, packed.pieces(theta), packed.steps)
        found = np.zeros((len(values), *self._shape))
        found[:, self._entries[0], self._entries[1]] = values
        return found

    @cached_property
    def _shape(self) -> tuple[int, int]:
        sparsity = self._at.kernels.functions["step_jacobian"].sparsity_out(0)
        return sparsity.size1(), sparsity.size2()

    @cached_property
    def _entries(self) -> tuple[IntArray, IntArray]:
        return _triplet(self._at, "step_jacobian")

    def _weighed(self, x: FloatArray) -> FloatArray:
        """Return W J at x, (N, E, K)."""
        found = self._dense(*self.target.whole(x))
        rf = self.target.precision
        columns = [self._at.weigh(rf, found[:, :, k]) for k in range(found.shape[2])]
        return np.ascontiguousarray(np.stack(columns, axis=2))


class _Table:
    """Where the derivatives of m by steps, rows of data and priors stand in band and border."""

    def __init__(self, at: BlockEvaluator, free: BoolArray) -> None:
        p, layout = at.problem, at.layout
        self.n, self.P, self.free = p.unknowns.on_path, p.P, free
        K = layout.step_unknowns.shape[1]
        i, j = (k.reshape(-1) for k in np.indices((K, K)))
        rows, columns = [layout.step_unknowns[:, i]], [layout.step_unknowns[:, j]]
        self._mirrored: list[IntArray | None] = [None]
        others = [("point_hessian", layout.point_unknowns)]
        if at.kernels.engine.has_prior:
            others.append(("prior_hessian", layout.prior_unknowns))
        for name, unknowns in others:
            a, b = _triplet(at, name)
            off = np.flatnonzero(a != b)
            self._mirrored.append(off)
            rows.append(unknowns[:, np.append(a, b[off])])
            columns.append(unknowns[:, np.append(b, a[off])])
        r, c = (np.concatenate([k.reshape(-1) for k in side]) for side in (rows, columns))
        inside = (r < self.n) & (c < self.n)
        self.width = int(np.abs(r - c)[inside].max(initial=0))
        # LAPACK's general band keeps room above for the pivots
        self.height = 3 * self.width + 1
        size, n, P = self.n * self.height, self.n, self.P
        at_band = c * self.height + 2 * self.width + r - c
        at_border = size + r * P + (c - n)
        at_lower = size + n * P + (r - n) * n + c
        at_corner = size + 2 * n * P + (r - n) * P + (c - n)
        place = np.where(
            c < n, np.where(r < n, at_band, at_lower), np.where(r < n, at_border, at_corner)
        )
        self._total = size + 2 * n * P + P * P
        # what does not vary goes nowhere
        self._place = np.where(free[r] & free[c], place, self._total)

    def filled(
        self, parts: list[FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return band (3 w + 1, n), border (n, P), its counterpart below (P, n), corner (P, P)."""
        values = [parts[0].reshape(-1)]
        for part, off in zip(parts[1:], self._mirrored[1:], strict=True):
            values.append(np.concatenate([part, part[:, off]], axis=1).reshape(-1))
        sums = np.bincount(self._place, np.concatenate(values), self._total + 1)
        every = np.asarray(sums, dtype=float)
        n, P, size = self.n, self.P, self.n * self.height
        band = every[:size].reshape(n, self.height)
        band[~self.free[:n], 2 * self.width] = 1.0
        corner = every[size + 2 * n * P : self._total].reshape(P, P)
        out = np.flatnonzero(~self.free[n:])
        corner[out, out] = 1.0
        return (
            band.T,
            every[size : size + n * P].reshape(n, P),
            every[size + n * P : size + 2 * n * P].reshape(P, n),
            corner,
        )


@dataclass(frozen=True, eq=False)
class _Factorised(Linear):
    """LU factors of the band, the Schur complement of the corner."""

    log_det: float
    sign: float
    table: _Table
    band: FloatArray
    pivots: IntArray
    sides: FloatArray  #: The band's inverse times the border, (n, P).
    lower: FloatArray
    schur: FloatArray

    @classmethod
    def of(
        cls,
        table: _Table,
        band: FloatArray,
        border: FloatArray,
        lower: FloatArray,
        corner: FloatArray,
    ) -> _Factorised | None:
        """Factorise; None where it is singular."""
        from scipy.linalg.lapack import dgbtrf, dgbtrs

        w = table.width
        factor, pivots, bad = dgbtrf(band, w, w, overwrite_ab=1)
        if bad:
            return None
        diagonal = factor[2 * w]
        turns = int((pivots != np.arange(table.n)).sum()) + int((diagonal < 0.0).sum())
        log_det, sign = float(np.log(np.abs(diagonal)).sum()), -1.0 if turns % 2 else 1.0
        sides, schur = border, corner
        if table.P:
            sides, _ = dgbtrs(factor, w, w, border, pivots)
            schur = corner - lower @ sides
            s, log = np.linalg.slogdet(schur)
            log_det, sign = log_det + float(log), sign * float(s)
        if not np.isfinite(log_det):
            return None
        return cls(log_det, sign, table, factor, pivots, sides, lower, schur)

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the solution."""
        from scipy.linalg.lapack import dgbtrs

        n, w = self.table.n, self.table.width
        path, _ = dgbtrs(self.band, w, w, right[:n], self.pivots)
        path = np.asarray(path).reshape(-1)
        if not self.table.P:
            return path
        theta = np.linalg.solve(self.schur, right[n:] - self.lower @ path)
        return np.concatenate([path - self.sides @ theta, theta])


def _factor(
    band: FloatArray, border: FloatArray, corner: FloatArray, free: BoolArray
) -> White | None:
    """Return the coordinates of a symmetric matrix; None where it is not positive definite."""
    from scipy.linalg.lapack import dpbtrf, dpbtrs

    n, P = border.shape
    width = (len(band) - 1) // 3
    factor, bad = dpbtrf(np.ascontiguousarray(band[2 * width :]), lower=1)
    if bad:
        return None
    sides = border
    if P:
        sides, _ = dpbtrs(factor, border, lower=1)
    schur = corner - border.T @ sides
    if P and np.linalg.eigvalsh(schur).min() <= 0.0:
        return None
    own = Conditional(factor, sides, schur, np.array([0, n]), np.arange(P)[None])
    return White(own, free, np.ones(n + P))


def _triplet(at: BlockEvaluator, name: str) -> tuple[IntArray, IntArray]:
    rows, columns = at.kernels.functions[name].sparsity_out(0).get_triplet()
    return np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
