"""What is left of data and equations at the estimate, over its standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.gaussian import Gaussian
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator

#: An estimate whose variance is a smaller share of that of the errors themselves is rounding.
LOST = 1e-6


def model_errors(
    evaluator: BlockEvaluator, at: Gaussian, rf: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the model's errors at the estimate, and the same over their standard deviations.

    Estimates are smaller than the errors themselves: of errors of variance Q = 1/(weight Rf) that
    data leave a variance P of, they have the variance Q - P (A. Harvey and S. Koopman, J. Business
    and Economic Statistics 10, 1992, 377). So an error that the data speak for is told from one
    that they say nothing of.

    Parameters
    ----------
    at : Gaussian
        Made of the action's Hessian at Rf.
    rf : (D,)

    Returns
    -------
    errors, standardised : (N, 1 + I, D)
        For each step those of its interior points and of its end; the latter nan where the data
        say nothing, or Rf is none.
    """
    p, packed = evaluator.problem, evaluator.packed
    X, theta = evaluator.split(at.path, at.theta)
    residual = evaluator.residual(X, theta)
    values = evaluator.kernels.engine.step_jacobian(X, packed.pieces(theta), packed.steps)
    sparsity = evaluator.kernels.functions["step_jacobian"].sparsity_out(0)
    rows, columns = (np.asarray(k, dtype=np.int64) for k in sparsity.get_triplet())
    jacobian = np.zeros((p.N, sparsity.size1(), sparsity.size2()))
    jacobian[:, rows, columns] = values
    left = np.einsum("nek,nek->ne", jacobian @ at.of_windows(), jacobian)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = 1.0 / evaluator.weights(evaluator.precision(rf))
        variance = whole - left
        told = np.isfinite(whole) & (variance > LOST * whole)
        standardised = np.where(told, residual / np.sqrt(np.where(told, variance, 1.0)), np.nan)
    shape = p.N, 1 + p.interior, p.D
    return residual.reshape(shape), standardised.reshape(shape)


def after_another(
    values: FloatArray, expected: FloatArray, runs: list[slice]
) -> tuple[float, float, int]:
    """Return the correlation of neighbours, how far from what is expected, and their number.

    Parameters
    ----------
    values : (M,)
        Standardised residuals; nan where there are none.
    expected : (M,)
        The correlation that each has with the one before, as far as it is known.
    runs : list of slice
        Experiments, of which none follows another.

    Returns
    -------
    correlation : float
    away : float
        In standard deviations of white noise.
    pairs : int
    """
    products: list[float] = []
    squares: list[float] = []
    means: list[float] = []
    for run in runs:
        seen = np.flatnonzero(np.isfinite(values[run])) + run.start
        products += (values[seen[1:]] * values[seen[:-1]]).tolist()
        squares += (values[seen] ** 2).tolist()
        adjacent = np.diff(seen) == 1
        means += np.where(adjacent, expected[seen[1:]], 0.0).tolist()
    if len(products) < 2 or not sum(squares) > 0.0:
        return np.nan, np.nan, len(products)
    correlation = float(np.mean(products) / np.mean(squares))
    # of white noise the sum of products has the variance of their number
    away = float((sum(products) - sum(means)) / np.sqrt(len(products)))
    return correlation, away, len(products)
