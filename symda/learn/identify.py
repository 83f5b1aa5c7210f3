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
from symda.learn.candidates import check_independent
from symda.learn.doubts import Doubts, fitted_numbers
from symda.learn.field import Evaluated, Field
from symda.learn.joint import Joint
from symda.learn.points import Points, make_points
from symda.learn.search import FACTOR, LAST, Found, Search
from symda.learn.series import Series
from symda.learn.smooth import FEWEST, Smooth
from symda.types import BoolArray, FloatArray

#: How messages name the call.
WHERE = "AnnealedTerms.fit"
#: Starts: splines smoother by a factor than cross-validation says, and the first rung from there.
STARTS = ((1.0, -2), (0.1, 6), (10.0, 2), (0.01, 9))
#: A step is at most this share of the time in which a state changes by its size.
RESOLVED = 0.1
#: Supports that are improved: the best of the starts.
KEPT = 3
#: What is less likely than the best by so much (a logarithm) is not improved: of the first starts
#: where the best explains the data, of later ones always.
FAR = 50.0
#: Noise variances are estimated again until they change by less than this share, or so often.
SETTLED, TIMES = 0.02, 5
#: Two fits of a support whose evidences differ by less are one.
SAME = 0.1
#: Rungs of a fit that stays near where it starts, and of one that looks farther.
STAY, NEARBY = (LAST, LAST, LAST), (12, 16, 20, LAST, LAST)
#: Noise is at least this share of a state's standard deviation.
LEAST = 1e-7
#: Coefficients so many standard deviations of their prior ask for a wider one, so often at most.
LARGE, WIDER = 3.0, 3
#: Where a spline misses more than this share of the variance the noise may be less: so little.
RARE, LITTLE = 0.05, 0.01


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
    climbs : int
        How often Rf was raised from a start.
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
    climbs: int
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
        fits = (self.search.again(at, free, rungs) for rungs in (STAY, NEARBY))
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
    if not allowed.any():
        raise DataError(
            f"{WHERE}: the library has no candidate term; every rate is known, or only=[]."
        )
    variance = np.concatenate([one.variance for one in series])
    for x, has, mine in zip(candidates.states, seen.T, np.isfinite(variance).T, strict=True):
        if 0 < (mine & has).sum() < has.sum():
            raise DataError(
                f"{WHERE}: some values of {x.name} have a variance and others have none; give it "
                "for all of them, or for none."
            )
    if seen.sum() <= allowed.sum():
        raise DataError(
            f"{WHERE}: {int(seen.sum())} values cannot decide among {int(allowed.sum())} "
            "terms; measure more, or take fewer terms (a lower degree, only=...)."
        )


