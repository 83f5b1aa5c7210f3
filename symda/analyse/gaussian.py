"""The Gaussian that exp(-A) is near a minimum: variances of every state and parameter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from symda.errors import SolveError
from symda.solve.conditional import Conditional
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.observe import Problem


#: A state that an open direction moves by less than this share of its size is not moved by it.
UNMOVED = 1e-6
#: A parameter per step that may change freely is not determined where its standard deviation is so
#: many of its sizes.
LOOSE = 100.0


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
    log_determinant : float
        Of the Hessian; nan where a direction is open.
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
    log_determinant: float
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
        # what may change freely from step to step is tied a little, which is no knowledge
        free = (
            np.diagonal(self._raw, axis1=1, axis2=2)
            > (LOOSE * self.problem.sizes[: self.problem.D]) ** 2
        )
        found |= free & self.problem.untied
        return found

    @cached_property
    def _raw(self) -> FloatArray:
        """Covariance of the states at each point, (M, D, D), without what nothing determines."""
        found: FloatArray = self._blocks[0] + self._spread @ self._spread.transpose(0, 2, 1)
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
        found = self._raw.copy()
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
        found: FloatArray = np.sqrt(self.variances_of_path) * slopes
        return found

    def bars(self, share: float = 0.95) -> dict[str, tuple[tuple[str, str], FloatArray]]:
        """Return a run's variables of its best path's error bars, dims (time, state).

        `state_sd`, and `state_low` and `state_high`, between which a state is with a probability.
        """
        p = self.problem
        reach = NormalDist().inv_cdf(0.5 + 0.5 * share) * np.sqrt(self.variances_of_path)
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

    def product(self, gradient: FloatArray) -> FloatArray:
        """Return the covariance of all unknowns times a vector, (M D + P,).

        0 for unknowns on a bound, and along what nothing determines.
        """
        p, on_path = self.problem, self.problem.unknowns.on_path
        at = np.where(self._free[:on_path], gradient[:on_path], 0.0)
        along = np.einsum("mdq,md->q", self.tangent, gradient[:on_path].reshape(p.M, p.D))
        known = self.places >= 0
        along[known] += gradient[on_path:][self.places[known]]
        common = self.modes.T @ along
        path = (self._spread @ common).reshape(-1)
        if self.own is not None:
            path += np.where(self._free[:on_path], self.own.solve(at), 0.0)
        return np.append(path, self._theta @ common)

    @property
    def variances_of_path(self) -> FloatArray:
        """Variance of each value of the path, (M, D); as `covariance` has it."""
        return np.diagonal(self.covariance, axis1=1, axis2=2)

    def of_points(self) -> Callable[[IntArray, IntArray], FloatArray]:
        """Return a function that gives the covariance of points (R,) with parameters (R, p).

        Its result is (R, D + p, D + p), without what nothing determines, or a bound holds.
        """
        own, p = self._blocks[0], self.problem

        def covariance(points: IntArray, parameters: IntArray) -> FloatArray:
            spread = np.concatenate([self._spread[points], self._theta[parameters]], axis=1)
            found: FloatArray = spread @ spread.transpose(0, 2, 1)
            found[:, : p.D, : p.D] += own[points]
            return found

        return covariance

    def of_windows(self) -> FloatArray:
        """Return the covariance of what each step sees, its points and parameters, (N, W, W).

        Without what nothing determines, or a bound holds.
        """
        p, E = self.problem, self.problem.E
        W = E + p.D
        found = np.zeros((p.N, W + p.use.shape[1], W + p.use.shape[1]))
        spread = np.zeros((p.N, W + p.use.shape[1], self.modes.shape[1]))
        theta, flat = self._theta, self._spread.reshape(p.M * p.D, self.modes.shape[1])
        at = p.windows[:, None] + np.arange(W)
        spread[:, :W] = flat[at]
        spread[:, W:] = theta[p.use[p.step_experiments]]
        if self.own is not None:
            for segment, (own, below) in zip(p.segments, self.own.blocks(E), strict=True):
                n = segment.own_steps
                found[n, :E, :E] = own[:-1]
                found[n, E:W, :E] = below[:, : p.D]
                found[n, :E, E:W] = below[:, : p.D].transpose(0, 2, 1)
                found[n, E:W, E:W] = own[1:, : p.D, : p.D]
            free = self._free[at]
            found[:, :W, :W] *= free[:, :, None] & free[:, None, :]
        found += spread @ spread.transpose(0, 2, 1)
        return found

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
