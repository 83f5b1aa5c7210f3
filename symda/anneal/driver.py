"""The annealing run: one start as a check, the paths, the dataset."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.dataset import assemble
from symda.anneal.dispatch import Dispatcher, DispatchResult
from symda.anneal.executors import Workers, cores, start_workers
from symda.anneal.group import Paths, grouped
from symda.anneal.levels import count_hits
from symda.anneal.provenance import provenance
from symda.anneal.report import Reporter, Silent
from symda.anneal.settings import Settings
from symda.anneal.task import Job, PathResult, Prepare, first_point, not_run, prepare, workspace
from symda.errors import OptionError, SymdaError

if TYPE_CHECKING:
    import xarray as xr

    from symda.build.abstract import Payload
    from symda.observe import Problem


def anneal(
    kernels_payload: Payload,
    problem: Problem,
    settings: Settings,
    *,
    reporter: Reporter | None = None,
    attrs: Mapping[str, object],
    prepare: Prepare = prepare,
) -> xr.Dataset:
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
    prepare
        How a worker makes kernels and solver of a job.

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
    paths, ladder = int(settings.paths), settings.ladder
    strategy, attempts = settings.method, int(settings.attempts)
    job = Job(
        payload=kernels_payload,
        problem=problem,
        solver=settings.chosen,
        rf=ladder.over(problem),
        seed=int(settings.seed),
        start=settings.begin,
        keep=settings.keep,
        prepare=prepare,
    )
    # Here too, and first: a start or an option that is wrong is one error, not K failed paths.
    differ = _starts_differ(job)
    workers, job = _workers_of(job, settings)
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
        if count_hits(found, problem.measurement_scale) < settings.stop_after:
            return ""
        return f"the lowest level was reached {settings.stop_after} times"

    def done(k: int, result: PathResult | None) -> None:
        if k % each:
            return
        if result is None:
            reporter.path_done(k // each, math.nan, "failed")
        else:
            reporter.path_done(k // each, result.level, result.outcome)

    reporter.start(attempts if strategy.pooled else paths)
    climbing = time.monotonic()
    try:
        outcome = Dispatcher(
            job,
            strategy,
            tasks,
            workers,
            time_limit=settings.time_limit,
            enough=enough,
            done=done,
        ).run()
    finally:
        reporter.stop()
    climbed = time.monotonic() - climbing

    results = _complete(job, tasks, outcome, pooled=strategy.pooled)
    return assemble(
        problem,
        job.rf,
        ladder.heights(problem),
        results,
        [result.path // each for result in results],
        {
            **attrs,
            "solver": job.solver.name,
            "start": settings.begin.name,
            "strategy": strategy.name,
            "starts_differ": int(differ),
            "interrupted": int(outcome.interrupted),
            "provenance": provenance(
                problem=problem,
                source=kernels_payload.source,
                seconds=time.monotonic() - began,
                climb_seconds=climbed,
                settings={
                    **settings.record(),
                    "executor": workers.name,
                    "workers": workers.count * job.workers,
                },
            ),
        },
    )


def _workers_of(job: Job, settings: Settings) -> tuple[Workers, Job]:
    """Return what runs the tasks, and the job with the number of workers each task has."""
    climbs = workspace(job).climber(job) is not None
    # Compiled climbs hold no lock, so threads will do and nothing needs to be sent around.
    executor = "threads" if settings.executor is None and climbs else settings.executor
    if not settings.method.pooled:
        paths = int(settings.paths)
        if climbs and executor == "threads":
            # threads share the paths of one task, so that none has lanes idle before the others
            job = replace(job, workers=min(settings.workers or cores(), paths))
            return start_workers("threads", 1, 1), job
        return start_workers(executor, settings.workers, paths), job
    attempts, many = int(settings.attempts), settings.workers or cores()
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
