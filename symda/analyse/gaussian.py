"""The Gaussian that exp(-A) is near a minimum: variances of every state and parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.posterior import no_minimum, principal
from symda.errors import SolveError
from symda.solve import Strong
from symda.solve.conditional import Conditional
from symda.solve.derivatives import Derivatives
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem


#: A state that an open direction moves by less than this share of its size is not moved by it.
UNMOVED = 1e-6


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Laplace's approximation at one minimum of the action.

    All is in the units of what solvers move: logarithms, where a scale was declared. The path
    follows Q unknowns u, the free parameters, or of a solution of the equations its first states
    and parameters, by its tangent T. Beside that it has a spread of its own where the model may
    err.

    Attributes
    ----------
    problem : Problem
    path : (M, D)
    theta : (P,)
    action : float
    log_mass : float
        -A - 1/2 log det H, the log of what lies under exp(-A) but for a constant. An unknown on a
        bound counts as half a Gaussian cut off by its slope. nan where a direction is open.
    tangent : (M, D, Q)
        Derivatives of the path by u.
    places : (Q,)
        Which parameter each of u is; -1 for first states.
    modes : (Q, q)
        Principal directions of u, each as long as its standard deviation.
    flat : (Q, r)
        Directions of u that nothing determines.
    held : (M D + P,)
        Unknowns on a bound: the rest is given for them as known.
    unseen : (M, D)
        Values that nothing measured depends on.
    fixed : (M D + P,)
        Unknowns that are no variables.
    own : Conditional or None
        The path's own spread, given u.
    curved : function
        Of a change z of the unknowns (M D + P,), to z^T H z.
    """

    problem: Problem
    path: FloatArray
    theta: FloatArray
    action: float
    log_mass: float
    tangent: FloatArray
    places: IntArray
    modes: FloatArray
    flat: FloatArray
    held: BoolArray
    unseen: BoolArray
    fixed: BoolArray
    own: Conditional | None
    curved: Callable[[FloatArray], float]

    @cached_property
    def _spread(self) -> FloatArray:
        """Tangent times modes, (M, D, q)."""
        return self.tangent @ self.modes

    @cached_property
    def _theta(self) -> FloatArray:
        """Modes of the parameters, (P, q)."""
        found = np.zeros((self.problem.P, self.modes.shape[1]))
        known = self.places >= 0
        found[self.places[known]] = self.modes[known]
        return found

    @cached_property
    def open(self) -> BoolArray:
        """Which values of the path nothing determines, (M, D)."""
        sizes = self.problem.magnitudes(self.path, self.theta)[: self.problem.D]
        moved = np.abs(self.tangent @ self.flat).max(axis=2, initial=0.0) > UNMOVED * sizes
        found: BoolArray = self.unseen | moved
        return found

    @cached_property
    def _blocks(self) -> tuple[FloatArray, FloatArray]:
        """The path's own covariances: of each point, (M, D, D), and of it with the next before."""
        p = self.problem
        points, between = np.zeros((p.M, p.D, p.D)), np.zeros((p.M - 1, p.D, p.D))
        if self.own is None:
            return points, between
        held = ~self._free[: p.M * p.D].reshape(p.M, p.D)
        each = 1 + p.interior
        for segment, (own, below) in zip(p.segments, self.own.blocks(p.E), strict=True):
            begin, count = segment.first_point, segment.points
            own = own.reshape(-1, each, p.D, each, p.D)
            after = np.zeros((len(own), each, p.D, p.D))
            for i in range(1, each):
                after[:, i - 1] = own[:, i, :, i - 1]
            after[:-1, -1] = below.reshape(-1, each, p.D, each, p.D)[:, 0, :, -1]
            of_points = np.stack([own[:, i, :, i] for i in range(each)], axis=1)
            points[begin : begin + count] = of_points.reshape(-1, p.D, p.D)[:count]
            between[begin : begin + count - 1] = after.reshape(-1, p.D, p.D)[: count - 1]
        # in the factor an unknown that does not vary has a 1
        points[held[:, :, None] | held[:, None, :]] = 0.0
        between[held[1:, :, None] | held[:-1, None, :]] = 0.0
        return points, between

    @cached_property
    def covariance(self) -> FloatArray:
        """Covariance of the states at each point, (M, D, D).

        Infinite variances where nothing determines a value, nan beside them, and where a bound
        holds it.
        """
        found = self._blocks[0] + self._spread @ self._spread.transpose(0, 2, 1)
        undefined = self.open | self._held_path
        found[undefined[:, :, None] | undefined[:, None, :]] = np.nan
        at = np.arange(self.problem.D)
        found[:, at, at] = np.where(
            self._held_path, np.nan, np.where(self.open, np.inf, found[:, at, at])
        )
        return found

    @property
    def natural_sd(self) -> FloatArray:
        """Standard deviation of each state in the user's units, (M, D), by the delta method."""
        slopes = self.problem.slopes(self.path, self.theta)[0]
        found: FloatArray = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2)) * slopes
        return found

    def bars(self, share: float = 0.95) -> dict[str, tuple[tuple[str, str], FloatArray]]:
        """Return a run's variables of its best path's error bars, dims (time, state).

        `state_sd`, and `state_low` and `state_high`, between which a state is with a probability.
        """
        p = self.problem
        reach = NormalDist().inv_cdf(0.5 + 0.5 * share) * np.sqrt(
            np.diagonal(self.covariance, axis1=1, axis2=2)
        )
        ends = (p.natural(self.path + side * reach, self.theta)[0] for side in (-1.0, 1.0))
        named = zip(("state_sd", "state_low", "state_high"), (self.natural_sd, *ends), strict=True)
        return {name: (("time", "state"), values) for name, values in named}

    @cached_property
    def between(self) -> FloatArray:
        """Covariance of the states at point m + 1 with those at m, (M - 1, D, D).

        nan between experiments, and where `covariance` has none.
        """
        found = self._blocks[1] + self._spread[1:] @ self._spread[:-1].transpose(0, 2, 1)
        undefined = self.open | self._held_path
        found[undefined[1:, :, None] | undefined[:-1, None, :]] = np.nan
        found[np.array([one.first_point for one in self.problem.segments[1:]], int) - 1] = np.nan
        return found

    @cached_property
    def with_parameters(self) -> FloatArray:
        """Covariance of each state with each parameter, (M, D, P)."""
        found = self._spread @ self._theta.T
        undefined = self.open | self._held_path
        found[undefined] = np.nan
        found[:, :, self._open_parameters | self.held[self.problem.unknowns.on_path :]] = np.nan
        return found

    @cached_property
    def of_parameters(self) -> FloatArray:
        """Covariance of the parameters, (P, P); as of states where nothing determines them."""
        found = self._theta @ self._theta.T
        held = self.held[self.problem.unknowns.on_path :]
        undefined = self._open_parameters | held
        found[undefined[:, None] | undefined] = np.nan
        at = np.arange(self.problem.P)
        found[at, at] = np.where(held, np.nan, np.where(undefined, np.inf, np.diag(found)))
        return found

    def draw(self, m: int, count: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw the states at a grid point, (K, D), with the parameters, (K, P).

        Raises
        ------
        SolveError
            If nothing determines one of them.
        """
        p = self.problem
        loose = [p.states[a] for a in np.flatnonzero(self.open[m])]
        loose += [p.parameters[i] for i in np.flatnonzero(self._open_parameters)]
        if loose:
            raise SolveError(
                f"{', '.join(loose)}: nothing determines {'these' if len(loose) > 1 else 'this'}"
                f", so that no value can be drawn at t = {p.times[m]:.6g}."
            )
        common = rng.normal(size=(count, self.modes.shape[1]))
        sizes, axes = np.linalg.eigh(self._blocks[0][m])
        own = rng.normal(size=(count, p.D)) @ (axes * np.sqrt(np.maximum(sizes, 0.0))).T
        states = self.path[m] + common @ self._spread[m].T + own
        return states, self.theta + common @ self._theta.T

    def variances_along(self, by_state: FloatArray, by_parameter: FloatArray) -> FloatArray:
        """Return the variance of a function of the states and parameters, at each point, (M,).

        Unknowns on a bound count as known.

        Parameters
        ----------
        by_state : (M, D)
            Its derivatives at each point.
        by_parameter : (M, P)
        """
        along = np.einsum("md,mdq->mq", by_state, self.tangent)
        known = self.places >= 0
        along[:, known] += by_parameter[:, self.places[known]]
        found: FloatArray = ((along @ self.modes) ** 2).sum(axis=1)
        found += np.einsum("mi,mij,mj->m", by_state, self._blocks[0], by_state)
        sizes = self.problem.magnitudes(self.path, self.theta)
        whole = np.abs(by_state) @ sizes[: self.problem.D]
        whole += np.abs(by_parameter) @ sizes[self.problem.D :]
        loose = (np.abs(along @ self.flat) > UNMOVED * whole[:, None]).any(axis=1)
        loose |= (self.unseen & (by_state != 0.0)).any(axis=1)
        return np.where(loose, np.inf, found)

    def variance(self, gradient: FloatArray) -> float:
        """Return the variance of a function of all unknowns with this gradient, (M D + P,).

        By one solution with the factor: of the path's values at all times, with each other.
        Unknowns on a bound count as known.
        """
        p = self.problem
        on_path = p.unknowns.on_path
        at = gradient[:on_path].reshape(p.M, p.D)
        if (at[self.unseen] != 0.0).any():
            return math.inf
        along = np.einsum("mdq,md->q", self.tangent, at)
        known = self.places >= 0
        along[known] += gradient[on_path:][self.places[known]]
        sizes = p.magnitudes(self.path, self.theta)
        whole = float((np.abs(at) * sizes[: p.D]).sum() + np.abs(gradient[on_path:]) @ sizes[p.D :])
        if (np.abs(along @ self.flat) > UNMOVED * whole).any():
            return math.inf
        found = float(((along @ self.modes) ** 2).sum())
        if self.own is not None:
            own = np.where(self._free[:on_path], gradient[:on_path], 0.0)
            found += float((self.own.half(own) ** 2).sum())
        return found

    def distance(self, other: Gaussian) -> float:
        """Return how far another minimum is from here, in this one's standard deviations.

        Along the way between the two; the curvature here says how wide that is.
        """
        join = self.problem.unknowns.join
        change = join(other.path, other.theta) - join(self.path, self.theta)
        return math.sqrt(max(0.0, self.curved(np.where(self._free, change, 0.0))))

    @property
    def _free(self) -> BoolArray:
        """Which unknowns vary, (M D + P,)."""
        p = self.problem
        left_out = np.append(self.unseen.reshape(-1), np.zeros(p.P, dtype=bool))
        found: BoolArray = ~(self.held | self.fixed | left_out)
        return found

    @property
    def _held_path(self) -> BoolArray:
        return self.held[: self.problem.unknowns.on_path].reshape(self.path.shape)

    @property
    def _open_parameters(self) -> BoolArray:
        found = np.zeros(self.problem.P, dtype=bool)
        known = self.places >= 0
        sizes = self.problem.magnitudes(self.path, self.theta)[self.problem.D :]
        moved = np.abs(self.flat).max(axis=1, initial=0.0)[known] > UNMOVED * np.abs(
            sizes[self.places[known]]
        )
        found[self.places[known]] = moved
        return found


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
        States that nothing measured depends on: they are left out, as of `laplace`.

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
