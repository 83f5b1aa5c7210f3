"""Derived equations, set by the browser itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from symda.show.report.document import Formulas, Paragraph, Part, Topic, count
from symda.typeset.display import latex_of, mathml_of

if TYPE_CHECKING:
    from symda.typeset.display import Section

#: Equations under one heading that a page shows unfolded.
OPEN = 12
#: Equations under one heading at most, and characters of their MathML.
LINES, CHARACTERS = 80, 100_000
_MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
_ALIGN = re.compile(r"\\begin\{align\*\}\n(.*)\n\\end\{align\*\}", re.DOTALL)


def mathematics(title: str, sections: Sequence[Section], note: str = "") -> Part:
    """Return sections of equations as a part; long ones are folded."""
    first = (Paragraph(note),) if note else ()
    return Part(title, (*first, *(formulas(section) for section in sections)))


def formulas(section: Section) -> Topic:
    """Return one section of equations, as many as a page can hold."""
    bare = replace(section, note="")
    mathml = tuple(_within(bare))
    left_out = len(section.lines) - len(mathml)
    blocks: list[Paragraph | Formulas] = [Paragraph(section.note)] if section.note else []
    if mathml:
        inside = _ALIGN.search(latex_of((replace(bare, lines=section.lines[: len(mathml)]),)))
        blocks.append(Formulas(mathml, inside[1] if inside else ""))
    if left_out:
        blocks.append(Paragraph(f"{count(left_out, 'more equation')} not shown."))
    size = count(len(section.lines), "equation")
    return Topic(section.title, tuple(blocks), len(section.lines) > OPEN, size)


def _within(section: Section) -> Iterator[str]:
    """Yield the formulas of a section that fit, at least one."""
    room = CHARACTERS
    for number, line in enumerate(section.lines[:LINES]):
        (formula,) = _MATH.findall(mathml_of((replace(section, lines=(line,)),)))
        room -= len(formula)
        if room < 0 and number:
            return
        yield formula
