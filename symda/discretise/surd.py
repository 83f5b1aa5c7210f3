"""Numbers a + b sqrt(d), exactly: coefficients of Gauss's schemes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

#: Digits of sqrt(d) before a surd is rounded to a double.
DIGITS = 60


@dataclass(frozen=True, eq=False)
class Surd:
    """The number `whole` + `part` sqrt(`radicand`), with the arithmetic that a tableau needs.

    Sums and products of two surds need one radicand; what turns out rational is a `Fraction`.

    >>> r = Surd.root(3)
    >>> r * r, 1 / 2 < r, str(Fraction(1, 2) - r / 6)
    (Fraction(3, 1), True, '(1/2 - sqrt(3)/6)')
    """

    whole: Fraction
    part: Fraction
    radicand: int

    @classmethod
    def root(cls, radicand: int) -> Surd:
        """Return sqrt(radicand), of a number without square factors."""
        return cls(Fraction(0), Fraction(1), radicand)

    def __add__(self, other: Number | int) -> Number:
        whole, part = self._parts(other)
        return _number(self.whole + whole, self.part + part, self.radicand)

    def __mul__(self, other: Number | int) -> Number:
        whole, part = self._parts(other)
        return _number(
            self.whole * whole + self.part * part * self.radicand,
            self.whole * part + self.part * whole,
            self.radicand,
        )

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Surd:
        return Surd(-self.whole, -self.part, self.radicand)

    def __sub__(self, other: Number | int) -> Number:
        return self + (-other)

    def __rsub__(self, other: Number | int) -> Number:
        return -self + other

    def __truediv__(self, other: int) -> Surd:
        return Surd(self.whole / other, self.part / other, self.radicand)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Surd):
            return False
        mine = (self.whole, self.part, self.radicand)
        return mine == (other.whole, other.part, other.radicand)

    def __hash__(self) -> int:
        return hash((self.whole, self.part, self.radicand))

    def __lt__(self, other: Number | int) -> bool:
        return float(self) < float(other)

    def __gt__(self, other: Number | int) -> bool:
        return float(self) > float(other)

    def __float__(self) -> float:
        """Return the nearest double."""
        scale = 10**DIGITS
        root = Fraction(isqrt(self.radicand * scale**2), scale)
        return float(self.whole + self.part * root)

    def __str__(self) -> str:
        factor = abs(self.part)
        root = f"sqrt({self.radicand})"
        root = root if factor.numerator == 1 else f"{factor.numerator} {root}"
        root = root if factor.denominator == 1 else f"{root}/{factor.denominator}"
        if not self.whole:
            return root if self.part > 0 else f"-{root}"
        return f"({self.whole} {'+' if self.part > 0 else '-'} {root})"

    def _parts(self, other: Number | int) -> tuple[Fraction, Fraction]:
        if not isinstance(other, Surd):
            return Fraction(other), Fraction(0)
        if other.radicand != self.radicand:
            raise ValueError(f"{self} and {other} are of different fields")
        return other.whole, other.part


#: A coefficient of a tableau.
Number = Fraction | Surd


def _number(whole: Fraction, part: Fraction, radicand: int) -> Number:
    return Surd(whole, part, radicand) if part else whole
