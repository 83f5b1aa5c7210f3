"""The actions and runs whose pages the browser looks at."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symda as sd


def lorenz96_run() -> sd.Run:
    x = sd.states("x", 11, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    equations = {x[a]: x[a - 1] * (x[(a + 1) % 11] - x[a - 2]) - x[a] + nu for a in range(11)}
    action = sd.Action(sd.Model(equations, name="lorenz96"), [x[0], x[3], x[6], x[9]])
    _, data = sd.twin(
        action, parameters={"nu": 10.0}, dt=0.025, steps=80, variance=0.2, seed=1, discard=20.0
    )
    ladder = sd.Ladder(rungs=14, alpha=3.0)
    return sd.anneal(action, data, ladder=ladder, paths=8, solver="newton", progress=False)


def lattice() -> sd.Action:
    i = sd.site("i", 1000)
    x = sd.states("x", i, start=(-10.0, 10.0))
    F = sd.parameter("F", bounds=(0.0, 20.0))
    model = sd.Model({x[i]: x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + F}, name="lattice")
    return sd.Action(model, x[::3])


def henon() -> sd.Action:
    u, v = sd.states("u v", bounds=(-2.0, 2.0))
    a, b = sd.parameters("a b", bounds=(0.0, 2.0))
    return sd.Action(sd.Model({u: 1 - a * u**2 + v, v: b * u}, name="henon", discrete=True), [u])


def failed() -> sd.Run:
    """No path of it reaches a rung, and its names look like markup."""
    x = sd.state("x<script>alert(1)</script>", start=(-2.0, -1.0))
    k = sd.parameter("k$&", bounds=(-1.0, 1.0))
    model = sd.Model({x: sp.sqrt(x - 5.0) + k}, name="</title><script>alert(2)</script>")
    data = sd.Observations(np.linspace(0.0, 0.3, 4), np.ones(4), variance=0.1)
    with pytest.warns(sd.api.ProblemWarning):
        return sd.anneal(
            sd.Action(model, [x]), data, ladder=sd.Ladder(rungs=2), paths=2, progress=False
        )


def network() -> sd.NetworkRun:
    """Names that are long beside each other, and paths that end on several levels."""
    rng = np.random.default_rng(0)
    model = sd.Model.recurrent([3, 5, 2], 4, activation="tanh", prior=sd.Normal(0.0, 0.6))
    action = sd.Action(model)
    x = rng.normal(size=(40, 4, 3))
    y = action.outputs(rng.normal(0.0, 0.6, model.weights), x)
    y += 0.05 * rng.normal(size=y.shape)
    return action.anneal(sd.Pairs(x, y, variance=0.0025), paths=4)


def nakl() -> sd.Action:
    model = sd.models.nakl()
    return sd.Action(model, [model["V"]])


#: Name -> what makes it.
PAGES = {
    "run": lorenz96_run,
    "nakl": nakl,
    "lattice": lattice,
    "map": henon,
    "network": network,
    "failed": failed,
}
