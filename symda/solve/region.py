"""The step of a region of trust."""

from __future__ import annotations

import numpy as np

from symda.types import FloatArray

#: Curvatures below this share of the largest, in units of the diagonal, are directions that nothing
#: determines.
FLAT = 1e-12
#: Iterations in the search for a step of a given length, and how near it is to be.
ROOTS, CLOSE = 60, 1e-3


def within(hessian: FloatArray, gradient: FloatArray, radius: float) -> FloatArray:
    """Return the step of at most this length that lowers a quadratic most, (n,).

    Notes
    -----
    More and Sorensen, Computing a trust region step, SIAM J. Sci. Stat. Comput. 4 (1983) 553; by
    the eigenvalues, since n is small, of a Hessian without negative ones to speak of.
    """
    curvatures, axes = np.linalg.eigh(hessian)
    slope = -(axes.T @ gradient)
    least = FLAT * max(float(np.abs(curvatures).max(initial=0.0)), np.finfo(float).tiny)
    curvatures = np.maximum(np.abs(curvatures), least)
    if np.linalg.norm(slope / curvatures) <= radius:
        return np.asarray(axes @ (slope / curvatures))
    squares, shift = slope**2, 0.0
    low, high = 0.0, float(np.sqrt(squares.sum())) / max(radius, np.finfo(float).tiny)
    for _ in range(ROOTS):
        parts = squares / (curvatures + shift) ** 2
        length = float(np.sqrt(parts.sum()))
        if abs(length - radius) <= CLOSE * radius:
            break
        low, high = (shift, high) if length > radius else (low, shift)
        # Newton's step for one over the length, which is nearly linear
        change = length**2 / float((parts / (curvatures + shift)).sum()) * (length / radius - 1.0)
        shift = shift + change if low < shift + change < high else 0.5 * (low + high)
    step = axes @ (slope / (curvatures + shift))
    return np.asarray(step * min(1.0, radius / max(length, np.finfo(float).tiny)))
