"""Structured Newton: a block-tridiagonal Hessian bordered by parameters, many paths at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from symda.errors import OptionError, nearest
from symda.solve.minimum import Bounds, Climb, Minimum, Status, record

if TYPE_CHECKING:
    from symda.build.kernels import Kernels
    from symda.observe import Problem

FloatArray = NDArray[np.float64]
Flags = NDArray[np.int32]

OPTIONS = ("hessian", "tol", "max_iter")
HESSIANS = ("exact", "gauss-newton")

#: An unknown this share of its bounds' distance away from one of them counts as there.
MARGIN = 1e-7
#: An action below this share of the data's own size is rounding error.
ROUNDING = 1e-16
#: A parameter whose change by its typical size moves the action by less is undetermined.
UNDETERMINED = 1e-8

#: The compiled solver's statuses.
STATUS: dict[int, Status] = {1: "converged", 3: "stopped", 4: "failed"}
MESSAGE: dict[Status, str] = {
    "converged": "the gradient and the predicted decrease are below the tolerance",
    "stopped": "max_iter reached, or no step lowers the action any more",
    "failed": "the action or its derivatives are not finite",
}


class Newton:
    """Damped Newton steps with exact second derivatives, compiled for one model and scheme.

    The Hessian is block tridiagonal along the path with a border for the parameters, so a step
    costs N (D^3 + D^2 P); it is factorised by a Cholesky elimination along the path. Where it is
    not positive definite, or a step does not lower the action as predicted, a multiple of the
    Gauss-Newton diagonal is added (Levenberg, Marquardt). Unknowns held at a bound, by the sign of
    their gradient, are left out of the step (Bertsekas, SIAM J. Control Optim. 20 (1982) 221). Many
    paths are taken at once, one in each lane of the vector registers; a path does not depend on
    its company.

    Parameters
    ----------
    kernels : Kernels
        What evaluates the action.
    problem : Problem
        Data and bounds.
    hessian : {"exact", "gauss-newton"}
        ``"gauss-newton"`` leaves out the residuals' curvature.
    tol : float
        A rung has converged when the next step would lower the action by less than this share,
        and no unknown alone by more than that.
    max_iter : int
        Iterations a rung.
    **unknown
        Refused by name.

    Raises
    ------
    OptionError
        If an option is out of range, or the kernels were not compiled.
    """

    #: Needs the compiled structured module, which `Kernels.payload` builds when it is asked to.
    structured: ClassVar[bool] = True

    def __init__(
        self,
        kernels: Kernels,
        problem: Problem,
        *,
        hessian: str = "exact",
        tol: float = 1e-9,
        max_iter: int = 500,
        **unknown: object,
    ) -> None:
        for name in unknown:
            raise OptionError(
                f"newton has no option {name!r}.{nearest(name, OPTIONS)} "
                f"It takes {', '.join(OPTIONS)}."
            )
        if hessian not in HESSIANS:
            raise OptionError(
                f"newton has no hessian {hessian!r}.{nearest(str(hessian), HESSIANS)} "
                f"It has {' and '.join(HESSIANS)}."
            )
        if not isinstance(tol, (int, float)) or not 0.0 < tol < 1.0:
            raise OptionError(f"newton: tol must be a number between 0 and 1, got {tol!r}.")
        if not isinstance(max_iter, int) or isinstance(max_iter, bool) or max_iter < 1:
            raise OptionError(
                f"newton: max_iter must be a whole number of at least 1, got {max_iter!r}."
            )
        self._evaluator = kernels.at(problem)
        self._bounds = Bounds.of(problem)
        self._module = _module(kernels)
        self._options = (
            float(tol),
            float(tol),
            ROUNDING * float(0.5 * np.sum(problem.rm * problem.y**2)),
            1.0 if hessian == "exact" else 0.0,
            max_iter,
        )
        self._box = _box(problem)
        self._measured = np.ascontiguousarray((problem.rm > 0.0).any(axis=1), dtype=np.int32)

    @property
    def lanes(self) -> int:
        """Paths that go down in lock step."""
        return int(self._module.lanes)

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Go down from (path, theta); see `Solver.minimise`."""
        started = time.perf_counter()
        climb = self.ladder(path[None], theta[None], np.atleast_2d(rf))
        if climb.interrupted:
            raise KeyboardInterrupt
        return self.minimum(climb, 0, 0, rf, time.perf_counter() - started)

    def minimum(self, climb: Climb, k: int, beta: int, rf: FloatArray, seconds: float) -> Minimum:
        """Return the record of path k at rung beta; see `Climber.minimum`."""
        status = STATUS.get(int(climb.status[k, beta]), "stopped")
        return record(
            self._evaluator,
            np.concatenate([climb.paths[k].reshape(-1), climb.thetas[k, beta]]),
            rf,
            status=status,
            message=MESSAGE[status],
            iterations=int(climb.iterations[k, beta]),
            evaluations=int(climb.iterations[k, beta]) + 1,
            seconds=seconds,
        )

    def ladder(
        self,
        paths: FloatArray,
        thetas: FloatArray,
        rf: FloatArray,
        *,
        keep: bool = False,
        halt: Flags | None = None,
        time_left: float = math.inf,
    ) -> Climb:
        """Take K paths up a ladder; see `Climber.ladder`."""
        p = self._evaluator.problem
        K, B = len(paths), len(rf)
        starts = [self._evaluator.split(x, t) for x, t in zip(paths, thetas, strict=True)]
        start = np.stack([self._bounds.clip(x, t) for x, t in starts])
        inputs = (
            np.stack([self._evaluator.precision(row) for row in rf]),
            np.ascontiguousarray(start[:, : p.M * p.D]),
            np.ascontiguousarray(start[:, p.M * p.D :]),
        )
        ends = inputs[1].copy()
        every = np.full((K, B, p.M, p.D), np.nan) if keep else None
        thetas_out, terms = np.full((K, B, p.P), np.nan), np.full((K, B, 2), np.nan)
        seconds = np.full((K, B), np.nan)
        status, iterations = np.zeros((K, B), np.int32), np.zeros((K, B), np.int32)
        halt = np.zeros(1, np.int32) if halt is None else halt
        packed = self._evaluator.packed
        arguments = (
            *(p.N, K, B),
            *_at(packed.steps, packed.points, self._measured, *self._box, *inputs, ends),
            0 if every is None else _at(every)[0],
            *_at(thetas_out, terms, seconds, status, iterations, halt),
            time_left,
            *self._options,
        )
        return Climb(
            interrupted=_heeding_interrupts(lambda: self._module.climb(*arguments), halt),
            paths=ends.reshape(K, p.M, p.D),
            all_paths=every,
            thetas=thetas_out,
            measurement_terms=terms[..., 0],
            model_terms=terms[..., 1],
            seconds=seconds,
            status=status,
            iterations=iterations,
        )


