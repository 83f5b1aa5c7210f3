"""Matplotlib's figures as pieces of a page, and as files beside a text."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from symda.show.figures import BLUE, GREY, OLIVE, PALE, VERMILLION

if TYPE_CHECKING:
    from symda.show.report.document import Figure

#: Points and characters above which a drawing goes into a page as dots.
MANY, LARGEST = 20_000, 250_000
#: Colours that follow the page into the dark, by the names its style sheet has for them.
_INKS = {
    BLUE: "blue",
    VERMILLION: "vermillion",
    OLIVE: "olive",
    GREY: "grey",
    PALE: "pale",
    "#000000": "ink",
    "#ffffff": "paper",
    # the frame of legends
    "#cccccc": "pale",
}
_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_FAMILY = re.compile(r"font: ([^;'\"]*?)'[^;\"]*")
_TAG = re.compile(r"<[^<>]*>")
_ID = re.compile(r' id="([^"]*)"')


def svg(figure: Figure, prefix: str) -> str:
    """Return a drawing as an ``<svg>`` element that names nothing outside itself.

    Parameters
    ----------
    prefix : str
        What its inner names begin with, unique on the page.

    Returns
    -------
    str
        Empty if the drawing has too many points for it; take `png` then.
    """
    if _points(figure) > MANY:
        return ""
    text = _saved(figure, "svg").decode()
    text = _METADATA.sub("", _HEAD.sub("", text))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]*)', text))

    def restyled(tag: re.Match[str]) -> str:
        # what is left are namespaces, which a page has no need of
        text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", tag[0]).replace("xlink:href", "href")
        text = _ID.sub(lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", text)
        text = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", text)
        text = _FAMILY.sub(r"font: \1sans-serif", text)
        for colour, ink in _INKS.items():
            text = re.sub(rf"{colour}\b", f"var(--plot-{ink})", text, flags=re.IGNORECASE)
        return text

    # names stand between tags, and stay as they are
    text = _TAG.sub(restyled, text)
    return text if len(text) <= LARGEST else ""


def png(figure: Figure) -> str:
    """Return a drawing as a data URL."""
    return "data:image/png;base64," + base64.b64encode(_saved(figure, "png")).decode()


def drawn(figure: Figure, kind: str) -> bytes:
    """Return the file of a drawing: ``"svg"``, ``"png"`` or ``"pdf"``."""
    return _saved(figure, kind)


def _points(figure: Figure) -> int:
    lines = (line for axes in figure.drawing.axes for line in axes.lines)
    return sum(np.size(line.get_xdata()) for line in lines)


def _saved(figure: Figure, kind: str) -> bytes:
    import matplotlib as mpl

    # no times and no random names: the same run gives the same page
    dated = {"pdf": "CreationDate", "svg": "Date"}
    stream = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": figure.name}):
        figure.drawing.savefig(
            stream,
            format=kind,
            dpi=160,
            transparent=kind == "svg",
            metadata={dated[kind]: None} if kind in dated else {},
        )
    return stream.getvalue()
