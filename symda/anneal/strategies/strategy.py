"""What a strategy is, and what the strategies that grow a window share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from symda.anneal.measured import followed
from symda.checks import integer, number
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.anneal.starts import Point
    from symda.anneal.task import Job, PathResult
    from symda.observe import Problem


#: The first window holds at least so many data for each number that a path is determined by, D
#: initial values and the free parameters, and this share of all observation times.
DATA = 5.0
SHARE = 0.1
#: It grows by this share of the first window at a time.
GROWTH = 0.2
#: While it grows, Rf is Rm times this and times the steps of the first window, so that the model
#: errors a path may gather there are a third of the data's noise, in variance.
STIFFNESS = 3.0


@runtime_checkable
class Strategy(Protocol):
    """How a run takes its paths up the ladder.

    Attributes
    ----------
    name : str
        For the record of the run.
    pooled : bool
        Whether the `paths` of a run are candidates of one attempt; otherwise each path is an
        attempt by itself.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""

    @property
    def pooled(self) -> bool:
        """Whether the paths are candidates of one attempt."""

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Run some paths, or the candidates of one attempt, in a worker.

        Parameters
        ----------
        job
            What the paths share.
        paths
            Their numbers.
        deadline
            `time.time()` after which no rung begins.
        halt
            Set by a caller in the same process who wants no further rung.
        """


@dataclass(frozen=True)
class Plan:
    """A growing window: its lengths in steps, the last of them N, and the rung it grows at."""

    steps: tuple[int, ...]
    rung: int


@dataclass(frozen=True)
class Growing:
    """Options of a window that grows; `window` and `population` have them.

    Parameters
    ----------
    samples : int, optional
        Observation times in the first window. Left out: five data for each number that
        determines a path (D initial values and the free parameters), and at least a tenth of
        all times.
    extend : int, optional
        Observation times by which it grows. Left out: a fifth of `samples`.
    rf : float, optional
        It grows at the rung whose Rf (the geometric mean over the measured states) is nearest to
        this. Left out: 3 Rm times the steps of the first window, so that the model errors that a
        path gathers there have a third of the variance of the data's noise.

    Raises
    ------
    OptionError
        An option out of range.
    """

    samples: int | None = None
    extend: int | None = None
    rf: float | None = None

    def __post_init__(self) -> None:
        self._check(integer, "samples", "extend")
        self._check(partial(number, kind="positive"), "rf")

    def _check(self, test: Callable[[object, str], object], *names: str) -> None:
        """Refuse options that fail a test; those that may be left out are None then."""
        for name in names:
            value = getattr(self, name)
            if value is not None or getattr(type(self), name) is not None:
                test(value, f"{type(self).__name__}: {name}")

    def plan(self, problem: Problem, rf: FloatArray) -> Plan:
        """Return the windows of a problem and the rung of the ladder (B, D) they grow at."""
        ends = ends_of(problem)
        count = len(ends)
        numbers = problem.D * len(problem.segments) + int(problem.free.sum())
        each = max(problem.data_count / max(count, 1), 1.0)
        samples = self.samples or max(math.ceil(DATA * numbers / each), math.ceil(SHARE * count))
        extend = self.extend or max(1, round(GROWTH * samples))
        steps = [ends[i] for i in range(min(samples, count) - 1, count, extend)] if count else []
        # the first observation may lie on the first node, which is no window
        lengths = sorted({n for n in steps if 0 < n < problem.N} | {problem.N})
        return Plan(tuple(lengths), self._rung(problem, rf, lengths[0]))

    def _rung(self, problem: Problem, rf: FloatArray, first: int) -> int:
        longest = max(segment.steps for segment in problem.segments_of(first))
        return rung_of(problem, rf, self.rf or STIFFNESS * longest * typical_precision(problem))


def typical_precision(problem: Problem) -> float:
    """Return the Rf that weighs a model error as the data's precision weighs a misfit."""
    precision = float(np.exp(np.log(problem.guide[problem.guide > 0.0]).mean()))
    return precision / float(problem.weight.mean())


def rung_of(problem: Problem, rf: FloatArray, wanted: float) -> int:
    """Return the rung of a ladder (B, D) whose Rf of the measured states is nearest to this."""
    # parameters per step, which have a process variance, have an Rf that no rung changes
    ruled = np.flatnonzero(problem.ruled)
    measured = np.intersect1d(followed(problem), ruled).astype(int)
    heights = np.log(rf[:, measured if measured.size else ruled]).mean(axis=1)
    return int(np.argmin(np.abs(heights - math.log(wanted))))


