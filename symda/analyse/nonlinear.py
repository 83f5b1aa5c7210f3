"""How far Laplace's approximation can be trusted: the first correction of its mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.gaussian import Gaussian
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator


#: Changes of an unknown that third derivatives are differences over, in standard deviations: what
#: is left out is a millionth of them. Where the two do not agree only rounding is left.
STEPS = (1e-3, 1e-2)
#: They agree to this share of the largest, or if they differ by so many standard deviations.
SAME, LITTLE = 0.1, 0.05
#: Most numbers of the covariances that are held at once.
MOST = 50_000_000


def mean_shift(evaluator: BlockEvaluator, at: Gaussian, rf: FloatArray) -> FloatArray | None:
    """Return the first correction of the expected unknowns, (M D + P,), of what solvers move.

    <x> - x* = -C t / 2 with t_b = sum_cd A_bcd C_cd, C the covariance: the next order of Laplace's
    method (section 6 of Abarbanel, Rozdeba and Shirman 2017). It falls as Rf grows, down to what
    the solutions' own curvature leaves. Its size in standard deviations is the warning: from 0.5 on
    the distribution is no Gaussian.

    Parameters
    ----------
    at : Gaussian
        Made of the action's Hessian.
    rf : (D,)

    Returns
    -------
    ndarray or None
        None where initial values are functions of parameters, the window is too large, or Rf so
        large that only rounding is left.

    Notes
    -----
    The third derivatives are central differences of exact Hessians. Unknowns that no step sees
    together are changed at once, so that it takes 8 E + 4 P of them, whatever N is.
    """
    p, layout = evaluator.problem, evaluator.layout
    windows = layout.step_unknowns.shape
    if at.own is None or p.tied.any() or windows[0] * windows[1] ** 2 > MOST:
        return None
    parts = _Parts(evaluator, at, evaluator.precision(rf))
    size = np.sqrt(np.append(at.variances_of_path.reshape(-1), np.diag(at.of_parameters)))
    size = np.where(np.isfinite(size), size, 0.0)
    one, other = (-at.product(_slope(evaluator, parts, at, step * size)) for step in STEPS)
    most = float(np.abs(one).max(initial=0.0))
    if not np.allclose(one[size > 0.0], other[size > 0.0], rtol=0.0, atol=SAME * most):
        relative = np.abs(one - other)[size > 0.0] / size[size > 0.0]
        if relative.max(initial=0.0) > LITTLE:
            return None
    return one


def _slope(evaluator: BlockEvaluator, parts: _Parts, at: Gaussian, step: FloatArray) -> FloatArray:
    """Return the derivatives of half the trace of the Hessian times the covariance."""
    p = evaluator.problem
    slope = np.zeros(p.unknowns.count)
    for together in _classes(evaluator):
        change = np.where(together, step, 0.0)
        if not change.any():
            continue
        sides = [
            parts.curvatures(*p.unknowns.split(p.unknowns.join(at.path, at.theta) + side * change))
            for side in (1.0, -1.0)
        ]
        for seen, up, down in zip(parts.unknowns, *sides, strict=True):
            own = change[seen] > 0.0
            which = own.argmax(axis=1)
            row = np.flatnonzero(own.any(axis=1))
            unknown = seen[row, which[row]]
            np.add.at(slope, unknown, (up - down)[row] / (2.0 * step[unknown]))
    return slope


class _Parts:
    """Half the trace of each part's Hessian times the covariance: steps, rows of data, priors."""

    def __init__(self, evaluator: BlockEvaluator, at: Gaussian, precision: FloatArray) -> None:
        p, layout, functions = evaluator.problem, evaluator.layout, evaluator.kernels.functions
        self._evaluator, self._precision = evaluator, precision
        self.unknowns: list[IntArray] = [layout.step_unknowns, layout.point_unknowns]
        names = ["step_hessian", "point_hessian"]
        if evaluator.kernels.engine.has_prior:
            self.unknowns.append(layout.prior_unknowns)
            names.append("prior_hessian")
        covariances = [at.of_windows()]
        points = at.of_points()
        for seen in self.unknowns[1:]:
            covariances.append(points(seen[:, 0] // p.D, seen[:, p.D :] - p.unknowns.on_path))
        self._weights = []
        for name, covariance in zip(names, covariances, strict=True):
            rows, columns = (
                np.asarray(k, dtype=np.int64) for k in functions[name].sparsity_out(0).get_triplet()
            )
            twice = np.where(rows == columns, 0.5, 1.0)
            self._weights.append(twice * covariance[:, rows, columns])

    def curvatures(self, path: FloatArray, theta: FloatArray) -> list[FloatArray]:
        """Return it of each part, at a path and parameters."""
        at, packed = self._evaluator, self._evaluator.packed
        engine = at.kernels.engine
        X, values = at.split(path, theta)
        by_step = engine.step_hessian(
            X, packed.pieces(values), packed.steps, at.by_step(self._precision)
        )
        rows, own = packed.row_states(X), packed.row_pieces(values)
        every = [by_step, engine.point_hessian(rows, own, packed.points)]
        if engine.has_prior:
            every.append(at.prior_hessian(X, values))
        return [
            np.where(weight == 0.0, 0.0, weight * part).sum(axis=1)
            for weight, part in zip(self._weights, every, strict=True)
        ]


def _classes(evaluator: BlockEvaluator) -> list[BoolArray]:
    """Return sets of unknowns, (M D + P,), of which no part sees two; together all of them."""
    p = evaluator.problem
    block, component = np.zeros((2, p.unknowns.on_path), dtype=np.int64)
    for segment in p.segments:
        begin = segment.first_point * p.D
        inside = np.arange(segment.points * p.D)
        block[begin : begin + inside.size] = inside // p.E
        component[begin : begin + inside.size] = inside % p.E
    none = np.zeros(p.P, dtype=bool)
    found = [
        np.append((component == j) & (block % 2 == parity), none)
        for j in range(p.E)
        for parity in (0, 1)
    ]
    for i in np.flatnonzero(p.free):
        one = np.zeros(p.unknowns.count, dtype=bool)
        one[p.unknowns.on_path + i] = True
        found.append(one)
    return found
