"""One window of cycled assimilation: data, and what is known beforehand of its first state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.errors import SolveError
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.flows import FlowEngine
    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem

#: A covariance keeps this share of its variances in every direction: along those that a stable
#: model contracts, nothing else would be left.
LEAST = 1e-8
#: Iterations of a window at most; it is a minimum if a step would lower the action by less.
ITERATIONS, LEFT = 100, 1e-6
#: The first damping after a step that failed, and that at which it is given up. It follows the gain
#: of each step (Nielsen, Damping parameter in Marquardt's method, DTU, 1999).
FIRST, MOST = 1e-3, 1e12
#: A slope of this share of the largest is none.
ROUNDING = 1e-9
#: Rungs of Rf below the one that is wanted, and their ratio, where it is not reached at once.
RUNGS, ALPHA = 8, 4.0
#: Newton's steps that lead a path after its first state.
CORRECTIONS = 3


@dataclass(frozen=True, eq=False)
class Background:
    """What is known before a window: a Gaussian of its first state and the free parameters.

    As solvers move them, n = D + p.
    """

    mean: FloatArray  #: (n,)
    covariance: FloatArray  #: (n, n)

    @cached_property
    def precision(self) -> FloatArray:
        """Inverse of the covariance, (n, n)."""
        root = np.sqrt(np.diagonal(self.covariance))
        unit = self.covariance / np.outer(root, root)
        with _singular():
            inverse = np.linalg.inv(np.linalg.cholesky(unit)) / root
        return np.asarray(inverse.T @ inverse)

    def widened(self, factor: float, most: FloatArray) -> Background:
        """Return one with variances larger by a factor, as far as they stay below some, (n,)."""
        own = np.diagonal(self.covariance)
        root = np.sqrt(np.clip(most / own, 1.0, factor))
        return Background(self.mean, self.covariance * np.outer(root, root))

    @classmethod
    def of(
        cls, mean: FloatArray, covariance: FloatArray, inflation: float, least: FloatArray
    ) -> Background:
        """Make one whose standard deviations are enlarged by a factor.

        `least` (n,) is added to its variances.
        """
        found = 0.5 * (covariance + covariance.T) * inflation**2
        return cls(mean, found + np.diag(LEAST * np.diagonal(found) + least))


@dataclass(frozen=True, eq=False)
class Point:
    """The action of a window with its derivatives by the unknowns, n of them."""

    action: float
    gradient: FloatArray
    hessian: Any  #: Gauss-Newton's, (n, n): an array, or a sparse one.


@dataclass(frozen=True, eq=False)
class Fit:
    """Where the action of a window is least."""

    v: FloatArray
    point: Point
    iterations: int
    message: str  #: Why it is no minimum; empty where it is.
    held: BoolArray  #: Which unknowns are on a bound.


@contextmanager
def _singular() -> Iterator[None]:
    """Say in words that a factorisation fails."""
    try:
        yield
    except (np.linalg.LinAlgError, ValueError, RuntimeError) as error:
        raise SolveError(f"the curvature of the window is singular ({error})") from error


class Window(ABC):
    """The action of a window: background, data, and what the model's errors cost.

    Attributes
    ----------
    problem : Problem
        Of one experiment, whose first state is not given.
    first : (D + p,)
        Where the first state and the free parameters stand among the unknowns.
    lower, upper : (n,)
        Bounds of the unknowns.
    """

    first: IntArray
    lower: FloatArray
    upper: FloatArray

    def __init__(self, evaluator: BlockEvaluator, background: Background) -> None:
        self.problem: Problem = evaluator.problem
        self._at, self._background = evaluator, background

    @abstractmethod
    def start(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the unknowns of a path (M, D) and parameters (P,)."""

    @abstractmethod
    def ended(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return path (M, D) and parameters (P,) of unknowns."""

    @abstractmethod
    def rows(self, v: FloatArray, points: IntArray) -> FloatArray:
        """Return derivatives of states at grid points and the free parameters, (K D + p, n)."""

    @abstractmethod
    def _expand(self, v: FloatArray) -> tuple[Point | None, str]:
        """Return the action without the background, and None and why where there is none."""

    @abstractmethod
    def solve(self, point: Point, right: FloatArray, held: BoolArray, damping: float) -> FloatArray:
        """Solve with the damped Hessian of the unknowns that are not held; 0 for the others.

        Raises
        ------
        SolveError
            If it is singular.
        """

    @abstractmethod
    def _known(self, hessian: Any) -> Any:
        """Add the background's precision to a Hessian."""

    def expand(self, v: FloatArray) -> tuple[Point | None, str]:
        """Return the action with its derivatives; None and why where there is none."""
        found, why = self._expand(v)
        if found is None:
            return None, why
        off = v[self.first] - self._background.mean
        slope = self._background.precision @ off
        gradient = found.gradient.copy()
        gradient[self.first] += slope
        action = found.action + 0.5 * float(off @ slope)
        return Point(action, gradient, self._known(found.hessian)), ""

    def fit(self, v: FloatArray) -> Fit:
        """Minimise from unknowns (n,): Gauss-Newton's steps, damped where they fail, and bounds.

        Raises
        ------
        SolveError
            If the action has no value there.
        """
        return self._descended(v)

    def _descended(self, v: FloatArray) -> Fit:
        v, damping, growth = np.clip(v, self.lower, self.upper), 0.0, 2.0
        here, why = self.expand(v)
        if here is None:
            raise SolveError(why)
        for iteration in range(ITERATIONS):
            step, held = self._step(v, here, 0.0)
            lowers = self._lowers(here, step)
            if 0.0 <= lowers <= LEFT:
                # so short a step needs no new derivatives
                at = replace(here, action=here.action - lowers)
                return Fit(v + step, at, iteration, "", held)
            if damping:
                step, held = self._step(v, here, damping)
                lowers = self._lowers(here, step)
            trial = self._trial(v, step)
            there = self.expand(trial)[0] if lowers > 0.0 else None
            gain = (here.action - there.action) / lowers if there is not None else 0.0
            if there is not None and gain > 1e-4:
                v, here = trial, there
                damping *= max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
                damping, growth = damping if damping > LEAST else 0.0, 2.0
                continue
            damping, growth = max(growth * damping, FIRST), 2.0 * growth
            if damping > MOST:
                return Fit(v, here, iteration, "no step lowers the action any more", held)
        return Fit(v, here, ITERATIONS, f"{ITERATIONS} iterations were not enough", held)

    def _step(self, v: FloatArray, here: Point, damping: float) -> tuple[FloatArray, BoolArray]:
        """Return the step to the least of the damped quadratic within the bounds, and what holds.

        By an active set: what would leave its bounds is held there, and let go again where the
        quadratic falls inwards (Nocedal and Wright, Numerical Optimization, 2006, section 16.5).
        """
        low, high = self.lower - v, self.upper - v
        held = ((low >= 0.0) & (here.gradient > 0.0)) | ((high <= 0.0) & (here.gradient < 0.0))
        step, diagonal = np.zeros(v.size), damping * here.hessian.diagonal()
        for _ in range(10 * v.size + 10):
            known = np.where(held, step, 0.0)
            right = -here.gradient - here.hessian @ known
            way = np.where(held, 0.0, self.solve(here, right, held, damping) - step)
            with np.errstate(all="ignore"):
                room = np.where(way > 0.0, (high - step) / way, (low - step) / way)
            room = np.where((way == 0.0) | held, np.inf, room)
            first = int(np.argmin(room))
            if room[first] < 1.0:
                step = step + max(float(room[first]), 0.0) * way
                step[first] = high[first] if way[first] > 0.0 else low[first]
                held[first] = True
                continue
            step = step + way
            slope = here.gradient + here.hessian @ step + diagonal * step
            inwards = np.where(step <= low, -slope, slope) * held
            most = int(np.argmax(inwards))
            if inwards[most] <= ROUNDING * np.abs(slope).max():
                break
            held[most] = False
        return np.clip(step, low, high), held

    @staticmethod
    def _lowers(here: Point, step: FloatArray) -> float:
        """Return by how much a step lowers the quadratic."""
        return -float(here.gradient @ step + 0.5 * step @ (here.hessian @ step))

    def _trial(self, v: FloatArray, step: FloatArray) -> FloatArray:
        """Return where a step leads."""
        return v + step

    def covariance(self, point: Point, rows: FloatArray) -> FloatArray:
        """Return the covariance of linear functions (K, n) of the unknowns, (K, K).

        As if there were no bounds.
        """
        none = np.zeros(rows.shape[1], dtype=bool)
        found = rows @ self.solve(point, np.ascontiguousarray(rows.T), none, 0.0)
        return np.asarray(0.5 * (found + found.T))

    def handed_on(self, v: FloatArray, inflation: float, least: FloatArray) -> Background:
        """Return what is known of the last state of the window and the parameters.

        The Gaussian of the action's quadratic about the unknowns v (n,), which need not be where
        it is least: data that come later have moved them.

        Raises
        ------
        SolveError
            If the action has no value there.
        """
        here, why = self.expand(v)
        if here is None:
            raise SolveError(why)
        rows = self.rows(v, np.array([self.problem.M - 1]))
        none = np.zeros(v.size, dtype=bool)
        path, theta = self.ended(v)
        mean = np.concatenate([path[-1], theta[self.problem.free]])
        mean = mean - rows @ self.solve(here, here.gradient, none, 0.0)
        return Background.of(mean, self.covariance(here, rows), inflation, least)


class StrongWindow(Window):
    """The model holds exactly: first state and free parameters are all there is, n = D + p."""

    def __init__(
        self, evaluator: BlockEvaluator, background: Background, engine: FlowEngine
    ) -> None:
        from symda.solve.strong import Strong

        super().__init__(evaluator, background)
        self._strong = Strong(evaluator, engine)
        self.lower, self.upper = self._strong.lower, self._strong.upper
        self.first = np.arange(self.lower.size)

    def start(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return first state and free parameters of a path."""
        return self._strong.unknowns(path, theta)

    def ended(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the solution."""
        path, theta, why = self._strong.led(v)
        if why:
            raise SolveError(why)
        return path, theta

    def rows(self, v: FloatArray, points: IntArray) -> FloatArray:
        """Return the solution's tangents."""
        D = self.problem.D
        tangents = self._strong.tangent(v)[2][points].reshape(points.size * D, v.size)
        return np.concatenate([tangents, np.eye(v.size)[D:]])

    def _expand(self, v: FloatArray) -> tuple[Point | None, str]:
        found, why = self._strong.expand(v)
        return (None if found is None else Point(found.action, found.gradient, found.hessian)), why

    def _known(self, hessian: Any) -> Any:
        return hessian + self._background.precision

    def solve(self, point: Point, right: FloatArray, held: BoolArray, damping: float) -> FloatArray:
        """Solve by Cholesky factors, in units of the Hessian's diagonal."""
        from scipy.linalg import cho_factor, cho_solve

        found, free = np.zeros(right.shape), ~held
        if not free.any():
            return found
        root = np.sqrt(np.diagonal(point.hessian)[free])
        matrix = point.hessian[np.ix_(free, free)] / np.outer(root, root)
        own = root if right.ndim == 1 else root[:, None]
        with _singular():
            factor = cho_factor(matrix + damping * np.eye(root.size))
            found[free] = cho_solve(factor, right[free] / own) / own
        return found


class WeakWindow(Window):
    """The model errs with precision Rf: all states are unknowns, and the free parameters."""

    def __init__(self, evaluator: BlockEvaluator, background: Background, rf: FloatArray) -> None:
        super().__init__(evaluator, background)
        p = self.problem
        self._free = np.flatnonzero(p.unknowns.free)
        self._rf = self._precision = rf
        self.lower, self.upper = p.unknowns.lower[self._free], p.unknowns.upper[self._free]
        count = int(p.free.sum())
        n = self._free.size
        self.first = np.concatenate([np.arange(p.D), np.arange(n - count, n)])

    def fit(self, v: FloatArray) -> Fit:
        """Minimise; where that fails, as Rf rises step by step, each minimum the next one's start.

        Paths far from the solution are in a narrow, curved valley where Rf is large.
        """
        found, iterations = self._descended(v), 0
        if not found.message:
            return found
        for k in range(RUNGS, -1, -1):
            self._rf = self._precision / ALPHA**k
            risen = self._descended(v)
            v, iterations = risen.v, iterations + risen.iterations
        iterations += found.iterations
        best = min((found, risen), key=lambda one: (bool(one.message), one.point.action))
        return replace(best, iterations=iterations)

    def start(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the path and the free parameters."""
        return self.problem.unknowns.inside(path, theta)[self._free]

    def ended(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the path."""
        x = self.problem.unknowns.lower.copy()
        x[self._free] = v
        path, theta = self._at.split(*self.problem.unknowns.split(x))
        return path, theta

    def rows(self, v: FloatArray, points: IntArray) -> FloatArray:
        """Return which unknowns they are."""
        D = self.problem.D
        own = (points[:, None] * D + np.arange(D)).reshape(-1)
        unknowns = np.concatenate([own, self.first[D:]])
        found = np.zeros((unknowns.size, v.size))
        found[np.arange(unknowns.size), unknowns] = 1.0
        return found

    def _expand(self, v: FloatArray) -> tuple[Point | None, str]:
        path, theta = self.ended(v)
        with np.errstate(all="ignore"):
            action, gradient = self._at.value_and_gradient(path, theta, self._rf)
            jacobian = self._at.residual_jacobian(path, theta)
            hessian = jacobian.T @ (self._at.precisions(self._rf) @ jacobian)
            hessian = (hessian + self._at.data_hessian(path, theta)).tocsc()
        gradient, own = gradient[self._free], hessian[self._free][:, self._free]
        parts = (action, gradient, own.data)
        if not all(np.isfinite(part).all() for part in parts):
            return None, "the action or its derivatives are not finite"
        return Point(action, gradient, own), ""

    def _trial(self, v: FloatArray, step: FloatArray) -> FloatArray:
        """Return where a step leads, with the model's errors as the quadratic has them.

        First state and parameters move by the step; the path then follows by Newton's steps, since
        along a straight line errors of large precision soon are others (a second-order correction;
        Nocedal and Wright, Numerical Optimization, 2006, section 18.3).
        """
        from scipy.sparse.linalg import splu

        D, on_path = self.problem.D, self.problem.unknowns.on_path
        path, theta = self.ended(v)
        jacobian = self._at.residual_jacobian(path, theta)
        wanted = self._at.residual(path, theta).reshape(-1) + jacobian[:, self._free] @ step
        x = v + step
        with np.errstate(all="ignore"):
            factor = splu(jacobian[:, D:on_path].tocsc())
            for _ in range(CORRECTIONS):
                missed = self._at.residual(*self.ended(x)).reshape(-1) - wanted
                if not np.isfinite(missed).all():
                    return v + step
                x[D:on_path] -= factor.solve(missed)
        return np.asarray(np.clip(x, self.lower, self.upper))

    def _known(self, hessian: Any) -> Any:
        from scipy.sparse import coo_array

        rows, columns = np.meshgrid(self.first, self.first, indexing="ij")
        own = self._background.precision.reshape(-1), (rows.reshape(-1), columns.reshape(-1))
        return (hessian + coo_array(own, shape=hessian.shape)).tocsc()

    def solve(self, point: Point, right: FloatArray, held: BoolArray, damping: float) -> FloatArray:
        """Solve by a sparse factorisation, in units of the Hessian's diagonal."""
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        found, free = np.zeros(right.shape), np.flatnonzero(~held)
        if not free.size:
            return found
        root = np.sqrt(point.hessian.diagonal()[free])
        scale = diags_array(1.0 / root)
        matrix = scale @ point.hessian[free][:, free] @ scale + damping * diags_array(
            np.ones(free.size)
        )
        own = root if right.ndim == 1 else root[:, None]
        with _singular():
            found[free] = splu(matrix.tocsc()).solve(right[free] / own) / own
        return found