def ends_of(problem: Problem) -> list[int]:
    """Return for each observation time the steps a window needs to hold it, in ascending order."""
    seen = np.asarray((problem.rm > 0.0).any(axis=1))
    ends: list[int] = []
    for segment in problem.segments:
        for row in np.flatnonzero(seen[segment.own_points]).tolist():
            own = math.ceil(row / (1 + problem.interior))
            # the fewest steps in all of which this experiment's share is that
            ends.append(max((own - 1) * problem.N // segment.steps + 1, 0))
    return sorted(ends)


def part(job: Job, steps: int, rungs: Sequence[int], keep: str) -> Job:
    """Return the job of a window, or of some rungs."""
    window = job.problem if steps == job.problem.N else job.problem.window(steps)
    return replace(job, problem=window, rungs=tuple(rungs), keep=keep)


def with_window_limit(job: Job) -> Job:
    """Return a job with fewer iterations a rung, unless the user allows fewer still."""
    return replace(job, solver=job.solver.with_window_limit())


def shortened(job: Job, starts: Mapping[int, Point], steps: int) -> dict[int, Point]:
    """Return the parts of some paths that lie in the window of so many steps."""
    shorter = job.problem.shortened
    return {k: (shorter(path, steps), theta) for k, (path, theta) in starts.items()}


def extrapolated(
    job: Job, found: PathResult, steps: int, longer: int, point: Point | None = None
) -> Point:
    """Where a path of a window goes on in a longer one: extended by the model's own forecast."""
    from symda.anneal.task import workspace

    path, theta = point or (found.states, found.theta[found.last_beta])
    dynamics, problem = workspace(job).dynamics(job), job.problem
    now, later = problem.segments_of(steps), problem.segments_of(longer)
    parts = [
        one.forecast(path[segment.own_points], theta[use], after.steps)
        for one, use, segment, after in zip(
            dynamics.experiments, problem.use, now, later, strict=True
        )
    ]
    return np.concatenate(parts), theta


def with_effort(result: PathResult, efforts: Sequence[PathResult], rung: int) -> PathResult:
    """Add the effort of shorter windows to the first rung at full length."""
    if efforts:
        seconds = [float(np.nansum(effort.seconds)) for effort in efforts]
        result.seconds[rung] = np.nansum([result.seconds[rung], *seconds])
        result.iterations[rung] += sum(int(effort.iterations.sum()) for effort in efforts)
        result.evaluations[rung] += sum(int(effort.evaluations.sum()) for effort in efforts)
    return result


def cut_short(job: Job, rung: int, steps: int, found: PathResult) -> PathResult:
    """Return the full-length record of a path that ended in a shorter window, and why.

    What the time limit cut short is kept as what it is: the window, extended by the model's own
    forecast, which is no minimum.
    """
    from symda.anneal.levels import FAILED, STOPPED
    from symda.anneal.task import blank, workspace

    message = f"window of {steps} steps" + f": {found.message}" * bool(found.message)
    result = replace(blank(job, found.path), message=message, interrupted=found.interrupted)
    if FAILED in found.status:
        result.status[rung] = FAILED
        return result
    if found.last_beta < 0:
        return result
    path, theta = extrapolated(job, found, steps, job.problem.N)
    at = workspace(job).kernels.at(job.problem)
    with np.errstate(all="ignore"):
        terms, prior = at.terms(path, theta, job.rf[rung]), at.prior(path, theta)
    if not np.isfinite([*terms, prior]).all():
        return result
    result.measurement_term[rung], result.model_term[rung] = terms
    result.action[rung], result.theta[rung] = sum(terms) + prior, theta
    result.states[:], result.fit[:] = path, at.measure(path, theta)
    result.momenta[:] = at.weigh(job.rf[rung], at.residual(path, theta))
    result.status[rung] = STOPPED
    after = f"; after step {steps} the path is the model's forecast" * (steps < job.problem.N)
    return replace(result, last_beta=rung, message=message + after)


def finished(job: Job, found: PathResult) -> bool:
    """Whether a path reached the last rung of its job."""
    return found.last_beta == job.rungs[-1]
