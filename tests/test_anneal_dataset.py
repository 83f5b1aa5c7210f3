"""The dataset of a run, and the file it is saved in."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from anneal_fakes import PAYLOAD, make_problem, mark, run

from symda.anneal import load, save
from symda.errors import DataError

NAMES = {
    "action": ("path", "beta"),
    "measurement_term": ("path", "beta"),
    "model_term": ("path", "beta"),
    "seconds": ("path", "beta"),
    "iterations": ("path", "beta"),
    "evaluations": ("path", "beta"),
    "status": ("path", "beta"),
    "message": ("path",),
    "parameters": ("path", "beta", "parameter"),
    "states": ("path", "time", "state"),
    "states_by_beta": ("path", "beta", "time", "state"),
    "momenta": ("path", "step", "component"),
    "fit": ("path", "time", "channel"),
    "observed": ("time", "channel"),
    "variance": ("time", "channel"),
    "measured_state": ("channel",),
    "decrement": ("path",),
    "last_beta": ("path",),
}


def full():
    problem = make_problem(measured=(1, -1), fixed=(np.nan, 2.5), gaps=[(2, 0), (0, 1)], scale=0.5)
    return run(problem, paths=3, keep="all", options={"crash": {mark(1, problem): 2}})


def test_variables_and_their_dimensions():
    dataset = full()
    assert {name: variable.dims for name, variable in dataset.data_vars.items()} == NAMES
    assert set(dataset.coords) == {
        "path", "attempt", "beta", "rf", "time", "state", "parameter", "channel", "fixed",
        "per_step", "state_scale", "parameter_scale",
    }  # fmt: skip
    assert dataset["rf"].dims == ("beta", "state")
    assert dataset["rf"].values.tolist() == [[0.5, 0.5], [1, 1], [2, 2], [4, 4]]
    assert dataset["fixed"].values.tolist() == [False, True]
    assert dataset["state"].values.tolist() == ["x", "y"]
    assert dataset["parameter"].values.tolist() == ["p0", "p1"]
    assert dataset["channel"].values.tolist() == ["h0", "h1"]
    assert "states_by_beta" not in run(paths=1)


def test_what_the_data_were():
    problem = make_problem(measured=(1, -1), fixed=(np.nan, 2.5), gaps=[(2, 0), (0, 1)], scale=0.5)
    dataset = full()
    expected = problem.y.copy()
    expected[2, 0] = expected[0, 1] = np.nan
    assert np.array_equal(dataset["observed"], expected, equal_nan=True)
    # rm is 4 times the scale of the averaging, which is no part of the noise variance.
    assert np.array_equal(dataset["variance"], np.where(np.isnan(expected), np.nan, 0.25), True)
    assert dataset["measured_state"].values.tolist() == [1, -1]


def test_what_the_paths_found():
    dataset = full()
    good = dataset["status"].values == 1
    assert good.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]
    assert dataset["status"].dtype == np.int8
    assert dataset["status"].attrs["flag_values"].tolist() == [0, 1, 2, 3, 4, 5]
    assert dataset["status"].attrs["flag_values"].dtype == np.int8
    assert dataset["status"].attrs["flag_meanings"] == (
        "not_run converged acceptable stopped failed dropped"
    )
    assert np.array_equal(np.isfinite(dataset["action"]), good)
    np.testing.assert_allclose(
        dataset["measurement_term"] + dataset["model_term"], dataset["action"], rtol=1e-15
    )
    assert np.array_equal(dataset["iterations"], np.where(good, [1, 2, 3, 4], 0))
    assert np.array_equal(dataset["evaluations"], np.where(good, [3, 5, 7, 9], 0))
    assert np.array_equal(dataset["seconds"], np.where(good, 0.25, np.nan), equal_nan=True)
    assert (dataset["parameters"][0, :, 1] == 2.5).all()
    np.testing.assert_array_equal(dataset["fit"][0, :, 0], dataset["states"][0, :, 1])
    np.testing.assert_array_equal(dataset["fit"][0, :, 1], dataset["states"][0].sum("state"))


def test_attributes():
    dataset = full()
    provenance = json.loads(dataset.attrs.pop("provenance"))
    assert dataset.attrs == {
        "model": "two wells",
        "gaussian": 1,
        "scheme": "rk4",
        "solver": "fake",
        "start": "uniform",
        "strategy": "ladder",
        "starts_differ": 1,
        "interrupted": 0,
        "measurement_scale": 0.5,
        "data_count": 8,
        "fitted": 3,
    }
    assert (
        provenance["problem"]
        == make_problem(
            measured=(1, -1), fixed=(np.nan, 2.5), gaps=[(2, 0), (0, 1)], scale=0.5
        ).digest
    )
    assert provenance["source"] == PAYLOAD.source.digest
    assert provenance["settings"]["seed"] == 7
    assert provenance["settings"]["rungs"] == 4
    assert provenance["versions"]["numpy"] == np.__version__
    assert provenance["versions"]["xarray"] == xr.__version__
    assert provenance["seconds"] > 0
    assert provenance["finished"].endswith("+00:00")


@pytest.mark.parametrize(
    "make",
    [
        full,
        lambda: run(make_problem(steps=1, states=("x",), fixed=()), paths=1),
        lambda: run(make_problem(states=("voltage", "größe")), paths=2),
    ],
    ids=["full", "no parameter", "long names"],
)
def test_a_saved_run_comes_back_bit_for_bit(make, tmp_path):
    dataset = make()
    assert save(dataset, tmp_path / "run.nc") == tmp_path / "run.nc"
    again = load(tmp_path / "run.nc")
    assert again.identical(dataset)
    for name in dataset.variables:
        assert again[name].dtype.kind == dataset[name].dtype.kind, name
        if dataset[name].dtype.kind != "U":
            assert again[name].dtype == dataset[name].dtype, name
            assert again[name].values.tobytes() == dataset[name].values.tobytes(), name
    # And once more, from what was loaded, over the file itself.
    save(again, tmp_path / "run.nc")
    assert load(tmp_path / "run.nc").identical(dataset)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "run.nc"
    save(full(), target)
    before = target.read_bytes()

    def full_disk(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    with pytest.raises(DataError, match=r"cannot write .*No space left on device"):
        save(full(), target)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.nc"]


def test_refused_files(tmp_path):
    missing = tmp_path / "missing.nc"
    with pytest.raises(DataError) as caught:
        load(missing)
    assert str(caught.value) == f"load: there is no file {str(missing)!r}."

    for call, name in ((lambda x: save(full(), x), "save"), (load, "load")):
        with pytest.raises(DataError) as caught:
            call(5)
        assert str(caught.value) == f"{name}: expected the name of a file, such as 'run.nc', got 5."

    text = tmp_path / "text.nc"
    text.write_text("not a run")
    with pytest.raises(DataError, match=r"cannot be read as NetCDF: .* written by `run\.save`\.$"):
        load(text)

    other = tmp_path / "other.nc"
    xr.Dataset({"action": ("x", [1.0])}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(DataError) as caught:
        load(other)
    assert str(caught.value) == (
        f"load: {str(other)!r} is NetCDF but not a saved run: it has no measurement_term, "
        "model_term, seconds, iterations, evaluations, status and 28 more. Expected a file written "
        "by `run.save`."
    )

    with pytest.raises(DataError) as caught:
        save(full(), tmp_path / "no" / "run.nc")
    assert str(caught.value) == (
        f"save: there is no folder {str(tmp_path / 'no')!r}. Make it first."
    )
    with pytest.raises(DataError) as caught:
        save(full(), tmp_path)
    assert str(caught.value) == (
        f"save: {str(tmp_path)!r} is a folder. Give the name of a file, such as run.nc."
    )


def test_importing_the_stage_is_cheap():
    code = (
        "import sys, symda.anneal; "
        "heavy = {'casadi', 'scipy', 'xarray', 'loky', 'matplotlib', 'pandas', 'sympy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
