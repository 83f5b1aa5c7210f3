"""The minimisation problem as CasADi graphs around the per-step functions: direct and lifted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.build.kernels import BlockKernels
from symda.build.layout import Assembly, ProblemLayout, pack
from symda.correlations import ErrorCorrelations
from symda.types import IntArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.observe import Problem


@dataclass(frozen=True)
class Program:
    """The arguments of CasADi's `nlpsol`."""

    #: ``x``, ``p``, ``f`` and, lifted, ``g``. All unknowns are in units of their own sizes; ``p``
    #: is Rf of each state, then the sizes of (flat path, theta).
    nlp: Mapping[str, ca.MX]
    #: Exact derivative functions made of the per-step ones, since externals carry none of their
    #: own.
    derivatives: Mapping[str, ca.Function]
    unknowns: int  #: How many of the unknowns are (flat path, theta); the rest are model errors w.


class _Graph:
    """The parts both formulations share: mapped per-step and per-point calls, and their sums."""

    def __init__(self, kernels: BlockKernels, problem: Problem) -> None:
        import casadi as ca

        self.functions, self._initial = kernels.functions, kernels.initial
        self.problem = problem
        self.layout = ProblemLayout(kernels.functions, problem)
        packed = pack(problem)
        self.steps, self.points = ca.DM(packed.steps.T), ca.DM(packed.points.T)
        self.own = ca.DM(packed.own.T)
        #: what changes from call to call
        self.inputs = ca.MX.sym("p", problem.D + self.layout.unknowns)
        self.rf, self.sizes = self.inputs[: problem.D], self.inputs[problem.D :]

    def sized(self, matrix: ca.MX, rows: ca.MX) -> ca.MX:
        """Multiply the columns of a sparse matrix, and its rows, by sizes."""
        import casadi as ca

        i, j = matrix.sparsity().get_triplet()
        # CasADi gives a number indexed by a list the shape of the list
        factor = ca.vec(self.sizes[j]) * ca.vec(rows[i])
        return ca.MX(matrix.sparsity(), ca.vec(matrix.nz[:]) * factor)

    def placed(self, x: ca.MX) -> ca.MX:
        """Put the initial values that are functions of theta into the unknowns."""
        import casadi as ca

        p = self.problem
        parts, end = [], 0
        for s, at in enumerate(p.first_unknowns):
            if p.tied[s].any():
                first = int(at[0])
                values = self._initial["initial"](self._own(x, s))
                tied = ca.DM(p.tied[s].astype(float))
                parts += [x[end:first], ca.if_else(tied, values, x[first : first + p.D])]
                end = first + p.D
        return ca.vertcat(*parts, x[end:]) if parts else x

    def _own(self, x: ca.MX, s: int) -> ca.MX:
        """Parameters of experiment s."""
        p = self.problem
        return x[(p.unknowns.on_path + p.use[s]).tolist()]

    def _choice(self, index: IntArray) -> ca.DM:
        """Return the matrix (count, M D + P) that takes some of the unknowns."""
        import casadi as ca

        shape = len(index), self.layout.unknowns
        return ca.DM(ca.Sparsity.triplet(*shape, list(range(len(index))), index.tolist()), 1.0)

    def tangent(self, x: ca.MX) -> ca.MX | None:
        """Differentiate the placed unknowns by those that are free; None without given ones."""
        import casadi as ca

        p = self.problem
        if not p.given.any():
            return None
        kept = np.ones(self.layout.unknowns)
        kept[p.first_unknowns[p.given]] = 0.0
        tangent = ca.MX(ca.sparsify(ca.diag(ca.DM(kept))))
        for s, at in enumerate(p.first_unknowns):
            if p.tied[s].any():
                tied = ca.sparsify(ca.diag(ca.DM(p.tied[s].astype(float))))
                slopes = tied @ self._initial["initial_jacobian"](self._own(x, s))[1]
                own = self._choice(p.unknowns.on_path + p.use[s])
                tangent += self._choice(at).T @ slopes @ own
        return tangent

    def hessian(
        self, assembly: Assembly, values: ca.MX, x: ca.MX, tangent: ca.MX | None, slope: ca.MX
    ) -> ca.MX:
        """Upper triangle of a Hessian by the free unknowns; `slope` is the derivative by all."""
        import casadi as ca

        p, upper = self.problem, _scatter(assembly, values)
        if tangent is None:
            return upper
        full = upper + ca.triu(upper, False).T
        folded = tangent.T @ full @ tangent
        for s, at in enumerate(p.first_unknowns):
            if p.tied[s].any():
                weights = ca.DM(p.tied[s].astype(float)) * slope[at.tolist()]
                lower = self._initial["initial_curvature"](self._own(x, s), weights)
                own = self._choice(p.unknowns.on_path + p.use[s])
                folded += own.T @ (lower + ca.tril(lower, False).T) @ own
        return ca.triu(folded)

    def gradient(self, by_all: ca.MX, tangent: ca.MX | None) -> ca.MX:
        """Gradient by the free unknowns; IPOPT takes it as dense."""
        import casadi as ca

        return by_all if tangent is None else ca.densify(tangent.T @ by_all)

    def _columns(self, unknowns: ca.MX, index: IntArray) -> ca.MX:
        """Entries of the unknowns, (count, width) -> one column a step."""
        import casadi as ca

        count, width = index.shape
        if not width:
            return ca.MX(0, count)
        return ca.reshape(unknowns[index.reshape(-1).tolist()], width, count)

    def map_steps(self, name: str, unknowns: ca.MX, *last: ca.MX) -> list[ca.MX]:
        """Per-step function at every step; results are (width, N)."""
        p = self.problem
        return self.map(name, unknowns, self.layout.step_unknowns, p.E + p.D, self.steps, *last)

    def map_points(self, name: str, unknowns: ca.MX) -> list[ca.MX]:
        """Per-point function at every grid point; results are (width, M)."""
        return self.map(name, unknowns, self.layout.point_unknowns, self.problem.D, self.points)

    def prior(self, name: str, unknowns: ca.MX) -> list[ca.MX]:
        """Return a function of the prior; none without one."""
        if name not in self.functions:
            return []
        index, D = self.layout.prior_unknowns, self.problem.D
        return self.map(name, unknowns, index, D, self.own)

    def map(
        self,
        name: str,
        unknowns: ca.MX,
        index: IntArray,
        states: int,
        data: ca.DM,
        *last: ca.MX,
    ) -> list[ca.MX]:
        """Map a function over the columns of its arguments."""
        import casadi as ca

        arguments = [
            self._columns(unknowns, index[:, :states]),
            self._columns(unknowns, index[:, states:]),
            ca.MX(data),
            *last,
        ]
        result = self.functions[name].map(len(index)).call(arguments)
        return list(result)

    def repeated_rf(self) -> ca.MX:
        """Rf for every step."""
        import casadi as ca

        repeated = ca.repmat(self.rf, 1, self.problem.N)
        if not self.problem.still.any():
            return repeated
        return repeated * ca.DM(self.problem.by_step(np.ones(self.problem.D)).T)

    def precision(self) -> ca.MX:
        """Precisions of all model errors, (N E,); a sparse matrix where errors are correlated."""
        import casadi as ca

        p = self.problem
        weights = ca.DM(np.repeat(p.weight, p.E))
        every = ca.vec(ca.repmat(self.repeated_rf(), 1 + p.interior, 1)) * weights
        if not p.correlations:
            return every
        inverse = ca.DM(ErrorCorrelations(np.array(p.correlations)).inverse)
        roots = ca.diag(ca.sqrt(every))
        blocks = ca.kron(ca.DM.eye(p.N * (1 + p.interior)), inverse)
        return ca.mtimes(roots, ca.mtimes(ca.sparsify(blocks), roots))


