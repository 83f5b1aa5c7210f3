"""Solutions reached by pieces, and by windows that grow: where one shot through all data misses."""

from __future__ import annotations

import numpy as np
import pytest

import symda as sd
from symda.anneal.strategies.shooting_window import _spread
from symda.api.machine import strong_of
from symda.build.kernels import matrices_of
from symda.solve.pieces import Pieces
from symda.status import Status

LORENZ = sd.models.LORENZ63


def pieces(action, problem):
    own = action.of(problem)
    at = matrices_of(own.compile().machine.at(problem), "solution")
    strong = strong_of(own.specification, at)
    return Pieces(strong._at, strong._engine)


def chaotic(steps=250):
    """Lorenz's equations, x measured; the recording enlarges a deviation several thousand times."""
    model = sd.models.lorenz63()
    action = sd.Action(model, [model["x"]])
    path, data = sd.twin(
        action, parameters=LORENZ, dt=0.04, steps=steps, variance=1.0, seed=3,
        initial=[1.0, 1.0, 20.0],
    )  # fmt: skip
    return action, data, path


def test_the_linear_model_of_the_pieces_is_that_of_differences():
    action, data, truth = chaotic(steps=40)
    problem = action.bind(data)
    at = pieces(action, problem)
    theta = np.array([LORENZ[name] for name in problem.parameters])
    rng = np.random.default_rng(0)
    path = truth.states
    path = path + 0.1 * rng.standard_normal(path.shape)
    v = at.unknowns(path, theta)
    _, points = at._courses[0]
    nodes = [path[points[at._breaks(len(points))[1:-1]]]]
    here, linear = at._run(v, nodes, slopes=True)
    step, errors = 0.1 * rng.standard_normal(v.size) * np.abs(v), []
    for share in (1e-3, 1e-4):
        there = at._pieces(*at._moved(v, nodes, linear, step, share))
        change = share * (linear.slopes @ step + linear.offset)
        errors.append(np.abs(there.path - here.path - change[: path.size].reshape(-1, 3)).max())
        # a share of the step closes that share of the gaps
        closed = there.gaps[0] - (1.0 - share) * here.gaps[0]
        errors[-1] = max(errors[-1], np.abs(closed).max())
    assert errors[0] < 1e-3 and errors[1] == pytest.approx(1e-2 * errors[0], rel=0.3)


@pytest.mark.compiled
def test_a_path_that_nearly_is_a_solution_is_not_lost():
    """Its first state leads elsewhere, since the equations are unstable; its pieces do not."""
    action, data, truth = chaotic()
    problem = action.bind(data)
    at = pieces(action, problem)
    theta = np.array([LORENZ[name] for name in problem.parameters])
    path = truth.states
    exact = at.minimise(path, theta)
    rng = np.random.default_rng(1)
    near = path + 0.05 * rng.standard_normal(path.shape), theta * 1.005
    assert at.value(at.unknowns(*near)) > exact.action + 1000.0
    mended = at.mended(*near)
    assert mended is not None
    found = at.minimise(*mended)
    assert found.status == Status.CONVERGED and exact.status == Status.CONVERGED
    assert found.action == pytest.approx(exact.action, abs=1e-3)
    assert at.minimise(*near).action > exact.action + 100.0


def aliased():
    """An oscillation of which there is hardly a datum for each turn."""
    x, y = sd.states("x y", bounds=(-3.0, 3.0))
    w, c = sd.parameter("w", bounds=(2.0, 10.0)), sd.parameter("c", bounds=(1e-4, 0.1))
    action = sd.Action(sd.Model({x: w * y, y: -w * x - c * y}, name="aliased"), [x])
    t = np.arange(121.0)
    exact = np.exp(-0.001 * t) * np.cos(5.0 * t)
    noise = 0.02 * np.random.default_rng(2).standard_normal(t.size)
    return action, sd.Observations(t, exact + noise, variance=4e-4)


@pytest.mark.smoke
@pytest.mark.compiled
def test_windows_that_grow_lead_to_what_shots_miss(monkeypatch):
    monkeypatch.setattr("symda.solve.strong.ITERATIONS", 40)
    action, data = aliased()
    options = {"paths": 3, "progress": False, "executor": "serial", "seed": 0}
    start = sd.Simulated(best_of=20)
    grown = sd.anneal(action, data, strategy="shooting-window", start=start, **options)
    shot = sd.anneal(action, data, strategy="shooting", start=start, **options)
    assert grown.best.action < 80.0 < shot.best.action
    assert grown.dataset.attrs["strategy"] == "shooting-window"
    # what did not grow says how far it came
    lost = np.isnan(grown.levels.values[:, -1])
    assert all("first windows grew" in str(m) for m in grown.dataset["message"].values[lost])


