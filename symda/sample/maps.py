"""Randomise, then optimise: a map from Gaussian numbers to draws near exp(-A), with its density."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from symda.sample.target import Target
from symda.sample.white import White
from symda.types import BoolArray, FloatArray

#: Iterations of a solution at most, and the share of the distance that is left after a good one.
ITERATIONS, GOOD = 40, 0.5
#: What is left of the distance in the end, a coordinate, and halvings of a step.
NEAR, HALVINGS = 1e-6, 12
#: The last step is not looked at where it is expected to leave this share of that.
SURE = 0.1
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

    @property
    def together(self) -> int:
        """How many points are computed at once."""
        return 1

    def images(self, x: FloatArray) -> FloatArray:
        """Return L^-1 m(x) of at most `together` points (k, n)."""
        with np.errstate(all="ignore"):
            return np.stack([self.white.pull(self.moment(one)) for one in x])

    def aparts(self, q: FloatArray) -> FloatArray:
        """Return the changes of x (k, n) of as many coordinates."""
        return np.stack([self.white.apart(one) for one in q])

    def determinants(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log |det m'(x)| and its sign, of at most `together` points; nan where it is 0."""
        found = [self.linear(one) for one in x]
        logs = [math.nan if one is None else one.log_det for one in found]
        return np.array(logs), np.array([0.0 if one is None else one.sign for one in found])

    def draws(self, numbers: FloatArray) -> list[Image | None]:
        """Return the draws that Gaussian numbers (k, n) lead to; None where there is none."""
        size = self.together
        parts = [numbers[first : first + size] for first in range(0, len(numbers), size)]
        return [one for part in parts for one in self._drawn(part)]

    def densities(self, x: FloatArray) -> FloatArray:
        """Return logarithms of the draws' density at any x (k, n); -inf where none leads."""
        found, size = np.full(len(x), -math.inf), self.together
        for first in range(0, len(x), size):
            own = np.arange(first, min(first + size, len(x)))
            images = self.images(x[own])
            known = np.isfinite(images).all(axis=1)
            for k, back in zip(own[known], self._drawn(images[known]), strict=True):
                if back is None:
                    continue
                apart = self.white.together(back.x - x[k])
                if float(np.linalg.norm(apart)) <= SAME * math.sqrt(apart.size):
                    found[k] = back.log_density
        return found

    def _drawn(self, numbers: FloatArray) -> list[Image | None]:
        if not len(numbers):
            return []
        with np.errstate(all="ignore"):
            x, images, solved = self._solved(numbers)
        found: list[Image | None] = [None] * len(numbers)
        own = np.flatnonzero(solved)
        if not own.size:
            return found
        logs, signs = self.determinants(x[own])
        for k, log, sign in zip(own, logs, signs, strict=True):
            density = float(log - self.white.log_det - 0.5 * (images[k] @ images[k]))
            if math.isfinite(density):
                found[k] = Image(x[k], density, bool(sign < 0.0))
        return found

    def _solved(self, numbers: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return x (k, n), images, which are `numbers` but for a rest that does not matter, if so.

        With the factor at the centre while that goes well, else by Newton's method.
        """
        near = NEAR * math.sqrt(numbers.shape[1])
        x = self.target.centre + self.aparts(numbers)
        images = self.images(x)
        left = np.linalg.norm(images - numbers, axis=1)
        solved = left <= near
        going = np.flatnonzero(~solved & np.isfinite(left))
        ready, newton = np.zeros(len(x), dtype=bool), list[int]()
        for _ in range(ITERATIONS):
            if not going.size:
                break
            after = x[going] - self.aparts(images[going] - numbers[going])
            # what has come down as fast as that needs no further look
            last, looked = ready[going], ~ready[going]
            ended, going = going[last], going[looked]
            x[ended], images[ended], solved[ended] = after[last], numbers[ended], True
            if not going.size:
                break
            after = after[looked]
            reached = self.images(after)
            rest = np.linalg.norm(reached - numbers[going], axis=1)
            good = rest < GOOD * left[going]
            newton += going[~good].tolist()
            ready[going] = rest**2 <= SURE * near * left[going]
            going = going[good]
            x[going], images[going], left[going] = after[good], reached[good], rest[good]
        for k in newton:
            found = self._by_newton(numbers[k], x[k], images[k])
            if found is not None:
                (x[k], images[k]), solved[k] = found, True
        return x, images, solved

    def _by_newton(
        self, numbers: FloatArray, x: FloatArray, image: FloatArray
    ) -> tuple[FloatArray, FloatArray] | None:
        near = NEAR * math.sqrt(numbers.size)
        for _ in range(ITERATIONS):
            beside = image - numbers
            left = float(np.linalg.norm(beside))
            if left <= near:
                return x, image
            linear = self.linear(x)
            if linear is None:
                return None
            change = -linear.solve(self.white.push(beside))
            for k in range(HALVINGS):
                after = x + 0.5**k * change
                reached = self.images(after[None])[0]
                if float(np.linalg.norm(reached - numbers)) < (1.0 - 0.25 * 0.5**k) * left:
                    x, image = after, reached
                    break
            else:
                return None
        return None
