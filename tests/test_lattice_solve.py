"""Truncated Newton on lattices finds the minima that solvers with matrices find."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from lattices import random_lattice, random_problem, virtual
from models import Case, make_case
from newton_tools import polished
from test_lattice_model import lorenz96

import symda as sd
from symda.build import build
from symda.build.abstract import Kernels
from symda.build.kernels import compiled_kernels
from symda.errors import OptionError
from symda.observe import Problem
from symda.solve import SOLVERS, Lbfgs, Minimum
from symda.solve.banded import BandedNewton
from symda.solve.lines import Lines, ResidualRows
from symda.solve.options import NewtonOptions
from symda.solve.truncated import TruncatedNewton


def start_of(problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    low, high = problem.state_start.T
    path = rng.uniform(low, high, (problem.M, problem.D))
    free = rng.uniform(*problem.parameter_start.T) if problem.P else np.empty(0)
    return path, np.where(problem.free, free, problem.fixed)


def dense_of(case: Case) -> Kernels:
    return compiled_kernels(build(case.source))


def gradient_left(kernels: Kernels, problem: Problem, found: Minimum, rf: np.ndarray) -> float:
    """Newton's predicted decrease from where it ended, as a share of the action."""
    from scipy.sparse.linalg import spsolve

    unknown = np.ones(problem.M * problem.D + problem.P, dtype=bool)
    unknown[problem.M * problem.D :] = problem.free
    g = kernels.at(problem).gradient(found.path, found.theta, rf)[unknown]
    H = kernels.at(problem).hessian(found.path, found.theta, rf)[unknown][:, unknown]
    return float(0.5 * g @ spsolve(H.tocsc(), g)) / abs(found.action)


@pytest.mark.parametrize(
    ("scheme", "rf"),
    [
        *product(["rk4", "euler", "trapezoid", "midpoint", "hermite-simpson"], [0.1, 30.0]),
        # at Rf = 0.1 the minimum lies at states of 2,400, where conjugate gradients take minutes
        ("gauss4", 30.0),
    ],
)
def test_it_ends_in_a_minimum_that_nothing_polishes(scheme: str, rf: float) -> None:
    model = lorenz96(9)
    case = make_case(model, model.states[::2], scheme)
    rng = np.random.default_rng(3)
    values = rng.normal(2.0, 3.0, size=(9, 5))
    values[2:4, 1] = np.nan
    p = case.problem((0.05 * np.arange(9)).tolist(), values, 0.5)
    found = TruncatedNewton(virtual(case), p, NewtonOptions()).minimise(
        *start_of(p, 1), np.full(p.D, rf)
    )
    assert found.status == "converged"
    assert found.action == pytest.approx(found.measurement_term + found.model_term)
    dense = dense_of(case)
    assert 0.0 <= gradient_left(dense, p, found, np.full(p.D, rf)) < 1e-8
    assert abs(polished(dense, p, found, np.full(p.D, rf))) < 1e-8


@pytest.mark.parametrize("seed", range(4))
def test_random_lattices_polished_by_ipopt(seed: int) -> None:
    shape, fields = [((6,), 2), ((3, 4), 1), ((1,), 1), ((2, 2, 2), 1)][seed]
    boundaries = ["periodic", "zero", "reflect"]
    discrete = seed == 1
    model = random_lattice(seed, shape, boundaries, fields=fields, discrete=discrete, reach=2)
    first, *others = model.states
    measured = [first + 0.1 * first**3, *others]
    case = make_case(model, measured, None if discrete else ["rk4", "", "trapezoid", "rk4"][seed])
    p = random_problem(case, np.random.default_rng(seed), steps=[4, 5, 6, 3][seed])
    rf = np.random.default_rng(seed).uniform(0.5, 2.0, p.D)
    found = TruncatedNewton(virtual(case), p, NewtonOptions()).minimise(*start_of(p, seed), rf)
    assert found.status == "converged"
    assert abs(polished(case.virtual, p, found, rf)) < 1e-8
    assert found.momenta.shape == (p.N, p.E)


