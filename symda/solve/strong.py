"""The strong constraint: the model holds exactly, first states and parameters are all there is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.build.course import FINE, NO_MEMORY, NOT_FINITE, TOO_MANY_STEPS, course_of
from symda.status import Status
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.course import Course, Flows
    from symda.build.flows import FlowEngine
    from symda.build.kernels import BlockEvaluator


#: Relative error of a step of the integration; absolute, as a share of a state's own size.
TOLERANCE = 1e-8
#: Iterations, integrations included that led nowhere.
ITERATIONS = 200
#: It is a minimum if a Newton step would lower the action by less, in units of the action.
LEFT = 1e-6
#: Damping at first, its least and most, in units of the Hessian's diagonal.
FIRST, LEAST, MOST = 1e-3, 1e-10, 1e12
#: A curvature of this share of one over the square of an unknown's size is none.
NOTHING = 1e-12
#: A state's own size is this share of its standard deviation along the path: it may be small for
#: most of the time.
SHARE = 1e-2
#: Steps of differences, in units of 1/sqrt of the Hessian's diagonal.
DIFFERENCE = 1e-2
#: Curvatures below this share of the largest, in units of the diagonal, are directions that nothing
#: determines.
FLAT = 1e-12
#: Integration steps of a member.
STEPS = 200_000
#: How an integration ends -> in words.
ENDS = {
    NOT_FINITE: "its solution leaves finite numbers",
    TOO_MANY_STEPS: f"its solution needs more than {STEPS} steps",
    NO_MEMORY: "there is no memory to integrate it",
}


@dataclass(frozen=True, eq=False)
class Solution:
    """A solution of the model's equations through each experiment, and what the data say of it."""

    path: FloatArray  #: (M, D), as solvers move it.
    theta: FloatArray  #: (P,)
    action: float  #: Measurement term and prior; there is no model error.
    measurement_term: float
    status: Status
    message: str  #: Empty where it is a minimum.
    #: What a Newton step would still lower the action by; nan: not known.
    decrement: float
    iterations: int
    integrations: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Point:
    """The action with its derivatives by the free unknowns, n of them."""

    action: float
    gradient: FloatArray
    hessian: FloatArray  #: Gauss-Newton's, (n, n).


