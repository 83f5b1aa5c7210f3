"""What a start is, and what one is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.anneal.dynamics import Dynamics
    from symda.observe import Problem


Point: TypeAlias = tuple[FloatArray, FloatArray]
StartFunction: TypeAlias = Callable[["Problem", np.random.Generator], Point]


@dataclass(frozen=True, eq=False)
class Draw:
    """What a start may use.

    Attributes
    ----------
    number : int
        Number of the path, from 0.
    problem : Problem
        Data, grid, bounds and ranges.
    rng : numpy.random.Generator
        The path's own generator.
    dynamics : Dynamics
        The model's forward steps.
    """

    number: int
    problem: Problem
    rng: np.random.Generator
    dynamics: Dynamics


@runtime_checkable
class Start(Protocol):
    """A start that needs more than problem and generator; otherwise a function will do."""

    @property
    def name(self) -> str:
        """For the record of the run."""

    def point(self, draw: Draw) -> Point:
        """Return path (M, D) and parameters (P,)."""
