"""SciPy's L-BFGS-B on the compiled gradient."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symda.errors import OptionError, nearest
from symda.solve.minimum import Bounds, Minimum, Status, record

if TYPE_CHECKING:
    from symda.build.kernels import Kernels
    from symda.observe import Problem

FloatArray = NDArray[np.float64]

DEFAULTS = {
    "maxiter": 20_000,
    "maxfun": 40_000,
    "maxcor": 20,
    "ftol": 1e-13,
    "gtol": 1e-7,
    "maxls": 40,
}


class Lbfgs:
    """Limited-memory BFGS with bounds: gradients only, so memory grows with N D alone.

    Parameters
    ----------
    kernels : Kernels
        What evaluates the action.
    problem : Problem
        Data and bounds.
    **options
        Options of `scipy.optimize.minimize` with ``method="L-BFGS-B"``: ``maxiter``, ``maxfun``,
        ``maxcor``, ``ftol``, ``gtol``, ``maxls``.

    Raises
    ------
    OptionError
        If an option is unknown.
    """

    def __init__(self, kernels: Kernels, problem: Problem, **options: float) -> None:
        for name in options:
            if name not in DEFAULTS:
                raise OptionError(
                    f"lbfgs has no option {name!r}.{nearest(name, DEFAULTS)} "
                    f"It takes {', '.join(DEFAULTS)}."
                )
        self._evaluator = kernels.at(problem)
        self._bounds = Bounds.of(problem)
        # SciPy's stubs want their own private TypedDict here
        self._options: Any = DEFAULTS | options

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Go down from (path, theta); see `Solver.minimise`."""
        import scipy.optimize

        started = time.perf_counter()
        p = self._evaluator.problem

        def value(unknowns: FloatArray) -> tuple[float, FloatArray]:
            X, values = unknowns[: p.M * p.D].reshape(p.M, p.D), unknowns[p.M * p.D :]
            return self._evaluator.value_and_gradient(X, values, rf)

        found = scipy.optimize.minimize(
            value,
            self._bounds.clip(path, theta),
            jac=True,
            method="L-BFGS-B",
            bounds=scipy.optimize.Bounds(self._bounds.lower, self._bounds.upper),
            options=self._options,
        )
        # SciPy's 1 is a limit reached; 2 is a line search that cannot go further, the usual end at
        # rounding level
        status: Status = (
            "converged" if found.success else "stopped" if found.status in (1, 2) else "failed"
        )
        return record(
            self._evaluator,
            np.asarray(found.x, dtype=float),
            rf,
            status=status,
            message=str(found.message),
            iterations=int(found.nit),
            evaluations=int(found.nfev),
            seconds=time.perf_counter() - started,
        )
