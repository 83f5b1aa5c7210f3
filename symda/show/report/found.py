"""What a run found: levels, states, parameters, verdicts, times, and where it came from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.analyse import (
    Assessment,
    Verdict,
    assessment,
    best_path,
    chi_squared,
    free_parameters,
    hits,
    last_rung,
    level_members,
    levels_table,
    measured_channels,
    parameters_per_step,
    path_counts,
    reached,
    status_counts,
    stopped_after,
    time_to_lowest,
    verdict,
    wilson,
)
from symda.anneal.levels import HIT
from symda.show.figures import new_figure
from symda.show.levels import plot_levels
from symda.show.parameters import parameter_panels
from symda.show.report.declared import bounds
from symda.show.report.document import (
    Block,
    Facts,
    Figure,
    Gallery,
    Judgement,
    Leaf,
    Paragraph,
    Part,
    Table,
    Topic,
    count,
    slug,
)
from symda.show.states import Truth, panel_count, state_panels
from symda.show.text import experiment_lines
from symda.types import BoolArray

if TYPE_CHECKING:
    import xarray as xr


#: Levels and parameters that are listed.
LEVELS, PARAMETERS = 20, 60


def found(
    dataset: xr.Dataset,
    limits: Mapping[str, tuple[float, float]] | None = None,
    truth: Truth | None = None,
) -> tuple[Part, ...]:
    """Return what a run found, as far as it got.

    Parameters
    ----------
    limits : mapping of str to (float, float), optional
        Bounds of the parameters, where they are known; a run does not record them.
    truth : xarray.DataArray, dims (time, state), optional
        Drawn behind the estimate; of several experiments a mapping of their names to such.
    """
    finished = path_counts(dataset).reached > 0
    parts = [Part("Result", tuple(_result(dataset, finished)))]
    if finished:
        parts.append(Part("Levels", tuple(_levels(dataset))))
        if dataset.sizes["parameter"]:
            parts.append(Part("Estimates", tuple(_estimates(dataset, limits or {}))))
        parts.append(Part("States", tuple(_states(dataset, truth))))
    return tuple(parts)


def known_part(lines: Sequence[str]) -> Part:
    """Return a part of what error bars tell: level weights, what is open, what channels told."""
    return Part("What is known", tuple(Paragraph(line[:1].upper() + line[1:]) for line in lines))


def history(dataset: xr.Dataset) -> Part:
    """Return times, settings, versions and digests of a run."""
    record = json.loads(dataset.attrs["provenance"])
    own = ("averaging", "model_error", "error_correlations", "kernels")
    names = ("scheme", "solver", "start", "strategy", *own)
    chosen = {name: dataset.attrs[name] for name in names if name in dataset.attrs}
    return recorded(record, chosen, _timings(dataset, record))


def recorded(
    record: Mapping[str, Any], chosen: Mapping[str, object], timings: Iterable[Leaf]
) -> Part:
    """Return a part of times, settings and what was `chosen`, versions, the rest of a record."""
    settings = dict(record.get("settings", {}))
    rest = {k: v for k, v in record.items() if not isinstance(v, Mapping)}
    for timed in ("seconds", "climb_seconds"):
        rest.pop(timed, None)
    return Part(
        "Record",
        (
            Topic("Timings", tuple(timings)),
            Topic("Settings", (Facts(tuple(_facts({**chosen, **settings})), True),)),
            Topic("Versions", (Facts(tuple(_facts(record.get("versions", {}))), True),)),
            Topic("Provenance", (Facts(tuple(_facts(rest))),)),
        ),
    )


def _facts(record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if value is not None and value != {}:
            said = (
                ", ".join(f"{k} = {v}" for k, v in value.items())
                if isinstance(value, Mapping)
                else str(value)
            )
            yield name.replace("_", " "), said


def _result(dataset: xr.Dataset, finished: bool) -> Iterator[Block]:
    if dataset.attrs["interrupted"]:
        yield Judgement("The run was interrupted; this is what was done until then.", "open")
    if finished:
        yield from _judgement(dataset)
    else:
        yield Judgement("No path reached a rung, so there is no level to show.", "bad")
    counts, sizes = path_counts(dataset), dataset.sizes
    free, own = len(free_parameters(dataset)), parameters_per_step(dataset)
    rows = [
        (
            "sizes",
            f"D = {sizes['state']}{f' ({own} of them parameters per step)' * bool(own)}, "
            f"P = {sizes['parameter']} ({free} free), L = {measured_channels(dataset)}, "
            f"N = {sizes['step']}, {count(int(dataset.attrs['data_count']), 'datum', 'data')}",
        ),
        *((line.partition(":")[0], line.partition(": ")[2]) for line in experiment_lines(dataset)),
        ("ladder", _ladder(dataset)),
        (
            "paths",
            str(counts),
        ),
    ]
    if finished:
        rows += _lowest(dataset)
    yield Facts(tuple(rows))
    there = (
        reached(dataset)[:, last_rung(dataset)] if finished else np.zeros(sizes["path"], dtype=bool)
    )
    yield from _messages(
        dataset, ~there, "path did not reach its end", "paths did not reach their end"
    )
    yield from _messages(dataset, there, "path with a remark", "paths with a remark")


def _messages(dataset: xr.Dataset, which: BoolArray, one: str, many: str) -> Iterator[Table]:
    messages = [(str(k), str(dataset["message"].values[k])) for k in np.flatnonzero(which)]
    rows = tuple((k, message) for k, message in messages if message)
    if rows:
        caption, left_out = count(len(rows), one, many), max(0, len(rows) - LEVELS)
        yield Table(caption, ("path", "why"), rows[:LEVELS], left_out)


def judged(given: Verdict) -> Iterator[Block]:
    """Yield a verdict, and each of its findings."""
    text = str(given)
    yield Judgement(f"{text[0].upper()}{text[1:]}.", given.mood)
    marks = {True: "yes", False: "no", None: "not known"}
    rows = tuple((f.about, marks[f.holds], f.text) for f in given.findings)
    yield Table("What was asked of it", ("question", "holds", "because"), rows, 0)


def _judgement(dataset: xr.Dataset) -> Iterator[Block]:
    given = verdict(dataset)
    yield from judged(given)
    remark = str(dataset["message"].values[best_path(dataset)])
    if remark and remark not in str(given):
        yield Judgement(f"The lowest path: {remark}", "open")


def _ladder(dataset: xr.Dataset) -> str:
    rf = dataset["rf"].values
    rungs = count(len(rf), "rung")
    if "relative_rf" in dataset.variables:
        c = dataset["relative_rf"].values
        ends = f"{rf[0, 0]:.6g} .. {rf[-1, 0]:.6g} for {dataset['state'].values[0]}"
        return (
            f"{rungs}, c = {c[0]:.6g} .. {c[-1]:.6g} in units of one over each state's variance "
            f"(Rf = {ends})"
        )
    own = "" if np.all(rf == rf[:, :1]) else f" for {dataset['state'].values[0]}"
    return f"{rungs}, Rf = {rf[0, 0]:.6g} .. {rf[-1, 0]:.6g}{own}"


def _lowest(dataset: xr.Dataset) -> list[tuple[str, str]]:
    rung, best = last_rung(dataset), best_path(dataset)
    judged = chi_squared(dataset)
    done, attempts = hits(dataset)
    low, high = wilson(done, attempts)
    limit = stopped_after(dataset)
    biased = "; biased upwards, since the run was to stop after a number of hits"
    rate = (
        f"{done} of {attempts} attempts within {HIT:g} of it: {100 * done / attempts:.3g} %, "
        f"95 % interval {100 * low:.3g} .. {100 * high:.3g} %"
    ) + biased * (limit is not None and done >= limit)
    value = float(dataset["action"].values[best, rung])
    members = count(level_members(dataset)[0].size, "path")
    beta = int(dataset["beta"].values[rung])
    rows = [
        ("lowest level", f"{value:.6g} at beta = {beta}, {members} on it; path {best} is the best"),
        ("measurement term", f"{judged.measurement:.6g}"),
        ("model term", f"{float(dataset['model_term'].values[best, rung]):.6g}"),
        ("hit rate", rate),
        ("time to the lowest level", str(time_to_lowest(dataset))),
        ("ends", ", ".join(f"{number} {how}" for how, number in status_counts(dataset).items())),
    ]
    if judged.n > judged.p:
        expected = f"{judged.mean:.6g} ({judged.low:.6g} .. {judged.high:.6g}, 95.4 %)"
        said = f"{expected}; n = {judged.n} data, p = {judged.p} fitted"
        rows.insert(1, ("expected of a right answer", said))
    return rows


def _levels(dataset: xr.Dataset) -> Iterator[Block]:
    figure = new_figure(6.2, 4.2)
    plot_levels(dataset, ax=figure.subplots())
    table = levels_table(dataset)
    relative = "relative_rf" in dataset.variables
    against = "c = Rf times each state's variance" if relative else "Rf"
    alt = (
        f"Action of {count(dataset.sizes['path'], 'path')} against {against} on logarithmic "
        "axes; "
        f"{count(len(table), 'distinct level')} at the last rung, "
        f"the lowest {table['level'].iloc[0]:.6g}."
    )
    yield Figure("levels", figure, alt, f"Action of every path against {against}.", "wide")
    rows = tuple(
        tuple(cell(value) for value in row)
        for row in table.head(LEVELS).itertuples(index=False, name=None)
    )
    note = (
        "Terms and parameters are those of a level's lowest path; chi2 z counts standard "
        "deviations of the action from its expectation."
    )
    if table.attrs["unfinished"]:
        note += f" {count(table.attrs['unfinished'], 'path')} did not reach this rung."
    if table.attrs["stopped"]:
        note += f" {count(table.attrs['stopped'], 'path')} of it stopped before converging."
    yield Table(
        f"Distinct levels at beta = {table.attrs['beta']}",
        tuple(str(name).replace("_", " ") for name in table.columns),
        rows,
        len(table) - len(rows),
        note,
    )


def cell(value: float) -> str:
    """Write a number for a table; nothing for one that is not finite."""
    return f"{value:.6g}" if np.isfinite(value) else ""


def _error_bar(found: Assessment | None, name: str) -> str:
    sd = math.nan if found is None else found.sd(name)
    if found is not None and found.on_bound(name):
        return "on a bound"
    return f"{sd:.2g}" if math.isfinite(sd) else "not determined" if math.isinf(sd) else "not known"


def _estimates(dataset: xr.Dataset, limits: Mapping[str, tuple[float, float]]) -> Iterator[Block]:
    rung, best = last_rung(dataset), best_path(dataset)
    members = level_members(dataset)[0]
    fixed = dataset["fixed"].values
    found = assessment(dataset)
    rows = []
    for number, name in enumerate(dataset["parameter"].values[:PARAMETERS]):
        values = dataset["parameters"].values[:, rung, number]
        inside = values[members]
        spread = "fixed" if fixed[number] else f"{inside.min():.6g} .. {inside.max():.6g}"
        sd = "" if fixed[number] else _error_bar(found, str(name))
        row = (str(name), f"{values[best]:.6g}", sd, spread)
        rows.append((*row, bounds(limits.get(str(name)))) if limits else row)
    columns = ("name", "best path", "standard deviation", "over the lowest level")
    yield Table(
        "Parameters at the last rung",
        (*columns, "bounds") if limits else columns,
        tuple(rows),
        dataset.sizes["parameter"] - len(rows),
    )
    names = free_parameters(dataset)
    figures = tuple(
        Figure(
            f"parameter-{slug(name)}",
            figure,
            f"Estimates of {name} on every rung of the ladder, the best path highlighted.",
        )
        for name, figure in parameter_panels(dataset)
    )
    if figures:
        some = "" if len(figures) == len(names) else f" The first {len(figures)} of {len(names)}."
        yield Gallery(figures, f"Estimates against beta; the best path is blue, others grey.{some}")


def _states(dataset: xr.Dataset, truth: Truth | None) -> Iterator[Block]:
    best = best_path(dataset)
    figures = tuple(
        Figure(f"state-{slug(name)}", figure, alt)
        for name, figure, alt in state_panels(dataset, truth=truth)
    )
    many = panel_count(dataset)
    some = "" if len(figures) == many else f" The first {len(figures)} of {many} are shown."
    yield Gallery(
        figures,
        f"Path {best} in time: measured states are blue with their data (grey, one standard "
        f"deviation), unmeasured ones red.{' The truth is pale.' * (truth is not None)}{some}",
    )


def _timings(dataset: xr.Dataset, record: Mapping[str, object]) -> Iterator[Facts]:
    each = dataset["seconds"].sum("beta").values
    rows = [
        ("the whole call", _seconds(record.get("seconds"))),
        ("the paths, wall time", _seconds(record.get("climb_seconds"))),
        ("solver, all paths together", f"{float(each.sum()):.4g} s"),
        ("solver, one path", f"{float(np.median(each)):.4g} s (median)"),
        ("iterations", f"{int(dataset['iterations'].sum()):,}"),
        ("evaluations", f"{int(dataset['evaluations'].sum()):,}"),
    ]
    yield Facts(tuple((name, value) for name, value in rows if value))


def _seconds(value: object) -> str:
    return f"{value:.4g} s" if isinstance(value, (int, float)) else ""
