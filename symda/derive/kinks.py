"""Where equations and measured quantities jump or have a kink: where minimisers may stop, by name.

Solvers follow derivatives. Where a path sits on the zero of g in Abs(g), Max(a, b) or a Piecewise,
the slope on one side says nothing about the other, and no step may be found. `kinks` lists those
places, `along` evaluates every g on a path; a path that stopped at one has g = 0 there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import sympy as sp
from sympy import Basic, Expr, Symbol
from sympy.core.relational import Relational

from symda.declare import Declaration, LatticeModel, Measurement, Model, Parameter, State, Time
from symda.derive.translate import to_casadi
from symda.types import BoolArray, FloatArray, IntArray

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

#: Random lines on which a zero of g is looked for, points on each, how often the interval between
#: two of them is divided by as many until doubles end, and zeros that are enough.
_LINES, _POINTS, _FINER, _ENOUGH = 60, 21, 12, 5

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
    held: dict[tuple[Kind, str, Expr], dict[Expr, Basic]] = {}
    for kind, pairs in given:
        for name, expression in pairs:
            zeros: dict[Expr, Basic] = {}
            for node, zero in _zeros(expression):
                if any(isinstance(s, State | Parameter) for s in zero.free_symbols):
                    zeros.setdefault(zero, node)
            if zeros:
                held[kind, name, expression] = zeros
    found, text = [], cache(partial(sp.sstr, full_prec=False))
    values = _translated(
        [one for (_, _, expression), zeros in held.items() for one in (expression, *zeros)]
    )
    for (kind, name, expression), zeros in held.items():
        lines = _Lines(values, expression, zeros, declared)
        for k, (zero, node) in enumerate(zeros.items()):
            effect = lines.effect(k)
            if effect is not None:
                found.append(Kink(kind, name, text(node), zero, effect))
    return tuple(found)


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


def _translated(expressions: list[Expr]) -> dict[Expr, ca.SX]:
    """Translate expressions and their symbols, each part that several share once."""
    import casadi as ca

    symbols = sorted(set().union(*(e.free_symbols for e in expressions)), key=lambda s: s.name)
    values: dict[Expr, ca.SX] = {symbol: ca.SX.sym(symbol.name) for symbol in symbols}
    distinct = list(dict.fromkeys(expressions))
    return values | dict(zip(distinct, to_casadi(distinct, values), strict=True))


def _function(expressions: list[Expr], symbols: list[Symbol]) -> ca.Function:
    """Return a function of one column of all symbols that stacks the expressions."""
    import casadi as ca

    z = ca.SX.sym("z", len(symbols))
    values = to_casadi(expressions, dict(zip(symbols, ca.vertsplit(z), strict=True)))
    return ca.Function("g", [z], [ca.vertcat(*values)])


class _Lines:
    """An expression and its g on random lines through its symbols.

    Parameters
    ----------
    values : mapping of Expr to SX
        Of the expression, its symbols, and every g.
    expression : Expr
    zeros : iterable of Expr
        Every g.
    declared : mapping of State or Parameter to Declaration
        Where lines lie.
    """

    def __init__(
        self,
        values: Mapping[Expr, ca.SX],
        expression: Expr,
        zeros: Iterable[Expr],
        declared: Mapping[State | Parameter, Declaration],
    ) -> None:
        import casadi as ca

        symbols = sorted(expression.free_symbols, key=lambda s: s.sort_key())
        z = ca.vertcat(*(values[symbol] for symbol in symbols))
        f = values[expression]
        self.both = ca.Function("f", [z], [ca.vertcat(f, ca.densify(ca.gradient(f, z)))])
        self.distances = [ca.Function("g", [z], [values[zero]]) for zero in zeros]
        rng = np.random.default_rng(0)
        ends = [
            [_draw(symbols, declared, rng, 10.0 ** (n % 4)) for _ in range(2)]
            for n in range(_LINES)
        ]
        self.start, end = np.moveaxis(np.array(ends), 1, 0)
        self.along = end - self.start
        every = ca.Function("g", [z], [ca.vertcat(*(values[zero] for zero in zeros))])
        self.shares = np.linspace(0.05, 0.95, _POINTS)
        shares = np.repeat(self.shares[:, None], _LINES, axis=1)
        self.signs = np.sign(self._at(every, np.arange(_LINES), shares))

    def effect(self, k: int) -> Literal["jump", "kink", "may"] | None:
        """Compare both sides of zeros of g number k; None if the expression is smooth there."""
        signs = self.signs[..., k]
        changes = signs[1:] * signs[:-1] < 0
        lines = np.flatnonzero(changes.any(axis=0))
        after = 1 + changes.argmax(axis=0)
        jumps, kinks = np.zeros((2, 0), dtype=bool)
        for begun in range(0, lines.size, _ENOUGH):
            several = lines[begun : begun + _ENOUGH]
            low, high = (self.shares[after[several] - one] for one in (1, 0))
            at = self._crossings(self.distances[k], several, low, high)
            jump, kink = self._compare(several, at)
            jumps, kinks = np.append(jumps, jump), np.append(kinks, kink)
            if jumps.size >= _ENOUGH:
                break
        if not jumps.size:
            return "may"
        return "jump" if jumps[:_ENOUGH].any() else "kink" if kinks[:_ENOUGH].any() else None

    def _compare(self, lines: IntArray, at: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Return whether values, and slopes, differ on both sides; of lines on which they exist."""
        shares = at + np.array([[-_ASIDE], [_ASIDE], [-_NEAR], [_NEAR]])
        evaluated = self._at(self.both, lines, shares)
        values, by = evaluated[:2, :, 0], evaluated[..., 1:] * self.along[lines]
        usable = np.isfinite(values).all(axis=0) & np.isfinite(by).all(axis=(0, 2))
        (left, right), by = values[:, usable], by[:, usable]
        # a slope that is 0 at the zero itself is compared with those nearby
        largest = np.abs(by).sum(axis=2).max(axis=0)
        rounding = 1e-14 * np.maximum(np.abs(left), np.abs(right))
        jumps = np.abs(right - left) > 10.0 * (2 * _ASIDE * largest + rounding)
        return jumps, np.abs(by[1] - by[0]).max(axis=1) > 1e-4 * largest

    def _at(self, function: ca.Function, lines: IntArray, shares: FloatArray) -> FloatArray:
        """Evaluate a function at shares (S, L) of L lines, (S, L, size of its value)."""
        points = self.start[lines] + shares[..., None] * self.along[lines]
        values = function(points.reshape(-1, points.shape[-1]).T).full()
        return np.asarray(values.T.reshape(*shares.shape, -1))

    def _crossings(
        self, distance: ca.Function, lines: IntArray, low: FloatArray, high: FloatArray
    ) -> FloatArray:
        """Return where g changes its sign between two shares of each line, to rounding."""
        for _ in range(_FINER):
            shares = np.linspace(low, high, _POINTS)
            signs = np.sign(self._at(distance, lines, shares)[..., 0])
            after = 1 + (signs[1:] != signs[0]).argmax(axis=0)
            low, high = (shares[after - one, range(lines.size)] for one in (1, 0))
        return high


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
