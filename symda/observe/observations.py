"""What was measured: times, values with gaps, noise variances, forcing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.covariance import correlations
from symda.declare import Forcing, State
from symda.errors import DataError
from symda.labelled import columns_in_order, in_order
from symda.names import is_name
from symda.observe import csvfile, tables
from symda.observe.arrays import as_floats, as_times, readonly, warn_of_coarse
from symda.observe.forcing import ForcingInput, ForcingSource, as_forcing
from symda.observe.initial import as_initial
from symda.observe.tables import ColumnChoice, Columns, ForcingChoice
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas
    import xarray

#: The smallest normal double: its inverse, Rm, is a number.
LEAST_VARIANCE = float(np.finfo(np.float64).tiny)
#: A covariance with a smaller eigenvalue, as correlations, is singular to rounding.
LEAST_EIGENVALUE = 1e-12
#: Entries of a covariance that differ by less from those across the diagonal, as correlations.
SAME = 1e-9


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Observations:
    """Measured values at T times in L channels; nan where nothing was measured.

    Parameters
    ----------
    times : (T,)
        Finite, in order, in your units; irregular spacing is fine. Several rows of one time are
        several measurements of it.
    values : (T,) or (T, L)
        Measurements; nan, None or a masked entry is a gap. (T,) is one channel. A channel may be
        all nan, so that one action and its kernels serve whatever was measured.
    variance : float, (L,) or (T, L), optional
        Noise variance sigma^2 (not the standard deviation), positive; Rm = 1 / variance. With one
        channel (T,) is accepted too. Its value at a gap does not matter, nor that of a channel
        whose noise says its own scale (`symda.Poisson` or ``symda.Normal(x, sigma)``): there it may
        be nan, or be left out for all.
    covariance : (L, L) or (T, L, L), optional
        In place of `variance`, where noise of several channels at one time is correlated: its
        covariance matrix, in the order of the columns of `values`, one for all times or one each.
        Symmetric and positive definite. At gaps its entries do not matter: the noise of the
        channels that were seen has their part of the matrix. Rows of the same time are independent
        of each other. A channel whose noise says its own scale has nan on the diagonal.
    channels
        L names, matched to the model's measured channels by name. Without names (a DataFrame's
        text column names count as names) channels are matched by position.
    forcing
        Forcing channel (name or symbol) -> `Samples`, T values at `times` (linear in between),
        a tuple (times, values), a number, a SymPy expression in time, or `Pulses`.
    initial
        State (name or symbol) -> its value at the first grid point, where that is known exactly;
        instead of what the action says of it. None estimates it.

    Attributes
    ----------
    times : (T,)
    values, variance : (T, L)
    covariance : (T, L, L), or None
    channels : tuple of L names, or None
    forcing : name -> `Samples`, `Pulses` or expression
    initial : name -> float, nan where it is to be estimated

    Raises
    ------
    DataError
        Anything above that does not hold; the message says where and how to correct it.

    Warns
    -----
    DataWarning
        Times so large that doubles near them are too far apart for their intervals.
    """

    times: FloatArray
    values: FloatArray
    variance: FloatArray
    covariance: FloatArray | None
    channels: tuple[str, ...] | None
    forcing: Mapping[str, ForcingSource]
    initial: Mapping[str, float]

    def __init__(
        self,
        times: ArrayLike,
        values: ArrayLike,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        channels: Sequence[str] | None = None,
        forcing: Mapping[str | Forcing, ForcingInput] | None = None,
        initial: Mapping[str | State, float | None] | None = None,
    ) -> None:
        when = as_times(times, "times of Observations", repeated=True)
        warn_of_coarse(np.unique(when), "times of Observations", stacklevel=2)
        data = _as_values(values, when)
        if channels is None:
            channels = _column_names(values)
        names = None if channels is None else _as_channels(channels, data.shape[1])
        _require_measurements(data)
        object.__setattr__(self, "times", when)
        object.__setattr__(self, "values", readonly(data))
        matrices = _as_covariance(covariance, variance, data, when, names)
        if matrices is not None:
            variance = np.diagonal(matrices, axis1=1, axis2=2)
        object.__setattr__(self, "variance", readonly(_as_variance(variance, data, names)))
        object.__setattr__(self, "covariance", matrices)
        object.__setattr__(self, "channels", names)
        object.__setattr__(self, "forcing", as_forcing(forcing, when))
        object.__setattr__(self, "initial", as_initial(initial))

    def with_initial(self, initial: Mapping[str | State, float | None]) -> Observations:
        """Return the observations with other known initial values; see `Observations`."""
        found = copy(self)
        object.__setattr__(found, "initial", as_initial(initial))
        return found

    @property
    def measured(self) -> BoolArray:
        """Where there is a value, (T, L)."""
        return ~np.isnan(self.values)

    def __repr__(self) -> str:
        T, L = self.values.shape
        gaps = self.values.size - int(np.count_nonzero(self.measured))
        span = f"{self.times[0]} to {self.times[-1]}"
        named = "" if self.channels is None else f", channels={self.channels}"
        forced = f", forcing={tuple(self.forcing)}" if self.forcing else ""
        noise = "" if self.covariance is None else ", correlated noise"
        return f"Observations(T={T}, L={L}, times {span}, gaps={gaps}{named}{forced}{noise})"

    @classmethod
    def from_pandas(
        cls,
        frame: pandas.DataFrame | pandas.Series,
        time: Hashable | None = None,
        values: ColumnChoice | None = None,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        forcing: ForcingChoice = (),
    ) -> Observations:
        """Read a DataFrame: one row a time, one column a channel.

        Parameters
        ----------
        frame
            DataFrame or Series; nan and NA are gaps.
        time
            Column of times; None: the index.
        values
            Columns of measurements: a name, names, or {channel: column}. None: all other columns.
        variance, covariance
            As in `Observations`, for the channels in the order of `values`.
        forcing
            Columns that are forcing samples: names, or {channel: column}, where anything but text
            in place of a column is taken as in `Observations`.

        Raises
        ------
        DataError
            A missing column (with the nearest name), or data `Observations` refuses.
        """
        return cls.of_columns(
            tables.from_pandas(frame, time, values, forcing), variance, covariance
        )

    @classmethod
    def from_xarray(
        cls,
        data: xarray.DataArray | xarray.Dataset,
        time: str | None = None,
        values: ColumnChoice | None = None,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        forcing: ForcingChoice = (),
    ) -> Observations:
        """Read a DataArray (time,) or (time, channel), or variables (time,) of a Dataset.

        Parameters
        ----------
        data
            The times are the coordinate of dimension `time`. In a Dataset `values` may also name
            one variable (time, channel).
        time
            Dimension of time; None: the only one, else ``time`` or ``t``.
        values, variance, covariance, forcing
            As in `from_pandas`, with variables (or channel labels) for columns.

        Raises
        ------
        DataError
            A missing variable, dimension or coordinate, or data `Observations` refuses.
        """
        return cls.of_columns(tables.from_xarray(data, time, values, forcing), variance, covariance)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        time: str | None = None,
        values: ColumnChoice | None = None,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        forcing: ForcingChoice = (),
        separator: str = ",",
    ) -> Observations:
        """Read a CSV file whose first line names the columns; an empty cell is a gap.

        Parameters
        ----------
        path
            The file.
        time
            Column of times; None: column ``t``, else ``time``, else the first.
        values, variance, covariance, forcing
            As in `from_pandas`.
        separator
            Character between columns.

        Raises
        ------
        DataError
            No such file, no column names, a missing column, text among the numbers, or data
            `Observations` refuses.
        """
        return cls.of_columns(
            csvfile.from_csv(path, time, values, forcing, separator), variance, covariance
        )

    @classmethod
    def from_netcdf(
        cls,
        path: str | Path,
        time: str | None = None,
        values: ColumnChoice | None = None,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        forcing: ForcingChoice = (),
    ) -> Observations:
        """Read a NetCDF file as `from_xarray` reads a Dataset.

        NetCDF 4 (HDF5) or NetCDF 3. Times are the plain numbers of the file; "days since ..." is
        not decoded to dates.

        Raises
        ------
        DataError
            No such file, not NetCDF or damaged; one that needs anything outside itself (links,
            external storage, filters of other libraries) or declares more than 64 MB and a hundred
            times its size; or as in `from_xarray`.
        """
        return cls.of_columns(tables.from_netcdf(path, time, values, forcing), variance, covariance)

    @classmethod
    def of_columns(
        cls, columns: Columns, variance: ArrayLike | None, covariance: ArrayLike | None
    ) -> Observations:
        """Make observations of columns of a table; messages begin with its name."""
        try:
            return cls(
                columns.times,
                columns.values,
                variance=variance,
                covariance=covariance,
                channels=columns.channels,
                forcing=columns.forcing,
            )
        except DataError as error:
            raise DataError(f"{columns.where}: {error}") from error


def _as_values(values: ArrayLike, times: FloatArray) -> FloatArray:
    data = as_floats(values, "values of Observations")
    if data.ndim == 1:
        data = data[:, None]
    T = times.size
    if data.ndim != 2 or data.shape[0] != T or data.shape[1] == 0:
        turned = data.ndim == 2 and data.shape[1] == T
        fix = (
            "It looks transposed: pass values.T."
            if turned
            else "Pass one row for each time, one column for each channel."
        )
        raise DataError(
            f"values of Observations: expected shape ({T},) or ({T}, L) for {T} times, got "
            f"{np.shape(values)}. {fix}"
        )
    bad = np.argwhere(np.isinf(data))
    if bad.size:
        t, channel = bad[0]
        raise DataError(
            f"values of Observations: entry [{t}, {channel}] (time {times[t]}) is "
            f"{data[t, channel]}. Use nan where nothing was measured."
        )
    return data


def _column_names(values: ArrayLike) -> tuple[str, ...] | None:
    """Text column names of a DataFrame: their order must not decide what is compared with what."""
    columns = getattr(values, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return tuple(columns)


def _as_channels(channels: Sequence[str], L: int) -> tuple[str, ...]:
    try:
        names = (channels,) if isinstance(channels, str) else tuple(channels)
    except TypeError as error:
        raise DataError(
            f"channels of Observations: expected {L} names, one for each column of values, got "
            f"{channels!r}."
        ) from error
    if len(names) != L:
        raise DataError(
            f"channels of Observations: expected {L} names, one for each column of values, got "
            f"{len(names)}: {', '.join(map(repr, names))}."
        )
    for name in names:
        if not is_name(name):
            raise DataError(
                "channels of Observations: expected printable names without blanks around them, "
                f"got {name!r}. Pass text, such as 'x0'."
            )
        if names.count(name) > 1:
            raise DataError(
                f"channels of Observations: the name {name!r} occurs twice. Rename one of them."
            )
    return names


def _require_measurements(data: FloatArray) -> None:
    if np.isnan(data).all():
        raise DataError(
            "values of Observations: every value is nan, nothing was measured. Pass at least one "
            "measured value."
        )


def _as_covariance(
    covariance: ArrayLike | None,
    variance: ArrayLike | None,
    data: FloatArray,
    times: FloatArray,
    names: tuple[str, ...] | None,
) -> FloatArray | None:
    """Check covariances; return one for each time, (T, L, L), or None where none were given."""
    if covariance is None:
        return None
    what = "covariance of Observations"
    if variance is not None:
        raise DataError(
            f"{what}: variance was given as well. Pass one of them; the diagonal of the covariance "
            "is the variance."
        )
    T, L = data.shape
    try:
        given = None if names is None else in_order(covariance, names)
    except KeyError as error:
        raise DataError(
            f"{what}: its rows and columns are {error.args[0]}, and the channels "
            f"{', '.join(names or ())}. Label it by the channels, or pass a plain array in their "
            "order."
        ) from None
    given = as_floats(covariance if given is None else given, what)
    if given.shape not in ((L, L), (T, L, L)):
        raise DataError(
            f"{what}: expected shape ({L}, {L}) or ({T}, {L}, {L}), got {given.shape}. Pass a "
            f"square matrix of the {L} channels, or one for each of the {T} times."
        )

    def at(t: int, *entry: int) -> str:
        """Name a matrix, or an entry of it."""
        row = f"[{t}] (time {times[t]})" if given.ndim == 3 else ""
        if not entry:
            return row.strip() or "it"
        index = [*([t] if given.ndim == 3 else []), *entry]
        return f"entry {index}" + (f" (time {times[t]})" if given.ndim == 3 else "")

    full = np.broadcast_to(given, (T, L, L))
    own = np.diagonal(full, axis1=1, axis2=2)
    seen = ~np.isnan(data)
    # whether a channel needs a variance, its noise says
    present = seen & ~np.isnan(own)
    wrong = np.argwhere(present & ~(np.isfinite(own) & (own >= LEAST_VARIANCE)))
    if wrong.size:
        t, l = wrong[0].tolist()
        raise DataError(
            f"{what}: {at(t, l, l)} is {own[t, l]}, expected a positive, finite number: the "
            "variance sigma^2 of a channel's noise."
        )
    both = present[:, :, None] & present[:, None, :]
    alone = seen[:, :, None] & seen[:, None, :] & ~both & ~np.isnan(full) & (full != 0.0)
    alone[:, np.arange(L), np.arange(L)] = False
    for bad in (np.argwhere(both & ~np.isfinite(full)), np.argwhere(alone)):
        if bad.size:
            t, i, j = bad[0].tolist()
            fix = "a finite number" if both[t, i, j] else "0 or nan beside a variance that is nan"
            raise DataError(f"{what}: {at(t, i, j)} is {full[t, i, j]}, expected {fix}.")
    found, _ = correlations(full, present)
    skew = np.argwhere(np.abs(found - np.transpose(found, (0, 2, 1))) > SAME)
    if skew.size:
        t, i, j = skew[0].tolist()
        raise DataError(
            f"{what}: {at(t)} is not symmetric: {at(t, i, j)} is {full[t, i, j]}, and "
            f"[{j}, {i}] {full[t, j, i]}. Pass (C + C.T)/2 if that is meant."
        )
    least = np.linalg.eigvalsh(found)[:, 0]
    if least.min() < LEAST_EIGENVALUE:
        t = int(np.argmax(least < LEAST_EIGENVALUE))
        channels = np.flatnonzero(present[t])
        smallest = float(np.linalg.eigvalsh(full[t][np.ix_(channels, channels)])[0])
        raise DataError(
            f"{what}: {at(t)} is not positive definite: the smallest eigenvalue of the part of the "
            f"channels measured at time {times[t]} is {smallest:.3g}. No noise has such a "
            "covariance; correct it, or add the variance of an independent noise to its diagonal."
        )
    return full


def _as_variance(
    variance: ArrayLike | None, data: FloatArray, names: tuple[str, ...] | None
) -> FloatArray:
    T, L = data.shape
    if variance is None:
        return np.full(data.shape, np.nan)
    try:
        ordered = None if names is None else columns_in_order(variance, names)
    except KeyError as error:
        raise DataError(
            f"variance of Observations: it is labelled {error.args[0]}, and the channels are "
            f"{', '.join(names or ())}. Label it by the channels, or pass a plain array in their "
            "order."
        ) from None
    given = as_floats(variance if ordered is None else ordered, "variance of Observations")
    if given.shape == (T,) and L == 1:
        given = given[:, None]
    if given.shape not in ((), (L,), (T, L)):
        raise DataError(
            f"variance of Observations: expected a number or shape ({L},) or ({T}, {L}), got "
            f"{given.shape}. Pass one variance, one for each channel, or one for each value."
        )
    full = np.broadcast_to(given, data.shape).copy()
    # whether a channel needs one, its noise says
    wrong = ~np.isnan(full) & ~(np.isfinite(full) & (full >= LEAST_VARIANCE))
    bad = np.argwhere(~np.isnan(data) & wrong)
    if bad.size:
        t, channel = bad[0]
        value, exact = full[t, channel], ""
        if value == 0.0:
            exact = " For exact data use a small one."
        elif 0.0 < value < LEAST_VARIANCE:
            exact = " The inverse of this one is beyond doubles: use a larger one."
        raise DataError(
            f"variance of Observations: entry [{t}, {channel}] is {value}, expected a positive, "
            f"finite number. Pass the variance sigma^2 of the measurement noise.{exact}"
        )
    return full
