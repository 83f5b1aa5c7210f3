"""Residuals of a library's steps, their derivatives, and the elimination of the path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from symda.build.compile import build
from symda.build.load import load
from symda.build.serial import functions_of, serial
from symda.build.toolchain import NoCompiler
from symda.declare.library import Library
from symda.derive.terms import term_functions
from symda.emit.terms import emit_terms
from symda.lower.terms import lower_terms
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.build.toolchain import Options
    from symda.emit import Source

#: The classic method of Runge and Kutta: where its stages are, and what they count.
STAGES = ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0))


class Elimination(Protocol):
    """The path eliminated from Gauss and Newton's Hessian.

    Attributes
    ----------
    lost : (p + 1, p + 1)
        What the coefficients' block loses by it; the last column is that of the gradient.
    """

    lost: FloatArray

    def back(self, dC: FloatArray) -> FloatArray:
        """Return the change of the path (M, D) that goes with one of the coefficients (p,)."""
        ...


class TermKernels(Protocol):
    """What is computed of a library, at paths X (M, D) with steps h (M,), 0 at their ends."""

    kind: str
    D: int
    T: int

    def residuals(self, X: FloatArray, C: FloatArray, h: FloatArray) -> FloatArray:
        """Return x[m+1] - Phi(x[m]) (M, D), 0 where there is no step; C (D, T)."""
        ...

    def linearise(
        self, X: FloatArray, C: FloatArray, h: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return dPhi/dx (M, D, D), and dPhi/dC with the residuals' negatives (M, D, p + 1)."""
        ...

    def eliminate(
        self,
        h: FloatArray,
        A: FloatArray,
        B: FloatArray,
        W: FloatArray,
        g: FloatArray,
        d: FloatArray,
    ) -> Elimination | None:
        """Eliminate the path; None where its block is not positive definite.

        W (D,) weighs residuals, d (M, D) is the Hessian of the data, g (M, D) their gradient.
        """
        ...


def terms_source(library: Library) -> Source:
    """Return the text that is compiled for a library."""
    return _source(library, term_functions(library))


def _source(library: Library, functions: Mapping[str, ca.Function]) -> Source:
    terms, known = ([str(e) for e in some] for some in (library.terms, library.known))
    return emit_terms(lower_terms(terms, known, functions), library.name)


def term_kernels(library: Library, options: Options | None = None) -> TermKernels:
    """Build the kernels of a library, or take them from the cache; NumPy's without a compiler.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    functions = term_functions(library)
    sizes = len(library.states), len(library.terms)
    try:
        return CompiledTerms(build(_source(library, functions), options).library, *sizes)
    except NoCompiler:
        return NumpyTerms(serial(functions), *sizes)


def _address(one: FloatArray) -> int:
    if one.dtype != np.float64 or not one.flags.c_contiguous:
        raise TypeError("kernels of terms take C-contiguous float64 arrays only")
    address: int = one.__array_interface__["data"][0]
    return address


class CompiledTerms:
    """The emitted module."""

    kind = "compiled"

    def __init__(self, library: Path, D: int, T: int) -> None:
        self.library, self.D, self.T = library, D, T
        self.module = load(library)

    def __reduce__(self) -> tuple[type[CompiledTerms], tuple[Path, int, int]]:
        """Travel to other processes as what it was made of."""
        return CompiledTerms, (self.library, self.D, self.T)

    def residuals(self, X: FloatArray, C: FloatArray, h: FloatArray) -> FloatArray:
        """See `TermKernels.residuals`."""
        found = np.empty_like(X)
        self.module.run_steps(*map(_address, (X, C, h)), len(X), _address(found))
        return found

    def linearise(
        self, X: FloatArray, C: FloatArray, h: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `TermKernels.linearise`."""
        rows, columns = (one.astype(np.int32) for one in np.nonzero(free))
        M, p = len(X), rows.size
        A, B = np.empty((M, self.D, self.D)), np.empty((M, self.D, p + 1))
        places = rows.ctypes.data, columns.ctypes.data, p
        self.module.run_linearise(*map(_address, (X, C, h)), M, *places, _address(A), _address(B))
        return A, B

    def eliminate(
        self,
        h: FloatArray,
        A: FloatArray,
        B: FloatArray,
        W: FloatArray,
        g: FloatArray,
        d: FloatArray,
    ) -> Elimination | None:
        """See `TermKernels.eliminate`."""
        L, U, V = np.empty_like(A), np.empty_like(A), np.empty_like(B)
        given = map(_address, (h, A, B, W, g, d, L, U, V))
        if not self.module.run_sweep(len(A), B.shape[2], *given):
            return None
        return _Swept(self, L, U, V)


