"""How closely a state is measured: what starts and strategies may take from its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.types import BoolArray

if TYPE_CHECKING:
    from symda.observe import Problem


#: Fewer data than this, at less than this share of all observation times, say nothing about the
#: times between them.
FEW, SHARE = 5, 0.1


def spacing(problem: Problem, seen: BoolArray) -> float:
    """Return the typical distance in time of data at the grid points `seen` (M,): their median.

    It is 0 where there is none: with one datum, or a few where the rest of the problem is measured
    far more often, as of a state of which only the first and last value are known.
    """
    times = problem.times[seen]
    observed = int((problem.rm > 0.0).any(axis=1).sum())
    if times.size < 2 or (times.size < FEW and times.size < SHARE * observed):
        return 0.0
    return float(np.median(np.diff(times)))


def near(problem: Problem, seen: BoolArray) -> BoolArray:
    """Which grid points are no farther from data at `seen` (M,) than their typical distance, (M,).

    Data are at least at one grid point.
    """
    times = problem.times[seen]
    after = np.clip(np.searchsorted(times, problem.times), 0, times.size - 1)
    before = np.maximum(after - 1, 0)
    distance = np.minimum(
        np.abs(problem.times - times[after]), np.abs(problem.times - times[before])
    )
    return np.asarray(distance <= spacing(problem, seen) * (1.0 + 1e-9))


def followed(problem: Problem) -> list[int]:
    """Return the states that are measured as they are, and often enough to be known in between."""
    states = sorted({int(state) for state in problem.direct if state >= 0})
    return [a for a in states if all(_follows(one, a) for one in problem.experiments)]


def _follows(problem: Problem, state: int) -> bool:
    return spacing(problem, problem.rm[:, problem.direct == state].sum(axis=1) > 0.0) > 0.0
