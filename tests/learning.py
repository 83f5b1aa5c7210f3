"""Recordings of Lorenz's convection model for the tests of learning, by LSODA."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.integrate import odeint

import symda as sd
from symda.types import BoolArray, FloatArray

H = 0.01
#: As given by J. C. Sprott, Chaos and Time-Series Analysis (2003); they sum to -(10 + 1 + 8/3).
EXPONENTS = (0.9056, 0.0, -14.5723)


def truth() -> sd.Model:
    return sd.learn.with_numbers(sd.models.lorenz63(), sd.models.LORENZ63)


def rates(x: FloatArray, t: float = 0.0) -> list[float]:
    return [10.0 * (x[1] - x[0]), x[0] * (28.0 - x[2]) - x[1], x[0] * x[1] - 8.0 / 3.0 * x[2]]


@cache
def clean(seed: int, samples: int = 4000) -> FloatArray:
    """Return states (samples, 3) on the attractor, H apart."""
    start = np.random.default_rng(seed).normal([0.0, 0.0, 25.0], 5.0)
    times = H * np.arange(samples + 1000)
    found: FloatArray = odeint(rates, start, times, rtol=1e-10, atol=1e-10)[1000:]
    found.flags.writeable = False
    return found


def noisy(seed: int, variance: float, samples: int = 4000) -> FloatArray:
    """Return them with noise."""
    x = clean(seed, samples)
    return x + np.sqrt(variance) * np.random.default_rng([seed, 1]).normal(size=x.shape)


def kept(shape: tuple[int, int], share: int = 8, *, regular: bool, seed: int = 0) -> BoolArray:
    """Return which values stay, one in `share`: of all components at once, or of each by chance."""
    if regular:
        return np.broadcast_to((np.arange(shape[0]) % share == 0)[:, None], shape)
    return np.random.default_rng([seed, 2]).random(shape) < 1.0 / share


def with_gaps(values: FloatArray, share: int = 8, *, regular: bool, seed: int = 0) -> FloatArray:
    """Return values with nan where none is kept."""
    return np.where(kept(values.shape, share, regular=regular, seed=seed), values, np.nan)
