"""What `step_map` and `integrate` share: which method fits, the machine, and how it is run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.api.machine import VirtualMachineWarning
from symda.api.simulate import initial_state
from symda.declare import LatticeModel, Measurement, Model
from symda.declare.mechanics import MechanicalModel
from symda.errors import DataError, OptionError, SolveError
from symda.observe.arrays import as_floats
from symda.observe.forcing import as_function

if TYPE_CHECKING:
    import casadi as ca

    from symda.build.steps import StepEngine, Stretches
    from symda.discretise.integrators import Integrator
    from symda.emit import Source
    from symda.lower.steps import StepIR
    from symda.observe.forcing import ForcingSource

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Functions: TypeAlias = "Mapping[str, ca.Function]"

#: Unknowns of an implicit step (stages times states) that dense factors are made for.
LARGEST_SYSTEM = 800
#: States up to which a lattice is written out.
LARGEST_LATTICE = 200
#: Steps that are laid out in memory at a time where there is forcing.
CHUNK = 1 << 16
#: Steps of one call into compiled code; between two of them Python hears Ctrl-C.
LONGEST_CALL = 1 << 22
#: Most steps of an interval, where whole numbers end.
MOST_STEPS = 1e15


class IntegrationWarning(UserWarning):
    """Some members of an ensemble could not be integrated to the end."""


def fitting(model: Model, method: str | Integrator, *, where: str) -> Integrator:
    """Return the integrator a user asked for, if it fits the model.

    Raises
    ------
    OptionError
        If there is none of that name, or it needs what the model has not; with a method that
        does.
    """
    from symda.discretise.integrators_registry import find_integrator

    if not isinstance(model, Model):
        raise OptionError(
            f"{where}: the first argument is a symda.Model, got {type(model).__name__}; "
            "of an action, pass action.model."
        )
    if model.discrete:
        raise OptionError(
            f"{where}: {model.name!r} is a discrete map, which is its own step; iterate it with "
            "sd.simulate."
        )
    one = find_integrator(method, where=where)
    _require_mechanics(model, one, where)
    D = len(model.states)
    if in_loops(model) and not one.explicit:
        raise OptionError(
            f"{where}: the method {one.name!r} is implicit, and {model.name!r} has {D} states on "
            f"its lattice; above {LARGEST_LATTICE} there are explicit methods only, such as 'rk4'."
        )
    unknowns = 0 if one.explicit else D * len(one.abscissae)
    if unknowns > LARGEST_SYSTEM:
        raise OptionError(
            f"{where}: the method {one.name!r} solves for {unknowns} unknowns in every step, more "
            f"than {LARGEST_SYSTEM}; use an explicit method, such as 'rk4'."
        )
    return one


def in_loops(model: Model) -> bool:
    """Whether a model's F is emitted as loops over sites, without a Jacobian."""
    return isinstance(model, LatticeModel) and len(model.states) > LARGEST_LATTICE


def _require_mechanics(model: Model, one: Integrator, where: str) -> None:
    name = f"{where}: the method {one.name!r}"
    if one.needs and not isinstance(model, MechanicalModel):
        raise OptionError(
            f"{name} treats coordinates and momenta differently, and {model.name!r} does not say "
            "which states are which. Declare it with sd.Model.from_hamiltonian or "
            "from_lagrangian, or use a method for any model, such as 'gauss4' (symplectic) or "
            "'rk4'."
        )
    if not isinstance(model, MechanicalModel):
        return
    if one.needs == "separable" and not model.separable:
        instead = one.general or "gauss4"
        raise OptionError(
            f"{name} is for separable Hamiltonians, T(p) + V(q), with forces free of p; that of "
            f"{model.name!r} is not, {model.hamiltonian}. Use method={instead!r}, which solves "
            "an equation in every step, for the same order with any Hamiltonian."
        )
    if one.needs == "lagrangian" and model.lagrangian is None:
        raise OptionError(
            f"{name} is made of the Lagrangian, and {model.name!r} was declared by its "
            "Hamiltonian. Declare it with sd.Model.from_lagrangian, or use 'midpoint', which is "
            "the same map as 'variational-midpoint'."
        )


