"""Systems written for `sympy.physics.mechanics`: functions of time become states and forcing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import sympy as sp
from sympy import Expr, Symbol
from sympy.core.function import AppliedUndef

from symda.declare.check import as_expression, check_alike, symbols_in
from symda.declare.declared import Declared, Forcing, Time
from symda.declare.equations import EquationModel
from symda.declare.mechanics_generic import generic_rank, solve_linear
from symda.declare.symbols import Parameter, State
from symda.errors import ModelError, nearest

if TYPE_CHECKING:
    from sympy.physics.mechanics import KanesMethod, LagrangesMethod

#: What stands for a constant or an input of a system.
Symbols: TypeAlias = Mapping[Expr, Expr | float]


def from_mechanics(
    method: LagrangesMethod | KanesMethod, *, symbols: Symbols | None = None, name: str = "model"
) -> EquationModel:
    """Make the model of a system derived with `sympy.physics.mechanics`.

    Parameters
    ----------
    method : LagrangesMethod or KanesMethod
        Its equations formed. Coordinates and speeds become the states (q, u) under their own
        names, a speed dq/dt as ``q_dot``. Multipliers of constraints are solved for and left
        out, so start on the constraint.
    symbols : mapping of Expr to Expr or number, optional
        What stands for constants and inputs: declared symbols, expressions in them, numbers.
        Other constants become parameters, other functions of time forcing, and derivatives of
        these forcing of their own, ``f_dot``.
    name : str
        As for `Model`.

    Returns
    -------
    Model
        An ordinary one, since (q, u) are not canonical: for momenta, and integrators that keep
        them so, pass the Lagrangian to `from_lagrangian`.

    Raises
    ------
    ModelError
        If the equations are not formed or the mass matrix is singular, or something in
        `symbols` is not in the system.
    """
    from sympy.physics.mechanics import KanesMethod, LagrangesMethod

    where = f"Model {name!r}"
    if not isinstance(method, LagrangesMethod | KanesMethod):
        raise ModelError(
            f"{where}: expected a LagrangesMethod or KanesMethod of sympy.physics.mechanics, got "
            f"{type(method).__name__}. Of a Lagrangian itself make a model with "
            "Model.from_lagrangian, of equations with sd.Model."
        )
    try:
        mass, right = method.mass_matrix_full, method.forcing_full
    except ValueError as error:
        formed = (
            "form_lagranges_equations()"
            if hasattr(method, "solve_multipliers")
            else ("kanes_equations(...)")
        )
        raise ModelError(
            f"{where}: its equations are not formed yet; call {formed} first."
        ) from error
    if not isinstance(symbols, Mapping | None):
        raise ModelError(
            f"{where}: symbols must be a mapping of what is in the system to what stands for it, "
            f"{{g: 9.81}}, got {type(symbols).__name__}."
        )
    q, u = list(method.q), list(method.u)
    clock = _clock(q, where)
    writing = _Writing(clock, {f: State(_called(f)) for f in (*q, *u)}, symbols or {}, where)
    # the equations of dq/dt stand by themselves, above those of du/dt
    n = len(q)
    rates = list(_solve(writing(mass[:n, :n]), writing(right[:n, :]), where))
    speeds = {
        f.diff(clock): rate for f, rate in zip(q, rates, strict=True) if f.diff(clock) not in u
    }
    writing.known.update(speeds)
    # below them, in a constrained system, stand those of the multipliers, which no state needs
    accelerations = list(_solve(writing(mass[n:, n:]), writing(right[n:, :]), where))
    writing.check_used()
    equations = dict(zip(writing.states, [*rates, *accelerations[: len(u)]], strict=True))
    return EquationModel(equations, name=name)


def is_dynamic(q: object) -> bool:
    """Whether coordinates are functions of time, as `dynamicsymbols` makes them."""
    many = q if isinstance(q, Sequence | sp.MatrixBase) else [q]
    return any(isinstance(symbol, AppliedUndef) for symbol in many)


@dataclass(frozen=True)
class Timeless:
    """A Lagrangian in declared symbols, and what goes with it."""

    L: Expr
    q: list[State]
    v: list[State]
    forces: dict[State, Expr] | None
    dissipation: Expr | None


def without_time(
    L: Expr | float,
    q: Expr | Sequence[Expr],
    v: object,
    forces: Mapping[Expr, Expr | float] | None,
    dissipation: Expr | float | None,
    where: str,
) -> Timeless:
    """Rewrite what is in q(t) and dq/dt in states, parameters and forcing.

    Raises
    ------
    ModelError
        If a coordinate is no function of time, or velocities are given that are not dq/dt.
    """
    coordinates = [q] if isinstance(q, Expr) else list(q)
    clock = _clock(coordinates, where)
    speeds = [f.diff(clock) for f in coordinates]
    if v is not None and (list(v) if isinstance(v, Iterable) else [v]) != speeds:
        raise ModelError(
            f"{where}: the velocities of {', '.join(map(str, coordinates))} are their derivatives "
            f"{', '.join(map(str, speeds))}; write the Lagrangian with these and leave v out."
        )
    writing = _Writing(clock, {f: State(_called(f)) for f in (*coordinates, *speeds)}, {}, where)
    known = writing.known
    pushes = None
    if forces is not None:
        pushes = {
            known.get(key, key): writing.one(push, f"force along {key}")
            for key, push in forces.items()
        }
    return Timeless(
        writing.one(L, "Lagrangian"),
        [known[f] for f in coordinates],
        [known[f] for f in speeds],
        pushes,
        None if dissipation is None else writing.one(dissipation, "dissipation"),
    )


@dataclass
class _Writing:
    """Writes expressions in functions of time in declared symbols, each found once.

    `known` begins with the states of the coordinates and speeds.
    """

    clock: Symbol
    known: dict[Expr, Expr]
    given: Symbols
    where: str
    states: list[State] = field(default_factory=list)
    moving: set[Expr] = field(default_factory=set)
    used: set[Expr] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.states = list(self.known.values())
        self.moving = {f.expr if isinstance(f, sp.Derivative) else f for f in self.known}
        check_alike(self.states, self.where)
        for key in self.given:
            if key in self.known:
                raise ModelError(
                    f"{self.where}: symbols gives {key} a meaning, but it is a coordinate or speed "
                    "of the system, which is a state of the model."
                )

    def one(self, given: object, what: str) -> Expr:
        expression = as_expression(given, f"{self.where}, {what}")
        # functions of time within a derivative are the derivative's own
        atoms = expression.atoms(sp.Derivative, AppliedUndef, Symbol)
        for atom in sorted(atoms, key=_order):
            if atom not in self.known and not isinstance(atom, Declared):
                self.known[atom] = self._meaning(atom, what)
        return expression.xreplace(self.known)

    def __call__(self, matrix: sp.MatrixBase) -> sp.Matrix:
        return sp.Matrix(matrix).applyfunc(lambda entry: self.one(entry, "equations"))

    def check_used(self) -> None:
        for key in self.given:
            if key not in self.used:
                names = [str(atom) for atom in self.known]
                raise ModelError(
                    f"{self.where}: symbols gives {key} a meaning, which the system does not use."
                    f"{nearest(str(key), names)}"
                )

    def _meaning(self, atom: Expr, what: str) -> Expr:
        if atom in self.given:
            self.used.add(atom)
            return as_expression(self.given[atom], f"{self.where}, symbols[{atom}]")
        if atom == self.clock:
            return Time(atom.name)
        if isinstance(atom, Symbol):
            return Parameter(atom.name)
        if isinstance(atom, AppliedUndef):
            _clock([atom], self.where)
            return Forcing(_called(atom))
        function = atom.expr
        if function in self.moving:
            raise ModelError(
                f"{self.where}, {what}: holds {atom}, beyond the velocity of {function}; it is "
                "written in coordinates and velocities. From a Lagrangian remove accelerations by "
                "parts: q q'' and -q'**2 give the same motion."
            )
        if function in self.given:
            course = self.known.get(function, None) or self._meaning(function, what)
            if all(isinstance(s, Parameter | Time) for s in symbols_in([course])):
                return sp.diff(course, Time(self.clock.name), atom.derivative_count)
        return Forcing(_called(atom))


def _solve(mass: sp.Matrix, right: sp.Matrix, where: str) -> sp.Matrix:
    rank, _ = generic_rank(mass)
    if rank < mass.rows:
        raise ModelError(
            f"{where}: its mass matrix is singular (rank {rank}, expected {mass.rows}), so the "
            "accelerations are not determined. Look for a body without mass or inertia, or for "
            "constraints that say the same twice."
        )
    return solve_linear(mass, right)


def _clock(functions: Sequence[Expr], where: str) -> Symbol:
    """Return the symbol of time, which functions of time have in common."""
    for f in functions:
        if not isinstance(f, AppliedUndef) or len(f.args) != 1 or not f.args[0].is_Symbol:
            raise ModelError(
                f"{where}: {f} is not a function of time only, as "
                "sympy.physics.mechanics.dynamicsymbols makes them."
            )
        if f.args != functions[0].args:
            raise ModelError(f"{where}: {f} and {functions[0]} are functions of different times.")
    return functions[0].args[0]


def _called(f: Expr) -> str:
    """Return a function's name; that of its derivative is theta_dot, of the second theta_ddot."""
    if isinstance(f, sp.Derivative):
        return f"{_called(f.expr)}_{'d' * f.derivative_count}ot"
    return str(f.func.__name__)


def _order(atom: Expr) -> tuple[int, str]:
    return (isinstance(atom, sp.Derivative), str(atom))
