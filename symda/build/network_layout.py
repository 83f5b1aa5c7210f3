"""Where the numbers of a network stand, and what is asked of its passes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from symda.declare.network import Network
from symda.types import FloatArray, IntArray

#: Pairs are filled up to a multiple of it, the most lanes there are.
WIDE = 8


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
        nodes: list[tuple[int, ...]] = []
        terms: list[tuple[int, ...]] = []
        connections: list[tuple[int, ...]] = []
        for row, node in zip(self.rows, self.network.nodes, strict=False):
            nodes.append((row, node.width, len(terms), len(node.terms)))
            for term in node.terms:
                bias = -1 if term.bias is None else self.places[term.bias]
                given = (len(connections), len(term.connections), bias)
                terms.append((term.activation, self.slopes[len(terms)], *given))
                for one in term.connections:
                    width = self.network.widths[one.source]
                    connections.append((self.rows[one.source], width, self.places[one.block]))
        table = partial(np.array, dtype=np.int32)
        return table(nodes), table(terms), table(connections)

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


def dot(a: FloatArray, b: FloatArray) -> float:
    """Return the sum of products, not by BLAS, whose threads would change its last digit."""
    return float(np.einsum("i,i->", a.ravel(), b.ravel()))


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

        Errors of nodes have the variance `noise`, inputs `spread` (rows, pairs), weights `freedom`;
        each use of a weight counts as one of its own, which matters where weights are shared.
        """

    def normal(
        self,
        W: FloatArray,
        X: FloatArray,
        D: FloatArray,
        dW: FloatArray,
        inverse: FloatArray,
        M: int,
    ) -> FloatArray:
        """J^T inverse J dW (W,), J the outputs' slopes by the weights, inverse (L L, pairs)."""

    def curvature(
        self, W: FloatArray, X: FloatArray, D: FloatArray, inverse: FloatArray, M: int
    ) -> FloatArray:
        """Curvature (slopes, pairs) of e^T inverse e/2 by what each neuron receives in each term.

        With e the errors of a pair's outputs and inverse (M, L, L). That by two weights of a neuron
        is the sum over pairs of it times what they multiply.
        """
