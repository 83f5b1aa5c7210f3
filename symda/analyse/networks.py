"""What a network's fit says: directions that data determine, predictions, and their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.build.network_layout import Layout, Passes, padded, room
from symda.observe.pairs import Pairs
from symda.solve.network.problem import NetworkProblem
from symda.types import FloatArray

#: Largest matrix, of weights or of data, whose eigenvalues are asked for.
LARGEST = 2500
#: Samples of the bootstrap.
RESAMPLED = 1000


def predict(passes: Passes, weights: FloatArray, inputs: FloatArray, mean: float) -> FloatArray:
    """Return the measured outputs (M, L') of weights for inputs (M, L), sequences laid flat.

    Inputs that are not measured are at `mean`.
    """
    layout: Layout = passes.layout
    M = len(inputs)
    X = room(layout.rows[-1], padded(M))
    X[layout.every, :M] = mean
    X[layout.inputs, :M] = inputs.T
    passes.forward(weights, X, None, M)
    found: FloatArray = X[layout.outputs, :M].T.copy()
    return found


@dataclass(frozen=True)
class Error:
    """A prediction error, eq. 15, and its standard error by resampling the pairs."""

    mean: float
    error: float


def prediction_error(predicted: FloatArray, pairs: Pairs, seed: int = 0) -> Error:
    """Return the mean square error over pairs and outputs; eq. 15 of Abarbanel et al. 2017."""
    M = len(pairs)
    each = ((predicted - pairs.outputs.reshape(M, -1)) ** 2).mean(axis=1)
    rng = np.random.default_rng(seed)
    samples = each[rng.integers(0, M, (RESAMPLED, M))].mean(axis=1)
    return Error(float(each.mean()), float(samples.std(ddof=1)))


def output_slopes(problem: NetworkProblem, W: FloatArray) -> FloatArray:
    """Return derivatives (M L', W) of the outputs by the weights, the equations exact.

    Of that size is what is stored, so it is for networks whose weights and data allow it.
    """
    p = problem
    X = p.forward(W)
    D, R, T = room(p.slopes, p.wide), room(p.rows, p.wide), room(p.rows, p.wide)
    p.passes.linearise(W, X, D, R, p.M)
    found = np.empty((p.outputs.size * p.M, W.size))
    change = np.zeros(W.size)
    for k in range(W.size):
        change[k] = 1.0
        T.fill(0.0)
        p.passes.tangent(W, X, D, change, T, p.M)
        found[:, k] = T[p.outputs, : p.M].ravel()
        change[k] = 0.0
    return found


def determined(problem: NetworkProblem, W: FloatArray) -> float:
    """Count the directions among the weights that the data determine rather than the prior.

    sum s^2/(1 + s^2), s the singular values of the outputs' slopes in units of the noise and of the
    prior; without a prior directions count in which a weight of 1 changes outputs by the noise.
    nan where neither weights nor data are fewer than `LARGEST`.
    """
    if min(W.size, problem.outputs.size * problem.M) > LARGEST or W.size > 20 * LARGEST:
        return float("nan")
    J = output_slopes(problem, W)
    unit = np.where(problem.wd > 0.0, problem.wd, problem.c_m)
    J *= np.sqrt(problem.q_out[:, : problem.M].ravel())[:, None]
    J /= np.sqrt(unit)
    gram = J.T @ J if J.shape[1] < J.shape[0] else J @ J.T
    s = np.maximum(np.linalg.eigvalsh(gram), 0.0)
    return float((s / (1.0 + s)).sum())


@dataclass(frozen=True, eq=False)
class WeightPosterior:
    """The Gaussian approximation of the weights, Laplace's with Gauss and Newton's Hessian.

    The equations count as exact. `sd` (W,); `prediction(inputs)` comes from `NetworkPath`.
    """

    covariance: FloatArray

    @property
    def sd(self) -> FloatArray:
        """Standard deviations (W,)."""
        found: FloatArray = np.sqrt(np.diag(self.covariance))
        return found


def weight_posterior(problem: NetworkProblem, W: FloatArray) -> WeightPosterior:
    """Return it; every weight needs a prior, and there are to be at most `LARGEST`."""
    J = output_slopes(problem, W)
    J *= np.sqrt(problem.q_out[:, : problem.M].ravel() / problem.c_m)[:, None]
    hessian = J.T @ J
    hessian[np.diag_indices_from(hessian)] += problem.wd / problem.c_m
    return WeightPosterior(np.asarray(np.linalg.inv(hessian), dtype=np.float64))