def _heeding_interrupts(call: Callable[[], None], halt: Flags) -> bool:
    """Make a call that Ctrl-C can halt; return whether it did.

    Python sees signals in the main thread, between its own instructions only, so compiled code is
    run in another thread there.
    """
    if threading.current_thread() is not threading.main_thread():
        call()
        return False
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(call)
        try:
            done.result()
        except KeyboardInterrupt:
            halt[0] = 1
            done.result()
            return True
    return False


def _module(kernels: Kernels) -> ModuleType:
    from symda.build.load import load

    if kernels.newton is None:
        raise OptionError(
            "newton is compiled code, and these kernels are evaluated by the "
            f"{kernels.kind}. Use solver='ipopt', or install a C compiler (`symda doctor`)."
        )
    return load(kernels.newton)


def _box(problem: Problem) -> tuple[Flags | FloatArray, ...]:
    """Bounds as the compiled solver reads them, D states and then P parameters.

    Returns
    -------
    bounded, lower, upper, margin : (D + P,)
    floor : (P,)
    """
    p = problem
    sides = []
    for side in (0, 1):
        theta = np.where(p.free, p.parameter_bounds[:, side], p.fixed)
        sides.append(np.concatenate([p.state_bounds[:, side], theta]))
    lower, upper = sides
    width = upper - lower
    ends = np.maximum(
        np.where(np.isfinite(lower), np.abs(lower), 0.0),
        np.where(np.isfinite(upper), np.abs(upper), 0.0),
    )
    margin = MARGIN * np.where(np.isfinite(width), width, np.maximum(ends, 1.0))
    bounded = (np.isfinite(lower) | np.isfinite(upper)).astype(np.int32)
    return bounded, lower, upper, margin, UNDETERMINED / p.typical**2


def _at(*arrays: FloatArray | Flags) -> tuple[int, ...]:
    """Addresses of C-contiguous arrays."""
    for array in arrays:
        if not array.flags.c_contiguous:
            raise TypeError("the compiled solver takes C-contiguous arrays only")
    return tuple(array.__array_interface__["data"][0] for array in arrays)
