"""Runs whose error bars tests ask for, and dense inverses to compare with."""

from __future__ import annotations

import math

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
