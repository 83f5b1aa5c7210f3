"""Levenberg and Marquardt's method for a network: activities are eliminated, then weights solved.

At a point the network is linearised: dx = D (W dx + dW x) - r + error, the errors with variance
1/(c_f Rf), the inputs with that of their data and priors. Given a change of the weights dW, the
activities that minimise the linearised action follow from the outputs' innovation e - J dW and its
covariance S: all of that are passes through the network, nothing is stored but activities and
slopes. What is left is least squares in dW,

    1/2 (e - J dW)^T S^-1 (e - J dW) + 1/2 sum wd (W + dW - W0)^2 + mu/2 sum u dW^2,

solved by conjugate gradients in the space of the data, (S + J C J^T) alpha = e - J C wd (W0 - W),
dW = C (J^T alpha + wd (W0 - W)) with C = 1/(wd + mu u), or, where there are more data than weights,
of the weights. The step is the exact one in all unknowns. The unit u of damping is the mean
curvature of a block of weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symda.build.network_layout import dot, room
from symda.solve.network.minimum import NetworkMinimum
from symda.solve.network.problem import NetworkProblem, Point
from symda.status import Reason
from symda.types import FloatArray

#: Shares of a step that are tried one after the other.
SHARES = (1.0, 0.3, 0.1)
#: A step is taken that gains so much of what it promised.
LEAST = 0.01
#: So many steps in a row that promise little, the last with no more than the first damping, are a
#: minimum. If steps with less damping than theirs were refused, and on rungs before the last, it
#: creeps.
SMALL = 2
#: Smallest damping, and the smallest curvature of a block, in units of the largest.
LEAST_DAMPING, LEAST_CURVATURE = 1e-9, 1e-10
#: What a step promises in units of the action, and a slope in units of the first, that is rounding.
ROUNDING, FLAT = 1e-13, 1e-6
#: How much larger `tol` is on rungs before the last.
LOOSER = 10.0


@dataclass(frozen=True)
class Levenberg:
    """The method; see the head of this file.

    Parameters
    ----------
    tol : float
        A minimum is where two accepted steps promised less than this share of the action, and the
        damping did not make them small.
    cg_tol, least_cg_tol : float
        Conjugate gradients end at this share of the first residual; it falls to the least, as what
        a step promises falls in units of the action.
    max_iter, max_cg : int
        Most steps, and most conjugate gradients of a step.
    damping : float
        First mu, in units of the mean curvature of each block of weights, so that it does not
        depend on their units.
    rejections : int
        So many steps refused in a row end it.
    """

    tol: float = 1e-4
    cg_tol: float = 1e-2
    least_cg_tol: float = 1e-4
    max_iter: int = 300
    max_cg: int = 500
    damping: float = 1e-3
    rejections: int = 8
    name: str = "newton"

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; see `NetworkSolver.minimise`."""
        tol = self.tol if final else LOOSER * self.tol
        work = _Linearised(problem, start.copy(), rf)
        mu, refused, inner, small, held = self.damping, 0, 0, 0, False
        first = work.slope()
        done, reason, cg_tol = 0, Reason.LIMIT, self.cg_tol
        if not np.isfinite(work.terms.total):
            reason = Reason.NO_VALUE
        elif not np.isfinite(first):
            reason = Reason.NO_SLOPE
        while reason is Reason.LIMIT and done < self.max_iter:
            if problem.clock.over():
                reason = Reason.TIME
                break
            if work.terms.total <= problem.rounding(rf):
                reason = Reason.CONVERGED
                break
            done += 1
            step, steps = work.step(mu, cg_tol, self.max_cg)
            inner += steps
            promised = work.terms.total - step.predicted
            if 0.0 <= promised <= ROUNDING * work.terms.total and mu <= self.damping:
                reason = Reason.CONVERGED
                break
            if not promised > 0.0 and cg_tol > self.least_cg_tol:
                # conjugate gradients were not exact enough to gain anything
                cg_tol = self.least_cg_tol
                continue
            good = promised > 0.0
            share = next(
                (s for s in SHARES if good and work.gain(step, s) > LEAST * s * promised), 0
            )
            before = work.terms.total
            if not share:
                refused += 1
                held = small > 0
                mu *= 8.0
                if refused >= self.rejections:
                    reason = Reason.STUCK
                    break
                continue
            work.accept()
            refused = 0
            ratio = (before - work.terms.total) / promised
            small = small + 1 if promised <= tol * before and share == 1.0 else 0
            held = held and small > 0
            if small and ratio > 0.25:
                if small >= SMALL and mu <= self.damping:
                    reason = Reason.CONVERGED
                    break
                if held or (small >= SMALL and not final):
                    reason = Reason.CREEPING
                    break
                mu = max(mu * 0.01, LEAST_DAMPING)
            elif share < 1.0 or ratio < 0.25:
                mu *= 3.0
            elif ratio > 0.75:
                mu = max(mu * 0.2, LEAST_DAMPING)
            cg_tol = min(cg_tol, max(promised / before, self.least_cg_tol))
        last = work.slope()
        if reason is Reason.STUCK and last <= FLAT * first:
            # what is left to gain is rounding
            reason = Reason.CONVERGED
        slope = last / first if first > 0.0 else 0.0
        return NetworkMinimum(
            work.point, work.terms, reason.status, reason, done, inner, slope, self.name
        )


