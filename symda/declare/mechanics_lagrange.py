"""From a Lagrangian to Hamilton's equations: momenta p = dL/dv, and the Legendre transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symda.declare.check import describe
from symda.declare.mechanics import (
    MechanicalModel,
    check_dissipation,
    expression_in,
    force_of_each,
    pairs,
    states_of,
)
from symda.declare.mechanics_generic import (
    generic_rank,
    gradient,
    inverts,
    jacobian,
    solve_linear,
    tidy,
    vanishes,
)
from symda.declare.mechanics_sympy import is_dynamic, without_time
from symda.declare.symbols import UNBOUNDED, Declared, Parameter, State
from symda.errors import ModelError

Coordinates: TypeAlias = State | Expr | Sequence[State] | Sequence[Expr]


def from_lagrangian(
    L: Expr | float,
    q: Coordinates,
    v: Symbol | Sequence[Symbol] | None,
    *,
    momenta: State | Sequence[State] | None,
    forces: Mapping[State, Expr | float] | None,
    dissipation: Expr | float | None,
    name: str,
) -> MechanicalModel:
    """Make the model; see `Model.from_lagrangian`."""
    where = f"Model {name!r}"
    if is_dynamic(q):
        same = without_time(L, q, v, forces, dissipation, where)
        L, q, v, forces, dissipation = same.L, same.q, same.v, same.forces, same.dissipation
    coordinates = states_of(q, "coordinate", where)
    given = _velocities(v, coordinates, where)
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
    p = _momenta(momenta, coordinates, L, where)
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

    Parameters whose bounds do not say otherwise are positive, as masses and lengths are.
    """
    momentum = dict(zip(p, slopes, strict=True))
    positive = {
        s: sp.Dummy(s.name, positive=True)
        for s in L.free_symbols
        if isinstance(s, Parameter) and (s.bounds[0] >= 0.0 or s.bounds == UNBOUNDED)
    }
    back = {dummy: symbol for symbol, dummy in positive.items()}
    try:
        equations = [(symbol - slope).xreplace(positive) for symbol, slope in momentum.items()]
        found = sp.solve(equations, v, dict=True)
    except NotImplementedError:
        found = []
    for solution in found:
        speeds = {symbol: value.xreplace(back) for symbol, value in solution.items()}
        if set(speeds) == set(v) and inverts(speeds, momentum, positive.keys()):
            work = sum(symbol * solution[s] for symbol, s in zip(p, v, strict=True))
            potential, kinetic = L.as_independent(*v, as_Add=True)
            energy = tidy(work - kinetic.xreplace(positive).xreplace(solution))
            return energy.xreplace(back) - potential, speeds
    relations = "; ".join(f"{a} = {b}" for a, b in momentum.items())
    raise ModelError(
        f"{where}: the velocities {_names(v)} do not follow from the momenta in one real closed "
        f"form: {relations}. Solve for them by hand and use Model.from_hamiltonian."
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


def _velocities(
    v: Symbol | Sequence[Symbol] | None, q: tuple[State, ...], where: str
) -> tuple[Symbol, ...]:
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


def _momenta(
    given: State | Sequence[State] | None, q: tuple[State, ...], L: Expr, where: str
) -> tuple[State, ...]:
    if given is not None:
        return pairs(q, given, where)[1]
    made = tuple(State(f"p_{symbol.name}") for symbol in q)
    taken = {symbol.name for symbol in (*q, *L.free_symbols)}
    for symbol in made:
        if symbol.name in taken:
            raise ModelError(
                f"{where}: the momentum of {symbol.name.removeprefix('p_')} would be called "
                f"{symbol.name!r}, which is another symbol of the Lagrangian. Name the momenta: "
                "momenta=sd.states(...)."
            )
    return made


def _replaced(expression: Expr | float, values: Mapping[Symbol, Symbol]) -> Expr | float:
    return expression.xreplace(values) if isinstance(expression, sp.Basic) else expression


def _names(symbols: Sequence[Symbol]) -> str:
    return ", ".join(str(symbol) for symbol in symbols)
