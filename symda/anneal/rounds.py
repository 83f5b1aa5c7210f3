"""The paths of a run: all alike, or round after round of several kinds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from symda.anneal.dispatch import Dispatcher, DispatchResult
from symda.anneal.executors import Workers, cores, start_workers
from symda.anneal.group import Paths, grouped
from symda.anneal.levels import count_hits, expected_band
from symda.anneal.report import Reporter
from symda.anneal.settings import Settings
from symda.anneal.starts import STARTS, Draw
from symda.anneal.storage.ledger import Ledger
from symda.anneal.strategies import Strategy, Window
from symda.anneal.strategies.auto import Auto, Campaign
from symda.anneal.strategies.kinds import kinds_of
from symda.anneal.task import Job, PathResult, not_run, workspace
from symda.build.lattice import LatticeKernels
from symda.errors import SymdaError
from symda.status import Status

#: The strong constraint has this share of the time limit, where it will be asked.
LAST = 0.1
#: After this share of the limit it is asked whether the scheme is why no level is low enough.
LOOK = 0.2
#: Rough shots that have begun may go on for so many times their share.
FARTHER = 2.0


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


def given(
    job: Job,
    settings: Settings,
    reporter: Reporter,
    ledger: Ledger,
    show: Callable[[Found], None],
) -> Found:
    """Run as many paths as were asked for, all alike."""
    paths, attempts = settings.most, int(settings.attempts)
    strategy = settings.strategy_of_paths
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

    every = [k for task in tasks for k in task]
    so_far = ledger.known(every)

    def made(results: Collection[PathResult], *, interrupted: bool = False) -> Found:
        return Found(
            list(results),
            [result.path // each for result in results],
            interrupted,
            ledger.now(),
            workers.name,
            workers.count * job.workers,
        )

    def keep(results: Sequence[PathResult]) -> list[PathResult]:
        kept = ledger.keep(results)
        so_far.update({result.path: result for result in kept})
        if ledger.showing:
            show(made([so_far[k] for k in sorted(so_far)]))
        return kept

    reporter.start(attempts if strategy.pooled else paths)
    limit = settings.time_limit
    try:
        outcome = Dispatcher(
            job,
            strategy,
            tasks,
            workers,
            time_limit=limit,
            left=None if limit is None else limit - ledger.now(),
            enough=enough,
            done=_done(reporter, each),
            known=dict(so_far),
            keep=keep,
        ).run()
    finally:
        reporter.stop()
    ledger.over(outcome)
    results = _complete(job, tasks, outcome, pooled=strategy.pooled)
    return made(results, interrupted=outcome.interrupted)


def adaptive(
    job: Job,
    settings: Settings,
    reporter: Reporter,
    coarse: Callable[[Found], bool | None],
    limit: float | None,
    ledger: Ledger,
    show: Callable[[Found], None],
) -> Found:
    """Run rounds of several kinds of paths, each chosen by what those before found.

    For so many seconds, `limit`; that is what is left of the limit that was given.
    """
    auto = settings.method
    assert isinstance(auto, Auto)
    until = limit
    if limit is not None and job.flow is not None and settings.finishes:
        until = (1.0 - LAST) * limit
    grows, shoots = _grows(job), settings.finishes
    kinds = kinds_of(
        job,
        STARTS,
        windows=grows,
        shoots=shoots,
        regions=isinstance(workspace(job).kernels, LatticeKernels),
        earlier=settings.earlier,
    )
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
            ledger.now(),
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
            first = one.paths[0]
            spent, ended = ledger.begin(first), ledger.ended(first)
            late = limit is not None and spent - apart > LOOK * limit
            if late and off is None and campaign.wanting():
                off = asked()
                if interrupted:
                    campaign.reason = "interrupted"
                    break
                if off:
                    campaign.reason = "the scheme's error moves the lowest path"
                    break
            left = None if until is None or ended else until - ledger.now()
            if left is not None and left <= 0.0 and campaign.results:
                campaign.reason = f"time limit of {settings.time_limit:g} s reached"
                break
            share = None if limit is None or one.share >= 1.0 else one.share * limit
            strategy, size, part = one.kind.strategy, len(one.paths), one.job
            if share is not None:
                # of a round that an earlier session began
                rest = share - (ledger.now() - spent)
                left = rest if left is None else min(left, rest)
                if one.kind.doubts:
                    # one that has come far goes on
                    part = replace(part, until=time.time() + rest)
                    far = FARTHER * share - (share - rest)
                    left = min(far, math.inf if until is None else until - spent)
            workers, own = _workers_of(part, settings, strategy, size, 1)
            name, count = workers.name, workers.count * own.workers
            tasks = (
                [one.paths]
                if strategy.pooled
                else _numbered(grouped(own, size, workers.count), first)
            )
            known = ledger.known(one.paths)
            if ended is None:
                outcome = Dispatcher(
                    own,
                    strategy,
                    tasks,
                    workers,
                    time_limit=settings.time_limit,
                    left=left,
                    enough=lambda _: "",
                    done=_done(reporter, 1),
                    known=known,
                    keep=ledger.keep,
                ).run()
                took = ledger.now() - spent
                ledger.end(first, took, outcome)
            else:
                outcome, took = replace(ended.outcome, results=known), ended.took
            results = _complete(own, tasks, outcome, pooled=strategy.pooled)
            cut = share is not None and took >= share
            apart += took * (cut or (share is not None and one.kind.rare))
            campaign.take(one, {result.path: result for result in results}, cut=cut)
            interrupted = outcome.interrupted
            if interrupted:
                campaign.reason = "interrupted"
            show(found())
    finally:
        reporter.stop()
    if limit is not None and not campaign.levels and not interrupted:
        campaign.reason += _too_short(campaign.results.values(), ledger.now())
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
