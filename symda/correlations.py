"""How the errors of a model's equations go together: their correlations, which no rung changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class ErrorCorrelations:
    """Correlations C of the errors of one step; the model's precision is Rf^1/2 C^-1 Rf^1/2.

    Rf, diagonal, has one over the variance of each state's error. The matrices are positive
    definite, with rows and columns of the identity for states without an equation.
    """

    matrix: FloatArray  #: C, (D, D).

    @cached_property
    def inverse(self) -> FloatArray:
        """C^-1, (D, D), symmetric to the last digit."""
        found = np.linalg.inv(self.matrix)
        return np.asarray(0.5 * (found + found.T))

    @cached_property
    def root(self) -> FloatArray:
        """The upper triangle V with V^T V = C^-1, (D, D)."""
        return np.ascontiguousarray(np.linalg.cholesky(self.inverse).T)

    @property
    def entries(self) -> tuple[tuple[float, ...], ...]:
        """C as plain numbers."""
        return tuple(tuple(row) for row in self.matrix.tolist())
