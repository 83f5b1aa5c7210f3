"""One path climbing the ladder: what a worker does, and the record it returns."""

from __future__ import annotations

import functools
import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.anneal.dynamics import Dynamics
from symda.anneal.evaluable import evaluable, mends
from symda.anneal.failure import explain
from symda.anneal.levels import DROPPED, FAILED
from symda.anneal.starts import Draw, Point, Start
from symda.build.course import unfit
from symda.errors import OptionError
from symda.status import Reason, Status
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.abstract import Kernels, Payload
    from symda.build.flows import FlowEngine
    from symda.observe import Problem
    from symda.solve import Climber, Judge, Minimiser, Minimum, Pieces, Solution, Solver


#: What to do where the slope is infinite.
AWAY = "keep the path away from there by bounds=, or write the equation with a finite slope"
#: How often a start is drawn again where the action has no value.
DRAWS = 10
#: A start this share of a bound beyond it is on it.
ROUNDING = 1e-9

#: What a record has of every rung.
OF_RUNGS = tuple(
    "action measurement_term model_term seconds iterations evaluations status theta".split()
)

#: Kernels, what makes a minimiser of a solver and a problem, and the judge of a problem.
Tools: TypeAlias = (
    "tuple[Kernels, Callable[[Solver, Problem], Minimiser], Callable[[Problem], Judge | None]]"
)
Prepare: TypeAlias = Callable[["Job"], Tools]


@dataclass(frozen=True, eq=False)
class Job:
    """What all paths of a run share; travels with each of them to its worker.

    Parameters
    ----------
    payload
        Plain data the kernels are rebuilt from.
    problem, solver
        Data, grid, bounds and ranges; with its options.
    rf
        The ladder, (B, D).
    seed
        Seed of the run; path k draws from `SeedSequence(seed, spawn_key=(k,))`.
    start
        Where paths start.
    keep
        `"last"`, `"all"` for states of every rung, or `"ends"`: no momenta and no fit.
    prepare
        Makes the kernels of this job, and what makes its solvers, once in each worker.
    workers
        Workers that one task may use.
    turn
        0 for the first start of a path; a strategy that starts paths again takes others.
    rungs
        The rungs to climb, all by default; results have B of them whatever is climbed.
    flow
        What integrates the model, for those who ask for its own solutions.
    bar
        Paths above this between two rungs climb no further: a minimum's action grows with Rf.
    hurry
        Rungs before the last need not converge.
    until
        `time.time()` after which no shot begins, though one that did may go on.
    token
        Tells the jobs of different runs apart: two jobs are equal if their tokens are.
    """

    payload: Payload
    problem: Problem
    solver: Solver
    rf: FloatArray
    seed: int
    start: Start
    keep: str
    prepare: Prepare
    workers: int = 1
    turn: int = 0
    rungs: tuple[int, ...] = ()
    flow: FlowEngine | None = None
    bar: float = math.inf
    hurry: bool = False
    until: float = math.inf
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        if not self.rungs:
            object.__setattr__(self, "rungs", tuple(range(len(self.rf))))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)


@dataclass(frozen=True)
class PathResult:
    """What one path found: B rungs, of which those of the job up to `last_beta` were reached."""

    path: int
    action: FloatArray  # (B,)
    measurement_term: FloatArray  # (B,)
    model_term: FloatArray  # (B,)
    seconds: FloatArray  # (B,)
    iterations: IntArray  # (B,)
    evaluations: IntArray  # (B,)
    status: NDArray[np.int8]  # (B,)
    theta: FloatArray  # (B, P)
    states: FloatArray  # (M, D)
    momenta: FloatArray  # (N, E)
    fit: FloatArray  # (M, L)
    states_by_beta: FloatArray | None  # (B, M, D)
    decrement: float  # what a Newton step would still lower the last action by; nan: not known
    last_beta: int
    message: str
    interrupted: bool
    solution: Solution | None = None  #: The model's own that it ended in, of one that shot.

    @property
    def level(self) -> float:
        """The action at the last rung, nan if the path failed there or never got there."""
        return float(self.action[-1])

    @property
    def outcome(self) -> str:
        """The status of the last rung tried."""
        tried = self.status[(self.status > 0) & (self.status != DROPPED)]
        return Status.of(int(tried[-1])) if tried.size else Status.NOT_RUN