def _scatter(assembly: Assembly, values: ca.MX) -> ca.MX:
    """Sum of small sparse matrices as one: a constant 0-1 matrix times all their nonzeros."""
    import casadi as ca

    count = len(assembly.target)
    pattern = ca.Sparsity.triplet(
        assembly.nonzeros, count, assembly.target.tolist(), list(range(count))
    )
    nonzeros = ca.mtimes(ca.DM(pattern, 1.0), values)
    sparsity = ca.Sparsity(*assembly.size, assembly.starts.tolist(), assembly.rows.tolist())
    return ca.MX(sparsity, nonzeros)


def _gradient(graph: _Graph, *parts: tuple[ca.MX, IntArray]) -> ca.MX:
    """Sum of per-step and per-point gradients, (M D + P,)."""
    import casadi as ca

    targets = np.concatenate([index.reshape(-1) for _, index in parts])
    count = len(targets)
    pattern = ca.Sparsity.triplet(
        graph.layout.unknowns, count, targets.tolist(), list(range(count))
    )
    return ca.mtimes(ca.DM(pattern, 1.0), ca.vertcat(*[ca.vec(value) for value, _ in parts]))


def _nonzeros(mapped: ca.MX) -> ca.MX:
    """Nonzeros of a mapped sparse result, step after step."""
    import casadi as ca

    # of none at all CasADi makes a row
    return ca.vec(mapped if mapped.is_dense() else mapped.nz[:])


