"""`KernelIR` -> `Source` of the structured Newton solver, which runs a path a vector lane."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symda.discretise import Number
from symda.emit.emit import render
from symda.emit.format import Dialect, number
from symda.emit.source import Source
from symda.emit.stages import listed
from symda.emit.vectors import LANES
from symda.lower import KernelIR, Pattern
from symda.lower.ir import Stage
from symda.names import module_name
from symda.status import Reason, Status

TEMPLATE = "newton.pyx.j2"

#: Rows and columns of a block that stays in registers while products are added to it.
BLOCK = 4

#: Columns of a row that stay in registers while a sparse row is multiplied.
ROW_BLOCK = 12

#: A pivot must be above this share of its unknown's scale.
LEAST_PIVOT = 1e-13


@dataclass(frozen=True)
class Damping:
    """Rules of the Levenberg damping mu, and the gain ratios they apply at.

    The gain ratio is the decrease of the action over the predicted one.

    - A step is taken above `accept`.
    - Below `poor` mu doubles. Above `good` it falls by the factor `down`, or by `fast` if no mu
      is remembered as too small; if that is within the factor `near` of one that is, to the
      geometric mean of both. The remembered mu falls by `forget` with each such step.
    - A step that fails multiplies mu by `up`, and by `faster` more each further time in a row,
      but gives at least `down` times the mu that worked last (`first` on a new path).
    - Below `least` mu is 0. Above `most` the solver stops without a step.
    - A rung converges only with mu up to `slight`: the Hessian is then nearly positive definite.
    - After two steps without damping whose gain ratios differ from 1 by less than `fits`, the
      gain of the next one is predicted, `safe` times too large.
    - A damped step predicts less than can be gained, so one below the tolerance is followed by
      one without damping. If that fails, the gain has to be below `damped` times the tolerance.
    - No tolerance is below `rounding` times the action.
    - An unknown closer to a bound than `near_bound` of its own size counts as on the bound.
    - A rung that need not converge ends where it creeps: where `paces` iterations lower the action
      by less than the share `creep` of it, or of what is expected of a right answer. A path has
      `patience` iterations for that, and none after its first rung that crept.
    """

    first: float = 1.0
    accept: float = 1e-4
    poor: float = 0.25
    good: float = 0.75
    up: float = 4.0
    faster: float = 2.0
    down: float = 0.25
    fast: float = 0.1
    near: float = 1.5
    forget: float = 0.6
    least: float = 1e-8
    slight: float = 1e-7
    most: float = 1e12
    fits: float = 0.1
    safe: float = 1e3
    damped: float = 1e-4
    rounding: float = 1e-13
    near_bound: float = 1e-4
    creep: float = 0.02
    paces: int = 10
    patience: int = 150


DAMPING = Damping()

Group = tuple[int, int, int]


@dataclass(frozen=True)
class Target:
    """Where tangents of a slope are added: an array of rows `stride` apart, and their factor.

    `first` tells that nothing is there before.
    """

    array: str
    stride: str
    factor: str
    first: bool

    def sum(self, place: str, addend: str) -> str:
        """Write what stands at a place, after the addition."""
        return addend if self.first else f"{self.array}{place}] + {addend}"


def emit_newton(ir: KernelIR, *, given: bool = False) -> Source:
    """Write the Cython module of a problem's structured Newton solver.

    With `given` some of the initial values are no unknowns, and may be functions of theta. Its
    straight-line routines and stages are those of the kernels, written for a number type that holds
    one double for each of several paths.
    """
    own, next_x, theta = (groups(0, length) for length in (ir.E, ir.D, ir.P))
    slots, scratch = tangent_slots(ir)
    return render(
        ir,
        TEMPLATE,
        f"{module_name(ir.model, ir.scheme)}_newton",
        Dialect("real", frozenset({"t", "u", "point", "own"})),
        lanes=True,
        constant=_splat,
        damping=DAMPING,
        given=given,
        statuses=tuple(Status),
        reasons=tuple(Reason)[1:],
        least_pivot=LEAST_PIVOT,
        row_tables={
            "JX": SparseRows.of(_nonzeros(ir.field_jacobian), ir.D, ir.D),
            "JT": SparseRows.of(
                [(j, i, entry) for i, j, entry in _nonzeros(ir.field_jacobian)],
                ir.D + ir.P,
                ir.D,
            ),
            "CX": SparseRows.of(_mirrored(ir.field_curvature), ir.D + ir.P, ir.D),
        },
        listed=listed,
        below_step=[("LAST", 0, ir.D), ("THETA", ir.D, ir.P), ("W", ir.D + ir.P, 1)],
        tiles=tiles,
        pass_from=None if ir.explicit else "LAST",
        groups=groups,
        targets=lambda stage: _targets(ir, stage),
        row_groups=groups(0, ir.columns, ROW_BLOCK),
        runs=runs,
        entry=entry,
        slots=slots,
        scratch=scratch,
        block_size=BLOCK,
        products=_pairs([groups(0, ir.columns)], [groups(0, ir.columns)]),
        triangles=sorted(_sizes(own)),
        within=_pairs([own], [own]),
        below=_pairs([next_x, theta, [(0, 1, 1)]], [own]),
        beyond=_pairs([next_x, theta, [(0, 1, 1)]], [next_x, theta]),
        **LANES,
    )


@dataclass(frozen=True)
class Tile:
    """Blocks of one size: the ranges of their first rows and columns, and rows x columns."""

    rows: str
    columns: str
    size: str


def tiles(rows: int, columns: int, triangle: bool) -> Iterator[Tile]:
    """Cut a matrix into blocks, a lower triangle into those that contain a part of it."""
    for a, (first, high, many) in enumerate(groups(0, rows)):
        for b, (start, size, count) in enumerate(groups(0, columns)):
            if triangle and b > a:
                continue
            stop = "i + 1" if triangle and b == a else str(start + size * count)
            down = f"{first}, {first + high * many}, {high}"
            yield Tile(down, f"{start}, {stop}, {size}", f"{high}_{size}")


def _sizes(*cuts: list[Group]) -> set[int]:
    return {size for cut in cuts for _, size, _ in cut}


def _pairs(rows: list[list[Group]], columns: list[list[Group]]) -> list[tuple[int, int]]:
    """Sizes of all blocks that have their rows from one cut and their columns from another."""
    return sorted(itertools.product(_sizes(*rows), _sizes(*columns)))


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix row after row: row a has the nonzeros `starts[a]` .. `starts[a + 1]`.

    `entries` are their positions among the pattern's nonzeros, `columns` where they stand.
    """

    starts: tuple[int, ...]
    entries: tuple[int, ...]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, nonzeros: Sequence[tuple[int, int, int]], rows: int, columns: int) -> SparseRows:
        """Sort the (row, column, entry) of the first `columns` columns."""
        kept = sorted(nonzero for nonzero in nonzeros if nonzero[1] < columns)
        starts = [sum(row < a for row, _, _ in kept) for a in range(rows + 1)]
        return cls(tuple(starts), tuple(e for _, _, e in kept), tuple(c for _, c, _ in kept))


