"""The judgement of a run: consistent is said of solutions only, and what is wrong is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares

import symda as sd
from symda.analyse import assessment
from symda.analyse.assessment import Shift
from symda.analyse.judge import percent
from symda.analyse.verdict import _matters
from symda.api.preflight import ProblemWarning
from symda.errors import DataError

QUIET = {"progress": False, "solver": "newton"}


pytestmark = pytest.mark.usefixtures("uncompiled")


def decay(**bounds: tuple[float, float]) -> tuple[sd.Action, sd.State]:
    x = sd.state("x", **(bounds or {"bounds": (-5.0, 20.0)}))
    k = sd.parameter("k", bounds=(0.0, 10.0))
    return sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="rk4"), x


def noisy_decay(count: int = 51, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0.0, 5.0, count)
    noise = 0.01 * np.random.default_rng(0).standard_normal(count)
    return t, size * (np.exp(-t) + noise)


def fit_of_decay(t: np.ndarray, y: np.ndarray, sd_of_noise: float) -> tuple[float, float, float]:
    """k, its standard deviation, and half of chi-squared: SciPy's fit of x0 exp(-k t)."""
    size = np.abs(y).max()
    found = least_squares(
        lambda p: (size * p[0] * np.exp(-p[1] * t) - y) / sd_of_noise, [1.0, 0.8], xtol=1e-14
    )
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    return float(found.x[1]), float(np.sqrt(covariance[1, 1])), float(found.cost)


@pytest.mark.parametrize("upper", [1.0, 1e-6, 1e30])
def test_a_solution_is_consistent_and_its_error_bars_are_those_of_a_fit(upper: float) -> None:
    """Whatever the box: a state of size 1e-8 is far from bounds 0 and 1, and not held by them."""
    t, y = noisy_decay(size=1e-8)
    action, _ = decay(bounds=(0.0, upper), start=(0.0, 1e-7))
    data = sd.Observations(t, y, variance=1e-20)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1e18, 4.0, 14), **QUIET)
    k, sd_of_k, cost = fit_of_decay(t, y, 1e-10)
    assert run.best.parameters["k"] == pytest.approx(k, rel=1e-3)
    assert run.best.action == pytest.approx(cost, rel=1e-3)
    table = action.posterior(run, data).table()
    assert table["sd"]["k"] == pytest.approx(sd_of_k, rel=0.01)
    assert dict(assessment(run.dataset).sds)["k"] == pytest.approx(sd_of_k, rel=0.01)
    assert run.verdict().consistent, run.summary()
    assert str(run.verdict()).startswith("consistent with the data: ")
    assert "  scheme, yes: " in run.summary()


def test_a_minimum_of_too_long_steps_is_called_one_and_a_number_is_proposed() -> None:
    """By rk4 a step of h k = 2.456 shrinks a decay as much as one of 0.5."""
    t = np.arange(0.0, 13.0)
    y = 10.0 * np.exp(-0.5 * t) + 0.05 * np.random.default_rng(0).standard_normal(13)
    x, k = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0, 10), start=(2.4, 2.5))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="rk4")
    data = sd.Observations(t, y, variance=0.0025)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 9), **QUIET)
    assert run.best.parameters["k"] == pytest.approx(2.456, abs=0.02)
    verdict = run.verdict()
    assert not verdict.consistent and verdict.first.about == "scheme"
    assert "times as many steps" in verdict.first.text and verdict.mood == "bad"
    chi = {finding.about: finding.holds for finding in verdict.findings}["chi-squared"]
    assert chi, "the data term alone would have called it good"


@pytest.mark.parametrize("scheme", ["trapezoid", "midpoint"])
def test_data_no_solution_can_follow_are_not_consistent(scheme: str) -> None:
    """Every solution of an equation of one state is monotone; these data alternate."""
    x, (la, lb) = sd.state("x", start=(0.5, 1.5)), sd.parameters("la lb", bounds=(-3.0, 4.0))
    action = sd.Action(sd.Model({x: 10**la * x**2 - 10**lb * x}, name="growth"), [x], scheme=scheme)
    y = 1.0 + 0.1 * (-1.0) ** np.arange(20) + 0.02 * np.random.default_rng(0).normal(size=20)
    data = sd.Observations(np.arange(0.0, 20.0), y, variance=4e-4)
    run = sd.anneal(action, data, paths=8, ladder=sd.Ladder(1.0, 4.0, 14), **QUIET)
    assert not run.verdict().consistent


