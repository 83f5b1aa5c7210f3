"""`Forecast`: what a run says of the time after its window, and how well it was right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import share as probability
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from symda.observe import Observations

#: Share of the datum band that scores speak of.
BAND = 0.9


@dataclass(frozen=True, eq=False)
class Forecast:
    """Draws of states and data after a run's window.

    Attributes
    ----------
    states : xarray.DataArray, dims (draw, time, state)
        Solutions from draws of the last state and the parameters, with the model's errors where Rf
        is finite; nan from where one could not be followed.
    measured : xarray.DataArray, dims (draw, time, channel)
        What would be measured of them without noise.
    data : xarray.DataArray, dims (draw, time, channel)
        The same with noise.
    best : xarray.DataArray, dims (time, state)
        The solution from the end of the heaviest level's path.
    start : float
        Where the window ends.
    rf : ndarray, shape (D,)
        The model precision; infinite where the model is taken as exact.
    scores : pandas.DataFrame or None
        By channel, against new data: `count`, `rmse` (of the mean), `crps`, `covered` (share of the
        data within the band that is meant to hold 90 %), `valid_time` (until the mean is off by
        0.4 of the channel's standard deviation in the window) and, if an exponent was given,
        `valid_lyapunov`.
    notes : tuple of str
        What limits it.
    new_data : Observations or None
    past : xarray.Dataset
        The run's own dataset, for plots.
    """

    states: xr.DataArray
    measured: xr.DataArray
    data: xr.DataArray
    best: xr.DataArray
    start: float
    rf: FloatArray
    scores: pd.DataFrame | None
    notes: tuple[str, ...]
    new_data: Observations | None
    past: xr.Dataset

    @property
    def mean(self) -> xr.DataArray:
        """Mean of the draws, dims (time, state)."""
        return self.states.mean("draw")

    @property
    def sd(self) -> xr.DataArray:
        """Standard deviation of the draws, dims (time, state)."""
        return self.states.std("draw", ddof=1)

    def interval(self, share: float = 0.95) -> xr.Dataset:
        """Return what holds each state with a probability: `low` and `high`, dims (time, state)."""
        return _interval(self.states, share)

    def data_interval(self, share: float = 0.95) -> xr.Dataset:
        """Return what holds each datum: `low` and `high`, dims (time, channel)."""
        return _interval(self.data, share)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Plot estimate and data, then the forecast with its bands and what was measured."""
        from symda.show.forecast import plot_forecast

        return plot_forecast(
            self.past,
            self.interval(BAND),
            self.data_interval(BAND),
            self.mean,
            self.new_data,
            self.start,
            path,
        )

    def __str__(self) -> str:
        draws, count = self.states.sizes["draw"], self.states.sizes["time"]
        how = "the model taken as exact"
        if not np.isinf(self.rf).all():
            known = self.rf[np.isfinite(self.rf)]
            how = f"with errors of the model of precision Rf = {known.min():.4g}"
            how += f" to {known.max():.4g}" * bool(known.min() < known.max()) + " a step"
        last = float(self.states["time"][-1])
        lines = [
            f"forecast from t = {self.start:.6g} to {last:.6g}: {draws} draws at {count} times, "
            + how
        ]
        if self.scores is not None:
            for row in self.scores.itertuples():
                lines.append(
                    f"{row.Index}: rmse {row.rmse:.3g}, crps {row.crps:.3g}, {row.covered:.0%} of "
                    f"{row.count} data within the {BAND:.0%} band, valid for {row.valid_time:.3g}"
                )
        return "\n".join([*lines, *self.notes])


def _interval(draws: xr.DataArray, share: float) -> xr.Dataset:
    import xarray as xr

    share = probability(share, "interval: share")
    ends = draws.quantile([0.5 - 0.5 * share, 0.5 + 0.5 * share], "draw", skipna=True)
    parts = {"low": ends.isel(quantile=0), "high": ends.isel(quantile=1)}
    return xr.Dataset({name: one.drop_vars("quantile") for name, one in parts.items()})
