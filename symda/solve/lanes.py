"""Structured Newton: a block-tridiagonal Hessian bordered by parameters, many paths at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symda.build.load import load
from symda.emit.lanes import DAMPING
from symda.solve.minimum import Climb, Minimum, record
from symda.solve.options import (
    NEAR,
    UNDETERMINED,
    NewtonOptions,
    damped_share,
    least_action,
)
from symda.status import Reason, Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Kernels
    from symda.observe import Problem

Flags = NDArray[np.int32]

#: Multiplications of a sweep, about, from which on threads share its experiments: they have to wait
#: for each other some ten microseconds.
SHARED_WORK = 1_000_000


class NewtonLanes:
    """Damped Newton steps with exact second derivatives, compiled for one model and scheme.

    The Hessian is block tridiagonal along the path with a border for the parameters, so a step
    costs N (D^3 + D^2 P); it is factorised by a Cholesky elimination along the path. Where it is
    not positive definite, or a step does not lower the action as predicted, a multiple of the
    Gauss-Newton diagonal is added (Levenberg, Marquardt). Unknowns held at a bound, by the sign of
    their gradient, are left out of the step (Bertsekas, SIAM J. Control Optim. 20 (1982) 221). Many
    paths are taken at once, one in each lane of the vector registers; a path does not depend on
    the other paths.

    Parameters
    ----------
    library : Path
        The compiled solver, see `Kernels.structured`.
    """

    def __init__(
        self, kernels: Kernels, problem: Problem, options: NewtonOptions, library: Path
    ) -> None:
        self._evaluator = kernels.at(problem)
        self._module = load(library)
        self._options = (
            float(options.tol),
            NEAR * problem.measurement_scale,
            damped_share(problem),
            least_action(problem),
            1.0 if options.hessian == "exact" else 0.0,
            0.5 * problem.measurement_scale * problem.data_count,
            options.max_iter,
        )
        self._box = _box(problem)
        self._experiments, self._shared = _experiments(problem)
        given = np.where(problem.tied, 2, problem.given).astype(np.int32)
        #: (S, D), 0: the first state is free, 1: a number, 2: a function of theta
        self._given = (np.ascontiguousarray(given),) if given.any() else ()
        weighed = (problem.rm > 0.0).any(axis=1) | (problem.cost > 0.0).any(axis=1)
        self._measured = np.ascontiguousarray(weighed, dtype=np.int32)
        self._rows = np.ascontiguousarray(self._evaluator.packed.first_row, dtype=np.int32)

    @property
    def lanes(self) -> int:
        """Paths that are minimised together, one in each lane."""
        return int(self._module.lanes)

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta); see `Minimiser.minimise`."""
        started = time.perf_counter()
        climb = self.ladder(path[None], theta[None], np.atleast_2d(rf))
        if climb.interrupted:
            raise KeyboardInterrupt
        return self.minimum(climb, 0, 0, rf, time.perf_counter() - started)

    def minimum(self, climb: Climb, k: int, beta: int, rf: FloatArray, seconds: float) -> Minimum:
        """Return the record of path k at rung beta; see `Climber.minimum`."""
        status = Status.of(int(climb.status[k, beta]))
        return record(
            self._evaluator,
            self._evaluator.problem.unknowns.join(climb.paths[k], climb.thetas[k, beta]),
            rf,
            status=status,
            message=Reason.of(climb.reasons[k, beta]),
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
        threads: int = 1,
        loose: int = 0,
    ) -> Climb:
        """Take K paths up a ladder; see `Climber.ladder`."""
        p = self._evaluator.problem
        K, B = len(paths), len(rf)
        starts = [self._evaluator.split(x, t) for x, t in zip(paths, thetas, strict=True)]
        inside = [p.unknowns.split(p.unknowns.inside(x, t)) for x, t in starts]
        start = np.stack([p.unknowns.join(*self._evaluator.split(*one)) for one in inside])
        inputs = (
            np.stack([self._evaluator.precision(row) for row in rf]),
            np.ascontiguousarray(start[:, : p.unknowns.on_path]),
            np.ascontiguousarray(start[:, p.unknowns.on_path :]),
        )
        ends = inputs[1].copy()
        every = np.full((K, B, p.M, p.D), np.nan) if keep else None
        thetas_out, terms = np.full((K, B, p.P), np.nan), np.full((K, B, 3), np.nan)
        seconds, decrements = np.full((K, B), np.nan), np.full((K, B), np.nan)
        status, reasons, iterations = np.zeros((3, K, B), np.int32)
        halt = np.zeros(1, np.int32) if halt is None else halt
        following = np.zeros(2, np.int32)  # one 64-bit number
        packed = self._evaluator.packed
        groups = min(threads, -(-K // self.lanes))
        arguments = (
            *(self._helpers(threads // groups), p.N, len(p.segments), p.P, self._shared),
            *(K, B, loose),
            *_at(*self._experiments, packed.steps, packed.points, self._measured),
            *_at(self._rows, packed.own, *self._given),
            *_at(*self._box, *inputs, ends),
            0 if every is None else _at(every)[0],
            *_at(thetas_out, terms, seconds, decrements),
            *_at(status, reasons, iterations, following, halt),
            time_left,
            *self._options,
        )
        return Climb(
            interrupted=_heeding_interrupts(lambda: self._module.climb(*arguments), halt, groups),
            paths=ends.reshape(K, p.M, p.D),
            all_paths=every,
            thetas=thetas_out,
            measurement_terms=terms[..., 0],
            model_terms=terms[..., 1],
            prior_terms=terms[..., 2],
            seconds=seconds,
            decrements=decrements,
            status=status,
            reasons=reasons,
            iterations=iterations,
        )

    def _helpers(self, threads: int) -> int:
        """Return how many threads help one that sweeps, if each may have so many in all."""
        p = self._evaluator.problem
        work = p.N * p.E * (p.E + p.D + len(p.kernel_parameters)) ** 2
        return min(threads, len(p.segments)) - 1 if work > SHARED_WORK else 0


def _heeding_interrupts(call: Callable[[], None], halt: Flags, threads: int) -> bool:
    """Make a call in some threads that Ctrl-C can halt; return whether it did.

    Python sees signals in the main thread, between its own instructions only, so compiled code is
    run in another thread there.
    """
    if threads == 1 and threading.current_thread() is not threading.main_thread():
        call()
        return False
    interrupted = False
    with ThreadPoolExecutor(threads) as pool:
        calls = [pool.submit(call) for _ in range(threads)]
        try:
            wait(calls, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            halt[0] = 1
            interrupted = True
        finally:
            if any(done.done() and done.exception() for done in calls):
                halt[0] = 1
        for done in calls:
            done.result()
    return interrupted


def _box(problem: Problem) -> tuple[Flags | FloatArray, ...]:
    """Bounds as the compiled solver reads them, D states and then P parameters.

    Returns
    -------
    bounded, lower, upper, margin : (D + P,)
    floor : (P,)
    """
    lower, upper = problem.ends
    margin = DAMPING.near_bound * problem.sizes
    bounded = (np.isfinite(lower) | np.isfinite(upper)).astype(np.int32)
    return bounded, lower, upper, margin, UNDETERMINED / problem.typical**2


def _experiments(problem: Problem) -> tuple[tuple[Flags, ...], int]:
    """Experiments as the compiled solver reads them, and how many parameters they share.

    Returns
    -------
    firsts, uses, owns, orders, places
        See `sweep_t`.
    shared : int
    """
    p = problem
    common = np.bincount(p.use.reshape(-1), minlength=p.P) > 1
    seen = common[p.use]
    tables = (
        np.array([*(s.first_step for s in p.segments), p.N]),
        p.use,
        (~seen).sum(axis=1),
        np.argsort(seen, axis=1, kind="stable"),
        np.where(common, np.cumsum(common) - 1, -1),
    )
    numbers = tuple(np.ascontiguousarray(table, dtype=np.int32) for table in tables)
    return numbers, int(common.sum())


def _at(*arrays: FloatArray | Flags) -> tuple[int, ...]:
    """Addresses of C-contiguous arrays."""
    for array in arrays:
        if not array.flags.c_contiguous:
            raise TypeError("the compiled solver takes C-contiguous arrays only")
    return tuple(array.__array_interface__["data"][0] for array in arrays)
