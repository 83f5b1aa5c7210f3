"""The posterior of a run: of its parameters, and of everything, from the Hessian of its action."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assess import beyond_bounds
from symda.analyse.exact import about_solution, beside
from symda.analyse.expand import by_hessian
from symda.analyse.gaussian import Gaussian
from symda.analyse.laplace import laplace
from symda.analyse.levels import chosen_solution, last_rung, level_members
from symda.analyse.mixture import weights_of
from symda.analyse.nonlinear import mean_shift
from symda.analyse.posterior import Posterior
from symda.api.checked_run import check_run
from symda.api.machine import machine, strong_of
from symda.api.path_posterior import PathPosterior, PosteriorLevel
from symda.api.preflight import adrift, loose
from symda.api.run import Run
from symda.build.kernels import matrices_of
from symda.errors import OptionError, SolveError
from symda.solve import judge, on_edge, settled
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.observe import Problem


#: A point with more than this left to gain, in units of the action, is no minimum to expand about.
LEFT = 1e-2
#: Levels whose log mass is this far below the heaviest do not count: a thousandth.
WINDOW = 7.0
#: Levels that are looked at, the lowest first, and how far their actions may lie above the lowest.
MOST, HIGHEST = 32, 30.0
#: Two minima nearer than this, in standard deviations of either, are not apart.
APART = 4.0


class Expansion:
    """Expands the action of a run about the ends of its paths.

    Parameters
    ----------
    specification, run, problem
        Of one and the same call of `anneal`, as `check_run` has found.
    """

    def __init__(self, specification: Specification, run: Run, problem: Problem) -> None:
        self._run, self._problem = run, problem
        self._specification = specification
        self._evaluator = machine(specification).at(problem)
        unseen, _ = loose(specification.field, problem)
        self._unseen = tuple(unseen)
        self._adrift = adrift(specification.field, problem)
        solved = chosen_solution(run.dataset) is not None
        self._unstable: bool | None = None
        #: Paths that hold a solution of the equations.
        self.solutions = frozenset(run.dataset["solution_path"].values.tolist() if solved else ())

    def rf(self, path: int) -> FloatArray:
        """Return the model precision a path ended at, (D,)."""
        d = self._run.dataset
        found: FloatArray = d["rf"].values[int(d["last_beta"].values[path])]
        return found

    def theta(self, path: int) -> FloatArray:
        """Return the parameters a path ended with, as solvers move them, (P,)."""
        best = self._run.path(path)
        values = np.array(list(best.parameters.values()))
        return self._problem.internal(best.states.values, values)[1]

    def at(self, path: int, *, whole: bool = True) -> tuple[Posterior, Gaussian | None]:
        """Return the distribution of the parameters about the end of a path, and of everything.

        Parameters
        ----------
        whole : bool
            Whether the latter is wanted.

        Raises
        ------
        SolveError
            If the action has no minimum there.
        """
        best, rf, p = self._run.path(path), self.rf(path), self._problem
        values = np.array(list(best.parameters.values()))
        X, theta = p.internal(best.states.values, values)
        gaussian: Gaussian | None
        if path in self.solutions:
            found, gaussian = self._about_solution(X, theta, rf)
        else:
            X, theta, held = self._minimum(path, X, theta, rf)
            matrices = matrices_of(self._evaluator, "Hessian")
            found, _ = laplace(matrices, X, theta, rf, held=held, unseen=self._unseen)
            gaussian = None
            if whole:
                gaussian = by_hessian(matrices, X, theta, rf, held=held, unseen=self._adrift)
        return replace(found, values=values[p.free]), gaussian

    def shift(self, path: int, gaussian: Gaussian) -> FloatArray | None:
        """Return the first correction of the expected unknowns about the end of a path.

        About a solution that of the action beside it, at the last Rf; None where there is none.
        """
        matrices, rf = matrices_of(self._evaluator, "Hessian"), self.rf(path)
        if path not in self.solutions:
            return mean_shift(matrices, gaussian, rf)
        try:
            X, theta, held = beside(matrices, gaussian.path, gaussian.theta, rf)
            near = by_hessian(matrices, X, theta, rf, held=held, unseen=self._adrift)
        except SolveError:
            return None
        return mean_shift(matrices, near, rf)

    def _about_solution(
        self, X: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> tuple[Posterior, Gaussian]:
        exactly = matrices_of(self._evaluator, "Hessian")
        strong = strong_of(self._specification, exactly)
        v = strong.unknowns(X, theta)
        if self._unstable is None:
            # the levels of one run are weighed by determinants of one kind
            self._unstable = strong.unstable(v)
        at = v, strong.held(v, strong.gradient(v)), X, theta
        return about_solution(
            strong,
            exactly,
            at,
            rf,
            unseen=self._unseen,
            adrift=self._adrift,
            unstable=self._unstable,
        )

    def _minimum(
        self, path: int, X: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return the minimum that a path ended near, and what bounds hold there."""
        p, judges = self._problem, judge(self._evaluator)
        if judges is None:
            raise OptionError(
                f"posterior: the Hessian of {p.N} steps is too large to be made. Ask it of a "
                "shorter window."
            )
        here = judges.at(X, theta, rf)
        near = here.convex and here.decrement <= LEFT * p.measurement_scale
        if not (near or here.minimum):
            raise SolveError(
                f"posterior: there is no minimum here, at path {path}: {here.words(p)}."
            )
        # the estimate is the run's; its error bars are those of the minimum itself
        X, theta, here = settled(judges, p, X, theta, rf, here)
        X, theta = self._evaluator.split(X, theta)
        return X, theta, here.held | on_edge(judges, p, X, theta, rf)