def test_bounds_hold_and_the_minimum_is_that_of_other_solvers() -> None:
    i = sd.site("i", 6)
    x = sd.states("x", i, bounds=(-1.0, 2.5), start=(-1.0, 2.5))
    nu = sd.parameter("nu", bounds=(0.0, 4.0))
    model = sd.Model({x[i]: x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + nu}, name="boxed")
    case = make_case(model, x[::2], "rk4")
    values = np.random.default_rng(0).normal(2.0, 2.0, size=(7, 3))
    p = case.problem((0.1 * np.arange(7)).tolist(), values, 0.5)
    rf = np.full(p.D, 5.0)
    kernels = virtual(case)
    found = TruncatedNewton(kernels, p, NewtonOptions()).minimise(*start_of(p, 2), rf)
    assert found.status == "converged"
    assert found.path.min() >= -1.0 and found.path.max() <= 2.5
    assert ((found.path == 2.5) | (found.path == -1.0)).sum() > 3
    again = BandedNewton(case.virtual, p, NewtonOptions()).minimise(found.path, found.theta, rf)
    other = Lbfgs().at(kernels, p).minimise(found.path, found.theta, rf)
    assert again.action == pytest.approx(found.action, rel=1e-8)
    assert other.action == pytest.approx(found.action, rel=1e-8)


def test_fixed_parameters_stay_and_gauss_newton_ends_in_the_same_minimum() -> None:
    model = lorenz96(7)
    case = make_case(model, model.states, "rk4")
    values = np.random.default_rng(0).normal(2.0, 1.0, size=(5, 7))
    p = case.problem((0.05 * np.arange(5)).tolist(), values, 0.5, fixed={"nu": 7.5})
    start, rf = start_of(p, 0), np.full(p.D, 1.0)
    exact, gauss = (
        TruncatedNewton(virtual(case), p, NewtonOptions(hessian=kind)).minimise(*start, rf)
        for kind in ("exact", "gauss-newton")
    )
    assert exact.theta == gauss.theta == [7.5]
    assert exact.action == pytest.approx(gauss.action, rel=1e-7)


def test_what_is_not_finite_fails_and_limits_stop() -> None:
    i = sd.site("i", 4)
    x = sd.states("x", i, start=(1.0, 2.0))
    model = sd.Model({x[i]: x[i + 1] ** 400 - x[i]}, name="steep")
    case = make_case(model, x[:2], "euler")
    p = case.problem([0.0, 1.0], np.ones((2, 2)))
    solver = TruncatedNewton(virtual(case), p, NewtonOptions())
    found = solver.minimise(np.full((2, 4), 9.0), np.empty(0), np.ones(4))
    assert found.status == "failed"
    smooth = make_case(lorenz96(5), lorenz96(5).states[:2], "rk4")
    q = smooth.problem([0.0, 0.1, 0.2], np.ones((3, 2)))
    short = TruncatedNewton(virtual(smooth), q, NewtonOptions(max_iter=1))
    assert short.minimise(*start_of(q, 0), np.full(5, 10.0)).status == "stopped"
    with pytest.raises(sd.OptionError, match="max_iter"):
        SOLVERS["newton"].with_options(maxiter=1)


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson", "gauss4", "map"])
def test_lines_solve_the_hessian_of_a_model_that_stands_still(scheme: str) -> None:
    """Without a field the preconditioner is the Hessian itself."""
    i = sd.site("i", 3)
    x = sd.states("x", i, start=(-1.0, 1.0))
    model = sd.Model({x[i]: 0 * x[i] + 2}, name="still", discrete=scheme == "map")
    case = make_case(model, [x[0], x[2]], None if scheme == "map" else scheme)
    values = np.random.default_rng(0).normal(size=(5, 2))
    values[1, 0] = np.nan
    times = np.arange(5.0) if scheme == "map" else np.array([0.0, 0.1, 0.3, 0.4, 0.7])
    p = case.problem(times.tolist(), values, 0.5)
    rf = np.array([1.0, 2.0, 5.0])
    hessian = case.virtual.at(p).hessian(np.zeros((p.M, 3)), np.empty(0), rf).toarray()
    soft = np.full((p.M, 3), 0.1)
    own = soft.copy()
    own[:, [0, 2]] += p.rm
    lines = Lines(
        ResidualRows.of(p, discrete=scheme == "map").band(p.M),
        rf,
        own,
        np.zeros((p.M, 3), dtype=bool),
    )
    right = np.random.default_rng(1).normal(size=(p.M, 3))
    expected = np.linalg.solve(hessian + 0.1 * np.eye(len(hessian)), right.reshape(-1))
    np.testing.assert_allclose(lines.solve(right).reshape(-1), expected, rtol=1e-9)


