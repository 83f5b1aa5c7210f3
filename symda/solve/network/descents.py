"""Quasi-Newton methods for a network: of all unknowns, of errors instead, and in blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from symda.build.network_layout import dot, room
from symda.solve.network.minimum import NetworkMinimum
from symda.solve.network.neurons import Neurons
from symda.solve.network.problem import NetworkProblem, Point
from symda.solve.network.secants import Secants
from symda.status import Reason
from symda.types import FloatArray

#: Where so little of the first slope is left that nothing gained any more is a minimum.
LEFT = 1e-3
#: The same at the limit of iterations: what is left is rounding.
ROUNDING = 1e-12
#: SciPy's word for a search along a line that found nothing lower.
LOST = 2
#: A function of a vector: its value and gradient.
Function = Callable[[FloatArray], tuple[float, FloatArray]]


#: How much larger `tol` is on rungs before the last.
LOOSER = 10.0


@dataclass(frozen=True)
class Everything:
    """SciPy's L-BFGS-B over all activities and weights, as the paper does (section 5.2).

    Parameters
    ----------
    max_iter : int
        Most iterations.
    tol : float
        It ends where an iteration gains less than this share of the action.
    memory : int
        Pairs that the approximation of the Hessian keeps.
    """

    max_iter: int = 5000
    tol: float = 1e-9
    memory: int = 20
    name: str = "lbfgs"

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; see `NetworkSolver.minimise`."""
        M, count = problem.M, problem.rows * problem.M
        X = room(problem.rows, problem.wide)

        def function(z: FloatArray) -> tuple[float, FloatArray]:
            X[:, :M] = z[:count].reshape(problem.rows, M)
            value, GX, G = problem.gradient(Point(X, z[count:]), rf)
            return value, np.concatenate([GX[:, :M].ravel(), G])

        first = np.concatenate([start.X[:, :M].ravel(), start.W])
        z, reason, done, calls = _lbfgsb(function, first, self, final=final)
        X[:, :M] = z[:count].reshape(problem.rows, M)
        return _ended(
            problem, start, Point(X, z[count:].copy()), rf, reason, done, calls, self.name
        )


