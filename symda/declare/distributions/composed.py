"""Distributions made of another, or of any expression."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import sympy as sp
from numpy.random import Generator
from sympy import Expr, Symbol

from symda.declare.check import as_expression, check_expression
from symda.declare.distributions.base import Distribution, Frozen, Numbers, shown
from symda.declare.distributions.positive import LogNormal
from symda.declare.distributions.symmetric import Normal
from symda.errors import ModelError
from symda.types import FloatArray

_VALUE = sp.Dummy("y", real=True)


@dataclass(frozen=True)
class Censored(Distribution):
    """A quantity that is known only to lie at or beyond a limit of detection when it does.

    A datum at `low` or below costs -log P(value <= low), one at `high` or above
    -log P(value >= high), any other as the noise says.

    Parameters
    ----------
    noise : Normal or LogNormal
        The distribution without limits.
    low, high : number, optional
        The limits of detection.
    """

    noise: Normal | LogNormal
    low: Expr | None = None
    high: Expr | None = None

    name: ClassVar[str] = "censored"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.noise, Normal | LogNormal):
            raise ModelError(
                f"Censored: expected Normal(...) or LogNormal(...), got {self.noise!r}; other "
                "distributions have no logarithm of a tail here."
            )
        if self.low is None and self.high is None:
            raise ModelError("Censored: give low=, high=, or both: the limits of detection.")
        for limit in (self.low, self.high):
            if limit is not None and limit.free_symbols:
                raise ModelError(f"Censored: a limit of detection is a number, got {limit}.")

    @property
    def terms(self) -> dict[str, Expr]:
        """Those of the distribution without limits."""
        return self.noise.terms

    def with_terms(self, terms: Mapping[str, Expr]) -> Self:
        """Return it with other expressions for its terms."""
        return replace(self, noise=self.noise.with_terms(terms))

    @property
    def location(self) -> Expr:
        """That of the distribution without limits."""
        return self.noise.location

    @property
    def needs_variance(self) -> bool:
        """Whether the scale is that of the data."""
        return self.noise.needs_variance

    @property
    def relative(self) -> bool:
        """As the distribution without limits."""
        return self.noise.relative

    @property
    def in_data_units(self) -> bool:
        """Whether the data's variance is that of the values themselves."""
        return self.noise.in_data_units

    def cost(self, y: Expr, rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        cases = []
        # what is a datum's own, so that a limit at 0 does not meet log(0)
        if self.low is not None:
            cases.append((-self.noise.log_cdf(self.low, rm), y <= self.low))
        if self.high is not None:
            cases.append((-self.noise.log_sf(self.high, rm), y >= self.high))
        return sp.Piecewise(*cases, (self.noise.cost(y, rm), True))

    def curvature(self, y: Expr, rm: Expr, /) -> dict[str, Expr]:
        """Return that without limits; see `Distribution.curvature`."""
        return self.noise.curvature(y, rm)

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        low = -math.inf if self.low is None else float(self.low)
        high = math.inf if self.high is None else float(self.high)
        return _Clipped(self.noise.frozen(values, variance), low, high)

    def wrong(self, value: float) -> str:
        """Say what is wrong with a datum; see `Distribution.wrong`."""
        if self.low is not None and value <= self.low:
            return ""
        return self.noise.wrong(value)

    def support(self) -> tuple[float, float]:
        """Return that of the distribution without limits."""
        return self.noise.support()

    def __str__(self) -> str:
        limits = {"low": self.low, "high": self.high}
        given = [f"{name}={shown(value)}" for name, value in limits.items() if value is not None]
        return f"Censored({', '.join([str(self.noise), *given])})"


@dataclass(frozen=True)
class _Clipped:
    """A distribution with numbers whose values are clipped at limits."""

    inner: Frozen
    low: float
    high: float

    def cdf(self, y: FloatArray) -> FloatArray:
        """Return P(value <= y)."""
        below, inside = y < self.low, self.inner.cdf(y)
        found: FloatArray = np.where(below, 0.0, np.where(y >= self.high, 1.0, inside))
        return found

    def rvs(self, *, random_state: Generator) -> FloatArray:
        """Draw a value for each entry."""
        found: FloatArray = np.clip(self.inner.rvs(random_state=random_state), self.low, self.high)
        return found


@dataclass(frozen=True)
class Density(Distribution):
    """Any -log p, as an expression.

    Parameters
    ----------
    minus_log : callable
        From the symbol of the value to -log p, an expression in it, in states and in parameters.
        Its normaliser is yours to add where it depends on anything estimated.
    location : Expr or number
        What data are compared with in plots and residuals; as a prior it does not matter.

    Examples
    --------
    Laplace's distribution, smooth at its middle::

        sd.Density(lambda y: sympy.sqrt(1 + ((y - x) / b) ** 2), location=x)
    """

    minus_log: Callable[[Symbol], Expr]
    location: Expr = sp.S.Zero

    name: ClassVar[str] = "density"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.minus_log):
            raise ModelError(
                "Density: the first argument is a function of the value's symbol, for instance "
                f"lambda y: (y - x)**4, got {self.minus_log!r}."
            )
        check_expression(self._expression, "Density")

    @property
    def _expression(self) -> Expr:
        return as_expression(self.minus_log(_VALUE), "Density")

    @property
    def terms(self) -> dict[str, Expr]:
        """The symbols it holds, each for itself."""
        symbols = self._expression.free_symbols - {_VALUE}
        return {symbol.name: symbol for symbol in sorted(symbols, key=lambda one: one.name)}

    def with_terms(self, terms: Mapping[str, Expr]) -> Self:
        """Return it with other expressions for its terms."""
        old, expression = self.terms, self._expression
        place = {old[name]: value for name, value in terms.items()}
        return replace(self, minus_log=lambda y: expression.xreplace({**place, _VALUE: y}))

    def cost(self, y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        return self._expression.xreplace({_VALUE: y})

    def frozen(self, _values: Numbers, _variance: FloatArray, /) -> Frozen:
        """Refuse: an expression can be evaluated, not drawn from."""
        raise ModelError(
            "Density: nothing can be drawn from an expression, nor its quantiles be taken; a twin "
            "needs one of the other distributions, such as sd.StudentT."
        )

    def __str__(self) -> str:
        return f"Density({self._expression})"


@dataclass(frozen=True)
class PriorOfValue(Distribution):
    """The prior of a quantity, as the noise of a channel whose data do not matter.

    So each value of a parameter per step pays for itself, at every grid point where the channel has
    a weight.
    """

    value: Expr
    prior: Distribution

    name: ClassVar[str] = "prior of a value"

    @property
    def arguments(self) -> tuple[str, ...]:
        """None of its own."""
        return ()

    @property
    def terms(self) -> dict[str, Expr]:
        """The value, under the name that nothing else has, and the prior's."""
        return {"": self.value, **self.prior.terms}

    def with_terms(self, terms: Mapping[str, Expr]) -> Self:
        """Return it with other expressions for its terms."""
        others = {name: term for name, term in terms.items() if name}
        value = terms.get("", self.value)
        return replace(self, value=value, prior=self.prior.with_terms(others))

    @property
    def location(self) -> Expr:
        """The value."""
        return self.value

    def cost(self, _y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p of the value; see `Distribution.cost`."""
        # no data, so no precision of theirs
        return self.prior.cost(self.value, sp.nan)

    def curvature(self, _y: Expr, _rm: Expr, /) -> dict[str, Expr]:
        """Return the prior's; see `Distribution.curvature`."""
        return self.prior.curvature(self.value, sp.nan)

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return the prior with numbers; see `Distribution.frozen`."""
        return self.prior.frozen({n: v for n, v in values.items() if n}, variance)

    def __str__(self) -> str:
        return str(self.prior)
