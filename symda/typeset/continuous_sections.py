"""How the continuous limit of an action is written: sections of equations with their remarks."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp
from sympy import Eq, Expr, Symbol

from symda.declare import SiteState, State, StepParameter
from symda.derive.dynamics import STEPS, derivative
from symda.typeset.continuum import Continuum
from symda.typeset.display import Line, Section, latex_part, text_part
from symda.typeset.notation import Mark, partial
from symda.typeset.phase import tidied

#: Characters of an equation above which F and its derivatives stand in it by name.
LONG = 240
#: Lines of a section; the others are counted.
LISTED = 60


def at(symbol: Symbol, text: str, latex: str) -> Mark:
    """Return the name of a function of time at a moment, given as text and LaTeX."""
    name = f"{symbol.name}({text})"
    return Mark(name, rf"{latex_part(symbol)}({latex})", commutative=True)


class _Names:
    """Vectors and matrices of the continuous problem, and F and its derivatives by name."""

    def __init__(self, of: Continuum) -> None:
        self.of = of
        notation = of.notation
        self.x, self.p, self.theta = (notation.vector(c, None) for c in ("x", "p", "theta"))
        self.F = notation.vector("F", None)
        self.y = notation.vector("y", None)
        self.Rf, self.Rm = (
            Mark(notation[letter], rf"\mathbf{{R}}_{letter[1]}") for letter in ("Rf", "Rm")
        )
        self.h = Mark(f"h({self.x.name})", rf"\mathbf{{h}}({self.x.latex})")
        self.Dh = Mark("Dh", r"\mathrm{D}\mathbf{h}")
        self.DF = Mark(f"D{self.F.name}", rf"\mathrm{{D}}{self.F.latex}")
        self.v, self.p_rate = (
            Mark(of.rate(of_time).name, rf"\dot{{{of_time.latex}}}") for of_time in (self.x, self.p)
        )
        self.L, self.H = of.functions

    @property
    def misfit(self) -> Expr:
        """h(x) - y."""
        return _plus(self.h, -self.y)

    @property
    def excess(self) -> Expr:
        """Excess x' - F of the velocities."""
        return _plus(self.v, -self.F)

    def component(self, state: State) -> Mark:
        """F of a state."""
        name = self.of.notation["F"]
        return Mark(f"{name}[{state.name}]", f"{name}_{{{latex_part(state)}}}", commutative=True)

    def slope(self, state: State, by: Symbol) -> Mark:
        """DF of a state by another or a parameter."""
        F = self.component(state)
        found = partial((F.name, F.latex), (by.name, latex_part(by)))
        return Mark(f"({found.name})", found.latex, commutative=True)

    def norm(self, vector: Expr, weight: Mark) -> Mark:
        """Half the weighted square of a vector."""
        text, latex = text_part(vector, ordered=True), latex_part(vector, ordered=True)
        return Mark(
            f"|{text}|^2_{weight.name}/2",
            rf"\frac{{1}}{{2}} \left\|{latex}\right\|_{{{weight.latex}}}^{{2}}",
        )

    def inverse(self) -> Mark:
        """1/Rf."""
        return Mark(f"{self.Rf.name}^-1", f"{self.Rf.latex}^{{-1}}")


def lagrangian_section(of: Continuum) -> Section:
    """Return the Lagrangian as it is and in components."""
    names = _Names(of)
    total = _plus(names.norm(names.misfit, names.Rm), names.norm(names.excess, names.Rf))
    lines = [
        Line(names.L, total, ordered=True),
        Line(names.L, _in_full(of, of.lagrangian, names, 1)),
    ]
    note = [
        f"{names.v.name} is the velocity of {names.x.name}; |v|^2_R stands for v.T*R*v. "
        f"{names.y.name} and its precision {names.Rm.name}, 0 where nothing is measured, are "
        "functions of time."
    ]
    return Section("Lagrangian", tuple(lines), " ".join([*note, *_remarks(of)]))


def _in_full(of: Continuum, density: Expr, names: _Names, sign: int) -> Expr:
    further = sign * sp.Add(*(datum.term for _, datum in of.expressions))
    if of.sites:
        return sp.Sum(density, *((site, 0, site.size - 1) for site in of.sites)) + further
    if len(text_part(density)) <= LONG:
        return density
    components = {v: names.component(s) for s, v in zip(of.states, of.velocities, strict=True)}
    if sign > 0:
        pairs = zip(of.Rf, of.velocities, strict=True)
        kinetic = [Rf * (v - components[v]) ** 2 / 2 for Rf, v in pairs]
        return of.data_term + sp.Add(*kinetic)
    parts = zip(of.momenta, of.velocities, of.excess, strict=True)
    return sp.Add(*(p * components[v] + p * w / 2 for p, v, w in parts)) - of.data_term


