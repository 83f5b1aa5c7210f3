"""An ensemble Kalman smoother: states given the data, under a model with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.learn.points import Points
from symda.learn.transitions import Transitions, root_of
from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class StatePrior:
    """What is assumed before any datum: the first state, and the errors of the model.

    Attributes
    ----------
    mean, variance : (D,)
        Of the first state of each recording.
    Q : (D, D)
        Covariance of the model's errors in a unit of time: of a step h it is h Q.
    """

    mean: FloatArray
    variance: FloatArray
    Q: FloatArray


@dataclass(frozen=True, eq=False)
class EnsembleOptions:
    """Members N, how many steps back a datum counts (None: all), inflation, radius of the taper."""

    members: int
    lag: int | None
    inflation: float
    localisation: float | None


@dataclass(frozen=True, eq=False)
class Ensemble:
    """States at the points of the grid.

    Attributes
    ----------
    mean : (M, D)
    members : (M, D, N)
        What to add to the mean. Member i at one time goes with member i at the next.
    log_likelihood : float
        Of the data, by the errors and variances of their forecasts.
    """

    mean: FloatArray
    members: FloatArray
    log_likelihood: float


def smoothed(
    steps: Transitions,
    theta: FloatArray,
    points: Points,
    prior: StatePrior,
    options: EnsembleOptions,
    random: np.random.Generator,
) -> Ensemble:
    """Run the smoother through all recordings.

    Notes
    -----
    Data are taken one by one, and change the states of the last `lag` steps by their covariances
    with the forecast of the datum. The square-root form of Whitaker and Hamill (Mon. Weather Rev.
    130 (2002) 1913, eq. 10 to 13) is used, in which data are not perturbed; for the smoother see
    Evensen and van Leeuwen, Mon. Weather Rev. 128 (2000) 1852. Errors of the model are drawn, with
    mean 0 over the members.
    """
    M, D = points.y.shape
    N = options.members
    mean, members = np.empty((M, D)), np.empty((M, D, N))
    root = root_of(prior.Q) * np.sqrt(N / (N - 1))
    taper = None if options.localisation is None else _taper(D, options.localisation)
    total = 0.0
    for part in points.parts:
        draw = _centred(random, D, N) * np.sqrt(N / (N - 1))
        state = (prior.mean + np.sqrt(prior.variance) * draw.T).T
        for k in range(part.start, part.stop):
            if k > part.start:
                h = points.h[k - 1]
                state = mean[k - 1, :, None] + members[k - 1]
                state = steps.step(state, theta, h) + np.sqrt(h) * (root @ _centred(random, D, N))
            mean[k] = state.mean(axis=1)
            members[k] = state
            members[k] -= mean[k, :, None]
            if options.inflation != 1.0:
                members[k] *= options.inflation
            first = part.start if options.lag is None else max(part.start, k - options.lag)
            for i in np.flatnonzero(points.rm[k]):
                total += _assimilate(
                    mean[first : k + 1],
                    members[first : k + 1],
                    int(i),
                    points.y[k, i],
                    1.0 / points.rm[k, i],
                    None if taper is None else taper[i],
                )
            if not np.isfinite(mean[k]).all():
                return Ensemble(mean, members, -np.inf)
    return Ensemble(mean, members, total)


def _assimilate(
    mean: FloatArray,
    members: FloatArray,
    i: int,
    y: float,
    r: float,
    taper: FloatArray | None,
) -> float:
    """Change the last states (L, D), (L, D, N) by a datum of state i; return its log-likelihood."""
    L, D, N = members.shape
    seen = members[-1, i].copy()
    s = float(seen @ seen) / (N - 1) + r
    error = y - mean[-1, i]
    gain = members.reshape(L * D, N) @ (seen / ((N - 1) * s))
    if taper is not None:
        gain = (gain.reshape(L, D) * taper).ravel()
    mean += (error * gain).reshape(L, D)
    flat = members.reshape(L * D, N)
    flat -= np.multiply.outer(gain / (1.0 + np.sqrt(r / s)), seen)
    return -0.5 * float(error**2 / s + np.log(2.0 * np.pi * s))


def _centred(random: np.random.Generator, D: int, N: int) -> FloatArray:
    draw = random.standard_normal((D, N))
    draw -= draw.mean(axis=1, keepdims=True)
    return draw


def _taper(D: int, radius: float) -> FloatArray:
    """Gaspari and Cohn's function (1999, eq. 4.10) of the distance of indices around a ring."""
    apart = np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
    z = np.minimum(apart, D - apart) / radius
    near = 1.0 - 5.0 / 3.0 * z**2 + 5.0 / 8.0 * z**3 + z**4 / 2.0 - z**5 / 4.0
    with np.errstate(divide="ignore"):
        far = 4.0 - 5.0 * z + 5 / 3 * z**2 + 5 / 8 * z**3 - z**4 / 2 + z**5 / 12 - 2.0 / (3.0 * z)
    return np.where(z <= 1.0, near, np.where(z < 2.0, far, 0.0))
