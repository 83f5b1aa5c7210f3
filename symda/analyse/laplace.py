"""The Laplace posterior of a problem at a minimum, and what infinite Rf would change of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.expand import hidden
from symda.analyse.posterior import Posterior, posterior
from symda.errors import SolveError
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

    from symda.build.kernels import BlockEvaluator


def laplace(
    evaluator: BlockEvaluator,
    X: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
    *,
    held: BoolArray,
    unseen: Sequence[str] = (),
    other: csr_array | None = None,
) -> tuple[Posterior, float]:
    """Return the parameters' distribution at a minimum.

    Parameters
    ----------
    X : (M, D)
    theta : (P,)
    rf : (D,)
    held : (M D + P,)
        Unknowns held by a bound.
    unseen : sequence of str
        States that nothing measured depends on. Whatever the others are, they can follow their
        equations, so they say nothing, and are left out together with these.
    other : csr_array (N E, M D + P), optional
        Another Jacobian of the residuals, to compare with.

    Returns
    -------
    found : Posterior
    spread : float
        Relative change of a standard deviation, at most, if Rf were infinite, or with the other
        Jacobian; nan where that is no small change.

    Raises
    ------
    SolveError
        If the action has no minimum there.
    """
    from scipy.sparse import diags_array

    p = evaluator.problem
    out, free = hidden(p, unseen)
    seen = np.where(free, rf, 0.0)
    # in units of a negative log probability, whatever the averaging option
    hessian: csc_array = (evaluator.hessian(X, theta, seen) / p.measurement_scale).tocsc()
    jacobian = evaluator.residual_jacobian(X, theta)
    kept = diags_array(np.tile(free, p.N * (1 + p.interior)).astype(float))
    precisions = kept @ evaluator.precisions(rf) @ kept
    squares = jacobian.T @ (precisions @ jacobian)
    errors = (squares / p.measurement_scale).tocsc()

    def of(hessian: csc_array) -> Posterior:
        return posterior(
            hessian,
            p.parameters,
            theta,
            typical=p.typical,
            free=p.free,
            held=held,
            unseen=tuple(unseen),
            path=~out.reshape(-1),
            coordinates=p.scales[p.D :],
        )

    found = of(hessian)
    if other is not None:
        exact = (other.T @ (precisions @ other) - squares) / p.measurement_scale
        try:
            return found, _change(found, of((hessian + exact).tocsc()))
        except SolveError:
            return found, math.nan
    try:
        # a standard deviation tends to its limit as 1/Rf; half of Rf costs no digits, more would
        return found, _change(found, of((hessian - 0.5 * errors).tocsc()))
    except SolveError:
        return found, math.nan


def _change(found: Posterior, other: Posterior) -> float:
    """Relative change of a standard deviation, at most."""
    sds, others = (np.array([*result.sd.values()]) for result in (found, other))
    known = np.isfinite(sds)
    return float(np.max(np.abs(others[known] / sds[known] - 1.0), initial=0.0))
