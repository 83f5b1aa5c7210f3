"""Recordings and a library -> terms, coefficients, path: the driver of `AnnealedTerms`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from symda.build.terms import TermKernels, term_kernels
from symda.declare.library import Library
from symda.derive.terms import term_functions
from symda.errors import DataError
from symda.learn.field import Evaluated, Field
from symda.learn.joint import Joint
from symda.learn.points import Points, make_points
from symda.learn.search import FACTOR, LAST, Found, Search
from symda.learn.series import Series
from symda.learn.smooth import Smooth
from symda.types import BoolArray, FloatArray

#: How messages name the call.
WHERE = "AnnealedTerms.fit"
#: Starts: splines smoother by these factors than cross-validation says.
FACTORS = (1.0, 0.1, 10.0, 0.01, 100.0, 3.0, 0.3, 30.0)
#: A step is at most this share of the time in which a state changes by its size.
RESOLVED = 0.1
#: Supports that are improved: the best of the starts.
KEPT = 3
#: Noise variances are estimated again until they change by less than this share, or so often.
SETTLED, AGAIN = 0.02, 5
#: Two fits of a support whose evidences differ by less are one.
SAME = 0.1
#: Rungs of a fit that stays near where it starts, and of one that looks farther.
STAY, NEARBY = (LAST, LAST, LAST), ((6, 8, 10, LAST, LAST),)
#: Noise is at least this share of a state's standard deviation.
LEAST = 1e-7
#: Terms that change a step by less than so many times its error are said.
LARGER = 10.0
#: Terms depend on each other where a combination of unit size is below this.
DEPENDENT = 1e-7
#: Residuals are correlated from so many standard deviations on; of fewer products nothing is said.
CORRELATED, FEW = 3.0, 10
#: Data that cost so many standard deviations more or less than they should are said.
UNUSUAL = 4.0


@dataclass(frozen=True, eq=False)
class Rules:
    """Options of `AnnealedTerms`, checked; variance (D,) is nan where it is to be estimated."""

    variance: FloatArray
    step: float | None
    starts: int
    complexity: float
    prior: float


@dataclass(frozen=True, eq=False)
class Identified:
    """What was found.

    Attributes
    ----------
    coefficients, spread, evidence : (D, T)
        Coefficients, their standard deviations, and the evidence for each term; 0 where there is
        none.
    free, allowed : (D, T) of bool
        Terms found, and those there might have been.
    others : list of (support, evidence)
        Other supports, and how much less likely the data are with them; the best first.
    times, path : (M,), (M, D)
        States at the points of the grid, recording after recording (`parts`).
    seen : (M, D)
        The data at these points; nan where there is none.
    noise : (D,)
        Noise variances; `estimated` says whether any was not given.
    count : int
        Number of values.
    cautions : list of str
        What limits the answer, in words.
    search, value
        What was searched, and minus the logarithm of the evidence found.
    """

    coefficients: FloatArray
    spread: FloatArray
    evidence: FloatArray
    free: BoolArray
    allowed: BoolArray
    others: list[tuple[BoolArray, float]]
    times: FloatArray
    path: FloatArray
    parts: tuple[slice, ...]
    seen: FloatArray
    noise: FloatArray
    estimated: bool
    count: int
    starts: int
    cautions: list[str]
    search: Search
    value: float

    def compared(self, coefficients: FloatArray, path: FloatArray) -> float:
        """Return how much less likely the data are with other terms; see `AnnealedTerms`."""
        if coefficients.shape != self.free.shape or path.shape != self.path.shape:
            raise DataError(
                f"compared: coefficients must be {self.free.shape} and the path {self.path.shape}, "
                f"got {coefficients.shape} and {path.shape}."
            )
        free = coefficients != 0.0
        at = self.search.joint.place(path, coefficients, FACTOR**LAST)
        fits = (self.search.again(at, free, rungs) for rungs in (STAY, *NEARBY))
        return min(one.evidence for one in fits) - self.value


def identify(candidates: Library, series: Sequence[Series], rules: Rules) -> Identified:
    """Find terms, coefficients and path.

    Raises
    ------
    DataError
        If a state was never measured, there are fewer values than candidate terms, or terms depend
        on each other.
    """
    allowed = np.array([[c is not None for c in row] for row in candidates.coefficients])
    _check(candidates, series, allowed)
    given = np.array(
        [
            [np.isfinite(one.variance[np.isfinite(one.values[:, i]), i]).all() for one in series]
            for i in range(len(candidates.states))
        ]
    ).all(axis=1)
    unknown = ~given & np.isnan(rules.variance)
    made = _Fit(candidates, series, rules, allowed, unknown)
    found = made.run()
    if rules.step is not None or np.isnan(made.finer):
        return found
    # terms may make up for the error of the steps
    return _Fit(candidates, series, replace(rules, step=made.finer), allowed, unknown).run()


def _rate_of(candidates: Library, seen: BoolArray) -> dict[object, int]:
    """Return the states that are, by what is known, the rate of a measured one: its number."""
    return {
        known: i
        for i, (known, row) in enumerate(
            zip(candidates.known, candidates.coefficients, strict=True)
        )
        if known.is_Symbol and seen[i] and not any(row)
    }


def _check(candidates: Library, series: Sequence[Series], allowed: BoolArray) -> None:
    values = np.concatenate([one.values for one in series])
    seen = np.isfinite(values)
    rate_of = _rate_of(candidates, seen.any(axis=0))
    for x, column in zip(candidates.states, seen.T, strict=True):
        if not column.any() and x not in rate_of:
            raise DataError(
                f"{WHERE}: {x.name} was never measured, so that any function of it would do as "
                "well. Measure it at some times, or let it be the rate of a state that was: "
                f"library(..., known={{x: {x.name}}}, only={{x: []}})."
            )
    if seen.sum() <= allowed.sum():
        raise DataError(
            f"{WHERE}: {int(seen.sum())} values cannot decide among {int(allowed.sum())} "
            "terms; measure more, or take fewer terms (a lower degree, only=...)."
        )


class _Fit:
    """One call of `identify`."""

    def __init__(
        self,
        candidates: Library,
        series: Sequence[Series],
        rules: Rules,
        allowed: BoolArray,
        unknown: BoolArray,
    ) -> None:
        self.candidates, self.series, self.rules = candidates, series, rules
        self.allowed, self.unknown = allowed, unknown
        functions = term_functions(candidates)
        self.theta = Evaluated(functions["terms_and_slopes"])
        self.known = Evaluated(functions["known_and_slopes"])
        self.kernels: TermKernels = term_kernels(candidates)
        self.begun = 0
        #: A step of which the error is smaller, where it matters.
        self.finer = np.nan
        values = np.concatenate([one.values for one in series])
        #: Noise variances are not estimated to be less.
        self.least = np.array(
            [
                (LEAST * v[np.isfinite(v)].std()) ** 2 if np.isfinite(v).any() else 0.0
                for v in values.T
            ]
        )

    def run(self) -> Identified:
        """See `identify`."""
        D = len(self.candidates.states)
        coarse = make_points(self.series, np.ones(D), None, WHERE)
        smooth = Smooth.of(self.series, coarse)
        noise = self._with_hidden(
            np.where(self.unknown, np.maximum(smooth.errors, self.least), self._given()),
            *self._path(smooth),
        )
        self.step = self._step(smooth)
        points = make_points(self.series, noise, self.step, WHERE)
        smooth = replace(smooth, points=points)
        search = self._search(smooth, points, noise)
        found = self._from_starts(search, smooth)
        tried: dict[bytes, float] = {}
        best = min((search.improve(one, tried) for one in found), key=lambda one: one.evidence)
        if self.unknown.any():
            search, best, tried = self._with_noise(search, best, tried)
        return self._said(search, best, tried)

    def _path(self, smooth: Smooth, factor: float = 1.0) -> tuple[FloatArray, FloatArray]:
        """Return a smooth path and its rates; states that were not measured are others' rates."""
        X, rates = smooth.path(factor)
        p = smooth.points
        seen = np.asarray(p.seen.any(axis=0))
        for x, i in _rate_of(self.candidates, seen).items():
            k = self.candidates.states.index(x)
            if not seen[k]:
                X[:, k] = rates[:, i]
                for part in p.parts:
                    rates[part, k] = np.gradient(X[part, k], p.times[part])
        return X, rates

    def _with_hidden(self, noise: FloatArray, X: FloatArray, rates: FloatArray) -> FloatArray:
        """Give states that were not measured a noise variance: the unit of their equations' errors.

        It is that of the state whose rate they are, in their own units.
        """
        found = noise.copy()
        for x, i in _rate_of(self.candidates, np.isfinite(noise)).items():
            k = self.candidates.states.index(x)
            if np.isnan(found[k]):
                found[k] = noise[i] * rates[:, i].var() / X[:, i].var()
        return found

    def _given(self) -> FloatArray:
        """Typical noise variances as given, (D,); nan where they were not."""
        given = np.concatenate([one.variance for one in self.series])
        seen = np.isfinite(np.concatenate([one.values for one in self.series]))
        typical = [
            np.exp(np.log(v[s & np.isfinite(v)]).mean()) if (s & np.isfinite(v)).any() else np.nan
            for v, s in zip(given.T, seen.T, strict=True)
        ]
        return np.where(np.isnan(self.rules.variance), typical, self.rules.variance)

    def _step(self, smooth: Smooth) -> float:
        if self.rules.step is not None:
            return self.rules.step
        X, rates = self._path(smooth)
        fast = np.sqrt((rates**2).mean(axis=0)) / np.maximum(X.std(axis=0), 1e-300)
        shortest = min(one.step for one in self.series)
        return min(shortest, RESOLVED / float(fast.max())) if fast.max() > 0.0 else shortest

    def _search(self, smooth: Smooth, points: Points, noise: FloatArray) -> Search:
        X, rates = self._path(smooth)
        theta = self.theta(X)
        size = np.sqrt((theta**2).mean(axis=0))
        _check_dependence(self.candidates, theta, self.allowed)
        rate = np.sqrt(((rates - self.known(X)) ** 2).mean(axis=0))
        prior = self.rules.prior * np.maximum(rate, 1e-300)[:, None] / np.maximum(size, 1e-300)
        degrees = np.array(self.candidates.degrees, dtype=np.float64)
        cost = np.log(prior) + self.rules.complexity * np.maximum(degrees - 1.0, 0.0)
        joint = Joint(self.kernels, points, noise, prior)
        return Search(joint, self.allowed, cost)

    def _from_starts(self, search: Search, smooth: Smooth) -> list[Found]:
        """Climb from one start after the other until the best support is met twice.

        Returns the best distinct supports, the best first.
        """
        found: dict[bytes, Found] = {}
        for factor in FACTORS[: self.rules.starts]:
            self.begun += 1
            X, rates = self._path(smooth, factor)
            one = search.climb(X, self._coefficients(X, rates))
            key, best = one.free.tobytes(), min((f.evidence for f in found.values()), default=inf)
            met = key in found and max(one.evidence, found[key].evidence) < best + SAME
            if key not in found or one.evidence < found[key].evidence:
                found[key] = one
            if met:
                break
        return sorted(found.values(), key=lambda one: one.evidence)[:KEPT]

    def _coefficients(self, X: FloatArray, rates: FloatArray) -> FloatArray:
        """Least squares of the rates along a path, (D, T)."""
        theta, rest = self.theta(X), rates - self.known(X)
        size = np.sqrt((theta**2).mean(axis=0)) + 1e-300
        C = np.zeros(self.allowed.shape)
        for i, mine in enumerate(self.allowed):
            if mine.any():
                C[i, mine] = np.linalg.lstsq(theta[:, mine] / size[mine], rest[:, i], rcond=1e-8)[0]
                C[i, mine] /= size[mine]
        return C

    def _with_noise(
        self, search: Search, best: Found, tried: dict[bytes, float]
    ) -> tuple[Search, Found, dict[bytes, float]]:
        """Estimate the noise from what is left of the data, fit again, and look around again."""
        for _ in range(AGAIN):
            noise = self._estimated(search, best)
            change = np.abs(noise / search.joint.noise - 1.0).max()
            points = make_points(self.series, noise, self.step, WHERE)
            search = replace(search, joint=replace(search.joint, points=points, noise=noise))
            best = search.again(best.place, best.free)
            tried = {}
            best = search.improve(best, tried)
            if change < SETTLED:
                break
        return search, best, tried

    def _estimated(self, search: Search, best: Found) -> FloatArray:
        p = search.joint.points
        seen = p.seen
        squares = np.where(seen, (best.place.X - p.y) ** 2, 0.0).sum(axis=0)
        fitted = best.free.sum() + len(p.parts) * self.allowed.shape[0]
        left = seen.sum(axis=0) * max(1.0 - fitted / seen.sum(), 0.1)
        found = np.maximum(squares / left, self.least)
        return np.where(self.unknown, found, search.joint.noise)

    def _said(self, search: Search, best: Found, tried: dict[bytes, float]) -> Identified:
        rf, joint = FACTOR**LAST, search.joint
        evidence, spread = np.zeros(self.allowed.shape), np.zeros(self.allowed.shape)
        for i, j in np.argwhere(best.free):
            without = best.free.copy()
            without[i, j] = False
            one = search.again(best.place, without)
            tried[without.tobytes()] = one.evidence
            evidence[i, j] = one.evidence - best.evidence
        profile = joint.profile(best.place, rf, best.free)
        cautions = []
        if profile is None:
            spread[best.free] = np.nan
            cautions.append("caution: the fit did not converge; error bars are not known")
        elif best.free.any():
            spread[best.free] = np.sqrt(np.diag(np.linalg.inv(profile.hessian)))
        cautions += self._cautions(search, best)
        others = [
            (np.frombuffer(key, dtype=bool).reshape(best.free.shape), value - best.evidence)
            for key, value in tried.items()
            if key != best.free.tobytes() and np.isfinite(value)
        ]
        p = joint.points
        return Identified(
            coefficients=np.where(best.free, best.place.C, 0.0),
            spread=spread,
            evidence=evidence,
            free=best.free,
            allowed=self.allowed,
            others=sorted(others, key=lambda one: one[1]),
            times=p.times,
            path=best.place.X,
            parts=p.parts,
            seen=np.where(p.seen, p.y, np.nan),
            noise=joint.noise,
            estimated=bool(self.unknown.any()),
            count=p.count,
            starts=self.begun,
            cautions=cautions,
            search=search,
            value=best.evidence,
        )

    def _cautions(self, search: Search, best: Found) -> list[str]:
        found, joint = [], search.joint
        if not np.isfinite(best.evidence):
            found.append("caution: no fit of these terms was found in which the data agree")
        if not self.unknown.any():
            n = joint.points.count - int(best.free.sum()) - self.allowed.shape[0]
            off = (2.0 * joint.data_term(best.place.X) - n) / np.sqrt(2.0 * n)
            if off > UNUSUAL:
                found.append(
                    f"caution: the data cost {off:.1f} standard deviations more than their noise "
                    "explains: terms are missing, or the variances are too small"
                )
            elif off < -UNUSUAL:
                found.append(
                    f"caution: the data cost {-off:.1f} standard deviations less than their noise "
                    "should: the variances are too large, or there are too many terms"
                )
        return found + self._correlated(search, best) + self._made_up(search, best)

    def _made_up(self, search: Search, best: Found) -> list[str]:
        """Say which terms are no larger than the error of the path's steps."""
        p, C = search.joint.points, np.where(best.free, best.place.C, 0.0)
        at, h = np.flatnonzero(p.h), float(np.median(p.h[p.h > 0.0]))
        field, x = Field(self.candidates.fitted(C)), best.place.X[at]
        twice = field.step(field.step(x, h / 2.0), h / 2.0)
        error = np.sqrt(((field.step(x, h) - twice) ** 2).mean(axis=0))
        part = h * np.abs(C) * np.sqrt((self.theta(x) ** 2).mean(axis=0))
        small = best.free & (part < LARGER * error[:, None])
        if not small.any():
            return []
        self.finer = h / 4.0
        names = ", ".join(
            f"{self.candidates.terms[j]} in {self.candidates.states[i]}"
            for i, j in np.argwhere(small)
        )
        return [
            f"caution: {names} are no larger than the error of steps of {h:.3g}, and may only make "
            f"up for it: pass step={self.finer:.3g}"
        ]

    def _correlated(self, search: Search, best: Found) -> list[str]:
        """Say which states have residuals that are not independent of their neighbours."""
        p, found = search.joint.points, []
        left = np.where(p.seen, best.place.X - p.y, np.nan)
        for x, column in zip(self.candidates.states, left.T, strict=True):
            parts = [column[part][np.isfinite(column[part])] for part in p.parts]
            products = np.concatenate([one[1:] * one[:-1] for one in parts])
            total = np.concatenate(parts)
            if products.size < FEW:
                continue
            correlation = products.mean() / (total**2).mean()
            if correlation > CORRELATED / np.sqrt(products.size):
                found.append(
                    f"caution: residuals of {x.name} next to each other are alike (correlation "
                    f"{correlation:.2f}): something is missing in the equations, or the noise is "
                    "not independent; error bars are too small"
                )
        return found


def _check_dependence(candidates: Library, theta: FloatArray, allowed: BoolArray) -> None:
    size = np.sqrt((theta**2).mean(axis=0))
    for i, mine in enumerate(allowed):
        if not mine.any():
            continue
        some = theta[:, mine] / np.where(size[mine] > 0.0, size[mine], 1.0)
        _, values, rows = np.linalg.svd(some, full_matrices=False)
        if values[-1] < DEPENDENT * values[0]:
            names = [str(e) for e, m in zip(candidates.terms, mine, strict=True) if m]
            who = [n for n, w in zip(names, rows[-1], strict=True) if abs(w) > 1e-3]
            raise DataError(
                f"{WHERE}: the terms {', '.join(who)} depend on each other along these "
                f"data, so that the rate of {candidates.states[i].name} cannot tell them apart; "
                "leave one of them out."
            )
