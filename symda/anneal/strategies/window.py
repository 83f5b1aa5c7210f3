"""The window grows from the left, each time by the model's own forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.anneal.group import climb, first_points
from symda.anneal.strategies.strategy import (
    Growing,
    cut_short,
    extrapolated,
    finished,
    part,
    shortened,
    with_effort,
    with_window_limit,
)
from symda.anneal.task import dropped

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.anneal.task import Job, PathResult


@dataclass(frozen=True)
class Window(Growing):
    """Anneal the first samples, then let the window grow; at full length climb the rest.

    Each path climbs the ladder on the first samples up to one rung. Then the window grows by a few
    samples at a time: the path is extended by its own forecast and minimised again at that rung. At
    full length it climbs the rest of the ladder. Rungs not visited at full length stay nan; what
    the shorter windows took is counted with the first rung that was. With fewer samples
    than the first window it is the ladder.

    Parameters
    ----------
    samples, extend, rf
        The first window, its growth, and the rung it grows at; see `Growing`.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "window"

    @property
    def pooled(self) -> bool:
        """Each path is an attempt."""
        return False

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Grow and climb; see `Strategy.run`."""
        plan = self.plan(job.problem, job.rf)
        starts, results = first_points(job, paths)
        efforts: dict[int, list[PathResult]] = {k: [] for k in starts}
        starts = shortened(job, starts, plan.steps[0])
        first, grown = 0, False
        for steps, longer in zip(plan.steps, plan.steps[1:], strict=False):
            window = part(job, steps, range(first, plan.rung + 1), "ends")
            if grown:
                window = with_window_limit(window)
            here, starts = starts, {}
            for found in climb(window, here, deadline, halt):
                efforts[found.path].append(found)
                if found.action[found.last_beta] > job.bar:
                    ended = dropped(cut_short(job, plan.rung, steps, found), plan.rung + 1, job.bar)
                    results.append(with_effort(ended, efforts[found.path], plan.rung))
                elif finished(window, found):
                    starts[found.path] = extrapolated(job, found, steps, longer)
                else:
                    ended = cut_short(job, plan.rung, steps, found)
                    results.append(with_effort(ended, efforts[found.path], plan.rung))
            first, grown = plan.rung, True
        full_length = part(job, job.problem.N, range(first, len(job.rf)), job.keep)
        for found in climb(full_length, starts, deadline, halt):
            results.append(with_effort(found, efforts[found.path], first))
        return results