def test_a_wrong_model_is_not_saved_by_its_errors() -> None:
    """A decay fitted to a sine at a middle Rf: the data term is small, the model term is not."""
    t = np.linspace(0.0, 10.0, 51)
    y = np.sin(t) + 0.1 * np.random.default_rng(0).standard_normal(51)
    action, _ = decay(bounds=(-5.0, 5.0))
    data = sd.Observations(t, y, variance=0.01)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(0.01, 2.0, 16), **QUIET)
    judged = run.chi_squared()
    # the measurement term by itself lies where chi-squared expects the whole
    assert judged.low < judged.measurement < judged.high < judged.value
    assert "the model's errors are" in judged.verdict
    verdict = run.verdict()
    assert not verdict.consistent and verdict.mood == "bad"
    assert {f.about for f in verdict.findings if f.holds is False} >= {"solution", "chi-squared"}


def test_minima_of_equal_action_are_two_levels() -> None:
    """x' = a^2 - x has minima at a = 1 and a = -1: their mean is no answer."""
    x, a = sd.state("x", start=(-2.0, 2.0)), sd.parameter("a", bounds=(-3.0, 3.0))
    action = sd.Action(sd.Model({x: a**2 - x}, name="mirror"), [x], scheme="rk4")
    t = np.linspace(0.0, 4.0, 21)
    data = sd.Observations(t, 1.0 - np.exp(-t), variance=1e-4)
    run = sd.anneal(action, data, paths=8, ladder=sd.Ladder(1.0, 4.0, 10), **QUIET)
    table = run.table()
    assert len(table) == 2 and sorted(table["a"].round(3)) == [-1.0, 1.0]
    assert set(run.dataset["place"].values) == {0, 1}
    level = next(f for f in run.verdict().findings if f.about == "level")
    assert level.holds is False and level.text.startswith("2 different minima")
    assert table.attrs["verdict"] == str(run.verdict())


def test_a_parameter_on_its_bound_is_mentioned_everywhere(tmp_path: Path) -> None:
    t = np.linspace(0.0, 4.0, 41)
    x, k = sd.state("x", start=(-5.0, 5.0)), sd.parameter("k", bounds=(0.0, 0.9))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="rk4")
    data = sd.Observations(t, np.exp(-t), variance=1e-2)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 4.0, 10), **QUIET)
    assert "parameter k = 0.9, on a bound (" in run.summary()
    finding = next(f for f in run.verdict().findings if f.about == "bounds")
    assert finding.holds is False and "the parameter k" in finding.text
    assert "the parameter k" in run.report(tmp_path / "run.md").read_text()
    # a fit of the initial state alone: k is not among what was fitted
    assert run.chi_squared().p == 1


def test_failed_paths_are_not_finished() -> None:
    x, y = sd.states("x y", start=(-2.0, 2.0))
    model = sd.Model({x: y, y: -x + y * (1 - x**2) / 5}, name="vdp")
    action = sd.Action(model, [x], scheme="rk4")
    _, data = sd.twin(action, dt=0.2, steps=40, variance=1e-2, seed=0, initial=[1.0, 0.0])
    ladder = sd.Ladder(1e-2, 1e90, 4)
    with pytest.warns(ProblemWarning, match="doubles have 16 digits"):
        run = sd.anneal(action, data, paths=2, ladder=ladder, **QUIET)
    assert "paths: 0 of 2 finished, 2 failed at rung" in run.summary()
    assert str(run.verdict()).startswith("not consistent (minimum): no path reached the end")


def test_starts_that_do_not_differ_are_no_attempts() -> None:
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    start = (np.exp(-t)[:, None], {"k": 1.0})
    run = sd.anneal(action, data, paths=3, start=start, ladder=sd.Ladder(1.0, 8.0, 8), **QUIET)
    level = next(f for f in run.verdict().findings if f.about == "level")
    assert level.holds is False and "all attempts started at one point" in level.text
    once = sd.anneal(action, data, paths=1, ladder=sd.Ladder(1.0, 8.0, 8), **QUIET)
    assert not once.verdict().consistent and once.verdict().first.about == "level"