def test_the_levels_of_a_run_do_not_depend_on_the_form_of_the_model() -> None:
    model = lorenz96(6)
    ladder = sd.Ladder(rf0=1.0, alpha=4.0, rungs=4)
    levels = []
    for matrix_free in (False, True):
        action = sd.Action(model, model.states[::2], scheme="rk4", matrix_free=matrix_free)
        _, data = sd.twin(
            action, parameters={"nu": 8.0}, dt=0.05, steps=8, variance=0.2, seed=1, discard=3.0
        )
        run = sd.anneal(action, data, ladder=ladder, paths=3, solver="newton", workers=2)
        levels.append(run.levels.values)
        assert (run.dataset["last_beta"].values == 3).all()
    np.testing.assert_allclose(levels[0], levels[1], rtol=1e-8)


def test_draws_of_a_lattice_need_matrices_and_it_says_so(uncompiled) -> None:
    model = lorenz96(5)
    ladder = sd.Ladder(rf0=10.0, alpha=4.0, rungs=2)
    for matrix_free in (True, False):
        action = sd.Action(model, model.states[::2], scheme="rk4", matrix_free=matrix_free)
        _, data = sd.twin(
            action, parameters={"nu": 8.0}, dt=0.05, steps=4, variance=0.2, seed=1, discard=3.0
        )
        run = sd.anneal(action, data, ladder=ladder, paths=1, solver="newton", executor="serial")
        if matrix_free:
            with pytest.raises(
                sd.OptionError,
                match=r"sample: .*matrix-free \(5 states\).*determinants.*matrix_free=False.*5 x 5",
            ):
                run.sample()
            with pytest.raises(sd.OptionError, match="sample: draws must be"):
                run.sample(3)
        else:
            assert run.sample(50, method="rto").states.shape == (50, 5, 5)


def test_newton_is_truncated_on_lattices_and_ipopt_says_what_to_use() -> None:
    model = lorenz96(5)
    case = make_case(model, model.states[:2], "rk4")
    p = case.problem([0.0, 0.1, 0.2], np.ones((3, 2)))
    assert isinstance(SOLVERS["newton"].at(virtual(case), p), TruncatedNewton)
    with pytest.raises(sd.OptionError, match=r"matrix-free.*'newton'.*'lbfgs'"):
        SOLVERS["ipopt"].at(virtual(case), p)


