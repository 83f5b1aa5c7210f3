"""`simulate`, twins and sweeps whatever the units of states; and stiff models."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.api import IntegrationWarning, simulate

SIZES = [1e-100, 1e-12, 1e-9, 1.0, 1e6, 1e12, 1e100]


@pytest.mark.parametrize("method", [None, "DOP853", "RK45", "LSODA"])
@pytest.mark.parametrize("size", SIZES)
def test_an_oscillator_of_any_size(size: float, method: str | None) -> None:
    """The velocity starts at 0, so that its size is not known beforehand."""
    x, v = sd.states("x v")
    model = sd.Model({x: v, v: -x}, name="oscillator")
    end = 100.0 if method in (None, "DOP853") else 10.0
    found = simulate(model, [0.0, end], [size, 0.0], method=method).states.values[-1] / size
    accuracy = 1e-7 if method == "LSODA" else 1e-8
    np.testing.assert_allclose(found, [math.cos(end), -math.sin(end)], atol=accuracy)


def test_states_of_very_different_size_in_one_model() -> None:
    x, v, y, w = sd.states("x v y w")
    model = sd.Model({x: v, v: -x, y: w, w: -4 * y}, name="two")
    found = simulate(model, [0.0, 100.0], [1e-9, 0.0, 0.0, 1e9]).states.values[-1]
    exact = [1e-9 * math.cos(100), -1e-9 * math.sin(100), 5e8 * math.sin(200), 1e9 * math.cos(200)]
    np.testing.assert_allclose(found, exact, rtol=2e-8)


@pytest.mark.parametrize("size", [1e-15, 1.0, 1e9])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e5])
def test_a_cascade_that_starts_empty(size: float, unit: float) -> None:
    """Three tanks in a row, all empty, fed by a constant stream: 1 - exp(-s) sum s^i/i!."""
    x = sd.states("x", 3)
    u, t = sd.forcing("u"), sd.time()
    k = 1.0 / unit
    model = sd.Model(
        {x[0]: u - k * x[0], x[1]: k * (x[0] - x[1]), x[2]: k * (x[1] - x[2])}, name="cascade"
    )
    times = unit * np.array([0.0, 0.01, 0.1, 1.0, 10.0])
    found = simulate(model, times, np.zeros(3), forcing={"u": size / unit}).states.values / size
    s = times[:, None] / unit
    below = np.cumsum(s ** np.arange(3) / [1.0, 1.0, 2.0], axis=1)
    exact = 1.0 - np.exp(-s) * below
    np.testing.assert_allclose(found[3:], exact[3:], rtol=1e-9)
    # early on the last tank holds a millionth of what it will; that is right to digits too
    np.testing.assert_allclose(found[1:3], exact[1:3], rtol=1e-6, atol=1e-13)
    # a stream that is zero at first
    late = simulate(model, times, np.zeros(3), forcing={"u": size / unit * sp.sin(t / unit)})
    first = (np.sin(s[:, 0]) - np.cos(s[:, 0]) + np.exp(-s[:, 0])) / 2.0
    np.testing.assert_allclose(late.states.values[:, 0] / size, first, rtol=1e-7, atol=1e-12)


def test_a_small_state_behind_a_large_one() -> None:
    """Traces of traces: x' = -x, y' = 1e-12 x, z' = 1e-12 y from (1, 0, 0)."""
    x, y, z = sd.states("x y z")
    model = sd.Model({x: -x, y: x * sp.Float(1e-12), z: y * sp.Float(1e-12)}, name="trace")
    found = simulate(model, [0.0, 5.0], [1.0, 0.0, 0.0]).states.values[-1]
    exact = [math.exp(-5), -1e-12 * math.expm1(-5), 1e-24 * (5 + math.expm1(-5))]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_a_state_that_decays_and_comes_back() -> None:
    """x' = (t - 10) x falls to exp(-50) of itself and returns to what it was at t = 20."""
    x, t = sd.state("x"), sd.time()
    model = sd.Model({x: (t - 10) * x}, name="trough")
    found = simulate(model, [0.0, 10.0, 20.0], [1.0], rtol=1e-12, atol=1e-40).states.values[:, 0]
    np.testing.assert_allclose(found, [1.0, math.exp(-50), 1.0], rtol=1e-8)


def test_a_state_that_stays_at_rounding_does_not_stop_the_others() -> None:
    x, y, z = sd.states("x y z")
    model = sd.Model({x: y / 3 - z / 3 * sp.Float(1.0) - 7 * x, y: -y, z: -z}, name="cancel")
    found = simulate(model, [0.0, 20.0], [0.0, 0.7, 0.7]).states.values[-1]
    assert found[1] == pytest.approx(0.7 * math.exp(-20), rel=1e-8)
    assert abs(found[0]) < 1e-15


def test_a_state_at_rest_stays() -> None:
    x, v = sd.states("x v")
    model = sd.Model({x: v, v: -sp.sin(x)}, name="pendulum")
    assert np.array_equal(simulate(model, [0.0, 50.0], [0.0, 0.0]).states.values, np.zeros((2, 2)))


