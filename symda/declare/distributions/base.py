"""`Distribution`: -log p as a SymPy expression, and the same as numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import sympy as sp
from numpy.random import Generator
from sympy import Expr

from symda.declare.check import as_expression
from symda.errors import ModelError
from symda.types import FloatArray

Numbers = Mapping[str, FloatArray]

#: Of the Gaussian's normaliser.
HALF_LOG_2PI = sp.log(2 * sp.pi) / 2


class Frozen(Protocol):
    """A distribution with numbers for arguments, as those of `scipy.stats`."""

    def cdf(self, y: FloatArray) -> FloatArray:
        """Return P(value <= y)."""

    def rvs(self, *, random_state: Generator) -> FloatArray:
        """Draw a value for each of the arguments' entries."""


def scipy_numbers(distribution: Any) -> Frozen:  # SciPy's own types differ
    """Return one of `scipy.stats` as what it serves as here."""
    found: Frozen = distribution
    return found


@dataclass(frozen=True)
class Distribution(ABC):
    """A distribution of a datum, or of a parameter.

    Arguments are in SciPy's order, a `scale` is a standard deviation. Where the scale may be left
    out, it is that of the data: the root of `Observations.variance`.

    The cost is -log p. What no unknown changes is left out for continuous quantities, so that a
    Gaussian of known variance costs (y - loc)^2/(2 variance), as in eq. 10.
    """

    name: ClassVar[str]
    #: Arguments that are larger than zero where they are numbers.
    positive: ClassVar[tuple[str, ...]] = ("scale",)
    #: Whether values are whole numbers, not negative.
    counts: ClassVar[bool] = False
    #: Whether the cost is finite at the ends of the values' interval and beyond.
    closed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in self.arguments:
            given = getattr(self, name)
            if given is None:
                continue
            where = f"{type(self).__name__}: {name}"
            value = as_expression(given, where)
            if name in self.positive and value.is_number and not value > 0:
                raise ModelError(f"{where} must be larger than zero, got {value}.")
            object.__setattr__(self, name, value)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments that are expressions or numbers."""
        return tuple(one.name for one in fields(self) if str(one.type).startswith("Expr"))

    @property
    def terms(self) -> dict[str, Expr]:
        """Arguments that are not numbers, by name."""
        given = {name: getattr(self, name) for name in self.arguments}
        return {name: e for name, e in given.items() if e is not None and e.free_symbols}

    def with_terms(self, terms: Mapping[str, Expr]) -> Self:
        """Return it with other expressions for its terms."""
        return replace(self, **terms)

    @property
    @abstractmethod
    def location(self) -> Expr:
        """What data are compared with, in their own units."""

    @property
    def needs_variance(self) -> bool:
        """Whether its scale is that of the data."""
        return getattr(self, "scale", 0) is None

    @property
    def relative(self) -> bool:
        """Whether its scale is that of a logarithm, a share of the values."""
        return False

    @property
    def in_data_units(self) -> bool:
        """Whether the data's variance is that of the values themselves."""
        return self.needs_variance

    @property
    def gaussian(self) -> bool:
        """Whether it is the Gaussian with the data's own variance."""
        return False

    @abstractmethod
    def cost(self, y: Expr, rm: Expr, /) -> Expr:
        """Return -log p of the value y; `rm` is one over the variance of the data."""

    def curvature(self, _y: Expr, _rm: Expr, /) -> dict[str, Expr]:
        """Return a positive curvature of the cost by each of the terms, as far as one is known.

        The Gauss-Newton Hessian is made of it. Where none is given, it is the size of the second
        derivative.
        """
        return {}

    @abstractmethod
    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers.

        Parameters
        ----------
        values : mapping of str to ndarray
            The terms, by name, of one shape.
        variance : ndarray
            Variances of the data, of the same shape; nan where there are none.
        """

    def support(self) -> tuple[float, float]:
        """Return the interval that values lie in."""
        return -math.inf, math.inf

    def wrong(self, value: float) -> str:
        """Say what is wrong with a datum; empty if nothing is."""
        if self.counts and (value < 0.0 or value != math.floor(value)):
            return "a count, a whole number that is not negative"
        low, high = self.support()
        if not low <= value <= high or (value == low == 0.0 and not self.counts):
            return "a positive number" if low == 0.0 else f"a number in {low} .. {high}"
        return ""

    def _deviation(self, rm: Expr) -> Expr:
        """Return the scale, that of the data where none was given."""
        scale = getattr(self, "scale", None)
        return 1 / sp.sqrt(rm) if scale is None else scale

    def _normaliser(self, constant: Expr) -> Expr:
        """Return log(scale) + constant where the scale is estimated, else 0."""
        return sp.log(self.terms["scale"]) + constant if "scale" in self.terms else sp.S.Zero

    def columns(self, values: Numbers, count: int) -> dict[str, FloatArray]:
        """Return terms as they are, with `count` times each argument that is a number."""
        given = {name: getattr(self, name) for name in self.arguments}
        numbers = {n: e for n, e in given.items() if e is not None and not e.free_symbols}
        return {**{name: np.full(count, float(e)) for name, e in numbers.items()}, **values}

    def _numbers(self, values: Numbers, variance: FloatArray) -> dict[str, Any]:
        """Return all arguments as numbers; the scale of the data in place of none."""
        found: dict[str, Any] = {}
        for name in self.arguments:
            given = getattr(self, name)
            if name in values:
                found[name] = values[name]
            else:
                found[name] = variance**0.5 if given is None else float(given)
        return found

    def __str__(self) -> str:
        given = [getattr(self, name) for name in self.arguments]
        return f"{type(self).__name__}({', '.join(shown(e) for e in given if e is not None)})"


def shown(value: Expr) -> str:
    """Write an argument; a number with a few digits."""
    return f"{float(value):.6g}" if value.is_number else str(value)
