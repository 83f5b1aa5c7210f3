"""The plot of what a search costs: the lowest level against the seconds of annealing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import last_rung, reached
from symda.analyse.levels import climbed
from symda.show.figures import BLUE, GREY, OLIVE, VERMILLION, check_file, new_figure, save

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: Levels that differ by this factor are drawn on a logarithmic scale.
FAR = 10.0


def plot_search(runs: Mapping[str, xr.Dataset], path: str | Path | None = None) -> Figure:
    """Plot the lowest level found against the wall time of annealing, a line for each run.

    Paths are put one after the other, each with its share of the run's wall time; builds are not
    in it.

    Parameters
    ----------
    runs : mapping of str to xarray.Dataset
        Runs by what the plot calls them.
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.

    Raises
    ------
    OptionError
        If `path` cannot be written.
    SolveError
        If no path of a run reached any rung.
    """
    check_file(path)
    figure = new_figure(6.4, 3.6)
    ax = figure.subplots()
    for (name, dataset), colour in zip(runs.items(), (BLUE, VERMILLION, OLIVE, GREY), strict=False):
        seconds, levels = course(dataset)
        lowest = np.fmin.accumulate(levels)
        ax.plot(seconds, levels, ".", color=colour, alpha=0.4, markersize=5)
        ax.step(seconds, lowest, where="post", color=colour, label=f"{name}: {lowest[-1]:.6g}")
    ax.set_xscale("log")
    least, most = ax.dataLim.intervaly
    if least > 0.0 and most > FAR * least:
        ax.set_yscale("log")
    else:
        # levels that differ by less than the noise lets them are drawn as the same
        room = max(0.1 * (most - least), 0.05 * abs(most))
        ax.set_ylim(least - room, most + room)
    ax.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    ax.set_xlabel("seconds of annealing", fontsize=9)
    ax.set_ylabel("action level of each path, lowest so far", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False)
    if path is not None:
        save(figure, path)
    return figure


def course(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return when each path had ended, and the level it had climbed to, both (K,)."""
    rung = last_rung(dataset)
    levels = np.where(reached(dataset)[:, rung], climbed(dataset, rung), np.nan)
    spent = np.nansum(dataset["seconds"].values, axis=1)
    wall = float(json.loads(dataset.attrs["provenance"])["climb_seconds"])
    total = float(spent.sum()) or 1.0
    return np.cumsum(spent) * wall / total, levels
