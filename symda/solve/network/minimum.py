"""What minimises the action of a network, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from symda.solve.network.problem import NetworkProblem, Point, Terms
from symda.status import Reason, Status


@dataclass(frozen=True, eq=False)
class NetworkMinimum:
    """Where a solver ended at one Rf."""

    point: Point
    terms: Terms
    status: Status
    reason: Reason
    iterations: int
    #: Steps of conjugate gradients, or evaluations of the gradient.
    inner: int
    #: Norm of the gradient over that at the start.
    slope: float
    solver: str


@runtime_checkable
class NetworkSolver(Protocol):
    """Minimises the action of a network at one Rf."""

    @property
    def name(self) -> str:
        """What users call it."""

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; on rungs that are not the `final` one less exactly, if it can."""
