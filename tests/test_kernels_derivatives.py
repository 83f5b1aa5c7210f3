"""Taylor slopes: the gradient's remainder falls with the square, the Hessian's with the cube."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from models import (
    COMPILED,
    ODE_SCHEMES,
    OWN_SCHEMES,
    Shape,
    compiled_case,
    make_case,
    polynomial,
    random_point,
    random_problem,
)

import symda as sd
from symda.discretise import MAP

EPSILONS = np.logspace(-1.0, -4.0, 13)
DIRECTIONS = 6
#: Remainders below this fraction of the action are rounding.
ROUNDING = 3e-13


def remainders(at, X, theta, rf, rng):
    """Root mean squares, over random directions, of the first and second order remainders."""
    unknowns = np.concatenate([X.reshape(-1), theta])
    action = at.action(X, theta, rf)
    gradient, hessian = at.gradient(X, theta, rf), at.hessian(X, theta, rf)
    first = np.zeros((DIRECTIONS, EPSILONS.size))
    second = np.zeros_like(first)
    for d in range(DIRECTIONS):
        direction = rng.normal(size=unknowns.size)
        direction /= np.linalg.norm(direction)
        slope, bend = gradient @ direction, direction @ (hessian @ direction)
        for e, epsilon in enumerate(EPSILONS):
            moved = unknowns + epsilon * direction
            there = at.action(moved[: X.size].reshape(X.shape), moved[X.size :], rf)
            first[d, e] = there - action - epsilon * slope
            second[d, e] = first[d, e] - 0.5 * epsilon**2 * bend
    return (np.sqrt(np.mean(part**2, axis=0)) / abs(action) for part in (first, second))


def slope_of(remainder):
    """Slope over the last decade and a half of epsilon before rounding."""
    usable = np.flatnonzero(remainder > ROUNDING)[-7:]
    assert usable.size == 7
    return np.polyfit(np.log(EPSILONS[usable]), np.log(remainder[usable]), 1)[0]


def check_slopes(kernels, problem, point, rng):
    first, second = remainders(kernels.at(problem), *point, rng)
    assert abs(slope_of(first) - 2.0) < 0.1
    if second.max() < ROUNDING:
        # exactly quadratic: nothing is left at any distance
        return
    assert abs(slope_of(second) - 3.0) < 0.1


@pytest.mark.parametrize("index", range(len(COMPILED)), ids=lambda i: f"{COMPILED[i][1].name}{i}")
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), N=st.sampled_from([1, 4]))
def test_slopes_of_compiled_kernels(index, seed, N):
    case = compiled_case(index)
    rng = np.random.default_rng(seed)
    problem = random_problem(case, rng, N=N)
    check_slopes(case.compiled, problem, random_point(problem, rng), rng)


@settings(max_examples=25)
@given(
    scheme=st.sampled_from([*ODE_SCHEMES, *OWN_SCHEMES, MAP]),
    D=st.integers(1, 4),
    P=st.integers(0, 3),
    L=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_slopes_of_the_virtual_machine(scheme, D, P, L, seed):
    shape = Shape(D, P, 1, min(L, D), timed=True, discrete=scheme.discrete, seed=seed)
    case = make_case(*polynomial(shape), scheme)
    rng = np.random.default_rng(seed)
    problem = random_problem(case, rng, N=2)
    check_slopes(case.virtual, problem, random_point(problem, rng), rng)


def test_slopes_of_a_model_with_cases_and_exponentials():
    x, y = sd.states("x y", start=(-1.0, 1.0))
    a = sd.parameter("a", start=(-1.0, 1.0))
    # the cases meet with three equal derivatives, so that the slopes hold across the border
    bump = sp.Piecewise((x**4 / 4, x < 0), (sp.exp(-x) * x**4 / 4, True))
    model = sd.Model({x: y - bump + a, y: sp.tanh(a * x - y)}, name="cases")
    case = make_case(model, [sp.exp(y / 2)], "rk4")
    rng = np.random.default_rng(2)
    problem = random_problem(case, rng, N=3)
    check_slopes(case.virtual, problem, random_point(problem, rng), rng)


def test_a_wrong_hessian_would_be_seen():
    """The test's own test: another function's second derivative gives slope 2."""
    case = compiled_case(3)
    rng = np.random.default_rng(0)
    problem = random_problem(case, rng, N=2)
    X, theta, rf = random_point(problem, rng)
    at = case.virtual.at(problem)

    class Bent:
        action, gradient = staticmethod(at.action), staticmethod(at.gradient)

        @staticmethod
        def hessian(X, theta, rf):
            return at.hessian(X, theta, rf * (1.0 + 1e-3))

    _, second = remainders(Bent, X, theta, rf, rng)
    assert slope_of(second) < 2.5
