"""Runs whose error bars tests ask for, and dense inverses to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp

import symda as sd
from symda.analyse.gaussian import Gaussian
from symda.api.machine import machine

QUIET = {"progress": False, "executor": "serial", "seed": 0}


def ladder(rf: float, rungs: int = 1) -> dict[str, object]:
    """Options of a run that ends at one precision, not finished as a solution."""
    return {"ladder": sd.Ladder(rf, 1.0, rungs), "paths": 2, "solver": "newton", **QUIET}


def pendulum(scheme: str, **declared: object) -> sd.Action:
    x, v = sd.states("x v", start=(-3.0, 3.0))
    k = sd.parameter("k", bounds=(0.5, 8.0), **declared)
    c = sd.parameter("c", bounds=(0.0, 1.0))
    e = sd.parameter("e", bounds=(-1.0, 1.0), value=0.2)
    model = sd.Model({x: v, v: -k * sp.sin(x) - c * v + e}, name="pendulum")
    return sd.Action(model, {"x": x, "gap": x * v + c}, scheme=scheme)


TRUE = {"k": 4.0, "c": 0.2, "e": 0.2}


def recorded(action: sd.Action, steps: int = 40, seed: int = 1) -> sd.Observations:
    start = {"x": 1.0, "v": 0.0}
    made = sd.twin(
        action, parameters=TRUE, initial=start, dt=0.1, steps=steps, variance=0.01, seed=seed
    )
    values = made[1].values.copy()
    values[2] = np.nan
    return sd.Observations(made[1].times, values, variance=0.01)


def dense(
    action: sd.Action, run: sd.Run, at: Gaussian, rf: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Hessian of all unknowns, and the inverse of it where they are free."""
    p = run.problem
    kernels = machine(action.specification.of(p)).at(p)
    H = kernels.hessian(at.path, at.theta, rf).toarray()
    free = np.ix_(p.unknowns.free, p.unknowns.free)
    C = np.zeros_like(H)
    C[free] = np.linalg.inv(H[free])
    return H, C


def walk(rng: np.random.Generator, D: int) -> sd.Action:
    """x_n+1 = A x_n + b with unknown b of the states that are measured, every second one."""
    x = sd.states("x", D, start=(-5.0, 5.0))
    b = [sd.parameter(f"b{i}", start=(-5.0, 5.0)) if i % 2 == 0 else 0 for i in range(D)]
    A = rng.normal(size=(D, D)) / (2.0 * math.sqrt(D)) + 0.5 * np.eye(D)
    model = sd.Model(
        {x[i]: sum(A[i, j] * x[j] for j in range(D)) + b[i] for i in range(D)},
        name="walk",
        discrete=True,
    )
    return sd.Action(model, {f"y{i}": x[i] - b[i] / 3 for i in range(0, D, 2)})


def exact_chain(
    y: np.ndarray,
    rf: float,
    cs: np.ndarray,
    cost: Callable[[np.ndarray, float], np.ndarray],
    grid: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return means and standard deviations of x_n (N + 1,), then of c: forward and backward.

    Of x_n+1 = x_n + (x_n - x_n^3 + c)/10 with data y whose negative log probability is `cost`.
    """
    total, firsts, seconds = [], [], []
    for c in cs:
        step = np.exp(-0.5 * rf * (grid[None] - (grid + (grid - grid**3 + c) / 10)[:, None]) ** 2)
        likely = [np.exp(-cost(grid, v)) if np.isfinite(v) else np.ones_like(grid) for v in y]
        forward, log = [likely[0]], 0.0
        for own in likely[1:]:
            forward.append((forward[-1] @ step) * own)
            log += math.log(forward[-1].sum())
            forward[-1] /= forward[-1].sum()
        backward = [np.ones_like(grid)]
        for own in likely[:0:-1]:
            backward.append(step @ (own * backward[-1]))
            backward[-1] /= backward[-1].sum()
        marginals = np.stack([a * b for a, b in zip(forward, backward[::-1], strict=True)])
        marginals /= marginals.sum(axis=1, keepdims=True)
        total.append(log)
        firsts.append(marginals @ grid)
        seconds.append(marginals @ grid**2)
    weight = np.exp(np.array(total) - max(total))
    weight /= weight.sum()
    mean, square = weight @ np.array(firsts), weight @ np.array(seconds)
    of_c = float(weight @ cs)
    return mean, np.sqrt(square - mean**2), of_c, math.sqrt(weight @ (cs - of_c) ** 2)
