"""Bounds as a projected Newton method sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symda.solve.minimum import Bounds
from symda.solve.options import MARGIN

if TYPE_CHECKING:
    from symda.observe import Problem

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sides:
    """Unknowns held at their lower and at their upper bound, beyond which the action falls."""

    below: Mask
    above: Mask

    @property
    def held(self) -> Mask:
        """Unknowns held at either bound."""
        return self.below | self.above


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds on the unknowns, and how near one of them an unknown counts as there."""

    bounds: Bounds
    margin: FloatArray

    @classmethod
    def of(cls, problem: Problem) -> Box:
        """Box of a problem."""
        bounds = Bounds.of(problem)
        width = bounds.upper - bounds.lower
        ends = [
            np.where(np.isfinite(side), np.abs(side), 1.0) for side in (bounds.lower, bounds.upper)
        ]
        return cls(bounds, MARGIN * np.where(np.isfinite(width), width, np.maximum(*ends)))

    def sides(self, x: FloatArray, gradient: FloatArray, narrow: float) -> Sides:
        """Find the unknowns that are held at x, within `narrow` times the margin."""
        reach = narrow * self.margin
        return Sides(
            (gradient >= 0.0) & (x <= self.bounds.lower + reach),
            (gradient <= 0.0) & (x >= self.bounds.upper - reach),
        )

    def project(self, x: FloatArray, sides: Sides) -> FloatArray:
        """Bring a point inside; an unknown that is held goes to its bound."""
        inside = np.clip(x, self.bounds.lower, self.bounds.upper)
        inside = np.where(sides.above, self.bounds.upper, inside)
        return np.where(sides.below, self.bounds.lower, inside)
