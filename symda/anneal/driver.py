"""The annealing run: checks what was asked for, runs the paths, assembles the dataset."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.dataset import assemble
from symda.anneal.dispatch import Dispatcher, Outcome
from symda.anneal.executors import muster
from symda.anneal.group import grouped
from symda.anneal.ladder import Ladder
from symda.anneal.provenance import provenance
from symda.anneal.report import Reporter, Silent
from symda.anneal.starts import STARTS, StartFunction
from symda.anneal.task import Job, PathResult, Prepare, bench, prepare, unrun
from symda.errors import OptionError, nearest

if TYPE_CHECKING:
    import xarray as xr

    from symda.build.kernels import Payload
    from symda.observe import Problem

STRATEGIES = ("ladder",)
KEEP = ("last", "all")

#: Two actions within this many units (times the measurement scale) belong to one level: the action
#: is a negative log probability, so half a unit is below the noise of the data.
SAME_LEVEL = 0.5


def anneal(
    kernels_payload: Payload,
    problem: Problem,
    *,
    solver: str,
    solver_options: Mapping[str, object],
    ladder: Ladder,
    paths: int,
    seed: int,
    start: str | StartFunction,
    strategy: str = "ladder",
    executor: str | Executor | None = None,
    workers: int | None = None,
    keep: str = "last",
    time_limit: float | None = None,
    stop_after: int | None = None,
    reporter: Reporter | None = None,
    attrs: Mapping[str, object],
    prepare: Prepare = prepare,
) -> xr.Dataset:
    """Anneal K paths and return the dataset of the run.

    Path k depends on `seed` and k alone: not on K, the executor, or what the other paths do.

    Parameters
    ----------
    kernels_payload
        Plain data from which each worker rebuilds the kernels.
    problem
        Data, grid, bounds and ranges.
    solver, solver_options
        Name in `symda.solve.SOLVERS`, and options for it.
    ladder
        The values of Rf.
    paths
        Number of paths, K.
    seed
        Seed of the run, a whole number of at least 0.
    start
        Name in `STARTS`, or a function `(problem, rng) -> (X (M, D), theta (P,))`.
    strategy
        How the ladder is climbed: `"ladder"`, all of the path from rung to rung.
    executor
        None for processes (or this process, when one path or one worker is all there is; threads,
        when the solver takes groups of paths up the ladder without holding the GIL),
        `"processes"`, `"threads"`, `"serial"`, or any `concurrent.futures.Executor`, which is left
        running. On an executor of yours only paths that have not begun can be taken back when a
        run stops early.
    workers
        Paths at once; the default is the number of usable cores.
    keep
        `"last"`, or `"all"` to keep the states of every rung.
    time_limit
        Seconds after which no path and no rung begins; what is there by then is kept.
    stop_after
        Stop when so many paths have reached the lowest level found so far, to within 0.5 times the
        problem's measurement scale.
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
        An option that is out of range or not known.
    """
    from symda.solve import Climber

    began = time.monotonic()
    reporter = Silent() if reporter is None else reporter
    _whole("paths", paths, 1)
    _whole("seed", seed, 0)
    if stop_after is not None:
        _whole("stop_after", stop_after, 1)
    if time_limit is not None and not 0.0 < time_limit < math.inf:
        raise OptionError(
            f"anneal: time_limit must be a positive number of seconds, got {time_limit!r}. Leave "
            "it out for no limit."
        )
    _known("strategy", strategy, STRATEGIES)
    _known("keep", keep, KEEP)
    if not callable(start):
        _known("start", start, tuple(STARTS))

    job = Job(
        payload=kernels_payload,
        problem=problem,
        solver=solver,
        options=dict(solver_options),
        rf=ladder.values(problem.states),
        seed=int(seed),
        start=start,
        keep=keep,
        prepare=prepare,
    )
    # Here too, and first: a solver that does not exist is one error, not K failed paths.
    climbs = isinstance(bench(job).solver, Climber)
    # Compiled climbs hold no lock, so threads will do and nothing needs to be sent around.
    crew = muster("threads" if executor is None and climbs else executor, workers, paths)

    def enough(results: Mapping[int, PathResult]) -> str:
        if stop_after is None or _hits(results, problem.measurement_scale) < stop_after:
            return ""
        return f"the lowest level was reached {stop_after} times"

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
            time_limit=time_limit,
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
            "solver": solver,
            "start": start if isinstance(start, str) else getattr(start, "__name__", repr(start)),
            "strategy": strategy,
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
                    "paths": int(paths),
                    "seed": job.seed,
                    "keep": keep,
                    "executor": crew.name,
                    "workers": crew.workers,
                    "time_limit": time_limit,
                    "stop_after": stop_after,
                },
            ),
        },
    )


def _hits(results: Mapping[int, PathResult], scale: float) -> int:
    levels = np.array([result.level for result in results.values()])
    levels = levels[np.isfinite(levels)]
    return int((levels <= levels.min() + SAME_LEVEL * scale).sum()) if levels.size else 0


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


def _whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise OptionError(
            f"anneal: {name} must be a whole number of at least {least}, got {value!r}."
        )


def _known(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionError(
            f"anneal: there is no {name} {value!r}; there is {', '.join(choices)}."
            f"{nearest(str(value), choices)}"
        )
