"""What the continuous limit of an action is made of: Lagrangian, momenta, Hamiltonian.

Everything is differentiated by SymPy from the Lagrangian of section 5.4 of Abarbanel, Rozdeba,
Shirman 2017, whose Euler-Lagrange equations are eq. 18; `mechanics` puts it together and
`continuous_sections` says how it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import sympy as sp
from sympy import Expr, IndexedBase, Symbol

from symda.declare import MechanicalModel, Site, SiteState, State, StepParameter
from symda.typeset.display import latex_part
from symda.typeset.notation import Mark, Notation, free_name
from symda.typeset.phase import Functional, derived, rate, reach, total_derivative
from symda.typeset.site_subject import SiteSubject
from symda.typeset.subject import Subject


@dataclass(frozen=True)
class Datum:
    """A measured quantity h with its value y, both functions of time, and its precision Rm."""

    h: Expr
    y: Symbol
    Rm: Symbol

    @property
    def term(self) -> Expr:
        """Rm/2 (h - y)^2."""
        return self.Rm * (self.h - self.y) ** 2 / 2


class Continuum:
    """What Lagrangian and Hamiltonian of an action are made of.

    Parameters
    ----------
    subject : Subject
        Of an ODE. For a `SiteSubject` everything is a density, whose sum over the sites is meant.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.model = subject.model
        self.sites: tuple[Site, ...] = (
            subject.lattice.lattice.sites if isinstance(subject, SiteSubject) else ()
        )

    @cached_property
    def notation(self) -> Notation:
        """The letters; the momentum of x is called p_x only if the model has no such name."""
        return self.subject.notation

    @cached_property
    def time(self) -> Symbol:
        """Time as it stands in the equations, or would."""
        return self.subject.time

    @cached_property
    def ends(self) -> tuple[Mark, Mark]:
        """The first and the last time."""
        t = self.notation["t"]
        latex = latex_part(Symbol(t))
        return (
            Mark(f"{t}0", rf"{latex}_{{0}}", commutative=True),
            Mark(f"{t}F", rf"{latex}_{{F}}", commutative=True),
        )

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The states that have a velocity: all but parameters per step that are free."""
        return tuple(s for s in self.model.states if not self._is_free(s))

    def _is_free(self, state: State) -> bool:
        own = isinstance(state, StepParameter)
        return own and self.model.declarations[state].process_variance is None

    @cached_property
    def free(self) -> tuple[StepParameter, ...]:
        """Parameters that are any function of time."""
        return tuple(s for s in self.model.states if self._is_free(s))

    @cached_property
    def field(self) -> tuple[Expr, ...]:
        """F of the states that have a velocity."""
        pairs = zip(self.model.states, self.model.equations, strict=True)
        return tuple(F for state, F in pairs if not self._is_free(state))

    @cached_property
    def velocities(self) -> tuple[Mark, ...]:
        """Velocities x'."""
        return tuple(self.rate(s) for s in self.states)

    def rate(self, symbol: Symbol) -> Mark:
        """Return x', or d(x)/dt where the model has names such as x' itself."""
        return rate(symbol, self.time.name if any("'" in name for name in self.taken) else "")

    @cached_property
    def momenta(self) -> tuple[Mark, ...]:
        """Canonical momenta p_x."""
        p, latex = self._momentum
        return tuple(
            derived(s, lambda name: f"{p}_{name}", lambda x: f"{latex}_{{{x}}}")
            for s in self.states
        )

    @property
    def taken(self) -> set[str]:
        """Names of the model."""
        subject, model = self.subject, self.model
        every = {*subject.states, *model.states, *subject.parameters, *model.forcing, self.time}
        if isinstance(model, MechanicalModel):
            every |= {*model.velocities}
        return {symbol.name for symbol in every}

    @property
    def functions(self) -> tuple[Mark, Mark]:
        """The names of the Lagrangian and the Hamiltonian."""
        names, taken = (("L", "Lagrangian"), ("H", "Hamiltonian")), self.taken
        chosen = (free_name(letter, word, taken) for letter, word in names)
        lagrangian, hamiltonian = (Mark(name, latex_part(Symbol(name))) for name in chosen)
        return lagrangian, hamiltonian

    @property
    def _momentum(self) -> tuple[str, str]:
        p, taken = self.notation["p"], self.taken
        names = [s.field.name if isinstance(s, SiteState) else s.name for s in self.states]
        while any(f"{p}_{name}" in taken for name in names):
            p += self.notation["p"]
        return p, latex_part(Symbol(p))

    @cached_property
    def Rf(self) -> tuple[Mark, ...]:
        """The precision of each state's rate."""
        return tuple(self._weight("Rf", "R_{f", s) for s in self.states)

    def _weight(self, letter: str, latex: str, state: State) -> Mark:
        used = self.notation[letter]
        if isinstance(state, SiteState):
            return derived(state, lambda name: f"{used}_{name}", lambda x: rf"{latex},{x}}}")
        return derived(state, lambda name: f"{used}[{name}]", lambda x: rf"{latex},{x}}}")

    @cached_property
    def data(self) -> tuple[Datum, ...]:
        """What is measured; on a lattice, at the sites: plain states of a field."""
        if not self.sites:
            return tuple(self._datum(l, h) for l, h in self._numbered)
        measured = {h for _, h in self._numbered}
        fields = {s: s.field for s in self.states}
        found = [s for s, field in fields.items() if measured & set(field)]
        y = self.notation["y"]
        return tuple(
            Datum(
                s,
                derived(s, lambda name: f"{y}_{name}", lambda x: f"{y}_{{{x}}}"),
                self._weight("Rm", "R_{m", s),
            )
            for s in found
        )

    @property
    def data_fields(self) -> dict[Symbol, str]:
        """On a lattice: the precision of each field that is measured, by its state."""
        return {d.h: d.Rm.name for d in self.data} if self.sites else {}

    @cached_property
    def expressions(self) -> tuple[tuple[int, Datum], ...]:
        """On a lattice: measured expressions of certain sites' states, by channel number."""
        if not self.sites:
            return ()
        return tuple((l, self._datum(l, h)) for l, h in self._numbered if not isinstance(h, State))

    @property
    def _numbered(self) -> list[tuple[int, Expr]]:
        return list(enumerate(self.subject.measurement.functions, start=1))

    def _datum(self, l: int, h: Expr) -> Datum:
        y, Rm = self.notation["y"], self.notation["Rm"]
        return Datum(
            h,
            Mark(f"{y}[{l}]", f"{y}_{{{l}}}", commutative=True),
            Mark(f"{Rm}[{l}]", f"R_{{m,{l}}}", commutative=True),
        )

    @cached_property
    def kinetic(self) -> tuple[Expr, ...]:
        """Rf/2 (x' - F)^2 of each state that has a velocity."""
        parts = zip(self.Rf, self.velocities, self.field, strict=True)
        return tuple(Rf * (v - F) ** 2 / 2 for Rf, v, F in parts)

    @cached_property
    def data_term(self) -> Expr:
        """Sum of Rm/2 (h - y)^2, except for the expressions of a lattice."""
        return sp.Add(*(datum.term for datum in self.data))

    @cached_property
    def _misfit(self) -> Functional:
        return Functional(self.data_term)

    @cached_property
    def lagrangian(self) -> Expr:
        """L(x, x', t), or its density."""
        return self.data_term + sp.Add(*self.kinetic)

    @cached_property
    def canonical(self) -> tuple[Expr, ...]:
        """Momenta in velocities, dL/dx'."""
        function = Functional(self.lagrangian)
        return tuple(function.by(v) for v in self.velocities)

    @cached_property
    def moving(self) -> tuple[Symbol, ...]:
        """All that changes in time."""
        marks = [mark for datum in self.measured for mark in (datum.y, datum.Rm)]
        forcing = self.model.forcing
        return (*self.states, *self.free, *self.velocities, *self.momenta, *forcing, *marks)

    @property
    def measured(self) -> tuple[Datum, ...]:
        """All data terms."""
        return (*self.data, *(datum for _, datum in self.expressions))

    @cached_property
    def excess(self) -> tuple[Expr, ...]:
        """Excess x' - F in momenta: the canonical momenta solved for the velocities."""
        solved = []
        for p, v, F, momentum in zip(
            self.momenta, self.velocities, self.field, self.canonical, strict=True
        ):
            # linear in x', and zero at x' = F
            slope = momentum.diff(v)
            solved.append((p - momentum.xreplace({v: F})) / slope)
        return tuple(solved)

    @cached_property
    def transport(self) -> Expr:
        """What the Hamiltonian holds besides the data: sum p x' - Rf/2 (x' - F)^2 in momenta."""
        terms: list[Expr] = []
        for p, v, F, w, term in zip(
            self.momenta, self.velocities, self.field, self.excess, self.kinetic, strict=True
        ):
            terms += [p * w - term.xreplace({v: F + w}), p * F]
        return sp.Add(*terms)

    @cached_property
    def hamiltonian(self) -> Expr:
        """H(x, p, t) = sum p x' - L, or its density."""
        return self.transport - self.data_term

    @cached_property
    def accelerations(self) -> tuple[Mark, ...]:
        """Accelerations x''."""
        return tuple(self.rate(v) for v in self.velocities)

    @cached_property
    def momentum_rates(self) -> tuple[Expr, ...]:
        """The canonical momenta's time derivatives, in x, x' and x''."""
        moving = (*self.states, *self.free, *self.velocities, *self.model.forcing)
        return tuple(total_derivative(p, self.time, moving, self.rate) for p in self.canonical)

    def force(self, symbol: Symbol) -> Expr:
        """Return the derivative of all data terms by a state, sum Rm (h - y) dh/dx."""
        parts = (
            datum.Rm * (_channel(l) - datum.y) * self.slope(l, symbol)
            for l, datum in self.expressions
            if self.uses(l, symbol)
        )
        return sp.Add(self._misfit.by(symbol), *parts)

    def uses(self, l: int, symbol: Symbol) -> bool:
        """Whether a channel depends on a field at some site, or on a parameter."""
        h = self.subject.measurement.functions[l - 1]
        if isinstance(symbol, SiteState):
            return bool(set(symbol.field) & h.free_symbols)
        return symbol in h.free_symbols

    def slope(self, l: int, symbol: Symbol) -> Mark:
        """Return the name of dh/dx at a site, 0 at all sites but those that h uses."""
        h = _channel(l)
        latex = rf"\frac{{\partial {h.latex}}}{{\partial {latex_part(symbol)}}}"
        return Mark(f"(d{h.name}/d{symbol.name})", latex, commutative=True)

    def sample(self, mark: Mark) -> Mark:
        """Return the name of a datum's value or precision at the s-th observation time."""
        s = self.notation["s"]
        text, latex = mark.name, mark.latex
        return Mark(f"{text[:-1]},{s}]", f"{latex.removesuffix('}')},{s}}}", commutative=True)

    def reflected(self, symbol: State) -> tuple[Mark, Expr] | None:
        """Return a name, and its sum over the places that reflecting ends map to a site.

        None if no end reflects: then the site is the only place.
        """
        if not any(site.boundary == "reflect" for site in self.sites):
            return None
        name = derived(symbol, lambda x: f"b_{x}", lambda x: f"b_{{{x}}}")
        far = max(reach(F) for F in self.field)
        array = IndexedBase(name.base)
        return name, sp.Add(
            *(array[place] for place in product(*(_images(s, far) for s in self.sites)))
        )


def _images(site: Site, far: int) -> Sequence[Expr]:
    """Return the places that a reflecting end maps to a site, within reach of the lattice."""
    if site.boundary != "reflect":
        return [site]
    n, places = site.size, []
    for turn in range(-far // (2 * n) - 1, far // (2 * n) + 2):
        start = 2 * n * turn
        for place, lowest in ((start + site, start), (start - 1 - site, start - n)):
            if lowest + n - 1 >= -far and lowest <= n - 1 + far:
                places.append(place)
    return places


def _channel(l: int) -> Mark:
    return Mark(f"h_{l}", f"h_{{{l}}}", commutative=True)
