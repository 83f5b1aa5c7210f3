"""The compiled integration with adaptive steps: exact solutions, SciPy, differences for slopes."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import gamma

import symda as sd
from symda.build import NoCompiler
from symda.build.course import (
    FINE,
    NO_CONVERGENCE,
    NOT_FINITE,
    TOO_MANY_STEPS,
    Course,
    course_of,
    unfit,
)
from symda.build.flows import FlowEngine, flow_engine
from symda.build.flows_virtual import VirtualFlows
from symda.build.serial import serial
from symda.declare import Measurement
from symda.derive.field import Field, derive_field
from symda.lower.flows import flow_functions

#: Robertson's reactions, whose fastest rate is 1e8 times the slowest.
A, B, C = sd.states("A B C", start=(0.0, 1.0))
k1, k2, k3 = sd.parameters("k1 k2 k3", start=(0.0, 1.0))
ROBERTSON = sd.Model(
    {A: -k1 * A + k3 * B * C, B: k1 * A - k3 * B * C - k2 * B**2, C: k2 * B**2}, name="robertson"
)
RATES = np.array([{"k1": 0.04, "k2": 3e7, "k3": 1e4}[p.name] for p in ROBERTSON.parameters])
SLOW = np.array([0.0, 0.4, 4.0, 40.0, 400.0, 4000.0])

#: Compartments with a dose, an infusion, and time in the equations.
x1, x2 = sd.states("x1 x2", start=(0.0, 10.0))
dose, infusion, t = sd.forcing("dose"), sd.forcing("infusion"), sd.time()
k, q = sd.parameters("k q", start=(0.0, 1.0))
COMPARTMENTS = sd.Model({x1: dose + infusion - k * x1 + 0.2 * x2, x2: k * x1 / 2 - q * x2})
VALUES = {"k": 0.5, "q": 0.3}

#: One that leaves finite numbers at t = 1 / (a x(0)).
y = sd.state("y", start=(0.0, 1.0))
a = sd.parameter("a", start=(0.0, 1.0))
BLAST = sd.Model({y: a * y**2}, name="blast")


def field_of(model: sd.Model, *, natural: bool = True) -> Field:
    return derive_field(model, Measurement((), (), ()), natural=natural)


@cache
def engine_of(model: sd.Model) -> FlowEngine:
    return flow_engine(field_of(model))


def virtual(field: Field) -> VirtualFlows:
    sizes = (field.D, field.P, field.U)
    clock = engine_of(field.model).clock
    return VirtualFlows(serial(flow_functions(field)), *sizes, clock, field.model.discrete)


def free(times: np.ndarray) -> Course:
    """A course without forcing."""
    R = len(times) - 1
    return Course(times, np.zeros((R, 4, 0)), np.zeros(R, dtype=bool), np.diff(times))


def in_order(model: sd.Model, values: Mapping[str, float]) -> np.ndarray:
    return np.array([values[p.name] for p in model.parameters])


def differences(engine: FlowEngine, x0, theta, course, **options) -> np.ndarray:
    """Central differences of states by first state and parameters, (R + 1, D, D + P)."""
    z, D = np.concatenate([x0, theta]), len(x0)
    steps = 1e-4 * np.where(z == 0.0, 1e-2, np.abs(z))
    ends = np.concatenate([z + np.diag(steps), z - np.diag(steps)])
    found = engine.run(
        ends[:, :D].copy(), ends[:, D:].copy(), course, **{**options, "sensitivities": False}
    ).states
    up, down = found[: len(z)], found[len(z) :]
    return np.moveaxis((up - down) / (2.0 * steps[:, None, None]), 0, -1)


def test_stiff_reactions_agree_with_scipy_and_need_few_steps():
    engine, x0 = engine_of(ROBERTSON), np.array([1.0, 0.0, 0.0])
    atol = 1e-9 * np.array([1.0, 1e-5, 1.0])
    found = engine.run(x0[None], RATES[None], free(SLOW), rtol=1e-8, atol=atol, sensitivities=True)
    assert found.codes.tolist() == [FINE] and found.steps[0] < 500
    r1, r2, r3 = (
        RATES[[p.name for p in ROBERTSON.parameters].index(n)] for n in ("k1", "k2", "k3")
    )

    def F(_, x):
        return [
            -r1 * x[0] + r3 * x[1] * x[2],
            r1 * x[0] - r3 * x[1] * x[2] - r2 * x[1] ** 2,
            r2 * x[1] ** 2,
        ]

    exact = solve_ivp(F, (0, 4000), x0, "Radau", SLOW, rtol=1e-12, atol=1e-12 * atol / 1e-9)
    size = np.abs(exact.y.T).max(axis=0)
    assert np.allclose(found.states[0] / size, exact.y.T / size, rtol=0, atol=1e-8)
    options = {"rtol": 1e-12, "atol": 1e-4 * atol}
    expected = differences(engine, x0, RATES, free(SLOW), **options)
    scale = np.abs(expected).max(axis=0)
    assert found.slopes is not None
    # the differences are good to their own step squared
    assert np.allclose(found.slopes[0] / scale, expected / scale, rtol=0, atol=3e-5)


def test_slopes_are_those_of_the_computed_states_at_any_tolerance():
    """Exact for a linear model: the same steps applied to a basis; small where steps are few."""
    engine, theta = engine_of(COMPARTMENTS), in_order(COMPARTMENTS, VALUES)
    times = np.array([0.0, 1.0, 5.0])
    course = Course(times, np.zeros((2, 4, 2)), np.zeros(2, dtype=bool), np.diff(times))
    found = engine.run(
        np.array([[3.0, 4.0]]), theta[None], course, rtol=1e-3, atol=np.full(2, 1e-3),
        sensitivities=True,
    )  # fmt: skip
    assert found.slopes is not None
    by_state = found.slopes[0, :, :, :2]
    # x(t) = x(t; x0 = 0) + S x0 holds for the computed numbers too
    assert np.allclose(by_state @ [3.0, 4.0], found.states[0], rtol=1e-13, atol=0)


def test_slopes_that_no_state_shows_are_right_and_cost_few_steps():
    """All states rest at first, so errors of states would allow any step."""
    field = field_of(sd.Model({x1: infusion - 1e4 * x1, x2: k * x1 - q * x2 + k - 0.5}))
    times = np.array([0.0, 3.0, 5.0])
    course = Course(times, np.zeros((2, 4, 1)), np.zeros(2, dtype=bool), np.diff(times))
    theta = in_order(field.model, {"k": 0.5, "q": 0.3})
    options = {"rtol": 1e-8, "atol": np.full(2, 1e-8), "sensitivities": True}
    # x1 and x2 by their first values, and x2 by k, which moves where it comes to rest
    size, by_k = np.exp(-0.3 * times), 2 + [p.name for p in field.parameters].index("k")
    slow = VirtualFlows(serial(flow_functions(field)), field.D, field.P, field.U, False, False)
    for engine in (flow_engine(field), slow):
        found = engine.run(np.zeros((1, 2)), theta[None], course, **options)
        assert found.codes.tolist() == [FINE] and found.steps[0] < 300
        assert np.array_equal(found.states, np.zeros((1, 3, 2)))
        assert found.slopes is not None
        assert np.allclose(found.slopes[0, 1:, 0, 0], 0.0, atol=1e-6)
        assert np.allclose(found.slopes[0, :, 1, 1], size, rtol=1e-5)
        assert np.allclose(found.slopes[0, :, 1, by_k], (1.0 - size) / 0.3, rtol=1e-5)


@pytest.mark.parametrize("scheme", ["trapezoid", "hermite-simpson"])
def test_the_course_of_an_experiment_has_its_pulses_and_jumps(scheme):
    """Against the matrix exponential from stop to stop."""
    times = np.array([0.0, 1.0, 2.0, 3.5, 6.0])
    data = sd.Observations(
        times, np.ones((5, 1)), variance=1.0,
        forcing={
            "dose": sd.Pulses([0.0, 2.0, 2.5], [5.0, 7.0, 3.0], "after"),
            "infusion": sd.Samples([-1.0, 3.0, 4.0, 10.0], [0.0, 5.0, 0.0, 0.0], "hold"),
        },
    )  # fmt: skip
    action = sd.Action(COMPARTMENTS, [x1], scheme=scheme)
    problem = action.bind(data, steps=2)
    assert not unfit(problem)
    engine, theta = engine_of(COMPARTMENTS), in_order(COMPARTMENTS, VALUES)
    course, points = course_of(problem, clock=engine.clock)
    found = engine.run(
        np.array([[3.0, 4.0]]), theta[None], course, rtol=1e-10, atol=np.full(2, 1e-12),
        sensitivities=True,
    )  # fmt: skip
    M = np.zeros((3, 3))
    M[:2, :2] = [[-0.5, 0.2], [0.25, -0.3]]
    x, last, expected = np.array([3.0, 4.0]), 0.0, []
    for stop in (0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 6.0):
        M[0, 2] = 5.0 if 3.0 <= last < 4.0 else 0.0
        x = (expm(M * (stop - last)) @ [*x, 1.0])[:2]
        x[0] += {0.0: 5.0, 2.0: 7.0, 2.5: 3.0}.get(stop, 0.0)
        if stop in times:
            expected.append(x)
        last = stop
    observed = np.flatnonzero(problem.rm[:, 0] > 0.0)
    states = found.states[0, np.searchsorted(points, observed)]
    assert np.allclose(states, expected, rtol=1e-8)
    without = engine.run(
        np.array([[3.0, 4.0]]), theta[None], course, rtol=1e-10, atol=np.full(2, 1e-12)
    )
    # slopes are looked at by the step control too, but seldom decide
    assert np.allclose(without.states, found.states, rtol=1e-9)
    assert found.slopes is not None
    by_state = found.slopes[0, -1, :, :2]
    assert np.allclose(by_state, expm(M[:2, :2] * 6.0), rtol=1e-8)


def test_a_cubic_forcing_is_the_spline_that_was_given():
    knots = np.linspace(0.0, 4.0, 9)
    samples = sd.Samples(knots, np.sin(3.0 * knots), "cubic")
    data = sd.Observations(
        knots[::2], np.ones((5, 1)), variance=1.0, forcing={"dose": 0.0, "infusion": samples}
    )
    problem = sd.Action(COMPARTMENTS, [x1], scheme="trapezoid").bind(data, steps=2)
    engine = engine_of(COMPARTMENTS)
    course, points = course_of(problem, clock=engine.clock)
    assert len(points) == problem.M
    s = np.array([0.2, 0.9])
    values = s[:, None] ** np.arange(4) @ course.forcing[:, :, 1].T
    assert np.allclose(values, samples(course.t[:-1] + 0.5 * s[:, None]), atol=1e-13)
    found = engine.run(
        np.array([[3.0, 4.0]]), in_order(COMPARTMENTS, VALUES)[None], course,
        rtol=1e-10, atol=np.full(2, 1e-10),
    )  # fmt: skip
    exact = sd.simulate(
        COMPARTMENTS, knots, [3.0, 4.0], parameters=VALUES,
        forcing={"dose": 0.0, "infusion": samples},
    )  # fmt: skip
    assert np.allclose(found.states[0], exact.states.values, rtol=1e-8)


def test_nothing_is_kept_between_data_where_nothing_forces():
    data = sd.Observations([0.0, 1.0, 3.0], [[np.nan], [1.0], [2.0]], variance=1.0)
    problem = sd.Action(BLAST, [y], scheme="rk4").bind(data, steps=10)
    course, points = course_of(problem, clock=False)
    assert points.tolist() == [0, 10, 20] and course.h.tolist() == [1.0, 2.0]
    assert len(course_of(problem, clock=True)[1]) == problem.M


def test_a_failure_is_a_value_and_touches_no_other_member():
    engine = engine_of(BLAST)
    x0, theta = np.array([[1.0], [1.0], [0.5], [np.inf]]), np.array([[0.1], [1.0], [1.0], [1.0]])
    course = free(np.array([0.0, 0.5, 1.5]))
    options = {"rtol": 1e-8, "atol": np.full(1, 1e-8), "sensitivities": True}
    found = engine.run(x0, theta, course, **options)
    assert found.codes[:3].tolist() == [FINE, NO_CONVERGENCE, FINE]
    assert found.codes[3] == NOT_FINITE
    assert found.where[1] == 1
    assert np.allclose(found.states[1, 1], 2.0) and np.isnan(found.states[1, 2]).all()
    assert found.slopes is not None
    assert np.allclose(found.slopes[1, 1], [[4.0, 2.0]]) and np.isnan(found.slopes[1, 2]).all()
    for m in range(3):
        alone = engine.run(x0[m : m + 1], theta[m : m + 1], course, **options)
        assert np.array_equal(alone.states[0], found.states[m], equal_nan=True)
    shared = engine.run(np.repeat(x0, 5, 0), np.repeat(theta, 5, 0), course, threads=2, **options)
    assert np.array_equal(shared.states, np.repeat(found.states, 5, 0), equal_nan=True)
    few = engine.run(x0[:1], theta[:1], course, **options, most_steps=3)
    assert few.codes.tolist() == [TOO_MANY_STEPS]
    slow = virtual(field_of(BLAST)).run(x0[:3], theta[:3], course, **options)
    assert np.array_equal(slow.codes, found.codes[:3])


@pytest.mark.parametrize(
    "model", [ROBERTSON, COMPARTMENTS, sd.models.henon()], ids=lambda m: m.name
)
def test_the_virtual_machine_gives_the_same(model):
    field = field_of(model)
    compiled = pickle.loads(pickle.dumps(engine_of(model)))
    slow = pickle.loads(pickle.dumps(virtual(field)))
    assert compiled.kind == "compiled" and slow.kind == "virtual machine"
    theta = np.linspace(0.3, 0.6, field.P) if model is not ROBERTSON else RATES
    times = np.arange(5.0)
    forcing = np.random.default_rng(3).uniform(0.0, 1.0, (4, 4, field.U))
    course = Course(times, forcing, np.arange(4) == -1, np.diff(times))
    options = {"rtol": 1e-9, "atol": np.full(field.D, 1e-11), "sensitivities": True}
    x0 = np.linspace(0.2, 0.6, field.D)[None]
    one, other = (e.run(x0, theta[None], course, **options) for e in (compiled, slow))
    assert one.codes.tolist() == other.codes.tolist() == [FINE]
    assert np.allclose(one.states, other.states, rtol=1e-6, atol=1e-9)
    assert one.slopes is not None and other.slopes is not None
    size = np.abs(other.slopes).max(axis=(0, 1))
    assert np.allclose(one.slopes / size, other.slopes / size, rtol=0, atol=1e-6)


def test_without_a_compiler_scipy_takes_the_steps(monkeypatch):
    def none(*_):
        raise NoCompiler("none here")

    monkeypatch.setattr("symda.build.flows.build", none)
    assert flow_engine(field_of(BLAST)).kind == "virtual machine"


def test_logarithms_are_integrated_as_such():
    """With scale="log" states and slopes are those of what solvers move."""
    z = sd.state("z", start=(0.1, 1.0), bounds=(1e-6, 1e6), scale="log")
    r = sd.parameter("r", bounds=(1e-3, 1e3), scale="log")
    model = sd.Model({z: -r * z}, name="decay")
    engine = flow_engine(field_of(model, natural=False))
    theta, course = np.log([[2.0]]), free(np.array([0.0, 1.0, 3.0]))
    found = engine.run(
        np.log([[5.0]]), theta, course, rtol=1e-10, atol=np.full(1, 1e-10), sensitivities=True
    )
    assert np.allclose(found.states[0, :, 0], np.log(5.0) - 2.0 * course.t)
    assert found.slopes is not None
    assert np.allclose(found.slopes[0, :, 0], [[1.0, -2.0 * t] for t in course.t])


def test_what_has_a_value_for_each_step_is_said_to_be_unfit():
    w = sd.parameter("w", per="step", start=(0.0, 1.0))
    model = sd.Model({y: w - y}, name="driven")
    data = sd.Observations(np.arange(4.0), np.ones((4, 1)), variance=1.0)
    assert unfit(sd.Action(model, [y]).bind(data)) == "w has a value for each step"


def test_slopes_of_a_state_at_rest_decay_with_its_rates():
    """A state that is 0 allows steps of any length; its slopes would grow in them."""
    u, v = sd.states("u v", start=(0.0, 1.0))
    fast = sd.parameter("fast", start=(0.0, 1.0))
    model = sd.Model({u: -fast * u, v: fast * u - 0.1 * v}, name="rest")
    engine = engine_of(model)
    course = free(np.array([0.0, 1.0, 10.0]))
    found = engine.run(
        np.array([[0.0, 0.0]]),
        np.array([[1e5]]),
        course,
        rtol=1e-8,
        atol=np.full(2, 1e-10),
        sensitivities=True,
    )
    assert found.codes[0] == FINE and found.slopes is not None
    exact = expm(np.array([[-1e5, 0.0], [1e5, -0.1]]) * 10.0)
    np.testing.assert_allclose(found.slopes[0, -1, :, :2], exact, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.slopes[0, -1, :, 2], 0.0, atol=1e-12)


def test_a_parameter_of_0_takes_no_more_steps_than_another():
    """Its slopes grow from 0 like a power of time, which no step could follow by their own size."""
    chain = [*sd.states("c", 6)]
    rate = sd.parameter("rate", start=(0.0, 1.0))
    model = sd.Model(
        {one: before - one for before, one in zip([rate, *chain], chain, strict=False)}, name="pipe"
    )
    engine, steps = flow_engine(field_of(model)), []
    for value in (0.0, 1.0):
        found = engine.run(
            np.zeros((1, 6)), np.array([[value]]), free(np.array([0.0, 8.0])), rtol=1e-8,
            atol=np.full(6, 1e-8), sensitivities=True,
        )  # fmt: skip
        assert found.slopes is not None
        # what comes through a chain of six, gamma distributed
        assert np.isclose(found.slopes[0, -1, -1, -1], gamma(6).cdf(8.0), rtol=1e-6)
        steps.append(int(found.steps[0] + found.rejected[0]))
    assert max(steps) < 100
