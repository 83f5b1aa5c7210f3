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
_LOGIC = frozenset({*_RELATIONS, "not", "and", "or", "if_else_zero"})


@dataclass(frozen=True)
class Dialect:
    """How numbers are spelled."""

    real: str = "double"  #: Type of the numbers a routine computes with.
    #: Where `real` holds a number for each of several paths: the inputs that are one plain double
    #: for all of them. None: every number is a plain double.
    shared: frozenset[str] | None = None
    #: Types of a routine's inputs and outputs, where they are to be told apart.
    source: str = ""
    target: str = ""

    def declaration(self, name: str, *, output: bool = False) -> str:
        """Write an argument of a routine."""
        if output:
            return f"{self.target or f'{self.real}*'} {name}"
        if name == "t":
            return f"{'double' if self.shares(name) else self.real} t"
        if name in ("u", "point", "own") and self.shares(name):
            return f"const double* {name}"
        return f"{self.source or f'const {self.real}*'} {name}"

    def shares(self, name: str) -> bool:
        """Whether an input is a plain double for all paths."""
        return self.shared is None or name in self.shared


@dataclass(frozen=True)
class Body:
    """Statements of a routine: one chunk, or several that share ``v``, `shared` numbers.

    `real` is the type of those; `signature` declares its arguments, `names` passes them on.
    """

    chunks: tuple[tuple[str, ...], ...]
    shared: int
    real: str
    signature: str
    names: str

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


@dataclass(frozen=True)
class Operand:
    """An expression: how tightly it binds, and whether it holds a number for each path."""

    words: str
    strength: int
    wide: bool

    @property
    def widened(self) -> str:
        """The expression with a number for each path."""
        return self.words if self.wide else f"splat({self.words})"


def format_body(
    routine: Routine,
    scalars: frozenset[str] = frozenset({"t"}),
    dialect: Dialect = Dialect(),
) -> Body:
    """Write a routine as assignments to its outputs, folding values that are used once.

    Parameters
    ----------
    routine : Routine
        The routine.
    scalars : frozenset of str
        Inputs passed by value instead of by pointer.
    dialect : Dialect
        How numbers are spelled.
    """
    lanes = dialect.shared is not None
    uses: Counter[int] = Counter()
    for value in routine.values:
        for argument in value.args:
            # a square names its argument twice in the text
            uses[argument] += 2 if value.op == "sq" else 1
    for result in routine.results:
        uses.update(index for index in result if index >= 0)

    text: dict[int, Operand] = {}
    statements: list[tuple[int | None, str, frozenset[int]]] = []
    needs: dict[int, frozenset[int]] = {}
    for index, value in enumerate(routine.values):
        if not uses[index]:
            continue
        made = _expression(value, text.__getitem__, scalars, dialect)
        below = frozenset().union(*(needs[a] for a in value.args)) if value.args else frozenset()
        leaf = value.op in ("input", "const")
        if leaf or (uses[index] == 1 and len(made.words) <= LONGEST_FOLD):
            text[index], needs[index] = made, below
        else:
            statements.append((index, made.widened if lanes else made.words, below))
            text[index], needs[index] = Operand(f"{{{index}}}", _ATOM, lanes), frozenset({index})
    zero = Operand("0.0", _ATOM, wide=False)
    for (name, _), result in zip(routine.outputs, routine.results, strict=True):
        for position, index in enumerate(result):
            made, below = (text[index], needs[index]) if index >= 0 else (zero, frozenset())
            words = made.widened if lanes else made.words
            statements.append((None, f"{name}[{position}] = {words}", below))
    declared = [dialect.declaration(name) for name, _ in routine.inputs]
    declared += [dialect.declaration(name, output=True) for name, _ in routine.outputs]
    names = [name for name, _ in (*routine.inputs, *routine.outputs)]
    chunks, crossing = _chunk(statements, dialect.real)
    return Body(chunks, crossing, dialect.real, ", ".join(declared), ", ".join(names))


def _chunk(
    statements: list[tuple[int | None, str, frozenset[int]]], real: str
) -> tuple[tuple[tuple[str, ...], ...], int]:
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
                declare = "" if names[index].startswith("v[") else f"cdef {real} "
                lines.append(f"{declare}{names[index]} = {expression}")
        chunks.append(tuple(lines))
    return tuple(chunks), len(crossing)


def _expression(
    value: Value, text: Callable[[int], Operand], scalars: frozenset[str], dialect: Dialect
) -> Operand:
    op = value.op
    if op == "input":
        name, index = value.argument
        wide = not dialect.shares(name)
        return Operand(name if name in scalars else f"{name}[{index}]", _ATOM, wide)
    if op == "const":
        literal = number(value.number)
        return Operand(literal, _SUM if literal.startswith("-") else _ATOM, wide=False)
    parts = [text(argument) for argument in value.args]
    wide = any(part.wide for part in parts)
    return Operand(*(_lanewise(op, parts) if wide else None) or _plain(op, parts), wide)


def _lanewise(op: str, parts: list[Operand]) -> tuple[str, int] | None:
    """Write what cannot be as for one path: functions, and quotients, where Cython casts."""
    if op in ("div", "inv"):
        upper, lower = parts if op == "div" else [Operand("1.0", _ATOM, wide=False), *parts]
        over = lower.widened if lower.strength == _ATOM or not lower.wide else f"({lower.words})"
        under = upper.widened if upper.strength != _SUM or not upper.wide else f"({upper.words})"
        return f"{under}/{over}", _PRODUCT
    name = op if op in _LOGIC else _FUNCTIONS.get(op)
    if name is None:
        return None
    return f"lanes_{name}({', '.join(part.widened for part in parts)})", _ATOM


def _plain(op: str, parts: list[Operand]) -> tuple[str, int]:
    def wrap(k: int, least: int) -> str:
        part = parts[k]
        return part.words if part.strength >= least else f"({part.words})"

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
        return f"({parts[1].words} if {wrap(0, _PRODUCT)} != 0.0 else 0.0)", _ATOM
    return f"{_FUNCTIONS[op]}({', '.join(part.words for part in parts)})", _ATOM
