"""The dataset of a run of several experiments, taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from symda.observe import Problem

#: What a dataset has only where there are several experiments.
OWN = ("experiment", "kernel_parameter", "use", "points", "steps")


def experiments_of(problem: Problem) -> tuple[dict[str, object], dict[str, object]]:
    """Return the variables and coordinates that say what belongs to which of several experiments.

    There are none where there is one experiment only.
    """
    segments = problem.segments
    if len(segments) == 1:
        return {}, {}
    variables: dict[str, object] = {
        "use": (("experiment", "kernel_parameter"), problem.use),
        "points": ("experiment", np.array([s.points for s in segments])),
        "steps": ("experiment", np.array([s.steps for s in segments])),
    }
    coordinates: dict[str, object] = {
        "experiment": np.array([s.name for s in segments], dtype=str),
        "kernel_parameter": np.array(problem.kernel_parameters, dtype=str),
    }
    return variables, coordinates


def apart(dataset: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield each experiment's name, and what a run of it alone would hold of paths and parameters.

    Actions, times and attributes stay those of the whole run. A run of one experiment, which is
    called ``"1"``, is yielded as it is.
    """
    if "experiment" not in dataset.coords:
        yield "1", dataset
        return
    names = dataset["kernel_parameter"].values
    rest = dataset.drop_vars(OWN)
    point = step = 0
    for s, name in enumerate(dataset["experiment"].values.tolist()):
        points, steps = (int(dataset[of].values[s]) for of in ("points", "steps"))
        one = rest.isel(
            time=slice(point, point + points),
            step=slice(step, step + steps),
            parameter=dataset["use"].values[s],
        )
        if "repeat" in one.dims:
            at = one["repeat_point"].values - point
            one = one.isel(repeat=(at >= 0) & (at < points))
            one = one.assign(repeat_point=one["repeat_point"] - point)
        yield name, one.assign_coords(parameter=names)
        point, step = point + points, step + steps


def wrong_parts(dataset: xr.Dataset) -> str:
    """Return what is wrong with how a dataset says what its experiments are, or nothing."""
    if "experiment" not in dataset.coords:
        return ""
    for name, total in (("points", "time"), ("steps", "step")):
        counts = dataset[name].values
        if counts.min() < 1 or counts.sum() != dataset.sizes[total]:
            return f"{name} of the experiments are not those of {total}"
    use = dataset["use"].values
    if use.size and (use.min() < 0 or use.max() >= dataset.sizes["parameter"]):
        return "use holds a number that is no parameter's"
    return ""
