"""The integral of exp(-A) from draws of a chain: bridge sampling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symda.sample.target import Target
from symda.types import FloatArray

#: Iterations of the bridge, and draws of the Gaussian where there is no map.
ITERATIONS, DRAWS = 200, 400


def gaussian_draws(
    target: Target, rng: np.random.Generator, count: int = DRAWS
) -> tuple[FloatArray, Callable[[FloatArray], float]]:
    """Return log weights of draws of the Gaussian about a minimum, and its log density."""
    free, white = target.white.free, target.white

    def density(x: FloatArray) -> float:
        q = white.together(x - target.centre)
        # what is mirrored has all its density on one side
        sides = int(target.mirrored[free].sum()) * math.log(2.0)
        return -0.5 * float(q @ q) + white.log_det + sides

    logs = np.full(count, -np.inf)
    for k in range(count):
        q = np.where(free, rng.normal(size=free.size), 0.0)
        x, _ = target.folded(target.centre + white.apart(q))
        value = target.value(x) if target.inside(x) else math.inf
        if math.isfinite(value):
            logs[k] = -value - density(x)
    return logs, density


def bridge(drawn: FloatArray, chain: FloatArray, effective: float) -> tuple[float, float]:
    """Return the log of the integral, but for sqrt(2 pi)^n, and its standard error.

    X.-L. Meng and W. H. Wong, Statistica Sinica 6 (1996), 831; the error by
    S. Fruehwirth-Schnatter, Econometrics J. 7 (2004), 143.

    Parameters
    ----------
    drawn : (S,)
        -A - log density of draws of a known density; -inf where exp(-A) is 0.
    chain : (T,)
        The same of draws of exp(-A); inf where the density is 0.
    effective : float
        How many independent draws those of the chain are worth.
    """
    finite = np.append(drawn[np.isfinite(drawn)], chain[np.isfinite(chain)])
    if not finite.size or not np.isfinite(drawn).any() or not np.isfinite(chain).any():
        return math.nan, math.inf
    middle = float(np.median(finite))
    with np.errstate(over="ignore", invalid="ignore"):
        one, other = np.exp(drawn - middle), np.exp(chain - middle)
        s1 = effective / (effective + drawn.size)
        s2, r = 1.0 - s1, 1.0
        for _ in range(ITERATIONS):
            above = np.where(np.isinf(one), 1.0 / s1, one / (s1 * one + s2 * r))
            below = 1.0 / (s1 * other + s2 * r)
            last, r = r, float(above.mean() / below.mean())
            if abs(r / last - 1.0) < 1e-10:
                break
        error = above.var() / above.mean() ** 2 / drawn.size
        error += below.var() / below.mean() ** 2 / effective
    return middle + math.log(r), math.sqrt(error)
