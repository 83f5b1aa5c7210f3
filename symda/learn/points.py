"""Recordings on the grid of the path: steps, data, precisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symda.errors import DataError
from symda.learn.series import Series
from symda.types import BoolArray, FloatArray

#: More points are a mistake in units, and would exhaust memory.
MOST = 10**7


@dataclass(frozen=True, eq=False)
class Points:
    """All recordings one after the other.

    Attributes
    ----------
    times, h : (M,)
        Times, and the step to the next point: 0 at the last one of a recording.
    y, rm : (M, D)
        Values and their precisions, 0 both where nothing was measured.
    parts : tuple of slice
        The points of each recording.
    """

    times: FloatArray
    h: FloatArray
    y: FloatArray
    rm: FloatArray
    parts: tuple[slice, ...]

    @property
    def seen(self) -> BoolArray:
        """Where there is a value, (M, D)."""
        return self.rm > 0.0

    @property
    def count(self) -> int:
        """Number of values."""
        return int(self.seen.sum())


def make_points(
    series: Sequence[Series], variance: FloatArray, step: float | None, where: str
) -> Points:
    """Put steps between the times, none longer than `step` (the smallest distance if None).

    Parameters
    ----------
    variance : (D,)
        Noise variance where a recording has none of its own.

    Raises
    ------
    DataError
        If there are more than `MOST` points.
    """
    longest = min(one.step for one in series) if step is None else step
    times, y, rm, h, parts, first = [], [], [], [], [], 0
    for one in series:
        gaps = np.diff(one.times)
        count = np.maximum(1, np.ceil(gaps / longest * (1.0 - 1e-9))).astype(np.int64)
        M = int(count.sum()) + 1
        if first + M > MOST:
            raise DataError(
                f"{where}: steps of {longest:.3g} make more than {MOST} points; pass a longer step."
            )
        place = np.concatenate([[0], np.cumsum(count)])
        inner = np.repeat(gaps / count, count)
        begun = np.repeat(one.times[:-1], count)
        number = np.arange(M - 1) - np.repeat(place[:-1], count)
        times.append(np.append(begun + number * inner, one.times[-1]))
        h.append(np.append(inner, 0.0))
        D = one.values.shape[1]
        mine, weight = np.zeros((M, D)), np.zeros((M, D))
        known = np.isfinite(one.values)
        spread = np.where(np.isfinite(one.variance), one.variance, variance)
        mine[place] = np.where(known, one.values, 0.0)
        weight[place] = np.where(known, 1.0 / spread, 0.0)
        y.append(mine)
        rm.append(weight)
        parts.append(slice(first, first + M))
        first += M
    joined = np.concatenate
    return Points(joined(times), joined(h), joined(y), joined(rm), tuple(parts))
