"""Sites along one direction of a lattice, and what stands beyond its ends."""

from __future__ import annotations

import numpy as np

from symda.types import IntArray


def at_positions(positions: IntArray, size: int, boundary: str) -> IntArray:
    """Return the site at each position, which may lie beyond the ends; -1: zero stands there.

    Parameters
    ----------
    positions : ndarray of int
        Any shape.
    size : int
        Number of sites.
    boundary : {"periodic", "zero", "reflect"}
        What stands beyond the ends.
    """
    if boundary == "periodic":
        return positions % size
    if boundary == "reflect":
        folded = positions % (2 * size)
        return np.minimum(folded, 2 * size - 1 - folded)
    return np.where((positions >= 0) & (positions < size), positions, -1)
