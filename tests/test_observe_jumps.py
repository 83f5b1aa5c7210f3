"""Forcing that jumps: steps see it from inside, end at its jumps, and say where they cannot."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray

import symda as sd
from symda.api.preflight import ProblemWarning, jump_warnings
from symda.observe.jumps import jumps, within_steps

FloatArray = NDArray[np.float64]

A = sd.state("A", bounds=(0, 500))
k = sd.parameter("k", bounds=(0.01, 1))
u = sd.forcing("u")
t = sd.time()
ONE = sd.Model({A: u - k * A}, name="one_compartment")
DOSE = sd.Samples([0.0, 0.5, 20.0], [200.0, 0.0, 0.0], "hold")
#: 100 mg in the first half hour, as data and as expressions of time.
DOSES = {
    "samples": DOSE,
    "Heaviside": 200 * (1 - sp.Heaviside(t - sp.Rational(1, 2))),
    "Piecewise": sp.Piecewise((200, t <= 0.5), (0, True)),
    "sign": 100 * (1 - sp.sign(2 * t - 1)),
    "floor": 200 * sp.Piecewise((1, sp.Eq(sp.floor(2 * t), 0)), (0, True)),
}


def amount(times: FloatArray, rate: float = 0.2) -> FloatArray:
    """Return the amount of drug by the closed form of an infusion, dA/dt = u - k A, A(0) = 0."""
    during = 200.0 * -np.expm1(-rate * np.minimum(times, 0.5)) / rate
    return np.asarray(during * np.exp(-rate * np.maximum(times - 0.5, 0.0)))


def forward(scheme: str, source: object, times: FloatArray, **grid: object) -> FloatArray:
    """Errors of the steps of a scheme, forward from A(0) = 0, at the nodes."""
    action = sd.Action(ONE, [A], scheme=scheme)
    data = sd.Observations(times, np.ones(times.size), variance=1.0, forcing={"u": source})
    problem = action.bind(data, **grid)
    found = action.backpropagate(problem, {"A": 0.0}, {"k": 0.2}).states
    nodes = np.arange(problem.N + 1) * (1 + problem.interior)
    return np.asarray(found.values[nodes, 0] - amount(problem.node_times))


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("source", DOSES)
@pytest.mark.parametrize(
    ("scheme", "error"),
    [("trapezoid", 2e-3), ("midpoint", 1e-3), ("rk4", 1e-8), ("hermite-simpson", 1e-8)],
)
@pytest.mark.parametrize("step", [0.05, 0.1])
def test_an_infusion_is_seen_to_the_schemes_order(
    scheme: str, error: float, source: str, step: float
) -> None:
    """A jump on a grid point costs no scheme its order: the reference is the closed form."""
    times = np.linspace(0.0, 2.0, round(2.0 / step) + 1)
    worst = np.abs(forward(scheme, DOSES[source], times)).max()
    order = 2 if scheme in ("trapezoid", "midpoint") else 4
    assert worst < error * (step / 0.05) ** order * 1.5


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("source", DOSES)
def test_a_step_ends_where_a_forcing_jumps(source: str) -> None:
    times = np.array([0.0, 0.4, 1.0, 2.0])
    errors = forward("rk4", DOSES[source], times, max_step=0.15)
    data = sd.Observations(times, np.ones(4), variance=1.0, forcing={"u": DOSES[source]})
    problem = sd.Action(ONE, [A]).bind(data, max_step=0.15)
    assert 0.5 in problem.node_times
    assert np.flatnonzero(problem.rm[:, 0]).size == 4
    np.testing.assert_array_equal(problem.times[problem.rm[:, 0] > 0], times)
    assert not problem.missed
    assert np.abs(errors).max() < 1e-5


def test_a_fit_of_an_infusion_is_that_of_least_squares() -> None:
    """The minimiser is that of SciPy's least squares on the closed form, for every scheme."""
    from scipy.optimize import least_squares

    times = np.r_[0.0, 0.5, np.arange(1.0, 11.0)]
    y = amount(times) / 20.0 + 0.05 * np.random.default_rng(0).standard_normal(12)
    fit = least_squares(lambda p: amount(times, p[0]) / p[1] - y, [0.3, 15.0], xtol=1e-12)
    V = sd.parameter("V", bounds=(1, 200))
    data = sd.Observations(
        times,
        np.c_[y, np.r_[0.0, np.full(11, np.nan)]],
        variance=np.tile([0.0025, 1e-6], (12, 1)),
        channels=["c", "A0"],
        forcing={"u": DOSE},
    )
    action = sd.Action(ONE, {"c": A / V, "A0": A}, scheme="hermite-simpson")
    ladder = sd.Ladder(rf0=1e-2, rungs=30)
    run = sd.anneal(action, data, paths=2, ladder=ladder, solver="newton", progress=False)
    assert run.best.parameters["V"] == pytest.approx(fit.x[1], rel=2e-3)
    assert run.best.parameters["k"] == pytest.approx(fit.x[0], rel=2e-3)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sp.Heaviside(3 * t - 1), [1 / 3]),
        (sp.sign(sp.sin(t)), [np.pi, 2 * np.pi, 3 * np.pi]),
        (sp.floor(t / 3), [3, 6, 9]),
        (sp.ceiling(t / 3), [3, 6, 9]),
        (sp.Mod(t, sp.pi), [np.pi, 2 * np.pi, 3 * np.pi]),
        (sp.Heaviside(sp.Mod(t, 4) - 1), [1, 4, 5, 8, 9]),
        (sp.Piecewise((1, (t > 1) & (t < 3)), (2, t**2 > 25), (0, True)), [1, 3, 5]),
        (sp.exp(-t) * sp.Heaviside(t - 2), [2]),
        # kinks, and what is defined otherwise at one time only, are no jumps
        (sp.Abs(t - 2), []),
        (sp.Max(t, 3), []),
        (sp.Piecewise((t, t < 1), (1, True)), []),
        (sp.Piecewise((1, sp.Eq(t, 5)), (0, True)), []),
        (sp.cos(t), []),
    ],
)
def test_where_expressions_jump(expression: sp.Expr, expected: list[float]) -> None:
    np.testing.assert_allclose(jumps(expression, t, 0.0, 10.0), expected, rtol=1e-14)


