"""Substeps of steps that are too stiff for an explicit method: Radau IIA of order 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from symda.discretise import METHODS, Tableau
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.observe import Problem

#: Values of the forcing at some abscissae of every step: (S,) -> (N, S, U).
StepForcing: TypeAlias = Callable[[FloatArray], FloatArray]

#: Newton iterations of a substep; a change below this share of a state's size is the last.
ITERATIONS = 12
CONVERGED = 1e-11


class StiffSteps:
    """Some steps of a problem, integrated together.

    Parameters
    ----------
    problem : Problem
    jacobian : casadi.Function
        (x, u, theta, t) -> F and dF/d(x, theta).
    theta : ndarray, shape (N, p)
        Parameters of every step.
    u : StepForcing
    rows : ndarray of int, shape (k,)
        Which steps.
    """

    def __init__(
        self,
        problem: Problem,
        jacobian: ca.Function,
        theta: FloatArray,
        u: StepForcing,
        rows: IntArray,
    ) -> None:
        method = METHODS["radau5"]
        assert isinstance(method, Tableau)
        self.rows = rows
        self._problem, self._u = problem, u
        self._A, self._c = np.array(method.A, float), np.array(method.c, float)
        places, columns = (np.asarray(k, dtype=int) for k in jacobian.sparsity_out(1).get_triplet())
        self._kept = columns < problem.D
        self._places, self._columns = places[self._kept], columns[self._kept]
        self._field = jacobian.map(rows.size * self._c.size)
        self._theta = np.repeat(theta[rows], self._c.size, axis=0)

    def advance(self, x: FloatArray, begin: float, share: float) -> FloatArray:
        """Go over a share of these steps, (k, D) -> (k, D); nan where Newton's method fails."""
        p, s = self._problem, self._c.size
        k, D = x.shape
        at = begin + share * self._c
        u = self._u(at)[self.rows].reshape(k * s, -1)
        length = share * p.h[self.rows]
        times = (p.left_times[self.rows, None] + at * p.h[self.rows, None]).reshape(-1)
        stages = np.repeat(x[:, None], s, axis=1)
        size = np.abs(x)
        failed = np.ones(k, dtype=bool)
        for _ in range(ITERATIONS):
            slopes, derivatives = self._slopes(stages, u, times)
            residual = stages - x[:, None] - length[:, None, None] * (self._A @ slopes)
            # 1 - h A (x) DF, stage by stage
            matrix = -length[:, None, None, None, None] * np.einsum(
                "ij,njab->niajb", self._A, derivatives
            )
            matrix = matrix.reshape(k, s * D, s * D) + np.eye(s * D)
            usable = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(residual).all(axis=(1, 2))
            matrix[~usable] = np.eye(s * D)
            try:
                change = np.linalg.solve(matrix, residual.reshape(k, s * D, 1))
            except np.linalg.LinAlgError:
                break
            change = change.reshape(k, s, D)
            stages = stages - change
            size = np.maximum(size, np.abs(stages).max(axis=1))
            failed = ~usable | ~(np.abs(change).max(axis=1) <= CONVERGED * size).all(axis=1)
            if not failed.any():
                break
        return np.where(failed[:, None], np.nan, stages[:, -1])

    def _slopes(
        self, stages: FloatArray, u: FloatArray, times: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return F (k, s, D) and DF (k, s, D, D) at stages (k, s, D)."""
        k, s, D = stages.shape
        flat = stages.reshape(k * s, D)
        found = self._field(flat.T, u.T, self._theta.T, times[None])
        derivatives = np.zeros((k * s, D, D))
        entries = np.asarray(found[1].nonzeros(), float).reshape(k * s, -1)
        derivatives[:, self._places, self._columns] = entries[:, self._kept]
        return found[0].full().T.reshape(k, s, D), derivatives.reshape(k, s, D, D)
