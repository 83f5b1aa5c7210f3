"""The annealing run: one start as a check, the paths, the dataset."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.dataset import assemble, with_solutions
from symda.anneal.finish import Finish, finish
from symda.anneal.provenance import provenance
from symda.anneal.report import Reporter, Silent
from symda.anneal.rounds import Found, adaptive, given
from symda.anneal.settings import Settings
from symda.anneal.storage.ledger import Ledger
from symda.anneal.strategies import Auto
from symda.anneal.task import Job, Prepare, first_point, prepare
from symda.errors import OptionError, SolveError, SymdaError

if TYPE_CHECKING:
    from xarray import Dataset

    from symda.build.abstract import Payload
    from symda.build.flows import FlowEngine
    from symda.observe import Problem

#: The strong constraint has at least so many seconds, though the time limit be over.
LEAST_LEFT = 1.0


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
    ledger: Ledger | None = None,
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
    ledger
        What remembers the paths that ended, maybe of an earlier session.

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
    ledger = Ledger() if ledger is None else ledger
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
    left = None if settings.time_limit is None else settings.time_limit - ledger.spent(spent)

    def part(found: Found, more: Mapping[str, object]) -> Callable[[int, int], Dataset]:
        """Return what makes the dataset of the paths from one place to another."""
        record = {**settings.record(), "executor": found.executor, "workers": found.workers}
        known = {
            **attrs,
            "solver": job.solver.name,
            "start": "several" if found.kinds else settings.begin.name,
            "strategy": settings.method.name,
            "starts_differ": int(differ or len(set(found.kinds)) > 1),
            "interrupted": int(found.interrupted),
            **({"coarse": 1} if found.coarse else {}),
            **more,
            "provenance": provenance(
                problem=problem.digest,
                source=kernels_payload.source.digest,
                seconds=ledger.now(),
                climb_seconds=found.seconds,
                settings=record,
            ),
        }
        heights = ladder.heights(problem)

        def made(a: int, b: int) -> Dataset:
            some, kinds = found.results[a:b], found.kinds[a:b]
            return assemble(problem, job.rf, heights, some, found.attempts[a:b], known, kinds)

        return made

    def show(found: Found) -> None:
        if found.results and ledger.showing:
            ledger.show(part(found, {}), found.results)

    if isinstance(settings.method, Auto):

        def of_scheme(found: Found) -> bool | None:
            climbed = found.climbed
            if coarse is None or not climbed.results:
                return None
            return coarse(part(replace(climbed, interrupted=False), {})(0, len(climbed.results)))

        found = adaptive(job, settings, reporter, of_scheme, left, ledger, show)
    else:
        found = given(job, settings, reporter, ledger, show)
    ended = Finish()
    if flow is not None and settings.finishes:
        rest = None if left is None else left - found.seconds
        deadline = None if rest is None else time.time() + max(rest, LEAST_LEFT)
        many, fresh = found.workers, not found.interrupted
        try:
            ended, results = finish(job, found.results, many, deadline, fresh=fresh)
        except KeyboardInterrupt:
            found = replace(found, interrupted=True)
            ended, results = finish(job, found.results, 1, deadline, fresh=False)
        found = replace(found, results=results)
    told = (*found.told, *ended.said)
    more = {"told": json.dumps(told)} if told else {}
    whole = ledger.whole(part(found, more), found.results, over=not found.interrupted)
    return with_solutions(whole, found.results, ended)


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
