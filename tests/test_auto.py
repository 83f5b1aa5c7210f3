"""What `anneal` does by itself: rounds of starts, when it ends, what it drops, what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import symda as sd
from symda.analyse import hits, path_counts
from symda.anneal.levels import unseen
from symda.anneal.starts import Draw, Shaken, Uniform
from symda.anneal.strategies import FullWindow
from symda.anneal.strategies.auto import SURE, Campaign, Kind
from symda.anneal.task import Job, blank
from symda.errors import OptionError
from symda.solve import Newton, Solution
from symda.status import Status

QUIET = {"progress": False}


def ring(D=5, measured=(0, 2), **options):
    x = sd.states("x", D, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    return sd.Action(model, [x[a] for a in measured], **options)


def twin(action, seed=0, steps=60, variance=0.5):
    return sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=steps, variance=variance, seed=seed,
        discard=20.0,
    )  # fmt: skip


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


# --- the rules, on results made up ---


@pytest.fixture(scope="module")
def job():
    action = ring()
    _, data = twin(action, steps=10)
    problem = action.bind(data)
    rf = np.ones((6, problem.D))
    return Job(None, problem, Newton(), rf, 0, Uniform(), "last", None)  # type: ignore[arg-type]


KINDS = [Kind(name, Uniform(), FullWindow()) for name in ("one", "two")]


def campaign(job, band=(50.0, 150.0), most=1000, met=3):
    return Campaign(sd.Auto(met), job, KINDS, band, most)


def ended(job, k, level, iterations=10):
    """A path that came to the end at a level; None: it failed."""
    result = blank(job, k)
    result.iterations[:] = iterations
    if level is None:
        return replace(result, message="failed")
    result.action[:] = result.measurement_term[:] = level
    result.status[:] = Status.CONVERGED.code
    result.model_term[:] = 0.0
    return replace(result, last_beta=5)


def test_a_shot_that_was_halted_did_not_run_to_the_end(job):
    one = campaign(job)
    round_ = next(one.rounds())
    found = {k: ended(job, k, 100.0) for k in round_.paths[:3]}
    first = found[0]
    shot = Solution(
        first.states, first.theta[-1], 100.0, 100.0, Status.CONVERGED, "", 0.0, False, 5, 5, 0.1
    )
    found[1] = replace(first, path=1, solution=shot)
    halted = replace(shot, status=Status.STOPPED, message="it was halted")
    found[2] = replace(first, path=2, solution=halted)
    one.take(round_, found)
    # nor is it a hit, wherever it stands
    assert one.told()[0].startswith("one: 3 started, 2 ran to the end, 2 met")


def test_paths_that_are_given_are_one_attempt(job):
    given = Kind("given", Uniform(), FullWindow(), once=4)
    at = Campaign(sd.Auto(3), job, [given, *KINDS], (50.0, 150.0), 1000)
    assert play(at, {"given": [100.0], "one": [900.0], "two": [100.0]}) == ["given", "one", "two"]
    assert at.met() == {"given": 1, "two": 16} and len(set(at.attempts.values())) == 33
    assert (
        at.told()[0]
        == "given: 4 started, 4 ran to the end, 4 met the lowest level, and count as one"
    )


def play(at, levels):
    """Give each round the levels of its kind, in turn; return the names of the rounds."""
    names = []
    for one in at.rounds():
        names.append(one.kind.name)
        given = levels[one.kind.name]
        given = given.pop(0) if isinstance(given[0], list) else given
        found = {k: ended(at.job, k, given[i % len(given)]) for i, k in enumerate(one.paths)}
        at.take(one, found)
    return names


def test_met_three_times_by_two_kinds_and_within_the_band_is_the_end(job):
    at = campaign(job)
    levels = {"one": [100.0] * 2 + [900.0] * 14, "two": [100.0] + [900.0] * 15}
    assert play(at, levels) == ["one", "two"]
    assert at.reason.startswith("the lowest level was met 3 times, and that is within")


def test_one_kind_alone_is_no_evidence(job):
    """All of its paths may end in one wrong place."""
    at = campaign(job)
    levels = {"one": [114.0] * 16, "two": [[111.0] + [900.0] * 15, [111.0] * 2 + [900.0] * 14]}
    assert play(at, levels) == ["one", "two", "two"]


def test_met_too_seldom_the_next_kind_has_its_turn(job):
    at = campaign(job)
    names = play(at, {"one": [100.0] * 2 + [900.0] * 14, "two": [100.0] + [900.0] * 15})
    assert names == ["one", "two"] and at.met() == {"one": 2, "two": 1}


def test_in_the_upper_part_of_the_band_it_is_to_be_met_more_often(job):
    at = campaign(job)
    names = play(at, {"one": [[140.0] * 3 + [900.0] * 13] * 9, "two": [[900.0] * 16] * 9})
    assert names == ["one", "two", "one", "one"] and sum(at.met().values()) == 9
    assert at.met() == {"one": 9}


def test_above_the_band_it_goes_on_and_says_so(job):
    at = campaign(job)
    names = play(at, {"one": [[400.0] * 16] * 9, "two": [[400.0] * 4 + [900.0] * 12] * 9})
    assert names == ["one", "two"] and sum(at.met().values()) >= SURE
    assert "not for want of starts" in at.reason


def test_without_a_band_every_kind_has_its_turn(job):
    at = campaign(job, band=None)
    assert play(at, {"one": [100.0] * 16, "two": [100.0] * 16}) == ["one", "two"]
    assert "every kind of start had its turn" in at.reason


def test_a_kind_that_meets_the_lowest_gets_more(job):
    at = campaign(job, most=16 * 12)
    names = play(at, {"one": [[900.0] * 16] * 99, "two": [[300.0] + [900.0] * 15] * 99})
    assert names.count("two") == 9 and names.count("one") == 3
    assert at.reason == "all 192 starts were made"


def test_a_kind_that_only_fails_is_left_out(job):
    at = campaign(job, most=80)
    names = play(at, {"one": [None], "two": [300.0] + [900.0] * 15})
    assert names == ["one", "two", "two", "two", "two"]
    assert play(campaign(job), {"one": [None], "two": [None]}) == ["one", "two"]


def leading(job, band):
    """A campaign in which the first kind leads, as shooting where little is measured."""
    kinds = [replace(KINDS[0], turns=4, needed=2), replace(KINDS[1], needed=0)]
    return Campaign(sd.Auto(3), job, kinds, band, 1000)


def test_where_one_kind_leads_it_is_enough_without_a_band(job):
    at = leading(job, None)
    assert play(at, {"one": [90.0] * 3 + [200.0] * 13}) == ["one", "one"]
    assert at.reason == "the lowest level was met 6 times, and little is measured"


def test_where_one_kind_leads_it_goes_on_alone_next_to_the_band(job):
    """The band ends at 150, and a quarter of it further on a level is taken, with a word."""
    at = leading(job, (50.0, 150.0))
    at.auto = sd.Auto(9)
    assert play(at, {"one": [174.0] + [300.0] * 15, "two": [300.0]}) == ["one"] * 9
    assert at.reason.endswith("it is just above what the noise lets expect")


def test_where_one_kind_leads_others_have_their_turn_if_it_finds_nothing(job):
    at = leading(job, (50.0, 150.0))
    names = play(at, {"one": [176.0] + [300.0] * 15, "two": [100.0] * 3 + [300.0] * 13})
    assert names == ["one"] * 4 + ["two"]
    vain = leading(job, None)
    assert play(vain, {"one": [None], "two": [90.0] * 3 + [200.0] * 13}) == ["one", "two"]


def test_the_chance_of_a_new_level_is_the_share_of_those_met_once():
    levels = np.array([100.0, 100.004, 101.0, 102.5, 102.5, 104.9, 105.1, np.nan])
    assert unseen(levels, 1.0) == (2 / 6, 4)
    assert unseen(100.0 * levels, 100.0) == (2 / 6, 4)
    assert unseen(levels[-1:], 1.0) == (0.0, 0)


def test_many_levels_near_the_lowest_are_no_end(job):
    """Each seldom met: among those that were not met yet a lower one is likely."""
    first, second = ([100.0] * 2 + [least + 0.1 * k for k in range(14)] for least in (101.0, 103.0))
    at = campaign(job)
    assert play(at, {"one": [first] * 9, "two": [second] * 9}) == ["one", "two", "one", "two"]
    # met often enough it is the end all the same
    at = campaign(job)
    assert play(at, {"one": [first, [100.0] * 16], "two": second}) == ["one", "two", "one"]
    assert sum(at.met().values()) == SURE


def shaking(job, most=1000):
    beside = Kind("shaken", Uniform(), FullWindow(), needed=0, beside=True)
    return Campaign(sd.Auto(3), job, [*KINDS, beside], (50.0, 150.0), most)


def test_where_all_kinds_agree_nobody_looks_beside(job):
    levels = {"one": [100.0] * 2 + [900.0] * 14, "two": [100.0] + [900.0] * 15}
    assert play(shaking(job), levels) == ["one", "two"]


def test_where_kinds_disagree_the_lowest_path_is_shaken_before_the_end(job):
    at = shaking(job)
    starts = []
    for one in at.rounds():
        starts.append(one.job.start)
        level = {"one": 900.0, "two": 100.0, "shaken": 100.0}[one.kind.name]
        at.take(one, {k: ended(job, k, level) for k in one.paths})
    assert [start.name for start in starts] == ["uniform", "uniform", "shaken"]
    lowest = at.results[16]
    np.testing.assert_array_equal(starts[-1].path, lowest.states)
    assert at.met() == {"two": 16, "shaken": 1}
    assert at.told()[2] == (
        "shaken: 16 started, 16 ran to the end, 16 met the lowest level, and count as 1"
    )


def test_a_level_that_only_shaken_paths_met_is_to_be_met_more_often(job):
    at = shaking(job)
    lower = [[97.0] + [100.0] * 15] + [[97.0] * 16] * 20
    names = play(at, {"one": [900.0], "two": [[100.0] * 16] * 20, "shaken": lower})
    assert names[:3] == ["one", "two", "shaken"] and names.count("shaken") == 9
    assert at.met() == {"shaken": 9}
    assert at.reason.startswith("the lowest level was met 9 times, and that is within")


def test_a_level_that_is_seldom_met_is_wanting_where_no_band_is_known(job):
    """Then it is asked whether the scheme's error stands in the way."""
    for band, levels, wanting in (
        (None, [90.0] * 2 + [200.0] * 14, True),
        (None, [90.0] * 3 + [200.0] * 13, False),
        ((50.0, 150.0), [90.0] + [200.0] * 15, False),
        ((50.0, 80.0), [90.0] * 16, True),
    ):
        at = campaign(job, band=band)
        one = next(at.rounds())
        at.take(one, {k: ended(job, k, levels[i]) for i, k in enumerate(one.paths)})
        assert at.wanting() is wanting


