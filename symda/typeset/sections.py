"""The sections of the displayed mathematics, each made of the model, the scheme and the options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symda.declare import (
    ExperimentParameter,
    Initial,
    Parameter,
    SiteState,
    State,
    StepParameter,
)
from symda.scale import Scale
from symda.typeset.coordinates import Coordinate, first, second
from symda.typeset.display import Line, Section, latex_part
from symda.typeset.formulas import derivative_lines, residual_lines
from symda.typeset.notation import Mark, Notation, at, partial
from symda.typeset.subject import Subject

#: Derivatives listed in one section; the others are counted.
LISTED = 60
#: Rows of a matrix of correlations that is shown.
SHOWN = 10


def model_section(subject: Subject) -> Section:
    """Return the model as it was declared."""
    model, notation = subject.model, subject.notation
    if model.discrete:
        n = notation.index("n")
        symbols = (*subject.coordinates, *model.forcing)
        now = {s: sp.Indexed(sp.IndexedBase(_array(s)), n) for s in symbols}
        if model.time is not None:
            now[model.time] = notation.array("t")[n]
        lines = tuple(
            Line(_next(state, notation), expression.xreplace(now))
            for state, expression in zip(model.states, model.equations, strict=True)
            if not isinstance(state, StepParameter)
        )
    else:
        lines = tuple(
            Line(_rate(state, subject.time), expression)
            for state, expression in zip(model.states, model.equations, strict=True)
            if not isinstance(state, StepParameter)
        )
    sizes = [
        _count(len(subject.states) - len(model.per_step), "state"),
        _count(len(model.parameters), "parameter"),
        _count(len(model.forcing), "forcing channel"),
    ]
    kind = "Map" if model.discrete else "ODE"
    title = f"{kind} {model.name}"
    note = f"{sizes[0]}, {sizes[1]}, {sizes[2]}."
    notes = [note, *_own_values(subject), *_apart(subject), *_scales(subject), *subject.remarks]
    return Section(title, lines, " ".join(notes))


def _apart(subject: Subject) -> list[str]:
    """Say which parameters each experiment has by itself, if there are any."""
    every = (*subject.model.parameters, *subject.measurement.parameters)
    names = [p.name for p in every if isinstance(p, ExperimentParameter)]
    if not names:
        return []
    kind = "parameters" if len(names) > 1 else "parameter"
    return [f"Of several experiments each has its own {kind} {', '.join(names)}."]


def _own_values(subject: Subject) -> list[str]:
    """Say what the parameters per step are, if there are any."""
    own = subject.model.per_step
    if not own:
        return []
    discrete = subject.scheme.discrete
    at = f"[{subject.notation['n']}]" if discrete else f"({subject.time.name})"
    names = [f"{w.name}{at}" for w in own]
    if len(names) > 8:
        names = [*names[:3], "...", names[-1]]
    place = "step" if discrete else "grid point"
    said = [f"A value of its own at every {place}: {', '.join(names)}."]
    span = "unit of time" if subject.model_error == "rate" else "step"
    variances = [(w.name, subject.model.declarations[w].process_variance) for w in own]
    costs = [f"{w.name} {subject.model.declarations[w].cost:g}" for w in subject.model.controls]
    if costs:
        span = "each value" if discrete else "its integral"
        said.append(
            f"Paid, by 1/2 the cost of the square ({span}): {', '.join(costs[:8])}; in the action "
            "a misfit to 0."
        )
    priors = [f"{w.name} {prior}" for w, prior in subject.model.independent.items()]
    if priors:
        said.append(
            f"Prior of each value that an equation uses: {', '.join(priors[:8])}; in the action a "
            "channel of its own, whatever y."
        )
    walks = [f"{name} {variance:g}" for name, variance in variances if variance is not None]
    if walks:
        said.append(f"Process variance in a {span}: {', '.join(walks[:8])}.")
    return said


def _scales(subject: Subject) -> list[str]:
    """Say which unknowns are moved on which scale; equations are in their values all the same."""
    said = []
    declared = subject.measurement.declarations(subject.model)
    for scale, word in (("log", "logarithm"), ("logit", "logit")):
        every = [s for s, one in declared.items() if one.scale == scale]
        parameters = [s.name for s in every if isinstance(s, Parameter | StepParameter)]
        states = [s.name for s in every if not isinstance(s, Parameter | StepParameter)]
        named = [
            f"the {kind} {', '.join(names[:8])}{', ...' * (len(names) > 8)}"
            for kind, names in (("states", states), ("parameters", parameters))
            if names
        ]
        if named:
            said.append(f"A solver moves the {word} of {' and '.join(named)}.")
        if states:
            share = ": a model error is a share of the state" if scale == "log" else ""
            said.append(f"The scheme steps that {word}{share}.")
    return said


def measured_section(subject: Subject) -> Section:
    """Return the measurement functions."""
    measurement = subject.measurement
    channels = zip(measurement.names, measurement.functions, strict=True)
    lines = tuple(
        Line(
            Mark(f"h_{l}", f"h_{{{l}}}"),
            function,
            "" if name == str(function) else f"channel {name}",
        )
        for l, (name, function) in enumerate(channels, start=1)
    )
    new = ", ".join(parameter.name for parameter in measurement.parameters)
    note = f"{_count(len(lines), 'channel')}"
    if len(lines) > LISTED:
        note += f"; the first {LISTED} are listed"
    note += "."
    return Section(
        "Measured", lines[:LISTED], note + (f" Parameters of their own: {new}." if new else "")
    )


def noise_section(subject: Subject) -> Section:
    """Return what data cost, where that is not the Gaussian's square for all."""
    measurement, notation = subject.measurement, subject.notation
    y, rm = Symbol(notation["y"]), Symbol(notation["Rm"])
    lines = tuple(
        Line(
            Mark(f"rho_{l}(y)", rf"\rho_{{{l}}}(y)"),
            noise.cost(y, rm),
            f"channel {name}: {noise}",
        )
        for l, (name, noise) in enumerate(
            zip(measurement.names, measurement.noises, strict=True), start=1
        )
    )
    note = f"-log p of a value {y.name}; {rm.name} is 1/variance."
    if len(lines) > LISTED:
        note += f" The first {LISTED} are listed."
    return Section("Noise", lines[:LISTED], note)


