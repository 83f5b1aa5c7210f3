"""Trajectories by adaptive steps: which stops there are, tolerances by size, what went wrong."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.api.flow_machine import require_ode
from symda.api.flow_run import Failure, cores
from symda.api.inputs import vector
from symda.api.machine import CHOICE, VirtualMachineWarning
from symda.checks import number
from symda.declare import EquationModel, Forcing, Measurement, Model, State
from symda.errors import DataError, OptionError
from symda.observe import Pulses, Samples
from symda.observe.forcing import as_function
from symda.observe.jumps import breaks, clocked, off_ends, within_steps
from symda.observe.pulses import INSTANT, PulseSteps, pulse_steps
from symda.types import FloatArray

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from symda.build.course import Course
    from symda.build.flows import FlowEngine
    from symda.derive.field import Field
    from symda.observe.forcing import ForcingSource

#: How users ask for adaptive steps.
ADAPTIVE = "adaptive"
#: Relative tolerance, if nothing else is said.
RTOL = 1e-8
#: The tolerance where a state is zero, as a share of the relative one of its largest size.
SHARE = 1e-3
#: Times a solution is computed again because states were smaller than was thought.
PASSES = 4
#: Most steps of a member, and those besides for each stop.
MOST_STEPS, STEPS_A_STOP = 100_000, 1_000
#: Engines that are kept.
KEPT = 16


@dataclass(frozen=True, eq=False)
class Tolerances:
    """Tolerances of a step."""

    rtol: float  #: Relative to a state.
    atol: FloatArray | None  #: Absolute ones, (D,); None: by the size of each state.


def require_smooth(model: Model, *, where: str) -> None:
    """Refuse a model that adaptive steps are not made for.

    Raises
    ------
    OptionError
        If it is none, a map, or too large.
    """
    from symda.build.course import LARGEST

    require_ode(model, where=where)
    D = len(model.states)
    if D > LARGEST:
        raise OptionError(
            f"{where}: method='adaptive' is for models of up to {LARGEST} states, and "
            f"{model.name!r} has {D}. Use fixed steps, such as method='rk4', or sd.simulate."
        )


def tolerances(
    rtol: float | None, atol: ArrayLike | None, states: Sequence[State], *, where: str
) -> Tolerances:
    """Check tolerances.

    Raises
    ------
    OptionError
        If one of them is no positive number.
    """
    relative = RTOL if rtol is None else number(
        rtol, f"{where}: rtol", f"the default is {RTOL:g}", kind="positive"
    )  # fmt: skip
    if not 1e-13 <= relative < 1.0:
        raise OptionError(
            f"{where}: rtol = {relative:g} must lie between 1e-13, above what numbers are rounded "
            "to, and 1."
        )
    if atol is None:
        return Tolerances(relative, None)
    names, own = [s.name for s in states], "leave it out for one by the size of each state"
    what = f"{where}: atol"
    absolute = vector(atol, names, what, own, kind="positive", broadcast=True, error=OptionError)
    return Tolerances(relative, absolute)


@dataclass(frozen=True, eq=False)
class Way:
    """A model and the course its members are led through."""

    model: Model  #: With expressions in place of the forcing they were given for.
    course: Course
    ends: FloatArray  #: Times of the stops; that of a pulse is there twice.
    pulses: PulseSteps


def way_through(
    model: Model,
    sources: Sequence[ForcingSource],
    t: FloatArray,
    known: dict[str, float],
    *,
    where: str,
) -> Way:
    """Find the stops of a model: the times `t`, and wherever F is not smooth in time.

    Parameters
    ----------
    model : Model
    sources : sequence of forcing, (U,)
    t : (T,)
        Increasing.
    known : dict of str to float
        Parameters that are the same for all members.
    where : str
        How messages name the call.

    Raises
    ------
    DataError
        If a sampled forcing has no value where one is needed, or a pulse lies outside.
    """
    from symda.build.course import CUBIC, Course

    pairs = dict(zip(model.forcing, sources, strict=True))
    written = {
        channel: one
        for channel, one in pairs.items()
        if not isinstance(one, Samples | Pulses) and one.free_symbols
    }
    made = _with_expressions(model, written)
    kept = {channel: one for channel, one in pairs.items() if channel not in written}
    pulses = pulse_steps(kept).snapped(t)
    ends = t
    if t.size > 1:
        pulses.check_within(t[0], t[-1], "Let the times begin or end there, or leave it out.")
        symbols = {p: known[p.name] for p in made.parameters if p.name in known}
        found = [one.breaks for one in kept.values() if isinstance(one, Samples)]
        found += [breaks(one, t[0], t[-1], known=symbols) for _, one in clocked(made)]
        inner = np.unique(np.concatenate([*found, []]))
        inner = off_ends(inner[(inner > t[0]) & (inner < t[-1])], t)
        ends = np.union1d(t, np.concatenate([inner, pulses.times]))
    left, right = ends[:-1], ends[1:]
    values = np.empty((left.size, 4, len(kept)))
    for i, (channel, source) in enumerate(kept.items()):
        try:
            if left.size:
                thirds = (0.0, 1 / 3, 2 / 3, 1.0)
                values[:, :, i] = within_steps(source, model.time, left, right, thirds)
            else:
                as_function(source, model.time)(ends)
        except DataError as error:
            raise DataError(f"{where}: forcing {channel.name!r}: {error}") from error
    at = np.searchsorted(ends, pulses.times) if t.size > 1 else np.empty(0, dtype=np.int64)
    instant = np.insert(np.zeros(left.size, dtype=bool), at, True)
    h = np.insert(np.diff(ends), at, INSTANT)
    amounts = np.repeat(pulses.amounts[:, None, :] / INSTANT, 4, axis=1)
    forcing = np.insert(values, at, amounts, axis=0) if at.size else values
    ends = np.insert(ends, at + 1, ends[at])
    return Way(made, Course(ends, CUBIC @ forcing, instant, h), ends, pulses)


def _with_expressions(model: Model, written: dict[Forcing, Expr]) -> Model:
    """Return the model with expressions in time in place of forcing."""
    if not written:
        return model
    clocks = {s for one in written.values() for s in one.free_symbols}
    clock = model.time or min(clocks, key=str)
    same: dict[Symbol, Expr] = dict.fromkeys(clocks, clock)
    put = {channel: one.xreplace(same) for channel, one in written.items()}
    equations = {
        state: equation.xreplace(put)
        for state, equation in zip(model.states, model.equations, strict=True)
    }
    made = EquationModel(equations, name=model.name)
    return made.with_declarations(model.declarations)


def engine_of(model: Model, *, together: bool) -> FlowEngine:
    """Return what integrates a model in the user's coordinates, built or taken from the cache.

    Members are computed `together` without sensitivities only.

    Raises
    ------
    BuildError
        If the compiler fails.

    Warns
    -----
    VirtualMachineWarning
        If there is no compiler.
    """
    engine = _engine(model, together, tuple(os.environ.get(name) for name in CHOICE))
    if engine.kind != "compiled":
        warnings.warn(
            f"there is no compiler, so SciPy integrates {model.name!r}, more slowly; "
            "`symda doctor` says what is missing.",
            VirtualMachineWarning,
            stacklevel=4,
        )
    return engine


@lru_cache(maxsize=KEPT)
def _engine(model: Model, together: bool, _choice: tuple[str | None, ...]) -> FlowEngine:
    from symda.build.flows import flow_engine

    return flow_engine(_field(model), together=together)


@lru_cache(maxsize=KEPT)
def _field(model: Model) -> Field:
    from symda.derive.field import derive_field

    return derive_field(model, Measurement((), (), ()), natural=True)


@dataclass(frozen=True, eq=False)
class Found:
    """States (K, R + 1, D) at the stops, slopes if asked for, and the members that failed."""

    states: FloatArray
    slopes: FloatArray | None
    failures: list[Failure]


def follow(
    way: Way,
    x0: FloatArray,
    theta: FloatArray,
    given: Tolerances,
    *,
    sensitivities: bool,
    together: bool,
    threads: int | None,
) -> Found:
    """Lead members from `x0` (K, D) with parameters `theta` (K, P) along a way.

    Without sensitivities they may be computed `together`, in lanes.

    Without absolute tolerances those of a member follow the largest size of each state along its
    own solution: where that was taken too large it is computed again.
    """
    engine = engine_of(way.model, together=together and not sensitivities)
    course, K = way.course, len(x0)
    most = MOST_STEPS + STEPS_A_STOP * len(course.h)
    sizes, guessed = _first_sizes(way, x0, theta), x0 == 0.0
    states = np.full((K, len(way.ends), x0.shape[1]), np.nan)
    shape = (*states.shape, x0.shape[1] + theta.shape[1])
    slopes = np.full(shape, np.nan) if sensitivities else None
    codes, stops = np.zeros((2, K), dtype=np.int64)
    open_ = np.arange(K)
    for _ in range(PASSES):
        atol = given.atol
        if atol is None:
            atol = max(SHARE * given.rtol, 1e-14) * sizes[open_]
        found = engine.run(
            x0[open_],
            theta[open_],
            course,
            rtol=given.rtol,
            atol=atol,
            sensitivities=sensitivities,
            most_steps=most,
            threads=threads or cores(),
        )
        states[open_], codes[open_], stops[open_] = found.states, found.codes, found.where
        if slopes is not None and found.slopes is not None:
            slopes[open_] = found.slopes
        if given.atol is not None:
            break
        own, peak = sizes[open_], found.peaks
        coarse = (peak > 0.0) & (peak < 0.5 * own)
        # steps so long that they leave the solution come from a guess that is too large
        lost = guessed[open_] & (found.codes > 0)[:, None] & ~coarse
        sizes[open_] = np.where(coarse, peak, np.where(lost, 1e-8 * own, own))
        open_ = open_[(coarse | lost).any(axis=1)]
        guessed[:] = False
        if not open_.size:
            break
    failures = [
        Failure(int(m), partial(_why, int(codes[m]), way.ends, int(stops[m]), most))
        for m in np.flatnonzero(codes)
    ]
    return Found(states, slopes, failures)


def _first_sizes(way: Way, x0: FloatArray, theta: FloatArray) -> FloatArray:
    """First guess of the states' sizes, (K, D): too large rather than 0."""
    sizes = np.abs(x0)
    lengths = way.course.h[~way.course.instant]
    if lengths.size:
        F, u = _field(way.model).field, way.course.forcing[int(way.course.instant.argmin()), 0]
        for m in np.flatnonzero((sizes == 0.0).any(axis=1)):
            slope = np.abs(np.asarray(F(x0[m], u, theta[m], way.ends[0]).full()).reshape(-1))
            from_slope = slope * lengths.min()
            usable = (sizes[m] == 0.0) & np.isfinite(from_slope)
            sizes[m] = np.where(usable, from_slope, sizes[m])
    sizes = np.where(sizes > 0.0, sizes, sizes.max(axis=1, keepdims=True))
    sizes[sizes == 0.0] = 1.0
    return sizes


def _why(code: int, ends: FloatArray, stop: int, most: int) -> str:
    """Say how a member ended on its way from a stop to the next."""
    from symda.build.course import NO_CONVERGENCE, NO_MEMORY, NOT_FINITE, SINGULAR, TOO_MANY_STEPS

    if code == NO_MEMORY:
        return "there is no memory for the work space of a step."
    between = f"between t = {ends[stop]:.6g} and {ends[stop + 1]:.6g}"
    look = "Look at parameters and initial state."
    return {
        NOT_FINITE: f"the solution left finite numbers {between}. {look}",
        NO_CONVERGENCE: (
            f"no step was short enough {between}, where the solution grows without bound or is "
            f"not smooth. {look}"
        ),
        SINGULAR: f"the equations of a step are singular {between}. {look}",
        TOO_MANY_STEPS: (
            f"{most} steps did not lead through to the time {ends[stop + 1]:.6g}. Take a larger "
            f"rtol, or look at parameters and initial state."
        ),
    }[code]
