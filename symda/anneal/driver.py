"""The annealing run: one start to see that all is well, the paths, the dataset."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.dataset import assemble
from symda.anneal.dispatch import Dispatcher, Outcome
from symda.anneal.executors import muster
from symda.anneal.group import grouped
from symda.anneal.levels import count_hits
from symda.anneal.provenance import provenance
from symda.anneal.report import Reporter, Silent
from symda.anneal.settings import Settings
from symda.anneal.task import Job, PathResult, Prepare, bench, first_point, prepare, unrun
from symda.errors import OptionError, SymdaError

if TYPE_CHECKING:
    import xarray as xr

    from symda.anneal.starts import StartFunction
    from symda.build.kernels import Payload
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

    Path k depends on the seed and k alone: not on K, the executor, or what the other paths do.

    Parameters
    ----------
    kernels_payload
        Plain data from which each worker rebuilds the kernels.
    problem
        Data, grid, bounds and ranges.
    settings
        What the user chose.
    reporter
        Told of each path as it ends.
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
    from symda.solve import Climber

    began = time.monotonic()
    reporter = Silent() if reporter is None else reporter
    paths, start, ladder = int(settings.paths), settings.start, settings.ladder
    job = Job(
        payload=kernels_payload,
        problem=problem,
        solver=settings.solver,
        options=dict(settings.options),
        rf=ladder.values(problem.states),
        seed=int(settings.seed),
        start=start,
        keep=settings.keep,
        prepare=prepare,
    )
    # Here too, and first: a start or an option that is wrong is one error, not K failed paths.
    _try_start(job)
    climbs = isinstance(bench(job).solver, Climber)
    # Compiled climbs hold no lock, so threads will do and nothing needs to be sent around.
    executor = "threads" if settings.executor is None and climbs else settings.executor
    crew = muster(executor, settings.workers, paths)

    def enough(results: Mapping[int, PathResult]) -> str:
        if settings.stop_after is None:
            return ""
        levels = np.array([result.level for result in results.values()])
        if count_hits(levels, problem.measurement_scale) < settings.stop_after:
            return ""
        return f"the lowest level was reached {settings.stop_after} times"

    def done(k: int, result: PathResult | None) -> None:
        if result is None:
            reporter.path_done(k, math.nan, "failed")
        else:
            reporter.path_done(k, result.level, result.outcome)

    reporter.start(paths)
    try:
        outcome = Dispatcher(
            job,
            grouped(job, paths, crew.workers),
            crew,
            time_limit=settings.time_limit,
            enough=enough,
            done=done,
        ).run()
    finally:
        reporter.stop()

    return assemble(
        problem,
        job.rf,
        _complete(job, paths, outcome),
        {
            **attrs,
            "solver": job.solver,
            "start": _name(start),
            "strategy": settings.strategy,
            "interrupted": int(outcome.interrupted),
            "provenance": provenance(
                problem=problem,
                source=kernels_payload.source,
                seconds=time.monotonic() - began,
                settings={
                    "solver_options": job.options,
                    "rf0": ladder.rf0,
                    "alpha": ladder.alpha,
                    "rungs": ladder.rungs,
                    "paths": paths,
                    "seed": job.seed,
                    "keep": job.keep,
                    "executor": crew.name,
                    "workers": crew.workers,
                    "time_limit": settings.time_limit,
                    "stop_after": settings.stop_after,
                },
            ),
        },
    )


def _try_start(job: Job) -> None:
    """Draw the first start of a user's function, whose mistakes would be those of every path."""
    if isinstance(job.start, str):
        return
    try:
        first_point(job, 0)
    except SymdaError:
        raise
    except Exception as error:
        problem = job.problem
        raise OptionError(
            f"anneal: the start function {_name(job.start)!r} fails: {type(error).__name__}: "
            f"{error}. Expected a function (problem, rng) -> (X, theta), X of shape "
            f"{(problem.M, problem.D)} and theta of shape {(problem.P,)}."
        ) from error


def _name(start: str | StartFunction) -> str:
    return start if isinstance(start, str) else getattr(start, "__name__", repr(start))


def _complete(job: Job, paths: int, outcome: Outcome) -> list[PathResult]:
    """Return K results in path order, with a record of its own for every path that has none."""
    complete = []
    for k in range(paths):
        if k in outcome.results:
            complete.append(outcome.results[k])
        elif k in outcome.lost:
            complete.append(unrun(job, k, outcome.lost[k], failed=True))
        else:
            complete.append(unrun(job, k, f"not run: {outcome.ending}"))
    return complete
