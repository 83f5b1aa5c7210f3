"""One path of a run: its estimates, by experiments too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.analyse import best_path
from symda.anneal.apart import apart
from symda.api.estimates import Estimates
from symda.covariance import whitened
from symda.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Experiment:
    """One experiment of a path.

    Attributes
    ----------
    states : xarray.DataArray, dims (time, state)
        The path.
    parameters : mapping of str to float
        All parameters by the names they were declared with, shared ones included.
    momenta : xarray.DataArray, dims (step, component)
        p_n = Rf r_n.
    residuals : xarray.DataArray, dims (time, channel), or None
        Its part of those of the path, see `Best`.
    """

    states: xr.DataArray
    parameters: Mapping[str, float]
    momenta: xr.DataArray
    residuals: xr.DataArray | None


@dataclass(frozen=True, eq=False)
class Best:
    """One path at the last rung it reached.

    Attributes
    ----------
    path : int
        Its index in the run.
    action, measurement_term, model_term, prior_term : float
        The action and its parts.
    states : xarray.DataArray, dims (time, state)
        The path.
    parameters : mapping of str to float
        All parameters, fixed ones included.
    momenta : xarray.DataArray, dims (step, component)
        p_n = Rf r_n.
    residuals : xarray.DataArray, dims (time, channel), or None
        (y - h)/sd. Where the data have a covariance C = L L^T, L^-1 (y - h): each channel's
        deviation from what those before it let expect, in units of the standard deviation that is
        left. With other noise than the Gaussian of the data's variance randomised quantile
        residuals of the run's best path, None of others. Standard normal and independent where
        model and noise are right.
    experiments : mapping of str to Experiment
        Each experiment by name; of one recording there is one, ``"1"``. In `states` and `momenta`
        one follows the other, and `parameters` calls the value of k in one of them
        ``"k[sweep 1]"``.
    """

    path: int
    action: float
    measurement_term: float
    model_term: float
    prior_term: float
    states: xr.DataArray
    parameters: Mapping[str, float]
    momenta: xr.DataArray
    residuals: xr.DataArray | None
    experiments: Mapping[str, Experiment]


def _prior_term(rung: xr.Dataset) -> float:
    """Return what the sums of data and model leave of the action, rounding taken away."""
    action, data, model = (
        float(rung[name]) for name in ("action", "measurement_term", "model_term")
    )
    left = action - data - model
    return left if abs(left) > 1e-12 * (abs(action) + abs(data) + abs(model)) else 0.0


def _residuals(dataset: xr.Dataset, path: xr.Dataset) -> xr.DataArray | None:
    """Return a path's residuals in units of their noise."""
    if dataset.attrs.get("gaussian", True):
        found: xr.DataArray = dataset["observed"] - path["fit"]
        if "covariance" in dataset:
            found = found.copy(data=whitened(dataset["covariance"].values, found.values))
        else:
            found = found / dataset["variance"] ** 0.5
        return found.rename("residuals")
    best = int(path["path"]) == best_path(dataset)
    return dataset["residuals"] if best and "residuals" in dataset else None


def path_at(dataset: xr.Dataset, index: int) -> Best:
    """Return one path by its index, at the last rung it reached.

    Raises
    ------
    OptionError
        If there is none, or it reached no rung.
    """
    if index not in dataset["path"].values:
        raise OptionError(
            f"There is no path {index} in this run; it has 0 to {dataset.sizes['path'] - 1}."
        )
    one = dataset.sel(path=index)
    last = int(one["last_beta"])
    if last < 0:
        message = str(one["message"].values) or "it was not run"
        raise OptionError(f"Path {index} reached no rung: {message}.")
    rung = one.sel(beta=last)
    residuals = _residuals(dataset, one)
    whole = one if residuals is None else one.assign(residuals=residuals)
    experiments = {
        name: Experiment(
            part["states"],
            _estimates(part.sel(beta=last)),
            part["momenta"],
            None if residuals is None else part["residuals"],
        )
        for name, part in apart(whole)
    }
    return Best(
        path=index,
        action=float(rung["action"]),
        measurement_term=float(rung["measurement_term"]),
        model_term=float(rung["model_term"]),
        prior_term=_prior_term(rung),
        states=one["states"],
        parameters=_estimates(rung),
        momenta=one["momenta"],
        residuals=residuals,
        experiments=experiments,
    )


def _estimates(rung: xr.Dataset) -> Estimates:
    """Parameters of one path at one rung."""
    names, values = rung["parameter"].values, rung["parameters"].values
    return Estimates((str(name), float(v)) for name, v in zip(names, values, strict=True))
