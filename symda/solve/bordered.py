"""Symmetric matrices that are a band with a border, and their Cholesky factorisation."""

from __future__ import annotations

import numpy as np

from symda.types import BoolArray, FloatArray, IntArray


class Bordered:
    """Where the nonzeros of a symmetric matrix stand: n unknowns in a band, then P of a border.

    Parameters
    ----------
    rows, columns : ndarray of int
        Nonzeros of the upper triangle.
    n, P : int
        Unknowns of the band, and of the border.
    """

    def __init__(self, rows: IntArray, columns: IntArray, n: int, P: int) -> None:
        self.n, self.P = n, P
        self._rows, self._columns = rows, columns
        self._in_band = np.flatnonzero(columns < n)
        self._in_border = np.flatnonzero((rows < n) & (columns >= n))
        self._in_corner = np.flatnonzero(rows >= n)
        i, j = rows[self._in_band], columns[self._in_band]
        #: diagonals below the main one
        self.width = int(np.max(j - i, initial=0))
        # LAPACK's lower band, a column of it contiguous
        self._band_at = i * (self.width + 1) + j - i
        self._border_at = rows[self._in_border], columns[self._in_border] - n
        self._corner_at = columns[self._in_corner] - n, rows[self._in_corner] - n

    def product(self, values: FloatArray, v: FloatArray) -> FloatArray:
        """Return H v of the matrix with these nonzeros; where v is 0, H may be anything."""
        i, j = self._rows, self._columns
        size, off = self.n + self.P, i != j
        right = np.where(v[j] == 0.0, 0.0, values * v[j])
        left = np.where(off & (v[i] != 0.0), values * v[i], 0.0)
        product = np.bincount(i, right, size) + np.bincount(j, left, size)
        return np.asarray(product, dtype=float)

    def solve(
        self,
        values: FloatArray,
        shift: FloatArray,
        right: FloatArray,
        held: BoolArray,
        least: FloatArray,
    ) -> FloatArray | None:
        """Solve (H + diag(shift)) s = right, held unknowns left at 0.

        Parameters
        ----------
        values : ndarray, shape (nonzeros,)
            Nonzeros of H.
        shift, right : ndarray, shape (n + P,)
            What is added to the diagonal, and the right-hand side.
        held : ndarray of bool, shape (n + P,)
            Unknowns that are taken out.
        least : ndarray, shape (n + P,)
            What each pivot has to be above.

        Returns
        -------
        ndarray, shape (n + P,), or None
            None if the matrix is not positive definite.
        """
        from scipy.linalg.lapack import dpbtrf, dpotrf, dtbtrs

        n, P = self.n, self.P
        if held.any():
            values = np.where(held[self._rows] | held[self._columns], 0.0, values)
            right, least = np.where(held, 0.0, right), np.where(held, 0.0, least)
            shift = np.where(held, 1.0, shift)
        band = np.zeros((n, self.width + 1))
        band.reshape(-1)[self._band_at] = values[self._in_band]
        band[:, 0] += shift[:n]
        factor, bad = dpbtrf(band.T, lower=1, overwrite_ab=1)
        if bad or not (factor[0] ** 2 > least[:n]).all():
            return None
        sides = np.zeros((n, P + 1), order="F")
        sides[self._border_at] = values[self._in_border]
        sides[:, P] = right[:n]
        sides, _ = dtbtrs(factor, sides, uplo="L", overwrite_b=1)
        border, path = sides[:, :P], sides[:, P]
        theta = np.zeros(P)
        if P:
            corner = np.diag(shift[n:])
            corner[self._corner_at] += values[self._in_corner]
            corner, bad = dpotrf(corner - border.T @ border, lower=1)
            if bad or not (np.diag(corner) ** 2 > least[n:]).all():
                return None
            theta = _solved(corner, right[n:] - border.T @ path)
        path, _ = dtbtrs(factor, path - border @ theta, uplo="L", trans="T")
        return np.concatenate([path.reshape(-1), theta])


def _solved(factor: FloatArray, right: FloatArray) -> FloatArray:
    from scipy.linalg import cho_solve

    solution: FloatArray = cho_solve((factor, True), right)
    return solution
