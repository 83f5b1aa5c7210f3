"""Covariances of the channels at one time, and their inverses, as arrays of many of them.

A channel that is absent at a time, because nothing was measured, has no row and no column there:
the inverse is that of the others' own matrix. An inverse stands as its diagonal `rm` (T, L), 0
where a channel is absent, and what is below it, `cross` (T, L (L - 1)/2), in the order of `below`.
"""

from __future__ import annotations

import numpy as np

from symda.types import BoolArray, FloatArray, IntArray


def below(L: int) -> tuple[IntArray, IntArray]:
    """Rows and columns of the entries below the diagonal, (L (L - 1)/2,) each, row by row."""
    rows, columns = np.tril_indices(L, -1)
    return rows.astype(np.int64), columns.astype(np.int64)


def correlations(covariance: FloatArray, present: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Correlation matrices (T, L, L) and standard deviations (T, L) of the channels present.

    An absent one stands as if it were independent, with the standard deviation 1.
    """
    variance = np.where(present, np.diagonal(covariance, axis1=1, axis2=2), 1.0)
    sd = np.sqrt(variance)
    both = present[:, :, None] & present[:, None, :]
    found = np.where(both, covariance, 0.0) / sd[:, :, None] / sd[:, None, :]
    at = np.arange(variance.shape[1])
    found[:, at, at] = 1.0
    return found, sd


def precisions(covariance: FloatArray, present: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Inverses (rm, cross) of the covariances (T, L, L) of the channels present (T, L)."""
    found, sd = correlations(covariance, present)
    inverse = np.linalg.inv(found)
    variance = np.where(present, np.diagonal(covariance, axis1=1, axis2=2), 1.0)
    rm = np.where(present, np.diagonal(inverse, axis1=1, axis2=2) / variance, 0.0)
    i, j = below(rm.shape[1])
    cross = 0.5 * (inverse[:, i, j] + inverse[:, j, i]) / (sd[:, i] * sd[:, j])
    return rm, np.where(present[:, i] & present[:, j], cross, 0.0)


def covariances(rm: FloatArray, cross: FloatArray) -> FloatArray:
    """Covariances (T, L, L) of inverses; nan in rows and columns of channels that are absent."""
    L = rm.shape[1]
    i, j = below(L)
    precision = np.zeros((len(rm), L, L))
    precision[:, i, j] = precision[:, j, i] = cross
    at = np.arange(L)
    precision[:, at, at] = rm
    present = rm > 0.0
    variance, below_it = precisions(precision, present)
    found = np.full(precision.shape, np.nan)
    found[:, at, at] = np.where(present, variance, np.nan)
    both = present[:, i] & present[:, j]
    found[:, i, j] = found[:, j, i] = np.where(both, below_it, np.nan)
    return found


def whitened(covariance: FloatArray, errors: FloatArray) -> FloatArray:
    """Errors (T, L) made independent and of variance 1 where they have these covariances.

    Each is the deviation from what is expected given the channels before it, in units of the
    standard deviation that is left: L^-1 e, with the Cholesky factor L of the covariance. nan where
    a channel is absent.
    """
    present = ~np.isnan(np.diagonal(covariance, axis1=1, axis2=2))
    found, sd = correlations(covariance, present)
    plain = np.where(present, errors, 0.0) / sd
    white = np.linalg.solve(np.linalg.cholesky(found), plain[..., None])[..., 0]
    return np.where(present, white, np.nan)
