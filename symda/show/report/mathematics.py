"""Derived equations, set by the browser itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from symda.derive.display import latex_of, mathml_of
from symda.show.report.document import Formulas, Part, Text, Topic, count

if TYPE_CHECKING:
    from symda.derive.display import Section

#: Equations under one heading that a page shows unfolded.
OPEN = 12
_MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
_ALIGN = re.compile(r"\\begin\{align\*\}\n(.*)\n\\end\{align\*\}", re.DOTALL)


class Readable(Protocol):
    """Mathematics to read, as `Action.equations` and its neighbours return it."""

    @property
    def sections(self) -> tuple[Section, ...]:
        """Titled equations."""


def mathematics(title: str, sections: Sequence[Section], note: str = "") -> Part:
    """Return sections of equations as a part; long ones are folded."""
    first = (Text(note),) if note else ()
    return Part(title, (*first, *(formulas(section) for section in sections)))


def formulas(section: Section) -> Topic:
    """Return one section of equations."""
    long = len(section.lines)
    notes = (Text(section.note),) if section.note else ()
    lines = (_lines(section),) if section.lines else ()
    return Topic(section.title, (*notes, *lines), long > OPEN, count(long, "equation"))


def _lines(section: Section) -> Formulas:
    alone = (replace(section, note=""),)
    inside = _ALIGN.search(latex_of(alone))
    return Formulas(tuple(_MATH.findall(mathml_of(alone))), inside[1] if inside else "")
