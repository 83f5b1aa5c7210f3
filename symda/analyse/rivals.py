"""Levels near the lowest: how likely there are others, and whether they tell another answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assessment import assessment
from symda.analyse.levels import best_path, chosen_solution, climbed, last_rung, level_members
from symda.anneal.levels import HIT, MINIMA, NEAR, NEARLY, NEARLY_UNITS, unseen

if TYPE_CHECKING:
    import xarray as xr

#: Of rungs that ended in a minimum.
CONVERGED = MINIMA[0]


@dataclass(frozen=True)
class Rivals:
    """Minima near the lowest whose parameters are others."""

    count: int  #: How many there are, at most `NEAR` above it.
    above: float  #: How far above it the lowest of them is, in units of the action.
    share: float  #: The probability they hold, if they are as wide as the lowest.
    parameter: str  #: The one whose mean they move most.
    sds: float  #: By so many of its standard deviations.
    low: float  #: Between which values it lies, of these minima and the lowest.
    high: float


def unseen_levels(dataset: xr.Dataset) -> tuple[float, int]:
    """Return the chance that a path near the lowest level is at a new one, and how many were met.

    See `symda.anneal.levels.unseen`. An attempt counts by its lowest minimum at the last rung.
    """
    rung = last_rung(dataset)
    converged = dataset["status"].values[:, rung] == CONVERGED
    action = np.where(converged, climbed(dataset, rung), np.nan)
    number = dataset["attempt"].values
    lowest = np.array([np.fmin.reduce(action[number == k]) for k in np.unique(number)])
    return unseen(lowest, float(dataset.attrs["measurement_scale"]))


def unfinished(dataset: xr.Dataset) -> float:
    """Return the lowest level below the answer that nearly is a solution, but led to none; or nan.

    The answer is a solution of the equations, and so is that path but for small model errors: the
    solution near it was not found, and is lower.
    """
    chosen = chosen_solution(dataset)
    if chosen is None or "solution_errors" not in dataset:
        return math.nan
    level, errors, action, status = (
        dataset[f"solution_{name}"].values for name in ("climbed", "errors", "action", "status")
    )
    scale = float(dataset.attrs["measurement_scale"])
    share = NEARLY * np.abs(level)
    if not dataset.attrs["gaussian"]:
        share = np.full(level.shape, NEARLY_UNITS * scale)
    lost = (status != CONVERGED) & (errors <= share) & (level < action[chosen] - HIT * scale)
    return float(level[lost].min()) if lost.any() else math.nan


def rivals(dataset: xr.Dataset) -> Rivals | None:
    """Return the minima near the lowest that have other parameters, weighed by exp(-A).

    None where there are none, or no error bars to compare with.
    """
    found = assessment(dataset)
    known = {} if found is None else {n: sd for n, sd in found.sds if 0.0 < sd < math.inf}
    if not known:
        return None
    rung, best = last_rung(dataset), best_path(dataset)
    action = dataset["action"].values[:, rung]
    able = dataset["status"].values[:, rung] == CONVERGED
    if chosen_solution(dataset) is not None:
        # of what was not finished it is not known how low its solution is
        able &= np.isin(np.arange(action.size), dataset["solution_path"].values)
    heads = [int(group[able[group]][0]) for group in level_members(dataset) if able[group].any()]
    scale = float(dataset.attrs["measurement_scale"])
    above = (action[heads] - action[best]) / scale
    near = [k for k, d in zip(heads, above, strict=True) if k != best and 0.0 <= d <= NEAR]
    if not near:
        return None
    d = (action[near] - action[best]) / scale
    weights = np.exp(-d)
    weights /= 1.0 + weights.sum()
    values = dataset["parameters"].values[:, rung]
    names = [str(name) for name in dataset["parameter"].values]
    columns = [names.index(name) for name in known]
    apart = np.abs(values[near][:, columns] - values[best][columns]) / np.array([*known.values()])
    moved = weights @ apart
    most = int(np.argmax(moved))
    own = values[[best, *near], columns[most]]
    return Rivals(
        len(near),
        float(d.min()),
        float(weights.sum()),
        [*known][most],
        float(moved[most]),
        float(own.min()),
        float(own.max()),
    )