@lru_cache(maxsize=16)
def _emitted(model: Model, integrator: Integrator) -> tuple[Functions, StepIR, Source]:
    from symda.derive.lattice import derive_lattice
    from symda.derive.motion import Motion
    from symda.emit.steps import emit_steps
    from symda.lower.steps import lower_lattice_steps, lower_steps

    if isinstance(model, LatticeModel) and in_loops(model):
        field = derive_lattice(model, Measurement((), (), ()))
        ir = lower_lattice_steps(field, [integrator])
        return {"field": field.field}, ir, emit_steps(ir)
    motion = Motion(model)
    ir = lower_steps(motion, [integrator])
    functions = {routine.name: getattr(motion, routine.name) for routine in ir.routines}
    return functions, ir, emit_steps(ir)


def machine_of(model: Model, integrator: Integrator) -> tuple[StepEngine, Source]:
    """Return what evaluates a model's step map, built or taken from the cache, and its text.

    Raises
    ------
    BuildError
        If the compiler fails.

    Warns
    -----
    VirtualMachineWarning
        If there is no compiler.
    """
    from symda.build import NoCompiler, build
    from symda.build.steps import CompiledSteps
    from symda.build.steps_numpy import NumpySteps

    functions, ir, source = _emitted(model, integrator)
    try:
        return CompiledSteps(build(source).library, ir), source
    except NoCompiler as reason:
        warnings.warn(str(reason), VirtualMachineWarning, stacklevel=3)
    return NumpySteps(functions, ir), source


def members_of(model: Model, initial: ArrayLike | Mapping[str, float], *, where: str) -> FloatArray:
    """Return initial states as an array (K, D), K = 1 for a single one.

    Raises
    ------
    DataError
        If it does not have a finite number for each state.
    """
    if isinstance(initial, np.ndarray) and initial.dtype == np.float64 and initial.ndim == 1:
        if initial.size == len(model.states) and np.all(np.isfinite(initial)):
            return np.array(initial[None, :])
    if isinstance(initial, Mapping) or np.ndim(initial) != 2:
        return initial_state(model, initial, where=where)[None, :]
    values, D = as_floats(initial, f"{where}: initial"), len(model.states)
    if values.shape[0] == 0 or values.shape[1] != D:
        raise DataError(
            f"{where}: initial of an ensemble must have the shape (members, {D}), one number for "
            f"each of {', '.join(s.name for s in model.states[:8])}, got {values.shape}."
        )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        m, a = bad[0]
        raise DataError(
            f"{where}: initial[{m}, {a}] (member {m}, {model.states[a].name!r}) is {values[m, a]}, "
            "expected a finite number."
        )
    return np.ascontiguousarray(values)


