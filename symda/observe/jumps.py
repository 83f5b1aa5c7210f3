"""When a forcing jumps: the sides of its jumps that a step sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import sympy

from symda.declare import LatticeModel, Model, Time
from symda.errors import DataError
from symda.observe.forcing import ForcingSource, as_function
from symda.observe.pulses import Pulses
from symda.observe.samples import Samples
from symda.types import FloatArray

#: A jump within this share of a step from one of its ends lies at that end.
NEAR = 1e-6
#: Least and most times at which a condition that is not linear in time is looked at.
_LEAST, _MOST = 20_001, 2_000_001
#: A change of value below this share of its size is no jump.
_SMALL = 1e-9


def jumps(
    source: ForcingSource, time: Time | None, first: float, last: float, *, finest: float = np.inf
) -> FloatArray:
    """Return the times strictly between `first` and `last` at which a forcing jumps.

    Parameters
    ----------
    source
        Held samples jump where their value changes, others never; pulses have steps of their own.
        An expression jumps where a
        condition in time changes: in Piecewise, Heaviside, sign, floor, ceiling and Mod.
    time
        The model's time symbol, if it has one.
    first, last
        The span to look at.
    finest
        The shortest length of time of interest. Conditions that are not linear in time are looked
        at sixteen times as often: two changes within less are not seen.
    """
    if isinstance(source, Pulses):
        return np.empty(0)
    if isinstance(source, Samples):
        at = source.breaks if source.rule == "hold" else np.empty(0)
        return at[(at > first) & (at < last)]
    at = breaks(source, first, last, finest=finest)
    if not at.size:
        return at
    value, aside = as_function(source, time), _aside(at, 0.0)
    try:
        before, after = value(at - aside), value(at + aside)
    except DataError:  # infinite there: said when a step needs it
        return at
    return at[np.abs(after - before) > _SMALL * np.maximum(np.abs(before), np.abs(after))]


def breaks(
    expression: sympy.Expr,
    first: float,
    last: float,
    *,
    finest: float = np.inf,
    known: Mapping[sympy.Symbol, float] | None = None,
) -> FloatArray:
    """Return the times between `first` and `last` where a condition in time only changes.

    Parameters
    ----------
    expression
        Of a forcing, or an equation of a model; conditions in other symbols are passed over.
    first, last, finest
        As for `jumps`.
    known
        Values of symbols besides time, as of parameters.
    """
    found = [
        _crossings(condition, floor, first, last, finest)
        for condition, floor in _conditions(expression, known or {})
    ]
    at = np.unique(np.concatenate(found)) if found else np.empty(0)
    # the same time found twice, up to rounding
    apart = np.diff(at, prepend=-np.inf) > 2.0 * _aside(at, 0.0)
    return at[apart & (at > first) & (at < last)]


def clocked(model: Model) -> tuple[tuple[str, sympy.Expr], ...]:
    """Return what a model's time symbol may switch: names of states, or fields, and equations."""
    if model.time is None:
        return ()
    if isinstance(model, LatticeModel):
        return tuple(zip((f.name for f in model.fields), model.site_equations, strict=True))
    return tuple(zip((s.name for s in model.states), model.equations, strict=True))


def within_steps(
    source: ForcingSource,
    time: Time | None,
    left: FloatArray,
    right: FloatArray,
    abscissae: FloatArray | tuple[float, ...],
) -> FloatArray:
    """Values of a forcing inside of steps, (N, S).

    At an end of a step at which the forcing jumps, its value is the limit from inside. Where it
    jumps inside a step it has the value after the jump from the jump's own time on.

    Parameters
    ----------
    source, time
        As for `evaluate`.
    left, right : (N,)
        Times at which the steps begin and end.
    abscissae : (S,)
        Where in each step, from 0 to 1.

    Raises
    ------
    DataError
        As for `evaluate`.
    """
    c = np.asarray(abscissae, dtype=np.float64)
    when = np.minimum(left[:, None] + c * (right - left)[:, None], right[:, None])
    # the end itself: rounding must not ask samples for a time past their last
    when[:, c == 1.0] = right[:, None]
    return evaluate_within(source, time, when, left=left, right=right)


