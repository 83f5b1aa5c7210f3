"""Initial values that are no unknowns: numbers, and functions x_0 = g(theta) of the parameters.

The action is then a function of the other unknowns only. By the chain rule what a derivative by x_0
would be is folded into those by theta: with G = dg/dtheta and T the identity but for (rows x_0, 0)
and (x_0, columns theta) = G, gradient and Hessian are T' g and T' H T + sum_a (dA/dx_0a) D2g_a.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from symda.build.engines import Engine
from symda.build.layout import Packed, ProblemLayout
from symda.errors import InputError
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csr_array

    from symda.observe import Problem


class Given:
    """The given initial values of a problem.

    Parameters
    ----------
    problem : Problem
    functions : mapping of str to casadi.Function
        g with its derivatives, see `symda.derive.field.Field`; empty if there are none.

    Raises
    ------
    InputError
        If the problem has functions as initial values, and the kernels were made without.
    """

    def __init__(self, problem: Problem, functions: Mapping[str, ca.Function]) -> None:
        self._p, self.functions = problem, functions
        self.any = bool(problem.given.any())
        self.tied = bool(problem.tied.any())
        if self.tied and not functions:
            raise InputError(
                "The problem has initial values that are functions of parameters, which these "
                "kernels were made without. Bind the data to the action they were made from."
            )

    def state(self, first: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the state at the first grid point, (D,), with what is given put in."""
        p = self._p
        found = np.where(np.isnan(p.initial[0]), first, p.initial[0])
        if self.tied:
            values = np.asarray(self.functions["initial"](theta).full()).reshape(-1)
            found = np.where(p.tied[0], values, found)
        return found

    def path(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return a path with what is given put in."""
        if not self.any:
            return path
        placed = path.copy()
        placed[0] = self.state(path[0], theta)
        return placed

    def slopes(self, theta: FloatArray) -> FloatArray:
        """Return dx_0/dtheta, (D, P): 0 where the state is no function of theta."""
        p = self._p
        if not self.tied:
            return np.zeros((p.D, p.P))
        found = np.asarray(self.functions["initial_jacobian"](theta)[1].full())
        return np.where(p.tied[0][:, None], found, 0.0)

    def fold(self, gradient: FloatArray, theta: FloatArray) -> FloatArray:
        """Fold the derivatives by x_0 of a gradient (M D + P,) into those by theta."""
        if not self.any:
            return gradient
        p, folded = self._p, gradient.copy()
        folded[p.unknowns.on_path :] += self.slopes(theta).T @ gradient[: p.D]
        folded[: p.D][p.given] = 0.0
        return folded

    def columns(self, matrix: csr_array, theta: FloatArray) -> csr_array:
        """Do the same with the columns of a Jacobian, M D + P of them."""
        if not self.any:
            return matrix
        folded: csr_array = (matrix @ self._tangent(theta)).tocsr()
        return folded

    def along(self, change: FloatArray, theta: FloatArray) -> FloatArray:
        """Return a change of the unknowns (M D + P,) with what it makes of x_0."""
        return self._tangent(theta) @ change if self.any else change

    def scale(self, scale: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the Gauss-Newton diagonal with the share of x_0 added to that of theta.

        Without the mixed terms: it is a size only.
        """
        if not self.any:
            return scale
        found = scale.copy()
        found[self._p.unknowns.on_path :] += (self.slopes(theta) ** 2).T @ scale[: self._p.D]
        return found

    def slope(
        self, engine: Engine, packed: Packed, path: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> FloatArray:
        """Return the derivatives of the action by the first state, as if it were free, (D,)."""
        p = self._p
        if not self.tied:
            return np.zeros(p.D)
        window = path[: 2 + p.interior]
        by_step = engine.step_gradient(window, theta, packed.steps[:1], rf)[1][0]
        by_point = engine.point_gradient(path[:1], theta, packed.points[:1])[1][0]
        slope: FloatArray = by_step[: p.D] + by_point[: p.D]
        return slope

    def nonzeros(
        self,
        layout: ProblemLayout,
        by_step: FloatArray,
        by_point: FloatArray,
        slope: FloatArray,
        theta: FloatArray,
    ) -> FloatArray:
        """Nonzeros of the Hessian, of those of steps and points, as `layout.folded` adds them up.

        Parameters
        ----------
        by_step, by_point : (N, ...), (M, ...)
            Nonzeros of the Hessians of steps and points.
        slope : (D,)
            See `slope`; 0 leaves the curvature of g out.
        theta : (P,)
        """
        parts = [by_step.reshape(-1), by_point.reshape(-1)]
        if self.any:
            first = layout.first_hessian(by_step[0], by_point[0])
            parts.append(self._correction(first, slope, theta))
        return np.concatenate(parts)

    def _correction(
        self, hessian: FloatArray, by_state: FloatArray, theta: FloatArray
    ) -> FloatArray:
        """Return what folding adds to the upper triangle of the first step's Hessian (W, W)."""
        p, W = self._p, len(hessian)
        T = np.eye(W)
        T[: p.D, : p.D][np.diag(p.given)] = 0.0
        T[: p.D, W - p.P :] += self.slopes(theta)
        change = T.T @ hessian @ T - hessian
        if self.tied:
            weights = np.where(p.tied[0], by_state, 0.0)
            lower = np.asarray(self.functions["initial_curvature"](theta, weights).full())
            change[W - p.P :, W - p.P :] += lower + np.tril(lower, -1).T
        found: FloatArray = change[np.triu_indices(W)]
        return found

    def _tangent(self, theta: FloatArray) -> csr_array:
        from scipy.sparse import coo_array

        p = self._p
        count, G = p.unknowns.count, self.slopes(theta)
        kept = np.ones(count)
        kept[: p.D][p.given] = 0.0
        rows, columns = np.nonzero(G)
        at = np.arange(count)
        tangent: csr_array = coo_array(
            (
                np.concatenate([kept, G[rows, columns]]),
                (np.concatenate([at, rows]), np.concatenate([at, p.unknowns.on_path + columns])),
            ),
            shape=(count, count),
        ).tocsr()
        return tangent