def _remarks(of: Continuum) -> list[str]:
    """Say what Rf and Rm are, and which states have no velocity."""
    notation, subject = of.notation, of.subject
    Rf, Rm = notation["Rf"], notation["Rm"]
    said = []
    if subject.model_error == "step":
        said.append(
            f"{Rf} is the precision of a rate, as with model_error='rate'; the {Rf} of a step, "
            f"which this action takes, is {Rf} divided by the step's length."
        )
    else:
        said.append(f"{Rf} is the precision of a rate.")
    c_m, c_f = subject.factors
    if (c_m, c_f) != (1, 1):
        said.append(
            f"Averaging {subject.averaging!r}: {Rm} stands for {text_part(c_m)} times the "
            f"precision of the data, {Rf} for {text_part(c_f)} times that of the rates."
        )
    for state, weight in zip(of.states, of.Rf, strict=True):
        own = isinstance(state, StepParameter)
        variance = of.model.declarations[state].process_variance if own else None
        if variance is not None:
            of_step = subject.model_error == "step"
            length = (f"*{notation['h']}", "the step's length") if of_step else ("", "1")
            words = f"{length[1]}/process variance"
            said.append(f"{weight.name} = {1 / variance:g}{length[0]}, {words}.")
    if of.free:
        listed = ", ".join(w.name for w in of.free)
        said.append(f"{listed}: any function of time, without a velocity in the Lagrangian.")
    for state in of.states:
        if state in of.data_fields:
            said.append(f"{of.data_fields[state]} is 0 at sites where nothing is measured.")
    if any(expression.has(*STEPS) for expression in (*of.field, of.data_term)):
        said.append("Derivatives are those away from the jumps of steps, where these are flat.")
    said += _ends(of)
    return said


def _ends(of: Continuum) -> list[str]:
    """Say what stands beyond the ends of a lattice."""
    said = []
    Rf = of.notation["Rf"]
    names = ", ".join(f"b_{s.field.name}" for s in of.states if isinstance(s, SiteState))
    for site in of.sites:
        if site.boundary == "zero":
            said.append(
                f"Beyond the ends of {site.name} states, velocities, momenta and {Rf} are 0."
            )
        elif site.boundary == "reflect":
            said.append(
                f"Beyond the ends of {site.name} states and velocities are those of the mirror "
                f"image, momenta and {Rf} are 0; {names} at places beyond the ends is what comes "
                "back from there."
            )
    return said


def momentum_section(of: Continuum) -> Section:
    """Return the canonical momenta."""
    names = _Names(of)
    lines = [Line(names.p, names.Rf * names.excess, ordered=True)]
    for s, p, v, Rf, value in zip(
        of.states, of.momenta, of.velocities, of.Rf, of.canonical, strict=True
    ):
        short = Rf * (v - names.component(s))
        lines.append(Line(p, value if _fits(of, value) else short))
    L = names.L.name
    note = f"They are the derivatives d{L}/d{names.v.name} of {L}."
    return _listing("Canonical momenta", lines, note)


def legendre_section(of: Continuum) -> Section:
    """Return the velocities in momenta."""
    names = _Names(of)
    lines = [Line(names.v, _plus(names.F, names.inverse() * names.p), ordered=True)]
    for s, v, F, w in zip(of.states, of.velocities, of.field, of.excess, strict=True):
        value = F + w
        lines.append(Line(v, value if _fits(of, value) else names.component(s) + w))
    note = "The canonical momenta, solved for the velocities."
    return _listing("Legendre transform", lines, note)


def hamiltonian_section(of: Continuum) -> Section:
    """Return the Hamiltonian."""
    names = _Names(of)
    dot = Mark(f"{names.p.name}.{names.F.name}", rf"{names.p.latex} \cdot {names.F.latex}")
    inverse = Mark(f"(1/{names.Rf.name})", names.inverse().latex)
    total = _plus(dot, names.norm(names.p, inverse), -names.norm(names.misfit, names.Rm))
    velocity = Mark(f"{names.p.name}.{names.v.name}", rf"{names.p.latex} \cdot {names.v.latex}")
    lines = [
        Line(names.H, _plus(velocity, -names.L), ordered=True),
        Line(names.H, total, ordered=True),
        Line(names.H, _in_full(of, of.hamiltonian, names, -1)),
    ]
    return Section("Hamiltonian", tuple(lines), " ".join(_remarks(of)))


