"""The structured Newton solver ends where IPOPT does, on every scheme, with gaps and bounds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from models import COMPILED, Case, compiled_case, make_case, random_point, random_problem
from newton_tools import newton_kernels, polished, projected_gradient

import symda as sd
from symda.observe import Problem
from symda.solve import Ipopt, Newton

CASES = pytest.mark.parametrize(
    "index", range(len(COMPILED)), ids=lambda i: f"{COMPILED[i][1].name}{i}"
)


def boxed(problem: Problem, states=(-0.4, 0.5), parameters=(-0.3, 0.6)) -> Problem:
    """The same problem with bounds narrow enough to be active."""
    return dataclasses.replace(
        problem,
        state_bounds=np.tile(states, (problem.D, 1)),
        parameter_bounds=np.tile(parameters, (problem.P, 1)).reshape(problem.P, 2),
    )


def agree(kernels, problem, seed, *, rf=None):
    """Newton and IPOPT cannot improve on each other's end points."""
    X, theta, drawn = random_point(problem, np.random.default_rng(seed))
    rf = drawn if rf is None else rf
    newton = Newton().at(kernels, problem)
    found = newton.minimise(X, theta, rf)
    assert found.status == "converged", found.message
    assert found.action == pytest.approx(kernels.at(problem).action(found.path, found.theta, rf))
    assert abs(polished(kernels, problem, found, rf)) < 1e-8
    other = Ipopt().with_options(tol=1e-10).at(kernels, problem).minimise(X, theta, rf)
    again = newton.minimise(other.path, other.theta, rf)
    assert again.action == pytest.approx(other.action, rel=1e-8)
    return found, rf


@CASES
@pytest.mark.parametrize("N", [1, 9])
def test_with_active_bounds_it_ends_where_ipopt_does(index, N):
    case = compiled_case(index)
    kernels = newton_kernels(case)
    rng = np.random.default_rng([index, N])
    problem = boxed(random_problem(case, rng, N=N, uniform=False, observed="all"))
    found, rf = agree(kernels, problem, index)
    assert (np.abs(found.path + 0.4) < 1e-15).any() or (np.abs(found.path - 0.5) < 1e-15).any()
    assert found.path.min() >= -0.4 and found.path.max() <= 0.5
    left = np.abs(projected_gradient(kernels, problem, found, rf)).max()
    assert left < 1e-5 * np.abs(kernels.at(problem).gradient(found.path, found.theta, rf)).max()


@CASES
def test_with_gaps_and_fixed_parameters_it_ends_where_ipopt_does(index):
    case = compiled_case(index)
    kernels = newton_kernels(case)
    P = len(case.field.parameters)
    rng = np.random.default_rng(index)
    problem = random_problem(case, rng, N=8, uniform=True, observed="gaps")
    # bounds wide enough to keep minima from running away, no more
    problem = dataclasses.replace(boxed(problem, (-6.0, 6.0)), fixed=np.full(P, 0.3))
    found, rf = agree(kernels, problem, index, rf=np.full(problem.D, 3.0))
    assert np.array_equal(found.theta, np.full(P, 0.3))
    gradient = projected_gradient(kernels, problem, found, rf)
    hessian = kernels.at(problem).hessian(found.path, found.theta, rf).toarray()
    free = gradient != 0.0
    hessian, gradient = hessian[np.ix_(free, free)], gradient[free]
    # what a last Newton step would still gain
    assert gradient @ np.linalg.solve(hessian, gradient) < 1e-12 * found.action
    assert np.linalg.eigvalsh(hessian)[0] > 0


def lorenz63(scheme: str) -> Case:
    x, y, z = sd.states("x y z", start=(-20.0, 20.0))
    sigma, rho, beta = sd.parameters("sigma rho beta", bounds=(0.1, 60.0), start=(1.0, 30.0))
    equations = {x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z}
    return make_case(sd.Model(equations, name="lorenz63"), [x], scheme)