def test_an_absolute_tolerance_of_ones_own_stays_absolute() -> None:
    x, v = sd.states("x v")
    model = sd.Model({x: v, v: -x}, name="oscillator")
    loose = simulate(model, [0.0, 100.0], [1e-9, 0.0], atol=1e-10).states.values[-1, 0] / 1e-9
    assert abs(loose - math.cos(100)) > 1e-2


@pytest.mark.parametrize("size", [1e-12, 1e6])
def test_twins_of_any_size(size: float) -> None:
    x, v = sd.states("x v", start=(-2 * size, 2 * size))
    action = sd.Action(sd.Model({x: v, v: -x}, name="oscillator"), [x])
    truth, _ = sd.twin(
        action, dt=1.0, steps=100, variance=size**2, seed=0, initial=[size, 0.0], discard=50.0
    )
    states = truth.states.values / size
    # the time before 0 is solved to fewer digits
    np.testing.assert_allclose(states[:, 0], np.cos(50 + truth.times), atol=1e-5)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("size", [1e-14, 1e9])
def test_sweeps_do_not_depend_on_the_units_of_states(size: float) -> None:
    """States times S, Rf and Rm over its square: the same action, and p over S."""
    t = np.linspace(0.0, 2.0, 9)
    y = np.exp(-t) + 0.1 * np.sin(7 * t)

    def solve(S: float) -> sd.BoundarySolution:
        x = sd.state("x")
        model = sd.Model({x: -x - x**2 / S}, name="bent")
        data = sd.Observations(t, S * y, variance=0.01 * S**2)
        own = sd.Action(model, [x], model_error="rate")
        return sd.boundary_value(
            own, data, rf=30.0 / S**2, start=S * y[:, None], initial=[S], method="sweeps"
        )

    one, other = solve(1.0), solve(size)
    assert other.action == pytest.approx(one.action, rel=1e-9)
    np.testing.assert_allclose(other.states.values / size, one.states.values, rtol=1e-7)
    np.testing.assert_allclose(
        other.momenta.values * size, one.momenta.values, rtol=1e-4, atol=1e-5
    )


# --- stiff models --------------------------------------------------------------------------------


def robertson() -> sd.Model:
    a, b, c = sd.states("a b c")
    fast, slow = 3e7 * b**2, 1e4 * b * c
    return sd.Model({a: -0.04 * a + slow, b: 0.04 * a - slow - fast, c: fast}, name="robertson")


#: SciPy's Radau with the exact Jacobian, rtol = 1e-10, atol = (1e-12, 1e-16, 1e-12), at 1e5.
AT_1E5 = (1.78659211e-02, 7.27475147e-08, 9.82134006e-01)
#: Hindmarsh and Serban, Example Programs for CVODE, Robertson's kinetics, at 4e5.
AT_4E5 = (4.9385e-03, 1.9850e-08, 9.9506e-01)


def test_a_stiff_model_is_handed_to_an_implicit_method() -> None:
    with pytest.warns(IntegrationWarning, match=r"simulate: the model is stiff: from t = ") as said:
        found = simulate(robertson(), [0.0, 1e5, 4e5], [1.0, 0.0, 0.0]).states.values
    assert len(said) == 1 and "method='Radau'" in str(said[0].message)
    assert said[0].filename == __file__
    np.testing.assert_allclose(found[1], AT_1E5, rtol=2e-8)
    np.testing.assert_allclose(found[2], AT_4E5, rtol=2e-4)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_implicit_methods_agree(method: str) -> None:
    found = simulate(robertson(), [0.0, 1e5], [1.0, 0.0, 0.0], method=method).states.values
    np.testing.assert_allclose(found[1], AT_1E5, rtol=2e-7)


@pytest.mark.parametrize("method", ["DOP853", "RK45", "RK23"])
def test_an_explicit_method_that_would_take_for_ever_says_so(method: str) -> None:
    loose = 1e-10 if method == "DOP853" else 1e-6
    with pytest.raises(
        sd.SolveError,
        match=rf"the model is stiff: from t = .* on {method} would need about .* steps",
    ):
        simulate(robertson(), [0.0, 1e5], [1.0, 0.0, 0.0], method=method, rtol=loose)


def test_twins_of_stiff_models() -> None:
    x, y = sd.states("x y", start=(0.0, 1.0))
    action = sd.Action(sd.Model({x: -1e6 * (x - y), y: -y}, name="slaved"), [x])
    with pytest.warns(IntegrationWarning, match="twin: the model is stiff") as said:
        truth, _ = sd.twin(action, dt=0.5, steps=4, variance=0.01, seed=0, initial=[0.0, 1.0])
    assert said[0].filename == __file__
    exact = np.exp(-truth.times) * 1e6 / (1e6 - 1)
    np.testing.assert_allclose(truth.states.values[1:, 0], exact[1:], rtol=1e-8)


def test_fast_oscillations_are_not_called_stiff() -> None:
    x, v = sd.states("x v")
    model = sd.Model({x: v, v: -1e6 * x}, name="fast")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = simulate(model, [0.0, 1.0], [1.0, 0.0]).states.values[-1, 0]
    assert found == pytest.approx(math.cos(1000.0), abs=1e-6)
