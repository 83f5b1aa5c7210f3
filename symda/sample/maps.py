"""Randomise, then optimise: a map from Gaussian numbers to draws near exp(-A), with its density."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from symda.sample.target import Target
from symda.sample.white import White
from symda.types import FloatArray

#: Iterations of a solution at most, and the share of the distance that is left after a good one.
ITERATIONS, GOOD = 40, 0.5
#: What is left of the distance in the end, a coordinate, and halvings of a step.
NEAR, HALVINGS = 1e-6, 12
#: A point is what the map makes of its own image if it comes back to it, a coordinate.
SAME = 1e-2


@dataclass(frozen=True, eq=False)
class Image:
    """What a map makes of Gaussian numbers.

    Attributes
    ----------
    x : (n,)
    log_density : float
        Of the draws at x, but for the same constant everywhere.
    turned : bool
        Whether the map's determinant has another sign here than at its centre.
    """

    x: FloatArray
    log_density: float
    turned: bool


class Linear(ABC):
    """The map's derivatives at a point, factorised."""

    log_det: float
    sign: float

    @abstractmethod
    def solve(self, right: FloatArray) -> FloatArray:
        """Return the change of x that changes m by this."""


class Map(ABC):
    """The map x -> L^-1 m(x), whose inverse takes Gaussian numbers to draws.

    m(x) is J*^T W r(x) for the model's errors r, J* their derivatives at the minimum, and the
    gradient of what data and priors cost (J. M. Bardsley, A. Solonen, H. Haario and M. Laine, SIAM
    J. Sci. Comput. 36, 2014, A1895). L L^T is its derivative there. Draws have the density
    N(L^-1 m(x)) |det m'(x)| / det L, which is known exactly, so that any m would do.

    Attributes
    ----------
    target : Target
    white : White
        Coordinates of L.
    """

    target: Target
    white: White

    @abstractmethod
    def moment(self, x: FloatArray) -> FloatArray:
        """Return m(x), (n,)."""

    @abstractmethod
    def linear(self, x: FloatArray) -> Linear | None:
        """Return its derivatives; None where they are singular or not finite."""

    def image(self, x: FloatArray) -> FloatArray:
        """Return L^-1 m(x)."""
        with np.errstate(all="ignore"):
            return self.white.pull(self.moment(x))

    def draw(self, numbers: FloatArray) -> Image | None:
        """Return the draw that Gaussian numbers (n,) lead to; None where there is none."""
        found = self._solved(numbers, self.target.centre + self.white.apart(numbers))
        return None if found is None else self._made(*found)

    def density(self, x: FloatArray) -> float:
        """Return the logarithm of the draws' density at any x; -inf where the map never leads."""
        image = self.image(x)
        if not np.isfinite(image).all():
            return -math.inf
        back = self.draw(image)
        if back is None:
            return -math.inf
        apart = self.white.together(back.x - x)
        if float(np.linalg.norm(apart)) > SAME * math.sqrt(apart.size):
            return -math.inf
        return back.log_density

    def _made(self, x: FloatArray, image: FloatArray) -> Image | None:
        linear = self.linear(x)
        if linear is None:
            return None
        log = linear.log_det - self.white.log_det - 0.5 * float(image @ image)
        return Image(x, log, linear.sign < 0.0) if math.isfinite(log) else None

    def _solved(self, numbers: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return x with its image, which is `numbers` but for a rest that does not matter.

        With the factor at the centre while that goes well, else by Newton's method.
        """
        image = self.image(x)
        left = float(np.linalg.norm(image - numbers))
        near, newton = NEAR * math.sqrt(numbers.size), False
        for _ in range(ITERATIONS):
            if left <= near:
                return x, image
            change = self._change(x, image - numbers, newton=newton)
            if change is None:
                return None
            for k in range(HALVINGS if newton else 1):
                after = x + 0.5**k * change
                reached = self.image(after)
                rest = float(np.linalg.norm(reached - numbers))
                if rest < (1.0 - 0.25 * 0.5**k if newton else GOOD) * left:
                    x, image, left = after, reached, rest
                    break
            else:
                if newton:
                    return None
                newton = True
                continue
        return None

    def _change(self, x: FloatArray, beside: FloatArray, *, newton: bool) -> FloatArray | None:
        if not math.isfinite(float(np.linalg.norm(beside))):
            return None
        if not newton:
            return -self.white.apart(beside)
        linear = self.linear(x)
        return None if linear is None else -linear.solve(self.white.push(beside))
