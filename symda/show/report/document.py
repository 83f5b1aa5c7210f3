"""What a report consists of, whatever it is written as: parts of plain blocks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

#: More formulas than this stand side by side, if none has more signs to set.
SIDE_BY_SIDE, SHORT = 7, 28


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Judgement:
    """A sentence to be seen first."""

    kind: ClassVar[str] = "verdict"
    text: str
    mood: str  #: "good", "bad" or "open": how it is marked; the words say it as well.


@dataclass(frozen=True)
class Facts:
    """Names and what they are; many short ones stand side by side."""

    kind: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]
    compact: bool = False


@dataclass(frozen=True)
class Table:
    """A table; `left_out` rows of it are not shown."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    note: str = ""  #: What is to be said below it.

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether a column holds numbers, which stand at the right."""
        return tuple(
            all(_is_number(row[c]) for row in self.rows) and any(row[c] for row in self.rows)
            for c in range(len(self.columns))
        )


@dataclass(frozen=True)
class Formulas:
    """Equations, in each form they are written in."""

    kind: ClassVar[str] = "formulas"
    #: One ``<math>`` element each, made by the printer of equations: not escaped again.
    mathml: tuple[str, ...]
    latex: str  #: The inside of an align* environment.

    @property
    def compact(self) -> bool:
        """Whether they are many and short, so that a page has them side by side."""
        signs = (unescape(re.sub(r"<[^>]*>", "", formula)) for formula in self.mathml)
        return len(self.mathml) > SIDE_BY_SIDE and all(len(row) <= SHORT for row in signs)


@dataclass(frozen=True, eq=False)
class Figure:
    """A drawing."""

    kind: ClassVar[str] = "figure"
    name: str  #: For its file, where it needs one.
    drawing: MatplotlibFigure
    alt: str  #: What there is to see, for who cannot see it.
    caption: str = ""
    #: "wide", "plot" or "picture": whether a page keeps its size and lets it scroll where there is
    #: little room, stretches it to the room there is, or takes it as it is.
    shape: str = "plot"


@dataclass(frozen=True)
class Gallery:
    """Small figures side by side, as many as fit."""

    kind: ClassVar[str] = "gallery"
    figures: tuple[Figure, ...]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Text in a programming language."""

    kind: ClassVar[str] = "code"
    text: str
    language: str  #: "cython", "python", "sh" or "text"
    left_out: int = 0  #: Lines not shown.


@dataclass(frozen=True)
class Topic:
    """Blocks under a heading of their own."""

    kind: ClassVar[str] = "topic"
    title: str
    blocks: tuple[Leaf, ...]
    folded: bool = False  #: Whether a page shows only the heading until it is opened.
    size: str = ""  #: How much there is to unfold, such as ``"60 equations"``.


Leaf: TypeAlias = Paragraph | Judgement | Facts | Table | Formulas | Figure | Gallery | Code
Block: TypeAlias = Leaf | Topic


@dataclass(frozen=True)
class Part:
    """A chapter of a report."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Those of its blocks that have a heading."""
        return tuple(block for block in self.blocks if isinstance(block, Topic))


@dataclass(frozen=True)
class Document:
    """A report."""

    title: str
    subtitle: str
    parts: tuple[Part, ...]  #: In the order of reading.
    colophon: str = ""  #: The last line.


def slug(text: str) -> str:
    """Return a name for a heading or a file: lower case, words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "part"


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 state", "3 states"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "") or "0")
    except ValueError:
        return False
    return True
