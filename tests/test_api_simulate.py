"""`simulate` against exact solutions, and every way it can be asked wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import symda as sd
from symda.api import simulate
from symda.errors import SymdaError


def oscillator() -> sd.Model:
    q, p = sd.states("q p")
    w = sd.parameter("w", value=2.0)
    return sd.Model({q: p, p: -(w**2) * q}, name="oscillator")


def logistic() -> sd.Model:
    x = sd.state("x")
    r = sd.parameter("r")
    return sd.Model({x: r * x * (1 - x)}, name="logistic", discrete=True)


def driven() -> sd.Model:
    x = sd.state("x")
    k = sd.parameter("k")
    I = sd.forcing("I")
    return sd.Model({x: -k * x + I}, name="driven")


def blow_up() -> sd.Model:
    x = sd.state("x")
    return sd.Model({x: x**2}, name="blow_up")


def hyperbola() -> sd.Model:
    x = sd.state("x")
    return sd.Model({x: 1 / x}, name="hyperbola")


TIMES = np.array([0.0, 0.3, 0.35, 2.0, 5.0])


def test_harmonic_oscillator() -> None:
    found = simulate(oscillator(), TIMES, {"p": 0.0, "q": 1.0})
    exact = np.stack([np.cos(2 * TIMES), -2 * np.sin(2 * TIMES)], axis=1)
    assert found.states.dims == ("time", "state")
    assert list(found.states["state"].values) == ["q", "p"]
    np.testing.assert_array_equal(found.times, TIMES)
    np.testing.assert_allclose(found.states.values, exact, atol=1e-8)
    assert found.parameters == {"w": 2.0}


def test_a_given_value_goes_before_a_declared_one() -> None:
    found = simulate(oscillator(), TIMES, [1.0, 0.0], parameters={"w": 3.0})
    np.testing.assert_allclose(found.states.sel(state="q"), np.cos(3 * TIMES), atol=1e-8)


def test_logistic_map_at_two_has_a_closed_form() -> None:
    n = np.array([0.0, 1.0, 2.0, 5.0])
    found = simulate(logistic(), n, [0.1], parameters={"r": 2.0})
    np.testing.assert_allclose(found.states.values[:, 0], (1 - (1 - 0.2) ** (2**n)) / 2, rtol=1e-14)


@pytest.mark.parametrize(
    "forcing",
    [
        {"I": ([0.0, 2.0, 5.0], [0.0, 2.0, 5.0])},
        {"I": TIMES},
        {"I": sd.Samples([0.0, 5.0], [0.0, 5.0])},
    ],
    ids=["pair", "values at the times", "samples"],
)
def test_linear_equation_with_a_ramp(forcing: dict[str, object]) -> None:
    found = simulate(driven(), TIMES, [1.0], parameters={"k": 2.0}, forcing=forcing)
    exact = TIMES / 2 - 1 / 4 + (1 + 1 / 4) * np.exp(-2 * TIMES)
    np.testing.assert_allclose(found.states.values[:, 0], exact, atol=1e-8)


def test_constant_forcing_and_time_in_the_equation() -> None:
    found = simulate(driven(), TIMES, [0.0], parameters=[2.0], forcing={"I": 4.0})
    np.testing.assert_allclose(found.states.values[:, 0], 2 - 2 * np.exp(-2 * TIMES), atol=1e-8)
    x, t = sd.state("x"), sd.time("t")
    clock = sd.Model({x: 3 * t**2}, name="clock")
    late = simulate(clock, [1.0, 2.0], [1.0])
    np.testing.assert_allclose(late.states.values[:, 0], [1.0, 8.0], rtol=1e-10)


def test_stiff_equation_with_an_implicit_method() -> None:
    import sympy as sp

    x, t = sd.state("x"), sd.time("t")
    stiff = sd.Model({x: -10000 * (x - sp.cos(t)) - sp.sin(t)}, name="stiff")
    found = simulate(stiff, TIMES, [1.0], method="LSODA")
    np.testing.assert_allclose(found.states.values[:, 0], np.cos(TIMES), atol=1e-7)


def pulse(rule: str) -> sd.Samples:
    """Return 1 from time 5 to 5.2, or a triangle of height 1 and width 0.2 around 50."""
    if rule == "hold":
        return sd.Samples([0.0, 5.0, 5.2, 100.0], [0.0, 1.0, 0.0, 0.0], "hold")
    return sd.Samples([0.0, 49.9, 50.0, 50.1, 100.0], [0.0, 0.0, 1.0, 0.0, 0.0])


def response(rule: str, t: np.ndarray, k: float) -> np.ndarray:
    """Response of x' = -k x + u, x(0) = 0, to that pulse."""
    if rule == "hold":  # a step up and a step down
        since = (np.maximum(t - s, 0.0) for s in (5.0, 5.2))
        up, down = (-np.expm1(-k * s) / k for s in since)
        return up - down
    since = (np.maximum(t - s, 0.0) for s in (49.9, 50.0, 50.1))  # ramps of slope 10, -20, 10
    first, second, third = (10.0 * (s / k + np.expm1(-k * s) / k**2) for s in since)
    return first - 2.0 * second + third


