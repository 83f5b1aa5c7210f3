"""What a run found, in words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from symda.analyse import (
    PathCounts,
    assessment,
    best_path,
    free_parameters,
    hits,
    last_rung,
    level_members,
    measured_channels,
    parameters_per_step,
    path_counts,
    status_counts,
    stopped_after,
    time_to_lowest,
    verdict,
    wilson,
)
from symda.anneal.apart import apart
from symda.anneal.levels import HIT

if TYPE_CHECKING:
    import xarray as xr


#: Experiments that are listed.
EXPERIMENTS = 12


def summary(dataset: xr.Dataset) -> str:
    """Say in a few lines what a run found and how far to trust it.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset of a run, also one in which nothing finished.

    Returns
    -------
    str
        Model, scheme and sizes; paths finished and failed; how they ended, unless all converged;
        what the solver had to say of the best path;
        the lowest level with its multiplicity and the interval of its hit rate; the time to it; the
        verdict with all its findings; each free parameter of the best path with its standard
        deviation, its range over the lowest level, and whether it is on a bound; solver time.
    """
    counts = path_counts(dataset)
    lines = [_heading(dataset), "paths: " + _paths(dataset, counts)]
    if counts.reached:
        first, *rest = verdict(dataset).lines()
        lines += [*_status_lines(dataset), *_remark(dataset, first)]
        lines += [_lowest(dataset), f"time to the lowest level: {_time(dataset)}"]
        lines += [f"verdict: {first}", *rest, *_parameters(dataset)]
    else:
        lines += ["lowest level: none, no path reached a rung", *_messages(dataset)]
    lines += told_lines(dataset)
    lines.append(f"solver time: {float(dataset['seconds'].sum()):.3g} s over all paths")
    return "\n".join(lines)


def told_lines(dataset: xr.Dataset) -> list[str]:
    """Return what a run decided by itself, a line each."""
    told = json.loads(dataset.attrs.get("told", "[]"))
    return ["what was done:", *(f"  {line}" for line in told)] if told else []


def _heading(dataset: xr.Dataset) -> str:
    attrs, sizes = dataset.attrs, dataset.sizes
    free, carried = len(free_parameters(dataset)), parameters_per_step(dataset)
    own = f" ({carried} of them parameters per step)" if carried else ""
    return (
        f"{attrs['model']}: scheme {attrs['scheme']}, solver {attrs['solver']}, "
        f"start {attrs['start']}, strategy {attrs['strategy']}\n"
        f"sizes: D = {sizes['state']} states{own}, P = {sizes['parameter']} parameters "
        f"({free} free), L = {measured_channels(dataset)} measured channels, "
        f"N = {sizes['step']} steps, {attrs['data_count']} data, B = {sizes['beta']} rungs"
        + "".join(f"\n{line}" for line in experiment_lines(dataset))
    )


def experiment_lines(dataset: xr.Dataset) -> Iterator[str]:
    """Say of each of several experiments what there is: times, steps and data."""
    parts = list(apart(dataset))
    for name, one in parts[:EXPERIMENTS] if len(parts) > 1 else ():
        first, last = one["time"].values[[0, -1]]
        data = int(one["observed"].notnull().sum())
        data += int(one["repeated"].notnull().sum()) if "repeated" in one else 0
        yield (
            f"experiment {name}: t = {first:.6g} .. {last:.6g}, {one.sizes['step']} steps, "
            f"{data} data"
        )
    if len(parts) > EXPERIMENTS:
        yield f"and {len(parts) - EXPERIMENTS} more experiments"


def _paths(dataset: xr.Dataset, counts: PathCounts) -> str:
    text = str(counts)
    return text + " (interrupted)" * bool(dataset.attrs["interrupted"])


def _status_lines(dataset: xr.Dataset) -> Iterator[str]:
    ends = status_counts(dataset)
    if "stopped" not in ends:
        return
    yield f"ends: {', '.join(f'{count} {status}' for status, count in ends.items())}"


def _remark(dataset: xr.Dataset, said: str) -> Iterator[str]:
    remark = str(dataset["message"].values[best_path(dataset)])
    if remark and remark not in said:
        yield f"the lowest path: {remark}"


def _messages(dataset: xr.Dataset) -> list[str]:
    texts = [(k, str(text)) for k, text in enumerate(dataset["message"].values) if str(text)]
    return [f"path {k}: {text}" for k, text in texts[:3]]


def _lowest(dataset: xr.Dataset) -> str:
    rung = last_rung(dataset)
    members = level_members(dataset)[0].size
    level = float(dataset["action"].values[best_path(dataset), rung])
    found, attempts = hits(dataset)
    low, high = wilson(found, attempts)
    limit = stopped_after(dataset)
    bias = ""
    if limit is not None and found >= limit:
        bias = f"; biased upwards, since the run was to stop after {limit} hits"
    return (
        f"lowest level: {level:.6g} at beta = {int(dataset['beta'].values[rung])}, "
        f"multiplicity {members}; {found} of {attempts} attempts within {HIT:g} "
        f"({100 * found / attempts:.3g} %, 95 % interval {100 * low:.3g} .. {100 * high:.3g} %)"
        f"{bias}"
    )


def _time(dataset: xr.Dataset) -> str:
    found = time_to_lowest(dataset)
    known = " (99 % sure of it, if no lower level exists)" * (found.hits > 0)
    return f"{found}{known}"


def _parameters(dataset: xr.Dataset) -> Iterator[str]:
    rung, best = last_rung(dataset), best_path(dataset)
    members = level_members(dataset)[0]
    found = assessment(dataset)
    for name in free_parameters(dataset):
        values = dataset["parameters"].sel(parameter=name).values[:, rung]
        inside = values[members]
        sd = math.nan if found is None else found.sd(name)
        spread = f" +- {sd:.2g}" if math.isfinite(sd) else " (not determined)" * math.isinf(sd)
        bound = ", on a bound" * (found is not None and found.on_bound(name))
        yield (
            f"parameter {name} = {values[best]:.6g}{spread}{bound} "
            f"({inside.min():.6g} .. {inside.max():.6g} over the lowest level)"
        )
