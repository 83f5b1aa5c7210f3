"""Files that other people made: nothing outside them is read, and damage is named."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from anneal_fakes import make_problem, run

from symda.anneal import load, save
from symda.errors import DataError
from symda.observe import Observations, netcdf

SECRET = b"what is none of your business"


def measurements(folder: Path) -> Path:
    path = folder / "data.nc"
    columns = {name: ("t", np.linspace(0.0, 1.0, 5)) for name in ("V", "W")}
    xr.Dataset(columns, {"t": np.arange(5.0)}).to_netcdf(path, engine="h5netcdf")
    return path


@cache
def content() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return save(
            run(make_problem(fixed=(np.nan,)), paths=2), Path(folder) / "run.nc"
        ).read_bytes()


def saved(folder: Path) -> Path:
    path = folder / "run.nc"
    path.write_bytes(content())
    return path


def external_storage(file: h5py.File, outside: Path) -> None:
    file.create_dataset("trap", (len(SECRET),), "u1", external=[(str(outside), 0, len(SECRET))])


def external_link(file: h5py.File, outside: Path) -> None:
    file["trap"] = h5py.ExternalLink(str(outside), "/x")


def link_in_a_group(file: h5py.File, outside: Path) -> None:
    file.create_group("deep/er")["trap"] = h5py.ExternalLink(str(outside), "/x")


def virtual_sources(file: h5py.File, outside: Path) -> None:
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(outside), "x", (3,))
    file.create_virtual_dataset("trap", layout)


def dangling_link(file: h5py.File, _: Path) -> None:
    file["trap"] = h5py.SoftLink("/nowhere")


def links_in_a_ring(file: h5py.File, _: Path) -> None:
    file["trap"], file["other"] = h5py.SoftLink("/other"), h5py.SoftLink("/trap")


def unknown_filter(file: h5py.File, _: Path) -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((4,))
    made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))  # Zstandard
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"trap", h5py.h5t.NATIVE_DOUBLE, space, made)


def compound(file: h5py.File, _: Path) -> None:
    file.create_dataset("trap", (2,), np.dtype([("a", "f8"), ("b", "i4")]))


def opaque(file: h5py.File, _: Path) -> None:
    file.create_dataset("trap", (2,), np.dtype("V8"))


def reference(file: h5py.File, _: Path) -> None:
    file.create_dataset("trap", (1,), h5py.ref_dtype)


def reference_of_an_attribute(file: h5py.File, _: Path) -> None:
    file.attrs["trap"] = file["/"].ref


def committed_type(file: h5py.File, _: Path) -> None:
    file["trap"] = np.dtype("f8")


def bomb(file: h5py.File, _: Path) -> None:
    file.create_dataset("trap", (200_000_000,), "f8", chunks=(1_000_000,), compression="gzip")


def bomb_of_one_chunk(file: h5py.File, _: Path) -> None:
    file.create_dataset("trap", (1,), "f8", maxshape=(None,), chunks=(200_000_000,))


TRAPS: list[tuple[Callable[[h5py.File, Path], None], str]] = [
    (external_storage, "/trap in it is stored in another file, b'"),
    (external_link, "/trap in it is a link to another file."),
    (link_in_a_group, "/deep/er/trap in it is a link to another file."),
    (virtual_sources, "/trap in it is put together from other files (a virtual dataset)."),
    (dangling_link, "/trap in it is a link that leads nowhere."),
    (links_in_a_ring, "in it is a link that leads nowhere."),
    (unknown_filter, "/trap in it is packed by the filter 32015 ("),
    (compound, "/trap in it holds something else than numbers or text."),
    (opaque, "/trap in it holds something else than numbers or text."),
    (reference, "/trap in it holds something else than numbers or text."),
    (reference_of_an_attribute, "/@trap in it holds something else than numbers or text."),
    (committed_type, "/trap in it is a data type of its own."),
    (bomb, "/trap in it would take 1,600,"),
    (bomb_of_one_chunk, "/trap in it would take 1,600,"),
]


@pytest.mark.parametrize(("trap", "said"), TRAPS, ids=[trap.__name__ for trap, _ in TRAPS])
@pytest.mark.parametrize("kind", ["data", "run"])
def test_a_file_that_needs_more_than_itself_is_refused(
    trap: Callable[[h5py.File, Path], None], said: str, kind: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    path = measurements(tmp_path) if kind == "data" else saved(tmp_path)
    with h5py.File(path, "r+") as file:
        trap(file, outside)
    with pytest.raises(DataError) as caught:
        Observations.from_netcdf(path, variance=1.0) if kind == "data" else load(path)
    message = str(caught.value)
    assert path.name in message and "refused, and none of its data was read" in message
    assert said in message
    assert message.endswith("ask who made it for one.")


def test_a_link_of_a_kind_that_h5py_does_not_know_is_refused(tmp_path: Path) -> None:
    """HDF5 file format, IV.A.2.g: link type 64 is external, those above are of other libraries."""
    path = tmp_path / "data.nc"
    with h5py.File(path, "w", libver="earliest") as file:
        file["marked"] = h5py.ExternalLink("another_file", "/x")
    raw = bytearray(path.read_bytes())
    # a link message ends in: type, length of the name, name (character set left out: ASCII)
    at = raw.index(b"marked")
    kinds = [place for place in range(at - 16, at) if raw[place] == 64]
    assert kinds
    raw[kinds[-1]] = 65
    path.write_bytes(raw)
    with pytest.raises(DataError, match="/marked in it is a link that only another library can"):
        netcdf.check_contained(path, "file")


def test_what_ordinary_files_have_is_accepted(tmp_path: Path) -> None:
    path = measurements(tmp_path)
    with h5py.File(path, "r+") as file:
        packed = np.zeros(100_000)
        file.create_dataset("packed", data=packed, compression="gzip", shuffle=True)
        file.create_dataset("lzf", data=packed, compression="lzf", fletcher32=True)
        file.create_dataset("words", data=["a", "größe"])
        file["short"] = h5py.SoftLink("/V")
        file["again"] = file["W"]
        file["ring"] = file["/"]
        file.attrs["flag"], file.attrs["text"] = np.bool_(True), "said"
    netcdf.check_contained(path, "file")


def test_netcdf_3_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.nc"
    columns = {"V": ("t", np.linspace(0.0, 1.0, 5))}
    xr.Dataset(columns, {"t": np.arange(5.0)}).to_netcdf(path, engine="scipy")
    data = Observations.from_netcdf(path, variance=1.0)
    np.testing.assert_array_equal(data.values[:, 0], np.linspace(0.0, 1.0, 5))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"^file 'data\.nc' cannot be read as NetCDF: .* damaged"):
        Observations.from_netcdf(path, variance=1.0)


@pytest.mark.parametrize("kind", ["data", "run"])
def test_damage_is_named_or_does_no_harm(kind: str, tmp_path: Path) -> None:
    path = measurements(tmp_path) if kind == "data" else saved(tmp_path)
    whole, original = path.read_bytes(), None if kind == "data" else load(path)
    rng = np.random.default_rng(1)
    refused = 0
    for number in range(40):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged if number % 6 else damaged[: rng.integers(len(whole))])
        try:
            if original is None:
                Observations.from_netcdf(path, variance=1.0)
            else:
                assert load(path).identical(original)
        except DataError as error:
            refused += 1
            assert path.name in str(error) or kind == "data"
    assert refused > 15


@pytest.mark.parametrize("kind", ["data", "run"])
def test_texts_in_which_hdf5_would_never_end(kind: str, tmp_path: Path) -> None:
    """The object that stands for the free space of a heap, with size 0: HDF5 2.0 goes in a ring."""
    path = measurements(tmp_path) if kind == "data" else saved(tmp_path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"GCOL\x01\0\0\0") + 16
    while int.from_bytes(raw[at : at + 2], "little"):
        at += 16 + -(-int.from_bytes(raw[at + 8 : at + 16], "little") // 8) * 8
    raw[at + 8 : at + 16] = bytes(8)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"\.nc' is damaged: the texts in it lead nowhere"):
        Observations.from_netcdf(path, variance=1.0) if kind == "data" else load(path)


def test_one_changed_number_is_told_from_a_file_that_is_no_run(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with h5py.File(path, "r+") as file:
        file["states"][0, 0, 0] += 1e-12
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value) == (
        f"load: {str(path)!r} was changed or damaged after it was written: its checksum is that of "
        "other contents. Take a copy of the file that is not, or repeat the run."
    )


def test_a_changed_attribute_is_seen(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["model"] = "another"
    with pytest.raises(DataError, match="changed or damaged after it was written"):
        load(path)


def test_runs_saved_without_a_checksum_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path)
    expected = load(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["checksum"]
    assert load(path).identical(expected)


def test_settings_of_every_form_are_read(tmp_path: Path) -> None:
    dataset = run(make_problem(), paths=2)
    record = json.loads(dataset.attrs["provenance"])
    record["settings"] |= {
        "rf0": {"x [mV]": 1.0, "größe": 2.0},
        "solver_options": {"ipopt.tol": 1e-9},
        "start_options": {"coupling": 2.0},
        "time_limit": None,
    }
    dataset.attrs |= {
        "provenance": json.dumps(record),
        "binding": json.dumps({"steps": [1, 2], "fixed": {"a b": None}}),
        "command": "symda anneal model.py 'a b.csv' '--option=x=\"y\"'",
    }
    assert load(save(dataset, tmp_path / "run.nc")).identical(dataset)


def test_more_variables_and_attributes_come_back(tmp_path: Path) -> None:
    more = run(make_problem(), paths=2).assign(
        decrement=("path", np.array([1.0, np.nan])),
        place=("path", np.array([0, 1], dtype=np.int32)),
        sure=("path", np.array([True, False])),
        why=("path", np.array(["", "größer"])),
    )
    more.attrs |= {"assessment": json.dumps({"p": 0.5}), "empty": "", "sizes": np.array([1, 2])}
    again = load(save(more, tmp_path / "run.nc"))
    assert again.identical(more)
    assert again["why"].values.tolist() == ["", "größer"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda d: d.assign(status=d["status"] + np.int8(9)),
            "status holds 10, expected 0 to 5",
        ),
        (
            lambda d: d.assign(last_beta=d["last_beta"] + 40),
            "last_beta holds 43, expected -1 to 3",
        ),
        (
            lambda d: d.assign(action=d["action"].T),
            "action has the dimensions ('beta', 'path'), expected ('path', 'beta')",
        ),
        (
            lambda d: d.assign(action=d["action"].astype(str)),
            "action holds the type <U",
        ),
        (lambda d: d.assign_coords(time=d["time"] * 0.0), "time does not increase"),
        (
            lambda d: d.assign_coords(state=("state", ["x", "x"])),
            "state has a name twice",
        ),
        (
            lambda d: d.assign_coords(state=("state", ["x", "y\x1b[2J"])),
            "state holds 'y\\x1b[2J', which is no name",
        ),
        (
            lambda d: d.assign_attrs(model="a\nb"),
            "the attribute model is 'a\\nb', which is no name",
        ),
        (
            lambda d: d.assign_attrs(provenance="{"),
            "the attribute provenance is no JSON with the settings of a run",
        ),
        (
            lambda d: d.assign_attrs(measurement_scale=0.0),
            "the attribute measurement_scale is 0.0, expected a number larger than zero",
        ),
        (
            lambda d: d.assign_attrs(data_count="many"),
            "the attribute data_count is 'many'",
        ),
        (
            lambda d: d.assign_attrs(command="symda anneal; ls"),
            "the attribute command is 'symda anneal; ls', which does not run only symda",
        ),
        (
            lambda d: d.assign_attrs(
                provenance=json.dumps({"settings": {"start_options": {"a=1)\nb(": 2}}})
            ),
            "the provenance's setting start_options has names that are none",
        ),
        (
            lambda d: d.assign_attrs(binding='{"steps": 1, "x=1)\\nprint(": 2}'),
            "the attribute binding is ",
        ),
    ],
)
def test_what_later_code_relies_on_is_checked(
    change: Callable[[xr.Dataset], xr.Dataset], said: str, tmp_path: Path
) -> None:
    path = save(change(run(make_problem(), paths=2)), tmp_path / "run.nc")
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"load: {str(path)!r} does not hold a run as symda writes it: {said}")
    assert message.endswith("Expected a file written by `run.save`, not changed by hand.")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    with pytest.raises(DataError, match="Permission denied"):
        save(load(saved(tmp_path)), closed / "run.nc")
    closed.chmod(0o700)
    assert list(closed.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """A draft on a full device: what HDF5 says then is no OSError of Python's own."""
    dataset = load(saved(tmp_path))
    target = tmp_path / "other.nc"
    draft = tmp_path / f".other.nc.{os.getpid()}.part"
    draft.symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"^save: cannot write '.*other\.nc': "):
        save(dataset, target)
    assert not target.exists() and not draft.is_symlink()
    assert Path("/dev/full").exists()
