"""Linear models in several experiments, and the dense Gaussian that answers for them.

A linear model makes the action a quadratic form of path and parameters. Its vectors, one for each
residual and each datum, are written down here from the scheme's formula alone, experiment by
experiment, over unknowns of which every experiment has its own path and its own choice of
parameters. The minimum and the parameters' covariance are then those of least squares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import symda as sd

#: Mean and standard deviation of what is known of a parameter, by its declared name.
Priors = Mapping[str, tuple[float, float]]

#: x' = A x + B (c, k) + g u of D states; c is shared, k is each experiment's own, d is of the
#: measured quantity and shared as well.
A = np.array([[-0.6, 0.5, 0.0], [-0.4, -0.3, 0.2], [0.1, -0.5, -0.2]])
B = np.array([[0.3, 1.0], [0.8, 0.0], [0.0, -0.7]])
G = np.array([0.5, 0.0, -1.0])


def linear_model(
    D: int = 3, *, forced: bool = True, own: bool = True, priors: Priors | None = None
) -> sd.Action | tuple:
    """Return model, states and parameters of D states; priors are (mean, sd) of c and k."""
    known = {name: sd.Normal(*numbers) for name, numbers in (priors or {}).items()}
    x = sd.states("x y z"[: 2 * D - 1], start=(-1.0, 1.0))
    c = sd.parameter("c", start=(-1.0, 1.0), prior=known.get("c"))
    k = sd.parameter(
        "k", start=(-1.0, 1.0), per="experiment" if own else None, prior=known.get("k")
    )
    u = sd.forcing("u") if forced else 0.0
    equations = {
        s: sum(float(A[a, b]) * x[b] for b in range(D))
        + float(B[a, 0]) * c
        + float(B[a, 1]) * k
        + float(G[a]) * u
        for a, s in enumerate(x)
    }
    return sd.Model(equations, name=f"linear {D} {forced} {own}"), x, (c, k)


@dataclass(frozen=True)
class Answer:
    """The Gaussian: least action, its place, and the parameters' covariance."""

    action: float
    path: np.ndarray
    theta: np.ndarray
    covariance: np.ndarray


