"""F, DF and D2F in SymPy, against derivatives by hand and against CasADi."""

from __future__ import annotations

import time
from itertools import combinations_with_replacement

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import symda as sd
from symda.declare import measure
from symda.derive.dynamics import derivative, hessian_tensor, jacobian
from symda.derive.field import derive_field


def lorenz96(D: int) -> sd.Model:
    x, nu = sd.states("x", D), sd.parameter("nu")
    return sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)},
        name="lorenz96",
    )


def test_lorenz63_by_hand() -> None:
    x, y, z = sd.states("x y z")
    sigma, rho, beta = sd.parameters("sigma rho beta")
    model = sd.Model({x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z})
    assert model.equations == (sigma * (y - x), x * (rho - z) - y, x * y - beta * z)
    by_hand = sp.Matrix([[-sigma, sigma, 0], [rho - z, -1, -x], [y, x, -beta]])
    assert jacobian(model) == by_hand
    assert model.parameters == (sigma, rho, beta)
    by_parameters = sp.Matrix([[y - x, 0, 0], [0, x, 0], [0, 0, -z]])
    assert jacobian(model, model.parameters).applyfunc(sp.expand) == by_parameters
    assert hessian_tensor(model) == {(1, 0, 2): -1, (2, 0, 1): 1}
    mixed = hessian_tensor(model, (*model.states, *model.parameters))
    assert mixed == {
        (0, 0, 3): -1,
        (0, 1, 3): 1,
        (1, 0, 2): -1,
        (1, 0, 4): 1,
        (2, 0, 1): 1,
        (2, 2, 5): -1,
    }


def test_lorenz96_by_hand() -> None:
    D = 5
    model = lorenz96(D)
    x = model.states
    by_hand = sp.zeros(D, D)
    tensor = {}
    for a in range(D):
        before, after, second = (a - 1) % D, (a + 1) % D, (a - 2) % D
        by_hand[a, a] = -1
        by_hand[a, before] = x[after] - x[second]
        by_hand[a, after] = x[before]
        by_hand[a, second] = -x[before]
        tensor[a, min(before, after), max(before, after)] = 1
        tensor[a, min(before, second), max(before, second)] = -1
    assert jacobian(model) == by_hand
    assert hessian_tensor(model) == tensor
    assert jacobian(model, model.parameters) == sp.ones(D, 1)


def test_forced_pendulum_by_hand() -> None:
    phi, omega = sd.states("phi omega")
    gamma, g = sd.parameters("gamma g")
    drive, t = sd.forcing("drive"), sd.time()
    model = sd.Model({phi: omega, omega: -gamma * omega - g * sp.sin(phi) + drive * sp.cos(t)})
    assert jacobian(model) == sp.Matrix([[0, 1], [-g * sp.cos(phi), -gamma]])
    assert jacobian(model, [t, drive]) == sp.Matrix([[0, 0], [-drive * sp.sin(t), sp.cos(t)]])
    assert hessian_tensor(model) == {(1, 0, 0): g * sp.sin(phi)}


def test_a_single_constant_equation_has_no_derivative() -> None:
    (x,) = sd.states(["x"])
    model = sd.Model({x: 2})
    assert jacobian(model) == sp.zeros(1, 1)
    assert jacobian(model, model.parameters).shape == (1, 0)
    assert hessian_tensor(model) == {}


def test_forty_states_take_less_than_a_second() -> None:
    model = lorenz96(40)
    start = time.perf_counter()
    first = jacobian(model)
    second = hessian_tensor(model)
    assert time.perf_counter() - start < 1.0
    assert len(sp.ImmutableSparseMatrix(first).todok()) == 160
    assert len(second) == 80


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 3), st.booleans())
def test_random_polynomials_agree_with_casadi(seed: int, D: int, P: int, forced: bool) -> None:
    rng = np.random.default_rng(seed)
    x = sd.states([f"x{a}" for a in range(D)])
    theta = sd.parameters([f"q{i}" for i in range(P)]) if P else ()
    u, t = sd.forcing("u"), sd.time()
    letters = [*x, *theta, *((u, t) if forced else ())]
    monomials = [sp.Mul(*c) for d in (1, 2, 3) for c in combinations_with_replacement(letters, d)]

    def polynomial() -> sp.Expr:
        chosen = rng.choice(len(monomials), size=min(4, len(monomials)), replace=False)
        return sp.Add(*(float(rng.normal()) * monomials[i] for i in chosen)) + float(rng.normal())

    model = sd.Model({state: polynomial() for state in x})
    field = derive_field(model, measure(model, [x[0]]))
    used = [*x, *model.parameters]
    known = [*model.forcing, *([model.time] if model.time is not None else [])]
    values = {symbol: float(rng.normal()) for symbol in (*used, *known)}
    arguments = [
        np.array([values[s] for s in group]) for group in (x, model.forcing, model.parameters)
    ]
    moment = values[model.time] if model.time is not None else 0.0

    expected = np.asarray(field.field_jacobian(*arguments, moment)[1].full())
    ours = np.array(jacobian(model, used).subs(values), dtype=float).reshape(expected.shape)
    assert abs(ours - expected).max() <= 1e-12 * max(1.0, abs(expected).max())

    mu = rng.normal(size=D)
    curvature = np.asarray(field.field_curvature(*arguments, moment, mu).full())
    sum_of_ours = np.zeros_like(curvature)
    for (a, b, c), value in hessian_tensor(model, used).items():
        sum_of_ours[c, b] += mu[a] * float(value.subs(values))
    assert abs(sum_of_ours - curvature).max() <= 1e-12 * max(1.0, abs(curvature).max())


@pytest.mark.parametrize("discrete", [False, True])
def test_a_map_is_differentiated_like_a_field(discrete: bool) -> None:
    x, y = sd.states("x y")
    a = sd.parameter("a")
    model = sd.Model({x: 1 - a * x**2 + y, y: x / 3}, discrete=discrete)
    assert jacobian(model) == sp.Matrix([[-2 * a * x, 1], [sp.Rational(1, 3), 0]])
    assert hessian_tensor(model) == {(0, 0, 0): -2 * a}


STEPPED = (
    "sign(x) * x**2", "floor(x * y) * x + ceiling(y / 3) * y**2", "Mod(x, 2) ** 2", "Mod(7, 3 + y)",
    "Mod(x * floor(x + y), 1 + sign(x) + y) * y", "Heaviside(x - y) * exp(x)",
    "Abs(sign(x) + y) * x",
    "Max(floor(3 * x), y) * x",
)  # fmt: skip


@pytest.mark.parametrize("text", STEPPED)
def test_steps_are_flat_between_their_jumps(text: str) -> None:
    """Against central differences, which see no jump at these places."""
    x, y = sp.symbols("x y", real=True)
    expression = sp.sympify(text, {"x": x, "y": y})
    at = {x: 1.37, y: 0.83}
    for by in (x, y):
        found = derivative(expression, by)
        assert not found.has(sp.DiracDelta, sp.Derivative, sp.Subs)
        high, low = (expression.subs(at | {by: at[by] + e}) for e in (1e-6, -1e-6))
        assert float(found.subs(at)) == pytest.approx(float((high - low) / 2e-6), abs=1e-8)