@dataclass(frozen=True, eq=False)
class Stops:
    """R stretches of `counts` (R,) equal steps `h` (R,) from `t` (R,); states are kept at ends."""

    t: FloatArray
    h: FloatArray
    counts: IntArray

    @classmethod
    def of(cls, t: ArrayLike, h: ArrayLike, counts: ArrayLike) -> Stops:
        """Convert what is not an array of the right type."""
        return cls(np.asarray(t, float), np.asarray(h, float), np.asarray(counts, np.int64))

    @classmethod
    def between(cls, times: FloatArray, step: float | None, where: str) -> Stops:
        """Divide the intervals between `times` (T,), none of the steps longer than `step`.

        Raises
        ------
        OptionError
            If a step is so short that nobody could count them.
        """
        widths = np.diff(times)
        if not widths.size:
            return cls.of(times[:0], widths, np.empty(0, dtype=np.int64))
        with np.errstate(over="ignore"):
            # but for rounding, of large times too: 0.1 divides 0.3 three times
            rounding = 1e-12 * widths + 2.0 * np.spacing(np.abs(times).max())
            ratio = (widths - rounding) / (widths.min() if step is None else step)
        if not ratio.max() < MOST_STEPS:
            raise OptionError(
                f"{where}: step = {step:g} makes {ratio.max():.3g} steps of an interval between "
                f"two times; take one longer than {widths.max() / MOST_STEPS:.3g}."
            )
        counts = np.maximum(1, np.ceil(ratio)).astype(np.int64)
        return cls(times[:-1], widths / counts, counts)

    def chunks(self, longest: int) -> Iterator[tuple[Stops, IntArray]]:
        """Yield the same in pieces of up to `longest` steps, and which stop each stretch ends at.

        One that is cut has its last part end there, the others nowhere, -1.
        """
        parts: list[tuple[float, float, int, int]] = []
        held = 0
        for r, (t, h, count) in enumerate(zip(self.t, self.h, self.counts, strict=True)):
            done = 0
            while done < count:
                taken = int(min(count - done, longest - held))
                last = done + taken == count
                parts.append((t + done * h, h, taken, r if last else -1))
                done, held = done + taken, held + taken
                if held == longest:
                    yield _piece(parts)
                    parts, held = [], 0
        if parts:
            yield _piece(parts)


def _piece(parts: Sequence[tuple[float, float, int, int]]) -> tuple[Stops, IntArray]:
    t, h, counts, ends = (np.array(column) for column in zip(*parts, strict=True))
    return Stops.of(t, h, counts), ends.astype(np.int64)


class Failure(NamedTuple):
    """A member that did not come to the end: its number, and why."""

    member: int
    message: str


def failure(failures: Sequence[Failure], *, ensemble: bool) -> str:
    """Put failures into one message."""
    if not ensemble:
        return failures[0].message
    shown = [f"member {one.member}: {one.message}" for one in failures[:3]]
    more = f" And {len(failures) - 3} more." if len(failures) > 3 else ""
    return f"{len(failures)} of the members failed. {' '.join(shown)}{more}"


