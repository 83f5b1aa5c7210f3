"""What all plots share: a figure without global state, colours, a grid of panels, saving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from symda.errors import OptionError, nearest

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe and K. Ito's palette, told apart with every kind of colour vision; olive is the papers'.
BLUE, VERMILLION, OLIVE = "#0072B2", "#D55E00", "#808000"
GREY, PALE = "#606060", "#C8C8C8"

MAX_PANELS = 12
"""Panels drawn when none are chosen."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (inches) that no pyplot state knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    return figure


def panel_grid(
    count: int, horizontal: str, *, together: bool = True, each: int = 1
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in rows; they share the axis called `horizontal`.

    Not `together`, each panel has its own. Groups of `each`, an experiment's, fill rows of their
    own if they have two or three panels.
    """
    columns = 1 if count <= 2 else 2 if count <= 6 else 3
    columns = each if each in (2, 3) and count > each else columns
    rows = math.ceil(count / columns)
    figure = new_figure(max(6.4, 4.0 * columns), max(3.6, 0.9 + 1.75 * rows))
    grid = figure.subplots(rows, columns, sharex=together, squeeze=False)
    axes: list[Axes] = list(grid.flat)
    for unused in axes[count:]:
        unused.remove()
    for ax in axes[max(0, count - columns) : count]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(horizontal, fontsize=9)
    for ax in axes[:count]:
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.01)
    return figure, axes[:count]


def panel(horizontal: str) -> tuple[Figure, Axes]:
    """Return a small figure of one panel, to stand among others on a page."""
    figure = new_figure(3.6, 2.1)
    ax = figure.subplots()
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)
    ax.set_xlabel(horizontal, fontsize=8)
    return figure, ax


def plain(name: str) -> str:
    """Return a name as text; between two dollar signs Matplotlib would read mathematics."""
    return name.replace("$", r"\$")


def choose(asked: Sequence[str] | None, known: Sequence[str], argument: str) -> list[str]:
    """Return the names to draw: those asked for, or the first `MAX_PANELS` known.

    Raises
    ------
    OptionError
        If nothing is asked for, or a name that is not known.
    """
    if asked is None:
        return list(known[:MAX_PANELS])
    names = [asked] if isinstance(asked, str) else list(asked)
    if not names:
        raise OptionError(
            f"{argument}: expected at least one name, got none; "
            f"leave it out for the first {MAX_PANELS}"
        )
    for name in names:
        if name not in known:
            raise OptionError(
                f"{argument}: this run has no {name!r} to show, only {', '.join(known)}."
                f"{nearest(str(name), known)}"
            )
    return names


def label_grid(figure: Figure, axes: list[Axes], title: str) -> None:
    """Give a grid of panels its title and one legend for all."""
    figure.suptitle(title, fontsize=10)
    entries: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=len(entries),
        fontsize=8,
        frameon=False,
    )


def shown(names: Sequence[str], known: Sequence[str], argument: str) -> str:
    """Say in a title that panels were left out because none were chosen."""
    if len(names) == len(known):
        return ""
    return f"\n{len(names)} of {len(known)} shown; {argument}=[...] chooses"


def check_file(path: str | Path | None) -> None:
    """Refuse, before anything is drawn, a file that could not be written.

    Raises
    ------
    OptionError
        If it is no file name, Matplotlib has no writer for its suffix, or its folder does not
        exist.
    """
    if path is None:
        return
    if not isinstance(path, str | Path):
        raise OptionError(f"path: expected where to save the figure, a file name, got {path!r}.")
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    suffix = Path(path).suffix.lstrip(".").lower()
    if suffix not in known:
        raise OptionError(
            f"path: no figure can be written as {str(path)!r}; expected a name ending in one of "
            f"{', '.join('.' + kind for kind in known)}, got {'.' + suffix if suffix else 'none'}."
            f"{nearest(suffix, known)}"
        )
    folder = Path(path).parent
    if not folder.is_dir():
        raise OptionError(
            f"path: the folder {str(folder)!r} of the figure {Path(path).name!r} does not exist; "
            "make it first or choose another"
        )


def save(figure: Figure, path: str | Path | None) -> None:
    """Write the figure if a file is named; see `check_file`."""
    if path is not None:
        try:
            figure.savefig(path, dpi=150)
        except OSError as error:
            raise OptionError(
                f"path: the figure {str(path)!r} cannot be written ({error.strerror or error}). "
                "Choose another place."
            ) from error
