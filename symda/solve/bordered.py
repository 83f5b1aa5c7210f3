"""Symmetric matrices that are a band with a border, and their Cholesky factorisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from symda.solve.conditional import Conditional
from symda.types import BoolArray, FloatArray, IntArray


class Bordered:
    """Where the nonzeros of a symmetric matrix stand: n unknowns in a band, then P of a border.

    The band falls into pieces that nothing couples. Of the border each piece sees some unknowns, so
    that it is kept as narrow as these are many.

    Parameters
    ----------
    rows, columns : ndarray of int
        Nonzeros of the upper triangle.
    n, P : int
        Unknowns of the band, and of the border.
    use : ndarray of int, shape (S, p)
        Which unknowns of the border each piece sees.
    lengths : sequence of int
        Unknowns of each piece, S of them, n together.
    """

    def __init__(
        self,
        rows: IntArray,
        columns: IntArray,
        n: int,
        P: int,
        use: IntArray,
        lengths: Sequence[int],
    ) -> None:
        self.n, self.P, self._use = n, P, use
        self._ends = np.cumsum([0, *lengths])
        self._rows, self._columns = rows, columns
        self._in_band = np.flatnonzero(columns < n)
        self._in_border = np.flatnonzero((rows < n) & (columns >= n))
        self._in_corner = np.flatnonzero(rows >= n)
        i, j = rows[self._in_band], columns[self._in_band]
        #: diagonals below the main one
        self.width = int(np.max(j - i, initial=0))
        # LAPACK's lower band, a column of it contiguous
        self._band_at = i * (self.width + 1) + j - i
        places = np.zeros((len(use), P), dtype=np.int64)
        np.put_along_axis(places, use, np.arange(use.shape[1])[None], axis=1)
        row = rows[self._in_border]
        piece = np.searchsorted(self._ends, row, side="right") - 1
        self._border_at = row, places[piece, columns[self._in_border] - n]
        self._corner_at = columns[self._in_corner] - n, rows[self._in_corner] - n

    def product(self, values: FloatArray, v: FloatArray) -> FloatArray:
        """Return H v of the matrix with these nonzeros; where v is 0, H may be anything."""
        i, j = self._rows, self._columns
        size, off = self.n + self.P, i != j
        right = np.where(v[j] == 0.0, 0.0, values * v[j])
        left = np.where(off & (v[i] != 0.0), values * v[i], 0.0)
        product = np.bincount(i, right, size) + np.bincount(j, left, size)
        return np.asarray(product, dtype=float)

    def diagonal(self, values: FloatArray) -> FloatArray:
        """Return the diagonal of the matrix with these nonzeros, (n + P,)."""
        on = self._rows == self._columns
        return np.asarray(np.bincount(self._rows[on], values[on], self.n + self.P), dtype=float)

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
        from scipy.linalg.lapack import dtbtrs

        found = self._eliminate(values, shift, right, held, least)
        if found is None:
            return None
        factor, sides, corner, rest = found
        border, path = sides[:, :-1], sides[:, -1]
        theta = np.zeros(self.P)
        if self.P:
            theta = _solved(corner, rest)
            path = path.copy()
            for piece, use in self._pieces():
                path[piece] -= border[piece] @ theta[use]
        path, _ = dtbtrs(factor, path, uplo="L", trans="T")
        return np.concatenate([path.reshape(-1), theta])

    def log_determinant(
        self, values: FloatArray, held: BoolArray, least: FloatArray
    ) -> float | None:
        """Return log det H of the unknowns that are not held.

        Parameters
        ----------
        values, held, least
            As for `solve`.

        Returns
        -------
        float or None
            None if the matrix is not positive definite.
        """
        nothing = np.zeros(self.n + self.P)
        found = self._eliminate(values, nothing, nothing, held, least)
        if found is None:
            return None
        factor, _, corner, _ = found
        return 2.0 * float(np.log(factor[0]).sum() + np.log(np.diag(corner)).sum())

    def conditional(self, values: FloatArray, held: BoolArray) -> Conditional | None:
        """Return what the inverse of H is made of, the band's unknowns given the border's.

        Parameters
        ----------
        values, held
            As for `solve`.

        Returns
        -------
        Conditional or None
            None if the band is not positive definite.
        """
        from scipy.linalg.lapack import dtbtrs

        nothing = np.zeros(self.n + self.P)
        found = self._reduce(values, nothing, nothing, held)
        if found is None:
            return None
        factor, sides, corner, _ = found
        border = sides[:, :-1]
        if border.size:
            # LAPACK is not safe without right-hand sides
            border, _ = dtbtrs(factor, border, uplo="L", trans="T")
        return Conditional(factor, border, corner, self._ends, self._use)

    def _eliminate(
        self,
        values: FloatArray,
        shift: FloatArray,
        right: FloatArray,
        held: BoolArray,
        least: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None:
        """Factorise the band, then what is left of the corner; see `solve`.

        Returns
        -------
        factor : (width + 1, n)
            Of the band.
        sides : (n, p + 1)
            Its inverse times border and right-hand side.
        corner : (P, P)
            The factor of the corner.
        rest : (P,)
            What is left of the right-hand side for the corner.
        """
        from scipy.linalg.lapack import dpotrf

        found = self._reduce(values, shift, right, held)
        least = np.where(held, 0.0, least)
        if found is None or not (found[0][0] ** 2 > least[: self.n]).all():
            return None
        factor, sides, corner, rest = found
        if self.P:
            corner, bad = dpotrf(corner, lower=1)
            if bad or not (np.diag(corner) ** 2 > least[self.n :]).all():
                return None
        return factor, sides, corner, rest

    def _reduce(
        self, values: FloatArray, shift: FloatArray, right: FloatArray, held: BoolArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None:
        """Factorise the band and take it off the corner, which `_eliminate` factorises."""
        from scipy.linalg.lapack import dpbtrf, dtbtrs

        n = self.n
        if held.any():
            values = np.where(held[self._rows] | held[self._columns], 0.0, values)
            right = np.where(held, 0.0, right)
            shift = np.where(held, 1.0, shift)
        band = np.zeros((n, self.width + 1))
        band.reshape(-1)[self._band_at] = values[self._in_band]
        band[:, 0] += shift[:n]
        factor, bad = dpbtrf(band.T, lower=1, overwrite_ab=1)
        if bad:
            return None
        seen = self._use.shape[1]
        sides = np.zeros((n, seen + 1), order="F")
        sides[self._border_at] = values[self._in_border]
        sides[:, seen] = right[:n]
        sides, _ = dtbtrs(factor, sides, uplo="L", overwrite_b=1)
        border, path = sides[:, :seen], sides[:, seen]
        corner, rest = np.diag(shift[n:]), right[n:].copy()
        if self.P:
            # its lower triangle counts
            corner[self._corner_at] += values[self._in_corner]
            for piece, use in self._pieces():
                corner[np.ix_(use, use)] -= border[piece].T @ border[piece]
                rest[use] -= border[piece].T @ path[piece]
        return factor, sides, corner, rest

    def _pieces(self) -> Iterator[tuple[slice, IntArray]]:
        """Yield where each piece stands, and which unknowns of the border it sees."""
        for begin, end, use in zip(self._ends[:-1], self._ends[1:], self._use, strict=True):
            yield slice(begin, end), use


def _solved(factor: FloatArray, right: FloatArray) -> FloatArray:
    from scipy.linalg import cho_solve

    solution: FloatArray = cho_solve((factor, True), right)
    return solution
