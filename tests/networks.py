"""Small networks with pairs, their passes compiled and by NumPy, and equations written out."""

from __future__ import annotations

from functools import cache

import numpy as np

import symda as sd
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
def _library(activations: tuple, network: Network):
    from symda.build.compile import build

    return build(network_source(network)).library


def compiled_passes(network: Network, L_in: int, L_out: int, threads: int = 1) -> CompiledPasses:
    library = _library(network.activations, sd.Model.layered([1] * 2, activation="logistic"))
    assert network.activations == sd.Model.layered([1, 1]).activations
    return CompiledPasses(library, Layout.of(network, L_in, L_out), threads)


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
