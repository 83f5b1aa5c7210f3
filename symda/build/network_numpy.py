"""The passes of a network by NumPy, where there is no compiler."""

from __future__ import annotations

import numpy as np

from symda.build.network_layout import Layout
from symda.build.serial import functions_of
from symda.types import FloatArray


class NumpyPasses:
    """The same by NumPy and CasADi's interpreter; the emitted code is compared with it."""

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
        X[:, M:] = 0.0

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
        T[:, M:] = 0.0

    def adjoint(
        self, W: FloatArray, X: FloatArray, D: FloatArray, V: FloatArray, M: int, *, weights: bool
    ) -> FloatArray | None:
        """See `Passes.adjoint`."""
        G = np.zeros(W.size) if weights else None
        for n in reversed(range(len(self.layout.network.nodes))):
            for t, slopes in self._terms(n):
                self._send(W, X, n, t, D[slopes] * V[self._rows(n)], V, G)
        V[:, M:] = 0.0
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
        """Return derivatives (rows, L, pairs) of the outputs by each state."""
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
        T = np.zeros_like(X)
        self.tangent(W, X, D, dW, T, M)
        outputs, L = self.layout.outputs, self.layout.outputs.size
        V = np.zeros_like(X)
        V[outputs] = np.einsum("abm,bm->am", inverse.reshape(L, L, -1), T[outputs])
        found = self.adjoint(W, X, D, V, M, weights=True)
        assert found is not None
        return found

    def curvature(
        self, W: FloatArray, X: FloatArray, D: FloatArray, inverse: FloatArray, M: int
    ) -> FloatArray:
        """See `Passes.curvature`."""
        P = self._outputs(W, D)[:, :, :M]
        each = np.einsum("ram,mab,rbm->rm", P, inverse, P)
        found = np.zeros((len(D), X.shape[1]))
        for n in range(len(self.layout.network.nodes)):
            for _, slopes in self._terms(n):
                found[slopes, :M] = D[slopes, :M] ** 2 * each[self._rows(n)]
        return found
