"""Distributions of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sympy as sp
from sympy import Expr

from symda.declare.distributions.base import Distribution, Frozen, Numbers, scipy_numbers
from symda.declare.special import log1p, log_rise
from symda.errors import ModelError
from symda.types import FloatArray


@dataclass(frozen=True)
class Poisson(Distribution):
    """The Poisson distribution of a count: cost mean - y log(mean) + log(y!).

    Parameters
    ----------
    mean : Expr or number
        The expected count, positive.
    """

    mean: Expr

    name: ClassVar[str] = "poisson"
    positive: ClassVar[tuple[str, ...]] = ("mean",)
    counts: ClassVar[bool] = True

    @property
    def location(self) -> Expr:
        """The mean."""
        return self.mean

    def cost(self, y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        return self.mean - y * sp.log(self.mean) + sp.loggamma(y + 1)

    def curvature(self, _y: Expr, _rm: Expr, /) -> dict[str, Expr]:
        """Return what is expected; see `Distribution.curvature`."""
        return {"mean": 1 / self.mean}

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import poisson

        return scipy_numbers(poisson(self._numbers(values, variance)["mean"]))


@dataclass(frozen=True)
class NegativeBinomial(Distribution):
    """The negative binomial distribution: a count that scatters more than Poisson's.

    With m the mean and k the size its variance is m + m^2/k. Cost
    log(y! Gamma(k)/Gamma(k + y)) + (k + y) log(k + m) - k log(k) - y log(m). For large k it is
    Poisson's.

    Parameters
    ----------
    mean : Expr or number
        The expected count, positive.
    size : Expr or number
        The smaller, the more it scatters; positive.
    """

    mean: Expr
    size: Expr

    name: ClassVar[str] = "negative-binomial"
    positive: ClassVar[tuple[str, ...]] = ("mean", "size")
    counts: ClassVar[bool] = True

    @property
    def location(self) -> Expr:
        """The mean."""
        return self.mean

    def cost(self, y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        m, k = self.mean, self.size
        # the difference to Poisson's cost is small where k is large, so no part of it may be large
        return sp.loggamma(y + 1) - y * sp.log(m) + (k + y) * log1p(m / k) - log_rise(k, y)

    def curvature(self, _y: Expr, _rm: Expr, /) -> dict[str, Expr]:
        """Return what is expected by the mean; see `Distribution.curvature`."""
        return {"mean": self.size / (self.mean * (self.mean + self.size))}

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import nbinom

        numbers = self._numbers(values, variance)
        m, k = numbers["mean"], numbers["size"]
        return scipy_numbers(nbinom(k, k / (k + m)))


@dataclass(frozen=True)
class Binomial(Distribution):
    """The binomial distribution of a count out of n.

    Cost -y log(p) - (n - y) log(1 - p) - log(n!/(y! (n - y)!)).

    Parameters
    ----------
    n : number
        How many were tried, a whole number.
    p : Expr or number
        Probability of each, between 0 and 1.
    """

    n: Expr
    p: Expr

    name: ClassVar[str] = "binomial"
    positive: ClassVar[tuple[str, ...]] = ("n", "p")
    counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n.free_symbols or self.n != sp.floor(self.n):
            raise ModelError(f"Binomial: n must be a whole number, got {self.n}.")

    @property
    def location(self) -> Expr:
        """The mean."""
        return self.n * self.p

    def cost(self, y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        rest = self.n - y
        ways = sp.loggamma(y + 1) + sp.loggamma(rest + 1) - sp.loggamma(self.n + 1)
        return ways - y * sp.log(self.p) - rest * sp.log(1 - self.p)

    def curvature(self, _y: Expr, _rm: Expr, /) -> dict[str, Expr]:
        """Return what is expected; see `Distribution.curvature`."""
        return {"p": self.n / (self.p * (1 - self.p))}

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import binom

        numbers = self._numbers(values, variance)
        return scipy_numbers(binom(int(self.n), numbers["p"]))

    def wrong(self, value: float) -> str:
        """Say what is wrong with a datum; see `Distribution.wrong`."""
        return super().wrong(value) or (f"at most n = {self.n}" if value > self.n else "")
