"""No ladder: the model's own solutions, fitted by first states and parameters alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.group import first_points
from symda.anneal.task import Job, PathResult, blank, workspace
from symda.status import Status

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.anneal.starts import Point


@dataclass(frozen=True)
class Shooting:
    """Each path is the model's own solution, and its first states and parameters are fitted.

    Single shooting, that is least squares where the noise is Gaussian, from the first states and
    the parameters of the starts; there are no model errors and no ladder, of which these paths have
    the last rung only. Where little is measured of a model whose solutions forget where they began
    it finds more a second than a ladder does; where they are unstable, or long, nothing.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "shooting"

    @property
    def pooled(self) -> bool:
        """Each path is an attempt."""
        return False

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Fit; see `Strategy.run`."""
        workspace(job).strong(job)  # what cannot be integrated is refused here

        def fit(k: int) -> PathResult:
            starts, failed = first_points(job, [k])
            return _fitted(job, k, starts[k], deadline, halt) if starts else failed[0]

        if job.workers == 1 or len(paths) == 1:
            return [fit(k) for k in paths]
        with ThreadPoolExecutor(job.workers) as pool:
            return list(pool.map(fit, paths))


def _fitted(
    job: Job, k: int, start: Point, deadline: float | None, halt: Halt | None
) -> PathResult:
    found = workspace(job).strong(job).minimise(*start, deadline, halt)
    result, last = blank(job, k), job.rungs[-1]
    result.status[last] = found.status.code
    result.iterations[last] = found.iterations
    result.evaluations[last] = found.integrations
    result.seconds[last] = found.seconds
    message = f"rung {last}: {found.message}" if found.message else ""
    if found.status == Status.FAILED:
        return replace(result, message=message)
    result.action[last], result.measurement_term[last] = found.action, found.measurement_term
    result.model_term[last], result.theta[last] = 0.0, found.theta
    result.states[:], result.momenta[:] = found.path, 0.0
    result.fit[:] = workspace(job).kernels.at(job.problem).measure(found.path, found.theta)
    if result.states_by_beta is not None:
        result.states_by_beta[last] = np.asarray(found.path)
    return replace(
        result, decrement=found.decrement, last_beta=last, message=message, solution=found
    )
