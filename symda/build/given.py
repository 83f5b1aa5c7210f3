"""Initial values that are no unknowns: numbers, and functions x_0 = g(theta) of the parameters.

The action is then a function of the other unknowns only. By the chain rule what a derivative by x_0
would be is folded into those by theta: with G = dg/dtheta and T the identity but for (rows x_0, 0)
and (x_0, columns theta) = G, gradient and Hessian are T' g and T' H T + sum_a (dA/dx_0a) D2g_a. Of
several experiments each has its own x_0 = g(theta), theta being its own parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from symda.build.layout import ProblemLayout
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

    def state(self, first: FloatArray, theta: FloatArray, s: int = 0) -> FloatArray:
        """Return the first state of an experiment, (D,), with what is given put in."""
        p = self._p
        found = np.where(np.isnan(p.initial[s]), first, p.initial[s])
        if p.tied[s].any():
            values = np.asarray(self.functions["initial"](theta[p.use[s]]).full()).reshape(-1)
            found = np.where(p.tied[s], values, found)
        return found

    def path(self, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Return a path with what is given put in."""
        if not self.any:
            return path
        placed = path.copy()
        for s, segment in enumerate(self._p.segments):
            placed[segment.first_point] = self.state(path[segment.first_point], theta, s)
        return placed

    def slopes(self, theta: FloatArray, s: int) -> FloatArray:
        """Return dx_0/dtheta of an experiment, (D, p): 0 where it is no function of theta."""
        p = self._p
        if not p.tied[s].any():
            return np.zeros((p.D, p.use.shape[1]))
        found = np.asarray(self.functions["initial_jacobian"](theta[p.use[s]])[1].full())
        return np.where(p.tied[s][:, None], found, 0.0)

    def fold(self, gradient: FloatArray, theta: FloatArray) -> FloatArray:
        """Fold the derivatives by x_0 of a gradient (M D + P,) into those by theta."""
        if not self.any:
            return gradient
        p, folded = self._p, gradient.copy()
        for s, at in enumerate(p.first_unknowns):
            folded[p.unknowns.on_path + p.use[s]] += self.slopes(theta, s).T @ gradient[at]
        folded[p.first_unknowns[p.given]] = 0.0
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
        p, found = self._p, scale.copy()
        for s, at in enumerate(p.first_unknowns):
            found[p.unknowns.on_path + p.use[s]] += (self.slopes(theta, s) ** 2).T @ scale[at]
        return found

    def changes(
        self, layout: ProblemLayout, parts: list[FloatArray], slope: FloatArray, theta: FloatArray
    ) -> FloatArray:
        """Return what folding adds to the Hessian, as `layout.folded` adds it up.

        Parameters
        ----------
        parts
            Nonzeros of the Hessians of steps, rows of data and priors, a row each.
        slope : (S, D)
            Derivatives of the action by the first states, as if they were free; 0 leaves the
            curvature of g out.
        theta : (P,)
        """
        if not self.any:
            return np.empty(0)
        found = [
            self._change(layout.first_hessian(s, parts), slope[s], theta, s)
            for s in range(len(self._p.segments))
        ]
        return np.concatenate(found)

    def _change(
        self, hessian: FloatArray, by_state: FloatArray, theta: FloatArray, s: int
    ) -> FloatArray:
        """Return the same for the upper triangle of an experiment's first step, (W, W)."""
        p, W, P = self._p, len(hessian), self._p.use.shape[1]
        T = np.eye(W)
        T[: p.D, : p.D][np.diag(p.given[s])] = 0.0
        T[: p.D, W - P :] += self.slopes(theta, s)
        change = T.T @ hessian @ T - hessian
        if p.tied[s].any():
            weights = np.where(p.tied[s], by_state, 0.0)
            own = theta[p.use[s]]
            lower = np.asarray(self.functions["initial_curvature"](own, weights).full())
            change[W - P :, W - P :] += lower + np.tril(lower, -1).T
        found: FloatArray = change[np.triu_indices(W)]
        return found

    def _tangent(self, theta: FloatArray) -> csr_array:
        from scipy.sparse import coo_array

        p = self._p
        count = p.unknowns.count
        kept = np.ones(count)
        kept[p.first_unknowns[p.given]] = 0.0
        every = [np.arange(count)]
        rows, columns, values = list(every), list(every), [kept]
        for s, at in enumerate(p.first_unknowns):
            G = self.slopes(theta, s)
            i, j = np.nonzero(G)
            rows.append(at[i])
            columns.append(p.unknowns.on_path + p.use[s][j])
            values.append(G[i, j])
        where = np.concatenate(rows), np.concatenate(columns)
        tangent: csr_array = coo_array(
            (np.concatenate(values), where), shape=(count, count)
        ).tocsr()
        return tangent