@dataclass(frozen=True)
class Forcing:
    """L-BFGS-B over inputs, weights and errors: x = sum of terms + xi / sqrt(c_f Rf).

    The model term is |xi|^2/2 then, so that large Rf does not make it steep; as Rf grows it becomes
    back-propagation. Parameters as in `Everything`.
    """

    max_iter: int = 5000
    tol: float = 1e-9
    memory: int = 20
    name: str = "forcing"

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; see `NetworkSolver.minimise`."""
        p, M = problem, problem.M
        root = np.sqrt(p.c_f * rf)
        inputs = p.layout.every.size
        R, D = room(p.rows, p.wide), room(p.slopes, p.wide)
        p.passes.linearise(start.W, start.X, D, R, M)
        first = R * root
        first[:inputs] = start.X[:inputs]
        X, V = room(p.rows, p.wide), room(p.rows, p.wide)
        count = p.rows * M

        def lead(z: FloatArray) -> FloatArray:
            X[:, :M] = z[:count].reshape(p.rows, M)
            X[inputs:] /= root
            W = z[count:]
            p.passes.forward(W, X, D, M)
            X[:, M:] = 0.0
            return W

        def function(z: FloatArray) -> tuple[float, FloatArray]:
            W = lead(z)
            xi = z[:count].reshape(p.rows, M)[inputs:]
            e = X[p.outputs] - p.y_out
            cost, weight = p.cost(e)
            V.fill(0.0)
            V[p.outputs] = weight * e
            G = p.passes.adjoint(W, X, D, V, M, weights=True)
            assert G is not None
            G += p.wd * (W - p.w0)
            V[p.inputs] += p.q_in * (X[p.inputs] - p.y_in)
            if p.xd:
                V[p.unmeasured, :M] += p.xd * (X[p.unmeasured, :M] - p.x0)
            V[inputs:, :M] = V[inputs:, :M] / root + xi
            data, free = p.input_cost(X)
            value = data + free + float(cost.sum()) + p.weight_cost(W)
            value += 0.5 * dot(xi, xi)
            return value, np.concatenate([V[:, :M].ravel(), G])

        z, reason, done, calls = _lbfgsb(
            function, np.concatenate([first[:, :M].ravel(), start.W]), self, final=final
        )
        W = lead(z).copy()
        return _ended(p, start, Point(X, W), rf, reason, done, calls, self.name)


@dataclass(frozen=True)
class Blocks:
    """L-BFGS over all unknowns, preconditioned by the exact block of each pair's activities.

    The activities' block is that of the linearised network, solved by passes; the weights' are one
    block for each neuron, (neurons, fan in, fan in), which is the only thing of that size that is
    stored. Both are renewed every `renew` iterations. It goes on where directions without data,
    inputs that were not measured, stop other methods.

    Parameters
    ----------
    max_iter, tol, memory
        As in `Everything`.
    renew : int
        Iterations between two blocks.
    """

    max_iter: int = 2000
    tol: float = 1e-7
    memory: int = 5
    renew: int = 50
    name: str = "block"

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; see `NetworkSolver.minimise`."""
        M, count = problem.M, problem.rows * problem.M
        tol = self.tol if final else LOOSER * self.tol

        def point_of(z: FloatArray) -> Point:
            X = room(problem.rows, problem.wide)
            X[:, :M] = z[:count].reshape(problem.rows, M)
            return Point(X, z[count:].copy())

        def function(z: FloatArray) -> tuple[float, FloatArray]:
            with np.errstate(over="ignore", invalid="ignore"):
                value, GX, G = problem.gradient(point_of(z), rf)
            return value, np.concatenate([GX[:, :M].ravel(), G])

        z = np.concatenate([start.X[:, :M].ravel(), start.W])
        value, gradient = function(z)
        done = calls = 0
        reason = Reason.LIMIT if np.isfinite(value) else Reason.NO_VALUE
        while reason is Reason.LIMIT and done < self.max_iter:
            precondition = _Inverse(problem, point_of(z), rf)
            most = min(self.renew, self.max_iter - done)
            before = value
            z, value, gradient, steps, used = _lbfgs(
                function, z, value, gradient, precondition, most, self.memory
            )
            done, calls = done + steps, calls + used
            if value <= problem.rounding(rf):
                reason = Reason.CONVERGED
                break
            if problem.clock.over():
                reason = Reason.TIME
                break
            if not before - value > tol * abs(value) * max(steps, 1):
                reason = Reason.CREEPING if steps else Reason.STUCK
                break
        return _ended(problem, start, point_of(z), rf, reason, done, calls, self.name)


class _Inverse:
    """The inverse of the blocks of activities and weights at a point."""

    def __init__(self, problem: NetworkProblem, point: Point, rf: float) -> None:
        self.problem, self.point = problem, point
        self.cf = problem.c_f * rf
        p = problem
        self.D, R = room(p.slopes, p.wide), room(p.rows, p.wide)
        p.passes.linearise(point.W, point.X, self.D, R, p.M)
        _, q = p.cost(point.X[p.outputs] - p.y_out)
        S = p.passes.covariance(point.W, point.X, self.D, None, 1.0 / self.cf, p.spread, p.M)
        L = S.shape[1]
        S[:, np.arange(L), np.arange(L)] += 1.0 / q[:, : p.M].T
        self.S = np.linalg.inv(S)
        # neurons that are saturated, or of more weights than pairs, would go far for nothing
        held = p.wd + 1e-3 * p.precision
        self.neurons = Neurons(p, point.X, self.cf * self.D**2, held, share=1e-4)

    def __call__(self, gradient: FloatArray) -> FloatArray:
        """Return minus the step."""
        p, M = self.problem, self.problem.M
        count = p.rows * M
        V = room(p.rows, p.wide)
        V[:, :M] = gradient[:count].reshape(p.rows, M)
        x = self._free(V)
        V.fill(0.0)
        V[p.outputs, :M] = np.matmul(self.S, x[p.outputs].T[:M, :, None])[:, :, 0].T
        x -= self._free(V)
        return np.concatenate([x[:, :M].ravel(), self.neurons(gradient[count:])])

    def _free(self, V: FloatArray) -> FloatArray:
        """Multiply by the covariance that activities have without the outputs' data."""
        p, every = self.problem, self.problem.layout.every
        W, X = self.point.W, self.point.X
        p.passes.adjoint(W, X, self.D, V, p.M, weights=False)
        inputs = V[every] * p.spread[every]
        T = room(*V.shape)
        np.multiply(V, 1.0 / self.cf, out=T)
        T[every] = inputs
        p.passes.tangent(W, X, self.D, None, T, p.M)
        T[:, p.M :] = 0.0
        return T


