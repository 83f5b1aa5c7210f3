"""One path climbing the ladder: what a worker does, and the record it hands back."""

from __future__ import annotations

import functools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.anneal.failure import explain
from symda.anneal.levels import FAILED, STATUS
from symda.anneal.starts import STARTS, Point, StartFunction
from symda.errors import OptionError

if TYPE_CHECKING:
    from symda.build.kernels import Kernels, Payload
    from symda.observe import Problem
    from symda.solve import Minimum, Solver

FloatArray = NDArray[np.float64]

Tools: TypeAlias = "tuple[Kernels, Solver]"
Prepare: TypeAlias = Callable[["Job"], Tools]


@dataclass(frozen=True, eq=False)
class Job:
    """What all paths of a run share; travels with each of them to its worker.

    Parameters
    ----------
    payload
        Plain data the kernels are rebuilt from.
    problem
        Data, grid, bounds and ranges.
    solver, options
        Name in `symda.solve.SOLVERS` and what its factory is given.
    rf
        The ladder, (B, D).
    seed
        Seed of the run; path k draws from `SeedSequence(seed, spawn_key=(k,))`.
    start
        Name in `STARTS`, or a function of the same form.
    keep
        `"last"`, or `"all"` for the states of every rung.
    prepare
        Makes kernels and solver of this job, once in each worker.
    token
        Tells the jobs of different runs apart: two jobs are equal if their tokens are.
    """

    payload: Payload
    problem: Problem
    solver: str
    options: Mapping[str, object]
    rf: FloatArray
    seed: int
    start: str | StartFunction
    keep: str
    prepare: Prepare
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)


@dataclass(frozen=True)
class PathResult:
    """What one path found: B rungs, of which the first `last_beta` + 1 were reached."""

    path: int
    action: FloatArray  # (B,)
    measurement_term: FloatArray  # (B,)
    model_term: FloatArray  # (B,)
    seconds: FloatArray  # (B,)
    iterations: NDArray[np.int64]  # (B,)
    evaluations: NDArray[np.int64]  # (B,)
    status: NDArray[np.int8]  # (B,)
    theta: FloatArray  # (B, P)
    states: FloatArray  # (M, D)
    momenta: FloatArray  # (N, E)
    fit: FloatArray  # (M, L)
    states_by_beta: FloatArray | None  # (B, M, D)
    last_beta: int
    message: str
    interrupted: bool

    @property
    def level(self) -> float:
        """The action at the last rung, nan if the path failed there or never got there."""
        return float(self.action[-1])

    @property
    def outcome(self) -> str:
        """The status of the last rung tried."""
        tried = self.status[self.status > 0]
        return STATUS[int(tried[-1])] if tried.size else STATUS[0]


def prepare(job: Job) -> Tools:
    """Rebuild the kernels and make the solver."""
    from symda.build.kernels import restore
    from symda.solve import SOLVERS

    kernels = restore(job.payload)
    return kernels, SOLVERS[job.solver](kernels, job.problem, **job.options)


class Bench(threading.local):
    """Kernels and solver of a job, a pair for each thread: solvers need not be thread-safe."""

    # Nor need making them be: CasADi counts references to its symbols without locks.
    _making = threading.Lock()

    def __init__(self, job: Job) -> None:
        with self._making:
            self.kernels, self.solver = job.prepare(job)


@functools.lru_cache(maxsize=2)
def bench(job: Job) -> Bench:
    """Return the bench of a job, made by the first path a worker runs and used by the rest."""
    return Bench(job)


