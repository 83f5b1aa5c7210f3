"""Paths as starts: those of the user, or those that a run ended with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.anneal.starts.start import Draw, Point
from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class FromPaths:
    """Path k starts at `paths[k]`, and from the first again when there are no more."""

    name: str  #: For the record of the run.
    paths: FloatArray  #: Paths, (J, M, D).
    thetas: FloatArray  #: (J, P): parameters; nan where they are drawn as in `Uniform`.

    def point(self, draw: Draw) -> Point:
        """Return path `draw.number`, cycled."""
        j = draw.number % len(self.paths)
        draw.path()  # the parameters drawn are those of `Uniform`
        drawn = draw.parameters()
        theta = np.where(np.isnan(self.thetas[j]), drawn, self.thetas[j])
        return self.paths[j], np.where(draw.problem.free, theta, draw.problem.fixed)
