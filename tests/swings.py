"""A pendulum with a hard spring, and data of it, for cycles."""

from __future__ import annotations

import functools

import symda as sd


def pendulum(scale=None):
    x, v = sd.states("x v", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.1, 10.0), start=(0.5, 4.0), scale=scale)
    model = sd.Model({x: v, v: -k * x - 0.1 * x**3}, name="pendulum")
    return sd.Action(model, [x], scheme="rk4"), x, v, k


@functools.cache
def swing():
    """Return action, truth, data and a prior."""
    action, x, v, k = pendulum()
    truth, data = sd.twin(
        action, parameters={"k": 2.0}, dt=0.2, steps=40, variance=0.01, seed=3, initial=[1.0, 0.5]
    )
    return action, truth, data, {x: (0.8, 0.5), v: (0.3, 0.5), k: (1.5, 0.5)}
