"""The plot of cycles: analyses by time, and how forecasts agree with new data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.errors import OptionError, nearest
from symda.show.figures import BLUE, GREY, VERMILLION, check_file, new_figure, save

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: States that are shown if none are named, and cycles of a running mean.
SHOWN, MEAN = 3, 20


def plot_cycles(
    dataset: xr.Dataset,
    path: str | Path | None = None,
    states: Sequence[str] | None = None,
    truth: xr.DataArray | None = None,
) -> Figure:
    """Plot analyses with two standard deviations, and chi-squared of forecasts against new data.

    Parameters
    ----------
    dataset : xarray.Dataset
        `Cycles.dataset`.
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    states : sequence of str, optional
        Which ones; the first three when left out.
    truth : xarray.DataArray, optional
        States by time, drawn beside them.

    Raises
    ------
    OptionError
        If a state is none, or `path` cannot be written.
    """
    check_file(path)
    names = [str(n) for n in dataset["state"].values]
    chosen = names[:SHOWN] if states is None else [str(n) for n in states]
    for name in chosen:
        if name not in names:
            raise OptionError(f"plot: there is no state {name!r}. {nearest(name, names)}")
    if not chosen:
        raise OptionError("plot: states is empty. Name one, or leave it out.")
    figure = new_figure(7.2, 1.5 * (len(chosen) + 1) + 0.6)
    panels = figure.subplots(len(chosen) + 1, 1, sharex=True)
    t = dataset["time"].values
    widened = t[dataset["widened"].values > 1.0]
    for axes, name in zip(panels, chosen, strict=False):
        one = dataset.sel(state=name)
        mean, sd = one["analysis"].values, one["analysis_sd"].values
        axes.fill_between(t, mean - 2.0 * sd, mean + 2.0 * sd, color=BLUE, alpha=0.3, linewidth=0)
        axes.plot(t, mean, color=BLUE, linewidth=1.0, label="analysis, 2 sd")
        if truth is not None:
            known = truth.sel(state=name)
            seen = (known["time"] >= t[0]) & (known["time"] <= t[-1])
            axes.plot(
                known["time"][seen], known[seen], color=GREY, linewidth=0.8, label="truth", zorder=1
            )
        axes.set_ylabel(name, fontsize=9)
    panels[0].legend(fontsize=8, frameon=False, loc="upper right", ncols=2)
    last = panels[-1]
    ratio = dataset["innovation"].values / np.maximum(dataset["count"].values, 1.0)
    last.plot(t, ratio, ".", color=GREY, markersize=2.5, label="a cycle")
    known = np.isfinite(ratio)
    if known.sum() >= 2 * MEAN:
        mean = np.convolve(ratio[known], np.full(MEAN, 1.0 / MEAN), mode="valid")
        last.plot(t[known][MEAN - 1 :], mean, color=BLUE, linewidth=1.2, label=f"mean of {MEAN}")
    last.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--")
    for k, at in enumerate(widened):
        last.axvline(at, color=VERMILLION, linewidth=0.8, label="widened" if not k else None)
    last.set_ylabel("chi-squared\na new datum", fontsize=9)
    if known.any() and ratio[known].max() > 20.0:
        last.set_yscale("log")
    last.set_xlabel("time", fontsize=9)
    last.legend(fontsize=8, frameon=False, loc="upper right", ncols=3)
    for axes in panels:
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
    return figure
