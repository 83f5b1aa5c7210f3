"""F and h with their derivatives, at many times at once: what Hamilton's equations are made of."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.derive.masked import Channels
from symda.errors import OptionError
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    import casadi as ca

    from symda.observe import Problem


def check_rate(model_error: str, averaging: str, solver: str) -> None:
    """Refuse a model error of steps, and averages.

    Raises
    ------
    OptionError
        With the conversion.
    """
    if model_error != "rate":
        raise OptionError(
            f"{solver}: the continuous problem weighs int Rf/2 (x' - F)^2 dt, but with "
            f"model_error={model_error!r} Rf weighs the squared residual of a step, which has no "
            "limit as steps shrink. Make the action with model_error='rate'; for equal steps h "
            "its Rf is h times that of 'step'. A discrete map has no continuous problem."
        )
    if averaging != "sum":
        raise OptionError(
            f"{solver}: with averaging={averaging!r} the weights depend on the number of steps, "
            "so there is no continuous problem. Make the action with averaging='sum'."
        )


def check_independent(problem: Problem, solver: str) -> None:
    """Refuse correlated errors of the model.

    Raises
    ------
    OptionError
        If there are.
    """
    if problem.correlations:
        raise OptionError(
            f"{solver}: the action has error_correlations, and the continuous problem here has "
            "independent errors. Take sd.anneal with solver='newton', or leave them out."
        )


class FieldFunctions:
    """F(x, u, theta, t) and h(x, theta) of a model with first and second derivatives.

    Parameters
    ----------
    field : mapping of str to casadi.Function
        ``field`` and ``measure``, F and h, made of SX so that they can be differentiated.
    """

    def __init__(self, field: Mapping[str, ca.Function]) -> None:
        import casadi as ca

        self.field = field
        F, h = field["field"], field["measure"]
        self.has_prior = "prior" in field
        self.D, U, self.P = (F.size1_in(i) for i in range(3))
        self.U, self.L = U, h.size1_out(0)
        x, u = ca.SX.sym("x", self.D), ca.SX.sym("u", U)
        theta, t = ca.SX.sym("theta", self.P), ca.SX.sym("t")
        lam, y, rm = ca.SX.sym("lam", self.D), ca.SX.sym("y", self.L), ca.SX.sym("rm", self.L)
        unknowns = ca.vertcat(x, theta)
        slope, measured = F(x, u, theta, t), h(x, theta)
        error = Channels(rm * (measured - y) ** 2 / 2, rm, [True] * self.L, measured)
        there, here = [x, theta, u, t], [x, theta, y, rm]

        def function(name: str, inputs: list[ca.SX], *outputs: ca.SX) -> ca.Function:
            return ca.Function(name, inputs, list(outputs), {"cse": True})

        self.functions = {
            "slope": function("slope", there, ca.densify(slope)),
            "jacobian": function("jacobian", there, ca.jacobian(slope, unknowns)),
            "curvature": function(
                "curvature",
                [*there, lam],
                ca.triu(ca.hessian(ca.dot(lam, slope), unknowns)[0]),
            ),
            "error": function("error", here, error.value),
            "force": function("force", here, ca.densify(error.gradient(unknowns))),
            "error_hessian": function("error_hessian", here, ca.triu(error.hessian(unknowns))),
        }
        self._maps: dict[tuple[str, int], ca.Function] = {}

    def slope(self, x: FloatArray, theta: FloatArray, u: FloatArray, t: FloatArray) -> FloatArray:
        """F at x (n, D), u (n, U), t (n,), shape (n, D)."""
        return self._call("slope", len(x), x.T, theta, u.T, t)

    def jacobian(
        self, x: FloatArray, theta: FloatArray, u: FloatArray, t: FloatArray
    ) -> FloatArray:
        """dF/d(x, theta), shape (n, D, D + P)."""
        values = self._call("jacobian", len(x), x.T, theta, u.T, t)
        dense = np.zeros((len(x), self.D, self.D + self.P))
        rows, columns = self._pattern
        dense[:, rows, columns] = values
        return dense

    def error(self, x: FloatArray, theta: FloatArray, y: FloatArray, rm: FloatArray) -> FloatArray:
        """sum_l Rm_l/2 (h_l - y_l)^2 at points with data y, rm (n, L), shape (n,)."""
        return self._call("error", len(x), x.T, theta, y.T, rm.T)[:, 0]

    def force(self, x: FloatArray, theta: FloatArray, y: FloatArray, rm: FloatArray) -> FloatArray:
        """Gradient of the same by (x, theta), (n, D + P): the jump of p, then theta's."""
        return self._call("force", len(x), x.T, theta, y.T, rm.T)

    def force_terms(
        self, x: FloatArray, theta: FloatArray, y: FloatArray, rm: FloatArray
    ) -> FloatArray:
        """Sizes of the two terms of `force`, by h and by y, the larger of them, (n, D + P)."""
        by_h = self.force(x, theta, np.zeros_like(y), rm)
        by_y = by_h - self.force(x, theta, y, rm)
        return np.maximum(np.abs(by_h), np.abs(by_y))

    @cached_property
    def _pattern(self) -> tuple[IntArray, IntArray]:
        rows, columns = self.functions["jacobian"].sparsity_out(0).get_triplet()
        return np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)

    def _call(self, name: str, count: int, *arguments: FloatArray) -> FloatArray:
        """Evaluate at `count` columns; a sparse result becomes its nonzeros. (count, nonzeros)."""
        import casadi as ca

        if (name, count) not in self._maps:
            f = self.functions[name]
            inputs = [ca.SX.sym("v", f.size1_in(i)) for i in range(f.n_in())]
            (value,) = f.call(inputs)
            flat = ca.vec(value) if value.is_dense() else value.nz[:]
            own = ca.Function(name, inputs, [flat])
            # parameters are the same at all points
            self._maps[name, count] = own.map(name, "serial", count, [1], [])
        result = self._maps[name, count](*[np.asfortranarray(a) for a in arguments])
        values: FloatArray = np.ascontiguousarray(np.asarray(result.full()).T)
        # CasADi loses the number of points where there is nothing to map
        return values.reshape(count, self.functions[name].nnz_out(0))