class Strong:
    """The action of the model's own solutions, as a function of first states and parameters.

    Unknowns v (n,) are the first states of all experiments that are not given and the parameters
    that are free, as solvers move them.

    Parameters
    ----------
    evaluator : BlockEvaluator
        Kernels with the data.
    engine : FlowEngine
        Integrates the model.

    Notes
    -----
    With derivatives of the flow by first state and parameters S, gradient and Gauss-Newton Hessian
    are S^T g and S^T H S of those of the measurement term: single shooting. What noises, priors,
    scales and given initial values are, the kernels of the action say.
    """

    def __init__(
        self, evaluator: BlockEvaluator, engine: FlowEngine, *, discrete: bool = False
    ) -> None:
        self._at, self._engine, self._discrete = evaluator, engine, discrete
        self.problem = p = evaluator.problem
        self._integrations = 0
        first = p.first_unknowns[~p.given]
        free = p.unknowns.on_path + np.flatnonzero(p.free)
        #: Where the unknowns stand among those of the whole problem, (n,).
        self.places: IntArray = np.concatenate([first, free])
        self.lower, self.upper = p.unknowns.lower[self.places], p.unknowns.upper[self.places]
        self._sizes = p.unknowns.sizes[self.places]
        self._columns = np.full(p.unknowns.count, -1)
        self._columns[self.places] = np.arange(self.places.size)

    def minimise(
        self, path: FloatArray, theta: FloatArray, deadline: float | None = None
    ) -> Solution:
        """Minimise from the first states of a path (M, D) and parameters (P,).

        Levenberg's and Marquardt's damping, bounds by projection. A step whose solution cannot be
        integrated is one that raises the action.

        Parameters
        ----------
        deadline : float, optional
            `time.time()` after which no iteration begins.
        """
        began, self._integrations = time.perf_counter(), 0
        p = self.problem
        x = p.unknowns.inside(*self._at.split(path, theta))
        v = x[self.places]
        here, why = self._expand(v)
        iterations, decrement, message = 0, np.nan, why
        damping, grow = FIRST, 2.0
        while here is not None:
            held = self.held(v, here.gradient)
            decrement = self._decrement(here, held)
            if decrement <= LEFT * p.measurement_scale:
                message = ""
                break
            if iterations >= ITERATIONS or damping > MOST:
                stuck = "no step lowers the action any more"
                message = stuck if damping > MOST else f"{ITERATIONS} iterations were not enough"
                break
            if deadline is not None and time.time() >= deadline:
                message = "the time limit was reached"
                break
            iterations += 1
            step = self._step(here, held, damping)
            new = np.clip(v + step, self.lower, self.upper)
            step = new - v
            predicted = -(here.gradient @ step + 0.5 * step @ here.hessian @ step)
            lowered = here.action - self.value(new)
            if not (lowered > 0.0 and predicted > 0.0):
                damping, grow = damping * grow, 2.0 * grow
                continue
            after, _ = self._expand(new)
            if after is None:
                damping, grow = damping * grow, 2.0 * grow
                continue
            ratio = min(lowered / predicted, 1.5)
            damping = max(damping * max(1.0 / 9.0, 1.0 - (2.0 * ratio - 1.0) ** 3), LEAST)
            v, here, grow = new, after, 2.0
        # every grid point, also those without data
        X, values, _, _ = self._lead(v, every=True)
        finite = here is not None and bool(np.isfinite(X).all())
        measurement = self._at.terms(X, values, 0.0)[0] if finite else np.nan
        if finite:
            status = Status.STOPPED if message else Status.CONVERGED
        else:
            status, message = Status.FAILED, message or "it cannot be integrated"
        return Solution(
            path=X,
            theta=values,
            action=here.action if here is not None else np.nan,
            measurement_term=float(measurement),
            status=status,
            message=message,
            decrement=float(decrement),
            iterations=iterations,
            integrations=self._integrations,
            seconds=time.perf_counter() - began,
        )

    def unknowns(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the unknowns (n,) of a path (M, D) and parameters (P,)."""
        return self.problem.unknowns.join(path, theta)[self.places]

    def value(self, v: FloatArray) -> float:
        """Return the action of the solution from unknowns v; infinite where there is none."""
        X, theta, _, why = self._lead(v)
        if why:
            return np.inf
        with np.errstate(all="ignore"):
            found = self._at.action(X, theta, 0.0)
        return found if np.isfinite(found) else np.inf

    def gradient(self, v: FloatArray) -> FloatArray:
        """Return its gradient, (n,); not a number where there is no solution."""
        point, _ = self._expand(v)
        return np.full(v.size, np.nan) if point is None else point.gradient

    def hessian(self, v: FloatArray) -> FloatArray:
        """Return its Hessian (n, n), from differences of the gradient.

        Where one of them is no solution, or a difference is lost in rounding, Gauss-Newton's.
        """
        point, _ = self._expand(v)
        if point is None:
            return np.full((v.size, v.size), np.nan)
        scale = np.sqrt(self._scale(point))
        columns = []
        for i, one in enumerate(scale):
            change = np.zeros(v.size)
            change[i] = DIFFERENCE / one
            columns.append(
                (self.gradient(v + change) - self.gradient(v - change)) / (2.0 * change[i])
            )
        exact = np.array(columns)
        exact = 0.5 * (exact + exact.T)
        return exact if np.isfinite(exact).all() else point.hessian

    def held(self, v: FloatArray, gradient: FloatArray) -> BoolArray:
        """Return which unknowns are on a bound beyond which the action falls, (n,)."""
        below = (v <= self.lower) & (gradient >= 0.0)
        return below | ((v >= self.upper) & (gradient <= 0.0))

    def _scale(self, point: Point) -> FloatArray:
        """Return the Hessian's diagonal, at least next to nothing in units of the unknowns."""
        return np.maximum(np.diag(point.hessian), NOTHING / self._sizes**2)

    def _step(self, point: Point, held: BoolArray, damping: float) -> FloatArray:
        scale = np.sqrt(self._scale(point))
        free, step = ~held, np.zeros(held.size)
        matrix = (point.hessian / np.outer(scale, scale))[np.ix_(free, free)]
        matrix[np.diag_indices(len(matrix))] += damping
        step[free] = np.linalg.lstsq(matrix, -(point.gradient / scale)[free])[0]
        return step / scale

    def _decrement(self, point: Point, held: BoolArray) -> float:
        """Return what a Newton step would lower the action by; directions without curvature out."""
        scale = np.sqrt(self._scale(point))
        free = ~held
        matrix = (point.hessian / np.outer(scale, scale))[np.ix_(free, free)]
        curvatures, axes = np.linalg.eigh(matrix)
        slope = axes.T @ (point.gradient / scale)[free]
        seen = curvatures > FLAT * max(float(curvatures.max(initial=0.0)), FLAT)
        return 0.5 * float(np.sum(slope[seen] ** 2 / curvatures[seen]))

    def _expand(self, v: FloatArray) -> tuple[Point | None, str]:
        """Return the action with derivatives at v; None and why where there is no solution."""
        X, theta, tangents, why = self._lead(v, slopes=True)
        if why:
            return None, why
        with np.errstate(all="ignore"):
            action, gradient = self._at.value_and_gradient(X, theta, 0.0)
            hessian = self._at.data_hessian(X, theta)
        Z = np.zeros((gradient.size, v.size))
        Z[self.problem.unknowns.on_path + np.flatnonzero(self.problem.free)] = np.eye(v.size)[
            v.size - int(self.problem.free.sum()) :
        ]
        for rows, columns, block in tangents:
            Z[rows[:, None], columns] = block
        point = Point(action, Z.T @ gradient, np.asarray(Z.T @ (hessian @ Z)))
        parts = (point.action, point.gradient, point.hessian)
        if not all(np.isfinite(part).all() for part in parts):
            return None, "the action's derivatives are not finite at its solution"
        return point, ""

    def _lead(
        self, v: FloatArray, *, slopes: bool = False, every: bool = False
    ) -> tuple[FloatArray, FloatArray, list[tuple[IntArray, IntArray, FloatArray]], str]:
        """Integrate every experiment from v.

        Returns
        -------
        path : (M, D)
            Where nothing was kept, as at the point before.
        theta : (P,)
        tangents : list
            For each experiment rows and columns of its block of d(path, theta)/dv, and the block.
        why : str
            Why there is no solution, empty where there is one.
        """
        p = self.problem
        x = p.unknowns.lower.copy()
        x[self.places] = v
        path, theta = self._at.split(*p.unknowns.split(x))
        path, why = path.copy(), ""
        tangents = []
        courses = self._every if every else self._courses
        for s, (segment, (course, points)) in enumerate(zip(p.segments, courses, strict=True)):
            own = path[segment.own_points]
            found: Flows = self._engine.run(
                own[:1],
                theta[p.use[s]][None],
                course,
                rtol=TOLERANCE,
                atol=TOLERANCE * self._magnitudes(),
                sensitivities=slopes,
                most_steps=STEPS,
            )
            self._integrations += 1
            if found.codes[0] != FINE:
                words = ENDS.get(int(found.codes[0]), "its steps cannot be solved")
                at = float(course.t[min(int(found.where[0]) + 1, len(course.t) - 1)])
                where = p.named(segment.first_point)
                return path, theta, [], f"{words} before t = {at:.6g}{where}"
            kept = np.searchsorted(points, np.arange(segment.points), side="right") - 1
            path[segment.own_points] = found.states[0][kept]
            if found.slopes is not None:
                tangents.append(self._tangent(s, points, found.slopes[0], theta))
        return path, theta, tangents, why

    def _tangent(
        self, s: int, points: IntArray, slopes: FloatArray, theta: FloatArray
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """Return rows, columns and numbers of one experiment's derivatives."""
        p, D = self.problem, self.problem.D
        segment = p.segments[s]
        by_first, by_theta = slopes[:, :, :D], slopes[:, :, D:]
        by_theta = by_theta + by_first @ self._at.given.slopes(theta, s)
        every = np.concatenate([by_first, by_theta], axis=2)
        unknowns = np.concatenate([p.first_unknowns[s], p.unknowns.on_path + p.use[s]])
        columns = self._columns[unknowns]
        columns[:D][p.given[s]] = -1
        kept = columns >= 0
        rows = ((segment.first_point + points)[:, None] * D + np.arange(D)).reshape(-1)
        return rows, columns[kept], every[:, :, kept].reshape(rows.size, -1)

    def _magnitudes(self) -> FloatArray:
        """Return the size of each state, (D,), that absolute errors go by."""
        p = self.problem
        return np.where(p.scaled[: p.D], 1.0, np.sqrt(p.variances)) * SHARE

    @cached_property
    def _courses(self) -> list[tuple[Course, IntArray]]:
        clock = self._engine.clock
        return [
            course_of(one, clock=clock, discrete=self._discrete) for one in self.problem.experiments
        ]

    @cached_property
    def _every(self) -> list[tuple[Course, IntArray]]:
        """Do the same, kept at all grid points."""
        return [
            course_of(one, clock=True, discrete=self._discrete) for one in self.problem.experiments
        ]