class _Swept:
    """The factor, point after point."""

    def __init__(self, kernels: CompiledTerms, L: FloatArray, U: FloatArray, V: FloatArray) -> None:
        self._kernels, self._L, self._U, self._V = kernels, L, U, V
        rows = V.reshape(-1, V.shape[2])
        self.lost = rows.T @ rows

    def back(self, dC: FloatArray) -> FloatArray:
        """See `Elimination.back`."""
        M, D, q = self._V.shape
        found = np.empty((M, D))
        given = map(_address, (self._L, self._U, self._V, np.ascontiguousarray(dC), found))
        self._kernels.module.run_back(M, q, *given)
        return found


class NumpyTerms:
    """The same by CasADi's machine, NumPy and LAPACK."""

    kind = "casadi"

    def __init__(self, functions: tuple[tuple[str, str], ...], D: int, T: int) -> None:
        self.functions, self.D, self.T = functions, D, T
        found = functions_of(functions)
        self._terms, self._known = found["terms_and_slopes"], found["known_and_slopes"]

    def __reduce__(self) -> tuple[type[NumpyTerms], tuple[tuple[tuple[str, str], ...], int, int]]:
        """Travel to other processes as what it was made of."""
        return NumpyTerms, (self.functions, self.D, self.T)

    def _rates(self, x: FloatArray, C: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return terms (K, T), rates (K, D) and their slopes (K, D, D) at states (K, D)."""
        K, D = x.shape
        theta, slopes = (np.asarray(one) for one in self._terms(x.T))
        k, J = (np.asarray(one) for one in self._known(x.T))
        dtheta = slopes.reshape(self.T, K, D)
        A = np.einsum("ij,jkd->kid", C, dtheta, optimize=True)
        return theta.T, k.T + theta.T @ C.T, A + J.reshape(D, K, D).transpose(1, 0, 2)

    def residuals(self, X: FloatArray, C: FloatArray, h: FloatArray) -> FloatArray:
        """See `TermKernels.residuals`."""
        at = np.flatnonzero(h)
        x, long = X[at], h[at, None]
        k, total = np.zeros_like(x), np.zeros_like(x)
        for place, count in STAGES:
            k = self._rates(x + place * long * k, C)[1]
            total += count * k
        found = np.zeros_like(X)
        found[at] = X[at + 1] - x - long / 6.0 * total
        return found

    def linearise(
        self, X: FloatArray, C: FloatArray, h: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `TermKernels.linearise`."""
        at = np.flatnonzero(h)
        x, long = X[at], h[at, None, None]
        row, column = np.nonzero(free)
        M, p, one = len(X), row.size, np.eye(self.D)
        k, total = np.zeros_like(x), np.zeros_like(x)
        P, slope = np.zeros((2, at.size, self.D, self.D))
        Q, slopes = np.zeros((2, at.size, self.D, p))
        for place, count in STAGES:
            theta, k, J = self._rates(x + place * long[:, 0] * k, C)
            P, Q = J @ (one + place * long * P), J @ (place * long * Q)
            Q[:, row, np.arange(p)] += theta[:, column]
            total, slope, slopes = total + count * k, slope + count * P, slopes + count * Q
        A, B = np.zeros((M, self.D, self.D)), np.zeros((M, self.D, p + 1))
        A[at], B[at, :, :p] = one + long / 6.0 * slope, long / 6.0 * slopes
        B[at, :, p] = x + long[:, 0] / 6.0 * total - X[at + 1]
        return A, B

    def eliminate(
        self,
        h: FloatArray,
        A: FloatArray,
        B: FloatArray,
        W: FloatArray,
        g: FloatArray,
        d: FloatArray,
    ) -> Elimination | None:
        """See `TermKernels.eliminate`."""
        from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded

        M, D, q = B.shape
        at = np.flatnonzero(h)
        weighed = A[at].transpose(0, 2, 1) * W
        blocks, border = np.zeros((M, D, D)), np.zeros((M, D, q))
        blocks[:, range(D), range(D)] = d
        blocks[at] += weighed @ A[at]
        blocks[at + 1] += np.diag(W)
        border[at] += weighed @ B[at]
        border[at + 1] -= W[:, None] * B[at]
        border[:, :, -1] += g
        band = np.zeros((2 * D, M, D))
        for j in range(D):
            for i in range(j, D):
                band[i - j, :, j] = blocks[:, i, j]
            for i in range(D):
                band[D + i - j, at, j] = -weighed[:, j, i]
        try:
            factor = cholesky_banded(band.reshape(2 * D, M * D), lower=True, check_finite=False)
        except LinAlgError:
            return None
        solved = cho_solve_banded((factor, True), border.reshape(M * D, q), check_finite=False)
        return _Banded(border.reshape(M * D, q), solved, (M, D))


class _Banded:
    """What a banded factor gave."""

    def __init__(self, border: FloatArray, solved: FloatArray, shape: tuple[int, int]) -> None:
        self._solved, self._shape = solved, shape
        self.lost = border.T @ solved

    def back(self, dC: FloatArray) -> FloatArray:
        """See `Elimination.back`."""
        change = self._solved[:, -1] + self._solved[:, :-1] @ dC
        return np.ascontiguousarray(-change.reshape(self._shape))
