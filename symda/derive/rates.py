"""Recognise rate functions with a removable singularity, and write them with `exprel`."""

from __future__ import annotations

from itertools import permutations

import sympy as sp
from sympy import Basic, Expr

from symda.declare import exprel

#: Coefficients typed as decimals agree to this: (V + 40)/10 and 0.1*V + 4 differ by rounding.
_ROUNDING = 4e-15


def safe_rates(expression: Basic) -> Basic:
    """Write u/(exp(u) - 1) and (exp(u) - 1)/u as 1/exprel(u) and exprel(u).

    Exponentials beside them go into their argument: u exp(u)/(exp(u) - 1) is 1/exprel(-u).

    The numerator may be any multiple of u, with u linear in some symbol, so Hodgkin-Huxley rates
    such as (V - V1)/(1 - exp(-(V - V1)/dV)) are found, which lose all digits of their second
    derivative near V = V1 when evaluated as written.

    Parameters
    ----------
    expression : Basic
        An expression, or a condition of a Piecewise.

    Returns
    -------
    Basic
        Equal to `expression` wherever that is defined; the same object if nothing was found.
    """
    if not expression.args or not expression.has(sp.exp):
        return expression
    args = tuple(safe_rates(argument) for argument in expression.args)
    changed = any(new is not old for new, old in zip(args, expression.args, strict=True))
    rebuilt = expression.func(*args) if changed else expression
    return _balanced(_safe_product(rebuilt)) if rebuilt.is_Mul else rebuilt


def _safe_product(product: Expr) -> Expr:
    powers = [factor.as_base_exp() for factor in product.args if not isinstance(factor, sp.exp)]
    powers = [(base, exponent) for base, exponent in powers if exponent.is_Integer]
    for (base, exponent), (other, power) in permutations(powers, 2):
        # One of the two must stand above the line and the other below.
        matched = _exponential_minus_one(base) if exponent * power < 0 else None
        if matched is None:
            continue
        scale, u = matched
        ratio = _ratio(other, u)
        if ratio is not None:
            sign = 1 if exponent > 0 else -1
            # base = scale (exp(u) - 1) and other = ratio u.
            quotient = scale * exprel(other / ratio) / ratio
            safe = product * other**sign / base**sign * quotient**sign
            # There may be another rate in what is left.
            return _safe_product(safe) if safe.is_Mul else safe
    return product


def _balanced(product: Expr) -> Expr:
    """Write exprel(u)**k exp(m u), with m between 0 and -k, as powers of exprel(u) and exprel(-u).

    They overflow for large u where their product does not: exprel(u) = exp(u) exprel(-u).
    """
    exponentials = [f for f in sp.Mul.make_args(product) if isinstance(f, sp.exp)]
    for factor in sp.Mul.make_args(product):
        call, k = factor.as_base_exp()
        if not (isinstance(call, exprel) and k.is_Integer):
            continue
        u = call.args[0]
        for exponential in exponentials:
            m = sp.expand(exponential.args[0] / u)
            if m.is_Integer and min(0, -k) <= m <= max(0, -k):
                powers = exprel(u) ** (k + m) * exprel(-u) ** -m
                return _balanced(product / factor / exponential * powers)
    return product


def _exponential_minus_one(expression: Expr) -> tuple[Expr, Expr] | None:
    """Return (scale, u) if the expression is scale (exp(u) - 1)."""
    if not expression.is_Add or len(expression.args) != 2:
        return None
    for term, constant in (expression.args, expression.args[::-1]):
        factors = sp.Mul.make_args(term)
        exponentials = [factor for factor in factors if isinstance(factor, sp.exp)]
        if len(exponentials) != 1:
            continue
        exponent = exponentials[0].args[0]
        scale = sp.Mul(*(factor for factor in factors if factor is not exponentials[0]))
        if (scale + constant).is_zero:
            return scale, exponent
        # SymPy turns exp(-0.1*V - 4.0) into 0.0183*exp(-0.1*V); put the number back.
        if constant.is_Number and scale.is_Number and (scale / constant).is_negative:
            return -constant, exponent + sp.log(-scale / constant)
    return None


def _ratio(expression: Expr, u: Expr) -> Expr | None:
    """Return expression/u if both are linear in some symbol and vanish together."""
    common = expression.free_symbols & u.free_symbols
    for symbol in sorted(common, key=lambda symbol: symbol.sort_key()):
        slope, u_slope = expression.diff(symbol), u.diff(symbol)
        if slope.is_zero or u_slope.is_zero or slope.has(symbol) or u_slope.has(symbol):
            continue
        ratio = slope / u_slope
        if _agree(expression / ratio, u):
            return ratio
    return None


def _agree(left: Expr, right: Expr) -> bool:
    """Tell whether two arguments of exp have the same terms, up to rounding of their numbers."""
    terms, others = (sp.expand(side).as_coefficients_dict() for side in (left, right))
    return all(
        # A constant has no term beside it, so its rounding counts against 1.
        abs(terms[key] - others[key]) <= _ROUNDING * max(abs(terms[key]), int(key.is_Number))
        for key in {*terms, *others}
    )
