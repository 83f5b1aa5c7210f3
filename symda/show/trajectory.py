"""The plot of a trajectory: states in time, the orbit, and how well its energy is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.errors import DataError
from symda.show.figures import (
    BLUE,
    OLIVE,
    VERMILLION,
    check_file,
    choose,
    new_figure,
    plain,
    save,
)
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILLION, OLIVE, "#009E73", "#CC79A7", "#56B4E9")
#: Panels of states in time, and lines in each; turns of a line that can still be told apart.
ROWS, LINES, TURNS = 6, len(COLOURS), 80


def plot_trajectory(
    states: xr.DataArray,
    path: str | Path | None = None,
    *,
    groups: Sequence[Sequence[str]] | None = None,
    orbit: tuple[str, str] | None = None,
    equal: bool = False,
    energy: xr.DataArray | None = None,
    constant: bool = True,
    title: str = "",
) -> Figure:
    """Plot states in time, two of them against each other, and the energy.

    Where a state swings so often that its line would fill the panel, the panels of states show
    the beginning of the trajectory only and say so; orbit and energy always show all of it.

    Parameters
    ----------
    states : xarray.DataArray, dims (time, state)
        The trajectory.
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    groups : sequence of sequences of str, optional
        States that share a panel; by default each of the first six has its own.
    orbit : (str, str), optional
        States drawn against each other beside the panels.
    equal : bool
        Whether these have one unit, which then has one length on both axes.
    energy : xarray.DataArray, dims (time,), optional
        Drawn below as its error relative to its value at the first time.
    constant : bool
        False if the energy is not meant to be constant: drawn as it is.
    title : str
        Title of the figure.

    Raises
    ------
    OptionError
        If `path` cannot be written, or a name is not a state.
    DataError
        If the states have other dimensions, as those of an ensemble have.
    """
    check_file(path)
    if tuple(states.dims) != ("time", "state"):
        raise DataError(
            "plot_trajectory: expected states of dims (time, state), got "
            f"({', '.join(map(str, states.dims))}). Of an ensemble choose one: .sel(member=0)."
        )
    known = [str(name) for name in states["state"].values]
    shown = [[name] for name in known[:ROWS]] if groups is None else groups
    panels = [choose(names, known, "groups")[:LINES] for names in shown[:ROWS]]
    across = choose(orbit, known, "orbit") if orbit else []
    rows = len(panels) + (energy is not None)
    figure = new_figure(9.6 if across else 7.2, max(4.2 if across else 3.0, 0.9 + 1.55 * rows))
    grid = figure.add_gridspec(
        rows, 2 if across else 1, width_ratios=[1.45, 1.0][: 1 + bool(across)]
    )
    time = states["time"].values
    stop = _distinct(states.sel(state=[name for names in panels for name in names]).values)
    first: Axes | None = None
    for row, names in enumerate(panels):
        ax = first = figure.add_subplot(grid[row, 0], sharex=first)
        for name, colour in zip(names, COLOURS, strict=False):
            line = states.sel(state=name).values[:stop]
            ax.plot(time[:stop], line, color=colour, lw=1.2, label=plain(name))
        ax.set_ylabel(", ".join(map(plain, names)), fontsize=9)
        if len(names) > 1:
            _legend(ax, names)
        ax.tick_params(labelbottom=row == len(panels) - 1)
        _tidy(ax)
    if first is not None:
        beginning = (
            f"time (the first {time[stop - 1] - time[0]:.3g})" if stop < time.size else "time"
        )
        first.set_xlabel(beginning, fontsize=9)
    if energy is not None:
        _draw_energy(figure.add_subplot(grid[len(panels), 0]), energy, constant)
    if across:
        _draw_orbit(figure.add_subplot(grid[:, 1]), states, across, equal)
    if title:
        figure.suptitle(plain(title), fontsize=10)
    save(figure, path)
    return figure


def energy_error(energy: xr.DataArray) -> xr.DataArray:
    """Return (E(t) - E(t0))/|E(t0)|; where E(t0) = 0 the error itself.

    Parameters
    ----------
    energy : xarray.DataArray, dims (..., time)

    Returns
    -------
    xarray.DataArray, same dims
    """
    start = energy.isel(time=0, drop=True)
    return ((energy - start) / abs(start).where(start != 0.0, 1.0)).rename("energy_error")


def _draw_energy(ax: Axes, energy: xr.DataArray, constant: bool) -> None:
    values = energy_error(energy) if constant else energy
    ax.plot(energy["time"].values, values.values, color=VERMILLION, lw=0.9)
    kind = "relative\nenergy error" if float(energy.values[0]) != 0.0 else "energy error"
    ax.set_ylabel(kind if constant else "energy", fontsize=9)
    ax.set_xlabel("time", fontsize=9)
    ax.ticklabel_format(axis="y", scilimits=(-3, 4))
    ax.yaxis.get_offset_text().set_fontsize(8)
    _tidy(ax)


def _draw_orbit(ax: Axes, states: xr.DataArray, across: Sequence[str], equal: bool) -> None:
    x, y = (states.sel(state=name).values for name in across)
    many = _turns(x) > TURNS
    ax.plot(x, y, color=BLUE, lw=0.4 if many else 1.1, alpha=0.6 if many else 1.0)
    ax.plot(x[:1], y[:1], "o", color=VERMILLION, ms=4, label="start")
    ax.set_xlabel(plain(across[0]), fontsize=9)
    ax.set_ylabel(plain(across[1]), fontsize=9)
    _legend(ax, ["start"])
    if equal:
        ax.set_aspect("equal", adjustable="datalim")
    _tidy(ax)


def _legend(ax: Axes, names: Sequence[str]) -> None:
    """Name the last lines above the panel, where no line runs."""
    legend = ax.legend(
        ax.lines[-len(names) :],
        ["line"] * len(names),
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(names),
        fontsize=8,
        frameon=False,
        borderpad=0.1,
    )
    # set here, since a legend leaves out what begins with an underscore
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(plain(name))


def _tidy(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)


def _turns(line: FloatArray) -> int:
    return int(np.count_nonzero(np.diff(np.sign(np.diff(line))) != 0))


def _distinct(lines: FloatArray) -> int:
    """Points (of axis 0) up to which no line turns more often than can be told apart."""
    signs = np.sign(np.diff(lines, axis=0))
    turned = np.cumsum(np.diff(signs, axis=0) != 0, axis=0).max(axis=1, initial=0)
    enough = np.flatnonzero(turned > TURNS)
    return int(enough[0]) + 2 if enough.size else len(lines)
