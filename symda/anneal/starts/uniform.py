"""The start of the papers: measured components at the data, the rest uniform in their ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.measured import near
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe import Problem


def uniform(problem: Problem, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw a path and parameters.

    Parameters
    ----------
    problem
        Data, ranges and bounds.
    rng
        The path's own generator.

    Returns
    -------
    X : (M, D)
        A component measured as it is (`problem.direct`) lies on the data and near them, as far
        as the typical (median) distance of two of its data: linear in time between them, constant
        outside, within its bounds. Farther from its data, and everywhere if it is measured once
        only or hardly more often, and for every other component, it is uniform in
        `problem.state_start`, independently at every grid point.
    theta : (P,)
        Uniform in `problem.parameter_start`; fixed parameters at their values.

    Notes
    -----
    Abarbanel, Rozdeba, Shirman, arXiv:1707.01415 (2017), section 4.1. Two channels that
    measure one state at one time enter as their mean, weighted with Rm.
    """
    low, high = problem.state_start.T
    path = rng.uniform(low, high, (problem.M, problem.D))
    for state in sorted({int(index) for index in problem.direct if index >= 0}):
        channels = problem.direct == state
        weight = problem.rm[:, channels].sum(axis=1)
        seen = weight > 0.0
        if seen.any():
            data = (problem.rm * problem.y)[:, channels].sum(axis=1)[seen] / weight[seen]
            known = near(problem, seen)
            path[known, state] = np.interp(problem.times[known], problem.times[seen], data)
    path = np.clip(path, problem.state_bounds[:, 0], problem.state_bounds[:, 1])

    # A fixed parameter may have no range to draw from; its draw is made all the same, so that
    # fixing one parameter leaves the starts of the others where they were.
    ranges = np.where(problem.free[:, None], problem.parameter_start, [[0.0, 1.0]])
    drawn = rng.uniform(ranges[:, 0], ranges[:, 1])
    return path, np.where(problem.free, drawn, problem.fixed)
