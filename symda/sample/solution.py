"""Solutions of the equations: first states and parameters are all there is to sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.sample.maps import Linear, Map
from symda.sample.target import Change, Target
from symda.sample.white import White
from symda.solve.conditional import Conditional
from symda.solve.strong import Strong
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator


class SolutionTarget(Target):
    """Of the first states and parameters of solutions.

    Parameters
    ----------
    strong : Strong
    centre : (n,)
        The minimum.
    change : Change, optional
        As of `PathTarget`, of these unknowns.
    """

    def __init__(self, strong: Strong, centre: FloatArray, change: Change | None = None) -> None:
        self.strong, self.centre, self._change = strong, centre, change
        self.lower, self.upper = strong.lower, strong.upper
        self._scale = strong.problem.measurement_scale
        slope = strong.gradient(centre) / self._scale
        hessian = strong.hessian(centre) / self._scale
        held = strong.held(centre, slope)
        # on a bound the slope, too, says how wide the density is
        size = np.sqrt(np.abs(np.diag(hessian)) + slope**2)
        hessian = np.where(np.logical_or.outer(held, held), 0.0, hessian)
        hessian[held, held] = size[held] ** 2
        self.white, self.mirrored = whitened(hessian), held

    def value(self, x: FloatArray) -> float:
        """Return the action of the solution."""
        found = self.strong.value(x) / self._scale
        return found if self._change is None else found - self._change.value(x)

    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return it with its gradient."""
        point, _ = self.strong.expand(x)
        if point is None:
            return np.inf, np.full(x.size, np.nan)
        found, slope = point.action / self._scale, point.gradient / self._scale
        if self._change is not None:
            found, slope = found - self._change.value(x), slope - self._change.slope(x)
        return found, slope

    def whole(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the solution at all grid points, and the parameters."""
        return self.strong.led(x)[:2]


class SolutionMap(Map):
    """The map about a solution: Z*^T times the gradient of what data and priors cost.

    Z* are the derivatives of the solution at the centre.

    Parameters
    ----------
    target : SolutionTarget
    evaluator : BlockEvaluator
        The action's kernels with the data.

    Raises
    ------
    ValueError
        If the derivative of m at the minimum is not positive definite.
    """

    def __init__(self, target: SolutionTarget, evaluator: BlockEvaluator) -> None:
        self.target: SolutionTarget = target
        self._strong, self._at = target.strong, evaluator
        self._scale = target.strong.problem.measurement_scale
        self._tangent = self._derivatives(target.centre)[2]
        matrix = self._matrix(target.centre)
        if not np.isfinite(matrix).all() or np.linalg.eigvalsh(matrix).min() <= 0.0:
            raise ValueError("it has no Gauss-Newton Hessian that is positive definite")
        self.white = whitened(matrix)

    def moment(self, x: FloatArray) -> FloatArray:
        """Return m(x)."""
        path, theta, why = self._strong.led(x)
        if why:
            return np.full(x.size, np.nan)
        return self._tangent.T @ self._at.gradient(path, theta, 0.0) / self._scale

    def linear(self, x: FloatArray) -> Linear | None:
        """Return m'(x)."""
        matrix = self._matrix(x)
        if not np.isfinite(matrix).all():
            return None
        sign, log = np.linalg.slogdet(matrix)
        return _Dense(float(log), float(sign), matrix) if np.isfinite(log) else None

    def _matrix(self, x: FloatArray) -> FloatArray:
        path, theta, tangent = self._derivatives(x)
        if not np.isfinite(tangent).all():
            return np.full((x.size, x.size), np.nan)
        hessian = self._at.hessian(path, theta, 0.0)
        return np.asarray(self._tangent.T @ (hessian @ tangent)) / self._scale

    def _derivatives(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the solution from x, and derivatives of all unknowns by it, (M D + P, n)."""
        path, theta, slopes = self._strong.tangent(x)
        unknowns, places = self._strong.problem.unknowns, self._strong.places
        found = np.zeros((unknowns.count, x.size))
        found[: unknowns.on_path] = slopes.reshape(unknowns.on_path, x.size)
        own = np.flatnonzero(places >= unknowns.on_path)
        found[places[own], own] = 1.0
        return path, theta, found


@dataclass(frozen=True, eq=False)
class _Dense(Linear):
    log_det: float
    sign: float
    matrix: FloatArray

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the solution."""
        return np.asarray(np.linalg.solve(self.matrix, right))


def whitened(hessian: FloatArray) -> White:
    """Return the coordinates of a dense Hessian, as a band as wide as it is."""
    n = len(hessian)
    lower = np.linalg.cholesky(hessian)
    band = np.zeros((n, n))
    for k in range(n):
        band[k, : n - k] = np.diag(lower, -k)
    own = Conditional(
        band, np.zeros((n, 0)), np.zeros((0, 0)), np.array([0, n]), np.zeros((1, 0), dtype=int)
    )
    return White(own, np.ones(n, dtype=bool), np.ones(n))
