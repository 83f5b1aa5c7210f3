"""`Problem`: everything a solver needs besides the kernels, as arrays and names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.errors import DataError
from symda.observe.arrays import readonly
from symda.observe.unknowns import Unknowns
from symda.types import BoolArray, FloatArray, IntArray

#: Change of a free parameter per step by its own size costs the action half of this, so that a
#: value without any effect is that of its neighbour.
TIE = 1e-8


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

    Arrays are copied, contiguous and read-only. It is plain data, sent to workers by pickling.

    Attributes
    ----------
    times : (M,)
        Grid points, nodes and interior points interleaved.
    node_times : (N + 1,)
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
    initial : (1, D)
        Values at the first grid point that are known, nan elsewhere: no unknowns.
    tied : (1, D)
        Those that are the action's functions of the parameters: no unknowns either.
    jumps : (J, U)
        Forcing within each of the J pulses, as one number each.
    cost : (M, Q)
        What the square of each control costs at each grid point, in units of Rm.
    controls : (Q,)
        Which states they are.

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
    initial: FloatArray = field(default_factory=lambda: np.empty(0))
    tied: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    jumps: FloatArray = field(default_factory=lambda: np.empty(0))
    cost: FloatArray = field(default_factory=lambda: np.empty(0))
    controls: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        M, N, D, P, L = self.M, self.N, self.D, self.P, self.L
        S, U = np.shape(self.u)[1:] if np.ndim(self.u) == 3 else (-1, -1)
        shapes: dict[str, tuple[int, ...]] = {
            "times": (N * (1 + self.interior) + 1,),
            "node_times": (N + 1,),
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
            "initial": (1, D),
            "tied": (1, D),
            "jumps": (int(self.pulses.sum()), U),
            "cost": (M, len(self.controls)),
            "controls": (len(self.controls),),
        }
        if not np.size(self.process_variance):
            object.__setattr__(self, "process_variance", np.full(D, np.nan))
        if not np.size(self.initial):
            object.__setattr__(self, "initial", np.full((1, D), np.nan))
        if not np.size(self.tied):
            object.__setattr__(self, "tied", np.zeros((1, D)))
        if not np.size(self.jumps):
            object.__setattr__(self, "jumps", np.zeros((int(self.pulses.sum()), max(U, 0))))
        if not np.size(self.cost):
            object.__setattr__(self, "cost", np.zeros((M, len(self.controls))))
        for name, shape in shapes.items():
            integers = {"direct": np.int64, "controls": np.int64, "tied": np.bool_}
            kind = integers.get(name, np.float64)
            array: NDArray[Any] = np.array(getattr(self, name), dtype=kind, order="C")
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
        if self.given.any():
            # what a function of the parameters gives is no variable: it stands at 0
            value = np.where(self.tied[0], 0.0, self.initial[0])
            for side in (0, 1):
                first = np.where(self.given, value, spread[side][: self.D])
                spread[side] = readonly(np.concatenate([first, spread[side][self.D :]]))
        return Unknowns(self.M, self.D, self.P, *spread)

    def unknown_name(self, index: int) -> str:
        """Name an unknown by its place, for people."""
        if index >= self.M * self.D:
            return f"the parameter {self.parameters[index - self.M * self.D]}"
        point, state = divmod(index, self.D)
        return f"{self.states[state]} at t = {self.times[point]:.6g}"

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
    def pulses(self) -> BoolArray:
        """Which steps are those of pulses, of no length, (N,)."""
        times = np.asarray(self.node_times)
        return readonly(times[1:] == times[:-1])

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
        """Which states are known at the first grid point, and are no unknowns there, (D,)."""
        return readonly(~np.isnan(self.initial[0]) | self.tied[0])

    @property
    def fitted(self) -> int:
        """Quantities that the path of an exact model would fit to the data.

        The initial state as far as it is not given, free parameters, and of a free parameter per
        step all values but the last; one with a process variance counts once, like a state.
        """
        # a control is paid for, as an error of the model is
        paid = np.isin(np.arange(self.D), self.controls)
        unknown = int((~self.given & ~paid).sum())
        points = self.M - int(self.pulses.sum()) * (1 + self.interior)
        return int(self.free.sum() + unknown + (self.untied & ~paid).sum() * (points - 2))

    @cached_property
    def data_count(self) -> int:
        """Number of measured values."""
        return int(np.count_nonzero(self.rm > 0.0))

    def paid(self, path: FloatArray) -> float:
        """Return what the controls of a path (M, D) cost."""
        return 0.5 * float(np.sum(self.cost * path[:, self.controls] ** 2))

    def window(self, steps: int) -> Problem:
        """Return the problem of the first `steps` steps: grid, data, forcing and weights cut there.

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
        points = steps * (1 + self.interior) + 1
        return replace(
            self,
            times=self.times[:points],
            node_times=self.node_times[: steps + 1],
            h=self.h[:steps],
            u=self.u[:steps],
            weight=self.weight[:steps],
            y=self.y[:points],
            rm=self.rm[:points],
            cost=self.cost[:points],
            jumps=self.jumps[: int(self.pulses[:steps].sum())],
        )

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
