"""Binding: data, forcing, weights, bounds and start ranges on the model grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy

from symda.declare import exprel, forcing, parameter, state, states, time
from symda.errors import DataError, OptionError
from symda.observe import Observations, Problem, Samples, averaging_factors, bind

t = time()
INF = math.inf


def make(observations: Observations | None = None, **changes: object) -> Problem:
    """Bind two states, of which x is measured, and one parameter, with anything replaced."""
    arguments: dict[str, object] = {
        "states": (state("x", start=(-1, 1)), state("y", start=(-2, 2))),
        "parameters": (parameter("nu", start=(1, 3)),),
        "forcing": (),
        "channels": ("x",),
        "direct": (0,),
        "abscissae": (0.0, 0.5, 1.0),
        "interior": (),
        "time": None,
    }
    if observations is None:
        observations = Observations([0, 1, 3], [1, np.nan, 2], variance=[0.5, 1, 0.25])
    arguments |= changes
    for kind in ("states", "parameters"):
        arguments[kind] = {symbol: symbol.declaration for symbol in arguments[kind]}
    return bind(observations, **arguments)


def test_data_lie_on_the_grid_and_gaps_weigh_nothing() -> None:
    problem = make(steps=2)
    assert (problem.N, problem.M, problem.D, problem.P, problem.L, problem.E) == (4, 5, 2, 1, 1, 2)
    np.testing.assert_array_equal(problem.times, [0, 0.5, 1, 2, 3])
    np.testing.assert_array_equal(problem.node_times, problem.times)
    np.testing.assert_array_equal(problem.h, [0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(problem.y[:, 0], [1, 0, 0, 0, 2])
    np.testing.assert_array_equal(problem.rm[:, 0], [2, 0, 0, 0, 4])
    assert problem.data_count == 2
    assert problem.measurement_scale == 1.0
    assert problem.u.shape == (4, 3, 0)
    assert problem.states == ("x", "y")
    assert problem.parameters == ("nu",)
    assert problem.channels == ("x",)


def test_interior_points_take_midpoint_data() -> None:
    data = Observations([0, 1, 2], [1, 2, 3], variance=1)
    problem = make(data, interior=(0.5,), midpoint_data=True)
    assert (problem.N, problem.M, problem.E, problem.interior) == (1, 3, 4, 1)
    np.testing.assert_array_equal(problem.y[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(problem.node_times, [0, 2])


def test_one_state_one_observation_no_parameter() -> None:
    problem = make(
        Observations([1], [2], variance=4),
        states=(state("x", start=(0, 1)),),
        parameters=(),
        start=0,
        stop=2,
    )
    assert (problem.N, problem.D, problem.P, problem.data_count) == (2, 1, 0, 1)
    np.testing.assert_array_equal(problem.rm[:, 0], [0, 0.25, 0])
    assert problem.parameter_bounds.shape == problem.parameter_start.shape == (0, 2)
    assert problem.free.shape == problem.typical.shape == (0,)


def test_named_channels_are_matched_by_name() -> None:
    values, variance = [[1, 2], [3, 4]], [0.5, 0.25]
    named = Observations([0, 1], values, variance=variance, channels=["y", "x"])
    problem = make(named, channels=("x", "y"), direct=(0, 1))
    np.testing.assert_array_equal(problem.y, [[2, 1], [4, 3]])
    np.testing.assert_array_equal(problem.rm, [[4, 2], [4, 2]])
    plain = make(
        Observations([0, 1], values, variance=variance), channels=("x", "y"), direct=(0, 1)
    )
    np.testing.assert_array_equal(plain.y, values)


def test_forcing_at_every_abscissa_in_the_models_order() -> None:
    a, b, c = forcing("a"), forcing("b"), forcing("c")
    data = Observations(
        [0, 1, 3],
        [1, 1, 1],
        variance=1,
        forcing={c: 7, "b": t**2 + sympy.exp(-t), "a": Samples([0, 1, 3], [1, 5, 6], "hold")},
    )
    problem = make(data, forcing=(a, b, c), time=t)
    at = np.array([[0, 0.5, 1], [1, 2, 3]])
    # a step ends before the jump at its end
    np.testing.assert_array_equal(problem.u[:, :, 0], [[1, 1, 1], [5, 5, 5]])
    np.testing.assert_allclose(problem.u[:, :, 1], at**2 + np.exp(-at), rtol=1e-15)
    np.testing.assert_array_equal(problem.u[:, :, 2], np.full((2, 3), 7.0))


def test_a_model_without_time_takes_expressions_in_any_time_symbol() -> None:
    data = Observations([0, 1], [1, 1], variance=1, forcing={"I": time("s") * 2})
    np.testing.assert_array_equal(make(data, forcing=(forcing("I"),)).u[0, :, 0], [0, 1, 2])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (
            sympy.Piecewise((1, t < sympy.Rational(1, 4)), (sympy.log(t), True)),
            [1, -math.log(2), 0],
        ),
        (sympy.Heaviside(t - sympy.Rational(1, 4)), [0, 1, 1]),
        (sympy.Max(t, sympy.Rational(1, 4)), [0.25, 0.5, 1]),
        (sympy.erf(t), [0, math.erf(0.5), math.erf(1)]),
        (exprel(t), [1, math.expm1(0.5) / 0.5, math.expm1(1)]),
        (sympy.pi, [math.pi] * 3),
    ],
)
def test_expressions_have_numerical_forms(expression: sympy.Expr, value: list[float]) -> None:
    data = Observations([0, 1], [1, 1], variance=1, forcing={"I": expression})
    # steps given one by one are not cut where the forcing jumps
    problem = make(data, forcing=(forcing("I"),), time=t, steps=[1])
    np.testing.assert_allclose(problem.u[0, :, 0], value, rtol=1e-15)


def test_samples_on_the_data_times_cover_every_stage_time() -> None:
    times = 0.1 * np.arange(1, 40) ** 1.5  # times[n] + h[n] is not always times[n + 1]
    data = Observations(times, times, variance=1, forcing={"I": times})
    for interior in ((), (0.5,)):
        problem = make(
            data, forcing=(forcing("I"),), max_step=0.03, interior=interior, abscissae=(0, 0.5, 1)
        )
        nodes = problem.node_times
        np.testing.assert_array_equal(problem.u[:, 0, 0], np.interp(nodes[:-1], times, times))
        np.testing.assert_array_equal(problem.u[:, 2, 0], np.interp(nodes[1:], times, times))
        np.testing.assert_allclose(problem.u[:, 1, 0], nodes[:-1] + problem.h / 2, rtol=1e-14)


@pytest.mark.parametrize(
    ("averaging", "c_m", "c_f"),
    [
        ("sum", 1, 1),
        ("eq2", 1 / 2, 1),
        ("eq14", 1 / 2, 2 / (3 * 6)),
        ("minaone", 2 / 7, 2 / 7),
        ("varanneal", 2 / (2 * 4), 2 / (3 * 6)),
    ],
)
@pytest.mark.parametrize("model_error", ["step", "rate"])
def test_averaging_and_model_error(
    averaging: str, c_m: float, c_f: float, model_error: str
) -> None:
    data = Observations([0, 1, 3, 4], np.ones((4, 2)), variance=[0.5, 4])
    problem = make(
        data,
        states=states("x", 3, start=(0, 1)),
        channels=("x0", "h"),
        direct=(0, -1),
        steps=2,
        averaging=averaging,
        model_error=model_error,
    )
    assert (problem.N, problem.M) == (6, 7)
    assert problem.measurement_scale == c_m
    seen = problem.rm[problem.rm[:, 0] > 0]
    np.testing.assert_allclose(seen, np.tile([c_m / 0.5, c_m / 4], (4, 1)), rtol=1e-15)
    h = np.array([0.5, 0.5, 1, 1, 0.5, 0.5])
    expected = c_f / h if model_error == "rate" else np.full(6, c_f)
    np.testing.assert_allclose(problem.weight, expected, rtol=1e-15)
    assert problem.data_count == 8


def test_averaging_formulae_with_all_sizes_distinct() -> None:
    sizes = {"N": 10, "M": 21, "D": 3, "L": 2, "T": 5}
    assert averaging_factors("minaone", **sizes) == (2 / 21, 2 / 21)
    assert averaging_factors("varanneal", **sizes) == (2 / 10, 2 / 30)
    assert averaging_factors("eq14", **sizes) == (1 / 2, 2 / 30)


def test_a_map_has_one_step_for_each_whole_number() -> None:
    problem = make(
        Observations([2, 3, 7], [1, 2, 3], variance=1, forcing={"I": 2 * t}),
        discrete=True,
        abscissae=(0.0,),
        forcing=(forcing("I"),),
        time=t,
        start=0,
        stop=8,
    )
    np.testing.assert_array_equal(problem.times, np.arange(9))
    np.testing.assert_array_equal(problem.h, np.ones(8))
    np.testing.assert_array_equal(problem.weight, np.ones(8))
    np.testing.assert_array_equal(problem.y[:, 0], [0, 0, 1, 2, 0, 0, 0, 3, 0])
    np.testing.assert_array_equal(problem.u[:, 0, 0], 2.0 * np.arange(8))


def test_far_whole_numbers_stay_whole() -> None:
    first = 10**6 + 7
    data = Observations([first, first + 997], [1, 2], variance=1)
    problem = make(data, discrete=True, abscissae=(0.0,))
    np.testing.assert_array_equal(problem.times, first + np.arange(998))


PLAIN = Observations([0, 1, 3], [1, 2, 3], variance=1)


def forced(source: object) -> Observations:
    return Observations([0, 1], [1, 2], variance=1, forcing={"I": source})


@pytest.mark.parametrize(
    ("observations", "changes", "kind", "message"),
    [
        (
            PLAIN,
            {"channels": ("x", "y"), "direct": (0, 1)},
            DataError,
            "observations: expected 2 channels (x, y), got 1. "
            "Pass one column for each measured quantity, with nan where nothing was measured.",
        ),
        (
            Observations([0, 1], [1, 2], variance=1, channels="volt"),
            {"channels": ("volts",)},
            DataError,
            "observations: channel 'volt' is not measured in the action, which has volts. Did you "
            "mean 'volts'? Rename it with channels=, or leave it out with values=.",
        ),
        (
            Observations([0, 1], [1, 2], variance=1, channels="x"),
            {"channels": ("x", "y"), "direct": (0, 1)},
            DataError,
            "observations: channel 'y' of the action is missing; there are x. "
            "Add it, or leave it out of measured=.",
        ),
        (
            PLAIN,
            {"forcing": (forcing("I"),)},
            DataError,
            "forcing 'I' of the model is missing from the observations. Pass "
            "Observations(..., forcing={'I': ...}) with samples or an expression in time.",
        ),
        (
            forced(1),
            {"forcing": (forcing("Iapp"),)},
            DataError,
            "forcing 'I' is given with the observations, but the model has Iapp.",
        ),
        (
            Observations([0, 1], [1, 2], variance=1, forcing={"Iap": 1}),
            {"forcing": (forcing("Iapp"),)},
            DataError,
            "forcing 'Iap' is given with the observations, but the model has Iapp. "
            "Did you mean 'Iapp'?",
        ),
        (
            forced(1),
            {},
            DataError,
            "forcing 'I' is given with the observations, but the model has none.",
        ),
        (
            forced(([0, 0.75], [1, 2])),
            {"forcing": (forcing("I"),)},
            DataError,
            "forcing 'I': samples cover times 0.0 to 0.75, but a value is needed at 1.0; samples "
            "are never extrapolated. Add samples, or choose times within that range (of "
            "observations with start=, stop=).",
        ),
        (
            forced(1 / t),
            {"forcing": (forcing("I"),), "time": t},
            DataError,
            "forcing 'I': the expression 1/t is not a finite real number at time 0.0. "
            "Use sympy.Piecewise to give it a value there.",
        ),
        (
            forced(sympy.sqrt(t - 2)),
            {"forcing": (forcing("I"),), "time": t},
            DataError,
            "forcing 'I': the expression sqrt(t - 2) is not a finite real number at time 0.0. "
            "Use sympy.Piecewise to give it a value there.",
        ),
        (
            forced(time("s")),
            {"forcing": (forcing("I"),), "time": t},
            DataError,
            "forcing 'I': the expression uses the time symbol 's', but the model's is 't'. "
            "Use the same sd.time() symbol in both.",
        ),
        (
            PLAIN,
            {"averaging": "eq22"},
            OptionError,
            "averaging must be one of sum, eq2, eq14, minaone, varanneal, got 'eq22'. "
            "Did you mean 'eq2'?",
        ),
        (
            PLAIN,
            {"model_error": "steps"},
            OptionError,
            "model_error must be one of step, rate, got 'steps'. Did you mean 'step'?",
        ),
        (
            PLAIN,
            {"model_error": "rate", "discrete": True},
            OptionError,
            "model_error='rate' needs a continuous time, and this model is a discrete map. "
            "Use model_error='step'.",
        ),
        (
            Observations([0, 1.5], [1, 2], variance=1),
            {"discrete": True},
            DataError,
            "a discrete map needs whole numbers as times, got 1.5. Number the iterations "
            "0, 1, 2, ..., for instance numpy.round((times - times[0]) / dt).",
        ),
        (
            PLAIN,
            {"discrete": True, "start": -0.5},
            DataError,
            "a discrete map needs whole numbers as times, got -0.5. Number the iterations "
            "0, 1, 2, ..., for instance numpy.round((times - times[0]) / dt).",
        ),
        (
            PLAIN,
            {"discrete": True, "steps": 2},
            OptionError,
            "steps, max_step and midpoint_data do not apply to a discrete map, which takes one "
            "step for each unit of time. Leave them out.",
        ),
        (
            PLAIN,
            {"discrete": True, "max_step": 1.0},
            OptionError,
            "steps, max_step and midpoint_data do not apply to a discrete map, which takes one "
            "step for each unit of time. Leave them out.",
        ),
    ],
)
def test_bad_bindings(
    observations: Observations, changes: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        make(observations, **changes)
    assert str(caught.value) == message
