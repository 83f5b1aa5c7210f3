"""Weights by neuron: what each neuron receives by is a block of the weights' Hessian."""

from __future__ import annotations

import numpy as np

from symda.declare.network import Network
from symda.solve.network.problem import NetworkProblem
from symda.types import FloatArray, IntArray

#: Where a neuron receives by more weights than that, each of them is a block.
MOST = 256


def weights_of_neurons(network: Network) -> list[IntArray]:
    """Return weights that are received by together, (neurons, fan in) for each group of blocks.

    Blocks that meet in a term, with its biases, are one group.
    """
    groups: list[set[int]] = []
    for node in network.nodes:
        for term in node.terms:
            met = {one.block for one in term.connections}
            met |= set() if term.bias is None else {term.bias}
            for other in [one for one in groups if one & met]:
                groups.remove(other)
                met |= other
            groups.append(met)
    sizes = [one.size for one in network.blocks]
    first = np.concatenate([[0], np.cumsum(sizes)])
    numbers = [
        np.arange(first[k], first[k + 1]).reshape(one.rows, one.columns)
        for k, one in enumerate(network.blocks)
    ]
    return [np.concatenate([numbers[k] for k in sorted(one)], axis=1) for one in groups]


class Neurons:
    """Blocks of a Hessian of the weights, one for each neuron, inverted.

    Parameters
    ----------
    weight : (slopes, pairs) array
        Curvature by what each neuron of each term receives.
    held : (weights,) array
        What is added to the diagonal.
    share : float
        Share of a block's trace that is added as well.
    """

    def __init__(
        self,
        problem: NetworkProblem,
        X: FloatArray,
        weight: FloatArray,
        held: FloatArray,
        share: float = 0.0,
    ) -> None:
        self.groups = weights_of_neurons(problem.network)
        self.inverses: list[FloatArray] = []
        for index in self.groups:
            total = self._gram(problem, index, X[:, : problem.M], weight[:, : problem.M])
            if total.ndim == 2:
                more = share * total.sum(axis=1, keepdims=True)
                self.inverses.append(1.0 / (total + more + held[index]))
                continue
            k = np.arange(index.shape[1])
            more = share * np.trace(total, axis1=1, axis2=2)[:, None]
            total[:, k, k] += more + held[index]
            self.inverses.append(np.asarray(np.linalg.inv(total), dtype=np.float64))

    @staticmethod
    def _gram(p: NetworkProblem, index: IntArray, X: FloatArray, weight: FloatArray) -> FloatArray:
        """Return sum over pairs of weight x x^T of each neuron; its diagonal where it is large."""
        first, places = index[0], p.layout.places
        rows, fan = index.shape
        total = np.zeros((rows, fan, fan) if fan <= MOST else (rows, fan))
        term_number = 0
        for node in p.network.nodes:
            for term in node.terms:
                here = slice(p.layout.slopes[term_number], p.layout.slopes[term_number + 1])
                term_number += 1
                parts = [
                    (
                        places[one.block],
                        X[p.layout.rows[one.source] : p.layout.rows[one.source + 1]],
                    )
                    for one in term.connections
                ]
                if term.bias is not None:
                    parts.append((places[term.bias], np.ones((1, X.shape[1]))))
                columns = {place: np.flatnonzero(first == place) for place, _ in parts}
                if not all(found.size for found in columns.values()):
                    continue
                x = np.zeros((fan, X.shape[1]))
                for place, received in parts:
                    k = int(columns[place][0])
                    x[k : k + len(received)] += received
                if fan > MOST:
                    total += weight[here] @ (x * x).T
                    continue
                for i, own in enumerate(weight[here]):
                    total[i] += (x * own) @ x.T
        return total

    def __call__(self, r: FloatArray) -> FloatArray:
        """Multiply weights by the inverse."""
        z = np.empty_like(r)
        for index, inverse in zip(self.groups, self.inverses, strict=True):
            own = r[index]
            z[index] = (
                inverse * own if inverse.ndim == 2 else np.matmul(inverse, own[:, :, None])[:, :, 0]
            )
        return z