def answer(
    scheme: str,
    recordings: Mapping[str, sd.Observations],
    rf: np.ndarray,
    *,
    parameters: Sequence[str],
    fixed: Mapping[str, float] | None = None,
    measured: Sequence[np.ndarray],
    D: int = 3,
    priors: Priors | None = None,
) -> Answer:
    """Solve by least squares; the noise of a row of data has its covariance, if it has one.

    Parameters
    ----------
    parameters
        Names of the free ones as a problem calls them, in its order; every experiment's c and k is
        the one with its name in brackets, where there is such, else the plain one or the fixed.
    measured : L arrays (D + 1,)
        What a channel measures: coefficients of the states, and of the parameter d.
    priors
        Of parameters, each experiment's own included.
    """
    held = dict(fixed or {})
    points = 2 if scheme == "hermite-simpson" else 1
    nodes = [np.unique(data.times) for data in recordings.values()]
    counts = [points * (len(times) - 1) + 1 for times in nodes]
    size = D * sum(counts) + len(parameters)
    rows, right = [], []
    first = 0

    for (name, data), count, times in zip(recordings.items(), counts, nodes, strict=True):
        # every quantity is a row over the unknowns and a constant, (size + 1,)
        def unknown(index: int) -> np.ndarray:
            return np.eye(size + 1)[index]

        def state(m: int, first: int = first) -> np.ndarray:
            return np.stack([unknown(first + m * D + a) for a in range(D)])

        def parameter(stem: str, name: str = name) -> np.ndarray:
            for called in (f"{stem}[{name}]", stem):
                if called in held:
                    return held[called] * unknown(size)
                if called in parameters:
                    return unknown(D * sum(counts) + list(parameters).index(called))
            raise AssertionError(stem)

        def rate(x: np.ndarray, t: float, data=data, parameter=parameter) -> np.ndarray:
            u = 0.0
            if data.forcing:
                source = data.forcing["u"]
                u = np.interp(t, source.times, source.values)
            inputs = np.stack([parameter("c"), parameter("k")])
            drive = np.outer(G[:D] * u, unknown(size))
            return A[:D, :D] @ x + B[:D] @ inputs + drive

        for n, (t, until) in enumerate(pairwise(times)):
            h, x, end = until - t, state(n * points), state((n + 1) * points)
            if scheme == "euler":
                residuals = [end - x - h * rate(x, t)]
            elif scheme == "trapezoid":
                residuals = [end - x - h / 2 * (rate(x, t) + rate(end, until))]
            elif scheme == "rk4":
                k1 = rate(x, t)
                k2 = rate(x + h / 2 * k1, t + h / 2)
                k3 = rate(x + h / 2 * k2, t + h / 2)
                k4 = rate(x + h * k3, until)
                residuals = [end - x - h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)]
            else:
                middle = state(n * points + 1)
                left, inside, ahead = rate(x, t), rate(middle, t + h / 2), rate(end, until)
                residuals = [
                    end - x - h / 6 * (left + 4 * inside + ahead),
                    middle - (x + end) / 2 - h / 8 * (left - ahead),
                ]
            for residual in residuals:
                rows.append(np.sqrt(rf)[:, None] * residual)
                right.append(np.zeros(D))
        for i, seen in enumerate(data.measured):
            own = np.ix_(seen, seen)
            C = np.diag(data.variance[i])[own]
            if data.covariance is not None:
                C = data.covariance[i][own]
            # e^T C^-1 e = |W e|^2
            W = np.linalg.inv(np.linalg.cholesky(C))
            x = state(int(np.searchsorted(times, data.times[i])) * points)
            coefficients = np.array(measured)[seen]
            quantities = coefficients[:, :D] @ x + np.outer(coefficients[:, D], unknown(size))
            rows.append(W @ quantities)
            right.append(W @ data.values[i][seen])
        first += count * D
    for index, called in enumerate(parameters):
        if called.partition("[")[0] in (priors or {}):
            mean, deviation = priors[called.partition("[")[0]]
            rows.append(np.eye(size + 1)[[D * sum(counts) + index]] / deviation)
            right.append([mean / deviation])

    table, values = np.vstack(rows), np.concatenate(right)
    matrix, values = table[:, :size], values - table[:, size]
    # columns of one size, so that no digits are lost
    scale = np.linalg.norm(matrix, axis=0)
    found = np.linalg.lstsq(matrix / scale, values, rcond=None)[0]
    inverse = np.linalg.inv((matrix / scale).T @ (matrix / scale))
    found, inverse = found / scale, inverse / np.outer(scale, scale)
    misfit = matrix @ found - values
    path = D * sum(counts)
    return Answer(
        0.5 * float(misfit @ misfit),
        found[:path].reshape(-1, D),
        found[path:],
        inverse[path:, path:],
    )


def recording(
    seed: int, count: int, measured: Sequence[np.ndarray], *, forced: bool = True, gaps: float = 0.2
) -> sd.Observations:
    """Make up `count` times of data, of about what the model does, with gaps and any variances."""
    rng = np.random.default_rng(seed)
    D, L = len(measured[0]) - 1, len(measured)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.15, 0.45, count - 1))]) + seed
    u = rng.normal(size=count) if forced else np.zeros(count)
    state, states = 10.0 * rng.normal(size=D), []
    inputs = B[:D] @ [3.0, rng.normal()]
    for n in range(count):
        states.append(state)
        if n + 1 < count:
            h = times[n + 1] - times[n]
            for _ in range(100):
                state = state + h / 100 * (A[:D, :D] @ state + inputs + G[:D] * u[n])
    variance = rng.uniform(0.001, 0.01, size=(count, L))
    values = np.array(states) @ np.array(measured)[:, :D].T
    values = values + np.sqrt(variance) * rng.normal(size=(count, L))
    values[1:][rng.random((count - 1, L)) < gaps] = np.nan
    forcing = {"u": (times, u)} if forced else None
    return sd.Observations(times, values, variance=variance, forcing=forcing)
