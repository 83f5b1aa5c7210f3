"""The fastest decay along a path, against the length of the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assessment import Decay
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.observe import Problem

#: h times a rate of decay from which on a step no longer resolves it.
FAST = 10.0
#: Steps that are looked at, evenly from all of them, and points whose eigenvalues are computed.
STEPS = 2000
POINTS = 50
#: A state takes part in a decay if its share is this much of the largest; so many are named.
SHARE = 0.3
NAMES = 3


def fastest_decay(
    problem: Problem, jacobian: ca.Function, path: FloatArray, theta: FloatArray
) -> Decay | None:
    """Return the decay that is fastest in units of its step; None if no step is too long for one.

    Eigenvalues of DF are taken at both ends of steps, where a bound on them, the smaller of the
    row and column sums of |DF| in units of each state's size, allows for a rate above `FAST` / h.
    The states of a decay are those with the largest shares |w_a v_a| of left and right
    eigenvector, which do not depend on units.

    Parameters
    ----------
    problem : Problem
    jacobian : casadi.Function
        (x, u, theta, t) -> F and dF/d(x, theta), see `symda.derive.field.Field`.
    path : ndarray, shape (M, D)
    theta : ndarray, shape (P,)

    Notes
    -----
    Shares in a mode: I. J. Perez-Arriaga, G. C. Verghese, F. C. Schweppe, IEEE Trans. Power App.
    Syst. 101 (1982) 3117.
    """
    steps = _looked_at(problem)
    if not steps.size or not np.isfinite(path).all():
        return None
    left = problem.left_points[steps]
    at = np.concatenate([left, left + 1 + problem.interior])
    h, times = np.tile(problem.h[steps], 2), problem.times[at]
    u = np.concatenate([problem.u[steps, 0], problem.u[steps, -1]])
    own = np.tile(theta[problem.use[problem.step_experiments[steps]]], (2, 1))
    slopes = jacobian.map(at.size)(path[at].T, u.T, own.T, times[None])[1]
    rows, columns = (np.asarray(k, dtype=int) for k in jacobian.sparsity_out(1).get_triplet())
    entries = np.asarray(slopes.nonzeros(), float).reshape(at.size, -1)
    kept = columns < problem.D
    rows, columns, entries = rows[kept], columns[kept], entries[:, kept]
    size = np.abs(path).max(axis=0)
    size = np.where(size > 0.0, size, 1.0)
    bound = h * _bound(np.abs(entries) * size[columns] / size[rows], rows, columns, problem.D)
    likely = np.flatnonzero(bound > FAST)
    likely = likely[np.argsort(-bound[likely])][:POINTS]
    if not likely.size:
        return None
    matrices = np.zeros((likely.size, problem.D, problem.D))
    matrices[:, rows, columns] = entries[likely]
    values, vectors = np.linalg.eig(matrices)
    rates = -values.real.min(axis=1)
    k = int(np.argmax(h[likely] * rates))
    point = likely[k]
    if not h[point] * rates[k] > FAST:
        return None
    shares = _shares(vectors[k], int(np.argmin(values[k].real)))
    first = np.argsort(-shares)[:NAMES]
    segment = problem.segments[problem.step_experiments[steps[point % steps.size]]]
    return Decay(
        reach=float(h[point] * rates[k]),
        rate=float(rates[k]),
        states=tuple(problem.states[a] for a in first if shares[a] > SHARE * shares.max()),
        time=float(times[point]),
        experiment=segment.name if len(problem.segments) > 1 else "",
    )


def _looked_at(problem: Problem) -> IntArray:
    steps = np.flatnonzero(~problem.pulses)
    some = np.linspace(0, steps.size - 1, min(steps.size, STEPS))
    return np.asarray(steps[np.unique(some.round().astype(int))], dtype=np.int64)


def _bound(sized: FloatArray, rows: IntArray, columns: IntArray, D: int) -> FloatArray:
    """Bound the spectral radius of matrices given by the absolute values of their entries."""
    count = len(sized)
    sums = []
    for index in (rows, columns):
        place = (np.arange(count)[:, None] * D + index).reshape(-1)
        every = np.bincount(place, sized.reshape(-1), count * D).reshape(count, D)
        sums.append(every.max(axis=1))
    found: FloatArray = np.where(np.isfinite(sums[0]), np.minimum(*sums), 0.0)
    return found


def _shares(vectors: FloatArray, k: int) -> FloatArray:
    """Return the share of each state in eigenvector k."""
    right = np.abs(vectors[:, k])
    try:
        return np.asarray(right * np.abs(np.linalg.inv(vectors)[k]))
    except np.linalg.LinAlgError:
        return np.asarray(right)