def twin(case: Case, theta: list[float], *, steps: int, dt: float, seed: int = 0) -> Problem:
    """Data of a noisy trajectory of the case, made by its own kernels' residual."""
    rng = np.random.default_rng(seed)
    D = len(case.model.states)
    times = dt * np.arange(steps + 1.0)
    values = np.zeros((steps + 1, D))
    values[0] = rng.normal(scale=3.0, size=D)

    def slope(x):
        (out,) = case.field.field.call([x, np.zeros(0), theta, 0.0])
        return np.asarray(out).reshape(-1)

    for n in range(steps):
        middle = values[n] + dt / 2 * slope(values[n])
        values[n + 1] = values[n] + dt * slope(middle)
    seen = values[:, [0]] + rng.normal(scale=0.3, size=(steps + 1, 1))
    return case.problem(times.tolist(), seen, variance=0.09)


@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson"])
def test_lorenz63_from_far_away(scheme):
    """The Hessian is indefinite at the start; the end is a minimum."""
    case = lorenz63(scheme)
    kernels = newton_kernels(case)
    problem = twin(case, [10.0, 28.0, 8.0 / 3.0], steps=60, dt=0.02)
    rng = np.random.default_rng(1)
    X = rng.uniform(-20.0, 20.0, size=(problem.M, 3))
    theta, rf = np.array([5.0, 15.0, 4.0]), np.full(3, 10.0)
    start = kernels.at(problem).hessian(X, theta, rf).toarray()
    assert np.linalg.eigvalsh(start)[0] < 0
    found = Newton().at(kernels, problem).minimise(X, theta, rf)
    assert found.status == "converged"
    assert abs(polished(kernels, problem, found, rf)) < 1e-8
    left = projected_gradient(kernels, problem, found, rf)
    free = left != 0.0
    hessian = kernels.at(problem).hessian(found.path, found.theta, rf).toarray()[np.ix_(free, free)]
    assert np.linalg.eigvalsh(hessian)[0] > 0
    assert np.linalg.norm(left) < 1e-6 * np.linalg.norm(kernels.at(problem).gradient(X, theta, rf))


def test_gauss_newton_finds_the_same_minimum():
    case = lorenz63("rk4")
    kernels = newton_kernels(case)
    problem = twin(case, [10.0, 28.0, 8.0 / 3.0], steps=40, dt=0.02)
    X, theta, rf = np.tile([1.0, 1.0, 20.0], (41, 1)), np.array([9.0, 27.0, 2.5]), np.full(3, 10.0)
    exact = Newton().at(kernels, problem).minimise(X, theta, rf)
    other = (
        Newton(hessian="gauss-newton").at(kernels, problem).minimise(exact.path, exact.theta, rf)
    )
    far = Newton(hessian="gauss-newton").at(kernels, problem).minimise(X, theta, rf)
    assert other.action == pytest.approx(exact.action, rel=1e-9)
    assert far.status == "converged" and far.iterations != exact.iterations
    assert polished(kernels, problem, far, rf) < 1e-6


def test_a_linear_gaussian_problem_takes_one_step():
    """The minimiser of a linear map's action is linear least squares, the exact smoother."""
    x, y = sd.states("x y", start=(-1.0, 1.0))
    A = np.array([[0.9, 0.3], [-0.2, 0.8]])
    map_ = sd.Model({x: 0.9 * x + 0.3 * y, y: -0.2 * x + 0.8 * y}, name="turn", discrete=True)
    case = make_case(map_, [x + 2 * y])
    rng = np.random.default_rng(2)
    N, rm, rf = 30, 4.0, np.array([4e6, 1e5])
    values = rng.normal(size=(N + 1, 1))
    values[rng.random(N + 1) < 0.4] = np.nan
    problem = case.problem(np.arange(N + 1.0).tolist(), values, variance=1 / rm)
    rows, right = [], []
    for n in range(N + 1):
        if not np.isnan(values[n, 0]):
            row = np.zeros((N + 1, 2))
            row[n] = np.sqrt(rm) * np.array([1.0, 2.0])
            rows.append(row.reshape(-1))
            right.append(np.sqrt(rm) * values[n, 0])
    for n in range(N):
        for a in range(2):
            row = np.zeros((N + 1, 2))
            row[n + 1, a] = np.sqrt(rf[a])
            row[n] = -np.sqrt(rf[a]) * A[a]
            rows.append(row.reshape(-1))
            right.append(0.0)
    exact, *_ = np.linalg.lstsq(np.array(rows), np.array(right))
    newton = Newton(max_iter=1).at(newton_kernels(case), problem)
    found = newton.minimise(rng.normal(size=(N + 1, 2)), np.zeros(0), rf)
    assert found.iterations == 1
    np.testing.assert_allclose(found.path.reshape(-1), exact, rtol=0, atol=1e-9)


