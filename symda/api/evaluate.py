"""Expressions of a model's symbols along its trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.declare import (
    Forcing,
    Parameter,
    State,
    Time,
    as_expression,
    check_declared,
    check_expression,
    symbols_in,
)
from symda.errors import ModelError, nearest
from symda.observe.forcing import evaluate as values_of
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from sympy import Expr, Symbol

    from symda.api.simulate import Trajectory


def evaluate(trajectory: Trajectory, expression: Expr | float) -> xr.DataArray:
    """Return an expression's values along a trajectory; see `Trajectory.evaluate`."""
    import casadi as ca

    from symda.derive.translate import to_casadi

    where = "Trajectory.evaluate"
    written = as_expression(expression, where)
    check_expression(written, where)
    symbols = sorted(symbols_in([written]), key=str)
    states = trajectory.states
    known = [*map(str, states["state"].values), *trajectory.parameters, *trajectory.forcing]
    check_declared(symbols, known, where)
    shape = tuple(states.sizes[name] for name in states.dims if name != "state")
    columns = [np.broadcast_to(_column(trajectory, s, known, where), shape) for s in symbols]
    placeholders = ca.SX.sym("x", len(symbols))
    (value,) = to_casadi([written], dict(zip(symbols, ca.vertsplit(placeholders), strict=True)))
    function = ca.Function("value", [placeholders], [value], {"cse": True})
    if symbols:
        found = np.asarray(function(np.array([column.ravel() for column in columns])))
    else:
        found = np.full(np.prod(shape), float(function([])))
    rest = states.isel(state=0, drop=True)
    return rest.copy(data=found.reshape(shape)).rename(None).assign_attrs(expression=str(written))


def _column(
    trajectory: Trajectory, symbol: Symbol, known: list[str], where: str
) -> FloatArray | float:
    """Values of one symbol, of a shape that broadcasts to (time,) or (member, time)."""
    name = symbol.name
    if isinstance(symbol, Time):
        return trajectory.times
    if isinstance(symbol, State) and name in trajectory.states["state"].values:
        return np.asarray(trajectory.states.sel(state=name).values, dtype=float)
    if isinstance(symbol, Parameter) and name in trajectory.parameters:
        return float(trajectory.parameters[name])
    if isinstance(symbol, Forcing) and name in trajectory.forcing:
        return values_of(trajectory.forcing[name], None, trajectory.times)
    raise ModelError(
        f"{where}: the {symbol.kind_name.lower()} {name!r} is not in this trajectory, which has "
        f"{', '.join(known)}.{nearest(name, known)} Use the symbols of the model it was computed "
        "with; velocities of a mechanical model are model.velocity."
    )
