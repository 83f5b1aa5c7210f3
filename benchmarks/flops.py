"""Floating-point operations that one iteration of newton needs, from the sizes of the problem.

Sums and products count one each, as do functions such as exp; known zeros are not counted, nor what
a compiler might save or waste.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symda.lower import KernelIR, Pattern


def iteration(ir: KernelIR, N: int) -> float:
    """Operations of one iteration of one path: derivatives, factorisation, step and trial point.

    Parameters
    ----------
    ir : KernelIR
        The lowered problem.
    N : int
        Steps.
    """
    return N * (_assemble(ir) + _eliminate(ir.E, ir.D + ir.P) + _solve(ir) + _trial(ir)) + (
        _eliminate(ir.D + ir.P, 0)
    )


def _assemble(ir: KernelIR) -> float:
    """Residual, gradient and Hessian of one step, lower triangle."""
    D, E, C = ir.D, ir.E, ir.columns
    triangle = C * (C + 1)  # a product and a sum for each entry of one half
    jacobian = sum(column < D for column in ir.field_jacobian.columns)
    curvature = _mirrored(ir.field_curvature, D)
    active = len({j for j in _touched(ir.field_curvature) if j < D})
    total = 0.0
    for stage in ir.stages:
        total += _instructions(ir, "field_jacobian") + 2 * D * _terms(stage.row)
        total += 2 * ir.field_jacobian.size  # adjoint
        if ir.field_curvature.size:
            total += _instructions(ir, "field_curvature")
        if stage.affine:
            continue
        total += 2 * D * C * _terms(stage.row) + 2 * jacobian * C  # tangents
        total += 2 * curvature * C + active * triangle
    weights = [stage.b for stage in ir.stages]
    total += 2 * D * (C + 1) * _terms(weights) + 4 * E  # residual and its derivative, momenta
    return total + 2 * E * C + E * triangle  # Gauss-Newton product


def _eliminate(pivots: int, rest: int) -> float:
    """Cholesky of the pivots' block, the rows below it and what they leave behind."""
    below = rest + 1
    return pivots**3 / 3 + pivots**2 * below + pivots * (rest * (rest + 1) + 2 * rest)


def _solve(ir: KernelIR) -> float:
    return ir.E * (ir.E + 2 * (ir.D + ir.P))


def _trial(ir: KernelIR) -> float:
    """One step's action at the trial point, and the sums over its unknowns."""
    stages = sum(_instructions(ir, "field") + 2 * ir.D * _terms(s.row) for s in ir.stages)
    return stages + 2 * ir.D * _terms([s.b for s in ir.stages]) + 3 * ir.E + 8 * ir.E


def _instructions(ir: KernelIR, name: str) -> int:
    (routine,) = (r for r in ir.routines if r.name == name)
    return sum(value.op not in ("const", "input") for value in routine.values)


def _terms(row: Sequence[Fraction]) -> int:
    return sum(bool(weight) for weight in row)


def _mirrored(lower: Pattern, D: int) -> int:
    """Nonzeros of the whole symmetric matrix in the first D columns."""
    both = [*zip(lower.rows, lower.columns, strict=True)]
    both += [(j, i) for i, j in both if i != j]
    return sum(column < D for _, column in both)


def _touched(pattern: Pattern) -> set[int]:
    return {*pattern.rows, *pattern.columns}
