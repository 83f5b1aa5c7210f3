"""`Problem`: everything a solver needs besides the kernels, as arrays and names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.errors import DataError
from symda.observe.arrays import readonly
from symda.observe.segment import Segment
from symda.observe.unknowns import Unknowns
from symda.scale import Scale
from symda.types import BoolArray, FloatArray, IntArray

#: Change of a free parameter per step by its own size costs the action half of this, so that a
#: value without any effect is that of its neighbour.
TIE = 1e-8
#: Data that vary by less than this share of their size are the same number.
FLAT = 1e-12


#: Arrays that do not hold numbers with a point.
_KINDS: Mapping[str, type] = {
    "direct": np.int64,
    "repeat_at": np.int64,
    "use": np.int64,
    "own_scale": np.bool_,
    "hidden": np.bool_,
    "tied": np.bool_,
    "controls": np.int64,
}

#: Arrays of a problem that have a row a step, a grid point, an experiment, a repeat, a parameter.
OF_STEPS = ("h", "u", "weight")
OF_POINTS = ("times", "y", "rm", "cost")
OF_SEGMENTS = ("initial", "tied")
OF_REPEATS = ("repeat_y", "repeat_rm")
OF_PARAMETERS = ("parameter_bounds", "parameter_start", "fixed", "typical")


class Missed(NamedTuple):
    """A forcing that jumps inside of steps.

    Attributes
    ----------
    forcing : str
        The channel.
    jumps : int
        How often it jumps there.
    time : float
        The first of these jumps.
    step : int
        The step that holds it.
    fix : str
        What to do about it.
    """

    forcing: str
    jumps: int
    time: float
    step: int
    fix: str


@dataclass(frozen=True, eq=False)
class Problem:
    """Data on the model grid, bounds, start ranges and weights of one minimisation problem.

    Arrays are copied, contiguous and read-only. It is plain data, sent to workers by pickling. Of S
    experiments, the segments, one follows the other in all arrays; no step joins them. Whoever asks
    for the first, the last or the next looks at one of `experiments`, or at `windows`.

    States and parameters stand in it as solvers move them: the logarithm where ``scale="log"`` was
    declared. `natural` and `internal` lead to what users see and back; the data are theirs.

    Attributes
    ----------
    times : (M,)
        Grid points, nodes and interior points interleaved.
    node_times : (N + S,)
        Times of the nodes.
    h : (N,)
        Step sizes.
    u : (N, S, U)
        Forcing at t_n + c_s h_n; at a jump that a step ends at, the limit from inside the step.
    weight : (N,)
        Rf of step n is rf * weight[n].
    y, rm : (M, L)
        Data, and c_m / variance (1 where the noise says its own scale); both 0 where nothing was
        measured.
    state_bounds, state_start : (D, 2)
        Bounds (may be infinite) and ranges of random starts (finite).
    parameter_bounds, parameter_start : (P, 2)
        The same for parameters.
    fixed : (P,)
        Values of fixed parameters, nan where a parameter is free.
    typical : (P,)
        Typical sizes, positive.
    direct : (L,)
        State index where channel l is a plain state, else -1.
    states, parameters, channels
        D, P and L names.
    interior
        Interior points per step, I.
    measurement_scale
        Factor c_m of the averaging option on the measurement sum; 1 for the plain sum.
    abscissae : (S,)
        Abscissae of the scheme that `u` was evaluated at.
    model_error, averaging
        The options that `weight` and `rm` were made with.
    process_variance : (D,)
        Variance of the change of a parameter per step, infinite if it is free; nan for states.
    missed
        Channels of forcing that jump inside of steps.
    scales : (D + P,)
        How states and parameters stand here; empty if all stand as they are.
    hidden : (D,)
        Which states stand in no measured quantity; by `direct` if it is left out.
    repeat_at : (R,)
        Grid points, in order, that have further rows of data: what was measured there again.
    repeat_y, repeat_rm : (R, L)
        These rows, as `y` and `rm`.
    gaussian
        Whether all noise is Gaussian with the data's own variance.
    own_scale : (L,)
        Whether a channel's noise says its own scale, so that `rm` says nothing of it.
    segments
        The S experiments; one when left out.
    initial : (S, D)
        Values at each experiment's first grid point that are known, nan elsewhere: no unknowns.
    tied : (S, D)
        Those that are the action's functions of the parameters: no unknowns either.
    jumps : (J, U)
        Forcing within each of the J pulses, as one number each.
    cost : (M, C)
        What the square of each control costs at each grid point, in units of Rm.
    controls : (C,)
        Which states they are.
    use : (S, p)
        Which of the P parameters stands for each of the p parameters of the kernels in an
        experiment; each for itself when left out.
    kernel_parameters
        Names of those p; `parameters` when left out.

    Raises
    ------
    DataError
        Arrays whose shapes do not fit each other.
    """

    times: FloatArray
    node_times: FloatArray
    h: FloatArray
    u: FloatArray
    weight: FloatArray
    y: FloatArray
    rm: FloatArray
    state_bounds: FloatArray
    parameter_bounds: FloatArray
    state_start: FloatArray
    parameter_start: FloatArray
    fixed: FloatArray
    typical: FloatArray
    direct: IntArray
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    channels: tuple[str, ...]
    interior: int
    measurement_scale: float = 1.0
    abscissae: tuple[float, ...] = (0.0,)
    model_error: str = "step"
    averaging: str = "sum"
    process_variance: FloatArray = field(default_factory=lambda: np.empty(0))
    missed: tuple[Missed, ...] = ()
    scales: tuple[Scale, ...] = ()
    hidden: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    repeat_at: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    repeat_y: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    repeat_rm: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    gaussian: bool = True
    own_scale: BoolArray = field(default_factory=lambda: np.empty(0, np.bool_))
    initial: FloatArray = field(default_factory=lambda: np.empty(0))
    tied: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    jumps: FloatArray = field(default_factory=lambda: np.empty(0))
    cost: FloatArray = field(default_factory=lambda: np.empty(0))
    controls: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    segments: tuple[Segment, ...] = ()
    use: IntArray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    kernel_parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        M, N, D, P, L = self.M, self.N, self.D, self.P, self.L
        R = len(self.repeat_at)
        if not self.segments:
            object.__setattr__(self, "segments", (Segment("1", 0, N, 0, M),))
            object.__setattr__(self, "use", np.arange(P)[None])
            object.__setattr__(self, "kernel_parameters", self.parameters)
        experiments = len(self.segments)
        S, U = np.shape(self.u)[1:] if np.ndim(self.u) == 3 else (-1, -1)
        shapes: dict[str, tuple[int, ...]] = {
            "times": (N * (1 + self.interior) + experiments,),
            "node_times": (N + experiments,),
            "h": (N,),
            "u": (N, S, U),
            "weight": (N,),
            "y": (M, L),
            "rm": (M, L),
            "state_bounds": (D, 2),
            "parameter_bounds": (P, 2),
            "state_start": (D, 2),
            "parameter_start": (P, 2),
            "fixed": (P,),
            "typical": (P,),
            "direct": (L,),
            "process_variance": (D,),
            "hidden": (D,),
            "repeat_at": (R,),
            "repeat_y": (R, L),
            "repeat_rm": (R, L),
            "own_scale": (L,),
            "initial": (experiments, D),
            "tied": (experiments, D),
            "cost": (M, len(self.controls)),
            "controls": (len(self.controls),),
            "use": (experiments, len(self.kernel_parameters)),
        }
        if not np.size(self.own_scale):
            object.__setattr__(self, "own_scale", np.zeros(L, np.bool_))
        if not R:
            for name in ("repeat_y", "repeat_rm"):
                object.__setattr__(self, name, np.empty((0, L)))
        if not np.size(self.process_variance):
            object.__setattr__(self, "process_variance", np.full(D, np.nan))
        if not np.size(self.hidden):
            object.__setattr__(self, "hidden", ~np.isin(np.arange(D), self.direct))
        if len(self.scales) not in (0, D + P):
            raise DataError(f"scales of Problem: expected {D + P}, got {len(self.scales)}.")
        if not np.size(self.initial):
            object.__setattr__(self, "initial", np.full((experiments, D), np.nan))
        if not np.size(self.tied):
            object.__setattr__(self, "tied", np.zeros((experiments, D)))
        if not np.size(self.cost):
            object.__setattr__(self, "cost", np.zeros((M, len(self.controls))))
        for name, shape in shapes.items():
            kind = _KINDS.get(name, np.float64)
            array: NDArray[Any] = np.array(getattr(self, name), dtype=kind, order="C")
            if array.shape != shape:
                raise DataError(f"{name} of Problem: expected shape {shape}, got {array.shape}.")
            object.__setattr__(self, name, readonly(array))
        pulses = int(self.pulses.sum())
        jumps = self.jumps if np.size(self.jumps) else np.zeros((pulses, max(U, 0)))
        if np.shape(jumps) != (pulses, max(U, 0)):
            raise DataError(
                f"jumps of Problem: expected shape {(pulses, max(U, 0))}, got {np.shape(jumps)}."
            )
        object.__setattr__(self, "jumps", readonly(np.array(jumps, dtype=np.float64)))

    @property
    def N(self) -> int:
        """Steps."""
        return len(self.h)

    @property
    def M(self) -> int:
        """Grid points."""
        return len(self.times)

    @property
    def D(self) -> int:
        """States."""
        return len(self.states)

    @property
    def P(self) -> int:
        """Parameters, fixed ones included."""
        return len(self.parameters)

    @property
    def L(self) -> int:
        """Measured channels."""
        return len(self.channels)

    @property
    def E(self) -> int:
        """Unknowns per step, D (1 + I)."""
        return self.D * (1 + self.interior)

    @cached_property
    def windows(self) -> IntArray:
        """Number of the first unknown that each step sees, (N,)."""
        return readonly(self.left_points * self.D)

    @cached_property
    def left_points(self) -> IntArray:
        """Grid point that each step begins at, (N,)."""
        return readonly(np.arange(self.N) * (1 + self.interior) + self.step_experiments)

    @cached_property
    def step_experiments(self) -> IntArray:
        """Number of the experiment that each step belongs to, (N,)."""
        return readonly(np.repeat(np.arange(len(self.segments)), [s.steps for s in self.segments]))

    @cached_property
    def point_experiments(self) -> IntArray:
        """The same of each grid point, (M,)."""
        return readonly(np.repeat(np.arange(len(self.segments)), [s.points for s in self.segments]))

    @property
    def left_times(self) -> FloatArray:
        """Times that the steps begin at, (N,)."""
        return self.times[self.left_points]

    @property
    def right_times(self) -> FloatArray:
        """Times that the steps end at, (N,)."""
        return self.times[self.left_points + 1 + self.interior]

    @cached_property
    def experiments(self) -> tuple[Problem, ...]:
        """Each experiment as a problem of its own, with the parameters of the kernels."""
        if len(self.segments) == 1:
            return (self,)
        return tuple(map(self._alone, range(len(self.segments))))

    def _alone(self, s: int) -> Problem:
        one, use = self.segments[s], self.use[s]
        steps, points = one.own_steps, one.own_points
        nodes = np.append(self.left_points[steps], one.last_point)
        again = (self.repeat_at >= points.start) & (self.repeat_at < points.stop)
        missed = [
            m._replace(step=m.step - one.first_step)
            for m in self.missed
            if steps.start <= m.step < steps.stop
        ]
        return replace(
            self,
            **self._rows(OF_STEPS, steps),
            **self._rows(OF_POINTS, points),
            **self._rows(OF_PARAMETERS, use),
            node_times=self.times[nodes],
            **self._rows(OF_REPEATS, again),
            repeat_at=self.repeat_at[again] - one.first_point,
            jumps=self.jumps[np.isin(np.flatnonzero(self.pulses), np.arange(self.N)[steps])],
            initial=self.initial[[s]],
            tied=self.tied[[s]],
            scales=(*self.scales[: self.D], *(self.scales[self.D + p] for p in use if self.scales)),
            parameters=self.kernel_parameters,
            missed=tuple(missed),
            segments=(Segment(one.name, 0, one.steps, 0, one.points),),
            use=np.arange(use.size)[None],
        )

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
        count = max(len(times) - 1, 1)
        return factor * float(self.h[n]) / (float(np.ptp(self.node_times)) / count)

    @cached_property
    def pulses(self) -> BoolArray:
        """Which steps are those of pulses, of no length, (N,)."""
        return readonly(self.left_times == self.right_times)

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

    def paid(self, path: FloatArray) -> float:
        """Return what the controls of a path (M, D) cost."""
        return 0.5 * float(np.sum(self.cost * path[:, self.controls] ** 2))

    @property
    def fitted(self) -> int:
        """Quantities that the path of an exact model would fit to the data.

        The initial state of each experiment as far as it is not given, free parameters, and of a
        free parameter per step all values but the last; one with a process variance counts once,
        like a state.
        """
        # a control is paid for, as an error of the model is
        paid = np.isin(np.arange(self.D), self.controls)
        unknown = int((~self.given & ~paid).sum())
        points = self.M - int(self.pulses.sum()) * (1 + self.interior)
        per_step = (self.untied & ~paid).sum() * (points - 2 * len(self.segments))
        return int(self.free.sum() + unknown + per_step)

    @cached_property
    def data_count(self) -> int:
        """Number of measured values."""
        return int(np.count_nonzero(self.rm > 0.0) + np.count_nonzero(self.repeat_rm > 0.0))

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
        """Whether the measurement term is a sum of squares with one row of data a point."""
        return self.gaussian and not len(self.repeat_at)

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

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all arrays and names, for provenance."""
        sha = hashlib.sha256()
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if isinstance(value, np.ndarray):
                sha.update(f"{attribute.name} {value.dtype.str} {value.shape}\n".encode())
                sha.update(value.tobytes())
            else:
                sha.update(f"{attribute.name} {value!r}\n".encode())
        return sha.hexdigest()
