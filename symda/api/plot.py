"""What of a trajectory is drawn, given its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from symda.declare import MechanicalModel, Model
from symda.errors import OptionError
from symda.show.trajectory import LINES, plot_trajectory
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from sympy import Expr


def plot(
    states: xr.DataArray,
    parameters: Mapping[str, float | FloatArray],
    evaluate: Callable[[Expr], xr.DataArray],
    path: str | Path | None,
    model: Model | None,
    energy: Expr | None,
    title: str,
) -> Figure:
    """Draw a trajectory; see `Trajectory.plot`."""
    names = [str(name) for name in states["state"].values]
    if model is not None:
        _check_model(model, names, [*parameters])
    groups, across = None, names[:2]
    constant, kept = True, energy
    if isinstance(model, MechanicalModel):
        q, p = ([s.name for s in half] for half in (model.coordinates, model.momenta))
        across = [q[0], p[0]] if len(q) == 1 else q[:2]
        groups = (q, p) if len(q) <= LINES else None
        if energy is None:
            constant, kept = model.conservative, model.hamiltonian
    return plot_trajectory(
        states,
        path,
        groups=groups,
        orbit=(across[0], across[1]) if len(across) > 1 else None,
        equal=len(groups[0]) > 1 if groups else False,
        energy=None if kept is None else evaluate(kept),
        constant=constant,
        title=title,
    )


def _check_model(model: Model, states: list[str], parameters: list[str]) -> None:
    if not isinstance(model, Model):
        raise OptionError(
            f"Trajectory.plot: model must be the symda.Model of the trajectory, got {model!r}."
        )
    own = ([s.name for s in model.states], {p.name for p in model.parameters})
    if own != (states, set(parameters)):
        raise OptionError(
            f"Trajectory.plot: the trajectory is not one of {model.name!r}: it has the states "
            f"{', '.join(states[:8])} and {len(parameters)} parameters, the model "
            f"{', '.join(own[0][:8])} and {len(own[1])}. Pass the model it was computed with."
        )