def test_a_low_last_rung_is_not_the_answer() -> None:
    """Where Rf ends low the model's errors have fitted the noise."""
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 4.0, 3), **QUIET)
    assert run.chi_squared().value < run.chi_squared().low
    verdict = run.verdict()
    assert not verdict.consistent and verdict.first.about == "chi-squared"
    assert "since Rf is low" in verdict.first.text
    solution = next(f for f in verdict.findings if f.about == "solution")
    assert not solution.holds and "end the ladder later" in solution.text


def test_states_that_nothing_sees_are_named_and_change_no_error_bar() -> None:
    """A second oscillator, driven by the first and never measured, tells nothing of it."""
    x, v, z, w = sd.states("x v z w", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.1, 5.0))
    first = {x: v, v: -k * x}
    both = sd.Model({**first, z: w, w: -3 * k * z + x}, name="two")
    actions = [sd.Action(m, [x], scheme="rk4") for m in (sd.Model(first, name="one"), both)]
    t = np.linspace(0.0, 6.0, 31)
    y = np.cos(t) + 0.05 * np.random.default_rng(1).standard_normal(31)
    data = sd.Observations(t, y, variance=0.0025)
    sds = []
    for action in actions:
        run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
        sds.append(action.posterior(run, data))
    assert sds[1].sd["k"] == pytest.approx(sds[0].sd["k"], rel=1e-4)
    assert sds[1].unseen == ("z", "w") and sds[0].unseen == ()
    finding = next(f for f in run.verdict().findings if f.about == "determined")
    assert finding.holds is False and "the state z, the state w" in finding.text
    with pytest.warns(ProblemWarning, match="no measurement can see the states z, w"):
        sd.anneal(actions[1], data, paths=1, ladder=sd.Ladder(rungs=1), **QUIET)


def test_a_loaded_run_is_judged_as_before(tmp_path: Path) -> None:
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 9), **QUIET)
    loaded = sd.load(run.save(tmp_path / "run.nc"))
    assert loaded.verdict() == run.verdict() and loaded.summary() == run.summary()
    old = sd.Run(loaded.dataset.drop_vars("place").drop_attrs(deep=False))
    old.dataset.attrs.update({k: v for k, v in run.dataset.attrs.items() if k != "assessment"})
    assert str(old.verdict()).startswith("not certain (minimum): the run has no assessment")
    broken = sd.Run(run.dataset.assign_attrs(assessment=json.dumps({"path": 0})))
    with pytest.raises(DataError, match="none that `anneal` writes"):
        broken.verdict()


def test_jumps_that_the_path_meets_are_named() -> None:
    """Friction: derivatives do not see where the motion ends."""
    import sympy as sp

    x, k = sd.state("x", start=(-2.0, 2.0)), sd.parameter("k", bounds=(0.1, 3.0))
    action = sd.Action(sd.Model({x: -k * sp.sign(x)}, name="friction"), [x], scheme="rk4")
    t = np.linspace(0.0, 4.0, 41)
    y = np.maximum(1.5 - t, 0.0) + 0.05 * np.random.default_rng(0).standard_normal(41)
    data = sd.Observations(t, y, variance=0.0025)
    run = sd.anneal(action, data, paths=4, ladder=sd.Ladder(1.0, 4.0, 12), **QUIET)
    assert not run.verdict().consistent
    finding = next(f for f in run.verdict().findings if f.about == "smooth")
    assert "the equation of x jumps where x = 0, by sign(x)" in finding.text


def test_what_the_time_limit_cuts_short_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that was not finished, extended by the model's forecast, can be looked at."""
    # the function `anneal` hides the package of that name
    module = sys.modules["symda.anneal.strategies.window"]
    monkeypatch.setattr(module, "finished", lambda job, found: False)
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(
        action,
        data,
        paths=2,
        strategy=sd.Window(samples=15),
        ladder=sd.Ladder(1.0, 8.0, 8),
        executor="serial",
        **QUIET,
    )
    best = run.best
    assert best.states.shape == (51, 1) and np.isfinite(best.states.values).all()
    assert best.action == pytest.approx(best.measurement_term + best.model_term)
    assert "the path is the model's forecast" in str(run.dataset["message"].values[0])
    assert "paths: 0 of 2 finished" in run.summary()
    assert run.verdict().first.about == "minimum" and not run.verdict().consistent


