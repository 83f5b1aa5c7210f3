"""Numbers as a user passes them -> read-only float64 copies, with errors that name the place."""

from __future__ import annotations

import datetime
import math
from typing import SupportsFloat, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

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
        _refuse_objects(raw, what)
    elif raw.dtype.kind in "mM":
        raise DataError(_dates(what))
    elif raw.dtype.kind in "US":
        _refuse_objects(np.array(data, dtype=object), what)
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


def as_double(value: SupportsFloat) -> float:
    """Return a number as a double; what none holds is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_times(data: ArrayLike, what: str) -> FloatArray:
    """Copy `data` (T,) into a read-only float64 array of finite, strictly increasing times.

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
            f"{what}: entry {bad[0]} is {times[bad[0]]}, expected a finite number. Drop the rows "
            "without a time."
        )
    back = np.flatnonzero(times[1:] <= times[:-1])
    if back.size:
        i = int(back[0])
        raise DataError(
            f"{what}: must be strictly increasing, but entry {i + 1} is {times[i + 1]} after "
            f"{times[i]}. Sort the rows by time and merge rows of the same time."
        )
    return readonly(times)


def _refuse_objects(raw: NDArray[np.object_], what: str) -> None:
    for item in raw.ravel():
        if isinstance(item, str):
            raise DataError(_text(what, item))
        if isinstance(item, _DATES):
            raise DataError(_dates(what))


def _text(what: str, item: str) -> str:
    return (
        f"{what}: expected numbers, got text ({item!r}). "
        "Convert it to float; use nan (an empty cell) for a gap."
    )


def _dates(what: str) -> str:
    return (
        f"{what}: expected plain numbers in your own units, got dates or time differences. "
        "Convert them, for instance (times - times[0]) / numpy.timedelta64(1, 's')."
    )
