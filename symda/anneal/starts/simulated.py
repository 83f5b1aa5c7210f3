"""Starts that are the model's own solutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.anneal.starts.start import Draw, Point
from symda.checks import integer
from symda.errors import SolveError


@dataclass(frozen=True)
class Simulated:
    """Integrate the model from a random state with random parameters.

    Initial state and parameters are those of `Uniform`. Where there is no solution, since it leaves
    finite numbers, say, both are drawn again. The first rungs of a ladder are of no use to such a
    path, whose model errors are none: `strategy="auto"` lets it begin where Rf is high.

    Parameters
    ----------
    tries : int
        Draws for one path that may have none.
    best_of : int
        Of so many draws that have one, the one nearest to the data is taken, by logarithms
        (`Strong.distance`).

    Raises
    ------
    OptionError
        An option out of range.
    """

    tries: int = 50
    best_of: int = 1

    def __post_init__(self) -> None:
        integer(self.tries, "Simulated: tries")
        integer(self.best_of, "Simulated: best_of")

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "simulated"

    def point(self, draw: Draw) -> Point:
        """Return the solution from the first draw that has one, and its parameters.

        Raises
        ------
        SolveError
            If none of the draws has.
        """
        strong, why = draw.strong, ""
        least, best = np.inf, None
        failed = solved = 0
        while solved < self.best_of and failed < self.tries:
            path, theta = draw.path(), draw.parameters()
            far, why = strong.distance(path, theta)
            if why:
                failed += 1
                continue
            solved += 1
            if far < least:
                least, best = far, (path, theta)
        if best is not None:
            path, theta, _ = strong.solution(*best)
            return np.clip(path, *draw.problem.state_bounds.T), theta
        raise SolveError(
            f"simulated: none of {self.tries} draws has a solution through all times; of the last "
            f"one {why}. Narrow the start ranges, or take start='uniform'."
        )
