"""Back-propagation: weights alone, equations exact and inputs as they were measured.

What every claim about an annealed network is compared with. As Rf goes to infinity the action
becomes the same but for the inputs, which it lets move within their noise: `strong_level` frees
them, so that levels can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import minimize

from symda.build.network_layout import dot, room
from symda.solve.network.problem import NetworkProblem
from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class Training:
    """Weights (W,), and their loss: the costs of the outputs and of the prior."""

    weights: FloatArray
    level: float
    iterations: int
    seconds: float


class Loss:
    """The cost of outputs and weights, and its gradient, by one pass back; inputs as measured."""

    def __init__(self, problem: NetworkProblem) -> None:
        self.problem = problem
        self._D = room(problem.slopes, problem.wide)
        self._V = room(problem.rows, problem.wide)

    def __call__(self, W: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss and its gradient (W,)."""
        value, G, _ = self._passed(W, self._measured(), weights=True)
        assert G is not None
        return value, G + self.problem.wd * (W - self.problem.w0)

    def _measured(self) -> FloatArray:
        p = self.problem
        X = room(p.rows, p.wide)
        X[p.unmeasured, : p.M] = p.x0
        X[p.inputs] = p.y_in
        return X

    def _passed(
        self, W: FloatArray, X: FloatArray, *, weights: bool
    ) -> tuple[float, FloatArray | None, FloatArray]:
        """Return the loss from the inputs in X, and its gradient by weights and activities."""
        p = self.problem
        with np.errstate(over="ignore", invalid="ignore"):
            p.passes.forward(W, X, self._D, p.M)
            X[:, p.M :] = 0.0
            e = X[p.outputs] - p.y_out
            cost, weight = p.cost(e)
            self._V.fill(0.0)
            self._V[p.outputs] = weight * e
            G = p.passes.adjoint(W, X, self._D, self._V, p.M, weights=weights)
        return float(cost.sum()) + p.weight_cost(W), G, self._V

    def strong_level(self, W: FloatArray) -> float:
        """Return the lowest action of these weights as Rf goes to infinity: inputs move.

        Each within its own noise or prior, in units of which they are minimised over.
        """
        p, every = self.problem, self.problem.layout.every
        sizes = np.sqrt(p.spread[every, : p.M])
        held = np.isin(every, p.inputs)[:, None] | bool(p.xd)
        first = self._measured()[every, : p.M]

        def function(u: FloatArray) -> tuple[float, FloatArray]:
            moved = u.reshape(sizes.shape)
            X = room(p.rows, p.wide)
            X[every, : p.M] = first + sizes * moved
            value, _, V = self._passed(W, X, weights=False)
            own = moved * held
            return value + 0.5 * dot(own, moved), (V[every, : p.M] * sizes + own).ravel()

        unit = max(abs(function(np.zeros(sizes.size))[0]), np.finfo(float).tiny)

        def scaled(u: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = function(u)
            return value / unit, gradient / unit

        found = minimize(
            scaled,
            np.zeros(sizes.size),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-9, "gtol": 0.0},
        )
        return float(found.fun) * unit


def by_lbfgs(problem: NetworkProblem, start: FloatArray, seconds: float) -> Training:
    """Train by SciPy's L-BFGS-B for as many seconds, or until nothing is gained."""
    loss = Loss(problem)
    began = time.thread_time()
    best = _Best(start.copy(), loss(start)[0])
    unit = max(abs(best.level), np.finfo(float).tiny)

    def scaled(W: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = loss(W)
        best.see(W, value)
        if time.thread_time() - began > seconds or problem.clock.over():
            raise _OutOfTimeError
        return value / unit, gradient / unit

    try:
        minimize(
            scaled,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 10**6, "maxfun": 10**6, "maxcor": 20, "ftol": 1e-12, "gtol": 0.0},
        )
    except _OutOfTimeError:
        pass
    return Training(best.weights, best.level, best.seen, time.thread_time() - began)


def by_adam(
    problem: NetworkProblem, start: FloatArray, seconds: float, rate: float = 1e-2
) -> Training:
    """Train by Adam on all pairs for as many seconds; the lowest level it saw.

    Kingma and Ba, ICLR 2015, with its usual numbers; `rate` is in units of the root mean square of
    the start weights of each block.
    """
    loss, W = Loss(problem), start.copy()
    sizes = [np.sqrt((part**2).mean()) for part in problem.network.split(start)]
    blocks = zip(problem.network.blocks, sizes, strict=True)
    rates = rate * np.concatenate([np.full(b.size, s if s > 0.0 else 1.0) for b, s in blocks])
    began = time.thread_time()
    best = _Best(start.copy(), loss(start)[0])
    mean, square = np.zeros_like(W), np.zeros_like(W)
    k = 0
    while time.thread_time() - began < seconds and not problem.clock.over():
        k += 1
        value, gradient = loss(W)
        if not np.isfinite(value):
            break
        best.see(W, value)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        size = np.sqrt(square / (1.0 - 0.999**k))
        W = W - rates * (mean / (1.0 - 0.9**k)) / (size + 1e-8 * (size.max() + 1e-300))
    return Training(best.weights, best.level, k, time.thread_time() - began)


#: Takes a problem, start weights, and how many seconds there are.
Train: TypeAlias = Callable[[NetworkProblem, FloatArray, float], Training]

#: Ways to train by name.
TRAINING: dict[str, Train] = {
    "Adam": by_adam,
    "L-BFGS": by_lbfgs,
}


class _OutOfTimeError(Exception):
    """The time is over."""


@dataclass
class _Best:
    weights: FloatArray
    level: float
    seen: int = 0

    def see(self, W: FloatArray, level: float) -> None:
        """Keep what is lower."""
        self.seen += 1
        if level < self.level:
            self.weights, self.level = W.copy(), level
