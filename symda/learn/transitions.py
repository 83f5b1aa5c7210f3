"""Steps of a model with parameters, and the parameters that make given steps most likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.declare.model import Model
from symda.derive.forecast import step_functions
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca

#: Slopes that are held in memory at once.
CHUNK = 4_000_000
#: Damping, as a share of the curvature: the first, the least, and its factors.
DAMPING, LEAST, GROW, SHRINK = 1e-8, 1e-10, 10.0, 0.1
#: Most attempts at a step of the minimiser, and the share of the sum that ends it.
ATTEMPTS, CLOSE = 12, 1e-6


@dataclass(frozen=True, eq=False)
class StatePairs:
    """States x (D, K) and those y (D, K) that a step h (K,) leads to."""

    x: FloatArray
    y: FloatArray
    h: FloatArray


class _Batch:
    """A function of x (D,), theta (P,) and h, for K states at once, by buffers of its own."""

    def __init__(self, function: ca.Function, K: int) -> None:
        mapped = function.map(function.name(), "serial", K, [1], [])
        self._x = np.empty((K, function.nnz_in(0)))
        self._theta, self._h = np.empty(function.nnz_in(1)), np.empty(K)
        self._found = [np.empty((K, function.nnz_out(i))) for i in range(function.n_out())]
        self._buffer, self._run = mapped.buffer()
        # CasADi's stubs ask for the size of a memoryview once more
        for i, one in enumerate((self._x, self._theta, self._h)):
            self._buffer.set_arg(i, one.data)  # type: ignore[call-arg]
        for i, one in enumerate(self._found):
            self._buffer.set_res(i, one.data)  # type: ignore[call-arg]

    def __call__(self, x: FloatArray, theta: FloatArray, h: float | FloatArray) -> list[FloatArray]:
        self._x[:], self._theta[:], self._h[:] = x.T, theta, h
        self._run()
        return [one.T for one in self._found]


class Transitions:
    """One step of the classic method of Runge and Kutta, of rates with P parameters."""

    def __init__(self, model: Model) -> None:
        self._functions = dict(zip(("step", "slopes"), step_functions(model), strict=True))
        self._batches: dict[tuple[str, int], _Batch] = {}
        self.D, self.P = len(model.states), len(model.parameters)

    def step(self, x: FloatArray, theta: FloatArray, h: float | FloatArray) -> FloatArray:
        """Return the states (D, K) a step behind x (D, K); h is a number or (K,)."""
        return self._many("step", x, theta, h)[0].copy()

    def slopes(
        self, x: FloatArray, theta: FloatArray, h: float | FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return `step` and its slopes in the parameters, (P, D, K), until the next call."""
        later, slopes = self._many("slopes", x, theta, h)
        return later, slopes.reshape(self.P, self.D, -1)

    def _many(
        self, what: str, x: FloatArray, theta: FloatArray, h: float | FloatArray
    ) -> list[FloatArray]:
        key = what, x.shape[1]
        if key not in self._batches:
            self._batches[key] = _Batch(self._functions[what], x.shape[1])
        return self._batches[key](x, theta, h)

    def errors(self, pairs: StatePairs, theta: FloatArray) -> FloatArray:
        """Return what the steps are wrong by, for the root of a unit of time, (D, K)."""
        found: FloatArray = (pairs.y - self.step(pairs.x, theta, pairs.h)) / np.sqrt(pairs.h)
        return found

    def fitted(self, pairs: StatePairs, theta: FloatArray, Q: FloatArray, count: int) -> FloatArray:
        """Lower the sum of e' Q^-1 e over all errors e by Levenberg and Marquardt's method.

        It ends after `count` steps, or where one lowers the sum by less than a share `CLOSE`.
        """
        white = whitening(Q)
        value, damping = self._sum(pairs, theta, white), DAMPING
        for _ in range(count):
            curvature, slope = self._normal(pairs, theta, white)
            size = np.sqrt(np.diag(curvature))
            size[size == 0.0] = 1.0
            scaled = curvature / np.outer(size, size)
            for _ in range(ATTEMPTS):
                damped = scaled + damping * np.eye(self.P)
                other = theta + np.linalg.solve(damped, slope / size) / size
                lower = self._sum(pairs, other, white)
                if lower < value:
                    break
                damping *= GROW
            else:
                return theta
            gain = value - lower
            theta, value, damping = other, lower, max(damping * SHRINK, LEAST)
            if gain < CLOSE * value:
                break
        return theta

    def _sum(self, pairs: StatePairs, theta: FloatArray, white: FloatArray) -> float:
        with np.errstate(all="ignore"):
            found = float(np.sum((white @ self.errors(pairs, theta)) ** 2))
        return found if np.isfinite(found) else np.inf

    def _normal(
        self, pairs: StatePairs, theta: FloatArray, white: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return sum J' Q^-1 J (P, P) and sum J' Q^-1 e (P,)."""
        curvature, slope = np.zeros((self.P, self.P)), np.zeros(self.P)
        many = max(1, CHUNK // (self.D * self.P))
        for first in range(0, len(pairs.h), many):
            some = slice(first, first + many)
            root = np.sqrt(pairs.h[some])
            later, slopes = self.slopes(pairs.x[:, some], theta, pairs.h[some])
            e = white @ ((pairs.y[:, some] - later) / root)
            J = np.matmul(white, slopes / root).reshape(self.P, -1)
            curvature += J @ J.T
            slope += J @ e.ravel()
        return curvature, slope


def root_of(Q: FloatArray) -> FloatArray:
    """Return the lower triangle (D, D) whose product with its transpose is Q."""
    size = np.sqrt(np.diag(Q))
    found: FloatArray = size[:, None] * np.linalg.cholesky(Q / np.outer(size, size))
    return found


def whitening(Q: FloatArray) -> FloatArray:
    """Return the inverse of `root_of`."""
    size = np.sqrt(np.diag(Q))
    found: FloatArray = np.linalg.inv(root_of(Q) / size[:, None]) / size
    return found