def prepare(job: Job) -> Tools:
    """Rebuild the kernels; return them and what makes minimisers and judges."""
    from symda.solve import judge

    kernels = job.payload.restore()
    # a continuous problem has minima of its own
    continuous = job.solver.capability.continuous
    return (
        kernels,
        lambda solver, problem: solver.at(kernels, problem),
        lambda problem: None if continuous else judge(kernels.at(problem)),
    )


class Workspace(threading.local):
    """Kernels and solvers of a job, for each thread its own: solvers need not be thread-safe."""

    # Nor need making them be: CasADi counts references to its symbols without locks.
    _making = threading.Lock()

    def __init__(self, job: Job) -> None:
        self._minimisers: dict[tuple[int, str], Minimiser] = {}
        with self._making:
            self.kernels, self._make, self._make_judge = job.prepare(job)
        self._dynamics: dict[int, Dynamics] = {}
        self._judges: dict[int, Judge | None] = {}
        self._strong: Pieces | None = None
        self.minimiser(job)

    def minimiser(self, job: Job) -> Minimiser:
        """Return what minimises in a job or in a window of it, made when first asked for."""
        solver = job.solver
        # a strategy may take another solver than the run's
        key = job.problem.N, f"{type(solver).__qualname__} {vars(solver)!r}"
        if key not in self._minimisers:
            with self._making:
                self._minimisers[key] = self._make(job.solver, job.problem)
        return self._minimisers[key]

    def climber(self, job: Job) -> Climber | None:
        """Return the same if it takes many paths up a ladder at once."""
        from symda.solve import Climber

        found = self.minimiser(job)
        return found if isinstance(found, Climber) else None

    def judge(self, job: Job) -> Judge | None:
        """Return what tells minima of a job's action; None if its solver minimises another."""
        if job.problem.N not in self._judges:
            self._judges[job.problem.N] = self._make_judge(job.problem)
        return self._judges[job.problem.N]

    def strong(self, job: Job) -> Pieces:
        """Return the action of the model's own solutions; the job has a flow."""
        if self._strong is None:
            self._strong = self.strong_of(job, job.problem)
        return self._strong

    def strong_of(self, job: Job, problem: Problem) -> Pieces:
        """Return the same of a window of the job's problem."""
        from symda.build.kernels import matrices_of
        from symda.solve import Pieces

        if job.flow is None:
            raise OptionError(
                f"anneal: the start {job.start.name!r} integrates the model, and cannot: "
                f"{unfit(job.problem) or 'there is no flow'}. Take another start."
            )
        at = matrices_of(self.kernels.at(problem), "solution of the model's equations")
        return Pieces(at, job.flow)

    def dynamics(self, job: Job) -> Dynamics:
        """Return the forward steps of a job's problem, which may be a window of the whole."""
        return self._dynamics.setdefault(job.problem.N, Dynamics(self.kernels, job.problem))


@functools.lru_cache(maxsize=2)
def workspace(job: Job) -> Workspace:
    """Return the workspace of a job, made by the first path a worker runs and used by the rest."""
    return Workspace(job)


