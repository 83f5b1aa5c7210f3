"""Butcher's rooted trees: the order conditions of Runge-Kutta methods, plain and partitioned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from math import prod
from typing import TypeAlias

Row: TypeAlias = tuple[Decimal, ...]
Matrix: TypeAlias = tuple[Row, ...]
#: Colour of the root (which tableau its slope is weighed by), and what grows on it.
Tree: TypeAlias = "tuple[int, tuple[Tree, ...]]"


@cache
def trees(order: int, colours: int) -> tuple[Tree, ...]:
    """Return the rooted trees with `order` nodes, each node of one of `colours` colours.

    >>> [len(trees(n, 1)) for n in range(1, 9)]
    [1, 1, 2, 4, 9, 20, 48, 115]
    """
    return tuple(
        (colour, forest)
        for colour in range(colours)
        for forest in _forests(order - 1, order - 1, colours)
    )


def _forests(nodes: int, largest: int, colours: int) -> Iterator[tuple[Tree, ...]]:
    """Yield the multisets of trees with `nodes` nodes together, none larger than `largest`."""
    known = [tree for n in range(1, largest + 1) for tree in trees(n, colours)]

    def grow(left: int, highest: int) -> Iterator[tuple[Tree, ...]]:
        if left == 0:
            yield ()
        for index in range(highest):
            size = nodes_of(known[index])
            if size <= left:
                for rest in grow(left - size, index + 1):
                    yield (known[index], *rest)

    return grow(nodes, len(known))


@cache
def nodes_of(tree: Tree) -> int:
    """Return the number of nodes."""
    return 1 + sum(nodes_of(child) for child in tree[1])


@cache
def density(tree: Tree) -> int:
    """Return gamma: the condition of a tree is that its weight is 1 / gamma."""
    return nodes_of(tree) * prod(density(child) for child in tree[1])


def worst_residual(order: int, tableaux: Sequence[tuple[Matrix, Row]]) -> Decimal:
    """Return the largest |weight - 1 / gamma| of all trees of an order.

    Parameters
    ----------
    order : int
        Nodes of the trees.
    tableaux : sequence of (A, b)
        One for each colour: of a partitioned method, that of q and that of p.
    """
    stages = range(len(tableaux[0][1]))
    kept: dict[Tree, list[Decimal]] = {}

    def slopes(tree: Tree) -> list[Decimal]:
        """Elementary differentials of the stages' slopes, one number a stage."""
        if tree not in kept:
            arguments = [
                [sum((tableaux[child[0]][0][i][j] * below[j] for j in stages), Decimal(0))
                 for i in stages]
                for child in tree[1]
                for below in [slopes(child)]
            ]  # fmt: skip
            kept[tree] = [prod((a[i] for a in arguments), start=Decimal(1)) for i in stages]
        return kept[tree]

    return max(
        abs(
            sum((b * k for b, k in zip(tableaux[tree[0]][1], slopes(tree), strict=True)))
            - 1 / Decimal(density(tree))
        )
        for tree in trees(order, len(tableaux))
    )
