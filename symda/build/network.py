"""The passes of a network over its pairs: compiled, in threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.build.compile import build
from symda.build.load import load
from symda.build.network_layout import WIDE, Layout, Passes, padded, room
from symda.build.network_numpy import NumpyPasses
from symda.build.serial import serial
from symda.build.toolchain import NoCompiler
from symda.declare.network import Network
from symda.derive.activation import activation_function
from symda.emit.network import emit_network
from symda.lower.network import lower_network
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.toolchain import Options
    from symda.emit import Source

#: Pairs of a part: what is summed over pairs is summed in parts, whoever computes them.
PART = 64
#: Most parts; where there are more pairs, parts are larger.
MOST_PARTS = 64


def network_source(network: Network) -> Source:
    """Return the text that is compiled for a network."""
    functions = [activation_function(one, k) for k, one in enumerate(network.activations)]
    return emit_network(lower_network([str(a) for a in network.activations], functions))


def network_passes(layout: Layout, options: Options | None = None, threads: int = 1) -> Passes:
    """Build the passes of a network, or take them from the cache; NumPy's without a compiler.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    activations = layout.network.activations
    functions = [activation_function(one, k) for k, one in enumerate(activations)]
    source = emit_network(lower_network([str(a) for a in activations], functions))
    try:
        return CompiledPasses(build(source, options).library, layout, threads)
    except NoCompiler:
        return NumpyPasses(serial({f.name(): f for f in functions}), layout)


class CompiledPasses:
    """The emitted module; `threads` share the parts, with the same sums whatever their number."""

    kind = "compiled"

    def __init__(self, library: Path, layout: Layout, threads: int = 1) -> None:
        self.library, self.layout, self.threads = library, layout, threads
        self._module = load(library)
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        tables = layout.tables
        self._tables = np.array([one.ctypes.data for one in tables], dtype=np.uint64)
        self._outputs = layout.outputs.astype(np.int32)

    def __reduce__(self) -> tuple[type[CompiledPasses], tuple[Path, Layout, int]]:
        """Travel to other processes as what it was made of."""
        return CompiledPasses, (self.library, self.layout, self.threads)

    def forward(self, W: FloatArray, X: FloatArray, D: FloatArray | None, M: int) -> None:
        """See `Passes.forward`."""
        self._run("forward", M, W, X, D)

    def linearise(self, W: FloatArray, X: FloatArray, D: FloatArray, R: FloatArray, M: int) -> None:
        """See `Passes.linearise`."""
        self._run("linearise", M, W, X, D, R)

    def tangent(
        self,
        W: FloatArray,
        X: FloatArray,
        D: FloatArray,
        dW: FloatArray | None,
        T: FloatArray,
        M: int,
    ) -> None:
        """See `Passes.tangent`."""
        self._run("tangent", M, W, X, D, dW, T)

    def adjoint(
        self, W: FloatArray, X: FloatArray, D: FloatArray, V: FloatArray, M: int, *, weights: bool
    ) -> FloatArray | None:
        """See `Passes.adjoint`."""
        G = room(self._parts(M)[1], W.size) if weights else None
        self._run("adjoint", M, W, X, D, V, G)
        return None if G is None else _summed(G)

    def gradient(
        self, W: FloatArray, X: FloatArray, cf: float, GX: FloatArray, M: int
    ) -> tuple[float, FloatArray]:
        """See `Passes.gradient`."""
        parts = self._parts(M)[1]
        G, value = room(parts, W.size), np.zeros(parts)
        self._run("gradient", M, W, X, cf, self.layout.terms, GX, G, value)
        return float(_summed(value)), _summed(G)

    def covariance(
        self,
        W: FloatArray,
        X: FloatArray,
        D: FloatArray,
        freedom: FloatArray | None,
        noise: float,
        spread: FloatArray,
        M: int,
    ) -> FloatArray:
        """See `Passes.covariance`."""
        L = self._outputs.size
        gram = room(L * (L + 1) // 2, X.shape[1])
        given = (self._outputs.ctypes.data, L, freedom, noise, spread, gram)
        self._run("covariance", M, W, X, D, *given)
        found = np.empty((M, L, L))
        below = np.tril_indices(L)
        found[:, *below] = gram[:, :M].T
        found.transpose(0, 2, 1)[:, *below] = gram[:, :M].T
        return found

    def normal(
        self,
        W: FloatArray,
        X: FloatArray,
        D: FloatArray,
        dW: FloatArray,
        inverse: FloatArray,
        M: int,
    ) -> FloatArray:
        """See `Passes.normal`."""
        L = self._outputs.size
        G = room(self._parts(M)[1], W.size)
        given = (D.shape[0], dW, self._outputs.ctypes.data, L, inverse, G)
        self._run("normal", M, W, X, D, *given)
        return _summed(G)

    def curvature(
        self, W: FloatArray, X: FloatArray, D: FloatArray, inverse: FloatArray, M: int
    ) -> FloatArray:
        """See `Passes.curvature`."""
        L = self._outputs.size
        turned = room(L * L, X.shape[1])
        turned[:, :M] = inverse.reshape(M, L * L).T
        found = room(*D.shape)
        self._run("curvature", M, W, X, D, self._outputs.ctypes.data, L, turned, found)
        return found

    @staticmethod
    def _parts(M: int) -> tuple[int, int]:
        """Pairs of a part, and how many parts there are."""
        wide = padded(M)
        size = max(PART, -(-wide // (MOST_PARTS * WIDE)) * WIDE)
        return size, -(-wide // size)

    def _run(self, what: str, M: int, *given: FloatArray | float | None) -> None:
        layout, wide = self.layout, padded(M)
        size, parts = self._parts(M)
        W, X = given[:2]
        assert isinstance(W, np.ndarray) and isinstance(X, np.ndarray)
        if X.shape != (layout.rows[-1], wide):
            raise TypeError(f"activities are {(layout.rows[-1], wide)} numbers, got {X.shape}")
        numbers = (len(layout.network.nodes), layout.rows[-1], W.size, wide, M, layout.widest)
        sizes = np.array(numbers, dtype=np.int64)
        fixed = [self._tables.ctypes.data, sizes.ctypes.data, *map(_passed, given)]
        call: Callable[..., bool] = getattr(self._module, f"run_{what}")
        if self._pool is None or parts == 1:
            done = [call(*fixed, size, 0, parts)]
        else:
            edges = [parts * k // self.threads for k in range(self.threads + 1)]
            shares = list(pairwise(edges))
            others = [self._pool.submit(call, *fixed, size, *one) for one in shares[1:]]
            done = [call(*fixed, size, *shares[0]), *(one.result() for one in others)]
        if not all(done):
            raise MemoryError(f"no memory for the {what} pass of the network")


def _passed(one: FloatArray | float | None) -> float:
    if one is None:
        return 0
    if not isinstance(one, np.ndarray):
        return one
    if one.dtype != np.float64 or not one.flags.c_contiguous:
        raise TypeError("passes take C-contiguous float64 arrays only")
    address: int = one.__array_interface__["data"][0]
    if one.ndim == 2 and address % (8 * WIDE):
        raise TypeError("passes take rows of pairs from `room` only, which vectors are loaded from")
    return address


def _summed(parts: FloatArray) -> FloatArray:
    """Add up the parts, in their order."""
    total = parts[0].copy()
    for one in parts[1:]:
        total += one
    return np.asarray(total)