def _nonzeros(pattern: Pattern) -> list[tuple[int, int, int]]:
    """(row, column, entry) of each nonzero."""
    return list(zip(pattern.rows, pattern.columns, range(pattern.size), strict=True))


def _mirrored(pattern: Pattern) -> list[tuple[int, int, int]]:
    """Mirror a lower triangle: the same of the whole symmetric matrix."""
    lower = _nonzeros(pattern)
    return [*lower, *((j, i, entry) for i, j, entry in lower if i != j)]


def tangent_slots(ir: KernelIR) -> tuple[dict[int, int], dict[int, int]]:
    """Where the tangents of the stages' arguments stand, in as few places as there can be.

    A stage's tangents are needed from the first slope that enters them until its own is there. The
    second mapping is for what its curvature makes of them: where the next stage's will stand.
    """
    slots: dict[int, int] = {}
    scratch: dict[int, int] = {}
    for stage in ir.stages:
        taken = {slots[live] for live in slots if live >= stage.index}
        scratch[stage.index] = _free(taken)
        for other in ir.stages:
            if not other.affine and other.index not in slots and other.row[stage.index]:
                slots[other.index] = _free(taken)
                taken.add(slots[other.index])
    return slots, scratch


def _free(taken: set[int]) -> int:
    return min(set(range(len(taken) + 1)) - taken)


def _targets(ir: KernelIR, stage: Stage) -> list[Target]:
    """Where the tangents of a stage's slope enter: arguments of later stages, residuals."""
    slots, _ = tangent_slots(ir)

    def enter(array: str, stride: str, sign: str, weights: Sequence[Number]) -> list[Target]:
        weight, h = weights[stage.index], "" if ir.discrete else "*h"
        first = not any(weights[: stage.index])
        factor = f"{sign}{number(float(weight))}{h}"
        return [Target(array, stride, factor, first)] if weight else []

    found = enter("dr[", "W", "-", [other.b for other in ir.stages])
    for other in ir.stages:
        if other.interior is not None:
            found += enter(f"dr[{1 + other.interior}*D*W + ", "W", "-", other.row)
        elif not other.affine:
            array = f"T[{slots[other.index]}*REST*COLUMNS + "
            found += enter(array, "COLUMNS", "", other.row)
    return found


def entry(form: str, i: int) -> str:
    """Where number k of row i of a block stands.

    The rows of "a" and "b" stand `a_stride` and `b_stride` apart, those of a packed triangle one
    more apart than the row before; "transposed" has the rows for columns.
    """
    if form == "transposed":
        return f"k*stride + {i}"
    array, _, packed = form.partition(" ")
    return f"{i}*{array}_stride + " + (f"{i * (i + 1) // 2} + k" if packed else "k")


def _splat(value: Number | int) -> str:
    return f"splat({number(float(value))})"


def groups(start: int, length: int, block: int = BLOCK) -> list[Group]:
    """Cut `length` rows from `start` on into (first row, rows a block, blocks) of each size.

    >>> groups(0, 11)
    [(0, 4, 2), (8, 3, 1)]
    """
    full, rest = divmod(length, block)
    cut = [(start, block, full)] if full else []
    return [*cut, (start + full * block, rest, 1)] if rest else cut


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Gather ascending numbers into (first, how many in a row).

    >>> runs([0, 1, 2, 5])
    [(0, 3), (5, 1)]
    """
    gathered: list[tuple[int, int]] = []
    for value in numbers:
        if gathered and value == sum(gathered[-1]):
            gathered[-1] = gathered[-1][0], gathered[-1][1] + 1
        else:
            gathered.append((value, 1))
    return gathered
