"""A sampled function of time: a forcing known at some times only, and the rule in between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from symda.checks import choice
from symda.errors import DataError
from symda.observe.arrays import as_floats, as_times, readonly
from symda.types import FloatArray

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

Rule = Literal["linear", "hold", "cubic"]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Samples:
    """Samples of a forcing, never extrapolated.

    Parameters
    ----------
    times : (T',)
        Strictly increasing, in the units of the observation times.
    values : (T',)
        Finite.
    rule
        Between samples: ``"linear"``, ``"hold"`` (the last sample at or before t, so a jump
        takes effect at its own time) or ``"cubic"`` (cubic spline, not-a-knot ends).

    Raises
    ------
    DataError
        Bad times or values.
    OptionError
        An unknown rule.
    """

    times: FloatArray
    values: FloatArray
    rule: Rule

    def __init__(self, times: ArrayLike, values: ArrayLike, rule: Rule = "linear") -> None:
        choice(rule, "rule of Samples", get_args(Rule))
        when = as_times(times, "times of Samples")
        what = as_floats(values, "values of Samples")
        if what.shape != when.shape:
            raise DataError(
                f"values of Samples: expected shape {when.shape}, one value for each time, got "
                f"{what.shape}."
            )
        bad = np.flatnonzero(~np.isfinite(what))
        if bad.size:
            raise DataError(
                f"values of Samples: entry {bad[0]} (time {when[bad[0]]}) is {what[bad[0]]}, "
                "expected a finite number. A forcing has no gaps: leave out the samples that are "
                "missing."
            )
        if rule == "cubic" and when.size < 2:
            raise DataError(
                "Samples with rule='cubic': expected at least two samples, got one. Use "
                "rule='hold'."
            )
        object.__setattr__(self, "times", when)
        object.__setattr__(self, "values", readonly(what))
        object.__setattr__(self, "rule", rule)

    def __call__(self, t: ArrayLike) -> FloatArray:
        """Values at times `t` (any shape), in the same shape.

        Raises
        ------
        DataError
            A time outside the samples.
        """
        t = as_floats(t, "times at which Samples are evaluated")
        first, last = self.times[0], self.times[-1]
        outside = t[~((t >= first) & (t <= last))]
        if outside.size:
            raise DataError(
                f"samples cover times {first} to {last}, but a value is needed at {outside[0]}; "
                "samples are never extrapolated. Add samples, or choose times within that range "
                "(of observations with start=, stop=)."
            )
        if self.rule == "hold":
            return self.values[np.searchsorted(self.times, t, side="right") - 1]
        if self.rule == "cubic":
            return np.asarray(self._spline(t), dtype=np.float64)
        return np.asarray(np.interp(t, self.times, self.values), dtype=np.float64)

    @property
    def breaks(self) -> FloatArray:
        """Times where one polynomial piece ends and another begins: jumps, kinks, inner knots."""
        if self.rule == "hold":
            joints, changes = self.times[1:], np.diff(self.values) != 0.0
        else:
            slopes = np.diff(self.values) / np.diff(self.times)
            joints, changes = self.times[1:-1], np.diff(slopes) != 0.0
        found: FloatArray = joints if self.rule == "cubic" else joints[changes]
        return found

    @cached_property
    def _spline(self) -> CubicSpline:
        from scipy.interpolate import CubicSpline

        return CubicSpline(self.times, self.values)

    def __repr__(self) -> str:
        span = f"{self.times[0]} to {self.times[-1]}"
        return f"Samples({self.times.size} samples, times {span}, rule={self.rule!r})"
