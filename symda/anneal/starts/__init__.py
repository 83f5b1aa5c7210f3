"""Where a path starts. To add a start: one file in this folder, one line in `STARTS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from symda.anneal.starts.given import Given
from symda.anneal.starts.nudged import Nudged
from symda.anneal.starts.start import Draw, Point, Start, StartFunction
from symda.anneal.starts.uniform import uniform

STARTS: Mapping[str, StartFunction | Start] = MappingProxyType(
    {"uniform": uniform, "nudged": Nudged()}
)

__all__ = ["STARTS", "Draw", "Given", "Nudged", "Point", "Start", "StartFunction", "uniform"]
