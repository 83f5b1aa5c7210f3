"""The model grid: steps, nodes and interior points that hit every observation time exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from symda.checks import integer, number
from symda.errors import DataError, OptionError
from symda.observe.arrays import (
    as_floats,
    as_times,
    dimensions,
    readonly,
)
from symda.types import FloatArray, IntArray

_MOST_STEPS = (
    10**8
)  # more is a mistake in units, and would exhaust memory before it fails elsewhere


@dataclass(frozen=True, eq=False)
class Grid:
    """Points of a path in time.

    Attributes
    ----------
    times : (M,)
        Nodes and interior points, interleaved: t_0, interior points of step 0, t_1, ...
    nodes : (N + 1,)
        Indices of the nodes in `times`.
    steps : (N,)
        Step sizes h, node to node.
    observed : (T,)
        Indices of the observation times in `times`; ``times[observed]`` equals them bit for bit.
    """

    times: FloatArray
    nodes: IntArray
    steps: FloatArray
    observed: IntArray

    def __post_init__(self) -> None:
        for name in ("times", "nodes", "steps", "observed"):
            object.__setattr__(self, name, readonly(np.array(getattr(self, name))))

    @property
    def N(self) -> int:
        """Steps."""
        return self.steps.size

    @property
    def M(self) -> int:
        """Grid points, N (1 + I) + 1."""
        return self.times.size

    @classmethod
    def make(
        cls,
        times: ArrayLike,
        *,
        steps: int | Sequence[int] = 1,
        max_step: float | None = None,
        interior: Sequence[float] = (),
        midpoint_data: bool = False,
        start: float | None = None,
        stop: float | None = None,
        also: ArrayLike = (),
    ) -> Grid:
        """Put steps between observation times.

        Parameters
        ----------
        times : (T,)
            Observation times, strictly increasing.
        steps
            Steps in every interval, or a sequence with the number for each interval.
        max_step
            Instead of `steps`: the fewest equal steps in each interval that are no longer than this
            (up to rounding: 0.15 holds three of 0.05).
        interior : (I,)
            Abscissae in (0, 1) of the scheme's interior points.
        midpoint_data
            One step spans two intervals of equal length: every other observation lies on the
            midpoint of a step. Needs interior (0.5,), an odd T, and steps = 1.
        start, stop
            Model time begins before the first, ends after the last observation. The end intervals
            count as intervals for `steps` and `max_step`.
        also : (J,)
            More times inside at which a step must end; the step that holds one is cut there.

        Raises
        ------
        DataError
            Times that are not increasing, too few, or that do not fit start, stop or midpoint_data.
        OptionError
            Steps that are not positive, or options that contradict each other.
        """
        when = as_times(times, "observation times")
        c = _abscissae(interior)
        ends = _with_ends(when, start, stop)
        if midpoint_data:
            if ends.size != when.size:
                raise OptionError(
                    "midpoint_data=True does not go with start= or stop=. Leave them out."
                )
            return cls._midpoints(when, steps, max_step, c)
        counts = _counts(ends, steps, max_step)
        nodes = np.empty(int(counts.sum()) + 1)
        first = np.concatenate(([0], np.cumsum(counts)))  # node index of each end
        within = np.arange(nodes.size - 1) - np.repeat(first[:-1], counts)
        # (length * j) / count is exact where the quotient is, so unit steps stay whole numbers
        offset = np.repeat(np.diff(ends), counts) * within / np.repeat(counts, counts)
        nodes[:-1] = np.repeat(ends[:-1], counts) + offset
        nodes[first] = ends
        seen = first[np.searchsorted(ends, when)]
        more = np.setdiff1d(as_floats(also, "also of the grid"), nodes)
        if more.size:
            seen = seen + np.searchsorted(more, nodes[seen])
            nodes = np.union1d(nodes, more)
        return cls._interleave(nodes, c, seen)

    @classmethod
    def _interleave(cls, nodes: FloatArray, c: FloatArray, seen: IntArray) -> Grid:
        h = np.diff(nodes)
        stride = 1 + c.size
        times = np.empty(h.size * stride + 1)
        times[::stride] = nodes
        for i, abscissa in enumerate(c):
            times[1 + i :: stride] = nodes[:-1] + abscissa * h
        if not np.all(np.diff(times) > 0.0):
            i = int(np.flatnonzero(np.diff(times) <= 0.0)[0])
            raise DataError(
                f"the grid has steps too short for double precision near time {times[i]}. "
                "Use fewer steps, or measure time from a nearer origin."
            )
        return cls(times, np.arange(h.size + 1) * stride, h, seen * stride)

    @classmethod
    def _midpoints(
        cls, when: FloatArray, steps: int | Sequence[int], max_step: float | None, c: FloatArray
    ) -> Grid:
        if c.tolist() != [0.5]:
            raise OptionError(
                "midpoint_data=True needs a scheme with one interior point at 0.5, such as "
                f"'hermite-simpson'; this one has {tuple(c.tolist())}."
            )
        if max_step is not None or not _is_one(steps):
            raise OptionError(
                "midpoint_data=True takes steps=1 and no max_step: each step spans two data "
                "intervals. For more steps leave midpoint_data out."
            )
        if when.size < 3 or when.size % 2 == 0:
            raise DataError(
                "midpoint_data=True needs an odd number of observation times, at least three, "
                f"got {when.size}. Drop one, or leave midpoint_data out."
            )
        nodes = when[::2]
        h = np.diff(nodes)
        rounding = 1e-9 * h + 4.0 * np.spacing(np.abs(when).max())
        uneven = np.flatnonzero(np.abs(when[1::2] - nodes[:-1] - 0.5 * h) > rounding)
        if uneven.size:
            i = 2 * int(uneven[0])
            raise DataError(
                "midpoint_data=True needs data intervals of equal length in each pair, but times "
                f"{when[i]}, {when[i + 1]}, {when[i + 2]} are not evenly spaced. Leave "
                "midpoint_data out."
            )
        return cls(when, np.arange(0, when.size, 2), h, np.arange(when.size))


def _abscissae(interior: Sequence[float]) -> FloatArray:
    c = as_floats(interior, "interior of the grid").reshape(-1)
    if not (np.all(c > 0.0) and np.all(c < 1.0) and np.all(np.diff(c) > 0.0)):
        raise OptionError(
            "interior: expected increasing abscissae between 0 and 1, both excluded, got "
            f"{tuple(c.tolist())}."
        )
    return c


def _with_ends(when: FloatArray, start: float | None, stop: float | None) -> FloatArray:
    for name, end in (("start", start), ("stop", stop)):
        if end is not None:
            number(end, name, "give it in the units of the times", error=DataError)
    if start is not None and start > when[0]:
        raise DataError(
            f"start: expected a time at or before the first observation ({when[0]}), got {start}. "
            "To use fewer observations, cut them before making Observations."
        )
    if stop is not None and stop < when[-1]:
        raise DataError(
            f"stop: expected a time at or after the last observation ({when[-1]}), got {stop}. "
            "To use fewer observations, cut them before making Observations."
        )
    before = [] if start is None or start == when[0] else [float(start)]
    after = [] if stop is None or stop == when[-1] else [float(stop)]
    ends = np.concatenate((before, when, after))
    if ends.size < 2:
        raise DataError(
            f"a grid needs two times, got one observation at {when[0]}. Let the model's time begin "
            "before it or end after it: action.bind(data, stop=...), or start=."
        )
    return ends


def _counts(ends: FloatArray, steps: int | Sequence[int], max_step: float | None) -> IntArray:
    """Count the steps in each interval between `ends`."""
    intervals = ends.size - 1
    if max_step is None:
        several = isinstance(steps, Sequence | np.ndarray) and dimensions(steps) > 0
        given = list(steps) if several else [steps] * intervals  # type: ignore[arg-type]
        if len(given) != intervals:
            raise OptionError(
                f"steps: expected one number, or {intervals} numbers, one for each interval "
                f"(start and stop included), got {len(given)}."
            )
        each = [integer(k, "steps") for k in given]
        if sum(each) > _MOST_STEPS:
            raise OptionError(
                f"steps: {sum(each)} steps in all are more than memory holds. Use fewer."
            )
        counts = np.array(each, dtype=np.int64)
    else:
        if not _is_one(steps):
            raise OptionError(
                f"steps={steps!r} and max_step={max_step!r} contradict each other. Pass one of "
                "them."
            )
        number(max_step, "max_step", "it is a length of time", kind="positive")
        ratio = np.diff(ends) / max_step
        # times such as 0.15 are rounded: a ratio slightly above a whole number is that number
        slack = 1e-9 * ratio + 2.0 * np.spacing(np.abs(ends).max()) / max_step
        ceiling = np.maximum(np.ceil(ratio - slack), 1.0)
        if ceiling.sum() > _MOST_STEPS:
            raise OptionError(
                f"max_step={max_step!r} makes {ceiling.sum():.3g} steps from {ends[0]} to "
                f"{ends[-1]}. Is it in the units of the observation times?"
            )
        counts = ceiling.astype(np.int64)
    return counts


def _is_one(steps: int | Sequence[int]) -> bool:
    return dimensions(steps) == 0 and steps == 1
