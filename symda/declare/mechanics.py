"""Mechanical models: a Hamiltonian, or a Lagrangian, and the equations of motion it implies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import sympy as sp
from sympy import Expr, Symbol

from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    describe,
    symbols_in,
)
from symda.declare.declaration import Declaration
from symda.declare.declared import Declared, Forcing, Time
from symda.declare.equations import EquationModel
from symda.declare.mechanics_generic import (
    generic_rank,
    gradient,
    jacobian,
    solve_linear,
    vanishes,
)
from symda.declare.site import Site, SiteState
from symda.declare.symbols import Parameter, State, StepParameter
from symda.errors import ModelError, nearest


@final
@dataclass(frozen=True, init=False, repr=False)
class MechanicalModel(EquationModel):
    """Hamilton's equations dq/dt = dH/dp, dp/dt = -dH/dq + force, with where they come from.

    A `Model` in every respect, whose states are (q, p); made by `Model.from_hamiltonian` and
    `Model.from_lagrangian`. Integrators that keep the structure of mechanics ask for it.

    Attributes
    ----------
    coordinates, momenta : tuple of State, (n,)
        q and p; the states are (*q, *p), and after them the parameters per step.
    hamiltonian : Expr
        H(q, p), perhaps also of parameters, forcing and time. Symbols that stand in no equation
        are left out where they are only added to it; others are the model's as well.
    forces : tuple of Expr, (n,)
        What is added to dp/dt: generalised forces and dissipation, in the model's own symbols.
    lagrangian : Expr or None
        L(q, v) if the model was made from one; without the same symbols.
    velocities : tuple of Symbol, (n,) or ()
        What stands for dq/dt in the Lagrangian.

    Raises
    ------
    ModelError
        As `Model.from_hamiltonian`, or if forces or velocities are not one for each coordinate.
    """

    coordinates: tuple[State, ...]
    momenta: tuple[State, ...]
    hamiltonian: Expr
    forces: tuple[Expr, ...]
    lagrangian: Expr | None
    velocities: tuple[Symbol, ...]

    def __init__(
        self,
        hamiltonian: Expr | float,
        coordinates: Sequence[State],
        momenta: Sequence[State],
        *,
        forces: Sequence[Expr] | None = None,
        lagrangian: Expr | None = None,
        velocities: Sequence[Symbol] = (),
        name: str = "model",
    ) -> None:
        where = f"Model {name!r}"
        q, p = pairs(coordinates, momenta, where)
        H = expression_in(hamiltonian, (*q, *p), f"{where}, Hamiltonian")
        if not H.has(*p):
            raise ModelError(
                f"{where}: the Hamiltonian {H} does not depend on any momentum ({_names(p)}), so "
                "nothing would ever move. Write the kinetic energy in momenta, for example "
                f"{p[0]}**2/(2*m); from velocities make the model with Model.from_lagrangian."
            )
        added = _one_each(forces, q, (*q, *p), where)
        L, v = lagrangian, ()
        if L is None and len(velocities):
            raise ModelError(
                f"{where}: velocities are symbols of a Lagrangian, and none is given. Pass it, or "
                "leave them out."
            )
        if L is not None:
            v = velocities_of(velocities, q, where)
            L = expression_in(L, (*q, *v), f"{where}, Lagrangian")
        slopes = gradient(H, (*q, *p))
        for symbol, slope in zip((*q, *p), slopes, strict=True):
            check_expression(slope, f"{where}, dH/d{symbol} of the Hamiltonian")
        rates = [*slopes[len(q) :], *(f - s for f, s in zip(added, slopes, strict=False))]
        for field, value in (
            ("coordinates", q),
            ("momenta", p),
            ("hamiltonian", _without_idle_terms(H, (*q, *p), rates)),
            ("forces", added),
            ("lagrangian", None if L is None else _without_idle_terms(L, (*q, *v), rates)),
            ("velocities", v),
        ):
            object.__setattr__(self, field, value)
        super().__init__(dict(zip((*q, *p), rates, strict=True)), name=name)

    @property
    def _beside(self) -> tuple[Expr, ...]:
        return (self.hamiltonian, *([] if self.lagrangian is None else [self.lagrangian]))

    @property
    def velocity(self) -> tuple[Expr, ...]:
        """The velocities dq/dt = dH/dp in coordinates and momenta, (n,)."""
        return self.equations[: len(self.coordinates)]

    @cached_property
    def separable(self) -> bool:
        """Whether dq/dt is free of q and dp/dt free of p: H = T(p) + V(q), forces without p.

        Time, forcing and parameters may stand in either part.
        """
        q, p = set(self.coordinates), set(self.momenta)
        mixed = [
            sp.diff(rate, symbol)
            for rates, others in ((self.velocity, q), (self.forces, p))
            for rate in rates
            for symbol in rate.free_symbols & others
        ]
        return all(map(vanishes, mixed))

    @cached_property
    def conservative(self) -> bool:
        """Whether H is a constant of the motion: no forces, nothing in H that changes by itself."""
        moving = (Time, Forcing, StepParameter)
        return all(force == 0 for force in self.forces) and not any(
            isinstance(symbol, moving) for symbol in symbols_in([self.hamiltonian])
        )

    def with_declarations(
        self, declarations: Mapping[State | Parameter, Declaration]
    ) -> MechanicalModel:
        """Return the model with these in its table.

        Raises
        ------
        ModelError
            If a parameter may become negative that the velocities were solved for as never
            negative.
        """
        made = super().with_declarations(declarations)
        L, v = self.lagrangian, self.velocities
        lowered = [
            symbol.name
            for symbol, one in made.declarations.items()
            if one.bounds[0] < 0.0 <= self.declarations[symbol].bounds[0]
            and L is not None
            and L.has(symbol)
            and isinstance(symbol, Parameter)
        ]
        if lowered and jacobian(gradient(L, v), v).has(*v):
            raise ModelError(
                f"Model {self.name!r}: its velocities follow from the momenta for a {lowered[0]} "
                "that is never negative, and these bounds let it be; make the model again, with "
                f"bounds= of sd.parameter({lowered[0]!r})."
            )
        return made

    def substitute(self, values: Mapping[Symbol, Expr]) -> MechanicalModel:
        """Return the model with other expressions in place of parameters or forcing."""
        made = MechanicalModel(
            self.hamiltonian.xreplace(values),
            self.coordinates,
            self.momenta,
            forces=[force.xreplace(values) for force in self.forces],
            lagrangian=None if self.lagrangian is None else self.lagrangian.xreplace(values),
            velocities=self.velocities,
            name=self.name,
        )
        return made.with_declarations(self.declarations)

    def __repr__(self) -> str:
        sizes = f"n={len(self.coordinates)}, P={len(self.parameters)}, U={len(self.forcing)}"
        return f"MechanicalModel({self.name!r}, {sizes})"


def from_hamiltonian(
    H: Expr | float,
    q: State | Sequence[State],
    p: State | Sequence[State],
    *,
    forces: Mapping[State, Expr | float] | None = None,
    dissipation: Expr | float | None = None,
    name: str = "model",
) -> MechanicalModel:
    """Make the model of a Hamiltonian: dq/dt = dH/dp, dp/dt = -dH/dq + force.

    Parameters
    ----------
    H : Expr
        The Hamiltonian H(q, p); parameters, forcing (`sd.forcing`) and time may stand in it.
    q, p : State or sequence of State, (n,)
        Coordinates and momenta in the same order.
    forces : mapping of State to Expr, optional
        Generalised forces along some coordinates, in the same symbols as H.
    dissipation : Expr, optional
        Rayleigh's function R written in q and p: it adds the force -dR/dv, v = dH/dp, so that
        dH/dt = -v dR/dv (-2 R if R is quadratic).
    name : str
        As for `Model`.

    Returns
    -------
    MechanicalModel
        With the states (*q, *p).

    Raises
    ------
    ModelError
        If coordinates and momenta do not pair, H depends on no momentum, something in H, a
        force or R is not declared or is another state, or for what no model may contain.

    Notes
    -----
    Goldstein, Classical Mechanics, chapter 8; R in chapter 1.5.
    """
    where = f"Model {name!r}"
    coordinates, momenta = pairs(q, p, where)
    known = (*coordinates, *momenta)
    pushes = force_of_each(forces, coordinates, known, where)
    if dissipation is None:
        return MechanicalModel(H, coordinates, momenta, forces=pushes, name=name)
    conservative = MechanicalModel(H, coordinates, momenta, name=name)
    R = expression_in(dissipation, known, f"{where}, dissipation")
    check_dissipation(R, momenta, where)
    inverse_mass = jacobian(conservative.velocity, momenta)
    # R(q, v(p)): dR/dp = (dv/dp) dR/dv
    if generic_rank(inverse_mass)[0] < len(momenta):
        raise ModelError(
            f"{where}: the dissipation is given in momenta, but these do not follow from the "
            "velocities: d2H/dp2 is singular. Write the damping as forces={q: ...} instead."
        )
    drag = solve_linear(inverse_mass, sp.Matrix(gradient(R, momenta)))
    total = [push - part for push, part in zip(pushes, drag, strict=True)]
    return MechanicalModel(H, coordinates, momenta, forces=total, name=name)


def pairs(
    q: State | Sequence[State], p: State | Sequence[State], where: str
) -> tuple[tuple[State, ...], tuple[State, ...]]:
    """Return coordinates and momenta as tuples of equal length.

    Raises
    ------
    ModelError
        If one is no state or stands there twice, or a coordinate has no momentum of its own.
    """
    coordinates, momenta = states_of(q, "coordinate", where), states_of(p, "momentum", where)
    both = [symbol for symbol in coordinates if symbol in momenta]
    if both:
        raise ModelError(
            f"{where}: {_names(both)} is given as a coordinate and as a momentum; each coordinate "
            f"has a momentum of its own. Declare it, for example p_{both[0]} = "
            f'sd.state("p_{both[0]}").'
        )
    if len(coordinates) != len(momenta):
        raise ModelError(
            f"{where}: got {_count(coordinates, 'coordinate', 'coordinates')} and "
            f"{_count(momenta, 'momentum', 'momenta')}; a Hamiltonian system has an even number of "
            "variables, one momentum for each coordinate in the same order. Give the missing ones; "
            "a system that is not Hamiltonian is written as sd.Model({x: dx/dt, ...})."
        )
    check_alike((*coordinates, *momenta), where)
    return coordinates, momenta


def states_of(given: State | Sequence[State], kind: str, where: str) -> tuple[State, ...]:
    """Return one state or several as a tuple.

    Raises
    ------
    ModelError
        If there is none, one is repeated, or something is no state.
    """
    many = [given] if isinstance(given, Symbol) else given
    if isinstance(many, str | Mapping) or not isinstance(many, Sequence):
        raise ModelError(
            f"{where}: expected a state or a sequence of states for each {kind}, "
            f"got {type(given).__name__} ({given!r})."
        )
    if not many:
        raise ModelError(f"{where}: no {kind} given; a mechanical system has at least one.")
    for symbol in many:
        if not isinstance(symbol, State) or isinstance(symbol, StepParameter | SiteState):
            what = describe(symbol) if isinstance(symbol, Symbol) else type(symbol).__name__
            raise ModelError(
                f"{where}: the {kind} {symbol!r} is {what}, expected a State. Declare it with "
                "sd.state."
            )
    repeated = sorted({symbol.name for symbol in many if list(many).count(symbol) > 1})
    if repeated:
        raise ModelError(f"{where}: the {kind} {repeated[0]!r} is given more than once.")
    return tuple(many)


def expression_in(given: object, states: Sequence[Symbol], where: str) -> Expr:
    """Return an expression in certain states, parameters, forcing and time.

    `states` are the coordinates with momenta or velocities; the latter may be plain symbols.

    Raises
    ------
    ModelError
        If it is none, or uses another state or an undeclared symbol.
    """
    expression = as_expression(given, where)
    check_expression(expression, where)
    used = [symbol for symbol in symbols_in([expression]) if symbol not in states]
    known = [*states, *(symbol for symbol in used if isinstance(symbol, Declared))]
    check_alike(known, where)
    check_declared(used, [symbol.name for symbol in known], where)
    for symbol in used:
        if isinstance(symbol, Site | SiteState):
            raise ModelError(
                f"{where}: uses {symbol.name}, the field of a lattice. Mechanics takes states, "
                'q = sd.states("q", 10), and sums over them.'
            )
        if type(symbol) is State:
            raise ModelError(
                f"{where}: uses the state {symbol.name!r}, which is none of "
                f"{_names(states)}.{nearest(symbol.name, (s.name for s in states))} "
                "Add it to them, or declare it as a parameter or forcing."
            )
    return expression


def force_of_each(
    forces: Mapping[State, Expr | float] | None,
    coordinates: Sequence[State],
    known: Sequence[Symbol],
    where: str,
) -> tuple[Expr, ...]:
    """Return the generalised force along each coordinate, (n,); 0 where none is given.

    Raises
    ------
    ModelError
        If a force is of no coordinate, or uses what it may not.
    """
    given = forces_in(forces, where)
    for key in given:
        if key not in coordinates:
            raise ModelError(
                f"{where}: forces[{key!r}] is along no coordinate; there are "
                f"{_names(coordinates)}.{nearest(str(key), (s.name for s in coordinates))}"
            )
    return tuple(
        expression_in(given.get(symbol, 0), known, f"{where}, force along {symbol}")
        for symbol in coordinates
    )


def forces_in(forces: object, where: str) -> Mapping[Expr, Expr | float]:
    """Return the forces a user gave, none for None.

    Raises
    ------
    ModelError
        If they are no mapping.
    """
    if not isinstance(forces, Mapping | None):
        raise ModelError(
            f"{where}: forces must be a mapping of coordinate to generalised force, {{q: ...}}, "
            f"got {type(forces).__name__}."
        )
    return forces or {}


def velocities_of(
    v: Symbol | Sequence[Symbol] | None, q: tuple[State, ...], where: str
) -> tuple[Symbol, ...]:
    """Return what stands for dq/dt as a tuple.

    Raises
    ------
    ModelError
        If that is not one symbol of its own for each coordinate.
    """
    if v is None:
        raise ModelError(
            f"{where}: no velocities given. Pass the symbols that stand for dq/dt in the "
            f'Lagrangian, for example v = sd.states("{" ".join(f"v_{s}" for s in q)}").'
        )
    given = tuple(v) if isinstance(v, Sequence) else (v,)
    for symbol in given:
        if not isinstance(symbol, Symbol) or (
            isinstance(symbol, Declared) and type(symbol) is not State
        ):
            what = describe(symbol) if isinstance(symbol, Symbol) else type(symbol).__name__
            raise ModelError(
                f"{where}: the velocity {symbol!r} is {what}, expected a symbol that stands for "
                "dq/dt: a state, or a plain SymPy symbol."
            )
    if len(given) != len(q):
        raise ModelError(
            f"{where}: got {len(q)} coordinates ({_names(q)}) and {len(given)} velocities "
            f"({_names(given)}); give one velocity for each coordinate, in the same order."
        )
    repeated = [symbol for symbol in given if symbol in q or given.count(symbol) > 1]
    if repeated or len({symbol.name for symbol in (*q, *given)}) < 2 * len(q):
        which = repeated[0] if repeated else _names(given)
        raise ModelError(
            f"{where}: the velocity {which} is called like a coordinate or another velocity; "
            "each velocity is a symbol of its own."
        )
    return given


def check_dissipation(R: Expr, moving: Sequence[Symbol], where: str) -> None:
    """Refuse a Rayleigh function that damps nothing.

    Raises
    ------
    ModelError
        If none of the velocities, or momenta, stands in it.
    """
    if not R.has(*moving):
        raise ModelError(
            f"{where}: the dissipation {R} depends on none of {_names(moving)}, so it damps "
            f"nothing. Rayleigh's function is half the power lost, for example c*{moving[0]}**2/2."
        )


def _one_each(
    forces: Sequence[Expr] | None, q: Sequence[State], known: Sequence[State], where: str
) -> tuple[Expr, ...]:
    if forces is None:
        return (sp.S.Zero,) * len(q)
    if (
        isinstance(forces, str | Mapping)
        or not isinstance(forces, Sequence)
        or (len(forces) != len(q))
    ):
        raise ModelError(
            f"{where}: forces must be a sequence of one force for each of {_names(q)}, 0 where "
            f"there is none, got {forces!r}. A mapping is for Model.from_hamiltonian."
        )
    return tuple(
        expression_in(force, known, f"{where}, force along {symbol}")
        for symbol, force in zip(q, forces, strict=True)
    )


def _without_idle_terms(H: Expr, states: Sequence[Symbol], equations: Sequence[Expr]) -> Expr:
    """Drop what is added to H without moving anything, if the equations have no such symbols."""
    known = {*states, *symbols_in(equations)}
    if set(symbols_in([H])) <= known:
        return H
    _, moving = sp.expand(H).as_independent(*states, as_Add=True)
    return moving


def _names(symbols: Sequence[Symbol]) -> str:
    return ", ".join(symbol.name for symbol in symbols)


def _count(symbols: Sequence[Symbol], one: str, many: str) -> str:
    return f"{len(symbols)} {one if len(symbols) == 1 else many} ({_names(symbols)})"
