"""The plot of twin experiments: how often the answer is found, against what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.show.figures import BLUE, GREY, OLIVE, VERMILLION, check_file, new_figure, save

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Settings that get a line of their own.
LINES = (BLUE, VERMILLION, OLIVE, GREY)
#: Names that stand side by side: so many, of so many letters.
FEW, SHORT = 6, 10


def _shortened(name: str, most: int) -> str:
    """Cut a name."""
    return name if len(name) <= most else f"{name[: most - 3]}..."


def plot_twins(table: pd.DataFrame, path: str | Path | None = None) -> Figure:
    """Plot shares found and errors for each set of measured quantities.

    Sets of which each has more than the one before are joined by lines.

    Parameters
    ----------
    table : pandas.DataFrame
        `Twins.table`. Each variance and length has a line, the first four of them.
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.

    Raises
    ------
    OptionError
        If `path` cannot be written.
    """
    check_file(path)
    figure = new_figure(7.2, 3.2)
    left, right = figure.subplots(1, 2)
    groups = list(table.groupby(["variance", "steps"], sort=False))
    sets = table.drop_duplicates("measured")
    places = {name: i for i, name in enumerate(sets["measured"])}
    style = "o-" if (np.diff(sets["L"]) > 0).all() else "o"
    for ((variance, steps), rows), colour in zip(groups, LINES, strict=False):
        label = f"variance {variance:g}, {steps} steps"
        at = rows["measured"].map(places)
        left.plot(at, rows["found"], style, color=colour, label=label, markersize=4)
        error = rows["error_hidden"].where(np.isfinite(rows["error_hidden"]))
        right.plot(at, error, style, color=colour, markersize=4)
    left.set_ylim(-0.05, 1.05)
    left.set_ylabel("share of twins whose answer was found", fontsize=9)
    right.set_ylabel("error of states not measured, over spread", fontsize=9)
    if np.isfinite(table["error_hidden"]).any():
        right.set_yscale("log")
    long = len(places) > FEW or max(map(len, places)) > SHORT
    for ax in (left, right):
        ax.set_xlabel("measured", fontsize=9)
        ax.set_xticks(list(places.values()), [_shortened(name, 24) for name in places])
        ax.set_xlim(-0.3, len(places) - 0.7)
        ax.tick_params(which="both", labelsize=8)
        if long:
            ax.tick_params(axis="x", labelrotation=30)
        ax.spines[["top", "right"]].set_visible(False)
    left.legend(fontsize=8, frameon=False)
    if path is not None:
        save(figure, path)
    return figure
