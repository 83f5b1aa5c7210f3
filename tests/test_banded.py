"""The banded Newton solver, with and without a compiler, ends where IPOPT and the lanes do."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
import sympy as sp
from models import (
    COMPILED,
    compiled_case,
    dense_steps,
    make_case,
    random_point,
    random_problem,
    relative,
)
from newton_tools import newton_kernels, polished, projected_gradient

import symda as sd
from symda.build import build
from symda.build.kernels import compiled_kernels
from symda.errors import OptionError
from symda.observe import Problem
from symda.solve import SOLVERS, Ipopt, Newton
from symda.solve.banded import BandedNewton
from symda.solve.bordered import Bordered
from symda.solve.derivatives import Derivatives
from symda.solve.lanes import NewtonLanes
from symda.solve.options import NewtonOptions

CASES = pytest.mark.parametrize(
    "index", range(len(COMPILED)), ids=lambda i: f"{COMPILED[i][1].name}{i}"
)
MACHINES = pytest.mark.parametrize("machine", ["compiled", "virtual"])


def boxed(problem: Problem, states=(-0.4, 0.5), parameters=(-0.3, 0.6)) -> Problem:
    """The same problem with bounds narrow enough to be active."""
    return dataclasses.replace(
        problem,
        state_bounds=np.tile(states, (problem.D, 1)),
        parameter_bounds=np.tile(parameters, (problem.P, 1)).reshape(problem.P, 2),
    )


def agree(kernels, problem, seed, **options):
    """The banded solver and IPOPT cannot improve on each other's end points."""
    X, theta, rf = random_point(problem, np.random.default_rng(seed))
    banded = BandedNewton(kernels, problem, NewtonOptions(**options))
    found = banded.minimise(X, theta, rf)
    assert found.status == "converged", found.message
    assert abs(polished(kernels, problem, found, rf)) < 1e-8
    other = Ipopt().with_options(tol=1e-10).at(kernels, problem).minimise(X, theta, rf)
    again = banded.minimise(other.path, other.theta, rf)
    assert again.action == pytest.approx(other.action, rel=1e-8)
    return found, rf


@CASES
@MACHINES
@pytest.mark.parametrize("N", [1, 9])
def test_with_active_bounds_it_ends_where_ipopt_does(index, N, machine):
    case = compiled_case(index)
    kernels = getattr(case, machine)
    rng = np.random.default_rng([index, N])
    problem = boxed(random_problem(case, rng, N=N, uniform=False, observed="all"))
    found, rf = agree(kernels, problem, index)
    assert (np.abs(found.path + 0.4) < 1e-15).any() or (np.abs(found.path - 0.5) < 1e-15).any()
    assert found.path.min() >= -0.4 and found.path.max() <= 0.5
    left = np.abs(projected_gradient(kernels, problem, found, rf)).max()
    assert left < 1e-5 * np.abs(kernels.at(problem).gradient(found.path, found.theta, rf)).max()


@CASES
def test_it_ends_where_the_lanes_do(index):
    case = compiled_case(index)
    kernels = newton_kernels(case)
    problem = random_problem(case, np.random.default_rng(index), N=8, observed="gaps")
    problem = boxed(problem, (-6.0, 6.0), (-3.0, 3.0))
    X, theta, _ = random_point(problem, np.random.default_rng(index))
    rf = np.full(problem.D, 3.0)
    banded = BandedNewton(kernels, problem, NewtonOptions())
    found, lanes = (s.minimise(X, theta, rf) for s in (banded, Newton().at(kernels, problem)))
    assert found.status == lanes.status == "converged"
    assert banded.minimise(lanes.path, lanes.theta, rf).action == pytest.approx(
        lanes.action, rel=1e-8
    )
    assert found.action == pytest.approx(lanes.action, rel=1e-6)


@CASES
def test_gauss_newton_stays_at_the_minimum(index):
    case = compiled_case(index)
    problem = random_problem(case, np.random.default_rng(index), N=8, observed="gaps")
    problem = boxed(problem, (-6.0, 6.0), (-3.0, 3.0))
    X, theta, _ = random_point(problem, np.random.default_rng(index))
    rf = np.full(problem.D, 3.0)
    found = BandedNewton(case.virtual, problem, NewtonOptions()).minimise(X, theta, rf)
    least = BandedNewton(case.virtual, problem, NewtonOptions(hessian="gauss-newton"))
    again = least.minimise(found.path, found.theta, rf)
    assert again.action == pytest.approx(found.action, rel=1e-8)


@CASES
@MACHINES
def test_derivatives_are_those_of_the_kernels(index, machine):
    """Gauss-Newton: J' R J of the residuals' Jacobians, plus rm h' h' at data that fit."""
    case = compiled_case(index)
    kernels = getattr(case, machine)
    problem = random_problem(case, np.random.default_rng(index), N=4)
    X, theta, rf = random_point(problem, np.random.default_rng(index))
    at = kernels.at(problem)
    x = np.concatenate([X.reshape(-1), theta])
    fits = dataclasses.replace(problem, y=kernels.measure(X, theta))
    idle = np.zeros(problem.D)
    expected = kernels.at(fits).hessian(X, theta, idle).toarray()
    jacobian = dense_steps(at, "step_jacobian", X, theta, at.packed.steps)
    for n, J in enumerate(jacobian):
        own = at.layout.step_unknowns[n]
        weights = problem.weight[n] * np.tile(rf, 1 + problem.interior)
        expected[np.ix_(own, own)] += J.T @ (weights[:, None] * J)
    for exact, wanted in [(False, expected), (True, at.hessian(X, theta, rf).toarray())]:
        point = Derivatives(at, exact=exact).at(x, rf)
        upper = at.layout.upper
        columns = np.repeat(np.arange(len(x)), np.diff(upper.starts))
        got = np.zeros((len(x), len(x)))
        got[upper.rows, columns] = got[columns, upper.rows] = point.hessian
        assert relative(got, wanted) < 1e-13
        assert relative(point.gradient, at.gradient(X, theta, rf)) < 1e-14
        floor = np.concatenate([np.zeros(X.size), 1e-8 / problem.typical**2])
        assert relative(point.scale, np.diag(expected) + floor) < 1e-13


