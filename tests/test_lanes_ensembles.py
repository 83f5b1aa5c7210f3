"""Ensembles with a member in each lane: the scalar code, SciPy's functions, and any company."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import sympy as sp
from scipy.special import erf

import symda as sd
from symda.api import IntegrationWarning
from symda.build import Options
from symda.build.course import FINE, NO_CONVERGENCE, NOT_FINITE, TOO_MANY_STEPS, Course
from symda.build.flows import FlowEngine, flow_engine
from symda.declare import Measurement
from symda.derive.field import derive_field
from symda.emit.vectors import LARGE_ALONE, LARGEST_IN_LANES, VECTOR_FUNCTIONS
from symda.errors import SolveError

pytestmark = pytest.mark.smoke

ADAPTIVE = {"method": "adaptive", "rtol": 1e-8, "threads": 1}
NEURON = sd.models.nakl()
REST = np.array([-65.0, 0.1, 0.3, 0.6])
TIMES = 0.05 * np.arange(121)
CURRENT = sd.Samples(TIMES, 20.0 * np.sin(1.3 * TIMES) + 5.0)

#: One that leaves finite numbers at t = 1 / (a x(0)), and one that is stiff where k is large.
y, z = sd.state("y"), sd.state("z")
a, k = sd.parameter("a"), sd.parameter("k", value=1.0)
BLAST = sd.Model({y: a * y**2}, name="blast_in_lanes")
STIFF = sd.Model({y: -k * (y - sp.cos(sd.time())), z: y - z}, name="stiff_in_lanes")


@cache
def engine_of(model: sd.Model, *flags: str, together: bool = True) -> FlowEngine:
    field = derive_field(model, Measurement((), (), ()), natural=True)
    return flow_engine(field, Options(flags=(*Options().flags, *flags)), together=together)


def free(times: np.ndarray) -> Course:
    R = len(times) - 1
    return Course(times, np.zeros((R, 4, 0)), np.zeros(R, dtype=bool), np.diff(times))


@pytest.mark.parametrize("method", ["adaptive", "rk4"])
def test_a_member_does_not_depend_on_number_order_or_threads(method: str) -> None:
    x0 = REST * (1.0 + 0.1 * np.random.default_rng(0).uniform(-1.0, 1.0, (19, 4)))
    given = {"parameters": sd.models.NAKL, "forcing": {NEURON.forcing[0].name: CURRENT}}
    options = given | ADAPTIVE if method == "adaptive" else given | {"method": method}

    def run(x0: np.ndarray, threads: int | None = 1) -> np.ndarray:
        return sd.integrate(NEURON, TIMES, x0, **options | {"threads": threads}).states.values

    whole = run(x0)
    for count in (1, 7, 8, 9):
        np.testing.assert_array_equal(run(x0[:count]), whole[:count])
    order = np.random.default_rng(1).permutation(19)
    np.testing.assert_array_equal(run(x0[order]), whole[order])
    np.testing.assert_array_equal(run(x0, threads=3), whole)
    alone = run(x0[5], threads=None)
    # a spike's flank loses digits
    np.testing.assert_allclose(whole[5], alone, rtol=1e-9)


@pytest.mark.parametrize("method", ["adaptive", "rk4", "yoshida4"])
def test_one_state_and_a_mechanical_model_agree_with_their_exact_solutions(method: str) -> None:
    times = np.linspace(0.0, 2.0, 5)
    options = {"rtol": 1e-10} if method == "adaptive" else {"step": 1e-3}
    start = np.random.default_rng(0).uniform(0.1, 1.0, (11, 2))
    if method == "yoshida4":
        q, p = sd.states("q p")
        w = sd.parameter("w", value=1.5)
        model = sd.Model.from_hamiltonian(p**2 / 2 + w**2 * q**2 / 2, [q], [p])
        found = sd.integrate(model, times, start, method=method, **options).states.values
        turn = 1.5 * times
        exact = start[:, :1] * np.cos(turn) + start[:, 1:] / 1.5 * np.sin(turn)
        np.testing.assert_allclose(found[:, :, 0], exact, atol=1e-11)
        return
    rates = np.linspace(0.5, 2.0, 11)
    model = sd.Model({y: a * y * (1 - y)}, name="logistic_in_lanes")
    given = {"parameters": {"a": rates}, "method": method, **options}
    found = sd.integrate(model, times, start[:, :1], **given).states.values[:, :, 0]
    grown = start[:, :1] * np.exp(rates[:, None] * times)
    np.testing.assert_allclose(found, grown / (1.0 - start[:, :1] + grown), rtol=1e-8)


def test_stiff_members_leave_the_lanes_and_pulses_and_jumps_are_met_in_them() -> None:
    rates = 10.0 ** np.array([0.0, 5.0, 1.0, 0.5, 4.0, 0.0, 1.0, 2.0, 6.0, 0.3])
    times = np.linspace(0.0, 3.0, 7)
    given = {"parameters": {"k": rates}, **ADAPTIVE}
    many = sd.integrate(STIFF, times, [1.0, 0.0], **given).states.values
    for m, rate in enumerate(rates):
        one = {"parameters": {"k": rate}, "method": "adaptive"}
        alone = sd.integrate(STIFF, times, [1.0, 0.0], **one).states.values
        np.testing.assert_allclose(many[m], alone, rtol=1e-6, atol=1e-8)
        batch = {"parameters": {"k": rates[m : m + 1]}, **ADAPTIVE}
        again = sd.integrate(STIFF, times, [1.0, 0.0], **batch).states.values
        np.testing.assert_array_equal(again[0], many[m])
    dose, infusion = sd.forcing("dose"), sd.forcing("infusion")
    model = sd.Model({y: dose + infusion - a * y}, name="doses_in_lanes")
    forcing = {
        "dose": sd.Pulses([0.5, 1.25], [2.0, 3.0]),
        "infusion": sd.Samples([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 5.0, 5.0], "hold"),
    }
    decay = np.linspace(0.1, 2.0, 9)
    found = sd.integrate(
        model, times, [1.0], parameters={"a": decay}, forcing=forcing, **ADAPTIVE
    ).states.values[:, -1, 0]
    exact = np.exp(-3.0 * decay) + 2.0 * np.exp(-2.5 * decay) + 3.0 * np.exp(-1.75 * decay)
    exact += (np.exp(-decay) - np.exp(-2.0 * decay)) / decay + 5.0 * (1.0 - np.exp(-decay)) / decay
    np.testing.assert_allclose(found, exact, rtol=1e-7)


def test_a_failure_is_a_value_beside_good_members() -> None:
    engine, course = engine_of(BLAST), free(np.array([0.0, 0.5, 1.5]))
    x0 = np.array([1.0, 1.0, 0.5, np.inf, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 0.6])[:, None]
    theta = np.array([0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])[:, None]
    options = {"rtol": 1e-8, "atol": np.full(1, 1e-8)}
    found = engine.run(x0, theta, course, **options)
    lost = {1: NO_CONVERGENCE, 3: NOT_FINITE, 9: NO_CONVERGENCE}
    assert found.codes.tolist() == [lost.get(m, FINE) for m in range(11)]
    assert found.where[1] == 1 and found.where[3] == 0 and found.where[0] == 1
    good = found.codes == FINE
    exact = x0[good, 0] / (1.0 - 1.5 * theta[good, 0] * x0[good, 0])
    np.testing.assert_allclose(found.states[good, 2, 0], exact, rtol=1e-6)
    assert np.allclose(found.states[1, 1], 2.0) and np.isnan(found.states[1, 2]).all()
    scalar = engine_of(BLAST, together=False).run(x0, theta, course, **options)
    assert np.array_equal(scalar.codes, found.codes)
    assert np.array_equal(scalar.where, found.where)
    np.testing.assert_allclose(scalar.peaks[good], found.peaks[good], rtol=1e-9)
    for m in range(11):
        alone = engine.run(x0[m : m + 1], theta[m : m + 1], course, **options)
        assert np.array_equal(alone.states[0], found.states[m], equal_nan=True)
        assert alone.steps[0] == found.steps[m] and alone.rejected[0] == found.rejected[m]
    few = engine.run(x0[:3], theta[:3], course, **options, most_steps=3)
    assert few.codes.tolist() == [TOO_MANY_STEPS] * 3


def test_fixed_steps_that_leave_finite_numbers_touch_no_other_member() -> None:
    x0, times = np.linspace(0.1, 1.0, 11)[:, None], [0.0, 0.5, 2.0]
    given = {"method": "rk4", "step": 0.005, "parameters": {"a": 1.0}}
    with pytest.warns(IntegrationWarning, match="member 5: "):
        found = sd.integrate(BLAST, times, x0, **given).states
    good = x0[:, 0] < 0.5
    assert good.sum() == 5
    exact = x0[:, 0] / (1.0 - 2.0 * x0[:, 0])
    np.testing.assert_allclose(found.values[good, 2, 0], exact[good], rtol=1e-5)
    assert np.isnan(found.values[~good, 2]).all()
    np.testing.assert_allclose(found.values[:, 1, 0], x0[:, 0] / (1.0 - 0.5 * x0[:, 0]), rtol=1e-8)
    np.testing.assert_array_equal(sd.integrate(BLAST, times, x0[:5], **given).states, found[:5])
    with pytest.raises(SolveError) as alone:
        sd.integrate(BLAST, times, x0[5], **given)
    assert str(found.message[5].values) == str(alone.value).removeprefix("integrate: ")


FUNCTIONS: dict[str, tuple[Callable[..., sp.Expr], Callable[..., np.ndarray], float, float]] = {
    "exp": (sp.exp, np.exp, -30.0, 30.0),
    "log": (sp.log, np.log, 1e-9, 1e9),
    "sin": (sp.sin, np.sin, -40.0, 40.0),
    "cos": (sp.cos, np.cos, -40.0, 40.0),
    "tan": (sp.tan, np.tan, -1.5, 1.5),
    "asin": (sp.asin, np.arcsin, -1.0, 1.0),
    "acos": (sp.acos, np.arccos, -1.0, 0.999),
    "atan": (sp.atan, np.arctan, -1e3, 1e3),
    "erf": (sp.erf, erf, -4.0, 4.0),
    "sinh": (sp.sinh, np.sinh, -20.0, 20.0),
    "cosh": (sp.cosh, np.cosh, -20.0, 20.0),
    "tanh": (sp.tanh, np.tanh, -5.0, 5.0),
    "asinh": (sp.asinh, np.arcsinh, -1e3, 1e3),
    "acosh": (sp.acosh, np.arccosh, 1.001, 1e3),
    "atanh": (sp.atanh, np.arctanh, -0.999, 0.999),
    "pow": (lambda v: v ** sp.Float(1.3), lambda v: v**1.3, 1e-6, 1e6),
    "atan2": (lambda v: sp.atan2(v, 2), lambda v: np.arctan2(v, 2.0), -50.0, 50.0),
}


def test_functions_of_lanes_are_as_exact_as_those_of_numpy() -> None:
    """One step of Euler's method from 0 shows F itself."""
    # CasADi takes these two from users' expressions in no other form
    assert set(FUNCTIONS) == set(VECTOR_FUNCTIONS) - {"log1p", "expm1", "hypot"}
    states, values = sd.states("s", len(FUNCTIONS)), sd.parameters("v", len(FUNCTIONS))
    rows = zip(states, values, FUNCTIONS.values(), strict=True)
    model = sd.Model({s: made(v) for s, v, (made, *_) in rows}, name="functions_in_lanes")
    rng, K = np.random.default_rng(0), 203
    given = {
        p.name: rng.uniform(low, high, K)
        for p, (_, _, low, high) in zip(values, FUNCTIONS.values(), strict=True)
    }
    found = sd.integrate(
        model, [0.0, 1.0], np.zeros(len(FUNCTIONS)), method="euler", parameters=given
    ).states.values[:, 1]
    for i, (p, (name, (_, function, _, _))) in enumerate(
        zip(values, FUNCTIONS.items(), strict=True)
    ):
        exact = function(given[p.name])
        np.testing.assert_allclose(found[:, i], exact, rtol=4e-15, atol=1e-15, err_msg=name)


