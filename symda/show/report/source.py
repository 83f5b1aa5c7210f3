"""The emitted source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symda.show.report.document import Code, Paragraph, Part, Topic, count

if TYPE_CHECKING:
    from symda.emit import Source

#: Lines of one module that are shown, and characters of all of them.
LINES, CHARACTERS = 1500, 120_000


def emitted(sources: Sequence[tuple[str, Source]]) -> Part:
    """Return the emitted modules, each with what it is, the first `LINES` lines of it."""
    return Part("Emitted source", tuple(_module(what, source) for what, source in sources))


def _module(what: str, source: Source) -> Topic:
    lines = source.text.splitlines()
    kept, used = 0, 0
    for line in lines[:LINES]:
        used += len(line) + 1
        if used > CHARACTERS:
            break
        kept += 1
    said = f"{what}: module {source.name}, {count(len(lines), 'line')} of Cython."
    code = Code("\n".join(lines[:kept]) + "\n", "cython", len(lines) - kept)
    return Topic(source.stem, (Paragraph(said), code), True, count(len(lines), "line"))
