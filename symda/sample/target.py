"""What is sampled: exp(-A) over the unknowns that may move, within their bounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from symda.sample.white import White
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator


class Target(ABC):
    """A density exp(-A) over unknowns x (n,), about a minimum of A.

    Attributes
    ----------
    centre : (n,)
        The minimum.
    lower, upper : (n,)
        Bounds; there is nothing beyond them.
    white : White
        Coordinates about the centre.
    """

    centre: FloatArray
    lower: FloatArray
    upper: FloatArray
    white: White

    @abstractmethod
    def value(self, x: FloatArray) -> float:
        """Return A, in units of a negative log probability; inf or nan where there is none."""

    @abstractmethod
    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return A and its gradient (n,)."""

    @abstractmethod
    def whole(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the path (M, D) and all parameters (P,), as solvers move them."""

    def inside(self, x: FloatArray) -> bool:
        """Whether all unknowns are within their bounds."""
        return bool(((x >= self.lower) & (x <= self.upper)).all())

    def folded(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return x reflected into its bounds, and what the derivatives by it are multiplied by.

        Over the folded line the density is as over the line within the bounds: nothing is lost at
        a bound, and no move is refused there.
        """
        below, above = x < self.lower, x > self.upper
        if not (below | above).any():
            return x, np.ones_like(x)
        width = self.upper - self.lower
        with np.errstate(invalid="ignore"):
            both = np.isfinite(width)
            turns = np.where(both, np.floor((x - self.lower) / np.where(width > 0, width, 1.0)), 0)
            at = np.where(both, x - self.lower - turns * width, 0.0)
            odd = turns % 2 == 1
            found = np.where(both, self.lower + np.where(odd, width - at, at), x)
        found = np.where(~both & below, 2.0 * self.lower - x, found)
        found = np.where(~both & above, 2.0 * self.upper - x, found)
        turned = np.where(both, odd, below | above)
        moved = below | above
        return np.where(moved, found, x), np.where(moved & turned, -1.0, 1.0)


class PathTarget(Target):
    """Of a path and parameters, at one Rf.

    Parameters
    ----------
    evaluator : BlockEvaluator
    centre : (M D + P,)
    white : White
    rf : (D,)
    """

    def __init__(
        self, evaluator: BlockEvaluator, centre: FloatArray, white: White, rf: FloatArray
    ) -> None:
        self.evaluator, self.white = evaluator, white
        self.precision = evaluator.precision(rf)
        self.problem = p = evaluator.problem
        self._scale = p.measurement_scale
        self.centre, self.lower, self.upper = centre, p.unknowns.lower, p.unknowns.upper
        out = ~white.free
        if out.any():
            # what does not vary has no bounds that could turn it
            self.lower = np.where(out, -np.inf, self.lower)
            self.upper = np.where(out, np.inf, self.upper)

    def value(self, x: FloatArray) -> float:
        """Return the action."""
        at, packed = self.evaluator, self.evaluator.packed
        path, theta = self.whole(x)
        engine = at.kernels.engine
        with np.errstate(all="ignore"):
            by_step = at.by_step(self.precision)
            found = engine.step_action(path, packed.pieces(theta), packed.steps, by_step).sum()
            rows, own = packed.row_states(path), packed.row_pieces(theta)
            found += engine.point_action(rows, own, packed.points).sum()
            if engine.has_prior:
                found += at.prior(path, theta) - at.prior_of_values(path, theta)
        return float(found) / self._scale

    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return the action and its gradient."""
        with np.errstate(all="ignore"):
            found, slope = self.evaluator.value_and_gradient(
                *self.problem.unknowns.split(x), self.precision
            )
        return found / self._scale, slope / self._scale

    def whole(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return path and parameters, given initial values put in."""
        return self.evaluator.split(*self.problem.unknowns.split(x))
