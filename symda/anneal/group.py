"""Several paths at once: for solvers that take a group of them up the ladder in one call."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.anneal.evaluable import evaluable, mends
from symda.anneal.executors import shared_pool
from symda.anneal.failure import explain
from symda.anneal.levels import FAILED, STOPPED
from symda.anneal.starts import Point
from symda.anneal.task import (
    Job,
    PathResult,
    blank,
    dropped,
    first_point,
    joined,
    judged,
    not_run,
    run_path,
    workspace,
)
from symda.status import Reason

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator
    from symda.solve import Climb, Climber

#: Paths a group has for each lane: enough that few lanes stand idle while the last paths finish;
#: and how many where a run may end between two groups.
TURNS = 8
FEW_TURNS = 2
#: Pieces that the paths of a task are cut into for each process that it may use.
PIECES = 4

#: Rungs that paths climb between two looks at whether they still may be the lowest.
LOOK = 3

Paths: TypeAlias = tuple[int, ...]


class Halt(threading.Event):
    """An event that compiled code sees as well: `flag` becomes 1 when it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.flag: NDArray[np.int32] = np.zeros(1, np.int32)

    def set(self) -> None:
        """Set the event and the flag."""
        self.flag[0] = 1
        super().set()


def grouped(job: Job, paths: int, workers: int, *, prompt: bool = False) -> list[Paths]:
    """Cut the numbers of all paths into tasks: single paths, or groups where the solver takes them.

    Parameters
    ----------
    job
        What the paths share.
    paths
        Number of paths, K.
    workers
        Tasks that run at once; each gets one at least, if there are enough paths.
    prompt
        Whether the run may end once enough paths have.
    """
    climber = workspace(job).climber(job)
    size = 1
    if climber is not None:
        turns = FEW_TURNS if prompt else TURNS
        size = min(turns * climber.lanes * job.workers, math.ceil(paths / workers))
    return [tuple(range(k, min(k + size, paths))) for k in range(0, paths, size)]


def first_points(job: Job, paths: Sequence[int]) -> tuple[dict[int, Point], list[PathResult]]:
    """Return the starts of some paths, and a record of each that has none."""
    starts: dict[int, Point] = {}
    failed: list[PathResult] = []
    for k in paths:
        try:
            starts[k] = first_point(job, k)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            failed.append(not_run(job, k, message, failed=True))
    return starts, failed


def climb(
    job: Job,
    starts: Mapping[int, Point],
    deadline: float | None = None,
    halt: Halt | None = None,
) -> list[PathResult]:
    """Take some paths up the rungs of a job; the results are those of the paths one by one.

    Parameters
    ----------
    job
        What the paths share, or the part of it for a window.
    starts
        Where each path starts, by its number.
    deadline
        `time.time()` after which no rung begins.
    halt
        Set by a caller in the same process who wants no further rung.
    """
    found = _raced(job, starts, deadline, halt)
    again = _mended(job, starts, found) if mends(job.start, job.solver) else {}
    if not again:
        return found
    redone = {one.path: one for one in _raced(job, again, deadline, halt)}
    return [redone.get(one.path, one) for one in found]


def _mended(job: Job, starts: Mapping[int, Point], found: Sequence[PathResult]) -> dict[int, Point]:
    """Return other starts for the paths that failed where they began, such as a bad forecast."""
    at, first = workspace(job).dynamics(job).evaluator, job.rungs[0]
    again = {}
    for one in found:
        if one.status[first] == FAILED:
            start = starts[one.path]
            point, able = evaluable(at, start, job.rf[first])
            if able and point is not start:
                again[one.path] = point
    return again


def _raced(
    job: Job, starts: Mapping[int, Point], deadline: float | None, halt: Halt | None
) -> list[PathResult]:
    if math.isinf(job.bar) or len(job.rungs) <= LOOK:
        return _climb(job, starts, deadline, halt)
    return _race(job, starts, deadline, halt)


def _race(
    job: Job, starts: Mapping[int, Point], deadline: float | None, halt: Halt | None
) -> list[PathResult]:
    """Do the same a few rungs at a time; what is above the bar goes no further."""
    found: dict[int, PathResult] = {}
    for i in range(0, len(job.rungs), LOOK):
        piece = replace(job, rungs=job.rungs[i : i + LOOK])
        for one in _climb(piece, starts, deadline, halt):
            found[one.path] = joined(found[one.path], one) if one.path in found else one
        able = [found[k] for k in starts if found[k].last_beta == piece.rungs[-1]]
        starts = {}
        for one in able:
            later = job.rungs[i + LOOK : i + LOOK + 1]
            if later and one.action[one.last_beta] > job.bar:
                found[one.path] = dropped(one, later[0], job.bar)
            else:
                starts[one.path] = one.states, one.theta[one.last_beta]
        if not starts:
            break
    return list(found.values())


