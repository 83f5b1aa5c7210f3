"""No ladder: the model's own solutions, fitted by first states and parameters alone."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.anneal.finish import ended
from symda.anneal.group import first_points
from symda.anneal.task import Job, PathResult, blank, not_run, workspace
from symda.status import Status

if TYPE_CHECKING:
    from symda.anneal.group import Halt


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
            if time.time() >= min(job.until, math.inf if deadline is None else deadline):
                return not_run(job, k, "the time limit was reached before it started")
            return self._fit(job, k, deadline, halt)

        if job.workers == 1 or len(paths) == 1:
            return [fit(k) for k in paths]
        with ThreadPoolExecutor(job.workers) as pool:
            return list(pool.map(fit, paths))

    def _fit(self, job: Job, k: int, deadline: float | None, halt: Halt | None) -> PathResult:
        """Fit one path; of the ladder it has the last rung, as one that was finished has."""
        starts, failed = first_points(job, [k])
        if not starts:
            return failed[0]
        strong = workspace(job).strong(job)
        # no bar: a shot that finds the way down late is still far above it after tens of iterations
        found = strong.minimise(*starts[k], deadline, halt, patient=False)
        if found.status != Status.FAILED:
            return ended(job, blank(job, k), found)
        return not_run(job, k, found.message, failed=True)