def posterior(
    specification: Specification, run: Run, problem: Problem, path: int | None
) -> Posterior:
    """Distribution of the parameters around one path of a run; see `Action.posterior`."""
    check_run("posterior", specification, run, problem)
    _check_asked(problem)
    best = run.best if path is None else run.path(path)
    return Expansion(specification, run, problem).at(best.path, whole=False)[0]


def path_posterior(
    specification: Specification, run: Run, problem: Problem, *, wide: bool = False
) -> PathPosterior:
    """Distribution of everything, about the lowest levels of a run; see `Run.posterior`.

    Parameters
    ----------
    wide : bool
        Whether to keep levels of little weight where a bound holds something, since their weights
        are rough.
    """
    check_run("posterior", specification, run, problem)
    if specification.matrix_free:
        raise OptionError(
            "posterior: this action is matrix-free, and error bars need its Hessian. Make it with "
            "matrix_free=False where blocks of D x D fit."
        )
    expansion = Expansion(specification, run, problem)
    best = run.best
    found: dict[int, tuple[Posterior, Gaussian]] = {}
    notes: list[str] = []
    for path in _candidates(run, expansion, notes):
        try:
            bars, gaussian = expansion.at(path)
        except SolveError as error:
            if path == best.path:
                raise
            notes.append(f"the level of path {path} is left out: {error}")
            continue
        assert gaussian is not None
        found[path] = bars, gaussian
    missing = tuple(notes)
    held = any(gaussian.held.any() for _, gaussian in found.values())
    levels = _weighed(found, best.path, notes, HIGHEST if wide and held else WINDOW)
    heaviest = levels[0]
    if heaviest.path != best.path:
        notes.append(
            f"the level of path {heaviest.path} has more weight than the lowest, of path "
            f"{best.path}: it is the wider one"
        )
    solution = best.path in expansion.solutions
    rf = np.full(problem.D, np.inf) if solution else problem.precision(expansion.rf(best.path))
    rf = np.where(problem.ruled, rf, np.nan)
    notes += _scaled(problem) + _beyond(problem, heaviest)
    shift = expansion.shift(heaviest.path, heaviest.gaussian)
    last = expansion.rf(heaviest.path)
    return PathPosterior(specification, best.states, levels, rf, notes, shift, last, missing)


