"""Distributions of a real quantity: the Gaussian, and two that outliers move less."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sympy as sp
from numpy.random import Generator
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
class Normal(Distribution):
    """The Gaussian.

    Cost (y - loc)^2/(2 scale^2), and log(scale) + log(2 pi)/2 where the scale is estimated.

    Parameters
    ----------
    loc : Expr or number
        Its mean.
    scale : Expr or number, optional
        Its standard deviation; that of the data when left out.
    """

    loc: Expr
    scale: Expr | None = None

    name: ClassVar[str] = "normal"

    @property
    def location(self) -> Expr:
        """The mean."""
        return self.loc

    @property
    def gaussian(self) -> bool:
        """Whether the variance is that of the data."""
        return self.scale is None

    def cost(self, y: Expr, rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        return ((y - self.loc) / self._deviation(rm)) ** 2 / 2 + self._normaliser(HALF_LOG_2PI)

    def curvature(self, _y: Expr, rm: Expr, /) -> dict[str, Expr]:
        """Return what is expected; see `Distribution.curvature`."""
        s = self._deviation(rm)
        return {"loc": 1 / s**2, "scale": 2 / s**2}

    def log_cdf(self, y: Expr, rm: Expr, /) -> Expr:
        """Return log P(value <= y)."""
        return log_ndtr((y - self.loc) / self._deviation(rm))

    def log_sf(self, y: Expr, rm: Expr, /) -> Expr:
        """Return log P(value >= y)."""
        return log_ndtr((self.loc - y) / self._deviation(rm))

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import norm

        return scipy_numbers(norm(**self._numbers(values, variance)))


@dataclass(frozen=True)
class StudentT(Distribution):
    """Student's t distribution: a Gaussian's middle, and tails in which outliers cost little.

    Cost (df + 1)/2 log(1 + ((y - loc)/scale)^2/df), and its normaliser where it is estimated.

    Parameters
    ----------
    df : Expr or number
        Degrees of freedom, larger than 0; 4 is usual.
    loc : Expr or number
        Its middle.
    scale : Expr or number, optional
        Its scale; the root of the data's variance when left out. The standard deviation is scale
        sqrt(df/(df - 2)).

    References
    ----------
    K. L. Lange, R. J. A. Little and J. M. G. Taylor, Robust statistical modeling using the t
    distribution, J. Am. Stat. Assoc. 84 (1989) 881.
    """

    df: Expr
    loc: Expr
    scale: Expr | None = None

    name: ClassVar[str] = "student-t"
    positive: ClassVar[tuple[str, ...]] = ("df", "scale")

    @property
    def location(self) -> Expr:
        """The middle."""
        return self.loc

    def cost(self, y: Expr, rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        df, z = self.df, (y - self.loc) / self._deviation(rm)
        shape = sp.loggamma(df / 2) - sp.loggamma((df + 1) / 2) + sp.log(sp.pi * df) / 2
        estimated = bool(df.free_symbols)
        if not estimated:
            shape = sp.Float(float(shape))
        normaliser = self._normaliser(shape)
        if estimated and normaliser == 0:
            normaliser = shape
        return (df + 1) / 2 * sp.log(1 + z**2 / df) + normaliser

    def curvature(self, y: Expr, rm: Expr, /) -> dict[str, Expr]:
        """Return that of reweighted least squares; see `Distribution.curvature`."""
        s = self._deviation(rm)
        weight = (self.df + 1) / (self.df * s**2 + (y - self.loc) ** 2)
        return {"loc": weight, "scale": 2 / s**2}

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        from scipy.stats import t

        return scipy_numbers(t(**self._numbers(values, variance)))


@dataclass(frozen=True)
class Huber(Distribution):
    """Gaussian in the middle, exponential tails beyond: outliers weigh less, and it is convex.

    Cost z^2/2 for |z| <= threshold, else threshold |z| - threshold^2/2, with z = (y - loc)/scale.

    Parameters
    ----------
    loc : Expr or number
        Its middle.
    scale : Expr or number, optional
        Standard deviation of the Gaussian in the middle; that of the data when left out.
    threshold : float
        Where the tails begin, in units of the scale. With 1.345 estimates from Gaussian data have
        a variance 5 % larger than they need; a small one is Laplace's distribution, of the scale
        scale/threshold.

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, Ann. Math. Stat. 35 (1964) 73.
    """

    loc: Expr
    scale: Expr | None = None
    threshold: float = 1.345

    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.threshold) and self.threshold > 0.0):
            raise ModelError(f"Huber: threshold must be larger than zero, got {self.threshold}.")

    @property
    def location(self) -> Expr:
        """The middle."""
        return self.loc

    def cost(self, y: Expr, rm: Expr, /) -> Expr:
        """Return -log p; see `Distribution.cost`."""
        z, k = (y - self.loc) / self._deviation(rm), sp.Float(self.threshold)
        inside = sp.Min(sp.Max(z, -k), k)
        constant = sp.Float(math.log(huber_mass(self.threshold)))
        return inside * (z - inside / 2) + self._normaliser(constant)

    def curvature(self, y: Expr, rm: Expr, /) -> dict[str, Expr]:
        """Return that of reweighted least squares; see `Distribution.curvature`."""
        s = self._deviation(rm)
        z = (y - self.loc) / s
        return {"loc": 1 / (s**2 * sp.Max(1, sp.Abs(z) / self.threshold)), "scale": 1 / s**2}

    def frozen(self, values: Numbers, variance: FloatArray, /) -> Frozen:
        """Return it with numbers; see `Distribution.frozen`."""
        numbers = self._numbers(values, variance)
        return _HuberNumbers(numbers["loc"], numbers["scale"], self.threshold)


def huber_mass(k: float) -> float:
    """Return the integral of exp(-cost) of Huber's distribution with the scale 1."""
    tails = 2.0 / k * math.exp(-0.5 * k * k)
    return math.sqrt(2.0 * math.pi) * math.erf(k / math.sqrt(2.0)) + tails


@dataclass(frozen=True)
class _HuberNumbers:
    """Huber's distribution with numbers."""

    loc: FloatArray
    scale: FloatArray
    threshold: float

    @property
    def _tail(self) -> float:
        """Probability of one tail."""
        k = self.threshold
        return math.exp(-0.5 * k * k) / k / huber_mass(k)

    def cdf(self, y: FloatArray) -> FloatArray:
        """Return P(value <= y)."""
        from scipy.special import ndtr

        k, z = self.threshold, (y - self.loc) / self.scale
        tail = self._tail * np.exp(-k * (np.abs(z) - k))
        factor = math.sqrt(2.0 * math.pi) / huber_mass(k)
        middle = 0.5 + factor * (ndtr(np.clip(z, -k, k)) - 0.5)
        found: FloatArray = np.where(np.abs(z) <= k, middle, np.where(z < 0.0, tail, 1.0 - tail))
        return found

    def rvs(self, *, random_state: Generator) -> FloatArray:
        """Draw a value for each entry."""
        from scipy.special import ndtri

        k = self.threshold
        size = np.broadcast(self.loc, self.scale).shape
        p = random_state.uniform(size=size)
        factor = math.sqrt(2.0 * math.pi) / huber_mass(k)
        side = np.minimum(p, 1.0 - p)
        with np.errstate(divide="ignore"):
            far = k - np.log(side / self._tail) / k
        near = -ndtri(np.clip(0.5 + (side - 0.5) / factor, 0.0, 0.5))
        z = np.where(side < self._tail, far, near) * np.where(p < 0.5, -1.0, 1.0)
        found: FloatArray = self.loc + self.scale * z
        return found
