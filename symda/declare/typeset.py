"""A model's equations as LaTeX and a model as HTML, for notebooks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TypeAlias

import sympy as sp

from symda.declare.declaration import Declaration
from symda.declare.declared import Declared, Forcing, Time
from symda.declare.site import SiteState, StateField
from symda.declare.symbols import Parameter, State, StepParameter

#: Equations, and rows of a table, that a notebook shows.
SHOWN = 12
#: Characters of a name that mean something in formulas -> what prints them there.
SIGNS = {"\\": r"\backslash ", "^": r"\hat{}", "`": r"\grave{}", "~": r"\sim ", " ": r"\ "}
SIGNS |= {character: "\\" + character for character in "#$%&_{}"}


def model_latex(
    left: Sequence[State | SiteState], right: Sequence[sp.Expr], discrete: bool, time: Time | None
) -> str:
    """Return the equations as one display for MathJax, the first `SHOWN` of them."""
    used = {symbol for expression in right for symbol in expression.free_symbols}
    # a symbol of a site knows itself how it is set
    names = {
        symbol: _set(symbol.name)
        for symbol in (*left, *used)
        if isinstance(symbol, Declared) and not isinstance(symbol, SiteState)
    }
    plain = dict(names)
    if discrete:
        names |= {s: f"{{{names[s]}}}_{{n}}" for s in names if isinstance(s, State | Forcing)}
    clock = "n" if discrete else time.name if time else "t"
    rows = []
    for state, expression in zip(left[:SHOWN], right, strict=False):
        if isinstance(state, StepParameter):
            continue
        own = plain.get(state) or sp.latex(state)
        side = f"{{{own}}}_{{n+1}}" if discrete else rf"\frac{{d {own}}}{{d {_set(clock)}}}"
        rows.append(f"{side} &= {sp.latex(expression, symbol_names=names)}")
    if len(left) > SHOWN:
        rows.append(rf"&\;\;\vdots \quad \text{{{len(left) - SHOWN} more}}")
    body = " \\\\\n".join(rows)
    return mathjax(f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$")


def mathjax(latex: str) -> str:
    """Return LaTeX for a page, where what looks like a tag of HTML would be one."""
    return latex.replace("<", r"\lt ").replace(">", r"\gt ")


Row: TypeAlias = "tuple[State | StateField | Parameter, Declaration | None]"


def model_html(
    title: str, latex: str, parts: Sequence[Sequence[Row]], forcing: Sequence[Forcing]
) -> str:
    """Return name, equations and declarations of a model as HTML; MathJax sets the equations."""
    rows = [row for part in parts for row in _rows(part)]
    rows += [(escape(f.name), "forcing", "", "", "") for f in forcing]
    head = "".join(f"<th>{name}</th>" for name in ("", "is", "bounds", "start", "value"))
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<p><code>{escape(title)}</code></p>{escape(latex)}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _rows(part: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for symbol, declared in part[:SHOWN]:
        kind = symbol.kind_name if isinstance(symbol, Declared) else "Field"
        bounds, start, value = "by site", "by site", None
        if declared is not None:
            bounds, value = _range(declared.bounds), declared.value
            start = "" if declared.start is None or value is not None else _range(declared.start)
        cells = (symbol.name, kind.lower(), bounds, start)
        yield (*map(escape, cells), "" if value is None else f"{value:.6g}")
    if len(part) > SHOWN:
        yield (f"and {len(part) - SHOWN} more", "", "", "", "")


def _range(pair: Iterable[float]) -> str:
    low, high = pair
    return "" if math.isinf(low) and math.isinf(high) else f"{low:.6g} .. {high:.6g}"


def _set(name: str) -> str:
    """Return a name that SymPy sets well as it does, any other upright as it is."""
    if name.replace("_", "").isalnum():
        latex: str = sp.latex(sp.Symbol(name))
        return latex
    return rf"\mathrm{{{''.join(SIGNS.get(character, character) for character in name)}}}"
