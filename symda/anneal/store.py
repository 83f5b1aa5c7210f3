"""A run on disk: its dataset in NetCDF, nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

#: What makes a NetCDF file a run, as far as plots and tables are concerned.
VARIABLES = ("action", "measurement_term", "status", "parameters", "states", "observed", "attempt")
ATTRIBUTES = ("solver", "provenance")


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
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        dataset.to_netcdf(draft, engine="h5netcdf")
        os.replace(draft, target)
    except OSError as error:
        raise DataError(f"save: cannot write {str(target)!r}: {error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return target


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the dataset of a saved run, all of it, into memory.

    Raises
    ------
    DataError
        The file is missing, is not NetCDF, or does not hold a run.
    """
    import xarray as xr

    source = _file("load", path)
    if not source.is_file():
        raise DataError(f"load: there is no file {str(source)!r}.")
    try:
        with xr.open_dataset(source, engine="h5netcdf") as opened:
            dataset = opened.load()
    except (OSError, ValueError) as error:
        raise DataError(
            f"load: {str(source)!r} cannot be read as NetCDF: {error}. Expected a file written by "
            "`run.save`."
        ) from error
    missing = [name for name in VARIABLES if name not in dataset]
    missing += [name for name in ATTRIBUTES if name not in dataset.attrs]
    if missing:
        raise DataError(
            f"load: {str(source)!r} is NetCDF but not a saved run: it has no {', '.join(missing)}. "
            "Expected a file written by `run.save`."
        )
    # HDF5 hands strings back as objects; a run has them as NumPy text, saved or not.
    texts = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "O"]
    dataset = dataset.assign({n: dataset[n].astype(str) for n in texts if n in dataset.data_vars})
    dataset = dataset.assign_coords(
        {n: dataset[n].astype(str) for n in texts if n in dataset.coords}
    )
    return dataset.drop_encoding()


def _file(call: str, path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise DataError(f"{call}: expected the name of a file, such as 'run.nc', got {path!r}.")
    return Path(path)
