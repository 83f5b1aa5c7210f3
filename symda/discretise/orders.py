"""Order conditions of a Runge-Kutta tableau, one for each rooted tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from math import prod

from symda.discretise.surd import Number

#: A rooted tree is the tuple of the trees that grow out of its root.
Tree = tuple["Tree", ...]
LEAF: Tree = ()


@cache
def trees(order: int) -> tuple[Tree, ...]:
    """Return the rooted trees of `order` nodes: 1, 1, 2, 4, 9, 20, 48 of them.

    >>> [len(trees(order)) for order in range(1, 8)]
    [1, 1, 2, 4, 9, 20, 48]
    """
    return tuple(_forests(order - 1, order - 1))


def _forests(nodes: int, largest: int) -> Iterator[Tree]:
    """Yield collections of trees of at most `largest` nodes each, `nodes` together."""
    if nodes == 0:
        yield ()
    elif largest == 1:
        yield (LEAF,) * nodes
    elif largest > 1:
        for count in range(nodes // largest + 1):
            for rest in _forests(nodes - count * largest, largest - 1):
                for tall in combinations_with_replacement(trees(largest), count):
                    yield rest + tall


@cache
def density(tree: Tree) -> int:
    """Return gamma of a tree: its number of nodes times the densities of its branches."""
    return size(tree) * prod(density(branch) for branch in tree)


@cache
def size(tree: Tree) -> int:
    """Return the number of nodes."""
    return 1 + sum(size(branch) for branch in tree)


def conditions(
    order: int,
    A: Sequence[Sequence[Number]],
    b: Sequence[Number],
    parts: Sequence[str] = (),
) -> Iterator[tuple[str, Number, Fraction]]:
    """Yield (name, what the tableau gives, what it should be) for each condition of one order.

    Parameters
    ----------
    order : int
    A, b : (s, s), (s,)
        The tableau; row sums of A are the abscissae.
    parts : (s,), optional
        For each stage the part of the states that its slope moves, "q" or "p", each of which
        depends on the other alone: then the nodes of a tree are of alternating kinds.

    References
    ----------
    E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration, theorems III.1.5 and
    III.2.5 with section III.2.1 on trees of two kinds.
    """
    stages = range(len(b))
    other = {"": "", "q": "p", "p": "q"}

    def moved_by(kind: str) -> list[int]:
        return [j for j in stages if not kind or parts[j] == kind]

    @cache
    def weights(tree: Tree, kind: str) -> tuple[Number, ...]:
        branches = [weights(branch, other[kind]) for branch in tree]
        along = moved_by(other[kind])
        return tuple(
            _product(_sum(A[i][j] * branch[j] for j in along) for branch in branches)
            for i in stages
        )

    for kind in ("q", "p") if parts else ("",):
        for tree in trees(order):
            values = weights(tree, kind)
            name = " ".join(part for part in ("sum b", _name(tree), kind and f"of {kind}") if part)
            yield name, _sum(b[i] * values[i] for i in moved_by(kind)), Fraction(1, density(tree))


def _sum(values: Iterator[Number]) -> Number:
    return sum(values, Fraction(0))


def _product(values: Iterator[Number]) -> Number:
    return prod(values, start=Fraction(1))


def _name(tree: Tree) -> str:
    """Write the elementary weight: c^2 A c for the tree with two leaves and a chain of two."""
    leaves = tree.count(LEAF)
    power = [f"c^{leaves}" if leaves > 1 else "c"] if leaves else []
    branches = [f"A {_name(branch)}" for branch in tree if branch != LEAF]
    if len(branches) > 1 or (branches and leaves):
        branches = [f"({b})" if len(tree) > 2 or len(branches) > 1 else b for b in branches]
    return " ".join([*power, *branches])