def test_values_within_steps_are_limits_from_inside() -> None:
    left, right = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    c = (0.0, 0.5, 1.0)
    held = sd.Samples([0.0, 1.0, 2.5, 3.0], [1.0, 2.0, 3.0, 9.0], "hold")
    expected = [[1, 1, 1], [2, 2, 2], [2, 3, 3]]
    np.testing.assert_array_equal(within_steps(held, t, left, right, c), expected)
    # SymPy's Heaviside(0) is one half, which no step has anything to do with
    step = within_steps(sp.Heaviside(t - 1) + 2 * sp.Heaviside(t - 2), t, left, right, c)
    np.testing.assert_array_equal(step, [[0, 0, 0], [1, 1, 1], [3, 3, 3]])
    ramp = within_steps(sp.Piecewise((t, t < 1), (-t, True)), t, left, right, c)
    np.testing.assert_allclose(ramp, [[0, 0.5, 1], [-1, -1.5, -2], [-2, -2.5, -3]], rtol=1e-11)
    # times that are one but for rounding
    late = sd.Samples([0.0, 0.1 * 3, 1.0], [1.0, 2.0, 2.0], "hold")
    ends = np.array([0.0, 0.3]), np.array([0.3, 0.6])
    np.testing.assert_array_equal(within_steps(late, t, *ends, c), [[1, 1, 1], [2, 2, 2]])
    smooth = within_steps(sp.cos(t), t, left, right, c)
    np.testing.assert_array_equal(smooth, np.cos(left[:, None] + np.array(c)))


def held_data(**options: object) -> sd.Observations:
    times = np.arange(0.0, 5.0)
    return sd.Observations(times, np.ones(5), variance=1.0, **options)


MANY = sd.Samples(np.arange(0.0, 5.0, 0.25), np.arange(20.0), "hold")


@pytest.mark.parametrize(
    ("source", "scheme", "grid", "message"),
    [
        (
            DOSE,
            "rk4",
            {"steps": [1, 1, 1, 1]},
            "forcing u jumps at time 0.5, inside of step 0 (0 to 1): a step sees a forcing only "
            "at its own few times, and takes a jump to be at one of them. Give steps= as one "
            "number, or max_step=, so that steps end at the jumps.",
        ),
        (
            DOSE,
            "hermite-simpson",
            {"midpoint_data": True},
            "forcing u jumps at time 0.5, inside of step 0 (0 to 2): a step sees a forcing only "
            "at its own few times, and takes a jump to be at one of them. Leave midpoint_data out, "
            "so that steps end at the jumps.",
        ),
        (
            MANY,
            "rk4",
            {},
            "forcing u jumps at time 0.25, inside of step 0 (0 to 1), and 11 more times inside of "
            "steps: a step sees a forcing only at its own few times, and takes a jump to be at "
            "one of them. Take shorter steps with max_step=, at least 12 in all.",
        ),
    ],
)
def test_jumps_inside_of_steps_are_named(
    source: object, scheme: str, grid: dict[str, object], message: str
) -> None:
    problem = sd.Action(ONE, [A], scheme=scheme).bind(held_data(forcing={"u": source}), **grid)
    assert list(jump_warnings(ONE, problem)) == [message]


