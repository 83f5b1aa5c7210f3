"""How far Laplace's approximation can be trusted: the first correction of its mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from symda.analyse.gaussian import Gaussian
from symda.build.engines import Pieces
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator


#: Lengths of the changes that third derivatives are differences over, in standard deviations. What
#: is left out goes with the square, so that the two together leave out next to nothing. Where they
#: do not agree only rounding is left.
STEPS = (3e-2, 1e-2)
#: They agree if they differ by this share of the largest, or by so many standard deviations.
SAME, LITTLE = 0.1, 0.05
#: Most numbers of the covariances that are held at once, and of those of which there are copies.
MOST, BLOCK = 50_000_000, 2_000_000
#: Gradients (k R, K) of some of the parts at values (k R, K) of what they see.
Gradients: TypeAlias = Callable[[FloatArray, slice], FloatArray]


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
    The action is a sum of parts that see few unknowns: steps, rows of data, priors. With L the
    factor of a part's covariance, C = sum_k L_k L_k^T, and A_bcd L_ck L_dk is the second derivative
    of its gradient along L_k: a difference of three exact gradients. So it takes four gradients of
    all parts for each unknown that one of them sees, whatever N is.
    """
    p, layout = evaluator.problem, evaluator.layout
    windows = layout.step_unknowns.shape
    if at.own is None or p.tied.any() or windows[0] * windows[1] ** 2 > MOST:
        return None
    slopes = np.zeros((len(STEPS), p.unknowns.count))
    for seen, values, covariance, gradients in _parts(evaluator, at, rf):
        block = max(1, BLOCK // seen.shape[1] ** 2)
        for first in range(0, len(seen), block):
            some = slice(first, first + block)
            found = _along(gradients, some, values[some], _factor(covariance[some]))
            for slope, one in zip(slopes, found, strict=True):
                slope += np.bincount(seen[some].reshape(-1), one.reshape(-1), slope.size)
    one, other = (-0.5 * at.product(slope) for slope in slopes)
    size = np.sqrt(np.append(at.variances_of_path.reshape(-1), np.diag(at.of_parameters)))
    known = np.isfinite(size) & (size > 0.0)
    relative, other_relative = one[known] / size[known], other[known] / size[known]
    most = max(SAME * float(np.abs(relative).max(initial=0.0)), LITTLE)
    if not (np.abs(relative - other_relative) <= most).all():
        return None
    wide, narrow = (step**2 for step in STEPS)
    return (wide * other - narrow * one) / (wide - narrow)


def _parts(
    evaluator: BlockEvaluator, at: Gaussian, rf: FloatArray
) -> Iterator[tuple[IntArray, FloatArray, FloatArray, Gradients]]:
    """Yield for steps, rows of data and priors what they see, (R, K) each, and its values.

    And the covariances (R, K, K) of these, and their gradients.
    """
    p, layout, packed = evaluator.problem, evaluator.layout, evaluator.packed
    engine = evaluator.kernels.engine
    unknowns = p.unknowns.join(*evaluator.split(at.path, at.theta))
    precision = evaluator.by_step(rf)
    E, points = p.E, at.of_points()

    def of_steps(values: FloatArray, some: slice) -> FloatArray:
        own, steps = _pieces(values, E + p.D, 1 + E // p.D), packed.steps[some]
        weights, times = precision, len(values) // len(steps)
        if weights.ndim > 1:
            weights = np.tile(weights[some], (times, 1))
        return engine.step_gradient(*own, np.tile(steps, (times, 1)), weights)[1]

    def of_rows(values: FloatArray, some: slice) -> FloatArray:
        rows = packed.points[some]
        data = np.tile(rows, (len(values) // len(rows), 1))
        return engine.point_gradient(*_pieces(values, p.D), data)[1]

    def of_priors(values: FloatArray, some: slice) -> FloatArray:
        own = packed.own[some]
        which = np.tile(own, (len(values) // len(own), 1))
        return engine.prior_gradient(*_pieces(values, p.D), which)[1]

    yield layout.step_unknowns, unknowns[layout.step_unknowns], at.of_windows(), of_steps
    others = [(layout.point_unknowns, of_rows)]
    if engine.has_prior:
        others.append((layout.prior_unknowns, of_priors))
    for seen, gradients in others:
        covariance = points(seen[:, 0] // p.D, seen[:, p.D :] - p.unknowns.on_path)
        yield seen, unknowns[seen], covariance, gradients


def _pieces(values: FloatArray, width: int, points: int = 1) -> tuple[FloatArray, Pieces]:
    """Return states and parameters of parts that see both, each being a piece of its own."""
    firsts = np.arange(len(values) + 1)
    states = np.ascontiguousarray(values[:, :width]).reshape(len(values) * points, -1)
    return states, Pieces(np.ascontiguousarray(values[:, width:]), firsts, points * firsts)


def _along(
    gradients: Gradients, some: slice, values: FloatArray, factor: FloatArray
) -> list[FloatArray]:
    """Return the sum of the second derivatives of gradients along a factor's columns, (R, K).

    As differences over each of `STEPS`.
    """
    middle = gradients(values, some)
    found = [np.zeros_like(values) for _ in STEPS]
    lengths = np.array([side * step for step in STEPS for side in (1.0, -1.0)])[:, None, None]
    for column in np.ascontiguousarray(np.moveaxis(factor, 2, 0)):
        sides = gradients((values + lengths * column).reshape(-1, values.shape[1]), some)
        by_side = sides.reshape(len(STEPS), 2, *values.shape)
        for total, (up, down), step in zip(found, by_side, STEPS, strict=True):
            total += (up - 2.0 * middle + down) / step**2
    return found


def _factor(covariance: FloatArray) -> FloatArray:
    """Return L with L L^T = C of each of (R, K, K), of which some unknowns may not vary."""
    K = covariance.shape[1]
    size = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    known = size == 0.0
    scale = np.where(known, 1.0, size)
    correlation = covariance / (scale[:, :, None] * scale[:, None, :])
    correlation[:, np.arange(K), np.arange(K)] = 1.0
    if not np.isfinite(correlation).all():
        return np.full_like(correlation, np.nan)
    try:
        root = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        sizes, axes = np.linalg.eigh(correlation)
        root = axes * np.sqrt(np.maximum(sizes, 0.0))[:, None, :]
    return np.where(known[:, :, None], 0.0, scale[:, :, None] * root)