def not_quite() -> tuple[sd.Action, sd.Observations]:
    """An oscillation, whose recording slowly leaves what the model can do."""
    x, y = sd.states("x y", bounds=(-3.0, 3.0))
    w, c = sd.parameter("w", bounds=(2.0, 10.0)), sd.parameter("c", bounds=(1e-4, 0.1))
    action = sd.Action(sd.Model({x: w * y, y: -w * x - c * y}, name="not_quite"), [x])
    t = np.arange(0.0, 40.0, 0.25)
    exact = np.exp(-0.005 * t) * np.cos(5.0 * t) + 0.15 * np.sin(0.04 * t) ** 2
    noise = 0.02 * np.random.default_rng(4).standard_normal(t.size)
    return action, sd.Observations(t, exact + noise, variance=4e-4)


@pytest.mark.smoke
@pytest.mark.compiled
def test_rough_windows_grow_where_the_model_is_not_quite_right():
    """No solution fits as well as the noise says; the best leaves a fiftieth of the variance."""
    action, data = not_quite()
    options = {"paths": 3, "progress": False, "executor": "serial", "seed": 0, "finish": "strong"}
    start = sd.Simulated(best_of=20)
    rough = sd.anneal(action, data, strategy=sd.ShootingWindow(rough=True), start=start, **options)
    assert rough.best.parameters["w"] == pytest.approx(5.0, abs=0.01)
    assert rough.best.action < 0.03 * _spread(action.bind(data))
    strict = sd.anneal(action, data, strategy="shooting-window", start=start, **options)
    assert np.isnan(strict.levels.values[:, -1]).all()


def test_what_a_constant_leaves_is_in_units_of_the_noise():
    action, data = aliased()
    values = data.values[:, 0]
    own = 0.5 * ((values - values.mean()) ** 2).sum() / 4e-4
    assert _spread(action.bind(data)) == pytest.approx(own, rel=1e-12)


@pytest.mark.compiled
def test_without_gaps_the_gradient_is_that_of_the_whole_solution():
    """Of two experiments with a dose, a parameter of their own and first values that are tied."""
    x, y = sd.states("x y", start=(-2.0, 2.0))
    a = sd.parameter("a", start=(0.5, 1.5), prior=sd.Normal(1.0, 0.5))
    b = sd.parameter("b", per="experiment", start=(0.1, 0.5))
    c, u = sd.parameter("c", start=(-1.0, 1.0)), sd.forcing("u")
    model = sd.Model({x: a * y - x**3 / 9 + u, y: -x - b * y})
    action = sd.Action(model, [x], initial={y: 2 * c})
    rng, times = np.random.default_rng(3), np.linspace(0.0, 3.0, 7)
    data = [
        sd.Observations(
            times, rng.normal(size=7), variance=0.2, forcing={"u": sd.Pulses([dose], [0.5])}
        )
        for dose in (1.0, 1.7)
    ]
    problem = action.bind(data)
    at = pieces(action, problem)
    v = rng.uniform(0.3, 0.9, at.places.size)
    path, _, _, why = at._lead(v, every=True)
    nodes = [
        path[segment.own_points][points[at._breaks(len(points))[1:-1]]]
        for segment, (_, points) in zip(problem.segments, at._courses, strict=True)
    ]
    here, linear = at._run(v, nodes, slopes=True)
    assert why == "" and max(np.abs(gaps).max() for gaps in here.gaps) < 1e-7
    _, gradient = at._at.value_and_gradient(here.path, here.theta, 0.0)
    np.testing.assert_allclose(linear.slopes.T @ gradient, at.gradient(v), rtol=1e-5, atol=1e-7)
    # and a solution is what it leads to from beside one
    mended = at.mended(path + 0.05 * rng.standard_normal(path.shape), here.theta)
    assert mended is not None
    found, shot = at.minimise(*mended), at.minimise(path, here.theta)
    assert found.action == pytest.approx(shot.action, abs=1e-4)