def _lbfgs(
    function: Function,
    z: FloatArray,
    value: float,
    gradient: FloatArray,
    precondition: Callable[[FloatArray], FloatArray],
    most: int,
    memory: int,
) -> tuple[FloatArray, float, FloatArray, int, int]:
    """Nocedal's method with an inverse Hessian to begin with; steps are halved until they gain."""
    secants = Secants(memory)
    calls = 0
    for done in range(most):
        step = secants.step(gradient, precondition)
        descent = -dot(gradient, step)
        if not descent < 0.0:
            return z, value, gradient, done, calls
        length = 1.0
        for _ in range(30):
            trial = z - length * step
            new, slope = function(trial)
            calls += 1
            if new <= value + 1e-4 * length * descent:
                break
            length *= 0.5
        else:
            return z, value, gradient, done, calls
        secants.add(trial - z, slope - gradient)
        z, value, gradient = trial, new, slope
    return z, value, gradient, most, calls


def _lbfgsb(
    function: Function, first: FloatArray, options: Everything | Forcing, *, final: bool
) -> tuple[FloatArray, Reason, int, int]:
    """SciPy's; where it ended, why, iterations, and evaluations."""
    value, _ = function(first)
    # values are brought to about 1, which SciPy's tolerances are for
    unit = max(abs(value), np.finfo(float).tiny)

    def scaled(z: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = function(z)
        return value / unit, gradient / unit

    before, reason = 1.0, Reason.LIMIT
    tol = options.tol if final else LOOSER * options.tol

    def enough(intermediate_result: OptimizeResult) -> None:
        # SciPy's own test is a share of the first value, from which the action may fall a lot
        nonlocal before, reason
        now = float(intermediate_result.fun)
        if before - now <= tol * abs(now):
            reason = Reason.CREEPING
            raise StopIteration
        before = now

    found = minimize(
        scaled,
        first,
        jac=True,
        method="L-BFGS-B",
        callback=enough,
        options={
            "maxiter": options.max_iter,
            "maxfun": 2 * options.max_iter,
            "maxcor": options.memory,
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    if found.success or found.status == LOST:
        reason = Reason.STUCK
    return found.x, reason, int(found.nit), int(found.nfev)


def _ended(
    problem: NetworkProblem,
    start: Point,
    point: Point,
    rf: float,
    reason: Reason,
    done: int,
    calls: int,
    solver: str,
) -> NetworkMinimum:
    """Return where a solver ended; it converged where little of the slope is left.

    The slope is that by activities and weights, whatever the solver's own unknowns.
    """
    slopes = []
    for one in (start, point):
        _, GX, G = problem.gradient(one, rf)
        slopes.append(float(np.sqrt(dot(GX, GX) + dot(G, G))))
    slope = slopes[1] / slopes[0] if slopes[0] > 0.0 else 0.0
    if reason in (Reason.CREEPING, Reason.STUCK) and slope <= LEFT:
        reason = Reason.CONVERGED
    if reason is Reason.LIMIT and slope <= ROUNDING:
        reason = Reason.CONVERGED
    terms = problem.terms(point, rf)
    return NetworkMinimum(point, terms, reason.status, reason, done, calls, slope, solver)
