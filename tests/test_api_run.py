"""`Run`: what can be asked of a result, and that a saved one answers alike."""

from __future__ import annotations

from pathlib import Path

import api_cases as cases
import numpy as np
import pytest
import xarray as xr

import symda as sd


def test_best_is_the_path_of_lowest_action() -> None:
    run = cases.run()
    levels = run.levels.values[:, -1]
    assert run.best.path == int(levels.argmin())
    one = run.path(2)
    assert (one.path, one.action) == (2, levels[2])
    np.testing.assert_array_equal(one.states, run.dataset["states"][2])
    assert one.states.dims == ("time", "state")
    assert one.parameters["nu"] == float(run.dataset["parameters"][2, -1, 0])
    assert one.momenta.shape == (cases.STEPS, 5)
    assert run.last_beta == 9
    assert not run.interrupted


def test_the_table_counts_every_path_once() -> None:
    run = cases.run()
    table = run.table()
    levels = np.sort(run.levels.values[:, -1])
    assert table["paths"].sum() == 5
    assert table["level"].is_monotonic_increasing
    lowest = levels[levels <= levels[0] + 0.01]
    assert table["paths"][0] == lowest.size
    assert table["level"][0] == pytest.approx(lowest.mean(), rel=1e-12)
    assert {"nu", "chi2_z"} <= set(table.columns)
    assert run.table(beta=0).attrs["beta"] == 0


def test_the_hit_rate_is_the_share_near_the_lowest_level() -> None:
    run = cases.run()
    levels = run.levels.values[:, -1]
    rate, (low, high) = run.hit_rate()
    assert rate == np.mean(levels <= levels.min() + 0.5)
    assert low <= rate <= high
    assert run.hit_rate(within=1e9)[0] == 1.0


def test_a_run_in_which_nothing_ran_can_be_asked() -> None:
    run = cases.anneal(time_limit=1e-9)
    assert "paths: 0 of 5 finished, 0 failed, 5 not finished" in str(run)
    rate, interval = run.hit_rate()
    assert np.isnan(rate) and interval == (0.0, 1.0)
    with pytest.raises(sd.SolveError, match="allow more time"):
        str(run.best)


def test_a_run_cut_off_by_its_iterations_says_so() -> None:
    run = cases.anneal(paths=2, solver="lbfgs", options={"maxiter": 0})
    assert "ends: 2 stopped" in run.summary()
    assert "verdict: not consistent (minimum): the lowest path did not end" in run.summary()
    assert run.table().attrs["stopped"] == 2


def test_after_stop_after_the_rate_is_called_biased() -> None:
    run = cases.anneal(paths=50, stop_after=2)
    assert "%); biased upwards, since the run was to stop after 2 hits\n" in run.summary()


def test_a_file_name_that_is_none_is_refused() -> None:
    with pytest.raises(sd.DataError, match=r"^save: expected the name of a file, .* got 5\.$"):
        cases.run().save(5)


def test_a_saved_run_is_the_same_run(tmp_path: Path) -> None:
    run = cases.run()
    path = run.save(tmp_path / "run.nc")
    assert path == tmp_path / "run.nc"
    loaded = sd.load(path)
    xr.testing.assert_identical(loaded.dataset, run.dataset)
    assert str(loaded) == str(run) == run.summary()
    assert loaded.best.parameters == run.best.parameters
    assert repr(loaded) == "<Run of 'lorenz96': 5 paths, 10 rungs, solver 'newton'>"


@pytest.mark.parametrize("saved", [False, True], ids=["fresh", "loaded"])
def test_plots_are_written(tmp_path: Path, saved: bool) -> None:
    truth, _ = cases.experiment()
    run = sd.load(cases.run().save(tmp_path / "run.nc")) if saved else cases.run()
    run.plot_levels(tmp_path / "levels.png")
    figure = run.plot_states(tmp_path / "states.png", truth=truth)
    run.plot_parameters(tmp_path / "parameters.png", truth={"nu": cases.NU})
    for name in ("levels", "states", "parameters"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    drawn = [line for line in figure.axes[1].lines if line.get_label() == "truth"]
    np.testing.assert_array_equal(drawn[0].get_ydata(), truth.states.sel(state="x1"))
    same = run.plot_states(states=["x1"], which=2, truth=truth.states)
    assert len(same.axes) == 1


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(sd.OptionError) as error:
        cases.run().path(5)
    assert str(error.value) == "There is no path 5 in this run; it has 0 to 4."


def test_a_rung_that_is_not_there_is_refused() -> None:
    with pytest.raises(sd.OptionError, match=r"has the rungs 0 \.\. 9, got 10"):
        cases.run().table(beta=10)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(sd.DataError, match="there is no file"):
        sd.load(tmp_path / "none.nc")


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    xr.Dataset({"x": ("t", [1.0, 2.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(sd.DataError, match=r"other\.nc"):
        sd.load(tmp_path / "other.nc")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(sd.DataError, match=r"there is no folder .*Make it first\."):
        cases.run().save(tmp_path / "no" / "run.nc")
