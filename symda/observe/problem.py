"""`Problem`: everything a solver needs besides the kernels, as arrays and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from symda.covariance import covariances
from symda.errors import DataError
from symda.observe.arrays import readonly
from symda.observe.problem_data import (
    OF_PARAMETERS,
    OF_POINTS,
    OF_REPEATS,
    OF_STEPS,
    ProblemData,
)
from symda.observe.segment import Segment
from symda.observe.unknowns import Unknowns
from symda.scale import Scale
from symda.types import BoolArray, FloatArray, IntArray

#: Change of a free parameter per step by its own size costs the action half of this, so that a
#: value without any effect is that of its neighbour.
TIE = 1e-8
#: A walk stands still over a pulse: its change there weighs so many times what it does over a step.
STILL = 2.0**24
#: Data that vary by less than this share of their size are the same number.
FLAT = 1e-12


@dataclass(frozen=True, eq=False)
class Problem(ProblemData):
    """Data on the model grid, and what follows from them; `ProblemData` says which they are."""

    @cached_property
    def experiments(self) -> tuple[Problem, ...]:
        """Each experiment as a problem of its own, with the parameters of the kernels."""
        if len(self.segments) == 1:
            return (self,)
        return tuple(map(self._alone, range(len(self.segments))))

    def _alone(self, s: int) -> Problem:
        one = self.segments[s]
        return self._cut(s, one.own_steps, one.own_points, initial=self.initial[[s]])

    def _cut(self, s: int, steps: slice, points: slice, **more: Any) -> Problem:
        """Return some steps of experiment s, with their points, as a problem of its own."""
        one, use = self.segments[s], self.use[s]
        nodes = np.append(self.left_points[steps], points.stop - 1)
        again = (self.repeat_at >= points.start) & (self.repeat_at < points.stop)
        missed = [
            m._replace(step=m.step - steps.start)
            for m in self.missed
            if steps.start <= m.step < steps.stop
        ]
        count = (steps.stop - steps.start, points.stop - points.start)
        kept: dict[str, Any] = {
            **self._rows(OF_STEPS, steps),
            **self._rows(OF_POINTS, points),
            **self._rows(OF_PARAMETERS, use),
            "node_times": self.times[nodes],
            **self._rows(OF_REPEATS, again),
            "repeat_at": self.repeat_at[again] - points.start,
            "jumps": self.jumps[np.isin(np.flatnonzero(self.pulses), np.arange(self.N)[steps])],
            "tied": self.tied[[s]],
            "scales": (
                *self.scales[: self.D],
                *(self.scales[self.D + p] for p in use if self.scales),
            ),
            "parameters": self.kernel_parameters,
            "missed": tuple(missed),
            "segments": (Segment(one.name, 0, count[0], 0, count[1]),),
            "use": np.arange(use.size)[None],
        }
        return replace(self, **(kept | more))

    def stretch(self, first: int, last: int, after: int = -1) -> Problem:
        """Return the steps from `first` to before `last` of the one experiment there is.

        Its first state is an unknown. Data at its grid points up to the one numbered `after` are
        left out.
        """
        stride = 1 + self.interior
        points = slice(first * stride, last * stride + 1)
        found = self._cut(0, slice(first, last), points, initial=np.full((1, self.D), np.nan))
        return found.without(slice(0, after + 1)) if after >= 0 else found

    def without(self, points: slice) -> Problem:
        """Return the problem without the data at some grid points."""
        gone = np.zeros(self.M, dtype=bool)
        gone[points] = True
        again = ~gone[self.repeat_at]
        y, rm, cross = self.y.copy(), self.rm.copy(), self.cross.copy()
        y[gone], rm[gone], cross[gone] = 0.0, 0.0, 0.0
        kept = {**self._rows(OF_REPEATS, again), "repeat_at": self.repeat_at[again]}
        return replace(self, y=y, rm=rm, cross=cross, **kept)

    def _rows(self, names: tuple[str, ...], which: slice | IntArray | BoolArray) -> dict[str, Any]:
        """Return some rows of some arrays, by name."""
        return {name: getattr(self, name)[which] for name in names}

    def apart(
        self, path: FloatArray, theta: FloatArray
    ) -> Iterator[tuple[Problem, FloatArray, FloatArray]]:
        """Yield each experiment with its part of a path (M, D), and its parameters."""
        for one, segment, use in zip(self.experiments, self.segments, self.use, strict=True):
            yield one, path[segment.own_points], theta[use]

    @cached_property
    def free(self) -> BoolArray:
        """Which parameters are estimated, (P,)."""
        return readonly(np.isnan(self.fixed))

    @cached_property
    def sizes(self) -> FloatArray:
        """Declared size of each state and parameter, (D + P,); see `Unknowns.sizes`."""
        states = np.abs(self.state_start).max(axis=1)
        every = np.concatenate([np.where(states > 0.0, states, 1.0), self.typical])
        return readonly(np.where(self.scaled, 1.0, every))

    @cached_property
    def scaled(self) -> BoolArray:
        """Which states and parameters have a scale: their unknowns have no unit, (D + P,)."""
        named = [scale.name is not None for scale in self.scales]
        return readonly(np.array(named or [False] * (self.D + self.P), dtype=bool))

    def magnitudes(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Sizes (D + P,) of states and parameters along a path (M, D): their largest values.

        As declared where that is 0, and 1 where there is a scale.
        """
        largest = np.concatenate([np.abs(path).max(axis=0), np.abs(theta)])
        return np.where(self.scaled | ~(largest > 0.0), self.sizes, largest)

    def natural(self, path: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """States (..., D) and parameters (..., P) as users see them."""
        return self._scaled(Scale.natural, path, theta)

    def internal(self, path: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """States (..., D) and parameters (..., P) as solvers move them; nan where none is such."""
        return self._scaled(Scale.internal, path, theta)

    def slopes(self, path: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Differentiate what users see by what solvers move, at these values of the latter."""
        ones = np.ones(np.shape(path)), np.ones(np.shape(theta))
        return self._scaled(Scale.slope, path, theta, ones)

    def _scaled(
        self,
        change: Callable[[Scale, FloatArray], FloatArray],
        path: FloatArray,
        theta: FloatArray,
        others: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Change what has a scale; what has none stays, or is as in `others`."""
        found = (path, theta) if others is None else others
        if not self.scaled.any():
            return found
        changed = [np.array(part, dtype=float) for part in found]
        with np.errstate(all="ignore"):
            for i in np.flatnonzero(self.scaled).tolist():
                part, at = (0, i) if i < self.D else (1, i - self.D)
                changed[part][..., at] = change(self.scales[i], (path, theta)[part][..., at])
        return changed[0], changed[1]

    @cached_property
    def limits(self) -> FloatArray:
        """Bounds of states and parameters as users see them, (D + P, 2)."""
        ends = np.concatenate([self.state_bounds, self.parameter_bounds]).T
        own = [self.natural(end[: self.D], end[self.D :]) for end in ends]
        found = np.stack([np.concatenate(end) for end in own], axis=1)
        for i, scale in enumerate(self.scales):
            if scale.name == "logit":
                found[i] = scale.low, scale.high
        return readonly(found)

    @cached_property
    def placed(self) -> tuple[FloatArray, FloatArray]:
        """The data of channels that are plain states, in their coordinates, and `guide`, (M, L).

        The latter is 0 besides where the state cannot be: data below 0 have no logarithm.
        """
        if not self.scaled[: self.D].any():
            return self.y, self.guide
        plain = np.flatnonzero(self.direct >= 0)
        y, rm = self.y.copy(), self.guide.copy()
        for l in plain[self.scaled[self.direct[plain]]].tolist():
            with np.errstate(all="ignore"):
                y[:, l] = self.scales[self.direct[l]].internal(self.y[:, l])
            rm[~np.isfinite(y[:, l]), l] = 0.0
        return readonly(np.where(rm > 0.0, y, 0.0)), readonly(rm)

    @cached_property
    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound of each state and parameter, (D + P,) each; a fixed one's value."""
        lower, upper = np.where(self.free[:, None], self.parameter_bounds, self.fixed[:, None]).T
        return (
            readonly(np.concatenate([self.state_bounds[:, 0], lower])),
            readonly(np.concatenate([self.state_bounds[:, 1], upper])),
        )

    @cached_property
    def unknowns(self) -> Unknowns:
        """How path and parameters stand in one vector, with bounds and sizes."""
        every = (*self.ends, self.sizes)
        spread = [
            readonly(np.concatenate([np.tile(one[: self.D], self.M), one[self.D :]]))
            for one in every
        ]
        if self.given.any():
            # what a function of the parameters gives is no variable: it stands at 0
            value = np.where(self.tied, 0.0, self.initial)[self.given]
            for side in (0, 1):
                placed = spread[side].copy()
                placed[self.first_unknowns[self.given]] = value
                spread[side] = readonly(placed)
        return Unknowns(self.M, self.D, self.P, *spread)

    def unknown_name(self, index: int) -> str:
        """Name an unknown by its place, for people."""
        if index >= self.M * self.D:
            return f"the parameter {self.parameters[index - self.M * self.D]}"
        point, state = divmod(index, self.D)
        return f"{self.states[state]} at t = {self.times[point]:.6g}{self.named(point)}"

    def named(self, point: int) -> str:
        """Say which experiment a grid point belongs to, for people; nothing where there is one."""
        if len(self.segments) == 1:
            return ""
        return f" of experiment {self.segments[self.point_experiments[point]].name!r}"

    @cached_property
    def ruled(self) -> BoolArray:
        """Which states are the model's, with an Rf that the ladder rules, (D,)."""
        return readonly(np.isnan(self.process_variance))

    @cached_property
    def per_step(self) -> BoolArray:
        """Which states are parameters per step, with an Rf of their own, (D,)."""
        return readonly(~self.ruled)

    @cached_property
    def untied(self) -> BoolArray:
        """Which parameters per step may change from step to step at no cost, (D,)."""
        return readonly(np.isinf(self.process_variance))

    def precision(self, rf: ArrayLike) -> FloatArray:
        """Rf of every state, (..., D): as given, but of parameters per step their own."""
        tie = TIE / self.sizes[: self.D] ** 2
        own = np.where(self.untied, tie, 1.0 / self.process_variance)
        return np.where(self.ruled, np.asarray(rf, dtype=float), own)

    @cached_property
    def still(self) -> BoolArray:
        """Which states are walks that stand still in a step, the one of a pulse, (N, D)."""
        walks = self.per_step & ~self.untied
        return readonly(self.pulses[:, None] & walks)

    def by_step(self, precision: FloatArray) -> FloatArray:
        """Return Rf of every state (D,) in each step, (N, D), or as it is for all."""
        if not self.still.any():
            return precision
        return np.where(self.still, STILL * precision, precision)

    @cached_property
    def variances(self) -> FloatArray:
        """Each state's own variance along the path, (D,), in squares of what solvers move.

        That of the data where a state is measured as it is and they vary; else that of its start
        range, (high - low)^2/12; else the square of its size. So it goes with the units, provided
        data and ranges do.
        """
        low, high = self.state_start.T
        spread = (high - low) ** 2 / 12.0
        found = np.where(spread > 0.0, spread, self.sizes[: self.D] ** 2)
        y, rm = self.placed
        order = np.argsort(self.direct, kind="stable")
        measured, first = np.unique(self.direct[order], return_index=True)
        for state, channels in zip(measured.tolist(), np.split(order, first[1:]), strict=True):
            if state < 0:
                continue
            data = y[:, channels][rm[:, channels] > 0.0]
            # the same value throughout has a variance of rounding
            if data.size and np.ptp(data) > FLAT * np.abs(data).max():
                found[state] = data.var()
        return readonly(found)

    @cached_property
    def signal(self) -> float:
        """Variance of the data over that of their noise, the geometric mean over channels.

        Of a channel that does not vary, its mean square.
        """
        found = []
        for y, rm in zip(self.y.T, self.guide.T, strict=True):
            data, precision = y[rm > 0.0], rm[rm > 0.0] / self.measurement_scale
            if data.size:
                varies = np.ptp(data) > FLAT * np.abs(data).max()
                size = data.var() if varies else np.mean(data**2)
                found.append(float(size * precision.mean()) or 1.0)
        return float(np.exp(np.mean(np.log(found)))) if found else 1.0

    @cached_property
    def step_unit(self) -> float:
        """Weight of a squared model error of a step in the action, in units of the data's.

        The averaging option's factors, and where Rf is an inverse intensity, one over the typical
        time between two observations.
        """
        n = int(np.argmin(self.pulses))
        factor = float(self.weight[n]) / self.measurement_scale
        if self.model_error != "rate":
            return factor
        times = self.times[(self.rm > 0.0).any(axis=1)]
        count = max(len(times) - len(self.segments), 1)
        span = sum(float(np.ptp(one.node_times)) for one in self.experiments)
        return factor * float(self.h[n]) / (span / count)

    @cached_property
    def longest(self) -> int:
        """The number of the longest step."""
        return int(np.argmax(self.h))

    @property
    def shortest(self) -> float:
        """Length of the shortest step, pulses left out."""
        return float(self.h[~self.pulses].min(initial=np.inf))

    @cached_property
    def given(self) -> BoolArray:
        """Which states are known at the first grid points, and are no unknowns there, (S, D)."""
        return readonly(~np.isnan(self.initial) | self.tied)

    @cached_property
    def first_unknowns(self) -> IntArray:
        """Where the first states stand among the unknowns, (S, D)."""
        firsts = np.array([segment.first_point for segment in self.segments])
        return readonly(firsts[:, None] * self.D + np.arange(self.D))

    @property
    def payer(self) -> str:
        """Name a state whose values are paid for, for people; empty if there is none."""
        names = [self.states[a] for a in self.paid]
        kinds = ["the control"] * (len(names) - self.priors)
        kinds += ["a prior of each value of"] * self.priors
        return f"{kinds[0]} {names[0]}" if names else ""

    @property
    def fitted(self) -> int:
        """Quantities that the path of an exact model would fit to the data.

        The initial state of each experiment as far as it is not given, free parameters, and of a
        free parameter per step all values but the last; one with a process variance counts once,
        like a state.
        """
        # what is paid for is no more fitted than an error of the model is
        paid = np.isin(np.arange(self.D), self.paid)
        unknown = int((~self.given & ~paid).sum())
        points = self.M - int(self.pulses.sum()) * (1 + self.interior)
        per_step = (self.untied & ~paid).sum() * (points - 2 * len(self.segments))
        return int(self.free.sum() + unknown + per_step)

    @cached_property
    def data_count(self) -> int:
        """Number of measured values."""
        return int(np.count_nonzero(self.rm > 0.0) + np.count_nonzero(self.repeat_rm > 0.0))

    @cached_property
    def covariance(self) -> FloatArray | None:
        """Covariance of the noise at each grid point, (M, L, L); None if none is correlated.

        nan in rows and columns of channels that were not measured there.
        """
        if not self.correlated:
            return None
        c_m = self.measurement_scale
        rm = np.where(self.own_scale, 0.0, self.rm)
        return readonly(covariances(rm / c_m, self.cross / c_m))

    @cached_property
    def variance(self) -> FloatArray:
        """Variance of the noise of each datum, (M, L).

        nan where nothing was measured, and where the noise says its own scale.
        """
        found = np.full(self.rm.shape, np.nan)
        known = (self.rm > 0.0) & ~self.own_scale
        found[known] = self.measurement_scale / self.rm[known]
        if self.covariance is not None:
            diagonal = np.diagonal(self.covariance, axis1=1, axis2=2)
            found[known] = diagonal[known]
        return readonly(found)

    @cached_property
    def guide(self) -> FloatArray:
        """Precision of the data for starts and strategies, (M, L); 0 where there are none.

        Rm; where the noise says its own scale, that of a tenth of the data's spread.
        """
        found = self.rm.copy()
        for l in np.flatnonzero(self.own_scale & (self.rm > 0.0).any(axis=0)):
            seen = self.rm[:, l] > 0.0
            data = self.y[seen, l]
            spread = float(data.std()) or float(np.abs(data).max(initial=0.0)) or 1.0
            found[seen, l] = 100.0 / spread**2
        return readonly(found)

    @cached_property
    def energy(self) -> float:
        """Size of the measurement term: half the sum of Rm y^2, or of each datum 1."""
        if not self.gaussian:
            return float(self.data_count)
        parts = ((self.rm, self.y), (self.repeat_rm, self.repeat_y))
        return 0.5 * float(sum(np.sum(rm * y**2) for rm, y in parts))

    @property
    def squares(self) -> bool:
        """Whether the measurement term is a sum of squares of one datum each, one row a point."""
        alone = not (len(self.repeat_at) or self.correlated or self.priors)
        return self.gaussian and alone

    def window(self, steps: int) -> Problem:
        """Return the problem of the first `steps` steps: grid, data, forcing and weights cut there.

        Of several experiments each is cut at the same share of its own steps, rounded up.

        Parameters
        ----------
        steps
            From 1 to N.

        Raises
        ------
        DataError
            A number of steps out of that range.
        """
        if not 1 <= steps <= self.N:
            raise DataError(f"window of Problem: expected 1 to {self.N} steps, got {steps!r}.")
        stride, segments = 1 + self.interior, self.segments_of(steps)
        parts = [
            (one.first_step + np.arange(cut.steps), one.first_point + np.arange(cut.points))
            for one, cut in zip(self.segments, segments, strict=True)
        ]
        kept, points = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        nodes = np.concatenate([part[1][::stride] for part in parts])
        inside = np.isin(self.repeat_at, points)
        return replace(
            self,
            **self._rows(OF_STEPS, kept),
            **self._rows(OF_POINTS, points),
            node_times=self.times[nodes],
            **self._rows(OF_REPEATS, inside),
            repeat_at=np.searchsorted(points, self.repeat_at[inside]),
            jumps=self.jumps[np.isin(np.flatnonzero(self.pulses), kept)],
            missed=(),
            segments=segments,
        )

    def segments_of(self, steps: int) -> tuple[Segment, ...]:
        """Return the segments of the window of so many steps."""
        found: list[Segment] = []
        step = point = 0
        for one in self.segments:
            own = -(-steps * one.steps // self.N)
            found.append(Segment(one.name, step, own, point, own * (1 + self.interior) + 1))
            step, point = step + own, point + found[-1].points
        return tuple(found)

    def shortened(self, path: FloatArray, steps: int) -> FloatArray:
        """Return the part of a path (M, D) that lies in the window of so many steps."""
        cuts = zip(self.segments, self.segments_of(steps), strict=True)
        parts = [path[one.first_point :][: cut.points] for one, cut in cuts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
