"""Starts beside a path that was found: a stretch of it is moved at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.anneal.starts.start import Draw, Point, known_first
from symda.types import FloatArray

#: Lengths of the stretch, as shares of the path: uniform between these.
STRETCH = (0.02, 0.12)
#: Standard deviation by which its points are moved, as a share of each state's range.
MOVED = 0.3


@dataclass(frozen=True, eq=False)
class Shaken:
    """Move a stretch of a path, its points independently of one another, and let it climb again.

    Minima of chaotic systems differ by choices, each in a stretch of its own: on which side of a
    fold the state was, say. From a minimum that has most of them right a few such moves find the
    others, where starts that have to get all right at once meet each minimum seldom.

    References
    ----------
    H. R. Lourenco, O. C. Martin and T. Stutzle, Iterated local search, in Handbook of
    Metaheuristics (Springer, 2003) 320.
    """

    path: FloatArray  #: (M, D), as solvers move it.
    theta: FloatArray  #: (P,)

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "shaken"

    def point(self, draw: Draw) -> Point:
        """Return the path with one stretch moved, within bounds, and its parameters."""
        problem, rng = draw.problem, draw.rng
        points = max(1, round(problem.M * rng.uniform(*STRETCH)))
        first = int(rng.integers(problem.M - points + 1))
        path = self.path.copy()
        path[first : first + points] += (
            MOVED * np.ptp(path, axis=0) * rng.standard_normal((points, problem.D))
        )
        path = np.clip(path, problem.state_bounds[:, 0], problem.state_bounds[:, 1])
        return known_first(problem, path), self.theta
