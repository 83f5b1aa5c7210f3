"""A small Lorenz-96 twin experiment and its run, shared by the tests of the facade."""

from __future__ import annotations

from functools import cache

import numpy as np

import symda as sd
from symda.declare import State

NU = 8.0
DT = 0.02
STEPS = 40
LADDER = sd.Ladder(rf0=0.01, alpha=4.0, rungs=10)


@cache
def lorenz96() -> tuple[sd.Model, tuple[State, ...]]:
    x = sd.states("x", 5, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    equations = {x[a]: x[a - 1] * (x[(a + 1) % 5] - x[a - 2]) - x[a] + nu for a in range(5)}
    return sd.Model(equations, name="lorenz96"), x


@cache
def action() -> sd.Action:
    model, x = lorenz96()
    return sd.Action(model, measured=[x[0], x[2], x[3]], scheme="rk4")


@cache
def experiment() -> tuple[sd.Trajectory, sd.Observations]:
    return sd.twin(
        action(),
        parameters={"nu": NU},
        dt=DT,
        steps=STEPS,
        variance=0.1,
        seed=1,
        discard=5.0,
    )


def anneal(**options: object) -> sd.Run:
    chosen = {"ladder": LADDER, "paths": 5, "seed": 3, "executor": "serial", "progress": False}
    return sd.anneal(action(), experiment()[1], **(chosen | options))


@cache
def run() -> sd.Run:
    return anneal()


def field(x: np.ndarray, nu: float) -> np.ndarray:
    """Lorenz-96 written with NumPy, along the last axis."""
    ahead, behind, two_behind = (np.roll(x, s, axis=-1) for s in (-1, 1, 2))
    return behind * (ahead - two_behind) - x + nu


def exact_terms(x: np.ndarray, nu: float, rf: float, data: sd.Observations) -> tuple[float, float]:
    """Both terms of eq. 10 for `action()` with RK4, one step an interval, written with NumPy."""
    h = np.diff(data.times)[:, None]
    k1 = field(x[:-1], nu)
    k2 = field(x[:-1] + h / 2 * k1, nu)
    k3 = field(x[:-1] + h / 2 * k2, nu)
    k4 = field(x[:-1] + h * k3, nu)
    r = x[1:] - x[:-1] - h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    misfit = np.nan_to_num((x[:, [0, 2, 3]] - data.values) / np.sqrt(data.variance))
    return 0.5 * float(np.sum(misfit**2)), 0.5 * rf * float(np.sum(r**2))
