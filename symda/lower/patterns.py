"""Structural sparsity of one step: which entries of the residual's derivatives can be nonzero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symda.lower.ir import Gather, Pattern, Stage
from symda.types import BoolArray


@dataclass(frozen=True)
class StepLayout:
    """Where the unknowns of a step stand: external order (window, theta) and internal order."""

    D: int
    P: int
    E: int
    explicit: bool

    @property
    def W(self) -> int:
        """Unknowns of a step."""
        return self.E + self.D + self.P

    @property
    def columns(self) -> int:
        """Columns that tangents need."""
        return self.D + self.P if self.explicit else self.W

    @property
    def theta_column(self) -> int:
        """First internal column of theta."""
        return self.D if self.explicit else self.E + self.D

    @property
    def last_column(self) -> int:
        """First internal column of x_{n+1}."""
        return self.D + self.P if self.explicit else self.E

    def internal(self) -> NDArray[np.intp]:
        """Return the internal column of each external one, shape (W,)."""
        order = np.arange(self.W)
        order[self.E : self.E + self.D] = self.last_column + np.arange(self.D)
        order[self.E + self.D :] = self.theta_column + np.arange(self.P)
        return order


def step_masks(
    layout: StepLayout,
    stages: tuple[Stage, ...],
    jacobian: Pattern,
    curvature: Pattern,
    *,
    discrete: bool,
) -> tuple[BoolArray, BoolArray]:
    """Masks of dr/d(unknowns) (E, W) and of the residual's curvature (W, W), internal order."""
    D, P, W = layout.D, layout.P, layout.W
    dF = _mask(jacobian)
    d2F = _mask(curvature)
    d2F |= d2F.T
    first = np.eye(D, W, dtype=bool)
    last = np.eye(D, W, layout.last_column, dtype=bool)
    theta = np.eye(P, W, layout.theta_column, dtype=bool)
    slopes: list[BoolArray] = []
    summed = np.zeros((W, W), dtype=bool)

    def argument(stage: Stage) -> BoolArray:
        tangent = np.zeros((D, W), dtype=bool)
        if stage.v != 1:
            tangent |= first
        if stage.v != 0:
            tangent |= last
        for weight, slope in zip(stage.row, slopes, strict=False):
            if weight:
                tangent |= slope
        return tangent

    def own(point: int) -> BoolArray:
        return np.eye(D, W, D * (1 + point), dtype=bool)

    for stage in stages:
        tangent = argument(stage) if stage.interior is None else own(stage.interior)
        seen = np.vstack([tangent, theta])
        slope, second = _product(dF, seen), d2F.copy()
        if stage.moved is not None:
            # it holds these components only, which do not depend on themselves
            own_part = slice(*stage.moved)
            slope[np.delete(np.arange(D), own_part)] = False
            second[own_part] = second[:, own_part] = False
        slopes.append(slope)
        summed |= _product(_product(seen.T, second), seen)
    step = last.copy() if discrete else first | last
    for stage, slope in zip(stages, slopes, strict=True):
        if stage.b:
            step = step | slope
    promoted = {stage.interior: stage for stage in stages if stage.interior is not None}
    ties = [argument(stage) | own(point) for point, stage in sorted(promoted.items())]
    return np.vstack([step, *ties]), summed


def gather_rows(layout: StepLayout, mask: BoolArray) -> Gather:
    """Jacobian mask (E, W), internal order -> nonzeros in external order of a dense (E, W)."""
    internal = layout.internal()
    external = mask[:, internal]
    columns, rows = np.nonzero(external.T)
    source = rows * layout.W + internal[columns]
    return Gather(_pattern((layout.E, layout.W), rows, columns), tuple(source.tolist()))


def gather_upper(layout: StepLayout, mask: BoolArray) -> Gather:
    """Symmetric mask (W, W), internal order -> upper triangle, external order, of a dense (W, W).

    The source is always in the lower triangle of the internal order, which is all that is filled.
    """
    internal = layout.internal()
    external = np.triu(mask[np.ix_(internal, internal)])
    columns, rows = np.nonzero(external.T)
    i, j = internal[rows], internal[columns]
    source = np.maximum(i, j) * layout.W + np.minimum(i, j)
    return Gather(_pattern((layout.W, layout.W), rows, columns), tuple(source.tolist()))


def _mask(pattern: Pattern) -> BoolArray:
    mask = np.zeros(pattern.shape, dtype=bool)
    mask[list(pattern.rows), list(pattern.columns)] = True
    return mask


def _product(a: BoolArray, b: BoolArray) -> BoolArray:
    return (a.astype(np.float32) @ b.astype(np.float32)) > 0


def _pattern(shape: tuple[int, int], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Pattern:
    return Pattern(shape, tuple(rows.tolist()), tuple(columns.tolist()))
