"""One smooth piece of a trajectory, step by step, by a method of SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from symda.errors import SolveError, SymdaError
from symda.types import FloatArray

if TYPE_CHECKING:
    from scipy.integrate import OdeSolver
    from scipy.sparse import csc_array

OdeMethod: TypeAlias = Literal["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"]
Function: TypeAlias = Callable[[float, FloatArray], FloatArray]
Jacobian: TypeAlias = Callable[[float, FloatArray], "FloatArray | csc_array"]

#: Where step times the fastest decay reaches this, an explicit method is limited by its stability:
#: about half of the limits on the real axis, 2.5, 3.3 and 6. At a step that accuracy asks for, the
#: product is below 1.
STABLE = {"RK23": 1.2, "RK45": 1.6, "DOP853": 3.0}
#: Steps between two looks at that, which must agree.
LOOK = 250
#: Steps still to go at which an implicit method is the faster one, and those above which it is
#: refused.
MANY, ENDLESS = 5_000, 1_000_000
#: Iterations of the power method, and the size of its differences as a share of the states.
POWERS, NUDGE = 12, 1e-7


class OverBudgetError(Exception):
    """More calls of F than were allowed."""


@dataclass(eq=False)
class Stepper:
    """Takes a state through one piece after the other."""

    #: The method; an implicit one from the first piece on where `may_switch` finds it stiff.
    method: OdeMethod
    rtol: float
    #: Tolerances, of an explicit method and of an implicit one, (D,).
    atol: FloatArray
    implicit_atol: FloatArray
    may_switch: bool  #: Whether a stiff model is handed to Radau.
    budget: float  #: Most calls of F.
    max_step: float  #: Longest step.
    end: float  #: Where the last piece ends.
    where: str  #: How messages name the call.
    peak: FloatArray  #: Largest size of each state so far, (D,).
    looked: float  #: When an explicit method was last looked at.
    calls: int = 0  #: Calls of F so far.
    switched: float | None = None  #: When the method was changed.
    held: bool = False  #: Whether its stability held an explicit method up then.
    steps: int = 0  #: Steps of an explicit method so far.

    def piece(
        self,
        F: Function,
        jacobian: Jacobian | None,
        span: tuple[float, float],
        x: FloatArray,
        at: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Go from `x` (D,) at the beginning of `span` to its end.

        Returns
        -------
        states : (len(at), D)
            At the times `at` within.
        end : (D,)

        Raises
        ------
        SolveError
            If the solution cannot be continued, or would take an explicit method far too long.
        OverBudgetError
            If it takes more calls than allowed.
        """
        watch = _Watch(F, span[0])
        reached = span[0]
        states, done = np.empty((at.size, x.size)), 0
        try:
            # what is not finite is reported with its time
            with np.errstate(all="ignore"):
                solver = self._solver(watch, jacobian, span[0], x, span[1])
                while solver.status == "running":
                    reached = float(solver.t)
                    message = solver.step()
                    if message is not None:
                        self._stop(reached, str(message))
                    if not np.isfinite(solver.y).all():
                        self._stop(reached, "it left finite numbers.")
                    self.peak = np.maximum(self.peak, np.abs(solver.y))
                    upto = int(np.searchsorted(at, solver.t, side="right"))
                    if upto > done:
                        states[done:upto] = solver.dense_output()(at[done:upto]).T
                        done = upto
                    if self.calls + watch.calls > self.budget:
                        raise OverBudgetError
                    if self.method in STABLE and self._stiff(F, float(solver.t), solver.y):
                        self.method, self.switched = "Radau", float(solver.t)
                        solver = self._solver(watch, jacobian, solver.t, solver.y, span[1])
        except SymdaError:
            raise
        except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
            # of the watch itself, or of an implicit method that factorises nan
            self._stop(max(watch.time, reached), f"{error}.")
        self.calls += watch.calls
        return states, np.asarray(solver.y)

    def _solver(
        self, F: Function, jacobian: Jacobian | None, t: float, x: FloatArray, end: float
    ) -> OdeSolver:
        from scipy import integrate

        more = {} if self.method in STABLE or jacobian is None else {"jac": jacobian}
        atol = self.atol if self.method in STABLE else self.implicit_atol
        made: OdeSolver = getattr(integrate, self.method)(
            F, t, x, end, rtol=self.rtol, atol=atol, max_step=self.max_step, **more
        )
        return made

    def _stiff(self, F: Function, t: float, x: FloatArray) -> bool:
        """Whether to hand the model to an implicit method; looks at it every so many steps."""
        self.steps += 1
        if self.steps % LOOK:
            return False
        h = (t - self.looked) / LOOK
        sizes = np.where(self.peak > 0.0, self.peak, self.peak.max() or 1.0)
        fast = h * fastest_decay(F, t, x, sizes) > STABLE[self.method]
        twice, self.held, self.looked = fast and self.held, fast, t
        left = (self.end - t) / h if twice else 0.0
        if left > ENDLESS and not self.may_switch:
            raise SolveError(
                f"{self.where}: the model is stiff: from t = {t:.6g} on {self.method} would need "
                f"about {left:.1g} steps, limited by its stability. Leave method out, or pass "
                "method='Radau' or 'LSODA'."
            )
        return left > MANY and self.may_switch

    def _stop(self, t: float, why: str) -> None:
        stiff = "" if self.method == "LSODA" else ", or try method='LSODA' for a stiff model"
        raise SolveError(
            f"{self.where}: the solution could not be continued beyond t = {t:.6g}: {why} "
            f"Look at parameters and initial state{stiff}."
        )


def fastest_decay(F: Function, t: float, x: FloatArray, sizes: FloatArray) -> float:
    """Rate of the mode of F at `x` (D,) that changes fastest, if it decays; else 0.

    The power method on differences of F, in units of `sizes` (D,). A rate that belongs to a
    rotation more than to a decay counts as 0: there accuracy asks for short steps.
    """
    slope = F(t, x)
    direction = np.cos(np.arange(x.size) + 1.0)  # in no special direction
    rate = decay = 0.0
    for _ in range(POWERS):
        norm = float(np.linalg.norm(direction))
        if not 0.0 < norm < math.inf:
            return 0.0
        direction = direction / norm
        image = (F(t, x + NUDGE * sizes * direction) - slope) / (NUDGE * sizes)
        rate, decay = float(np.linalg.norm(image)), -float(direction @ image)
        direction = image
    return rate if decay > 0.5 * rate else 0.0


class _Watch:
    """F that counts its calls, and stops when time no longer advances: LSODA would never end."""

    def __init__(self, F: Function, time: float) -> None:
        self._F = F
        self.time = time
        self.calls = 0
        self._here = 0

    def __call__(self, t: float, x: FloatArray) -> FloatArray:
        self.calls += 1
        if abs(t - self.time) > 1e-14 * abs(t):
            self.time, self._here = t, 0
        self._here += 1
        # a Jacobian by differences takes D calls at one time
        if self._here > 1000 * (1 + x.size):
            raise ArithmeticError("the steps have shrunk to nothing")
        return self._F(t, x)
