"""What a scheme gets wrong in each step of a path, against a fine integration of the equations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.stiff_steps import StepForcing, StiffSteps
from symda.discretise import METHODS, Tableau
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.build.abstract import Evaluator
    from symda.observe import Problem

#: Substeps that a step is integrated with, until two of them agree.
SUBSTEPS = (1, 2, 4, 8, 16)
#: They agree if they differ by this share of what is to be found, or of a state's size.
SHARE = 0.05
ROUNDING = 1e-12
#: Steps times D^3 up to which what is stiff is integrated implicitly: some seconds.
LARGEST_WORK = 2_000_000
NONE: IntArray = np.empty(0, dtype=np.int64)
#: Share of an unknown's size by which it is changed for a derivative.
DIFFERENCE = 1e-6


@dataclass(frozen=True, eq=False)
class SchemeError:
    """Each step of a path integrated from its left end."""

    #: Right end of the step minus where the equations lead from its left end, (N, D).
    defect: FloatArray
    #: What the scheme's residual makes of the equations' own solution: its local error, (N, E).
    residual: FloatArray
    #: (N,): steps for which the fine integration is known to be right; others are too stiff for it.
    settled: BoolArray
    #: The solution at the interior points and right end of each step, (N, I + 1, D).
    points: FloatArray
    substeps: int  #: What it took.
    stiff: IntArray  #: Which steps were integrated by an implicit method.

    def beside(self, problem: Problem, path: FloatArray) -> float:
        """Return the local errors, added up over the steps, over the noise of the data.

        Each as a share of the spread of its state or channel; of several experiments the largest.
        Infinite where a step could not be integrated.
        """
        if not self.settled.all():
            return np.inf
        errors = np.abs(self.residual).reshape(problem.N, -1, problem.D).max(axis=1)
        seen = problem.guide > 0.0
        shares = []
        with np.errstate(all="ignore"):
            for one in problem.segments:
                sums = errors[one.own_steps][:, problem.ruled].sum(axis=0)
                spread = np.ptp(path[one.own_points][:, problem.ruled], axis=0)
                y, guide = (
                    np.where(seen, of, np.nan)[one.own_points] for of in (problem.y, problem.guide)
                )
                noise = np.nanmedian(guide**-0.5, axis=0) / np.nanstd(y, axis=0)
                share = sums / np.where(spread > 0.0, spread, np.nan)
                shares.append(np.nanmax(share, initial=0.0) / np.nanmin(noise, initial=np.inf))
        return float(np.max(shares))


def scheme_error(
    evaluator: Evaluator,
    jacobian: ca.Function,
    path: FloatArray,
    theta: FloatArray,
    u: StepForcing,
) -> SchemeError:
    """Integrate each step of a path finely, all of them at once.

    Parameters
    ----------
    jacobian : casadi.Function
        (x, u, theta, t) -> F and dF/d(x, theta).
    path : ndarray, shape (M, D)
    theta : ndarray, shape (P,)
    u : StepForcing
        The forcing inside the steps.

    Notes
    -----
    The integration is the method of order 8 of Dormand and Prince; steps that are too stiff for it
    are integrated by Radau IIA of order 5. See `sd.INTEGRATORS`.
    """
    flow = _Flow(evaluator.problem, jacobian, _of_steps(evaluator.problem, theta), u)
    found = _integrated(evaluator, flow, path, theta)
    rows = np.flatnonzero(~found.settled)
    if rows.size and rows.size * evaluator.problem.D**3 <= LARGEST_WORK:
        flow.stiff = rows
        return _integrated(evaluator, flow, path, theta)
    return found


def _integrated(
    evaluator: Evaluator, flow: _Flow, path: FloatArray, theta: FloatArray
) -> SchemeError:
    """Take more and more substeps until two numbers of them agree."""
    problem = evaluator.problem
    stride = 1 + problem.interior
    left = path[problem.left_points]
    inner = _interior(problem)
    size = np.abs(path).max(axis=0) + np.finfo(float).tiny
    with np.errstate(all="ignore"):
        before = flow.through(path, (*inner, 1.0), SUBSTEPS[0])
        missed = _residual_of(evaluator, left, before, theta)
        settled = np.zeros(problem.N, dtype=bool)
        for substeps in SUBSTEPS[1:]:
            points = flow.through(path, (*inner, 1.0), substeps)
            residual = _residual_of(evaluator, left, points, theta)
            change = np.abs(points - before).max(axis=1)
            # of an implicit scheme the residual of a diverging integration is larger than that
            turn, wanted = (
                np.abs(found).reshape(problem.N, stride, problem.D).max(axis=1)
                for found in (residual - missed, residual)
            )
            most = SHARE * wanted + ROUNDING * size
            settled = ((change <= most) & (turn <= most)).all(axis=1)
            before, missed = points, residual
            if settled.all():
                break
        defect = path[problem.left_points + stride] - points[:, -1]
    settled &= np.isfinite(defect).all(axis=1)
    return SchemeError(defect, residual, settled, points, substeps, flow.stiff)


def solution_tangents(
    error: SchemeError,
    evaluator: Evaluator,
    jacobian: ca.Function,
    path: FloatArray,
    theta: FloatArray,
    u: StepForcing,
) -> FloatArray:
    """Return the derivatives (N, E, D + p) of the steps' solutions by left end and parameters.

    Not of steps that were integrated implicitly.

    By differences, of which one is an integration of all steps: D + p of them.
    """
    problem = evaluator.problem
    left, ends = path[problem.left_points], (*_interior(problem), 1.0)
    own, typical = _of_steps(problem, theta), _of_steps(problem, problem.typical)
    sizes = np.abs(path).max(axis=0)
    sizes = np.tile(np.where(sizes > 0.0, sizes, 1.0), (problem.N, 1))
    changes = DIFFERENCE * np.hstack([sizes, np.where(own == 0.0, typical, np.abs(own))])
    tangents = np.empty((problem.N, problem.E, changes.shape[1]))
    for j, change in enumerate(changes.T):
        first, values = left, own
        if j < problem.D:
            first = left + change[:, None] * (np.arange(problem.D) == j)
        else:
            values = own + change[:, None] * (np.arange(own.shape[1]) == j - problem.D)
        with np.errstate(all="ignore"):
            moved = _Flow(problem, jacobian, values, u).to(first, ends, error.substeps)
        moved -= error.points
        tangents[:, :, j] = moved.reshape(problem.N, -1) / change[:, None]
    return tangents


def _of_steps(problem: Problem, theta: FloatArray) -> FloatArray:
    """Return the parameters of each step, (N, p), of all, (P,)."""
    return theta[problem.use[problem.step_experiments]]


def polynomial_forcing(problem: Problem) -> StepForcing:
    """Return the forcing as the scheme sees it: a polynomial through its values in each step."""
    nodes = np.asarray(problem.abscissae)

    def u(abscissae: FloatArray) -> FloatArray:
        basis = np.ones((len(abscissae), nodes.size))
        for i, node in enumerate(nodes):
            for other in np.delete(nodes, i):
                basis[:, i] *= (abscissae - other) / (node - other)
        values: FloatArray = np.einsum("ji,niu->nju", basis, problem.u)
        return values

    return u


def _interior(problem: Problem) -> tuple[float, ...]:
    """Abscissae of the interior points, read from the grid."""
    stride = 1 + problem.interior
    n = problem.longest
    inside = (problem.times[n * stride + 1 : (n + 1) * stride] - problem.node_times[n]) / problem.h[
        n
    ]
    # the grid's times are rounded, the scheme's own abscissae are not
    own = np.asarray(problem.abscissae)
    return tuple(float(own[np.argmin(np.abs(own - c))]) for c in inside)


@cache
def _tableau() -> tuple[FloatArray, FloatArray]:
    method = METHODS["dop853"]
    assert isinstance(method, Tableau)
    return np.array(method.A, float), np.array(method.b, float)


class _Flow:
    """The solution from the left end of every step to some of its abscissae."""

    def __init__(
        self,
        problem: Problem,
        jacobian: ca.Function,
        theta: FloatArray,
        u: StepForcing,
    ) -> None:
        self._problem = problem
        self._jacobian = jacobian
        self._field = jacobian.slice("field", [0, 1, 2, 3], [0]).map(problem.N)
        self._theta = theta
        self._u = u
        self.stiff = NONE  #: Steps that are integrated by an implicit method.

    @cached_property
    def _implicit(self) -> StiffSteps:
        return StiffSteps(self._problem, self._jacobian, self._theta, self._u, self.stiff)

    def through(self, path: FloatArray, ends: tuple[float, ...], substeps: int) -> FloatArray:
        """Return the same from the nodes of a path; interior points of pulses are the path's."""
        stride, pulses = len(ends), self._problem.pulses
        left = self._problem.left_points
        points = self.to(path[left], ends, substeps)
        if pulses.any():
            own = path[left[:, None] + 1 + np.arange(stride)]
            points[pulses, :-1] = own[pulses, :-1]
        return points

    def to(self, left: FloatArray, ends: tuple[float, ...], substeps: int) -> FloatArray:
        """Return the states (N, I + 1, D) at the abscissae `ends`, each from the one before."""
        x, begin, found = left, 0.0, []
        for end in ends:
            for k in range(substeps):
                share = (end - begin) / substeps
                x = self._advance(x, begin + k * share, share)
            found.append(x)
            begin = end
        points = np.stack(found, axis=1)
        pulses = self._problem.pulses
        if pulses.any():
            points[pulses] = self._jumped(left)[pulses, None]
        return points

    def _jumped(self, left: FloatArray) -> FloatArray:
        """Return the ends of pulses from their left ends; other rows mean nothing."""
        p = self._problem
        u = p.u[:, 0].copy()
        u[p.pulses] = p.jumps
        slope = self._field(left.T, u.T, self._theta.T, p.left_times[None]).full().T
        return np.asarray(left + p.h[:, None] * slope)

    def _advance(self, x: FloatArray, begin: float, share: float) -> FloatArray:
        """Go over a share of every step, (N, D) -> (N, D)."""
        A, b = _tableau()
        p = self._problem
        at = begin + share * A.sum(axis=1)
        u = self._u(at)
        length = (share * p.h)[:, None]
        slopes: list[FloatArray] = []
        for i in range(len(b)):
            argument = x
            terms = [A[i, j] * slopes[j] for j in range(i) if A[i, j]]
            if terms:
                argument = x + length * sum(terms)
            times = p.left_times + at[i] * p.h
            slope = self._field(argument.T, u[:, i].T, self._theta.T, times[None])
            slopes.append(np.asarray(slope.full()).T)
        total = np.einsum("i,inj->nj", b, np.stack(slopes))
        ends = np.asarray(x + length * total)
        if self.stiff.size:
            ends[self.stiff] = self._implicit.advance(x[self.stiff], begin, share)
        return ends


