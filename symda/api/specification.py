"""`Specification`: what an action is made of, and what follows from that only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

from symda.correlations import ErrorCorrelations
from symda.declare import (
    Declaration,
    Initial,
    LatticeModel,
    Measurement,
    Model,
    Parameter,
    State,
)
from symda.discretise import Scheme
from symda.errors import OptionError
from symda.observe import Experiments, Observations, Problem, bind_experiments
from symda.observe.bind import match_channels
from symda.observe.experiments import Recordings
from symda.observe.forcing import ForcingSource
from symda.observe.measured import with_measured
from symda.observe.pulses import check_jumps_scaled, check_pulsed
from symda.observe.weights import Averaging, ErrorForm

if TYPE_CHECKING:
    from symda.build import Options
    from symda.build.abstract import Kernels
    from symda.build.flows import FlowEngine
    from symda.derive.lattice import MachineField
    from symda.emit import Source
    from symda.lower import KernelIR

#: What a user passes as data: one recording, several, or what they were bound to.
Data: TypeAlias = Observations | Recordings | Problem

#: Channels named in a representation.
LISTED = 12


class GridOptions(TypedDict, total=False):
    """What `Action.bind` takes besides the data."""

    steps: int | Sequence[int]
    max_step: float | None
    start: float | None
    stop: float | None
    midpoint_data: bool
    fixed: Mapping[str | Parameter, float | None] | None


@dataclass(frozen=True, eq=False, repr=False)
class Specification:
    """What a user asked for, checked; the methods of an `Action` hand this on."""

    #: As for `Action`.
    model: Model
    measurement: Measurement
    scheme: Scheme
    model_error: ErrorForm
    averaging: Averaging
    matrix_free: bool
    initial: Initial
    correlations: ErrorCorrelations | None = None
    #: Kernels that were built, by compiler options and the environment's choice of a compiler.
    built: dict[tuple[Options | str | None, ...], Kernels] = field(default_factory=dict)
    #: What integrates the model, by the environment's choice of a compiler.
    flows: dict[tuple[str | None, ...], FlowEngine] = field(default_factory=dict)
    #: Text of structured solvers, without and with given initial values.
    solvers: dict[bool, Source] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = self.measurement.names
        channels = ", ".join(names if len(names) <= LISTED else (*names[:3], "...", names[-1]))
        return f"Action({self.model.name!r}, measured=[{channels}], scheme={self.scheme.name!r})"

    def __getstate__(self) -> dict[str, object]:
        # what was derived and built is made again where it is needed
        return {one.name: getattr(self, one.name) for one in fields(self)} | {
            "built": {},
            "flows": {},
            "solvers": {},
        }

    def of(self, problem: Problem) -> Specification:
        """Return what evaluates a problem: the noise of its data may be correlated."""
        if problem.correlated and not self.measurement.correlated:
            return self._correlated
        return self

    @cached_property
    def _correlated(self) -> Specification:
        """The same, with equations and kernels of correlated noise."""
        measurement = replace(self.measurement, correlated=True)
        return replace(self, measurement=measurement, built={}, flows={}, solvers={})

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All P parameters: the model's, then those of the measured quantities only."""
        return (*self.model.parameters, *self.measurement.parameters)

    @property
    def declarations(self) -> Mapping[State | Parameter, Declaration]:
        """What is declared of the states and all P parameters."""
        return self.measurement.declarations(self.model)

    @property
    def direct(self) -> tuple[int, ...]:
        """For each channel the index of the state it measures as it is, else -1."""
        index = {state: a for a, state in enumerate(self.model.states)}
        return tuple(index.get(h, -1) for h in self.measurement.functions)

    @cached_property
    def field(self) -> MachineField:
        """F and h with two derivatives as CasADi functions."""
        from symda.derive.field import derive_field
        from symda.derive.lattice import derive_lattice

        if self.matrix_free and isinstance(self.model, LatticeModel):
            return derive_lattice(self.model, self.measurement)
        return derive_field(
            self.model, self.measurement.paid(self.model), self.initial, self.correlations
        )

    @cached_property
    def lowered(self) -> KernelIR:
        """What the templates are filled from; none of an action that is matrix-free.

        Raises
        ------
        OptionError
            If it is.
        """
        from symda.derive.field import Field
        from symda.lower import lower

        if not isinstance(self.field, Field):
            raise OptionError(
                f"{self!r} is matrix-free: there is no structured solver to emit for it; "
                "solver='newton' is a truncated Newton method there."
            )
        return lower(self.field, self.scheme)

    @cached_property
    def emitted(self) -> Source:
        """The Cython module of this problem, as text."""
        from symda.derive.field import Field
        from symda.emit import emit, emit_lattice
        from symda.lower import lower_lattice

        if not isinstance(self.field, Field):
            return emit_lattice(lower_lattice(self.field, self.scheme))
        return emit(self.lowered)

    @cached_property
    def emitted_newton(self) -> Source:
        """The Cython module of this problem's structured Newton solver, as text."""
        return self.newton(given=self.initial.any)

    def newton(self, *, given: bool) -> Source:
        """Emit the structured Newton solver; `given` tells whether initial values are."""
        from symda.emit import emit_newton

        if given not in self.solvers:
            self.solvers[given] = emit_newton(self.lowered, given=given)
        return self.solvers[given]

    def bind(self, data: Data, **grid: Unpack[GridOptions]) -> Problem:
        """Put observations on the grid; see `Action.bind`."""
        if isinstance(data, Problem):
            usual = {"steps": 1, "midpoint_data": False}
            if any(value != usual.get(name) for name, value in grid.items()):
                raise OptionError(
                    "data is a problem already, with its grid and its fixed parameters; steps, "
                    "max_step, start, stop, midpoint_data and fixed go to the bind that makes it."
                )
            return self._own(data)
        experiments = as_experiments(data)
        if self.matrix_free and len(experiments) > 1:
            raise OptionError(
                f"{self!r} is matrix-free, and takes one recording. Make the action with "
                "matrix_free=False where blocks of D x D fit, or anneal the experiments one by one."
            )
        for recording in experiments.values():
            check_pulsed(self.model, recording.forcing)
            check_jumps_scaled(self.model, recording.forcing)
        declared = self.declarations
        used = {s for h in self.measurement.predictors for s in h.free_symbols}
        problem = bind_experiments(
            experiments,
            states={s: declared[s] for s in self.model.states},
            parameters={p: declared[p] for p in self.parameters},
            forcing=self.model.forcing,
            channels=self.measurement.names,
            noises=self.measurement.noises,
            direct=self.direct,
            abscissae=self.scheme.abscissae,
            interior=self.scheme.interior_abscissae,
            time=self.model.time,
            model_error=self.model_error,
            averaging=self.averaging,
            discrete=self.model.discrete,
            hidden=[state not in used for state in self.model.states],
            initial=(self.initial.numbers, self.initial.tied),
            shares=self.scheme.shares,
            start_stage=self.scheme.start,
            correlations=() if self.correlations is None else self.correlations.entries,
            **grid,
        )
        if self.matrix_free and problem.correlated:
            raise OptionError(
                f"{self!r} is matrix-free and knows noise that is independent between channels; "
                "these observations have a covariance. Pass variance= in its place, or take "
                "sd.Action(..., matrix_free=False) where blocks of D x D fit."
            )
        if self.matrix_free and problem.given.any():
            name = problem.states[int(problem.given[0].argmax())]
            raise OptionError(
                f"{self!r} is matrix-free and estimates all initial values; {name} has a given "
                "one. Leave it out, or take sd.Action(..., matrix_free=False) where blocks of "
                "D x D fit."
            )
        return problem

    def sources(self, data: Observations) -> Mapping[str, ForcingSource]:
        """Return the forcing that comes with observations, data of channels included."""
        channels = self.measurement.names
        return with_measured(
            match_channels(data, channels),
            self.model.forcing,
            channels,
            self.direct,
            self.model.states,
            quiet=True,
        )

    def _own(self, problem: Problem) -> Problem:
        wanted = {
            "states": tuple(s.name for s in self.model.states),
            "kernel_parameters": tuple(p.name for p in self.parameters),
            "channels": self.measurement.names,
            "interior": len(self.scheme.interior),
            "abscissae": self.scheme.abscissae,
            "model_error": self.model_error,
            "averaging": self.averaging,
            "correlations": () if self.correlations is None else self.correlations.entries,
        }
        if (problem.tied & ~self.initial.tied).any():
            raise OptionError(
                "This problem was made for another action, which has other functions as initial "
                "values. Make it with this action's bind(data)."
            )
        for what, value in wanted.items():
            if getattr(problem, what) != value:
                raise OptionError(
                    f"This problem was made for another action: its {what.removeprefix('kernel_')} "
                    f"is {getattr(problem, what)!r}, this action's {value!r}. "
                    "Make it with this action's bind(data)."
                )
        return problem


def require_one(problem: Problem, where: str, fix: str) -> None:
    """Refuse a problem of several experiments.

    Raises
    ------
    OptionError
        If it is one; `where` says what takes one recording only, `fix` what to do.
    """
    if len(problem.segments) > 1:
        raise OptionError(
            f"{where} takes one recording, got {len(problem.segments)} experiments. {fix}"
        )


def as_experiments(data: object) -> Experiments:
    """Return what a user passed as data as experiments; one recording is one of them.

    Raises
    ------
    OptionError
        If it is neither a recording nor several.
    DataError
        As `Experiments`.
    """
    if isinstance(data, Experiments):
        return data
    if isinstance(data, Observations):
        return Experiments([data])
    if isinstance(data, Mapping) or (isinstance(data, Sequence) and not isinstance(data, str)):
        return Experiments(data)
    raise OptionError(
        f"data must be a symda.Observations, got {type(data).__name__}; "
        "make one with sd.Observations(times, values, variance=...). Several recordings are a list "
        "of them, or a mapping of names to them."
    )
