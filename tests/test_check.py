"""The preflight: sizes by hand, and each warning from a problem that deserves it and no other."""

from __future__ import annotations

import math

import api_cases as cases
import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.api.check import check
from symda.api.preflight import reachable

T = np.linspace(0.0, 2.0, 21)


def chain() -> tuple[sd.Action, tuple[sd.declare.State, ...]]:
    """Three states a <- b <- c, and d that listens to a but tells nobody; each has a parameter."""
    x = sd.states("a b c d", start=(-2.0, 2.0))
    a, b, c, d = x
    p, q, r, s = sd.parameters("p q r s", start=(0.1, 1.0))
    model = sd.Model({a: b - p * a, b: c - q * b, c: -r * c, d: a - s * d}, name="chain")
    return sd.Action(model, [a], scheme="euler"), x


def oscillator(**declared: object) -> sd.Action:
    q, p = sd.states("q p", **declared)
    return sd.Action(sd.Model({q: p, p: -q}, name="oscillator"), [q], scheme="euler")


def cosine(amplitude: float = 1.0, noise: float = 0.1) -> sd.Observations:
    return sd.Observations(T, amplitude * np.cos(3 * T), variance=noise**2)


def test_sizes_of_lorenz96() -> None:
    _, data = cases.experiment()
    found = cases.action().check(data, steps=2)
    assert (found.N, found.M, found.D, found.P, found.L, found.T) == (80, 81, 5, 1, 3, 41)
    assert (found.free, found.data_count, found.unknowns) == (1, 123, 406)
    assert found.times == (0.0, pytest.approx(0.8))
    assert found.steps == pytest.approx((0.01, 0.01))
    assert found.path_bytes == 81 * 5 * 8
    assert found.keep_all_bytes == 81 * 5 * 8 * 100 * 15
    # blocks on the diagonal (the last one diagonal itself) and on both sides, a border of nu
    assert found.hessian_nonzeros == 80 * 25 + 5 + 2 * 80 * 25 + 2 * 405 + 1
    assert found.kernels == "compiled"
    assert 0.0 < found.evaluation_seconds < found.path_seconds
    assert found.ok
    assert found.warnings == ()


def test_the_text_says_it_all() -> None:
    _, data = cases.experiment()
    lines = str(cases.action().check(data)).splitlines()
    assert lines[0] == (
        "lorenz96, scheme rk4: D = 5 states, P = 1 parameters (1 free), L = 3 measured channels"
    )
    assert lines[1] == "grid: N = 40 steps of 0.02, M = 41 points, t = 0 .. 0.8"
    assert lines[2] == "data: 123 values at T = 41 times, for 206 unknowns"
    assert lines[3].startswith("memory: path 1.64 kB, Hessian ")
    assert "an estimate" in lines[5]
    low, high = data.values[:, 1].min(), data.values[:, 1].max()
    assert f"channel x2: {low:.6g} .. {high:.6g}, noise sd 0.316" in lines
    assert lines[-1] == "nothing looks wrong"


def test_uneven_steps_and_gaps() -> None:
    action = oscillator(start=(-2.0, 2.0))
    values = np.cos([0.0, 0.1, 0.5, 1.0])
    values[1] = math.nan
    found = action.check(sd.Observations([0.0, 0.1, 0.5, 1.0], values, variance=1e-4))
    assert (found.T, found.data_count) == (3, 3)
    assert "N = 3 steps of 0.1 .. 0.5" in str(found)


def test_averaging_does_not_change_the_noise() -> None:
    model, x = cases.lorenz96()
    action = sd.Action(model, [x[0], x[2], x[3]], scheme="rk4", averaging="eq14")
    found = action.check(cases.experiment()[1])
    assert [channel.noise for channel in found.channels] == pytest.approx([math.sqrt(0.1)] * 3)


def test_what_can_be_seen_follows_the_equations() -> None:
    action, _ = chain()
    seen, constrained = reachable(action.field)
    assert seen.tolist() == [True, True, True, False]
    names = [p.name for p in action.parameters]
    assert dict(zip(names, constrained.tolist(), strict=True)) == {
        "p": True,
        "q": True,
        "r": True,
        "s": False,
    }


@pytest.mark.parametrize(
    ("measured", "unseen", "unconstrained"),
    [("a", "d", "s"), ("b", "ad", "ps"), ("c", "abd", "pqs"), ("d", "", "")],
)
def test_each_choice_of_measurement(measured: str, unseen: str, unconstrained: str) -> None:
    action, x = chain()
    state = next(state for state in x if state.name == measured)
    seen, constrained = reachable(sd.Action(action.model, [state]).field)
    names = [p.name for p in action.parameters]
    assert "".join(s.name for s, found in zip(x, seen, strict=True) if not found) == unseen
    assert sorted(n for n, f in zip(names, constrained, strict=True) if not f) == sorted(
        unconstrained
    )


def test_parameters_of_a_measured_expression_are_constrained() -> None:
    x, y = sd.states("x y", start=(-1.0, 1.0))
    gain, k = sd.parameters("gain k", start=(0.5, 2.0))
    action = sd.Action(sd.Model({x: -x, y: -k * y}, name="pair"), {"signal": gain * x})
    seen, constrained = reachable(action.field)
    assert seen.tolist() == [True, False]
    assert {p.name: bool(c) for p, c in zip(action.parameters, constrained, strict=True)} == {
        "k": False,
        "gain": True,
    }