def _residual_of(
    evaluator: Evaluator, left: FloatArray, points: FloatArray, theta: FloatArray
) -> FloatArray:
    """Residuals (N, E) of steps from `left` (N, D) through `points` (N, I + 1, D)."""
    parts = [
        _residual_of_one(one, left[segment.own_steps], points[segment.own_steps], theta[use])
        for one, segment, use in zip(
            evaluator.experiments, evaluator.problem.segments, evaluator.problem.use, strict=True
        )
    ]
    return np.concatenate(parts)


def _residual_of_one(
    evaluator: Evaluator, left: FloatArray, points: FloatArray, theta: FloatArray
) -> FloatArray:
    """Return the same of one experiment."""
    problem = evaluator.problem
    N, D, stride = problem.N, problem.D, 1 + problem.interior
    # every other window of this path is a step: x_n, its points, as many that do not matter
    path = np.zeros((N, 2 * stride, D))
    path[:, 0] = left
    path[:, 1 : stride + 1] = points
    path[:, stride + 1 :] = points[:, -1:]
    flat = np.ascontiguousarray(path.reshape(-1, D)[: (2 * N - 1) * stride + 1])
    data = np.repeat(evaluator.packed.steps, 2, axis=0)[:-1]
    return evaluator.kernels.step_residual(flat, theta, np.ascontiguousarray(data))[::2]
