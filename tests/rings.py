"""A ring of states that act on their neighbours, as Lorenz's of 1996, and twins of it."""

from __future__ import annotations

import symda as sd


def ring(D=5, measured=(0, 2), **options):
    x = sd.states("x", D, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    return sd.Action(model, [x[a] for a in measured], **options)


def twin(action, seed=0, steps=60, variance=0.5):
    return sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=steps, variance=variance, seed=seed,
        discard=20.0,
    )  # fmt: skip
