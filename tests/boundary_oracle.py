"""Hamilton's equations with jumps, by multiple shooting with fine RK4 steps: no code of symda's.

Unknown are x and p just after each end of an interval (data, kinks of the forcing) and the free
parameters, whose conditions are integrals that run along. All intervals, and all the perturbations
of the unknowns that the Jacobian by differences takes, are integrated at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

STEPS = 60


@dataclass(frozen=True)
class Oracle:
    """x and p at the ends of intervals, (J + 1, D); p before and after the jump there."""

    times: np.ndarray
    x: np.ndarray
    before: np.ndarray
    after: np.ndarray
    theta: np.ndarray


def solve(
    equations: Sequence[sp.Expr],
    measured: Sequence[sp.Expr],
    states: Sequence[sp.Symbol],
    parameters: Sequence[sp.Symbol],
    *,
    data: Mapping[float, Sequence[float]],
    precision: np.ndarray,
    rf: np.ndarray,
    guess: Callable[[np.ndarray], np.ndarray],
    theta: Sequence[float] = (),
    forcing: Mapping[sp.Symbol, Callable[[np.ndarray, np.ndarray], np.ndarray]] | None = None,
    breaks: Sequence[float] = (),
    time: sp.Symbol | None = None,
    initial: np.ndarray | None = None,
    span: tuple[float, ...] = (),
) -> Oracle:
    """Solve; `data` are time -> values, nan where there are none, `guess` the path to start from.

    Forcing functions take a time in each interval, and the intervals' numbers.
    """
    D, P = len(states), len(parameters)
    forcing = {} if forcing is None else forcing
    t = sp.Symbol("t") if time is None else time
    p = sp.symbols(f"p:{D}")
    H = sum(pi * Fi for pi, Fi in zip(p, equations, strict=True))
    arguments = [t, *states, *p, *parameters, *forcing]
    rates = sp.lambdify(
        arguments,
        [
            *(Fi + pi / r for Fi, pi, r in zip(equations, p, rf.tolist(), strict=True)),
            *(-sp.diff(H, a) for a in states),
            *(-sp.diff(H, a) for a in parameters),
        ],
    )
    at = [*states, *parameters]
    h = sp.lambdify(at, list(measured))
    dh = sp.lambdify(at, [[sp.diff(m, a) for a in at] for m in measured])
    when = np.array(sorted({*data, *breaks, *span}))
    J, lengths = len(when) - 1, np.diff(when)
    values = np.array([data.get(w, [np.nan] * len(measured)) for w in when], dtype=float)

    def integrate(z: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """From (2 D, J, K) at the left ends to (2 D + P, J, K) at the right ones."""
        step = lengths / STEPS

        def slope(n: float, z: np.ndarray) -> np.ndarray:
            moment = when[:-1] + n * step
            inputs = [f(moment, np.arange(J))[:, None] for f in forcing.values()]
            found = rates(moment[:, None], *z[: 2 * D], *theta[:, None], *inputs)
            return np.array([np.broadcast_to(v, z.shape[1:]) for v in found])

        z = np.concatenate([z, np.zeros((P, *z.shape[1:]))])
        width = step[:, None]
        for n in range(STEPS):
            k1 = slope(n, z)
            k2 = slope(n + 0.5, z + 0.5 * width * k1)
            k3 = slope(n + 0.5, z + 0.5 * width * k2)
            k4 = slope(n + 1, z + width * k3)
            z = z + width / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return z

    def force(k: int, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        y = values[k]
        misfit = np.where(np.isnan(y), 0.0, np.array(h(*x, *theta)) - np.nan_to_num(y))
        return np.array(dh(*x, *theta), dtype=float).T @ (precision * misfit)

    def conditions(left: np.ndarray, right: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """What must vanish, of (J, 2 D) at the left ends and (J, 2 D + P) at the right ones."""
        jump = force(0, left[0, :D], theta)
        first = left[0, D:] - jump[:D]
        if initial is not None:
            first = np.where(np.isnan(initial), first, left[0, :D] - np.nan_to_num(initial))
        out, total = [first], jump[D:] + right[:, 2 * D :].sum(axis=0)
        for i in range(1, J):
            jump = force(i, left[i, :D], theta)
            out += [
                left[i, :D] - right[i - 1, :D],
                left[i, D:] - right[i - 1, D : 2 * D] - jump[:D],
            ]
            total = total + jump[D:]
        jump = force(J, right[-1, :D], theta)
        return np.concatenate([*out, right[-1, D : 2 * D] + jump[:D], total + jump[D:]])

    def residuals(unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, K) of unknowns (n, K), and the right ends."""
        K = unknowns.shape[1]
        left = unknowns[: J * 2 * D].reshape(J, 2 * D, K)
        theta = unknowns[J * 2 * D :]
        right = integrate(left.transpose(1, 0, 2), theta).transpose(1, 0, 2)
        found = [conditions(left[..., k], right[..., k], theta[:, k]) for k in range(K)]
        return np.array(found).T, right[..., 0]

    start = np.hstack([guess(when[:-1]), np.zeros((J, D))]).reshape(-1)
    v = np.concatenate([start, np.array(theta, dtype=float)])
    best = np.inf
    for _ in range(60):
        shifts = 1e-7 * (1.0 + np.abs(v))
        r, right = residuals(np.column_stack([v, v[:, None] + np.diag(shifts)]))
        size = np.abs(r[:, 0]).max()
        if size < 1e-9 and size > 0.3 * best:
            break
        best = size
        step = np.linalg.solve((r[:, 1:] - r[:, :1]) / shifts, r[:, 0])
        v = v - step / max(1.0, np.abs(step).max())
    assert best < 1e-8, best
    left, found = v[: J * 2 * D].reshape(J, 2 * D), v[J * 2 * D :]
    x = np.vstack([left[:, :D], right[-1:, :D]])
    first, last = (force(k, x[k], found)[:D] for k in (0, J))
    return Oracle(
        when,
        x,
        np.vstack([left[:1, D:] - first, right[:, D : 2 * D]]),
        np.vstack([left[:, D:], right[-1:, D : 2 * D] + last]),
        found,
    )