def test_a_run_of_another_model_is_refused_for_what_it_is() -> None:
    x, y = sd.states("x y", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 5.0))
    one, two = (
        sd.Action(sd.Model({x: y, y: -factor * k * x}, name="a"), [x], scheme="rk4")
        for factor in (1, 2)
    )
    parameters = {"k": 1.0}
    _, data = sd.twin(
        one, parameters=parameters, dt=0.1, steps=40, variance=0.01, seed=0, initial=[1.0, 0.0]
    )
    run = sd.anneal(one, data, paths=2, ladder=sd.Ladder(1.0, 4.0, 6), **QUIET)
    with pytest.raises(
        sd.OptionError, match="posterior: the run is not one of this action: the eq"
    ):
        two.posterior(run, data)
    with pytest.raises(sd.OptionError, match="report: the run is not one of this action"):
        run.report("run.html", action=two)
    with pytest.raises(sd.OptionError, match="anneal: start: the run is not one of this action"):
        sd.anneal(two, data, start=run, paths=1, **QUIET)
    measured = sd.Action(one.model, {"x": x + 0.1}, scheme="rk4")
    with pytest.raises(
        sd.OptionError,
        match=r"posterior: .* the measured quantities, given initial values or priors differ",
    ):
        measured.posterior(run, data)


def test_parameters_that_matter_are_not_called_idle() -> None:
    """Judged by the terms that hold them, whatever the size of the others."""
    p, q = sd.state("p", start=(0.0, 1e9)), sd.state("q", start=(0.0, 1.0))
    kp, kq = sd.parameters("kp kq", bounds=(0.0, 1.0))
    action = sd.Action(sd.Model({p: -kp * p, q: -kq * q}, name="sizes"), [p, q], scheme="rk4")
    t = np.linspace(0.0, 5.0, 26)
    values = np.c_[1e9 * np.exp(-0.5 * t), np.exp(-0.3 * t)]
    data = sd.Observations(t, values, variance=[1e16, 1e-4])
    assert not [w for w in action.check(data).warnings if "epends on" in w]


def test_a_time_limit_shorter_than_a_path_is_named_beforehand() -> None:
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    chosen = {"solver": "ipopt", "paths": 1, "ladder": sd.Ladder(rungs=2), "progress": False}
    with pytest.warns(ProblemWarning, match="one path takes about .* s .to a factor of 3"):
        sd.anneal(action, data, time_limit=1e-6, **chosen)


@pytest.mark.parametrize("averaging", ["eq2", "eq14", "minaone", "varanneal"])
def test_error_bars_and_chi_squared_do_not_follow_an_averaging_option(averaging: str) -> None:
    """A factor on the whole action changes no estimate, so no error bar of it either."""
    t, y = noisy_decay()
    x, z = sd.states("x z", bounds=(-5.0, 20.0))
    k = sd.parameter("k", bounds=(0.0, 10.0))
    model = sd.Model({x: -k * x, z: -k * z}, name="two")
    action = sd.Action(model, [x, z], scheme="rk4", averaging=averaging)
    noise = 0.01 * np.random.default_rng(1).standard_normal(51)
    data = sd.Observations(t, np.c_[y, np.exp(-t) + noise], variance=1e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 12), **QUIET)

    def misfit(p: np.ndarray) -> np.ndarray:
        return ((np.outer(np.exp(-p[2] * t), p[:2]) - data.values) / 0.01).ravel()

    found = least_squares(misfit, [1.0, 1.0, 0.8], xtol=1e-14)
    sd_of_k = np.sqrt(np.linalg.inv(found.jac.T @ found.jac)[2, 2])
    assert dict(assessment(run.dataset).sds)["k"] == pytest.approx(sd_of_k, rel=0.01)
    judged = run.chi_squared()
    assert judged.value == pytest.approx(run.best.action)
    assert judged.value / run.dataset.attrs["measurement_scale"] == pytest.approx(
        found.cost, rel=1e-3
    )
    assert run.verdict().consistent, run.summary()