def prior_section(subject: Subject) -> Section:
    """Return -log of the priors."""
    lines = tuple(
        Line(
            Mark(f"P({symbol.name})", rf"P({latex_part(symbol)})"),
            prior.cost(symbol, sp.nan),
            f"{symbol.name}: {prior}",
        )
        for symbol, prior in subject.priors
    )
    note = "-log p; of a state, of its value at the first grid point. Constants are left out."
    return Section("Priors", lines, note)


def initial_section(subject: Subject, initial: Initial) -> Section:
    """Return the initial values that are given."""
    t = subject.notation["t"]
    left = ("[0]", "_{0}") if subject.scheme.discrete else (f"({t}[0])", f"({t}_{{0}})")
    lines = tuple(
        Line(Mark(f"{state.name}{left[0]}", f"{latex_part(state)}{left[1]}"), value)
        for state, value in zip(subject.states, initial.functions, strict=True)
        if value is not None
    )
    note = "Exact: no unknowns. Observations may bring other numbers."
    return Section("Initial values", lines[:LISTED], note)


def step_section(subject: Subject) -> Section:
    """Return the residual of one step."""
    notation, step = subject.notation, subject.step
    where = [Line(notation.vector("x", None), _listed(subject.states, subject.scale))]
    if subject.model.forcing:
        where.append(Line(notation.vector("u", None), _listed(subject.model.forcing)))
    if subject.parameters:
        where.append(Line(notation.vector("theta", None), _listed(subject.parameters)))
    scaled = [
        Line(_part(_field_letter(subject), *one.name), rate)
        for one, rate in zip(subject.moved, subject.rates, strict=False)
        if one.scale.name
    ]
    where += scaled[:LISTED]
    n, t = notation["n"], notation["t"]
    note = f"From grid time {t}[{n}] to {t}[{n}+1]"
    if not subject.scheme.discrete:
        note += f", {notation['h']}[{n}] apart"
    if step.interior:
        verb = "is" if len(step.interior) == 1 else "are"
        note += f"; {', '.join(m.name for m in step.interior)} between them {verb} unknown as well"
    if subject.scheme.partitioned:
        name = notation["F"]
        note += (
            f"; {name}_q is {name} for the coordinates, 0 elsewhere, {name}_p the same for the "
            "momenta"
        )
    title = "Step" if subject.scheme.discrete else f"Step: {subject.scheme.name}"
    note += "."
    if scaled:
        value = "next value" if subject.scheme.discrete else "rate"
        note += (
            f" {notation['x']} holds the logarithm or logit of states that have one: that is what "
            f"is stepped and whose errors are weighed; {_field_letter(subject)} is its {value}; "
            "derivatives are by it. States themselves stand in the expressions."
        )
    return Section(title, (*where, *residual_lines(step)), note)


