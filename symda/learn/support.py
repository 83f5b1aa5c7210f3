"""Which terms there are: supports priced by a profile of the action, without fitting again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations, product

import numpy as np

from symda.learn.joint import Profile
from symda.types import BoolArray, FloatArray, IntArray

#: Most candidates of a state for which all supports are priced.
EXHAUSTIVE = 11
#: Most coefficients of which all pairs are changed.
PAIRS = 60
#: A support must be better by this much to replace another.
BETTER = 1e-6


@dataclass(frozen=True, eq=False)
class Prices:
    """Minus the logarithm of the evidence of supports, up to what all have in common.

    q(S) + 1/2 log det F_S + sum of the costs of S, with q(S) = min over theta in S of
    1/2 (theta - t)^T F (theta - t): Laplace's approximation. The cost of a term is log sd of its
    coefficient's Gaussian prior, and minus the logarithm of the probability that there is such a
    term.

    Attributes
    ----------
    profile
        t and F, of all coefficients that may be free.
    cost : (D, T)
        What a term costs.
    """

    profile: Profile
    cost: FloatArray

    @cached_property
    def _slope(self) -> FloatArray:
        return self.profile.hessian @ self.profile.centre

    @cached_property
    def _unit(self) -> FloatArray:
        """Costs of the coefficients, (p,)."""
        return self.cost[self.profile.free]

    @cached_property
    def states(self) -> IntArray:
        """Which state's rate each coefficient belongs to, (p,)."""
        return np.nonzero(self.profile.free)[0]

    def price(self, support: BoolArray) -> float:
        """Return the price of a support, (p,)."""
        S = np.flatnonzero(support)
        if not S.size:
            return 0.0
        F = self.profile.hessian[np.ix_(S, S)]
        try:
            L = np.linalg.cholesky(F)
        except np.linalg.LinAlgError:
            return np.inf
        z = np.linalg.solve(L, self._slope[S])
        return float(-0.5 * z @ z + np.log(np.diag(L)).sum() + self._unit[S].sum())

    def best(self, support: BoolArray) -> BoolArray:
        """Improve a support (p,), state by state or by single changes, until nothing is better."""
        mine = np.bincount(self.states)
        return self._by_state(support) if mine.max() <= EXHAUSTIVE else self._by_change(support)

    def _by_state(self, support: BoolArray) -> BoolArray:
        lowest = np.inf
        while True:
            for state in np.unique(self.states):
                support = self._of_state(support, np.flatnonzero(self.states == state))
            now = self.price(support)
            if not now < lowest - BETTER:
                return support
            lowest = now

    def _of_state(self, support: BoolArray, mine: IntArray) -> BoolArray:
        """Return the best of all supports of a state, the others' held."""
        F, b = self.profile.hessian, self._slope
        others = np.setdiff1d(np.flatnonzero(support), mine)
        across = np.linalg.solve(F[np.ix_(others, others)], F[np.ix_(others, mine)])
        reduced = F[np.ix_(mine, mine)] - F[np.ix_(mine, others)] @ across
        slope, unit = b[mine] - across.T @ b[others], self._unit[mine]
        lowest, chosen = 0.0, np.array([], dtype=np.int64)
        for size in range(1, mine.size + 1):
            some = np.array(list(combinations(range(mine.size), size)))
            try:
                L = np.linalg.cholesky(reduced[some[:, :, None], some[:, None, :]])
            except np.linalg.LinAlgError:
                continue
            z = np.linalg.solve(L, slope[some][:, :, None])[:, :, 0]
            logs = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
            prices = -0.5 * (z * z).sum(axis=1) + logs + unit[some].sum(axis=1)
            if prices.min() < lowest:
                lowest, chosen = float(prices.min()), some[prices.argmin()]
        found = support.copy()
        found[mine] = False
        found[mine[chosen]] = True
        return found

    def _by_change(self, support: BoolArray) -> BoolArray:
        """Take terms out and in, one at a time, as long as the price falls."""
        now = self.price(support)
        while True:
            prices = self._changed(support)
            k = int(prices.argmin())
            if not prices[k] < -BETTER:
                return support
            changed = support.copy()
            changed[k] = not changed[k]
            after = self.price(changed)
            if not after < now - BETTER:
                return support
            support, now = changed, after

    def _changed(self, support: BoolArray) -> FloatArray:
        """Return by how much the price changes where one coefficient changes sides, (p,)."""
        F, b = self.profile.hessian, self._slope
        S, R = np.flatnonzero(support), np.flatnonzero(~support)
        inverse = np.linalg.inv(F[np.ix_(S, S)]) if S.size else np.zeros((0, 0))
        theta = inverse @ b[S]
        found = np.empty(b.size)
        spread = np.diag(inverse)
        with np.errstate(all="ignore"):
            found[S] = 0.5 * theta**2 / spread + 0.5 * np.log(spread) - self._unit[S]
            across = F[np.ix_(R, S)]
            stiffness = np.diag(F)[R] - ((across @ inverse) * across).sum(axis=1)
            pull = b[R] - across @ theta
            gain = -0.5 * pull**2 / stiffness + 0.5 * np.log(stiffness)
        found[R] = np.where(stiffness > 1e-12 * np.diag(F)[R], gain + self._unit[R], np.inf)
        return found

    def instead(self, support: BoolArray) -> Iterator[BoolArray]:
        """Yield the best supports without each of the coefficients, however many change sides.

        Where there are many coefficients there are none.
        """
        if support.size > PAIRS:
            return
        rows, columns = np.nonzero(self.profile.free)
        for k in np.flatnonzero(support):
            cost, without = self.cost.copy(), support.copy()
            cost[rows[k], columns[k]], without[k] = np.inf, False
            yield replace(self, cost=cost).best(without)

    def neighbours(self, support: BoolArray) -> Iterator[BoolArray]:
        """Yield supports in which one or two coefficients change sides.

        Where there are many coefficients, two are changed only as a swap within a state's rate.
        """
        p = support.size
        pairs: Iterator[tuple[int, int]] = combinations(range(p), 2)
        if p > PAIRS:
            inside, outside = (np.flatnonzero(one).tolist() for one in (support, ~support))
            pairs = (
                (k, other)
                for k, other in product(inside, outside)
                if self.states[k] == self.states[other]
            )
        for some in chain(combinations(range(p), 1), pairs):
            changed = support.copy()
            changed[list(some)] = ~changed[list(some)]
            yield changed
