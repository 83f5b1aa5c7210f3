"""SciPy's L-BFGS-B on the compiled gradient."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from symda.emit.lanes import DAMPING
from symda.solve.minimum import Minimum
from symda.solve.objective import Objective
from symda.solve.solver import Capability, Descent
from symda.status import Status
from symda.types import FloatArray

#: Times it begins again, with sizes of where it is, while there is something left to gain.
ROUNDS = 4
#: How far it keeps off bounds on which the slope is infinite, in units of the unknowns' sizes.
INSIDE = 1e-9


@dataclass(frozen=True)
class Lbfgs(Descent):
    """Limited-memory BFGS with bounds: gradients only, so memory grows with N D only.

    The unknowns are in units of their own sizes, 1/sqrt(Gauss-Newton diagonal). Where there are
    matrices, the end of a rung is judged as that of `newton` is. Options are those of
    `scipy.optimize.minimize` with ``method="L-BFGS-B"``.
    """

    name: ClassVar[str] = "lbfgs"
    capability: ClassVar[Capability] = Capability(limit_in_windows=("maxiter", 2000))

    maxiter: int = 20_000
    maxfun: int = 40_000
    maxcor: int = 20
    ftol: float = 1e-13
    gtol: float = 1e-9
    maxls: int = 40

    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        """Minimise from x; see `Descent.descend`."""
        import scipy.optimize

        problem = objective.problem
        energy = problem.energy
        unit = 1.0 / energy if 0.0 < energy < 1.0 else 1.0
        rounds = ROUNDS if "hessian" in objective.provides and objective.judge else 1
        # SciPy's stubs want their own private TypedDict here
        options: Any = asdict(self)
        iterations = 0
        lower, upper = objective.lower, objective.upper
        for _ in range(rounds):
            # SciPy's tolerances are of unknowns and an action of order one
            sizes = objective.sizes(x)
            begin, wall = x / sizes, [0.0]

            def value(
                z: FloatArray, sizes: FloatArray = sizes, wall: list[float] = wall
            ) -> tuple[float, FloatArray]:
                action, gradient = objective.value_and_gradient(sizes * z)
                if math.isfinite(action):
                    wall[0] = max(wall[0], abs(unit * action))
                elif wall[0]:
                    # SciPy's line search turns back from a high wall, not from nan
                    return 1e3 * wall[0], np.zeros_like(z)
                return unit * action, unit * sizes * gradient

            found = scipy.optimize.minimize(
                value,
                begin,
                jac=True,
                method="L-BFGS-B",
                bounds=scipy.optimize.Bounds(lower / sizes, upper / sizes),
                options=options,
            )
            # what has not moved, or is on a bound, is so to the last bit
            end = np.where(found.x == begin, x, np.clip(sizes * found.x, lower, upper))
            x = np.where(found.x <= lower / sizes, lower, end)
            x = np.where(found.x >= upper / sizes, upper, x)
            iterations += int(found.nit)
            judged = objective.judged(x) if rounds > 1 else None
            if judged is None or judged.minimum or iterations >= self.maxiter:
                break
            if not judged.finite:
                # a slope that is infinite on a bound: keep off it
                room = np.minimum(INSIDE * sizes, 0.5 * (objective.upper - objective.lower))
                lower, upper = objective.lower + room, objective.upper - room
                off = DAMPING.near_bound * objective.declared_sizes
                off = np.minimum(off, 0.5 * (objective.upper - objective.lower))
                x = np.clip(x, objective.lower + off, objective.upper - off)
        # SciPy's 1 is a limit reached; 2 is a line search that cannot go further, the usual end at
        # rounding level
        limit = Status.STOPPED if found.status in (1, 2) else Status.FAILED
        status = Status.CONVERGED if found.success else limit
        message = str(found.message)
        if judged is not None and status != Status.FAILED:
            status = Status.CONVERGED if judged.minimum else Status.STOPPED
            message = message if judged.minimum else f"{message}; {judged.words(problem)}"
        return objective.minimum({"x": x}, status=status, message=message, iterations=iterations)
