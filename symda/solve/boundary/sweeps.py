"""`solver="sweeps"`: forward in x, backward in p, again and again: back-propagation in time.

With p known, x' = F + p / Rf runs forward from x(t0); with x known, p' = -DF^T p runs backward from
p(tF) = 0, jumping at the data. A fixed point solves the boundary value problem. Plain sweeps go
round in the loop p -> x -> p, whose gain grows with the window, with Rm/Rf, and exponentially with
a positive Lyapunov exponent; beyond 1 they diverge. Relaxation, p + alpha (p_new - p), makes each
sweep a step of steepest descent of the action (in the metric Rf), so some alpha always lowers it,
but the number of sweeps grows with the gain. Where x(t0) is free, p(t0) = 0 is met by descent along
p(t0) only, which is slow. `Collocation` has no such limit, since it varies x and
p together, as section 5.4.1 of Abarbanel, Rozdeba and Shirman 2017 proposes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import integer, share
from symda.errors import OptionError
from symda.solve.boundary.collocation import (
    LARGEST_DEGREE,
    extremal,
    interpolate,
    note_bounds,
)
from symda.solve.boundary.extremal import Extremal, Outcome
from symda.solve.boundary.functions import FieldFunctions
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.polynomials import gauss
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe import Problem


#: Newton iterations for the stages of an interval, and the change that ends them.
STAGES, SMALL = 12, 1e-13
#: Sweeps over which their pace is measured, and how many times max_iter they may seem to need.
PACE, MARGIN = 50, 2.0
#: Relaxation below which a sweep no longer moves anything.
LEAST = 1e-10


@dataclass(frozen=True, eq=False)
class _Motion:
    """States at the ends of intervals (J + 1, D) and at Gauss points (J, d, D), and the action."""

    x: FloatArray
    X: FloatArray
    action: float


@dataclass(frozen=True, eq=False)
class _Return:
    """Momenta at Gauss points (J, d, D), at right ends of intervals (J, D), and before t0 (D,)."""

    points: FloatArray
    right: FloatArray
    before: FloatArray


class Sweeps:
    """Forward-backward sweeps on the equations that `Collocation` solves at once.

    Parameters
    ----------
    problem : Problem
        Data; all parameters fixed.
    degree, intervals, inputs
        As for `Collocation`: where both converge, they end in the same numbers.
    relaxation : float
        Largest share of the new p that a sweep takes over, at most 1; halved while the action
        rises, doubled after a sweep that lowered it.
    max_iter : int
        Sweeps.
    tol : float
        Change of p by a full sweep, as a share of its largest value, that counts as none. The
        action's own rounding hides changes below about 1e-7.

    Raises
    ------
    OptionError
        If a parameter is free, or an option is out of range.
    """

    def __init__(
        self,
        system: FieldFunctions,
        problem: Problem,
        *,
        degree: int = 4,
        intervals: int = 1,
        inputs: Inputs | None = None,
        relaxation: float = 1.0,
        max_iter: int = 2000,
        tol: float = 1e-6,
    ) -> None:
        integer(degree, "sweeps: degree", most=LARGEST_DEGREE)
        integer(intervals, "sweeps: intervals", most=10_000)
        integer(max_iter, "sweeps: max_iter", most=10**9)
        share(relaxation, "sweeps: relaxation", closed=True)
        share(tol, "sweeps: tol", closed=True)
        if problem.free.any():
            names = [problem.parameters[i] for i in np.flatnonzero(problem.free)]
            raise OptionError(
                f"sweeps estimate no parameters, but {', '.join(names)} "
                f"{'are' if len(names) > 1 else 'is'} free. Fix them with fixed={{...}}, or use "
                "'collocation'."
            )
        self.system, self._problem = system, problem
        self.mesh = Mesh.of(problem, degree, intervals, inputs)
        self._relaxation, self._max_iter, self._tol = float(relaxation), max_iter, tol
        #: Size of the states where they are near 0, for tolerances.
        self._size = 1.0

    def solve(
        self,
        times: FloatArray,
        path: FloatArray,
        theta: FloatArray,
        rf: FloatArray,
        initial: FloatArray | None = None,
    ) -> Extremal:
        """Sweep from a path, which says the first p = Rf (x' - F); see `Collocation.solve`."""
        started = time.perf_counter()
        D, theta = self.system.D, self._problem.fixed
        known = np.zeros(D, dtype=bool) if initial is None else ~np.isnan(initial)
        x0 = interpolate(times, path, self.mesh.times[:1])[0]
        x0 = x0 if initial is None else np.where(known, initial, x0)
        self._size = float(max(np.abs(path).max(), np.abs(x0).max())) or 1.0
        p = self._first(times, path, theta, rf)
        stiffness = self._stiffness(times, path, theta)
        alpha, sweeps, evaluations, change = self._relaxation, 0, 1, np.inf
        changes: list[float] = []
        motion = self._forward(x0, p, theta, rf)
        if motion is None:
            # the path of the start is no motion that can be followed; the free one may be
            p = np.zeros_like(p)
            motion, evaluations = self._forward(x0, p, theta, rf), 2
        back = None if motion is None else self._backward(motion, theta)
        while motion is not None and back is not None:
            size = max(float(np.abs(back.points).max()), np.finfo(float).tiny)
            gradient = np.where(known, 0.0, back.before)
            moved = np.max(np.abs(back.points - p)[..., np.isfinite(rf)], initial=0.0)
            change = float(max(moved, np.abs(gradient).max())) / size
            changes.append(change)
            if change <= self._tol or sweeps >= self._max_iter or self._too_slow(changes):
                break
            ahead = None
            while alpha >= LEAST:
                trial = p + alpha * (back.points - p), x0 + alpha * gradient / stiffness
                ahead = self._forward(trial[1], trial[0], theta, rf)
                evaluations += 1
                if ahead is not None and ahead.action < motion.action:
                    break
                ahead, alpha = None, 0.5 * alpha
            if ahead is None:
                break
            (p, x0), motion = trial, ahead
            back = self._backward(motion, theta)
            alpha, sweeps = min(2.0 * alpha, self._relaxation), sweeps + 1
        status, message = self._verdict(motion, changes, sweeps)
        seconds = time.perf_counter() - started
        if motion is None or back is None:
            rest = interpolate(times, path, self.mesh.times)
            motion, zero = _Motion(rest, np.repeat(rest[:-1, None], p.shape[1], 1), np.inf), 0.0 * p
            back = _Return(zero, 0.0 * rest[1:], 0.0 * x0)
        outcome = Outcome(status, message, sweeps, evaluations, seconds)
        found = extremal(
            self.system,
            self.mesh,
            (motion.x, motion.X),
            (back.points, back.right),
            theta,
            rf,
            self._problem.free,
            known,
            outcome,
        )
        return note_bounds(found, self._problem)

    def _too_slow(self, changes: list[float]) -> bool:
        """Whether at the pace of the last sweeps it would take far more than may be made."""
        if len(changes) <= 2 * PACE:
            return False
        now, then = min(changes[-PACE:]), min(changes[-2 * PACE : -PACE])
        fall = np.log(then / now) / PACE
        left = self._max_iter - len(changes)
        return bool(np.log(now / self._tol) > MARGIN * left * fall)

    def _verdict(
        self, motion: _Motion | None, changes: list[float], sweeps: int
    ) -> tuple[Status, str]:
        if motion is None or not changes:
            return Status.FAILED, "the motion from the start leaves finite numbers" + _INSTEAD
        change = changes[-1]
        if change <= self._tol:
            return Status.CONVERGED, f"{sweeps} sweeps, the last would change p by {change:.2g}"
        why = (
            f"max_iter = {self._max_iter} sweeps reached"
            if sweeps >= self._max_iter
            else f"too slow after {sweeps} sweeps, max_iter = {self._max_iter} would not do"
            if self._too_slow(changes)
            else "no relaxation lowers the action any more"
        )
        return (
            Status.STOPPED,
            f"{why}; a full sweep still changes p by {change:.2g} of it" + _INSTEAD,
        )

    def _first(
        self, times: FloatArray, path: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> FloatArray:
        """Momenta of a path at the Gauss points, 0 where the equation holds exactly."""
        mesh, D = self.mesh, self.system.D
        flat = mesh.points.reshape(-1)
        x = interpolate(times, path, mesh.times)
        X = interpolate(times, path, flat).reshape(*mesh.points.shape, D)
        known = np.concatenate([x[:-1, None], X], axis=1) / mesh.h[:, None, None]
        slopes = gauss(mesh.degree).slopes @ known
        u = mesh.u.reshape(flat.size, self.system.U)
        F = self.system.slope(X.reshape(-1, D), theta, u, flat).reshape(X.shape)
        return np.where(np.isfinite(rf), np.where(np.isfinite(rf), rf, 0.0) * (slopes - F), 0.0)

    def _stiffness(self, times: FloatArray, path: FloatArray, theta: FloatArray) -> float:
        """Sum of the data's curvatures: the curvature for x(t0) if it moved the whole path."""
        mesh = self.mesh
        x = interpolate(times, path, mesh.times)
        shift = 1e-6 * self._size
        total = 0.0
        gradient = self.system.force(x, theta, mesh.y, mesh.rm)
        for a in range(self.system.D):
            moved = x.copy()
            moved[:, a] += shift
            change = self.system.force(moved, theta, mesh.y, mesh.rm) - gradient
            total += float(np.abs(change[:, a]).sum()) / shift
        return total if total > 0.0 else 1.0

    def _forward(
        self, x0: FloatArray, p: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> _Motion | None:
        """Integrate x' = F + p / Rf; None if it cannot be followed."""
        mesh, table, D = self.mesh, gauss(self.mesh.degree), self.system.D
        x, X, push = np.empty((mesh.J + 1, D)), np.empty(p.shape), p / rf
        x[0] = x0
        with np.errstate(all="ignore"):
            for i, h in enumerate(mesh.h):
                stages = self._stages(i, x[i], push[i], theta)
                if stages is None:
                    return None
                X[i] = stages
                slope = self.system.slope(stages, theta, mesh.u[i], mesh.points[i]) + push[i]
                x[i + 1] = x[i] + h * table.b @ slope
            weights = (mesh.h[:, None] * table.b)[..., None]
            action = float(np.sum(weights * p * push) / 2.0)
            action += float(self.system.error(x, theta, mesh.y, mesh.rm).sum())
        return _Motion(x, X, action) if np.isfinite(action) else None

    def _stages(
        self, i: int, x: FloatArray, push: FloatArray, theta: FloatArray
    ) -> FloatArray | None:
        """Gauss stages of interval i by Newton's method, (d, D)."""
        mesh, A, D = self.mesh, gauss(self.mesh.degree).A, self.system.D
        h, t, u, d = mesh.h[i], mesh.points[i], mesh.u[i], mesh.degree
        X = np.tile(x, (d, 1))
        for _ in range(STAGES):
            r = X - x - h * A @ (self.system.slope(X, theta, u, t) + push)
            J = self.system.jacobian(X, theta, u, t)[..., :D]
            matrix = np.eye(d * D) - h * np.einsum("jk,kab->jakb", A, J).reshape(d * D, d * D)
            try:
                step = np.linalg.solve(matrix, r.reshape(-1)).reshape(d, D)
            except np.linalg.LinAlgError:
                return None
            X = X - step
            if not np.isfinite(X).all():
                return None
            if np.max(np.abs(step)) <= SMALL * (self._size + np.max(np.abs(X))):
                return X
        # what rounding leaves of the change is not worth giving up for
        return X if np.max(np.abs(step)) <= 1e-9 * (self._size + np.max(np.abs(X))) else None

    def _backward(self, motion: _Motion, theta: FloatArray) -> _Return:
        """Integrate p' = -DF^T p from p(tF) = 0, with the jumps of the data."""
        mesh, table, D = self.mesh, gauss(self.mesh.degree), self.system.D
        d, J = mesh.degree, mesh.J
        flat = mesh.points.reshape(-1)
        u = mesh.u.reshape(flat.size, self.system.U)
        slopes = self.system.jacobian(motion.X.reshape(-1, D), theta, u, flat)[..., :D]
        slopes = slopes.reshape(J, d, D, D)
        # p_j = right + h sum_k (b_k - A_jk) DF_k^T p_k
        couple = np.einsum("jk,ikab->ijbka", table.b - table.A, slopes)
        matrices = np.eye(d * D) - mesh.h[:, None, None] * couple.reshape(J, d * D, d * D)
        # stages, as a linear function of the value at the right end
        lift = np.linalg.solve(matrices, np.broadcast_to(np.tile(np.eye(D), (d, 1)), (J, d * D, D)))
        falls = np.einsum("k,ikab,ikac->ibc", table.b, slopes, lift.reshape(J, d, D, D))
        back = np.eye(D) + mesh.h[:, None, None] * falls
        gradient = self.system.force(motion.x, theta, mesh.y, mesh.rm)[:, :D]
        right = np.empty((J, D))
        after = np.zeros(D)
        for i in range(J - 1, -1, -1):
            right[i] = after - gradient[i + 1]
            after = back[i] @ right[i]
        points = np.einsum("ima,ia->im", lift, right).reshape(J, d, D)
        return _Return(points, right, after - gradient[0])


_INSTEAD = (
    ". Sweeps converge where x(t0) is given, the window short and Rf large: use 'collocation', "
    "start from an annealed path, give initial=, raise Rf, or take a shorter window"
)
