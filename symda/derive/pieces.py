"""Take apart what is singular in one of its cases, so that each case has its own derivative.

sqrt(Max(h, 0)) is 0 for negative h, and so is its derivative. But the chain rule has the root's
infinite slope at 0 times the maximum's slope 0 there, which is nan. Written as a Piecewise of
sqrt(h) and 0, every derivative is taken on the side that holds.
"""

from __future__ import annotations

import sympy as sp
from sympy import Basic, Expr

#: Functions with cases.
PIECES = (sp.Max, sp.Min, sp.Piecewise, sp.Heaviside)

#: Larger singular expressions than with so many cases stay as they are.
MOST_PIECES = 4

#: The square of its inverse is no double, so the second derivative of a logarithm is none.
_TINY = 1e-100


def by_cases(node: Expr, argument: Expr) -> Expr | None:
    """Write a node as a Piecewise by the first piece in its singular argument.

    Parameters
    ----------
    node : Expr
        A root, power, logarithm or inverse function.
    argument : Expr
        That argument of it where it is singular.

    Returns
    -------
    Piecewise or None
        None if there is no piece, or too many, or if one case is not finite or
        not real (SymPy does not see that it never holds).
    """
    pieces = argument.atoms(*PIECES)
    if not pieces or len(pieces) > MOST_PIECES:
        return None
    # The innermost first: what is left are cases of larger pieces without it.
    piece = min(pieces, key=lambda one: (one.count_ops(), one.sort_key()))
    cases = [(node.xreplace({piece: value}), holds) for value, holds in cases_of(piece)]
    if any(value.has(sp.I, sp.zoo, sp.nan, sp.oo, -sp.oo) for value, _ in cases):
        return None
    return sp.Piecewise(*cases, evaluate=False)


def cases_of(piece: Expr) -> list[tuple[Expr, Basic]]:
    """Return (value, condition) of each case; where two are equal, a constant one is taken."""
    if isinstance(piece, sp.Piecewise):
        return [(pair.expr, pair.cond) for pair in piece.args]
    if isinstance(piece, sp.Heaviside):
        x, middle = piece.args
        return [(sp.S.Zero, x < 0), (middle, sp.Eq(x, 0)), (sp.S.One, sp.true)]
    first, *others = sorted(piece.args, key=lambda one: (one.is_number, one.sort_key()))
    rest = piece.func(*others)
    return [(first, first > rest if isinstance(piece, sp.Max) else first < rest), (rest, sp.true)]


def may_vanish(argument: Expr) -> bool:
    """Tell whether a root or power may be singular at a value of its argument."""
    return not argument.is_positive or has_tiny(argument)


def has_tiny(argument: Expr) -> bool:
    """Tell whether an argument has a number whose inverse square overflows, as Max(x, 1e-300)."""
    return any(0 < abs(number) < _TINY for number in argument.atoms(sp.Number))


def switched(product: Expr) -> Expr | None:
    """Return the first factor of a product that is exactly 0 in one of its cases."""
    for factor in product.args:
        if isinstance(factor, sp.Heaviside | sp.Piecewise) and any(
            value.is_zero for value, _ in cases_of(factor)
        ):
            return factor
    return None
