"""Recognise sums of exponentials that overflow where what is made of them does not.

1/(1 + exp(u)), exp(a)/(exp(a) + exp(b)), 1/cosh(x)**2 and log(1 + exp(u)) are finite with all their
derivatives, but exp is infinite beyond 709, and infinity over infinity is nan. Here such sums are
found and taken apart; `symda.derive.translate` writes each as its largest exponential times a sum
of terms that are at most one, and adds up the exponents before it takes their exponential.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import Basic, Expr


@dataclass(frozen=True)
class ExponentialSum:
    """sum_j c_j base**u_j, at least two terms with different exponents."""

    #: (c, u): coefficients and exponents, in an order that depends on the exponents only.
    terms: tuple[tuple[Expr, Expr], ...]
    power: Expr  #: Power to which the sum stands in its product.

    @property
    def difference(self) -> Expr | None:
        """Exponent of the second term less that of the first; None if there are more than two."""
        if len(self.terms) > 2:
            return None
        (_, first), (_, second) = self.terms
        if (first + second).is_zero:
            return 2 * second
        return second - first


@dataclass(frozen=True)
class ExponentialProduct:
    """rest base**exponent times the powers of the sums."""

    base: Expr
    rest: Expr
    exponent: Expr
    sums: tuple[ExponentialSum, ...]

    def alike(self) -> tuple[Expr, Expr] | None:
        """Return (difference, power in all) if all sums have two terms and differ in factors."""
        first, *others = (one.difference for one in self.sums)
        if first is None or any(d is None or sp.expand(d - first) != 0 for d in others):
            return None
        return first, sp.Add(*(one.power for one in self.sums))

    def leading(self) -> Expr:
        """Exponent left when each sum of two terms is divided by its first exponential."""
        return self.exponent + sp.Add(*(one.power * one.terms[0][1] for one in self.sums))


def exponential_product(node: Expr) -> ExponentialProduct | None:
    """Take a product or power apart if exponentials in it may overflow while it does not.

    Parameters
    ----------
    node : Expr
        A Mul or a Pow.

    Returns
    -------
    ExponentialProduct or None
        None if it has no sum of exponentials, or nothing that could balance one.
    """
    if not _has_exponentials(node):
        return None
    base = _base(node)
    exponents: list[Expr] = []
    sums: list[ExponentialSum] = []
    rest: list[Expr] = []
    for factor in sp.Mul.make_args(node):
        exponent = _exponent(factor, base)
        inner, power = factor.as_base_exp() if factor.is_Pow else (factor, sp.S.One)
        terms = _terms(inner, base) if exponent is None else None
        if exponent is not None:
            exponents.append(exponent)
        elif terms is not None:
            sums.append(ExponentialSum(terms, power))
        else:
            rest.append(factor)
    balanced = exponents or any(not (s.power.is_Integer and s.power > 0) for s in sums)
    if not sums or not balanced:
        return None
    return ExponentialProduct(base, sp.Mul(*rest), sp.Add(*exponents), tuple(sums))


def exponential_logarithm(argument: Expr) -> ExponentialProduct | None:
    """Take the argument of a logarithm apart if it has sums of exponentials.

    A product is only taken apart if its sums are positive, so that each has a logarithm.
    """
    if not _has_exponentials(argument):
        return None
    base = _base(argument)
    terms = _terms(argument, base)
    if terms is not None:
        alone = (ExponentialSum(terms, sp.S.One),)
        return ExponentialProduct(base, sp.S.One, sp.S.Zero, alone)
    product = exponential_product(argument)
    if product is None or any(not c.is_positive for s in product.sums for c, _ in s.terms):
        return None
    return product


def share(expression: Expr, of: Expr) -> tuple[Expr, Expr] | None:
    """Return (m, rest) with expression = m of + rest, where m is a number and whole or half."""
    left, right = (sp.expand(e).as_coefficients_dict() for e in (expression, of))
    term = max(right, key=lambda term: term.sort_key())
    m = sp.nsimplify(left[term] / right[term])
    rest = sp.expand(expression - m * of)
    return (m, rest) if (2 * m).is_Integer and not rest.has(term) else None


def _has_exponentials(node: Basic) -> bool:
    return bool(node.atoms(sp.exp, sp.cosh, sp.sinh)) or any(
        _is_number_power(power) for power in node.atoms(sp.Pow)
    )


def _is_number_power(node: Basic) -> bool:
    """Tell whether it is b**u with a positive number b and a free u."""
    return bool(node.is_Pow and node.base.is_Number and node.base > 0 and node.exp.free_symbols)


def _base(node: Basic) -> Expr:
    """Return the one base of all exponentials, e if there are several or it is below 1."""
    bases = {power.base for power in node.atoms(sp.Pow) if _is_number_power(power)}
    natural = bool(node.atoms(sp.exp, sp.cosh, sp.sinh))
    return bases.pop() if len(bases) == 1 and min(bases) > 1 and not natural else sp.E


def _exponent(factor: Expr, base: Expr) -> Expr | None:
    """Return u if the factor is base**u."""
    if isinstance(factor, sp.exp):
        return factor.args[0]
    if _is_number_power(factor):
        return factor.exp if factor.base == base else factor.exp * sp.log(factor.base)
    return None


def _terms(expression: Expr, base: Expr) -> tuple[tuple[Expr, Expr], ...] | None:
    """Return (coefficient, exponent) of each exponential in a sum; None if it is no such sum."""
    if isinstance(expression, sp.cosh | sp.sinh):
        x, half = expression.args[0], sp.Rational(1, 2)
        sign = 1 if isinstance(expression, sp.cosh) else -1
        expression = sp.Add(half * sp.exp(x), sign * half * sp.exp(-x))
    elif expression.is_Add:
        cosines = {cosh: cosh.rewrite(sp.exp) for cosh in expression.atoms(sp.cosh)}
        expression = sp.expand_mul(expression.xreplace(cosines)) if cosines else expression
    if not expression.is_Add:
        return None
    # Exponents are told apart in expanded form, but kept as written, which rounds less.
    written: dict[Expr, Expr] = {}
    collected: dict[Expr, Expr] = {}
    for term in expression.args:
        exponent, coefficient = sp.S.Zero, sp.S.One
        for factor in sp.Mul.make_args(term):
            u = _exponent(factor, base)
            if u is None:
                coefficient *= factor
            else:
                exponent += u
        key = sp.expand(exponent)
        written.setdefault(key, exponent)
        collected[key] = collected.get(key, sp.S.Zero) + coefficient
    kept = [key for key, coefficient in collected.items() if not coefficient.is_zero]
    if len(kept) < 2:
        return None
    kept.sort(key=lambda key: (not key.is_zero, key.sort_key()))
    return tuple((collected[key], written[key]) for key in kept)
