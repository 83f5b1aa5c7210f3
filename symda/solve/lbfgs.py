"""SciPy's L-BFGS-B on the compiled gradient."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symda.errors import OptionError, nearest
from symda.solve.box import Box
from symda.solve.judges import judge
from symda.solve.minimum import Bounds, Minimum, Status, record
from symda.solve.options import own_sizes
from symda.solve.stationary import BandedJudge, Stationarity

if TYPE_CHECKING:
    from symda.build.kernels import Kernels
    from symda.observe import Problem

FloatArray = NDArray[np.float64]

DEFAULTS = {
    "maxiter": 20_000,
    "maxfun": 40_000,
    "maxcor": 20,
    "ftol": 1e-13,
    "gtol": 1e-9,
    "maxls": 40,
}
#: Times it begins anew, with sizes of where it is, while there is something left to gain.
ROUNDS = 4
#: How far it keeps off bounds on which the slope is infinite, in units of the unknowns' sizes.
INSIDE = 1e-9


class Lbfgs:
    """Limited-memory BFGS with bounds: gradients only, so memory grows with N D alone.

    The unknowns are in units of their own sizes, 1/sqrt(Gauss-Newton diagonal). Where there are
    matrices, the end of a rung is judged as that of `newton` is.

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
        self._box, self._judge = Box.of(problem), judge(self._evaluator)
        energy = 0.5 * float(np.sum(problem.rm * problem.y**2))
        self._unit = 1.0 / energy if 0.0 < energy < 1.0 else 1.0
        # SciPy's stubs want their own private TypedDict here
        self._options: Any = DEFAULTS | options

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Go down from (path, theta); see `Solver.minimise`."""
        import scipy.optimize

        started = time.perf_counter()
        p = self._evaluator.problem
        count = p.M * p.D
        rounds = ROUNDS if isinstance(self._judge, BandedJudge) else 1
        x = self._bounds.clip(path, theta)
        unit = self._unit
        iterations = evaluations = 0
        lower, upper = self._bounds.lower, self._bounds.upper
        for _ in range(rounds):
            # SciPy's tolerances are of unknowns and an action of order one
            sizes = self._sizes(x, rf)

            begin, wall = x / sizes, [0.0]

            def value(
                z: FloatArray, sizes: FloatArray = sizes, wall: list[float] = wall
            ) -> tuple[float, FloatArray]:
                X, values = (sizes * z)[:count].reshape(p.M, p.D), (sizes * z)[count:]
                action, gradient = self._evaluator.value_and_gradient(X, values, rf)
                if math.isfinite(action):
                    wall[0] = max(wall[0], abs(unit * action))
                elif wall[0]:
                    # SciPy's line search turns back from a high wall, not from nan
                    return 1e3 * wall[0], np.zeros_like(z)
                return unit * action, unit * sizes * gradient

            with np.errstate(over="ignore", invalid="ignore"):
                found = scipy.optimize.minimize(
                    value,
                    begin,
                    jac=True,
                    method="L-BFGS-B",
                    bounds=scipy.optimize.Bounds(lower / sizes, upper / sizes),
                    options=self._options,
                )
            # what has not moved, or is on a bound, is so to the last bit
            end = np.where(found.x == begin, x, np.clip(sizes * found.x, lower, upper))
            x = np.where(found.x <= lower / sizes, lower, end)
            x = np.where(found.x >= upper / sizes, upper, x)
            iterations, evaluations = iterations + int(found.nit), evaluations + int(found.nfev)
            judged = self._judged(x, rf) if rounds > 1 else None
            if judged is None or judged.minimum or iterations >= self._options["maxiter"]:
                break
            if not judged.finite:
                # a slope that is infinite on a bound: keep off it
                x = self._box.inside(x)
                room = np.minimum(INSIDE * sizes, 0.5 * (self._bounds.upper - self._bounds.lower))
                lower, upper = self._bounds.lower + room, self._bounds.upper - room
        # SciPy's 1 is a limit reached; 2 is a line search that cannot go further, the usual end at
        # rounding level
        status: Status = (
            "converged" if found.success else "stopped" if found.status in (1, 2) else "failed"
        )
        message = str(found.message)
        if judged is not None and status != "failed":
            status = "converged" if judged.minimum else "stopped"
            message = message if judged.minimum else f"{message}; {judged.words(p)}"
        return record(
            self._evaluator,
            x,
            rf,
            status=status,
            message=message,
            iterations=iterations,
            evaluations=evaluations,
            seconds=time.perf_counter() - started,
        )

    def _sizes(self, x: FloatArray, rf: FloatArray) -> FloatArray:
        p = self._evaluator.problem
        if self._judge is None:
            declared = own_sizes(p)
            return np.concatenate([np.tile(declared[: p.D], p.M), declared[p.D :]])
        return self._judge.sizes(x[: p.M * p.D].reshape(p.M, p.D), x[p.M * p.D :], rf)

    def _judged(self, x: FloatArray, rf: FloatArray) -> Stationarity | None:
        p = self._evaluator.problem
        if self._judge is None:
            return None
        return self._judge.at(x[: p.M * p.D].reshape(p.M, p.D), x[p.M * p.D :], rf)