def _candidates(run: Run, expansion: Expansion, notes: list[str]) -> Iterator[int]:
    """Yield the lowest path of each distinct level, the lowest level first."""
    d = run.dataset
    best, rung = run.best, last_rung(d)
    if expansion.solutions:
        actions, seen = d["solution_action"].values, set()
        converged = d["solution_status"].values == Status.CONVERGED.code
        order = np.argsort(actions, kind="stable")
        for i in order.tolist():
            place = int(d["solution_place"].values[i])
            path = int(d["solution_path"].values[i])
            near = bool(actions[i] - best.action <= HIGHEST)
            if place in seen or not near or not (converged[i] or path == best.path):
                continue
            seen.add(place)
            yield path
        heads = [int(group[0]) for group in level_members(d)]
        climbed = d["action"].values[:, rung]
        others = [
            k for k in heads if k not in expansion.solutions and climbed[k] - best.action <= WINDOW
        ]
        if others:
            notes.append(
                f"{len(others)} levels as low as these were not finished as solutions of the "
                "equations, and are not among these"
            )
        return
    action = d["action"].values[:, rung]
    heads = [int(group[0]) for group in level_members(d)]
    low = [k for k in heads if action[k] - best.action <= HIGHEST]
    if len(low) > MOST:
        notes.append(f"of {len(low)} levels the lowest {MOST} were looked at")
    yield from low[:MOST]


def _weighed(
    found: dict[int, tuple[Posterior, Gaussian]], best: int, notes: list[str], window: float
) -> list[PosteriorLevel]:
    """Return the levels that count with their weights, the heaviest first."""
    masses = {path: gaussian.log_mass for path, (_, gaussian) in found.items()}
    held = [both[1].held for both in found.values()]
    if any((one != held[0]).any() for one in held):
        notes.append("bounds hold other unknowns at some levels than at others: weights are rough")
    if len(found) > 1 and not np.isfinite([*masses.values()]).all():
        notes.append(
            "levels cannot be weighed, since something is not determined at all: this is the "
            "lowest one"
        )
        found = {best: found[best]}
    else:
        top = max(masses.values())
        kept = [path for path in found if not masses[path] < top - window]
        if best not in kept:
            notes.append(f"the lowest level, of path {best}, has a weight below a thousandth")
        found = {path: found[path] for path in kept}
    near = [
        (one, other)
        for one in found
        for other in found
        if one < other
        and min(found[one][1].distance(found[other][1]), found[other][1].distance(found[one][1]))
        < APART
    ]
    for one, other in near:
        notes.append(
            f"the levels of paths {one} and {other} are not apart: what lies between them "
            "counts twice"
        )
    weights = np.ones(1)
    if len(found) > 1:
        weights = weights_of(np.array([both[1].log_mass for both in found.values()]))
    levels = [
        PosteriorLevel(path, float(weight), *both)
        for (path, both), weight in zip(found.items(), weights, strict=True)
    ]
    return sorted(levels, key=lambda one: -one.weight)


def _scaled(problem: Problem) -> list[str]:
    """Say of which values the logarithm is Gaussian."""
    names = np.array([*problem.states, *problem.parameters], dtype=str)[problem.scaled].tolist()
    if not names:
        return []
    some = ", ".join(names[:8]) + f" and {len(names) - 8} more" * (len(names) > 8)
    return [f"on scales, of which values are medians, and sd a share of them: {some}"]


def _beyond(problem: Problem, level: PosteriorLevel) -> list[str]:
    """Say which parameters' intervals of 95 % go beyond a bound."""
    names = beyond_bounds(level.parameters, problem)
    return [f"{name}: its interval goes beyond a bound" for name in names]


def _check_asked(problem: Problem) -> None:
    """Refuse where every estimated parameter has a value at each step: none is left."""
    carried = list(compress(problem.states, problem.per_step))
    if carried and not problem.free.any():
        raise OptionError(
            "posterior: no parameter that is the same at all times is free, and those with a value "
            f"of their own at every step ({', '.join(carried)}) are part of the path, which is "
            f"integrated out. Their values are run.best.states.sel(state={carried[0]!r}), and "
            "their error bars those of run.posterior().sd."
        )
