"""What all forms of `newton` share: their options, and what counts as nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.errors import OptionError, nearest
from symda.solve.minimum import Status

if TYPE_CHECKING:
    from symda.observe import Problem

HESSIANS = ("exact", "gauss-newton")

#: An unknown this share of its bounds' distance away from one of them counts as there.
MARGIN = 1e-7
#: An action below this share of the data's own size is rounding error.
ROUNDING = 1e-16
#: A parameter whose change by its typical size moves the action by less is undetermined.
UNDETERMINED = 1e-8

MESSAGE: dict[Status, str] = {
    "converged": "the gradient and the predicted decrease are below the tolerance",
    "stopped": "max_iter reached, or no step lowers the action any more",
    "failed": "the action or its derivatives are not finite",
}


@dataclass(frozen=True)
class NewtonOptions:
    """Options of ``solver="newton"``, whatever machine runs it.

    Parameters
    ----------
    hessian : {"exact", "gauss-newton"}
        ``"gauss-newton"`` leaves out the residuals' curvature.
    tol : float
        A rung has converged when the next step would lower the action by less than this share,
        and no unknown alone by more than that.
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


def least_action(problem: Problem) -> float:
    """Return the action of which shares are taken where the action itself is less.

    That is rounding error of the data's own size; or 1, with free parameters per step, which can
    fit so much that only what ties them is left: far less than a level is told apart by.
    """
    if np.isinf(problem.drift).any():
        return problem.measurement_scale
    return ROUNDING * float(0.5 * np.sum(problem.rm * problem.y**2))
