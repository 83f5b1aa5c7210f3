"""Numbers as a user passes them -> read-only float64 copies, with errors that name the place."""

from __future__ import annotations

import datetime
import math
import re
import warnings
from typing import SupportsFloat, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.errors import DataError, DataWarning
from symda.types import FloatArray

Scalar = TypeVar("Scalar", bound=np.generic)

#: Doubles farther apart than this share of the shortest interval between two times lose digits.
COARSE = 1e-9

#: A number with a decimal comma; one with something behind it, such as a unit.
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(e[+-]?[0-9]+)?", re.IGNORECASE)
_UNIT = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\s*[^\s0-9.,:/-][^0-9:/]*", re.IGNORECASE
)

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def readonly(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Mark `array` as read-only and return it."""
    array.flags.writeable = False
    return array


def as_floats(data: object, what: str) -> FloatArray:
    """Copy `data` into a new float64 array; masked, None and NA entries become nan.

    Parameters
    ----------
    data
        Numbers: a list, NumPy or masked array, pandas or xarray object.
    what
        How messages call it, for instance ``"values of Observations"``.

    Raises
    ------
    DataError
        Text, dates, complex numbers, ragged rows or anything else that is not a real number.
    """
    try:
        raw = np.array(data)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{what}: the rows have different lengths or are not arrays ({error}). "
            "Pass one rectangular array, with nan where a number is missing."
        ) from error
    if isinstance(data, np.ma.MaskedArray):
        raw = np.ma.filled(data.astype(np.float64), np.nan)
    if raw.dtype.kind == "O":
        missing = getattr(data, "isna", None)  # pandas: its NA is no float
        if missing is not None:
            raw[np.asarray(missing())] = np.nan
        _refuse_objects(raw, what, data)
    elif raw.dtype.kind in "mM":
        raise DataError(_dates(what))
    elif raw.dtype.kind in "US":
        _refuse_objects(np.array(data, dtype=object), what, data)
    elif raw.dtype.kind == "c":
        raise DataError(
            f"{what}: expected real numbers, got complex ones. Pass real and imaginary parts as "
            "two channels."
        )
    try:
        return raw.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{what}: expected numbers, got {type(data).__name__} ({error})."
        ) from error


def place(data: object, at: int) -> str:
    """Return where an entry stands, as its user sees it: pandas' label of its row, or its number.

    An index with a name says what its labels are, as the line of a file.
    """
    index = getattr(data, "index", None)
    if not hasattr(index, "get_indexer"):
        return f"entry {at}"
    return f"{index.name or 'row'} {index[at]}"  # type: ignore[union-attr, index]


def dimensions(data: object) -> int:
    """Return the number of dimensions; rows of different lengths are one sequence."""
    try:
        return int(np.ndim(data))  # type: ignore[arg-type]
    except ValueError:
        return 1


def as_double(value: SupportsFloat) -> float:
    """Return a number as a double; what none holds is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_times(data: ArrayLike, what: str, *, repeated: bool = False) -> FloatArray:
    """Copy `data` (T,) into a read-only float64 array of finite, strictly increasing times.

    With `repeated` equal times may follow one another.

    Raises
    ------
    DataError
        Not one-dimensional, empty, not finite, not increasing, or dates.
    """
    times = as_floats(data, what)
    if times.ndim != 1:
        raise DataError(
            f"{what}: expected one dimension, got shape {times.shape}. Pass a flat sequence of "
            "times."
        )
    if times.size == 0:
        raise DataError(f"{what}: expected at least one time, got none.")
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise DataError(
            f"{what}: {place(data, int(bad[0]))} is {times[bad[0]]}, expected a finite number. "
            "Drop the rows without a time."
        )
    exact = np.asarray(data)
    back = np.flatnonzero(times[1:] <= times[:-1])
    if repeated:
        same = exact[1:] == exact[:-1] if exact.dtype.kind in "iu" else times[1:] == times[:-1]
        back = np.flatnonzero((times[1:] <= times[:-1]) & ~same)
    if back.size:
        i = int(back[0])
        if exact.dtype.kind in "iu" and exact[i + 1] > exact[i]:
            raise DataError(
                f"{what}: entries {i} and {i + 1}, {exact[i]} and {exact[i + 1]}, are the same "
                f"double. Measure time from a nearer origin: times - {exact[0]}."
            )
        raise DataError(
            f"{what}: must {'not decrease' if repeated else 'be strictly increasing'}, but "
            f"{place(data, i + 1)} is {times[i + 1]} after {times[i]}. Sort the rows by time"
            f"{'' if repeated else ' and merge rows of the same time'}."
        )
    return readonly(times)


def warn_of_coarse(times: FloatArray, what: str, *, stacklevel: int) -> None:
    """Warn if doubles near the times (T,) are too far apart to tell what lies between two.

    Parameters
    ----------
    times
        Increasing.
    what
        How the message calls them.
    stacklevel
        As for `warnings.warn`, counted from the caller.
    """
    with np.errstate(over="ignore"):
        lengths = np.diff(times)
    apart = np.spacing(np.maximum(np.abs(times[:-1]), np.abs(times[1:])))
    coarse = np.flatnonzero(apart > COARSE * lengths)
    if coarse.size:
        i = int(coarse[np.argmin(lengths[coarse])])
        warnings.warn(
            f"{what}: near {times[i + 1]:.6g} doubles are {apart[i]:.2g} apart, and two times lie "
            f"{lengths[i]:.6g} apart there: lengths of steps and times within them are rounded to "
            f"that. Measure time from a nearer origin: times - {times[0]:.17g}.",
            DataWarning,
            stacklevel=stacklevel + 1,
        )


def _refuse_objects(raw: NDArray[np.object_], what: str, data: object) -> None:
    for at, item in enumerate(raw.ravel()):
        if isinstance(item, str):
            where = f"{what}, {place(data, at)}" if raw.ndim == 1 else what
            raise DataError(f"{where}: {_text(item)}")
        if isinstance(item, _DATES):
            raise DataError(_dates(what))


def _text(item: str) -> str:
    """Say of a text among numbers what it seems to be, and how to mend it."""
    if _COMMA.fullmatch(item):
        return (
            f"expected numbers, got text ({item!r}), with a decimal comma. Write points: with "
            "pandas read_csv(..., decimal=','), then Observations.from_pandas."
        )
    if _is_date(item):
        return (
            f"{item!r} is a date, and expected are plain numbers in your own units. Convert the "
            "column first, for instance with pandas: t = pd.to_datetime(column); "
            "(t - t[0]).dt.total_seconds()"
        )
    if _UNIT.fullmatch(item):
        return (
            f"expected numbers, got text ({item!r}). Write plain numbers, without units, all of "
            "them in one unit."
        )
    return (
        f"expected numbers, got text ({item!r}). "
        "Convert it to float; use nan (an empty cell) for a gap."
    )


def _is_date(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _dates(what: str) -> str:
    return (
        f"{what}: expected plain numbers in your own units, got dates or time differences. "
        "Convert them, for instance (times - times[0]) / numpy.timedelta64(1, 's')."
    )
