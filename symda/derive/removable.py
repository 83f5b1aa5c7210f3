"""Recognise quotients and logarithms that have a limit where a state is 0, but no value as written.

1/(1 + K/x) is x/(x + K), with the value 0 and the slope 1/K at x = 0; x log(x/K) is 0 there, with
an infinite slope.
"""

from __future__ import annotations

import sympy as sp
from sympy import Basic, Expr

from symda.declare import State


def with_limits(expression: Basic) -> Basic:
    """Write out what has a limit where a state in a denominator or logarithm is 0.

    Parameters
    ----------
    expression : Basic
        An expression, or a condition of a Piecewise.

    Returns
    -------
    Basic
        Equal to `expression` wherever that is defined; the same object if nothing was found.
    """
    if not expression.args:
        return expression
    args = tuple(with_limits(argument) for argument in expression.args)
    changed = any(new is not old for new, old in zip(args, expression.args, strict=True))
    rebuilt = expression.func(*args) if changed else expression
    if rebuilt.is_Pow and rebuilt.exp.is_Integer and rebuilt.exp < 0 and rebuilt.base.is_Add:
        return _one_fraction(rebuilt)
    if rebuilt.is_Mul:
        return _logarithm_of_a_factor(rebuilt)
    return rebuilt


def _one_fraction(power: Expr) -> Expr:
    """Write (c + d/b)**-k as (b/(c b + d))**k."""
    terms = [sp.Mul(*(_turned(f) for f in sp.Mul.make_args(t))) for t in power.base.args]
    below: dict[Expr, Expr] = {}
    for term in terms:
        for factor in sp.Mul.make_args(term):
            base, exponent = factor.as_base_exp()
            if exponent.could_extract_minus_sign() and base.has(State):
                held = below.get(base, sp.S.Zero)
                larger = sp.Max(held, -exponent) if exponent.is_number else -exponent
                below[base] = larger
    if not below:
        return power
    denominator = sp.Mul(*(base**exponent for base, exponent in below.items()))
    numerator = sp.Add(*(term * denominator for term in terms))
    return denominator**-power.exp * numerator**power.exp


def _turned(factor: Expr) -> Expr:
    """Write (K/x)**n as (x/K)**(-n)."""
    base, exponent = factor.as_base_exp()
    turn = base.is_Mul and any(
        f.is_Pow and f.exp.is_negative and f.base.has(State) for f in base.args
    )
    return sp.Pow(1 / base, -exponent) if turn else factor


def _logarithm_of_a_factor(product: Expr) -> Expr:
    """Give b**p log(c b**s)**q, p > 0, its limit 0 where b = 0.

    There b**r with r below p has the same value, slope and curvature, which are 0 or infinite: one
    half below, or half of p where that is less.
    """
    for factor in product.args:
        logarithm, q = factor.as_base_exp()
        if not (isinstance(logarithm, sp.log) and q.is_Integer and q > 0):
            continue
        inside = dict(f.as_base_exp() for f in sp.Mul.make_args(logarithm.args[0]))
        for other in product.args:
            base, p = other.as_base_exp()
            s = inside.get(base)
            if s is None or not (base.has(State) and p.is_number and p > 0 and s.is_number):
                continue
            sign = (-1 if s > 0 else 1) ** int(q)
            limit = sign * product / factor / other * base ** (p - min(sp.Rational(1, 2), p / 2))
            return sp.Piecewise((limit, sp.Eq(base, 0)), (product, True), evaluate=False)
    return product
