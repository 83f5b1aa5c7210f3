"""The LaTeX of this package as MathML that browsers render themselves (MathML Core).

Typesetting is decided once, by the LaTeX printer: this reads what it writes, so a page and a paper
cannot differ. It knows that printer's commands and no others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5
from xml.etree.ElementTree import Element, tostring

#: Commands -> names of characters in HTML, which took most of its names from TeX.
_LETTERS = {
    name: name
    for name in (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
        "upsilon phi chi psi omega varepsilon vartheta varpi varrho varsigma varphi varkappa "
        "digamma Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega aleph beth daleth "
        "gimel ell eth hbar hslash mho wp"
    ).split()
} | {"infty": "infin", "partial": "part"}
_OPERATORS = {name: name for name in "times leq geq ne wedge vee prime".split()} | {
    **{"cdot": "middot", "neq": "ne", "neg": "not", "ldots": "mldr", "|": "Vert"},
    **{"{": "lbrace", "}": "rbrace"},
}
_FENCES = {name: name for name in "lfloor rfloor lceil rceil langle rangle".split()} | {
    **{"{": "lbrace", "}": "rbrace", "|": "Vert"},
}
_ACCENTS = {
    **{"hat": "Hat", "bar": "macr", "dot": "dot", "ddot": "uml", "dddot": "tdot"},
    **{"ddddot": "DotDot", "tilde": "tilde", "vec": "rarr", "check": "caron", "breve": "breve"},
    **{"acute": "acute", "grave": "grave", "mathring": "ring"},
}
_LARGE = {"sum": "sum", "prod": "prod", "int": "int"}
#: Commands -> how HTML ends the names of the letters of an alphabet.
_ALPHABETS = {"mathcal": "scr", "mathscr": "scr", "mathfrak": "fr"}
_FUNCTIONS = frozenset("sin cos tan cot sec csc sinh cosh tanh coth exp log min max det".split())
_SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.33em", "quad": "1em"}
#: What makes brackets grow.
_TALL = frozenset(("mfrac", "mtable", "munderover", "msqrt", "mroot"))
_END = ""
#: Where the sides of an equation meet; a name may hold the two characters as well.
_EQUALS = re.compile(r"(?<!\\)&=")


def math(*rows: str, comment: str = "") -> str:
    r"""Return LaTeX as one ``<math>`` element with a line of its own.

    Parameters
    ----------
    *rows : str
        LaTeX with one ``&=``; if there are several rows, each but the first continues its
        right-hand side. A row without it stands alone.
    comment : str, optional
        Plain text behind the last row.

    Raises
    ------
    ValueError
        For a command that is not known.
    """
    top = Element("math", display="block")
    if len(rows) == 1:
        top.append(_row(mathml(_EQUALS.sub("=", rows[0], count=1))))
    else:
        left, right = _EQUALS.split(rows[0], maxsplit=1)
        table = Element("mtable", displaystyle="true")
        for number, row in enumerate((right, *rows[1:])):
            line = Element("mtr")
            name = mathml(f"{left} =") if number == 0 else []
            line.append(_cell(name, "right"))
            indent = [] if number == 0 else [Element("mspace", width="1em")]
            line.append(_cell([*indent, *mathml(row)], "left"))
            table.append(line)
        top.append(table)
    if comment:
        top.append(Element("mspace", width="2em"))
        top.append(_leaf("mtext", comment))
    return tostring(top, encoding="unicode")


def mathml(latex: str) -> list[Element]:
    """Return the elements of a LaTeX formula, one beside the other.

    Raises
    ------
    ValueError
        For a command that is not known, or braces that do not match.
    """
    reader = _Reader(latex)
    elements = reader.row()
    if reader.position < len(latex):
        raise ValueError(f"LaTeX {latex!r}: unexpected {reader.peek()!r}")
    return elements


class _Reader:
    """Read a formula from left to right; each method consumes what it is named after."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.position = 0

    def peek(self) -> str:
        """Return the next token, behind blanks: a command with its backslash, or a character."""
        start = self.position + len(self._run(self.position, str.isspace))
        rest = self.latex[start : start + 2]
        if not rest.startswith("\\"):
            return rest[:1]
        return "\\" + (self._run(start + 1, str.isalpha) or rest[1:])

    def take(self) -> str:
        """Return the next token and step behind it."""
        token = self.peek()
        self.position += len(self._run(self.position, str.isspace)) + len(token)
        return token

    def expect(self, token: str) -> None:
        """Step behind a token that must follow."""
        if self.take() != token:
            raise ValueError(f"LaTeX {self.latex!r}: expected {token!r} at {self.position}")

    def _run(self, start: int, belongs: Callable[[str], bool]) -> str:
        end = start
        while end < len(self.latex) and belongs(self.latex[end]):
            end += 1
        return self.latex[start:end]

    def row(self) -> list[Element]:
        """Read up to what closes a group, a cell or the formula."""
        elements: list[Element] = []
        loose = False
        while True:
            blank = self.latex[self.position : self.position + 1].isspace()
            token = self.peek()
            if token in (_END, "}", "&", "\\\\", r"\right", r"\end"):
                return elements
            element = self.scripted()
            ordinary = element.tag != "mo" and element.tag != "mspace"
            # LaTeX sets products close together; names of several letters need a gap.
            if loose and blank and ordinary:
                elements.append(Element("mspace", width="0.17em"))
            loose = ordinary and element.get("class") != "partial"
            elements.append(element)

    def scripted(self) -> Element:
        """Read an atom with its subscript and superscript."""
        large = self.peek() in (r"\sum", r"\prod")
        base = self.atom()
        if self.peek() == r"\limits":
            self.take()
            large = True
        scripts: dict[str, Element] = {}
        while (sign := self.peek()) in ("_", "^", "'") and sign not in scripts:
            self.take()
            prime = sign == "'"
            scripts["^" if prime else sign] = (
                _leaf("mo", _character("prime")) if prime else self.atom()
            )
        match ("_" in scripts, "^" in scripts):
            case (True, True):
                tag = "munderover" if large else "msubsup"
            case (True, False):
                tag = "munder" if large else "msub"
            case (False, True):
                tag = "mover" if large else "msup"
            case _:
                return base
        element = Element(tag)
        element.append(base)
        element.extend(scripts[sign] for sign in "_^" if sign in scripts)
        if base.get("class"):
            element.set("class", base.get("class", ""))
        return element

    def atom(self) -> Element:
        """Read a group, a name, a number, a sign, or a command with its arguments."""
        character = self.peek()
        if character == "{":
            return self.group()
        if character.startswith("\\"):
            return self.command()
        self.take()
        if character.isalpha():
            name = character + self._run(self.position, str.isalnum)
            self.position += len(name) - 1
            return _leaf("mi", name)
        if character.isdigit():
            number = character + self._run(self.position, lambda c: c.isdigit() or c == ".")
            self.position += len(number) - 1
            return _leaf("mn", number)
        if character in "()[]|":
            return _leaf("mo", character, stretchy="false")
        return _leaf("mo", _character("minus") if character == "-" else character)

    def group(self) -> Element:
        """Read what stands in braces."""
        self.expect("{")
        elements = self.row()
        self.expect("}")
        return _row(elements)

    def command(self) -> Element:
        """Read a command with its arguments."""
        name = self.take()[1:]
        if name in _LETTERS:
            letter = _leaf("mi", _character(_LETTERS[name]))
            if name == "partial":
                letter.set("class", "partial")
            return letter
        if name in _FUNCTIONS:
            return _leaf("mi", name)
        if name in _LARGE:
            return _leaf("mo", _character(_LARGE[name]))
        if name in _SPACES:
            return Element("mspace", width=_SPACES[name])
        if name == "bmod":
            return _leaf("mo", "mod")
        if name in _OPERATORS:
            return _leaf("mo", _character(_OPERATORS[name]))
        if name == "frac":
            return _of("mfrac", self.atom(), self.atom())
        if name == "sqrt":
            return self.root()
        if name == "left":
            return self.fenced()
        if name == "begin":
            return self.table()
        if name in ("text", "mathrm", "operatorname"):
            text = self.text()
            if name == "text":
                return _leaf("mtext", text)
            return _leaf("mi", text, mathvariant="normal")
        if name in ("mathbf", "boldsymbol"):
            return _bold(self.atom())
        if name in _ALPHABETS:
            suffix = _ALPHABETS[name]
            return _leaf("mi", "".join(html5.get(f"{c}{suffix};", c) for c in self.text()))
        if name in _ACCENTS:
            sign = _character(_ACCENTS[name])
            # browsers set what is marked as an accent so close that it touches the letter
            above = _leaf("mo", sign, stretchy="false", scriptlevel="0")
            return _of("mover", self.atom(), above)
        raise ValueError(f"LaTeX {self.latex!r}: \\{name} is not known")

    def root(self) -> Element:
        """Read the arguments of a square root, or of another."""
        if self.peek() != "[":
            return _of("msqrt", self.atom())
        self.take()
        end = self.latex.index("]", self.position)
        degree = mathml(self.latex[self.position : end])
        self.position = end + 1
        return _of("mroot", self.atom(), _row(degree))

    def fenced(self) -> Element:
        """Read what stands between brackets that grow with it."""
        opening = self.fence()
        elements = self.row()
        self.expect(r"\right")
        closing = self.fence()
        if not any(part.tag in _TALL for element in elements for part in element.iter()):
            # where nothing is tall some fonts' growing brackets stand too far off
            for bracket in (*opening, *closing):
                bracket.set("stretchy", "false")
        return _row([*opening, _row(elements), *closing])

    def fence(self) -> list[Element]:
        """Read a bracket."""
        token = self.take()
        if token == ".":
            return []
        sign = _character(_FENCES[token[1:]]) if token.startswith("\\") else token
        return [_leaf("mo", sign)]

    def table(self) -> Element:
        """Read cases, or a matrix."""
        kind = self.text()
        align = "left" if kind == "cases" else "center"
        table = Element("mtable")
        while self.peek() != r"\end":
            line = _of("mtr", _cell(self.row(), align))
            while self.peek() == "&":
                self.take()
                line.append(_cell(self.row(), align))
            table.append(line)
            if self.peek() == "\\\\":
                self.take()
            elif self.peek() != r"\end":
                self.expect(r"\end")
        self.expect(r"\end")
        self.text()
        if kind != "cases":
            return table
        brace = _leaf("mo", "{")
        return _row([brace, table])

    def text(self) -> str:
        """Read a group of running text."""
        self.expect("{")
        said = ""
        while self.latex[self.position : self.position + 1] != "}":
            if self.position >= len(self.latex):
                raise ValueError(f"LaTeX {self.latex!r}: a brace is not closed")
            if self.latex[self.position] != "\\":
                said += self.latex[self.position]
                self.position += 1
                continue
            name = self.take()[1:]
            if name in ("hat", "grave"):
                self.expect("{")
                self.expect("}")
                said += {"hat": "^", "grave": "`"}[name]
            elif name in ("backslash", "sim"):
                # the blank that ends a command is no part of the text
                self.position += 1
                said += {"backslash": "\\", "sim": "~"}[name]
            else:
                said += name
        self.position += 1
        return said


def _character(name: str) -> str:
    return html5[f"{name};"]


def _leaf(tag: str, text: str, **attributes: str) -> Element:
    element = Element(tag, attributes)
    element.text = text
    return element


def _of(tag: str, *parts: Element, **attributes: str) -> Element:
    element = Element(tag, attributes)
    element.extend(parts)
    return element


def _row(elements: list[Element]) -> Element:
    return elements[0] if len(elements) == 1 else _of("mrow", *elements)


def _cell(elements: list[Element], align: str) -> Element:
    cell = Element("mtd", style=f"text-align: {align}")
    cell.extend(elements)
    return cell


def _bold(element: Element) -> Element:
    # MathML Core has no variant for it; style sheets set letters of any font in bold type.
    for part in element.iter("mi"):
        part.set("mathvariant", "normal")
        part.set("style", "font-weight: bold")
    for part in element.iter("mn"):
        part.set("style", "font-weight: bold")
    return element
