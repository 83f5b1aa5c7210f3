"""A model's equations as LaTeX and a model as HTML, for notebooks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import sympy as sp

from symda.declare.site import SiteState, StateField
from symda.declare.symbols import Declared, Forcing, Parameter, State, StepParameter

if TYPE_CHECKING:
    from symda.declare.model import Model

#: Equations, and rows of a table, that a notebook shows.
SHOWN = 12
#: Characters of a name that mean something in formulas -> what prints them there.
SIGNS = {"\\": r"\backslash ", "^": r"\hat{}", "`": r"\grave{}", "~": r"\sim ", " ": r"\ "}
SIGNS |= {character: "\\" + character for character in "#$%&_{}"}


def model_latex(model: Model, left: Sequence[State], right: Sequence[sp.Expr]) -> str:
    """Return the equations as one display for MathJax, the first `SHOWN` of them."""
    used = {symbol for expression in right for symbol in expression.free_symbols}
    # a symbol of a site knows itself how it is set
    names = {
        symbol: _set(symbol.name)
        for symbol in (*left, *used)
        if isinstance(symbol, Declared) and not isinstance(symbol, SiteState)
    }
    plain = dict(names)
    if model.discrete:
        names |= {s: f"{{{names[s]}}}_{{n}}" for s in names if isinstance(s, State | Forcing)}
    time = "n" if model.discrete else model.time.name if model.time else "t"
    rows = []
    for state, expression in zip(left[:SHOWN], right, strict=False):
        if isinstance(state, StepParameter):
            continue
        own = plain.get(state) or sp.latex(state)
        side = f"{{{own}}}_{{n+1}}" if model.discrete else rf"\frac{{d {own}}}{{d {_set(time)}}}"
        rows.append(f"{side} &= {sp.latex(expression, symbol_names=names)}")
    if len(left) > SHOWN:
        rows.append(rf"&\;\;\vdots \quad \text{{{len(left) - SHOWN} more}}")
    body = " \\\\\n".join(rows)
    return mathjax(f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$")


def mathjax(latex: str) -> str:
    """Return LaTeX for a page, where what looks like a tag of HTML would be one."""
    return latex.replace("<", r"\lt ").replace(">", r"\gt ")


def model_html(model: Model, symbols: Sequence[State | StateField]) -> str:
    """Return name, equations and declarations of a model as HTML; MathJax sets the equations."""
    rows = [*_rows(symbols), *_rows(model.parameters)]
    rows += [(escape(f.name), "forcing", "", "", "") for f in model.forcing]
    head = "".join(f"<th>{name}</th>" for name in ("", "is", "bounds", "start", "value"))
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<p><code>{escape(repr(model))}</code></p>{escape(model._repr_latex_())}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _rows(symbols: Sequence[State | StateField | Parameter]) -> Iterator[tuple[str, ...]]:
    for symbol in symbols[:SHOWN]:
        kind = type(symbol).kind_name if isinstance(symbol, Declared) else "Field"
        value = getattr(symbol, "value", None)
        start = "" if symbol.start is None or value is not None else _range(symbol.start)
        cells = (symbol.name, kind.lower(), _range(symbol.bounds), start)
        yield (*map(escape, cells), "" if value is None else f"{value:.6g}")
    if len(symbols) > SHOWN:
        yield (f"and {len(symbols) - SHOWN} more", "", "", "", "")


def _range(pair: Iterable[float]) -> str:
    low, high = pair
    return "" if math.isinf(low) and math.isinf(high) else f"{low:.6g} .. {high:.6g}"


def _set(name: str) -> str:
    """Return a name that SymPy sets well as it does, any other upright as it is."""
    if name.replace("_", "").isalnum():
        latex: str = sp.latex(sp.Symbol(name))
        return latex
    return rf"\mathrm{{{''.join(SIGNS.get(character, character) for character in name)}}}"
