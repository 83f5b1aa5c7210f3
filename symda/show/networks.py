"""The plot of a network's levels against Rf, with what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.show.figures import BLUE, GREY, OLIVE, VERMILLION, check_file, new_figure, plain, save

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours and dashes of training methods: of levels that are one, dashes fill each other's gaps.
TRAINED = ((VERMILLION, (0, (4, 4))), (GREY, (4, (4, 4))))


def plot_levels(
    dataset: xr.Dataset,
    trained: Mapping[str, float],
    path: str | Path | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Plot the action of every path against Rf, both logarithmic.

    Lines across: the level of the constant network, and those of back-propagation. Dots on the last
    rung: paths that were taken up from back-propagation.

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
    rf, action = dataset["rf"].values, dataset["action"].values
    starts = len(action) - int(dataset.attrs.get("taken_up", 0))
    alpha = float(np.clip(10 / len(action), 0.25, 0.9))
    marker = "." if len(rf) == 1 else "None"
    for k, one in enumerate(action[:starts]):
        label = f"paths ({starts})" if k == 0 else "_path"
        ax.plot(rf, one, color=BLUE, lw=0.9, alpha=alpha, marker=marker, label=label)
    taken = action[starts:, -1]
    if len(taken):
        last = np.full(len(taken), rf[-1])
        label = f"taken up from back-propagation ({len(taken)})"
        ax.plot(last, taken, color=VERMILLION, ls="None", marker="o", ms=4, label=label)
    constant = dataset.attrs["constant"]
    ax.axhline(constant, color=OLIVE, lw=3.0, alpha=0.4, zorder=1, label="constant output")
    for (colour, dashes), (name, level) in zip(TRAINED, trained.items(), strict=False):
        ax.axhline(level, color=colour, ls=dashes, lw=1.2, label=f"back-propagation, {name}")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("$R_f$")
    ax.set_ylabel("action")
    ax.set_title(
        f"{plain(str(dataset.attrs['network']))}, {dataset.attrs['pairs']} pairs", fontsize=9
    )
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="best", fontsize=8, framealpha=0.9)
    save(figure, path)
    return figure
