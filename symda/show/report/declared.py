"""The model as it was declared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from symda.declare import ExperimentParameter, LatticeModel, Parameter, State, StepParameter
from symda.show.report.document import Block, Facts, Paragraph, Part, Table, Topic, count
from symda.show.report.mathematics import formulas

if TYPE_CHECKING:
    from symda.declare import Declaration, Measurement, Model
    from symda.discretise import Scheme
    from symda.typeset.display import Section

#: Rows of a table; the others are counted.
ROWS = 40


def declared(
    model: Model,
    measurement: Measurement,
    scheme: Scheme,
    options: Sequence[tuple[str, str]],
    sections: Sequence[Section],
) -> Part:
    """Return what the user wrote down.

    Parameters
    ----------
    options : sequence of (str, str)
        What else the action was given.
    sections : sequence of Section
        Its equations and what is measured, to read.
    """
    parameters = (*model.parameters, *measurement.parameters)
    kind = "discrete map" if model.discrete else "ordinary differential equations"
    sizes = (
        f"D = {count(len(model.states), 'state')}, P = {count(len(parameters), 'parameter')}, "
        f"L = {count(len(measurement.functions), 'measured channel')}, "
        f"U = {count(len(model.forcing), 'forcing channel')}"
    )
    blocks: list[Block] = [
        Facts((("kind", kind), ("sizes", sizes), ("scheme", scheme.name), *options)),
        *(formulas(section) for section in sections),
    ]
    if isinstance(model, LatticeModel):
        blocks.append(Topic("Fields", (_fields(model),)))
    else:
        states = [s for s in model.states if not isinstance(s, StepParameter)]
        blocks.append(Topic("States", (_states(states, model, measurement),)))
    if model.per_step:
        blocks.append(Topic("Parameters per step", (_per_step(model),)))
    listed = _parameters(measurement.declarations(model)) if parameters else Paragraph("None.")
    blocks.append(Topic("Parameters", (listed,)))
    if model.forcing:
        rows = tuple((symbol.name,) for symbol in model.forcing)
        note = "Known inputs; their samples or expressions come with the observations."
        table = Table(count(len(rows), "forcing channel"), ("name",), rows[:ROWS], 0, note)
        blocks.append(Topic("Forcing", (table,)))
    return Part("Model", tuple(blocks))


def bounds(pair: tuple[float, float] | None) -> str:
    """Write a range; an end that is not there is infinite."""
    if pair is None:
        return ""
    low, high = pair
    if math.isinf(low) and math.isinf(high):
        return "none"
    return f"{_end(low)} .. {_end(high)}"


def _end(value: float) -> str:
    if math.isinf(value):
        return "\N{MINUS SIGN}\N{INFINITY}" if value < 0 else "\N{INFINITY}"
    return f"{value:.6g}"


def _range(declared: Declaration | None) -> tuple[str, str]:
    """Write bounds and start range; None if they are not the same at all sites."""
    if declared is None:
        return "by site", "by site"
    finite = all(map(math.isfinite, declared.bounds))
    default = "bounds" if finite else "range of the data"
    start = default if declared.start is None else bounds(declared.start)
    return bounds(declared.bounds), start


def _states(states: Sequence[State], model: Model, measurement: Measurement) -> Table:
    direct = set(measurement.functions)
    within = {symbol for function in measurement.functions for symbol in function.free_symbols}

    def seen(state: State) -> str:
        return "yes" if state in direct else "in an expression" if state in within else "no"

    shown = [(s, model.declarations[s]) for s in states[:ROWS]]
    rows = tuple((s.name, *_range(one), seen(s), one.scale or "") for s, one in shown)
    columns = ("name", "bounds", "start range", "measured", "scale")
    left_out = len(states) - len(rows)
    return Table(count(len(states), "state"), *_filled(columns, rows), left_out)


def _fields(model: LatticeModel) -> Table:
    sites = ", ".join(f"{s.name} = 0 .. {s.size - 1} ({s.boundary})" for s in model.lattice.sites)
    rows = tuple(
        (field.name, f"{model.lattice.count:,}", *_range(model.declared(field)))
        for field in model.fields
    )
    columns = ("name", "states", "bounds", "start range")
    return Table(count(len(rows), "field"), columns, rows, 0, f"Sites: {sites}.")


def _per_step(model: Model) -> Table:
    symbols = model.per_step
    rows = []
    for symbol in symbols[:ROWS]:
        declared = model.declarations[symbol]
        variance = declared.process_variance
        change = "free" if variance is None else f"process variance {variance:.6g}"
        change = change if declared.cost is None else f"cost of the square {declared.cost:.6g}"
        if declared.prior is not None:
            of = "each" if declared.independent else "the first"
            known = f"prior of {of} {declared.prior}"
            change = known if declared.independent else f"{change}, {known}"
        rows.append((symbol.name, *_range(declared), change, declared.scale or ""))
    columns = ("name", "bounds", "start range", "values", "scale")
    caption = count(
        len(symbols),
        "parameter with a value of its own at every step",
        "parameters with a value of their own at every step",
    )
    return Table(caption, *_filled(columns, rows), len(symbols) - len(rows))


def _parameters(declarations: Mapping[State | Parameter, Declaration]) -> Table:
    parameters = [(p, one) for p, one in declarations.items() if isinstance(p, Parameter)]
    rows = []
    for p, one in parameters[:ROWS]:
        limits, start = _range(one)
        known = "to be estimated" if one.value is None else f"{one.value:.6g}"
        known += ", in each experiment" * isinstance(p, ExperimentParameter)
        typical = "" if one.typical is None else f"{one.typical:.6g}"
        begin = start if one.value is None else ""
        rows.append((p.name, limits, begin, known, typical, one.scale or ""))
    columns = ("name", "bounds", "start range", "value", "typical size", "scale")
    left_out = len(parameters) - len(rows)
    return Table(count(len(parameters), "parameter"), *_filled(columns, rows), left_out)


def _filled(
    columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Leave out the last columns, of sizes and scales, where there is nothing in them."""
    optional = ("typical size", "scale")
    kept = [i for i, name in enumerate(columns) if name not in optional or any(r[i] for r in rows)]
    return tuple(columns[i] for i in kept), tuple(tuple(r[i] for i in kept) for r in rows)
