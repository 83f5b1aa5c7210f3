"""The time to the lowest level: its formula, its interval, attempts of several paths."""

import math

import pytest
from test_analyse_datasets import Case, make_run, through_file

from symda.analyse import hits, time_to_lowest
from symda.api import Run
from symda.errors import OptionError

# every synthetic run has climbed for 3 s on 2 workers


def test_the_time_is_that_of_the_attempts_that_miss_once_in_a_hundred():
    # 9 of 10 hit: two attempts miss both with probability 0.01
    found = time_to_lowest(make_run(Case(ends=(20.0,) * 9 + (35.0,))))
    assert (found.hits, found.attempts, found.cores) == (9, 10, 2)
    assert found.attempt == pytest.approx(0.3, rel=1e-14)
    assert found.seconds == pytest.approx(0.6, rel=1e-12)
    # Wilson's interval of 9 of 10, from its quadratic equation with z = 1.959964
    z2, n, k = 1.959963984540054**2, 10, 9
    root = math.sqrt(z2 * z2 + 4 * z2 * k * (1 - k / n))
    low, high = ((2 * k + z2 - s * root) / (2 * (n + z2)) for s in (1, -1))
    assert found.low == pytest.approx(0.3 * max(1.0, math.log(0.01) / math.log(1 - high)), rel=1e-9)
    assert found.high == pytest.approx(0.3 * math.log(0.01) / math.log(1 - low), rel=1e-9)


def test_one_attempt_is_needed_at_least():
    found = time_to_lowest(make_run(Case(ends=(20.0, 20.0))))
    assert found.seconds == found.low == found.attempt == 1.5
    assert found.high > 1.5


def test_a_level_known_from_elsewhere_that_no_attempt_reached():
    run = Run(make_run(Case(ends=(20.0, 35.0))))
    found = run.time_to_lowest(level=10.0)
    assert (found.seconds, found.hits) == (math.inf, 0)
    assert math.isfinite(found.low) and found.high == math.inf
    assert str(found) == "not reached in 2 attempts of 1.5 s on 2 cores"
    assert run.hit_rate(level=10.0)[0] == 0.0
    assert run.time_to_lowest(level=34.9).hits == 2


def test_the_paths_of_a_population_are_one_attempt(tmp_path):
    ends = (20.0, 20.0, 35.0, 36.0, 20.0, 40.0)
    dataset = make_run(Case(ends=ends, attempts=(0, 0, 0, 1, 2, 2)))
    assert hits(dataset) == (2, 3)
    assert hits(through_file(dataset, tmp_path)) == (2, 3)
    assert time_to_lowest(dataset).attempt == 1.0
    # one whose paths failed is a miss; one that was cut short is none; one that has both ended
    dataset = make_run(Case(ends=ends, attempts=(0, 0, 0, 1, 2, 2), failed={3: 1}, stopped={5: 2}))
    assert hits(dataset) == (2, 3)
    dataset = make_run(Case(ends=ends, attempts=(0, 0, 0, 1, 2, 2), stopped={4: 1, 5: 2}))
    assert hits(dataset) == (1, 2)


@pytest.mark.parametrize("wrong", [{"level": "low"}, {"within": "near"}, {"within": None}])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(
        OptionError, match=r"^(level|within) must be a (finite|non-negative) number"
    ):
        Run(make_run(Case(ends=(20.0, 35.0)))).time_to_lowest(**wrong)


def test_without_an_attempt_there_is_no_time():
    dataset = make_run(Case(ends=(1.0, 1.0), stopped={0: 0, 1: 0}))
    with pytest.raises(OptionError, match=r"^time to the lowest level: no attempt of this run ran"):
        time_to_lowest(dataset)
