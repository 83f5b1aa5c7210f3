"""Models whose parameters per step are known: these then act as a forcing does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.checks import number
from symda.declare import EquationModel, Forcing, MechanicalModel, Model
from symda.errors import DataError
from symda.observe import Samples
from symda.observe.arrays import dimensions
from symda.types import FloatArray

if TYPE_CHECKING:
    from sympy import Expr

    from symda.api.trajectory import Trajectory
    from symda.observe.forcing import ForcingInput


#: Parameters (P,), or a mapping of names, in which a parameter per step has a number, a value each
#: step or each time, or samples.
Values: TypeAlias = "Mapping[str, ArrayLike | Samples] | ArrayLike"


def forced(model: Model) -> Model:
    """Return the model with forcing of the same name in place of its parameters per step."""
    if not model.per_step:
        return model
    known = {w: Forcing(w.name) for w in model.per_step}
    if isinstance(model, MechanicalModel):
        return model.substitute(known)
    equations = {
        state: equation.xreplace(known)
        for state, equation in zip(model.states, model.equations, strict=True)
        if state not in known
    }
    made = EquationModel(equations, name=model.name, discrete=model.discrete)
    return made.with_declarations(model.declarations)


def split_values(
    model: Model, given: Values | None, times: FloatArray | None, *, where: str
) -> tuple[Values | None, dict[str, Samples | Expr]]:
    """Split constants from the parameters per step, which act as a forcing.

    Parameters
    ----------
    model : Model
    given : array_like (P,) or mapping
        What the user passed for the parameters. One per step is a number; T - 1 values, one a
        step, or T, held from each time to the next; or `Samples`.
    times : (T,), optional
        Increasing; a step map has none.
    where : str
        How messages name the call.

    Returns
    -------
    constants : array_like or mapping
    sources : dict of str to Samples or Expr

    Raises
    ------
    DataError
        If one is missing, or has another number of values.
    """
    from sympy import Float

    names = [w.name for w in model.per_step]
    if not names:
        return given, {}
    if not isinstance(given, Mapping) or any(name not in map(str, given) for name in names):
        missing = names if not isinstance(given, Mapping) else set(names) - set(map(str, given))
        raise DataError(
            f"{where}: parameters: no values for the parameter per step {sorted(missing)[0]!r}; "
            f"pass a mapping with a number, or a value each step, for {', '.join(names)}."
        )
    constants: dict[str, ArrayLike | Samples] = {}
    sources: dict[str, Samples | Expr] = {}
    for key, value in given.items():
        name = str(key)
        if name not in names:
            constants[name] = value
        elif isinstance(value, Samples):
            sources[name] = value
        elif dimensions(value) == 0:
            what = f"{where}: parameters[{name!r}]"
            sources[name] = Float(number(value, what, "pass a number or a value each step"))
        else:
            sources[name] = _held(name, value, times, where)
    return constants, sources


def _held(name: str, value: ArrayLike, times: FloatArray | None, where: str) -> Samples:
    """Return values each step, or at each time, held from time to time."""
    if times is None:
        raise DataError(
            f"{where}: parameters[{name!r}]: expected a number or symda.Samples, got an array; a "
            "step map has no times of its own."
        )
    T = len(times)
    values = np.asarray(value, dtype=float)
    if values.shape not in ((T - 1,), (T,)):
        raise DataError(
            f"{where}: parameters[{name!r}]: expected a number, a value for each of the {T - 1} "
            f"steps or {T} times, or symda.Samples, got the shape {values.shape}."
        )
    return Samples(times, np.append(values, values[-1:])[:T], "hold")


def drive(
    forcing: Mapping[str, ForcingInput] | None, sources: Mapping[str, Samples | Expr]
) -> Mapping[str, ForcingInput] | None:
    """Return the forcing together with what acts like it."""
    if not sources or not (forcing is None or isinstance(forcing, Mapping)):
        return forcing
    return {**(forcing or {}), **sources}


def with_values(
    trajectory: Trajectory, model: Model, sources: Mapping[str, Samples | Expr]
) -> Trajectory:
    """Add the parameters per step to the states of the forced model."""
    import xarray as xr

    if not sources:
        return trajectory
    states, times = trajectory.states, trajectory.times
    columns = [
        source(times) if isinstance(source, Samples) else np.full(len(times), float(source))
        for source in (sources[w.name] for w in model.per_step)
    ]
    shape = (*states.shape[:-1], len(columns))
    complete = xr.DataArray(
        np.concatenate([states.values, np.broadcast_to(np.column_stack(columns), shape)], axis=-1),
        dims=states.dims,
        coords={
            **{name: one for name, one in states.coords.items() if name != "state"},
            "state": [s.name for s in model.states],
        },
        name=states.name,
        attrs=states.attrs,
    )
    return replace(trajectory, states=complete)
