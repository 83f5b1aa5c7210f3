"""Methods as data: what all of them have, and how their numbers are read.

A one-step method takes x_n at time t to x_{n+1} at t + h. Each form says with which numbers; the
same numbers are written into compiled code and read by the NumPy engine. What is said of a method
(its order, whether it is symmetric or symplectic) is computed from them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

from symda.discretise.surd import Coefficient, Matrix, Row, number
from symda.errors import OptionError
from symda.names import is_name

Line: TypeAlias = Sequence[Coefficient]
Lines: TypeAlias = Sequence[Sequence[Coefficient]]


def row(values: Line) -> Row:
    """Return coefficients as numbers.

    Raises
    ------
    OptionError
        If it is no sequence of numbers.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(f"Coefficients must be a sequence of numbers, got {values!r}.")
    return tuple(number(value) for value in values)


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
    return tuple((*line, *(Fraction(0),) * (len(lines) - len(line))) for line in lines)


@dataclass(frozen=True, init=False)
class Method(ABC):
    """A one-step method.

    Parameters
    ----------
    name : str
        Name in the registry.
    order : int
        Order of convergence.
    source : str
        Where the numbers come from.
    general : str
        Method to use where this one needs a separable Hamiltonian and there is none.
    """

    name: str
    order: int
    source: str = field(compare=False)
    general: str = field(compare=False)

    def _named(self, name: str, source: str, general: str = "") -> None:
        if not is_name(name):
            raise OptionError(f"The name of a method must be a printable text, got {name!r}.")
        self._set(name=name, source=source, general=general)

    def _set(self, **values: object) -> None:
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

    @property
    def summary(self) -> str:
        """Form and order."""
        return f"{self.form}, order {self.order}"

    @property
    def _label(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise OptionError(f"{self._label}: {what}.")

    def _require_square(self, A: Matrix, b: Row, where: str) -> None:
        self._require(
            len(b) > 0 and len(A) == len(b) and all(len(line) == len(b) for line in A),
            f"{where} must have a row and a column for each of its {len(b)} weights",
        )
