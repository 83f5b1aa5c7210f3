"""The dataset of a network's run, and what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from symda.anneal.networks import Rung, run_each
from symda.solve.network.problem import NetworkProblem
from symda.solve.network.training import TRAINING, Loss, Train, Training
from symda.types import FloatArray

#: Least seconds that back-propagation has from a start.
BRIEF = 0.05


def network_dataset(
    problem: NetworkProblem,
    climbed: Sequence[Sequence[Rung]],
    starts: Sequence[FloatArray],
    rungs: Sequence[float],
) -> xr.Dataset:
    """Put what paths came to into a dataset, dims path, beta and weight."""
    shape = len(climbed), len(rungs)
    numbers = {
        name: np.full(shape, np.nan)
        for name in ("action", "measurement_term", "model_term", "prior_term", "slope", "seconds")
    }
    codes = {name: np.zeros(shape, dtype=np.int64) for name in ("status", "reason")}
    counts = {name: np.zeros(shape, dtype=np.int64) for name in ("iterations", "inner")}
    solvers = np.full(shape, "", dtype="U16")
    weights = np.full((*shape, problem.network.weights), np.nan)
    for k, path in enumerate(climbed):
        for rung in path:
            b, m = rung.beta, rung.minimum
            for name, value in zip(
                numbers,
                (
                    m.terms.total,
                    m.terms.measurement,
                    m.terms.model,
                    m.terms.prior,
                    m.slope,
                    rung.seconds,
                ),
                strict=True,
            ):
                numbers[name][k, b] = value
            codes["status"][k, b], codes["reason"][k, b] = m.status.code, m.reason.code
            counts["iterations"][k, b], counts["inner"][k, b] = m.iterations, m.inner
            solvers[k, b] = m.solver
            weights[k, b] = m.point.W
    made = {name: (("path", "beta"), v) for name, v in (numbers | codes | counts).items()}
    return xr.Dataset(
        {
            **made,
            "solver_used": (("path", "beta"), solvers),
            "weights": (("path", "beta", "weight"), weights),
            "start": (("path", "weight"), np.array(starts)),
            "rf": (("beta",), np.array(rungs)),
        },
        coords={"path": np.arange(shape[0]), "beta": np.arange(shape[1])},
    )


def constant_level(problem: NetworkProblem) -> float:
    """Return the lowest level of a network whose output is the same whatever the input."""
    y = problem.y_out[:, : problem.M]
    q = problem.q_out[:, : problem.M]
    full, weight = np.zeros_like(problem.y_out), q
    for _ in range(100 if problem.df is not None else 1):
        # of a Student t the mean by weights that depend on it
        mean = (weight * y).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
        full[:, : problem.M] = y - mean
        cost, each = problem.cost(full)
        weight = each[:, : problem.M]
    return float(cost.sum())


def lowest_level(climbed: Sequence[Sequence[Rung]], rungs: int) -> float:
    """Return the lowest level at the last rung; infinite where no path got there."""
    ends = [path[-1] for path in climbed if path and path[-1].beta == rungs - 1]
    levels = [end.minimum.terms.total for end in ends]
    return min([level for level in levels if np.isfinite(level)], default=float("inf"))


def train_all(
    problem: NetworkProblem, weights: Sequence[FloatArray], seconds: FloatArray, workers: int
) -> dict[str, Training]:
    """Train from each start for its seconds, by each method; return the lowest of each.

    Their levels are those of the action as Rf goes to infinity.
    """
    found: dict[str, Training] = {}
    for name, train in TRAINING.items():
        made: list[Training | None] = [None] * len(weights)

        def one(k: int, train: Train = train, made: list[Training | None] = made) -> None:
            made[k] = train(problem, weights[k], max(float(seconds[k]), BRIEF))

        run_each(one, len(weights), workers, problem)
        done = [one for one in made if one is not None and np.isfinite(one.level)]
        if done:
            best = min(done, key=lambda one: one.level)
            level = Loss(problem).strong_level(best.weights)
            found[name] = Training(best.weights, level, best.iterations, best.seconds)
    return found