def evaluate_within(
    source: ForcingSource,
    time: Time | None,
    when: FloatArray,
    *,
    left: FloatArray,
    right: FloatArray,
) -> FloatArray:
    """Do what `within_steps` does, at times `when` (N, S)."""
    h = right - left
    reach = float(NEAR * h.max())
    at = jumps(source, time, left[0] - reach, right[-1] + reach, finest=float(h.min()))
    low, high = inside(at, left, right)
    return as_function(source, time)(np.clip(when, low[:, None], high[:, None]))


def inside(at: FloatArray, left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First and last time of each step, (N,) each, moved into the step where it jumps `at` them."""
    low, high = left.copy(), right.copy()
    if not at.size:
        return low, high
    h = right - left
    for ends, moved, side in ((left, low, 1.0), (right, high, -1.0)):
        after = np.clip(np.searchsorted(at, ends), 0, at.size - 1)
        before = np.maximum(after - 1, 0)
        closer = np.abs(at[after] - ends) <= np.abs(at[before] - ends)
        nearest = np.where(closer, at[after], at[before])
        meets = np.abs(nearest - ends) <= NEAR * h
        moved[meets] = (nearest + side * _aside(nearest, h))[meets]
    return low, high


def off_ends(at: FloatArray, nodes: FloatArray) -> FloatArray:
    """Those of the times `at` that lie inside of a step between `nodes` and not at its ends.

    Of times that are equal up to rounding the first is taken.
    """
    at = np.unique(at)
    step = np.clip(np.searchsorted(nodes, at) - 1, 0, nodes.size - 2)
    reach = NEAR * (nodes[step + 1] - nodes[step])
    apart = np.diff(at, prepend=-np.inf) > reach
    return at[apart & (at > nodes[step] + reach) & (at < nodes[step + 1] - reach)]


def _aside(at: FloatArray, h: FloatArray | float) -> FloatArray:
    """How far from a jump its sides are told apart, whatever was rounded."""
    return np.asarray(64.0 * np.spacing(np.abs(at)) + 1e-12 * h)


def _conditions(
    expression: sympy.Expr, known: Mapping[sympy.Symbol, float]
) -> Iterator[tuple[sympy.Expr, bool]]:
    """Functions of time of which the sign (False) or the floor (True) matters."""
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, sympy.Heaviside | sympy.sign):
            asked, floor = node.args[0], False
        elif isinstance(node, sympy.floor | sympy.ceiling):
            asked, floor = node.args[0], True
        elif isinstance(node, sympy.Mod):
            asked, floor = node.args[0] / node.args[1], True
        elif isinstance(node, sympy.Rel):
            asked, floor = node.lhs - node.rhs, False
        else:
            continue
        asked = asked.xreplace({s: sympy.Float(v) for s, v in known.items()})
        if len(asked.free_symbols) == 1 and all(isinstance(s, Time) for s in asked.free_symbols):
            yield asked, floor


def _crossings(
    condition: sympy.Expr, floor: bool, first: float, last: float, finest: float
) -> FloatArray:
    """Return the times at which a function of time changes its sign, or passes a whole number."""
    (t,) = condition.free_symbols
    slope = sympy.diff(condition, t) if condition.is_polynomial(t) else None
    if slope is not None and slope.is_number and not slope.is_zero:
        offset = condition.subs(t, 0)
        if not floor:
            return np.array([float(-offset / slope)])
        a, b = float(slope), float(offset)
        lowest, highest = sorted((a * first + b, a * last + b))
        levels = np.floor(lowest) + np.arange(min(highest - lowest + 2.0, _MOST))
        return np.sort((levels - b) / a)
    count = int(np.clip(16.0 * (last - first) / finest, _LEAST, _MOST))
    function = sympy.lambdify([t], condition, modules=["scipy", "numpy"])

    def side(t: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            raw = np.real(np.broadcast_to(function(t), t.shape)).astype(np.float64)
        return np.floor(raw) if floor else (raw > 0.0).astype(np.float64)

    grid = np.linspace(first, last, count)
    at = side(grid)
    changes = np.flatnonzero(at[1:] != at[:-1])
    low, high, was = grid[changes], grid[changes + 1], at[changes]
    for _ in range(64):
        middle = 0.5 * (low + high)
        same = side(middle) == was
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return high