@dataclass(frozen=True, eq=False)
class _Answer:
    """Terms found from one start of the noise, and minus the logarithm of its evidence."""

    search: Search
    best: Found
    evidence: FloatArray
    tried: dict[bytes, float]
    value: float
    unsettled: bool


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
        #: Sizes of the rates, (D,), which priors are relative to.
        self.rate = np.ones(len(candidates.states))
        #: Whether estimates of the noise still changed when they were given up.
        self.unsettled = False
        #: A step of which the error is smaller, where it matters.
        self.finer = np.nan
        values = np.concatenate([one.values for one in series])
        #: Of the data, (D,).
        self.variance = np.array(
            [v[np.isfinite(v)].var() if np.isfinite(v).any() else 0.0 for v in values.T]
        )
        #: Noise variances are not estimated to be less.
        self.least = LEAST**2 * self.variance

    def run(self) -> Identified:
        """See `identify`."""
        D = len(self.candidates.states)
        coarse = make_points(self.series, np.ones(D), self.rules.step, WHERE)
        smooth = Smooth.of(self.series, coarse)
        self._check_noise(smooth)
        self.step = self._step(smooth)
        smooth = replace(smooth, points=make_points(self.series, np.ones(D), self.step, WHERE))
        answers = [self._answer(smooth, noise) for noise in self._noises(smooth)]
        return self._said(min(answers, key=lambda one: one.value))

    def _check_noise(self, smooth: Smooth) -> None:
        for x, unknown, error in zip(
            self.candidates.states, self.unknown, smooth.errors, strict=True
        ):
            if unknown and not np.isfinite(error):
                raise DataError(
                    f"{WHERE}: the noise of {x.name} cannot be estimated from fewer than "
                    f"{2 * FEWEST} values in every recording; pass its variance=."
                )

    def _noises(self, smooth: Smooth) -> list[FloatArray]:
        """Return noise variances to begin with: as splines say, and less where data are rare.

        Where a spline misses most of what it should predict, its error is the signal itself.
        """
        path = self._path(smooth)
        first = np.where(self.unknown, np.maximum(smooth.errors, self.least), self._given())
        found = [self._with_hidden(first, *path)]
        if (self.unknown & (smooth.errors > RARE * self.variance)).any():
            less = np.where(self.unknown, np.minimum(first, LITTLE * self.variance), first)
            found.append(self._with_hidden(less, *path))
        return found

    def _answer(self, smooth: Smooth, noise: FloatArray) -> _Answer:
        """Find terms from these noise variances."""
        points = make_points(self.series, noise, self.step, WHERE)
        search, self.unsettled = self._search(smooth, points, noise), False
        best, tried = self._climbed(search, smooth)
        for _ in range(WIDER):
            wider = self._wider(search, best)
            if wider is None:
                break
            search = wider
            best, tried = self._climbed(search, smooth)
        if self.unknown.any():
            search, best, tried = self._with_noise(search, best, tried)
        best, evidence = search.settled(best, tried)
        counts = search.joint.points.seen.sum(axis=0)
        value = best.evidence + 0.5 * float(counts @ np.log(search.joint.noise))
        return _Answer(search, best, evidence, tried, value, self.unsettled)

    def _climbed(self, search: Search, smooth: Smooth) -> tuple[Found, dict[bytes, float]]:
        """Climb from all starts and improve what they found; the best, and all that was fitted.

        What nearly explains the data may be held by a term that took the place of others: then
        without each of its terms in turn.
        """
        tried: dict[bytes, float] = {}
        first, *others = self._from_starts(search, smooth)
        best = search.improve(first, tried)
        for one in others:
            if not search.explains(best) or one.evidence < best.evidence + FAR:
                best = min(best, search.improve(one, tried), key=lambda one: one.evidence)
        hopeless = best.place.action > search.joint.points.count
        for i, j in np.argwhere(best.free):
            if search.explains(best) or hopeless or self.begun >= self.rules.starts:
                break
            allowed = self.allowed.copy()
            allowed[i, j] = False
            one = self._climb(replace(search, allowed=allowed), smooth, *STARTS[0])
            if one.evidence < best.evidence + FAR:
                best = min(best, search.improve(one, tried), key=lambda one: one.evidence)
        return best, tried

    def _climb(self, search: Search, smooth: Smooth, factor: float, first: int) -> Found:
        self.begun += 1
        X, rates = self._path(smooth, factor)
        C = np.where(search.allowed, self._coefficients(X, rates), 0.0)
        return search.climb(X, C, first)

    def _wider(self, search: Search, best: Found) -> Search | None:
        """Return a search with wider priors, where those were set by rates that were too small."""
        prior = search.joint.prior
        if not np.isfinite(best.evidence) or not best.free.any():
            return None
        field = Field(self.candidates.fitted(np.where(best.free, best.place.C, 0.0)))
        with np.errstate(all="ignore"):
            rates = field.rate(best.place.X) - self.known(best.place.X)
            faster = np.sqrt((rates**2).mean(axis=0)) / self.rate
        largest = (np.abs(best.place.C) * best.free / prior).max(axis=1)
        factor = np.maximum(
            np.where(largest > LARGE, largest, 1.0),
            np.where(np.isfinite(faster) & (faster > 2.0), faster, 1.0),
        )
        if (factor == 1.0).all():
            return None
        self.rate = self.rate * factor
        return self._with_prior(search.joint, prior * factor[:, None])

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
        return np.where(np.isnan(typical), self.rules.variance, typical)

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
        self._check_values(theta, X)
        size = np.sqrt((theta**2).mean(axis=0))
        check_independent(self.candidates, theta, X, WHERE)
        rate = np.sqrt(((rates - self.known(X)) ** 2).mean(axis=0))
        self.rate = np.maximum(rate, 1e-300)
        prior = self.rules.prior * self.rate[:, None] / np.maximum(size, 1e-300)
        return self._with_prior(Joint(self.kernels, points, noise, prior), prior)

    def _check_values(self, theta: FloatArray, X: FloatArray) -> None:
        fine = np.isfinite(theta).all(axis=0) | ~self.allowed.any(axis=0)
        if not fine.all():
            term = self.candidates.terms[int(np.flatnonzero(~fine)[0])]
            ranges = ", ".join(
                f"{x.name} {low:.3g} .. {high:.3g}"
                for x, low, high in zip(
                    self.candidates.states, X.min(axis=0), X.max(axis=0), strict=True
                )
            )
            raise DataError(
                f"{WHERE}: the term {term} has no value at some states of the data ({ranges}); "
                "leave it out, or learn in other units or states."
            )

    def _with_prior(self, joint: Joint, prior: FloatArray) -> Search:
        degrees = np.array(self.candidates.degrees, dtype=np.float64)
        cost = np.log(prior) + self.rules.complexity * np.maximum(degrees - 1.0, 0.0)
        return Search(replace(joint, prior=prior), self.allowed, cost)

    def _from_starts(self, search: Search, smooth: Smooth) -> list[Found]:
        """Climb from one start after the other until the best support is met twice.

        Returns the best distinct supports, the best first.
        """
        found: dict[bytes, Found] = {}
        for factor, first in STARTS[: self.rules.starts]:
            one = self._climb(search, smooth, factor, first)
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
        for _ in range(TIMES):
            noise = self._estimated(search, best)
            change = np.abs(noise / search.joint.noise - 1.0).max()
            points = make_points(self.series, noise, self.step, WHERE)
            search = replace(search, joint=replace(search.joint, points=points, noise=noise))
            best = search.again(best.place, best.free)
            tried.clear()
            best = search.improve(best, tried)
            if change < SETTLED:
                return search, best, tried
        self.unsettled = True
        return search, best, tried

    def _estimated(self, search: Search, best: Found) -> FloatArray:
        p = search.joint.points
        seen = p.seen
        squares = np.where(seen, (best.place.X - p.y) ** 2, 0.0).sum(axis=0)
        left = np.maximum(seen.sum(axis=0), 1) * max(
            1.0 - fitted_numbers(p, best) / seen.sum(), 0.1
        )
        found = np.maximum(squares / left, self.least)
        return np.where(self.unknown, found, search.joint.noise)

    def _said(self, answer: _Answer) -> Identified:
        search, best = answer.search, answer.best
        joint, spread = search.joint, np.zeros(self.allowed.shape)
        profile = joint.profile(best.place, FACTOR**LAST, best.free)
        if profile is None:
            spread[best.free] = np.nan
        elif best.free.any():
            spread[best.free] = np.sqrt(np.diag(np.linalg.inv(profile.hessian)))
        others = [
            (np.frombuffer(key, dtype=bool).reshape(best.free.shape), value - best.evidence)
            for key, value in answer.tried.items()
            if key != best.free.tobytes() and np.isfinite(value)
        ]
        p = joint.points
        seen = np.where(p.seen, p.y, np.nan)
        called = [one.name for one in self.series]
        doubts = Doubts(self.candidates, search, best, self.unknown, self.variance, called)
        cautions, self.finer = doubts.said(self.theta)
        if answer.unsettled:
            cautions.append(f"caution: the noise still changed after {TIMES} estimates of it")
        return Identified(
            coefficients=np.where(best.free, best.place.C, 0.0),
            spread=spread,
            evidence=answer.evidence,
            free=best.free,
            allowed=self.allowed,
            others=sorted(others, key=lambda one: one[1]),
            times=p.times,
            path=best.place.X,
            parts=p.parts,
            seen=seen,
            noise=joint.noise,
            estimated=bool(self.unknown.any()),
            count=p.count,
            climbs=self.begun,
            cautions=cautions,
            search=search,
            value=best.evidence,
        )