@pytest.mark.parametrize("method", ["DOP853", "RK45", "LSODA", "Radau"])
@pytest.mark.parametrize("every", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("rule", ["hold", "linear"])
def test_no_pulse_is_stepped_over(rule: str, every: float, method: str) -> None:
    t = every * np.arange(round(100.0 / every) + 1)
    forcing = {"I": pulse(rule)}
    found = simulate(driven(), t, [0.0], parameters={"k": 0.05}, forcing=forcing, method=method)
    np.testing.assert_allclose(found.states.values[:, 0], response(rule, t, 0.05), atol=1e-8)


def test_a_narrow_bump_of_a_spline_is_not_stepped_over() -> None:
    from scipy.interpolate import CubicSpline

    knots = np.arange(101.0)
    values = np.where(knots == 50.0, 1.0, 0.0)
    exact = CubicSpline(knots, values).antiderivative()
    forcing = {"I": sd.Samples(knots, values, "cubic")}
    t = np.array([0.0, 50.5, 100.0])
    found = simulate(driven(), t, [0.0], parameters={"k": 0.0}, forcing=forcing)
    np.testing.assert_allclose(found.states.values[:, 0], exact(t), atol=1e-12)


@pytest.mark.parametrize("outputs", [1, 150, 600, 1300])
def test_rough_samples_are_integrated_by_the_trapezoidal_rule(outputs: int) -> None:
    when = np.linspace(0.0, 30.0, 601)
    noise = np.random.default_rng(3).standard_normal(601)
    t = np.linspace(0.0, 30.0, outputs + 1)
    samples = sd.Samples(when, noise)
    found = simulate(driven(), t, [2.0], parameters={"k": 0.0}, forcing={"I": samples})
    nodes = np.union1d(when, t)
    area = np.cumsum(np.diff(nodes) * (samples(nodes[1:]) + samples(nodes[:-1])) / 2)
    exact = 2.0 + np.append(0.0, area)[np.searchsorted(nodes, t)]
    np.testing.assert_allclose(found.states.values[:, 0], exact, atol=1e-10)


def test_a_jump_at_the_last_time_comes_too_late_to_matter() -> None:
    forcing = {"I": sd.Samples([0.0, 1.0], [1.0, 1e6], "hold")}
    found = simulate(driven(), [0.0, 1.0], [0.0], parameters={"k": 0.0}, forcing=forcing)
    assert found.states.values[1, 0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"])
def test_two_channels_may_jump_a_rounding_error_apart(method: str) -> None:
    x = sd.state("x")
    u, v = sd.forcing("u"), sd.forcing("v")
    one = sd.Samples([0.0, 0.3, 1.0], [0.0, 1.0, 1.0], "hold")
    two = sd.Samples([0.0, 0.1 * 3, 1.0], [0.0, 2.0, 2.0], "hold")
    model = sd.Model({x: u + v}, name="two")
    found = simulate(model, [0.0, 0.3, 1.0], [0.5], forcing={"u": one, "v": two}, method=method)
    np.testing.assert_allclose(found.states.values[:, 0], [0.5, 0.5, 2.6], atol=1e-12)


def test_only_where_a_forcing_is_not_smooth_does_a_piece_end() -> None:
    t, values = [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 2.0, 4.0]
    assert sd.Samples(t, values, "hold").breaks.tolist() == [3.0, 4.0]
    assert sd.Samples(t, values, "linear").breaks.tolist() == [2.0]
    assert sd.Samples(t, values, "cubic").breaks.tolist() == [1.0, 2.0, 3.0]
    assert sd.Samples([1.0], [2.0]).breaks.size == 0


@pytest.mark.parametrize("place", ["forcing", "equation"])
def test_an_expression_in_time_is_seen_at_the_scale_of_the_times(place: str) -> None:
    import sympy as sp

    x, t = sd.state("x"), sd.time("t")
    bump = 2 / (sp.exp(4 * (t - 50)) + sp.exp(4 * (50 - t)))
    model = sd.Model({x: bump}, name="bump") if place == "equation" else driven()
    given = {} if place == "equation" else {"parameters": {"k": 0}, "forcing": {"I": bump}}
    found = simulate(model, np.arange(101.0), [0.0], **given)
    assert found.states.values[50, 0] == pytest.approx(math.pi / 8, abs=1e-8)
    assert found.states.values[100, 0] == pytest.approx(math.pi / 4, abs=1e-8)


def test_a_state_that_nothing_changes_stays() -> None:
    x, y = sd.states("x y")
    found = simulate(sd.Model({x: 0 * x, y: x}, name="drift"), [0.0, 1.0, 3.0], [2.0, 0.0])
    np.testing.assert_allclose(found.states.values, [[2.0, 0.0], [2.0, 2.0], [2.0, 6.0]])


def test_numbers_of_other_libraries_are_numbers() -> None:
    import sympy as sp

    at_rest = simulate(logistic(), [0, 1], sp.Rational(1, 2), parameters={"r": sp.Integer(2)})
    assert at_rest.states.values.tolist() == [[0.5], [0.5]]
    again = simulate(logistic(), [0, 1], at_rest.states[-1], parameters=np.array(2))
    assert again.states.values.tolist() == [[0.5], [0.5]]


def test_a_single_time_is_the_initial_state() -> None:
    assert simulate(oscillator(), [4.0], [1.0, 2.0]).states.values.tolist() == [[1.0, 2.0]]


def test_a_solution_that_ends_names_the_time() -> None:
    with pytest.raises(sd.SolveError, match=r"could not be continued beyond t = ([\d.]+)") as error:
        simulate(blow_up(), [0.0, 0.5, 2.0], [1.0])
    # dx/dt = x^2 from 1 ends at t = 1
    assert "t = 1:" in str(error.value)
    assert "method='LSODA'" in str(error.value)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"])
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:lsoda")
def test_every_method_comes_back_from_a_solution_that_ends(method: str) -> None:
    import sympy as sp

    with pytest.raises(sd.SolveError, match="could not be continued beyond t ="):
        simulate(blow_up(), [0.0, 0.5, 2.0], [1.0], method=method)
    x = sd.state("x")
    root = sd.Model({x: -sp.sqrt(x) - 1}, name="root")  # x falls through 0 before time 1
    with pytest.raises(sd.SolveError, match=r"could not be continued beyond t = 0"):
        simulate(root, [0.0, 2.0], [0.3], method=method)


def test_a_forcing_that_the_equations_do_not_bear_is_named_with_its_time() -> None:
    x = sd.state("x")
    I = sd.forcing("I")
    forcing = {"I": sd.Samples([0.0, 1.0, 2.0], [1.0, 0.0, 0.0], "hold")}
    with pytest.raises(sd.SolveError) as error:
        simulate(sd.Model({x: x / I}, name="ratio"), [0.0, 2.0], [1.0], forcing=forcing)
    assert str(error.value) == (
        "simulate: the right-hand side of 'x' is inf at time 1, expected a finite number. "
        "Look at parameters, initial state and forcing."
    )


def test_a_map_that_ends_names_the_step() -> None:
    with pytest.raises(sd.SolveError, match="left finite numbers before step 20;"):
        simulate(logistic(), [0.0, 2.0, 20.0], [3.0], parameters={"r": 4.0})


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "times fall": (
        lambda: simulate(oscillator(), [0.0, 1.0, 0.5], [1.0, 0.0]),
        "times of simulate: must be strictly increasing, but entry 2 is 0.5 after 1.0. "
        "Sort the rows by time and merge rows of the same time.",
    ),
    "no times": (
        lambda: simulate(oscillator(), [], [1.0, 0.0]),
        "times of simulate: expected at least one time, got none.",
    ),
    "a time is nan": (
        lambda: simulate(oscillator(), [0.0, math.nan], [1.0, 0.0]),
        "times of simulate: entry 1 is nan, expected a finite number. Drop the rows without a "
        "time.",
    ),
    "times are text": (
        lambda: simulate(oscillator(), ["now", "then"], [1.0, 0.0]),
        "times of simulate, entry 0: expected numbers, got text ('now').",
    ),
    "initial too short": (
        lambda: simulate(oscillator(), TIMES, [1.0]),
        "simulate: initial must have length 2, one for each of q, p; got 1 values: pass numbers, "
        "or a mapping such as initial={'q': 0.0}.",
    ),
    "initial nan": (
        lambda: simulate(oscillator(), TIMES, [1.0, math.nan]),
        "simulate: initial['p'] must be a finite number, got nan; pass numbers, or a mapping such "
        "as initial={'q': 0.0}.",
    ),
    "initial is text": (
        lambda: simulate(oscillator(), TIMES, "rest"),
        "simulate: initial must have length 2, one for each of q, p; got 1 values:",
    ),
    "initial has text": (
        lambda: simulate(oscillator(), TIMES, {"q": "one", "p": 0.0}),
        "simulate: initial['q'] must be a finite number, got 'one';",
    ),
    "initial in two dimensions": (
        lambda: simulate(oscillator(), TIMES, np.zeros((2, 1))),
        "simulate: initial['q'] must be a finite number, got array([0.]);",
    ),
    "initial names": (
        lambda: simulate(oscillator(), TIMES, {"q": 1.0}),
        "simulate: initial must name every state once, q, p; got q.",
    ),
    "parameter missing": (
        lambda: simulate(logistic(), [0.0, 1.0], [0.5]),
        "simulate: no value for the parameter 'r'; pass parameters={'r': ...}, or declare it with "
        "one, sd.parameter('r', value=...).",
    ),
    "parameter unknown": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], parameters={"omega": 1.0, "v": 2.0}),
        "There is no parameter 'omega'. The parameters are: w.",
    ),
    "number of parameters": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], parameters=[1.0, 2.0]),
        "simulate: parameters must have length 1, one for each of w; got 2 values: "
        "pass numbers, or a mapping of names to numbers.",
    ),
    "parameter is text": (
        lambda: simulate(logistic(), [0.0, 1.0], [0.5], parameters={"r": "ten"}),
        "simulate: parameters['r'] must be a finite number, got 'ten'; "
        "pass numbers, or a mapping of names to numbers.",
    ),
    "parameters are text": (
        lambda: simulate(logistic(), [0.0, 1.0], [0.5], parameters="ten"),
        "simulate: parameters['r'] must be a finite number, got 'ten';",
    ),
    "parameter is nan": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], parameters={"w": math.nan}),
        "simulate: parameters['w'] must be a finite number, got nan;",
    ),
    "parameter is infinite": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], parameters=[math.inf]),
        "simulate: parameters['w'] must be a finite number, got inf;",
    ),
    "parameter is a symbol": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], parameters={"w": sd.parameter("v")}),
        "simulate: parameters['w'] must be a finite number, got v;",
    ),
    "not a model": (
        lambda: simulate(sd.Action(oscillator(), oscillator().states), TIMES, [1.0, 0.0]),
        "simulate: the first argument is a symda.Model, got Action; of an action, pass "
        "action.model.",
    ),
    "method": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], method="rk4"),
        "simulate: method must be one of RK23, RK45, DOP853, Radau, BDF, LSODA, got 'rk4'. "
        "Did you mean 'RK45'?",
    ),
    "rtol": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], rtol=-1),
        "simulate: rtol must be a positive number, got -1; the default is 1e-10.",
    ),
    "atol": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], atol="small"),
        "simulate: atol must be a positive number, got 'small'; leave it out for one by the size "
        "of each state.",
    ),
    "singular at the start": (
        lambda: simulate(hyperbola(), [0.0, 1.0], [0.0]),
        "simulate: the right-hand side of 'x' is inf at time 0, expected a finite number. "
        "Look at parameters, initial state and forcing.",
    ),
    "map between steps": (
        lambda: simulate(logistic(), [0.0, 0.5], [0.5], parameters={"r": 2.0}),
        "simulate: the times of a map must lie whole numbers apart.",
    ),
    "forcing missing": (
        lambda: simulate(driven(), TIMES, [1.0], parameters={"k": 1.0}),
        "forcing 'I' of the model is missing from simulate(...). Pass simulate(..., "
        "forcing={'I': ...}) with samples or an expression in time.",
    ),
    "forcing unknown": (
        lambda: simulate(oscillator(), TIMES, [1.0, 0.0], forcing={"J": 1.0}),
        "forcing 'J' is given with simulate(...), but the model has none.",
    ),
    "forcing too short": (
        lambda: simulate(
            driven(),
            TIMES,
            [1.0],
            parameters={"k": 1.0},
            forcing={"I": ([0.0, 1.0], [0.0, 1.0])},
        ),
        "simulate: forcing 'I': samples cover times 0 to 1, but values are needed from 0 to 5; "
        "samples are never extrapolated. Add samples, or choose times within that range.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name: str) -> None:
    do, message = MISTAKES[name]
    with pytest.raises(SymdaError) as error:
        do()
    assert isinstance(error.value, ValueError)
    assert message in str(error.value)
