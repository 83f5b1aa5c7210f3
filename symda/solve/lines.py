"""A preconditioner for lattices: the action's Hessian along time, one line for each state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.observe import Problem


@dataclass(frozen=True, eq=False)
class ResidualRows:
    """The residual without the field, one row a grid point, as it acts on every state alike."""

    first: IntArray  #: Grid point at which each row begins, (R,).
    #: (R, reach + 1): its coefficients from there on, e.g. (-1, 1) for x_{n+1} - x_n.
    values: FloatArray
    weight: FloatArray  #: Weight of Rf, (R,).

    @classmethod
    def of(cls, problem: Problem, *, discrete: bool) -> ResidualRows:
        """Rows of a problem: x_{n+1} - x_n (of a map only x_{n+1}), then m - (x_n + x_{n+1})/2."""
        p, reach = problem, 1 + problem.interior
        first = np.repeat(np.arange(p.N) * reach, reach)
        values = np.zeros((p.N, reach, reach + 1))
        values[:, 0, -1] = 1.0
        if not discrete:
            values[:, 0, 0] = -1.0
        for i in range(p.interior):
            n = p.longest
            share = (p.times[n * reach + 1 + i] - p.node_times[n]) / p.h[n]
            values[:, 1 + i, 0], values[:, 1 + i, -1] = share - 1.0, -share
            values[:, 1 + i, 1 + i] = 1.0
        return cls(first, values.reshape(-1, reach + 1), np.repeat(p.weight, reach))

    def band(self, points: int) -> FloatArray:
        """Sum of weight times each row's square: lower band of a symmetric matrix, (reach+1, M)."""
        reach = self.values.shape[1] - 1
        band = np.zeros((reach + 1, points))
        for i in range(reach + 1):
            for j in range(i + 1):
                product = self.weight * self.values[:, i] * self.values[:, j]
                np.add.at(band[i - j], self.first + j, product)
        return band


class Lines:
    """Factors of diag(own) + Rf_a K + soft_a for each state a, K of the rows; D lines at once.

    Parameters
    ----------
    band : ndarray, shape (reach + 1, M)
        K, lower band.
    rf : ndarray, shape (D,)
    own : ndarray, shape (M, D)
        What the measurements add to the diagonal, and what stands for the field's coupling.
    held : ndarray of bool, shape (M, D)
        Unknowns that are taken out.
    """

    def __init__(self, band: FloatArray, rf: FloatArray, own: FloatArray, held: BoolArray) -> None:
        reach, M = len(band) - 1, len(own)
        self.shape = own.shape
        self._pivots = own + band[0][:, None] * rf
        self._pivots[held] = 1.0
        # entry [j - 1][n]: between n and n - j
        self._below = [np.zeros_like(own) for _ in range(reach)]
        for j in range(1, reach + 1):
            coupled = ~(held[j:] | held[:-j])
            self._below[j - 1][j:] = band[j][: M - j, None] * rf * coupled
        for n in range(M):
            for j in range(min(reach, n), 0, -1):
                entry = self._below[j - 1][n]
                for i in range(j + 1, min(reach, n) + 1):
                    entry -= self._below[i - 1][n] * self._below[i - j - 1][n - j]
            for j in range(1, min(reach, n) + 1):
                entry = self._below[j - 1][n].copy()
                self._below[j - 1][n] /= self._pivots[n - j]
                self._pivots[n] -= entry * self._below[j - 1][n]

    def solve(self, right: FloatArray) -> FloatArray:
        """Solve for right-hand sides (M, D)."""
        x = right.copy()
        M = len(x)
        for n in range(1, M):
            for j, below in enumerate(self._below[:n], start=1):
                x[n] -= below[n] * x[n - j]
        x /= self._pivots
        for n in range(M - 2, -1, -1):
            for j, below in enumerate(self._below[: M - 1 - n], start=1):
                x[n] -= below[n + j] * x[n + j]
        return x
