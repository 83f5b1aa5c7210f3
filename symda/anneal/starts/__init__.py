"""Where a path starts. To add a start: one file in this folder, one line in `STARTS`."""

from __future__ import annotations

from symda.anneal.starts.constant import Constant
from symda.anneal.starts.from_paths import FromPaths
from symda.anneal.starts.nudged import Nudged
from symda.anneal.starts.shaken import Shaken
from symda.anneal.starts.simulated import Simulated
from symda.anneal.starts.start import Draw, Function, Point, Start, StartFunction
from symda.anneal.starts.uniform import Uniform
from symda.registry import Registry

STARTS: Registry[Start] = Registry(
    "start",
    [Uniform(), Constant(), Nudged(), Simulated()],
    of=Start,
    own="a function (problem, rng) -> (X, theta), or an object with name and point(draw)",
)

__all__ = [
    "STARTS",
    "Constant",
    "Draw",
    "FromPaths",
    "Function",
    "Nudged",
    "Point",
    "Shaken",
    "Simulated",
    "Start",
    "StartFunction",
    "Uniform",
]
