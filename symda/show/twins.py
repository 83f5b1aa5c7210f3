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


def plot_twins(table: pd.DataFrame, path: str | Path | None = None) -> Figure:
    """Plot shares found and errors against the number of measured quantities.

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
    for ((variance, steps), rows), colour in zip(groups, LINES, strict=False):
        label = f"variance {variance:g}, {steps} steps"
        left.plot(rows["L"], rows["found"], "o-", color=colour, label=label, markersize=4)
        error = rows["error_hidden"].where(np.isfinite(rows["error_hidden"]))
        right.plot(rows["L"], error, "o-", color=colour, markersize=4)
    left.set_ylim(-0.05, 1.05)
    left.set_ylabel("share of twins whose answer was found", fontsize=9)
    right.set_ylabel("error of states not measured, over spread", fontsize=9)
    if np.isfinite(table["error_hidden"]).any():
        right.set_yscale("log")
    for ax in (left, right):
        ax.set_xlabel("number of measured quantities, L", fontsize=9)
        ax.set_xticks(sorted(set(table["L"])))
        ax.set_xlim(min(table["L"]) - 0.2, max(table["L"]) + 0.2)
        ax.tick_params(which="both", labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    left.legend(fontsize=8, frameon=False)
    if path is not None:
        save(figure, path)
    return figure
