"""Draws of one map, or of several of levels that are not apart, with their joint density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symda.sample.maps import Image, Map
from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw.

    Attributes
    ----------
    x : (n,)
    log_density : float
        Of what is drawn from, there; but for a constant.
    turned : bool
        Whether a map's determinant changed its sign.
    """

    x: FloatArray
    log_density: float
    turned: bool


class Proposal:
    """Draws, in pairs of opposite numbers so that what is linear averages out.

    Parameters
    ----------
    maps : sequence of Map
    masses : (K,)
        How much each is drawn from, together 1.
    rng : Generator
    pairs : bool
        Whether numbers come in pairs; draws of chains may not know of one another.
    """

    def __init__(
        self,
        maps: Sequence[Map],
        masses: FloatArray,
        rng: np.random.Generator,
        *,
        pairs: bool = True,
    ) -> None:
        self.maps, self.masses, self._rng, self._pairs = maps, masses, rng, pairs
        self._opposite: tuple[int, FloatArray] | None = None
        self.asked = self.failed = 0

    def next(self) -> Draw | None:
        """Return a draw; None where the map leads nowhere."""
        if self._opposite is not None:
            (which, numbers), self._opposite = self._opposite, None
        else:
            which = int(self._rng.choice(len(self.maps), p=self.masses))
            free = self.maps[which].white.free
            numbers = np.where(free, self._rng.normal(size=free.size), 0.0)
            if self._pairs:
                self._opposite = which, -numbers
        self.asked += 1
        found = self.maps[which].draw(numbers)
        if found is None:
            self.failed += 1
            return None
        return Draw(found.x, self._joint(which, found), found.turned)

    def density(self, x: FloatArray) -> float:
        """Return the logarithm of the density of draws at any x; -inf where there are none."""
        return self._sum([one.density(x) for one in self.maps])

    def _joint(self, which: int, found: Image) -> float:
        if len(self.maps) == 1:
            return found.log_density
        logs = [
            found.log_density if k == which else one.density(found.x)
            for k, one in enumerate(self.maps)
        ]
        return self._sum(logs)

    def _sum(self, logs: Sequence[float]) -> float:
        every = np.asarray(logs)
        with np.errstate(divide="ignore"):
            every = every + np.log(self.masses)
        top = float(every.max())
        if not math.isfinite(top):
            return -math.inf
        return top + math.log(float(np.exp(every - top).sum()))
