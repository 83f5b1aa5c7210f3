"""`ProblemData`: arrays and names of a problem, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symda.errors import DataError
from symda.observe.arrays import readonly
from symda.observe.segment import Segment
from symda.scale import Scale
from symda.types import BoolArray, FloatArray, IntArray

#: Arrays that do not hold numbers with a point.
_KINDS: Mapping[str, type] = {
    "direct": np.int64,
    "repeat_at": np.int64,
    "use": np.int64,
    "own_scale": np.bool_,
    "hidden": np.bool_,
    "tied": np.bool_,
    "paid": np.int64,
}

#: Arrays of a problem that have a row a step, a grid point, an experiment, a repeat, a parameter.
OF_STEPS = ("h", "u", "forcing", "weight")
OF_POINTS = ("times", "y", "rm", "cross", "cost")
OF_SEGMENTS = ("initial", "tied")
OF_REPEATS = ("repeat_y", "repeat_rm", "repeat_cross")
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
class ProblemData:
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
        measured. Of correlated noise c_m times the diagonal of the covariance's inverse.
    cross : (M, K)
        c_m times what that inverse has below its diagonal, as in `symda.covariance`; K = L (L -
        1)/2, or 0 where no noise is correlated.
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
    repeat_y, repeat_rm, repeat_cross : (R, L), (R, L), (R, K)
        These rows, as `y`, `rm` and `cross`.
    gaussian
        Whether all noise is Gaussian with the data's own variance, and priors of the values of
        parameters per step are Gaussian with known scales.
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
        Weight of what is paid for a value at each grid point: of a control that of its square, in
        units of Rm; of a parameter per step whose values have priors 1 where an equation uses the
        value, else 0.
    paid : (C,)
        Which states these are: the controls, then those with priors.
    priors
        How many of them have priors.
    use : (S, p)
        Which of the P parameters stands for each of the p parameters of the kernels in an
        experiment; each for itself when left out.
    kernel_parameters
        Names of those p; `parameters` when left out.
    forcing : (N, 4, U)
        Forcing at 0, 1/3, 2/3 and 1 of each step, limits from inside; in the step of a pulse four
        times the number in `jumps`. Of a map that of `u`, four times.
    correlations
        Correlations of the model's errors, D rows of D numbers; empty if they are independent.

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
    cross: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    repeat_cross: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    gaussian: bool = True
    own_scale: BoolArray = field(default_factory=lambda: np.empty(0, np.bool_))
    initial: FloatArray = field(default_factory=lambda: np.empty(0))
    tied: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    jumps: FloatArray = field(default_factory=lambda: np.empty(0))
    cost: FloatArray = field(default_factory=lambda: np.empty(0))
    paid: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    priors: int = 0
    segments: tuple[Segment, ...] = ()
    use: IntArray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    kernel_parameters: tuple[str, ...] = ()
    correlations: tuple[tuple[float, ...], ...] = ()
    forcing: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        M, N, D, P, L = self.M, self.N, self.D, self.P, self.L
        R = len(self.repeat_at)
        if not self.segments:
            object.__setattr__(self, "segments", (Segment("1", 0, N, 0, M),))
            object.__setattr__(self, "use", np.arange(P)[None])
            object.__setattr__(self, "kernel_parameters", self.parameters)
        experiments = len(self.segments)
        K = L * (L - 1) // 2 if np.size(self.cross) else 0
        S, U = np.shape(self.u)[1:] if np.ndim(self.u) == 3 else (-1, -1)
        shapes: dict[str, tuple[int, ...]] = {
            "times": (N * (1 + self.interior) + experiments,),
            "node_times": (N + experiments,),
            "h": (N,),
            "u": (N, S, U),
            "forcing": (N, 4, U),
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
            "cross": (M, K),
            "repeat_cross": (R, K),
            "own_scale": (L,),
            "initial": (experiments, D),
            "tied": (experiments, D),
            "cost": (M, len(self.paid)),
            "paid": (len(self.paid),),
            "use": (experiments, len(self.kernel_parameters)),
        }
        if not np.size(self.own_scale):
            object.__setattr__(self, "own_scale", np.zeros(L, np.bool_))
        if not R:
            for name in ("repeat_y", "repeat_rm"):
                object.__setattr__(self, name, np.empty((0, L)))
        if not K:
            object.__setattr__(self, "cross", np.empty((M, 0)))
        if not (R and K):
            object.__setattr__(self, "repeat_cross", np.empty((R, K)))
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
        if not np.size(self.forcing):
            object.__setattr__(self, "forcing", np.empty((N, 4, 0)))
        if not np.size(self.cost):
            object.__setattr__(self, "cost", np.zeros((M, len(self.paid))))
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
    def correlated(self) -> bool:
        """Whether noise of several channels at one time is correlated."""
        return bool(self.cross.size)

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
    def pulses(self) -> BoolArray:
        """Which steps are those of pulses, of no length, (N,)."""
        return readonly(self.left_times == self.right_times)

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
