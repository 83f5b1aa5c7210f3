"""What the tests of stored runs share: a small problem, calls, records of paths."""

from __future__ import annotations

import numpy as np
from rings import ring, twin

import symda as sd
from symda.anneal.task import PathResult
from symda.solve import Solution
from symda.status import Status

SHORT = {"paths": 5, "ladder": sd.Ladder(alpha=16.0, rungs=4), "executor": "serial", "seed": 2}
#: Paths one after the other, each a task.
SLOW = {**SHORT, "ladder": sd.Ladder(alpha=16.0, rungs=2), "solver": "lbfgs"}
#: What starts do in tests: what they hold themselves would tell them apart.
STATE: dict[str, bool] = {}
STARTED: list[int] = []


def small():
    """An action and its data."""
    action = ring()
    _, data = twin(action, steps=12)
    return action, data


def result(rng, k, *, rungs=3, M=4, D=2, P=1, N=3, L=1, every=False, solved=False):
    numbers = rng.normal(size=rungs) * 10.0 ** rng.integers(-300, 300, rungs)
    path, theta = rng.normal(size=(M, D)), rng.normal(size=P)
    solution = None
    if solved:
        solution = Solution(
            path, theta, np.pi, 1e-300, Status.CONVERGED, "", np.nan, True, 3, 5, 0.1
        )
    return PathResult(
        path=k,
        action=numbers,
        measurement_term=np.array([np.nan, np.inf, -0.0][:rungs]),
        model_term=np.full(rungs, 5e-324),
        seconds=np.zeros(rungs),
        iterations=np.arange(rungs),
        evaluations=np.arange(rungs),
        status=np.ones(rungs, np.int8),
        theta=rng.normal(size=(rungs, P)),
        states=path,
        momenta=rng.normal(size=(N, D)),
        fit=rng.normal(size=(M, L)),
        states_by_beta=rng.normal(size=(rungs, M, D)) if every else None,
        decrement=float("nan"),
        last_beta=rungs - 1,
        message='rung 2: "odd" \u00fc\n',
        interrupted=False,
        solution=solution,
    )
