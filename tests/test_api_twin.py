"""Twin experiments: the truth is a solution, the noise is what was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import symda as sd
from symda.errors import InputError


def oscillator(measured: str = "q") -> sd.Action:
    q, p = sd.states("q p", start=(-1.0, 1.0))
    channels = {"q": [q], "p": [p], "both": [q, p], "energy": {"energy": q**2 + p**2, "q": q}}
    return sd.Action(sd.Model({q: p, p: -q}, name="oscillator"), channels[measured])


def still() -> sd.Action:
    """A map that stays where it is: all that varies is noise."""
    x, y = sd.states("x y", start=(0.0, 1.0))
    model = sd.Model({x: x, y: y}, name="still", discrete=True)
    return sd.Action(model, [x, y])


def twin(action: sd.Action, **options: object) -> tuple[sd.Trajectory, sd.Observations]:
    return sd.twin(action, **({"dt": 0.1, "steps": 20, "variance": 0.5, "seed": 7} | options))


def test_the_truth_is_the_solution_at_every_step() -> None:
    truth, data = twin(oscillator(), initial=[1.0, 0.0])
    t = 0.1 * np.arange(21)
    np.testing.assert_allclose(truth.states.sel(state="q"), np.cos(t), atol=1e-9)
    np.testing.assert_array_equal(data.times, truth.times)
    assert data.channels == ("q",)
    np.testing.assert_array_equal(data.variance, np.full((21, 1), 0.5))


def test_the_truth_does_not_depend_on_what_is_measured_nor_the_noise_on_other_channels() -> None:
    one, q = twin(oscillator("q"))
    two, both = twin(oscillator("both"))
    _, p = twin(oscillator("p"), variance=2.0)
    np.testing.assert_array_equal(one.states.values, two.states.values)
    np.testing.assert_array_equal(q.values[:, 0], both.values[:, 0])
    momentum = two.states.sel(state="p").values
    np.testing.assert_allclose(
        p.values[:, 0] - momentum, 2 * (both.values[:, 1] - momentum), atol=1e-12
    )


def test_a_seed_is_a_truth_and_its_noise() -> None:
    first, again, other = (twin(oscillator(), seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[1].values, again[1].values)
    assert np.abs(first[0].states.values - other[0].states.values).min() > 1e-3
    initial = first[0].states.values[0]
    assert np.all((initial >= -1.0) & (initial <= 1.0))


def test_noise_has_the_mean_and_variance_asked_for() -> None:
    truth, data = twin(still(), dt=1.0, steps=3999, variance=[0.5, 9.0])
    noise = data.values - truth.states.values
    n = len(noise)
    for column, sigma2 in zip(noise.T, (0.5, 9.0), strict=True):
        assert abs(column.mean()) < 5 * math.sqrt(sigma2 / n)
        assert abs(column.var() - sigma2) < 5 * sigma2 * math.sqrt(2 / n)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 5 / math.sqrt(n)
    assert abs(np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1]) < 5 / math.sqrt(n)


def test_every_thins_the_data_and_leaves_truth_and_noise_alone() -> None:
    truth, all_of_them = twin(oscillator())
    same, some = twin(oscillator(), every=5)
    np.testing.assert_array_equal(truth.states.values, same.states.values)
    np.testing.assert_array_equal(some.times, truth.times[::5])
    np.testing.assert_array_equal(some.values, all_of_them.values[::5])


def test_discard_is_time_before_zero() -> None:
    truth, _ = twin(oscillator(), initial={"q": 1.0, "p": 0.0}, discard=2.5)
    assert truth.times[0] == 0.0
    np.testing.assert_allclose(truth.states.values[0], [np.cos(2.5), -np.sin(2.5)], atol=1e-6)


def test_discard_of_a_map_counts_steps() -> None:
    x = sd.state("x", start=(0.0, 1.0))
    action = sd.Action(sd.Model({x: 2 * x}, name="double", discrete=True), [x])
    truth, _ = twin(action, dt=1.0, steps=2, initial=[1.0], discard=3)
    assert truth.states.values[:, 0].tolist() == [8.0, 16.0, 32.0]


def test_expressions_are_measured() -> None:
    truth, data = twin(oscillator("energy"), variance=[1e-30, 0.25])
    q, p = truth.states.values.T
    assert data.channels == ("energy", "q")
    np.testing.assert_allclose(data.values[:, 0], q**2 + p**2, rtol=1e-13)
    np.testing.assert_array_equal(data.variance, np.tile([1e-30, 0.25], (21, 1)))
    assert np.abs(data.values[:, 1] - q).max() > 0.1


@pytest.mark.parametrize("kind", ["values", "expression"])
def test_forcing_drives_the_truth_and_goes_with_the_data(kind: str) -> None:
    x, t = sd.state("x", start=(0.0, 1.0)), sd.time("t")
    I = sd.forcing("I")
    action = sd.Action(sd.Model({x: I}, name="driven"), [x])
    given = 0.1 * np.arange(21) if kind == "values" else t
    truth, data = twin(action, initial=[0.0], forcing={"I": given})
    np.testing.assert_allclose(truth.states.values[:, 0], truth.times**2 / 2, atol=1e-9)
    assert set(data.forcing) == {"I"}
    # RK4 integrates a ramp without error
    residual = action.compile().residual(truth.states, [], data)
    assert np.abs(residual).max() < 1e-9


def driven() -> sd.Action:
    x, k, u = sd.state("x", start=(0.0, 1.0)), sd.parameter("k"), sd.forcing("u")
    return sd.Action(sd.Model({x: -k * x + u}, name="driven"), [x])


def test_the_truth_sees_a_pulse_of_the_forcing() -> None:
    samples = sd.Samples([0.0, 5.0, 5.2, 10.0], [0.0, 1.0, 0.0, 0.0], "hold")
    truth, data = twin(
        driven(), steps=100, initial=[0.0], parameters={"k": 1.0}, forcing={"u": samples}
    )
    assert float(truth.states.max()) == pytest.approx(1 - math.exp(-0.2), abs=1e-9)
    assert data.forcing["u"] is samples


def test_discard_sees_the_forcing_before_time_zero() -> None:
    import sympy as sp

    options = {"initial": [0.0], "parameters": {"k": 0.0}, "discard": 100.0}
    samples = sd.Samples([-100.0, -50.1, -50.0, -49.9, 2.0], [0.0, 0.0, 1.0, 0.0, 0.0])
    truth, _ = twin(driven(), forcing={"u": samples}, **options)
    np.testing.assert_allclose(truth.states.values, 0.1, atol=1e-9)
    t = sd.time("t")
    bump = 2 / (sp.exp(4 * (t + 50)) + sp.exp(-4 * (50 + t)))
    truth, _ = twin(driven(), forcing={"u": bump}, **options)
    np.testing.assert_allclose(truth.states.values, math.pi / 4, atol=1e-6)


@pytest.mark.parametrize("kind", ["map", "flow"])
def test_discard_needs_samples_that_reach_back(kind: str) -> None:
    x, u = sd.state("x", start=(0.0, 1.0)), sd.forcing("u")
    model = sd.Model({x: x / 2 + u}, name="driven", discrete=kind == "map")
    with pytest.raises(sd.DataError) as error:
        twin(sd.Action(model, [x]), dt=1.0, discard=20, forcing={"u": np.ones(21)})
    assert str(error.value) == (
        "twin: discard=20 needs the forcing 'u' from time -20 on, but its samples begin at 0; "
        "pass (times, values) covering it, or discard=0."
    )
    covering = (np.arange(-20.0, 21.0), np.ones(41))
    truth, _ = twin(sd.Action(model, [x]), dt=1.0, discard=20, forcing={"u": covering})
    if kind == "map":  # halfway to 2 each step
        np.testing.assert_allclose(truth.states.values, 2.0, atol=1e-5)


def test_whole_numbers_may_come_as_numpy_or_float() -> None:
    _, data = twin(oscillator())
    _, same = twin(oscillator(), steps=20.0, seed=np.int64(7), every=np.float64(1))
    np.testing.assert_array_equal(data.values, same.values)
    _, far = twin(oscillator(), seed=2**60 + 1)
    _, near = twin(oscillator(), seed=2**60)
    assert np.abs(far.values - near.values).max() > 1e-3


WEIGHT = "pass the variance the data should be weighted with; for exact data take simulate"

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "dt": (
        lambda: twin(oscillator(), dt=0.0),
        "twin: dt must be a positive number, got 0.0; e.g. dt=0.01.",
    ),
    "dt nan": (
        lambda: twin(oscillator(), dt=math.nan),
        "twin: dt must be a positive number, got nan; e.g. dt=0.01.",
    ),
    "dt is text": (
        lambda: twin(oscillator(), dt="0.1"),
        "twin: dt must be a positive number, got '0.1'; e.g. dt=0.01.",
    ),
    "dt of a map": (
        lambda: twin(still(), dt=0.1),
        "twin: dt of a map must be a whole number of at least 1, got 0.1; e.g. dt=1.",
    ),
    "discard of a map": (
        lambda: twin(still(), dt=1, discard=2.5),
        "twin: discard of a map must be a whole number of at least 0, got 2.5; discard=0 keeps "
        "everything.",
    ),
    "steps": (
        lambda: twin(oscillator(), steps=0),
        "twin: steps must be a whole number of at least 1, got 0; e.g. steps=100.",
    ),
    "steps is text": (
        lambda: twin(oscillator(), steps="5"),
        "twin: steps must be a whole number of at least 1, got '5'; e.g. steps=100.",
    ),
    "every is a fraction": (
        lambda: twin(oscillator(), every=2.5),
        "twin: every must be a whole number of at least 1, got 2.5; e.g. every=1.",
    ),
    "seed is text": (
        lambda: twin(oscillator(), seed="a"),
        "twin: seed must be a whole number of at least 0, got 'a'; e.g. seed=0.",
    ),
    "seed is negative": (
        lambda: twin(oscillator(), seed=-1),
        "twin: seed must be a whole number of at least 0, got -1; e.g. seed=0.",
    ),
    "method": (
        lambda: twin(oscillator(), method="lsoda"),
        "twin: method must be one of RK23, RK45, DOP853, Radau, BDF, LSODA, got 'lsoda'. "
        "Did you mean 'LSODA'?",
    ),
    "parameter is nan": (
        lambda: sd.twin(
            driven(), dt=0.1, steps=5, variance=1.0, seed=0, parameters={"k": math.nan}
        ),
        "twin: parameters['k'] must be a finite number, got nan; pass numbers, or a mapping of "
        "names to numbers.",
    ),
    "initial": (
        lambda: twin(oscillator(), initial=[1.0, math.inf]),
        "twin: initial['p'] must be a finite number, got inf; pass numbers, or a mapping such as "
        "initial={'q': 0.0}.",
    ),
    "not an action": (
        lambda: twin(oscillator().model),
        "twin: the first argument is a symda.Action, got EquationModel; make one with "
        "sd.Action(model, measured).",
    ),
    "every": (
        lambda: twin(oscillator(), every=3),
        "twin: every must divide steps = 20, got 3; choose e.g. every=1.",
    ),
    "discard": (
        lambda: twin(oscillator(), discard=-1.0),
        "twin: discard must be a non-negative number, got -1.0; discard=0 keeps everything.",
    ),
    "variance": (
        lambda: twin(oscillator(), variance=-0.2),
        f"twin: variance['q'] must be a positive number, got -0.2; {WEIGHT}.",
    ),
    "variance zero": (
        lambda: twin(oscillator("both"), variance=[0.5, 0.0]),
        f"twin: variance['p'] must be a positive number, got 0.0; {WEIGHT}.",
    ),
    "variance is text": (
        lambda: twin(oscillator(), variance="a"),
        f"twin: variance['q'] must be a positive number, got 'a'; {WEIGHT}.",
    ),
    "length of variance": (
        lambda: twin(oscillator("both"), variance=[0.5]),
        f"twin: variance must have length 2, one for each of q, p; got 1 values: {WEIGHT}.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name: str) -> None:
    do, message = MISTAKES[name]
    with pytest.raises(InputError) as error:
        do()
    assert str(error.value) == message


def test_a_state_without_a_range_has_no_random_initial_value() -> None:
    x = sd.state("x", bounds=(0.0, math.inf))
    action = sd.Action(sd.Model({x: -x}, name="decay"), [x])
    with pytest.raises(sd.OptionError) as error:
        twin(action)
    assert str(error.value) == (
        "twin: no initial value for the state 'x': it has no start range to draw from. "
        "Pass initial=, or declare the states with start=(low, high)."
    )


def test_noise_of_its_own_beside_a_control_and_a_scale(uncompiled) -> None:
    """What is drawn follows the measured quantity, not the control's channel."""
    x, c = sd.state("x", start=(0.1, 2.0)), sd.control("c", cost=1.0)
    k = sd.parameter("k", bounds=(0.01, 10.0), scale="log")
    s = sd.parameter("s", bounds=(1e-6, 1.0))
    action = sd.Action(sd.Model({x: c - k * x}), {"x": sd.Normal(x, s)})
    truth = {"k": 0.5, "s": 1e-5, "c": 0.0}
    _, data = sd.twin(action, parameters=truth, steps=8, dt=0.5, seed=1, initial={"x": 1.0})
    assert np.abs(data.values[:, 0] - np.exp(-0.5 * data.times)).max() < 1e-3


@pytest.mark.parametrize("variance", [[[1, 2], [3]], [[1.0, 2.0], np.zeros((2, 2))]])
def test_a_ragged_variance_is_named(variance) -> None:
    x = sd.state("x", start=(0.1, 2.0))
    action = sd.Action(sd.Model({x: -x}), [x])
    with pytest.raises(InputError, match="twin: variance"):
        sd.twin(action, parameters={}, steps=2, dt=0.5, variance=variance, seed=1)
