"""Where equations and measured quantities jump or have a kink: where minimisers may stop, by name.

Solvers follow derivatives. Where a path sits on the zero of g in Abs(g), Max(a, b) or a Piecewise,
the slope on one side says nothing about the other, and no step may be found. `kinks` lists those
places, `along` evaluates every g on a path; a path that stopped at one has g = 0 there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import sympy as sp
from sympy import Basic, Expr, Symbol
from sympy.core.relational import Relational

from symda.declare import Declaration, LatticeModel, Measurement, Model, Parameter, State, Time
from symda.derive.translate import to_casadi
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca

Kind: TypeAlias = Literal["state", "channel"]

#: Functions that are not smooth.
_KINKED = (
    sp.Abs,
    sp.Heaviside,
    sp.Max,
    sp.Min,
    sp.Mod,
    sp.Piecewise,
    sp.ceiling,
    sp.floor,
    sp.sign,
)

#: Random lines on which a zero of g is looked for, points on each, and zeros that are enough.
_LINES, _POINTS, _ENOUGH = 60, 21, 5

#: Distance to either side of a zero, and of what its slopes are compared with; shares of the line.
_ASIDE, _NEAR = 1e-8, 1e-2


@dataclass(frozen=True)
class Kink:
    """A place where a right-hand side or measured quantity is not smooth."""

    #: "state" or "channel": whether `name` is the state whose equation holds it, or a measured
    #: channel.
    kind: Kind
    name: str  #: Name of the state or channel.
    text: str  #: The function, as in ``Abs(x - 1)``.
    zero: Expr  #: g, which is 0 there.
    #: "jump", "kink" or "may": whether the value jumps or the slope does; "may" where no zero of g
    #: was found to tell.
    effect: Literal["jump", "kink", "may"]

    @property
    def words(self) -> str:
        """What and where, to end a sentence with."""
        place = "the equation of" if self.kind == "state" else "the measured quantity"
        does = {"jump": "jumps", "kink": "has a kink", "may": "may have a kink"}[self.effect]
        return f"{place} {self.name} {does} where {self.zero} = 0, by {self.text}"


def kinks(model: Model, measurement: Measurement) -> tuple[Kink, ...]:
    """List the jumps and kinks of a model's equations and measured quantities.

    Returns
    -------
    tuple of Kink
        Those whose place depends on states or parameters: what is known beforehand, such as a jump
        in time, stops no minimiser. Cases that meet with equal values and slopes are left out, by
        values at random points. Empty for a lattice.
    """
    if isinstance(model, LatticeModel):
        return ()
    names = [state.name for state in model.states]
    given: list[tuple[Kind, Iterable[tuple[str, Expr]]]] = [
        ("state", zip(names, model.equations, strict=True)),
        ("channel", zip(measurement.names, measurement.functions, strict=True)),
    ]
    declared = measurement.declarations(model)
    found: dict[tuple[str, str, Expr], Kink] = {}
    for kind, pairs in given:
        for name, expression in pairs:
            for node, zero in _zeros(expression):
                unknown = any(isinstance(s, State | Parameter) for s in zero.free_symbols)
                if not unknown or (kind, name, zero) in found:
                    continue
                effect = _effect(expression, zero, declared)
                if effect is not None:
                    key = (kind, name, zero)
                    found[key] = Kink(kind, name, sp.sstr(node, full_prec=False), zero, effect)
    return tuple(found.values())


def along(
    found: tuple[Kink, ...],
    model: Model,
    measurement: Measurement,
    X: FloatArray,
    u: FloatArray,
    theta: FloatArray,
    times: FloatArray,
) -> FloatArray:
    """Evaluate g of each kink on a path.

    Parameters
    ----------
    found : tuple of Kink, (K,)
    model, measurement
        What `found` was found in.
    X : (M, D)
        A path.
    u : (M, U)
        Forcing at its points.
    theta : (P,)
        Parameters, the model's and then those of the measurement only.
    times : (M,)

    Returns
    -------
    (M, K)
    """
    if not found:
        return np.zeros((len(X), 0))
    symbols = [*model.states, *model.forcing, *model.parameters, *measurement.parameters]
    columns = [*np.transpose(X), *np.transpose(u), *np.repeat(theta[:, None], len(X), axis=1)]
    if model.time is not None:
        symbols.append(model.time)
        columns.append(times)
    function = _function([kink.zero for kink in found], symbols)
    return np.asarray(function(np.array(columns)).full(), dtype=np.float64).T.copy()


def _zeros(expression: Expr) -> Iterator[tuple[Basic, Expr]]:
    """Yield each function that is not smooth with the expressions that are 0 where it is not."""
    if not expression.has(*_KINKED):
        return
    for node in sp.preorder_traversal(expression):
        if isinstance(node, sp.Abs | sp.sign | sp.Heaviside):
            yield node, node.args[0]
        elif isinstance(node, sp.floor | sp.ceiling):
            yield node, sp.sin(sp.pi * node.args[0])
        elif isinstance(node, sp.Mod):
            yield node, sp.sin(sp.pi * node.args[0] / node.args[1])
        elif isinstance(node, sp.Max | sp.Min):
            for one, other in combinations(sorted(node.args, key=lambda a: a.sort_key()), 2):
                yield node, other - one
        elif isinstance(node, sp.Piecewise):
            for relation in sorted(
                {r for pair in node.args for r in pair.cond.atoms(Relational)}, key=str
            ):
                yield node, relation.lhs - relation.rhs


def _function(expressions: list[Expr], symbols: list[Symbol]) -> ca.Function:
    """Return a function of one column of all symbols that stacks the expressions."""
    import casadi as ca

    z = ca.SX.sym("z", len(symbols))
    values = to_casadi(expressions, dict(zip(symbols, ca.vertsplit(z), strict=True)))
    return ca.Function("g", [z], [ca.vertcat(*values)])


def _effect(
    expression: Expr, zero: Expr, declared: Mapping[State | Parameter, Declaration]
) -> Literal["jump", "kink", "may"] | None:
    """Compare both sides of zeros of g on random lines; None if the expression is smooth there."""
    import casadi as ca

    symbols = sorted(expression.free_symbols | zero.free_symbols, key=lambda s: s.sort_key())
    z = ca.SX.sym("z", len(symbols))
    f, g = to_casadi([expression, zero], dict(zip(symbols, ca.vertsplit(z), strict=True)))
    both = ca.Function("f", [z], [f, ca.densify(ca.gradient(f, z))])
    distance = ca.Function("g", [z], [g])
    rng = np.random.default_rng(0)
    jumps = kinks = compared = 0
    for n in range(_LINES):
        start, end = (_draw(symbols, declared, rng, 10.0 ** (n % 4)) for _ in range(2))
        at = _crossing(distance, start, end)
        if at is None:
            continue
        shares = [at - _ASIDE, at + _ASIDE, at - _NEAR, at + _NEAR]
        values, slopes = zip(
            *(both(start + share * (end - start)) for share in shares), strict=True
        )
        left, right, *_ = map(float, values)
        by = np.array([slope.full().ravel() for slope in slopes]) * (end - start)
        if not np.isfinite([left, right, *by.ravel()]).all():
            continue
        compared += 1
        # a slope that is 0 at the zero itself is compared with those nearby
        largest = float(np.abs(by).sum(axis=1).max())
        rounding = 1e-14 * max(abs(left), abs(right))
        jumps += abs(right - left) > 10.0 * (2 * _ASIDE * largest + rounding)
        kinks += bool(np.abs(by[1] - by[0]).max() > 1e-4 * largest)
        if compared == _ENOUGH:
            break
    if not compared:
        return "may"
    return "jump" if jumps else "kink" if kinks else None


def _draw(
    symbols: list[Symbol],
    declared: Mapping[State | Parameter, Declaration],
    rng: np.random.Generator,
    scale: float,
) -> FloatArray:
    """Draw a value for each symbol: where its paths start, else of the size `scale`."""
    values = []
    for symbol in symbols:
        own = declared.get(symbol)
        given = own and (own.start or own.bounds)
        low, high = given or ((0.0, scale) if isinstance(symbol, Time) else (-scale, scale))
        low, high = max(low, -scale), min(high, scale)
        if not low < high:
            low, high = given if given and all(map(math.isfinite, given)) else (-scale, scale)
        values.append(rng.uniform(low, high))
    return np.array(values)


def _crossing(distance: ca.Function, start: FloatArray, end: FloatArray) -> float | None:
    """Return where on a line g changes its sign, by bisection; None if it does not."""

    def g(share: float) -> float:
        return float(distance(start + share * (end - start)))

    shares = np.linspace(0.05, 0.95, _POINTS)
    signs = np.sign([g(share) for share in shares])
    changes = np.flatnonzero(signs[1:] * signs[:-1] < 0)
    if not changes.size:
        return None
    low, high = shares[changes[0]], shares[changes[0] + 1]
    for _ in range(52):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.sign(g(middle)) == signs[changes[0]] else (low, middle)
    return float(high)