def test_registers_of_another_width_give_the_same_to_rounding() -> None:
    x0, theta = np.linspace(0.1, 0.6, 7)[:, None], np.ones((7, 1))
    course = free(np.array([0.0, 0.5, 1.5]))
    options = {"rtol": 1e-8, "atol": np.full(1, 1e-8)}
    usual = engine_of(BLAST).run(x0, theta, course, **options)
    other = engine_of(BLAST, "-DSYMDA_LANES=1").run(x0, theta, course, **options)
    np.testing.assert_allclose(other.states, usual.states, rtol=1e-11)
    assert np.array_equal(other.steps, usual.steps)


@pytest.mark.parametrize("method", ["adaptive", "rk4"])
def test_one_member_of_a_large_model_is_a_single_trajectory(method: str) -> None:
    """Two are a member in each lane again."""
    x = sd.states("x", LARGE_ALONE)
    model = sd.Model({s: sp.sin(x[i - 1]) - sp.sin(s) for i, s in enumerate(x)}, name="alone")
    x0 = np.random.default_rng(0).normal(size=(3, len(x)))
    step = {} if method == "adaptive" else {"step": 0.01}

    def run(x0: np.ndarray) -> np.ndarray:
        return sd.integrate(model, [0.0, 1.0], x0, method=method, **step).states.values

    alone, two, three = run(x0[0]), run(x0[:2]), run(x0)
    np.testing.assert_array_equal(run(x0[:1])[0], alone)
    np.testing.assert_array_equal(two, three[:2])
    assert not np.array_equal(two[0], alone)
    np.testing.assert_allclose(two[0], alone, rtol=1e-9, atol=1e-12)


def test_models_too_large_for_lanes_are_integrated_without() -> None:
    x = sd.states("x", LARGEST_IN_LANES + 1)
    model = sd.Model({s: -s for s in x}, name="large_without_lanes")
    x0 = np.random.default_rng(0).normal(size=(9, len(x)))
    many = sd.integrate(model, [0.0, 1.0], x0, step=0.01).states.values
    np.testing.assert_allclose(many[:, 1], x0 * np.exp(-1.0), rtol=1e-9)
    alone = sd.integrate(model, [0.0, 1.0], x0[4], step=0.01).states.values
    np.testing.assert_array_equal(many[4], alone)
