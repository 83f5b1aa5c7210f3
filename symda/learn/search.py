"""The search for terms: a climb in Rf that leaves terms out, then changes judged by evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf

import numpy as np

from symda.learn.joint import Joint, Place
from symda.learn.support import Prices
from symda.types import BoolArray, FloatArray

#: Rungs: rf = 2^b in units of the noise, b up to the last.
FACTOR, LAST = 2.0, 24
#: Rung from which on every second one is enough while terms stay as they are.
SETTLED = 8
#: Rungs at which a changed support is fitted again, and those at which changes are priced.
AGAIN, PRICED = (12, 16, 20, 24), (24, 12)
#: Most rounds of leaving out on a rung, and of changes; changes that are fitted in each.
ROUNDS, CHANGES, FITTED = 4, 20, 12
#: Where an answer explains the data its action is at most so many standard deviations above that of
#: noise, and errors of the equations cost at most so much of it.
ABOVE, ERRORS = 2.0, 3.0
#: A better evidence is better by this much.
BETTER = 1e-3


@dataclass(frozen=True, eq=False)
class Found:
    """A support, its place at the last rung, and minus the logarithm of its evidence."""

    place: Place
    free: BoolArray
    evidence: float


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched: a `Joint` and the costs of its terms.

    Attributes
    ----------
    allowed : (D, T) of bool
        Terms that there may be.
    cost : (D, T)
        See `Prices`.
    """

    joint: Joint
    allowed: BoolArray
    cost: FloatArray

    def climb(self, X: FloatArray, C: FloatArray, first: int) -> Found:
        """Raise rf from a start and a first rung, and leave out what the data do not support."""
        at, free = self.joint.place(X, C, FACTOR**first), self.allowed
        b, stride = first, 1
        while True:
            at = self.joint.minimise(at, FACTOR**b, free)
            before = free
            at, free = self._leave_out(at, free, FACTOR**b)
            if b == LAST:
                break
            # where terms stay as they are rungs may be further apart
            stride = 2 if b >= SETTLED and (free == before).all() else 1
            b = min(b + stride, LAST)
        return Found(at, free, self.evidence(at, free, FACTOR**LAST))

    def _leave_out(self, at: Place, free: BoolArray, rf: float) -> tuple[Place, BoolArray]:
        for _ in range(ROUNDS):
            prices = self.prices(at, rf)
            if prices is None:
                break
            chosen = self._placed(prices.best(free[self.allowed]))
            if (chosen == free).all():
                break
            start = self.joint.place(at.X, np.where(chosen, at.C, 0.0), rf)
            there = self.joint.minimise(start, rf, chosen)
            if not self.evidence(there, chosen, rf) < self.evidence(at, free, rf):
                break
            at, free = there, chosen
        return at, free

    def prices(self, at: Place, rf: float) -> Prices | None:
        """Price supports at a place; None where its Hessian is not positive definite."""
        profile = self.joint.profile(at, rf, self.allowed)
        return None if profile is None else Prices(profile, self.cost)

    def _placed(self, support: BoolArray) -> BoolArray:
        free = np.zeros_like(self.allowed)
        free[self.allowed] = support
        return free

    def evidence(self, at: Place, free: BoolArray, rf: float) -> float:
        """Return minus the logarithm of the evidence of a support, up to what all share."""
        if not free.any():
            return at.action
        profile = self.joint.profile(at, rf, free)
        if profile is None:
            return inf
        sign, size = np.linalg.slogdet(profile.hessian)
        return float(at.action + 0.5 * size + self.cost[free].sum()) if sign > 0 else inf

    def explains(self, found: Found) -> bool:
        """Whether a path that solves the equations costs no more than the noise of the data."""
        half = self.joint.points.count / 2.0
        solved = self.joint.error_term(found.place, FACTOR**LAST) < ERRORS
        return solved and found.place.action < half + ABOVE * half**0.5

    def again(self, at: Place, free: BoolArray, rungs: Sequence[int] = AGAIN) -> Found:
        """Fit a support from a place nearby."""
        there = replace(at, C=np.where(free, at.C, 0.0), damping=1e-3)
        for b in rungs:
            there = self.joint.minimise(there, FACTOR**b, free)
        return Found(there, free, self.evidence(there, free, FACTOR ** rungs[-1]))

    def improve(self, found: Found, tried: dict[bytes, float]) -> Found:
        """Change a support, a term or two at a time, as long as the evidence rises.

        Changes are priced without fitting; the best ones that were not `tried` are fitted, and
        their evidence is kept there.
        """
        for _ in range(CHANGES):
            better = next(self._better(found, tried), None)
            if better is None:
                break
            found = better
        return found

    def settled(self, found: Found, tried: dict[bytes, float]) -> tuple[Found, FloatArray]:
        """Leave each term out in turn, and go on from there where that is better.

        Returns what is better than all of those, and the evidence for each term, (D, T): by how
        much minus its logarithm rises without the term.
        """
        for _ in range(CHANGES):
            evidence = np.zeros(found.free.shape)
            lower = found
            for i, j in np.argwhere(found.free):
                without = found.free.copy()
                without[i, j] = False
                one = self.again(found.place, without)
                tried[without.tobytes()] = one.evidence
                evidence[i, j] = one.evidence - found.evidence
                if one.evidence < lower.evidence - BETTER:
                    lower = one
            if lower is found:
                break
            found = self.improve(lower, tried)
        return found, evidence

    def _better(self, found: Found, tried: dict[bytes, float]) -> Iterator[Found]:
        tried[found.free.tobytes()] = found.evidence
        for free in self._changes(found, tried):
            one = self.again(found.place, free)
            tried[free.tobytes()] = one.evidence
            if one.evidence < found.evidence - BETTER:
                yield one

    def _changes(self, found: Found, tried: dict[bytes, float]) -> list[BoolArray]:
        support = found.free[self.allowed]
        prices: dict[bytes, tuple[float, BoolArray]] = {}
        for b in PRICED:
            at = self.joint.minimise(found.place, FACTOR**b, found.free)
            here = self.prices(at, FACTOR**b)
            if here is None:
                continue
            now = here.price(support)
            for other in chain(here.neighbours(support), here.instead(support)):
                free = self._placed(other)
                key, price = free.tobytes(), here.price(other) - now
                if key not in tried and price < prices.get(key, (inf, free))[0]:
                    prices[key] = price, free
        return [free for _, free in sorted(prices.values(), key=lambda one: one[0])[:FITTED]]
