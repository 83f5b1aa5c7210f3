"""Compiled step maps of a model, and trajectories by fixed steps: one member or an ensemble."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.api.adaptive import ADAPTIVE, follow, require_smooth, tolerances, way_through
from symda.api.flow_machine import (
    fitting,
    go_together,
    in_loops,
    machine_of,
    members_of,
    parameter_members,
)
from symda.api.flow_run import (
    MOST_KEPT,
    IntegrationWarning,
    Runner,
    Stops,
    failure,
)
from symda.api.forced import Values, drive, forced, split_values, with_values
from symda.api.simulate import forcing_sources, parameter_vector
from symda.api.trajectory import Trajectory, named
from symda.checks import integer, number
from symda.declare import Model
from symda.errors import DataError, OptionError, SolveError
from symda.observe.arrays import as_times, dimensions, warn_of_coarse
from symda.observe.jumps import jumps, off_ends
from symda.observe.pulses import INSTANT, Pulses, PulseSteps, pulse_steps
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.discretise import Method, Scheme
    from symda.observe.forcing import ForcingInput, ForcingSource


@dataclass(frozen=True, eq=False, repr=False)
class StepMap:
    """The map x_n -> x_{n+1} of a model under a one-step method; made by `step_map`.

    Attributes
    ----------
    model : Model
        The model.
    integrator : Method
        The method.
    source : str
        The emitted Cython text.
    parameters : mapping of str to float
        The values it is evaluated with.
    """

    model: Model
    integrator: Method
    source: str
    parameters: Mapping[str, float]
    _runner: Runner

    @property
    def kind(self) -> str:
        """``"compiled"`` or ``"virtual machine"``."""
        return self._runner.engine.kind

    def step(self, x: ArrayLike | Mapping[str, float], h: float, t: float = 0.0) -> FloatArray:
        """State (D,) one step of length `h`, perhaps negative, after `x` (D,) at time `t`.

        States (K, D) of an ensemble give (K, D).

        Raises
        ------
        DataError
            If `x` does not fit, or a sampled forcing has no value where the method needs one.
        SolveError
            If the equations of the step could not be solved, or it leaves finite numbers.
        """
        after: FloatArray = self._advance(x, h, 1, 1, t, "StepMap.step")[..., -1, :]
        return after

    def tangent(self, x: ArrayLike | Mapping[str, float], h: float, t: float = 0.0) -> FloatArray:
        """Jacobian M = dx_{n+1}/dx_n of one state `x` (D,), exact up to rounding, (D, D).

        Raises
        ------
        DataError, SolveError
            As `step`.
        """
        where = "StepMap.tangent"
        if in_loops(self.model):
            raise OptionError(
                f"{where}: there is no Jacobian of {self.model.name!r}, a lattice of "
                f"{len(self.model.states)} states; take differences of StepMap.step along the "
                "directions you need."
            )
        at = members_of(self.model, x, where=where)
        if len(at) > 1:
            raise DataError(
                f"{where}: expected one state, got {len(at)}; ask for one Jacobian after the other."
            )
        h, t = _step(h, where), _step(t, where, "t")
        stops = Stops.of(np.array([t]), np.array([h]), np.array([1]))
        return self._runner.tangent(at[0], stops, where)

    def advance(
        self,
        x0: ArrayLike | Mapping[str, float],
        h: float,
        steps: int,
        every: int = 1,
        t: float = 0.0,
    ) -> FloatArray:
        """States after 0, `every`, 2 `every`, .., `steps` steps, (1 + steps / every, D).

        Parameters
        ----------
        x0 : array_like (D,), mapping of str to float, or array_like (K, D)
            Where to start; of an ensemble the result has the shape (K, 1 + steps / every, D).
        h : float
            Step length.
        steps, every : int
            How many steps, and after how many a state is kept; `steps` is a multiple of `every`.
        t : float
            Time at the start.

        Raises
        ------
        OptionError, DataError
            If something does not fit.
        SolveError
            If a step fails; the message says which.
        """
        return self._advance(x0, h, steps, every, t, "StepMap.advance")

    def _advance(
        self,
        x0: ArrayLike | Mapping[str, float],
        h: float,
        steps: int,
        every: int,
        t: float,
        where: str,
    ) -> FloatArray:
        h, t = _step(h, where), _step(t, where, "t")
        count = integer(
            steps, f"{where}: steps", "a state is kept every `every` steps", floats=True
        )
        each = integer(every, f"{where}: every", "1 keeps all states", floats=True)
        if count % each:
            raise OptionError(
                f"{where}: steps = {count} is no multiple of every = {each}; take "
                f"{count - count % each or each} steps."
            )
        ensemble = not isinstance(x0, Mapping) and dimensions(x0) == 2
        at = members_of(self.model, x0, where=where)
        R = count // each
        if at.size * R > MOST_KEPT:
            raise OptionError(
                f"{where}: {R + 1} states of {at.size} numbers are {8e-9 * at.size * R:.3g} GB; "
                "keep fewer with every=."
            )
        stops = Stops.of(t + np.arange(R) * (each * h), np.full(R, h), np.full(R, each))
        states, failures = self._runner_of(at, ensemble=ensemble).advance(
            at, stops, threads=None, where=where
        )
        if failures:
            raise SolveError(f"{where}: {failure(failures, ensemble=ensemble)}")
        return states if ensemble else states[0]

    def _runner_of(self, x0: FloatArray, *, ensemble: bool) -> Runner:
        """Return what advances such members; in lanes it is built when it is first asked for."""
        runner = self._runner
        if runner.engine.kind != "compiled":
            return runner
        if not go_together(runner.model, len(x0), ensemble=ensemble):
            return runner
        engine, _ = machine_of(runner.model, self.integrator, together=True)
        return replace(runner, engine=engine)

    def __repr__(self) -> str:
        return f"<step map of {self.model!r}, {self.integrator.name}, {self.kind}>"


def step_map(
    model: Model,
    method: str | Method | Scheme = "rk4",
    *,
    parameters: Values | None = None,
    forcing: Mapping[str, ForcingInput] | None = None,
) -> StepMap:
    """Compile the map x_n -> x_{n+1} of a model under a method.

    Parameters
    ----------
    model : Model
        An ODE.
    method : str, Tableau or other method
        A name in `INTEGRATORS`, for instance ``"rk4"``, ``"verlet"`` (Hamiltonians T(p) + V(q)),
        ``"gauss4"``, ``"radau5"`` (stiff equations), or a tableau of one's own.
    parameters, forcing
        As for `simulate`; forcing is `Samples`, an expression in time or a number, and parameters
        per step are the same.

    Returns
    -------
    StepMap

    Raises
    ------
    OptionError
        If the method is unknown, or does not fit the model; the message says what does.
    DataError
        If parameters or forcing do not fit.
    BuildError
        If the compiler fails.

    Warns
    -----
    VirtualMachineWarning
        If there is no compiler: then NumPy evaluates the same method.
    """
    where = "step_map"
    if isinstance(method, str) and method == ADAPTIVE:
        raise OptionError(
            f"{where}: a step map takes one step of a given length; for adaptive steps take "
            "sd.integrate(..., method='adaptive')."
        )
    integrator = fitting(model, method, where=where)
    t = np.zeros(1)
    constants, values = split_values(model, parameters, None, where=where)
    known = forced(model)
    theta = parameter_vector(known.declarations, constants, where=where)
    sources = forcing_sources(known, drive(forcing, values), t, where=where)
    for channel, one in zip(known.forcing, sources, strict=True):
        if isinstance(one, Pulses):
            raise DataError(
                f"{where}: forcing {channel.name!r} is given as pulses, and one step does not know "
                "when they are. Take sd.integrate, or add the amounts to the state between steps."
            )
    engine, source = machine_of(known, integrator)
    names = (p.name for p in known.parameters)
    return StepMap(
        known,
        integrator,
        source.text,
        dict(zip(names, theta.tolist(), strict=True)),
        Runner(known, integrator, engine, theta[None], sources),
    )


def integrate(
    model: Model,
    times: ArrayLike,
    initial: ArrayLike | Mapping[str, float],
    *,
    method: str | Method | Scheme = "rk4",
    step: float | None = None,
    rtol: float | None = None,
    atol: ArrayLike | None = None,
    sensitivities: bool = False,
    parameters: Values | None = None,
    forcing: Mapping[str, ForcingInput] | None = None,
    threads: int | None = None,
) -> Trajectory:
    """Solve a model forward in time in compiled code, by fixed or adaptive steps.

    Of fixed steps each interval between two times, or jumps of a forcing, is divided into equal
    ones, none longer than `step`. There is no error estimate: halve the step to see the error. A
    sampled forcing with kinks leaves a method its order where they fall on `times`.

    ``method="adaptive"`` chooses its steps by their estimated error: Dormand and Prince's method of
    order 5, and Radau's, which solves an equation in each step, from where and as long as the model
    is stiff. Jumps and kinks of forcing are hit exactly. An expression in time in place of a
    forcing is compiled as part of the model, once for each expression.

    Parameters
    ----------
    model : Model
        An ODE.
    times : array_like, shape (T,)
        Increasing; the first is where `initial` holds.
    initial : array_like (D,), mapping of str to float, or array_like (K, D)
        State at the first time, or those of an ensemble of K members.
    method : str, Tableau or other method
        ``"adaptive"``, a name in `INTEGRATORS`, or a tableau of one's own.
    step : float, optional
        Longest step of a fixed one; by default the shortest interval between two times.
    rtol : float, optional
        Relative tolerance of an adaptive step, 1e-8 if left out.
    atol : float or array_like (D,), optional
        Absolute tolerance of an adaptive step, one for all states or one each. Left out, each state
        of each member has its own, at most `rtol` times its largest size along the solution.
    sensitivities : bool
        Whether to compute, with ``method="adaptive"``, the derivatives of the states by the first
        state and the parameters as well; they are those of the computed states.
    parameters, forcing
        As for `simulate`; but a parameter may have a value for each of K members, (K,), and all
        of them may be an array (K, P).
    threads : int, optional
        Threads that share the members of an ensemble, refused without one; by default one for each
        core. A member does not depend on them, nor on the others; a single trajectory, which is
        not computed in vector lanes, differs from a member by rounding.

    Returns
    -------
    Trajectory
        States with dims (time, state), or (member, time, state) of an ensemble. A member that
        fails is not a number from there on; its message stands in the coordinate ``message``, and
        those of the first in ``states.attrs["message"]``.

    Raises
    ------
    DataError
        If times, initial state, parameters or forcing do not fit the model.
    OptionError
        If the method is unknown or does not fit the model, a number is out of range, or an option
        does not belong to the method.
    SolveError
        If a single trajectory, or every member, fails; the message says when, and what to do.
    BuildError
        If the compiler fails.

    Warns
    -----
    IntegrationWarning
        If some members of an ensemble fail.
    VirtualMachineWarning
        If there is no compiler: then NumPy evaluates the same method, or SciPy takes adaptive
        steps.
    """
    where = "integrate"
    adaptive = isinstance(method, str) and method == ADAPTIVE
    if adaptive:
        require_smooth(model, where=where)
    integrator = None if adaptive else fitting(model, method, where=where)
    given = {"step": step if adaptive else None, "rtol": rtol, "atol": atol}
    _refuse_foreign(given, sensitivities, method, adaptive=adaptive, where=where)
    t = as_times(times, "times of integrate")
    warn_of_coarse(t, "times of integrate", stacklevel=2)
    known = forced(model)
    longest = None if step is None else number(
        step, f"{where}: step", "leave it out for the shortest interval", kind="positive"
    )  # fmt: skip
    constants, values = split_values(model, parameters, t, where=where)
    theta, many = parameter_members(known.declarations, constants, where=where)
    sources = forcing_sources(known, drive(forcing, values), t, where=where)
    several = not isinstance(initial, Mapping) and dimensions(initial) == 2
    x0 = members_of(known, initial, where=where)
    ensemble = several or bool(many)
    if several and many and len(x0) != len(theta):
        raise DataError(
            f"{where}: there are {len(x0)} initial states and {len(theta)} values of the parameter "
            f"{many[0]!r}; an ensemble has one of each for every member."
        )
    if threads is not None:
        threads = integer(threads, f"{where}: threads", "leave it out for all cores", floats=True)
        if not ensemble:
            raise OptionError(
                f"{where}: threads={threads} has no effect on a single trajectory. Leave it out, "
                "or pass the initial states of an ensemble, (K, D), or parameters with a value "
                "for each member."
            )
    K = max(len(x0), len(theta))
    x0, theta = (np.ascontiguousarray(np.broadcast_to(a, (K, a.shape[1]))) for a in (x0, theta))
    slopes, together = None, go_together(known, K, ensemble=ensemble)
    if integrator is None:
        own = tolerances(rtol, atol, known.states, where=where)
        names = [p.name for p in known.parameters]
        same = {n: float(v) for n, v in zip(names, theta[0], strict=True) if n not in many}
        way = way_through(known, sources, t, same, where=where)
        count = x0.size * len(way.ends) * (1 + sensitivities * (x0.shape[1] + theta.shape[1]))
        if count > MOST_KEPT:
            raise OptionError(
                f"{where}: {K} members at {len(way.ends)} stops are {8e-9 * count:.3g} GB; take "
                "fewer members or times at once, or leave sensitivities out."
            )
        found = follow(
            way, x0, theta, own, sensitivities=sensitivities, together=together, threads=threads
        )
        places = _places(way.ends, t, way.pulses)
        states, failures = found.states, found.failures
        slopes = None if found.slopes is None else found.slopes[:, places]
    else:
        pulses = pulse_steps(dict(zip(known.forcing, sources, strict=True))).snapped(t)
        ends, stops = _with_jumps(t, longest, sources, pulses, known, where)
        engine, _ = machine_of(known, integrator, together=together)
        runner = Runner(known, integrator, engine, theta, sources)
        states, failures = runner.advance(x0, stops, threads=threads, where=where)
        places = _places(ends, t, pulses)
    message = failure(failures, ensemble=ensemble) if failures else ""
    if len(failures) == len(x0):
        raise SolveError(f"{where}: {message}")
    if failures:
        warnings.warn(f"{where}: {message}", IntegrationWarning, stacklevel=2)
    messages = {one.member: one.why() for one in failures}
    made = named(known, t, states[:, places], slopes, theta, many, messages, ensemble=ensemble)
    made.states.attrs.update({"message": message} if message else {})
    used = dict(zip((u.name for u in known.forcing), sources, strict=True))
    return with_values(replace(made, forcing=used), model, values)


def _refuse_foreign(
    given: Mapping[str, object], sensitivities: bool, method: object, *, adaptive: bool, where: str
) -> None:
    """Refuse options that are of other methods."""
    if not isinstance(sensitivities, bool | np.bool_):
        raise OptionError(f"{where}: sensitivities must be True or False, got {sensitivities!r}.")
    if adaptive and given["step"] is not None:
        raise OptionError(
            f"{where}: step has no effect with method='adaptive', which chooses its steps by rtol "
            "and atol. Leave it out, or take a method of fixed steps, such as 'rk4'."
        )
    others = [name for name in ("rtol", "atol") if given[name] is not None]
    others += ["sensitivities"] if sensitivities else []
    if others and not adaptive:
        raise OptionError(
            f"{where}: {', '.join(others)} {'are' if len(others) > 1 else 'is'} for "
            f"method='adaptive', and the method is {getattr(method, 'name', method)!r}, which "
            "takes fixed steps. Pass method='adaptive', or step= instead."
        )


def _with_jumps(
    t: FloatArray,
    longest: float | None,
    sources: Sequence[ForcingSource],
    pulses: PulseSteps,
    model: Model,
    where: str,
) -> tuple[FloatArray, Stops]:
    """Divide the intervals between times `t` (T,) and jumps of forcing; return both times too.

    The time of a pulse is there twice, with a step of its own between.
    """
    stops = Stops.between(t, longest, where)
    if t.size < 2:
        return t, stops
    pulses.check_within(t[0], t[-1], "Let the times begin or end there, or leave it out.")
    finest = float(stops.h.min())
    found = [jumps(one, model.time, t[0], t[-1], finest=finest) for one in sources]
    inner = off_ends(np.concatenate([*found, []]), t)
    if not (inner.size or pulses.any):
        return t, stops
    ends = np.union1d(t, np.concatenate([inner, pulses.times]))
    shortest = float(np.diff(t).min()) if longest is None else longest
    stops = Stops.between(ends, shortest, where)
    if not pulses.any:
        return ends, stops
    at = np.searchsorted(ends, pulses.times)
    return np.insert(ends, at + 1, pulses.times), Stops.of(
        np.insert(stops.t, at, pulses.times),
        np.insert(stops.h, at, INSTANT),
        np.insert(stops.counts, at, 1),
    )


def _places(ends: FloatArray, t: FloatArray, pulses: PulseSteps) -> IntArray:
    """Return which of the ends are the times `t`, of pulses the one on the side asked for."""
    places = np.searchsorted(ends, t)
    return places + np.isin(t, pulses.times[pulses.after])


def _step(value: float, where: str, name: str = "h") -> float:
    given = number(value, f"{where}: {name}", "pass a number, in the units of the model's time")
    if name == "h" and given == 0.0:
        raise OptionError(f"{where}: h must not be 0; a negative step leads back in time.")
    return given
