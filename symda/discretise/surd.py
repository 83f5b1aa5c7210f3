"""Coefficients of methods: fractions, and numbers a + b sqrt(d), exactly.

What is neither, such as a cube root, is given by its digits: a fraction too. A condition holds if
it is closer to zero than `CLOSE`, to which 20 digits are enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation, localcontext
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

from symda.errors import OptionError

#: In which conditions are evaluated.
DIGITS = Context(prec=60)
#: A condition holds if it is this close to; below the rounding of a double coefficient.
CLOSE = Decimal("1e-17")
#: The largest denominator that people read: what is longer were decimal digits.
LONGEST = 10**9


@dataclass(frozen=True, eq=False)
class Surd:
    """The number `rational` + `part` sqrt(`radicand`), with the arithmetic that a tableau needs.

    Sums and products of two surds need one radicand; what turns out rational is a `Fraction`.

    >>> r = Surd.root(3)
    >>> r * r, 1 / 2 < r, str(Fraction(1, 2) - r / 6)
    (Fraction(3, 1), True, '(1/2 - sqrt(3)/6)')
    """

    rational: Fraction
    part: Fraction
    radicand: int

    @classmethod
    def root(cls, radicand: int) -> Surd:
        """Return sqrt(radicand), of a number without square factors."""
        return cls(Fraction(0), Fraction(1), radicand)

    def __add__(self, other: Number | int) -> Number:
        rational, part = self._parts(other)
        return _number(self.rational + rational, self.part + part, self.radicand)

    def __mul__(self, other: Number | int) -> Number:
        rational, part = self._parts(other)
        return _number(
            self.rational * rational + self.part * part * self.radicand,
            self.rational * part + self.part * rational,
            self.radicand,
        )

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Surd:
        return Surd(-self.rational, -self.part, self.radicand)

    def __sub__(self, other: Number | int) -> Number:
        return self + (-other)

    def __rsub__(self, other: Number | int) -> Number:
        return -self + other

    def __truediv__(self, other: int) -> Surd:
        return Surd(self.rational / other, self.part / other, self.radicand)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Surd):
            return False
        mine = (self.rational, self.part, self.radicand)
        return mine == (other.rational, other.part, other.radicand)

    def __hash__(self) -> int:
        return hash((self.rational, self.part, self.radicand))

    def __lt__(self, other: Number | int) -> bool:
        return float(self) < float(other)

    def __gt__(self, other: Number | int) -> bool:
        return float(self) > float(other)

    def __float__(self) -> float:
        """Return the nearest double."""
        return float(decimal(self))

    def __str__(self) -> str:
        factor = abs(self.part)
        root = f"sqrt({self.radicand})"
        root = root if factor.numerator == 1 else f"{factor.numerator} {root}"
        root = root if factor.denominator == 1 else f"{root}/{factor.denominator}"
        if not self.rational:
            return root if self.part > 0 else f"-{root}"
        return f"({self.rational} {'+' if self.part > 0 else '-'} {root})"

    def _parts(self, other: Number | int) -> tuple[Fraction, Fraction]:
        if not isinstance(other, Surd):
            return Fraction(other), Fraction(0)
        if other.radicand != self.radicand:
            raise ValueError(f"{self} and {other} are of different fields")
        return other.rational, other.part


#: A coefficient of a method.
Number: TypeAlias = Fraction | Surd
#: One as it is given: ``"1/6"``, ``"0.25"``, ``"1/2 - sqrt(3)/6"``.
Coefficient: TypeAlias = Number | Decimal | float | str
Row: TypeAlias = tuple[Number, ...]
Matrix: TypeAlias = tuple[Row, ...]

_ROOT = re.compile(
    r"\(?\s*(?:([-+]?[\d./]+)\s*(?=[-+]))?(?:([-+])\s*)?([\d./]+)?\s*\*?\s*sqrt\((\d+)\)"
    r"(?:/(\d+))?\s*\)?"
)


def number(value: Coefficient) -> Number:
    """Return a coefficient, exactly as it is given.

    >>> str(number("1/2 - 3 sqrt(12)/10")), number("sqrt(9)/2")
    ('(1/2 - 3 sqrt(3)/5)', Fraction(3, 2))

    Raises
    ------
    OptionError
        If it is no number.
    """
    if isinstance(value, Surd):
        return value
    try:
        found = _ROOT.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            return Fraction(value)
        first, sign, factor, root, below = found.groups()
        part = Fraction(f"{sign or ''}{factor or 1}") / int(below or 1)
        radicand = int(root)
        square = next(n for n in range(isqrt(radicand), 0, -1) if radicand % n**2 == 0)
        radicand, part = radicand // square**2, part * square
        rational = Fraction(first or 0)
        return rational + part if radicand == 1 else _number(rational, part, radicand)
    except (TypeError, ValueError, ArithmeticError, InvalidOperation, StopIteration):
        raise OptionError(
            "A coefficient must be a number or a text such as '1/6' or '1/2 - sqrt(3)/6', got "
            f"{value!r}."
        ) from None


def decimal(value: Number | int) -> Decimal:
    """Return a coefficient to 60 digits."""
    with localcontext(DIGITS):
        if isinstance(value, Surd):
            return decimal(value.rational) + decimal(value.part) * Decimal(value.radicand).sqrt()
        return Decimal(value.numerator) / value.denominator


def shown(value: Number) -> Number | float:
    """Return a coefficient as people read it: by decimal digits where the fraction is long."""
    if isinstance(value, Fraction) and value.denominator > LONGEST:
        return float(value)
    return value


def close(one: Number, other: Number) -> bool:
    """Whether two coefficients are one."""
    return abs(decimal(one - other)) < CLOSE


def _number(rational: Fraction, part: Fraction, radicand: int) -> Number:
    return Surd(rational, part, radicand) if part else rational