def test_minima_that_data_hardly_tell_apart_are_no_one_answer() -> None:
    """a = 1 and a = -1, of which a single poor datum prefers one, by 0.1 in the log probability."""
    x, a = sd.state("x", start=(-2.0, 2.0)), sd.parameter("a", bounds=(-3.0, 3.0))
    action = sd.Action(sd.Model({x: a**2 - x}, name="mirror"), {"x": x, "w": a * x}, scheme="rk4")
    t = np.linspace(0.0, 4.0, 21)
    w = np.where(np.arange(21) == 10, 0.05, np.nan)
    noise = 0.01 * np.random.default_rng(0).standard_normal(21)
    data = sd.Observations(t, np.c_[1.0 - np.exp(-t) + noise, w], variance=[1e-4, 1.0])
    run = sd.anneal(action, data, paths=10, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
    table = run.table()
    assert sorted(table["a"].round(1)) == [-1.0, 1.0] and 0.01 < np.ptp(table["level"]) < 0.5
    level = next(f for f in run.verdict().findings if f.about == "level")
    assert level.holds is False and level.text.startswith("2 different minima")


def test_an_estimate_near_zero_is_judged_by_its_error_bar() -> None:
    """Shifts far below the error bar do not matter, whatever share of a small value they are."""
    shift = {"parameter": "c", "fit": 0.0, "channel": "x", "time": 0.0}
    near_zero = Shift(**shift, sds=0.01, share=0.5)
    assert not _matters(near_zero)
    # known to a fifth of itself, moved by two hundredths of itself
    assert _matters(Shift(**shift, sds=0.1, share=0.02))
    assert not _matters(Shift(**shift, sds=0.04, share=0.008))


def test_the_continuous_problem_is_asked_as_much() -> None:
    """At a low Rf its path is no solution, as that of the discrete one is none."""
    t, y = noisy_decay()
    x, k = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0.0, 10.0))
    model = sd.Model({x: -k * x}, name="decay")
    action = sd.Action(model, [x], scheme="rk4", model_error="rate")
    data = sd.Observations(t, y, variance=1e-4)
    options = {"paths": 3, "solver": "collocation", "executor": "serial", "progress": False}
    low = sd.anneal(action, data, ladder=sd.Ladder(1.0, 8.0, 6), **options)
    assert low.chi_squared().low < low.chi_squared().value < low.chi_squared().high
    assert not low.verdict().consistent and low.verdict().first.about == "solution"
    high = sd.anneal(action, data, ladder=sd.Ladder(1.0, 8.0, 10), **options)
    assert high.verdict().consistent, high.summary()
    k, sd_of_k, _ = fit_of_decay(t, y, 0.01)
    assert dict(assessment(high.dataset).sds)["k"] == pytest.approx(sd_of_k, rel=0.01)


def test_parameters_per_step_are_no_errors_of_the_model() -> None:
    """The equations follow the path with the values that it has at every step."""
    x = sd.state("x", bounds=(-5.0, 20.0))
    u = sd.parameter("u", per="step", bounds=(-10.0, 10.0), process_variance=0.01)
    action = sd.Action(sd.Model({x: u - x}, name="driven"), [x], scheme="rk4")
    rng = np.random.default_rng(3)
    t, inside = np.linspace(0.0, 10.0, 101), np.cumsum(0.1 * rng.standard_normal(101))
    path = [1.0]
    for value in inside[:-1]:
        path.append(value + (path[-1] - value) * np.exp(-0.1))
    data = sd.Observations(t, path + 0.02 * rng.standard_normal(101), variance=4e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
    free = next(f for f in run.verdict().findings if f.about == "free run")
    assert free.holds and "to its end" in free.text


def test_a_fast_oscillation_enlarges_nothing() -> None:
    """Its rate is a thousand times its value, which is a matter of units."""
    x, v = sd.state("x", bounds=(-5.0, 5.0)), sd.state("v", bounds=(-5e3, 5e3))
    action = sd.Action(sd.Model({x: v, v: -1e6 * x}, name="fast"), [x], scheme="rk4")
    t = np.linspace(0.0, 0.006, 61)
    y = np.cos(1e3 * t) + 0.01 * np.random.default_rng(0).standard_normal(61)
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=2, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
    assert assessment(run.dataset).growth == pytest.approx(1.0, rel=0.1)


def test_what_the_data_leave_open_is_said_and_not_nan() -> None:
    """A single datum says nothing of k, which ends on a bound that does not hold it."""
    t = np.linspace(0.0, 5.0, 51)
    y = np.where(np.arange(51) == 20, 0.5, np.nan)
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
    assert run.verdict().first.about == "determined" and "nan" not in run.summary()
    assert "lower the action by -0" not in run.summary()


@pytest.mark.parametrize("rungs", [10, 18])
def test_a_bound_holds_at_any_rf(rungs: int) -> None:
    """The data want k half a standard deviation higher: SciPy's fit without the bound says so."""
    t, y = noisy_decay()
    action, _ = decay()
    k, sd_of_k, _ = fit_of_decay(t, y, 0.01)
    x, bounded = (
        sd.state("x", bounds=(-5.0, 20.0)),
        sd.parameter("k", bounds=(0.0, k - 0.5 * sd_of_k)),
    )
    action = sd.Action(sd.Model({x: -bounded * x}, name="decay"), [x], scheme="rk4")
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, rungs), **QUIET)
    finding = next(f for f in run.verdict().findings if f.about == "bounds")
    assert finding.holds is False and action.posterior(run, data).at_bound.all()


