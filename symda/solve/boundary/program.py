"""The collocated problem as a nonlinear program; its Lagrange conditions are Hamilton's.

Unknowns v = (x_i at the ends of intervals, X_ij and w_ij at Gauss points, theta). Minimise

    (sum of Rm/2 (h - y)^2  +  sum_ij h_i b_j Rf/2 w_ij^2) / unit

subject to  sum_k C_jk X_ik = h_i (F(X_ij) + w_ij)  and  x_{i+1} = sum_k e_k X_ik,  with
X_i0 = x_i, C the derivatives and e the end value of the polynomial through its values. With
multipliers b_j p_ij and p_{i+1} (before the jump of the data) the Lagrange conditions are
w = p / Rf, the jumps and boundary conditions of p, the integrals for theta, and Gauss collocation
of p' = -DF^T p: the Gauss methods are their own adjoints, so to discretise and to optimise commute.
The unit, of a force, makes the optimiser's tolerances shares: p comes in it too.

W. W. Hager, Numer. Math. 87 (2000) 247; J. M. Sanz-Serna, SIAM Rev. 58 (2016) 3.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from symda.build.layout import Assembly
from symda.solve.boundary.functions import FieldFunctions
from symda.solve.boundary.mesh import Mesh
from symda.solve.boundary.polynomials import gauss
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca


class CollocationProgram:
    """Functions for CasADi's `nlpsol`, assembled of those of one Gauss point and one datum.

    Its parameters q are the weights h_i b_j Rf / unit of w (J, d, D), flat, 0 where Rf is infinite,
    and 1 / unit.

    Parameters
    ----------
    mesh : Mesh
        Intervals, forcing and data.
    """

    def __init__(self, system: FieldFunctions, mesh: Mesh) -> None:
        self.system, self.mesh = system, mesh
        D, J, d, P = system.D, mesh.J, mesh.degree, system.P
        ends = [(J + 1) * D, J * d * D, J * d * D, P]
        starts = np.concatenate([[0], np.cumsum(ends)])
        index = np.arange(starts[-1])
        nodes, points, errors, theta = (index[a:b] for a, b in pairwise(starts))
        #: Where the unknowns are: x (J + 1, D), X and w (J, d, D), theta (P,).
        self.x: IntArray = nodes.reshape(J + 1, D)
        self.X: IntArray = points.reshape(J, d, D)
        self.w: IntArray = errors.reshape(J, d, D)
        self.theta: IntArray = theta
        self.unknowns = int(starts[-1])
        self.weights = self.w.size + 1
        self.constraints = J * (d + 1) * D
        #: Interval that each unknown and each constraint belongs to; parameters come last.
        self.when = np.full(self.unknowns, float(J))
        self.when[self.x] = np.arange(-1.0, J)[:, None] + 0.5
        self.when[self.X] = self.when[self.w] = np.arange(float(J))[:, None, None]
        interval = np.arange(float(J))
        self.when_constrained = np.concatenate([np.repeat(interval, d * D), np.repeat(interval, D)])
        self._seen = np.flatnonzero((mesh.rm > 0.0).any(axis=1))

    def start(self, x: FloatArray, X: FloatArray, w: FloatArray, theta: FloatArray) -> FloatArray:
        """Vector of unknowns."""
        return np.concatenate([x.reshape(-1), X.reshape(-1), w.reshape(-1), theta])

    @cached_property
    def functions(self) -> dict[str, ca.Function]:
        """``nlp`` (f and g), ``grad_f``, ``jac_g`` and ``hess_lag`` under `nlpsol`'s names."""
        import casadi as ca

        mesh, system = self.mesh, self.system
        D, J, d = system.D, mesh.J, mesh.degree
        count = J * d
        v, p = ca.MX.sym("v", self.unknowns), ca.MX.sym("p", self.weights)
        q, share = p[: count * D], p[count * D]
        lam_f, lam_g = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", self.constraints)
        w, theta = v[self._slice(self.w)], v[self._slice(self.theta)]
        h = np.repeat(mesh.h, d)
        stages = ca.reshape(v[self._slice(self.X)], D, count)
        there: list[ca.MX] = [
            stages,
            ca.repmat(theta, 1, count),
            ca.MX(ca.DM(mesh.u.reshape(count, system.U).T)),
            ca.MX(ca.DM(mesh.points.reshape(1, -1))),
        ]
        seen = self._seen
        points = ca.reshape(v[self.x[seen].reshape(-1).tolist()], D, seen.size)
        here: list[ca.MX] = [
            points,
            ca.repmat(theta, 1, seen.size),
            ca.MX(ca.DM(mesh.y[seen].T)),
            ca.MX(ca.DM(mesh.rm[seen].T)),
        ]
        lengths = ca.DM(h.reshape(1, -1))

        def mapped(name: str, arguments: list[ca.MX]) -> ca.MX:
            values = system.functions[name].map(arguments[0].shape[1]).call(arguments)[0]
            return ca.vec(values if values.is_dense() else values.nz[:])

        f = share * ca.sum1(mapped("error", here)) + ca.dot(q * w, w) / 2
        slopes = ca.reshape(mapped("slope", there), D, count)
        linear = ca.mtimes(_sparse(self._linear, self._linear_values), v)
        scaled = ca.vec(slopes * ca.repmat(lengths, D, 1))
        g = linear - ca.vertcat(scaled, ca.DM.zeros(J * D))
        forces = share * mapped("force", here)
        targets = self._columns(self.x[seen])
        gradient = _scatter_vector(self.unknowns, targets, forces)
        gradient = ca.densify(gradient + _scatter_vector(self.unknowns, self.w.reshape(-1), q * w))
        repeat = system.functions["jacobian"].nnz_out(0)
        by_point = mapped("jacobian", there) * ca.DM(np.repeat(-h, repeat))
        jacobian = _scatter(self._jacobian, ca.vertcat(ca.DM(self._linear_values), by_point))
        # the multiplier of g times its curvature, -h lam . D2F
        weights = -ca.reshape(lam_g[: count * D], D, count) * ca.repmat(lengths, D, 1)
        curvatures = ca.vertcat(
            mapped("curvature", [*there, weights]),
            lam_f * share * mapped("error_hessian", here),
            lam_f * q,
        )
        hessian = _scatter(self._hessian, curvatures)
        first, second = ["x", "p"], ["x", "p", "lam_f", "lam_g"]
        return {
            "nlp": ca.Function("nlp", [v, p], [f, g], first, ["f", "g"]),
            "grad_f": ca.Function("nlp_grad_f", [v, p], [f, gradient], first, ["f", "grad_f_x"]),
            "jac_g": ca.Function("nlp_jac_g", [v, p], [g, jacobian], first, ["g", "jac_g_x"]),
            "hess_lag": ca.Function(
                "nlp_hess_l", [v, p, lam_f, lam_g], [hessian], second, ["triu_hess_gamma_x_x"]
            ),
        }

    @staticmethod
    def _slice(index: IntArray) -> slice:
        flat = index.reshape(-1)
        return slice(int(flat[0]), int(flat[-1]) + 1) if flat.size else slice(0, 0)

    def _columns(self, states: IntArray) -> IntArray:
        """Unknowns (x, theta) of each point, (n, D + P), flat."""
        theta = np.broadcast_to(self.theta, (len(states), self.theta.size))
        return np.hstack([states, theta]).reshape(-1)

    @cached_property
    def _triplets(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows, columns and values of the constraints' linear part."""
        mesh, table = self.mesh, gauss(self.mesh.degree)
        D, J, d = self.system.D, mesh.J, mesh.degree
        # x_i and its interval's X: (J, d + 1, D)
        known = np.concatenate([self.x[:-1, None], self.X], axis=1)
        row = np.arange(J * d * D).reshape(J, d, 1, D)
        last = J * d * D + np.arange(J * D).reshape(J, 1, D)
        parts = [
            (row, known[:, None], table.slopes[:, :, None]),
            (row[:, :, 0], self.w, -mesh.h[:, None, None]),
            (last, known, -table.end[:, None]),
            (last[:, 0], self.x[1:], np.ones(())),
        ]
        flat = [[a.reshape(-1) for a in np.broadcast_arrays(*part)] for part in parts]
        rows, columns, values = (np.concatenate(part) for part in zip(*flat, strict=True))
        return rows, columns, values

    @property
    def _linear_values(self) -> FloatArray:
        return self._triplets[2]

    @cached_property
    def _linear(self) -> Assembly:
        rows, columns, _ = self._triplets
        return Assembly.of((self.constraints, self.unknowns), rows, columns)

    @cached_property
    def _jacobian(self) -> Assembly:
        rows, columns, _ = self._triplets
        i, j = self._pattern("jacobian")
        unknowns = self._columns(self.X.reshape(-1, self.system.D)).reshape(
            -1, self.system.D + self.system.P
        )
        own = np.arange(len(unknowns))[:, None] * self.system.D + i
        return Assembly.of(
            (self.constraints, self.unknowns),
            np.concatenate([rows, own.reshape(-1)]),
            np.concatenate([columns, unknowns[:, j].reshape(-1)]),
        )

    @cached_property
    def _hessian(self) -> Assembly:
        width = self.system.D + self.system.P
        parts = [
            ("curvature", self._columns(self.X.reshape(-1, self.system.D))),
            ("error_hessian", self._columns(self.x[self._seen])),
        ]
        rows, columns = [], []
        for name, unknowns in parts:
            i, j = self._pattern(name)
            rows.append(unknowns.reshape(-1, width)[:, i].reshape(-1))
            columns.append(unknowns.reshape(-1, width)[:, j].reshape(-1))
        diagonal = self.w.reshape(-1)
        return Assembly.of(
            (self.unknowns, self.unknowns),
            np.concatenate([*rows, diagonal]),
            np.concatenate([*columns, diagonal]),
        )

    def _pattern(self, name: str) -> tuple[IntArray, IntArray]:
        rows, columns = self.system.functions[name].sparsity_out(0).get_triplet()
        return np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)


def _sum(count: int, targets: IntArray) -> ca.DM:
    """Sparse matrix that adds entry k of a vector to entry targets[k]."""
    import casadi as ca

    pattern = ca.Sparsity.triplet(count, targets.size, targets.tolist(), list(range(targets.size)))
    return ca.DM(pattern, 1.0)


def _scatter_vector(count: int, targets: IntArray, values: ca.MX) -> ca.MX:
    import casadi as ca

    return ca.mtimes(_sum(count, targets), values)


def _sparsity(assembly: Assembly) -> ca.Sparsity:
    import casadi as ca

    return ca.Sparsity(*assembly.size, assembly.starts.tolist(), assembly.rows.tolist())


def _sparse(assembly: Assembly, values: FloatArray) -> ca.DM:
    """Add up numbers to a sparse constant."""
    import casadi as ca

    return ca.DM(_sparsity(assembly), assembly.add_up(values))


def _scatter(assembly: Assembly, values: ca.MX) -> ca.MX:
    """Add up small sparse matrices to one."""
    import casadi as ca

    nonzeros = _scatter_vector(assembly.nonzeros, assembly.target, values)
    return ca.MX(_sparsity(assembly), ca.densify(nonzeros))
