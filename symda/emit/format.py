"""Routines in SSA form -> readable statements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from symda.lower import Routine, Value

#: An expression used once is folded into its user up to this many characters.
LONGEST_FOLD = 72
#: Statements a function may have before it is split, so that compile time stays linear.
CHUNK = 250

_SUM, _PRODUCT, _ATOM = 1, 2, 3
_FUNCTIONS = {
    name: name
    for name in "exp log sqrt sin cos tan asin acos atan floor fmod sign copysign erf fmin fmax "
    "sinh cosh tanh asinh acosh atanh atan2 log1p expm1 hypot".split()
} | {"ceil": "ceil", "fabs": "fabs", "pow": "pow", "constpow": "pow"}
_RELATIONS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}


@dataclass(frozen=True)
class Body:
    """Statements of a routine: one chunk, or several that share ``v``, `shared` numbers."""

    chunks: tuple[tuple[str, ...], ...]
    shared: int

    @property
    def split(self) -> bool:
        """Whether the routine needs more than one function."""
        return len(self.chunks) > 1


def number(value: float) -> str:
    """Write a C literal that reads back as the same double."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))


def format_body(routine: Routine, scalars: frozenset[str] = frozenset({"t"})) -> Body:
    """Write a routine as assignments to its outputs, folding values that are used once.

    Parameters
    ----------
    routine : Routine
        The routine.
    scalars : frozenset of str
        Inputs passed by value instead of by pointer.
    """
    uses: Counter[int] = Counter()
    for value in routine.values:
        for argument in value.args:
            # a square names its argument twice in the text
            uses[argument] += 2 if value.op == "sq" else 1
    for result in routine.results:
        uses.update(index for index in result if index >= 0)

    text: dict[int, tuple[str, int]] = {}
    statements: list[tuple[int | None, str, frozenset[int]]] = []
    needs: dict[int, frozenset[int]] = {}
    for index, value in enumerate(routine.values):
        if not uses[index]:
            continue
        expression, strength = _expression(value, text.__getitem__, scalars)
        below = frozenset().union(*(needs[a] for a in value.args)) if value.args else frozenset()
        leaf = value.op in ("input", "const")
        if leaf or (uses[index] == 1 and len(expression) <= LONGEST_FOLD):
            text[index], needs[index] = (expression, strength), below
        else:
            statements.append((index, expression, below))
            text[index], needs[index] = (f"{{{index}}}", _ATOM), frozenset({index})
    for (name, _), result in zip(routine.outputs, routine.results, strict=True):
        for position, index in enumerate(result):
            expression, below = (
                (text[index][0], needs[index]) if index >= 0 else ("0.0", frozenset())
            )
            statements.append((None, f"{name}[{position}] = {expression}", below))
    return _chunk(statements)


def _chunk(statements: list[tuple[int | None, str, frozenset[int]]]) -> Body:
    groups = [statements[i : i + CHUNK] for i in range(0, len(statements), CHUNK)] or [[]]
    home = {
        index: g for g, group in enumerate(groups) for index, _, _ in group if index is not None
    }
    crossing = sorted(
        {
            i
            for g, group in enumerate(groups)
            for _, _, below in group
            for i in below
            if home[i] != g
        }
    )
    names = {index: f"v{n}" for n, index in enumerate(sorted(home))}
    names |= {index: f"v[{n}]" for n, index in enumerate(crossing)}
    chunks = []
    for group in groups:
        lines = []
        for index, expression, below in group:
            for used in below:
                expression = expression.replace(f"{{{used}}}", names[used])
            if index is None:
                lines.append(expression)
            else:
                declare = "" if names[index].startswith("v[") else "cdef double "
                lines.append(f"{declare}{names[index]} = {expression}")
        chunks.append(tuple(lines))
    return Body(tuple(chunks), len(crossing))


def _expression(
    value: Value, text: Callable[[int], tuple[str, int]], scalars: frozenset[str]
) -> tuple[str, int]:
    op = value.op
    if op == "input":
        name, index = value.argument
        return (name if name in scalars else f"{name}[{index}]"), _ATOM
    if op == "const":
        literal = number(value.number)
        return literal, _SUM if literal.startswith("-") else _ATOM
    parts = [text(argument) for argument in value.args]

    def wrap(k: int, least: int) -> str:
        expression, strength = parts[k]
        return expression if strength >= least else f"({expression})"

    if op == "add":
        return f"{wrap(0, _SUM)} + {wrap(1, _PRODUCT)}", _SUM
    if op == "sub":
        return f"{wrap(0, _SUM)} - {wrap(1, _PRODUCT)}", _SUM
    if op == "mul":
        return f"{wrap(0, _PRODUCT)}*{wrap(1, _ATOM)}", _PRODUCT
    if op == "div":
        return f"{wrap(0, _PRODUCT)}/{wrap(1, _ATOM)}", _PRODUCT
    if op == "inv":
        return f"1.0/{wrap(0, _ATOM)}", _PRODUCT
    if op == "neg":
        return f"-{wrap(0, _ATOM)}", _SUM
    if op == "twice":
        return f"2.0*{wrap(0, _ATOM)}", _PRODUCT
    if op == "sq":
        return f"{wrap(0, _ATOM)}*{wrap(0, _ATOM)}", _PRODUCT
    if op in _RELATIONS:
        return f"(1.0 if {wrap(0, _PRODUCT)} {_RELATIONS[op]} {wrap(1, _PRODUCT)} else 0.0)", _ATOM
    if op == "not":
        return f"(1.0 if {wrap(0, _PRODUCT)} == 0.0 else 0.0)", _ATOM
    if op in ("and", "or"):
        return (
            f"(1.0 if {wrap(0, _PRODUCT)} != 0.0 {op} {wrap(1, _PRODUCT)} != 0.0 else 0.0)",
            _ATOM,
        )
    if op == "if_else_zero":
        return f"({parts[1][0]} if {wrap(0, _PRODUCT)} != 0.0 else 0.0)", _ATOM
    return f"{_FUNCTIONS[op]}({', '.join(part for part, _ in parts)})", _ATOM
