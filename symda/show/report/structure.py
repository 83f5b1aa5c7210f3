"""Sparsity pictures: which derivatives can be other than zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.show.figures import BLUE, PALE, new_figure, plain
from symda.show.report.document import Block, Figure, Gallery, Paragraph, Part, slug
from symda.types import BoolArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure
    from matplotlib.path import Path
    from scipy.sparse import csr_array

    from symda.lower import KernelIR, Pattern

#: Rows or columns that are drawn one by one; of larger matrices a cell stands for several.
CELLS = 240
#: Up to so many rows and columns cells stand apart.
APART = 64
#: Names that fit beside an axis, and characters of one.
NAMED, LETTERS = 16, 8
#: Unknowns of a path that the picture of the Hessian shows, at most, unless two steps have more.
SHOWN = 72
THETA = "\N{GREEK SMALL LETTER THETA}"
#: Inches of the longer side.
SIDE = 3.1


@dataclass(frozen=True)
class Axis:
    """One side of a picture: its label, named places, and lines between blocks."""

    label: str
    ticks: tuple[tuple[float, str], ...] = ()
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """The sparsity pattern of a matrix."""

    title: str
    mask: BoolArray  #: True where an entry can be other than zero, (rows, columns).
    down: Axis
    across: Axis

    @property
    def nonzeros(self) -> int:
        """Entries that can be other than zero."""
        return int(np.count_nonzero(self.mask))

    @property
    def size(self) -> str:
        """Shape and nonzeros in words."""
        rows, columns = self.mask.shape
        share = 100 * self.nonzeros / self.mask.size
        return (
            f"{rows} \N{MULTIPLICATION SIGN} {columns}, {self.nonzeros:,} of {self.mask.size:,} "
            f"entries not zero ({share:.3g} %)"
        )

    @property
    def step(self) -> int:
        """Entries along each side of a cell of the drawing."""
        return -(-max(int(n) for n in self.mask.shape) // CELLS)


def structure(pictures: Sequence[Picture], note: str = "") -> Part:
    """Return the pictures as a part."""
    blocks: list[Block] = [Paragraph(note)] if note else []
    blocks.append(Gallery(tuple(_figure(picture) for picture in pictures)))
    return Part("Structure", tuple(blocks))


def field_jacobian(
    uses: csr_array, states: Sequence[str], parameters: Sequence[str], *, discrete: bool
) -> Picture:
    """Picture of dF/d(x, theta), (D, D + P), from what each equation uses."""
    name = "f" if discrete else "F"
    D, P = len(states), len(parameters)
    lines = (D,) if P else ()
    across = Axis(
        "by states, parameters" if P else "by states", _ticks([*states, *parameters]), lines
    )
    mask = np.asarray(uses.toarray() != 0)
    return Picture(f"Jacobian of {name}", mask, Axis(f"{name} of", _ticks(states)), across)


def step_jacobian(ir: KernelIR) -> Picture:
    """Picture of dr_n/d(z_n, x_{n+1}, theta), (E, E + D + P)."""
    parts = [("z[n]" if ir.E > ir.D else "x[n]", ir.E), ("x[n+1]", ir.D), (THETA, ir.P)]
    mask = _mask(ir.step_jacobian.pattern)
    return Picture("Jacobian of one step", mask, Axis("r[n]"), Axis("", *_blocks(parts)))


def bordered_hessian(ir: KernelIR) -> Picture:
    """Picture of the action's Hessian over a few steps: block tridiagonal with a border."""
    D, E, P = ir.D, ir.E, ir.P
    steps = int(np.clip(SHOWN // E, 2, 6))
    border = steps * E + D
    mask = np.zeros((border + P, border + P), dtype=bool)
    theta = border + np.arange(P)
    step, point = _mask(ir.step_hessian.pattern), _mask(ir.point_hessian)
    for n in range(steps):
        mask[np.ix_(*2 * [np.r_[n * E : (n + 1) * E + D, theta]])] |= step
    for m in range(border // D):
        mask[np.ix_(*2 * [np.r_[m * D : (m + 1) * D, theta]])] |= point
    letter = "z" if E > D else "x"
    parts = [(f"{letter}{n}", E) for n in range(steps)] + [(f"x{steps}", D), (THETA, P)]
    axis = Axis("", *_blocks(parts))
    return Picture(f"Hessian of the action over {steps} steps", mask | mask.T, axis, axis)


def _mask(pattern: Pattern) -> BoolArray:
    mask = np.zeros(pattern.shape, dtype=bool)
    mask[list(pattern.rows), list(pattern.columns)] = True
    return mask


def _ticks(names: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Name every place, if names fit, else number some."""
    if len(names) <= NAMED and all(len(name) <= LETTERS for name in names):
        return tuple((n + 0.5, name) for n, name in enumerate(names))
    far = len(names) - 1
    return tuple((n + 0.5, str(n)) for n in sorted({0, far // 4, far // 2, 3 * far // 4, far}))


def _blocks(
    parts: Sequence[tuple[str, int]],
) -> tuple[tuple[tuple[float, str], ...], tuple[int, ...]]:
    """Name blocks at their middles, with lines between them."""
    kept = [(name, size) for name, size in parts if size]
    ends = np.cumsum([size for _, size in kept])
    ticks = tuple(
        (float(end) - size / 2, name) for (name, size), end in zip(kept, ends, strict=True)
    )
    return ticks, tuple(int(end) for end in ends[:-1])


def _figure(picture: Picture) -> Figure:
    many = picture.step
    cells = f"; a cell stands for {many} \N{MULTIPLICATION SIGN} {many} entries" if many > 1 else ""
    caption = f"{picture.title}: {picture.size}{cells}."
    alt = f"Sparsity pattern. {caption}"
    return Figure(slug(picture.title), _draw(picture), alt, caption, "picture")


def _draw(picture: Picture) -> MatplotlibFigure:
    from matplotlib.patches import PathPatch

    rows, columns = picture.mask.shape
    unit = SIDE / max(rows, columns)
    # what labels need beside the matrix itself
    figure = new_figure(max(1.9, unit * columns + 0.75), max(1.2, unit * rows + 0.7))
    ax = figure.subplots()
    ax.add_patch(PathPatch(_cells(picture), fc=BLUE, lw=0))
    ax.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
    for line in picture.across.lines:
        ax.axvline(line, color=PALE, lw=0.8)
    for line in picture.down.lines:
        ax.axhline(line, color=PALE, lw=0.8)
    _label(ax, picture)
    return figure


def _cells(picture: Picture) -> Path:
    """Return all cells as one outline; small ones side by side in a row are joined."""
    from matplotlib.path import Path

    many = picture.step
    rows, columns = picture.mask.shape
    padded = np.zeros((-(-rows // many) * many, -(-columns // many) * many), dtype=bool)
    padded[:rows, :columns] = picture.mask
    coarse = padded.reshape(len(padded) // many, many, -1, many).any(axis=(1, 3))
    if max(coarse.shape) <= APART:
        row, left = np.nonzero(coarse)
        right, gap = left + 1, 0.07
    else:
        edges = np.diff(np.pad(coarse.astype(np.int8), ((0, 0), (1, 1))), axis=1)
        row, left = np.nonzero(edges == 1)
        right, gap = np.nonzero(edges == -1)[1], 0.0
    x0, x1 = many * (left + gap), many * (right - gap)
    y0, y1 = many * (row + gap), many * (row + 1 - gap)
    corners = np.stack([x0, y0, x1, y0, x1, y1, x0, y1, x0, y0], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, *3 * [Path.LINETO], Path.CLOSEPOLY], len(row))
    return Path(corners, codes)


def _label(ax: Axes, picture: Picture) -> None:
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    crowded = len(picture.across.ticks) > 8
    for axis, side in ((ax.xaxis, picture.across), (ax.yaxis, picture.down)):
        axis.set_ticks([at for at, _ in side.ticks], [plain(name) for _, name in side.ticks])
        axis.set_tick_params(length=0, labelsize=8, pad=2)
        axis.set_label_text(side.label, fontsize=8)
    if crowded:
        ax.tick_params(axis="x", labelrotation=90)
    for spine in ax.spines.values():
        spine.set_linewidth(0.8)
