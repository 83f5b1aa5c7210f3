"""Starts where the action has no value or no slope: pulled to where it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.starts import FromPaths, Function, Point, Start
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator
    from symda.solve import Solver


#: How far a point is pulled towards the nearest one in order, one share after the other.
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
#: Where the action's slope, times the width of a start range, is larger than this, it has no use:
#: second derivatives overflow, or the path takes hundreds of iterations to come down.
LARGEST = 1e30


def mends(start: Start, solver: Solver) -> bool:
    """Whether paths are pulled: those that a user gives are taken as they are."""
    return not isinstance(start, FromPaths | Function) and not solver.capability.continuous


def evaluable(at: Evaluator, point: Point, rf: FloatArray) -> tuple[Point, bool]:
    """Pull the grid points of a start where equations or measured quantities cannot be evaluated.

    Such as a datum beyond 1 by noise, where an equation has its acos, or a forecast that ran to a
    bound where exp overflows. Each is pulled towards the nearest one in order, no farther than
    needed, at last onto it: what is evaluated at one point usually is at two. It stays in a box of
    bounds.

    Parameters
    ----------
    at : Evaluator
        The action.
    point : (M, D) and (P,)
        Path and parameters.
    rf : (D,)
        The model precision the climb begins with.

    Returns
    -------
    point, bool
        The same object if nothing was wrong, or all is; whether action and gradient are finite now,
        and of a size that something can be done with. Parameters are not moved.
    """
    first, theta = point
    path, width = first, np.ptp(at.problem.state_start, axis=1)
    with np.errstate(all="ignore"):
        for share in (*SHARES, None):
            action, slope = at.value_and_gradient(path, theta, rf)
            sizes = width * np.abs(slope[: path.size].reshape(path.shape))
            good: BoolArray = np.all(sizes <= LARGEST, axis=1)
            if good.all() and np.isfinite(action) and np.isfinite(slope).all():
                return (point if path is first else (path, theta)), True
            nearest = _nearest(at, good)
            if share is None or good.all() or (nearest < 0).any():
                break
            path = np.where(good[:, None], path, first + share * (path[nearest] - first))
    return point, False


def _nearest(at: Evaluator, good: BoolArray) -> IntArray:
    """Find the nearest good grid point of the same experiment, (M,); -1: there is none."""
    nearest = np.full(good.size, -1)
    for segment in at.problem.segments:
        there = np.flatnonzero(good[segment.own_points])
        if there.size:
            middles = 0.5 * (there[1:] + there[:-1])
            order = there[np.searchsorted(middles, np.arange(segment.points))]
            nearest[segment.own_points] = segment.first_point + order
    return nearest
