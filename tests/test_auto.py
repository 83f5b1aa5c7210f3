"""What `anneal` does by itself: rounds of starts, when it ends, what it drops, what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rings import ring, twin

import symda as sd
from symda.analyse import hits, path_counts
from symda.errors import OptionError

QUIET = {"progress": False}


@pytest.fixture(scope="module")
def default():
    """The call without options, with the truth behind it."""
    action = ring()
    truth, data = twin(action)
    return action, truth, data, sd.anneal(action, data, **QUIET)


def told(run):
    return json.loads(run.dataset.attrs["told"])


def test_the_call_without_options_finds_the_truths_level(default):
    action, truth, data, run = default
    start = truth.states.values, np.array([8.0])
    known = sd.anneal(action, data, start=start, paths=1, ladder=sd.Ladder(relative=1e6, rungs=4))
    assert run.dataset.attrs["strategy"] == "auto" and run.dataset.attrs["solver"] == "newton"
    assert run.best.action <= float(known.levels[0, -1]) + 0.5
    assert run.verdict().consistent
    assert abs(run.best.parameters["nu"] - 8.0) < 0.5


def test_what_was_done_is_told(default):
    *_, run = default
    lines = told(run)
    assert lines[0].startswith("uniform: 16 started")
    assert any(line.startswith("ended because the lowest level was met") for line in lines)
    assert "finished" in lines[-1]
    for line in lines:
        assert line in run.summary()


def test_the_best_path_is_a_solution_of_the_equations(default):
    action, _, data, run = default
    best = run.best
    assert best.model_term == 0.0 and (best.momenta == 0.0).all()
    again = sd.simulate(action.model, data.times, best.states[0].values, parameters=best.parameters)
    np.testing.assert_allclose(best.states.values, again.states.values, rtol=1e-3, atol=1e-3)
    misfit = 0.5 * float((best.residuals**2).sum())
    assert best.measurement_term == pytest.approx(misfit, rel=1e-6) == best.action


def test_both_numbers_of_a_level_are_reported(default):
    *_, run = default
    table = run.table()
    d = run.dataset
    assert table["solution"][0] == pytest.approx(run.best.action)
    assert table["level"][0] == pytest.approx(float(d["solution_climbed"][0]))
    assert (table["solution"].dropna().diff().dropna() >= 0.0).all()


def test_error_bars_are_those_of_a_ladder_with_high_rf(default):
    """Fine steps and a high Rf tend to the strong constraint."""
    action, _, data, run = default
    X = run.best.states.values
    start = X, np.array([run.best.parameters["nu"]])
    ladder = sd.Ladder(relative=1e6, alpha=10.0, rungs=3)
    weak = sd.anneal(action, data, start=start, ladder=ladder, paths=1, **QUIET)
    exact, limit = action.posterior(run, data), action.posterior(weak, data)
    assert exact.sd["nu"] == pytest.approx(limit.sd["nu"], rel=0.05)
    assert exact.values[0] == pytest.approx(limit.values[0], abs=0.2 * limit.sd["nu"])


def test_the_same_call_gives_the_same_paths_on_any_number_of_workers(default):
    action, _, data, run = default
    again = sd.anneal(action, data, workers=1, **QUIET)
    np.testing.assert_array_equal(run.levels.values, again.levels.values)
    other = sd.anneal(action, data, seed=1, **QUIET)
    assert not np.array_equal(run.levels.values[:, 0], other.levels.values[:16, 0])


def test_a_run_is_saved_and_shown(default, tmp_path):
    *_, run = default
    loaded = sd.Run.load(run.save(tmp_path / "run.nc"))
    assert str(loaded.verdict()) == str(run.verdict())
    assert loaded.best.action == run.best.action
    assert loaded.summary() == run.summary()
    text = run.report(tmp_path / "run.md").read_text()
    assert "strategy='auto'" in text and "start=" not in text.partition("Repeat")[2]
    run.plot_levels(tmp_path / "levels.png")
    run.plot_states(tmp_path / "states.png")


def test_finish_none_leaves_the_ladders_end(default):
    action, _, data, run = default
    weak = sd.anneal(action, data, finish="none", **QUIET)
    assert "solution_path" not in weak.dataset and weak.best.model_term > 0.0
    np.testing.assert_array_equal(weak.levels.values[:, :-1], run.levels.values[:, :-1])


def test_finish_strong_finishes_a_ladder(default):
    action, _, data, run = default
    by_hand = sd.anneal(
        action, data, ladder=sd.Ladder(alpha=8.0, rungs=10), paths=8, finish="strong", **QUIET
    )
    assert by_hand.dataset.attrs["strategy"] == "ladder"
    assert by_hand.best.action == pytest.approx(run.best.action, abs=1e-3)


# --- races, kinds, options ---


def test_dropped_paths_are_counted_as_such():
    action = ring(measured=(0,))
    _, data = twin(action, steps=40, variance=0.2)
    run = sd.anneal(action, data, paths=160, strategy=sd.Auto(met=50), time_limit=20.0, **QUIET)
    counts = path_counts(run.dataset)
    assert counts.dropped and "dropped as too high" in run.summary()
    messages = run.dataset["message"].values
    above = [m for m in messages if "is above" in m]
    assert len(above) >= counts.dropped
    met, attempts = hits(run.dataset)
    assert attempts >= counts.finished + counts.dropped - 160 // 16 * 8
    assert met / attempts < 1.0


@pytest.mark.smoke
def test_where_little_is_measured_solutions_come_first():
    """Six data of a saturating reaction with unknown noise, of which a ladder makes little."""
    s, p = sd.states("s p", bounds=(0.0, 100.0))
    v = sd.parameter("v", bounds=(1e-3, 1e3), scale="log")
    km = sd.parameter("km", bounds=(1e-3, 1e3), scale="log")
    sigma = sd.parameter("sigma", bounds=(1e-3, 1e2), scale="log")
    rate = v * s / (km + s)
    action = sd.Action(
        sd.Model({s: -rate, p: rate}, name="enzyme"),
        {"p": sd.Normal(p, sigma)},
        initial={s: 10.0, p: 0.0},
    )
    truth = sd.simulate(
        action.model, np.linspace(0.0, 12.0, 13), {"s": 10.0, "p": 0.0},
        parameters={"v": 2.0, "km": 3.0},
    )  # fmt: skip
    noise = np.random.default_rng(1).normal(0.0, 0.1, 12)
    data = sd.Observations(truth.states.time[1:], truth.states.values[1:, 1] + noise)
    run = sd.anneal(action, action.bind(data, start=0.0, max_step=0.1), time_limit=60.0, **QUIET)
    assert told(run)[0].startswith("shooting: 32 started")
    assert run.best.parameters["v"] == pytest.approx(2.0, rel=0.2)
    assert 0.04 < run.best.parameters["sigma"] < 0.2
    assert set(run.dataset["kind"].values) == {"shooting", "simulated", "uniform"}
    assert told(run)[3].endswith("times, and little is measured")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": "nudged"}, "tries several kinds of starts"),
        ({"stop_after": 5}, "sd.Auto(met=5)"),
        ({"ladder": sd.Ladder(rf0=0.01)}, "absolute numbers"),
        ({"solver": "collocation"}, "continuous problem"),
        ({"attempts": 3}, "each path is an attempt"),
        ({"finish": "perhaps"}, "finish"),
    ],
)
def test_options_that_contradict_it_are_refused(default, options, said):
    action, _, data, _ = default
    with pytest.raises(OptionError, match=said.replace("(", r"\(").replace(")", r"\)")):
        sd.anneal(action, data, strategy="auto", **options, **QUIET)


def test_a_population_of_one_is_refused(default):
    action, _, data, _ = default
    with pytest.raises(OptionError, match="candidates"):
        sd.anneal(action, data, strategy="population", paths=1, **QUIET)


def test_set_by_hand_it_is_the_ladder(default):
    action, _, data, _ = default
    run = sd.anneal(action, data, paths=3, **QUIET)
    assert run.dataset.attrs["strategy"] == "ladder" and run.dataset.sizes["path"] == 3
    assert "told" not in run.dataset.attrs


def test_a_walk_cannot_be_finished_and_finish_strong_says_why():
    x, w = (
        sd.state("x", start=(-2.0, 2.0)),
        sd.parameter("w", per="step", process_variance=0.01, start=(-1.0, 1.0)),
    )
    action = sd.Action(sd.Model({x: w - x}), [x])
    data = sd.Observations(np.arange(6.0), np.ones(6), variance=0.1)
    with pytest.raises(OptionError, match="w has a value for each step"):
        sd.anneal(action, data, finish="strong", **QUIET)


def test_a_time_limit_too_short_for_a_path_says_how_long_one_takes():
    action = ring(D=11, measured=(0, 5))
    _, data = twin(action, steps=1500)
    run = sd.anneal(action, data, time_limit=0.2, finish="none", **QUIET)
    assert "time limit of 0.2 s reached" in told(run)[-1]
    assert "takes about" in told(run)[-1]


def test_two_experiments_and_another_solver():
    action = ring()
    datas = [twin(action, seed=k, steps=20)[1] for k in (0, 1)]
    newton = sd.anneal(action, datas, **QUIET)
    short = sd.Ladder(relative=10.0, alpha=30.0, rungs=3)
    other = sd.anneal(
        action, datas, solver="lbfgs", paths=2, strategy="auto", ladder=short, workers=1, **QUIET
    )
    assert newton.verdict().findings[0].holds
    assert other.best.action == pytest.approx(newton.best.action, abs=1e-2)


# --- what looked right and was not ---


def test_two_minima_of_one_action_are_two():
    """x' = -x + y^2 does not tell the sign of y."""
    x, y = sd.states("x y", start=(-3.0, 3.0))
    action = sd.Action(sd.Model({x: -x + y**2, y: -0.3 * y}), [x])
    t = np.linspace(0.0, 3.0, 31)
    truth = sd.simulate(action.model, t, [0.5, 1.5]).states.sel(state="x").values
    noise = np.random.default_rng(0).normal(0.0, 0.05, t.size)
    run = sd.anneal(action, sd.Observations(t, truth + noise, variance=0.0025), **QUIET)
    level = next(one for one in run.verdict().findings if one.about == "level")
    assert level.holds is False and "2 different minima" in level.text
    assert not run.verdict().consistent