def action_section(subject: Subject) -> Section:
    """Return the action of eq. 10 with the factors of the options."""
    notation = subject.notation
    a, l, n, s = (notation.index(letter) for letter in "alns")
    D, L, N, T = (notation.index(letter) for letter in "DLNT")
    c_m = subject.factors[0]
    Rm, Rf, y = notation.array("Rm"), notation.array("Rf"), notation.array("y")
    x = notation.pair("x", None)
    tau = f"{notation['tau']}[{s}]"
    place = Mark(f"{x[0]}({tau})", rf"{x[1]}(\tau_{{{s}}})")
    arguments = [place]
    used = {
        symbol for function in subject.measurement.functions for symbol in function.free_symbols
    }
    if used & set(subject.parameters):
        arguments.append(notation.vector("theta", None))

    def misfit(l: Symbol) -> Expr:
        measured = Mark(
            f"h_{l}({', '.join(mark.name for mark in arguments)})",
            f"h_{{{l}}}({', '.join(mark.latex for mark in arguments)})",
            commutative=True,
        )
        return sp.Add(measured, -y[l, s], evaluate=False)

    squares = [notation.array(_letter(mark))[n, a] ** 2 for mark in subject.step.residuals]
    residual = sp.Add(*squares, evaluate=False) if len(squares) > 1 else squares[0]
    last = sp.Add(N, -1, evaluate=False)
    cost = _weighted(c_m / 2, Rm[l, s], sp.Pow(misfit(l), 2, evaluate=False))
    if not subject.measurement.gaussian:
        cost = Mark(f"rho_{l}({y[l, s]}, {tau})", rf"\rho_{{{l}}}(y_{{{l},{s}}}, \tau_{{{s}}})")
    data = [sp.Sum(cost, (l, 1, L), (s, 1, T))]
    j, correlated = notation.index("j"), subject.measurement.correlated
    if correlated:
        both = _weighted(c_m, Rm[l, j, s], misfit(l), misfit(j))
        data.append(sp.Sum(both, (j, 1, sp.Add(l, -1, evaluate=False)), (l, 2, L), (s, 1, T)))
    model = sp.Sum(_weighted(subject.step_weight / 2, Rf[a], residual), (a, 1, D), (n, 0, last))
    if subject.correlations is not None:
        b = notation.index("b")
        arrays = [notation.array(_letter(mark)) for mark in subject.step.residuals]
        products = sp.Add(*(r[n, a] * r[n, b] for r in arrays), evaluate=False)
        limits = (a, 1, D), (b, 1, D), (n, 0, last)
        model = sp.Sum(_weighted(subject.step_weight / 2, Rf[a, b], products), *limits)
    prior = [Mark(f"P({symbol.name})", rf"P({latex_part(symbol)})") for symbol, _ in subject.priors]
    total = sp.Add(*data, model, *prior, evaluate=False)
    line = Line(Symbol(notation["A"]), total, ordered=True)
    y_name, Rm_name = (f"{notation[letter]}[{l},{s}]" for letter in ("y", "Rm"))
    note = (
        f"{tau} are the {T} observation times and {y_name} the values; {Rm_name} is 1/variance, 0 "
        f"where nothing was measured. {N} is the number of steps, "
        f"{D} = {len(subject.states)}, {L} = {len(subject.measurement.functions)}."
    )
    if correlated:
        Rm_letter = notation["Rm"]
        note = note.replace(
            f"{Rm_name} is 1/variance, 0 where nothing was measured",
            f"{Rm_letter}[{l},{j},{s}] is the inverse of the covariance of the channels that were "
            f"measured there, 0 for others, and {Rm_name} is its diagonal",
        )
    if subject.model.per_step:
        note += (
            f" {notation['Rf']} of what has a value of its own at every point is "
            "1/process variance, or next to nothing, on every rung."
        )
    if subject.model.controls or subject.model.independent:
        note += (
            f" Channels of what is paid for values are summed over the points of the grid whose "
            f"values are used, not over {tau}."
        )
    if notation.index("M") in c_m.free_symbols:
        note += f" {notation['M']} is the number of grid points."
    lines = (line,) if subject.correlations is None else (line, *_coupling(subject))
    if subject.correlations is not None:
        note += (
            f" 1/{notation['Rf']}[{a}] is the variance of an error in state {a}, {notation['C']} "
            "their correlations; other errors are independent."
        )
    return Section(f"Action ({subject.averaging}, {subject.model_error})", lines, note)


