"""Gaussians about minima: of the action, by its Hessian, and of solutions, by their tangents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.gaussian import Gaussian
from symda.analyse.posterior import no_minimum, principal
from symda.errors import SolveError
from symda.solve import Strong
from symda.solve.derivatives import Derivatives
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem


def by_hessian(
    evaluator: BlockEvaluator,
    path: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
    *,
    held: BoolArray,
    unseen: Sequence[str] = (),
) -> Gaussian:
    """Return the Gaussian at a minimum of the action, from its Hessian's factor.

    Parameters
    ----------
    path : (M, D)
    theta : (P,)
    rf : (D,)
    held : (M D + P,)
        Unknowns that a bound holds, or that are no variables.
    unseen : sequence of str
        States that nothing measured depends on and whose start is not known: they are left out.

    Raises
    ------
    SolveError
        If the action has no minimum there.
    """
    p = evaluator.problem
    on_path, variable = p.unknowns.on_path, p.unknowns.free
    left_out, seen = hidden(p, unseen)
    x = p.unknowns.join(path, theta)
    point = Derivatives(evaluator, exact=True).at(x, evaluator.precision(np.where(seen, rf, 0.0)))
    # in units of a negative log probability, whatever the averaging option
    scale = p.measurement_scale
    point = replace(
        point,
        action=point.action / scale,
        gradient=point.gradient / scale,
        hessian=point.hessian / scale,
    )
    if not np.isfinite(point.hessian).all():
        raise SolveError("The posterior needs a finite Hessian; the action has none at this path.")
    out = held | ~variable | np.append(left_out.reshape(-1), np.zeros(p.P, dtype=bool))
    own = point.pattern.conditional(point.hessian, out)
    if own is None:
        raise no_minimum("along the path")
    tangent = own.follows.reshape(p.M, p.D, p.P)
    tangent[out[:on_path].reshape(p.M, p.D)] = 0.0
    for s, segment in enumerate(p.segments):
        # first states that are functions of the parameters follow them exactly
        tangent[segment.first_point][:, p.use[s]] += evaluator.given.slopes(theta, s)
    free = np.flatnonzero(~out[on_path:])
    units = _units(p, theta)[free]
    diagonal = point.pattern.diagonal(point.hessian)
    schur = own.schur[np.ix_(free, free)]
    modes, flat, log_det = _modes(schur, diagonal[on_path:][free], units)
    log_det += own.log_determinant
    on_bound = held & variable
    return Gaussian(
        problem=p,
        path=path,
        theta=theta,
        action=point.action,
        log_mass=-point.action - 0.5 * log_det + _cut(point.gradient, diagonal, on_bound),
        log_determinant=log_det,
        tangent=np.ascontiguousarray(tangent[:, :, free]),
        places=free,
        modes=modes,
        flat=flat,
        held=on_bound,
        unseen=np.tile(np.isin(p.states, list(unseen)), (p.M, 1)),
        fixed=~variable,
        own=own,
        curved=lambda z: float(z @ point.pattern.product(point.hessian, z)),
    )


def by_tangents(strong: Strong, v: FloatArray, *, unseen: Sequence[str] = ()) -> Gaussian:
    """Return the Gaussian about a solution of the equations, of first states and parameters.

    Parameters
    ----------
    v : (n,)
        Where `strong` has its minimum.
    unseen : sequence of str
        States that nothing measured depends on.

    Raises
    ------
    SolveError
        If the action has no minimum there.
    """
    p = strong.problem
    on_path = p.unknowns.on_path
    path, theta, tangent = strong.tangent(v)
    gradient, hessian = strong.gradient(v), strong.hessian(v) / p.measurement_scale
    on_bound = strong.held(v, gradient)
    blind = np.isin(p.states, list(unseen))
    first = strong.places < on_path
    nowhere = first & blind[strong.places % p.D]
    kept = np.flatnonzero(~(on_bound | nowhere))
    every = np.concatenate([np.tile(p.magnitudes(path, theta)[: p.D], p.M), _units(p, theta)])
    units = every[strong.places][kept]
    modes, flat, log_det = _modes(hessian[np.ix_(kept, kept)], np.diag(hessian)[kept], units)
    held = np.zeros(p.unknowns.count, dtype=bool)
    held[strong.places] = on_bound
    diagonal = np.diag(hessian)
    return Gaussian(
        problem=p,
        path=path,
        theta=theta,
        action=strong.value(v) / p.measurement_scale,
        log_mass=-strong.value(v) / p.measurement_scale
        - 0.5 * log_det
        + _cut(gradient / p.measurement_scale, diagonal, on_bound),
        log_determinant=log_det,
        tangent=np.ascontiguousarray(tangent[:, :, kept]),
        places=np.where(first, -1, strong.places - on_path)[kept],
        modes=modes,
        flat=flat,
        held=held,
        unseen=np.tile(blind, (p.M, 1)),
        fixed=~p.unknowns.free,
        own=None,
        curved=lambda z: float(z[strong.places] @ hessian @ z[strong.places]),
    )


def hidden(problem: Problem, unseen: Sequence[str]) -> tuple[BoolArray, BoolArray]:
    """Return which values of the path to leave out, (M, D), and whose Rf counts, (D,).

    States that nothing measured depends on can follow their equations whatever the others are.
    Where the errors of equations go together, it is the first value of each that says nothing.
    """
    seen = np.array([name not in unseen for name in problem.states])
    out = np.tile(~seen, (problem.M, 1))
    if problem.correlations:
        out[:] = False
        out[[one.first_point for one in problem.segments]] = ~seen
        seen = np.ones(problem.D, dtype=bool)
    return out, seen


def _units(problem: Problem, theta: FloatArray) -> FloatArray:
    """Return the size of each parameter, (P,), as solvers move it: 1 where it has a scale."""
    own = problem.scaled[problem.D :]
    found: FloatArray = np.where(np.abs(theta) > 0.0, np.abs(theta), problem.typical)
    return np.where(own, 1.0, found)


def _modes(
    schur: FloatArray, plain: FloatArray, units: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Return modes (Q, q), flat directions (Q, r) and log det of a Hessian (Q, Q).

    Raises
    ------
    SolveError
        If it is not positive definite, but for flat directions.
    """
    axes, variances, flat = principal(schur * np.outer(units, units), plain * units**2)
    modes = units[:, None] * axes[:, ~flat] * np.sqrt(variances[~flat])
    if flat.any():
        return modes, units[:, None] * axes[:, flat], math.nan
    log_det = -float(np.log(variances).sum() + 2.0 * np.log(units).sum())
    return modes, np.zeros((units.size, 0)), log_det


def _cut(gradient: FloatArray, diagonal: FloatArray, held: BoolArray) -> float:
    """Return the log of what half Gaussians cut off at bounds hold, over that of a whole one's.

    Each is the integral of exp(-g s - h s^2/2) over s > 0, divided by sqrt(2 pi), with slope g and
    curvature h of the unknown alone.
    """
    from scipy.special import erfcx

    g, h = np.abs(gradient[held]), diagonal[held]
    with np.errstate(all="ignore"):
        curved = np.log(erfcx(g / np.sqrt(2.0 * h)) / 2.0) - 0.5 * np.log(h)
        straight = -np.log(g * math.sqrt(2.0 * math.pi))
    return float(np.where(h > 0.0, curved, straight).sum())
