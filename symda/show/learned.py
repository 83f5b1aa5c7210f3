"""The plot of what was learned of recordings: data, and the path through them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.show.figures import BLUE, VERMILLION, check_file, new_figure, plain, save
from symda.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Most panels.
ROWS = 8


def plot_learned(
    names: Sequence[str],
    times: FloatArray,
    path: FloatArray,
    parts: Sequence[slice],
    seen: FloatArray,
    noise: FloatArray,
    file: str | Path | None = None,
) -> Figure:
    """Plot each state's data, with the noise that was found or given, and its path.

    Parameters
    ----------
    times, path : (M,), (M, D)
        Of all recordings, `parts` those of each.
    seen : (M, D)
        Data at the same times; nan where there is none.
    noise : (D,)
        Noise variances: the bars of the data are one standard deviation.

    Raises
    ------
    OptionError
        If the file cannot be written.
    """
    check_file(file)
    rows = min(len(names), ROWS)
    figure = new_figure(7.2, 1.1 + 1.75 * rows)
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    many = len(times) > 400
    for i, ax in enumerate(axes):
        for part in parts:
            ax.errorbar(
                times[part],
                seen[part, i],
                yerr=None if many else np.sqrt(noise[i]),
                fmt=".",
                ms=2.5 if many else 5,
                color=BLUE,
                alpha=0.5 if many else 0.9,
                lw=0.8,
                label="data" if part is parts[0] else "_data",
            )
            ax.plot(
                times[part],
                path[part, i],
                color=VERMILLION,
                lw=1.3,
                label="learned" if part is parts[0] else "_learned",
            )
        ax.set_ylabel(plain(names[i]), fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=8, loc="best", framealpha=0.9)
    left_out = f" ({len(names) - rows} more states not shown)" if rows < len(names) else ""
    axes[-1].set_xlabel(f"time{left_out}", fontsize=9)
    save(figure, file)
    return figure
