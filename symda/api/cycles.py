"""`Cycles`: what cycled assimilation found, cycle by cycle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.api.trajectory import Trajectory
from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from symda.anneal.cycling import State

#: Forecasts that err as they say miss data by chi-squared of one each. A mean that is off by this
#: share, and has less than this probability, is another one; fewer data do not tell.
MATTERS, SIGNIFICANT, FEW = 0.1, 1e-4, 20


class Cycles:
    """Analyses and forecasts of cycled assimilation, as `Action.cycle` returns them.

    Attributes
    ----------
    dataset : xarray.Dataset
        By cycle: ``analysis`` (cycle, state) with ``analysis_sd``, the state at ``time``, that of
        the cycle's newest data, by all data up to then; ``forecast`` and ``forecast_sd``, the same
        without the cycle's own data; ``smoothed`` and ``smoothed_sd``, the state at
        ``smoothed_time``, where the window begins; ``parameters`` (cycle, parameter) and
        ``parameters_sd``; ``innovation``, the squares of what forecasts missed new data by in
        units of its covariance, and ``count``, the number of these data; ``widened``, by which
        factor the variances of what was known were enlarged because data contradicted the
        forecast (the largest of them); ``action``, ``iterations``, ``seconds``, and ``message``,
        why an estimate is no minimum, empty where it is. Standard deviations are in users' units,
        nan where a bound holds a value.
    """

    def __init__(self, dataset: xr.Dataset, state: State | None = None) -> None:
        self.dataset = dataset
        #: What the next cycle needs; None of those from a file.
        self.state = state

    def __repr__(self) -> str:
        a = self.dataset.attrs
        return f"<Cycles of {a['model']!r}: {self.dataset.sizes['cycle']} cycles>"

    def __str__(self) -> str:
        return self.summary()

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters after the last cycle."""
        names, last = self.dataset["parameter"].values, self.dataset["parameters"].values[-1]
        return {str(n): float(v) for n, v in zip(names, last, strict=True)}

    def summary(self) -> str:
        """Say how large errors are, whether forecasts err as they say, and what went wrong."""
        d, a = self.dataset, self.dataset.attrs
        n = d.sizes["cycle"]
        model = "the model exact" if not a["rf"] else f"Rf = {a['rf']}"
        lines = [
            f"cycles of {a['model']!r}: {n}, to t = {float(d['time'].values[-1]):.6g}; windows of "
            f"{a['window']}, {model}, inflation {a['inflation']:.6g}"
        ]
        half = d.isel(cycle=slice(n // 2, None))
        sizes = [float(np.sqrt(np.nanmean(half[f"{k}_sd"].values ** 2))) for k in KINDS]
        told = ", ".join(f"{k} {size:.3g}" for k, size in zip(KINDS, sizes, strict=True))
        lines.append(f"standard deviations of states, the later half: {told}")
        lines += [
            f"{name} = {value:.6g} +- {sd:.2g}" if sd == sd else f"{name} = {value:.6g}"
            for (name, value), sd in zip(
                self.parameters.items(), d["parameters_sd"].values[-1], strict=True
            )
        ]
        lines += [self._innovations(half), *self._mishaps()]
        return "\n".join(lines)

    def _innovations(self, half: xr.Dataset) -> str:
        """Judge whether forecasts err as they say."""
        from scipy.stats import chi2

        known = np.isfinite(half["innovation"].values)
        count = float(half["count"].values[known].sum())
        if not count:
            return "forecasts against new data: not checked, since the noise has no known variance"
        total = float(half["innovation"].values[known].sum())
        told = (
            f"forecasts against new data, the later half: chi-squared {total / count:.3g} a datum, "
        )
        if count < FEW:
            return told + f"of {count:.0f} data: too few to tell"
        if total > (1.0 + MATTERS) * count and chi2.sf(total, count) < SIGNIFICANT:
            return told + (
                "MORE THAN 1: errors are larger than the standard deviations say. Raise inflation, "
                "lower rf, or lengthen the window"
            )
        if total < (1.0 - MATTERS) * count and chi2.cdf(total, count) < SIGNIFICANT:
            return told + (
                "less than 1: errors are smaller than the standard deviations say, or the noise is "
                "smaller than its variance"
            )
        return told + "as it should be"

    def _mishaps(self) -> list[str]:
        d, found = self.dataset, []
        widened = np.flatnonzero(d["widened"].values > 1.0)
        if widened.size:
            found.append(
                f"{widened.size} forecasts were contradicted by the data, and what was known was "
                f"widened; the last one at t = {float(d['time'].values[widened[-1]]):.6g}"
            )
        failed = np.flatnonzero(d["message"].values != "")
        if failed.size:
            found.append(
                f"{failed.size} estimates are no minimum, such as that at t = "
                f"{float(d['time'].values[failed[0]]):.6g}: {d['message'].values[failed[0]]}"
            )
        for kind, names in (("analysis", "state"), ("parameters", "parameter")):
            on_bound = np.isnan(d[f"{kind}_sd"].values)
            for i in np.flatnonzero(on_bound.any(axis=0)).tolist():
                count = int(on_bound[:, i].sum())
                last = " and at the end" * bool(on_bound[-1, i])
                found.append(
                    f"{d[names].values[i]} is on a bound in {count} cycles{last}, without a "
                    "standard deviation there"
                )
        if d.attrs["stopped"]:
            found.append(f"STOPPED before the end of the data: {d.attrs['stopped']}")
        if d.attrs["waiting"]:
            found.append(f"{d.attrs['waiting']} times with data wait until there are enough")
        return found

    def errors(self, truth: Trajectory | xr.DataArray) -> xr.Dataset:
        """Return root mean square errors over the states, by cycle, where the truth is known.

        Parameters
        ----------
        truth : Trajectory or xarray.DataArray
            States by time, dims (time, state), which has the times of all cycles.

        Returns
        -------
        xarray.Dataset
            ``analysis``, ``forecast`` and ``smoothed`` by cycle, and ``analysis_spread`` and the
            others, the root mean square of the standard deviations.

        Raises
        ------
        DataError
            If a state or a time is missing.
        """
        import xarray as xr

        d = self.dataset
        states = truth.states if isinstance(truth, Trajectory) else truth
        found: dict[str, Any] = {}
        for kind in KINDS:
            times = d["smoothed_time" if kind == "smoothed" else "time"].values
            try:
                there = states.sel(state=d["state"].values).reindex(
                    time=times, method="nearest", tolerance=1e-9 * max(np.abs(times).max(), 1.0)
                )
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(
                    f"errors: the truth must have the dimensions (time, state) and all states: "
                    f"{error}."
                ) from error
            wanted = there.transpose("time", "state").values
            if np.isnan(wanted).any():
                gone = times[np.isnan(wanted).any(axis=1)]
                raise DataError(f"errors: the truth has no value at t = {gone[0]:.6g}.")
            off = d[kind].values - wanted
            found[kind] = ("cycle", np.sqrt((off**2).mean(axis=1)))
            spread = np.sqrt(np.nanmean(d[f"{kind}_sd"].values ** 2, axis=1))
            found[f"{kind}_spread"] = ("cycle", spread)
        return xr.Dataset(found, coords={"time": ("cycle", d["time"].values)})

    def plot(
        self,
        path: str | Path | None = None,
        *,
        states: Sequence[str] | None = None,
        truth: Trajectory | xr.DataArray | None = None,
    ) -> Figure:
        """Plot analyses with two standard deviations, and below how forecasts agree with new data.

        Parameters
        ----------
        path : str or Path, optional
            Where to save the figure; the suffix chooses the format.
        states : sequence of str, optional
            Which ones; the first three when left out.
        truth : Trajectory or xarray.DataArray, optional
            Drawn beside them.
        """
        from symda.show.cycles import plot_cycles

        known = truth.states if isinstance(truth, Trajectory) else truth
        return plot_cycles(self.dataset, path, states, known)

    def save(self, path: str | Path) -> Path:
        """Write the cycles to a NetCDF file; it appears whole or not at all.

        Raises
        ------
        DataError
            If there is no such folder, or the file cannot be written.
        """
        from symda.anneal.file import save

        return save(self.dataset, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Cycles:
        """Read cycles from a file of `save`, or the folder of ``store=``, also while it is written.

        Raises
        ------
        DataError
            If there are none.
        """
        from symda.anneal.file import load_any
        from symda.anneal.storage import is_store
        from symda.anneal.storage.cycles import cycles_in

        if is_store(path):
            return cls(cycles_in(path, "load"))
        found = load_any(path)
        if not {"analysis", "forecast", "widened"} <= set(found.data_vars):
            raise DataError(f"load: {str(path)!r} holds no cycles. Read a run with sd.load.")
        return cls(found)


#: What is known of a state at the end of each cycle.
KINDS = ("analysis", "forecast", "smoothed")
