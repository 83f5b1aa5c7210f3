"""What a scheme steps of states that have a scale, z(x), and derivatives by it, written in x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Symbol

from symda.derive.dynamics import derivative, first_derivatives, second_derivatives
from symda.scale import Scale
from symda.typeset.display import latex_part


@dataclass(frozen=True)
class Coordinate:
    """The z that stands for a state x in the step, x itself if it has no scale."""

    symbol: Symbol  #: x
    scale: Scale

    @property
    def value(self) -> Expr:
        """Return z(x)."""
        found: Expr = self.scale.internal(self.symbol, sp.log)
        return found

    @property
    def slope(self) -> Expr:
        """Return dx/dz, by x."""
        x, scale = self.symbol, self.scale
        if scale.name == "log":
            return x
        if scale.name == "logit":
            return (x - scale.low) * (scale.high - x) / (scale.high - scale.low)
        return sp.S.One

    @property
    def name(self) -> tuple[str, str]:
        """How it is called, as text and LaTeX."""
        name, latex = self.symbol.name, latex_part(self.symbol)
        if self.scale.name is None:
            return name, latex
        function = r"\log" if self.scale.name == "log" else r"\operatorname{logit}"
        return f"{self.scale.name}({name})", rf"{function} {latex}"

    def rate(self, equation: Expr, *, discrete: bool) -> Expr:
        """Return dz/dt of dx/dt, or of a map its next value."""
        if self.scale.name is None:
            return equation
        if discrete:
            following: Expr = self.scale.internal(equation, sp.log)
            return self.value if equation == self.symbol else following
        return _shorter(equation / self.slope)


def first(expressions: Sequence[Expr], by: Sequence[Coordinate]) -> dict[tuple[int, int], Expr]:
    """Differentiate as `first_derivatives`, by z."""
    found = first_derivatives(expressions, [one.symbol for one in by])
    return {
        (a, b): value if by[b].slope == 1 else _shorter(by[b].slope * value)
        for (a, b), value in found.items()
    }


def second(
    expressions: Sequence[Expr], by: Sequence[Coordinate]
) -> dict[tuple[int, int, int], Expr]:
    """Differentiate twice as `second_derivatives`, by z."""
    symbols = [one.symbol for one in by]
    found = second_derivatives(expressions, symbols)
    for a, b in first_derivatives(expressions, symbols) if _any(by) else ():
        if by[b].slope != 1:
            found.setdefault((a, b, b), sp.S.Zero)
    every = {}
    for (a, b, c), value in sorted(found.items()):
        slopes = by[b].slope * by[c].slope
        if slopes != 1:
            value = slopes * value
            if b == c:
                x = symbols[b]
                change = derivative(by[b].slope, x) * by[b].slope
                value += change * derivative(expressions[a], x)
            value = _shorter(value)
        if value != 0:
            every[a, b, c] = value
    return every


def _any(by: Sequence[Coordinate]) -> bool:
    return any(one.scale.name for one in by)


def _shorter(value: Expr) -> Expr:
    """Return the value multiplied out, if that is shorter."""
    return min(value, sp.expand(value), key=lambda one: one.count_ops())
