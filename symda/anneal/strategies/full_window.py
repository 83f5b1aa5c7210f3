"""The strategy of the papers: the full window climbs every rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.anneal.group import climb, first_points

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.anneal.task import Job, PathResult


@dataclass(frozen=True)
class FullWindow:
    """Each path climbs the ladder at full length.

    Notes
    -----
    Abarbanel, Rozdeba, Shirman, arXiv:1707.01415 (2017), section 4.1.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "ladder"

    @property
    def pooled(self) -> bool:
        """Each path is an attempt."""
        return False

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Climb; see `Strategy.run`."""
        starts, failed = first_points(job, paths)
        return failed + climb(job, starts, deadline, halt)
