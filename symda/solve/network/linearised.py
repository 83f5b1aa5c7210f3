"""A network linearised at a point, and the inverse of its Gauss-Newton Hessian.

Unknowns are the inputs and the errors of all nodes behind them, (rows, pairs), and the weights: one
vector v, of which activities follow. The action is a sum of squares of v itself, with variances C
(those of the inputs' data and priors, 1/(c_f Rf), and 1/wd), and of the outputs' data. With J the
outputs' derivatives by v and Q the data's weights, the Hessian without second derivatives is
C^-1 + J^T Q J, and

    d = C (q - J^T alpha),    (Q^-1 + J C J^T) alpha = b,    b = J C q - Q^-1 a

solves it for q + J^T a, in the space of the data. A gradient is such a sum, with a the slope by the
outputs, which stands behind it in its vector: left in one, q would be large where the data say much
and be cancelled by J^T alpha. Where there are more data than weights, inputs and errors u are
eliminated pair by pair, and what is left is solved in the space of the weights,

    (C_w^-1 + J_w^T S^-1 J_w) dw = q_w - J_w^T S^-1 b_u,    alpha = S^-1 (b_u + J_w dw),

with S = Q^-1 + J_u C_u J_u^T and b_u = J_u C_u q_u - Q^-1 a.

All products are passes through the network; nothing is stored but activities and slopes, and a
block for each pair or each neuron, which conjugate gradients are preconditioned with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symda.build.network_layout import dot, room
from symda.solve.network.neurons import Neurons
from symda.solve.network.problem import NetworkProblem, Point, Terms
from symda.types import FloatArray

#: Smallest curvature of a block, in units of the largest.
LEAST_CURVATURE = 1e-10


@dataclass(frozen=True, eq=False)
class Place:
    """A point with residuals and slopes of its nodes, and the action's terms."""

    point: Point
    R: FloatArray
    D: FloatArray
    terms: Terms

    @property
    def action(self) -> float:
        """The action."""
        return self.terms.total


