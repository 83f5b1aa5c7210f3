"""`Problem`: everything a solver needs besides the kernels, as arrays and names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from symda.errors import DataError
from symda.observe.arrays import readonly
from symda.observe.segment import Segment
from symda.observe.unknowns import Unknowns
from symda.types import BoolArray, FloatArray, IntArray

#: Change of a free parameter per step by its own size costs the action half of this, so that a
#: value without any effect is that of its neighbour.
TIE = 1e-8

#: Arrays of a problem that have a row a step, a grid point, a parameter.
OF_STEPS = ("h", "u", "weight")
OF_POINTS = ("times", "y", "rm")
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
        Data, and c_m / variance; both 0 where nothing was measured.
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
    segments
        The S experiments; one when left out.
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
    segments: tuple[Segment, ...] = ()
    use: IntArray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    kernel_parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        M, N, D, P, L = self.M, self.N, self.D, self.P, self.L
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
            "use": (experiments, len(self.kernel_parameters)),
        }
        if not np.size(self.process_variance):
            object.__setattr__(self, "process_variance", np.full(D, np.nan))
        for name, shape in shapes.items():
            kind = np.int64 if name in ("direct", "use") else np.float64
            array = np.array(getattr(self, name), dtype=kind, order="C")
            if array.shape != shape:
                raise DataError(f"{name} of Problem: expected shape {shape}, got {array.shape}.")
            object.__setattr__(self, name, readonly(array))

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
        return tuple(self._alone(s, use) for s, use in zip(self.segments, self.use, strict=True))

    def _alone(self, one: Segment, use: IntArray) -> Problem:
        steps, points = one.own_steps, one.own_points
        nodes = np.append(self.left_points[steps], one.last_point)
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
            parameters=self.kernel_parameters,
            missed=tuple(missed),
            segments=(Segment(one.name, 0, one.steps, 0, one.points),),
            use=np.arange(use.size)[None],
        )

    def _rows(self, names: tuple[str, ...], which: slice | IntArray) -> dict[str, Any]:
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
        return readonly(np.concatenate([np.where(states > 0.0, states, 1.0), self.typical]))

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

    @property
    def fitted(self) -> int:
        """Quantities that the path of an exact model would fit to the data.

        The initial state of each experiment, free parameters, and of a free parameter per step all
        values but the last; one with a process variance counts once, like a state.
        """
        experiments = len(self.segments)
        per_step = self.untied.sum() * (self.M - 2 * experiments)
        return int(self.free.sum() + self.D * experiments + per_step)

    @cached_property
    def data_count(self) -> int:
        """Number of measured values."""
        return int(np.count_nonzero(self.rm > 0.0))

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
        return replace(
            self,
            **self._rows(OF_STEPS, kept),
            **self._rows(OF_POINTS, points),
            node_times=self.times[nodes],
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
