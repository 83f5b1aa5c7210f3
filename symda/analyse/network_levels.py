"""Levels of a network's run: which paths climbed the whole ladder, and which levels differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from symda.solve.network.problem import NetworkProblem
from symda.status import Status

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Levels of which one differs from the next lower by less than this share of it are one.
SAME = 1e-3


def climbed(dataset: xr.Dataset) -> list[int]:
    """Return the paths that climbed the whole ladder, the lowest first."""
    last = dataset["action"].values[:, -1]
    return [int(k) for k in np.argsort(last, kind="stable") if np.isfinite(last[k])]


def groups(dataset: xr.Dataset, problem: NetworkProblem) -> list[list[int]]:
    """Return the paths of each distinct level at the last rung, the lowest first."""
    last = dataset["action"].values[:, -1]
    nothing = problem.rounding(float(dataset["rf"][-1]))
    found: list[list[int]] = []
    for k in climbed(dataset):
        if found and last[k] <= max(last[found[-1][0]] * (1.0 + SAME), nothing):
            found[-1].append(k)
        else:
            found.append([k])
    return found


def levels_of(dataset: xr.Dataset, problem: NetworkProblem) -> pd.DataFrame:
    """Distinct levels at the last rung; see `NetworkRun.table`."""
    import pandas as pd

    one = dataset.isel(beta=-1)
    ended = one["status"].values == Status.CONVERGED.code
    terms = {
        "level": one["action"].values,
        **{name: one[f"{name}_term"].values for name in ("measurement", "model", "prior")},
    }
    rows = [
        {
            **{name: float(values[paths[0]]) for name, values in terms.items()},
            "paths": len(paths),
            "converged": int(ended[paths].sum()),
            "path": paths[0],
        }
        for paths in groups(dataset, problem)
    ]
    whole = {"paths": int, "converged": int, "path": int}
    return pd.DataFrame(rows, columns=[*terms, *whole]).astype(whole)


def beside(level: float, lowest: float) -> str:
    """Say how far a level is from the lowest."""
    if level < 10.0 * lowest:
        return f"{level / lowest - 1.0:+.2%} from the lowest"
    return f"{level / lowest:.3g} times the lowest" if lowest > 0.0 else "where the lowest is 0"


def ends(dataset: xr.Dataset) -> list[str]:
    """Return in words how paths ended that did not converge, the lowest left to the verdict."""
    found = []
    codes, order = dataset["status"].values[:, -1], climbed(dataset)
    others = sum(codes[k] != Status.CONVERGED.code for k in order[1:])
    if others:
        found.append(f"{others} other paths did not converge at the last rung")
    ran = dataset["status"].values != Status.NOT_RUN.code
    broken = int((ran & ~np.isfinite(dataset["action"].values)).any(axis=1).sum())
    if broken:
        found.append(f"{broken} paths ended where the action is not finite")
    failed: dict[str, str] = json.loads(dataset.attrs.get("failed", "{}"))
    found += [f"path {k} failed, {why}" for k, why in failed.items()]
    late = dataset.sizes["path"] - len(order) - broken - len(failed)
    if late > 0:
        limit = float(dataset.attrs["time_limit"])
        within = "(interrupted)" if np.isnan(limit) else f"within time_limit={limit:g} s"
        found.append(f"{late} paths did not reach the last rung {within}")
    return found
