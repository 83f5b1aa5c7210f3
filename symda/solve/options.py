"""What all forms of `newton` share: their options, and what counts as nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symda.emit.lanes import DAMPING
from symda.errors import OptionError, nearest

if TYPE_CHECKING:
    from symda.observe import Problem

HESSIANS = ("exact", "gauss-newton")

#: An action below this share of the data's own size is rounding error.
ROUNDING = 1e-16
#: A parameter whose change by its typical size moves the action by less is undetermined.
UNDETERMINED = 1e-8

#: In units of the action, a negative log probability: what is left to gain counts as nothing below
#: this, times the measurement scale.
NEAR = 1e-4

CONVERGED = "the gradient and the predicted decrease are below the tolerance"
#: Why a rung stopped or failed, by the compiled solver's code.
REASON: dict[int, str] = {
    0: CONVERGED,
    1: "max_iter reached",
    2: "no step lowers the action any more",
    3: "a saddle: there is no slope, but negative curvature",
    4: "derivatives are not finite where the steps lead",
    5: "the action is not finite where the rung starts",
    6: "the action's derivatives are not finite where the rung starts",
    7: "the time limit was reached on its way",
}
LIMIT, STUCK, SADDLE, WALL, NO_VALUE, NO_SLOPE, TIME = range(1, 8)
#: Those that are failures; the others are stops.
FAILURES = (NO_VALUE, NO_SLOPE)


@dataclass(frozen=True)
class NewtonOptions:
    """Options of ``solver="newton"``, whatever machine runs it.

    Parameters
    ----------
    hessian : {"exact", "gauss-newton"}
        ``"gauss-newton"`` leaves out the residuals' curvature.
    tol : float
        A rung has converged when the next step would lower the action by less than this share of
        it (and by less than 1e-4 of its unit, a log probability), and no unknown alone by more.
    max_iter : int
        Iterations a rung.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    hessian: str = "exact"
    tol: float = 1e-9
    max_iter: int = 500

    def __post_init__(self) -> None:
        """Check each option by itself."""
        if self.hessian not in HESSIANS:
            raise OptionError(
                f"newton has no hessian {self.hessian!r}.{nearest(str(self.hessian), HESSIANS)} "
                f"It has {' and '.join(HESSIANS)}."
            )
        if not isinstance(self.tol, (int, float)) or not 0.0 < self.tol < 1.0:
            raise OptionError(f"newton: tol must be a number between 0 and 1, got {self.tol!r}.")
        whole = isinstance(self.max_iter, int) and not isinstance(self.max_iter, bool)
        if not whole or self.max_iter < 1:
            raise OptionError(
                f"newton: max_iter must be a whole number of at least 1, got {self.max_iter!r}."
            )

    @classmethod
    def of(cls, **options: Any) -> NewtonOptions:
        """Take options by name.

        Raises
        ------
        OptionError
            If a name is unknown, or an option is out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise OptionError(
                    f"newton has no option {name!r}.{nearest(name, known)} "
                    f"It takes {', '.join(known)}."
                )
        return cls(**options)


def tolerance(problem: Problem, action: float, share: float) -> float:
    """Return the decrease of the action that counts as none.

    Parameters
    ----------
    problem : Problem
        Its measurement scale is the action's unit, and its data say how small an action is.
    action : float
        The action.
    share : float
        Of it; but never more than `NEAR` units, nor less than rounding.
    """
    size = max(abs(action), least_action(problem))
    return min(share * size, max(NEAR * problem.measurement_scale, DAMPING.rounding * size))


def damped_share(problem: Problem) -> float:
    """Return the share of the tolerance that a damped step has to be below.

    It foretells less than is to be had. Only free parameters per step are damped for good, and what
    ties them is not worth the way.
    """
    return 1.0 if np.isinf(problem.process_variance).any() else DAMPING.damped


def own_sizes(problem: Problem) -> NDArray[np.float64]:
    """Return the size of each kind of unknown as it is declared, D states and then P parameters.

    The larger end of a state's start range; a parameter's typical size.
    """
    states = np.abs(problem.state_start).max(axis=1)
    return np.concatenate([np.where(states > 0.0, states, 1.0), problem.typical])


def least_action(problem: Problem) -> float:
    """Return the action of which shares are taken where the action itself is less.

    That is rounding error of the data's own size; or 1, with free parameters per step, which can
    fit so much that only what ties them is left: far less than a level is told apart by.
    """
    if np.isinf(problem.process_variance).any():
        return problem.measurement_scale
    return ROUNDING * float(0.5 * np.sum(problem.rm * problem.y**2))
