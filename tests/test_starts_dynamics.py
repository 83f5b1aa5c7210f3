"""Forward steps from the kernels: zeros of the residual, whatever the scheme; blow-up, bounds."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from models import ODE_SCHEMES, OWN_SCHEMES, make_case

import symda as sd
from symda.anneal.dynamics import BLOWN_UP, Dynamics

SCHEMES = (*ODE_SCHEMES, *OWN_SCHEMES)


def pol(scheme, forced=True):
    """Van der Pol's oscillator with a forcing, on an uneven grid."""
    x, y = sd.states("x y", start=(-2.0, 2.0))
    mu = sd.parameter("mu", start=(0.5, 2.0))
    current, t = sd.forcing("I"), sd.time("t")
    case = make_case(
        sd.Model({x: y, y: mu * (1 - x**2) * y - x + current}, name="pol"), [x], scheme
    )
    times = np.array([0.0, 0.05, 0.12, 0.2, 0.22, 0.3])
    return case, case.problem(times, np.zeros((6, 1)), forcing={"I": sp.sin(3 * t)})


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.name)
def test_a_forecast_has_no_residual(scheme):
    case, problem = pol(scheme)
    dynamics = Dynamics(case.virtual, problem)
    start, theta = np.array([[1.1, -0.4]]), np.array([1.3])
    path = dynamics.forecast(start, theta, problem.N)
    assert path.shape == (problem.M, 2)
    assert np.abs(case.virtual.at(problem).residual(path, theta)).max() < 1e-13
    assert dynamics._explicit == scheme.explicit
    # a path that is there already is extended, not made anew
    half = path[: 3 * (1 + problem.interior) + 1]
    np.testing.assert_array_equal(dynamics.forecast(half, theta, problem.N), path)


def test_several_states_step_as_each_alone():
    for scheme in ("rk4", "trapezoid", "hermite-simpson"):
        case, problem = pol(scheme)
        dynamics = Dynamics(case.compiled, problem)
        states = np.random.default_rng(0).uniform(-2.0, 2.0, (5, 2))
        together = dynamics.step(2, states, np.array([0.7]))
        alone = [dynamics.step(2, state[None], np.array([0.7]))[0] for state in states]
        np.testing.assert_allclose(together, alone, rtol=1e-15, atol=1e-15)


def test_a_map_runs_as_its_formula():
    x, y = sd.states("x y", start=(-1.0, 1.0))
    a = sd.parameter("a", start=(1.0, 1.5))
    case = make_case(sd.Model({x: 1 - a * x**2 + y, y: 0.3 * x}, name="h", discrete=True), [x])
    problem = case.problem(np.arange(8.0), np.zeros((8, 1)))
    path = Dynamics(case.virtual, problem).forecast(np.array([[0.1, 0.2]]), np.array([1.4]), 7)
    u, v = 0.1, 0.2
    for row in path[1:]:
        u, v = 1 - 1.4 * u**2 + v, 0.3 * u
        assert row == pytest.approx([u, v], rel=1e-14)


def test_what_blows_up_comes_back_into_its_range():
    x = sd.states("x", 1, start=(-1.0, 3.0))
    case = make_case(sd.Model({x[0]: x[0] ** 3}, name="cubic"), [x[0]], "euler")
    problem = case.problem(np.arange(40.0), np.zeros((40, 1)))
    path = Dynamics(case.virtual, problem).forecast(np.array([[2.0]]), np.empty(0), 39)
    assert np.isfinite(path).all()
    assert path.max() <= 3.0 + BLOWN_UP * 4.0 and path[1] == 10.0  # outside the range, not far
    assert (path[2:] == 3.0).sum() > 10


def test_bounds_are_kept():
    x = sd.states("x", 1, start=(0.0, 1.0), bounds=(0.0, 1.2))
    case = make_case(sd.Model({x[0]: x[0]}, name="growth"), [x[0]], "rk4")
    problem = case.problem(np.linspace(0.0, 5.0, 11), np.zeros((11, 1)))
    path = Dynamics(case.virtual, problem).forecast(np.array([[0.5]]), np.empty(0), 10)
    assert path[1, 0] == pytest.approx(0.5 * np.exp(0.5), rel=1e-3)
    assert path.max() == 1.2


def test_an_implicit_step_without_a_solution_stays():
    x = sd.states("x", 1, start=(0.0, 1.0))
    # (x1 - x0) / h = 1 + x1^2 and the like have no real solution for long steps
    case = make_case(sd.Model({x[0]: 5 + 5 * x[0] ** 2}, name="no"), [x[0]], "trapezoid")
    problem = case.problem(np.arange(3.0), np.zeros((3, 1)))
    path = Dynamics(case.virtual, problem).forecast(np.array([[0.3]]), np.empty(0), 2)
    assert path.tolist() == [[0.3]] * 3


def test_slopes_are_the_derivatives_of_the_measurement():
    x, y = sd.states("x y", start=(-1.0, 1.0))
    b = sd.parameter("b", start=(1.0, 2.0))
    case = make_case(sd.Model({x: y, y: -x * b}, name="o"), [x, b * x**2 + sp.sin(y)], "rk4")
    problem = case.problem([0.0, 0.1], np.zeros((2, 2)))
    values, slopes = Dynamics(case.virtual, problem).slopes(np.array([0.4, 0.7]), np.array([1.5]))
    assert values == pytest.approx([0.4, 1.5 * 0.16 + np.sin(0.7)], rel=1e-14)
    np.testing.assert_allclose(slopes, [[1.0, 0.0], [2 * 1.5 * 0.4, np.cos(0.7)]], rtol=1e-12)
