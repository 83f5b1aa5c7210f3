"""Cholesky factors of a lattice's patches along time: compiled, a patch a lane, or by NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.build.compile import build
from symda.build.engines import addresses
from symda.build.load import load
from symda.build.toolchain import NoCompiler
from symda.emit.patches import LEAST, TILE, emit_patches
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from symda.build.patches import Patches

#: Bytes at whose multiples vectors of any machine may stand.
ALIGNMENT = 64


class PatchFactors(ABC):
    """Factors of a Gauss-Newton Hessian restricted to patches, and what they solve together.

    Parameters
    ----------
    patches : Patches
    steps : int
        N.
    single : bool
        Keep the factors in single precision; they are computed in double.
    """

    def __init__(self, patches: Patches, steps: int, *, single: bool) -> None:
        self._patches, self._N = patches, steps
        self._kind: np.dtype[np.floating] = np.dtype("float32" if single else "float64")
        self._points = patches.Q // patches.own

    def factor(
        self, products: Iterable[tuple[FloatArray, FloatArray]], own: FloatArray, free: BoolArray
    ) -> None:
        """Factorise; all steps' products are taken in turn.

        Parameters
        ----------
        products : iterable of N pairs
            Products (C, E) of the residual's Jacobian with `Colours`, and the weight of each
            residual (E,).
        own : ndarray, shape (M, D)
            Further diagonal.
        free : ndarray of bool, shape (M, D)
            The others are taken out.
        """
        self._begin(self._by_step(own), self._by_step(np.asarray(free, dtype=float)))
        for n, (columns, weights) in enumerate(products):
            self._advance(n, np.append(columns, 0.0), np.append(weights, 0.0))
        self._end()

    def _by_step(self, values: FloatArray) -> FloatArray:
        """Return numbers of grid points (M, D) as those of steps (N + 1, E), 0 beyond the last."""
        D = values.shape[1]
        found = np.zeros((self._N + 1) * self._points * D)
        found[: values.size] = values.reshape(-1)
        return found.reshape(self._N + 1, -1)

    @abstractmethod
    def solve(self, right: FloatArray) -> FloatArray:
        """Return the sum of the patches' shares of the solution, (M, D)."""

    @abstractmethod
    def _begin(self, own: FloatArray, free: FloatArray) -> None: ...

    @abstractmethod
    def _advance(self, n: int, products: FloatArray, weights: FloatArray) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...