def run_path(
    job: Job,
    k: int,
    point: Point,
    deadline: float | None = None,
    halt: threading.Event | None = None,
) -> PathResult:
    """Climb the ladder with path k, each minimum the start of the next rung.

    A rung that fails is recorded and ends the climb; the rungs before it are kept.

    Parameters
    ----------
    job
        What the paths share.
    k
        Number of the path.
    point
        Where it starts.
    deadline
        `time.time()` after which no rung begins. Wall time, because a monotonic clock means
        nothing on another machine.
    halt
        Set by a caller in the same process who wants no further rung.
    """
    tools = workspace(job)
    minimiser = tools.minimiser(job)
    result = blank(job, k)
    path, theta = point
    notes: list[str] = []
    last, interrupted, remark = -1, False, ""
    for beta in job.rungs:
        if deadline is not None and time.time() >= deadline:
            notes.append(f"time limit reached before rung {beta}")
            break
        if halt is not None and halt.is_set():
            notes.append(f"stopped before rung {beta}")
            break
        try:
            found = minimiser.minimise(path, theta, job.rf[beta])
        except KeyboardInterrupt:
            interrupted = True
            notes.append(f"interrupted at rung {beta}")
            break
        except Exception as error:
            result.status[beta] = FAILED
            notes.append(f"rung {beta}: {type(error).__name__}: {error}")
            break
        if halt is not None and halt.is_set() and found.status == Status.FAILED:
            # IPOPT turns Ctrl-C into a failure of its own: a rung cut off, not one that failed.
            interrupted = True
            notes.append(f"interrupted at rung {beta}")
            break
        _enter_effort(result, beta, found)
        if found.status == Status.FAILED:
            why = explain(tools.kernels, job.problem, (path, theta), job.rf[beta], found.message)
            notes.append(f"rung {beta}: {why}")
        elif not _finite(found):
            result.status[beta] = FAILED
            notes.append(f"rung {beta}: the solver returned values that are not finite")
        if result.status[beta] == FAILED:
            break
        path, theta, last = found.path, found.theta, beta
        # what a solver says of the point where the path ends, if it is not simply a minimum
        remark = found.message if found.status in (Status.ACCEPTABLE, Status.STOPPED) else ""
        _enter_point(result, beta, found)
    if last >= 0 and job.keep != "ends":
        result.fit[:] = tools.kernels.at(job.problem).measure(path, theta)
        result, remark = judged(job, result, last, (path, theta), remark)
    remark = f"rung {last}: {remark}" if remark else ""
    message = "; ".join(part for part in (remark, *notes) if part)
    return replace(result, last_beta=last, message=message, interrupted=interrupted)


def judged(
    job: Job, result: PathResult, beta: int, point: Point, remark: str
) -> tuple[PathResult, str]:
    """Judge the end of a path by the common test of a minimum, whatever its solver says.

    Parameters
    ----------
    job
        What the paths share.
    result
        The path's record, whose status at `beta` is set.
    beta
        The last rung reached.
    point
        Where it ended.
    remark
        What the solver says of it, empty if it is content.

    Returns
    -------
    result, remark
        The record with the decrement, and what is to be said of the point; empty for a minimum.
    """
    judge = workspace(job).judge(job)
    if judge is None:
        return result, remark
    found = judge.at(*point, job.rf[beta])
    status = Status.CONVERGED if found.minimum else Status.STOPPED
    result.status[beta] = status.code
    words = found.words(job.problem)
    if remark == Reason.WALL:
        words = words.replace("allow more iterations", AWAY)
    remark = "; ".join(part for part in (remark.strip(" .:"), words) if part) if words else ""
    return replace(result, decrement=found.decrement), remark


def first_point(job: Job, k: int) -> Point:
    """Return the start of path k, (M, D) and (P,); it depends on the seed, k and turn only.

    Where the action cannot be evaluated it is pulled to where it can, or else drawn again.

    Raises
    ------
    OptionError
        A start of the user's returned other shapes, or values that are not finite or outside the
        bounds.
    """
    tools = workspace(job)
    draw = Draw(
        job.problem, job.seed, k, job.turn, lambda: tools.dynamics(job), lambda: tools.strong(job)
    )
    point = _checked(job, job.start.point(draw))
    if not mends(job.start, job.solver):
        return point
    at, rf = tools.dynamics(job).evaluator, job.rf[job.rungs[0]]
    for _ in range(DRAWS):
        mended, able = evaluable(at, point, rf)
        if able:
            return mended
        point = _checked(job, job.start.point(draw))
    return point


