"""Discrete mechanics of an action: discrete Euler-Lagrange equations and momenta."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import Eq, Expr

from symda.typeset.blocks import Blocks, plus
from symda.typeset.display import Line, Readable, Section
from symda.typeset.notation import Mark, at, partial
from symda.typeset.subject import Subject


@dataclass(frozen=True)
class DiscreteEulerLagrange(Readable):
    """The discrete Euler-Lagrange equations D1 L_d[n] + D2 L_d[n-1] + dV[n]/dz[n] = 0.

    They say that the action's gradient by the path is 0. L_d[n](z[n], z[n+1]) is the discrete
    Lagrangian of step n, V[n](z[n]) the data term of a node. Matrices do not commute: these are
    products of names, J0[n] = dr[n]/dz[n] and so on, as in `Action.equations`.

    Attributes
    ----------
    momentum : Eq
        p[n] = W[n] r[n], W the weights of the residual r.
    equations : tuple of Eq
        For n = 0 .. N with the momenta of `boundary`; then, if there are any, of the parameters.
    recursion : Eq
        The same solved for p[n-1], or what multiplies it: backwards from p[N] = 0.
    boundary : tuple of Eq
        p[-1] = p[N] = 0, momenta of steps that do not exist.
    """

    momentum: Eq
    equations: tuple[Eq, ...]
    recursion: Eq
    boundary: tuple[Eq, ...]


def discrete_euler_lagrange(subject: Subject) -> DiscreteEulerLagrange:
    """Derive the discrete Euler-Lagrange equations of an action."""
    of = Blocks(subject)
    J, p = of.J, of.p
    by_state = of.c_m * of.G("0").T * of.Rm * of.e
    left = plus(J("0").T * p(), J("1", -1).T * p(-1), by_state)
    equations = [_equal(left, sp.S.Zero)]
    terms: list[Expr] = []
    if subject.model.parameters:
        terms.append(of.over_steps(J("theta").T * p()))
    if of.measured_by_theta:
        terms.append(of.over_nodes(of.c_m * of.G("theta").T * of.Rm * of.e))
    if terms:
        equations.append(_equal(plus(*terms), sp.S.Zero))
    before = p(-1) if of.explicit else J("1", -1).T * p(-1)
    recursion = _equal(before, plus(-J("0").T * p(), -by_state))
    boundary = tuple(_equal(_momentum(of, index), sp.S.Zero) for index in ("-1", of.notation["N"]))
    momentum = _equal(p(), of.W() * of.r())
    return DiscreteEulerLagrange(
        sections=(
            _action_section(of),
            _definition_section(of),
            _equation_section(of, equations, boundary),
            _recursion_section(of, recursion),
        ),
        momentum=momentum,
        equations=tuple(equations),
        recursion=recursion,
        boundary=boundary,
    )


def _momentum(of: Blocks, index: str) -> Mark:
    return at(of.notation["p"], of.notation.bold("p"), index)


def _names(of: Blocks, shift: int = 0) -> tuple[Mark, Mark]:
    """Return the discrete Lagrangian of a step and the data term of a node."""
    notation, n = of.notation, of.notation.shifted(shift)
    step, node = notation["L_d"], notation["V"]
    letter = step.removesuffix("_d")
    upright = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    latex = node if len(node) == 1 else rf"\mathrm{{{node}}}"
    return Mark(f"{step}[{n}]", rf"{upright}_{{d,{n}}}"), Mark(f"{node}[{n}]", f"{latex}_{{{n}}}")


def _action_section(of: Blocks) -> Section:
    step, node = _names(of)
    A = sp.Symbol(of.notation["A"])
    half = sp.Rational(1, 2)
    kinetic = Mark(f"{of.r().name}.T", f"{of.r().latex}^{{T}}")
    misfit = Mark(f"{of.e.name}.T", f"{of.e.latex}^{{T}}")
    lines = (
        Line(A, plus(of.over_steps(step), of.over_nodes(node)), ordered=True),
        Line(step, sp.Mul(half, kinetic, of.W(), of.r(), evaluate=False), ordered=True),
        Line(node, sp.Mul(half * of.c_m, misfit, of.Rm, of.e, evaluate=False), ordered=True),
    )
    z = of.z
    note = (
        f"{step.name} is the discrete Lagrangian of a step, a function of {z().name} and "
        f"{z(1).name}; {node.name} the data term of a node."
    )
    return Section("Discrete action", lines, note)


def _definition_section(of: Blocks) -> Section:
    note = f"{of.p().name} is the canonical momentum of step {of.notation['n']}."
    return Section("Discrete momenta", tuple(of.definitions()), note)


def _equation_section(of: Blocks, equations: list[Eq], boundary: tuple[Eq, ...]) -> Section:
    J, p, n, N = of.J, of.p, of.notation["n"], of.notation["N"]
    step, node = _names(of)
    by_state = partial((node.name, node.latex), (of.z().name, of.z().latex))
    total = plus(_slope(step, 1), _slope(_names(of, -1)[0], 2), by_state)
    lines = [
        Line(sp.S.Zero, total, ordered=True),
        Line(_slope(step, 1), J("0").T * p(), ordered=True),
        Line(_slope(step, 2), J("1").T * p(), ordered=True),
        *(Line(e.rhs, e.lhs, ordered=True) for e in equations),
        *(Line(e.lhs, e.rhs) for e in boundary),
    ]
    x = of.notation["x"]
    note = (
        f"D1 and D2 differentiate by the first and the second argument. The equations hold for "
        f"{n} = 0 .. {N}, with no momentum before the first step and behind the last; if {x}[0] is "
        f"given, that of {n} = 0 is not needed. They are the gradient of the action."
    )
    if of.interior:
        note += f" The last {of.z().name} has no interior points, nor has its equation."
    return Section("Discrete Euler-Lagrange equations", tuple(lines), note)


def _slope(step: Mark, argument: int) -> Mark:
    return Mark(f"D{argument} {step.name}", rf"\mathrm{{D}}_{{{argument}}} {step.latex}")


def _recursion_section(of: Blocks, recursion: Eq) -> Section:
    N, p = of.notation["N"], of.notation["p"]
    note = f"Backwards from {p}[{N}] = 0: back-propagation of the derivatives of the data term."
    if of.explicit:
        note += f" {of.J('1').name} is the identity."
    line = Line(recursion.lhs, recursion.rhs, ordered=True)
    return Section("Recursion of the momenta", (line,), note)


def _equal(left: Expr, right: Expr) -> Eq:
    return Eq(left, right, evaluate=False)
