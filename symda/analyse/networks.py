"""What a network's fit says: directions that data determine, predictions, and their errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from symda.build.network_layout import Layout, Passes, padded, room
from symda.observe.pairs import Pairs
from symda.solve.network.problem import NetworkProblem
from symda.types import FloatArray

#: Largest matrix, of weights or of data, whose eigenvalues are asked for.
LARGEST = 2500
#: Most multiplications that the matrix of determined directions may take: seconds.
MOST = 5e10
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
    return Error(float(each.mean()), float(samples.std(ddof=1)) if M > 1 else float("nan"))


def output_slopes(problem: NetworkProblem, W: FloatArray) -> Iterator[FloatArray]:
    """Give the derivatives (M, W) of each output by the weights, the equations exact.

    In units of the noise, that of the inputs carried through the network included: whitened, L^-1 J
    with the outputs' covariance L L^T. Of a Student t the variance is that of the Gaussian which
    costs as much at the pair's error. A pass back for each output.
    """
    p = problem
    X = p.forward(W)
    D, R, V = room(p.slopes, p.wide), room(p.rows, p.wide), room(p.rows, p.wide)
    p.passes.linearise(W, X, D, R, p.M)
    _, precision = p.cost(X[p.outputs] - p.y_out)
    S = p.passes.covariance(W, X, D, None, 0.0, p.spread, p.M)
    each = np.arange(p.outputs.size)
    S[:, each, each] += 1.0 / precision[:, : p.M].T
    white = np.linalg.inv(np.linalg.cholesky(S * p.c_m))
    for k in each:
        V.fill(0.0)
        V[p.outputs, : p.M] = white[:, k].T
        p.passes.adjoint(W, X, D, V, p.M, weights=False)
        yield _by_weights(p, X[:, : p.M], D[:, : p.M], V[:, : p.M])


def _noise(
    problem: NetworkProblem, W: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return activities, slopes, covariance (M, L', L') of the outputs, own precision (M, L')."""
    p = problem
    X, D, R = p.forward(W), room(p.slopes, p.wide), room(p.rows, p.wide)
    p.passes.linearise(W, X, D, R, p.M)
    _, precision = p.cost(X[p.outputs] - p.y_out)
    own = precision[:, : p.M].T
    S = p.passes.covariance(W, X, D, None, 0.0, p.spread, p.M)
    each = np.arange(p.outputs.size)
    S[:, each, each] += 1.0 / own
    return X, D, S, own


@dataclass(frozen=True)
class Carried:
    """What the noise of inputs does at the outputs, the equations exact and linear in it.

    Attributes
    ----------
    cost : float
        What outputs and inputs cost.
    volume : float
        Half the logarithm of the determinant of the outputs' covariance over that of their own.
    """

    cost: float
    volume: float


def carried(problem: NetworkProblem, W: FloatArray) -> Carried | None:
    """Return it; None where that takes more than `MOST` multiplications."""
    p = problem
    if p.M * p.outputs.size**3 > MOST:
        return None
    X, _, S, own = _noise(p, W)
    e = (X[p.outputs] - p.y_out)[:, : p.M].T
    cost = 0.5 * float((e * np.linalg.solve(S, e[..., None])[..., 0]).sum())
    volume = 0.5 * float((np.linalg.slogdet(S)[1] + np.log(own).sum(axis=1)).sum())
    return Carried(cost, volume)


def _by_weights(problem: NetworkProblem, X: FloatArray, D: FloatArray, V: FloatArray) -> FloatArray:
    """Return D v x^T of each pair (M, W), added up over the uses of a weight."""
    layout, network = problem.layout, problem.network
    found = np.zeros((problem.M, network.weights))
    slopes = iter(pairwise(layout.slopes))
    for node, (first, last) in zip(network.nodes, pairwise(layout.rows), strict=True):
        for term in node.terms:
            start, end = next(slopes)
            s = D[start:end] * V[first:last]
            for one in term.connections:
                x = X[layout.rows[one.source] : layout.rows[one.source + 1]]
                place, size = layout.places[one.block], network.blocks[one.block].size
                found[:, place : place + size] += np.einsum("im,jm->mij", s, x).reshape(-1, size)
            if term.bias is not None:
                place = layout.places[term.bias]
                found[:, place : place + len(s)] += s.T
    return found


def directions(problem: NetworkProblem, W: FloatArray) -> FloatArray | None:
    """Return how far the data, rather than the prior, determine each direction among the weights.

    s^2/(1 + s^2), s the singular values of the outputs' slopes in units of the noise and of the
    prior; without a prior directions count in which a weight of 1 changes outputs by the noise.
    None where that takes a matrix larger than `LARGEST`, or more than `MOST` multiplications.
    """
    data, least = problem.outputs.size * problem.M, min(W.size, problem.outputs.size * problem.M)
    if least > LARGEST or data * W.size * least > MOST:
        return None
    unit = np.sqrt(np.where(problem.wd > 0.0, problem.wd / problem.c_m, 1.0))
    each = (J / unit for J in output_slopes(problem, W))
    if W.size <= data:
        gram = sum((J.T @ J for J in each), np.zeros((W.size, W.size)))
    else:
        J = np.concatenate(list(each))
        gram = J @ J.T
    s = np.maximum(np.linalg.eigvalsh(gram), 0.0)
    shares: FloatArray = s / (1.0 + s)
    return shares


def determined(problem: NetworkProblem, W: FloatArray) -> float:
    """Count the directions that the data determine: the sum of `directions`, nan: too many."""
    shares = directions(problem, W)
    return float("nan") if shares is None else float(shares.sum())


@dataclass(frozen=True, eq=False)
class WeightPosterior:
    """The Gaussian approximation of the weights, Laplace's with Gauss and Newton's Hessian.

    The equations count as exact; noise of the inputs adds to that of the outputs.
    """

    covariance: FloatArray

    @property
    def sd(self) -> FloatArray:
        """Standard deviations (W,)."""
        found: FloatArray = np.sqrt(np.diag(self.covariance))
        return found


def weight_posterior(problem: NetworkProblem, W: FloatArray) -> WeightPosterior:
    """Return it; every weight needs a prior, and there are to be at most `LARGEST`."""
    hessian = np.diag(problem.wd / problem.c_m)
    for J in output_slopes(problem, W):
        hessian += J.T @ J
    return WeightPosterior(np.asarray(np.linalg.inv(hessian), dtype=np.float64))