def run_path(
    job: Job, k: int, deadline: float | None = None, halt: threading.Event | None = None
) -> PathResult:
    """Climb the ladder with path k, each minimum the start of the next rung.

    A rung that fails is recorded and ends the climb; the rungs before it are kept.

    Parameters
    ----------
    job
        What the paths share.
    k
        Number of the path.
    deadline
        `time.time()` after which no rung begins. Wall time, because a monotonic clock means
        nothing on another machine.
    halt
        Set by a caller in the same process who wants no further rung.
    """
    tools = bench(job)
    result = blank(job, k)
    path, theta = first_point(job, k)
    notes: list[str] = []
    last, interrupted = -1, False
    for beta, rf in enumerate(job.rf):
        if deadline is not None and time.time() >= deadline:
            notes.append(f"time limit reached before rung {beta}")
            break
        if halt is not None and halt.is_set():
            notes.append(f"stopped before rung {beta}")
            break
        try:
            found = tools.solver.minimise(path, theta, rf)
        except KeyboardInterrupt:
            interrupted = True
            notes.append(f"interrupted at rung {beta}")
            break
        except Exception as error:
            result.status[beta] = FAILED
            notes.append(f"rung {beta}: {type(error).__name__}: {error}")
            break
        if halt is not None and halt.is_set() and found.status == STATUS[FAILED]:
            # IPOPT turns Ctrl-C into a failure of its own: a rung cut off, not one that failed.
            interrupted = True
            notes.append(f"interrupted at rung {beta}")
            break
        _enter_effort(result, beta, found)
        if found.status == STATUS[FAILED]:
            why = explain(tools.kernels, job.problem, (path, theta), rf, found.message)
            notes.append(f"rung {beta}: {why}")
        elif not _finite(found):
            result.status[beta] = FAILED
            notes.append(f"rung {beta}: the solver returned values that are not finite")
        if result.status[beta] == FAILED:
            break
        path, theta, last = found.path, found.theta, beta
        _enter_point(result, beta, found)
    if last >= 0:
        result.fit[:] = tools.kernels.measure(path, theta)
    return replace(result, last_beta=last, message="; ".join(notes), interrupted=interrupted)


def first_point(job: Job, k: int) -> Point:
    """Return the start of path k, (M, D) and (P,); it depends on the seed and k alone.

    Raises
    ------
    OptionError
        A start function of the user's returned other shapes, or values that are not finite.
    """
    rng = np.random.default_rng(np.random.SeedSequence(job.seed, spawn_key=(k,)))
    problem = job.problem
    function = STARTS[job.start] if isinstance(job.start, str) else job.start
    path, theta = (np.array(part, dtype=float) for part in function(problem, rng))
    if path.shape != (problem.M, problem.D) or theta.shape != (problem.P,):
        raise OptionError(
            f"anneal: the start function returned shapes {path.shape} and {theta.shape}; expected "
            f"a path of shape {(problem.M, problem.D)} and parameters of shape {(problem.P,)}."
        )
    if not (np.isfinite(path).all() and np.isfinite(theta).all()):
        raise OptionError(
            "anneal: the start function returned values that are not finite; every grid point, "
            "state and parameter needs a number to start from."
        )
    return path, theta


def blank(job: Job, k: int) -> PathResult:
    """Return the record of a path that has not begun: nan, status `not_run`, no rung reached."""
    problem, rungs = job.problem, len(job.rf)
    grid = (problem.M, problem.D)
    return PathResult(
        path=k,
        action=np.full(rungs, np.nan),
        measurement_term=np.full(rungs, np.nan),
        model_term=np.full(rungs, np.nan),
        seconds=np.full(rungs, np.nan),
        iterations=np.zeros(rungs, np.int64),
        evaluations=np.zeros(rungs, np.int64),
        status=np.zeros(rungs, np.int8),
        theta=np.full((rungs, problem.P), np.nan),
        states=np.full(grid, np.nan),
        momenta=np.full((problem.N, problem.E), np.nan),
        fit=np.full((problem.M, problem.L), np.nan),
        states_by_beta=np.full((rungs, *grid), np.nan) if job.keep == "all" else None,
        last_beta=-1,
        message="",
        interrupted=False,
    )


def unrun(job: Job, k: int, message: str, *, failed: bool = False) -> PathResult:
    """Return the record of a path without a single rung, and why."""
    result = replace(blank(job, k), message=message)
    if failed:
        result.status[0] = FAILED
    return result


def _finite(found: Minimum) -> bool:
    numbers = (found.action, found.measurement_term, found.model_term)
    return bool(
        np.isfinite(numbers).all()
        and np.isfinite(found.path).all()
        and np.isfinite(found.theta).all()
    )


def _enter_effort(result: PathResult, beta: int, found: Minimum) -> None:
    result.status[beta] = STATUS.index(found.status)
    result.iterations[beta] = found.iterations
    result.evaluations[beta] = found.evaluations
    result.seconds[beta] = found.seconds


def _enter_point(result: PathResult, beta: int, found: Minimum) -> None:
    result.action[beta] = found.action
    result.measurement_term[beta] = found.measurement_term
    result.model_term[beta] = found.model_term
    result.theta[beta] = found.theta
    result.states[:] = found.path
    result.momenta[:] = found.momenta
    if result.states_by_beta is not None:
        result.states_by_beta[beta] = found.path
