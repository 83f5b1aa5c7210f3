"""The plot of a forecast: the window's end, then bands of states and data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.show.figures import (
    BLUE,
    GREY,
    MAX_PANELS,
    VERMILLION,
    check_file,
    label_grid,
    panel_grid,
    plain,
    save,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from symda.observe import Observations


def plot_forecast(
    past: xr.Dataset,
    band: xr.Dataset,
    data_band: xr.Dataset,
    mean: xr.DataArray,
    new_data: Observations | None,
    start: float,
    path: str | Path | None = None,
) -> Figure:
    """Plot the first 12 states: estimate and data in the window, mean and bands after it.

    Parameters
    ----------
    past : Dataset
        One path of a run.
    band, data_band : Dataset
        `low` and `high` of states and of channels.
    mean : DataArray, dims (time, state)
    new_data : Observations, optional
        Drawn over it.
    start : float
        Where the window ends.
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    """
    check_file(path)
    states = [str(name) for name in past["state"].values][:MAX_PANELS]
    measured = past["measured_state"].values
    figure, axes = panel_grid(len(states), "time", together=True, each=1)
    time, later = past["time"].values, mean["time"].values
    names = [str(name) for name in past["channel"].values]
    for k, (ax, name) in enumerate(zip(axes, states, strict=True)):
        channels = np.flatnonzero(measured == k)
        colour = BLUE if channels.size else VERMILLION
        for l in channels[:1]:
            low, high = (data_band[side].values[:, l] for side in ("low", "high"))
            ax.fill_between(later, low, high, color=GREY, alpha=0.2, lw=0.0, label="90 %, data")
            ax.plot(time, past["observed"].values[:, l], "o", ms=2.5, mew=0, color=GREY, alpha=0.75)
            if new_data is not None:
                column = l if new_data.channels is None else new_data.channels.index(names[l])
                values = new_data.values[:, column]
                ax.plot(
                    new_data.times, values, "o", ms=2.5, mew=0, color=GREY, alpha=0.75, label="data"
                )
        low, high = (band[side].sel(state=name).values for side in ("low", "high"))
        ax.fill_between(later, low, high, color=colour, alpha=0.3, lw=0.0, label="90 %, state")
        ax.plot(time, past["states"].sel(state=name).values, color=colour, lw=1.5)
        ax.plot(later, mean.sel(state=name).values, color=colour, lw=1.2, ls="--", label="mean")
        ax.axvline(start, color="0.6", lw=0.8)
        ax.set_title(plain(name), fontsize=9, loc="left", pad=3)
    label_grid(figure, axes, f"{plain(str(past.attrs['model']))}: forecast from t = {start:.6g}")
    save(figure, path)
    return figure
