"""Solvers: the same minima from each other's end points, momenta, bounds, records."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import sympy as sp
from models import make_case
from scipy.integrate import solve_ivp

import symda as sd
from symda.solve import SOLVERS, Ipopt, Lbfgs, Minimum


def noisy(values, sd_, seed):
    return values + sd_ * np.random.default_rng(seed).normal(size=values.shape)


@cache
def lorenz(scheme, L):
    """Lorenz-63 with L of its states measured, its truth on the grid and the true parameters."""
    x, y, z = sd.states("x y z", bounds=(-60.0, 60.0))
    sigma = sd.parameter("sigma", bounds=(1.0, 30.0))
    rho = sd.parameter("rho", bounds=(1.0, 60.0))
    beta = sd.parameter("beta", bounds=(0.1, 10.0))
    equations = {x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z}
    case = make_case(sd.Model(equations, name="lorenz63"), [x, y, z][:L], scheme)
    times = 0.05 * np.arange(25)

    def field(t, v):
        a, b, c = v
        return [10.0 * (b - a), a * (28.0 - c) - b, a * b - 8.0 / 3.0 * c]

    found = solve_ivp(field, (0.0, 1.2), [1.0, 2.0, 20.0], rtol=1e-10, dense_output=True)
    data = noisy(found.sol(times).T[:, :L], 0.3, 1)
    problem = case.problem(times, data, variance=0.09)
    return case, problem, found.sol(problem.times).T, np.array([10.0, 28.0, 8.0 / 3.0])


@cache
def henon():
    x, y = sd.states("x y", start=(-1.5, 1.5))
    a, b = sd.parameter("a", bounds=(0.0, 2.0)), sd.parameter("b", bounds=(0.0, 1.0))
    model = sd.Model({x: 1 - a * x**2 + y, y: b * x}, name="henon", discrete=True)
    case = make_case(model, [x])
    truth = np.full((21, 2), 0.1)
    for n in range(20):
        truth[n + 1] = 1.0 - 1.4 * truth[n, 0] ** 2 + truth[n, 1], 0.3 * truth[n, 0]
    problem = case.problem(np.arange(21.0), noisy(truth[:, :1], 0.05, 0), variance=0.0025)
    return case, problem, truth, np.array([1.4, 0.3])


@cache
def pendulum():
    """A driven pendulum, forcing given as samples; k is free, the damping c fixed."""
    angle, speed = sd.states("angle speed", start=(-3.0, 3.0))
    k = sd.parameter("k", bounds=(0.0, 10.0))
    c = sd.parameter("c", bounds=(0.0, 1.0), value=0.1 + 0.2)
    drive = sd.forcing("drive")
    model = sd.Model({angle: speed, speed: -k * sp.sin(angle) - c * speed + drive}, name="pendulum")
    case = make_case(model, [sp.sin(angle)], "rk4")
    times = np.linspace(0.0, 4.0, 33)

    def field(t, v):
        return [v[1], -4.0 * np.sin(v[0]) - 0.3 * v[1] + np.cos(1.3 * t)]

    found = solve_ivp(field, (0.0, 4.0), [0.5, 0.0], rtol=1e-10, t_eval=times)
    data = noisy(np.sin(found.y[:1].T), 0.05, 2)
    data[5:9] = np.nan
    forcing = {"drive": (times, np.cos(1.3 * times))}
    problem = case.problem(times, data, variance=0.0025, forcing=forcing)
    theta = {"k": 4.0, "c": 0.1 + 0.2}
    return case, problem, found.y.T, np.array([theta[name] for name in problem.parameters])


@cache
def decay():
    """No parameter at all, one state, one value measured, one step."""
    x = sd.state("x", start=(-3.0, 3.0))
    case = make_case(sd.Model({x: -(x**3)}, name="decay"), [x], "midpoint")
    problem = case.problem([0.0, 0.5], [1.5, np.nan], variance=0.04)
    return case, problem, np.array([[1.5], [1.0]]), np.zeros(0)


TASKS = {
    "lorenz, one measured": lambda: lorenz("trapezoid", 1),
    "lorenz, all measured, hermite-simpson": lambda: lorenz("hermite-simpson", 3),
    "henon": henon,
    "pendulum": pendulum,
    "decay": decay,
}
IPOPTS = {
    "direct": lambda kernels, problem: Ipopt().at(kernels, problem),
    "lifted": lambda kernels, problem: Ipopt("lifted").at(kernels, problem),
}
#: Tasks that are also compiled; each costs the compiler's time.
COMPILED = ("lorenz, all measured, hermite-simpson", "henon", "pendulum")


def near(truth, theta, problem, distance=0.1, seed=3):
    rng = np.random.default_rng(seed)
    spread = distance * (1.0 + np.abs(truth).max(axis=0))
    return truth + spread * rng.normal(size=truth.shape), theta * (1.0 + distance)


def projected(problem, at, minimum: Minimum, rf):
    """The gradient with the components left out that push against a bound, as a fraction."""
    gradient = at.gradient(minimum.path, minimum.theta, rf)
    unknowns = np.concatenate([minimum.path.reshape(-1), minimum.theta])
    held = np.concatenate([np.zeros(minimum.path.size, dtype=bool), ~problem.free])
    lower, upper = (
        np.concatenate(
            [np.tile(problem.state_bounds[:, s], problem.M), problem.parameter_bounds[:, s]]
        )
        for s in (0, 1)
    )
    blocked = ((unknowns <= lower + 1e-7) & (gradient > 0.0)) | (
        (unknowns >= upper - 1e-7) & (gradient < 0.0)
    )
    curvature = at.hessian(minimum.path, minimum.theta, rf).diagonal()
    scaled = gradient / np.sqrt(np.maximum(curvature, 1e-30))
    # a Newton step would gain half the square of this
    return np.linalg.norm(scaled[~(blocked | held)])


@pytest.mark.parametrize("rf", [1.0, 1e3])
@pytest.mark.parametrize("name", TASKS)
def test_the_solvers_polish_each_others_end_points(name, rf):
    """From one start two solvers may part; from the other's minimum they must not."""
    case, problem, *truth = TASKS[name]()
    kernels = case.virtual
    precision = np.full(problem.D, rf)
    at = kernels.at(problem)
    solvers = {label: make(kernels, problem) for label, make in IPOPTS.items()}
    for label, solver in solvers.items():
        end = solver.minimise(*near(*truth, problem), precision)
        assert end.status == "converged", (label, end.message)
        assert projected(problem, at, end, precision) < 1e-4
        for other in solvers.values():
            polished = other.minimise(end.path, end.theta, precision)
            assert polished.status == "converged"
            assert polished.action == pytest.approx(end.action, rel=1e-8, abs=1e-12)
            np.testing.assert_allclose(polished.theta, end.theta, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rf", [1.0, 1e3])
@pytest.mark.parametrize("name", TASKS)
def test_lbfgs_ends_where_ipopt_finds_nothing_below(name, rf):
    """To 1e-8 of the level, at the price of hundreds of iterations."""
    case, problem, *truth = TASKS[name]()
    precision = np.full(problem.D, rf)
    end = Lbfgs().at(case.virtual, problem).minimise(*near(*truth, problem), precision)
    assert end.status == "converged"
    for make in IPOPTS.values():
        polished = make(case.virtual, problem).minimise(end.path, end.theta, precision)
        assert polished.action == pytest.approx(end.action, rel=1e-8, abs=1e-10)
    back = Lbfgs().at(case.virtual, problem).minimise(polished.path, polished.theta, precision)
    assert back.action == pytest.approx(polished.action, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_and_virtual_kernels_give_the_same_minima(name):
    case, problem, *truth = TASKS[name]()
    precision = np.full(problem.D, 50.0)
    for make in IPOPTS.values():
        compiled, virtual = (
            make(kernels, problem).minimise(*near(*truth, problem), precision)
            for kernels in (case.compiled, case.virtual)
        )
        assert compiled.action == pytest.approx(virtual.action, rel=1e-10, abs=1e-13)
        np.testing.assert_allclose(compiled.path, virtual.path, rtol=1e-5, atol=1e-5)
        polished = make(case.compiled, problem).minimise(virtual.path, virtual.theta, precision)
        assert polished.action == pytest.approx(virtual.action, rel=1e-8)


@pytest.mark.parametrize("name", TASKS)
def test_multipliers_are_momenta(name):
    """p = Rf r, computed from the path (direct) and reported by IPOPT (lifted)."""
    case, problem, *truth = TASKS[name]()
    rf = np.linspace(20.0, 60.0, problem.D)
    direct, lifted = (
        make(case.virtual, problem).minimise(*near(*truth, problem, 0.02), rf)
        for make in IPOPTS.values()
    )
    assert direct.momenta.shape == lifted.momenta.shape == (problem.N, problem.E)
    weights = problem.weight[:, None] * np.tile(rf, 1 + problem.interior)
    residual = case.virtual.at(problem).residual(direct.path, direct.theta)
    np.testing.assert_array_equal(direct.momenta, weights * residual)
    scale = np.linalg.norm(direct.momenta)
    assert np.linalg.norm(lifted.momenta - direct.momenta) <= 1e-6 * scale + 1e-9


def test_momenta_with_steps_of_unequal_weight():
    case, _, truth, theta = lorenz("trapezoid", 1)
    times = np.array([0.0, 0.05, 0.15, 0.2, 0.3, 0.32])
    data = np.interp(times, 0.05 * np.arange(25), truth[:, 0])
    data = noisy(data, 0.3, 4)
    problem = case.problem(times, data, variance=0.09, model_error="rate")
    np.testing.assert_allclose(problem.weight, 1.0 / np.diff(times))
    start = truth[: problem.M]
    rf = np.array([1.0, 5.0, 20.0])
    direct, lifted = (
        make(case.virtual, problem).minimise(start, theta, rf) for make in IPOPTS.values()
    )
    assert direct.action == pytest.approx(lifted.action, rel=1e-8)
    scale = np.abs(direct.momenta).max()
    np.testing.assert_allclose(lifted.momenta, direct.momenta, atol=1e-5 * scale)


@pytest.mark.parametrize("solver", ["ipopt", "lbfgs"])
@pytest.mark.parametrize("name", TASKS)
def test_the_record_says_what_is_at_the_end_point(name, solver):
    case, problem, *truth = TASKS[name]()
    rf = np.full(problem.D, 10.0)
    end = SOLVERS[solver].at(case.virtual, problem).minimise(*near(*truth, problem), rf)
    at = case.virtual.at(problem)
    assert (end.measurement_term, end.model_term) == at.terms(end.path, end.theta, rf)
    assert end.action == end.measurement_term + end.model_term
    assert end.path.shape == (problem.M, problem.D)
    assert end.theta.shape == (problem.P,)
    assert end.action < at.action(*near(*truth, problem), rf)
    assert end.iterations > 0 and end.evaluations >= end.iterations and end.seconds > 0.0
    fixed = ~problem.free
    assert end.theta[fixed].tobytes() == problem.fixed[fixed].tobytes()


def test_one_solver_serves_many_calls():
    """Nothing of one minimisation may be left in the next."""
    case, problem, *truth = lorenz("trapezoid", 1)
    start = near(*truth, problem)
    for make in (*IPOPTS.values(), Lbfgs().at):
        solver = make(case.virtual, problem)
        first = solver.minimise(*start, np.full(3, 4.0))
        solver.minimise(*truth, np.full(3, 700.0))
        again = solver.minimise(*start, np.full(3, 4.0))
        assert again.action == first.action
        np.testing.assert_array_equal(again.path, first.path)


def test_the_tasks_are_what_they_say():
    problem = pendulum()[1]
    assert dict(zip(problem.parameters, problem.free.tolist(), strict=True)) == {
        "k": True,
        "c": False,
    }
    assert problem.data_count == 29
    assert problem.direct.tolist() == [-1]
    problem = decay()[1]
    assert (problem.N, problem.D, problem.P, problem.data_count) == (1, 1, 0, 1)
