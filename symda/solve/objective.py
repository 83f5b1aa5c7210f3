"""The action of one problem at one precision, as general solvers want it: of one vector."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from symda.build.kernels import matrices_of
from symda.errors import OptionError
from symda.solve.judges import judge
from symda.solve.minimum import Minimum, record
from symda.solve.stationary import Judge, Stationarity
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from scipy.optimize import Bounds
    from scipy.sparse import csr_array

    from symda.build.abstract import Evaluator


class Objective:
    """The action as a function of the unknowns that are free, with all its derivatives.

    A solver asks for what it needs; nothing is computed before. Arguments x have the shape (n,).

    Parameters
    ----------
    evaluator : Evaluator
        Kernels with the data of the problem.
    rf : array_like
        Model precision, one number or one a state.
    judge : function, optional
        Makes the judge, which several objectives of a problem may share.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        rf: ArrayLike,
        judge: Callable[[], Judge | None] | None = None,
    ) -> None:
        self.problem = evaluator.problem
        self.rf = evaluator.precision(rf)
        self._evaluator = evaluator
        self._make_judge = judge
        unknowns = self.problem.unknowns
        self._free = unknowns.free
        self._full = unknowns.lower.copy()
        self._began = time.perf_counter()
        self._evaluations = 0

    @property
    def provides(self) -> frozenset[str]:
        """What there is beside the action, of `symda.build.parts.PARTS`."""
        return self._evaluator.kernels.provides

    @property
    def n(self) -> int:
        """Number of free unknowns."""
        return int(self._free.sum())

    @property
    def lower(self) -> FloatArray:
        """Lower bounds, which may be infinite, (n,)."""
        return self.problem.unknowns.lower[self._free]

    @property
    def upper(self) -> FloatArray:
        """Upper bounds, (n,)."""
        return self.problem.unknowns.upper[self._free]

    @property
    def bounds(self) -> Bounds:
        """Both, as SciPy takes them."""
        from scipy.optimize import Bounds

        return Bounds(self.lower, self.upper)

    def start(self, path: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Return the free unknowns of a path (M, D) and parameters (P,), within their bounds."""
        inside = self.problem.unknowns.inside(*self._evaluator.split(path, theta))
        return inside[self._free]

    def split(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return path (M, D) and parameters (P,), fixed ones included."""
        full = self._full.copy()
        full[self._free] = x
        return self._evaluator.split(*self.problem.unknowns.split(full))

    @property
    def declared_sizes(self) -> FloatArray:
        """Sizes of the unknowns as declared, (n,)."""
        return self.problem.unknowns.sizes[self._free]

    def sizes(self, x: FloatArray) -> FloatArray:
        """Return the unknowns' own sizes at x, (n,): units in which they are of order one.

        1/sqrt(Gauss-Newton diagonal), see `Judge.sizes`; as declared where there is no judge.
        """
        if self.judge is None:
            return self.declared_sizes
        return self.judge.sizes(*self.split(x), self.rf)[self._free]

    def value(self, x: FloatArray) -> float:
        """Return the action."""
        self._evaluations += 1
        return self._evaluator.action(*self.split(x), self.rf)

    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return the action and its gradient, (n,)."""
        self._evaluations += 1
        action, gradient = self._evaluator.value_and_gradient(*self.split(x), self.rf)
        return action, gradient[self._free]

    def gradient(self, x: FloatArray) -> FloatArray:
        """Return the gradient, (n,)."""
        return self.value_and_gradient(x)[1]

    def hessian(self, x: FloatArray) -> csr_array:
        """Return the Hessian, (n, n) sparse and symmetric."""
        full = matrices_of(self._evaluator, "Hessian").hessian(*self.split(x), self.rf)
        found: csr_array = full.tocsr()[self._free][:, self._free]
        return found

    def product(self, x: FloatArray, v: FloatArray) -> FloatArray:
        """Return the Hessian times v, both (n,)."""
        full = np.zeros(self._free.size)
        full[self._free] = v
        found = self._evaluator.hessian_product(*self.split(x), self.rf, full)
        return found[self._free]

    def residuals(self, x: FloatArray) -> FloatArray:
        """Return what the action is half the sum of squares of.

        First what was measured, sqrt(Rm) (h - y), and controls, then the steps' residuals,
        U_n r_n with U_n^T U_n their precision: sqrt(Rf_n) r_n, unless errors are correlated.
        """
        if not self.problem.squares:
            raise OptionError(
                "The action is no sum of squares of single data: a solver that needs one takes "
                "Gaussian noise of the data's variance, once a channel and time, not correlated. "
                "Use solver='newton'."
            )
        self._evaluations += 1
        path, theta = self.split(x)
        values = matrices_of(self._evaluator, "residuals").predictors(path, theta)
        misfit = (values - self._points[0])[self._measured]
        steps = self._evaluator.residual(path, theta).reshape(-1)
        return np.concatenate([self._roots[0] * misfit, self._roots[1] @ steps])

    def jacobian(self, x: FloatArray) -> csr_array:
        """Return the derivatives of the residuals, sparse with n columns."""
        from scipy.sparse import diags_array, vstack

        path, theta = self.split(x)
        at = matrices_of(self._evaluator, "Jacobian of the residuals")
        seen = at.measure_jacobian(path, theta)[self._measured.reshape(-1)]
        steps = at.residual_jacobian(path, theta)
        rows = [diags_array(self._roots[0]) @ seen, self._roots[1] @ steps]
        found: csr_array = vstack(rows, format="csr")[:, self._free]
        return found

    @cached_property
    def judge(self) -> Judge | None:
        """What tells minima from other points; None for a window too long for its Hessian."""
        return self._make_judge() if self._make_judge else judge(self._evaluator)

    def judged(self, x: FloatArray) -> Stationarity | None:
        """Say how far x is from a minimum within the bounds; None where nothing can."""
        return None if self.judge is None else self.judge.at(*self.split(x), self.rf)

    def minimum(
        self,
        found: Mapping[str, Any],
        *,
        status: Status | None = None,
        message: str | None = None,
        iterations: int | None = None,
    ) -> Minimum:
        """Make the record of where a solver ended.

        Parameters
        ----------
        found : mapping
            With ``x`` and, as far as the further arguments do not say it, ``success``, ``message``
            and ``nit``, such as a `scipy.optimize.OptimizeResult`. What did not succeed counts as
            ``stopped``.
        status, message, iterations
            Instead of what `found` says.
        """
        path, theta = self.split(np.clip(found["x"], self.lower, self.upper))
        if status is None:
            status = Status.CONVERGED if found["success"] else Status.STOPPED
        return record(
            self._evaluator,
            self.problem.unknowns.join(path, theta),
            self.rf,
            status=status,
            message=str(found.get("message", "")) if message is None else message,
            iterations=int(found.get("nit", 0)) if iterations is None else iterations,
            evaluations=self._evaluations,
            seconds=time.perf_counter() - self._began,
        )

    @cached_property
    def _measured(self) -> BoolArray:
        found: BoolArray = self._points[1] > 0.0
        return found

    @cached_property
    def _points(self) -> tuple[FloatArray, FloatArray]:
        """Data and weights of what points have costs of, (M, L + Q) each."""
        data, weights, _ = self._evaluator.packed.rows
        return data, weights

    @cached_property
    def _roots(self) -> tuple[FloatArray, csr_array]:
        """Square roots of the weights of both kinds of residual; of the steps' as a matrix."""
        return np.sqrt(self._points[1][self._measured]), self._evaluator.roots(self.rf)