@dataclass(frozen=True, eq=False)
class _Step:
    activities: FloatArray
    weights: FloatArray
    errors: FloatArray  #: c_f Rf times those of the nodes behind the inputs, afterwards.
    predicted: float  #: Of the linearised action, without damping.


class _Linearised:
    """A point with residuals and slopes, and what is asked of the linearised network there."""

    def __init__(self, problem: NetworkProblem, point: Point, rf: float) -> None:
        self.problem, self.point, self.rf = problem, point, rf
        self.cf = problem.c_f * rf
        self.R, self.D = room(problem.rows, problem.wide), room(problem.slopes, problem.wide)
        problem.passes.linearise(point.W, point.X, self.D, self.R, problem.M)
        self.terms = problem.terms_of(point, self.R, rf)
        self._spare = room(*self.R.shape), room(*self.D.shape)
        self._trial = (room(*self.R.shape), room(*self.D.shape), point, self.terms)
        self._weigh()
        self.unit = self._units()

    def _weigh(self) -> None:
        p = self.problem
        e = p.y_out - self.point.X[p.outputs]
        _, self.q_out = p.cost(e)
        self.v_out = np.where(
            self.q_out > 0.0, 1.0 / np.where(self.q_out > 0.0, self.q_out, 1.0), 0
        )
        self.in_data_space = p.outputs.size * p.M <= self.point.W.size

    def _units(self) -> FloatArray:
        """Return the mean curvature (W,) of the weights of each block, the unit of damping."""
        p = self.problem
        if not np.isfinite(self.terms.total):
            return np.full(p.network.weights, p.precision)
        S = p.passes.covariance(
            self.point.W, self.point.X, self.D, None, 1.0 / self.cf, p.spread, p.M
        )
        diagonal = p.wd + p.passes.curvature(
            self.point.W, self.point.X, self.D, self._inverse(S), p.M
        )
        unit = np.concatenate(
            [np.full(part.size, part.mean()) for part in p.network.split(diagonal)]
        )
        if not (np.isfinite(unit).all() and unit.max() > 0.0):
            return np.full(p.network.weights, p.precision)
        return np.asarray(np.maximum(unit, LEAST_CURVATURE * unit.max()))

    def slope(self) -> float:
        """Norm of the gradient."""
        _, GX, G = self.problem.gradient(self.point, self.rf)
        return float(np.sqrt(dot(GX, GX) + dot(G, G)))

    def gain(self, step: _Step, share: float = 1.0) -> float:
        """Return what a step gains, or a `share` of it; not positive where it leads nowhere.

        Where the activities go is either what the step says of them, or, as nearly as the
        linearised network does where Rf is large, what the equations say with the step's errors.
        """
        found = -np.inf
        for X in (self._followed(step, share), self._moved(step, share)):
            point = Point(X, self.point.W + share * step.weights)
            R, D = self._spare
            with np.errstate(over="ignore", invalid="ignore"):
                self.problem.passes.linearise(point.W, X, D, R, self.problem.M)
                terms = self.problem.terms_of(point, R, self.rf)
            gained = self.terms.total - terms.total
            if gained > found:
                found = gained
                self._spare, self._trial = self._trial[:2], (R, D, point, terms)
        return found

    def _moved(self, step: _Step, share: float) -> FloatArray:
        X = room(*self.point.X.shape)
        np.multiply(step.activities, share, out=X)
        X += self.point.X
        return X

    def _followed(self, step: _Step, share: float) -> FloatArray:
        p, X = self.problem, room(*self.point.X.shape)
        every = p.layout.every
        X[every.size :] = (1.0 - share) * self.R[every.size :] + (share / self.cf) * step.errors
        X[every] = self.point.X[every] + share * step.activities[every]
        with np.errstate(over="ignore", invalid="ignore"):
            p.passes.forward(self.point.W + share * step.weights, X, None, p.M)
        X[:, p.M :] = 0.0
        return X

    def accept(self) -> None:
        """Go where the last trial was."""
        old = self.R, self.D
        self.R, self.D, self.point, self.terms = self._trial
        self._trial = (*old, self.point, self.terms)
        self._weigh()

    def step(self, mu: float, tol: float, most: int) -> tuple[_Step, int]:
        """Return the step at this damping, and how many conjugate gradients it took."""
        p = self.problem
        freedom = 1.0 / (p.wd + mu * self.unit)
        pull = p.wd * (p.w0 - self.point.W)
        source = p.towards(self.point.X)
        hidden = p.layout.every.size
        source[hidden:] = -self.R[hidden:]
        if self.in_data_space:
            alpha, dW, steps = self._by_data(source, freedom, pull, tol, most)
        else:
            alpha, dW, steps = self._by_weights(source, freedom, pull, tol, most)
        V = room(p.rows, p.wide)
        V[p.outputs] = alpha
        p.passes.adjoint(self.point.W, self.point.X, self.D, V, p.M, weights=False)
        errors = V[hidden:].copy()
        self._spread(V)
        V += source
        p.passes.tangent(self.point.W, self.point.X, self.D, dW, V, p.M)
        V[:, p.M :] = 0.0
        return _Step(V, dW, errors, self._predicted(V, dW, errors)), steps

    def _predicted(self, dX: FloatArray, dW: FloatArray, errors: FloatArray) -> float:
        """Return the linearised action after a step, whose errors times c_f Rf are `errors`."""
        p, X = self.problem, self.point.X
        rest = p.y_out - X[p.outputs] - dX[p.outputs]
        before, _ = p.cost(p.y_out - X[p.outputs])
        squares = dot(self.q_out, rest**2) / 2.0
        if p.df is not None:
            squares += float(before.sum()) - 0.5 * float(
                dot(self.q_out, (p.y_out - X[p.outputs]) ** 2)
            )
        data, free = p.input_cost(X + dX)
        model = dot(errors, errors) / (2.0 * self.cf)
        return data + free + squares + model + p.weight_cost(self.point.W + dW)

    def _spread(self, V: FloatArray) -> None:
        """Multiply by the variances that errors and inputs have by themselves."""
        p = self.problem
        inputs = V[p.layout.every] * p.spread[p.layout.every]
        V *= 1.0 / self.cf
        V[p.layout.every] = inputs

    def _by_data(
        self,
        source: FloatArray,
        freedom: FloatArray,
        pull: FloatArray,
        tol: float,
        most: int,
    ) -> tuple[FloatArray, FloatArray, int]:
        p, W, X, D = self.problem, self.point.W, self.point.X, self.D
        first = freedom * pull
        moved = room(*source.shape)
        moved[:] = source
        p.passes.tangent(W, X, D, first, moved, p.M)
        e = (p.y_out - X[p.outputs] - moved[p.outputs]) * (self.q_out > 0.0)
        V = room(p.rows, p.wide)

        def apply(alpha: FloatArray) -> FloatArray:
            back = self._back(V, alpha)
            self._spread(V)
            p.passes.tangent(W, X, D, freedom * back, V, p.M)
            return (V[p.outputs] + self.v_out * alpha) * (self.q_out > 0.0)

        S = p.passes.covariance(W, X, D, freedom, 1.0 / self.cf, p.spread, p.M)
        inverse = self._inverse(S)
        alpha, steps = _conjugate_gradients(apply, lambda r: _each(inverse, r), e, tol, most)
        return alpha, first + freedom * self._back(V, alpha), steps

    def _by_weights(
        self,
        source: FloatArray,
        freedom: FloatArray,
        pull: FloatArray,
        tol: float,
        most: int,
    ) -> tuple[FloatArray, FloatArray, int]:
        p, W, X, D = self.problem, self.point.W, self.point.X, self.D
        moved = room(*source.shape)
        moved[:] = source
        p.passes.tangent(W, X, D, None, moved, p.M)
        e = (p.y_out - X[p.outputs] - moved[p.outputs]) * (self.q_out > 0.0)
        S = p.passes.covariance(W, X, D, None, 1.0 / self.cf, p.spread, p.M)
        inverse = self._inverse(S)
        V = room(p.rows, p.wide)
        turned = room(inverse.shape[1] ** 2, p.wide)
        turned[:, : p.M] = inverse.reshape(p.M, -1).T
        diagonal = p.passes.curvature(W, X, D, inverse, p.M) + 1.0 / freedom

        def apply(dW: FloatArray) -> FloatArray:
            return p.passes.normal(W, X, D, dW, turned, p.M) + dW / freedom

        right = self._back(V, _each(inverse, e)) + pull
        dW, steps = _conjugate_gradients(apply, lambda r: r / diagonal, right, tol, most)
        V.fill(0.0)
        p.passes.tangent(W, X, D, dW, V, p.M)
        return _each(inverse, e - V[p.outputs]), dW, steps

    def _back(self, V: FloatArray, alpha: FloatArray) -> FloatArray:
        """Send `alpha` back from the outputs: V holds what arrives; return J^T alpha."""
        p = self.problem
        V.fill(0.0)
        V[p.outputs] = alpha
        found = p.passes.adjoint(self.point.W, self.point.X, self.D, V, p.M, weights=True)
        assert found is not None
        return found

    def _inverse(self, S: FloatArray) -> FloatArray:
        L = S.shape[1]
        S[:, np.arange(L), np.arange(L)] += self.v_out[:, : self.problem.M].T
        return np.asarray(np.linalg.inv(S), dtype=np.float64)


def _each(inverse: FloatArray, r: FloatArray) -> FloatArray:
    """Multiply outputs (L, pairs) by each pair's matrix, inverse (M, L, L)."""
    z, M = np.zeros_like(r), len(inverse)
    z[:, :M] = np.matmul(inverse, r.T[:M, :, None])[:, :, 0].T
    return z


def _conjugate_gradients(
    apply: Callable[[FloatArray], FloatArray],
    precondition: Callable[[FloatArray], FloatArray],
    right: FloatArray,
    tol: float,
    most: int,
) -> tuple[FloatArray, int]:
    """Solve apply(x) = right from 0, until the preconditioned residual is `tol` of the first."""
    x, r = np.zeros_like(right), right.copy()
    z = precondition(r)
    p, old = z.copy(), dot(r, z)
    end = tol * tol * old
    steps = 0
    while old > end and steps < most:
        q = apply(p)
        bend = dot(p, q)
        if not bend > 0.0:
            break
        x += (old / bend) * p
        r -= (old / bend) * q
        z = precondition(r)
        new = dot(r, z)
        p *= new / old
        p += z
        old, steps = new, steps + 1
    return x, steps
