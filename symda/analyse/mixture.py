"""Several Gaussians with weights: their moments, and intervals that hold a share of all."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from symda.types import FloatArray

#: Halvings of the interval that holds a quantile: to rounding of its width.
HALVINGS = 60


def weights_of(log_mass: FloatArray) -> FloatArray:
    """Return shares of what exp(log_mass) is in all, (J,); nan where one is not known."""
    share = np.exp(log_mass - log_mass.max())
    found: FloatArray = share / share.sum()
    return found


def moments(
    weights: FloatArray, means: FloatArray, variances: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of a mixture.

    Parameters
    ----------
    weights : (J,)
    means, variances : (J, ...)
    """
    mean = np.tensordot(weights, means, axes=1)
    within = np.tensordot(weights, variances, axes=1)
    return mean, within + np.tensordot(weights, (means - mean) ** 2, axes=1)


def quantile(weights: FloatArray, means: FloatArray, sds: FloatArray, share: float) -> FloatArray:
    """Return what a share of a mixture lies below, (...); means and sds are (J, ...).

    Infinite where a standard deviation is, nan where one is not known.
    """
    from scipy.special import ndtr

    known = np.isfinite(means).all(axis=0) & np.isfinite(sds).all(axis=0)
    centre, spread = np.where(known, means, 0.0), np.where(known, sds, 1.0)
    each = centre + NormalDist().inv_cdf(share) * spread
    low, high = each.min(axis=0), each.max(axis=0)
    if len(weights) > 1:
        column = weights.reshape(-1, *[1] * (means.ndim - 1))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            with np.errstate(divide="ignore", invalid="ignore"):
                away = (middle - centre) / spread
            below = (column * ndtr(np.nan_to_num(away))).sum(axis=0) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
    found = 0.5 * (low + high)
    endless = np.isinf(sds).any(axis=0) & ~np.isnan(sds).any(axis=0)
    found = np.where(endless, np.sign(share - 0.5) * np.inf, found)
    return np.where(known | endless, found, np.nan)
