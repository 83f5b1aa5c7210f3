"""Loops over sites compute what the model written out site by site computes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from lattices import (
    BOUNDARIES,
    compiled,
    lattice_case,
    random_lattice,
    random_problem,
    virtual,
)
from models import Case, make_case
from test_lattice_model import lorenz96

import symda as sd
from symda.build.abstract import Evaluator
from symda.build.kernels import blocks_of, has_matrices, matrices_of
from symda.discretise import SCHEMES
from symda.emit import emit_lattice
from symda.lower import lower_lattice
from symda.observe import Problem

pytestmark = pytest.mark.smoke
CLOSE = 1e-12


def random_point(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    X, theta = rng.normal(size=(problem.M, problem.D)), rng.uniform(0.5, 1.5, problem.P)
    return X, theta, rng.uniform(1.0, 3.0, problem.D)


def agree(found: Evaluator, dense: Evaluator, rng: np.random.Generator) -> None:
    """Action and derivatives of matrix-free kernels against matrices of the expanded model."""
    p = dense.problem
    X, theta, rf = random_point(p, rng)
    v = rng.normal(size=p.M * p.D + p.P)
    action, gradient = dense.value_and_gradient(X, theta, rf)
    product = dense.hessian(X, theta, rf) @ v
    assert found.action(X, theta, rf) == pytest.approx(action, rel=CLOSE)
    value, own = found.value_and_gradient(X, theta, rf)
    assert value == pytest.approx(action, rel=CLOSE)
    near(own, gradient)
    near(found.hessian_product(X, theta, rf, v), product)
    near(dense.hessian_product(X, theta, rf, v), product)
    near(found.residual(X, theta), dense.residual(X, theta))
    near(found.kernels.measure(X, theta), dense.kernels.measure(X, theta))


def near(found: np.ndarray, exact: np.ndarray) -> None:
    assert found.shape == exact.shape
    np.testing.assert_allclose(found, exact, rtol=0, atol=CLOSE * max(np.abs(exact).max(), 1.0))


# shape, fields, scheme; boundaries by the seed. One site, stencils wider than the lattice, rows
# longer than a tile, three directions.
CASES = [
    ((1,), 1, "rk4"),
    ((7,), 2, "euler"),
    ((67,), 1, "rk4"),
    ((2, 5), 2, "hermite-simpson"),
    ((4, 3), 1, "trapezoid"),
    ((2, 2, 3), 1, "midpoint"),
    ((9,), 1, "hermite-simpson"),
    ((4,), 1, "gauss4"),
    ((3, 66), 1, "map"),
    ((5,), 2, "map"),
]


def case_of(number: int) -> Case:
    shape, fields, scheme = CASES[number]
    boundaries = [BOUNDARIES[(number + n) % 3] for n in range(len(shape))]
    discrete = SCHEMES[scheme].discrete if scheme in SCHEMES else scheme == "map"
    model = random_lattice(number, shape, boundaries, fields=fields, discrete=discrete)
    return lattice_case(model, None if discrete else scheme)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_loops_agree_with_the_expanded_model(number: int) -> None:
    case, rng = case_of(number), np.random.default_rng(number)
    problem = random_problem(case, rng, steps=1 + number % 3)
    agree(compiled(case).at(problem), case.virtual.at(problem), rng)


@pytest.mark.parametrize("seed", range(12))
def test_the_virtual_machine_agrees_with_the_expanded_model(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    shape = tuple(rng.integers(1, 6, 1 + seed % 3).tolist())
    scheme = ["rk4", "trapezoid", "hermite-simpson", "map"][seed % 4]
    boundaries = rng.choice(BOUNDARIES, 3)
    model = random_lattice(
        seed, shape, boundaries, fields=1 + seed % 2, discrete=scheme == "map", reach=4
    )
    case = lattice_case(model, None if scheme == "map" else scheme)
    problem = random_problem(case, rng)
    agree(virtual(case).at(problem), case.virtual.at(problem), rng)


def test_without_curvature_both_machines_give_gauss_newton() -> None:
    case, rng = case_of(3), np.random.default_rng(3)
    p = random_problem(case, rng)
    X, theta, rf = random_point(p, rng)
    v = rng.normal(size=p.M * p.D + p.P)
    dense = case.virtual.at(p)
    step = rng.normal(size=v.size)

    # r'(x) v by differences of the residual of the expanded model, h'(x) v likewise
    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        path, parameters = x[: p.M * p.D].reshape(p.M, p.D), x[p.M * p.D :]
        return dense.residual(path, parameters), dense.kernels.measure(path, parameters)

    x = np.concatenate([X.reshape(-1), theta])
    h = 1e-5

    def along(d: np.ndarray) -> list[np.ndarray]:
        ahead, behind = parts(x + h * d), parts(x - h * d)
        return [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]

    (dr, dh), (er, eh) = along(v), along(step)
    weights = p.weight[:, None] * np.tile(rf, 1 + p.interior)
    expected = float(np.sum(weights * dr * er) + np.sum(p.rm * dh * eh))
    for kernels in (virtual(case), compiled(case)):
        product = kernels.at(p).hessian_product(X, theta, rf, v, exact=False)
        assert step @ product == pytest.approx(expected, rel=1e-7)


def test_taylor_slopes() -> None:
    case, rng = case_of(3), np.random.default_rng(5)
    p = random_problem(case, rng)
    at = compiled(case).at(p)
    X, theta, rf = random_point(p, rng)
    d = rng.normal(size=p.M * p.D + p.P)
    action, gradient = at.value_and_gradient(X, theta, rf)
    bend = d @ at.hessian_product(X, theta, rf, d)
    steps = 0.02 * 0.5 ** np.arange(5)
    errors = []
    for h in steps:
        moved = np.concatenate([X.reshape(-1), theta]) + h * d
        there = at.action(moved[: p.M * p.D].reshape(p.M, p.D), moved[p.M * p.D :], rf)
        linear = action + h * gradient @ d
        errors.append((abs(there - linear), abs(there - linear - 0.5 * h**2 * bend)))
    slopes = np.diff(np.log(np.array(errors)), axis=0)[-1] / np.log(0.5)
    np.testing.assert_allclose(slopes, [2.0, 3.0], atol=0.15)


def test_the_source_knows_the_number_of_sites_through_one_constant() -> None:
    texts = []
    for size in (1_000, 10_000):
        action = sd.Action(lorenz96(size), [lorenz96(size).states[0]], scheme="rk4")
        source = action.emitted
        texts.append(source.text.replace(source.digest[:12], "").splitlines())
    different = [pair for pair in zip(*texts, strict=True) if pair[0] != pair[1]]
    assert [(a.strip(), b.strip()) for a, b in different] == [
        ("SIZE_0 = 1000  # sites along i", "SIZE_0 = 10000  # sites along i")
    ]
    assert len(texts[0]) < 700


def test_the_text_is_the_same_each_time() -> None:
    def text(model: sd.Model) -> str:
        field = sd.Action(model, [model.states[0]], matrix_free=True)
        return emit_lattice(lower_lattice(field.field, field.scheme)).text  # type: ignore[arg-type]

    assert text(lorenz96(9)) == text(lorenz96(9))
    assert not re.search(r"\n{4}", text(lorenz96(9)))


@pytest.mark.parametrize("make", [compiled, virtual])
def test_payloads_restore_equal_kernels(make: object) -> None:
    case, rng = case_of(1), np.random.default_rng(1)
    p = random_problem(case, rng)
    kernels = make(case)  # type: ignore[operator]
    again = kernels.payload(p).restore()
    assert again.kind == kernels.kind
    X, theta, rf = random_point(p, rng)
    v = rng.normal(size=p.M * p.D + p.P)
    for one, other in zip(
        kernels.at(p).value_and_gradient(X, theta, rf),
        again.at(p).value_and_gradient(X, theta, rf),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        kernels.at(p).hessian_product(X, theta, rf, v), again.at(p).hessian_product(X, theta, rf, v)
    )


def test_what_there_is_no_matrix_for_is_refused() -> None:
    case, rng = case_of(1), np.random.default_rng(1)
    p = random_problem(case, rng)
    kernels = virtual(case)
    X, theta, rf = random_point(p, rng)
    with pytest.raises(sd.OptionError, match=r"no Hessian.*hessian_product.*matrix_free=False"):
        matrices_of(kernels.at(p), "Hessian")
    with pytest.raises(sd.OptionError, match=r"no Jacobian.*solver='newton'.*'lbfgs'"):
        blocks_of(kernels, "Jacobian")
    assert not has_matrices(kernels.at(p))
    with pytest.raises(sd.InputError, match="D = "):
        kernels.at(random_problem(case_of(2), rng))
    with pytest.raises(sd.InputError, match=r"\(M D \+ P,\)"):
        kernels.at(p).hessian_product(X, theta, rf, np.ones(3))
    with pytest.raises(sd.InputError, match="measure needs a path"):
        kernels.measure(X[:, :1], theta)


def test_small_lattices_are_written_out_and_large_ones_are_not() -> None:
    small, large = lorenz96(200), lorenz96(201)
    assert not sd.Action(small, [small.states[0]]).matrix_free
    assert sd.Action(large, [large.states[0]]).matrix_free
    model = lorenz96(5)
    dense = make_case(model, [model.states[0]], "rk4")
    assert make_case(model.expand(), [model.states[0]], "rk4").source == dense.source
