"""How good a forecast by draws is, against what was measured then."""

from __future__ import annotations

import numpy as np

from symda.types import FloatArray


def crps(draws: FloatArray, values: FloatArray) -> FloatArray:
    """Return the continuous ranked probability score of draws (K, ...) at values (...).

    In the unit of the values, 0 at best; of one draw the absolute error (H. Hersbach, Weather and
    Forecasting 15 (2000) 559).
    """
    ordered = np.sort(draws, axis=0)
    K = len(draws)
    weights = (2.0 * np.arange(1, K + 1) - K - 1.0).reshape(-1, *[1] * (draws.ndim - 1))
    # half the mean distance of two draws
    apart = (weights * ordered).sum(axis=0) / K**2
    found: FloatArray = np.abs(draws - values).mean(axis=0) - apart
    return found


def valid_time(
    times: FloatArray, start: float, error: FloatArray, size: float, threshold: float = 0.4
) -> float:
    """Return the time from `start` until an error first exceeds a share of a size.

    The last time, if it never does.
    """
    known = np.isfinite(error)
    beyond = np.flatnonzero(known & (np.abs(error) > threshold * size))
    at = times[known][-1] if not beyond.size else times[beyond[0]]
    return float(at - start)
