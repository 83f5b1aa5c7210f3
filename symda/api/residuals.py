"""`Residuals`: what is left of data and equations, and what of it rejects the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What happens by chance once in so many is named.
RARE = 0.01


@dataclass(frozen=True, eq=False)
class Residuals:
    """Residuals of the best path over their standard deviations, as estimates have them.

    Made by `Run.residuals`. If model, precision and noise are right, each is standard normal.

    Attributes
    ----------
    data : xarray.DataArray, dims (time, channel)
        Of the data; nan where nothing was measured.
    model : xarray.DataArray, dims (step, part, state)
        Of the equations: errors at a step's interior points and its end, `part`; nan where the data
        say nothing about them, or the state has no equation of its own.
    errors : xarray.DataArray, dims (step, part, state)
        The same in the scheme's own units.
    channels : pandas.DataFrame
        By channel: `count`, `rms`, `largest` with its `time`, `p` (by chance, of all data
        together), `correlation` of neighbours in time and `p_white`.
    states : pandas.DataFrame
        By state: `count`, `rms`, `largest`, `time`, `p` (by chance, of all errors together).
    rf : ndarray, shape (D,)
    notes : tuple of str
    """

    data: xr.DataArray
    model: xr.DataArray
    errors: xr.DataArray
    channels: pd.DataFrame
    states: pd.DataFrame
    rf: FloatArray
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Residuals: {len(self.channels)} channels, {len(self.states)} states>"

    def __str__(self) -> str:
        lines = ["residuals over their standard deviations, best path:"]
        for name, row in self.channels.to_dict("index").items():
            words = _words(row, "no datum that the path does not follow exactly", "rms")
            if np.isfinite(row["correlation"]):
                words += f"; neighbours correlate by {row['correlation']:.2f}"
                words += ", NOT WHITE" * (row["p_white"] < RARE)
            lines.append(f"  channel {name}: {words}")
        for name, row in self.states.to_dict("index").items():
            words = _words(row, "the data say nothing of its errors", "errors rms")
            lines.append(f"  equation of {name}: {words}")
        return "\n".join([*lines, *self.notes])


def _words(row: Mapping[Any, Any], none: str, rms: str) -> str:
    """Say how large residuals are, and whether by chance."""
    if not row["count"]:
        return none
    words = f"{rms} {row['rms']:.3g}, largest {row['largest']:.3g} at t = {row['time']:.6g}"
    if row["p"] < RARE:
        words += f", REJECTED: by chance once in {1.0 / max(row['p'], 1e-12):.3g}"
    return words
