"""What is sampled: exp(-A) over the unknowns that may move, within their bounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.build.draws import Paths
from symda.sample.white import White
from symda.scale import Scale
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator

#: Points at which an action is evaluated in one call.
TOGETHER = 8


@dataclass(frozen=True, eq=False)
class Change:
    """The density of values against that of their logarithms or logits, log dk/dz.

    A prior is a density of values k; solvers move z.

    Attributes
    ----------
    places : (k,)
        Unknowns that have a prior and a scale.
    scales : tuple of Scale
    """

    places: IntArray
    scales: tuple[Scale, ...]

    def value(self, x: FloatArray) -> float:
        """Return the sum of log dk/dz."""
        with np.errstate(all="ignore"):
            every = [one.slope(z) for one, z in zip(self.scales, x[self.places], strict=True)]
            return float(np.log(every).sum())

    def slope(self, x: FloatArray) -> FloatArray:
        """Return its derivatives by all unknowns."""
        found = np.zeros_like(x)
        for k, one in zip(self.places.tolist(), self.scales, strict=True):
            found[k] = 1.0 if one.name == "log" else -np.tanh(0.5 * x[k])
        return found


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
    mirrored : (n,)
        Unknowns that a bound holds at the centre; their coordinates go with no others.
    """

    centre: FloatArray
    lower: FloatArray
    upper: FloatArray
    white: White
    mirrored: BoolArray

    @abstractmethod
    def value(self, x: FloatArray) -> float:
        """Return A, in units of a negative log probability; inf or nan where there is none."""

    def values(self, x: FloatArray) -> FloatArray:
        """Return A at several points (k, n)."""
        return np.array([self.value(one) for one in x])

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
        """Return x with what a bound holds at the centre mirrored there, and signs of derivatives.

        The mirror leaves the coordinates' numbers as they are but for the sign, since such an
        unknown goes with no other: a density over the whole line is as good as one over half of it.
        Other unknowns may not be mirrored: moves beyond their bounds are refused.
        """
        below = self.mirrored & (x < self.lower) & (self.centre <= self.lower)
        above = self.mirrored & (x > self.upper) & (self.centre >= self.upper)
        turned = below | above
        if not turned.any():
            return x, np.ones_like(x)
        return np.where(turned, 2.0 * self.centre - x, x), np.where(turned, -1.0, 1.0)


class PathTarget(Target):
    """Of a path and parameters, at one Rf.

    Parameters
    ----------
    evaluator : BlockEvaluator
    centre : (M D + P,)
    white : White
    rf : (D,)
    mirrored : (M D + P,), optional
    change : Change, optional
        From what solvers move to what priors are densities of.
    """

    def __init__(
        self,
        evaluator: BlockEvaluator,
        centre: FloatArray,
        white: White,
        rf: FloatArray,
        mirrored: BoolArray | None = None,
        change: Change | None = None,
    ) -> None:
        self.evaluator, self.white = evaluator, white
        self.mirrored = np.zeros(centre.size, dtype=bool) if mirrored is None else mirrored
        self._change = change
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
        return float(self.values(x[None])[0])

    def values(self, x: FloatArray) -> FloatArray:
        """Return the action at several points (k, n)."""
        parts = [x[first : first + TOGETHER] for first in range(0, len(x), TOGETHER)]
        with np.errstate(all="ignore"):
            every = [self._paths.actions(*self._paths.split(p), self.precision) for p in parts]
        found: FloatArray = np.concatenate(every) / self._scale
        if self._change is not None:
            found -= np.array([self._change.value(one) for one in x])
        return found

    @cached_property
    def _paths(self) -> Paths:
        return Paths(self.evaluator, TOGETHER)

    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return the action and its gradient."""
        with np.errstate(all="ignore"):
            found, slope = self.evaluator.value_and_gradient(
                *self.problem.unknowns.split(x), self.precision
            )
        found, slope = found / self._scale, slope / self._scale
        if self._change is not None:
            found, slope = found - self._change.value(x), slope - self._change.slope(x)
        return found, slope

    def whole(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return path and parameters, given initial values put in."""
        return self.evaluator.split(*self.problem.unknowns.split(x))
