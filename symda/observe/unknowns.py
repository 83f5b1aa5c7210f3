"""How a path and parameters stand in one vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symda.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The unknowns of a problem as one vector: the path (M, D) flat, then theta (P,)."""

    #: M, D and P.
    points: int
    states: int
    parameters: int
    #: (M D + P,): bounds, which may be infinite; a fixed parameter has both at its value.
    lower: FloatArray
    upper: FloatArray
    #: Sizes as declared: the larger end of a state's start range, a parameter's typical size, (M D
    #: + P,).
    sizes: FloatArray

    @property
    def on_path(self) -> int:
        """How many belong to the path, M D; the parameters come after them."""
        return self.points * self.states

    @property
    def count(self) -> int:
        """How many there are, fixed ones included."""
        return self.on_path + self.parameters

    @cached_property
    def free(self) -> BoolArray:
        """Which of them may move, (M D + P,)."""
        return self.lower < self.upper

    def split(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return path (M, D) and parameters (P,), as views where x is contiguous."""
        path, theta = x[: self.on_path], x[self.on_path : self.count]
        return path.reshape(self.points, self.states), theta

    def join(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return path and parameters as one new vector."""
        return np.concatenate([np.ravel(path), theta])

    def inside(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return path and parameters as one vector within the bounds."""
        within: FloatArray = np.clip(self.join(path, theta), self.lower, self.upper)
        return within