def euler_lagrange_section(
    of: Continuum, equations: Sequence[Eq], constraints: Sequence[Eq], folded: Sequence[Eq]
) -> Section:
    """Return d/dt(dL/dx') = dL/dx."""
    names = _Names(of)
    t = of.time.name
    operator = Mark(
        f"(d/d{t} + {names.DF.name}.T)",
        rf"\left(\frac{{d}}{{d {latex_part(of.time)}}} + {names.DF.latex}^{{T}}\right)",
    )
    lines = [
        Line(
            sp.Mul(operator, names.Rf, names.excess, evaluate=False),
            names.Dh.T * names.Rm * names.misfit,
            ordered=True,
        )
    ]
    for s, value, equation in zip(of.states, of.canonical, equations, strict=True):
        right = equation.rhs
        if not _fits(of, value + right):
            v = of.rate(s)
            value = value.diff(v) * (v - names.component(s))
            right = _by_name(of, names, s, -1)
        lines.append(Line(_rate_of(value, of), right))
    lines += [Line(c.lhs, c.rhs) for c in constraints]
    lines += [Line(f.lhs, f.rhs) for f in folded]
    note = (
        f"{names.DF.name} is the Jacobian of {names.F.name} by the states, {names.Dh.name} that of "
        "the measured functions."
    )
    return _listing("Euler-Lagrange equations", lines, " ".join([note, *_remarks(of)]))


def second_order_section(of: Continuum, equations: Sequence[Eq]) -> Section:
    """Return the equations solved for the accelerations, where they can be read."""
    longest = max((len(text_part(e.rhs)) for e in equations), default=0)
    title = "Second order"
    if longest > 2 * LONG:
        note = "The equations solved for the accelerations are too long to be read: .second_order."
        return Section(title, (), note)
    lines = [Line(e.lhs, e.rhs) for e in equations]
    note = "The same, solved for the accelerations."
    if of.model.forcing:
        note += f" {of.rate(of.model.forcing[0]).name} is the rate of the forcing."
    return _listing(title, lines, note)


def hamilton_section(
    of: Continuum, equations: Sequence[Eq], constraints: Sequence[Eq], folded: Sequence[Eq]
) -> Section:
    """Return x' = dH/dp and p' = -dH/dx."""
    names = _Names(of)
    transport = sp.Mul(-1, names.DF.T, names.p, evaluate=False)
    lines = [
        Line(names.v, _plus(names.F, names.inverse() * names.p), ordered=True),
        Line(names.p_rate, _plus(transport, names.Dh.T * names.Rm * names.misfit), ordered=True),
    ]
    D = len(of.states)
    for s, w, equation in zip(of.states, of.excess, equations[:D], strict=True):
        fits = _fits(of, equation.rhs)
        lines.append(Line(equation.lhs, equation.rhs if fits else names.component(s) + w))
    for s, equation in zip(of.states, equations[D:], strict=True):
        fits = _fits(of, equation.rhs)
        lines.append(Line(equation.lhs, equation.rhs if fits else _by_name(of, names, s, 1)))
    lines += [Line(c.lhs, c.rhs) for c in constraints]
    lines += [Line(f.lhs, f.rhs) for f in folded]
    x, p, H = names.x.name, names.p.name, names.H.name
    note = f"{names.v.name} = d{H}/d{p} and {names.p_rate.name} = -d{H}/d{x}."
    return _listing("Hamilton's equations", lines, " ".join([note, *_remarks(of)]))


def _by_name(of: Continuum, names: _Names, state: State, sign: int) -> Expr:
    """Return -dH/dx, or for a negative sign dL/dx, with F and its derivatives by name."""
    pairs = zip(of.states, of.field, of.velocities, of.momenta, of.Rf, strict=True)
    terms = []
    for other, F, v, p, Rf in pairs:
        if state in F.free_symbols:
            momentum = p if sign > 0 else Rf * (v - names.component(other))
            terms.append(-momentum * names.slope(other, state))
    return of.force(state) + sp.Add(*terms)


