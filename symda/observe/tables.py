"""Tables of named columns (pandas, xarray, NetCDF) -> times, values, names, forcing."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.declare import Forcing
from symda.errors import DataError, nearest
from symda.observe import netcdf
from symda.observe.arrays import as_floats, as_times, place
from symda.observe.forcing import ForcingInput
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas
    import xarray

ColumnChoice: TypeAlias = str | Sequence[Hashable] | Mapping[str, Hashable]
ForcingChoice: TypeAlias = Sequence[str] | Mapping[str | Forcing, ForcingInput]


@dataclass(frozen=True)
class Columns:
    """What `Observations` needs of a table: times (T,), values (T, L), channel names, forcing."""

    times: FloatArray
    values: FloatArray
    channels: tuple[str, ...] | None
    forcing: dict[str | Forcing, ForcingInput]
    where: str  #: How messages call the table.


def from_pandas(
    frame: pandas.DataFrame | pandas.Series,
    time: Hashable | None,
    values: ColumnChoice | None,
    forcing: ForcingChoice,
    where: str = "the DataFrame",
) -> Columns:
    """Columns of a DataFrame; `time` None: its index."""
    import pandas

    require_frame(frame, where)
    table = frame.to_frame() if isinstance(frame, pandas.Series) else frame
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{where} has the column {twice!r} more than once. Rename or drop one.")
    columns: dict[Hashable, ArrayLike] = {name: table[name] for name in table.columns}
    if time is None or (time not in list(columns) and time == table.index.name):
        if isinstance(table.index, pandas.MultiIndex):
            raise DataError(
                f"{where}: expected an index of times, got one of {table.index.nlevels} levels. "
                "Pass time= after .reset_index()."
            )
        return choose(table.index, "index", columns, values, forcing, where)
    if time not in list(columns):
        raise DataError(no_column(where, time, columns, "time"))
    times = columns.pop(time)
    return choose(times, f"column {time!r}", columns, values, forcing, where)


def require_frame(frame: object, where: str) -> None:
    """Refuse what is no table of pandas."""
    import pandas

    if not isinstance(frame, pandas.DataFrame | pandas.Series):
        raise DataError(f"{where}: expected a pandas DataFrame, got {type(frame).__name__}.")


def from_xarray(
    data: xarray.DataArray | xarray.Dataset,
    time: str | None,
    values: ColumnChoice | None,
    forcing: ForcingChoice,
    where: str = "the xarray object",
) -> Columns:
    """Columns of a Dataset of (time,) variables, or of a DataArray (time,) or (time, channel)."""
    import xarray

    if not isinstance(data, xarray.DataArray | xarray.Dataset):
        kinds = "a DataArray or a Dataset"
        raise DataError(f"{where}: expected {kinds}, got {type(data).__name__}.")
    if isinstance(data, xarray.DataArray):
        time = _time_dimension(data.dims, time, where)
        dataset = (
            _spread(data, time, where) if data.ndim > 1 else data.to_dataset(name=data.name or 0)
        )
    elif isinstance(values, str) and values in data.data_vars and data[values].ndim > 1:
        time = _time_dimension(data[values].dims, time, where)
        wide = _spread(data[values], time, where)
        dataset = wide.assign({name: v for name, v in data.data_vars.items() if v.dims == (time,)})
        values = list(wide.data_vars)
    else:
        dataset = data
        time = _time_dimension(tuple(data.sizes), time, where)
    if time not in dataset.coords:
        raise DataError(
            f"{where}: the dimension {time!r} has no coordinate, so the times are not known. "
            f"Add them with .assign_coords({time}=times)."
        )
    columns = {name: v.values for name, v in dataset.data_vars.items() if v.dims == (time,)}
    others = {
        name: f"{where}: {name!r} has the dimensions {v.dims}, expected ({time!r},). Select one "
        "slice first, or pass the name alone as values=."
        for name, v in dataset.data_vars.items()
        if v.dims != (time,)
    }
    when = dataset[time].values
    return choose(when, f"coordinate {time!r}", columns, values, forcing, where, others)


def from_netcdf(
    path: str | Path, time: str | None, values: ColumnChoice | None, forcing: ForcingChoice
) -> Columns:
    """Columns of a NetCDF file, read like a Dataset; times stay the plain numbers of the file."""
    where = existing(path)
    return from_xarray(netcdf.read(Path(path), where), time, values, forcing, where)


def choose(
    times: ArrayLike,
    time_name: str,
    columns: Mapping[Hashable, ArrayLike],
    values: ColumnChoice | None,
    forcing: ForcingChoice,
    where: str,
    others: Mapping[Hashable, str] = MappingProxyType({}),
) -> Columns:
    """Pick the measured and the forcing columns; a mapping renames, {channel: column}.

    `others` says of what is there and is no column, why.
    """
    if values is not None and not isinstance(values, str | Mapping | Iterable):
        raise DataError(f"{where}: values must be names of columns, got {values!r}.")

    def column(name: Hashable, role: str) -> FloatArray:
        if name in others:
            raise DataError(others[name])
        if name not in columns:
            raise DataError(no_column(where, name, columns, role))
        what = f"{where}, column {name!r}"
        found = as_floats(columns[name], what)
        bad = np.flatnonzero(np.isinf(found))
        if bad.size:
            at = int(bad[0])
            raise DataError(
                f"{what}, {place(columns[name], at)}: expected a number, got {found[at]}. Leave "
                "it empty, or nan, where nothing was measured."
            )
        return found

    sources: dict[str | Forcing, ForcingInput] = {}
    used: set[Hashable] = set()
    if isinstance(forcing, str):
        forcing = [forcing]
    named = forcing if isinstance(forcing, Mapping) else {name: name for name in forcing}
    for channel, source in named.items():
        if isinstance(source, str):
            used.add(source)
            sources[channel] = column(source, f"forcing {channel!r}")
        else:
            sources[channel] = source

    if values is None:
        chosen: dict[Hashable, Hashable] = {name: name for name in columns if name not in used}
    elif isinstance(values, str):
        chosen = {values: values}
    elif isinstance(values, Mapping):
        chosen = {channel: name for channel, name in values.items()}
    else:
        chosen = {name: name for name in values}
    if not chosen:
        raise DataError(
            next(iter(others.values()), "")
            or f"{where} has no column of measured values besides time and forcing. Check values=."
        )
    channels = tuple(name for name in chosen if isinstance(name, str))
    return Columns(
        as_times(times, f"{where}, {time_name}", repeated=True),
        np.column_stack([column(name, "values") for name in chosen.values()]),
        channels if len(channels) == len(chosen) else None,
        sources,
        where,
    )


def _spread(array: xarray.DataArray, time: str, where: str) -> xarray.Dataset:
    """Turn an array (time, channel) into one variable (time,) a channel."""
    others = [dim for dim in array.dims if dim != time]
    if len(others) != 1:
        raise DataError(
            f"{where}: expected dimensions (time,) or (time, channel), got {array.dims}. Select "
            "one slice first."
        )
    labels = array[others[0]].values.tolist() if others[0] in array.coords else []
    for label in labels:
        if labels.count(label) > 1:
            raise DataError(
                f"{where} has the channel {label!r} more than once. Rename or drop one."
            )
    return array.to_dataset(dim=others[0])


def _time_dimension(dims: tuple[Hashable, ...], time: str | None, where: str) -> str:
    if time is not None:
        if time not in dims:
            raise DataError(
                f"{where} has no dimension {time!r} for time; it has "
                f"{_listed(dims)}.{_near(time, dims)}"
            )
        return time
    if len(dims) == 1:
        return str(dims[0])
    for usual in ("time", "t"):
        if usual in dims:
            return usual
    raise DataError(f"{where}: which of the dimensions {_listed(dims)} is time? Pass time='...'.")


def existing(path: str | Path) -> str:
    """Return how messages call the file at `path`; a DataError if there is none."""
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"expected the name of a file, such as 'data.csv', got {short(path)}.")
    # Path's own methods raise what the system says of a name that is too long, or shut away
    if os.path.isdir(path):
        raise DataError(
            f"{str(path)!r} is a folder. Pass a file, CSV or NetCDF; of Zarr "
            "Observations.from_xarray(xarray.open_zarr(folder))."
        )
    if not os.path.isfile(path):
        raise DataError(
            f"there is no file {str(path)!r}. Check the path and the working directory."
        )
    return f"file {Path(path).name!r}"


def no_column(where: str, name: Hashable, columns: Iterable[Hashable], role: str) -> str:
    """Return the message for a column that is not there."""
    has = _listed(columns)
    return f"{where} has no column {name!r} for {role}; it has {has}.{_near(name, columns)}"


def _listed(names: Iterable[Hashable]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def _near(name: Hashable, names: Iterable[Hashable]) -> str:
    return nearest(str(name), [str(other) for other in names])
