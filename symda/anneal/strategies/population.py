"""Many windows that grow together: the best are kept, the rest replaced by copies of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.group import climb, first_points
from symda.anneal.levels import GAP
from symda.anneal.measured import followed
from symda.anneal.strategies.strategy import (
    Growing,
    cut_short,
    extrapolated,
    finished,
    part,
    shortened,
    with_effort,
    with_window_limit,
)
from symda.anneal.task import Job, PathResult
from symda.checks import integer, number
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.anneal.starts import Point
    from symda.observe import Problem


#: Two candidates are one if their actions are one level and their ends this close, as a share of
#: the start ranges.
CLOSE = 0.01
#: A copy is perturbed over so many extensions of the window before its end.
REACH = 2


@dataclass(frozen=True)
class Population(Growing):
    """Let a population of windows grow, with selection; the `paths` of a run are its candidates.

    The candidates of an attempt climb the ladder on the first samples up to one rung. Then, a few
    samples at a time, duplicates and candidates far above the best are dropped, the best half of
    the number is kept, and copies whose unmeasured states are perturbed near the right end fill up
    again; each is extended by its own forecast and minimised. At full length the best climb the
    rest of the ladder, and they are the paths of the run. Rungs not visited at full length stay
    nan; an attempt's effort in shorter windows is counted with its best path. With fewer samples
    than the first window every candidate climbs the ladder.

    Parameters
    ----------
    samples, extend, rf
        The first window, its growth, and the rung it grows at; see `Growing`.
    spread : float
        Standard deviation of a perturbation, as a share of the state's start range.
    margin : float
        Candidates whose action is farther above the best than this, in units of the problem's
        measurement scale, are dropped.
    copies : int
        Candidates made of one, itself included: when few are left, the population shrinks.
    survivors : int
        Paths that climb the rest of the ladder at full length.

    Raises
    ------
    OptionError
        An option out of range.
    """

    spread: float = 0.2
    margin: float = 60.0
    copies: int = 4
    survivors: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(integer, "copies", "survivors")
        self._check(partial(number, kind="positive"), "spread", "margin")

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "population"

    @property
    def pooled(self) -> bool:
        """All paths are candidates of one attempt."""
        return True

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Run one attempt; the results are its survivors, numbered from `paths[0]`, best first."""
        plan = self.plan(job.problem, job.rf)
        key = (paths[0], 1)  # path k draws from (k,) only
        rng = np.random.default_rng(np.random.SeedSequence(job.seed, spawn_key=key))
        starts, failed = first_points(job, paths)
        starts = shortened(job, starts, plan.steps[0])
        efforts: list[PathResult] = []
        first = 0
        for steps, longer in zip(plan.steps, (*plan.steps[1:], 0), strict=True):
            full = longer == 0
            window = part(job, steps, range(first, plan.rung + 1), "ends")
            if efforts:
                window = with_window_limit(window)
            elif full:
                break
            found = climb(window, starts, deadline, halt)
            efforts += found
            able = [one for one in found if finished(window, one)]
            if not able:
                ended = found[0] if found else failed[0]
                result = cut_short(job, plan.rung, steps, ended) if found else ended
                return [with_effort(replace(result, path=paths[0]), efforts, plan.rung)]
            kept = self._select(window.problem, able, len(paths))
            if full:
                kept = kept[: self.survivors]
                starts = {
                    k: (one.states, one.theta[plan.rung])
                    for k, one in zip(paths, kept, strict=False)
                }
            else:
                starts = self._grow(job, kept, paths, steps, longer, rng)
            first = plan.rung
        full_length = part(job, job.problem.N, range(first, len(job.rf)), job.keep)
        ends = climb(full_length, starts, deadline, halt) if starts else failed
        ends.sort(key=lambda one: math.inf if math.isnan(one.level) else one.level)
        ranked = [replace(one, path=k) for k, one in zip(paths, ends, strict=False)]
        return [with_effort(ranked[0], efforts, first), *ranked[1:]]

    def _select(
        self, problem: Problem, found: Sequence[PathResult], count: int
    ) -> list[PathResult]:
        """Return the best half of `count`, without duplicates and those far above."""
        width = _width(problem)
        scale = problem.measurement_scale
        ranked = sorted(found, key=_action)
        kept: list[PathResult] = []
        for one in ranked:
            if len(kept) >= max(1, count // 2):
                break
            if _action(one) > _action(ranked[0]) + self.margin * scale:
                break
            if not any(_same(problem, one, other, width) for other in kept):
                kept.append(one)
        return kept

    def _grow(
        self,
        job: Job,
        kept: Sequence[PathResult],
        paths: Sequence[int],
        steps: int,
        longer: int,
        rng: np.random.Generator,
    ) -> dict[int, Point]:
        """Extend those kept and perturbed copies of them to a longer window."""
        problem = job.problem
        width = _width(problem)
        unmeasured = sorted(set(range(problem.D)) - set(followed(problem)))
        moved = unmeasured or list(range(problem.D))
        now, later = problem.segments_of(steps), problem.segments_of(longer)
        starts: dict[int, Point] = {}
        for i, k in enumerate(paths[: max(len(kept), self.copies * len(kept))]):
            parent = kept[i % len(kept)]
            path, theta = parent.states, parent.theta[parent.last_beta]
            if i >= len(kept):
                path = path.copy()
                for segment, after in zip(now, later, strict=True):
                    grown = (after.steps - segment.steps) * (1 + problem.interior)
                    reach = min(segment.points, REACH * grown)
                    ramp = np.arange(1, reach + 1)[:, None] / max(reach, 1)
                    shift = self.spread * width[moved] * rng.standard_normal(len(moved))
                    end = segment.last_point + 1
                    path[end - reach : end, moved] += ramp * shift
                path = np.clip(path, *problem.state_bounds.T)
            starts[k] = extrapolated(job, parent, steps, longer, (path, theta))
        return starts


def _action(one: PathResult) -> float:
    return float(one.action[one.last_beta])


def _width(problem: Problem) -> FloatArray:
    width = problem.state_start[:, 1] - problem.state_start[:, 0]
    return np.where(width > 0.0, width, 1.0)


def _same(problem: Problem, one: PathResult, other: PathResult, width: FloatArray) -> bool:
    if abs(_action(one) - _action(other)) > GAP * problem.measurement_scale:
        return False
    last = [segment.last_point for segment in problem.segments]
    return bool((np.abs(one.states[last] - other.states[last]) <= CLOSE * width).all())
