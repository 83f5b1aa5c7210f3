"""Titled equations, as plain text, as LaTeX and as MathML."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

import sympy as sp
from sympy import Expr, Symbol
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from symda.declare.typeset import SIGNS, mathjax
from symda.typeset.mathml import math

#: Columns of the plain text.
WIDTH = 100
#: A right-hand side of more LaTeX characters than this is broken between its terms.
LATEX_WIDTH = 200
_INDENT = "  "
#: Names that SymPy sets well; any other is set upright, character by character.
_PLAIN_NAME = re.compile(r"[^\W\d_][^\W_]*(_[^\W_]+)*|\.\.\.")


@dataclass(frozen=True)
class Line:
    """One equation, `left` = `right`, with a remark.

    Parameters
    ----------
    ordered : bool, optional
        True if the terms stand in an order of their own, False to print them in SymPy's.
    """

    left: Expr
    right: Expr
    comment: str = ""
    ordered: bool = False


@dataclass(frozen=True)
class Section:
    """Equations under a title, with a sentence before them."""

    title: str
    lines: tuple[Line, ...]
    note: str = ""


@dataclass(frozen=True)
class Readable:
    """Mathematics to read: print it, or take its LaTeX or MathML.

    Parameters
    ----------
    sections : tuple of Section
        Titled equations.
    """

    sections: tuple[Section, ...]

    def __str__(self) -> str:
        return text_of(self.sections)

    def latex(self) -> str:
        """Return paragraphs with align* environments, to include in a document using amsmath."""
        return latex_of(self.sections)

    def mathml(self) -> str:
        """Return HTML sections whose formulas are MathML, which browsers render themselves."""
        return mathml_of(self.sections)

    def _repr_latex_(self) -> str:
        return aligned_of(self.sections)

    def _repr_html_(self) -> str:
        return self.mathml()


def text_of(sections: Iterable[Section]) -> str:
    """Return the sections as plain text of at most `WIDTH` columns."""
    return "\n\n".join("\n".join(_text_section(section)) for section in sections)


def latex_of(sections: Iterable[Section]) -> str:
    """Return the sections as LaTeX paragraphs with an align* environment each (amsmath)."""
    parts = []
    for section in sections:
        note = f" {_escape_text(section.note)}" if section.note else ""
        parts.append(rf"\paragraph{{{_escape_text(section.title)}.}}{note}")
        if section.lines:
            rows = " \\\\\n".join(row for line in section.lines for row in _latex_rows(line))
            parts.append(f"\\begin{{align*}}\n{rows}\n\\end{{align*}}")
    return "\n".join(parts) + "\n"


def aligned_of(sections: Iterable[Section]) -> str:
    """Return the sections as one display for MathJax."""
    rows = []
    for section in sections:
        rows.append(rf"&\textbf{{{_escape_text(section.title)}}}")
        if section.note:
            rows += [rf"&\text{{{_escape_text(part)}}}" for part in textwrap.wrap(section.note, 90)]
        rows += [row for line in section.lines for row in _latex_rows(line)]
    body = " \\\\\n".join(rows)
    return mathjax(f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$")


def mathml_of(sections: Iterable[Section]) -> str:
    """Return the sections as HTML: headings, paragraphs and a MathML formula for each equation."""
    parts = []
    for section in sections:
        parts.append(f"<section>\n<h3>{escape(section.title)}</h3>")
        if section.note:
            parts.append(f"<p>{escape(section.note)}</p>")
        for line in section.lines:
            left, *rows = _latex_sides(line)
            parts.append(math(f"{left} &= {rows[0]}", *rows[1:], comment=line.comment))
        parts.append("</section>")
    return "\n".join(parts) + "\n"


def latex_part(expression: Expr, *, ordered: bool = False) -> str:
    """Return one expression as LaTeX."""
    latex: str = _Latex({"order": "none"} if ordered else {}).doprint(expression)
    return latex


def text_part(expression: Expr, *, ordered: bool = False) -> str:
    """Return one expression as plain text."""
    text: str = _Text({"order": "none"} if ordered else {}).doprint(expression)
    # Inside of an index there are no blanks: x[n+1], r[n,a].
    return re.sub(r"\[[^\[\]]*\]", lambda index: index[0].replace(" ", ""), text)


def _text_section(section: Section) -> Iterator[str]:
    yield section.title
    yield "-" * len(section.title)
    if section.note:
        yield from _wrapped(section.note, _INDENT)
    if section.note and section.lines:
        yield ""
    for line in section.lines:
        yield from _text_line(line)


def _text_line(line: Line) -> list[str]:
    left = text_part(line.left, ordered=line.ordered)
    right = text_part(line.right, ordered=line.ordered)
    if len(left) + len(right) > WIDTH:
        # Products too long for a line may break behind a factor.
        right = re.sub(r"\S{60,}", _loosened, right)
    # A line breaks before a sign, never behind it, and not between a sum and its limits.
    glued = re.sub(r" ([+-]) ", " \\1\N{NO-BREAK SPACE}", right)
    glued = re.sub(r"(?:sum|integral)_\{[^{}]*\} ", lambda limits: _glue(limits[0]), glued)
    glued = _glue(f"{left} = ") + glued
    rows = _wrapped(glued, 2 * _INDENT, first=_INDENT)
    rows = [row.replace("\N{NO-BREAK SPACE}", " ") for row in rows]
    if line.comment:
        comment = f"({line.comment})"
        if len(rows[-1]) + 3 + len(comment) <= WIDTH:
            rows[-1] += f"   {comment}"
        else:
            rows += _wrapped(comment, 3 * _INDENT)
    return rows


def _glue(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _loosened(product: re.Match[str]) -> str:
    return re.sub(r"(?<!\*)\*(?!\*)", "* ", product[0])


def _wrapped(text: str, indent: str, first: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _latex_rows(line: Line) -> Iterator[str]:
    comment = rf" && \text{{{_escape_text(line.comment)}}}" if line.comment else ""
    left, *rows = _latex_sides(line)
    yield f"{left} &= {rows[0]}" + (comment if len(rows) == 1 else "")
    for position, row in enumerate(rows[1:], start=2):
        yield rf"&\quad {row}" + (comment if position == len(rows) else "")


def _latex_sides(line: Line) -> list[str]:
    """Return the left-hand side, then the rows of the right-hand side."""
    left = latex_part(line.left, ordered=line.ordered)
    return [left, *_latex_terms(line.right, ordered=line.ordered)]


def _latex_terms(expression: Expr, *, ordered: bool) -> Iterator[str]:
    unbroken = latex_part(expression, ordered=ordered)
    if len(unbroken) <= LATEX_WIDTH or not expression.is_Add:
        yield unbroken
        return
    row = ""
    printer = _Latex({"order": "none"} if ordered else {})
    for term in printer._as_ordered_terms(expression):
        latex = latex_part(term, ordered=ordered)
        signed = latex if latex.startswith("-") or not row else f"+ {latex}"
        if row and len(row) + len(signed) > LATEX_WIDTH:
            yield row
            row = signed if signed.startswith(("-", "+")) else f"+ {signed}"
        else:
            row = f"{row} {signed}".strip()
    yield row


def _escape_text(text: str) -> str:
    """Escape running text for LaTeX."""
    words = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"}
    words |= {character: "\\" + character for character in "#$%&_{}"}
    return "".join(words.get(character, character) for character in text)


class _PositiveFirst:
    """Begins a sum with a positive term: y - x, not -x + y."""

    def _as_ordered_terms(self, expression: Expr, order: str | None = None) -> list[Expr]:
        terms: list[Expr] = super()._as_ordered_terms(expression, order)  # type: ignore[misc]  # of the printers
        first = next((n for n, t in enumerate(terms) if not t.could_extract_minus_sign()), 0)
        if (order or self._settings.get("order")) != "none":  # type: ignore[attr-defined]  # as above
            terms.insert(0, terms.pop(first))
        return terms


class _Text(_PositiveFirst, StrPrinter):  # type: ignore[misc]  # SymPy ships no types, so its classes are Any
    def _print_Sum(self, expression: sp.Sum) -> str:
        limits = ", ".join(
            f"{index}={low}..{self._print(high)}".replace(" ", "")
            for index, low, high in reversed(expression.limits)
        )
        return f"sum_{{{limits}}} ({self._print(expression.function)})"

    def _print_Integral(self, expression: sp.Integral) -> str:
        ((variable, low, high),) = expression.limits
        return f"integral_{{{variable}={low}..{high}}} ({self._print(expression.function)})"


class _Latex(_PositiveFirst, LatexPrinter):  # type: ignore[misc]  # as above
    def _print_Sum(self, expression: sp.Sum) -> str:
        signs = "".join(
            rf"\sum_{{{self._print(index)}={self._print(low)}}}^{{{self._print(high)}}} "
            for index, low, high in reversed(expression.limits)
        )
        body = self._print(expression.function)
        return signs + (rf"\left({body}\right)" if expression.function.is_Add else body)

    def _print_Integral(self, expression: sp.Integral) -> str:
        ((variable, low, high),) = expression.limits
        body = self._print(expression.function)
        if expression.function.is_Add or expression.function.could_extract_minus_sign():
            body = rf"\left({body}\right)"
        sign = rf"\int_{{{self._print(low)}}}^{{{self._print(high)}}}"
        return rf"{sign} {body} \, d {self._print(variable)}"

    def _print_Symbol(self, expression: Symbol, style: str = "plain") -> str:
        name: str = expression.name
        if name == "...":
            return r"\ldots"
        if _PLAIN_NAME.fullmatch(name):
            latex: str = super()._print_Symbol(expression, style)
            return latex
        return rf"\mathrm{{{''.join(SIGNS.get(character, character) for character in name)}}}"
