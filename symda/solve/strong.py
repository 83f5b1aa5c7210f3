"""The strong constraint: the model holds exactly, first states and parameters are all there is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from symda.build.course import FINE, NO_MEMORY, NOT_FINITE, TOO_MANY_STEPS, course_of
from symda.solve.region import within
from symda.status import Status
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.course import Course, Flows
    from symda.build.flows import FlowEngine
    from symda.build.kernels import BlockEvaluator


#: Relative error of a step of the integration; absolute, as a share of a state's own size.
TOLERANCE = 1e-8
#: Iterations at most, and those after which an action that is above the bar is given up.
ITERATIONS, HOPE = 300, 40
#: A search creeps if so many iterations lower the action by less than so much, in its own units;
#: in a hurry by less than a share of it.
PACE, LITTLE, HARDLY = 20, 0.1, 0.05
#: Data smaller than this share of their channel's root mean square count as it, not by logarithm.
SMALL = 0.01
#: It is a minimum if a Newton step of at most this length, in units of the unknowns' sizes, would
#: lower the action by less, in its own units: what is flat further on is no slope.
NEAR, LEFT = 1.0, 1e-5
#: Also if it would lower it by less than the first, and `PACE` iterations did so by less than the
#: second: unstable equations enlarge what integration and rounding leave.
SLIGHT, STILL = 1e-2, 1e-3
#: Longest step at first, and that below which there is none, in units of the unknowns' sizes.
FIRST, LEAST = 1.0, 1e-12
#: A curvature of this share of one over the square of an unknown's size is none.
NOTHING = 1e-12
#: A state's own size is this share of its standard deviation along the path: it may be small for
#: most of the time.
SHARE = 1e-2
#: Steps of differences, in units of 1/sqrt of the Hessian's diagonal.
DIFFERENCE = 1e-2
#: No longer than this, in units of the unknowns' sizes.
FARTHEST = 0.1
#: Directions whose curvature is this share of the largest are open to second derivatives.
OPEN = 1e-9
#: Nothing determines a direction if the action changes by less than this, so far along it.
SAME, AWAY = 1e-4, 1e-3
#: Curvature of those that change nothing, in units of the diagonal.
FLOOR = 1e-15
#: A state this share of its size beyond a bound is on it.
ROUNDING = 1e-6
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
    crept: bool  #: Whether it was left because it crept, and may go on.
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

    def __init__(self, evaluator: BlockEvaluator, engine: FlowEngine) -> None:
        self._at, self._engine = evaluator, engine
        self.problem = p = evaluator.problem
        atol = TOLERANCE * self._magnitudes()
        self._integrate = partial(engine.run, rtol=TOLERANCE, atol=atol, most_steps=STEPS)
        self._integrations = 0
        #: The last one that was asked for, which takes many integrations.
        self._hessians: dict[bytes, FloatArray] = {}
        first = p.first_unknowns[~p.given]
        free = p.unknowns.on_path + np.flatnonzero(p.free)
        #: Where the unknowns stand among those of the whole problem, (n,).
        self.places: IntArray = np.concatenate([first, free])
        self.lower, self.upper = p.unknowns.lower[self.places], p.unknowns.upper[self.places]
        self._sizes = p.unknowns.sizes[self.places]
        self._columns = np.full(p.unknowns.count, -1)
        self._columns[self.places] = np.arange(self.places.size)

    def minimise(
        self,
        path: FloatArray,
        theta: FloatArray,
        deadline: float | None = None,
        halt: threading.Event | None = None,
        bar: float = np.inf,
        *,
        patient: bool = True,
        hurry: bool = False,
    ) -> Solution:
        """Minimise from the first states of a path (M, D) and parameters (P,).

        Gauss-Newton's steps within a region of trust and the bounds. A step whose solution cannot
        be integrated is one that raises the action.

        Parameters
        ----------
        deadline : float, optional
            `time.time()` after which no iteration begins.
        halt : threading.Event, optional
            Set by who wants no further iteration.
        bar : float
            An action that is above this after `HOPE` iterations is not lowered further.
        patient : bool
            Whether to go on where `PACE` iterations hardly lower the action.
        hurry : bool
            Whether it is left where they lower it by a small share only.
        """
        began, self._integrations = time.perf_counter(), 0
        p = self.problem
        x = p.unknowns.inside(*self._at.split(path, theta))
        v = x[self.places]
        here, why = self.expand(v)
        iterations, decrement, message, crept = 0, np.nan, why, False
        radius = FIRST
        actions: list[float] = []
        while here is not None:
            decrement = self._lowers(here, self._step(v, here, NEAR))
            gained = actions[-PACE] - here.action if iterations >= PACE else np.inf
            still = gained <= STILL * p.measurement_scale
            if decrement <= (SLIGHT if still else LEFT) * p.measurement_scale:
                message = ""
                break
            if iterations >= ITERATIONS or radius < LEAST:
                stuck = "no step lowers the action any more"
                message = stuck if radius < LEAST else f"{ITERATIONS} iterations were not enough"
                break
            if deadline is not None and time.time() >= deadline:
                message = "the time limit was reached"
                break
            if iterations >= HOPE and here.action > bar:
                message = f"dropped: after {HOPE} iterations it is above {bar:.6g}"
                break
            if halt is not None and halt.is_set():
                message = "it was halted"
                break
            actions.append(here.action)
            little = -np.inf if patient else LITTLE * p.measurement_scale
            if hurry:
                little = max(little, HARDLY * here.action)
            if crept := iterations >= PACE and actions[-1 - PACE] - here.action < little:
                message = f"left: {PACE} iterations lowered it by less than {little:.2g}"
                break
            iterations += 1
            step = self._step(v, here, radius)
            predicted = self._lowers(here, step)
            length = float(np.linalg.norm(step / self._sizes))
            ratio = (here.action - self.value(v + step)) / predicted if predicted > 0.0 else -1.0
            after = self.expand(v + step)[0] if ratio > 0.0 else None
            if after is None:
                radius = 0.25 * min(length, radius)
                continue
            if ratio < 0.25:
                radius = 0.5 * length
            elif ratio > 0.75:
                radius = max(radius, 2.0 * length)
            v, here = np.clip(v + step, self.lower, self.upper), after
        # every grid point, also those without data
        X, values, _, why = self._lead(v, every=True)
        finite = here is not None and not why and bool(np.isfinite(X).all())
        measurement = self._at.terms(X, values, 0.0)[0] if finite else np.nan
        action = self._at.action(X, values, 0.0) if finite else np.nan
        if finite:
            status = Status.STOPPED if message else Status.CONVERGED
        else:
            status, message = Status.FAILED, message or why or "it cannot be integrated"
        return Solution(
            path=X,
            theta=values,
            action=float(action),
            measurement_term=float(measurement),
            status=status,
            message=message,
            decrement=float(decrement),
            crept=crept,
            iterations=iterations,
            integrations=self._integrations,
            seconds=time.perf_counter() - began,
        )

    def solution(self, path: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray, str]:
        """Return `led` from the first states of a path (M, D) with parameters (P,)."""
        return self.led(self.problem.unknowns.inside(*self._at.split(path, theta))[self.places])

    def led(self, v: FloatArray) -> tuple[FloatArray, FloatArray, str]:
        """Return the solution from v at all points, (M, D), theta (P,), and why there is none."""
        X, values, _, why = self._lead(v, every=True)
        return X, values, why or "it leaves finite numbers" * (not np.isfinite(X).all())

    def distance(self, path: FloatArray, theta: FloatArray) -> tuple[float, str]:
        """Return how far the solution from a path's first states is from the data, and why not.

        Logarithms are compared: a solution ten times too high is as far as one ten times too low,
        whose squared error is a hundredth of that, and unknown noise does not matter.
        """
        p = self.problem
        v = p.unknowns.inside(*self._at.split(path, theta))[self.places]
        X, values, _, why = self._lead(v)
        if why:
            return np.inf, why
        data, seen, small = self._seen
        with np.errstate(all="ignore"):
            apart = np.arcsinh(self._at.measure(X, values) / small) - np.arcsinh(data / small)
        found = float((apart[seen] ** 2).sum())
        return (found, "") if np.isfinite(found) else (np.inf, "it has no finite fit to the data")

    @cached_property
    def _seen(self) -> tuple[FloatArray, BoolArray, FloatArray]:
        """The data, where there are some, (M, L), and what is small for each channel, (L,)."""
        p = self.problem
        seen = p.guide > 0.0
        data = np.where(seen, p.y, 0.0)
        size = np.sqrt((data**2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
        return data, seen, np.where(size > 0.0, SMALL * size, 1.0)

    def unknowns(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the unknowns (n,) of a path (M, D) and parameters (P,)."""
        return self.problem.unknowns.join(path, theta)[self.places]

    def tangent(self, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the path (M, D) from v, theta (P,) and the path's derivatives by v, (M, D, n).

        Where there is no solution the latter are nan.
        """
        p = self.problem
        path, theta, parts, why = self._lead(v, slopes=True, every=True)
        found = np.zeros((p.M * p.D, v.size))
        for rows, columns, numbers in parts:
            found[np.ix_(rows, columns)] = numbers
        return path, theta, (found if not why else found * np.nan).reshape(p.M, p.D, v.size)

    def value(self, v: FloatArray) -> float:
        """Return the action of the solution from unknowns v; infinite where there is none."""
        X, values, _, why = self._lead(v)
        if why:
            return np.inf
        with np.errstate(all="ignore"):
            found = self._at.action(X, values, 0.0)
        return found if np.isfinite(found) else np.inf

    def gradient(self, v: FloatArray) -> FloatArray:
        """Return its gradient, (n,); not a number where there is no solution."""
        point, _ = self.expand(v)
        return np.full(v.size, np.nan) if point is None else point.gradient

    def hessian(self, v: FloatArray) -> FloatArray:
        """Return its Hessian (n, n): differences of the gradient where Gauss-Newton's is not flat.

        Along directions that change data next to nothing it is Gauss-Newton's: there differences
        are rounding errors. So it is where one of them is no solution, or all are rounding errors.
        """
        key = v.tobytes()
        if key not in self._hessians:
            self._hessians = {key: self._second_derivatives(v)}
        return self._hessians[key]

    def _second_derivatives(self, v: FloatArray) -> FloatArray:
        point, _ = self.expand(v)
        if point is None:
            return np.full((v.size, v.size), np.nan)
        scale = np.sqrt(self._scale(point))
        curvatures, axes = np.linalg.eigh(point.hessian / np.outer(scale, scale))
        seen = curvatures > OPEN * float(curvatures.max(initial=0.0))
        ways = axes[:, seen] / scale[:, None]
        columns = []
        for way, curvature in zip(ways.T, curvatures[seen], strict=True):
            far = float(np.abs(way / self._sizes).max())
            change = min(DIFFERENCE / float(np.sqrt(curvature)), FARTHEST / far) * way
            rise = self.gradient(v + change) - self.gradient(v - change)
            columns.append(ways.T @ rise / (2.0 * float(change @ way) / float(way @ way)))
        own = np.array(columns).reshape(len(columns), len(columns))
        sizes = np.sqrt(curvatures[seen])
        whole = bool(np.isfinite(own).all())
        # relative to Gauss-Newton's they are of order one, or lost in rounding
        if not whole or np.linalg.eigvalsh(own / np.outer(sizes, sizes)).min(initial=1.0) <= 0.0:
            own = np.diag(curvatures[seen])
        kept, rest = scale[:, None] * axes[:, seen], scale[:, None] * axes[:, ~seen]
        flat = np.maximum(curvatures[~seen], FLOOR)
        found = kept @ (0.5 * (own + own.T)) @ kept.T + rest @ np.diag(flat) @ rest.T
        # what no datum feels has none at all
        felt = np.diag(point.hessian) > NOTHING / self._sizes**2
        return np.asarray(np.where(np.outer(felt, felt), found, 0.0))

    def unstable(self, v: FloatArray) -> bool:
        """Whether second derivatives are lost in rounding, though the data determine all unknowns.

        So it is where the equations are so unstable that all unknowns are first of all the one
        direction that grows. Along a direction that nothing determines the action stays the same.
        """
        point, _ = self.expand(v)
        if point is None:
            return False
        free, scale = ~self.held(v, point.gradient), np.sqrt(self._scale(point))
        matrix = (point.hessian / np.outer(scale, scale))[np.ix_(free, free)]
        curvatures, axes = np.linalg.eigh(matrix)
        if not curvatures.size or curvatures[0] > OPEN * curvatures[-1]:
            return False
        way = np.zeros(v.size)
        way[free] = axes[:, 0] / scale[free]
        way *= AWAY / float(np.abs(way / self._sizes).max())
        rises = [self.value(np.clip(v + side * way, self.lower, self.upper)) for side in (1, -1)]
        return bool(max(rises) - point.action > SAME * self.problem.measurement_scale)

    def held(self, v: FloatArray, gradient: FloatArray) -> BoolArray:
        """Return which unknowns are on a bound beyond which the action falls, (n,)."""
        below = (v <= self.lower) & (gradient > 0.0)
        return below | ((v >= self.upper) & (gradient < 0.0))

    def _scale(self, point: Point) -> FloatArray:
        """Return the Hessian's diagonal, at least next to nothing in units of the unknowns."""
        return np.maximum(np.diag(point.hessian), NOTHING / self._sizes**2)

    def _step(self, v: FloatArray, point: Point, radius: float) -> FloatArray:
        """Return the step to the least of the quadratic within a radius and the bounds.

        What would leave its bounds goes there, and the rest is solved for again.
        """
        gradient = point.gradient * self._sizes
        hessian = point.hessian * np.outer(self._sizes, self._sizes)
        low, high = (self.lower - v) / self._sizes, (self.upper - v) / self._sizes
        free, step = ~self.held(v, point.gradient), np.zeros(v.size)
        while free.any():
            left = radius**2 - float(step[~free] @ step[~free])
            slope = (gradient + hessian @ np.where(free, 0.0, step))[free]
            step[free] = within(hessian[np.ix_(free, free)], slope, max(left, 0.0) ** 0.5)
            beyond = free & ((step < low) | (step > high))
            if not beyond.any():
                break
            step[beyond] = np.clip(step, low, high)[beyond]
            free &= ~beyond
        return np.clip(step, low, high) * self._sizes

    def _lowers(self, point: Point, step: FloatArray) -> float:
        """Return what a step lowers the quadratic by."""
        return -float(point.gradient @ step + 0.5 * step @ point.hessian @ step)

    def expand(self, v: FloatArray) -> tuple[Point | None, str]:
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
        path, tangents = path.copy(), []
        courses = self._every if every else self._courses
        for s, (segment, (course, points)) in enumerate(zip(p.segments, courses, strict=True)):
            own = path[segment.own_points]
            found = self._flow(own[:1], theta[p.use[s]], course, slopes=slopes)
            if found.codes[0] != FINE:
                words = ENDS.get(int(found.codes[0]), "its steps cannot be solved")
                at = float(course.t[min(int(found.where[0]) + 1, len(course.t) - 1)])
                where = p.named(segment.first_point)
                return path, theta, [], f"{words} before t = {at:.6g}{where}"
            beyond = self._beyond(found.states[0])
            if beyond:
                return path, theta, [], f"{beyond}{p.named(segment.first_point)}"
            kept = np.searchsorted(points, np.arange(segment.points), side="right") - 1
            path[segment.own_points] = found.states[0][kept]
            if found.slopes is not None:
                tangents.append(self._tangent(s, points, found.slopes[0], theta))
        return path, theta, tangents, ""

    def _beyond(self, states: FloatArray) -> str:
        """Say which state leaves its bounds in a solution (R + 1, D), empty if none does."""
        p = self.problem
        low, high = p.state_bounds.T
        room = ROUNDING * p.sizes[: p.D]
        out = ((states < low - room) | (states > high + room)).any(axis=0)
        return f"it leaves the bounds of {p.states[int(out.argmax())]}" if out.any() else ""

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

    def _flow(self, first: FloatArray, theta: FloatArray, course: Course, *, slopes: bool) -> Flows:
        """Integrate from a state (1, D) with an experiment's parameters (p,)."""
        self._integrations += 1
        return self._integrate(first, theta[None], course, sensitivities=slopes)

    def _magnitudes(self) -> FloatArray:
        """Return the size of each state, (D,), that absolute errors go by."""
        p = self.problem
        return np.where(p.scaled[: p.D], 1.0, np.sqrt(p.variances)) * SHARE

    @cached_property
    def _courses(self) -> list[tuple[Course, IntArray]]:
        """Each experiment's course, and the grid points where its states are kept: those needed."""
        return self._made(clock=self._engine.clock)

    @cached_property
    def _every(self) -> list[tuple[Course, IntArray]]:
        """The same, kept at all grid points."""
        return self._made(clock=True)

    def _made(self, *, clock: bool) -> list[tuple[Course, IntArray]]:
        discrete = self._engine.discrete
        return [course_of(one, clock=clock, discrete=discrete) for one in self.problem.experiments]