def test_unseen_states_and_unconstrained_parameters_are_named() -> None:
    action, _ = chain()
    data = sd.Observations(T, 1.5 * np.cos(3 * T), variance=1e-2)
    found = action.check(data)
    assert (found.unseen, found.unconstrained) == (("d",), ("s",))
    assert found.warnings == (
        "no measurement can see the state d: nothing measured depends on that, directly or through "
        "other equations. Measure something that does, or leave it out of the model.",
        "nothing constrains the parameter s: no measured quantity and no equation of a state that "
        "is seen uses it. Fix it with fixed={...}.",
    )
    assert not found.ok
    assert str(found).splitlines()[-2].startswith("warning: no measurement can see the state d")
    fixed = action.check(data, fixed={"s": 0.5})
    assert fixed.unconstrained == ()
    assert len(fixed.warnings) == 1


def test_fewer_data_than_unknowns() -> None:
    action, _ = chain()
    found = action.check(sd.Observations([0.0, 1.0], [1.0, 0.5], variance=0.1), fixed={"s": 1.0})
    assert (
        "fewer data than fitted quantities: 2 measured values for 4 states at the start and 3 free "
        "parameters. Measure more, or fix parameters." in found.warnings
    )


def test_a_good_problem_has_no_warning() -> None:
    assert oscillator(start=(-2.0, 2.0)).check(cosine()).warnings == ()


def test_a_signal_below_its_noise() -> None:
    found = oscillator(start=(-2.0, 2.0)).check(cosine(noise=1.0))
    (warning,) = found.warnings
    assert warning.startswith(
        "channel q: the signal is smaller than its noise: the data vary with a standard deviation "
        "of 0.7"
    )
    assert "the declared noise with 1." in warning


def test_data_outside_the_start_range() -> None:
    found = oscillator(start=(-0.2, 0.2)).check(cosine())
    (warning,) = found.warnings
    share = 100 * np.mean(np.abs(np.cos(3 * T)) > 0.2)
    assert warning.startswith(f"channel q: {share:.0f} % of the data, which go from -0.9")
    assert "lie outside the start range (-0.2, 0.2) of the state q." in warning


@pytest.mark.parametrize(("amplitude", "warned"), [(1.25, False), (1.35, True)])
def test_data_outside_the_bounds_by_more_than_noise(amplitude: float, warned: bool) -> None:
    found = oscillator(bounds=(-1.0, 1.0)).check(cosine(amplitude))
    # what lies within three deviations of the noise is outside the start range only
    (warning,) = found.warnings
    assert ("lie outside the bounds (-1, 1) of the state q" in warning) is warned
    assert ("lie outside the start range (-1, 1) of the state q" in warning) is not warned


def test_a_start_range_far_from_the_typical_size() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    k = sd.parameter("k", start=(0.0, 1e-4), typical=1.0)
    action = sd.Action(sd.Model({x: -k * x}, name="slow"), [x], scheme="euler")
    found = action.check(cosine())
    assert found.warnings == (
        "parameter k: the start range (0, 0.0001) is far from its typical size 1. Check units, "
        "start= and typical=.",
    )
    assert action.check(cosine(), fixed={"k": 0.5}).ok


def test_an_equation_that_cannot_be_evaluated_at_the_start() -> None:
    x, y = sd.states("x y", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: sp.log(y), y: -y}, name="logarithm"), [x], scheme="euler")
    found = action.check(cosine())
    assert any("is not finite at a random start" in warning for warning in found.warnings)


def test_one_state_measured_once() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    action = sd.Action(sd.Model({x: -x}, name="decay"), [x], scheme="euler")
    problem = action.bind(sd.Observations([1.0], [0.5], variance=0.1), start=0.0)
    found = check(action.specification, problem)
    assert (found.N, found.D, found.P, found.T, found.data_count) == (1, 1, 0, 1, 1)
    assert found.warnings == ()


def test_a_wrong_option_is_bind_s_to_refuse() -> None:
    with pytest.raises(sd.OptionError, match="steps"):
        cases.action().check(cases.experiment()[1], steps=0)


def test_a_channel_without_data_counts_for_nothing() -> None:
    """One action of all channels and data of some: the action of those some, to the last digit."""
    x = sd.states("x", 5, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % 5] - x[a - 2]) - x[a] + nu for a in range(5)}, name="ring"
    )
    every, some = sd.Action(model, list(x)), sd.Action(model, [x[0], x[2]])
    _, data = sd.twin(every, parameters={"nu": 8.0}, dt=0.025, steps=30, variance=0.2, seed=1)
    gappy = data.values.copy()
    gappy[:, [1, 3, 4]] = np.nan
    wide = sd.Observations(data.times, gappy, variance=0.2)
    narrow = sd.Observations(data.times, data.values[:, [0, 2]], variance=0.2)

    report = every.check(wide)
    assert "channel x1: every value is nan" in str(report)
    for solver in ("ipopt", "newton"):
        a, b = (
            sd.anneal(
                action,
                given,
                ladder=sd.Ladder(0.1, 10.0, 4),
                paths=2,
                solver=solver,
                executor="serial",
                progress=False,
            )
            for action, given in ((every, wide), (some, narrow))
        )
        np.testing.assert_allclose(a.levels, b.levels, rtol=1e-9)
        assert a.chi_squared() == b.chi_squared()
    assert "nan" not in a.table().to_string()
