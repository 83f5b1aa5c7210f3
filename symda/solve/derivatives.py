"""The action's derivatives as the banded solver wants them: nonzeros, and what damping is of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.emit.lanes import LEAST_PIVOT
from symda.solve.bordered import Bordered
from symda.solve.options import UNDETERMINED
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator


@dataclass(frozen=True, eq=False)
class Point:
    """The action at one point with its derivatives by (flat path, theta)."""

    action: float
    #: `scale` is the diagonal of the Gauss-Newton Hessian, (M D + P,).
    gradient: FloatArray
    scale: FloatArray
    hessian: FloatArray  #: (nonzeros,)
    pattern: Bordered  #: Where the nonzeros stand.

    def finite_without(self, held: BoolArray) -> bool:
        """Whether there is a way on from here, for the unknowns that are not held.

        On a bound that holds it, an unknown may have an infinite slope.
        """
        gradient = np.where(held, 0.0, self.gradient)
        return math.isfinite(self.action) and bool(np.isfinite(gradient).all())

    def steepest(self, held: BoolArray) -> float:
        """Return max g^2/scale over the unknowns that are not held."""
        free = (self.scale > 0.0) & ~held
        return float(np.max(self.gradient[free] ** 2 / self.scale[free], initial=0.0))

    def step(self, mu: float, held: BoolArray) -> FloatArray | None:
        """Newton step with damping mu; None where the Hessian is not positive definite."""
        return self.solve(mu, held, -self.gradient)

    def solve(self, mu: float, held: BoolArray, right: FloatArray) -> FloatArray | None:
        """Solve with the damped Hessian; None where it is not positive definite."""
        least = LEAST_PIVOT * self.scale
        return self.pattern.solve(self.hessian, mu * self.scale, right, held, least)


class Derivatives:
    """Action, gradient, Hessian and Gauss-Newton diagonal of a problem.

    Parameters
    ----------
    exact : bool
        Whether the Hessian has the residuals' curvature.
    """

    def __init__(self, evaluator: BlockEvaluator, *, exact: bool) -> None:
        p, layout = evaluator.problem, evaluator.layout
        self._evaluator = evaluator
        self._exact = exact
        self._split = p.unknowns.split
        self._upper = layout.folded
        columns = np.repeat(np.arange(layout.unknowns), np.diff(layout.folded.starts))
        lengths = [segment.points * p.D for segment in p.segments]
        self._pattern = Bordered(
            layout.folded.rows, columns, p.unknowns.on_path, p.P, p.use, lengths
        )
        self._residual, unknown = self._triplet("step_jacobian")
        self._felt = layout.step_unknowns[:, unknown].reshape(-1)
        rows, columns = self._triplet("point_hessian")
        self._diagonal = np.flatnonzero(rows == columns)
        self._seen = layout.point_unknowns[:, rows[self._diagonal]].reshape(-1)
        self._known, self._prior_diagonal = np.empty(0, np.int64), np.empty(0, np.int64)
        if evaluator.kernels.engine.has_prior:
            rows, columns = self._triplet("prior_hessian")
            self._prior_diagonal = np.flatnonzero(rows == columns)
            self._known = layout.prior_unknowns[:, rows[self._prior_diagonal]].reshape(-1)
        self._floor = np.zeros(layout.unknowns)
        self._floor[p.unknowns.on_path :] = UNDETERMINED / p.typical**2

    def _triplet(self, name: str) -> tuple[IntArray, IntArray]:
        rows, columns = self._evaluator.kernels.functions[name].sparsity_out(0).get_triplet()
        return np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)

    def action(self, x: FloatArray, rf: FloatArray) -> float:
        """Return the action."""
        return self._evaluator.action(*self._split(x), rf)

    def at(self, x: FloatArray, rf: FloatArray) -> Point:
        """Return the action with its derivatives."""
        p, packed = self._evaluator.problem, self._evaluator.packed
        engine, given = self._evaluator.kernels.engine, self._evaluator.given
        X, values = self._evaluator.split(*self._split(x))
        action, gradient = self._evaluator.value_and_gradient(X, values, rf)
        theta = packed.pieces(values)
        steps = engine.step_hessian(X, theta, packed.steps, self._evaluator.by_step(rf))
        at, own = packed.row_states(X), packed.row_pieces(values)
        points = least = engine.point_gauss_newton(at, own, packed.points)
        slope = np.zeros_like(p.initial)
        if self._exact:
            slope = self._evaluator.first_slopes(X, values, rf)
            points = engine.point_hessian(at, own, packed.points)
        else:
            residual = engine.step_residual(X, theta, packed.steps)
            lam = self._evaluator.weigh(rf, residual)
            self._take_curvature(steps, engine.step_curvature(X, theta, packed.steps, lam))
        jacobian = engine.step_jacobian(X, theta, packed.steps)
        scale = self._floor + self._squares(jacobian, rf)
        scale += np.bincount(self._seen, least[:, self._diagonal].reshape(-1), len(x))
        known = self._evaluator.prior_hessian(X, values)
        if known.size:
            diagonal = known[:, self._prior_diagonal]
            scale += np.bincount(self._known, np.abs(diagonal).reshape(-1), len(x))
        scale = given.scale(scale, values)
        nonzeros = self._evaluator.nonzeros(steps, points, X, values, slope)
        hessian = self._upper.add_up(nonzeros)
        return Point(action, gradient, scale, hessian, self._pattern)

    def _squares(self, jacobian: FloatArray, rf: FloatArray) -> FloatArray:
        """Diagonal of J^T W J by all unknowns, of the nonzeros of the steps' Jacobians."""
        if self._evaluator.problem.correlations:
            every = self._evaluator.layout.jacobian.assemble(jacobian.reshape(-1))
            found: FloatArray = (self._evaluator.roots(rf) @ every).power(2).sum(axis=0)
            return found
        squares = jacobian**2 * self._evaluator.weights(rf)[:, self._residual]
        return np.asarray(np.bincount(self._felt, squares.reshape(-1), self._floor.size), float)

    def _take_curvature(self, steps: FloatArray, curvature: FloatArray) -> None:
        """Take the residuals' curvature off the Hessians of the steps, whose pattern holds its."""
        place = {at: k for k, at in enumerate(zip(*self._triplet("step_hessian"), strict=True))}
        at = zip(*self._triplet("step_curvature"), strict=True)
        steps[:, [place[entry] for entry in at]] -= curvature