@pytest.mark.smoke
def test_a_solution_keeps_the_bounds_of_its_states():
    """A state that may not be negative, and data that a straight line would take below 0."""
    x = sd.state("x", bounds=(0.0, 10.0))
    c = sd.parameter("c", bounds=(0.0, 5.0))
    action = sd.Action(sd.Model({x: -c}), [x])
    t = np.linspace(0.0, 10.0, 21)
    values = np.maximum(3.0 - 0.4 * t, 0.0)
    run = sd.anneal(action, sd.Observations(t, values, variance=0.04), **QUIET)
    assert float(run.best.states.min()) >= -1e-5


def test_parameters_of_which_only_a_product_counts_are_not_determined():
    a, b = (sd.parameter(name, bounds=(1e-3, 1e3)) for name in "ab")
    x = sd.state("x", bounds=(0.0, 10.0))
    action = sd.Action(sd.Model({x: -a * b * x}), [x])
    t = np.linspace(0.0, 3.0, 16)
    noise = np.random.default_rng(2).normal(0.0, 0.05, t.size)
    data = sd.Observations(t, 2.0 * np.exp(-0.6 * t) + noise, variance=0.0025)
    run = sd.anneal(action, data, **QUIET)
    determined = [one for one in run.verdict().findings if one.about == "determined"]
    assert determined and determined[0].holds is False
    assert np.isinf(list(action.posterior(run, data).sd.values())).any()