def boundary_section(of: Continuum, conditions: Sequence[Eq]) -> Section:
    """Return the natural boundary conditions."""
    t0 = of.ends[0].name
    lines = [Line(c.lhs, c.rhs) for c in conditions]
    x, p = (of.notation[letter] for letter in "xp")
    note = f"Natural conditions; or {x}({t0}) is given in place of {p}({t0}) = 0."
    return _listing("Boundary conditions", lines, note)


def jump_section(of: Continuum, jumps: Sequence[Eq]) -> Section:
    """Return what data at discrete times do."""
    notation = of.notation
    tau, s, Rm, p = (notation[letter] for letter in ("tau", "s", "Rm", "p"))
    note = (
        f"Values measured at times {tau}[{s}] are terms {Rm}[{s}]*delta({of.time.name} - "
        f"{tau}[{s}]) in {Rm}: {notation['x']} is continuous there and {p} jumps; between them "
        f"{Rm} = 0. Data at the ends jump from {p} = 0, or to it."
    )
    lines = [Line(jump.lhs, jump.rhs) for jump in jumps]
    return _listing("Data at discrete times", lines, note)


def parameter_section(of: Continuum, conditions: Sequence[Eq]) -> Section:
    """Return what holds for estimated parameters."""
    if not conditions:
        return Section("Parameters", (), "The problem has none.")
    names = _Names(of)
    lines = []
    for theta, condition in zip(of.subject.parameters, conditions, strict=True):
        integral = condition.lhs
        if not _fits(of, integral.function, LONG // 2):
            terms = [
                p * names.slope(s, theta)
                for s, F, p in zip(of.states, of.field, of.momenta, strict=True)
                if theta in F.free_symbols
            ]
            function = sp.Add(*terms) - derivative(of.data_term, theta)
            integral = sp.Integral(function, *integral.limits)
        lines.append(Line(condition.rhs, integral, theta.name))
    by = f"d{names.H.name}/d{names.theta.name}"
    note = f"For each parameter that is estimated and not at a bound, the integral of {by}."
    return _listing("Parameters", lines, note)


def energy_section(of: Continuum, rate_of: Expr) -> Section:
    """Return dH/dt along the flow."""
    t = of.time
    H = of.functions[1]
    left = Mark(f"d{H.name}/d{t.name}", rf"\frac{{d {H.latex}}}{{d {latex_part(t)}}}")
    constant = f"Where nothing depends on time by itself, {H.name} is constant."
    rates = [("measured values", of.measured[0].y)] if of.measured else []
    rates += [("forcing", u) for u in of.model.forcing[:1]]
    listed = "".join(f"; {of.rate(symbol).name} is the rate of {what}" for what, symbol in rates)
    what = f"Along solutions{listed}."
    return Section("Energy", (Line(left, rate_of),), f"{what} {constant}")


def named_section(of: Continuum, sections: Sequence[Section]) -> Section | None:
    """Return F and its derivatives that stand in other sections by name, if any do."""
    names = _Names(of)
    used = {
        symbol
        for section in sections
        for line in section.lines
        for side in (line.left, line.right)
        for symbol in side.free_symbols
    }
    pairs = list(zip(of.states, of.field, strict=True))
    lines = [Line(names.component(s), F) for s, F in pairs if names.component(s) in used]
    for s, F in pairs:
        present = F.free_symbols
        for by in (*of.model.states, *of.subject.parameters):
            if by not in present:
                continue
            name = names.slope(s, by)
            if name in used:
                lines.append(Line(Mark(name.name[1:-1], name.latex), tidied(derivative(F, by))))
    return _listing("By name", lines, "") if lines else None


def _listing(title: str, lines: Sequence[Line], note: str) -> Section:
    left_out = len(lines) - LISTED
    if left_out > 0:
        note = f"{note} The first {LISTED} are listed, {left_out} left out.".strip()
    return Section(title, tuple(lines[:LISTED]), note)


def _fits(of: Continuum, value: Expr, most: int = LONG) -> bool:
    """Return whether an equation can be read; that of a site always stands as it is."""
    return bool(of.sites) or len(text_part(value)) <= most


def _rate_of(value: Expr, of: Continuum) -> Mark:
    t = of.time
    return Mark(
        f"d/d{t.name} [{text_part(value)}]",
        rf"\frac{{d}}{{d {latex_part(t)}}} \left[{latex_part(value)}\right]",
        commutative=True,
    )


def _plus(*terms: Expr) -> Expr:
    return sp.Add(*terms, evaluate=False)