def test_a_shaken_path_is_moved_in_one_stretch_and_stays_within_bounds():
    x, y = sd.state("x", bounds=(-1.0, 1.0)), sd.state("y", bounds=(-1e6, 1e6))
    model = sd.Model({x: y - x, y: -y}, name="m")
    action = sd.Action(model, [x], initial={y: 2e3})
    data = sd.Observations(np.arange(101.0), np.zeros(101), variance=1.0)
    problem = action.bind(data)
    path = np.column_stack([np.linspace(-1.0, 1.0, 101), np.linspace(2e3, 1e3, 101)])
    firsts = set()
    for k in range(40):
        moved, _ = Shaken(path, np.empty(0)).point(Draw(problem, number=k))
        where = np.flatnonzero((moved != path).any(axis=1))
        # a point at a bound that is moved beyond it stays, and the first y is given
        assert 1 <= where.size <= 12 and np.ptp(where) <= 12
        assert np.abs(moved[:, 0]).max() <= 1.0 and moved[0, 1] == 2e3
        assert 0.0 < np.abs(moved[where, 1] - path[where, 1]).std() < 1e3
        firsts.add(where[0])
    assert len(firsts) > 20


def henon(seed):
    """Henon's map: of x, with noise of 20 %, a third is missing; a and b are not known."""
    rng, count = np.random.default_rng(seed), 80
    X = np.empty((count, 2))
    X[0] = 0.1
    for _ in range(50 + seed):
        X[0] = 1 - 1.4 * X[0, 0] ** 2 + X[0, 1], 0.3 * X[0, 0]
    for n in range(count - 1):
        X[n + 1] = 1 - 1.4 * X[n, 0] ** 2 + X[n, 1], 0.3 * X[n, 0]
    noise = 0.2 * X[:, 0].std()
    y = X[:, 0] + noise * rng.standard_normal(count)
    y[rng.uniform(size=count) < 0.35] = np.nan
    x, z = sd.state("x", bounds=(-4.0, 4.0)), sd.state("z", bounds=(-1.2, 1.2))
    a = sd.parameter("a", start=(0.7, 2.8), bounds=(0.35, 5.6))
    b = sd.parameter("b", start=(0.15, 0.6), bounds=(0.075, 1.2))
    model = sd.Model({x: 1 - a * x**2 + z, z: b * x}, name="henon", discrete=True)
    return sd.Action(model, [x]), sd.Observations(np.arange(count), y, variance=noise**2), X


