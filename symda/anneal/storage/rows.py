"""The dataset of a run in Zarr: shards of paths, written whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal.task import PathResult

if TYPE_CHECKING:
    import xarray as xr
    import zarr

#: The file that names the group to be read.
NAMED = "rows.json"
#: Arrays of fewer bytes are read when a dataset is opened.
SMALL = 16_000_000
#: Paths of a shard, at most, and its bytes, about; bytes of the chunks that it is cut into, which
#: are read at once.
PATHS, BYTES, CHUNK = 256, 32_000_000, 262_144


class Rows:
    """The dataset of a run in Zarr, each time it is written as a whole, in a group of its own.

    So a reader has the paths of one moment. What is read is the group that a file names, and
    appears when it is there; the one before stays for those who are reading it.

    Parameters
    ----------
    folder : Path
        Where the groups are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shard = 1

    @property
    def group(self) -> Path | None:
        """The folder of the group that is to be read; None if there is none."""
        return current(self.folder)

    def write(self, part: Callable[[int, int], xr.Dataset], results: Sequence[PathResult]) -> None:
        """Write the dataset of some paths.

        Parameters
        ----------
        part : function
            Makes the dataset of the results from one place to another.
        results : sequence of PathResult
            The paths, in their order; one at least.

        Raises
        ------
        OSError
            If it cannot be written; what is to be read is what it was.
        """
        import zarr

        first = part(0, 1)
        each = sum(one.nbytes for one in first.variables.values() if _of_paths(one))
        self._shard = _power(BYTES / max(each, 1), PATHS)
        there = {_number(one) for one in self.folder.glob("run-*.zarr")}
        name = f"run-{max(there, default=0) + 1}.zarr"
        group = zarr.open_group(self.folder / name, mode="w", zarr_format=3)
        for a in range(0, len(results), self._shard):
            self._put(group, part(a, b := min(a + self._shard, len(results))), a, b)
        _describe(group, first)
        before = self.group
        replaced(self.folder / NAMED, json.dumps({"group": name}))
        for number in there:
            old = self.folder / f"run-{number}.zarr"
            if old != before:
                shutil.rmtree(old, ignore_errors=True)

    def describe(self, dataset: xr.Dataset) -> None:
        """Add the variables that are not there yet, what is said of each path, and attributes."""
        import zarr

        if self.group is None:
            raise FileNotFoundError(2, "the dataset of the run is gone")
        _describe(zarr.open_group(self.group, mode="a", zarr_format=3), dataset)

    def seal(self) -> dict[str, int]:
        """Bring all files to the disk, remove older groups; return sizes by name.

        Raises
        ------
        OSError
            If that fails.
        """
        group = self.group
        if group is None:
            raise FileNotFoundError(2, "the dataset of the run is gone")
        sizes = {}
        for file in sorted(one for one in group.rglob("*") if one.is_file()):
            with file.open("rb+") as opened_file:
                os.fsync(opened_file.fileno())
            sizes[file.relative_to(group).as_posix()] = file.stat().st_size
        for folder in (group, *(one for one in group.rglob("*") if one.is_dir())):
            on_disk(folder)
        for old in self.folder.glob("run-*.zarr"):
            if old != group:
                shutil.rmtree(old, ignore_errors=True)
        return sizes

    def open(self) -> xr.Dataset:
        """Return the dataset; large arrays are read when they are asked for."""
        group = self.group
        if group is None:
            raise FileNotFoundError(2, "the dataset of the run is gone")
        return opened(group)

    def _put(self, group: zarr.Group, dataset: xr.Dataset, a: int, b: int) -> None:
        """Write the paths from a to b."""
        import zarr

        for key, one in dataset.variables.items():
            if not _of_paths(one):
                continue
            name, rest = str(key), one.shape[1:]
            array = group[name] if name in group else None
            if not isinstance(array, zarr.Array):
                several = _power(CHUNK * (b - a) / max(one.nbytes, 1), self._shard)
                if one.dtype.kind == "U":
                    several = self._shard
                shard = (self._shard, *rest) if several < self._shard else None
                array = _create(group, name, one, (b, *rest), (several, *rest), shard)
            elif array.shape[0] < b:
                array.resize((b, *rest))
            array[a:b] = np.arange(a, b) if name == "path" else _values(one)


