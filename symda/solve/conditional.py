"""Parts of the inverse of a bordered band matrix, from its factor: never the dense inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Conditional:
    """The inverse of H = [[A, B], [B^T, C]], A a band of n unknowns, C a border of P.

    As covariances: A^-1 is that of the band's unknowns given the border's, S^-1 that of the
    border's, S = C - B^T A^-1 B, and -A^-1 B is by how much the former follow the latter.

    Attributes
    ----------
    factor : (width + 1, n)
        Cholesky factor of A, LAPACK's lower band.
    border : (n, p)
        A^-1 B, of each piece of the band those of the border's unknowns that it sees.
    corner : (P, P)
        S; its lower triangle counts.
    ends : (S + 1,)
        Where the pieces of the band begin, and n.
    use : (S, p)
        Which unknowns of the border each piece sees.
    """

    factor: FloatArray
    border: FloatArray
    corner: FloatArray
    ends: IntArray
    use: IntArray

    @property
    def log_determinant(self) -> float:
        """Log det A."""
        return 2.0 * float(np.log(self.factor[0]).sum())

    @property
    def schur(self) -> FloatArray:
        """S, both triangles, (P, P)."""
        lower = np.tril(self.corner)
        found: FloatArray = lower + np.tril(lower, -1).T
        return found

    @property
    def follows(self) -> FloatArray:
        """-A^-1 B with a column for each unknown of the border, (n, P)."""
        found = np.zeros((self.ends[-1], len(self.corner)))
        for begin, end, use in zip(self.ends[:-1], self.ends[1:], self.use, strict=True):
            found[begin:end, use] = -self.border[begin:end]
        return found

    def half(self, right: FloatArray) -> FloatArray:
        """Return L^-1 g of A = L L^T, so that its square is g^T A^-1 g; g is (n,) or (n, k)."""
        from scipy.linalg.lapack import dtbtrs

        found, _ = dtbtrs(self.factor, right, uplo="L")
        return np.asarray(found)

    def solve(self, right: FloatArray) -> FloatArray:
        """Return A^-1 g; g is (n,)."""
        from scipy.linalg.lapack import dpbtrs

        found, _ = dpbtrs(self.factor, right, lower=1)
        return np.asarray(found).reshape(right.shape)

    def blocks(self, size: int) -> list[tuple[FloatArray, FloatArray]]:
        """Return the blocks of A^-1 where A, a block tridiagonal matrix, has its own.

        Parameters
        ----------
        size : int
            Unknowns of a block; the last one of a piece may be smaller.

        Returns
        -------
        list of tuple
            For each piece of K blocks those on the diagonal, (K, size, size), and those below it,
            (K - 1, size, size): block (k + 1, k) at k. Beyond a smaller last block stands the unit
            matrix.

        Notes
        -----
        With block k of the factor L_k, and G_k = L_{k+1,k} L_k^-1 below it,
        Z_k = L_k^-T L_k^-1 + G_k^T Z_{k+1} G_k backwards from the last one (K. Takahashi, J. Fagan
        and M. Chin, 8th PICA Conference, 1973; sums of positive terms, so that nothing cancels).
        """
        return [
            _selected(self.factor[:, begin:end], size)
            for begin, end in zip(self.ends[:-1], self.ends[1:], strict=True)
        ]


def _selected(factor: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Return the blocks of the inverse for one piece, see `Conditional.blocks`."""
    n, width = factor.shape[1], factor.shape[0] - 1
    count = -(-n // size)
    columns = np.zeros((count * size, width + 1))
    columns[:, 0] = 1.0
    columns[:n] = factor.T
    columns = columns.reshape(count, size, width + 1)
    at = np.arange(size)
    apart = at[:, None] - at
    own = np.where((apart >= 0) & (apart <= width), columns[:, at, np.clip(apart, 0, width)], 0.0)
    off = size + apart
    below = np.where(off <= width, columns[:-1, at, np.clip(off, 0, width)], 0.0)
    inverse = np.linalg.inv(own)
    found = inverse.transpose(0, 2, 1) @ inverse
    carried = below @ inverse[:-1]
    for k in range(count - 2, -1, -1):
        found[k] += carried[k].T @ found[k + 1] @ carried[k]
    return found, -found[1:] @ carried
