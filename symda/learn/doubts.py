"""What limits an answer of `identify`, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symda.declare.library import Library
from symda.learn.field import Evaluated, Field
from symda.learn.points import Points
from symda.learn.search import FACTOR, LAST, Found, Search
from symda.types import BoolArray, FloatArray

#: Terms that change a step by less than so many times its error are said.
LARGER = 10.0
#: Residuals are correlated from so many standard deviations on; of fewer products nothing is said.
CORRELATED, FEW = 3.0, 10
#: Data that cost so many standard deviations more or less than they should are said.
UNUSUAL = 4.0
#: Estimated noise above this share of the data's variance is said.
MOSTLY = 0.3
#: What errors of the equations may cost, in units of the logarithm of the likelihood, and the rung
#: to which Rf is raised to see whether it becomes so little.
ERRORS, HIGHER = 0.5, LAST + 8
#: Gaps are said that are longer than so many times that in which a state changes by its size.
LONG = 10.0
#: Coefficients so many times their prior's standard deviation are said.
FAR = 4.0


def fitted_numbers(points: Points, best: Found) -> int:
    """Return how many numbers were fitted: coefficients, and a first state of each recording."""
    return int(best.free.sum()) + len(points.parts) * len(best.free)


@dataclass(frozen=True, eq=False)
class Doubts:
    """What was found, and what is asked of it.

    Attributes
    ----------
    unknown : (D,) of bool
        States whose noise was estimated.
    variance : (D,)
        Of the data.
    recordings
        What they are called.
    """

    candidates: Library
    search: Search
    best: Found
    unknown: BoolArray
    variance: FloatArray
    recordings: Sequence[str]

    def said(self, theta: Evaluated) -> tuple[list[str], float]:
        """Return cautions, and a finer step where that of the path matters, else nan."""
        made_up, finer = self._made_up(theta)
        found = [*self._fit(), *self._noise(), *self._cost(), *self._correlated(), *self._gaps()]
        return [f"caution: {one}" for one in [*found, *made_up]], finer

    def _fit(self) -> list[str]:
        joint, place, found = self.search.joint, self.best.place, []
        if not np.isfinite(self.best.evidence):
            found.append("no fit of these terms was found in which the data agree")
        cost = self._errors()
        if not cost < ERRORS:
            found.append(
                f"the path is no solution of these equations: their errors still cost {cost:.3g}; "
                "terms are missing, or the fit did not converge"
            )
        far = self.best.free & (np.abs(place.C) > FAR * joint.prior)
        if far.any():
            names = ", ".join(self._named(far))
            found.append(
                f"{names}: coefficients far beyond their prior; subtract the data's means, or pass "
                "a larger prior="
            )
        return found

    def _errors(self) -> float:
        """Return what errors of the equations cost; where that is much, at the next rungs."""
        joint, at, b = self.search.joint, self.best.place, LAST
        while True:
            cost = joint.error_term(at, FACTOR**b)
            if cost < ERRORS or b == HIGHER:
                return cost
            b += 1
            at = joint.minimise(at, FACTOR**b, self.best.free)

    def _named(self, which: BoolArray) -> list[str]:
        c = self.candidates
        return [f"{c.terms[j]} in {c.states[i]}" for i, j in np.argwhere(which)]

    def _noise(self) -> list[str]:
        return [
            f"the noise of {x.name} was estimated as {v / total:.0%} of its variance: it may be "
            "part of the signal; measure more often, or pass variance="
            for x, v, total, unknown in zip(
                self.candidates.states,
                self.search.joint.noise,
                self.variance,
                self.unknown,
                strict=True,
            )
            if unknown and v > MOSTLY * total
        ]

    def _cost(self) -> list[str]:
        p, found = self.search.joint.points, []
        squares = (p.rm * (self.best.place.X - p.y) ** 2).sum(axis=0)
        counts = p.seen.sum(axis=0)
        left = counts * (1.0 - fitted_numbers(p, self.best) / p.count)
        for x, cost, n, unknown in zip(
            self.candidates.states, squares, left, self.unknown, strict=True
        ):
            if unknown or n < 1.0:
                continue
            off = (cost - n) / np.sqrt(2.0 * n)
            if off > UNUSUAL:
                found.append(
                    f"the data of {x.name} cost {off:.1f} standard deviations more than their "
                    "noise explains: terms are missing, or the variance is too small"
                )
            elif off < -UNUSUAL:
                found.append(
                    f"the data of {x.name} cost {-off:.1f} standard deviations less than their "
                    "noise should: the variance is too large, or there are too many terms"
                )
        return found

    def _correlated(self) -> list[str]:
        """Say which states have residuals that are not independent of their neighbours."""
        p, found = self.search.joint.points, []
        off = np.where(p.seen, np.sqrt(p.rm) * (self.best.place.X - p.y), np.nan)
        for x, column in zip(self.candidates.states, off.T, strict=True):
            parts = [column[part][np.isfinite(column[part])] for part in p.parts]
            products = np.concatenate([one[1:] * one[:-1] for one in parts])
            size = float(np.sqrt((products**2).sum()))
            if products.size < FEW or size == 0.0:
                continue
            if products.sum() > CORRELATED * size:
                correlation = products.mean() / (np.concatenate(parts) ** 2).mean()
                found.append(
                    f"residuals of {x.name} next to each other are alike (correlation "
                    f"{correlation:.2f}): something is missing in the equations, or the noise is "
                    "not independent; error bars are too small"
                )
        return found

    def _gaps(self) -> list[str]:
        """Say where a state was not measured for longer than it takes to change by its size."""
        p, X, found = self.search.joint.points, self.best.place.X, []
        at = np.flatnonzero(p.h)
        speed = np.sqrt((((X[at + 1] - X[at]) / p.h[at, None]) ** 2).mean(axis=0))
        with np.errstate(divide="ignore"):
            most = LONG * X.std(axis=0) / speed
        for i, x in enumerate(self.candidates.states):
            gaps = []
            for part, name in zip(p.parts, self.recordings, strict=True):
                times, seen = p.times[part], p.seen[part, i]
                if not seen.any():
                    continue
                ends = np.concatenate([times[:1], times[seen], times[-1:]])
                k = int(np.diff(ends).argmax())
                gaps.append((ends[k + 1] - ends[k], ends[k], ends[k + 1], name))
            long, begin, end, name = max(gaps, default=(0.0, 0.0, 0.0, ""))
            if long > most[i]:
                where = f" in recording {name}" if len(p.parts) > 1 else ""
                found.append(
                    f"no data of {x.name} between t={begin:.6g} and t={end:.6g}{where}: what was "
                    "between them is known from the equations and other states only"
                )
        return found

    def _made_up(self, theta: Evaluated) -> tuple[list[str], float]:
        """Say which terms are no larger than the error of the path's steps."""
        p, C = self.search.joint.points, np.where(self.best.free, self.best.place.C, 0.0)
        at, h = np.flatnonzero(p.h), float(np.median(p.h[p.h > 0.0]))
        field, x = Field(self.candidates.fitted(C)), self.best.place.X[at]
        twice = field.step(field.step(x, h / 2.0), h / 2.0)
        error = np.sqrt(((field.step(x, h) - twice) ** 2).mean(axis=0))
        part = h * np.abs(C) * np.sqrt((theta(x) ** 2).mean(axis=0))
        small = self.best.free & (part < LARGER * error[:, None])
        if not small.any():
            return [], np.nan
        names, finer = ", ".join(self._named(small)), h / 4.0
        return [
            f"{names} are no larger than the error of steps of {h:.3g}, and may only make up for "
            f"it: pass step={finer:.3g}"
        ], finer
