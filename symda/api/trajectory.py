"""Trajectories of a model, and expressions of its symbols along them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from symda.api.plot import plot
from symda.declare import (
    Forcing,
    Model,
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
    from pathlib import Path

    import xarray as xr
    from matplotlib.figure import Figure
    from sympy import Expr, Symbol

    from symda.observe.forcing import ForcingSource


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A solution of a model.

    Attributes
    ----------
    states : xarray.DataArray, dims (time, state) or (member, time, state)
        The solution, or those of an ensemble.
    parameters : mapping of str to float or array (K,)
        The values it was computed with; of an ensemble perhaps one for each member.
    forcing : mapping of str to Samples or Expr
        The forcing it was computed with.
    sensitivities : xarray.DataArray, dims (time, state, by) or (member, time, state, by), or None
        Derivatives of the states by the first state and the parameters, whose names are in ``by``,
        if they were asked for.
    """

    states: xr.DataArray
    parameters: Mapping[str, float | FloatArray]
    forcing: Mapping[str, ForcingSource] = field(default_factory=dict)
    sensitivities: xr.DataArray | None = None

    @property
    def times(self) -> FloatArray:
        """Times (T,)."""
        return np.asarray(self.states["time"].values, dtype=float)

    def evaluate(self, expression: Expr | float) -> xr.DataArray:
        """Return an expression's values along the solution, as of the Hamiltonian.

        Parameters
        ----------
        expression : Expr
            Of the model's states, parameters, forcing and time.

        Returns
        -------
        xarray.DataArray, dims (time,), or (member, time) of an ensemble

        Raises
        ------
        ModelError
            If it uses a symbol that is not in the trajectory.
        DataError
            If a sampled forcing has no value at one of the times.
        """
        return _evaluate(self, expression)

    def plot(
        self,
        path: str | Path | None = None,
        *,
        model: Model | None = None,
        energy: Expr | None = None,
        title: str = "",
    ) -> Figure:
        """Plot states in time, two of them against each other, and how well energy is kept.

        Parameters
        ----------
        path : str or Path, optional
            Where to save the figure; the suffix chooses the format.
        model : Model, optional
            The model of the trajectory: of a mechanical one coordinates and momenta each share a
            panel, and its Hamiltonian is the energy.
        energy : Expr, optional
            Another quantity that should stay constant, in the model's symbols.
        title : str
            Title of the figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            If `path` cannot be written, or `model` is not that of the trajectory.
        ModelError
            If `energy` uses a symbol that is not in the trajectory.
        DataError
            If it is an ensemble.
        """
        return plot(self.states, self.parameters, self.evaluate, path, model, energy, title)


@lru_cache(maxsize=4)
def _labels(times: bytes, names: tuple[str, ...]) -> xr.DataArray:
    """Labels of one trajectory; to make them anew would cost as much as to integrate."""
    import xarray as xr

    t = np.frombuffer(times)
    nothing = np.broadcast_to(np.nan, (t.size, len(names)))
    return xr.DataArray(
        nothing, {"time": t, "state": list(names)}, ("time", "state"), name="states"
    )


def named(
    model: Model,
    t: FloatArray,
    states: FloatArray,
    slopes: FloatArray | None,
    theta: FloatArray,
    many: tuple[str, ...],
    messages: Mapping[int, str],
    *,
    ensemble: bool,
) -> Trajectory:
    """Name numbers: states (K, T, D), slopes (K, T, D, D + P) or None, parameters (K, P).

    `many` are the parameters with a value for each member, `messages` those of members that failed.
    """
    import xarray as xr

    names = [s.name for s in model.states]
    parameters = [p.name for p in model.parameters]
    coords: dict[str, object] = {"time": t, "state": names}
    dims: tuple[str, ...] = ("time", "state")
    if ensemble:
        dims, coords = ("member", *dims), {"member": np.arange(len(states)), **coords}
    if ensemble and messages:
        coords["message"] = ("member", [messages.get(m, "") for m in range(len(states))])
    by = {**coords, "by": [*names, *parameters]}
    return Trajectory(
        xr.DataArray(states, coords, dims, name="states")
        if ensemble
        else _labels(t.tobytes(), tuple(names)).copy(deep=False, data=states[0]),
        {
            name: theta[:, p] if name in many else float(theta[0, p])
            for p, name in enumerate(parameters)
        },
        sensitivities=None
        if slopes is None
        else xr.DataArray(
            slopes if ensemble else slopes[0], by, (*dims, "by"), name="sensitivities"
        ),
    )


def _evaluate(trajectory: Trajectory, expression: Expr | float) -> xr.DataArray:
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
        value = np.asarray(trajectory.parameters[name], dtype=float)
        return value[:, None] if value.ndim else float(value)
    if isinstance(symbol, Forcing) and name in trajectory.forcing:
        return values_of(trajectory.forcing[name], None, trajectory.times)
    raise ModelError(
        f"{where}: the {symbol.kind_name.lower()} {name!r} is not in this trajectory, which has "
        f"{', '.join(known)}.{nearest(name, known)} Use the symbols of the model it was computed "
        "with; velocities of a mechanical model are model.velocity."
    )
