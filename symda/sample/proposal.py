"""Draws of one map, or of several of levels that are not apart, with their joint density."""

from __future__ import annotations

import math
from collections import deque
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

    They are made several at once, and handed out one by one. Their numbers are of a stream of their
    own, so that each draw depends on that and on how many were before it only.

    Parameters
    ----------
    maps : sequence of Map
    masses : (K,)
        How much each is drawn from, together 1.
    rng : Generator
        Where the stream comes from.
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
        self.maps, self.masses, self._pairs = maps, masses, pairs
        (self._rng,) = rng.spawn(1)
        self._ready: deque[Draw | None] = deque()

    @property
    def together(self) -> int:
        """How many draws are made at once."""
        return max(one.together for one in self.maps)

    def next(self) -> Draw | None:
        """Return a draw; None where the map leads nowhere."""
        if not self._ready:
            self._ready.extend(self._made())
        return self._ready.popleft()

    def densities(self, x: FloatArray) -> FloatArray:
        """Return the logarithms of the density of draws at any x (k, n); -inf: there are none."""
        return self._sum(np.stack([one.densities(x) for one in self.maps]))

    def _made(self) -> list[Draw | None]:
        """Return an even number of further draws."""
        which, numbers = list[int](), list[FloatArray]()
        while len(which) < self.together or len(which) % 2:
            k = int(self._rng.choice(len(self.maps), p=self.masses))
            free = self.maps[k].white.free
            e = np.where(free, self._rng.normal(size=free.size), 0.0)
            which += [k, k] if self._pairs else [k]
            numbers += [e, -e] if self._pairs else [e]
        every, asked = np.array(numbers), np.array(which)
        found: list[Draw | None] = [None] * len(which)
        for k, one in enumerate(self.maps):
            own = np.flatnonzero(asked == k)
            images = one.draws(every[own])
            logs = iter(self._joint(k, images))
            for at, image in zip(own, images, strict=True):
                if image is not None:
                    found[at] = Draw(image.x, float(next(logs)), image.turned)
        return found

    def _joint(self, which: int, images: Sequence[Image | None]) -> FloatArray:
        """Return logarithms of the joint density at the draws of one map that there are."""
        known = [one for one in images if one is not None]
        own = np.array([one.log_density for one in known])
        if len(self.maps) == 1 or not known:
            return own
        x = np.stack([one.x for one in known])
        logs = [own if k == which else one.densities(x) for k, one in enumerate(self.maps)]
        return self._sum(np.stack(logs))

    def _sum(self, logs: FloatArray) -> FloatArray:
        """Return the logarithms (k,) of the sum over maps of logs (K, k), by their masses."""
        with np.errstate(divide="ignore", invalid="ignore"):
            every = logs + np.log(self.masses)[:, None]
            top = every.max(axis=0)
            found = top + np.log(np.exp(every - top).sum(axis=0))
        return np.where(np.isfinite(top), found, -math.inf)
