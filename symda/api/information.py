"""What each measurement told of the path and the parameters, and what another would tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.expand import by_hessian
from symda.api.machine import machine
from symda.build.kernels import matrices_of
from symda.checks import number
from symda.errors import OptionError, SolveError
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from sympy import Expr

    from symda.analyse.gaussian import Gaussian
    from symda.api.specification import Specification


def each(specification: Specification, g: Gaussian, times: xr.DataArray) -> xr.DataArray:
    """Return the information of each datum, dims (time, channel); see `PathPosterior.information`.

    In nats, given all other data: -1/2 log(1 - v Rm), v the variance of what was measured. nan
    where nothing was.
    """
    import xarray as xr

    p = g.problem
    if not p.gaussian or p.correlated:
        raise OptionError(
            "information: the formulas are those of independent Gaussian noise of the data's "
            "variance; some channels have other noise."
        )
    share = np.where(p.rm > 0.0, _variances(specification, g) * p.rm, np.nan)
    found = -0.5 * np.log1p(-np.minimum(share, 1.0 - np.finfo(float).eps))
    return xr.DataArray(
        found,
        dims=("time", "channel"),
        coords={"time": times, "channel": list(p.channels)},
        name="information",
        attrs={"units": "nats"},
    )


def of_channels(
    specification: Specification, g: Gaussian, by_datum: FloatArray, rf: FloatArray
) -> pd.DataFrame:
    """Tabulate the information of each channel; see `PathPosterior.information`."""
    import pandas as pd

    p, rows = g.problem, {}
    for l, name in enumerate(p.channels):
        seen = p.rm[:, l] > 0.0
        count = int(seen.sum() + (p.repeat_rm[:, l] > 0.0).sum())
        rows[name] = {
            "data": count,
            "each": float(np.nanmean(by_datum[:, l])) if seen.any() else np.nan,
            "together": _of_channel(specification, g, l, rf) if seen.any() else 0.0,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("channel")


def gains(
    candidates: Mapping[str, tuple[Expr, float]],
    sd_of: Callable[[Expr], FloatArray],
    times: xr.DataArray,
) -> xr.DataArray:
    """Return what a further datum would tell, dims (candidate, time); see `Action.design`."""
    import xarray as xr

    if not isinstance(candidates, Mapping) or not candidates:
        raise OptionError(
            "design: candidates is a mapping of names to a quantity and the variance of its noise, "
            f"such as {{'y': (y, 0.1)}}; got {candidates!r}."
        )
    rows = []
    for name, one in candidates.items():
        if not isinstance(one, tuple) or len(one) != 2:
            raise OptionError(
                f"design: candidates[{name!r}] is a quantity and the variance of its noise, "
                f"(y, 0.1); got {one!r}."
            )
        variance = number(one[1], f"design: candidates[{name!r}]: variance", kind="positive")
        rows.append(0.5 * np.log1p(sd_of(one[0]) ** 2 / variance))
    return xr.DataArray(
        np.array(rows),
        dims=("candidate", "time"),
        coords={"candidate": list(candidates), "time": times},
        name="information",
        attrs={"units": "nats"},
    )


def ranked(found: xr.DataArray) -> pd.DataFrame:
    """Tabulate candidates, the one that tells most first: `time`, `information` then, `mean`."""
    import pandas as pd

    values = found.values
    at = np.nanargmax(values, axis=1)
    table = pd.DataFrame(
        {
            "time": found["time"].values[at],
            "information": values[np.arange(len(at)), at],
            "mean": np.where(np.isfinite(values), values, np.nan).mean(axis=1),
        },
        index=pd.Index(found["candidate"].values, name="candidate"),
    ).sort_values("information", ascending=False, kind="stable")
    table.attrs["by_time"] = found
    return table


def neighbours(specification: Specification, g: Gaussian) -> FloatArray:
    """Return the correlation of each datum's residual with that at the grid point before, (M, L).

    Fitted, they have the covariance of what is measured with the other sign; 0 where there is none.
    """
    p = g.problem
    slopes, variances = _slopes(specification, g)[:, :, : p.D], _variances(specification, g)
    found = np.zeros((p.M, p.L))
    covariance = -np.einsum("mld,mde,mle->ml", slopes[1:], g.between, slopes[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p.rm > 0.0, 1.0 / p.rm - variances, np.nan)
        found[1:] = covariance / np.sqrt(left[1:] * left[:-1])
    return np.nan_to_num(found, posinf=0.0, neginf=0.0)


def _variances(specification: Specification, g: Gaussian) -> FloatArray:
    """Return the variance of what is measured, (M, L)."""
    p = g.problem
    slopes = _slopes(specification, g)
    found = np.empty((p.M, p.L))
    for l in range(p.L):
        by_parameter = np.zeros((p.M, p.P))
        rows = np.arange(p.M)[:, None]
        by_parameter[rows, p.use[p.point_experiments]] = slopes[:, l, p.D :]
        found[:, l] = g.variances_along(slopes[:, l, : p.D], by_parameter)
    return found


def _slopes(specification: Specification, g: Gaussian) -> FloatArray:
    """Return the derivatives of what is measured by state and parameters, (M, L, D + p)."""
    evaluator = matrices_of(machine(specification).at(g.problem), "Hessian")
    return evaluator.measure_slopes(g.path, g.theta)[1][:, : g.problem.L]


def _of_channel(specification: Specification, g: Gaussian, l: int, rf: FloatArray) -> float:
    """Return what all data of a channel tell, given the others: half a ratio of determinants."""
    p = g.problem
    if g.own is None:
        slopes = _slopes(specification, g)[:, l]
        along = np.einsum("md,mdq->mq", slopes[:, : p.D], g.tangent)
        known = np.flatnonzero(g.places >= 0)
        every = np.zeros((p.M, p.P))
        every[np.arange(p.M)[:, None], p.use[p.point_experiments]] = slopes[:, p.D :]
        along[:, known] += every[:, g.places[known]]
        weights = p.rm[:, l].copy()
        np.add.at(weights, p.repeat_at, p.repeat_rm[:, l])
        seen = along @ g.modes
        left = np.eye(g.modes.shape[1]) - seen.T @ (weights[:, None] * seen)
        sign, log_det = np.linalg.slogdet(left)
        return float(-0.5 * log_det) if sign > 0.0 else np.inf
    rm, repeat = p.rm.copy(), p.repeat_rm.copy()
    rm[:, l] = repeat[:, l] = 0.0
    less = matrices_of(machine(specification).at(replace(p, rm=rm, repeat_rm=repeat)), "Hessian")
    held = g.held | g.fixed
    unseen = [p.states[a] for a in np.flatnonzero(g.unseen.all(axis=0))]
    try:
        other = by_hessian(less, g.path, g.theta, rf, held=held, unseen=unseen)
    except SolveError:
        return np.inf
    found = 0.5 * (g.log_determinant - other.log_determinant)
    return np.inf if np.isnan(found) else found
