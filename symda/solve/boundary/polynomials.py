"""Gauss-Legendre collocation: its tables, and functions that are polynomials piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np

from symda.errors import DataError
from symda.types import FloatArray

Side: TypeAlias = Literal["left", "right"]


@dataclass(frozen=True, eq=False)
class Gauss:
    """Collocation at the d Gauss points of [0, 1], with polynomials of degree d.

    A polynomial is known by its values at 0 and at the points, d + 1 numbers.
    """

    #: Points and weights, (d,).
    c: FloatArray
    b: FloatArray
    #: Integrals from 0 to c_j of the Lagrange polynomials of the points: the Runge-Kutta matrix,
    #: (d, d).
    A: FloatArray
    slopes: FloatArray  #: Values -> derivatives at the points, (d, d + 1).
    end: FloatArray  #: Values -> value at 1, (d + 1,).
    monomials: FloatArray  #: Values -> coefficients of 1, s, s^2, .., (d + 1, d + 1).


@cache
def gauss(degree: int) -> Gauss:
    """Tables of d = `degree` points."""
    roots, weights = np.polynomial.legendre.leggauss(degree)
    c, b = 0.5 * (roots + 1.0), 0.5 * weights
    powers = np.arange(degree)
    inverse = np.linalg.inv(c[:, None] ** powers)
    A = (c[:, None] ** (powers + 1) / (powers + 1)) @ inverse
    known = np.concatenate([[0.0], c])
    exponents = np.arange(degree + 1)
    monomials = np.linalg.inv(known[:, None] ** exponents)
    derivative = exponents * c[:, None] ** np.maximum(exponents - 1, 0)
    return Gauss(c, b, A, derivative @ monomials, monomials.sum(axis=0), monomials)


@dataclass(frozen=True, eq=False)
class Piecewise:
    """A function of time with n components, a polynomial in each of J intervals."""

    breaks: FloatArray  #: Ends of the intervals, increasing, (J + 1,).
    coefficients: FloatArray  #: (J, K, n): of 1, s, s^2, ... with s from 0 to 1 in each interval.

    @classmethod
    def through(cls, breaks: FloatArray, left: FloatArray, points: FloatArray) -> Piecewise:
        """Through values at the intervals' left ends (J, n) and at their Gauss points (J, d, n)."""
        known = np.concatenate([left[:, None], points], axis=1)
        return cls(breaks, gauss(points.shape[1]).monomials @ known)

    def __call__(self, t: FloatArray, side: Side = "right") -> FloatArray:
        """Values at times (T,), shape (T, n); `side` says which limit at an interval's end.

        Raises
        ------
        DataError
            If a time lies outside the intervals.
        """
        t = np.asarray(t, dtype=float)
        first, last = self.breaks[0], self.breaks[-1]
        outside = t[~((t >= first) & (t <= last))]
        if outside.size:
            raise DataError(
                f"the solution goes from time {first:.15g} to {last:.15g}, but a value is asked "
                f"for at {outside.flat[0]:.15g}; it is never extrapolated."
            )
        piece = np.clip(
            np.searchsorted(self.breaks, t, side=side) - 1, 0, len(self.coefficients) - 1
        )
        s = (t - self.breaks[piece]) / np.diff(self.breaks)[piece]
        here = self.coefficients[piece]
        value = here[..., -1, :]
        for k in range(self.coefficients.shape[1] - 2, -1, -1):
            value = value * s[..., None] + here[..., k, :]
        return np.asarray(value, dtype=np.float64)

    def derivative(self) -> Piecewise:
        """Differentiate by time."""
        powers = np.arange(1, self.coefficients.shape[1])
        lengths = np.diff(self.breaks)[:, None, None]
        return Piecewise(self.breaks, self.coefficients[:, 1:] * powers[:, None] / lengths)

    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Values at the left and at the right end of each interval, (J, n) each."""
        return self.coefficients[:, 0], self.coefficients.sum(axis=1)