def test_ctrl_c_in_the_finish_keeps_the_run(monkeypatch):
    from symda.solve import Strong

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    action = ring()
    _, data = twin(action)
    monkeypatch.setattr(Strong, "minimise", interrupt)
    run = sd.anneal(action, data, **QUIET)
    assert run.interrupted and np.isfinite(run.best.action)


def test_error_bars_where_the_equations_are_unstable_are_the_ladders():
    """Forty iterations enlarge a deviation ten million times: all unknowns are one direction."""
    henon = sd.models.henon()
    action = sd.Action(henon, [henon.states[0]])
    truth = {p.name: value for p, value in zip(henon.parameters, (1.4, 0.3), strict=True)}
    _, data = sd.twin(
        action, parameters=truth, dt=1.0, steps=40, variance=1e-4, seed=0, initial=[0.1, 0.1]
    )
    run = sd.anneal(action, data, **QUIET)
    weak = sd.anneal(action, data, finish="none", **QUIET)
    assert run.best.model_term == 0.0 and run.verdict().consistent
    exact, ladder = action.posterior(run, data), action.posterior(weak, data)
    for name, deviation in ladder.sd.items():
        assert exact.sd[name] == pytest.approx(deviation, rel=0.1)
        assert abs(exact.values[list(ladder.sd).index(name)] - truth[name]) < 4.0 * deviation


def test_error_bars_beside_a_solution_are_those_of_a_minimum():
    """The scheme's solution is not the equations': at these the action is not least."""
    action = ring(measured=(0, 1, 2, 3))
    _, data = twin(action, steps=240, variance=0.2)
    run = sd.anneal(action, data, **QUIET)
    weak = sd.anneal(action, data, finish="none", steps=4, **QUIET)
    assert run.best.model_term == 0.0 and run.verdict().consistent
    exact, ladder = (
        action.posterior(one, data, **grid).sd["nu"]
        for one, grid in ((run, {}), (weak, {"steps": 4}))
    )
    # what model error is left at the last rung adds to the one, and the longer step to the other
    assert exact == pytest.approx(ladder, rel=0.25)
