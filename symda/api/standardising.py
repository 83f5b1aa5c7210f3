"""From a run to its residuals over their standard deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.auxiliary import LOST, after_another, model_errors
from symda.analyse.exact import beside
from symda.analyse.expand import by_hessian
from symda.api.information import each, neighbours
from symda.api.machine import machine
from symda.api.posterior import path_posterior
from symda.api.residuals import Residuals
from symda.build.kernels import matrices_of
from symda.errors import OptionError, SolveError
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from symda.analyse.gaussian import Gaussian
    from symda.api.run import Run
    from symda.api.specification import Specification
    from symda.observe import Problem


def residuals(specification: Specification, run: Run, problem: Problem) -> Residuals:
    """Standardise what is left of data and equations; see `Run.residuals`."""
    import xarray as xr

    posterior = path_posterior(specification, run, problem)
    level = next((one for one in posterior.levels if one.path == run.best.path), None)
    if level is None:
        raise SolveError("residuals: the lowest level has next to no weight; see run.posterior().")
    if problem.correlations:
        raise OptionError("residuals: errors of the model that go together are not told apart.")
    evaluator = matrices_of(machine(specification).at(problem), "Hessian")
    d = run.dataset
    rf = np.asarray(d["rf"].values[int(d["last_beta"].values[run.best.path])], dtype=float)
    notes: list[str] = []
    g = level.gaussian
    if g.own is None or np.isinf(posterior.rf).any():
        path, theta, held = beside(evaluator, g.path, g.theta, rf)
        unseen = [problem.states[a] for a in np.flatnonzero(g.unseen.all(axis=0))]
        g = by_hessian(evaluator, path, theta, rf, held=held, unseen=unseen)
        notes.append("of a solution: errors are those of the path beside it, at the last Rf")
    errors, standardised = model_errors(evaluator, g, rf)
    if not np.isfinite(standardised).any():
        notes.append("Rf is so large that errors of the equations are lost in rounding")
    times = run.best.states["time"]
    of_data = _of_data(specification, evaluator.measure(g.path, g.theta), g, times)
    dims = ("step", "part", "state")
    coords = {"step": problem.left_times, "state": list(problem.states)}
    model = xr.DataArray(standardised, dims=dims, coords=coords, name="model")
    return Residuals(
        of_data,
        model,
        model.copy(data=errors).rename("errors"),
        _channels(specification, of_data, g),
        _states(model, problem),
        problem.precision(rf),
        tuple(notes),
    )


def _of_data(
    specification: Specification, measured: FloatArray, g: Gaussian, times: xr.DataArray
) -> xr.DataArray:
    """Return data minus what is measured of the path, over its standard deviation, (M, L).

    Fitted, a datum's residual has the variance 1/Rm - v, v that of what is measured. nan where next
    to none is left: what the path follows exactly says nothing.
    """
    p = g.problem
    told = each(specification, g, times)
    left = np.exp(-2.0 * told.values)  # of the noise's variance
    with np.errstate(invalid="ignore"):
        beside = (p.y - measured[:, : p.L]) * np.sqrt(p.rm)
        found = np.where((p.rm > 0.0) & (left > LOST), beside / np.sqrt(left), np.nan)
    return told.copy(data=found).rename("data")


def _channels(specification: Specification, of_data: xr.DataArray, g: Gaussian) -> pd.DataFrame:
    import pandas as pd
    from scipy.stats import norm

    p, rows = g.problem, {}
    times = of_data["time"].values
    runs = [segment.own_points for segment in p.segments]
    expected = neighbours(specification, g)
    total = int(np.isfinite(of_data.values).sum())
    for l, name in enumerate(p.channels):
        row = _largest(of_data.values[:, l], times, total)
        correlation, away, _ = after_another(of_data.values[:, l], expected[:, l], runs)
        white = 2.0 * float(norm.sf(abs(away))) if np.isfinite(away) else np.nan
        rows[name] = row | {"correlation": correlation, "p_white": white}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("channel")


def _states(model: xr.DataArray, p: Problem) -> pd.DataFrame:
    import pandas as pd

    total = int(np.isfinite(model.values).sum())
    ends = np.broadcast_to((p.left_times + p.h)[:, None], model.shape[:2]).reshape(-1)
    rows = {
        name: _largest(model.values[:, :, a].reshape(-1), ends, total)
        for a, name in enumerate(p.states)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("state")


def _largest(values: FloatArray, times: FloatArray, total: int) -> dict[str, float]:
    """Return number, root mean square, the largest with its time, and the chance of that."""
    from scipy.stats import norm

    seen = np.flatnonzero(np.isfinite(values))
    if not seen.size:
        nothing = dict.fromkeys(("rms", "largest", "time", "p"), np.nan)
        return {"count": 0} | nothing
    k = int(seen[np.abs(values[seen]).argmax()])
    once = 2.0 * float(norm.sf(abs(values[k])))
    # the largest of so many
    chance = -np.expm1(total * np.log1p(-min(once, 1.0 - 1e-15)))
    return {
        "count": int(seen.size),
        "rms": float(np.sqrt(np.mean(values[seen] ** 2))),
        "largest": float(values[k]),
        "time": float(times[k]),
        "p": float(chance),
    }
