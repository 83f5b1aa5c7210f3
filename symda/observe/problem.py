"""`Problem`: everything a solver needs besides the kernels, as arrays and names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.errors import DataError
from symda.observe.arrays import readonly
from symda.observe.unknowns import Unknowns
from symda.scale import Scale
from symda.types import BoolArray, FloatArray, IntArray

#: Change of a free parameter per step by its own size costs the action half of this, so that a
#: value without any effect is that of its neighbour.
TIE = 1e-8
#: Data that vary by less than this share of their size are the same number.
FLAT = 1e-12


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

    States and parameters stand in it as solvers move them: the logarithm where ``scale="log"`` was
    declared. `natural` and `internal` lead to what users see and back; the data are theirs.

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
    scales : (D + P,)
        How states and parameters stand here; empty if all stand as they are.
    hidden : (D,)
        Which states stand in no measured quantity; by `direct` if it is left out.

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
            "hidden": (D,),
        }
        if not np.size(self.process_variance):
            object.__setattr__(self, "process_variance", np.full(D, np.nan))
        if not np.size(self.hidden):
            object.__setattr__(self, "hidden", ~np.isin(np.arange(D), self.direct))
        if len(self.scales) not in (0, D + P):
            raise DataError(f"scales of Problem: expected {D + P}, got {len(self.scales)}.")
        for name, shape in shapes.items():
            kind = {"direct": np.int64, "hidden": np.bool_}.get(name, np.float64)
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
        """The data of channels that are plain states, in the states' coordinates, and Rm, (M, L).

        Rm is 0 besides where the state cannot be: a logarithm has no place for data below 0.
        """
        if not self.scaled[: self.D].any():
            return self.y, self.rm
        plain = np.flatnonzero(self.direct >= 0)
        y, rm = self.y.copy(), self.rm.copy()
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
        for y, rm in zip(self.y.T, self.rm.T, strict=True):
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
        factor = float(self.weight[0]) / self.measurement_scale
        if self.model_error != "rate":
            return factor
        times = self.times[(self.rm > 0.0).any(axis=1)]
        count = max(len(times) - 1, 1)
        return factor * float(self.h[0]) / (float(np.ptp(self.node_times)) / count)

    @property
    def fitted(self) -> int:
        """Quantities that the path of an exact model would fit to the data.

        The initial state, free parameters, and of a free parameter per step all values but the
        last; one with a process variance counts once, like a state.
        """
        return int(self.free.sum() + self.D + self.untied.sum() * (self.M - 2))

    @cached_property
    def data_count(self) -> int:
        """Number of measured values."""
        return int(np.count_nonzero(self.rm > 0.0))

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
