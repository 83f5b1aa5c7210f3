"""What `score` consists of: errors of forecasts, distances of attractors, terms compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symda.declare.model import Model
from symda.declare.numbers import terms_of
from symda.errors import DataError, ModelError
from symda.learn.candidates import columns_of
from symda.learn.learner import Learner, ModelLearner
from symda.learn.series import Recordings, Times, as_series
from symda.types import FloatArray, IntArray

#: Sizes of a coefficient, as a share of the largest of its equation, that are rounding.
ROUNDING = 1e-9
#: Steps of a long forecast between two looks at it.
BLOCK = 100
#: Points of a free run that an attractor is compared by.
ENOUGH = 20_000


def clean_runs(
    test: Recordings, t: Times, learner: Learner, most: int
) -> tuple[list[FloatArray], float]:
    """Return test data as arrays (T, D) of one step h, longer than `most` steps.

    Columns that are called as the states of a model are in their order.

    Raises
    ------
    DataError
        If they are anything else.
    """
    series, names = as_series(test, t, "score: test")
    if len(names) != learner.D:
        raise DataError(
            f"score: the test data have {len(names)} columns; {learner.D} states were learned."
        )
    h = series[0].step
    for one in series:
        if not np.isfinite(one.values).all():
            raise DataError(
                f"score: recording {one.name} of the test data has gaps; forecasts are compared "
                "with clean data of all states."
            )
        if not np.allclose(np.diff(one.times), h, rtol=1e-6):
            raise DataError("score: times of the test data must rise evenly, alike in all.")
        if len(one.times) <= most:
            raise DataError(
                f"score: recording {one.name} of the test data has {len(one.times)} times; "
                f"{most + 1} are needed to forecast {most} steps."
            )
    if isinstance(learner, ModelLearner):
        columns = columns_of(learner.model, names, "score: test")
        return [one.values[:, columns] for one in series], h
    return [one.values for one in series], h


def forecast_errors(
    learner: Learner, runs: Sequence[FloatArray], h: float, ahead: Sequence[int]
) -> tuple[dict[int, float], int]:
    """Return the RMS error of each number of steps ahead, and how many forecasts diverged."""
    most = max(ahead)
    first = np.concatenate([one[:-most] for one in runs])
    later = learner.steps(first, h, most)
    kept = np.isfinite(later).all(axis=(0, 2))
    found = {}
    for k in ahead:
        true = np.concatenate([one[k : len(one) - most + k] for one in runs])
        wrong = (later[k - 1] - true)[kept]
        found[k] = float(np.sqrt(np.mean(wrong**2))) if kept.any() else np.nan
    return found, int((~kept).sum())


def valid_times(
    learner: Learner,
    runs: Sequence[FloatArray],
    h: float,
    size: FloatArray,
    starts: int,
    threshold: float,
) -> tuple[FloatArray, int]:
    """Return how long forecasts are valid, (K,), and how many still are where the data end.

    A forecast ends where its error exceeds the threshold; each component counts in units of its
    size. One that diverges ends there. Starts are spread over the first half of each recording.
    """
    places = [(r, k) for r, one in enumerate(runs) for k in range(max(1, len(one) // 2))]
    chosen = [
        places[i] for i in np.linspace(0, len(places) - 1, min(starts, len(places)), dtype=int)
    ]
    x = np.array([runs[r][k] for r, k in chosen])
    left = np.array([len(runs[r]) - 1 - k for r, k in chosen])
    valid = left.copy()  # steps; what has not ended at the end of the data counts in full
    going = np.ones(len(chosen), dtype=bool)
    for done in range(0, int(left.max()), BLOCK):
        which = np.flatnonzero(going & (left > done))
        if not which.size:
            break
        later = learner.steps(x[which], h, min(BLOCK, int(left[which].max()) - done))
        x[which] = later[-1]
        for i, forecast in zip(which, later.transpose(1, 0, 2), strict=True):
            r, k = chosen[i]
            true = runs[r][k + done + 1 : k + done + 1 + len(forecast)]
            with np.errstate(over="ignore"):
                off = (forecast[: len(true)] - true) / size
                wrong = np.sqrt(np.mean(off**2, axis=1))
            beyond = np.flatnonzero(~(wrong <= threshold))
            if beyond.size:
                valid[i], going[i] = done + beyond[0], False
    return h * valid, int(going.sum())


def free_run(
    learner: Learner, starts: FloatArray, h: float, steps: int, spin_up: int
) -> tuple[FloatArray, int]:
    """Return points (K, D) of runs that stay finite, and how many do not."""
    x = starts
    if spin_up:
        x = learner.steps(x, h, spin_up)[-1]
    points = learner.steps(x, h, steps)
    kept = np.isfinite(points[-1]).all(axis=1)
    every = max(1, steps * len(starts) // ENOUGH)
    return points[::every, kept].reshape(-1, starts.shape[1]), int((~kept).sum())


def distance(one: FloatArray, other: FloatArray, size: FloatArray) -> float:
    """Return Wasserstein's distance by component, in units of its size, mean over components."""
    from scipy.stats import wasserstein_distance

    if not len(one) or not len(other):
        return np.nan
    apart = [wasserstein_distance(a, b) for a, b in zip(one.T, other.T, strict=True)]
    return float(np.mean(np.array(apart) / size))


def places_in(truth: Model, model: Model) -> IntArray:
    """Return which state of the true model each state of another one is.

    Raises
    ------
    ModelError
        If it has not as many.
    """
    if len(truth.states) != len(model.states):
        raise ModelError(
            f"score: truth {truth.name!r} has {len(truth.states)} states; "
            f"{len(model.states)} were learned."
        )
    return columns_of(model, [x.name for x in truth.states], "score: truth")


def compared_terms(
    model: Model, truth: Model
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the terms of the true rates that a model has, those that it has not, and others."""
    states = [truth.states[i] for i in places_in(truth, model)]
    learned = dict(zip(states, terms_of(model, states), strict=True))
    found: tuple[list[str], list[str], list[str]] = ([], [], [])
    for x, true in zip(truth.states, terms_of(truth, truth.states), strict=True):
        sizes = {term: abs(float(value)) for term, value in learned[x].items()}
        least = ROUNDING * max(sizes.values(), default=0.0)
        have = [term for term, value in sizes.items() if value > least]
        found[0].extend(f"d{x}/dt: {term}" for term in true if term in have)
        found[1].extend(f"d{x}/dt: {term}" for term in true if term not in have)
        found[2].extend(f"d{x}/dt: {term}" for term in have if term not in true)
    return tuple(found[0]), tuple(found[1]), tuple(found[2])
