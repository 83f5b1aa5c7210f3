"""What a start is, and what one is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

from symda.anneal.measured import near
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.anneal.dynamics import Dynamics
    from symda.observe import Problem
    from symda.solve import Strong


Point: TypeAlias = tuple[FloatArray, FloatArray]
StartFunction: TypeAlias = Callable[["Problem", np.random.Generator], Point]


@dataclass(frozen=True, eq=False)
class Draw:
    """What the start of one path may use: the problem, and random numbers that are its own.

    Attributes
    ----------
    problem : Problem
        Data, grid, bounds and ranges.
    seed : int
        Seed of the run.
    number : int
        Number of the path, from 0.
    turn : int
        0 for the path's first start; others for more of them.
    forward : function
        Makes the model's forward steps, which `dynamics` asks for.
    flow : function
        Makes what integrates the model, which `strong` asks for.
    rng : numpy.random.Generator
        Random numbers that depend on seed, path and turn only.
    """

    problem: Problem
    seed: int = 0
    number: int = 0
    turn: int = 0
    forward: Callable[[], Dynamics] | None = None
    flow: Callable[[], Strong] | None = None
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        key = (self.number,) if self.turn == 0 else (self.number, 1 + self.turn)
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        object.__setattr__(self, "rng", rng)

    @property
    def dynamics(self) -> Dynamics:
        """The model's forward steps."""
        if self.forward is None:
            raise ValueError("this draw was made without the model's steps")
        return self.forward()

    @property
    def strong(self) -> Strong:
        """The model's own solutions."""
        if self.flow is None:
            raise ValueError("this draw was made without the model's flow")
        return self.flow()

    def again(self, turn: int) -> Draw:
        """Return the draw of another start for the same path."""
        return replace(self, turn=turn)

    def path(self, drawn: FloatArray | None = None) -> FloatArray:
        """Draw a path, (M, D).

        `drawn` (M, D) stands where nothing is known, in place of values of its own at every point.

        A component measured as it is (`Problem.direct`) lies on the data and near them, as far as
        the typical (median) distance of two of its data: linear in time between them, constant
        outside, within its bounds. Farther from its data, and everywhere if it is measured once
        only or hardly more often, and for every other component, it is uniform in
        `Problem.state_start`, independently at every grid point. Two channels that measure one
        state at one time enter as their mean, weighted with Rm.
        """
        problem = self.problem
        low, high = problem.state_start.T
        if drawn is None:
            drawn = self.rng.uniform(low, high, (problem.M, problem.D))
        path = drawn
        for one, segment in zip(problem.experiments, problem.segments, strict=True):
            _follow(one, path[segment.own_points])
        path = np.clip(path, problem.state_bounds[:, 0], problem.state_bounds[:, 1])
        return known_first(problem, path)

    def parameters(self) -> FloatArray:
        """Draw parameters, (P,): uniform in `Problem.parameter_start`, fixed ones at their values.

        A fixed one may have no range; a number is drawn for it all the same, so that fixing one
        parameter leaves the starts of the others where they were.
        """
        problem = self.problem
        ranges = np.where(problem.free[:, None], problem.parameter_start, [[0.0, 1.0]])
        drawn = self.rng.uniform(ranges[:, 0], ranges[:, 1])
        return np.where(problem.free, drawn, problem.fixed)

    def initial(self) -> FloatArray:
        """Draw a state at the first grid point, (D,): as `path` does, but only there.

        Of several experiments it is that of the first.
        """
        problem = self.problem
        low, high = problem.state_start.T
        state = self.rng.uniform(low, high)
        y, rm = problem.placed
        for channel, index in enumerate(problem.direct):
            if index >= 0 and rm[0, channel] > 0.0:
                state[index] = y[0, channel]
        return _known(np.clip(state, *problem.state_bounds.T), problem.initial[0])


def known_first(problem: Problem, path: FloatArray) -> FloatArray:
    """Put the first states that are given into a path (M, D)."""
    for segment, known in zip(problem.segments, problem.initial, strict=True):
        path[segment.first_point] = _known(path[segment.first_point], known)
    return path


def _known(state: FloatArray, known: FloatArray) -> FloatArray:
    """Return a first state (D,) with the numbers that are given put in."""
    return np.where(np.isnan(known), state, known)


def _follow(problem: Problem, path: FloatArray) -> None:
    """Put the components of one experiment's path (M, D) that are measured on the data."""
    y, rm = problem.placed
    for state in sorted({int(index) for index in problem.direct if index >= 0}):
        channels = problem.direct == state
        weight = rm[:, channels].sum(axis=1)
        seen = weight > 0.0
        if seen.any():
            data = (rm * y)[:, channels].sum(axis=1)[seen] / weight[seen]
            known = near(problem, seen)
            path[known, state] = np.interp(problem.times[known], problem.times[seen], data)


@runtime_checkable
class Start(Protocol):
    """Where paths start: an object, of which a dataclass's fields are the options.

    Where the model has scales, path and parameters are those that solvers move: the logarithm of a
    positive state, see `Problem.internal`. A start may hold another and ask it for points:
    `other.point(draw.again(1))`.
    """

    @property
    def name(self) -> str:
        """For the record of the run."""

    def point(self, draw: Draw) -> Point:
        """Return path (M, D) and parameters (P,)."""


@dataclass(frozen=True, eq=False)
class Function:
    """A function `(problem, rng) -> (X, theta)` of the user's, whose values are natural."""

    function: StartFunction

    @property
    def name(self) -> str:
        """The function's own."""
        return getattr(self.function, "__name__", repr(self.function))

    def point(self, draw: Draw) -> Point:
        """Return what the function does, as solvers move it."""
        path, theta = (np.array(one, float) for one in self.function(draw.problem, draw.rng))
        p = draw.problem
        if path.shape != (p.M, p.D) or theta.shape != (p.P,):
            return path, theta  # refused by who asked
        return p.internal(path, theta)
