"""The annealing run: one start as a check, the paths, the dataset."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.dataset import assemble
from symda.anneal.dispatch import Dispatcher, DispatchResult
from symda.anneal.executors import Workers, cores, start_workers
from symda.anneal.finish import Finish, finish
from symda.anneal.group import Paths, grouped
from symda.anneal.levels import count_hits, expected_band
from symda.anneal.provenance import provenance
from symda.anneal.report import Reporter, Silent
from symda.anneal.settings import Settings
from symda.anneal.starts import STARTS, Draw
from symda.anneal.strategies import Window
from symda.anneal.strategies.auto import Auto, Campaign
from symda.anneal.strategies.kinds import kinds_of
from symda.anneal.task import Job, PathResult, Prepare, first_point, not_run, prepare, workspace
from symda.errors import OptionError, SolveError, SymdaError
from symda.status import Status

if TYPE_CHECKING:
    from xarray import Dataset

    from symda.anneal.strategies import Strategy
    from symda.build.abstract import Payload
    from symda.build.flows import FlowEngine
    from symda.observe import Problem

#: The strong constraint has at least so many seconds, though the time limit be over; and this share
#: of the limit, where it is known beforehand that it will be asked.
LEAST_LEFT = 1.0
LAST = 0.1
#: After this share of the limit it is asked whether the scheme is why no level is low enough.
LOOK = 0.2
#: Rough shots that have begun may go on for so many times their share.
FARTHER = 2.0


def anneal(
    kernels_payload: Payload,
    problem: Problem,
    settings: Settings,
    *,
    reporter: Reporter | None = None,
    attrs: Mapping[str, object],
    flow: FlowEngine | None = None,
    prepare: Prepare = prepare,
    coarse: Callable[[Dataset], bool] | None = None,
    spent: float = 0.0,
) -> Dataset:
    """Anneal K paths and return the dataset of the run.

    Path k depends on the seed and k only: not on K, the executor, or what the other paths do.

    Parameters
    ----------
    kernels_payload
        Plain data from which each worker rebuilds the kernels.
    problem
        Data, grid, bounds and ranges.
    settings
        What the user chose.
    reporter
        Called for each path as it ends.
    attrs
        Attributes for the dataset: what the caller knows about model, scheme and averaging.
    flow
        What integrates the model; None where nothing does.
    prepare
        How a worker makes kernels and solver of a job.
    coarse
        Whether, as a dataset shows, the scheme's error moves the answer. A run that chooses for
        itself ends early then: it is to be made again with finer steps.
    spent
        Seconds of the time limit that are over already.

    Returns
    -------
    xarray.Dataset
        As described in docs/architecture.md. Ctrl-C ends the run early and returns what is done,
        with the attribute `interrupted` at 1; paths in this process keep the rungs they have,
        once the rung under way is over.

    Raises
    ------
    OptionError
        A ladder that does not fit the states, a start function that fails, or an option that the
        solver refuses.
    """
    began = time.monotonic()
    reporter = Silent() if reporter is None else reporter
    ladder = settings.climb
    job = Job(
        payload=kernels_payload,
        problem=problem,
        solver=settings.chosen,
        rf=ladder.over(problem),
        seed=int(settings.seed),
        start=settings.begin,
        keep=settings.keep,
        prepare=prepare,
        flow=flow,
    )
    # Here too, and first: a start or an option that is wrong is one error, not K failed paths.
    differ = _starts_differ(job)
    left = None if settings.time_limit is None else settings.time_limit - spent

    def made(found: Found, ended: Finish, results: list[PathResult], interrupted: bool) -> Dataset:
        return assemble(
            problem,
            job.rf,
            ladder.heights(problem),
            results,
            found.attempts,
            {
                **attrs,
                "solver": job.solver.name,
                "start": "several" if found.kinds else settings.begin.name,
                "strategy": settings.method.name,
                **({"told": json.dumps(told)} if (told := (*found.told, *ended.said)) else {}),
                "starts_differ": int(differ or len(set(found.kinds)) > 1),
                "interrupted": int(interrupted),
                **({"coarse": 1} if found.coarse else {}),
                "provenance": provenance(
                    problem=problem.digest,
                    source=kernels_payload.source.digest,
                    seconds=time.monotonic() - began,
                    climb_seconds=found.seconds,
                    settings={
                        **settings.record(),
                        "executor": found.executor,
                        "workers": found.workers,
                    },
                ),
            },
            ended,
            found.kinds,
        )

    if isinstance(settings.method, Auto):

        def of_scheme(found: Found) -> bool | None:
            climbed = found.climbed
            if coarse is None or not climbed.results:
                return None
            return coarse(made(climbed, Finish(), climbed.results, False))

        found = _adaptive(job, settings, reporter, of_scheme, left)
    else:
        found = _given(job, settings, reporter)
    ended, results, interrupted = Finish(), found.results, found.interrupted
    if flow is not None and settings.finishes:
        rest = None if left is None else left - found.seconds
        deadline = None if rest is None else time.time() + max(rest, LEAST_LEFT)
        many, fresh = found.workers, not interrupted
        try:
            ended, results = finish(job, results, many, deadline, fresh=fresh)
        except KeyboardInterrupt:
            interrupted = True
            ended, results = finish(job, results, 1, deadline, fresh=False)
    return made(found, ended, results, interrupted)


@dataclass(frozen=True)
class Found:
    """What the paths of a run found, in their order, and where they ran."""

    results: list[PathResult]
    attempts: list[int]  #: The attempt that each of them belongs to.
    interrupted: bool
    seconds: float  #: How long that took.
    executor: str
    workers: int
    kinds: tuple[str, ...] = ()  #: How each was started, of a run of several kinds.
    told: tuple[str, ...] = ()  #: What was decided on the way, in words.
    coarse: bool = False  #: Whether the scheme's error moves the lowest path that climbed.

    @property
    def climbed(self) -> Found:
        """What the paths found that climbed to the last rung, and are no shots."""
        kept = [
            i for i, r in enumerate(self.results) if r.solution is None and math.isfinite(r.level)
        ]
        return replace(
            self,
            results=[self.results[i] for i in kept],
            attempts=[self.attempts[i] for i in kept],
            kinds=tuple(self.kinds[i] for i in kept),
        )


def _given(job: Job, settings: Settings, reporter: Reporter) -> Found:
    """Run as many paths as were asked for, all alike."""
    paths, attempts = settings.most, int(settings.attempts)
    strategy, began = settings.strategy_of_paths, time.monotonic()
    workers, job = _workers_of(job, settings, strategy, paths, attempts)
    if strategy.pooled:
        tasks = [tuple(range(a * paths, (a + 1) * paths)) for a in range(attempts)]
    else:
        tasks = grouped(job, paths, workers.count, prompt=settings.stop_after is not None)
    # what counts as one: an attempt, which is a path or all candidates of one attempt
    each = paths if strategy.pooled else 1

    def enough(results: Mapping[int, PathResult]) -> str:
        if settings.stop_after is None:
            return ""
        levels: dict[int, float] = {}
        for k, result in results.items():
            levels[k // each] = float(np.fmin(levels.get(k // each, np.nan), result.level))
        found = np.array(list(levels.values()))
        if count_hits(found, job.problem.measurement_scale) < settings.stop_after:
            return ""
        return f"the lowest level was reached {settings.stop_after} times"

    reporter.start(attempts if strategy.pooled else paths)
    try:
        outcome = Dispatcher(
            job,
            strategy,
            tasks,
            workers,
            time_limit=settings.time_limit,
            left=settings.time_limit,
            enough=enough,
            done=_done(reporter, each),
        ).run()
    finally:
        reporter.stop()
    results = _complete(job, tasks, outcome, pooled=strategy.pooled)
    return Found(
        results,
        [result.path // each for result in results],
        outcome.interrupted,
        time.monotonic() - began,
        workers.name,
        workers.count * job.workers,
    )


def _adaptive(
    job: Job,
    settings: Settings,
    reporter: Reporter,
    coarse: Callable[[Found], bool | None],
    limit: float | None,
) -> Found:
    """Run rounds of several kinds of paths, each chosen by what those before found.

    For so many seconds, `limit`; that is what is left of the limit that was given.
    """
    auto = settings.method
    assert isinstance(auto, Auto)
    began = time.monotonic()
    until = limit
    if limit is not None and job.flow is not None and settings.finishes:
        until = (1.0 - LAST) * limit
    grows, shoots = _grows(job), settings.finishes
    kinds = kinds_of(job, STARTS, windows=grows, shoots=shoots, earlier=settings.earlier)
    campaign = Campaign(auto, job, kinds, expected_band(job.problem), settings.most)
    name, count, interrupted = "", 1, False
    off: bool | None = None
    apart = 0.0  # seconds of rounds that were cut, and of the first shots in windows

    def found() -> Found:
        numbers = sorted(campaign.results)
        return Found(
            [campaign.results[k] for k in numbers],
            [campaign.attempts[k] for k in numbers],
            interrupted,
            time.monotonic() - began,
            name,
            count,
            tuple(campaign.named[k] for k in numbers),
            campaign.told(),
            bool(off),
        )

    def asked() -> bool | None:
        nonlocal interrupted
        try:
            return coarse(found())
        except KeyboardInterrupt:
            interrupted = True
            return None

    reporter.start(settings.most)
    try:
        for one in campaign.rounds():
            spent = time.monotonic() - began
            late = limit is not None and spent - apart > LOOK * limit
            if late and off is None and campaign.wanting():
                off = asked()
                if interrupted:
                    campaign.reason = "interrupted"
                    break
                if off:
                    campaign.reason = "the scheme's error moves the lowest path"
                    break
            left = None if until is None else until - (time.monotonic() - began)
            if left is not None and left <= 0.0 and campaign.results:
                campaign.reason = f"time limit of {settings.time_limit:g} s reached"
                break
            share = None if limit is None or one.share >= 1.0 else one.share * limit
            if share is not None:
                left = share if left is None else min(left, share)
            strategy, size, part = one.kind.strategy, len(one.paths), one.job
            if share is not None and one.kind.doubts:
                # one that has come far goes on
                part = replace(part, until=time.time() + share)
                left = min(FARTHER * share, math.inf if until is None else until - spent)
            workers, own = _workers_of(part, settings, strategy, size, 1)
            name, count = workers.name, workers.count * own.workers
            tasks = (
                [one.paths]
                if strategy.pooled
                else _numbered(grouped(own, size, workers.count), one.paths[0])
            )
            outcome = Dispatcher(
                own,
                strategy,
                tasks,
                workers,
                time_limit=settings.time_limit,
                left=left,
                enough=lambda _: "",
                done=_done(reporter, 1),
            ).run()
            results = _complete(own, tasks, outcome, pooled=strategy.pooled)
            took = time.monotonic() - began - spent
            cut = share is not None and took >= share
            apart += took * (cut or (share is not None and one.kind.rare))
            campaign.take(one, {result.path: result for result in results}, cut=cut)
            interrupted = outcome.interrupted
            if interrupted:
                campaign.reason = "interrupted"
    finally:
        reporter.stop()
    if limit is not None and not campaign.levels and not interrupted:
        campaign.reason += _too_short(campaign.results.values(), time.monotonic() - began)
    if off is None and campaign.wanting() and not interrupted:
        off = asked()
    return found()


def _too_short(results: Collection[PathResult], spent: float) -> str:
    """Say how long a path takes, if the time was over before one came to the end."""
    done = max((result.last_beta + 1 for result in results), default=0)
    if not done or any(result.outcome == Status.FAILED for result in results):
        return ""
    rungs = max(len(result.status) for result in results)
    takes = spent * rungs / done
    return (
        f", before any path came to the end of the ladder; that takes about {takes:.2g} s: allow "
        "more by time_limit="
    )


def _grows(job: Job) -> bool:
    """Whether a window of a problem can grow, and its kernels can go a step forward."""
    first, *longer = Window().plan(job.problem, job.rf).steps
    if not longer:
        return False
    draw, dynamics = Draw(job.problem.window(first)), workspace(job).dynamics(job)
    try:
        for one, (_, path, theta) in zip(
            dynamics.experiments, draw.problem.apart(draw.path(), draw.parameters()), strict=True
        ):
            one.step(0, path[:1], theta)
    except SymdaError:
        return False
    return True


def _numbered(tasks: Sequence[Paths], first: int) -> list[Paths]:
    """Return tasks whose paths are numbered from `first`, not from 0."""
    return [tuple(first + k for k in task) for task in tasks]


def _done(reporter: Reporter, each: int) -> Callable[[int, PathResult | None], None]:
    """Tell of every attempt that has ended."""

    def done(k: int, result: PathResult | None) -> None:
        if k % each:
            return
        if result is None:
            reporter.path_done(k // each, math.nan, "failed")
        else:
            reporter.path_done(k // each, result.level, result.outcome)

    return done


def _workers_of(
    job: Job, settings: Settings, strategy: Strategy, paths: int, attempts: int
) -> tuple[Workers, Job]:
    """Return what runs the tasks, and the job with the number of workers each task has."""
    climbs = workspace(job).climber(job) is not None
    # Compiled climbs hold no lock, so threads will do and nothing needs to be sent around.
    executor = "threads" if settings.executor is None and climbs else settings.executor
    if not strategy.pooled:
        if climbs and executor == "threads":
            # threads share the paths of one task, so that none has lanes idle before the others
            job = replace(job, workers=min(settings.workers or cores(), paths))
            return start_workers("threads", 1, 1), job
        return start_workers(executor, settings.workers, paths), job
    many = settings.workers or cores()
    share = many // min(many, attempts)
    if share > 1 and executor in (None, "processes", "threads"):
        # an attempt waits in a thread for the workers that its candidates are shared among
        return start_workers("threads", attempts, attempts), replace(job, workers=share)
    return start_workers(executor, settings.workers, attempts), job


def _starts_differ(job: Job) -> bool:
    """Whether two paths start at different points: only then says a hit rate something.

    Raises
    ------
    OptionError
        The first start fails: then all of them would.
    """
    try:
        first = first_point(job, 0)
    except SolveError:
        # a path that has no start is recorded like any that fails
        return True
    except SymdaError:
        raise
    except Exception as error:
        problem = job.problem
        raise OptionError(
            f"anneal: the start {job.start.name!r} fails: {type(error).__name__}: {error}. "
            f"Expected X of shape {(problem.M, problem.D)} and theta of shape {(problem.P,)}; a "
            "function takes (problem, rng)."
        ) from error
    try:
        other = first_point(job, 1)
    except Exception:
        # what fails for a path is recorded when its turn comes
        return True
    return not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def _complete(
    job: Job, tasks: Sequence[Paths], outcome: DispatchResult, *, pooled: bool
) -> list[PathResult]:
    """Return the results in path order, with a record for each path, or attempt, without any."""

    def missing(k: int) -> PathResult:
        if k in outcome.lost:
            return not_run(job, k, outcome.lost[k], failed=True)
        return not_run(job, k, f"not run: {outcome.reason}")

    complete = []
    for task in tasks:
        found = [outcome.results[k] for k in task if k in outcome.results]
        if not pooled:
            found = [outcome.results[k] if k in outcome.results else missing(k) for k in task]
        complete += found or [missing(task[0])]
    return complete