def test_a_forcing_that_was_bound_before_is_not_known_inside_of_steps() -> None:
    """It jumps inside of a step: as the scheme sees it, nothing is wrong."""
    t = np.linspace(0.0, 5.0, 51)
    x, k, u = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0, 10)), sd.forcing("u")
    action = sd.Action(sd.Model({x: u - k * x}, name="forced"), [x], scheme="rk4")
    y = np.where(t < 2.53, 1.0, 2.0 * np.exp(2.53 - t) - 1.0)
    y += 0.01 * np.random.default_rng(0).standard_normal(51)
    samples = [0.0, 2.53, 2.5300001, 5.0], [1.0, 1.0, -1.0, -1.0]
    data = sd.Observations(t, y, variance=1e-4, forcing={"u": samples})
    for given in (data, action.bind(data)):
        run = sd.anneal(action, given, paths=3, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
        assert not run.verdict().consistent
        scheme = next(f for f in run.verdict().findings if f.about == "scheme")
        assert not scheme.holds and "forcing" in scheme.text


def test_an_interruption_at_the_end_keeps_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[sd.anneal.__module__], "assessed", interrupted)
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=2, ladder=sd.Ladder(1.0, 8.0, 6), **QUIET)
    assert run.interrupted and np.isfinite(run.best.action)
    assert not run.verdict().consistent and "no assessment" in run.summary()


def test_bounds_that_say_more_than_the_data_are_no_estimate() -> None:
    """The error bar of c, 0.053, is wider than all that its bounds allow."""
    t = np.linspace(0.0, 5.0, 51)
    y = np.exp(-t) + 0.01 * np.random.default_rng(1).standard_normal(51)
    x, k = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0.0, 10.0))
    c = sd.parameter("c", bounds=(-0.02, 0.02))
    action = sd.Action(sd.Model({x: -k * x + c * x**2}, name="bent"), [x], scheme="rk4")
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(action, data, paths=3, ladder=sd.Ladder(1.0, 8.0, 10), **QUIET)
    finding = next(f for f in run.verdict().findings if f.about == "determined")
    assert finding.holds is False and "c +1.00" in finding.text and "k " not in finding.text


def test_a_minimum_of_huge_action_has_a_posterior() -> None:
    """Variances far too small make of 1e-14 of the action more than a hundredth of a unit."""
    t, y = noisy_decay()
    action, _ = decay()
    data = sd.Observations(t, 10.0 * y, variance=1e-30)
    run = sd.anneal(action, data, paths=2, ladder=sd.Ladder(1e26, 8.0, 10), **QUIET)
    k, sd_of_k, _ = fit_of_decay(t, 10.0 * y, 1.0)
    table = action.posterior(run, data).table()
    assert table["value"]["k"] == pytest.approx(k, rel=1e-3)
    assert table["sd"]["k"] == pytest.approx(1e-15 * sd_of_k, rel=0.01)


def test_shares_are_written_in_plain_digits() -> None:
    assert [percent(s) for s in (0.00106, 0.41, 1.0, 12.3)] == ["0.11 %", "41 %", "100 %", "1230 %"]