def _coupling(subject: Subject) -> Iterator[Line]:
    """Yield the precision of correlated errors, and the states whose errors are."""
    notation, known = subject.notation, subject.correlations
    assert known is not None
    at = np.flatnonzero((known.matrix != np.eye(len(known.matrix))).any(axis=0)).tolist()
    a, b = (notation.index(letter) for letter in "ab")
    Rf, name = notation.array("Rf"), notation["C"]
    inverse = Mark(f"({name}^-1)[{a},{b}]", f"({name}^{{-1}})_{{{a},{b}}}", commutative=True)
    yield Line(Rf[a, b], sp.sqrt(Rf[a]) * inverse * sp.sqrt(Rf[b]))
    if len(at) <= SHOWN:
        names = ", ".join(subject.states[i].name for i in at)
        part = sp.Matrix(known.matrix[np.ix_(at, at)].tolist())
        yield Line(Symbol(name), sp.ImmutableMatrix(part), f"of {names}")


def step_derivatives_section(subject: Subject) -> Section:
    """Return the derivatives of the residual of one step."""
    lines = derivative_lines(subject.step, parameters=bool(subject.model.parameters))
    name = subject.notation["f" if subject.scheme.discrete else "F"]
    note = f"D{name} is the Jacobian of {name} by the states"
    if subject.model.parameters:
        note += f", Dtheta{name} by the parameters"
    if any(not subject.step.on_grid(stage) for stage in range(subject.scheme.stages)):
        note += f"; the index i stands for the argument of {subject.notation['k']}i"
    return Section("Derivatives of the step", lines, note + ". Id is the identity.")


def field_jacobian_section(subject: Subject) -> Section:
    """Return the first derivatives of F that are not zero."""
    name, moved = _field_letter(subject), subject.moved
    entries = first(subject.rates, moved)
    lines = [Line(_derivative(name, moved[a], moved[b]), f) for (a, b), f in entries.items()]
    return _listing(f"Jacobian of {name}", lines, "jacobian and .parameter_jacobian")


def field_curvature_section(subject: Subject) -> Section:
    """Return the second derivatives of F that are not zero."""
    name, moved = _field_letter(subject), subject.moved
    lines = [
        Line(_derivative(name, moved[a], moved[b], moved[c]), value)
        for (a, b, c), value in second(subject.rates, moved).items()
    ]
    return _listing(f"Second derivatives of {name}", lines, "second_derivatives")


def _listing(title: str, lines: Sequence[Line], attribute: str) -> Section:
    left_out = len(lines) - LISTED
    note = f"{_count(len(lines), 'entry', 'entries')} not zero"
    if left_out > 0:
        note += f"; the first {LISTED} are listed, {left_out} left out: see .{attribute}"
    return Section(title, tuple(lines[:LISTED]), note + ".")


def _field_letter(subject: Subject) -> str:
    return subject.notation["f" if subject.scheme.discrete else "F"]


def _part(name: str, component: str, latex: str) -> Mark:
    return Mark(f"{name}[{component}]", f"{name}_{{{latex}}}")


def _derivative(name: str, component: Coordinate, *by: Coordinate) -> Mark:
    part = _part(name, *component.name)
    what = (part.name, part.latex)
    if len(by) == 2 and by[0] == by[1]:
        word, latex = by[0].name
        bottom = latex if by[0].scale.name is None else rf"({latex})"
        top, bottom = rf"\partial^{{2}} {what[1]}", rf"\partial {bottom}^{{2}}"
        return Mark(f"d2{what[0]}/d{word}2", rf"\frac{{{top}}}{{{bottom}}}")
    return partial(what, *(one.name for one in by))


def _letter(mark: Mark) -> str:
    return str(mark.name).partition("[")[0]


def _weighted(factor: Expr, *rest: Expr) -> Expr:
    """Return the product in this order."""
    factors = [part for part in sp.Mul.make_args(factor) if part != 1]
    return sp.Mul(*factors, *rest, evaluate=False)


def _array(symbol: Symbol) -> Symbol:
    """Return a state's or a forcing's name for its course; a neighbour keeps its subscripts."""
    if isinstance(symbol, SiteState):
        return Mark(symbol.name, latex_part(symbol), commutative=True)
    return Symbol(symbol.name)


def _next(state: State, notation: Notation) -> Mark:
    return at(state.name, f"{{{latex_part(state)}}}", notation.shifted(1))


def _rate(state: State, time: Symbol) -> Mark:
    top, bottom = rf"d {latex_part(state)}", rf"d {latex_part(time)}"
    return Mark(f"d{state.name}/d{time.name}", rf"\frac{{{top}}}{{{bottom}}}")


def _listed(
    symbols: Sequence[Symbol], scale: Callable[[Symbol], Scale] = lambda _: Scale()
) -> Expr | sp.Tuple:
    if len(symbols) > 8:
        symbols = (*symbols[:3], Symbol("..."), symbols[-1])
    values = [Coordinate(symbol, scale(symbol)).value for symbol in symbols]
    return values[0] if len(values) == 1 else sp.Tuple(*values)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}" if number else f"no {one}"
