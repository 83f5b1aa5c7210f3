"""The continuous limit of an action as mechanics: what `Action.lagrangian` and its like return."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import Eq, Expr, Symbol

from symda.derive.dynamics import derivative
from symda.errors import OptionError
from symda.typeset.continuous_sections import (
    at,
    boundary_section,
    energy_section,
    euler_lagrange_section,
    hamilton_section,
    hamiltonian_section,
    jump_section,
    lagrangian_section,
    legendre_section,
    momentum_section,
    named_section,
    parameter_section,
    second_order_section,
)
from symda.typeset.continuum import Continuum
from symda.typeset.display import Readable, Section, latex_part
from symda.typeset.phase import Functional, total_derivative
from symda.typeset.subject import Subject


@dataclass(frozen=True)
class Lagrangian(Readable):
    """The Lagrangian behind eq. 18, L = sum Rm/2 (h - y)^2 + sum Rf/2 (x' - F)^2.

    Attributes
    ----------
    time : Symbol
    states, velocities, momenta : tuple of Symbol
        x, x' and p of the states that have a velocity; a model with sites has one for each field.
    free : tuple of Symbol
        Parameters per step without a process variance: any functions of time, without velocity.
    lagrangian : Expr
        L(x, x', t); of a model with sites the sum over them, to read.
    density : Expr
        What is summed; L itself if there are no sites.
    equations : tuple of Eq
        The canonical momenta p = dL/dx'.
    """

    time: Symbol
    states: tuple[Symbol, ...]
    free: tuple[Symbol, ...]
    velocities: tuple[Symbol, ...]
    momenta: tuple[Symbol, ...]
    lagrangian: Expr
    density: Expr
    equations: tuple[Eq, ...]


@dataclass(frozen=True)
class Hamiltonian(Readable):
    """The Hamiltonian of eq. 19, H = p x' - L = sum p^2/(2 Rf) + p F - sum Rm/2 (h - y)^2.

    Attributes
    ----------
    time : Symbol
    states, momenta : tuple of Symbol
        x and p.
    free : tuple of Symbol
        As for `Lagrangian`.
    hamiltonian : Expr
        H(x, p, t); of a model with sites the sum over them, to read.
    density : Expr
        What is summed; H itself if there are no sites.
    equations : tuple of Eq
        The velocities in momenta, x' = F + p/Rf.
    """

    time: Symbol
    states: tuple[Symbol, ...]
    free: tuple[Symbol, ...]
    momenta: tuple[Symbol, ...]
    hamiltonian: Expr
    density: Expr
    equations: tuple[Eq, ...]


@dataclass(frozen=True)
class Conditions(Readable):
    """What the equations of motion are solved with.

    Attributes
    ----------
    equations : tuple of Eq
        The equations of motion.
    constraints : tuple of Eq
        For parameters per step without a process variance: they follow from the others at all
        times.
    folded : tuple of Eq
        With reflecting ends: what flows back at each place, used in the equations.
    boundary : tuple of Eq
        Natural conditions p(t0) = p(tF) = 0; x(t0) may be given in place of p(t0).
    jumps : tuple of Eq
        With data at discrete times: how p changes there, for each state that data depend on.
    parameters : tuple of Eq
        For each parameter that is estimated.
    """

    equations: tuple[Eq, ...]
    constraints: tuple[Eq, ...]
    folded: tuple[Eq, ...]
    boundary: tuple[Eq, ...]
    jumps: tuple[Eq, ...]
    parameters: tuple[Eq, ...]


@dataclass(frozen=True)
class EulerLagrange(Conditions):
    """The Euler-Lagrange equations of eq. 18, d/dt(dL/dx') = dL/dx.

    Attributes
    ----------
    states, velocities, accelerations : tuple of Symbol
        x, x' and x''.
    second_order : tuple of Eq
        The equations solved for x''.
    """

    states: tuple[Symbol, ...]
    velocities: tuple[Symbol, ...]
    accelerations: tuple[Symbol, ...]
    second_order: tuple[Eq, ...]


@dataclass(frozen=True)
class HamiltonEquations(Conditions):
    """Hamilton's equations of eq. 20, x' = dH/dp and p' = -dH/dx.

    Attributes
    ----------
    time : Symbol
    states, momenta : tuple of Symbol
        x and p.
    hamiltonian : Expr
        H, or its density on a lattice.
    energy_rate : Expr
        dH/dt along the flow: 0 if nothing depends on time by itself. y' is the rate of a measured
        value, u' that of forcing.
    """

    time: Symbol
    states: tuple[Symbol, ...]
    momenta: tuple[Symbol, ...]
    hamiltonian: Expr
    energy_rate: Expr


def continuum(subject: Subject) -> Continuum:
    """Return what the continuous limit of an action is made of.

    Raises
    ------
    OptionError
        If the model is a map.
    """
    if subject.model.discrete:
        raise OptionError(
            f"Model {subject.model.name!r} is a map, whose time is discrete: its action has no "
            "continuous limit. Its equations of motion are action.discrete_euler_lagrange()."
        )
    return Continuum(subject)


def lagrangian(of: Continuum) -> Lagrangian:
    """Return the Lagrangian and the canonical momenta."""
    pairs = zip(of.momenta, of.canonical, strict=True)
    return Lagrangian(
        sections=_with_names(of, lagrangian_section(of), momentum_section(of)),
        time=of.time,
        states=of.states,
        free=of.free,
        velocities=of.velocities,
        momenta=of.momenta,
        lagrangian=_summed(of, of.lagrangian, 1),
        density=of.lagrangian,
        equations=tuple(Eq(p, value, evaluate=False) for p, value in pairs),
    )


def hamiltonian(of: Continuum) -> Hamiltonian:
    """Return the Hamiltonian and the velocities in momenta."""
    return Hamiltonian(
        sections=_with_names(of, legendre_section(of), hamiltonian_section(of)),
        time=of.time,
        states=of.states,
        free=of.free,
        momenta=of.momenta,
        hamiltonian=_summed(of, of.hamiltonian, -1),
        density=of.hamiltonian,
        equations=_velocities(of),
    )


def euler_lagrange(of: Continuum) -> EulerLagrange:
    """Return the Euler-Lagrange equations."""
    model = sp.Add(*of.kinetic)
    right, folded = _forces(of, model)
    equations = tuple(
        Eq(left, value, evaluate=False)
        for left, value in zip(of.momentum_rates, right, strict=True)
    )
    second = []
    for a, equation in zip(of.accelerations, equations, strict=True):
        # linear in x''
        rest = equation.lhs.xreplace({a: sp.S.Zero})
        slope = equation.lhs.diff(a)
        terms = (term / slope for term in sp.Add.make_args(equation.rhs - rest))
        second.append(Eq(a, sp.Add(*terms), evaluate=False))
    constraints = _constraints(of, model)
    conditions = _boundary(of), _jumps(of), _parameters(of)
    return EulerLagrange(
        sections=_with_names(
            of,
            euler_lagrange_section(of, equations, constraints, folded),
            second_order_section(of, second),
            boundary_section(of, conditions[0]),
            jump_section(of, conditions[1]),
            parameter_section(of, conditions[2]),
        ),
        equations=equations,
        constraints=constraints,
        folded=folded,
        boundary=conditions[0],
        jumps=conditions[1],
        parameters=conditions[2],
        states=of.states,
        velocities=of.velocities,
        accelerations=of.accelerations,
        second_order=tuple(second),
    )


def hamilton(of: Continuum) -> HamiltonEquations:
    """Return Hamilton's equations."""
    right, folded = _forces(of, -of.transport)
    momenta = tuple(
        Eq(of.rate(p), value, evaluate=False) for p, value in zip(of.momenta, right, strict=True)
    )
    equations = (*_velocities(of), *momenta)
    constraints = _constraints(of, -of.transport)
    conditions = _boundary(of), _jumps(of), _parameters(of)
    energy = _energy_rate(of, equations)
    return HamiltonEquations(
        sections=_with_names(
            of,
            hamilton_section(of, equations, constraints, folded),
            boundary_section(of, conditions[0]),
            jump_section(of, conditions[1]),
            parameter_section(of, conditions[2]),
            energy_section(of, energy),
        ),
        equations=equations,
        constraints=constraints,
        folded=folded,
        boundary=conditions[0],
        jumps=conditions[1],
        parameters=conditions[2],
        time=of.time,
        states=of.states,
        momenta=of.momenta,
        hamiltonian=of.hamiltonian,
        energy_rate=energy,
    )


def _with_names(of: Continuum, *sections: Section) -> tuple[Section, ...]:
    named = named_section(of, sections)
    return (*sections, named) if named else sections


def _velocities(of: Continuum) -> tuple[Eq, ...]:
    pairs, H = zip(of.velocities, of.momenta, strict=True), Functional(of.hamiltonian)
    return tuple(Eq(v, H.by(p), evaluate=False) for v, p in pairs)


def _forces(of: Continuum, model: Expr) -> tuple[tuple[Expr, ...], tuple[Eq, ...]]:
    """Differentiate by the states: the forces of the model and of the data.

    Parameters
    ----------
    model : Expr
        The model's part of L, or of -H.

    Returns
    -------
    tuple of Expr, and of Eq
        dL/dx or -dH/dx, and with reflecting ends the definition of what is folded back in them.
    """
    function = Functional(model)
    right: list[Expr] = []
    folded: list[Eq] = []
    for symbol in of.states:
        derivative = function.by(symbol)
        reflected = of.reflected(symbol)
        if reflected is not None:
            name, images = reflected
            folded.append(Eq(name, derivative, evaluate=False))
            derivative = images
        right.append(derivative + of.force(symbol))
    return tuple(right), tuple(folded)


def _constraints(of: Continuum, model: Expr) -> tuple[Eq, ...]:
    function = Functional(model)
    return tuple(Eq(function.by(w) + of.force(w), 0, evaluate=False) for w in of.free)


def _boundary(of: Continuum) -> tuple[Eq, ...]:
    return tuple(
        Eq(at(p, of.ends[end].name, of.ends[end].latex), 0, evaluate=False)
        for end in (0, 1)
        for p in of.momenta
    )


def _jumps(of: Continuum) -> tuple[Eq, ...]:
    s, tau = of.notation["s"], of.notation["tau"]
    moments = [
        (f"{tau}[{s}]{side}", rf"{latex_part(Symbol(tau))}_{{{s}}}^{{{side}}}") for side in "+-"
    ]
    values = {mark: of.sample(mark) for d in of.measured for mark in (d.y, d.Rm)}
    jumps = []
    for symbol, p in zip(of.states, of.momenta, strict=True):
        force = of.force(symbol)
        if force != 0:
            behind, before = (at(p, *moment) for moment in moments)
            left = sp.Add(behind, -before, evaluate=False)
            jumps.append(Eq(left, force.xreplace(values), evaluate=False))
    return tuple(jumps)


def _parameters(of: Continuum) -> tuple[Eq, ...]:
    t0, tF = of.ends
    found = []
    for theta in of.subject.parameters:
        terms = _summed(of, of.hamiltonian, -1, by=theta)
        found.append(Eq(sp.Integral(terms, (of.time, t0, tF)), 0, evaluate=False))
    return tuple(found)


def _summed(of: Continuum, density: Expr, sign: int, by: Symbol | None = None) -> Expr:
    """Return the sum of a density over the sites, with the measured expressions of a lattice."""
    further = sign * sp.Add(*(datum.term for _, datum in of.expressions))
    if by is not None:
        density, further = derivative(density, by), derivative(further, by)
    if not of.sites or density == 0:
        return density + further
    return sp.Sum(density, *((site, 0, site.size - 1) for site in of.sites)) + further


def _energy_rate(of: Continuum, equations: tuple[Eq, ...]) -> Expr:
    """Return dH/dt along the flow; what the flow itself contributes cancels."""
    H = of.hamiltonian
    marks = [mark for datum in of.measured for mark in (datum.y, datum.Rm)]
    moving = (*of.subject.model.forcing, *marks)
    explicit = total_derivative(H, of.time, moving, of.rate)
    if of.sites:
        terms = sp.Add(*(datum.term for _, datum in of.expressions))
        change = total_derivative(terms, of.time, moving, of.rate)
        sums = ((site, 0, site.size - 1) for site in of.sites)
        return (sp.Sum(explicit, *sums) if explicit != 0 else sp.S.Zero) - change
    # H_x x' + H_p p', where x' is H_p as it stands and p' is -H_x rearranged
    D, function = len(of.states), Functional(H)
    flow = [
        sp.expand(function.by(x) + forward.rhs) * backward.rhs
        for x, backward, forward in zip(of.states, equations[:D], equations[D:], strict=True)
    ]
    return explicit + sp.Add(*flow)
