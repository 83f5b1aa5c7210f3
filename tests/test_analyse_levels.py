"""Levels, the best path, the chi-squared test and hit rates against numbers worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, norm
from test_analyse_datasets import ACCEPTABLE, CASES, STOPPED, Case, make_run, through_file

from symda.analyse import (
    best_path,
    chi_squared,
    free_parameters,
    hits,
    level_members,
    levels_table,
    path_counts,
    status_counts,
    stopped_after,
    wilson,
)
from symda.errors import OptionError, SolveError


def test_neighbours_within_the_tolerance_form_one_level() -> None:
    # 20, 20.009, 20.018 hang together as a chain although the ends are 0.018 apart.
    dataset = make_run(Case(ends=(35.0, 20.018, 20.0, 20.029, 20.009)))
    assert [list(group) for group in level_members(dataset)] == [[2, 4, 1], [3], [0]]


def test_the_table_of_levels() -> None:
    table = levels_table(make_run(Case(ends=(35.0, 20.004, 20.0))))
    assert list(table.columns) == [
        "level",
        "paths",
        "share",
        "measurement_term",
        "model_term",
        "nu",
        "chi2_z",
    ]
    np.testing.assert_allclose(table["level"], [20.0, 35.0], rtol=1e-14)
    assert list(table["paths"]) == [2, 1]
    np.testing.assert_allclose(table["share"], [2 / 3, 1 / 3])
    np.testing.assert_allclose(table["measurement_term"], [15.0, 26.25])
    np.testing.assert_allclose(table["model_term"], [5.0, 8.75])
    np.testing.assert_allclose(table["nu"], [10.2, 10.0])  # nu = 10 + k / 10
    # n = 22 data, p = 3 states + nu: mean 9, sd 3.
    np.testing.assert_allclose(table["chi2_z"], [(20.0 - 9) / 3, (35.0 - 9) / 3])
    assert table.attrs == {"beta": 5, "unfinished": 0, "stopped": 0}


def test_the_tolerance_scales_with_the_averaging() -> None:
    ends = (0.20, 0.2009, 0.35)
    assert len(level_members(make_run(Case(ends=ends, scale=1.0)))) == 2
    assert len(level_members(make_run(Case(ends=ends, scale=0.01)))) == 3
    assert len(level_members(make_run(Case(ends=ends, scale=0.1)))) == 2
    assert len(level_members(make_run(Case(ends=ends)), tolerance=0.0)) == 3


def test_an_earlier_rung_can_be_tabulated() -> None:
    table = levels_table(make_run(Case(ends=(20.0, 35.0))), beta=4)
    np.testing.assert_allclose(table["level"], [10.0, 17.5])
    assert table.attrs["beta"] == 4


def test_paths_that_failed_or_were_stopped_are_reported_not_counted() -> None:
    case = Case(ends=(1.0, 20.0, 21.0, 2.0), failed={0: 3}, stopped={3: 1})
    dataset = make_run(case)
    table = levels_table(dataset)
    assert list(table["level"]) == [20.0, 21.0]
    assert list(table["share"]) == [0.5, 0.5]
    assert table.attrs["unfinished"] == 2
    counts = path_counts(dataset)
    assert (counts.finished, counts.failed, counts.unfinished) == (2, 1, 1)
    assert best_path(dataset) == 1


def test_a_run_stopped_half_way_is_judged_at_the_last_rung_reached() -> None:
    dataset = make_run(Case(ends=(40.0, 20.0), stopped={0: 3, 1: 2}))
    assert levels_table(dataset).attrs == {"beta": 2, "unfinished": 1, "stopped": 0}
    assert best_path(dataset) == 0


def test_a_failed_rung_does_not_count_even_with_a_finite_action() -> None:
    dataset = make_run(Case(ends=(10.0, 20.0)))
    dataset["status"][0, -1] = 4
    assert best_path(dataset) == 1
    assert list(levels_table(dataset)["level"]) == [20.0]


def test_ties_go_to_the_lowest_index() -> None:
    assert best_path(make_run(Case(ends=(9.0, 5.0, 5.0, 7.0)))) == 1


def test_a_rung_nobody_reached_gives_an_empty_table() -> None:
    table = levels_table(make_run(Case(ends=(20.0,), stopped={0: 3})), beta=5)
    assert len(table) == 0
    assert table.attrs == {"beta": 5, "unfinished": 1, "stopped": 0}


def test_only_free_parameters_have_columns_and_no_name_is_lost() -> None:
    dataset = make_run(Case(parameters={"level": False, "g": True, "rho": False}))
    assert free_parameters(dataset) == ["level", "rho"]
    table = levels_table(dataset)
    assert list(table.columns)[5:] == ["level (parameter)", "rho", "chi2_z"]
    assert table["level"][0] == pytest.approx(20.0)
    assert table["level (parameter)"][0] == pytest.approx(10.0)
    assert "nu" not in levels_table(make_run(Case(parameters={}))).columns


@pytest.mark.parametrize("name", CASES)
def test_loaded_files_give_the_same_table(name: str, tmp_path: Path) -> None:
    dataset = make_run(CASES[name])
    loaded = through_file(dataset, tmp_path)
    assert levels_table(loaded).equals(levels_table(dataset))
    assert levels_table(loaded)["paths"].sum() == path_counts(dataset).finished
    assert best_path(loaded) == best_path(dataset)
    assert hits(loaded) == hits(dataset)
    assert repr(chi_squared(loaded)) == repr(chi_squared(dataset))


#: Of chi-squared with n - p = 18 degrees of freedom, halved.
LOW, HIGH = 0.5 * chi2.ppf([norm.cdf(-2.0), norm.cdf(2.0)], 18)


def test_chi_squared_of_a_right_answer() -> None:
    found = chi_squared(make_run(Case(ends=(12.0, 30.0))))
    assert (found.n, found.p) == (22, 4)
    assert (found.mean, found.sd) == (9.0, 3.0)
    assert (found.low, found.high) == pytest.approx((LOW, HIGH))
    assert (found.value, found.measurement, found.model) == (12.0, 9.0, 3.0)
    assert found.verdict == (
        f"the action, 12, lies in the expected band {LOW:.6g} .. {HIGH:.6g}; the model's errors "
        "are 25 % of it"
    )


def test_chi_squared_above_and_below() -> None:
    assert chi_squared(make_run(Case(ends=(40.0,)))).verdict == (
        f"the action is above the expected band, 40 > {LOW:.6g} .. {HIGH:.6g}: the model is "
        "wrong, the variances are too small, or the lowest level was not found; the model's "
        "errors are 25 % of it"
    )
    assert chi_squared(make_run(Case(ends=(2.0,)))).verdict == (
        f"the action is below the expected band, 2 < {LOW:.6g} .. {HIGH:.6g}: the noise is being "
        "fitted, since Rf is low or the variances are too large; the model's errors are 25 % of it"
    )


def test_chi_squared_with_averaging() -> None:
    found = chi_squared(make_run(Case(ends=(0.12,), scale=0.01)))
    np.testing.assert_allclose([found.mean, found.sd], [0.09, 0.03])
    assert (found.low, found.high) == pytest.approx((0.01 * LOW, 0.01 * HIGH))
    assert found.value == pytest.approx(0.12)


def test_chi_squared_without_a_degree_of_freedom() -> None:
    dataset = make_run(Case(D=1, N=1, measured=(0,)))  # 2 data, 1 state + 1 parameter
    found = chi_squared(dataset)
    assert (found.n, found.p) == (2, 2)
    assert math.isnan(found.mean) and math.isnan(found.low)
    assert found.verdict == (
        "cannot be judged: 2 data against 2 fitted quantities leave no degree of freedom"
    )
    assert np.isnan(levels_table(dataset)["chi2_z"]).all()


def test_chi_squared_band_holds_the_share_it_should() -> None:
    # Independent check of mean and sd: sums of squares of n - p normals.
    found = chi_squared(make_run(Case(N=99)))
    rng = np.random.default_rng(0)
    terms = 0.5 * (rng.standard_normal((20_000, found.n - found.p)) ** 2).sum(axis=1)
    assert terms.mean() == pytest.approx(found.mean, abs=4 * found.sd / math.sqrt(20_000))
    assert terms.std() == pytest.approx(found.sd, rel=0.03)
    assert np.mean((terms > found.low) & (terms < found.high)) == pytest.approx(0.954, abs=0.006)


def test_hits_of_the_lowest_level_and_of_a_given_one() -> None:
    dataset = make_run(Case(ends=(20.0, 20.5, 20.6, 35.0), failed={}))
    assert hits(dataset) == (2, 4)
    assert hits(dataset, within=0.6) == (3, 4)
    assert hits(dataset, level=20.2) == (3, 4)  # lower ones count too
    assert hits(dataset, level=10.0) == (0, 4)


def test_failed_paths_are_misses_and_stopped_ones_no_attempts() -> None:
    dataset = make_run(Case(ends=(20.0,) * 6, failed={0: 0, 1: 4}, stopped={2: 3}))
    assert hits(dataset) == (3, 5)


def test_hits_scale_with_the_averaging() -> None:
    ends = (0.20, 0.204, 0.21)
    assert hits(make_run(Case(ends=ends, scale=0.01))) == (2, 3)
    assert hits(make_run(Case(ends=ends))) == (3, 3)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_against_published_values(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=6e-5)
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=6e-5)


def test_wilson_interval_solves_its_equation() -> None:
    z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
    for end in wilson(3, 11):
        assert abs(3 / 11 - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 11), rel=1e-12)
    assert wilson(0, 1)[0] == 0.0 and wilson(7, 7)[1] == 1.0


def test_messages() -> None:
    dataset = make_run()
    with pytest.raises(OptionError) as caught:
        levels_table(dataset, beta=9)
    assert str(caught.value) == (
        "beta: the ladder of this run has the rungs 0 .. 5, got 9; "
        "leave beta out to use the last rung any path reached"
    )
    with pytest.raises(OptionError) as caught:
        levels_table(dataset, tolerance=-1.0)
    assert str(caught.value) == (
        "tolerance must be a non-negative number, got -1.0; "
        "0.01 counts actions that differ by 1 % in probability as one level."
    )
    with pytest.raises(OptionError) as caught:
        hits(dataset, within=math.nan)
    assert str(caught.value) == "within must be a non-negative number, got nan."
    with pytest.raises(OptionError) as caught:
        hits(dataset, level=math.inf)
    assert str(caught.value) == (
        "level must be a finite number, got inf; leave it out to use the run's lowest."
    )


def test_a_run_without_any_path_says_why() -> None:
    dataset = make_run(Case(ends=(1.0, 1.0, 1.0), failed={0: 0, 1: 0}, stopped={2: 0}))
    for judge in (best_path, levels_table, chi_squared):
        with pytest.raises(SolveError) as caught:
            judge(dataset)
        assert str(caught.value) == (
            "no path of this run reached a rung of the ladder: of 3 paths 2 failed and 1 did not "
            "run to an end; path 0 says: step became tiny at rung 0. Check data, bounds and "
            "starts, allow more time, or try another solver"
        )
    counts = path_counts(dataset)
    assert (counts.finished, counts.failed, counts.unfinished) == (0, 2, 1)
    assert status_counts(dataset) == {}


def test_hits_of_a_run_in_which_nothing_finished() -> None:
    dataset = make_run(Case(ends=(1.0, 1.0, 1.0), failed={0: 0, 1: 0}, stopped={2: 0}))
    assert hits(dataset) == hits(dataset, level=10.0) == (0, 2)
    assert hits(make_run(Case(ends=(1.0, 1.0), stopped={0: 0, 1: 0}))) == (0, 0)
    # Nothing tried, nothing known.
    assert wilson(0, 0) == (0.0, 1.0)


def test_endings_are_counted_at_the_last_rung_reached() -> None:
    case = Case(
        ends=(20.0, 20.0, 21.0, 22.0, 23.0, 24.0),
        failed={0: 3},
        stopped={1: 2},
        statuses={1: STOPPED, 2: ACCEPTABLE, 4: STOPPED, 5: STOPPED},
    )
    dataset = make_run(case)
    assert status_counts(dataset) == {"converged": 1, "acceptable": 1, "stopped": 2}
    assert levels_table(dataset).attrs == {"beta": 5, "unfinished": 2, "stopped": 2}
    assert levels_table(dataset, beta=1).attrs == {"beta": 1, "unfinished": 0, "stopped": 1}


def test_stop_after_is_remembered(tmp_path: Path) -> None:
    assert stopped_after(make_run()) is None
    assert stopped_after(through_file(make_run(Case(stop_after=2)), tmp_path)) == 2
