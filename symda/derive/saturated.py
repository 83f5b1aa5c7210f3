"""Write products and logarithms of sums of exponentials so that they do not overflow.

A sum c0 exp(u0) + c1 exp(u1) is its larger exponential times a sum with exp(-|u1 - u0|), which is
at most 1. Either side of u0 = u1 has the same derivatives there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import log
from typing import TYPE_CHECKING, Protocol

import sympy as sp
from sympy import Basic, Expr

from symda.derive.exponentials import ExponentialProduct, ExponentialSum, share

if TYPE_CHECKING:
    import casadi as ca


class Writer(Protocol):
    """What is needed of the translation of one expression."""

    def __call__(self, node: Basic) -> ca.SX:
        """Translate an expression."""

    def guard(self, argument: ca.SX, safe: float) -> ca.SX:
        """Return the argument, a harmless one where the case being translated does not hold."""

    def raised(self, value: ca.SX, exponent: Expr) -> ca.SX:
        """Return a power of a value that is not 0."""


def write_product(product: ExponentialProduct, write: Writer) -> ca.SX:
    """Translate a product of sums of exponentials."""
    import casadi as ca

    apart = len(product.sums) > 1 and product.exponent.is_zero and product.alike() is None
    if apart and all(one.power.is_negative for one in product.sums):
        # Each is bounded by itself, and one exponential less is taken for each.
        factors = [replace(product, rest=sp.S.One, sums=(one,)) for one in product.sums]
        return reduce(ca.times, (write_product(f, write) for f in factors), write(product.rest))
    sums = [_Scaled(one, product.base, write) for one in product.sums]
    above = write(product.rest) * _exponential(product, sums, write)
    below = ca.SX(1.0)
    for one, scaled in zip(product.sums, sums, strict=True):
        if one.power.is_Integer and one.power < 0:
            below *= write.raised(scaled.rest(), -one.power)
        else:
            above *= write.raised(write.guard(scaled.rest(), 1.0), one.power)
    return above / write.guard(below, 1.0)


def write_logarithm(product: ExponentialProduct, write: Writer) -> ca.SX:
    """Translate the logarithm of a product of sums of exponentials."""
    import casadi as ca

    rate = log(product.base)
    total = ca.SX(0.0) if product.rest == 1 else write(sp.log(product.rest))
    if not product.exponent.is_zero:
        total += rate * write(product.exponent)
    for one in product.sums:
        scaled = _Scaled(one, product.base, write)
        total += write(one.power) * (rate * scaled.top() + scaled.logarithm())
    return total


def _exponential(product: ExponentialProduct, sums: list[_Scaled], write: Writer) -> ca.SX:
    """Return the product of all exponentials: the one that stands there, and the sums' largest."""
    import casadi as ca

    common = product.alike()
    if common is not None and (2 * common[1]).is_Integer:
        difference, power = common
        part = share(product.leading(), difference)
        # exp(m d) where d <= 0, exp((m + power) d) where d > 0: both are powers of exp(-|d|).
        if part is not None and part[0] >= 0 and part[0] + power <= 0:
            (left, rest), one = part, sums[0]
            right = -(left + power)
            for each in sums:
                each.halved = not (left.is_Integer and right.is_Integer)
            small = one.small(left)
            if left != right:
                small = ca.if_else(one.larger, one.small(right), small)
            if rest.is_zero:
                return small
            return small * _power(product.base, write.guard(write(rest), 0.0))
    total = write(product.exponent)
    for term, scaled in zip(product.sums, sums, strict=True):
        total += write(term.power) * scaled.top()
    return _power(product.base, write.guard(total, 0.0))


class _Scaled:
    """A sum of exponentials as base**top times what is left."""

    def __init__(self, one: ExponentialSum, base: Expr, write: Writer) -> None:
        self.terms, self.base, self.write = one.terms, base, write
        difference = one.difference
        self.two = difference is not None
        self.halved = False
        if difference is not None:
            self.difference = write(difference)
            self.larger = self.difference > 0.0
            #: -|d|, with the slope of the side that `larger` takes at 0.
            self.least = (1.0 - 2.0 * self.larger) * self.difference

    def small(self, exponent: Expr = sp.S.One) -> ca.SX:
        """Return base**(-|d| exponent), for a whole or half exponent."""
        if exponent.is_zero:
            return self.write(sp.S.One)
        # One exponential serves for all, so the root if it is needed at all.
        if self.halved:
            return self.write.raised(_power(self.base, 0.5 * self.least), 2 * exponent)
        return self.write.raised(_power(self.base, self.least), exponent)

    def top(self) -> ca.SX:
        """Return the largest exponent."""
        import casadi as ca

        if not self.two:
            return reduce(ca.fmax, (self.write(u) for _, u in self.terms))
        above = ca.if_else(self.larger, self.difference, 0.0)
        first = self.terms[0][1]
        return above if first.is_zero else self.write(first) + above

    def rest(self) -> ca.SX:
        """Return the sum divided by its largest exponential."""
        import casadi as ca

        if not self.two:
            top = self.top()
            terms = (self.write(c) * _power(self.base, self.write(u) - top) for c, u in self.terms)
            return reduce(ca.plus, terms)
        (first, _), (second, _) = self.terms
        if first == second:
            return self.write(first) * (1.0 + self.small())
        high = ca.if_else(self.larger, self.write(second), self.write(first))
        if (first + second).is_zero:
            # All digits near d = 0, where the two cancel.
            return -high * ca.expm1(log(self.base) * self.least)
        low = ca.if_else(self.larger, self.write(first), self.write(second))
        return high + low * self.small()

    def logarithm(self) -> ca.SX:
        """Return the logarithm of `rest`."""
        import casadi as ca

        (first, _), (second, _) = self.terms[:2]
        if self.two and first == second and first.is_positive:
            small = ca.log1p(self.small())
            return small if first == 1 else self.write(sp.log(first)) + small
        return ca.log(self.write.guard(self.rest(), 1.0))


def _power(base: Expr, exponent: ca.SX) -> ca.SX:
    import casadi as ca

    return ca.exp(exponent) if base == sp.E else ca.SX(float(base)) ** exponent
