"""The path and the coefficients of a library, found together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.build.terms import TermKernels
from symda.learn.points import Points
from symda.types import BoolArray, FloatArray

#: Smallest damping, and the factors by which it grows and shrinks.
LEAST, GROW, SHRINK = 1e-12, 8.0, 0.1
#: Most attempts at a step.
ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class Place:
    """A path X (M, D), coefficients C (D, T), the action there, and the damping that served."""

    X: FloatArray
    C: FloatArray
    action: float
    damping: float = 1e-3


@dataclass(frozen=True, eq=False)
class Profile:
    """The action as a function of the coefficients alone, to second order.

    Attributes
    ----------
    free : (D, T) of bool
        The coefficients it is a function of.
    centre, hessian : (p,), (p, p)
        Where it is least, and its Hessian: Gauss and Newton's, the path eliminated.
    """

    free: BoolArray
    centre: FloatArray
    hessian: FloatArray


@dataclass(frozen=True, eq=False)
class Joint:
    """A = 1/2 sum rm (x - y)^2 + rf/2 sum r^2 / s^2 + 1/2 sum C^2 / sd^2.

    Attributes
    ----------
    noise : (D,)
        The unit s^2 of squared residuals: the noise variance of each state, so that rf = 1 weighs
        an error of a step as one of a datum.
    prior : (D, T)
        Standard deviations sd of the coefficients.
    """

    kernels: TermKernels
    points: Points
    noise: FloatArray
    prior: FloatArray

    def place(self, X: FloatArray, C: FloatArray, rf: float, damping: float = 1e-3) -> Place:
        """Return a place with its action; inf where a step diverges."""
        X, C = np.ascontiguousarray(X), np.ascontiguousarray(C)
        return Place(X, C, self.action(X, C, rf), damping)

    def action(self, X: FloatArray, C: FloatArray, rf: float) -> float:
        """Return the action; inf where a step diverges."""
        p = self.points
        with np.errstate(all="ignore"):
            r = self.kernels.residuals(X, C, p.h)
            data, prior = np.sum(p.rm * (X - p.y) ** 2), np.sum((C / self.prior) ** 2)
            found = float(0.5 * (data + rf * np.sum(r * r / self.noise) + prior))
        return found if np.isfinite(found) else np.inf

    def data_term(self, X: FloatArray) -> float:
        """Return 1/2 sum rm (x - y)^2."""
        return 0.5 * float(np.sum(self.points.rm * (X - self.points.y) ** 2))

    def error_term(self, at: Place, rf: float) -> float:
        """Return rf/2 sum r^2 / s^2: what the path's errors of the equations cost."""
        r = self.kernels.residuals(at.X, at.C, self.points.h)
        return 0.5 * rf * float(np.sum(r * r / self.noise))

    def minimise(
        self, at: Place, rf: float, free: BoolArray, steps: int = 15, tol: float = 1e-3
    ) -> Place:
        """Go down by Levenberg and Marquardt's method, coefficients that are not free held.

        It ends where a step gains less than `tol`, or after so many steps.
        """
        at = self.place(at.X, at.C, rf, at.damping)
        for _ in range(steps):
            lower = self._step(at, rf, free)
            if lower is None:
                break
            gain, at = at.action - lower.action, lower
            if gain < tol:
                break
        return at

    def _step(self, at: Place, rf: float, free: BoolArray) -> Place | None:
        p, W = self.points, rf / self.noise
        A, B = self.kernels.linearise(at.X, at.C, p.h, free)
        if not np.isfinite(B).all():
            return None
        whole = self._border(B, W, at.C, free)
        g, damping = p.rm * (at.X - p.y), at.damping
        for _ in range(ATTEMPTS):
            found = self.kernels.eliminate(p.h, A, B, W, g, p.rm + damping / self.noise)
            change = None if found is None else _solve(whole - found.lost, damping)
            if found is not None and change is not None:
                C = at.C.copy()
                C[free] += change
                X = at.X + found.back(change)
                lower = self.place(X, C, rf, max(damping * SHRINK, LEAST))
                if lower.action < at.action:
                    return lower
            damping = max(damping * GROW, 1e-8)
        return None

    def _border(self, B: FloatArray, W: FloatArray, C: FloatArray, free: BoolArray) -> FloatArray:
        rows = B.reshape(-1, B.shape[2])
        whole = rows.T @ (rows * np.tile(W, len(B))[:, None])
        precision = 1.0 / self.prior[free] ** 2
        p = precision.size
        whole[range(p), range(p)] += precision
        whole[:p, p] += precision * C[free]
        return whole

    def profile(self, at: Place, rf: float, free: BoolArray) -> Profile | None:
        """Eliminate the path at a place; None where its Hessian is not positive definite."""
        p, W = self.points, rf / self.noise
        A, B = self.kernels.linearise(at.X, at.C, p.h, free)
        g = p.rm * (at.X - p.y)
        found = self.kernels.eliminate(p.h, A, B, W, g, p.rm + LEAST / self.noise)
        if found is None or not np.isfinite(found.lost).all():
            return None
        whole = self._border(B, W, at.C, free) - found.lost
        change = _solve(whole, 0.0)
        if change is None:
            return None
        hessian = whole[:-1, :-1]
        return Profile(free, at.C[free] + change, 0.5 * (hessian + hessian.T))


def _solve(whole: FloatArray, damping: float) -> FloatArray | None:
    """Return -H^-1 g of H and g side by side; None where H is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    H, g = whole[:-1, :-1], whole[:-1, -1]
    size = np.diag(H).copy()
    if not (size > 0.0).all():
        return None
    unit = 1.0 / np.sqrt(size)
    scaled = H * unit * unit[:, None]
    scaled[range(g.size), range(g.size)] += damping
    try:
        return np.asarray(-unit * cho_solve(cho_factor(scaled), unit * g))
    except LinAlgError:
        return None
