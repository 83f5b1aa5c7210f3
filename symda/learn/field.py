"""Rates of a model as NumPy functions of many states at once, and Runge and Kutta's step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.build.terms import STAGES
from symda.declare.model import Model
from symda.derive.terms import rate_function
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca


class Evaluated:
    """A CasADi function x -> values, slopes, at many states.

    Parameters
    ----------
    function
        Of a state (D,), with values (R,) and slopes (R, D).
    """

    def __init__(self, function: ca.Function) -> None:
        self._function = function
        self.D, self.R = function.size1_in(0), function.size1_out(0)

    def both(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return values (K, R) and slopes (K, R, D) at states (K, D)."""
        values, slopes = self._function(np.asarray(x, dtype=np.float64).T)
        K = len(x)
        by_state = np.asarray(slopes).reshape(self.R, K, self.D)
        return np.ascontiguousarray(np.asarray(values).T), by_state.transpose(1, 0, 2)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return values (K, R) at states (K, D)."""
        return self.both(x)[0]


class Field:
    """Rates of a model with numbers for its parameters, and steps of the classic method.

    Parameters
    ----------
    model : Model
        Without parameters, forcing or time.

    Raises
    ------
    ModelError
        If it has any.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._rate = Evaluated(rate_function(model))

    def rate(self, x: FloatArray) -> FloatArray:
        """Return F (K, D) at states (K, D)."""
        return self._rate(x)

    def step(self, x: FloatArray, h: float) -> FloatArray:
        """Return the states (K, D) one step of the classic method (Kutta 1901) later."""
        with np.errstate(all="ignore"):
            total, k = np.zeros_like(x), np.zeros_like(x)
            for place, weight in STAGES:
                k = self.rate(x + place * h * k)
                total += weight * k
            return x + h / 6.0 * total

    def tangent(self, x: FloatArray, h: float) -> tuple[FloatArray, FloatArray]:
        """Return `step`, and its slopes (K, D, D)."""
        with np.errstate(all="ignore"):
            K, D = x.shape
            one = np.eye(D)
            total, k = np.zeros_like(x), np.zeros_like(x)
            slopes, dk = np.zeros((K, D, D)), np.zeros((K, D, D))
            for place, weight in STAGES:
                k, A = self._rate.both(x + place * h * k)
                dk = A @ (one + place * h * dk)
                total += weight * k
                slopes += weight * dk
            return x + h / 6.0 * total, one + h / 6.0 * slopes
