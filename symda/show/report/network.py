"""A network as it was declared, and what annealing it found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.analyse.network_levels import beside, climbed, ends, levels_of
from symda.analyse.network_verdict import network_verdict
from symda.show.figures import new_figure
from symda.show.networks import plot_levels
from symda.show.report.declared import ROWS
from symda.show.report.document import (
    Block,
    Code,
    Facts,
    Figure,
    Judgement,
    Leaf,
    Paragraph,
    Part,
    Table,
    Topic,
    count,
)
from symda.show.report.found import LEVELS, cell, judged, recorded
from symda.show.report.mathematics import formulas
from symda.status import Reason, Status

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from symda.analyse.networks import WeightPosterior
    from symda.declare.network import Block as Weights
    from symda.declare.network import Network, Node, Normals
    from symda.solve.network.problem import NetworkProblem
    from symda.types import FloatArray
    from symda.typeset.display import Section

#: What a table calls the ends of rungs that have a long name.
ENDS = {Reason.CONVERGED: "converged", Reason.CREEPING: "gained too little"}


def network_declared(
    network: Network, averaging: str, df: float | None, sections: Sequence[Section]
) -> Part:
    """Return what the user wrote down, and the equations it stands for."""
    noise = "Gaussian" if df is None else f"Gaussian of inputs, Student t of outputs, df = {df:g}"
    facts = [
        ("kind", "recurrent network" if network.sequence > 1 else "layered network"),
        (
            "sizes",
            f"{count(len(network.nodes), 'node')}, "
            f"{count(sum(network.widths[len(network.inputs) :]), 'neuron')} behind the input, "
            f"{count(network.weights, 'weight')}",
        ),
        ("averaging", averaging),
        ("noise", noise),
    ]
    if network.sequence > 1:
        facts.insert(1, ("sequences", count(network.sequence, "place")))
    if network.input_prior is not None:
        facts.append(("inputs that were not measured", _prior(network.input_prior)))
    return Part(
        "Network",
        (
            Facts(tuple(facts)),
            Topic("All nodes", (_nodes(network),)),
            Topic("Blocks of weights", (_weights(network),)),
            *(formulas(section) for section in sections),
        ),
    )


def network_found(
    dataset: xr.Dataset,
    problem: NetworkProblem,
    errors: pd.DataFrame | None,
    posterior: WeightPosterior | None,
) -> tuple[Part, ...]:
    """Return what a network's run found, as far as it got.

    Parameters
    ----------
    errors : pandas.DataFrame, optional
        Prediction errors on new pairs, as `NetworkRun.prediction_errors` has them.
    posterior : WeightPosterior, optional
        That of the weights of the lowest level.
    """
    order = climbed(dataset)
    parts = [Part("Result", tuple(_result(dataset, problem, order)))]
    if order:
        parts += [
            Part("Levels", tuple(_levels(dataset, problem))),
            Part("Beside other networks", tuple(_compared(dataset, problem, errors))),
            Part("Weights", tuple(_found_weights(dataset, problem, order[0], posterior))),
        ]
    return (*parts, Part("Rungs", tuple(_rungs(dataset, order))))


def network_history(dataset: xr.Dataset) -> tuple[Part, ...]:
    """Return how to repeat a run, and its times, settings, versions and digests."""
    record = json.loads(dataset.attrs["provenance"])
    names = ("solver", "averaging", "kind")
    chosen = {name: dataset.attrs[name] for name in names}
    chosen["kernels"] = chosen.pop("kind")
    return (
        Part("Repeat this run", tuple(_repeat(record["settings"]))),
        recorded(record, chosen, _timings(dataset, record)),
    )


def _nodes(network: Network) -> Table:
    measured = {n: "input" for n in network.inputs} | {n: "output" for n in network.outputs}
    rows = tuple(
        (node.name, str(node.width), _received(network, node), measured.get(n, ""))
        for n, node in enumerate(network.nodes[:ROWS])
    )
    left = len(network.nodes) - len(rows)
    columns = ("name", "neurons", "is", "measured as")
    return Table(count(len(network.nodes), "node"), columns, rows, left)


def _received(network: Network, node: Node) -> str:
    said = []
    for term in node.terms:
        inside = [
            f"{network.blocks[c.block].name} {network.nodes[c.source].name}"
            for c in term.connections
        ]
        inside += [] if term.bias is None else [network.blocks[term.bias].name]
        number = str(term.activation) if len(network.activations) > 1 else ""
        said.append(f"g{number}({' + '.join(inside)})")
    return " + ".join(said)


def _weights(network: Network) -> Table:
    shown = list(zip(network.blocks, network.prior, strict=True))[:ROWS]
    rows = tuple((block.name, _shape(block), _prior(prior)) for block, prior in shown)
    left = len(network.blocks) - len(rows)
    caption = count(len(network.blocks), "block of weights", "blocks of weights")
    return Table(caption, ("name", "shape", "prior"), rows, left)


def _shape(block: Weights) -> str:
    return (
        str(block.rows) if block.bias else f"{block.rows} \N{MULTIPLICATION SIGN} {block.columns}"
    )


def _prior(prior: Normals | None) -> str:
    if prior is None:
        return "none"
    return f"Normal({_span(prior.mean)}, {_span(prior.sd)})"


def _span(values: FloatArray) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.4g}" if low == high else f"{low:.4g} .. {high:.4g}"


def _result(dataset: xr.Dataset, problem: NetworkProblem, order: list[int]) -> Iterator[Block]:
    yield from judged(network_verdict(dataset, problem))
    pairs, attrs = problem.pairs, dataset.attrs
    taken = int(attrs.get("taken_up", 0))
    rf = dataset["rf"].values
    rows = [
        (
            "pairs",
            f"M = {len(pairs):,}, of {count(pairs.inputs.shape[-1], 'measured input')} and "
            f"{count(pairs.outputs.shape[-1], 'measured output')}"
            + f" at {pairs.places} places"
            * (pairs.places > 1),
        ),
        ("variance of inputs", _span(pairs.input_variance)),
        ("variance of outputs", _span(pairs.variance)),
        ("ladder", f"{count(len(rf), 'rung')}, Rf = {rf[0]:.6g} .. {rf[-1]:.6g}"),
        (
            "paths",
            f"{count(dataset.sizes['path'] - taken, 'start')}"
            + f" and {taken} from weights of back-propagation" * bool(taken)
            + f", {len(order)} reached the last rung",
        ),
    ]
    if order:
        best = dataset.isel(path=order[0], beta=-1)
        table = levels_of(dataset, problem)
        rows += [
            (
                "lowest level",
                f"{float(best['action']):.6g}, {count(int(table['paths'].iloc[0]), 'path')} on it; "
                f"path {order[0]} is the best",
            ),
            ("what data cost", f"{float(best['measurement_term']):.6g}"),
            ("what errors of the equations cost", f"{float(best['model_term']):.6g}"),
            ("what the priors cost", f"{float(best['prior_term']):.6g}"),
        ]
    yield Facts(tuple(rows))
    for line in ends(dataset):
        yield Judgement(f"{line[0].upper()}{line[1:]}.", "open")


def _levels(dataset: xr.Dataset, problem: NetworkProblem) -> Iterator[Block]:
    figure = new_figure(6.2, 4.2)
    table = levels_of(dataset, problem)
    plot_levels(dataset, _trained(dataset), ax=figure.subplots())
    lowest = float(table["level"].iloc[0])
    alt = (
        f"Action of {count(dataset.sizes['path'], 'path')} against Rf on logarithmic axes, with "
        "lines across at the levels of the constant network and of back-propagation; "
        f"{count(len(table), 'distinct level')} at the last rung, the lowest {lowest:.6g}."
    )
    caption = (
        "Action of every path against Rf, and the levels of the constant network and of "
        "back-propagation with the same prior, starts and time."
    )
    yield Figure("levels", figure, alt, caption, "wide")
    shown = table.head(LEVELS)
    rows = tuple(
        (cell(level), beside(level, lowest) if k else "", *map(cell, rest))
        for k, (level, *rest) in enumerate(shown.itertuples(index=False, name=None))
    )
    columns = ("level", "how far", "data", "equations", "prior", "paths", "converged", "best path")
    note = "Terms are those of a level's lowest path. Levels within a thousandth are one."
    yield Table("Distinct levels at the last rung", columns, rows, len(table) - len(rows), note)


def _trained(dataset: xr.Dataset) -> dict[str, float]:
    found: dict[str, float] = json.loads(dataset.attrs.get("baseline", "{}"))
    return found


def _compared(
    dataset: xr.Dataset, problem: NetworkProblem, errors: pd.DataFrame | None
) -> Iterator[Block]:
    table = levels_of(dataset, problem)["level"].tolist()
    levels = dict(zip(("lowest level", "second level"), table, strict=False))
    levels["constant"] = float(dataset.attrs["constant"])
    trained = _trained(dataset)
    levels |= {f"back-propagation, {name}": level for name, level in trained.items()}
    columns: tuple[str, ...] = ("network", "level")
    rows = [(name, cell(level)) for name, level in levels.items()]
    note = (
        "Constant: outputs that are their means, whatever the input. Back-propagation has the same "
        "prior, starts and time; its level is given with the inputs moved as the action lets them."
    )
    if not trained:
        note = (
            "Constant: outputs that are their means, whatever the input. Back-propagation: not run."
        )
    if errors is None:
        yield Table("Levels", columns, tuple(rows), 0, note)
        return
    both = [
        (*row, f"{errors['error'][row[0]]:.4g}", f"{errors['standard error'][row[0]]:.2g}")
        for row in rows
    ]
    columns = (*columns, "error on new pairs", "standard error")
    note += " Errors are mean squares over outputs (eq. 15), standard errors by resampling pairs."
    yield Table("Levels, and errors on new pairs", columns, tuple(both), 0, note)


def _found_weights(
    dataset: xr.Dataset, problem: NetworkProblem, best: int, posterior: WeightPosterior | None
) -> Iterator[Block]:
    network = problem.network
    counted = float(dataset.attrs.get("determined", np.nan))
    text = "The directions that the data determine were not counted: too many weights or pairs."
    if not np.isnan(counted):
        square = "s\N{SUPERSCRIPT TWO}"
        text = (
            f"The data determine {counted:.1f} of {network.weights:,} directions among the "
            f"weights, sum {square}/(1 + {square}) of the singular values s of the outputs' slopes "
            "in units of noise and prior."
        )
    yield Paragraph(text)
    vector = dataset["weights"].values[best, -1]
    columns = [
        "name",
        "shape",
        "size",
        "shift",
    ]
    split = network.split(vector)
    every = list(zip(network.blocks, network.prior, split, strict=True))
    rows = [
        [
            block.name,
            _shape(block),
            f"{_rms(values):.4g}",
            ""
            if prior is None
            else f"{_rms((values.ravel() - prior.mean.ravel()) / prior.sd.ravel()):.3g}",
        ]
        for block, prior, values in every[:ROWS]
    ]
    note = (
        "Size: root mean square of the weights. Shift: that of their distances from the prior's "
        "means, in its standard deviations."
    )
    if posterior is not None:
        columns += ["posterior sd", "determined"]
        sds = network.split(posterior.sd)
        for row, (_, prior, _), sd in zip(rows, every, sds, strict=False):
            assert prior is not None
            share = 1.0 - (sd.ravel() / prior.sd.ravel()) ** 2
            row += [f"{_rms(sd):.3g}", f"{share.sum():.3g}"]
        note += (
            " Posterior: the Gaussian approximation with exact equations. Determined: how many "
            "directions, 1 less the posterior's variance over the prior's, summed over the block."
        )
    left = len(every) - len(rows)
    caption = "Weights of the lowest level"
    yield Table(caption, tuple(columns), tuple(map(tuple, rows)), left, note)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt((np.asarray(values) ** 2).mean()))


def _rungs(dataset: xr.Dataset, order: list[int]) -> Iterator[Block]:
    ran = dataset["status"].values != Status.NOT_RUN.code
    rows = []
    for b, rf in enumerate(dataset["rf"].values):
        one = dataset.isel(beta=b, path=np.flatnonzero(ran[:, b]))
        levels = one["action"].values
        finite = levels[np.isfinite(levels)]
        rows.append(
            (
                str(b),
                f"{rf:.4g}",
                cell(finite.min()) if finite.size else "",
                str(one.sizes["path"]),
                _counted(_end(int(code)) for code in one["reason"].values),
                _counted(one["solver_used"].values.tolist()),
                f"{int(one['iterations'].sum()):,}",
                f"{float(one['seconds'].sum()):.3g}",
            )
        )
    columns = ("beta", "Rf", "lowest", "paths", "ended", "solver", "iterations", "seconds")
    yield Table("All paths on each rung", columns, tuple(rows), 0, _solvers_note(dataset))
    if order:
        best = dataset.isel(path=order[0], beta=np.flatnonzero(ran[order[0]]))
        yield _path_table(f"Path {order[0]}, the lowest", best, "beta")
        others = order[:LEVELS]
        last = dataset.isel(path=others, beta=-1)
        yield _path_table("Paths on the last rung", last, "path", len(order) - len(others))


def _solvers_note(dataset: xr.Dataset) -> str:
    chosen = str(dataset.attrs["solver"])
    used = set(np.unique(dataset["solver_used"].values)) - {"", chosen}
    if not used:
        return ""
    return f"The solver was {chosen}; {', '.join(sorted(used))} took over where it led nowhere."


def _path_table(caption: str, dataset: xr.Dataset, along: str, left: int = 0) -> Table:
    rows = tuple(
        (
            str(int(one[along])),
            *(
                cell(float(one[name]))
                for name in ("action", "measurement_term", "model_term", "prior_term")
            ),
            _end(int(one["reason"])),
            str(one["solver_used"].values),
            f"{int(one['iterations']):,}",
            f"{float(one['seconds']):.3g}",
        )
        for one in (dataset.isel({along: k}) for k in range(dataset.sizes[along]))
    )
    columns = ("level", "data", "equations", "prior", "ended", "solver", "iterations", "seconds")
    return Table(caption, (along, *columns), rows, left)


def _end(code: int) -> str:
    reason = Reason.of(code)
    return ENDS.get(reason, str(reason))


def _counted(words: Iterator[str] | list[str]) -> str:
    found = Counter(words)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{number} {word}" for word, number in found.most_common())


def _repeat(settings: Mapping[str, Any]) -> Iterator[Leaf]:
    yield Paragraph(
        "With the action and the pairs of this run, and the versions recorded below, this gives "
        "the same paths on the same kind of machine; the number of workers and threads makes no "
        "difference unless a time limit ended the run. What back-propagation reaches depends on "
        "the time that paths took."
    )
    options: dict[str, str] = {}
    ladder = {k: v for k in ("rf0", "relative", "alpha", "rungs") if (v := settings.get(k))}
    if ladder:
        inside = ", ".join(f"{name}={value!r}" for name, value in ladder.items())
        options["ladder"] = f"sd.Ladder({inside})"
    options |= {name: repr(settings[name]) for name in ("paths", "seed", "solver")}
    if settings["solver_options"]:
        options["options"] = repr(settings["solver_options"])
    start = settings["start"]
    if start == "given":
        options["start"] = "start"
        yield Paragraph("The start was weights or a function, which the record does not hold.")
    elif start is not None:
        options["start"] = repr(start)
    if settings["time_limit"] is not None:
        options["time_limit"] = repr(settings["time_limit"])
    if not settings["baseline"]:
        options["baseline"] = "False"
    arguments = "".join(f"    {name}={value},\n" for name, value in options.items())
    yield Code(f"run = action.anneal(\n    pairs,\n{arguments})\n", "python")


def _timings(dataset: xr.Dataset, record: Mapping[str, Any]) -> Iterator[Leaf]:
    each = dataset["seconds"].sum("beta").values
    yield Facts(
        (
            ("the whole call", f"{record['seconds']:.4g} s"),
            ("the paths, wall time", f"{record['climb_seconds']:.4g} s"),
            ("solver, all paths together", f"{float(each.sum()):.4g} s"),
            ("solver, one path", f"{float(np.median(each)):.4g} s (median)"),
            ("iterations", f"{int(dataset['iterations'].sum()):,}"),
            ("steps of conjugate gradients", f"{int(dataset['inner'].sum()):,}"),
        )
    )
