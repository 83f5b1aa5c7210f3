"""Whether chains have mixed: R-hat and effective sample sizes of all unknowns at once."""

from __future__ import annotations

import numpy as np

from symda.types import FloatArray


def r_hat(chains: FloatArray) -> FloatArray:
    """Return the split R-hat of each unknown, (n,), of chains (m, T, n); nan where nothing moves.

    A. Gelman and others, Bayesian Data Analysis, 3rd edition (2013), section 11.4.
    """
    T = chains.shape[1]
    half = T // 2
    if half < 2:
        return np.full(chains.shape[2], np.nan)
    parts = np.concatenate([chains[:, :half], chains[:, T - half :]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = parts.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((half - 1) / half + between / within))


def effective(chains: FloatArray) -> FloatArray:
    """Return the effective sample size of the mean of each unknown, (n,), of chains (m, T, n).

    Autocorrelations of all chains together, added up in pairs as long as they are positive and
    fall (C. Geyer, Statistical Science 7, 1992, 473).
    """
    m, T, n = chains.shape
    size = 1 << (2 * T - 1).bit_length()
    total = np.zeros((T, n))
    for chain in chains:
        spectrum = np.fft.rfft(chain - chain.mean(axis=0), size, axis=0)
        total += np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[:T] / T
    within = total[0] / m * T / (T - 1.0)
    plus = within * (T - 1.0) / T
    if m > 1:
        plus = plus + chains.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1.0 - (within - total / m) / plus
    rho[0] = 1.0
    pairs = rho[: T // 2 * 2].reshape(T // 2, 2, n).sum(axis=1)
    pairs = np.minimum.accumulate(pairs, axis=0)
    ends = np.cumsum(pairs <= 0.0, axis=0) > 0
    time = -1.0 + 2.0 * np.where(ends, 0.0, pairs).sum(axis=0)
    # chains that go to and fro may be better than independent draws, but not endlessly
    time = np.maximum(time, 1.0 / np.log10(max(m * T, 10)))
    return np.asarray(np.where(np.isfinite(time), m * T / time, np.nan))
