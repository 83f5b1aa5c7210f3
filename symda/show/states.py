"""The plot of states in time: estimate, data with error bars, unmeasured states marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symda.analyse import best_path
from symda.errors import DataError, OptionError
from symda.show.figures import (
    BLUE,
    GREY,
    MAX_PANELS,
    PALE,
    VERMILLION,
    check_file,
    choose,
    label_grid,
    panel,
    panel_grid,
    plain,
    save,
    shown,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class _Panel:
    """A state with the channels that measure it, or (`state` None) one measured expression."""

    name: str
    state: int | None
    channels: NDArray[np.intp]


def plot_states(
    dataset: xr.Dataset,
    path: str | Path | None = None,
    states: Sequence[str] | None = None,
    which: int | str = "best",
    truth: xr.DataArray | None = None,
) -> Figure:
    """Plot one path's states against the data, one panel a state.

    Measured states are blue with their data and error bars of one standard deviation; states that
    carry no data are red, and their titles say so. A measured expression has a panel of its
    own after the states.

    Parameters
    ----------
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    states : sequence of str, optional
        Names of the states (and measured expressions) to show; by default the first 12.
    which : int or "best"
        Index of the path.
    truth : xarray.DataArray, dims (time, state), optional
        Drawn as a broad pale line behind the estimate where it has the state.

    Raises
    ------
    OptionError
        If `path` cannot be written, or `states` or `which` name nothing in the run.
    DataError
        If `truth` has other dimensions, or the path `which` reached no rung.
    SolveError
        If `which` is "best" and no path reached any rung.
    """
    check_file(path)
    index = _chosen_path(dataset, which)
    available = {each.name: each for each in _panels(dataset)}
    known = list(available)
    names = choose(states, known, "states")
    _check_truth(truth)
    figure, axes = panel_grid(len(names), "time")
    for ax, name in zip(axes, names, strict=True):
        _draw_panel(dataset, ax, available[name], index)
        if truth is not None and name in truth["state"].values:
            line = truth.sel(state=name)
            ax.plot(truth["time"], line, color=PALE, lw=3.5, label="truth", zorder=1.2)
    left_out = shown(names, known, "states") if states is None else ""
    label_grid(figure, axes, _title(dataset, index) + left_out)
    save(figure, path)
    return figure


def state_panels(
    dataset: xr.Dataset, truth: xr.DataArray | None = None
) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and description of the best path's first 12 states.

    Each is a panel of `plot_states`; measured expressions follow after the states.

    Raises
    ------
    DataError
        If `truth` has other dimensions.
    """
    _check_truth(truth)
    index = best_path(dataset)
    for shown_panel in list(_panels(dataset))[:MAX_PANELS]:
        name = shown_panel.name
        figure, ax = panel("time")
        _draw_panel(dataset, ax, shown_panel, index)
        if truth is not None and name in truth["state"].values:
            ax.plot(truth["time"], truth.sel(state=name), color=PALE, lw=3.5, zorder=1.2)
        measured = np.isfinite(dataset["observed"].values[:, shown_panel.channels]).any()
        with_data = "with its data" if measured else "without data"
        yield name, figure, f"Estimate of {name} against time, {with_data}."


def _check_truth(truth: xr.DataArray | None) -> None:
    dims = getattr(truth, "dims", None)
    if truth is not None and (dims is None or set(dims) != {"time", "state"}):
        raise DataError(
            "truth: expected an xarray.DataArray with dims (time, state), "
            f"got {dims or type(truth).__name__}"
        )


def _draw_panel(dataset: xr.Dataset, ax: Axes, shown_panel: _Panel, index: int) -> None:
    channels = shown_panel.channels
    if shown_panel.state is None:
        line = dataset["fit"].values[index, :, channels[0]]
    else:
        line = dataset["states"].values[index, :, shown_panel.state]
    time = dataset["time"].values
    observed = dataset["observed"].values[:, channels]
    measured = bool(np.isfinite(observed).any())
    kind = " (expression)" if shown_panel.state is None else ""
    ax.set_title(
        f"{plain(shown_panel.name)}{kind}{'' if measured else ' (unmeasured)'}",
        fontsize=9,
        loc="left",
        pad=3,
        color="black" if measured else VERMILLION,
    )
    for column, channel in enumerate(channels):
        there = np.isfinite(observed[:, column])
        error = np.sqrt(np.nan_to_num(dataset["variance"].values[there, channel]))
        ax.errorbar(
            time[there],
            observed[there, column],
            yerr=error,
            fmt="o",
            ms=2.5,
            mew=0,
            lw=0.7,
            color=GREY,
            alpha=0.75,
            label="data, 1 sd",
            zorder=1.5,
        )
    label = "estimate" if measured else "estimate, unmeasured"
    ax.plot(time, line, color=BLUE if measured else VERMILLION, lw=1.5, label=label)


def _panels(dataset: xr.Dataset) -> Iterator[_Panel]:
    names = [str(name) for name in dataset["state"].values]
    measured_state = dataset["measured_state"].values
    for state, name in enumerate(names):
        yield _Panel(name, state, np.flatnonzero(measured_state == state))
    for channel in np.flatnonzero(measured_state < 0):
        name = str(dataset["channel"].values[channel])
        # An expression may be called like a state, whose panel has the name already.
        yield _Panel(f"h: {name}" if name in names else name, None, np.array([channel]))


def _chosen_path(dataset: xr.Dataset, which: int | str) -> int:
    if which == "best":
        return best_path(dataset)
    count = dataset.sizes["path"]
    if isinstance(which, str) or not 0 <= which < count:
        raise OptionError(
            f"which: expected 'best' or the index of a path, 0 .. {count - 1}, got {which!r}"
        )
    if int(dataset["last_beta"].values[which]) < 0:
        raise DataError(
            f"which: path {which} reached no rung, so there is nothing to plot; take 'best'"
        )
    return which


def _title(dataset: xr.Dataset, index: int) -> str:
    beta = int(dataset["last_beta"].values[index])
    action = float(dataset["action"].sel(beta=beta).values[index])
    return (
        f"{plain(str(dataset.attrs['model']))}: path {index}, action {action:.6g} at beta = {beta}"
    )
