"""The start of the papers: measured components at the data, the rest uniform in their ranges."""

from __future__ import annotations

from dataclasses import dataclass

from symda.anneal.starts.start import Draw, Point


@dataclass(frozen=True)
class Uniform:
    """Measured components at the data, the others uniform in their start range.

    Notes
    -----
    Abarbanel, Rozdeba, Shirman, arXiv:1707.01415 (2017), section 4.1.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "uniform"

    def point(self, draw: Draw) -> Point:
        """Return `Draw.path` and `Draw.parameters`."""
        return draw.path(), draw.parameters()
