"""What a solver returns, and what minimises one problem."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from symda.status import Reason, Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator


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
        p_n = Rf_n r_n; the constraints' multipliers where the solver has them; p(t) in the middle
        of each step where it solves the continuous problem.
    status : Status
        How it ended.
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


class Minimiser(Protocol):
    """Minimises the action of one problem, at any model precision, from any start."""

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta).

        Parameters
        ----------
        path : ndarray, shape (M, D)
            Start; brought inside the bounds.
        theta : ndarray, shape (P,)
            Start; fixed parameters keep the problem's value.
        rf : ndarray, shape (D,)
            Model precision of each state.
        """


@dataclass(frozen=True, eq=False)
class Climb:
    """K paths that climbed B rungs together.

    Attributes
    ----------
    paths : ndarray, shape (K, M, D)
        At the last rung reached.
    all_paths : ndarray, shape (K, B, M, D), or None
        At every rung, if they were kept.
    thetas : ndarray, shape (K, B, P)
    measurement_terms, model_terms, prior_terms, seconds : ndarray, shape (K, B)
        nan where a rung was not reached. The seconds of a sweep are shared among the paths in it.
    decrements : ndarray, shape (K, B)
        Half the squared Newton decrement where a rung converged, nan elsewhere.
    status, iterations : ndarray, shape (K, B)
        Codes of `symda.status.Status`.
    reasons : ndarray, shape (K, B)
        Why a rung stopped or failed, see `symda.status.Reason`.
    interrupted : bool
        Whether Ctrl-C cut the climb short.
    """

    paths: FloatArray
    all_paths: FloatArray | None
    thetas: FloatArray
    measurement_terms: FloatArray
    model_terms: FloatArray
    prior_terms: FloatArray
    seconds: FloatArray
    decrements: FloatArray
    status: NDArray[np.int32]
    reasons: NDArray[np.int32]
    iterations: NDArray[np.int32]
    interrupted: bool


@runtime_checkable
class Climber(Minimiser, Protocol):
    """Takes many paths up a ladder in one call, without holding the GIL."""

    @property
    def lanes(self) -> int:
        """Paths that it takes at once; more of them take turns."""

    def ladder(
        self,
        paths: FloatArray,
        thetas: FloatArray,
        rf: FloatArray,
        *,
        keep: bool = False,
        halt: NDArray[np.int32] | None = None,
        time_left: float = math.inf,
        threads: int = 1,
        loose: int = 0,
    ) -> Climb:
        """Take K paths up a ladder, each minimum the start of the next rung.

        A path does not depend on the other paths. A rung that fails ends its path's climb.

        Parameters
        ----------
        paths : ndarray, shape (K, M, D)
            Starts; brought inside the bounds.
        thetas : ndarray, shape (K, P)
            Starts; fixed parameters keep the problem's value.
        rf : ndarray, shape (B, D)
            Model precision of each rung and state.
        keep : bool
            Whether to keep the path of every rung.
        halt : ndarray of int32, shape (1,), optional
            Set it to 1 from another thread to stop soon; rungs under way are dropped.
        time_left : float
            Seconds after which it stops by itself.
        threads : int
            Threads that share the paths; a free lane of any takes the next.
        loose : int
            So many rungs, the first, need not converge: they end when they gain next to nothing.
        """

    def minimum(self, climb: Climb, k: int, beta: int, rf: FloatArray, seconds: float) -> Minimum:
        """Return the record of path k at rung beta, the last it reached."""


def descended(
    evaluator: Evaluator,
    descend: Callable[[FloatArray, FloatArray], tuple[FloatArray, Reason, int, int]],
    path: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
) -> Minimum:
    """Minimise from (path, theta) and make the record.

    `descend` takes unknowns within their bounds and Rf (D,), and returns where it ended, why, and
    the numbers of iterations and of actions evaluated.
    """
    started = time.perf_counter()
    start = evaluator.problem.unknowns.inside(*evaluator.split(path, theta))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x, reason, iterations, evaluations = descend(start, evaluator.precision(rf))
        return record(
            evaluator,
            x,
            rf,
            status=reason.status,
            message=reason,
            iterations=iterations,
            evaluations=evaluations,
            seconds=time.perf_counter() - started,
        )


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
    path, theta = evaluator.split(*p.unknowns.split(unknowns.copy()))
    measurement_term, model_term = evaluator.terms(path, theta, rf)
    action = measurement_term + model_term + evaluator.prior(path, theta)
    if momenta is None:
        momenta = evaluator.weigh(rf, evaluator.residual(path, theta))
    return Minimum(
        path=path,
        theta=theta,
        action=action,
        measurement_term=measurement_term,
        model_term=model_term,
        momenta=momenta,
        # a line search that only met nan calls that no further progress
        status=status if np.isfinite(action) else Status.FAILED,
        message=message,
        iterations=iterations,
        evaluations=evaluations,
        seconds=seconds,
    )
