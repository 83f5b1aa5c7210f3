"""Exact solutions of small models in units of order one: what a trial's reference integrates.

Nothing of symda takes part: NumPy evaluates the equations, SciPy integrates them, and complex
arguments give derivatives by complex steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

#: What a field is written with: by SymPy for symda, by NumPy for the reference.
SYMBOLIC = SimpleNamespace(exp=sp.exp, sin=sp.sin, tanh=sp.tanh)
NUMERIC = SimpleNamespace(exp=np.exp, sin=np.sin, tanh=np.tanh)


@dataclass(frozen=True)
class Family:
    """Equations in units of order one: F(x, p, t, u, functions), and what is usual of them."""

    field: Callable[..., list[Any]]
    start: Sequence[float]
    truth: Sequence[float]
    #: exponents of (state sizes ..., time) in the unit of each parameter
    units: Sequence[Sequence[int]]
    span: float
    rate: float
    forced: bool = False
    timed: bool = False

    @property
    def D(self) -> int:
        return len(self.start)


FAMILIES = {
    "decay": Family(lambda x, p, t, u, m: [-p[0] * x[0]], [2.0], [1.0], [[0, -1]], 3.0, 1.0),
    "settling": Family(
        lambda x, p, t, u, m: [p[1] - p[0] * x[0]], [3.0], [1.0, 1.0], [[0, -1], [1, -1]], 4.0, 1.0
    ),
    "logistic": Family(
        lambda x, p, t, u, m: [p[0] * x[0] * (1 - x[0] / p[1])],
        [0.1],
        [1.5, 1.0],
        [[0, -1], [1, 0]],
        5.0,
        1.5,
    ),
    "saturation": Family(
        lambda x, p, t, u, m: [-p[0] * x[0] / (p[1] + x[0])],
        [2.0],
        [1.0, 0.5],
        [[1, -1], [1, 0]],
        4.0,
        1.5,
    ),
    "slope": Family(
        lambda x, p, t, u, m: [p[0] - p[1] * x[0] ** 3],
        [1.5],
        [0.02, 1.0],
        [[1, -1], [-2, -1]],
        3.0,
        3.0,
    ),
    "driven": Family(
        lambda x, p, t, u, m: [p[0] * (p[1] * u - x[0])],
        [0.5],
        [2.0, 1.0],
        [[0, -1], [0, 0]],
        5.0,
        2.0,
        forced=True,
    ),
    "clocked": Family(
        lambda x, p, t, u, m: [-p[0] * x[0] + p[1] * m.sin(2 * t)],
        [1.0],
        [0.7, 1.0],
        [[0, -1], [1, -1]],
        6.0,
        2.0,
        timed=True,
    ),
    "oscillator": Family(
        lambda x, p, t, u, m: [x[1], -p[0] * x[0] - p[1] * x[1]],
        [1.0, 0.0],
        [4.0, 0.3],
        [[-1, 1, -1], [0, 0, -1]],
        4.0,
        2.0,
    ),
    "chain": Family(
        lambda x, p, t, u, m: [-p[0] * x[0], p[0] * x[0] - p[1] * x[1]],
        [2.0, 0.1],
        [1.0, 0.4],
        [[0, 0, -1], [0, 0, -1]],
        5.0,
        1.0,
    ),
    "prey": Family(
        lambda x, p, t, u, m: [
            p[0] * x[0] - p[1] * x[0] * x[1],
            x[0] * x[1] - p[2] * x[1],
        ],
        [1.5, 0.6],
        [1.0, 1.0, 1.0],
        [[0, 0, -1], [0, -1, -1], [0, 0, -1]],
        6.0,
        2.0,
    ),
    "gated": Family(
        lambda x, p, t, u, m: [
            -p[0] * x[0] * x[1] + p[2] * u,
            p[1] * (0.5 + 0.5 * m.tanh(x[0] - 1) - x[1]),
        ],
        [1.0, 0.2],
        [1.2, 1.0, 0.8],
        [[0, -1, -1], [0, 0, -1], [1, 0, -1]],
        6.0,
        2.0,
        forced=True,
    ),
    "cascade": Family(
        lambda x, p, t, u, m: [
            -p[0] * x[0],
            p[0] * x[0] - p[1] * x[1],
            p[1] * x[1] - p[2] * x[2],
        ],
        [3.0, 0.2, 0.1],
        [1.0, 0.7, 0.3],
        [[0, 0, 0, -1]] * 3,
        6.0,
        1.0,
    ),
    "lorenz": Family(
        lambda x, p, t, u, m: [
            p[0] * (x[1] - x[0]),
            x[0] * (p[1] - x[2]) - x[1],
            x[0] * x[1] - p[2] * x[2],
        ],
        [-0.6, -0.7, 20.0],
        [10.0, 28.0, 8.0 / 3.0],
        [[0, 0, 0, -1]] * 3,
        0.8,
        9.0,
    ),
}


#: Evaluations of the equations after which a solution is given up as none.
MOST = 20_000


class Lost(Exception):  # noqa: N818
    """A solution that leaves finite numbers, or takes too many steps."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Exact solutions of a family in units of order one."""

    family: Family
    times: np.ndarray
    measured: list[int]
    forcing: Callable[[float], float]
    breaks: np.ndarray
    tolerance: float = 1e-10
    ends: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", np.union1d(self.times[[0, -1]], self.breaks))

    def path(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Integrate many solutions at once, x (D, C) and p (P, C) complex, to (T, D, C)."""
        D, C = x.shape
        found, calls = [x[None]], 0
        for left, right in zip(self.ends[:-1], self.ends[1:], strict=True):
            inside = self.times[(self.times > left) & (self.times <= right)]
            at = np.union1d(inside, [right])
            # a held forcing is that of the interval, up to its right end
            level, slope = self._piece(left, right)

            def rates(
                t: float, flat: np.ndarray, left: float = left, level: float = level,
                slope: float = slope,
            ) -> np.ndarray:  # fmt: skip
                nonlocal calls
                calls += 1
                if calls > MOST or not np.isfinite(flat).all():
                    raise Lost
                v = flat.reshape(D, C)
                u = level + slope * (t - left)
                return np.stack(self.family.field(v, p, t, u, NUMERIC)).reshape(-1)

            try:
                solved = solve_ivp(
                    rates, (left, right), x.reshape(-1), "DOP853", t_eval=at,
                    rtol=self.tolerance, atol=self.tolerance * 1e-2,
                )  # fmt: skip
            except Lost:
                solved = None
            if solved is None or solved.status != 0:
                return np.full((self.times.size, D, C), np.nan + 0j)
            states = solved.y.T.reshape(-1, D, C)
            found.append(states[np.isin(at, inside)])
            x = states[-1]
        return np.concatenate(found)

    def _piece(self, left: float, right: float) -> tuple[float, float]:
        one, two = (self.forcing(left + c * (right - left)) for c in (0.25, 0.75))
        slope = (two - one) / (0.5 * (right - left))
        return one - 0.25 * slope * (right - left), slope
