"""Truncated Newton: second derivatives as products only, for models whose blocks are too large."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from symda.emit.lanes import DAMPING
from symda.solve.box import Box, Sides
from symda.solve.lines import Lines, ResidualRows
from symda.solve.minimum import Minimum, descended
from symda.solve.options import UNDETERMINED, NewtonOptions, tolerance
from symda.solve.schwarz import Reused, Schwarz
from symda.solve.stationary import SHARE, Stationarity, holding, left_over
from symda.status import Reason
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator
    from symda.build.lattice import LatticeKernels
    from symda.observe import Problem


#: Gain ratios: a step is taken above the first; the radius shrinks below the second and grows
#: above the third.
TAKEN, POOR, GOOD = 1e-4, 0.25, 0.75
#: A step this much shorter than the unknowns themselves is none.
SHORTEST = 1e-14
#: Times a step is computed again because unknowns reached their bounds.
PASSES = 8


class TruncatedNewton:
    """Newton steps by conjugate gradients within a trust region.

    Each step minimises the quadratic model by conjugate gradients on exact Hessian products, until
    the model's residual is small, the curvature turns negative or the step leaves the trust region
    (Steihaug, SIAM J. Numer. Anal. 20 (1983) 626). The preconditioner is the Hessian along time of
    each state by itself (`Lines`), and where that does not do that of overlapping patches of sites
    (`Schwarz`); its norm measures the region. Unknowns held at a bound, by the
    sign of their gradient, are left out of the step (Bertsekas, SIAM J. Control Optim. 20 (1982)
    221). Memory grows with N D.
    """

    def __init__(self, kernels: LatticeKernels, problem: Problem, options: NewtonOptions) -> None:
        self._options = options
        self._exact = self._options.hessian == "exact"
        self._evaluator = kernels.at(problem)
        self._box = Box(problem.unknowns)
        self._split = problem.unknowns.split
        self._fields = kernels.shape.fields
        self._band = ResidualRows.of(problem, discrete=kernels.shape.discrete).band(problem.M)
        self._schwarz = Schwarz(self._evaluator)

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta); see `Minimiser.minimise`."""
        return descended(self._evaluator, self._descend, path, theta, rf)

    def _descend(self, x: FloatArray, rf: FloatArray) -> tuple[FloatArray, Reason, int, int]:
        """Return where it ended, why, and the numbers of iterations and of actions evaluated."""
        action, gradient = self._evaluator.value_and_gradient(*self._split(x), rf)
        evaluations, narrow, radius = 1, 1.0, math.inf
        reused = Reused(self._schwarz, rf)
        for iteration in range(1, self._options.max_iter + 1):
            if not (math.isfinite(action) and np.isfinite(gradient).all()):
                return x, Reason.NO_SLOPE, iteration, evaluations
            metric = self._metric(x, rf)
            reach = self._box.reach(metric.diagonal)
            sides = self._box.sides(x, gradient, narrow * reach)
            least = tolerance(self._evaluator.problem, action, self._options.tol)
            level = 0.5 * metric.steepest(gradient, ~sides.held) <= least
            size = least / self._options.tol
            step = self._step(x, rf, gradient, metric, sides, radius, size, reused)
            trial, predicted = self._box.project(x + step.change, sides), step.predicted
            found = self._evaluator.action(*self._split(trial), rf)
            evaluations += 1
            whole = not (step.bounded or step.unfinished)
            if whole and level and predicted <= least:
                return trial if found <= action else x, Reason.CONVERGED, iteration, evaluations
            # by one norm, whatever the preconditioner is
            if not metric.length(trial - x) > SHORTEST * metric.length(x):
                if not reused.give_up():
                    return x, Reason.STUCK, iteration, evaluations
                radius = math.inf
                continue
            ratio = (action - found) / predicted if predicted > 0.0 else -1.0
            if not (math.isfinite(found) and ratio > TAKEN):
                radius = 0.25 * min(radius, step.length)
                narrow *= 0.25
                continue
            if ratio < POOR:
                radius = 0.25 * min(radius, step.length)
            elif ratio > GOOD:
                radius = max(radius if radius < math.inf else 0.0, 3.0 * step.length)
            x = trial
            action, gradient = self._evaluator.value_and_gradient(*self._split(x), rf)
        return x, Reason.LIMIT, iteration, evaluations

    def sizes(self, x: FloatArray, rf: FloatArray) -> FloatArray:
        """Return the unknowns' own sizes, as `Judge.sizes` does."""
        return self._box.reach(self._metric(x, rf).diagonal) / DAMPING.near_bound

    def judged(self, x: FloatArray, rf: FloatArray) -> Stationarity:
        """Say how far x is from a minimum, as `Judge.at` does."""
        problem = self._evaluator.problem
        action, gradient = self._evaluator.value_and_gradient(*self._split(x), rf)
        metric = self._metric(x, rf)
        sizes = 1.0 / np.sqrt(metric.diagonal)
        sides = self._box.sides(x, gradient, self._box.reach(metric.diagonal))
        limit = left_over(problem, action)
        held = holding(problem, sides.held, gradient * sizes)
        acting = np.where(sides.held, 0.0, gradient)
        if not (math.isfinite(action) and np.isfinite(acting).all()):
            broken = (~np.isfinite(acting)).astype(float)
            return Stationarity(False, False, math.nan, limit, broken, held)
        reused = Reused(self._schwarz, rf)
        step = self._step(x, rf, gradient, metric, sides, math.inf, limit / SHARE, reused)
        change = self._box.project(x + step.change, sides) - x
        if step.bounded or step.unfinished:
            return Stationarity(True, False, math.nan, limit, -acting * sizes, held)
        left = max(step.predicted, 0.0)
        return Stationarity(True, True, left, limit, change / sizes, held)

    def _hessian(self, x: FloatArray, rf: FloatArray, free: BoolArray) -> Callable[..., FloatArray]:
        """Return the product with the Hessian of the unknowns that are not held."""
        X, theta = self._split(x)

        def product(v: FloatArray) -> FloatArray:
            return free * self._evaluator.hessian_product(X, theta, rf, v, exact=self._exact)

        return product

    def _step(
        self,
        x: FloatArray,
        rf: FloatArray,
        gradient: FloatArray,
        metric: Metric,
        sides: Sides,
        radius: float,
        size: float,
        reused: Reused,
    ) -> Step:
        """Return a step that stays within the bounds.

        Unknowns that would leave them stop there, and the others are computed again.
        """
        bounds, free = self._box.unknowns, ~sides.held
        # what is held goes to its bound, by less than the margin
        change = self._box.project(x, sides) - x
        hessian = self._hessian(x, rf, np.ones(len(x), dtype=bool))
        for _ in range(PASSES):
            slope = gradient + hessian(change) if change.any() else gradient
            again = True
            while again:
                # nothing else may hold the factors: larger ones take their place
                step = _steihaug(
                    self._hessian(x, rf, free),
                    metric.of(free, reused.at(*self._split(x), self._split(free)[0])),
                    slope * free,
                    radius,
                    size,
                    reused.budget,
                )
                again = reused.learn(
                    step.products,
                    step.reduction,
                    bounded=step.bounded,
                    unfinished=step.unfinished,
                )
            there = x + change + step.change
            beyond = free & ((there < bounds.lower) | (there > bounds.upper))
            if not beyond.any():
                break
            change = np.where(beyond, np.clip(there, bounds.lower, bounds.upper) - x, change)
            free &= ~beyond
        if not change.any() and not beyond.any():
            return step
        change = np.clip(x + change + step.change, bounds.lower, bounds.upper) - x
        predicted = -(_dot(gradient, change) + 0.5 * _dot(change, hessian(change)))
        # where all unknowns stop at a bound the last pass has no length
        length = max(step.length, metric.length(change))
        return replace(step, change=change, length=length, predicted=predicted)

    def _metric(self, x: FloatArray, rf: FloatArray) -> Metric:
        """Return the preconditioner at x.

        What the field adds to the lines is estimated as the mean diagonal of the Gauss-Newton
        Hessian over paths that are constant in time, by a product with random signs (Hutchinson).
        """
        p = self._evaluator.problem
        X, theta = self._split(x)

        def gauss_newton(v: FloatArray) -> FloatArray:
            return self._evaluator.hessian_product(X, theta, rf, v, exact=False)

        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=p.D)
        probe = np.concatenate([np.tile(signs, p.M), np.zeros(p.P)])
        product, _ = self._split(gauss_newton(probe))
        measured = np.zeros((p.M, p.D))
        plain = np.flatnonzero(p.direct >= 0)
        measured[:, p.direct[plain]] = p.rm[:, plain]
        constant = self._band[0].sum() + 2.0 * sum(float(row.sum()) for row in self._band[1:])
        share = signs * product.sum(axis=0) - measured.sum(axis=0) - constant * rf
        soft = np.repeat(share.reshape(self._fields, -1).mean(axis=1), p.D // self._fields) / p.M
        soft = np.maximum(soft, 1e-6 * (self._band[0].mean() * rf + measured.mean()))
        scale = np.ones(p.P)
        for j in np.flatnonzero(p.free):
            unit = np.zeros(len(x))
            unit[p.unknowns.on_path + j] = 1.0
            scale[j] = gauss_newton(unit)[p.unknowns.on_path + j] + UNDETERMINED / p.typical[j] ** 2
        return Metric(self._band, rf, measured + soft, scale)


class TruncatedJudge:
    """Judges by products with the Hessian: the Newton step is that of conjugate gradients."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._newton = TruncatedNewton(
            cast("LatticeKernels", evaluator.kernels), evaluator.problem, NewtonOptions()
        )
        self._evaluator = evaluator

    def at(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Stationarity:
        """Look at a point; see `Judge.at`."""
        with np.errstate(all="ignore"):
            x = self._evaluator.problem.unknowns.join(path, theta)
            return self._newton.judged(x, self._evaluator.precision(rf))

    def sizes(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> FloatArray:
        """Return the unknowns' own sizes; see `Judge.sizes`."""
        with np.errstate(all="ignore"):
            x = self._evaluator.problem.unknowns.join(path, theta)
            return self._newton.sizes(x, self._evaluator.precision(rf))


@dataclass(frozen=True, eq=False)
class Metric:
    """The preconditioner: lines along time, and a number for each parameter."""

    band: FloatArray  #: See `Lines`.
    rf: FloatArray  #: (D,)
    own: FloatArray  #: What the measurements and the field's coupling add to the lines, (M, D).
    scale: FloatArray  #: Of the parameters, (P,).
    held: BoolArray | None = None  #: Unknowns that are taken out, (M D + P,).
    #: What solves for the path (M, D) in place of the lines.
    patches: Callable[[FloatArray], FloatArray] | None = None

    def of(self, free: BoolArray, patches: Callable[[FloatArray], FloatArray] | None) -> Metric:
        """Return the metric of some unknowns, with what solves for them."""
        return replace(self, held=~free, patches=patches)

    @cached_property
    def diagonal(self) -> FloatArray:
        """The matrix's diagonal, (M D + P,)."""
        lines = self.own + self.band[0][:, None] * self.rf
        return np.concatenate([lines.reshape(-1), self.scale])

    @cached_property
    def _lines(self) -> Lines:
        size = self.own.size
        held = np.zeros(size, dtype=bool) if self.held is None else self.held[:size]
        return Lines(self.band, self.rf, self.own, held.reshape(self.own.shape))

    def solve(self, right: FloatArray) -> FloatArray:
        """Solve for a right-hand side (M D + P,) that is 0 where unknowns are held."""
        size = self.own.size
        solve = self.patches or self._lines.solve
        on_path = solve(right[:size].reshape(self.own.shape))
        return np.concatenate([on_path.reshape(-1), right[size:] / self.scale])

    def length(self, x: FloatArray) -> float:
        """Length of a vector by the diagonal only."""
        return math.sqrt(_dot(x * self.diagonal, x))

    def steepest(self, gradient: FloatArray, free: BoolArray) -> float:
        """Return max g^2/diagonal over free unknowns."""
        return float(np.max(gradient[free] ** 2 / self.diagonal[free], initial=0.0))


@dataclass(frozen=True, eq=False)
class Step:
    """A step, its length in the metric, the decrease it predicts, and whether it was cut off."""

    change: FloatArray
    length: float
    predicted: float
    bounded: bool
    products: int = 0
    reduction: float = 1.0  #: Factor by which the square of the gradient's norm fell.
    unfinished: bool = False  #: Whether there were no more products.


def _steihaug(
    hessian: Callable[..., FloatArray],
    metric: Metric,
    gradient: FloatArray,
    radius: float,
    size: float,
    most: int,
) -> Step:
    """Minimise g.s + s.H s/2 over the metric's ball of a radius, approximately.

    Without a radius negative curvature ends the step at the length of the steepest descent's.
    """
    s, r = np.zeros_like(gradient), gradient.copy()
    z = metric.solve(r)
    p, rz = -z, _dot(r, z)
    first, predicted = rz, 0.0
    ss, sp, pp = 0.0, 0.0, rz
    goal = min(0.1, (first / size) ** 0.25) ** 2 * first
    products = 0
    while rz > goal and products < most:
        Hp = hessian(p)
        products += 1
        curvature = _dot(p, Hp)
        alpha = rz / curvature if curvature > 0.0 else math.inf
        if curvature <= 0.0 and radius == math.inf:
            radius = max(math.sqrt(first), 2.0 * math.sqrt(ss))
        if not ss + alpha * (2.0 * sp + alpha * pp) < radius**2:
            tau = (math.sqrt(max(sp**2 + pp * (radius**2 - ss), 0.0)) - sp) / pp
            predicted += tau * rz - 0.5 * tau**2 * curvature
            return Step(s + tau * p, radius, predicted, True, products, rz / first)
        s += alpha * p
        r += alpha * Hp
        predicted += 0.5 * alpha * rz
        ss, sp = ss + alpha * (2.0 * sp + alpha * pp), sp + alpha * pp
        z = metric.solve(r)
        rz, before = _dot(r, z), rz
        beta = rz / before
        p = beta * p - z
        sp, pp = beta * sp, rz + beta**2 * pp
    reduction = rz / first if first else 1.0
    return Step(s, math.sqrt(ss), predicted, False, products, reduction, rz > goal)


def _dot(a: FloatArray, b: FloatArray) -> float:
    """Scalar product on this thread: BLAS would wake others for a microsecond's work."""
    return float(np.einsum("i,i->", a, b))