def direct(kernels: BlockKernels, problem: Problem) -> Program:
    """Unknowns: path and parameters. Objective: the action."""
    import casadi as ca

    graph = _Graph(kernels, problem)
    v, p = ca.MX.sym("x", graph.layout.unknowns), graph.inputs
    x = graph.placed(graph.sizes * v)
    rf = graph.repeated_rf()
    f = ca.sum2(graph.map_steps("step_action", x, rf)[0]) + ca.sum2(
        graph.map_points("point_action", x)[0]
    )
    f = sum(map(ca.sum2, graph.prior("prior_action", x)), f)
    step_value, step_gradient = graph.map_steps("step_gradient", x, rf)
    point_value, point_gradient = graph.map_points("point_gradient", x)
    before, *by_first = graph.prior("prior_gradient", x) or [ca.MX(0.0)]
    value = ca.sum2(step_value) + ca.sum2(point_value) + ca.sum2(before)
    by_all = _gradient(
        graph,
        (step_gradient, graph.layout.step_unknowns),
        (point_gradient, graph.layout.point_unknowns),
        *((one, graph.layout.prior_unknowns) for one in by_first),
    )
    tangent = graph.tangent(x)
    gradient = graph.sizes * graph.gradient(by_all, tangent)
    curvatures = ca.vertcat(
        _nonzeros(graph.map_steps("step_hessian", x, rf)[0]),
        _nonzeros(graph.map_points("point_hessian", x)[0]),
        *map(_nonzeros, graph.prior("prior_hessian", x)),
    )
    lam_f, lam_g = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", 0)
    second = graph.hessian(graph.layout.upper, lam_f * curvatures, x, tangent, lam_f * by_all)
    hessian = graph.sized(second, graph.sizes)
    derivatives = {
        "grad_f": ca.Function(
            "nlp_grad_f", [v, p], [value, gradient], ["x", "p"], ["f", "grad_f_x"]
        ),
        "hess_lag": ca.Function(
            "nlp_hess_l",
            [v, p, lam_f, lam_g],
            [hessian],
            ["x", "p", "lam_f", "lam_g"],
            ["triu_hess_gamma_x_x"],
        ),
    }
    return Program({"x": v, "p": p, "f": f}, derivatives, graph.layout.unknowns)


def lifted(kernels: BlockKernels, problem: Problem) -> Program:
    """Unknowns: path, parameters, model errors w. Constraints r = w; multipliers are momenta."""
    import casadi as ca

    graph = _Graph(kernels, problem)
    unknowns = graph.layout.unknowns
    errors = problem.N * problem.E
    v, p = ca.MX.sym("v", unknowns + errors), graph.inputs
    x = graph.placed(graph.sizes * v[:unknowns])
    tangent = graph.tangent(x)
    # an error is in units of the state whose step it is an error of
    unit = graph.sizes[:errors]
    w = unit * v[unknowns:]
    lam_f, lam_g = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", errors)
    precision = graph.precision()
    if problem.correlations:
        weighed, curved = ca.mtimes(precision, w), graph.sized(ca.triu(precision), unit)
    else:
        weighed, curved = precision * w, ca.diag(precision * unit**2)
    f = ca.sum2(graph.map_points("point_action", x)[0]) + ca.dot(weighed, w) / 2
    f = sum(map(ca.sum2, graph.prior("prior_action", x)), f)
    point_value, point_gradient = graph.map_points("point_gradient", x)
    before, *by_first = graph.prior("prior_gradient", x) or [ca.MX(0.0)]
    value = ca.sum2(point_value) + ca.dot(weighed, w) / 2 + ca.sum2(before)
    by_all = _gradient(
        graph,
        (point_gradient, graph.layout.point_unknowns),
        *((one, graph.layout.prior_unknowns) for one in by_first),
    )
    gradient = ca.vertcat(
        graph.sizes * graph.gradient(by_all, tangent),
        unit * weighed,
    )
    g = (ca.vec(graph.map_steps("step_residual", x)[0]) - w) / unit
    slopes = _nonzeros(graph.map_steps("step_jacobian", x)[0])
    by_unknowns = _scatter(graph.layout.jacobian, slopes)
    folded = by_unknowns if tangent is None else by_unknowns @ tangent
    jacobian = ca.horzcat(graph.sized(folded, 1.0 / unit), -ca.DM.eye(errors))
    momenta = ca.reshape(lam_g / unit, problem.E, problem.N)
    curvatures = ca.vertcat(
        _nonzeros(graph.map_steps("step_curvature", x, momenta)[0]),
        lam_f * _nonzeros(graph.map_points("point_hessian", x)[0]),
        *(lam_f * _nonzeros(one) for one in graph.prior("prior_hessian", x)),
    )
    by_every = lam_f * by_all + by_unknowns.T @ (lam_g / unit)
    second = graph.hessian(graph.layout.upper_lifted, curvatures, x, tangent, by_every)
    hessian = ca.diagcat(
        graph.sized(second, graph.sizes),
        lam_f * curved,
    )
    derivatives = {
        "grad_f": ca.Function(
            "nlp_grad_f", [v, p], [value, gradient], ["x", "p"], ["f", "grad_f_x"]
        ),
        "jac_g": ca.Function("nlp_jac_g", [v, p], [g, jacobian], ["x", "p"], ["g", "jac_g_x"]),
        "hess_lag": ca.Function(
            "nlp_hess_l",
            [v, p, lam_f, lam_g],
            [hessian],
            ["x", "p", "lam_f", "lam_g"],
            ["triu_hess_gamma_x_x"],
        ),
    }
    return Program({"x": v, "p": p, "f": f, "g": g}, derivatives, unknowns)


#: Formulation -> program.
FORMULATIONS = {"direct": direct, "lifted": lifted}
