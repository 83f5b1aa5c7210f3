"""The order of a method: one condition for each rooted tree."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from itertools import count
from math import prod
from operator import mul
from typing import NamedTuple, TypeAlias

from symda.discretise.surd import CLOSE, DIGITS, Matrix, Row, decimal
from symda.discretise.trees import Tree, density, trees
from symda.errors import OptionError

#: (A, b) of a method; of a partitioned one that of q, then that of p.
Tableaux: TypeAlias = tuple[tuple[Matrix, Row], ...]
#: What is off by less is so by the rounding of coefficients that were given as floats.
ROUNDED = 1e-13
ADVICE = "coefficients given as floats are rounded, write fractions as texts, '2/3'"


class Condition(NamedTuple):
    """The condition of a tree: what a tableau gives, and what it should."""

    name: str
    got: Decimal
    needed: Fraction

    @property
    def off(self) -> float:
        """How far it is from holding."""
        return float(abs(self.got - decimal(self.needed)))

    def __str__(self) -> str:
        off = f"off by {self.off:.3g}; {ADVICE}"
        found = off if self.off < ROUNDED else f"{float(self.got):.6g}"
        return f"{self.name} must be {self.needed} and is {found}"


@cache
def order_of(tableaux: Tableaux, *, separable: bool = False) -> tuple[int, Condition]:
    """Return the order of a method, and a condition of the next order that does not hold.

    Parameters
    ----------
    tableaux : tuple of (A, b)
        Row sums of A are the abscissae.
    separable : bool
        Whether what q moves by depends on p only, and what p moves by on q only, so that the
        nodes of a tree are of q and of p in turn.

    References
    ----------
    E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration, theorems III.1.5 and
    III.2.5 with section III.2.1 on trees of two kinds.
    """
    stages = range(len(tableaux[0][1]))
    letters = ("_q", "_p") if len(tableaux) > 1 else ("",)
    lines = [
        [[(j, decimal(a)) for j, a in enumerate(line) if a] for line in A] for A, _ in tableaux
    ]
    ends = [[decimal(weight) for weight in b] for _, b in tableaux]

    @cache
    def along(tree: Tree) -> list[Decimal]:
        below = weights(tree)
        return [sum((a * below[j] for j, a in line), Decimal(0)) for line in lines[tree[0]]]

    def weights(tree: Tree) -> list[Decimal]:
        branches = [along(branch) for branch in tree[1]]
        return [prod((branch[i] for branch in branches), start=Decimal(1)) for i in stages]

    with localcontext(DIGITS):
        for order in count(1):
            for tree in trees(order, len(tableaux), in_turn=separable):
                got = sum(map(mul, ends[tree[0]], weights(tree)), Decimal(0))
                if abs(got - 1 / Decimal(density(tree))) > CLOSE:
                    name = " ".join(["sum", f"b{letters[tree[0]]}", *_factors(tree, letters)])
                    return order - 1, Condition(name, got, Fraction(1, density(tree)))
    raise AssertionError("no method of finitely many stages is of every order")


def checked_order(
    method: str, declared: int | None, tableaux: Tableaux, *, separable: bool = False
) -> int:
    """Return the order of a method, which must be the declared one if there is one.

    Raises
    ------
    OptionError
        If it is another, there is none at all, or rounding has made it what it is.
    """
    order, missed = order_of(tableaux, separable=separable)
    if declared is not None and declared != order:
        too_high = isinstance(declared, int) and declared > order
        why = f": for order {order + 1} {missed}" if too_high else "; declare that"
        raise OptionError(
            f"{method} is declared of order {declared!r}, but is of order {order}{why}."
        )
    if order == 0 or (declared is None and missed.off < ROUNDED):
        what = f"of order {order} by rounding only" if order else "no method"
        raise OptionError(f"{method} is {what}: {missed}.")
    return order


def by_part(A: Sequence[Row], b: Row, parts: Sequence[str]) -> Tableaux:
    """Return the tableaux of q and of p of stages that each move one of the two."""

    def of(kind: str, line: Row) -> Row:
        return tuple(
            value if part == kind else Fraction(0) for value, part in zip(line, parts, strict=True)
        )

    return tuple((tuple(of(kind, line) for line in A), of(kind, b)) for kind in "qp")


def _factors(tree: Tree, letters: Sequence[str]) -> list[str]:
    """Write the elementary weight: c^2, A c for the tree with two leaves and a chain of two."""
    leaves = [child[0] for child in tree[1] if not child[1]]
    branches = [child for child in tree[1] if child[1]]
    factors = [
        f"c{letter}" + (f"^{leaves.count(colour)}" if leaves.count(colour) > 1 else "")
        for colour, letter in enumerate(letters)
        if colour in leaves
    ]
    for branch in branches:
        word = " ".join([f"A{letters[branch[0]]}", *_factors(branch, letters)])
        factors.append(f"({word})" if len(tree[1]) > 2 or len(branches) > 1 else word)
    return factors
