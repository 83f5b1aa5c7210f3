"""The dataset of a run in Zarr: shards of paths, written whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal.task import PathResult

if TYPE_CHECKING:
    import xarray as xr
    import zarr

#: Paths of a shard, at most, and its bytes, about; bytes of the chunks that it is cut into, which
#: are read at once.
PATHS, BYTES, CHUNK = 256, 32_000_000, 262_144


class Rows:
    """The dataset of a run in a Zarr group, path after path.

    Parameters
    ----------
    folder : Path
        The group; made by the first `write`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shard = 0
        #: The paths of each shard by its first row, as they were written last.
        self._written: dict[int, tuple[int, ...]] = {}
        self._alive: Sequence[PathResult] = ()

    def write(self, part: Callable[[int, int], xr.Dataset], results: Sequence[PathResult]) -> None:
        """Write the paths that are not there yet, or are other ones now.

        Parameters
        ----------
        part : function
            Makes the dataset of the results from one place to another.
        results : sequence of PathResult
            All paths so far, in their order; one at least.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        import zarr

        first = part(0, 1)
        if not self._shard:
            each = sum(one.nbytes for one in first.variables.values() if _of_paths(one))
            self._shard = _power(BYTES / max(each, 1), PATHS)
            # what is there is of a session before, and may have other shards
            zarr.open_group(self.folder, mode="w", zarr_format=3)
        group, size = self._group(), self._shard
        cuts = [(a, min(a + size, len(results))) for a in range(0, len(results), size)]
        wanted = [tuple(map(id, results[a:b])) for a, b in cuts]
        for (a, b), marks in zip(cuts, wanted, strict=True):
            if self._written.get(a) != marks:
                self._put(group, part(a, b), a, b)
        # so that no other record can have the number of one of these
        self._written, self._alive = dict(zip((a for a, _ in cuts), wanted, strict=True)), results
        for name, one in first.variables.items():
            array = group[str(name)] if _of_paths(one) else None
            if isinstance(array, zarr.Array) and array.shape[0] > len(results):
                array.resize((len(results), *array.shape[1:]))
        self.describe(first)

    def describe(self, dataset: xr.Dataset) -> None:
        """Write the variables that are not there yet, and the attributes."""
        group = self._group()
        there = set(group.keys())
        for name, one in dataset.variables.items():
            if str(name) not in there:
                _create(group, str(name), one, one.shape, one.shape)[...] = _values(one)
        coordinates = " ".join(str(name) for name in dataset.coords if name not in dataset.dims)
        # the last thing that is written, in one piece
        group.attrs.put({**plain(dataset.attrs), "coordinates": coordinates})

    def open(self) -> xr.Dataset:
        """Return the dataset; large arrays are read when they are asked for."""
        return opened(self.folder)

    def _group(self) -> zarr.Group:
        import zarr

        return zarr.open_group(self.folder, mode="a", zarr_format=3)

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

    found: xr.Dataset = xr.open_zarr(folder, consolidated=False, chunks=None, decode_times=False)
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
