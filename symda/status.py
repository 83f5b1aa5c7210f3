"""How a rung of a path ended, and why: words for people, numbers for compiled code and files."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Coded(StrEnum):
    @property
    def code(self) -> int:
        """Its number, which is its place."""
        return tuple(type(self)).index(self)

    @classmethod
    def of(cls, code: int) -> Self:
        """Return the one with this number."""
        return tuple(cls)[code]


class Status(_Coded):
    """How a rung ended."""

    NOT_RUN = "not_run"
    CONVERGED = "converged"
    #: The solver's looser tolerance.
    ACCEPTABLE = "acceptable"
    #: A limit of iterations or time, or no further progress.
    STOPPED = "stopped"
    FAILED = "failed"
    #: Not climbed: the level at the rung before was above the lowest already.
    DROPPED = "dropped"


class Reason(_Coded):
    """Why a rung of `newton` ended."""

    CONVERGED = "the gradient and the predicted decrease are below the tolerance"
    LIMIT = "max_iter reached"
    STUCK = "no step lowers the action any more"
    SADDLE = "a saddle: there is no slope, but negative curvature"
    WALL = "derivatives are not finite where the steps lead"
    NO_VALUE = "the action is not finite where the rung starts"
    NO_SLOPE = "the action's derivatives are not finite where the rung starts"
    TIME = "the time limit was reached on its way"
    CREEPING = "so little is gained that the rungs above may do the rest"

    @property
    def status(self) -> Status:
        """How a rung ended for that reason."""
        if self is Reason.CONVERGED:
            return Status.CONVERGED
        if self is Reason.CREEPING:
            return Status.ACCEPTABLE
        return Status.FAILED if self in (Reason.NO_VALUE, Reason.NO_SLOPE) else Status.STOPPED
