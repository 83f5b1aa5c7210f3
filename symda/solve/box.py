"""Bounds as a projected Newton method sees them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symda.emit.lanes import DAMPING
from symda.observe.unknowns import Unknowns
from symda.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Sides:
    """Unknowns held at their lower and at their upper bound, beyond which the action falls."""

    below: BoolArray
    above: BoolArray

    @property
    def held(self) -> BoolArray:
        """Unknowns held at either bound."""
        return self.below | self.above


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds on the unknowns, and how near one of them an unknown counts as there at most."""

    unknowns: Unknowns

    @cached_property
    def margin(self) -> FloatArray:
        """The same by the declared sizes, (M D + P,)."""
        return DAMPING.near_bound * self.unknowns.sizes

    def reach(self, scale: FloatArray) -> FloatArray:
        """Return how near a bound an unknown counts as there.

        A share of its own size, 1/sqrt(scale), which is its standard deviation if all others are
        known; never a share of the distance of its bounds, which may be anything.

        Parameters
        ----------
        scale : ndarray, shape (M D + P,)
            Diagonal of the Gauss-Newton Hessian.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            own = DAMPING.near_bound / np.sqrt(scale)
        return np.where(own < self.margin, own, self.margin)

    def sides(self, x: FloatArray, gradient: FloatArray, reach: FloatArray) -> Sides:
        """Find the unknowns that are held at x, within `reach` of a bound; fixed ones are."""
        lower, upper = self.unknowns.lower, self.unknowns.upper
        return Sides(
            (lower == upper) | ((gradient >= 0.0) & (x <= lower + reach)),
            (gradient <= 0.0) & (x >= upper - reach),
        )

    def inside(self, x: FloatArray) -> FloatArray:
        """Move unknowns off the bounds they stand on, by the margin."""
        lower, upper = self.unknowns.lower, self.unknowns.upper
        room = np.minimum(self.margin, 0.5 * (upper - lower))
        return np.clip(x, lower + room, upper - room)

    def project(self, x: FloatArray, sides: Sides) -> FloatArray:
        """Bring a point inside; an unknown that is held goes to its bound."""
        inside = np.clip(x, self.unknowns.lower, self.unknowns.upper)
        inside = np.where(sides.above, self.unknowns.upper, inside)
        return np.where(sides.below, self.unknowns.lower, inside)
