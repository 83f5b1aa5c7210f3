"""What a run found, in words: a summary for the terminal and a report in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import (
    PathCounts,
    best_path,
    chi_squared,
    endings,
    free_parameters,
    hits,
    last_rung,
    level_members,
    levels_table,
    measured_channels,
    parameters_per_step,
    path_counts,
    stopped_after,
    time_to_lowest,
    wilson,
)
from symda.anneal.levels import HIT, STOPPED

if TYPE_CHECKING:
    import xarray as xr

ROWS = 20
"""Levels listed in a report."""


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
        the lowest level with its multiplicity and the interval of its hit rate; the time to it; the
        chi-squared verdict; each free parameter of the best path with its range over the lowest
        level; solver time.
    """
    counts = path_counts(dataset)
    lines = [_heading(dataset), "paths: " + _paths(dataset, counts)]
    if counts.finished:
        lines += _endings(dataset)
        lines += [_lowest(dataset), f"time to the lowest level: {_time(dataset)}"]
        lines.append("measurement term: " + chi_squared(dataset).verdict)
        lines += _parameters(dataset)
    else:
        lines += ["lowest level: none, no path reached a rung", *_messages(dataset)]
    lines.append(f"solver time: {float(dataset['seconds'].sum()):.3g} s over all paths")
    return "\n".join(lines)


def report_markdown(dataset: xr.Dataset, figures: Mapping[str, str]) -> str:
    """Write a short report in Markdown.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset of a run, also one in which nothing finished.
    figures : mapping of str to str
        Caption to file or URL, in the order to show them.

    Returns
    -------
    str
        Summary, table of the lowest 20 levels, figures, and provenance; the free parameters are
        in the summary (best path) and the table (mean of each level).
    """
    parts = [f"# Run of {dataset.attrs['model']}", "```text\n" + summary(dataset) + "\n```"]
    if path_counts(dataset).finished:
        parts += ["## Levels", _levels_markdown(dataset)]
    if figures:
        parts.append("## Figures")
        parts += [f"![{caption}]({target})\n\n*{caption}*" for caption, target in figures.items()]
    parts += ["## Provenance", "\n".join(_provenance(dataset))]
    return "\n\n".join(parts) + "\n"


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
    )


def _paths(dataset: xr.Dataset, counts: PathCounts) -> str:
    text = (
        f"{counts.finished} of {dataset.sizes['path']} finished, {counts.failed} failed, "
        f"{counts.unfinished} not finished"
    )
    return text + " (interrupted)" * bool(dataset.attrs["interrupted"])


def _endings(dataset: xr.Dataset) -> Iterator[str]:
    ends = endings(dataset)
    if "stopped" not in ends:
        return
    yield f"ends: {', '.join(f'{count} {status}' for status, count in ends.items())}"
    if len(ends) == 1:
        yield (
            "warning: no path converged, so what follows are the points where the solver stopped, "
            "not minima; allow it more iterations, or end the ladder a rung earlier"
        )
    elif dataset["status"].values[best_path(dataset), last_rung(dataset)] == STOPPED:
        yield "warning: the lowest path did not converge; allow the solver more iterations"


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
    for name in free_parameters(dataset):
        values = dataset["parameters"].sel(parameter=name).values[:, rung]
        inside = values[members]
        yield (
            f"parameter {name} = {values[best]:.6g} "
            f"({inside.min():.6g} .. {inside.max():.6g} over the lowest level)"
        )


def _levels_markdown(dataset: xr.Dataset) -> str:
    table = levels_table(dataset)
    rows = [list(table.columns), ["---:"] * len(table.columns)]
    for row in table.head(ROWS).itertuples(index=False):
        rows.append([f"{value:.6g}" if np.isfinite(value) else "" for value in row])
    lines = ["| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows]
    if len(table) > ROWS:
        lines.append(f"\n{len(table) - ROWS} higher levels are not listed.")
    stopped = ""
    if table.attrs["stopped"]:
        stopped = f" {table.attrs['stopped']} of those that did stopped before they converged."
    lines.append(
        f"\nAt beta = {table.attrs['beta']}; {table.attrs['unfinished']} paths did not reach it. "
        "Terms and parameters are means over a level's paths; chi2_z counts standard deviations "
        f"of the measurement term from its expectation.{stopped}"
    )
    return "\n".join(lines)


def _escape(cell: str) -> str:
    return cell.replace("|", r"\|").replace("_", r"\_")


def _provenance(dataset: xr.Dataset) -> Iterator[str]:
    names = ("averaging", "model_error", "measurement_scale", "fitted")
    yield from (f"- {name}: {dataset.attrs[name]}" for name in names)
    yield from _entries(json.loads(dataset.attrs["provenance"]))


def _entries(entries: Mapping[str, object], depth: int = 0) -> Iterator[str]:
    for key, value in entries.items():
        if isinstance(value, Mapping):
            yield f"{'  ' * depth}- {key}:"
            yield from _entries(value, depth + 1)
        else:
            yield f"{'  ' * depth}- {key}: {value}"
