"""`Segment`: where one experiment stands among the steps, points and unknowns of a problem."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """One experiment of a problem.

    Steps, grid points and unknowns of one experiment follow each other; those of the next come
    after them, and no step joins the two.
    """

    name: str  #: As the user calls the experiment.
    first_step: int  #: Number of its first step among those of the problem.
    steps: int  #: How many there are, N.
    first_point: int  #: Number of its first grid point.
    points: int  #: How many there are, M.

    @property
    def own_steps(self) -> slice:
        """Its steps among those of the problem."""
        return slice(self.first_step, self.first_step + self.steps)

    @property
    def own_points(self) -> slice:
        """Its grid points among those of the problem."""
        return slice(self.first_point, self.first_point + self.points)

    @property
    def last_point(self) -> int:
        """Number of its last grid point."""
        return self.first_point + self.points - 1
