"""The strong constraint at the end: the lowest levels become solutions of the equations."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal.levels import GAP, NEARLY, NEARLY_UNITS
from symda.anneal.task import OF_RUNGS, Job, PathResult, workspace
from symda.status import Status

if TYPE_CHECKING:
    from symda.observe import Problem
    from symda.solve import Solution


#: Distinct levels, or places of one level, that are finished.
LEVELS = 5
#: Paths whose unknowns differ by less than this share of their sizes are one.
CLOSE = 0.02
#: A solution this far above a path that nearly is one, in units of the action, was not found well.
UNITS = 20.0
#: The solution from its first state follows a path if it is no higher by more.
FOLLOWED = 1.0


@dataclass(frozen=True)
class Finish:
    """The solutions that some paths led to, and which of them is the answer."""

    paths: tuple[int, ...] = ()
    solutions: tuple[Solution, ...] = ()
    climbed: tuple[float, ...] = ()  #: The level that each path had climbed to,
    errors: tuple[float, ...] = ()  #: and the part of it that its model errors cost.
    #: Numbers of the minima they are at, two of one valley being one; -1: none.
    places: tuple[int, ...] = ()
    chosen: int = -1  #: Place of the answer among them; -1: it is the lowest path itself.
    told: str = ""  #: What was decided, in words.

    @property
    def said(self) -> tuple[str, ...]:
        """What is to be told, nothing or one line."""
        return (self.told,) if self.told else ()


def finish(
    job: Job,
    results: Sequence[PathResult],
    workers: int,
    deadline: float | None = None,
    *,
    fresh: bool = True,
) -> tuple[Finish, list[PathResult]]:
    """Minimise over first states and parameters alone, from the lowest distinct levels.

    Parameters
    ----------
    job
        What the paths shared; it has a flow.
    results
        What they found.
    workers
        Levels at once.
    deadline
        `time.time()` after which no iteration begins.
    fresh
        Whether paths of the ladder are finished, and not only those taken that shot.

    Returns
    -------
    found
        The solutions.
    results
        Where one of them is the answer, the finished paths have theirs at the last rung: what they
        climbed to stands in `found`.
    """
    scale = job.problem.measurement_scale
    by_level = sorted((r for r in results if math.isfinite(r.level)), key=lambda r: r.level)
    distinct: list[PathResult] = []
    for one in by_level:
        if fresh or one.solution is not None:
            alike = [other for other in distinct if one.level <= other.level + GAP * scale]
            if not any(_close(job.problem, one, other) for other in alike):
                distinct.append(one)
    lowest = distinct[:LEVELS]
    if not lowest:
        if not fresh:
            return Finish(), list(results)
        none = Finish(told="no path reached the end of the ladder, so none was finished")
        return none, list(results)

    def led(one: PathResult, bar: float = math.inf) -> Solution:
        if one.solution is not None and not (one.solution.crept and fresh):
            return one.solution
        strong, at = workspace(job).strong(job), (one.states, one.theta[one.last_beta])
        # else the solution from its first state goes another way, and the path would be lost
        if not strong.value(strong.unknowns(*at)) <= one.level + FOLLOWED * scale:
            at = strong.mended(*at, deadline) or at
        return strong.minimise(*at, deadline, bar=bar)

    began = time.perf_counter()
    # a solution is no lower than the level it came from, but for what the scheme's error makes
    first = led(lowest[0])
    bar = first.action + UNITS * scale
    rest = [one for one in lowest[1:] if not one.level > bar]
    if workers > 1 and len(rest) > 1:
        with ThreadPoolExecutor(workers) as pool:
            solutions = (first, *pool.map(lambda one: led(one, bar), rest))
    else:
        solutions = (first, *(led(one, bar) for one in rest))
    lowest = [lowest[0], *rest]
    seconds = time.perf_counter() - began
    chosen, why = _chosen(job, lowest, solutions)
    paths = tuple(one.path for one in lowest)
    many = f"{len(lowest)} levels" if len(lowest) > 1 else "the level"
    told = f"finished {many} as solutions of the equations in {seconds:.2g} s: {why}"
    climbed = tuple(one.level for one in lowest)
    errors = tuple(float(one.model_term[-1]) for one in lowest)
    found = Finish(paths, solutions, climbed, errors, _places(job, solutions), chosen, told)
    if chosen < 0:
        return found, list(results)
    ends = dict(zip(paths, solutions, strict=True))
    return found, [
        ended(job, one, ends[one.path])
        if one.path in ends and ends[one.path].status != Status.FAILED
        else one
        for one in results
    ]


def _close(problem: Problem, one: PathResult, other: PathResult) -> bool:
    """Whether two paths are the same, to a small share of the sizes of their unknowns."""
    sizes = problem.sizes
    apart = np.abs(one.states - other.states).max(axis=0) / sizes[: problem.D]
    own = np.abs(one.theta[one.last_beta] - other.theta[other.last_beta]) / sizes[problem.D :]
    return bool(max(apart.max(initial=0.0), own.max(initial=0.0)) <= CLOSE)


def _places(job: Job, solutions: Sequence[Solution]) -> tuple[int, ...]:
    """Give each solution the number of its minimum: one if the way between two is no higher."""
    strong, scale = workspace(job).strong(job), job.problem.measurement_scale
    heads: list[Solution] = []
    found: list[int] = []
    for one in solutions:
        if one.status == Status.FAILED:
            found.append(-1)
            continue
        for number, head in enumerate(heads):
            v, w = (strong.unknowns(each.path, each.theta) for each in (one, head))
            top = max(one.action, head.action) + GAP * scale
            if all(strong.value(v + share * (w - v)) <= top for share in (0.25, 0.5, 0.75)):
                found.append(number)
                break
        else:
            found.append(len(heads))
            heads.append(one)
    return tuple(found)


def ended(job: Job, result: PathResult, solution: Solution) -> PathResult:
    """Return the record of a path with a solution of the equations as its last rung."""
    last = job.rungs[-1]
    kept: dict[str, Any] = {
        name: getattr(result, name).copy() for name in (*OF_RUNGS, "states", "momenta", "fit")
    }
    numbers: dict[str, Any] = {
        "action": solution.action,
        "measurement_term": solution.measurement_term,
        "model_term": 0.0,
        "theta": solution.theta,
        "status": solution.status.code,
    }
    for name, value in numbers.items():
        kept[name][last] = value
    kept["iterations"][last] += solution.iterations
    kept["evaluations"][last] += solution.integrations
    kept["seconds"][last] = np.nansum([kept["seconds"][last], solution.seconds])
    kept["states"][:], kept["momenta"][:] = solution.path, 0.0
    at = workspace(job).kernels.at(job.problem)
    kept["fit"][:] = at.measure(solution.path, solution.theta)
    by_beta = result.states_by_beta
    if by_beta is not None:
        by_beta = by_beta.copy()
        by_beta[last] = solution.path
    message = f"rung {last}: {solution.message}" if solution.message else ""
    return replace(
        result,
        **kept,
        states_by_beta=by_beta,
        decrement=solution.decrement,
        last_beta=last,
        message=message,
        solution=solution,
    )


def _chosen(
    job: Job, lowest: Sequence[PathResult], solutions: Sequence[Solution]
) -> tuple[int, str]:
    """Return which solution is the answer, or -1, and why."""
    actions = np.array([one.action for one in solutions])
    if not np.isfinite(actions).any():
        return -1, f"none has one ({solutions[0].message})"
    scale = job.problem.measurement_scale
    least = float(np.nanmin(actions))
    # of those that are as low one that is a minimum
    best = min(
        np.flatnonzero(actions <= least + GAP * scale).tolist(),
        key=lambda i: (solutions[i].status != Status.CONVERGED, actions[i]),
    )
    found, path = solutions[best], lowest[best]
    said = f"the lowest has the action {found.action:.6g}, from the level {path.level:.6g}"
    if found.status != Status.CONVERGED:
        said += f", though it is no minimum yet ({found.message})"
    weak = lowest[0]
    share = NEARLY * abs(weak.level) if job.problem.gaussian else NEARLY_UNITS * scale
    nearly = weak.model_term[-1] <= share
    whole = found.status == Status.CONVERGED
    # a shot is a solution, which going on with it lowers
    shot = weak.solution is not None and found.action <= weak.level
    if shot or not nearly or (whole and found.action <= weak.level + UNITS * scale):
        return best, said
    return -1, (
        f"{said}; the lowest path, {weak.level:.6g}, is nearly one itself, so that this is taken "
        "for one that was not found from there, as where the equations are unstable, or states are "
        "on a bound"
    )
