"""Samples of several recordings, of values measured again, and of a hundred states."""

from __future__ import annotations

import math

import numpy as np
import pytest
from error_bars import ladder, walk

import symda as sd
from symda.build import toolchain


def well() -> sd.Action:
    """x_n+1 = x_n + (x_n - x_n^3 + c)/10: two wells, tilted by c."""
    x = sd.state("x", start=(-2.0, 2.0))
    c = sd.parameter("c", start=(-1.0, 1.0), bounds=(-4.0, 4.0))
    return sd.Action(sd.Model({x: x + (x - x**3 + c) / 10}, name="well", discrete=True), {"x": x})


def likelihood(y: list[list[float]], rf: float, variance: float, cs: np.ndarray) -> np.ndarray:
    """Log probability of the values of each time, for each c, by sums on a grid."""
    grid, found = np.linspace(-2.8, 2.8, 201), []
    own = [np.exp(-0.5 * sum((grid - v) ** 2 for v in some) / variance) for some in y]
    for c in cs:
        step = np.exp(-0.5 * rf * (grid[None] - (grid + (grid - grid**3 + c) / 10)[:, None]) ** 2)
        forward, log = own[0] + 0.0 * grid, 0.0
        for likely in own[1:]:
            forward = (forward @ step) * likely
            log += math.log(forward.sum())
            forward /= forward.sum()
        found.append(log)
    return np.array(found)


@pytest.mark.parametrize("method", ["rto", pytest.param("hmc", marks=pytest.mark.smoke)])
def test_recordings_and_values_measured_again_against_sums(method: str) -> None:
    """Two recordings, of 31 and of 2 times, with one c; values measured twice or three times."""
    rf, variance, rng = 20.0, 0.1, np.random.default_rng(5)
    values: list[list[list[float]]] = []
    for steps in (30, 1):
        x = [0.8]
        for _ in range(steps):
            x.append(x[-1] + (x[-1] - x[-1] ** 3 + 0.3) / 10 + rng.normal() / math.sqrt(rf))
        counts = [(3, 0, 1, 0, 2)[n % 5] for n in range(steps + 1)]
        values.append(
            [
                (v + math.sqrt(variance) * rng.normal(size=m)).tolist()
                for v, m in zip(x, counts, strict=True)
            ]
        )
    recordings = []
    for some in values:
        times = [float(n) for n, own in enumerate(some) for _ in own or [0]]
        y = [v for own in some for v in own or [math.nan]]
        recordings.append(sd.Observations(times, y, variance=variance))
    run = sd.anneal(well(), sd.Experiments(recordings), **ladder(rf))
    assert len(run.problem.repeat_at) == 22
    found = run.sample(1500, method=method, seed=1)
    assert found.determined, found.notes
    cs = np.linspace(-4.0, 4.0, 61)
    log = sum(likelihood(some, rf, variance, cs) for some in values)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = weight @ cs
    spread = math.sqrt(weight @ (cs - mean) ** 2)
    row = found.parameters.loc["c"]
    assert abs(row["value"] - mean) < 4.0 * row["mcse"] + 0.01 * spread
    assert row["mcse"] < 0.08 * spread and row["sd"] == pytest.approx(spread, rel=0.1)


@pytest.mark.smoke
def test_of_a_linear_model_of_a_hundred_states_every_draw_counts_the_same() -> None:
    """And with 50 parameters: against the exact Gaussian."""
    action = walk(np.random.default_rng(1), 100)
    y = np.random.default_rng(2).normal(size=(9, 50))
    run = sd.anneal(action, sd.Observations(np.arange(9.0), y, variance=0.3), **ladder(3.0))
    found, laplace = run.sample(300, method="rto", seed=1), run.posterior()
    row = found.levels.iloc[0]
    assert row["spread"] < 1e-7 and row["failed"] == 0.0 and row["reached"] == 1.0
    assert found.mean.values == pytest.approx(laplace.mean.values, abs=1e-6)
    # 900 standard deviations, each uncertain by 6 %: draws come in pairs
    ratio = found.sd.values / laplace.sd.values
    assert np.abs(ratio - 1.0).max() < 0.3 and abs(ratio.mean() - 1.0) < 0.02


def ring(D: int) -> sd.Action:
    """Lorenz-96, every second state measured, with its forcing unknown."""
    x, nu = sd.states("x", D, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    return sd.Action(model, [x[a] for a in range(0, D, 2)], scheme="rk4")


@pytest.mark.smoke
@pytest.mark.skipif(not toolchain().usable, reason="no compiler on this machine")
def test_a_ring_of_a_hundred_states_is_sampled() -> None:
    """5,101 unknowns; nu is known from as many data, and the next order says where draws go."""
    action = ring(100)
    truth, data = sd.twin(action, parameters={"nu": 8.17}, dt=0.025, steps=50, variance=0.2, seed=1)
    options = {**ladder(1e3), "ladder": sd.Ladder(1e3 / 2**8, 2.0, 9), "paths": 1}

    def start(problem: object, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return truth.states.values, np.array([8.17])

    run = sd.anneal(action, data, start=start, **options)
    found, laplace = run.sample(200, seed=1), run.posterior()
    row = found.levels.iloc[0]
    assert found.determined and row["method"] == "rto" and row["failed"] == 0.0
    assert row["effective"] > 140 and row["spread"] < 0.5
    nu = found.parameters.loc["nu"]
    assert abs(nu["value"] - 8.17) < 3.5 * nu["sd"]
    assert nu["sd"] == pytest.approx(laplace.parameters.loc["nu", "sd"], rel=0.2)
    # expected values move as the next order says
    assert laplace.shift is not None
    off = (found.mean.values - laplace.mean.values) / laplace.sd.values
    shift = laplace.shift.values / laplace.sd.values
    errors = [found.expected(x)["mcse"].values for x in action.model.states[:5]]
    error = np.sqrt(np.mean((np.stack(errors, axis=1) / laplace.sd.values[:, :5]) ** 2))
    assert np.sqrt(np.mean((off - shift) ** 2)) < 1.3 * error and error < 0.04
    # the true path has no errors of the model, for which the bands leave room
    true = (truth.states.values - found.mean.values) / found.sd.values
    assert 0.3 < np.sqrt(np.mean(true**2)) < 1.1