def _power(number: float, most: int) -> int:
    """Return the largest power of two that is no larger than a number: from 1 to `most`."""
    return int(2 ** np.floor(np.log2(np.clip(number, 1, most))))


def current(folder: Path) -> Path | None:
    """Return the group of a folder that is to be read; None if there is none."""
    try:
        name = json.loads((folder / NAMED).read_text(encoding="utf-8"))["group"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(name, str) or Path(name).name != name:
        return None
    found = folder / name
    return found if (found / "zarr.json").is_file() else None


def replaced(target: Path, text: str) -> None:
    """Write a file, which appears whole or not at all, and is on the disk then."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
        on_disk(target.parent)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def on_disk(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can be asked to."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _number(group: Path) -> int:
    text = group.name.removeprefix("run-").removesuffix(".zarr")
    return int(text) if text.isdigit() else 0


def _describe(group: zarr.Group, dataset: xr.Dataset) -> None:
    import zarr

    # what is said of each path may be more now
    told, kept = group.get("message"), set(group.keys())
    if isinstance(told, zarr.Array) and told.shape[0] == dataset.sizes["path"]:
        kept.discard("message")
    for name, one in dataset.variables.items():
        if str(name) not in kept:
            _create(group, str(name), one, one.shape, one.shape)[...] = _values(one)
    coordinates = " ".join(str(name) for name in dataset.coords if name not in dataset.dims)
    # the last thing that is written, in one piece
    group.attrs.put({**plain(dataset.attrs), "coordinates": coordinates})


def _of_paths(variable: xr.Variable) -> bool:
    return variable.dims[:1] == ("path",)


def _values(variable: xr.Variable) -> np.ndarray[Any, Any]:
    values = np.asarray(variable.values)
    return values.astype(object) if values.dtype.kind == "U" else values


def _create(
    group: zarr.Group,
    name: str,
    variable: xr.Variable,
    shape: Sequence[int],
    chunk: Sequence[int],
    shard: Sequence[int] | None = None,
) -> zarr.Array[Any]:
    """Make an array; of text, of numbers that are nan where there is nothing, or of others."""
    kind = variable.dtype.kind
    filled: object = {"U": "", "f": float("nan"), "b": False}.get(kind, 0)
    return group.create_array(
        name,
        shape=tuple(shape),
        dtype="string" if kind == "U" else variable.dtype,
        chunks=tuple(max(n, 1) for n in chunk),
        shards=None if shard is None else tuple(max(n, 1) for n in shard),
        fill_value=filled,
        dimension_names=[str(dim) for dim in variable.dims],
        attributes=plain(variable.attrs),
        overwrite=True,
    )


def opened(folder: Path) -> xr.Dataset:
    """Return the dataset of a group; large arrays are read when they are asked for."""
    import xarray as xr

    # nothing stays in memory because it was looked at, but what is small
    found: xr.Dataset = xr.open_dataset(
        folder,
        engine="zarr",
        chunks=None,
        decode_times=False,
        cache=False,
        backend_kwargs={"consolidated": False},
    )
    for one in found.variables.values():
        if one.nbytes <= SMALL:
            one.load()
    texts = {
        name: one.copy(data=np.array(one.values.tolist(), dtype=str).reshape(one.shape))
        for name, one in found.variables.items()
        if one.dtype.kind in "OT"
    }
    found = found.assign({name: one for name, one in texts.items() if name in found.data_vars})
    labels = {name: one for name, one in texts.items() if name in found.coords}
    return found.assign_coords(labels).drop_encoding()


def plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes as JSON has them."""
    return {
        str(name): value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in attrs.items()
    }
