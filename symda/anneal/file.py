"""A run on disk: its dataset in NetCDF, nothing else."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from symda.anneal.checksum import checksum
from symda.anneal.contents import missing, wrong
from symda.anneal.storage import dataset_of, is_store, record_of
from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

#: The attribute of a file that tells whether it still is what was written.
CHECKSUM = "checksum"
#: Names of a message; the others are counted.
LISTED = 6
#: Characters of a file's name that its draft shares: names end at 255 bytes.
NAME = 40
EXPECTED = "a file written by `run.save`"


def save(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the dataset of a run to `path` and return it; the file appears whole or not at all.

    Raises
    ------
    DataError
        The folder does not exist, or the file cannot be written.
    """
    target = _file("save", path)
    if not target.parent.is_dir():
        raise DataError(f"save: there is no folder {str(target.parent)!r}. Make it first.")
    if target.is_dir():
        raise DataError(
            f"save: {str(target)!r} is a folder. Give the name of a file, such as run.nc."
        )
    draft = target.with_name(f".{target.name[:NAME]}.{os.getpid()}.part")
    try:
        dataset.to_netcdf(draft, engine="h5netcdf")
        _seal(draft)
        os.replace(draft, target)
    # what HDF5 cannot write, it says in exceptions of any kind
    except Exception as error:
        raise DataError(
            f"save: cannot write {str(target)!r}: {_reason(error)}. What was there before is "
            "untouched; make room or choose another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return target


def load_any(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read what `save` wrote, whatever it holds.

    Raises
    ------
    DataError
        The file is missing, is not NetCDF, was changed or damaged after it was written, or needs
        anything outside itself.
    """
    source = _file("load", path)
    if os.path.isdir(source):
        record_of(source, "load")
    if not os.path.isfile(source):
        raise DataError(f"load: there is no file {str(source)!r}.")
    where = f"load: {str(source)!r}"
    dataset = _read(source, where)
    written = dataset.attrs.pop(CHECKSUM, None)
    if written is not None and written != checksum(dataset):
        raise DataError(
            f"{where} was changed or damaged after it was written: its checksum is that of other "
            "contents. Take a copy of the file that is not, or repeat the run."
        )
    return dataset


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the dataset of a saved run into memory, or open that of a store.

    Raises
    ------
    DataError
        As `load_any`; or if it does not hold a run.
    """
    dataset = dataset_of(path, "load") if is_store(_file("load", path)) else load_any(path)
    where = f"load: {str(_file('load', path))!r}"
    if "network" in dataset.attrs:
        raise DataError(
            f"{where} is the run of a network, which is read with the pairs it was fitted to: "
            "sd.Action(network).load(path, pairs); in a shell symda report RUN --model MODEL.py, "
            "with `model` and `pairs` in MODEL.py."
        )
    absent = missing(dataset)
    if absent:
        more = f" and {len(absent) - LISTED} more" if len(absent) > LISTED else ""
        raise DataError(
            f"{where} is NetCDF but not a saved run: it has no {', '.join(absent[:LISTED])}{more}. "
            f"Expected {EXPECTED}."
        )
    off = wrong(dataset)
    if off:
        raise DataError(
            f"{where} does not hold a run as symda writes it: {off}. "
            f"Expected {EXPECTED}, not changed by hand."
        )
    return dataset


def _read(source: Path, where: str) -> xr.Dataset:
    """Read a NetCDF file as a run's dataset has it in memory."""
    # here, because the stage brings SymPy with it, which workers do without
    from symda.observe import netcdf

    dataset = netcdf.read(source, where, EXPECTED)
    # HDF5 returns strings as objects; a run has them as NumPy text, saved or not.
    texts = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "O"]
    dataset = dataset.assign({n: dataset[n].astype(str) for n in texts if n in dataset.data_vars})
    return dataset.assign_coords(
        {n: dataset[n].astype(str) for n in texts if n in dataset.coords}
    ).drop_encoding()


def _seal(draft: Path) -> None:
    """Add the checksum of a file just written, as it reads: so what cannot be read is not saved."""
    import h5py

    total = checksum(_read(draft, "what was written"))
    with h5py.File(draft, "r+") as file:
        file.attrs[CHECKSUM] = total


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.rstrip(".") or type(error).__name__


def _file(call: str, path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise DataError(f"{call}: expected the name of a file, such as 'run.nc', got {path!r}.")
    return Path(path)
