"""Compiled code = virtual machine = exact derivatives, on random models, data and grids."""

from __future__ import annotations

import itertools
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import (
    COMPILED,
    ODE_SCHEMES,
    OWN_SCHEMES,
    Shape,
    compiled_case,
    disagreements,
    everything,
    exact_action,
    make_case,
    polynomial,
    random_point,
    random_problem,
    relative,
)

from symda.build.engines import STEP_FUNCTIONS
from symda.discretise import MAP

SEEDS = st.integers(0, 2**32 - 1)
GRIDS = {
    "N": st.sampled_from([1, 2, 5]),
    "uniform": st.booleans(),
    "observed": st.sampled_from(["all", "gaps", "one"]),
    "rate": st.booleans(),
}


def draw(case, seed, N, uniform, observed, rate):
    rng = np.random.default_rng(seed)
    model_error = "rate" if rate and not case.model.discrete else "step"
    problem = random_problem(
        case, rng, N=N, uniform=uniform, observed=observed, model_error=model_error
    )
    return problem, *random_point(problem, rng)


@pytest.mark.parametrize("index", range(len(COMPILED)), ids=lambda i: f"{COMPILED[i][1].name}{i}")
@settings(max_examples=25)
@given(seed=SEEDS, **GRIDS)
def test_compiled_is_the_virtual_machine(index, seed, **grid):
    case = compiled_case(index)
    problem, *point = draw(case, seed, **grid)
    compiled = everything(case.compiled, problem, *point)
    virtual = everything(case.virtual, problem, *point)
    assert disagreements(compiled, virtual) == {}


@pytest.mark.smoke
@settings(max_examples=100)
@given(
    scheme=st.sampled_from([*ODE_SCHEMES, *OWN_SCHEMES, MAP]),
    shape=st.builds(
        Shape,
        D=st.integers(1, 4),
        P=st.integers(0, 3),
        U=st.integers(0, 2),
        L=st.integers(1, 4),
        timed=st.booleans(),
        mixed=st.booleans(),
        seed=st.integers(0, 1000),
    ),
    seed=SEEDS,
    **GRIDS,
)
def test_the_virtual_machine_is_exact(scheme, shape, seed, **grid):
    sizes = replace(shape, L=min(shape.L, shape.D), discrete=scheme.discrete)
    case = make_case(*polynomial(sizes), scheme)
    problem, *point = draw(case, seed, **grid | {"N": min(grid["N"], 2)})
    at = case.virtual.at(problem)
    exact = exact_action(case, problem, *point)
    value, gradient = at.value_and_gradient(*point)
    assert relative(at.action(*point), exact.value) < 1e-12
    assert relative(value, exact.value) < 1e-12
    assert relative(gradient, exact.gradient) < 1e-12
    assert relative(at.hessian(*point).toarray(), exact.hessian) < 1e-12


def test_a_problem_of_each_kind_has_what_it_should():
    """The shapes drawn for the compiler are odd on purpose; none of that may get lost."""
    shapes = [shape for shape, _ in COMPILED]
    assert {shape.D for shape in shapes} == {1, 2, 3, 4}
    assert {shape.P for shape in shapes} == {0, 1, 2, 3}
    assert {shape.U for shape in shapes} == {0, 1, 2}
    assert {scheme for _, scheme in COMPILED} == {*ODE_SCHEMES, *OWN_SCHEMES, MAP}
    for index, (shape, _) in enumerate(COMPILED):
        field = compiled_case(index).field
        assert (field.D, field.P, field.U, field.L) == (shape.D, shape.P, shape.U, shape.L)
        assert (field.model.time is not None) == shape.timed
        mixed = [
            (a, b)
            for a, b in itertools.pairwise(field.model.states)
            if any(equation.diff(a, b) != 0 for equation in field.model.equations)
        ]
        assert len(mixed) == shape.D - 1 or not shape.mixed


@pytest.mark.parametrize("index", [2, 6, 8, 13])
def test_the_hessian_is_symmetric_and_block_tridiagonal(index):
    case = compiled_case(index)
    rng = np.random.default_rng(index)
    problem = random_problem(case, rng, N=4)
    hessian = case.compiled.at(problem).hessian(*random_point(problem, rng)).toarray()
    np.testing.assert_array_equal(hessian, hessian.T)
    E, D, path = problem.E, problem.D, problem.M * problem.D
    for n in range(problem.N - 1):
        step, beyond = slice(n * E, (n + 1) * E), slice((n + 1) * E + D, path)
        assert not hessian[step, beyond].any()
    assert hessian.shape == (path + problem.P, path + problem.P)


