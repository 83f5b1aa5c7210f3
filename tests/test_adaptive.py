"""`sd.integrate(method="adaptive")`: exact solutions, other methods, ensembles, every mistake."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.api import IntegrationWarning, VirtualMachineWarning

#: A chain of decays: stiff where rates differ, two states that begin at 0.
A, B, C = sd.states("A B C", start=(0.0, 1.0))
k1, k2 = sd.parameters("k1 k2", start=(0.0, 1.0))
CHAIN = sd.Model({A: -k1 * A, B: k1 * A - k2 * B, C: k2 * B}, name="chain")
TIMES = np.array([0.0, 0.5, 2.0, 7.0])

x = sd.state("x", start=(0.0, 1.0))
I, r, t = sd.forcing("I"), sd.parameter("r", start=(0.0, 1.0)), sd.time()
DRIVEN = sd.Model({x: I - r * x}, name="driven")


def chain(times: np.ndarray, first: float, a: float, b: float) -> np.ndarray:
    """Exact states, (T, 3), from (first, 0, 0)."""
    one = first * np.exp(-a * times)
    two = first * a * (np.exp(-a * times) - np.exp(-b * times)) / (b - a)
    return np.column_stack([one, two, first - one - two])


def adaptive(model: sd.Model, times, initial, **options) -> sd.Trajectory:
    return sd.integrate(model, times, initial, method="adaptive", **options)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("pace", [1e-12, 1e12])
def test_units_change_nothing_and_stiffness_does_not_stop_it(size, pace):
    times = TIMES / pace
    found = adaptive(
        CHAIN, times, [size, 0.0, 0.0], parameters={"k1": pace, "k2": 1e5 * pace},
        sensitivities=True,
    )  # fmt: skip
    exact = chain(times, size, pace, 1e5 * pace)
    # each state to its own size
    assert np.allclose(found.states, exact, rtol=1e-6, atol=1e-8 * np.abs(exact).max(axis=0))
    assert found.sensitivities is not None
    assert list(found.sensitivities["by"].values) == ["A", "B", "C", "k1", "k2"]
    by = found.sensitivities.sel(state="A", by="k1").values
    assert np.allclose(by, -times * exact[:, 0], rtol=1e-6)
    by = found.sensitivities.sel(state="C", by="B").values
    assert np.allclose(by, 1.0 - np.exp(-1e5 * TIMES), rtol=1e-6)


def test_each_member_has_its_own_parameters_and_tolerances():
    firsts, rates = np.array([1e-9, 1.0, 1e9]), np.array([0.1, 3.0, 1e4])
    initial = np.column_stack([firsts, np.zeros((3, 2))])
    given = {"k1": rates, "k2": 0.7}
    found = adaptive(CHAIN, TIMES, initial, parameters=given, sensitivities=True)
    assert found.states.dims == ("member", "time", "state")
    assert found.sensitivities is not None
    assert found.sensitivities.dims == ("member", "time", "state", "by")
    for m in range(3):
        exact = chain(TIMES, firsts[m], rates[m], 0.7)
        scale = np.abs(exact).max(axis=0)
        assert np.allclose(found.states[m] / scale, exact / scale, rtol=0, atol=1e-7)
        alone = adaptive(
            CHAIN, TIMES, initial[m], parameters={"k1": rates[m], "k2": 0.7}, sensitivities=True
        )
        assert np.array_equal(alone.states, found.states[m])
        assert np.array_equal(alone.sensitivities, found.sensitivities[m])
    assert np.array_equal(found.parameters["k1"], rates) and found.parameters["k2"] == 0.7
    # an expression of parameters has those of each member
    lost = found.evaluate(k1 * A)
    assert np.allclose(lost, rates[:, None] * found.states.sel(state="A").values)
    options = {"parameters": given, "sensitivities": True}
    one = adaptive(CHAIN, TIMES, initial, threads=1, **options)
    two = adaptive(CHAIN, TIMES, initial, threads=2, **options)
    assert np.array_equal(one.states, two.states) and np.array_equal(one.states, found.states)
    array = adaptive(CHAIN, TIMES, initial[0], parameters=np.array([[0.1, 0.7], [0.2, 0.7]]))
    assert np.allclose(array.states[1], chain(TIMES, 1e-9, 0.2, 0.7), rtol=1e-6, atol=1e-17)


@pytest.mark.usefixtures("uncompiled")
def test_fixed_steps_take_parameters_of_each_member_too():
    rates = np.array([0.1, 0.5, 0.9])
    options = {"method": "rk4", "step": 0.1}

    def run(rates):
        values = {"k1": rates, "k2": 0.7}
        return sd.integrate(CHAIN, TIMES, [1.0, 0.0, 0.0], parameters=values, **options)

    found = run(rates)
    for m in range(3):
        alone = run(rates[m])
        assert np.array_equal(alone.states, found.states[m])


def test_compiled_fixed_steps_take_them_as_well_and_name_who_fails():
    y = sd.state("y")
    model = sd.Model({y: r * y**2}, name="blast")
    with pytest.warns(IntegrationWarning, match="member 1: the solution left finite numbers"):
        values = {"r": [0.1, 0.9, 0.2]}
        found = sd.integrate(model, [0.0, 1.0, 2.0], [1.0], parameters=values, step=0.01)
    assert np.allclose(found.states[[0, 2], -1, 0], 1.0 / (1.0 - 2.0 * np.array([0.1, 0.2])))
    assert np.isnan(found.states[1, -1]).all() and np.isfinite(found.states[1, 1]).all()
    messages = found.states["message"].values.tolist()
    assert messages[0] == messages[2] == "" and "finite" in messages[1]


FORCINGS = {
    "expression": sp.cos(2 * t) + sp.Heaviside(t - 1.3),
    "cubic": sd.Samples(np.linspace(0, 7, 12), np.sin(np.arange(12.0)), "cubic"),
    "linear": sd.Samples(np.linspace(0, 7, 12), np.sin(np.arange(12.0))),
    "hold": sd.Samples([0.0, 0.7, 2.0, 7.0], [1.0, -2.0, 3.0, 0.0], "hold"),
    "pulses": sd.Pulses([0.0, 0.3, 2.0, 7.0], [1.0, 2.0, -1.0, 5.0], "after"),
    "number": 2.5,
}


@pytest.mark.parametrize("name", FORCINGS)
def test_forcing_is_that_of_simulate(name):
    given = {"forcing": {"I": FORCINGS[name]}, "parameters": {"r": 0.8}}
    exact = sd.simulate(DRIVEN, TIMES, [0.4], **given)
    found = adaptive(DRIVEN, TIMES, [0.4], sensitivities=True, **given)
    assert np.allclose(found.states, exact.states, rtol=1e-7, atol=1e-9)
    assert set(found.forcing) == {"I"}
    up, down = (
        sd.simulate(DRIVEN, TIMES, [0.4], **{**given, "parameters": {"r": 0.8 + d}}).states
        for d in (1e-4, -1e-4)
    )
    assert found.sensitivities is not None
    by = found.sensitivities.sel(by="r")
    assert np.allclose(by, (up - down) / 2e-4, rtol=1e-5, atol=1e-6)
    assert np.allclose(found.sensitivities.sel(by="x"), np.exp(-0.8 * TIMES)[:, None], rtol=1e-7)


def test_an_event_maps_states_and_their_slopes():
    model = sd.Model({A: -k1 * A, B: k1 * A - k2 * B}, events={"split": {A: 0.25 * A, B: B + A**2}})
    given = {
        "forcing": {"split": sd.Pulses([0.5, 3.0], 1.0)},
        "parameters": {"k1": 1.0, "k2": 0.3},
    }
    exact = sd.simulate(model, TIMES, [2.0, 1.0], **given)
    found = adaptive(model, TIMES, [2.0, 1.0], sensitivities=True, **given)
    assert np.allclose(found.states, exact.states, rtol=1e-7)
    up, down = (sd.simulate(model, TIMES, [2.0 + d, 1.0], **given).states for d in (1e-4, -1e-4))
    assert found.sensitivities is not None
    assert np.allclose(found.sensitivities.sel(by="A"), (up - down) / 2e-4, rtol=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_without_a_compiler_the_numbers_are_the_same():
    given = {"parameters": {"k1": 1.0, "k2": 50.0}, "sensitivities": True, "rtol": 1e-7}
    with pytest.warns(VirtualMachineWarning, match="SciPy"):
        found = adaptive(CHAIN, TIMES, [2.0, 0.0, 0.0], **given)
    exact = chain(TIMES, 2.0, 1.0, 50.0)
    assert np.allclose(found.states, exact, rtol=1e-5, atol=1e-7)
    assert found.sensitivities is not None
    assert np.allclose(found.sensitivities.sel(state="A", by="k1"), -TIMES * exact[:, 0], rtol=1e-5)


def test_a_parameter_per_step_acts_as_a_forcing():
    w = sd.parameter("w", per="step", start=(0.0, 1.0))
    model = sd.Model({x: w - r * x}, name="steered")
    given = {"w": [1.0, -2.0, 3.0], "r": 0.8}
    exact = sd.simulate(model, TIMES, [0.4], parameters=given)
    found = adaptive(model, TIMES, [0.4], parameters=given)
    assert np.allclose(found.states, exact.states, rtol=1e-7)


def test_one_that_fails_is_nan_from_there_on_and_says_why():
    y = sd.state("y")
    model = sd.Model({y: r * y**2}, name="blast")
    with pytest.warns(IntegrationWarning, match="1 of the members failed. member 1: no step was"):
        found = adaptive(model, [0.0, 1.0, 2.0], [1.0], parameters={"r": [0.1, 0.9]})
    assert np.isnan(found.states[1, 2, 0]) and np.isclose(found.states[1, 1, 0], 10.0)
    assert found.states["message"].values.tolist()[0] == ""
    assert "between t = 1 and 2" in found.states["message"].values[1]
    with pytest.raises(sd.SolveError, match="integrate: no step was short enough between t = 0"):
        adaptive(model, [0.0, 2.0], [1.0], parameters={"r": 0.9})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step": 0.1}, sd.OptionError, "step has no effect with method='adaptive'"),
        ({"method": "rk4", "rtol": 1e-6}, sd.OptionError, "rtol is for method='adaptive'"),
        ({"method": "rk4", "rtol": 1e-6, "atol": 1.0}, sd.OptionError, "rtol, atol are for"),
        ({"method": "rk4", "sensitivities": True}, sd.OptionError, "sensitivities is for"),
        ({"sensitivities": "yes"}, sd.OptionError, "must be True or False, got 'yes'"),
        ({"rtol": 0.0}, sd.OptionError, "rtol"),
        ({"rtol": 1e-15}, sd.OptionError, "between 1e-13"),
        ({"atol": [1.0, -1.0, 1.0]}, sd.OptionError, "atol"),
        ({"atol": [1.0, 1.0]}, sd.OptionError, "atol must have length 3"),
        ({"parameters": {"k1": [1.0, 2.0], "k2": [1.0]}}, sd.DataError, "2 of k1, 1 of k2"),
        ({"parameters": {"k1": [1.0, np.nan], "k2": 1.0}}, sd.DataError, "member 1 is nan"),
        ({"parameters": {"k3": [1.0, 2.0]}}, sd.InputError, "k3"),
        ({"parameters": {"k1": [1.0, 2.0]}}, sd.DataError, "no value for the parameter 'k2'"),
        ({"parameters": np.ones((3, 4))}, sd.DataError, re.escape("(members, 2)")),
        ({"threads": 2}, sd.OptionError, "no effect on a single trajectory"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options, error, message):
    given = {"method": "adaptive", "parameters": {"k1": 1.0, "k2": 2.0}, **options}
    with warnings.catch_warnings(), pytest.raises(error, match=message):
        warnings.simplefilter("error")
        sd.integrate(CHAIN, TIMES, [1.0, 0.0, 0.0], **given)


def test_members_must_be_as_many_of_both():
    with pytest.raises(sd.DataError, match="2 initial states and 3 values of the parameter 'k1'"):
        adaptive(CHAIN, TIMES, np.ones((2, 3)), parameters={"k1": [1.0, 2.0, 3.0], "k2": 1.0})


def test_a_single_time_is_the_first_state():
    found = adaptive(
        CHAIN, [2.0], [1.0, 2.0, 3.0], parameters={"k1": 1.0, "k2": 2.0}, sensitivities=True
    )
    assert found.states.values.tolist() == [[1.0, 2.0, 3.0]]
    assert np.array_equal(found.sensitivities[0], np.eye(3, 5))


def test_more_than_memory_holds_is_refused():
    many = {"k1": np.ones(2_000_000), "k2": 1.0}
    with pytest.raises(sd.OptionError, match="2000000 members at 101 stops are"):
        adaptive(CHAIN, np.arange(101.0), [1.0, 0.0, 0.0], parameters=many, sensitivities=True)


def test_a_step_map_has_no_adaptive_steps():
    with pytest.raises(sd.OptionError, match=r"step_map: .* take sd\.integrate"):
        sd.step_map(CHAIN, "adaptive")


def test_a_map_is_sent_to_simulate():
    with pytest.raises(sd.OptionError, match=r"sd\.simulate"):
        adaptive(sd.models.henon(), [0.0, 1.0], [0.0, 0.0])


def test_the_example_finds_its_rates(capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "simulation.py"))
    script["main"]()
    assert "2 rates" in capsys.readouterr().out
    start = {"loose": 100.0, "turn": 1.0}
    found, errors, _ = script["fit"](script["measure"](), start)
    for (name, value), error in zip(found.items(), errors, strict=True):
        assert abs(np.log(value / script["TRUE"][name])) < 3.0 * error
    assert np.isfinite(script["ensemble"]().states.values).all()
