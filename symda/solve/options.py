"""What all forms of `newton` share: options and tolerances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.checks import choice, integer, share
from symda.emit.lanes import DAMPING

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


@dataclass(frozen=True)
class NewtonOptions:
    """Options of ``solver="newton"`` in all its forms.

    Parameters
    ----------
    hessian : {"exact", "gauss-newton"}
        ``"gauss-newton"`` leaves out the residuals' curvature.
    tol : float
        A rung has converged when the next step would lower the action by less than this share of
        it (and by less than 1e-4 of its unit, a log probability), and no single unknown by more.
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
        choice(self.hessian, "newton: hessian", HESSIANS)
        share(self.tol, "newton: tol")
        integer(self.max_iter, "newton: max_iter")


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

    A damped step predicts less than can be gained. Only free parameters per step stay damped, and
    the weak tie between them is not worth more iterations.
    """
    return 1.0 if problem.untied.any() else DAMPING.damped


def least_action(problem: Problem) -> float:
    """Return the action of which shares are taken where the action itself is less.

    That is rounding error of the data's own size; or 1, with free parameters per step, which can
    fit so much that only what ties them is left: far less than a level is told apart by.
    """
    if problem.untied.any():
        return problem.measurement_scale
    return ROUNDING * problem.energy
