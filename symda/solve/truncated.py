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
from symda.solve.sites import AGAIN, FALLS, FIRST, GROWS, Parts, Sites, adapted
from symda.solve.stationary import SHARE, Stationarity, holding, left_over
from symda.status import Reason
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator
    from symda.build.lattice import LatticeKernels
    from symda.observe import Problem


#: Gain ratios: a step is taken above the first, damping grows below the second, and above the third
#: a step is taken whole though it was poor in places.
TAKEN, LOW, WELL = 1e-4, 0.25, 0.5
#: The exact Hessian is taken when the last step was to gain less than this share of the action, or
#: more than this share of what the one before was.
NEAR, HALF = 1e-3, 0.5
#: Where damping by this much does not make the curvature positive, nothing will.
STIFF = 1e6
#: Share of a step by which residuals are differentiated along it.
DIFFERENCE = 1e-3
#: Changes below this share of what a step is to gain, shared out among the sites, are none.
NOISE = 1e-3
#: A step this much shorter than the unknowns themselves is none.
SHORTEST = 1e-14
#: Times a step is computed again because unknowns reached their bounds.
PASSES = 8


class TruncatedNewton:
    """Newton steps by conjugate gradients, damped where they were poor.

    Each step minimises a quadratic model by conjugate gradients on Hessian products: Gauss-Newton's
    until little is left to gain, then the exact one; where its curvature turns out negative, that
    step is Gauss-Newton's again. How far a step may go is decided site by site (`Sites`): where the
    action around a site is far above what linear residuals give, its diagonal is multiplied by a
    number that grows, elsewhere that falls (Levenberg, Quart. Appl. Math. 2 (1944) 164; Marquardt,
    J. SIAM 11 (1963) 431, with a number for each site). So a bad spot does not shorten the step
    everywhere, as one trust region would. A step that is poor in places is taken elsewhere only,
    and only if the whole action falls. The preconditioner is the Hessian along time of
    each state by itself (`Lines`), and where that does not do that of overlapping patches of sites
    (`Schwarz`). Unknowns held at a bound, by the
    sign of their gradient, are left out of the step (Bertsekas, SIAM J. Control Optim. 20 (1982)
    221). Memory grows with N D.
    """

    def __init__(self, kernels: LatticeKernels, problem: Problem, options: NewtonOptions) -> None:
        self._options = options
        self._evaluator = kernels.at(problem)
        self._box = Box(problem.unknowns)
        self._split = problem.unknowns.split
        self._fields = kernels.shape.fields
        self._band = ResidualRows.of(problem, discrete=kernels.shape.discrete).band(problem.M)
        self._schwarz = Schwarz(self._evaluator)
        self._sites = Sites(self._evaluator)

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta); see `Minimiser.minimise`."""
        return descended(self._evaluator, self._descend, path, theta, rf)

    def _descend(self, x: FloatArray, rf: FloatArray) -> tuple[FloatArray, Reason, int, int]:
        """Return where it ended, why, and the numbers of iterations and of actions evaluated."""
        sites, exact = self._sites, self._options.hessian == "exact"
        action, gradient = self._evaluator.value_and_gradient(*self._split(x), rf)
        here = sites.parts(*self._split(x))
        evaluations, narrow, before, expected = 1, 1.0, math.inf, math.inf
        # of the states of each site, and of the parameters
        damping, shared = np.full(sites.count, FIRST), FIRST
        reused = Reused(self._schwarz, rf)
        for iteration in range(1, self._options.max_iter + 1):
            if not (math.isfinite(action) and np.isfinite(gradient).all()):
                return x, Reason.NO_SLOPE, iteration, evaluations
            metric = self._metric(x, rf).damped(sites.on_path(damping), shared)
            sides = self._box.sides(x, gradient, narrow * self._box.reach(metric.diagonal))
            least = tolerance(self._evaluator.problem, action, self._options.tol)
            level = 0.5 * metric.steepest(gradient, ~sides.held) <= least
            at = x, rf, gradient, metric, sides, least / self._options.tol, reused
            far = expected == math.inf or NEAR * abs(action) < expected < HALF * before
            whole = exact and not far
            step = self._step(*at, exact=whole)
            if whole and step.concave is not None:
                # where it is, the next steps are shorter
                states, _ = self._split(step.concave)
                concave = sites.around(states.sum(axis=0).reshape(-1, sites.count).sum(axis=0))
                damping = np.where(concave < 0.0, np.maximum(GROWS * damping, AGAIN), damping)
                step, whole = self._step(*at, exact=False), False
            if step.concave is not None:
                if shared > STIFF:
                    return x, Reason.STUCK, iteration, evaluations
                damping, shared = np.maximum(GROWS * damping, FIRST), max(GROWS * shared, FIRST)
                continue
            trial, before, expected = x + step.change, expected, step.predicted
            found = self._evaluator.action(*self._split(trial), rf)
            evaluations += 1
            settled = (whole or not exact) and level and expected <= least and not step.unfinished
            if settled and not (damping.any() or shared):
                return trial if found <= action else x, Reason.CONVERGED, iteration, evaluations
            if settled:
                # a damped step says too little of what is left
                damping, shared = np.zeros(sites.count), 0.0
                continue
            # by one norm, whatever the preconditioner is
            if not metric.length(step.change) > SHORTEST * metric.length(x):
                if not reused.give_up():
                    return x, Reason.STUCK, iteration, evaluations
                damping, shared = np.full(sites.count, FIRST), FIRST
                continue
            poor, good = self._compared(x, rf, here, step)
            ratio = (action - found) / expected if expected > 0.0 else -1.0
            taken = math.isfinite(found) and ratio > TAKEN
            if poor.any() and not ratio > WELL:
                some = x + self._elsewhere(step.change, poor)
                less = self._evaluator.action(*self._split(some), rf)
                evaluations += 1
                if less < (found if taken else action):
                    trial, taken = some, True
            low = not ratio > LOW
            if low and not poor.any():
                # what no site accounts for
                poor = ~poor
            damping = adapted(sites, damping, poor, good)
            shared = max(GROWS * shared, AGAIN) if low else FALLS * shared
            if not taken:
                narrow *= 0.25
                continue
            x = trial
            action, gradient = self._evaluator.value_and_gradient(*self._split(x), rf)
            here = sites.parts(*self._split(x))
        return x, Reason.LIMIT, iteration, evaluations

    def _compared(
        self, x: FloatArray, rf: FloatArray, here: Parts, step: Step
    ) -> tuple[BoolArray, BoolArray]:
        """Say around which sites a step was poor, and around which it was good."""
        sites, change = self._sites, step.change
        beside = sites.parts(*self._split(x + DIFFERENCE * change))
        slopes = (beside[0] - here[0]) / DIFFERENCE, (beside[1] - here[1]) / DIFFERENCE
        there = sites.parts(*self._split(x + change))
        return sites.compared(rf, here, slopes, there, NOISE * abs(step.predicted) / sites.count)

    def _elsewhere(self, change: FloatArray, poor: BoolArray) -> FloatArray:
        """Return a step without what lies near the poor sites, with a smooth edge."""
        sites, on_path = self._sites, self._evaluator.problem.unknowns.on_path
        near = sites.most_around(poor.astype(float))
        kept = 1.0 - np.minimum(2.0 * sites.around(near) / sites.around(np.ones_like(near)), 1.0)
        some = change.copy()
        some[:on_path].reshape(-1, self._evaluator.problem.D)[:] *= sites.on_path(kept)
        some[on_path:] *= kept.mean()
        return some

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
        exact = self._options.hessian == "exact"
        step = self._step(x, rf, gradient, metric, sides, limit / SHARE, reused, exact=exact)
        if step.concave is not None or step.unfinished:
            return Stationarity(True, False, math.nan, limit, -acting * sizes, held)
        change = self._box.project(x + step.change, sides) - x
        left = max(step.predicted, 0.0)
        return Stationarity(True, True, left, limit, change / sizes, held)

    def _hessian(
        self, x: FloatArray, rf: FloatArray, metric: Metric, *, exact: bool
    ) -> Callable[[FloatArray], FloatArray]:
        """Return the product with the Hessian and its damping."""
        X, theta = self._split(x)

        def product(v: FloatArray) -> FloatArray:
            return self._evaluator.hessian_product(X, theta, rf, v, exact=exact) + metric.extra * v

        return product

    def _step(
        self,
        x: FloatArray,
        rf: FloatArray,
        gradient: FloatArray,
        metric: Metric,
        sides: Sides,
        size: float,
        reused: Reused,
        *,
        exact: bool,
    ) -> Step:
        """Return a step that stays within the bounds, unless it is concave.

        Unknowns that would leave them stop there, and the others are computed again.
        """
        bounds, free = self._box.unknowns, ~sides.held
        # what is held goes to its bound, by less than the margin
        change = self._box.project(x, sides) - x
        hessian = self._hessian(x, rf, metric, exact=exact)
        for _ in range(PASSES):
            slope = gradient + hessian(change) if change.any() else gradient
            step = self._solved(x, metric, hessian, slope * free, free, size, reused)
            if step.concave is not None:
                return step
            there = x + change + step.change
            beyond = free & ((there < bounds.lower) | (there > bounds.upper))
            if not beyond.any():
                break
            change = np.where(beyond, np.clip(there, bounds.lower, bounds.upper) - x, change)
            free &= ~beyond
        change = np.clip(x + change + step.change, bounds.lower, bounds.upper) - x
        curved = hessian(change) - metric.extra * change
        predicted = -(_dot(gradient, change) + 0.5 * _dot(change, curved))
        return replace(step, change=change, predicted=predicted)

    def _solved(
        self,
        x: FloatArray,
        metric: Metric,
        hessian: Callable[[FloatArray], FloatArray],
        slope: FloatArray,
        free: BoolArray,
        size: float,
        reused: Reused,
    ) -> Step:
        """Solve for a step of the free unknowns, with the preconditioner that serves."""
        extra, _ = self._split(metric.extra)
        while True:
            # nothing else may hold the factors: larger ones take their place
            solve = reused.at(*self._split(x), self._split(free)[0], extra)
            step = _conjugate(hessian, free, metric.of(free, solve), slope, size, reused.budget)
            if step.concave is not None or not reused.learn(
                step.products, step.reduction, unfinished=step.unfinished
            ):
                return step

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
        return Metric(self._band, rf, measured + soft, scale, np.zeros(len(x)))


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
    extra: FloatArray  #: What damps each unknown, (M D + P,); `own` and `scale` have it in them.
    held: BoolArray | None = None  #: Unknowns that are taken out, (M D + P,).
    #: What solves for the path (M, D) in place of the lines.
    patches: Callable[[FloatArray], FloatArray] | None = None

    def damped(self, path: FloatArray, theta: float) -> Metric:
        """Return it with shares of its diagonal added: (D,) for the states, one for the rest."""
        size = self.own.size
        share = np.concatenate([np.tile(path, len(self.own)), np.full(len(self.scale), theta)])
        extra = share * self.diagonal
        own = self.own + extra[:size].reshape(self.own.shape)
        return replace(self, own=own, scale=self.scale + extra[size:], extra=extra)

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
    """A step, and the decrease that it predicts without its damping."""

    change: FloatArray
    predicted: float
    products: int = 0
    reduction: float = 1.0  #: Factor by which the square of the gradient's norm fell.
    unfinished: bool = False  #: Whether there were no more products.
    #: Of a direction without positive curvature, what each unknown has of it; the step is none.
    concave: FloatArray | None = None


def _conjugate(
    hessian: Callable[[FloatArray], FloatArray],
    free: BoolArray,
    metric: Metric,
    gradient: FloatArray,
    size: float,
    most: int,
) -> Step:
    """Minimise g.s + s.H s/2 approximately, until a direction has no positive curvature."""
    s, r = np.zeros_like(gradient), gradient.copy()
    z = metric.solve(r)
    p, rz = -z, _dot(r, z)
    first = rz
    goal = min(0.1, (first / size) ** 0.25) ** 2 * first
    products = 0
    while rz > goal and products < most:
        Hp = free * hessian(p)
        products += 1
        curvature = _dot(p, Hp)
        if not curvature > 0.0:
            return Step(s, 0.0, concave=p * Hp)
        alpha = rz / curvature
        s += alpha * p
        r += alpha * Hp
        z = metric.solve(r)
        rz, before = _dot(r, z), rz
        p = rz / before * p - z
    reduction = rz / first if first else 1.0
    return Step(s, 0.0, products, reduction, rz > goal)


def _dot(a: FloatArray, b: FloatArray) -> float:
    """Scalar product on this thread: BLAS would wake others for a microsecond's work."""
    return float(np.einsum("i,i->", a, b))
