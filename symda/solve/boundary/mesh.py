"""Where the boundary value problem is collocated, and what acts on it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.solve.boundary.polynomials import gauss
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.observe import Problem


@dataclass(frozen=True, eq=False)
class Steps:
    """Forcing as polynomials, step by step."""

    nodes: FloatArray  #: Ends of the steps, (N + 1,).
    coefficients: FloatArray  #: Of powers of s in [0, 1], (N, S, U).

    def __call__(self, t: FloatArray) -> FloatArray:
        """Values at times (T,), shape (T, U)."""
        N, S, _ = self.coefficients.shape
        step = np.clip(np.searchsorted(self.nodes, t, side="right") - 1, 0, N - 1)
        s = (t - self.nodes[step]) / np.diff(self.nodes)[step]
        powers: FloatArray = s[..., None] ** np.arange(S)
        return np.asarray(np.einsum("...s,...su->...u", powers, self.coefficients[step]))


@dataclass(frozen=True, eq=False)
class Inputs:
    """Forcing as a function of time."""

    values: Callable[[FloatArray], FloatArray]  #: Times (T,) -> forcing (T, U).
    breaks: FloatArray  #: Times at which it is not smooth; intervals end there.

    @classmethod
    def of(cls, problem: Problem) -> Inputs:
        """Take the forcing of a problem, which has it at the abscissae of its scheme only.

        In between it is the polynomial through them, step by step: exact for a forcing that is
        linear between grid points (held, for schemes with one abscissa), and never worse than
        what the scheme sees of it.
        """
        c = np.array(problem.abscissae)
        # (N, S, U), coefficients of powers of s in [0, 1]
        coefficients = np.linalg.inv(c[:, None] ** np.arange(c.size)) @ problem.u
        return cls(Steps(problem.node_times, coefficients), np.empty(0))


@dataclass(frozen=True, eq=False)
class Mesh:
    """J intervals, which end at all grid points and wherever the forcing is not smooth."""

    times: FloatArray  #: Ends of the intervals, (J + 1,).
    points: FloatArray  #: Times of the Gauss points, (J, d).
    grid: IntArray  #: Where the model grid's points are among `times`, (M,).
    u: FloatArray  #: Forcing at `points`, (J, d, U).
    #: Data and their precision, 0 where there are none, (J + 1, L).
    y: FloatArray
    rm: FloatArray
    inputs: Inputs  #: The forcing at any time.

    @classmethod
    def of(cls, problem: Problem, degree: int, intervals: int, inputs: Inputs | None) -> Mesh:
        """Divide each step of a problem's grid, and where needed more."""
        inputs = Inputs.of(problem) if inputs is None else inputs
        t = problem.times
        shares = np.arange(intervals) / intervals
        fine = np.append((t[:-1, None] + np.diff(t)[:, None] * shares).reshape(-1), t[-1])
        inner = inputs.breaks[(inputs.breaks > t[0]) & (inputs.breaks < t[-1])]
        # a break at a grid point up to rounding is that point
        near = np.abs(inner[:, None] - fine).min(axis=1, initial=np.inf)
        times = np.unique(np.concatenate([fine, inner[near > 1e-9 * np.diff(t).min()]]))
        grid = np.searchsorted(times, t)
        points = times[:-1, None] + np.diff(times)[:, None] * gauss(degree).c
        y, rm = np.zeros((2, times.size, problem.L))
        y[grid], rm[grid] = problem.y, problem.rm
        u = inputs.values(points.reshape(-1)).reshape(*points.shape, problem.u.shape[2])
        return cls(times, points, grid, u, y, rm, inputs)

    @property
    def h(self) -> FloatArray:
        """Lengths of the intervals, (J,)."""
        return np.diff(self.times)

    @property
    def J(self) -> int:
        """Number of intervals."""
        return len(self.times) - 1

    @property
    def degree(self) -> int:
        """Gauss points of an interval, d."""
        return int(self.points.shape[1])