@dataclass(frozen=True, eq=False)
class Runner:
    """A step map with everything but the state filled in."""

    model: Model
    integrator: Integrator
    engine: StepEngine
    theta: FloatArray
    sources: tuple[ForcingSource, ...]

    def advance(
        self, x0: FloatArray, stops: Stops, *, threads: int | None, where: str
    ) -> tuple[FloatArray, list[Failure]]:
        """States (K, 1 + R, D) of members that start at `x0` (K, D), and those that failed.

        Raises
        ------
        DataError
            If a sampled forcing has no value where the method needs one.
        """
        K, R = len(x0), len(stops.t)
        states = np.full((K, 1 + R, x0.shape[1]), np.nan)
        states[:, 0] = x0
        failures: list[Failure] = []
        alive, at, done = np.arange(K), x0, 0
        longest = CHUNK if self.model.forcing else LONGEST_CALL
        for piece, ends in stops.chunks(longest):
            stretches = self._stretches(piece, where)
            found, codes, places = self._ensemble(at, stretches, threads)
            kept = ends >= 0
            states[alive[:, None], 1 + ends[kept]] = found[:, kept]
            lost = np.flatnonzero(codes)
            for m in lost:
                message = self._why(int(codes[m]), int(places[m]), done, piece)
                failures.append(Failure(int(alive[m]), message))
            fine = codes == 0
            alive, at = alive[fine], np.ascontiguousarray(found[fine, -1])
            done += int(piece.counts.sum())
            if not alive.size:
                break
        return states, sorted(failures)

    def tangent(self, x: FloatArray, stops: Stops, where: str) -> FloatArray:
        """Jacobian of the one step of `stops`, (D, D).

        Raises
        ------
        SolveError
            If the step could not be solved, or is not finite.
        """
        from symda.build.steps import NOT_FINITE

        laid = self._stretches(stops, where).u
        u = laid[0] if len(laid) else np.empty((len(self.integrator.abscissae), 0))
        t, h = float(stops.t[0]), float(stops.h[0])
        _, M, code = self.engine.tangent(0, x, self.theta, t, h, u)
        if not code and not np.all(np.isfinite(M)):
            code = NOT_FINITE
        if code:
            raise SolveError(f"{where}: {self._why(code, 0, 0, stops)}")
        return M

    def _ensemble(
        self, x: FloatArray, stretches: Stretches, threads: int | None
    ) -> tuple[FloatArray, IntArray, IntArray]:
        """Share the members among threads; the engine releases the interpreter's lock."""
        K = len(x)
        workers = min(K, threads or _cores())
        if workers == 1:
            found = self.engine.advance(0, x, self.theta, stretches)
            return found.states, found.codes, found.where
        groups = np.array_split(x, min(K, 4 * workers))
        with ThreadPoolExecutor(workers) as pool:
            parts = list(
                pool.map(lambda some: self.engine.advance(0, some, self.theta, stretches), groups)
            )
        return (
            np.concatenate([part.states for part in parts]),
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.where for part in parts]),
        )

    def _stretches(self, stops: Stops, where: str) -> Stretches:
        """Evaluate the forcing at the abscissae of every step."""
        from symda.build.steps import Stretches

        c = np.array(self.integrator.abscissae)
        U = len(self.sources)
        if not U:
            return Stretches(stops.t, stops.h, stops.counts, np.empty((0, len(c), 0)))
        r = np.repeat(np.arange(len(stops.t)), stops.counts)
        i = np.arange(r.size) - np.repeat(np.cumsum(stops.counts) - stops.counts, stops.counts)
        h = stops.h[r]
        starts, ends = stops.t[r] + i * h, stops.t[r] + (i + 1) * h
        when = starts[:, None] + h[:, None] * c
        # what lies within the step stays there: a held sample jumps at its own time, which
        # belongs to the step on its right
        last = np.nextafter(ends, starts)
        low, high = np.minimum(starts, last), np.maximum(starts, last)
        inside = (c > -1e-12) & (c < 1.0 + 1e-12)
        when[:, inside] = np.clip(when[:, inside], low[:, None], high[:, None])
        u = np.empty((*when.shape, U))
        for n, (channel, source) in enumerate(zip(self.model.forcing, self.sources, strict=True)):
            try:
                u[:, :, n] = as_function(source, self.model.time)(when)
            except DataError as error:
                beyond = "" if inside.all() else (
                    f" The method {self.integrator.name!r} evaluates forcing up to "
                    f"{max(-c.min(), c.max() - 1.0):.2g} steps outside of each step; one that "
                    "stays within is 'rk4', 'gauss4' or 'verlet'."
                )  # fmt: skip
                raise DataError(f"{where}: forcing {channel.name!r}: {error}{beyond}") from error
        return Stretches(stops.t, stops.h, stops.counts, np.ascontiguousarray(u))

    def _why(self, code: int, place: int, done: int, stops: Stops) -> str:
        """Say how a member ended: `place` steps into this piece, `done` before it."""
        from symda.build.steps import NO_CONVERGENCE, NO_MEMORY, NOT_FINITE, SINGULAR

        ends = np.cumsum(stops.counts)
        r = min(int(np.searchsorted(ends, place, side="right")), len(ends) - 1)
        h = stops.h[r]
        time = stops.t[r] + (place - (ends[r] - stops.counts[r])) * h
        step = f"step {done + place} (t = {time:.6g}, h = {h:.3g})"
        if code == NOT_FINITE:
            return (
                f"the solution left finite numbers before {step}. Use a smaller step, or look at "
                "parameters and initial state."
            )
        if code == NO_MEMORY:
            return "there is no memory for the work space of a step."
        what = {
            NO_CONVERGENCE: "Newton's method did not converge in",
            SINGULAR: "the equations are singular in",
        }[code]
        return (
            f"{what} {step} of {self.integrator.name!r}. Use a smaller step, or look at "
            "parameters and initial state."
        )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
