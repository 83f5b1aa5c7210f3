"""Order conditions of a Runge-Kutta tableau, one for each rooted tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from math import prod

from symda.discretise.surd import Number
from symda.discretise.trees import Tree, density, trees

#: The tree of one node.
LEAF: Tree = (0, ())


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
        branches = [weights(branch, other[kind]) for branch in tree[1]]
        along = moved_by(other[kind])
        return tuple(
            _product(_sum(A[i][j] * branch[j] for j in along) for branch in branches)
            for i in stages
        )

    for kind in ("q", "p") if parts else ("",):
        for tree in trees(order, 1):
            values = weights(tree, kind)
            name = " ".join(part for part in ("sum b", _name(tree), kind and f"of {kind}") if part)
            yield name, _sum(b[i] * values[i] for i in moved_by(kind)), Fraction(1, density(tree))


def _sum(values: Iterator[Number]) -> Number:
    return sum(values, Fraction(0))


def _product(values: Iterator[Number]) -> Number:
    return prod(values, start=Fraction(1))


def _name(tree: Tree) -> str:
    """Write the elementary weight: c^2 A c for the tree with two leaves and a chain of two."""
    leaves = tree[1].count(LEAF)
    power = [f"c^{leaves}" if leaves > 1 else "c"] if leaves else []
    branches = [f"A {_name(branch)}" for branch in tree[1] if branch != LEAF]
    if len(branches) > 1 or (branches and leaves):
        branches = [f"({b})" if len(tree[1]) > 2 or len(branches) > 1 else b for b in branches]
    return " ".join([*power, *branches])
