"""`KernelIR` -> `Source` of the structured Newton solver, which runs a path a vector lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symda.emit.emit import render
from symda.emit.format import Dialect, number
from symda.emit.source import Source
from symda.lower import KernelIR, Pattern
from symda.names import module_name

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

    The gain ratio is the decrease of the action over the predicted one. A step is taken above
    `accept`; below `poor` mu doubles, above `good` it falls: by the factor `fast` after a time
    without failures, else by `down` or to halfway (geometrically) above what failed, if that is
    `near`; what failed is forgotten by the factor `forget` a step. Below `least` mu is 0. A step
    that fails raises mu by `up`, at once again by `faster` more, from 0 to `down` times what worked
    last (`first` on a new path). Above `most` there is no step to be found. No rung ends as
    converged with more than a `slight` mu: the Hessian is positive definite there, or as good as.
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


DAMPING = Damping()

ONE_ARGUMENT = (
    "exp log sqrt sin cos tan asin acos atan floor ceil sign fabs erf sinh cosh tanh "
    "asinh acosh atanh log1p expm1"
).split()
TWO_ARGUMENTS = "fmod copysign fmin fmax pow atan2 hypot".split()

Group = tuple[int, int, int]


def emit_newton(ir: KernelIR) -> Source:
    """Write the Cython module of a problem's structured Newton solver.

    Its straight-line routines and stages are those of the kernels, written for a number type that
    holds one double for each of several paths.
    """
    after, end, products = (
        {size for _, size, _ in groups(0, length)}
        for length in (ir.D + ir.P, ir.D + ir.P, ir.columns)
    )
    own = {size for _, size, _ in groups(0, ir.E)}
    blocks = own | after | end | {1}
    return render(
        ir,
        TEMPLATE,
        f"{module_name(ir.model, ir.scheme)}_newton",
        Dialect("real", frozenset({"t", "u"})),
        lanes=True,
        constant=_splat,
        damping=DAMPING,
        least_pivot=LEAST_PIVOT,
        jacobian_rows=Rows.of(_nonzeros(ir.field_jacobian), ir.D, ir.D),
        curvature_rows=Rows.of(_mirrored(ir.field_curvature), ir.D + ir.P, ir.D),
        groups=groups,
        row_groups=groups(0, ir.columns, ROW_BLOCK),
        runs=runs,
        blocks=[(r, c) for r in sorted(blocks) for c in sorted(own | after)],
        product_blocks=[(r, c) for r in sorted(products) for c in sorted(products)],
        block_sizes=sorted(own | end),
        solve_blocks=[(r, c) for r in sorted(blocks) for c in sorted(own | end)],
        one_argument=ONE_ARGUMENT,
        two_arguments=TWO_ARGUMENTS,
    )


@dataclass(frozen=True)
class Rows:
    """A sparse matrix row after row: row a has the nonzeros `starts[a]` .. `starts[a + 1]`.

    `entries` are their positions among the pattern's nonzeros, `columns` where they stand.
    """

    starts: tuple[int, ...]
    entries: tuple[int, ...]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, nonzeros: Sequence[tuple[int, int, int]], rows: int, columns: int) -> Rows:
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


def _splat(value: Fraction | int) -> str:
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