def _checked(job: Job, point: Point) -> Point:
    """Return a start as arrays, if its shapes and values are right."""
    problem, told = job.problem, f"anneal: the start {job.start.name!r}"
    path, theta = (np.array(part, dtype=float) for part in point)
    if path.shape != (problem.M, problem.D) or theta.shape != (problem.P,):
        raise OptionError(
            f"{told} returned shapes {path.shape} and {theta.shape}; expected a "
            f"path of shape {(problem.M, problem.D)} and parameters of shape {(problem.P,)}."
        )
    if not (np.isfinite(path).all() and np.isfinite(theta).all()):
        raise OptionError(
            f"{told} returned values that are not finite; every grid point, "
            "state and parameter needs a number to start from."
        )
    _check_inside(problem, path, theta, told)
    return path, theta


def _check_inside(problem: Problem, path: FloatArray, theta: FloatArray, told: str) -> None:
    """Refuse a start that the bounds exclude by more than rounding."""
    fix = "Clip what it returns to the bounds of `problem`, or widen bounds=."
    X, values = problem.natural(path, theta)
    low, high = _wider(problem.state_bounds)
    beyond = np.argwhere((path < low) | (path > high))
    if beyond.size:
        m, a = beyond[0]
        least, most = problem.limits[a]
        raise OptionError(
            f"{told} puts the state {problem.states[a]} at {X[m, a]:.6g} at "
            f"time {problem.times[m]:.6g}, outside its bounds {least:.6g} .. {most:.6g}. {fix}"
        )
    low, high = _wider(problem.parameter_bounds)
    for i in np.flatnonzero(problem.free & ((theta < low) | (theta > high))):
        least, most = problem.limits[problem.D + i]
        raise OptionError(
            f"{told} puts the parameter {problem.parameters[i]} at "
            f"{values[i]:.6g}, outside its bounds {least:.6g} .. {most:.6g}. {fix}"
        )


def _wider(bounds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds with room for rounding."""
    room = ROUNDING * np.abs(bounds)
    return bounds[:, 0] - room[:, 0], bounds[:, 1] + room[:, 1]


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
        decrement=np.nan,
        last_beta=-1,
        message="",
        interrupted=False,
    )


def not_run(job: Job, k: int, message: str, *, failed: bool = False) -> PathResult:
    """Return the record of a path without a single rung, and why."""
    result = replace(blank(job, k), message=message)
    if failed:
        result.status[job.rungs[0]] = FAILED
    return result


def joined(first: PathResult, later: PathResult) -> PathResult:
    """Return the record of a path that climbed some rungs and then others."""
    done = later.status == Status.NOT_RUN.code

    def either(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = np.where(done.reshape(-1, *(1,) * (one.ndim - 1)), one, other)
        return found

    rungs: dict[str, Any] = {
        name: either(getattr(first, name), getattr(later, name)) for name in OF_RUNGS
    }
    if first.states_by_beta is not None and later.states_by_beta is not None:
        rungs["states_by_beta"] = either(first.states_by_beta, later.states_by_beta)
    if later.last_beta >= 0:
        return replace(later, **rungs)
    message = later.message or first.message
    return replace(first, **rungs, message=message, interrupted=later.interrupted)


def dropped(result: PathResult, rung: int, bar: float) -> PathResult:
    """Return the record of a path that does not climb `rung`, since it is above the bar."""
    result.status[rung] = DROPPED
    level = float(result.action[result.last_beta])
    message = f"dropped before rung {rung}: its action, {level:.6g}, is above {bar:.6g} already"
    return replace(result, message="; ".join(filter(None, (result.message, message))))


def _finite(found: Minimum) -> bool:
    numbers = (found.action, found.measurement_term, found.model_term)
    return all(bool(np.isfinite(one).all()) for one in (numbers, found.path, found.theta))


def _enter_effort(result: PathResult, beta: int, found: Minimum) -> None:
    result.status[beta] = Status(found.status).code
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
