"""Starts whose unknown components do not change in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.anneal.starts.start import Draw, Point


@dataclass(frozen=True)
class Constant:
    """As `Uniform`, but what no data are near keeps one value all along.

    That value is uniform in the component's start range, which is shrunk about its middle by a
    share that is uniform in (0, 1), one for all components of a path.

    Notes
    -----
    Values drawn anew at every grid point have nothing slow in them: the first minimisation smooths
    them to nearly one path, by the model's own scale of time, and so all paths begin alike the
    finer the grid is. What decides where a path ends is its slow part, which these starts draw.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "constant"

    def point(self, draw: Draw) -> Point:
        """Return `Draw.path` with these values, and `Draw.parameters`."""
        problem = draw.problem
        low, high = problem.state_start.T
        half = 0.5 * draw.rng.uniform() * (high - low)
        middle = 0.5 * (low + high)
        shape = (len(problem.segments), problem.D)
        levels = draw.rng.uniform(middle - half, middle + half, shape)
        lengths = [segment.points for segment in problem.segments]
        return draw.path(np.repeat(levels, lengths, axis=0)), draw.parameters()
