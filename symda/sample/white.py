"""White coordinates: those in which the Gaussian about a minimum has unit covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symda.build.draws import DrawLanes
from symda.solve.conditional import Conditional
from symda.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class White:
    """Coordinates q = L^T (x - x*) of H = L L^T, a bordered band matrix.

    Attributes
    ----------
    own : Conditional
        The factor of H; where an unknown is left out it has a 1.
    free : (n + P,)
        Unknowns that have a coordinate.
    alone : (n + P,)
        What the coordinate of an unknown that is left out of the factor is multiplied by; 1 else.
    """

    own: Conditional
    free: BoolArray
    alone: FloatArray

    @property
    def count(self) -> int:
        """How many unknowns have a coordinate."""
        return int(self.free.sum())

    @cached_property
    def log_det(self) -> float:
        """Log det of L, over the unknowns that have a coordinate."""
        corner = float(np.log(np.diag(self._root)).sum())
        return 0.5 * self.own.log_determinant + corner - float(np.log(self.alone[self.free]).sum())

    @cached_property
    def _root(self) -> FloatArray:
        """Lower Cholesky factor of the corner, (P, P)."""
        schur = self.own.schur.copy()
        out = ~self.free[self._n :]
        schur[out] = schur[:, out] = 0.0
        schur[out, out] = 1.0
        return np.asarray(np.linalg.cholesky(schur))

    @cached_property
    def _follows(self) -> FloatArray:
        """By how much the band's unknowns follow those of the border, (n, P)."""
        found = self.own.follows
        found[~self.free[: self._n]] = 0.0
        return found

    @cached_property
    def _upper(self) -> FloatArray:
        """L^T as LAPACK's upper band: solutions with it go along contiguous numbers."""
        lower, width = self.own.factor, len(self.own.factor) - 1
        found = np.zeros(lower.shape, order="F")
        for k in range(width + 1):
            found[width - k, k:] = lower[k, : lower.shape[1] - k]
        return found

    @cached_property
    def _n(self) -> int:
        return int(self.own.ends[-1])

    @cached_property
    def _every(self) -> bool:
        return bool(self.free.all())

    def _kept(self, values: FloatArray) -> FloatArray:
        """Return values with 0 where there is no coordinate."""
        return values if self._every else np.where(self.free, values, 0.0)

    @cached_property
    def _columns(self) -> FloatArray:
        """Columns of L, (n, width + 1)."""
        return np.ascontiguousarray(self.own.factor.T)

    def aparts(self, q: FloatArray, lanes: DrawLanes) -> FloatArray:
        """Return x - x* of several, (k, n + P), see `apart`."""
        from scipy.linalg.lapack import dtrtrs

        n, found = self._n, np.array(self._kept(q))
        lanes.solve(self._columns, found, back=True)
        if n < q.shape[1]:
            theta, _ = dtrtrs(self._root, found[:, n:].T, lower=1, trans=1)
            found[:, n:] = theta.T
            found[:, :n] += found[:, n:] @ self._follows.T
        return found * self.alone

    def pulls(self, gradients: FloatArray, lanes: DrawLanes) -> FloatArray:
        """Return derivatives by q of several, (k, n + P), see `pull`."""
        from scipy.linalg.lapack import dtrtrs

        n, found = self._n, np.array(self._kept(gradients) * self.alone)
        if n < found.shape[1]:
            right = found[:, n:] + found[:, :n] @ self._follows
            theta, _ = dtrtrs(self._root, right.T, lower=1)
            found[:, n:] = theta.T
        lanes.solve(self._columns, found, back=False)
        return found

    def apart(self, q: FloatArray) -> FloatArray:
        """Return x - x* (n + P,) of coordinates q (n + P,), L^-T q."""
        from scipy.linalg.blas import dtbsv
        from scipy.linalg.lapack import dtrtrs

        n, q = self._n, self._kept(q)
        path = dtbsv(len(self._upper) - 1, self._upper, q[:n])
        if n == q.size:
            return np.asarray(path * self.alone)
        theta, _ = dtrtrs(self._root, q[n:], lower=1, trans=1)
        path += self._follows @ theta
        return np.concatenate([path, theta]) * self.alone

    def together(self, change: FloatArray) -> FloatArray:
        """Return the coordinates q of x - x*, the inverse of `apart`."""
        from scipy.linalg.blas import dtbmv

        n, x = self._n, self._kept(change) / self.alone
        path = x[:n] - self._follows @ x[n:]
        own = dtbmv(len(self.own.factor) - 1, self.own.factor, path, lower=1, trans=1)
        return self._kept(np.concatenate([own, self._root.T @ x[n:]]))

    def pull(self, gradient: FloatArray) -> FloatArray:
        """Return derivatives by q of those by x, L^-1 g."""
        from scipy.linalg.blas import dtbsv
        from scipy.linalg.lapack import dtrtrs

        n, g = self._n, self._kept(gradient) * self.alone
        path = dtbsv(len(self.own.factor) - 1, self.own.factor, g[:n], lower=1)
        if n == g.size:
            return np.asarray(path)
        theta, _ = dtrtrs(self._root, g[n:] + self._follows.T @ g[:n], lower=1)
        return np.concatenate([path, theta])

    def push(self, q: FloatArray) -> FloatArray:
        """Return the derivatives by x of those by q, the inverse of `pull`, L q."""
        from scipy.linalg.blas import dtbmv

        n, q = self._n, self._kept(q)
        path = dtbmv(len(self.own.factor) - 1, self.own.factor, q[:n], lower=1)
        theta = self._root @ q[n:] - self._follows.T @ path
        return self._kept(np.concatenate([path, theta])) / self.alone
