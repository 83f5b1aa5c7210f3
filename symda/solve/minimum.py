"""What every solver returns, and what every solver is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from symda.build.kernels import Evaluator
    from symda.observe import Problem

FloatArray = NDArray[np.float64]
Status: TypeAlias = Literal["converged", "acceptable", "stopped", "failed"]


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a solver ended.

    Attributes
    ----------
    path : ndarray, shape (M, D)
        The path.
    theta : ndarray, shape (P,)
        All parameters, fixed ones included.
    action, measurement_term, model_term : float
        Action of eq. 10 and its two sums.
    momenta : ndarray, shape (N, E)
        p_n = Rf_n r_n; the constraints' multipliers where the solver has them.
    status : str
        ``converged``; ``acceptable`` (the solver's looser tolerance); ``stopped`` (a limit of
        iterations or time, or no further progress); ``failed``.
    message : str
        The solver's own words.
    iterations, evaluations : int
        Iterations, and evaluations of the action.
    seconds : float
        Wall time.
    """

    path: FloatArray
    theta: FloatArray
    action: float
    measurement_term: float
    model_term: float
    momenta: FloatArray
    status: Status
    message: str
    iterations: int
    evaluations: int
    seconds: float


class Solver(Protocol):
    """Minimises the action of one problem, at any model precision, from any start."""

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Go down from (path, theta).

        Parameters
        ----------
        path : ndarray, shape (M, D)
            Start; brought inside the bounds.
        theta : ndarray, shape (P,)
            Start; fixed parameters keep the problem's value.
        rf : ndarray, shape (D,)
            Model precision of each state.
        """


#: Makes a solver of kernels, a problem and the solver's own options.
Factory: TypeAlias = "Callable[..., Solver]"


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds on the unknowns (flat path, theta); a fixed parameter has both at its value."""

    lower: FloatArray
    upper: FloatArray

    @classmethod
    def of(cls, problem: Problem) -> Bounds:
        """Bounds of a problem, shape (M D + P,) each."""
        sides = []
        for side in (0, 1):
            theta = np.where(problem.free, problem.parameter_bounds[:, side], problem.fixed)
            sides.append(np.concatenate([np.tile(problem.state_bounds[:, side], problem.M), theta]))
        return cls(sides[0], sides[1])

    def clip(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Start (flat path, theta) brought inside."""
        inside: FloatArray = np.clip(
            np.concatenate([np.ravel(path), theta]), self.lower, self.upper
        )
        return inside


def record(
    evaluator: Evaluator,
    unknowns: FloatArray,
    rf: FloatArray,
    *,
    momenta: FloatArray | None = None,
    status: Status,
    message: str,
    iterations: int,
    evaluations: int,
    seconds: float,
) -> Minimum:
    """Make the record, with the action evaluated afresh at the end point."""
    p = evaluator.problem
    path, theta = unknowns[: p.M * p.D].reshape(p.M, p.D).copy(), unknowns[p.M * p.D :].copy()
    measurement_term, model_term = evaluator.terms(path, theta, rf)
    action = measurement_term + model_term
    if momenta is None:
        weights = p.weight[:, None] * np.tile(rf, 1 + p.interior)
        momenta = weights * evaluator.residual(path, theta)
    return Minimum(
        path=path,
        theta=theta,
        action=action,
        measurement_term=measurement_term,
        model_term=model_term,
        momenta=momenta,
        # a line search that only met nan calls that no further progress
        status=status if np.isfinite(action) else "failed",
        message=message,
        iterations=iterations,
        evaluations=evaluations,
        seconds=seconds,
    )
