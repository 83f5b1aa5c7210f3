"""Text as LaTeX takes it: its own signs escaped, letters it lacks declared, rows that fit."""

from __future__ import annotations

import re
import textwrap
import unicodedata

_SIGNS = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
_SIGNS |= {character: "\\" + character for character in "#$%&_{}"}
_SIGNS |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
# a row of a table may begin with them, and the end of the row before would take them for its own
_SIGNS |= {character: f"{{{character}}}" for character in "[]*"}
#: Letters up to this code stand in the fonts of pdfLaTeX.
_LATIN = 0x17F
_OTHERS = {"\N{MULTIPLICATION SIGN}": r"\times", "\N{PLUS-MINUS SIGN}": r"\pm"}
_OTHERS |= {"\N{MINUS SIGN}": "-", "\N{INFINITY}": r"\infty"}
#: What stands for a character that cannot be printed.
REPLACEMENT = "?"
#: Columns of a program.
WIDTH = 120
#: Characters of LaTeX that certainly have room in a row of formulas; what ends one before the last.
SURE, _NEXT = 60, " \\\\\n"
_CAPITALS = frozenset(
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split(),
)


def escaped(text: str) -> str:
    """Escape running text for LaTeX: one paragraph, of letters it can print."""
    line = "".join(c if c.isprintable() else REPLACEMENT for c in " ".join(text.split()))
    return "".join(_SIGNS.get(character, character) for character in line)


def fitted(latex: str) -> str:
    r"""Return equations in an align* environment, long sides shrunk to the page by its \fit."""
    rows = []
    for row in latex.split(_NEXT):
        # not those of names, which have a backslash before them
        left, right = re.split(r"(?<!\\)&", row, maxsplit=1)
        right, _, remark = right.partition(" && ")
        rows.append((_fit(left, r"0.4\linewidth"), _fit(right, r"\room"), remark))
    lefts, _, remarks = zip(*rows, strict=True)
    inside = _NEXT.join(f"{a}&{b}" + (f" && {c}" if c else "") for a, b, c in rows)
    beside = max(lefts, key=len) + max(remarks, key=len)
    return f"\\beside{{{beside}}}\n\\begin{{align*}}\n{inside}\n\\end{{align*}}"


def _fit(side: str, room: str) -> str:
    return f"\\fit{{{room}}}{{{side}}}" if len(side) > SURE else side


def verbatim(text: str) -> str:
    """Return a program in which nothing ends the environment it stands in, long lines broken."""
    lines = text.replace(r"\end{verbatim}", r"\end {verbatim}").splitlines()
    return "".join(row + "\n" for line in lines for row in _rows(line))


def _rows(line: str) -> list[str]:
    if len(line) <= WIDTH:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line,
        WIDTH,
        subsequent_indent=indent + 4 * " ",
        drop_whitespace=True,
        initial_indent="",
        break_on_hyphens=False,
    )


def letters(text: str) -> list[tuple[str, str]]:
    """Return code and spelling of each letter that pdfLaTeX lacks, for a preamble to declare."""
    others = {c for c in text if not (c.isascii() or (c.isalpha() and ord(c) <= _LATIN))}
    return [(f"{ord(character):04X}", _spelling(character)) for character in sorted(others)]


def _spelling(character: str) -> str:
    if character in _OTHERS:
        return rf"\ensuremath{{{_OTHERS[character]}}}"
    match unicodedata.name(character, "").split():
        case ["GREEK", "SMALL", "LETTER", name]:
            word = name.lower().replace("lamda", "lambda")
            return "o" if word == "omicron" else rf"\ensuremath{{\{word}}}"
        case ["GREEK", "CAPITAL", "LETTER", name]:
            word = name.capitalize().replace("Lamda", "Lambda")
            if word in _CAPITALS:
                return rf"\ensuremath{{\{word}}}"
    return rf"\texttt{{[U+{ord(character):04X}]}}"