class CompiledPatches(PatchFactors):
    """The emitted module, a patch in each lane of the vector registers."""

    kind = "compiled"

    def __init__(self, library: Path, patches: Patches, steps: int, *, single: bool) -> None:
        super().__init__(patches, steps, single=single)
        self._module = load(library)
        self._lanes = int(self._module.lanes())
        name = "single" if single else "double"
        self._step = getattr(self._module, f"advance_{name}")
        self._sweep = getattr(self._module, f"solve_{name}")
        Q = patches.Q
        self._wide, X = _whole(Q), _whole(patches.own)
        rows, left = patches.coupled
        start = np.full(X // TILE, self._wide)
        np.minimum.at(start, rows // TILE, left // TILE * TILE)
        self._unknown = self._grouped(patches.unknown, self._wide)
        self._share = aligned(self._unknown.shape)
        self._share[...] = self._grouped(patches.share, self._wide, last=0.0)
        self._tables = [
            np.ascontiguousarray(table, dtype=np.int32)
            for table in (
                patches.first,
                np.where(patches.column < Q, patches.column, patches.column + self._wide - Q),
                self._grouped(patches.row),
                self._grouped(patches.place),
                np.searchsorted(rows, np.arange(X + 1)),
                left,
                start,
                self._unknown,
            )
        ]
        sizes = (self._wide, patches.own, X, patches.row.shape[1], len(patches.column), len(left))
        self._plan = (*sizes, *(table.ctypes.data for table in self._tables[:-1]))
        self._groups = len(self._unknown)
        self._size = self._wide * (self._wide + 1) // 2 + len(left)
        self._kept = aligned(
            (self._groups, steps + 1, self._size, self._lanes), self._kind, cleared=False
        )

    def _grouped(
        self, table: NDArray[np.generic], width: int | None = None, last: float | None = None
    ) -> NDArray[np.generic]:
        """Bring a table (K, n) into groups (groups, width, lanes); the last patch fills its group.

        Its further copies, and what fills the width, are `last` if that is given.
        """
        K, n = table.shape
        whole = np.arange(-(-K // self._lanes) * self._lanes)
        found = np.zeros((len(whole), width or n), dtype=table.dtype)
        found[:, :n] = table[np.minimum(whole, K - 1)]
        if last is not None:
            found[K:] = last
        return np.ascontiguousarray(found.reshape(-1, self._lanes, width or n).swapaxes(1, 2))

    def _begin(self, own: FloatArray, free: FloatArray) -> None:
        self._own, self._free = own, free
        wide, lanes = self._wide, self._lanes
        self._blocks = aligned((2, self._groups, wide, wide, lanes))
        self._sizes = aligned((2, self._groups, wide, lanes))
        self._held = aligned((2, self._groups, wide, lanes))
        self._held[0] = self._mask(0)

    def _mask(self, n: int) -> FloatArray:
        return np.where(self._share > 0.0, self._free[n][self._unknown], 0.0)

    def _at(self, n: int) -> int:
        return self._kept.ctypes.data + n * self._size * self._lanes * self._kind.itemsize

    def _advance(self, n: int, products: FloatArray, weights: FloatArray) -> None:
        self._held[1] = self._mask(n + 1)
        self._eliminate(n, products, weights, self._blocks[1 - n % 2])
        self._held[0], self._sizes[0] = self._held[1], self._sizes[1]

    def _end(self) -> None:
        self._eliminate(self._N, np.zeros(1), np.zeros(1), None)
        del self._own, self._free, self._blocks, self._sizes, self._held

    def _eliminate(
        self, n: int, products: FloatArray, weights: FloatArray, further: FloatArray | None
    ) -> None:
        block = self._blocks[n % 2]
        own = self._own[n][self._unknown]
        np.einsum("gqql->gql", block)[...] += own
        self._sizes[0] += own
        at = addresses(products, weights, self._held, block, self._sizes)
        to = 0 if further is None else further.ctypes.data
        stride = (self._N + 1) * self._size
        self._step(self._plan, self._groups, *at, to, self._at(n), stride)

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the sum of the patches' shares of the solution, (M, D)."""
        given = np.ascontiguousarray(right)
        out = np.zeros_like(given)
        E = self._points * given.shape[1]
        at = addresses(self._share, given, out)
        self._sweep(
            self._plan, self._groups, self._N + 1, E, self._tables[-1].ctypes.data, at[0],
            self._kept.ctypes.data, *at[1:],
        )  # fmt: skip
        return out


class NumpyPatches(PatchFactors):
    """The same by NumPy and LAPACK, all patches at once."""

    kind = "NumPy"

    def __init__(self, patches: Patches, steps: int, *, single: bool) -> None:
        super().__init__(patches, steps, single=single)
        K, Q = patches.unknown.shape
        self._coupled = patches.coupled
        #: Inverses of the factors, and the nonzeros of the blocks below them.
        self._inverse = np.empty((steps + 1, K, Q, Q), dtype=self._kind)
        self._below = np.empty((steps, K, len(self._coupled[0])), dtype=self._kind)

    def _begin(self, own: FloatArray, free: FloatArray) -> None:
        K, Q = self._patches.unknown.shape
        self._own, self._free = own, free
        self._block, self._before = np.zeros((K, Q, Q)), np.zeros((K, Q, Q))

    def _advance(self, n: int, products: FloatArray, weights: FloatArray) -> None:
        patches = self._patches
        Q, unknown = patches.Q, patches.unknown
        jacobian = np.zeros((len(unknown), patches.row.shape[1], Q + patches.own))
        rows = np.repeat(np.arange(patches.row.shape[1]), np.diff(patches.first))
        jacobian[:, rows, patches.column] = products[patches.place]
        jacobian *= np.sqrt(weights)[patches.row][:, :, None]
        present = self._there(n), self._there(n + 1)
        own, further = jacobian[:, :, :Q], jacobian[:, :, Q:]
        self._block += own.swapaxes(1, 2) @ own
        inverse = self._factor(n)
        below = further.swapaxes(1, 2) @ own
        below *= present[0][:, None, :] * present[1][:, : patches.own, None]
        self._below[n] = below[:, self._coupled[0], self._coupled[1]]
        reduced = below @ inverse.swapaxes(1, 2)
        self._block = np.zeros_like(self._block)
        x = patches.own
        self._before = np.zeros_like(self._block)
        self._before[:, :x, :x] = further.swapaxes(1, 2) @ further
        self._block[:, :x, :x] = self._before[:, :x, :x] - reduced @ reduced.swapaxes(1, 2)

    def _end(self) -> None:
        self._factor(self._N)
        del self._own, self._free, self._block, self._before

    def _there(self, n: int) -> FloatArray:
        patches = self._patches
        return np.where(patches.share > 0.0, self._free[n][patches.unknown], 0.0)

    def _factor(self, n: int) -> FloatArray:
        """Invert the factor of a step's block, whose pivots are raised where it has none."""
        S, unknown = self._block, self._patches.unknown
        diagonal = np.arange(S.shape[1])
        free = self._there(n)
        S[:, diagonal, diagonal] += self._own[n][unknown]
        S *= free[:, :, None] * free[:, None, :]
        S[:, diagonal, diagonal] += 1.0 - free
        more = LEAST * np.maximum(S[:, diagonal, diagonal], self._before[:, diagonal, diagonal])
        while True:
            try:
                inverse: FloatArray = np.linalg.inv(np.linalg.cholesky(S))
                break
            except np.linalg.LinAlgError:
                S[:, diagonal, diagonal] += more
                more *= 10.0
        self._inverse[n] = inverse
        return inverse

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the sum of the patches' shares of the solution, (M, D)."""
        patches, x = self._patches, self._patches.own
        rows = self._by_step(right)
        y = [row[patches.unknown] * patches.share for row in rows]
        for n in range(self._N + 1):
            if n:
                y[n][:, :x] -= _times(self._block_below(n - 1), y[n - 1])
            y[n] = self._solved(n, y[n])
        for n in range(self._N - 1, -1, -1):
            further = _times(self._block_below(n).swapaxes(1, 2), y[n + 1][:, :x])
            y[n] -= self._solved(n, further)
        out = np.zeros_like(rows)
        for n in range(self._N + 1):
            np.add.at(out[n], patches.unknown, y[n] * patches.share)
        return out.reshape(-1)[: right.size].reshape(right.shape)

    def _solved(self, n: int, right: FloatArray) -> FloatArray:
        inverse = self._inverse[n].astype(float)
        return _times(inverse.swapaxes(1, 2), _times(inverse, right))

    def _block_below(self, n: int) -> FloatArray:
        block = np.zeros((len(self._patches.unknown), self._patches.own, self._patches.Q))
        block[:, self._coupled[0], self._coupled[1]] = self._below[n]
        return block


def _times(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    product: FloatArray = (matrices @ vectors[:, :, None])[:, :, 0]
    return product


def _whole(size: int) -> int:
    return -(-size // TILE) * TILE


def aligned(
    shape: tuple[int, ...], kind: np.dtype[np.floating] | None = None, *, cleared: bool = True
) -> FloatArray:
    """Make an array at an address where vectors may stand, of zeros if `cleared`."""
    kind = np.dtype(np.float64) if kind is None else kind
    size = int(np.prod(shape)) * kind.itemsize
    raw = (np.zeros if cleared else np.empty)(size + ALIGNMENT, dtype=np.uint8)
    at = -raw.ctypes.data % ALIGNMENT
    found: FloatArray = raw[at : at + size].view(kind).reshape(shape)
    return found


def patch_factors(patches: Patches, steps: int, *, single: bool, compiled: bool) -> PatchFactors:
    """Make the factors of patches; by NumPy without a compiler.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    if compiled:
        try:
            library = build(emit_patches()).library
        except NoCompiler:
            pass
        else:
            return CompiledPatches(library, patches, steps, single=single)
    return NumpyPatches(patches, steps, single=single)
