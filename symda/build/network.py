"""The passes of a network over its pairs: compiled, or by NumPy where there is no compiler."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from symda.build.compile import build
from symda.build.load import load
from symda.build.serial import functions_of, serial
from symda.build.toolchain import NoCompiler
from symda.declare.network import Network
from symda.derive.activation import activation_function
from symda.emit.network import emit_network
from symda.lower.network import lower_network
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.toolchain import Options
    from symda.emit import Source

#: Pairs are filled up to a multiple of it, the most lanes there are.
WIDE = 8
#: Pairs of a part: what is summed over pairs is summed in parts, whoever computes them.
PART = 64
#: Most parts; where there are more pairs, parts are larger.
MOST_PARTS = 64


@dataclass(frozen=True, eq=False)
class Layout:
    """Where a network's numbers stand: rows of neurons, rows of slopes, places of weights.

    Attributes
    ----------
    rows, slopes : tuple of int
        First row of each node among the activities, and of each term among the slopes.
    places : tuple of int
        First weight of each block.
    inputs, outputs : (.,) arrays of int
        Rows of the measured neurons, and of all neurons of the inputs, in `every`.
    """

    network: Network
    rows: tuple[int, ...]
    slopes: tuple[int, ...]
    places: tuple[int, ...]
    inputs: IntArray
    every: IntArray
    outputs: IntArray

    @classmethod
    def of(cls, network: Network, L_in: int, L_out: int) -> Layout:
        """Lay a network out of which the first neurons of inputs and outputs are measured."""
        rows = np.concatenate([[0], np.cumsum(network.widths)])
        terms = [n.width for n in network.nodes for _ in n.terms]
        places = np.concatenate([[0], np.cumsum([b.size for b in network.blocks])])

        def first(nodes: tuple[int, ...], count: int | None) -> IntArray:
            some = [network.widths[n] if count is None else count for n in nodes]
            found = [np.arange(rows[n], rows[n] + k) for n, k in zip(nodes, some, strict=True)]
            return np.concatenate(found).astype(np.int64)

        return cls(
            network,
            tuple(map(int, rows)),
            tuple(map(int, np.concatenate([[0], np.cumsum(terms)]))),
            tuple(map(int, places)),
            first(network.inputs, L_in),
            first(network.inputs, None),
            first(network.outputs, L_out),
        )

    @cached_property
    def tables(self) -> tuple[IntArray, IntArray, IntArray]:
        """Nodes, terms and connections as the emitted code reads them, int32."""
        nodes, terms, connections = [], [], []
        for row, node in zip(self.rows, self.network.nodes, strict=False):
            nodes.append((row, node.width, len(terms), len(node.terms)))
            for term in node.terms:
                bias = -1 if term.bias is None else self.places[term.bias]
                given = (len(connections), len(term.connections), bias)
                terms.append((term.activation, self.slopes[len(terms)], *given))
                for one in term.connections:
                    width = self.network.widths[one.source]
                    connections.append((self.rows[one.source], width, self.places[one.block]))
        made = (np.array(one, dtype=np.int32) for one in (nodes, terms, connections))
        return tuple(made)  # type: ignore[return-value]  # three of them

    @property
    def widest(self) -> int:
        """Most neurons of a node."""
        return max(self.network.widths)

    @property
    def terms(self) -> int:
        """Most terms of a node."""
        return max(len(node.terms) for node in self.network.nodes)


def padded(M: int) -> int:
    """Return the pairs of a row, those included that fill the last vector."""
    return -(-M // WIDE) * WIDE


def room(rows: int, columns: int) -> FloatArray:
    """Return zeros at an address that vectors may be loaded from."""
    raw = np.zeros(rows * columns + WIDE)
    skip = (-raw.__array_interface__["data"][0] // 8) % WIDE
    return raw[skip : skip + rows * columns].reshape(rows, columns)


class Passes(Protocol):
    """What is computed of a network and M pairs; arrays are (rows, pairs) with `padded` pairs.

    `W` (weights,) are the weights, `X` the activities, `D` the slopes of the terms.
    """

    kind: str
    layout: Layout

    def forward(self, W: FloatArray, X: FloatArray, D: FloatArray | None, M: int) -> None:
        """X: inputs and errors of the other nodes, then the activities; D the slopes."""

    def linearise(self, W: FloatArray, X: FloatArray, D: FloatArray, R: FloatArray, M: int) -> None:
        """R: residuals x - sum of terms, 0 of inputs and where there is no pair; D the slopes."""

    def tangent(
        self,
        W: FloatArray,
        X: FloatArray,
        D: FloatArray,
        dW: FloatArray | None,
        T: FloatArray,
        M: int,
    ) -> None:
        """T: sources, and changes of the inputs; then dx = D (W dx + dW x) + source."""

    def adjoint(
        self, W: FloatArray, X: FloatArray, D: FloatArray, V: FloatArray, M: int, *, weights: bool
    ) -> FloatArray | None:
        """V: what is sent back to a node; then the sums v + W^T D v. Of `weights`: sum D v x^T."""

    def gradient(
        self, W: FloatArray, X: FloatArray, cf: float, GX: FloatArray, M: int
    ) -> tuple[float, FloatArray]:
        """cf/2 sum r^2, and its gradient by W; that by X is added to GX."""

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
        """Covariance (M, L, L) of the outputs of each pair, the network linearised.

        Errors of nodes have the variance `noise`, inputs `spread` (rows, pairs), weights `freedom`.
        """

    def curvature(
        self, W: FloatArray, X: FloatArray, D: FloatArray, inverse: FloatArray, M: int
    ) -> FloatArray:
        """Diagonal of sum J^T inverse J by the weights, J the outputs' slopes, inverse (M, L, L)."""


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
        G = np.zeros((self._parts(M)[1], W.size)) if weights else None
        self._run("adjoint", M, W, X, D, V, G)
        return None if G is None else _summed(G)

    def gradient(
        self, W: FloatArray, X: FloatArray, cf: float, GX: FloatArray, M: int
    ) -> tuple[float, FloatArray]:
        """See `Passes.gradient`."""
        parts = self._parts(M)[1]
        G, value = np.zeros((parts, W.size)), np.zeros(parts)
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

    def curvature(
        self, W: FloatArray, X: FloatArray, D: FloatArray, inverse: FloatArray, M: int
    ) -> FloatArray:
        """See `Passes.curvature`."""
        L = self._outputs.size
        turned = room(L * L, X.shape[1])
        turned[:, :M] = inverse.reshape(M, L * L).T
        diagonal = np.zeros((self._parts(M)[1], W.size))
        self._run("curvature", M, W, X, D, self._outputs.ctypes.data, L, turned, diagonal)
        return _summed(diagonal)

    @staticmethod
    def _parts(M: int) -> tuple[int, int]:
        """Pairs of a part, and how many parts there are."""
        wide = padded(M)
        size = max(PART, -(-wide // (MOST_PARTS * WIDE)) * WIDE)
        return size, -(-wide // size)

    def _run(self, what: str, M: int, *given: FloatArray | float | None) -> None:
        layout, wide = self.layout, padded(M)
        size, parts = self._parts(M)
        W = given[0]
        assert isinstance(W, np.ndarray)
        numbers = (len(layout.network.nodes), layout.rows[-1], W.size, wide, M, layout.widest)
        sizes = np.array(numbers, dtype=np.int64)
        fixed = [self._tables.ctypes.data, sizes.ctypes.data, *map(_passed, given)]
        call: Callable[..., bool] = getattr(self._module, f"run_{what}")
        if self._pool is None or parts == 1:
            done = [call(*fixed, size, 0, parts)]
        else:
            edges = [parts * k // self.threads for k in range(self.threads + 1)]
            shares = list(zip(edges[:-1], edges[1:], strict=True))
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
    return address


def _summed(parts: FloatArray) -> FloatArray:
    """The sum over the parts, in their order."""
    total = parts[0].copy()
    for one in parts[1:]:
        total += one
    return np.asarray(total)


class NumpyPasses:
    """The same by NumPy and CasADi's virtual machine, and what the emitted code is compared with."""

    kind = "virtual machine"

    def __init__(self, functions: tuple[tuple[str, str], ...], layout: Layout) -> None:
        self.layout = layout
        made = functions_of(functions)
        self._activations = [made[f"activation_{k}"] for k in range(len(made))]

    def _rows(self, node: int) -> slice:
        return slice(self.layout.rows[node], self.layout.rows[node + 1])

    def _terms(self, node: int) -> list[tuple[int, slice]]:
        """Numbers of a node's terms within it, and the rows of their slopes."""
        first = sum(len(one.terms) for one in self.layout.network.nodes[:node])
        slopes = self.layout.slopes
        count = len(self.layout.network.nodes[node].terms)
        return [(t, slice(slopes[first + t], slopes[first + t + 1])) for t in range(count)]

    def _matrix(self, W: FloatArray, block: int) -> FloatArray:
        one, place = self.layout.network.blocks[block], self.layout.places[block]
        return W[place : place + one.size].reshape(one.rows, one.columns)

    def _received(self, W: FloatArray, X: FloatArray, node: int, t: int) -> FloatArray:
        term = self.layout.network.nodes[node].terms[t]
        z = np.zeros((self.layout.network.widths[node], X.shape[1]))
        for one in term.connections:
            z += self._matrix(W, one.block) @ X[self._rows(one.source)]
        return z

    def _bias(self, W: FloatArray, node: int, t: int) -> FloatArray | float:
        bias = self.layout.network.nodes[node].terms[t].bias
        return 0.0 if bias is None else self._matrix(W, bias)

    def _active(self, node: int, t: int, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        kind = self.layout.network.nodes[node].terms[t].activation
        g, slope = self._activations[kind](z.reshape(1, -1))
        return np.array(g).reshape(z.shape), np.array(slope).reshape(z.shape)

    def forward(self, W: FloatArray, X: FloatArray, D: FloatArray | None, M: int) -> None:
        """See `Passes.forward`."""
        for n in range(len(self.layout.network.nodes)):
            for t, slopes in self._terms(n):
                z = self._received(W, X, n, t) + self._bias(W, n, t)
                g, slope = self._active(n, t, z)
                X[self._rows(n)] += g
                if D is not None:
                    D[slopes] = slope

    def linearise(self, W: FloatArray, X: FloatArray, D: FloatArray, R: FloatArray, M: int) -> None:
        """See `Passes.linearise`."""
        R[:] = X
        R[self.layout.every] = 0.0
        for n in range(len(self.layout.network.nodes)):
            for t, slopes in self._terms(n):
                z = self._received(W, X, n, t) + self._bias(W, n, t)
                g, D[slopes] = self._active(n, t, z)
                R[self._rows(n)] -= g
        R[:, M:] = 0.0

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
        for n in range(len(self.layout.network.nodes)):
            for t, slopes in self._terms(n):
                z = self._received(W, T, n, t)
                if dW is not None:
                    z += self._received(dW, X, n, t) + self._bias(dW, n, t)
                T[self._rows(n)] += D[slopes] * z

    def adjoint(
        self, W: FloatArray, X: FloatArray, D: FloatArray, V: FloatArray, M: int, *, weights: bool
    ) -> FloatArray | None:
        """See `Passes.adjoint`."""
        G = np.zeros(W.size) if weights else None
        for n in reversed(range(len(self.layout.network.nodes))):
            for t, slopes in self._terms(n):
                self._send(W, X, n, t, D[slopes] * V[self._rows(n)], V, G)
        return G

    def _send(
        self,
        W: FloatArray,
        X: FloatArray,
        node: int,
        t: int,
        s: FloatArray,
        V: FloatArray,
        G: FloatArray | None,
    ) -> None:
        term = self.layout.network.nodes[node].terms[t]
        for one in term.connections:
            V[self._rows(one.source)] += self._matrix(W, one.block).T @ s
            if G is not None:
                self._matrix(G, one.block)[:] += s @ X[self._rows(one.source)].T
        if G is not None and term.bias is not None:
            self._matrix(G, term.bias)[:] += s.sum(axis=1, keepdims=True)

    def gradient(
        self, W: FloatArray, X: FloatArray, cf: float, GX: FloatArray, M: int
    ) -> tuple[float, FloatArray]:
        """See `Passes.gradient`."""
        D, R = np.empty((self.layout.slopes[-1], X.shape[1])), np.empty_like(X)
        self.linearise(W, X, D, R, M)
        GX += cf * R
        G = np.zeros(W.size)
        for n in range(len(self.layout.network.nodes)):
            for t, slopes in self._terms(n):
                self._send(W, X, n, t, -cf * D[slopes] * R[self._rows(n)], GX, G)
        return 0.5 * cf * float(np.vdot(R, R)), G

    def _outputs(self, W: FloatArray, D: FloatArray) -> FloatArray:
        """Derivatives (rows, L, pairs) of the outputs by each state."""
        layout = self.layout
        L = layout.outputs.size
        P = np.zeros((layout.rows[-1], L, D.shape[1]))
        P[layout.outputs, np.arange(L)] = 1.0
        for n in reversed(range(len(layout.network.nodes))):
            for t, slopes in self._terms(n):
                s = D[slopes][:, None] * P[self._rows(n)]
                for one in layout.network.nodes[n].terms[t].connections:
                    turned = self._matrix(W, one.block).T
                    P[self._rows(one.source)] += np.einsum("ji,iam->jam", turned, s)
        return P

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
        P = self._outputs(W, D)[:, :, :M]
        weight = np.full((self.layout.rows[-1], M), noise)
        weight[self.layout.every] = spread[self.layout.every, :M]
        for n in range(len(self.layout.network.nodes)):
            for t, slopes in self._terms(n):
                if freedom is not None:
                    free = self._received(freedom, X[:, :M] ** 2, n, t)
                    free += self._bias(freedom, n, t)
                    weight[self._rows(n)] += D[slopes, :M] ** 2 * free
        found: FloatArray = np.einsum("ram,rm,rbm->mab", P, weight, P)
        return found

    def curvature(
        self, W: FloatArray, X: FloatArray, D: FloatArray, inverse: FloatArray, M: int
    ) -> FloatArray:
        """See `Passes.curvature`."""
        P = self._outputs(W, D)[:, :, :M]
        each = np.einsum("ram,mab,rbm->rm", P, inverse, P)
        diagonal, nothing = np.zeros(W.size), np.zeros_like(X[:, :M])
        for n in range(len(self.layout.network.nodes)):
            for t, slopes in self._terms(n):
                weighed = D[slopes, :M] ** 2 * each[self._rows(n)]
                self._send(diagonal * 0.0, X[:, :M] ** 2, n, t, weighed, nothing, diagonal)
        return diagonal