@pytest.mark.parametrize(("n", "P", "width"), [(1, 0, 0), (1, 2, 0), (9, 0, 3), (12, 3, 4)])
def test_bordered_systems_are_solved_with_unknowns_held(n, P, width):
    rng = np.random.default_rng(n)
    full = np.zeros((n + P, n + P))
    for i in range(n + P):
        for j in range(i, n + P):
            if j >= n or j - i <= width:
                full[i, j] = full[j, i] = rng.normal()
    rows, columns = np.triu_indices(n + P)
    kept = (columns >= n) | (columns - rows <= width)
    rows, columns = rows[kept], columns[kept]
    pattern, values = Bordered(rows, columns, n, P, np.arange(P)[None], [n]), full[rows, columns]
    shift, right = rng.uniform(5.0, 9.0, n + P), rng.normal(size=n + P)
    held = rng.random(n + P) < 0.3
    free = ~held
    expected = np.zeros(n + P)
    system = (full + np.diag(shift))[np.ix_(free, free)]
    assert np.linalg.eigvalsh(system)[0] > 0
    expected[free] = np.linalg.solve(system, right[free])
    least = np.full(n + P, 1e-12)
    got = pattern.solve(values, shift, right, held, least)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)
    eigenvalue = np.linalg.eigvalsh(full)[0]
    assert (
        pattern.solve(
            values, np.full(n + P, -eigenvalue - 1e-3), right, np.zeros(n + P, dtype=bool), least
        )
        is None
    )
    assert pattern.solve(values, shift, right, held, np.full(n + P, 1e9)) is None or held.all()


def test_without_a_compiler_a_run_is_that_of_the_lanes(monkeypatch):
    x = sd.states("x", 5, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    ring = {x[a]: x[a - 1] * (x[(a + 1) % 5] - x[a - 2]) - x[a] + nu for a in range(5)}
    model = sd.Model(ring, name="ring of five")
    settings = {"paths": 3, "ladder": sd.Ladder(0.1, 8.0, 5), "solver": "newton"}
    made = {}
    for compiler in ("", "none"):
        action = sd.Action(model, [x[0], x[2], x[4]])
        with contextlib.ExitStack() as stack:
            if compiler:
                monkeypatch.setenv("SYMDA_CC", compiler)
                stack.enter_context(pytest.warns(UserWarning, match="virtual machine"))
            _, data = sd.twin(
                action, parameters={"nu": 8.0}, dt=0.05, steps=12, variance=0.1, seed=0
            )
            made[compiler] = sd.anneal(action, data, progress=False, **settings).dataset
    np.testing.assert_allclose(made["none"]["action"], made[""]["action"], rtol=1e-6)
    assert (made["none"]["status"] == 1).all()


def test_large_blocks_go_to_lapack(monkeypatch):
    """No lanes module is built that would not be used."""
    case = compiled_case(2)
    problem = random_problem(case, np.random.default_rng(0), N=3)
    assert isinstance(SOLVERS["newton"].at(newton_kernels(case), problem), NewtonLanes)
    monkeypatch.setattr("symda.build.lane_flags.LARGEST_BLOCK", problem.E - 1)

    def refuse(*_):
        raise AssertionError("built for nothing")

    kernels = compiled_kernels(build(case.source), refuse)
    assert kernels.payload(problem, frozenset({"lanes"})).newton == ""
    few = SOLVERS["newton"].with_options(max_iter=3)
    assert isinstance(few.at(kernels, problem), BandedNewton)
    with pytest.raises(OptionError, match=r"newton has no option 'max_itr'"):
        SOLVERS["newton"].with_options(max_itr=3).at(kernels, problem)


def test_a_saddle_is_not_called_a_minimum():
    x = sd.state("x", start=(-1.0, 1.0))
    case = make_case(sd.Model({x: x - x}, name="still"), [x**2], "euler")
    newton = BandedNewton(case.virtual, case.problem([0.0, 1.0], np.ones((2, 1))), NewtonOptions())
    ridge = newton.minimise(np.zeros((2, 1)), np.zeros(0), [1.0])
    assert ridge.status == "stopped" and ridge.action == 1.0
    beside = newton.minimise(np.full((2, 1), 1e-3), np.zeros(0), [1.0])
    assert beside.status == "converged"
    np.testing.assert_allclose(beside.path, 1.0, rtol=1e-8)


def test_a_start_that_is_not_finite_fails_and_a_parameter_nothing_feels_stays():
    x = sd.state("x", start=(-1.0, 1.0))
    p, q = sd.parameters("p q", start=(-1.0, 1.0))
    case = make_case(sd.Model({x: p * x + sp.floor(q)}, name="stairs"), [x], "euler")
    problem = random_problem(case, np.random.default_rng(0), N=3)
    newton = BandedNewton(case.virtual, problem, NewtonOptions())
    found = newton.minimise(np.zeros((4, 1)), np.array([0.3, 1.5]), np.full(1, 4.0))
    assert found.status == "converged" and found.theta[1] == 1.5
    far = newton.minimise(np.full((4, 1), 1e200), np.array([0.3, 1.5]), np.full(1, 4.0))
    assert far.status == "failed" and far.iterations == 1
