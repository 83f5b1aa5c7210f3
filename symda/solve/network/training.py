"""Back-propagation: weights alone, the equations exact, which is the action as Rf goes to infinity.

What every claim about an annealed network is compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from symda.build.network_layout import room
from symda.solve.network.problem import NetworkProblem
from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class Training:
    """Weights (W,), and the level they have: costs of the outputs and of the prior."""

    weights: FloatArray
    level: float
    iterations: int
    seconds: float


class Loss:
    """The level of weights at inputs as they were measured, and its gradient, by one pass back."""

    def __init__(self, problem: NetworkProblem) -> None:
        self.problem = problem
        self._D = room(problem.slopes, problem.wide)
        self._V = room(problem.rows, problem.wide)

    def __call__(self, W: FloatArray) -> tuple[float, FloatArray]:
        """Return the level and its gradient (W,)."""
        p = self.problem
        X = room(p.rows, p.wide)
        X[p.unmeasured, : p.M] = p.x0
        X[p.inputs] = p.y_in
        with np.errstate(over="ignore", invalid="ignore"):
            p.passes.forward(W, X, self._D, p.M)
            X[:, p.M :] = 0.0
            e = X[p.outputs] - p.y_out
            cost, weight = p.cost(e)
            self._V.fill(0.0)
            self._V[p.outputs] = weight * e
            G = p.passes.adjoint(W, X, self._D, self._V, p.M, weights=True)
        assert G is not None
        G += p.wd * (W - p.w0)
        return float(cost.sum()) + p.weight_cost(W), G


def by_lbfgs(problem: NetworkProblem, start: FloatArray, seconds: float) -> Training:
    """Train by SciPy's L-BFGS-B for as many seconds, or until nothing is gained."""
    loss = Loss(problem)
    began = time.perf_counter()
    best = _Best(start.copy(), loss(start)[0])
    unit = max(abs(best.level), np.finfo(float).tiny)

    def scaled(W: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = loss(W)
        best.see(W, value)
        if time.perf_counter() - began > seconds:
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
    return Training(best.weights, best.level, best.seen, time.perf_counter() - began)


def by_adam(
    problem: NetworkProblem, start: FloatArray, seconds: float, rate: float = 1e-2
) -> Training:
    """Train by Adam on all pairs for as many seconds; the lowest level it saw.

    Kingma and Ba, ICLR 2015, with its usual numbers.
    """
    loss, W = Loss(problem), start.copy()
    began = time.perf_counter()
    best = _Best(start.copy(), loss(start)[0])
    mean, square = np.zeros_like(W), np.zeros_like(W)
    k = 0
    while time.perf_counter() - began < seconds:
        k += 1
        value, gradient = loss(W)
        if not np.isfinite(value):
            break
        best.see(W, value)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        size = np.sqrt(square / (1.0 - 0.999**k))
        W = W - rate * (mean / (1.0 - 0.9**k)) / (size + 1e-8 * (size.max() + 1e-300))
    return Training(best.weights, best.level, k, time.perf_counter() - began)


#: Ways to train by name.
TRAINING: dict[str, Callable[[NetworkProblem, FloatArray, float], Training]] = {
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
