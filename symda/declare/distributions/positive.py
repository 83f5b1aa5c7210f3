"""Distributions of a positive quantity, and the uniform one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sympy as sp
from sympy import Expr

from symda.declare.distributions.base import (
    HALF_LOG_2PI,
    Distribution,
    Frozen,
    Numbers,
    scipy_numbers,
)
from symda.declare.special import log_ndtr
from symda.errors import ModelError
from symda.types import FloatArray


@dataclass(frozen=True)
class LogNormal(Distribution):
    """A positive quantity whose logarithm is Gaussian.

    Cost log(y) + (log(y) - mu)^2/(2 scale^2), and log(scale) + log(2 pi)/2 where it is estimated.

    Parameters
    ----------
    mu : Expr or number
        Mean of the logarithm, which is the logarithm of the median.
    scale : Expr or number, optional
        Standard deviation of the logarithm; when left out, the data's variance is the logarithm's.
    """

    mu: Expr
    scale: Expr | None = None

    name: ClassVar[str] = "log-normal"

    @property
    def relative(self) -> bool:
        """Yes."""
        return True

    @property
    def in_data_units(self) -> bool:
        """No: the variance is that of the logarithm."""
        return False

    @property
    def location(self) -> Expr:
        """The median."""
        return sp.exp(self.mu)

    def cost(self, y: Expr, rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        z = (sp.log(y) - self.mu) / self._deviation(rm)
        return sp.log(y) + z**2 / 2 + self._normaliser(HALF_LOG_2PI)

    def curvature(self, _y: Expr, rm: Expr, /) -> dict[str, Expr]:
        """Return what is expected; see `Distribution.curvature`."""
        s = self._deviation(rm)
        return {"mu": 1 / s**2, "scale": 2 / s**2}

    def log_cdf(self, y: Expr, rm: Expr, /) -> Expr:
        """Return log P(value <= y)."""
        return log_ndtr((sp.log(y) - self.mu) / self._deviation(rm))

    def log_sf(self, y: Expr, rm: Expr, /) -> Expr:
        """Return log P(value >= y)."""
        return log_ndtr((self.mu - sp.log(y)) / self._deviation(rm))

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import lognorm

        numbers = self._numbers(values, variance)
        return scipy_numbers(lognorm(numbers["scale"], scale=np.exp(numbers["mu"])))

    def support(self) -> tuple[float, float]:
        """Return the positive numbers."""
        return 0.0, math.inf


@dataclass(frozen=True)
class Gamma(Distribution):
    """The gamma distribution of a positive quantity; its mean is shape times scale.

    Cost y/scale - (shape - 1) log(y), and shape log(scale) + log Gamma(shape) where one of them is
    estimated.

    Parameters
    ----------
    shape, scale : Expr or number
        Both positive.
    """

    shape: Expr
    scale: Expr

    name: ClassVar[str] = "gamma"
    positive: ClassVar[tuple[str, ...]] = ("shape", "scale")

    @property
    def location(self) -> Expr:
        """The mean."""
        return self.shape * self.scale

    def cost(self, y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        value = y / self.scale - (self.shape - 1) * sp.log(y)
        if self.terms:
            value += self.shape * sp.log(self.scale) + sp.loggamma(self.shape)
        return value

    def curvature(self, _y: Expr, _rm: Expr, /) -> dict[str, Expr]:
        """Return what is expected by the scale; see `Distribution.curvature`."""
        return {"scale": self.shape / self.scale**2}

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import gamma

        numbers = self._numbers(values, variance)
        return scipy_numbers(gamma(numbers["shape"], scale=numbers["scale"]))

    def support(self) -> tuple[float, float]:
        """Return the positive numbers."""
        return 0.0, math.inf


@dataclass(frozen=True)
class HalfNormal(Distribution):
    """The size of a Gaussian quantity of mean 0.

    Cost y^2/(2 scale^2) for y >= 0, and the normaliser where the scale is estimated.

    Parameters
    ----------
    scale : Expr or number
        Standard deviation of the Gaussian.
    """

    scale: Expr

    name: ClassVar[str] = "half-normal"
    closed: ClassVar[bool] = True

    @property
    def location(self) -> Expr:
        """The mean."""
        return self.scale * sp.sqrt(2 / sp.pi)

    def cost(self, y: Expr, _rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        return (y / self.scale) ** 2 / 2 + self._normaliser(HALF_LOG_2PI - sp.log(2))

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import halfnorm

        return scipy_numbers(halfnorm(**self._numbers(values, variance)))

    def support(self) -> tuple[float, float]:
        """Return the numbers that are not negative."""
        return 0.0, math.inf


@dataclass(frozen=True)
class Uniform(Distribution):
    """Equal density between two numbers and none outside: cost 0.

    Parameters
    ----------
    low, high : number
        Its ends.
    """

    low: Expr
    high: Expr

    name: ClassVar[str] = "uniform"
    closed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.terms or not self.low < self.high:
            raise ModelError(f"Uniform: expected two numbers, low < high, got {self}.")

    @property
    def location(self) -> Expr:
        """The middle."""
        return (self.low + self.high) / 2

    def cost(self, _y: Expr, _rm: Expr, /) -> Expr:
        """Return 0."""
        return sp.S.Zero

    def frozen(self, _values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import uniform

        low, high = self.support()
        return scipy_numbers(uniform(np.full(np.shape(variance), low), high - low))

    def support(self) -> tuple[float, float]:
        """Return its ends."""
        return float(self.low), float(self.high)
