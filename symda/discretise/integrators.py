"""Integrators as data: what all of them have, and how their numbers are kept and checked.

A step map takes x_n at time t to x_{n+1} at t + h. Each form says with which numbers; the
same numbers are written into compiled code and read by the NumPy engine. Coefficients are kept to
50 digits, and what is said of a method (its order, whether it is symmetric or symplectic) is
computed from them when it is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation, localcontext
from fractions import Fraction
from typing import Literal, TypeAlias

from symda.discretise.trees import Matrix, Row, worst_residual
from symda.errors import OptionError
from symda.names import is_name

#: A coefficient as it is given: ``"1/6"`` is a fraction, ``"0.25"`` the decimal number.
Coefficient: TypeAlias = Decimal | Fraction | int | str
Line: TypeAlias = Sequence[Coefficient]
Lines: TypeAlias = Sequence[Sequence[Coefficient]]

DIGITS = Context(prec=50)
#: A condition holds if it is this close to; below the rounding of a double coefficient.
CLOSE = Decimal("1e-17")
#: What is off by less is so by the rounding of coefficients that were given as floats.
ROUNDED = Decimal("1e-13")


def exact(value: Coefficient) -> Decimal:
    """Return a coefficient to 50 digits.

    Raises
    ------
    OptionError
        If it is no number.
    """
    if isinstance(value, Decimal):
        return value
    try:
        ratio = Fraction(value)
    except (TypeError, ValueError, InvalidOperation):
        raise OptionError(
            f"A coefficient must be a number or a text such as '1/6', got {value!r}."
        ) from None
    return DIGITS.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))


def row(values: Line) -> Row:
    """Return coefficients to 50 digits.

    Raises
    ------
    OptionError
        If it is no sequence of numbers.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(f"Coefficients must be a sequence of numbers, got {values!r}.")
    return tuple(exact(value) for value in values)


def rows(values: Lines) -> Matrix:
    """Return a square matrix; what is left out at the end of a line is zero.

    Raises
    ------
    OptionError
        If it is no sequence of lines.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(f"A tableau must be a sequence of lines, got {values!r}.")
    lines = [row(line) for line in values]
    return tuple((*line, *(Decimal(0),) * (len(lines) - len(line))) for line in lines)


@dataclass(frozen=True, init=False)
class Integrator(ABC):
    """A one-step method.

    Parameters
    ----------
    name : str
        Name in the registry.
    order : int
        Order of convergence, checked.
    source : str
        Where the numbers come from.
    general : str
        Method to use where this one needs a separable Hamiltonian and there is none.
    """

    name: str
    order: int
    source: str = field(compare=False)
    general: str = field(compare=False)

    def _set(self, **values: object) -> None:
        if not is_name(values.get("name", "unnamed")):
            raise OptionError(
                f"The name of an integrator must be a printable text, got {values['name']!r}."
            )
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @property
    @abstractmethod
    def form(self) -> str:
        """What kind of method it is, in words."""

    @property
    @abstractmethod
    def explicit(self) -> bool:
        """Whether a step needs no equation to be solved."""

    @property
    @abstractmethod
    def symmetric(self) -> bool:
        """Whether it is time-reversible: a step of h, then one of -h, leads back."""

    @property
    @abstractmethod
    def symplectic(self) -> bool:
        """Whether M' J M = J for M = dx_{n+1}/dx_n of any (separable, if needed) Hamiltonian."""

    @property
    @abstractmethod
    def abscissae(self) -> tuple[float, ...]:
        """The S places in units of the step, from its start, where forcing is evaluated."""

    @property
    def needs(self) -> Literal["", "mechanics", "separable", "lagrangian"]:
        """What a model must have: nothing, (q, p), H = T(p) + V(q), or a Lagrangian."""
        return ""

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise OptionError(f"Integrator {self.name!r}: {what}.")

    def _require_zero(self, residual: Decimal, what: str) -> None:
        """Refuse a residual, with what to do where only rounding keeps it from zero."""
        rounded = (
            "; coefficients given as floats are rounded, write fractions as texts, '2/3'"
            if abs(residual) < ROUNDED
            else ""
        )
        self._require(abs(residual) < CLOSE, what + rounded)

    def _require_second(self, residual: Decimal) -> None:
        """Check whether the order is 2, where the condition of order 2 is off by `residual`."""
        if self.order == 2:
            self._require_zero(
                residual, f"declared of order 2, but its condition is off by {abs(residual):.3g}"
            )
        else:
            self._require(
                abs(residual) >= CLOSE, "declared of order 1, but is of order 2; declare that"
            )

    def _require_order(self, tableaux: Sequence[tuple[Matrix, Row]]) -> None:
        """Check the conditions of all rooted trees: those of the order, not of the next."""
        self._require(
            isinstance(self.order, int) and self.order >= 1,
            f"the order must be a whole number of at least 1, got {self.order!r}",
        )
        with localcontext(DIGITS):
            for p in range(1, self.order + 1):
                worst = worst_residual(p, tableaux)
                self._require_zero(
                    worst,
                    f"declared of order {self.order}, but a condition of order {p} is off by "
                    f"{worst:.3g}",
                )
            self._require(
                worst_residual(self.order + 1, tableaux) > CLOSE,
                f"declared of order {self.order}, but the conditions of order "
                f"{self.order + 1} hold as well; declare that",
            )

    def _require_square(self, A: Matrix, b: Row, where: str) -> None:
        self._require(
            len(b) > 0 and len(A) == len(b) and all(len(line) == len(b) for line in A),
            f"{where} must have a row and a column for each of its {len(b)} weights",
        )