def test_a_parameter_at_its_bound_lets_the_others_move():
    case = lorenz63("trapezoid")
    kernels = newton_kernels(case)
    problem = twin(case, [10.0, 28.0, 8.0 / 3.0], steps=40, dt=0.02)
    bounds = np.array([[0.0, 6.0], [0.0, 50.0], [0.0, 5.0]])
    problem = dataclasses.replace(problem, parameter_bounds=bounds)
    X, rf = np.tile([1.0, 1.0, 20.0], (41, 1)), np.full(3, 1e3)
    found = Newton().at(kernels, problem).minimise(X, np.array([3.0, 20.0, 2.0]), rf)
    assert found.status == "converged" and found.theta[0] in (0.0, 6.0)
    assert abs(polished(kernels, problem, found, rf)) < 1e-8
    assert np.abs(projected_gradient(kernels, problem, found, rf)).max() < 1e-4


def test_a_start_outside_the_bounds_is_brought_inside():
    case = lorenz63("trapezoid")
    problem = boxed(twin(case, [10.0, 28.0, 2.7], steps=5, dt=0.02), (-2.0, 2.0), (1.0, 3.0))
    newton = Newton().at(newton_kernels(case), problem)
    far = newton.minimise(np.full((6, 3), 50.0), np.full(3, -9.0), np.ones(3))
    near = newton.minimise(np.full((6, 3), 2.0), np.full(3, 1.0), np.ones(3))
    assert np.array_equal(far.path, near.path) and np.array_equal(far.theta, near.theta)


def test_data_without_an_error_are_fitted_to_rounding():
    """The least action is 0, so no share of it can be a tolerance."""
    x = sd.state("x", start=(-1.0, 1.0))
    case = make_case(sd.Model({x: -(x**3)}, name="cubic"), [x], "euler")
    truth = [1.0]
    for _ in range(8):
        truth.append(truth[-1] - 0.1 * truth[-1] ** 3)
    problem = case.problem((0.1 * np.arange(9.0)).tolist(), np.array(truth)[:, None])
    found = (
        Newton().at(newton_kernels(case), problem).minimise(np.zeros((9, 1)), np.zeros(0), [10.0])
    )
    assert found.status == "converged"
    np.testing.assert_allclose(found.path[:, 0], truth, rtol=1e-12)


def test_a_saddle_is_not_called_a_minimum():
    """A double well started on its ridge, where symmetry makes the gradient vanish."""
    x = sd.state("x", start=(-1.0, 1.0))
    case = make_case(sd.Model({x: x - x}, name="still"), [x**2], "euler")
    problem = case.problem([0.0, 1.0], np.ones((2, 1)))
    newton = Newton().at(newton_kernels(case), problem)
    ridge = newton.minimise(np.zeros((2, 1)), np.zeros(0), [1.0])
    assert ridge.status == "stopped" and ridge.action == 1.0
    beside = newton.minimise(np.full((2, 1), 1e-3), np.zeros(0), [1.0])
    assert beside.status == "converged"
    np.testing.assert_allclose(beside.path, 1.0, rtol=1e-8)
