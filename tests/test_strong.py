"""The strong constraint: exact solutions, SciPy's least squares, and the Kalman-like posterior."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares, minimize

import symda as sd
from symda.api.machine import strong_of
from symda.build.kernels import matrices_of
from symda.solve.region import within
from symda.status import Status

pytestmark = pytest.mark.usefixtures("uncompiled")


def strong(action, problem):
    own = action.of(problem)
    at = matrices_of(own.compile().machine.at(problem), "solution")
    return strong_of(own.specification, at)


def inside(at, v):
    """All unknowns of a problem, with those of the strong constraint put in."""
    x = np.zeros(at.problem.unknowns.count)
    x[at.places] = v
    return x


def decay(**options):
    """Decay with a known rate law: x = a exp(-k t), every datum Gaussian."""
    x = sd.state("x", bounds=(0.0, 50.0))
    k = sd.parameter("k", bounds=(0.01, 10.0), **options)
    return sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="trapezoid")


def decayed(seed=0):
    t = np.linspace(0.0, 4.0, 9)
    noise = np.random.default_rng(seed).normal(0.0, 0.1, 9)
    return sd.Observations(t, 3.0 * np.exp(-0.7 * t) + noise, variance=0.01)


def reference(data):
    """Least squares of the exact solution, by SciPy."""
    t, y = data.times, data.values[:, 0]
    return least_squares(lambda v: (v[0] * np.exp(-v[1] * t) - y) / 0.1, [2.0, 1.0], xtol=1e-14)


@pytest.mark.parametrize("options", [{}, {"scale": "log"}])
def test_the_minimum_is_that_of_least_squares(options):
    data, action = decayed(), decay(**options)
    problem = action.bind(data)
    found = strong(action, problem).minimise(
        *problem.internal(np.full((9, 1), 5.0), np.array([4.0]))
    )
    exact = reference(data)
    X, theta = problem.natural(found.path, found.theta)
    assert found.status == Status.CONVERGED and found.message == ""
    assert found.action == pytest.approx(exact.cost, abs=1e-6)
    np.testing.assert_allclose([X[0, 0], theta[0]], exact.x, rtol=1e-4)
    np.testing.assert_allclose(X[:, 0], exact.x[0] * np.exp(-exact.x[1] * data.times), rtol=1e-3)


@pytest.mark.compiled
def test_gradient_and_hessian_are_those_of_differences():
    """Of two experiments with a parameter of their own, given initial values and a prior."""
    x, y = sd.states("x y", start=(-2.0, 2.0))
    a = sd.parameter("a", start=(0.5, 1.5), prior=sd.Normal(1.0, 0.5))
    b = sd.parameter("b", per="experiment", start=(0.1, 0.5))
    c = sd.parameter("c", start=(-1.0, 1.0))
    u = sd.forcing("u")
    model = sd.Model({x: a * y - x**3 / 9 + u, y: -x - b * y})
    action = sd.Action(model, {"x": x, "xy": sd.StudentT(5, x * y, 0.3)}, initial={y: c})
    rng = np.random.default_rng(3)
    times = np.linspace(0.0, 3.0, 7)
    data = [
        sd.Observations(
            times,
            rng.normal(size=(7, 2)),
            variance=[0.2, np.nan],
            forcing={"u": sd.Samples(times, rng.normal(size=7))},
            channels=["x", "xy"],
        )
        for _ in range(2)
    ]
    problem = action.bind(data, steps=2)
    at = strong(action, problem)
    v = rng.uniform(0.3, 0.9, at.places.size)
    assert v.size == 2 + 4  # x at both starts; a, b twice, c
    step = 1e-4 * np.eye(v.size)
    by_hand = [(at.value(v + e) - at.value(v - e)) / 2e-4 for e in step]
    np.testing.assert_allclose(at.gradient(v), by_hand, rtol=1e-4, atol=1e-4)
    found = at.minimise(*at.solution(*problem.unknowns.split(inside(at, v)))[:2])
    assert found.status == Status.CONVERGED
    least = at.unknowns(found.path, found.theta)
    second = [(at.gradient(least + e) - at.gradient(least - e)) / 2e-4 for e in step]
    np.testing.assert_allclose(at.hessian(least), second, rtol=2e-2, atol=2e-2)


def test_pulses_and_what_they_do():
    """A dose enters at once: the solution is the sum of decays."""
    x = sd.state("x", start=(0.0, 5.0))
    k = sd.parameter("k", bounds=(0.1, 5.0))
    dose = sd.forcing("dose")
    action = sd.Action(sd.Model({x: dose - k * x}), [x], initial={x: 0.0})
    t = np.linspace(0.0, 6.0, 13)
    exact = 4.0 * np.exp(-0.5 * t) + 2.0 * np.where(t >= 2.25, np.exp(-0.5 * (t - 2.25)), 0.0)
    exact[0] = 0.0
    given = {"dose": sd.Pulses([0.0, 2.25], [4.0, 2.0])}
    data = sd.Observations(t[1:], exact[1:], variance=0.01, forcing=given)
    problem = action.bind(data, start=0.0)
    found = strong(action, problem).minimise(np.zeros((problem.M, 1)), np.array([2.0]))
    assert found.theta[0] == pytest.approx(0.5, rel=1e-5)
    assert found.action < 1e-8


def test_a_bound_that_holds_is_where_the_minimum_is():
    data, action = decayed(), decay()
    problem = action.bind(data)
    at = strong(action, problem)
    at.upper[-1] = 0.5  # below the 0.7 of the data
    found = at.minimise(np.full((9, 1), 2.0), np.array([0.2]))
    assert found.status == Status.CONVERGED and found.theta[0] == 0.5
    best = minimize(
        lambda a: 0.5 * np.sum((a * np.exp(-0.5 * data.times) - data.values[:, 0]) ** 2) / 0.01, 2.0
    )
    assert found.action == pytest.approx(best.fun, abs=1e-5)


@pytest.mark.compiled
def test_where_there_is_no_solution_is_said():
    x = sd.state("x", start=(0.0, 5.0))
    a = sd.parameter("a", bounds=(0.0, 10.0))
    action = sd.Action(sd.Model({x: a * x**2}), [x])
    problem = action.bind(sd.Observations([0.0, 1.0, 2.0], [1.0, 1.2, 1.5], variance=0.01))
    found = strong(action, problem).minimise(np.ones((3, 1)), np.array([5.0]))
    assert found.status == Status.FAILED and np.isnan(found.action)
    assert "before t = 1" in found.message


@pytest.mark.parametrize("power", [-12, 12])
def test_units_change_nothing_but_units(power):
    s = 10.0**power
    x = sd.state("x", bounds=(0.0, 50.0 * s))
    k = sd.parameter("k", bounds=(0.01 / s, 10.0 / s))
    action = sd.Action(sd.Model({x: -k * x}), [x])
    plain = decayed()
    data = sd.Observations(s * plain.times, s * plain.values, variance=0.01 * s**2)
    problem = action.bind(data)
    found = strong(action, problem).minimise(np.full((9, 1), 5.0 * s), np.array([4.0 / s]))
    exact = reference(plain)
    assert found.action == pytest.approx(exact.cost, abs=1e-6)
    assert found.theta[0] * s == pytest.approx(exact.x[1], rel=1e-4)


def test_how_far_a_solution_is_from_the_data_goes_by_logarithms():
    """Ten times too high is as far as ten times too low; small data count as small."""
    data, action = decayed(), decay()
    problem = action.bind(data)
    at, y = strong(action, problem), data.values[:, 0]
    small = 0.01 * np.sqrt(np.mean(y**2))
    path = np.full((9, 1), 3.0)

    def far(first, k):
        return at.distance(first * path / 3.0, np.array([k]))[0]

    fit = 2.0 * np.exp(-0.9 * data.times)
    expected = np.sum((np.arcsinh(fit / small) - np.arcsinh(y / small)) ** 2)
    assert far(2.0, 0.9) == pytest.approx(expected, rel=1e-6)
    assert far(30.0, 0.7) == pytest.approx(far(0.3, 0.7), rel=0.1)
    assert far(3.0, 0.7) < 0.01 * far(0.3, 0.7)


@pytest.mark.compiled
@pytest.mark.parametrize("given", [0, 1])
def test_what_creeps_is_left_and_the_lowest_goes_on_at_the_end(monkeypatch, given):
    """Shots that are left half way are taken to the minimum by the finish."""
    data, action = decayed(), decay()
    monkeypatch.setattr("symda.solve.strong.PACE", 2)
    monkeypatch.setattr("symda.solve.strong.LITTLE", np.inf)
    problem = action.bind(data)
    start = problem.internal(np.full((9, 1), 5.0), np.array([4.0]))
    left = strong(action, problem).minimise(*start, patient=False)
    assert left.crept and left.iterations == 2 and left.status == Status.STOPPED
    options = {"strategy": "shooting", "paths": 3, "seed": given, "executor": "serial"}
    run = sd.anneal(action, data, progress=False, **options)
    assert run.best.action == pytest.approx(reference(data).cost, abs=1e-5)
    # and what the finish did counts, though it did not come to the end
    monkeypatch.setattr("symda.solve.strong.PACE", 1)
    monkeypatch.setattr("symda.solve.strong.ITERATIONS", 2)
    cut = sd.anneal(action, data, progress=False, **options)
    climbed = np.nanmin(cut.dataset["solution_climbed"].values)
    assert run.best.action - 1e-9 <= cut.best.action < climbed


def test_a_map_is_iterated():
    x = sd.state("x", bounds=(0.0, 1.0))
    r = sd.parameter("r", bounds=(1.0, 3.5))
    action = sd.Action(sd.Model({x: r * x * (1 - x)}, discrete=True), [x])
    truth = [0.2]
    for _ in range(8):
        truth.append(2.7 * truth[-1] * (1.0 - truth[-1]))
    problem = action.bind(sd.Observations(np.arange(9.0), truth, variance=1e-4))
    found = strong(action, problem).minimise(np.full((9, 1), 0.3), np.array([2.5]))
    assert found.action < 1e-6 and found.theta[0] == pytest.approx(2.7, rel=1e-5)
    np.testing.assert_allclose(found.path[:, 0], truth, rtol=1e-4)


def test_the_step_within_a_radius_is_the_least_there():
    rng = np.random.default_rng(5)
    for n in (1, 3, 8):
        root = rng.normal(size=(n, n))
        H, g = root @ root.T, rng.normal(size=n)
        free = within(H, g, 1e9)
        np.testing.assert_allclose(H @ free, -g, rtol=1e-6, atol=1e-8)
        step = within(H, g, 0.1)
        assert np.linalg.norm(step) == pytest.approx(min(0.1, np.linalg.norm(free)), rel=2e-3)
        ways = rng.normal(size=(2000, n))
        ways *= 0.1 / np.linalg.norm(ways, axis=1)[:, None]
        others = ways @ g + 0.5 * np.einsum("ki,ij,kj->k", ways, H, ways)
        assert g @ step + 0.5 * step @ H @ step <= others.min() + 2e-3 * abs(others.min())


def test_the_solution_is_scipys():
    m = sd.models.lorenz63()
    action = sd.Action(m, [m["x"]])
    _, data = sd.twin(
        action, parameters=sd.models.LORENZ63, dt=0.02, steps=50, variance=1.0, seed=0,
        initial=[1.0, 1.0, 20.0],
    )  # fmt: skip
    problem = action.bind(data)
    theta = np.array([sd.models.LORENZ63[p] for p in problem.parameters])
    first = np.array([[1.0, 2.0, 21.0]])
    X, _, why = strong(action, problem).solution(np.repeat(first, 51, axis=0), theta)
    s, r, b = (sd.models.LORENZ63[n] for n in ("sigma", "rho", "beta"))
    exact = solve_ivp(
        lambda _, y: [s * (y[1] - y[0]), y[0] * (r - y[2]) - y[1], y[0] * y[1] - b * y[2]],
        (0.0, 1.0), first[0], t_eval=problem.times, rtol=1e-11, atol=1e-11, method="DOP853",
    ).y.T  # fmt: skip
    assert why == ""
    np.testing.assert_allclose(X, exact, rtol=1e-5, atol=1e-5)


def test_what_changes_nothing_has_no_curvature():
    """A rate that the data never reach, and a first state that is given: nothing is left to fit."""
    x, k = sd.state("x", bounds=(0.0, 20.0)), sd.parameter("k", bounds=(0.5, 2.0))
    rate = sp.Piecewise((-k * (x - 10), x > 10), (0, True))
    action = sd.Action(sd.Model({x: rate}, name="beyond"), [x], initial={x: 2.0})
    data = sd.Observations([0.0, 1.0, 2.0], [2.0, 2.1, 1.9], variance=0.01)
    problem = action.bind(data)
    at = strong(action, problem)
    v = at.unknowns(np.full((3, 1), 2.0), np.array([1.0]))
    assert v.shape == (1,) and at.hessian(v).shape == (1, 1)
    assert not at.unstable(v)
    with pytest.warns(UserWarning, match="k"):
        run = sd.anneal(action, data, progress=False)
    assert not run.verdict().consistent and np.isinf(action.posterior(run, data).sd["k"])
