"""When `anneal` ends by itself, on results made up; and a map of many minima."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rings import ring, twin

import symda as sd
from symda.anneal.levels import unseen
from symda.anneal.starts import Draw, Shaken, Uniform
from symda.anneal.strategies import FullWindow
from symda.anneal.strategies.auto import SURE, Campaign
from symda.anneal.strategies.kinds import Kind
from symda.anneal.task import Job, blank
from symda.solve import Newton, Solution
from symda.status import Status

QUIET = {"progress": False}


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


def test_a_kind_that_takes_long_has_its_turn_after_shots_in_windows(job):
    rare = replace(KINDS[1], name="shots", rare=True, share=0.15)
    at = Campaign(sd.Auto(3), job, [replace(KINDS[0], share=0.05), rare], (50.0, 150.0), 1000)
    names, shares = [], []
    for one in at.rounds():
        names.append(one.kind.name)
        shares.append(one.share)
        # what was cut led nowhere so far, and nor did the shots: both may have further turns
        level = 100.0 if len(names) > 2 else None
        found = {k: ended(job, k, level) for k in one.paths}
        at.take(one, found, cut=len(names) == 1)
    assert names == ["one", "shots", "one"] and shares == [0.05, 0.15, 1.0]
    assert at.reason.startswith("the lowest level was met 16 times")
    assert all(np.isfinite(work) for work in at._work.values())


def in_windows(job, first):
    """A campaign whose first kind takes long, and whose shots in windows come next."""
    rare = replace(KINDS[1], name="shots", rare=True, share=0.1)
    rough = replace(rare, name="rough", needed=0, doubts=True)
    kinds = [replace(KINDS[0], share=0.05), rare, rough]
    at, names = Campaign(sd.Auto(3), job, kinds, (50.0, 150.0), 16 * 12), []
    for one in at.rounds():
        name = one.kind.name
        level = first[name].pop(0) if len(first[name]) > 1 else first[name][0]
        hits = 0 if level is None else 4 if name != "one" else 16
        found = {k: ended(job, k, level if i < hits else None) for i, k in enumerate(one.paths)}
        at.take(one, found, cut=name == "one" and "one" not in names)
        names.append(name)
    return at, names


def test_shots_in_windows_that_alone_meet_it_go_on_until_they_met_it_often(job):
    """Else the others' turns, which lead nowhere, would take what is left of the time."""
    at, names = in_windows(job, {"one": [None], "shots": [100.0], "rough": [90.0]})
    assert names == ["one", "shots", "shots", "shots"] and at.met() == {"shots": 12}
    assert at.reason.startswith("the lowest level was met 12 times, and that is within")


def test_shots_in_windows_that_met_it_seldom_give_way(job):
    levels = {"one": [None, 97.0], "shots": [100.0, None, 100.0], "rough": [90.0]}
    at, names = in_windows(job, levels)
    assert names == ["one", "shots", "shots", "one"] and at.met() == {"one": 16}


def test_rough_windows_are_for_what_is_above_the_band_and_go_on_while_they_gain(job):
    levels = {"one": [None, 900.0], "shots": [None], "rough": [400.0, 300.0, 300.0]}
    _, names = in_windows(job, levels)
    assert names[:6] == ["one", "shots", "rough", "rough", "rough", "one"]


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


@pytest.mark.smoke
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
    assert any(line.startswith("shaken: ") for line in json.loads(run.dataset.attrs["told"]))


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