def test_a_chaotic_map_of_many_minima_is_not_called_consistent_too_early():
    """Uniform, constant and nudged starts end 3 above the level of the true path, within the band.

    Met often enough to end there, and called consistent, if nobody looks beside it.
    """
    action, data, X = henon(2)
    run = sd.anneal(action, data, time_limit=60.0, workers=1, **QUIET)
    truth = sd.anneal(
        action, data, start=(X, np.array([1.4, 0.3])), paths=1, finish="none",
        ladder=sd.Ladder(rf0=run.dataset["rf"].values[-1], rungs=1), **QUIET,
    )  # fmt: skip
    assert run.best.action <= truth.best.action + 0.5
    level = next(one for one in run.verdict().findings if one.about == "level")
    assert level.holds is None and "error bars are those of the lowest alone" in level.text
    assert any(line.startswith("shaken: ") for line in told(run))


def test_the_last_round_is_cut_to_the_number_of_starts(job):
    at = campaign(job, most=20)
    play(at, {"one": [400.0, 900.0], "two": [900.0]})
    assert len(at.results) == 20 and sorted(at.results) == list(range(20))


def test_what_is_far_above_the_lowest_is_dropped_from_the_second_round_on(job):
    at = campaign(job)
    bars = []
    for one in at.rounds():
        bars.append(one.job.bar)
        at.take(one, {k: ended(job, k, 400.0 if k == 3 else 2000.0) for k in one.paths})
        if len(bars) == 2:
            break
    assert bars == [np.inf, 480.0]


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
