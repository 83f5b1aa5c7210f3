"""From a Lagrangian to Hamilton's equations: momenta p = dL/dv, and the Legendre transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symda.declare.check import symbols_in
from symda.declare.mechanics import (
    MechanicalModel,
    check_dissipation,
    expression_in,
    force_of_each,
    forces_in,
    pairs,
    states_of,
    velocities_of,
)
from symda.declare.mechanics_generic import (
    generic_rank,
    gradient,
    inverts,
    jacobian,
    keeps_digits,
    solve_linear,
    tidy,
    vanishes,
)
from symda.declare.mechanics_sympy import is_dynamic, without_time
from symda.declare.symbols import Parameter, State
from symda.errors import ModelError

Coordinates: TypeAlias = State | Expr | Sequence[State] | Sequence[Expr]


def from_lagrangian(
    L: Expr | float,
    q: Coordinates,
    v: Symbol | Sequence[Symbol] | None = None,
    *,
    momenta: State | Sequence[State] | None = None,
    forces: Mapping[State, Expr | float] | None = None,
    dissipation: Expr | float | None = None,
    name: str = "model",
) -> MechanicalModel:
    """Make the model of a Lagrangian, in coordinates q and momenta p = dL/dv.

    Parameters
    ----------
    L : Expr
        The Lagrangian L(q, v); parameters, forcing (`sd.forcing`) and time may stand in it.
        If it is not quadratic in v, declare by bounds which parameters are never negative.
    q : State or sequence of State, (n,)
        Coordinates. Functions of time as `sympy.physics.mechanics.dynamicsymbols` makes them
        are accepted: L then holds their derivatives, `v` is left out, other functions of time
        become forcing, and plain symbols parameters.
    v : Symbol or sequence of Symbol, (n,)
        What stands for dq/dt in L, states or plain SymPy symbols. They are not in the model.
    momenta : State or sequence of State, (n,), optional
        What to call the momenta, with bounds and start ranges. By default ``p_x`` for ``x``.
    forces : mapping of State to Expr, optional
        Generalised forces along some coordinates, in the same symbols as L.
    dissipation : Expr, optional
        Rayleigh's function R(q, v), which adds the force -dR/dv.
    name : str
        As for `Model`.

    Returns
    -------
    MechanicalModel
        With the states (*q, *p) and H = p v - L.

    Raises
    ------
    ModelError
        If L is degenerate in the velocities, or these do not follow from the momenta in a
        closed form that keeps its digits; if coordinates and velocities do not pair; and as
        `from_hamiltonian`.

    Notes
    -----
    The matrix d2L/dv2 is inverted in symbols, and equations grow with the coordinates that it
    couples: of a chain of three pendulums they hold 10,000 operations and take 2 s to make, of
    four 90,000 and 15 s, of five with numbers for masses and lengths 180,000 and 25 s.

    Goldstein, Classical Mechanics, chapters 1.5 and 8.1.
    """
    where = f"Model {name!r}"
    if forces is not None:
        forces = forces_in(forces, where)
    if is_dynamic(q):
        same = without_time(L, q, v, forces, dissipation, where)
        L, q, v, forces, dissipation = same.L, same.q, same.v, same.forces, same.dissipation
    coordinates = states_of(q, "coordinate", where)
    given = velocities_of(v, coordinates, where)
    # real, so that derivatives of |v| and the like are what they are for real velocities
    real = {s: s if isinstance(s, State) else State(s.name) for s in given}
    velocities = tuple(real.values())
    known = (*coordinates, *velocities)
    L = expression_in(_replaced(L, real), known, f"{where}, Lagrangian")
    if not L.has(*velocities):
        raise ModelError(
            f"{where}: the Lagrangian {L} does not depend on any velocity ({_names(velocities)}). "
            "Write the kinetic energy with the symbols given as v, for example "
            f"m*{velocities[0]}**2/2."
        )
    p = _momenta(momenta, coordinates, (*velocities, *symbols_in([L])), where)
    pushes = force_of_each(
        forces and {key: _replaced(force, real) for key, force in forces.items()},
        coordinates,
        known,
        where,
    )
    if dissipation is not None:
        R = expression_in(_replaced(dissipation, real), known, f"{where}, dissipation")
        check_dissipation(R, velocities, where)
        pushes = tuple(
            push - drag for push, drag in zip(pushes, gradient(R, velocities), strict=True)
        )
    H, speeds = _legendre(L, velocities, p, where)
    return MechanicalModel(
        H,
        coordinates,
        p,
        forces=[push.xreplace(speeds) for push in pushes],
        lagrangian=L,
        velocities=velocities,
        name=name,
    )


def _legendre(
    L: Expr, v: tuple[State, ...], p: tuple[State, ...], where: str
) -> tuple[Expr, dict[State, Expr]]:
    """Return H(q, p), and the velocities in momenta."""
    slopes = sp.Matrix(gradient(L, v))
    mass = jacobian(list(slopes), v).applyfunc(lambda entry: _without(entry, v))
    rank, kernel = generic_rank(mass)
    if rank < len(v):
        _refuse_degenerate(rank, kernel, v, where)
    rest = dict.fromkeys(v, sp.S.Zero)
    still = [L.xreplace(rest), *slopes.xreplace(rest)]
    if mass.has(*v) or any(value.has(sp.nan, sp.zoo, sp.oo) for value in still):
        return _invert(L, slopes, v, p, where)
    excess = sp.Matrix([symbol - b for symbol, b in zip(p, still[1:], strict=True)])
    solved = solve_linear(mass, excess)
    # set by set of coupled velocities, which reads better than one fraction for all
    kinetic = [
        tidy(sum(excess[i] * solved[i] for i in block) / 2) for block in mass.connected_components()
    ]
    return sum(kinetic) - still[0], dict(zip(v, solved, strict=True))


def _without(entry: Expr, v: tuple[State, ...]) -> Expr:
    """Return an entry of the mass matrix free of velocities that only seem to be in it."""
    if entry.has(*v) and all(vanishes(sp.diff(entry, symbol)) for symbol in v):
        return sp.simplify(entry.xreplace(dict.fromkeys(v, sp.S.One)))
    return entry


def _invert(
    L: Expr, slopes: sp.Matrix, v: tuple[State, ...], p: tuple[State, ...], where: str
) -> tuple[Expr, dict[State, Expr]]:
    """Solve p = dL/dv where L is not quadratic in v; a solution must hold at random velocities.

    Parameters are positive where their bounds say so.
    """
    momentum = dict(zip(p, slopes, strict=True))
    positive = {
        s: sp.Dummy(s.name, positive=True)
        for s in L.free_symbols
        if isinstance(s, Parameter) and s.declaration.bounds[0] >= 0.0
    }
    back = {dummy: symbol for symbol, dummy in positive.items()}
    try:
        equations = [(symbol - slope).xreplace(positive) for symbol, slope in momentum.items()]
        found = sp.solve(equations, v, dict=True)
    except NotImplementedError:  # how SymPy says that it found none
        found = []
    lossy = ""
    for solution in found:
        speeds = {symbol: value.xreplace(back) for symbol, value in solution.items()}
        if set(speeds) == set(v) and inverts(speeds, momentum, positive.keys()):
            work = sum(symbol * solution[s] for symbol, s in zip(p, v, strict=True))
            potential, kinetic = L.as_independent(*v, as_Add=True)
            energy = tidy(work - kinetic.xreplace(positive).xreplace(solution)).xreplace(back)
            written = [*speeds.values(), *gradient(energy, p)]
            if keeps_digits(written, momentum, v, positive.keys()):
                return energy - potential, speeds
            lossy = " that keeps its digits in floating point"
    relations = "; ".join(f"{a} = {b}" for a, b in momentum.items())
    signs = [s for s in symbols_in(slopes) if isinstance(s, Parameter) and s not in positive]
    hint = f"If {_names(signs)} cannot be negative, declare bounds=(0, ...). " if signs else ""
    raise ModelError(
        f"{where}: no closed form{lossy} was found of the velocities {_names(v)} in the momenta, "
        f"one for all signs: {relations}. {hint}Otherwise solve for them by hand and use "
        "Model.from_hamiltonian."
    )


def _refuse_degenerate(rank: int, kernel: np.ndarray, v: tuple[State, ...], where: str) -> None:
    loose = [s for s, column in zip(v, kernel.T, strict=True) if np.abs(column).max() > 1e-6]
    raise ModelError(
        f"{where}: the Lagrangian is degenerate: the momenta p = dL/dv do not determine "
        f"{_names(loose or v)} (the matrix d2L/dv2 has rank {rank}, expected {len(v)}). If a "
        "coordinate has no kinetic energy of its own, eliminate it with its Euler-Lagrange "
        "equation, which is a constraint; if two say the same, keep independent ones; or write "
        "the constrained system with Model.from_hamiltonian or sd.Model."
    )


def _momenta(
    given: State | Sequence[State] | None,
    q: tuple[State, ...],
    used: Sequence[Symbol],
    where: str,
) -> tuple[State, ...]:
    """Return the momenta; `used` are the other symbols of the Lagrangian."""
    made = given if given is not None else tuple(State(f"p_{symbol.name}") for symbol in q)
    momenta = pairs(q, made, where)[1]
    taken = {symbol.name for symbol in used}
    for symbol, momentum in zip(q, momenta, strict=True):
        if momentum.name in taken:
            raise ModelError(
                f"{where}: the momentum of {symbol} would be called {momentum.name!r}, which is "
                "another symbol of the Lagrangian or a velocity. Give momenta names of their own: "
                "momenta=sd.states(...)."
            )
    return momenta


def _replaced(expression: Expr | float, values: Mapping[Symbol, Symbol]) -> Expr | float:
    return expression.xreplace(values) if isinstance(expression, sp.Basic) else expression


def _names(symbols: Sequence[Symbol]) -> str:
    return ", ".join(str(symbol) for symbol in symbols)