@pytest.mark.smoke
def test_a_lattice_of_ten_thousand_states_is_simulated_checked_and_solved() -> None:
    model = lorenz96(10_000)
    action = sd.Action(model, model.states[::2], scheme="rk4")
    truth, data = sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=2, variance=0.2, seed=0, discard=0.1
    )
    # equations of a lattice of equal sites from equal states stay equal: an exact solution
    level = sd.simulate(model, [0.0, 1.0], np.zeros(10_000), parameters={"nu": 8.0})
    np.testing.assert_allclose(level.states.values[-1], 8.0 * (1 - np.exp(-1.0)), rtol=1e-8)
    check = action.check(data)
    assert check.hessian_nonzeros == 0 and "no Hessian is formed" in str(check)
    assert check.unseen == () and check.unconstrained == ()
    kernels = action.compile().machine
    p = action.bind(data)
    found = TruncatedNewton(kernels, p, NewtonOptions()).minimise(
        truth.states.values, np.array([8.0]), np.full(p.D, 10.0)
    )
    assert found.status == "converged"
    assert found.action < kernels.at(p).action(truth.states.values, [8.0], 10.0)
    with pytest.raises(sd.OptionError, match="hessian_product"):
        action.compile().hessian(truth.states.values, [8.0], 10.0, data)


def test_check_sees_what_no_measurement_reaches() -> None:
    i = sd.site("i", 5, boundary="zero")
    u, v = sd.states("u", i, start=(-1.0, 1.0)), sd.states("v", i, start=(-1.0, 1.0))
    k, q = sd.parameters("k q", start=(0.5, 1.5))
    model = sd.Model({u[i]: k * u[i - 1] - u[i], v[i]: u[i] - q * v[i]}, name="oneway")
    for matrix_free in (False, True):
        action = sd.Action(model, [u[2]], matrix_free=matrix_free)
        data = sd.Observations([0.0, 0.1, 0.2], np.ones((3, 1)), variance=0.1)
        check = action.check(data)
        assert check.unseen == ("u3", "u4", *(f"v{n}" for n in range(5)))
        assert check.unconstrained == ("q",)


def test_nudged_starts_and_windows_go_forward_with_loops() -> None:
    model = lorenz96(6)
    action = sd.Action(model, model.states[::2], scheme="rk4", matrix_free=True)
    _, data = sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=10, variance=0.2, seed=1, discard=3.0
    )
    run = sd.anneal(
        action, data, ladder=sd.Ladder(rf0=1.0, alpha=8.0, rungs=3), paths=2, solver="newton",
        start="nudged", executor="serial",
    )  # fmt: skip
    assert np.isfinite(run.levels.values).all()


@pytest.mark.parametrize("start", ["nudged", sd.Nudged()])
def test_implicit_steps_cannot_be_solved_forward_and_it_says_so_at_once(start) -> None:
    model = lorenz96(6)
    action = sd.Action(model, model.states[::2], scheme="trapezoid", matrix_free=True)
    data = sd.Observations([0.0, 0.1], [[1.0, 2.0, 3.0], [1.5, 2.0, 2.0]], variance=0.2)
    with pytest.raises(OptionError, match="of an implicit scheme, nudged starts"):
        sd.anneal(action, data, paths=2, solver="newton", start=start)


@pytest.mark.parametrize("kind", [sd.Window, sd.Population])
def test_windows_that_cannot_grow_forward_are_one_error_before_the_climb(kind) -> None:
    i = sd.site("i", 5)
    u = sd.states("u", i, start=(-1.0, 1.0))
    model = sd.Model({u[i]: u[i - 1] - u[i]}, name="advection")
    values = np.random.default_rng(0).standard_normal((7, 2))
    data = sd.Observations(0.1 * np.arange(7), values, variance=0.1)
    options = {"ladder": sd.Ladder(rungs=2), "paths": 2, "solver": "newton", "executor": "serial"}

    def anneal(samples: int | None, scheme: str) -> sd.Run:
        action = sd.Action(model, [u[0], u[3]], scheme=scheme, matrix_free=True)
        return sd.anneal(action, data, strategy=kind(samples=samples, extend=2), **options)

    with pytest.raises(OptionError, match="of an implicit scheme, nudged starts and windows"):
        anneal(3, "trapezoid")
    # a first window that holds all data never grows, and an explicit scheme goes forward
    for samples, scheme in [(None, "trapezoid"), (7, "trapezoid"), (3, "rk4")]:
        assert np.isfinite(anneal(samples, scheme).levels.values[:, -1]).all()