@pytest.mark.parametrize("index", [2, 6, 8])
def test_single_steps_are_the_steps_of_the_path(index):
    """What CasADi's externals compute, one step at a time, is what the loops over a path do."""
    case = compiled_case(index)
    rng = np.random.default_rng(index)
    problem = random_problem(case, rng, N=3)
    X, theta, rf = random_point(problem, rng)
    kernels, functions = case.compiled, case.compiled.functions
    at = kernels.at(problem)
    engine, packed = kernels.engine, at.packed
    lam = rng.normal(size=(problem.N, problem.E))
    E, flat = problem.E, X.reshape(-1)
    last = {"step_residual": (), "step_jacobian": (), "step_curvature": (lam,)}
    for name in (name for name in STEP_FUNCTIONS if name.startswith("step")):
        data = last.get(name, (rf,))
        together = getattr(engine, name)(X, theta, packed.steps, *data)
        together = together[-1] if isinstance(together, tuple) else together
        for n in range(problem.N):
            window = flat[n * E : n * E + E + problem.D]
            alone = functions[name].call(
                [window, theta, packed.steps[n], *(d[n] if d is lam else d for d in data)]
            )[-1]
            expected = together.reshape(problem.N, -1)[n]
            np.testing.assert_array_equal(np.asarray(alone.nonzeros()), expected)
    for m in range(problem.M):
        action, gradient = functions["point_gradient"].call([X[m], theta, packed.points[m]])
        together = engine.point_gradient(X, theta, packed.points)
        assert float(action) == together[0][m]
        np.testing.assert_array_equal(gradient.full()[:, 0], together[1][m])


def test_every_function_has_the_virtual_machines_signature():
    for index in (2, 6, 8):
        case = compiled_case(index)
        compiled, virtual = case.compiled.functions, case.virtual.functions
        assert set(compiled) == set(virtual) == set(STEP_FUNCTIONS)
        for name in STEP_FUNCTIONS:
            f, g = compiled[name], virtual[name]
            assert [f.size_in(i) for i in range(f.n_in())] == [
                g.size_in(i) for i in range(g.n_in())
            ], name
            assert [f.size_out(i) for i in range(f.n_out())] == [
                g.size_out(i) for i in range(g.n_out())
            ], name
            # the structure that lowering finds must hold all that CasADi finds
            mine, theirs = f.sparsity_out(f.n_out() - 1), g.sparsity_out(g.n_out() - 1)
            assert theirs.is_subset(mine), name
            if name.endswith("hessian"):
                assert ca.Sparsity.is_subset(mine, ca.Sparsity.upper(mine.size1())), name


def test_data_on_midpoints():
    case = compiled_case(6)
    rng = np.random.default_rng(0)
    times = 0.1 * np.arange(7)
    values = rng.normal(size=(7, 1))
    values[[1, 4]] = np.nan
    forcing = {u.name: (times, rng.normal(size=7)) for u in case.model.forcing}
    problem = case.problem(times, values, forcing=forcing, midpoint_data=True)
    assert (problem.N, problem.M) == (3, 7)
    assert np.flatnonzero(problem.rm[:, 0]).tolist() == [0, 2, 3, 5, 6]
    point = random_point(problem, rng)
    compiled = everything(case.compiled, problem, *point)
    assert disagreements(compiled, everything(case.virtual, problem, *point)) == {}
    exact = exact_action(case, problem, *point)
    assert relative(compiled["action"], exact.value) < 1e-12
    assert relative(compiled["hessian"], exact.hessian) < 1e-12


@pytest.mark.parametrize("index", [2, 8])
def test_a_number_for_rf_is_that_number_for_every_state(index):
    case = compiled_case(index)
    rng = np.random.default_rng(index)
    problem = random_problem(case, rng, N=2)
    X, theta, _ = random_point(problem, rng)
    at = case.compiled.at(problem)
    each = at.action(X, theta, np.full(problem.D, 3.0))
    assert at.action(X, theta, 3.0) == each == case.compiled.at(problem).action(X, theta, 3.0)
    data, model = at.terms(X, theta, 3.0)
    assert at.terms(X, theta, 6.0) == pytest.approx((data, 2 * model), rel=1e-14)
