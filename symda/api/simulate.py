"""`simulate`: a model solved forward in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import ArrayLike

from symda.api.estimates import Estimates
from symda.api.forced import Values, drive, forced, split_values, with_values
from symda.api.inputs import vector
from symda.api.integrate import OdeOptions, Rates, integrate, iterate
from symda.api.kernels import parameter_values
from symda.api.stepping import OdeMethod
from symda.api.trajectory import Trajectory
from symda.checks import choice, number
from symda.declare import Declaration, LatticeModel, Measurement, Model, Parameter, State
from symda.errors import DataError, OptionError
from symda.observe import Samples
from symda.observe.arrays import as_times, warn_of_coarse
from symda.observe.forcing import as_forcing, match
from symda.observe.pulses import check_pulsed
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe.forcing import ForcingInput, ForcingSource


def simulate(
    model: Model,
    times: ArrayLike,
    initial: ArrayLike | Mapping[str, float],
    *,
    parameters: Values | None = None,
    forcing: Mapping[str, ForcingInput] | None = None,
    method: OdeMethod | None = None,
    rtol: float = 1e-10,
    atol: float | None = None,
) -> Trajectory:
    """Solve a model forward in time.

    Jumps in time and kinks of a sampled forcing are hit exactly. Where time enters through an
    expression no step is longer than the longest interval between `times`: give closer times, or
    samples, for a feature that is narrower.

    Parameters
    ----------
    model : Model
        An ODE (solved by a method of SciPy's `solve_ivp`) or a map (iterated; times are whole
        numbers).
    times : array_like, shape (T,)
        Increasing; the first is where `initial` holds.
    initial : array_like (D,) or mapping of str to float
        State at the first time.
    parameters : array_like (P,) or mapping of str to float
        Parameters; those left out take the value they were declared with. One per step has a
        number, T - 1 values (one a step) or T, held from each time to the next, or `Samples`.
        ``run.best.parameters`` may hold those of the measured quantities besides.
    forcing : mapping of str to forcing
        As for `Observations`; samples are never extrapolated.
    method : str, optional
        A method of `solve_ivp`, ``"LSODA"`` or ``"Radau"`` for stiff models. Left out: DOP853, and
        Radau from where the model turns out stiff.
    rtol : float
        Relative tolerance of a step.
    atol : float, optional
        Absolute tolerance of a step, the same for all states. Left out, each state has its own: at
        most `rtol` times its largest size along the solution.

    Returns
    -------
    Trajectory

    Raises
    ------
    DataError
        If times, initial state, parameters or forcing do not fit the model, or its right-hand
        side is not finite at the start.
    OptionError
        If the first argument is no model, the method or a tolerance is none, or a map is given
        them.
    SolveError
        If the solution cannot be continued, or leaves finite numbers; the message says at what
        time. If the model is so stiff that the explicit method asked for would need more than a
        million steps.

    Warns
    -----
    IntegrationWarning
        If `method` was left out and the model is stiff.
    """
    from symda.derive.field import derive_field
    from symda.derive.lattice import derive_lattice

    if not isinstance(model, Model):
        raise OptionError(
            f"simulate: the first argument is a symda.Model, got {type(model).__name__}; "
            "of an action, pass action.model."
        )
    options = integration_options(method, rtol, atol, where="simulate")
    if model.discrete:
        given = {"method": method, "atol": atol, "rtol": None if rtol == 1e-10 else rtol}
        refuse_for_maps(given, where="simulate")
    t = as_times(times, "times of simulate")
    warn_of_coarse(t, "times of simulate", stacklevel=2)
    nothing, known = Measurement((), (), ()), forced(model)
    constants, values = split_values(model, parameters, t, where="simulate")
    rates = Rates(
        derive_lattice(known, nothing)
        if isinstance(known, LatticeModel)
        else derive_field(known, nothing, natural=True),
        parameter_vector(known.declarations, constants, where="simulate"),
        forcing_sources(known, drive(forcing, values), t, where="simulate"),
    )
    x0 = initial_state(known, initial, where="simulate")
    longest = float(np.diff(t).max()) if t.size > 1 else np.inf
    found = trajectory(rates, t, x0, options, longest=longest, where="simulate")
    return with_values(found, model, values)


def trajectory(
    rates: Rates, t: FloatArray, x0: FloatArray, options: OdeOptions, *, longest: float, where: str
) -> Trajectory:
    """Solve x' = F from `x0` (D,) at t[0] to the other times `t` (T,).

    Raises
    ------
    DataError, SolveError
        As for `simulate`, the call named by `where`.
    """
    import xarray as xr

    if t.size > 1:
        require_cover(rates.field.model, rates.sources, float(t[0]), float(t[-1]), where)
    if rates.field.model.discrete:
        states = iterate(rates, t, x0, where=where)
    else:
        states = integrate(rates, t, x0, options, longest=longest, where=where)
    return Trajectory(
        xr.DataArray(
            states,
            dims=("time", "state"),
            coords={"time": t, "state": list(rates.names)},
            name="states",
        ),
        dict(zip((p.name for p in rates.field.parameters), rates.theta.tolist(), strict=True)),
        dict(zip((f.name for f in rates.field.model.forcing), rates.sources, strict=True)),
    )


def refuse_for_maps(given: Mapping[str, object], *, where: str) -> None:
    """Refuse options of an ODE's solution for a map.

    Raises
    ------
    OptionError
        With their names.
    """
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise OptionError(
            f"{where}: {', '.join(names)} {'do' if len(names) > 1 else 'does'} not apply to a "
            f"discrete map, which is iterated. Leave {'them' if len(names) > 1 else 'it'} out."
        )


def integration_options(
    method: OdeMethod | None, rtol: float, atol: float | None, *, where: str
) -> OdeOptions:
    """Check method and tolerances of an integration.

    Raises
    ------
    OptionError
        If one of them is wrong.
    """
    if method is not None:
        choice(method, f"{where}: method", get_args(OdeMethod))
    own = "leave it out for one by the size of each state"
    return OdeOptions(
        method,
        number(rtol, f"{where}: rtol", "the default is 1e-10", kind="positive"),
        None if atol is None else number(atol, f"{where}: atol", own, kind="positive"),
    )


def initial_state(
    model: Model, initial: ArrayLike | Mapping[str, float], *, where: str
) -> FloatArray:
    """Array (D,) of an initial state.

    Raises
    ------
    DataError
        If it is not one finite number for each state.
    """
    names = tuple(s.name for s in model.states)
    values: object = initial
    if isinstance(initial, Mapping):
        given = {str(name): value for name, value in initial.items()}
        if set(given) != set(names):
            raise DataError(
                f"{where}: initial must name every state once, {', '.join(names)}; got "
                f"{', '.join(given)}."
            )
        values = [given[name] for name in names]
    fix = f"pass numbers, or a mapping such as initial={{{names[0]!r}: 0.0}}"
    return vector(values, names, f"{where}: initial", fix)


def parameter_vector(
    declarations: Mapping[State | Parameter, Declaration], given: Values | None, *, where: str
) -> FloatArray:
    """Array (P,) of parameters; those a mapping leaves out take the value they were declared with.

    `Estimates` may hold others too.

    Raises
    ------
    InputError
        If one is unknown, missing or not a finite number.
    """
    declared = {p.name: d for p, d in declarations.items() if isinstance(p, Parameter)}
    names = tuple(declared)
    if isinstance(given, Estimates):
        given = given.of(names)
    what, fix = f"{where}: parameters", "pass numbers, or a mapping of names to numbers"
    if given is not None and not isinstance(given, Mapping):
        return vector(given, names, what, fix)
    values: dict[str, float] = {
        name: one.value for name, one in declared.items() if one.value is not None
    }
    values |= {
        str(name): number(value, f"{what}[{str(name)!r}]", fix, error=DataError)
        for name, value in (given or {}).items()
    }
    missing = [name for name in names if name not in values]
    if missing and set(values) <= set(names):
        example = ", ".join(f"{name!r}: ..." for name in missing[:8])
        raise DataError(
            f"{where}: no value for the parameter {missing[0]!r}; pass parameters={{{example}}}, "
            f"or declare it with one, sd.parameter({missing[0]!r}, value=...)."
        )
    if values.keys() == declared.keys():
        return np.array([values[name] for name in names], dtype=float)
    return parameter_values(values, names)


def forcing_sources(
    model: Model,
    forcing: Mapping[str, ForcingInput] | None,
    times: FloatArray,
    *,
    where: str,
) -> tuple[ForcingSource, ...]:
    """Bring `forcing` to one source for each of the U channels; plain values hold at `times`.

    Raises
    ------
    DataError
        If one is unknown, missing or no forcing.
    """
    names = tuple(f.name for f in model.forcing)
    sources = match(names, as_forcing(forcing, times), place=f"{where}(...)", call=where)
    check_pulsed(model, dict(zip(names, sources, strict=True)))
    return sources


def require_cover(
    model: Model, sources: Sequence[ForcingSource], first: float, last: float, where: str
) -> None:
    """Refuse samples that do not cover the times from `first` to `last`.

    Raises
    ------
    DataError
        If there are such.
    """
    last -= 1.0 if model.discrete else 0.0
    for channel, source in zip(model.forcing, sources, strict=True):
        if isinstance(source, Samples) and not (
            source.times[0] <= first and source.times[-1] >= last
        ):
            raise DataError(
                f"{where}: forcing {channel.name!r}: samples cover times {source.times[0]:g} to "
                f"{source.times[-1]:g}, but values are needed from {first:g} to {last:g}; samples "
                "are never extrapolated. Add samples, or choose times within that range."
            )
