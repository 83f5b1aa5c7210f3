"""Butcher's rooted trees: plain ones, and with nodes of two colours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod
from typing import TypeAlias

#: Colour of the root (which tableau its slope is weighed by), and what grows on it.
Tree: TypeAlias = "tuple[int, tuple[Tree, ...]]"


@cache
def trees(order: int, colours: int, *, in_turn: bool = False) -> tuple[Tree, ...]:
    """Return the rooted trees with `order` nodes, each node of one of `colours` colours.

    With `in_turn` neighbours are of different colours.

    >>> [len(trees(n, 1)) for n in range(1, 9)]
    [1, 1, 2, 4, 9, 20, 48, 115]
    """

    def branches(colour: int) -> list[Tree]:
        known = [tree for n in range(1, order) for tree in trees(n, colours, in_turn=in_turn)]
        return [tree for tree in known if not in_turn or tree[0] != colour]

    def grow(known: list[Tree], left: int, highest: int) -> Iterator[tuple[Tree, ...]]:
        """Yield the multisets of the first `highest` trees with `left` nodes together."""
        if left == 0:
            yield ()
        for index in range(highest):
            size = nodes_of(known[index])
            if size <= left:
                for rest in grow(known, left - size, index + 1):
                    yield (known[index], *rest)

    return tuple(
        (colour, forest)
        for colour in range(colours)
        for known in [branches(colour)]
        for forest in grow(known, order - 1, len(known))
    )


@cache
def nodes_of(tree: Tree) -> int:
    """Return the number of nodes."""
    return 1 + sum(nodes_of(child) for child in tree[1])


@cache
def density(tree: Tree) -> int:
    """Return gamma: the condition of a tree is that its weight is 1 / gamma."""
    return nodes_of(tree) * prod(density(child) for child in tree[1])
