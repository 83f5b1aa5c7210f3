"""Distributions: how a measured quantity scatters, and what is known of a parameter beforehand.

One class serves both. As noise its arguments are expressions in states and parameters, and its
value is a datum; as a prior its arguments are numbers or other parameters, and its value is the
parameter.
"""

from symda.declare.distributions.base import Distribution
from symda.declare.distributions.composed import Censored, Density, PriorOfValue
from symda.declare.distributions.counts import Binomial, NegativeBinomial, Poisson
from symda.declare.distributions.positive import Gamma, HalfNormal, LogNormal, Uniform
from symda.declare.distributions.symmetric import Huber, Normal, StudentT

#: Every distribution, in the order of the documentation.
DISTRIBUTIONS: tuple[type[Distribution], ...] = (
    Normal,
    StudentT,
    Huber,
    LogNormal,
    Gamma,
    HalfNormal,
    Uniform,
    Poisson,
    NegativeBinomial,
    Binomial,
    Censored,
    Density,
)

__all__ = [
    "DISTRIBUTIONS",
    "Binomial",
    "Censored",
    "Density",
    "Distribution",
    "Gamma",
    "HalfNormal",
    "Huber",
    "LogNormal",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "PriorOfValue",
    "StudentT",
    "Uniform",
]