class Linearised:
    """A place that steps are taken from, with the gradient (unknowns,) there."""

    def __init__(self, problem: NetworkProblem, point: Point, rf: float) -> None:
        self.problem, self.rf = problem, rf
        self.cf = problem.c_f * rf
        self.place = self._place(point)
        self.gradient = self._gradient()

    @property
    def action(self) -> float:
        """The action here."""
        return self.place.action

    @property
    def point(self) -> Point:
        """Activities and weights here."""
        return self.place.point

    def unknowns(self) -> FloatArray:
        """Return inputs, errors and weights here."""
        p = self.problem
        v = self.vector()
        rows, weights, _ = self.parts(v)
        rows[:] = self.place.R
        rows[p.layout.every] = self.point.X[p.layout.every]
        weights[:] = self.point.W
        return v

    def vector(self) -> FloatArray:
        """Return zeros in place of the unknowns, at an address that passes take."""
        p = self.problem
        return room(1, (p.rows + p.outputs.size) * p.wide + p.network.weights).ravel()

    def parts(self, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return rows (rows, pairs), weights (weights,), slopes by outputs; none is copied."""
        p = self.problem
        count, last = p.rows * p.wide, p.rows * p.wide + p.network.weights
        return v[:count].reshape(p.rows, p.wide), v[count:last], v[last:].reshape(-1, p.wide)

    def _place(self, point: Point) -> Place:
        p = self.problem
        R, D = room(p.rows, p.wide), room(p.slopes, p.wide)
        with np.errstate(over="ignore", invalid="ignore"):
            p.passes.linearise(point.W, point.X, D, R, p.M)
            return Place(point, R, D, p.terms_of(point, R, self.rf))

    def _gradient(self) -> FloatArray:
        p, W, X = self.problem, self.point.W, self.point.X
        v = self.vector()
        rows, weights, outputs = self.parts(v)
        e = X[p.outputs] - p.y_out
        with np.errstate(over="ignore", invalid="ignore"):
            _, q = p.cost(e)
            np.multiply(q, e, out=outputs)
            rows[p.outputs] = outputs
            G = p.passes.adjoint(W, X, self.place.D, rows, p.M, weights=True)
        assert G is not None
        rows[p.inputs] += p.q_in * (X[p.inputs] - p.y_in)
        if p.xd:
            rows[p.unmeasured, : p.M] += p.xd * (X[p.unmeasured, : p.M] - p.x0)
        # residuals of inputs are 0
        rows += self.cf * self.place.R
        rows[:, p.M :] = 0.0
        np.add(G, p.wd * (W - p.w0), out=weights)
        return v

    def slope(self) -> float:
        """Norm of the gradient by activities and weights."""
        _, GX, G = self.problem.gradient(self.point, self.rf)
        return float(np.sqrt(dot(GX, GX) + dot(G, G)))

    def unit(self) -> FloatArray:
        """Return the mean curvature (weights,) of each block of weights, the unit of damping."""
        p = self.problem
        if not np.isfinite(self.action):
            return np.full(p.network.weights, p.precision)
        inverse = self.covariance(None, self.noise())
        weight = p.passes.curvature(self.point.W, self.point.X, self.place.D, inverse, p.M)
        means = [one.mean() for one in p.network.split(p.wd)]
        slopes = 0
        for node in p.network.nodes:
            for term in node.terms:
                each = weight[slopes : slopes + node.width, : p.M].sum(axis=0)
                slopes += node.width
                received = [(one.block, self._squares(one.source)) for one in term.connections]
                if term.bias is not None:
                    received.append((term.bias, np.ones(p.M)))
                for block, squares in received:
                    means[block] += dot(each, squares) / p.network.blocks[block].size
        unit = np.concatenate(
            [np.full(b.size, m) for b, m in zip(p.network.blocks, means, strict=True)]
        )
        if not (np.isfinite(unit).all() and unit.max() > 0.0):
            return np.full(p.network.weights, p.precision)
        return np.asarray(np.maximum(unit, LEAST_CURVATURE * unit.max()))

    def _squares(self, node: int) -> FloatArray:
        p = self.problem
        X = self.point.X[p.layout.rows[node] : p.layout.rows[node + 1], : p.M]
        return np.asarray((X * X).sum(axis=0))

    def noise(self) -> FloatArray:
        """Return the variance of the outputs' data (outputs, pairs); 0 where there is no pair."""
        p = self.problem
        _, q = p.cost(p.y_out - self.point.X[p.outputs])
        return np.divide(1.0, q, out=np.zeros_like(q), where=q > 0.0)

    def covariance(self, freedom: FloatArray | None, noise: FloatArray) -> FloatArray:
        """Return the inverse covariances (M, L, L) of each pair's outputs."""
        p, place = self.problem, self.place
        S = p.passes.covariance(
            place.point.W, place.point.X, place.D, freedom, 1.0 / self.cf, p.spread, p.M
        )
        k = np.arange(S.shape[1])
        S[:, k, k] += noise[:, : p.M].T
        return np.asarray(np.linalg.inv(S), dtype=np.float64)

    def spread(self, rows: FloatArray) -> None:
        """Multiply by the variances that errors and inputs have by themselves."""
        p = self.problem
        inputs = rows[p.layout.every] * p.spread[p.layout.every]
        rows *= 1.0 / self.cf
        rows[p.layout.every] = inputs

    def activities(self, step: FloatArray) -> FloatArray:
        """Return where the linearised network has activities (rows, pairs) go."""
        p = self.problem
        rows, weights, _ = self.parts(step)
        T = room(*rows.shape)
        T[:] = rows
        p.passes.tangent(self.point.W, self.point.X, self.place.D, weights, T, p.M)
        T[:, p.M :] = 0.0
        return T

    def trials(self, step: FloatArray) -> Callable[[float], tuple[Place, bool]]:
        """Return where a share of a step leads, and whether it is straight in the unknowns.

        Activities go where the equations have them with the step's errors, which is straight, or
        where the linearised network does, which is so in the activities: the lower of both. Where
        Rf is large it is the former.
        """
        p, here = self.problem, self.place
        rows, weights, _ = self.parts(step)
        every, T = p.layout.every, self.activities(step)

        def trial(share: float) -> tuple[Place, bool]:
            W = self.point.W + share * weights
            X, moved = room(*rows.shape), room(*rows.shape)
            np.multiply(rows, share, out=X)
            X += here.R
            X[every] += self.point.X[every]
            with np.errstate(over="ignore", invalid="ignore"):
                p.passes.forward(W, X, None, p.M)
            X[:, p.M :] = 0.0
            np.multiply(T, share, out=moved)
            moved += self.point.X
            straight, bent = self._place(Point(X, W)), self._place(Point(moved, W))
            # an action that is not a number is not lower
            return (bent, False) if not straight.action <= bent.action else (straight, True)

        return trial

    def go(self, place: Place) -> None:
        """Go there."""
        self.place = place
        self.gradient = self._gradient()


class Inverse:
    """The inverse of the Gauss-Newton Hessian, damped, by conjugate gradients.

    Parameters
    ----------
    damping : (weights,) array
        What is added to the curvature of the weights.
    tol : float
        Conjugate gradients end at this share of the first residual.
    most : int
        Most of them.
    """

    def __init__(self, at: Linearised, damping: FloatArray, tol: float, most: int) -> None:
        self.at, self.tol, self.most = at, tol, most
        p = at.problem
        #: How many conjugate gradients there were.
        self.steps = 0
        self.noise = at.noise()
        self.known = self.noise > 0.0
        self.freedom = 1.0 / (p.wd + damping)
        self.in_data_space = p.fewer_data
        self.pairs = at.covariance(self.freedom if self.in_data_space else None, self.noise)

    def __call__(self, gradient: FloatArray) -> FloatArray:
        """Multiply by it."""
        at, p = self.at, self.at.problem
        by_rows, by_weights, a = at.parts(gradient)
        d = at.vector()
        rows, weights, _ = at.parts(d)
        V, G = self._back(a)
        np.subtract(by_rows, V, out=rows)
        G = by_weights - G
        at.spread(rows)
        T = room(*rows.shape)
        T[:] = rows
        if self.in_data_space:
            weights[:] = self.freedom * G
            right = self._outputs(T, weights) - self.noise * a
            alpha = self._solve(self._of_data, lambda r: _each(self.pairs, r), right * self.known)
        else:
            right = (self._outputs(T, None) - self.noise * a) * self.known
            G -= self._back(_each(self.pairs, right))[1]
            weights[:] = self._by_weights(G)
            T.fill(0.0)
            alpha = _each(self.pairs, (right + self._outputs(T, weights)) * self.known)
        V, G = self._back(alpha)
        if self.in_data_space:
            weights -= self.freedom * G
        at.spread(V)
        rows -= V
        rows[:, p.M :] = 0.0
        return d

    def _of_data(self, alpha: FloatArray) -> FloatArray:
        V, G = self._back(alpha)
        self.at.spread(V)
        return (self._outputs(V, self.freedom * G) + self.noise * alpha) * self.known

    def _by_weights(self, right: FloatArray) -> FloatArray:
        p, place = self.at.problem, self.at.place
        given = place.point.W, place.point.X, place.D
        turned = room(self.pairs.shape[1] ** 2, p.wide)
        turned[:, : p.M] = self.pairs.reshape(p.M, -1).T
        weight = p.passes.curvature(*given, self.pairs, p.M)
        neurons = Neurons(p, place.point.X, weight, 1.0 / self.freedom)

        def apply(dW: FloatArray) -> FloatArray:
            return p.passes.normal(*given, dW, turned, p.M) + dW / self.freedom

        return self._solve(apply, neurons, right)

    def _outputs(self, rows: FloatArray, weights: FloatArray | None) -> FloatArray:
        """Return J v (outputs, pairs); `rows` are written over."""
        p, place = self.at.problem, self.at.place
        p.passes.tangent(place.point.W, place.point.X, place.D, weights, rows, p.M)
        return np.asarray(rows[p.outputs])

    def _back(self, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return J^T alpha: rows and weights."""
        p, place = self.at.problem, self.at.place
        V = room(p.rows, p.wide)
        V[p.outputs] = alpha
        G = p.passes.adjoint(place.point.W, place.point.X, place.D, V, p.M, weights=True)
        assert G is not None
        return V, G

    def _solve(
        self,
        apply: Callable[[FloatArray], FloatArray],
        precondition: Callable[[FloatArray], FloatArray],
        right: FloatArray,
    ) -> FloatArray:
        """Solve apply(x) = right from 0, by the preconditioned residual."""
        x, r = np.zeros_like(right), right.copy()
        z = precondition(r)
        p, old = z.copy(), dot(r, z)
        end, steps = self.tol * self.tol * old, 0
        while old > end and steps < self.most:
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
        self.steps += steps
        return x


def _each(inverse: FloatArray, r: FloatArray) -> FloatArray:
    """Multiply outputs (L, pairs) by each pair's matrix, inverse (M, L, L)."""
    z, M = np.zeros_like(r), len(inverse)
    z[:, :M] = np.matmul(inverse, r.T[:M, :, None])[:, :, 0].T
    return z
