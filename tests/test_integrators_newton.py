"""Equations of implicit steps: the root that is meant, and each unknown solved for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import symda as sd


@pytest.fixture(params=[True, False], ids=["compiled", "virtual"])
def both_engines(request: pytest.FixtureRequest) -> None:
    if not request.param:
        request.getfixturevalue("uncompiled")


@pytest.mark.usefixtures("both_engines")
def test_of_several_roots_the_one_near_the_state_is_meant() -> None:
    """Stiff relaxation: from the slope at x_n Newton's method lands on a far root, or nowhere."""
    x, k = sd.state("x"), sd.parameter("k", value=1.0)
    model = sd.Model({x: -k * sp.sin(x)}, name="phase")
    for z in (5.0, 20.0, 100.0):
        step = sd.step_map(model, "gauss4", parameters={"k": z / 0.1})
        states = step.advance([[0.5], [1.0]], 0.1, 1000)
        assert np.all(abs(np.diff(states, axis=1)) < 2.0)
        np.testing.assert_allclose(states[:, -1], 0.0, atol=1e-12)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("method", "stiffest"), [("midpoint", 1e3), ("trapezoid", 20), ("gauss6", 1e3)]
)
def test_stiff_steps_of_other_methods(method: str, stiffest: float) -> None:
    x, k = sd.state("x"), sd.parameter("k", value=1.0)
    model = sd.Model({x: -k * sp.sin(x)}, name="phase")
    for z in (5.0, 10.0, 20.0, stiffest):
        step = sd.step_map(model, method, parameters={"k": z / 0.1})
        assert np.all(abs(step.advance([[0.5], [1.0]], 0.1, 40)) <= 1.0)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("seed", range(6))
def test_stiff_cubics_are_solved_for(seed: int) -> None:
    draw = np.random.default_rng(seed)
    x, J, scale = sd.states("x", 3), draw.normal(size=(3, 3)), 10 ** draw.uniform(-4, 4, 3)
    z = [one / float(size) for one, size in zip(x, scale, strict=True)]
    bend = [float(10 ** draw.uniform(-1, 2)) * z[0] ** 3, 0, 0]
    slopes = [
        float(scale[a]) * (sum(float(J[a, b]) * sp.sin(z[b]) for b in range(3)) - bend[a] - z[a])
        for a in range(3)
    ]
    step = sd.step_map(sd.Model(dict(zip(x, slopes, strict=True)), name="bent"), "trapezoid")
    F, before = sp.lambdify(x, slopes), scale * draw.normal(size=3)
    for _ in range(5):
        after = step.step(before, 0.3)
        defect = after - before - 0.15 * (np.array(F(*before)) + np.array(F(*after)))
        assert np.all(abs(defect) < 1e-12 * scale * (1 + bend[0].subs(x[0], before[0])))
        before = after


@pytest.mark.usefixtures("both_engines")
def test_a_large_state_does_not_hide_the_others() -> None:
    """A pendulum next to an oscillator of any amplitude moves as it does alone."""
    x, y, a, b = sd.states("x y a b")
    model = sd.Model({x: y, y: -sp.sin(x), a: b, b: -a}, name="beside")
    step = sd.step_map(model, "midpoint")
    many = step.advance([[2.0, 0.0, A, 0.0] for A in (0.0, 1.0, 1e6, 1e12)], 0.5, 200)
    np.testing.assert_allclose(many[1:, :, :2], many[[0, 0, 0], :, :2], atol=1e-11)


@pytest.mark.usefixtures("uncompiled")
def test_a_large_velocity_does_not_hide_the_others() -> None:
    q, v = sd.states("q", 3), sd.states("v", 3)
    T = (v[0] ** 2 + v[1] ** 2 + v[2] ** 2) / 2 + sp.cos(q[0]) * v[0] * v[1] / 3
    model = sd.Model.from_lagrangian(T + sp.cos(q[0]) + sp.cos(q[1]), q, v, name="bar")
    step = sd.step_map(model, "variational-trapezoid")
    many = step.advance([[1.0, 0.5, 0.0, 0.2, 0.3, A] for A in (0.0, 1.0, 1e9)], 0.4, 100)
    pair = [0, 1, 3, 4]
    np.testing.assert_allclose(many[1:][:, :, pair], many[[0, 0]][:, :, pair], atol=1e-11)


@pytest.mark.usefixtures("both_engines")
def test_slopes_that_are_rounding_are_solved_for() -> None:
    """At rest the slopes are differences of large numbers."""
    x, y = sd.states("x y")
    model = sd.Model({x: 1e3 - 7 * x, y: sp.cos(x / 9) * 30 - 3 * y + x}, name="rest")
    rest = [1e3 / 7, (math.cos(1e3 / 63) * 30 + 1e3 / 7) / 3]
    states = sd.step_map(model, "gauss4").advance([10.0, 1.0], 0.1, 400, every=100)
    np.testing.assert_allclose(states[-1], rest, rtol=1e-13)