def test_shorter_steps_end_at_many_jumps() -> None:
    problem = sd.Action(ONE, [A]).bind(held_data(forcing={"u": MANY}), steps=4)
    assert not problem.missed
    problem = sd.Action(ONE, [A]).bind(held_data(forcing={"u": MANY}), steps=3)
    assert problem.N == 12 + 12
    assert not problem.missed
    np.testing.assert_array_equal(problem.u[:, 0, 0], problem.u[:, -1, 0])


@pytest.mark.usefixtures("uncompiled")
def test_what_steps_miss_is_said_by_anneal_and_backpropagate() -> None:
    action = sd.Action(ONE, [A])
    data = held_data(forcing={"u": DOSE})
    ladder = sd.Ladder(1.0, rungs=1)
    with pytest.warns(ProblemWarning, match=r"forcing u jumps at time 0\.5, inside of step 0"):
        sd.anneal(action, data, steps=[1] * 4, paths=1, ladder=ladder, progress=False)
    with pytest.warns(ProblemWarning, match=r"forcing u jumps at time 0\.5"):
        action.backpropagate(data, {"A": 0.0}, {"k": 0.2}, steps=[1] * 4)
    assert any("forcing u jumps" in text for text in action.check(data, steps=[1] * 4).warnings)


@pytest.mark.usefixtures("uncompiled")
def test_equations_that_switch_by_their_own_clock_are_named() -> None:
    late = sd.Model({A: 200 * sp.Heaviside(sp.Rational(1, 2) - t) - k * A}, name="clock")
    problem = sd.Action(late, [A]).bind(held_data())
    (text,) = jump_warnings(late, problem)
    assert text.startswith("the equation of A switches at time 0.5 by a condition in t: ")
    assert "u = sd.forcing('u')" in text
    begin = sd.parameter("begin", value=1.5)
    shifted = sd.Model({A: sp.Heaviside(t - begin) - k * A}, name="shifted")
    (text,) = jump_warnings(shifted, sd.Action(shifted, [A]).bind(held_data()))
    assert text.startswith("the equation of A switches at time 1.5 by")
    kink = sd.Model({A: sp.Piecewise((t, t < 1), (1, True)) - k * A}, name="kink")
    assert not list(jump_warnings(kink, problem))


def test_a_map_takes_its_forcing_at_the_step() -> None:
    x, v = sd.state("x", start=(0, 1)), sd.forcing("v")
    action = sd.Action(sd.Model({x: x + v}, name="sum", discrete=True), [x])
    held = sd.Samples([0, 1, 2.5, 4], [1.0, 2.0, 3.0, 4.0], "hold")
    problem = action.bind(held_data(forcing={"v": held}))
    np.testing.assert_array_equal(problem.u[:, 0, 0], [1, 2, 2, 3])
    assert not problem.missed


@pytest.mark.parametrize("place", ["forcing", "equation"])
def test_simulate_meets_a_jump_of_an_expression(place: str) -> None:
    """A pulse of width 0.01, far narrower than the times are apart."""
    width = sp.Rational(1, 100)
    pulse = sp.Heaviside(t - 3) * sp.Heaviside(3 + width - t) / width
    model = ONE if place == "forcing" else sd.Model({A: pulse - k * A}, name="clock")
    found = sd.simulate(
        model,
        [0.0, 10.0],
        [0.0],
        parameters={"k": 0.2},
        forcing={"u": pulse} if place == "forcing" else None,
    )
    exact = 100.0 * np.expm1(0.2 * 0.01) / 0.2 * np.exp(-0.2 * 7.0)
    assert found.states.values[-1, 0] == pytest.approx(exact, rel=1e-9)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("source", DOSES)
def test_integrate_ends_steps_at_jumps(source: str) -> None:
    times = np.array([0.0, 0.4, 1.0, 2.0])
    found = sd.integrate(
        ONE, times, [0.0], step=0.05, parameters={"k": 0.2}, forcing={"u": DOSES[source]}
    )
    np.testing.assert_allclose(found.states.values[:, 0], amount(times), atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_boundary_values_see_an_infusion_given_as_an_expression() -> None:
    free = sd.state("A")
    model = sd.Model({free: u - k * free}, name="free")
    action = sd.Action(model, [free], model_error="rate", scheme="trapezoid")
    times = np.array([0.0, 1.0, 2.0])
    data = sd.Observations(times, amount(times), variance=1e-2, forcing={"u": DOSES["Heaviside"]})
    start = np.interp(action.bind(data).times, times, amount(times))[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sd.boundary_value(action, data, rf=1e6, start=(start, {"k": 0.2}))
    np.testing.assert_allclose(found.x(times)[:, 0], amount(times), atol=1e-6)
    assert found.action < 1e-8
