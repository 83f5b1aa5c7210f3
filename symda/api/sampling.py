"""From a run to samples of its levels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.gaussian import Gaussian
from symda.analyse.mixture import weights_of
from symda.api.machine import machine, strong_of
from symda.api.path_posterior import PathPosterior, PosteriorLevel
from symda.api.posterior import APART, path_posterior
from symda.api.samples import PathSamples
from symda.build.kernels import matrices_of
from symda.checks import choice, integer, number
from symda.errors import OptionError, SolveError
from symda.sample.maps import Map
from symda.sample.path_map import PathMap
from symda.sample.plan import METHODS, Drawn, Level, sampled
from symda.sample.solution import SolutionMap, SolutionTarget
from symda.sample.target import Change, PathTarget, Target
from symda.sample.white import White
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.api.run import Run
    from symda.api.specification import Specification
    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem

#: Fewest draws of a level.
FEWEST = 50
#: Share of the draws of one level that may be nearer to another's minimum.
MET = 0.01


def sample(
    specification: Specification,
    run: Run,
    problem: Problem,
    *,
    draws: int,
    chains: int,
    method: str,
    seed: int,
    time_limit: float,
) -> PathSamples:
    """Draw from exp(-A); see `Run.sample`."""
    draws = integer(draws, "sample: draws", least=FEWEST)
    chains = integer(chains, "sample: chains", least=2)
    seed = integer(seed, "sample: seed", least=0)
    limit = number(time_limit, "sample: time_limit", kind="positive")
    choice(method, "sample: method", METHODS)
    if specification.matrix_free:
        states = len(specification.model.states)
        raise OptionError(
            f"sample: this action is matrix-free ({states} states). Weights of draws are "
            "determinants, and chains go in coordinates made of a factor of the Hessian; of this "
            "action there are values, gradients and products only, and no draws that could be "
            f"checked. Make it with matrix_free=False where blocks of {states} x {states} fit, one "
            "for each step; or take fewer sites."
        )
    end = time.time() + limit
    posterior = path_posterior(specification, run, problem, wide=True)
    for level in posterior.levels:
        _check_determined(problem, level.gaussian)
    sampler = _Sampler(
        specification, run, posterior, draws=draws, chains=chains, method=method, seed=seed
    )
    groups = _groups(posterior)
    while True:
        found = sampler.drawn(groups, end)
        met = _met(found)
        if met is None:
            return PathSamples(specification, posterior, found)
        # what goes from one to the other would count twice
        joined = [one for k in met for one in groups[k]]
        groups = [group for k, group in enumerate(groups) if k not in met]
        groups.append(sorted(joined, key=lambda one: -one.weight))


class _Sampler:
    """Samples groups of levels of one run."""

    def __init__(
        self,
        specification: Specification,
        run: Run,
        posterior: PathPosterior,
        *,
        draws: int,
        chains: int,
        method: str,
        seed: int,
    ) -> None:
        self._specification, self._run = specification, run
        self._at = matrices_of(machine(specification).at(_problem(posterior)), "Hessian")
        self._change = _change(specification, _problem(posterior))
        self._solution = bool(np.isinf(posterior.rf).any())
        self._draws, self._chains, self._method, self._seed = draws, chains, method, seed

    def drawn(
        self, groups: Sequence[Sequence[PosteriorLevel]], end: float
    ) -> list[tuple[Target, Drawn, tuple[int, ...]]]:
        """Sample each group, until a time."""
        found, rng = [], np.random.default_rng(self._seed)
        for group in groups:
            weight = sum(one.weight for one in group)
            level = self._level(group)
            share = min(1.0, max(weight, 1.0 / len(groups)))
            drawn = sampled(
                level,
                max(FEWEST, int(np.ceil(weight * self._draws))),
                chains=self._chains,
                method=self._method,
                rng=rng,
                alone=len(groups) == 1,
                deadline=time.time() + share * max(end - time.time(), 0.0),
            )
            found.append((level.targets[0], drawn, tuple(one.path for one in group)))
        return found

    def _level(self, group: Sequence[PosteriorLevel]) -> Level:
        targets: list[Target] = []
        maps: list[Map] = []
        notes: list[str] = []
        for one in group:
            target = self._target(one)
            targets.append(target)
            try:
                maps.append(
                    SolutionMap(target, self._at)
                    if isinstance(target, SolutionTarget)
                    else PathMap(target)
                )
            except ValueError as error:
                notes = [f"no importance draws: {error}"]
        masses = np.array([one.gaussian.log_mass for one in group])
        shares = weights_of(masses)
        return Level(
            targets,
            maps if len(maps) == len(targets) else (),
            shares,
            float(masses.max() - np.log(shares.max())),
            tuple(notes),
        )

    def _target(self, one: PosteriorLevel) -> SolutionTarget | PathTarget:
        if not self._solution:
            return _of_path(self._at, one.gaussian, _rf(self._run, one.path), self._change)
        if one.gaussian.own is not None:
            raise SolveError(
                "sample: these equations are so unstable that the action of their solutions cannot "
                "be told from rounding between one draw and the next. Sample a run with "
                "finish='none'."
            )
        strong = strong_of(self._specification, self._at)
        own = _among(self._change, strong.places)
        return SolutionTarget(strong, strong.unknowns(one.gaussian.path, one.gaussian.theta), own)


def _change(specification: Specification, p: Problem) -> Change | None:
    """Return the change of variables of what has a prior and a scale; None if nothing has."""
    declared = specification.declarations.items()
    names = [str(one) for one, what in declared if what.prior is not None]
    states = np.flatnonzero(p.scaled[: p.D] & np.isin(p.states, names))
    found = [p.first_unknowns[:, states].reshape(-1)]
    # parameters of the kernels, of which an experiment may have its own
    known = np.isin(np.array(p.kernel_parameters, dtype=str), names)
    own = np.unique(p.use[:, known])
    found.append(p.unknowns.on_path + own[p.scaled[p.D + own]])
    places = np.concatenate(found).astype(np.int64)
    places = places[p.unknowns.free[places]]
    if not places.size:
        return None
    which = np.where(places < p.unknowns.on_path, places % p.D, p.D + places - p.unknowns.on_path)
    return Change(places, tuple(p.scales[k] for k in which.tolist()))


def _among(change: Change | None, places: IntArray) -> Change | None:
    """Return the same where the unknowns are only those at some places of all."""
    if change is None:
        return None
    at = [int(np.flatnonzero(places == k)[0]) for k in change.places]
    return Change(np.array(at, dtype=np.int64), change.scales)


def _problem(posterior: PathPosterior) -> Problem:
    return posterior.levels[0].gaussian.problem


def _met(found: Sequence[tuple[Target, Drawn, tuple[int, ...]]]) -> tuple[int, int] | None:
    """Return two groups of which one's draws are nearer to the other's minimum; None if none are.

    In standard deviations of each.
    """
    for i, (mine, drawn, _) in enumerate(found):
        own = [_away(mine, x) for x in drawn.x]
        for j, (other, _, _) in enumerate(found):
            if i == j:
                continue
            nearer = np.array([_away(other, x) for x in drawn.x]) < own
            if drawn.weights @ nearer > MET:
                return i, j
    return None


def _away(target: Target, x: FloatArray) -> float:
    q = target.white.together(x - target.centre)
    return float(q @ q)


def _check_determined(problem: Problem, gaussian: Gaussian) -> None:
    """Refuse what nothing determines: there is no density to draw from."""
    loose = [problem.states[a] for a in np.flatnonzero(gaussian.open.any(axis=0))]
    flat = np.abs(gaussian.flat).max(axis=1, initial=0.0) > 0.0
    loose += [problem.parameters[i] for i in gaussian.places[flat] if i >= 0]
    if loose:
        some = ", ".join(loose[:6]) + f" and {len(loose) - 6} more" * (len(loose) > 6)
        raise SolveError(
            f"sample: nothing determines {some}, so that there is no density to draw from. Measure "
            "more, or declare a prior."
        )


def _groups(posterior: PathPosterior) -> list[list[PosteriorLevel]]:
    """Put levels together that are not apart, the heaviest of each first."""
    found: list[list[PosteriorLevel]] = []
    for level in posterior.levels:
        near = [
            group
            for group in found
            if any(_distance(level.gaussian, one.gaussian) < APART for one in group)
        ]
        joined = [one for group in near for one in group] + [level]
        found = [group for group in found if group not in near] + [joined]
    found.sort(key=lambda group: -sum(one.weight for one in group))
    return [sorted(group, key=lambda one: -one.weight) for group in found]


def _distance(one: Gaussian, other: Gaussian) -> float:
    return min(one.distance(other), other.distance(one))


def _rf(run: Run, path: int) -> FloatArray:
    d = run.dataset
    found: FloatArray = d["rf"].values[int(d["last_beta"].values[path])]
    return found


def _of_path(
    evaluator: BlockEvaluator, g: Gaussian, rf: FloatArray, change: Change | None
) -> PathTarget:
    p = evaluator.problem
    assert g.own is not None
    free = ~g.fixed
    alone = np.ones(free.size)
    centre = p.unknowns.join(g.path, g.theta)
    if g.held.any():
        # on a bound the slope, too, says how wide the density is
        scale = p.measurement_scale
        at = *p.unknowns.split(centre), evaluator.precision(rf)
        slope = evaluator.gradient(*at) / scale
        bend = evaluator.hessian(*at).diagonal() / scale
        alone[g.held] = 1.0 / np.sqrt(np.abs(bend) + slope**2)[g.held]
    white = White(g.own, free, alone)
    return PathTarget(evaluator, centre, white, rf, g.held, change)
