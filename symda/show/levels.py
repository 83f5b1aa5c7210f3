"""The plot of action levels: every path's action against Rf."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import (
    FAILED,
    expected_action,
    levels_table,
    measured_channels,
    path_counts,
    reached,
)
from symda.show.figures import BLUE, GREY, OLIVE, VERMILLION, check_file, new_figure, plain, save

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from symda.types import FloatArray

MARKED = 6
"""Labels at the right margin."""

LINE_HEIGHT = 10.0
"""Points a label at the right margin needs for itself."""


def plot_levels(
    dataset: xr.Dataset, path: str | Path | None = None, ax: Axes | None = None
) -> Figure:
    """Plot the action of every path against Rf, or c of a relative ladder, both logarithmic.

    Markers at the right margin show the lowest distinct levels with their multiplicities; levels
    too close together for labels of their own share one. The olive line and band are what
    chi-squared expects of the least action, and where it lies with a probability of 95.4 %. A cross
    ends a path that failed. If an action is not positive (a prior can do that), the vertical axis
    is linear near zero.

    Parameters
    ----------
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a figure of its own.

    Raises
    ------
    OptionError
        If `path` cannot be written.
    """
    check_file(path)
    if ax is None:
        figure = new_figure(7.0, 4.6)
        ax = figure.subplots()
    else:
        figure = ax.figure.canvas.figure
    _draw_paths(dataset, ax)
    _draw_expectation(dataset, ax)
    ax.set_title(_title(dataset), fontsize=10)
    ax.set_xlabel(_rf_label(dataset))
    ax.set_ylabel("action")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="best", fontsize=8, framealpha=0.9)
    _mark_levels(dataset, ax)
    save(figure, path)
    return figure


def _draw_paths(dataset: xr.Dataset, ax: Axes) -> None:
    done = reached(dataset)
    rf = _heights(dataset)
    action = np.where(done, dataset["action"].values, np.nan)
    lowest = float(np.nanmin(action, initial=np.inf))
    ax.set_xscale("log")
    ax.set_yscale("log" if lowest > 0 else "symlog")
    alpha = float(np.clip(10 / len(action), 0.25, 0.9))
    for k, (actions, rungs) in enumerate(zip(action, done, strict=True)):
        # A line through a single point is invisible.
        marker = "." if np.count_nonzero(rungs) == 1 else "None"
        label = f"paths ({len(action)})" if k == 0 else "_path"
        ax.plot(rf, actions, color=BLUE, lw=0.9, alpha=alpha, marker=marker, label=label)
    failed = (dataset["status"].values == FAILED).any(axis=1) & ~done[:, -1] & done.any(axis=1)
    if failed.any():
        last = done.shape[1] - 1 - np.argmax(done[failed, ::-1], axis=1)
        ends = action[np.flatnonzero(failed), last]
        label = f"failed after this ({np.count_nonzero(failed)})"
        ax.plot(rf[last], ends, "x", color=VERMILLION, ms=6, label=label)
    ax.margins(x=0.02)


def _draw_expectation(dataset: xr.Dataset, ax: Axes) -> None:
    expected = expected_action(dataset)
    if np.isnan(expected.mean):
        return
    low, high = expected.low, expected.high
    label = f"expected of a right answer\n{expected.mean:.4g} ({low:.4g} .. {high:.4g})"
    ax.axhspan(low, high, color=OLIVE, alpha=0.18, lw=0, zorder=0.5)
    ax.axhline(expected.mean, color=OLIVE, lw=1.4, ls="--", zorder=0.6, label=label)


def _mark_levels(dataset: xr.Dataset, ax: Axes) -> None:
    if path_counts(dataset).reached == 0:
        return
    table = levels_table(dataset)
    limits = ax.get_ylim()
    # Distances before the layout has settled, good to a tenth: settling it takes longer than
    # drawing the figure.
    points = 72 / ax.figure.dpi
    heights = [float(ax.transData.transform((1.0, y))[1]) * points for y in table["level"]]
    across = ax.get_yaxis_transform()
    first = 0
    for _ in range(MARKED):
        beyond = np.flatnonzero(np.array(heights) >= heights[first] + LINE_HEIGHT)
        last = int(beyond[0]) if beyond.size else len(heights)
        group = table.iloc[first:last]
        label = f"\N{MULTIPLICATION SIGN}{group['paths'].sum()}"
        if len(group) > 1:
            label += f" in {len(group)} levels"
        ax.plot(
            np.full(len(group), 1.012),
            group["level"],
            marker="<",
            color=GREY,
            ms=5,
            mew=0,
            lw=0,
            transform=across,
            clip_on=False,
            label="_levels",
        )
        ax.annotate(
            label,
            xy=(1.012, group["level"].iloc[0]),
            xycoords=across,
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
        if last == len(heights):
            break
        first = last
    ax.set_ylim(limits)


def _title(dataset: xr.Dataset) -> str:
    parts = (
        plain(str(dataset.attrs["model"])),
        plain(str(dataset.attrs["scheme"])),
        f"L = {measured_channels(dataset)}",
        f"K = {dataset.sizes['path']}",
    )
    return ", ".join(parts)


def _heights(dataset: xr.Dataset) -> FloatArray:
    """Return c of each rung of a relative ladder, else Rf of the first state, (B,)."""
    if "relative_rf" in dataset.variables:
        return np.asarray(dataset["relative_rf"].values, dtype=float)
    return np.asarray(dataset["rf"].values[:, 0], dtype=float)


def _rf_label(dataset: xr.Dataset) -> str:
    if "relative_rf" in dataset.variables:
        return "$c$: $R_f$ in units of one over each state's variance"
    rf = dataset["rf"].values
    if np.all(rf == rf[:, :1]):
        return "$R_f$"
    return f"$R_f$ of {plain(str(dataset['state'].values[0]))} (the first state; each has its own)"