def _climb(
    job: Job, starts: Mapping[int, Point], deadline: float | None, halt: Halt | None
) -> list[PathResult]:
    climber = workspace(job).climber(job)
    if climber is None:
        return _one_by_one(job, starts, deadline, halt)
    if not starts:
        return []
    found = climber.ladder(
        np.stack([path for path, _ in starts.values()]),
        np.stack([theta for _, theta in starts.values()]),
        job.rf[list(job.rungs)],
        keep=job.keep == "all",
        halt=None if halt is None else halt.flag,
        time_left=math.inf if deadline is None else deadline - time.time(),
        threads=job.workers,
        loose=sum(rung < len(job.rf) - 1 for rung in job.rungs) if job.hurry else 0,
    )
    late = deadline is not None and time.time() >= deadline
    at = workspace(job).kernels.at(job.problem)
    return [_result(job, climber, found, at, i, k, starts[k], late) for i, k in enumerate(starts)]


def _one_by_one(
    job: Job, starts: Mapping[int, Point], deadline: float | None, halt: Halt | None
) -> list[PathResult]:
    """Take paths up by themselves, shared among as many processes as the task may use."""
    pieces = min(PIECES * job.workers, len(starts))
    if job.workers == 1 or pieces < 2:
        return [run_path(job, k, point, deadline, halt) for k, point in starts.items()]
    pool, single, numbers = shared_pool(job.workers), replace(job, workers=1), list(starts)
    futures = [
        pool.submit(climb, single, {k: starts[k] for k in numbers[i::pieces]}, deadline)
        for i in range(pieces)
    ]
    found = {one.path: one for future in futures for one in future.result()}
    return [found[k] for k in numbers]


def _result(
    job: Job,
    climber: Climber,
    climb: Climb,
    evaluator: Evaluator,
    i: int,
    k: int,
    start: Point,
    late: bool,
) -> PathResult:
    """Take path i of a climb, which began at `start`, out as the result of path k."""
    result = blank(job, k)
    rungs = np.array(job.rungs)
    result.status[rungs] = climb.status[i]
    result.iterations[rungs] = climb.iterations[i]
    tried = climb.status[i] > 0
    result.evaluations[rungs[tried]] = climb.iterations[i, tried] + 1
    result.seconds[rungs[tried]] = climb.seconds[i, tried]
    reached = tried & (climb.status[i] != FAILED)
    at = rungs[reached]
    result.measurement_term[at] = climb.measurement_terms[i, reached]
    result.model_term[at] = climb.model_terms[i, reached]
    result.action[at] = (
        result.measurement_term[at] + result.model_term[at] + climb.prior_terms[i, reached]
    )
    result.theta[at] = climb.thetas[i, reached]
    last, remark = int(reached.sum()) - 1, ""
    if last >= 0:
        result.states[:] = climb.paths[i]
        if job.keep != "ends":
            found = climber.minimum(climb, i, last, job.rf[rungs[last]], 0.0)
            result.momenta[:] = found.momenta
            result.fit[:] = evaluator.measure(found.path, found.theta)
            result = replace(result, decrement=float(climb.decrements[i, last]))
            if result.status[rungs[last]] == STOPPED:
                # the solver's own test of a minimum is this one; here it was not met
                point = found.path, found.theta
                result, remark = judged(job, result, int(rungs[last]), point, found.message)
        if result.states_by_beta is not None and climb.all_paths is not None:
            result.states_by_beta[at] = climb.all_paths[i, reached]
    cut = not tried[-1] and FAILED not in climb.status[i]
    if last >= 0 and climb.reasons[i, last] == Reason.TIME.code and not remark:
        remark = Reason.TIME
    remark = f"rung {rungs[last]}: {remark}" if remark else ""
    why = _why(job, climb, i, last, start, late)
    return replace(
        result,
        last_beta=int(rungs[last]) if last >= 0 else -1,
        message="; ".join(part for part in (remark, why) if part),
        interrupted=climb.interrupted and cut,
    )


def _why(job: Job, climb: Climb, i: int, last: int, start: Point, late: bool) -> str:
    """Return why a path did not reach the last rung, or an empty string."""
    if last >= 0 and climb.reasons[i, last] == Reason.TIME.code:
        return ""
    if last + 1 == climb.status.shape[1]:
        return ""
    rung = job.rungs[last + 1]
    if climb.status[i, last + 1] == FAILED:
        words = Reason.of(climb.reasons[i, last + 1])
        at = start if last < 0 else (climb.paths[i], climb.thetas[i, last])
        return (
            f"rung {rung}: {explain(workspace(job).kernels, job.problem, at, job.rf[rung], words)}"
        )
    if late and not climb.interrupted:
        return f"time limit reached at rung {rung}"
    return f"{'interrupted' if climb.interrupted else 'stopped'} at rung {rung}"
