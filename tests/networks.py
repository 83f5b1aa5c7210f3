"""Small networks with pairs, their passes compiled and by NumPy, and equations written out."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

import symda as sd
from symda.build.compile import build
from symda.build.network import CompiledPasses, network_source
from symda.build.network_layout import Layout, room
from symda.build.network_numpy import NumpyPasses
from symda.build.serial import serial
from symda.declare.network import Network
from symda.derive.activation import activation_function
from symda.solve.network.problem import NetworkProblem, Point

VARIANCE = 0.0025


def logistic(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


@cache
def _texts(activations: tuple) -> tuple[tuple[str, str], ...]:
    functions = [activation_function(one, k) for k, one in enumerate(activations)]
    return serial({f.name(): f for f in functions})


def numpy_passes(network: Network, L_in: int, L_out: int) -> NumpyPasses:
    return NumpyPasses(_texts(network.activations), Layout.of(network, L_in, L_out))


@cache
def library() -> Path:
    """The compiled module of logistic networks, whatever their widths."""
    return build(network_source(sd.Model.layered([1, 1]))).library


def compiled_passes(network: Network, L_in: int, L_out: int, threads: int = 1) -> CompiledPasses:
    assert network.activations == sd.Model.layered([1, 1]).activations
    return CompiledPasses(library(), Layout.of(network, L_in, L_out), threads)


def twin(
    network: Network, M: int, L_in: int, L_out: int, seed: int = 0, variance: float = VARIANCE
) -> tuple[sd.Pairs, np.ndarray]:
    """Noisy pairs of a network with random weights, and these (W,)."""
    rng = np.random.default_rng(seed)
    scale = [np.full(b.size, 0.3 if b.bias else 2.0 / np.sqrt(b.fan_in)) for b in network.blocks]
    W = np.concatenate(scale) * rng.normal(size=network.weights)
    passes = numpy_passes(network, L_in, L_out)
    layout = passes.layout
    X = room(layout.rows[-1], M)
    X[layout.every] = rng.normal(size=(layout.every.size, M))
    passes.forward(W, X, None, M)
    noisy = X + np.sqrt(variance) * rng.normal(size=X.shape)
    S = network.sequence
    x, y = noisy[layout.inputs].T, noisy[layout.outputs].T
    if S > 1:
        x, y = x.reshape(M, S, L_in), y.reshape(M, S, L_out)
    return sd.Pairs(x, y, variance=variance), W


def problem_of(network: Network, pairs: sd.Pairs, **options: object) -> NetworkProblem:
    """The problem by NumPy."""
    passes = numpy_passes(network, pairs.inputs.shape[-1], pairs.outputs.shape[-1])
    return NetworkProblem(passes, pairs, **options)


def random_point(problem: NetworkProblem, seed: int = 0) -> Point:
    """Activities and weights that are no solution."""
    rng = np.random.default_rng(seed)
    X = room(problem.rows, problem.wide)
    X[:, : problem.M] = rng.normal(0.5, 0.5, size=(problem.rows, problem.M))
    return Point(X, rng.normal(size=problem.network.weights))


def equations(network: Network, X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Residuals (neurons behind the inputs, pairs) of logistic nodes, written out; also complex."""
    matrices, rows = network.split(W), np.concatenate([[0], np.cumsum(network.widths)])
    x = [X[a:b] for a, b in pairwise(rows)]
    found = []
    for n, node in enumerate(network.nodes):
        if not node.terms:
            continue
        r = x[n].copy()
        for term in node.terms:
            z = sum(matrices[one.block] @ x[one.source] for one in term.connections)
            r -= logistic(z if term.bias is None else z + matrices[term.bias][:, None])
        found.append(r)
    return np.concatenate(found)


def least_squares(problem: NetworkProblem, rf: float, z: np.ndarray) -> np.ndarray:
    """What the action is half the squares of, at z = (activities, weights); Gaussian noise."""
    p, network, M = problem, problem.network, problem.M
    X, W = z[: p.rows * M].reshape(p.rows, M), z[p.rows * M :]
    parts = [
        np.sqrt(p.c_m / p.pairs.input_variance.reshape(M, -1).T)
        * (X[p.inputs] - p.pairs.inputs.reshape(M, -1).T),
        np.sqrt(p.c_m / p.pairs.variance.reshape(M, -1).T)
        * (X[p.outputs] - p.pairs.outputs.reshape(M, -1).T),
        np.sqrt(p.c_f * rf) * equations(network, X, W),
    ]
    for prior, one in zip(network.prior, network.split(W), strict=True):
        if prior is not None:
            parts.append(np.sqrt(p.c_m) * (one - prior.mean) / prior.sd)
    if network.input_prior is not None:
        free, one = network.input_prior, X[p.unmeasured]
        parts.append(np.sqrt(p.c_m) * (one - free.mean) / free.sd)
    return np.concatenate([part.ravel() for part in parts])


def slopes_of(problem: NetworkProblem, rf: float, z: np.ndarray) -> np.ndarray:
    """Their derivatives by z, exact to rounding: the imaginary part of a tiny imaginary step."""
    columns = []
    for k in range(z.size):
        moved = z.astype(complex)
        moved[k] += 1e-30j
        columns.append(least_squares(problem, rf, moved).imag / 1e-30)
    return np.array(columns).T


def flat(point: Point, M: int) -> np.ndarray:
    """Activities and weights of a point as one vector."""
    return np.concatenate([point.X[:, :M].ravel(), point.W])
