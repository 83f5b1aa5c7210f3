"""What a method of learning is given: recordings of all or some states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.errors import DataError
from symda.observe.observations import Observations
from symda.types import FloatArray, IntArray

#: What `fit` takes.
Recordings: TypeAlias = (
    "Observations | Mapping[str, Observations] | Sequence[Observations] | ArrayLike"
)

#: A step, times, or times of each of several arrays.
Times: TypeAlias = "float | ArrayLike | list[ArrayLike] | None"


@dataclass(frozen=True, eq=False)
class Series:
    """One recording.

    Attributes
    ----------
    times : (T,)
        Strictly increasing.
    values : (T, D)
        nan where nothing was measured.
    variance : (T, D)
        Of the noise; nan where it was not given.
    """

    name: str
    times: FloatArray
    values: FloatArray
    variance: FloatArray

    @property
    def step(self) -> float:
        """The smallest distance of two times."""
        return float(np.diff(self.times).min())

    def of_columns(self, columns: IntArray) -> Series:
        """Return a recording with these columns; nan for the number -1."""

        def chosen(values: FloatArray) -> FloatArray:
            return np.where(columns >= 0, values[:, columns], np.nan)

        return replace(self, values=chosen(self.values), variance=chosen(self.variance))


def as_series(data: Recordings, t: Times, where: str) -> tuple[list[Series], tuple[str, ...]]:
    """Return recordings, and the names of their D columns.

    Parameters
    ----------
    data
        `symda.Observations`, several in a list, mapping or `symda.Experiments`; or an array (T, D)
        or a list of arrays, nan at gaps, with `t`.
    t : float, (T,), or a list of them
        With arrays: the step, or the times.
    where
        How messages name the call.

    Raises
    ------
    DataError
        If there are fewer than three times, times are not in order or repeat, a column is constant,
        or recordings differ in their columns.
    """
    called, found = _recordings(data, t, where)
    if not found:
        raise DataError(f"{where}: there is no recording.")
    first = found[0]
    names = _columns(first)
    series = []
    for name, one in zip(called, found, strict=True):
        if _columns(one) != names:
            raise DataError(
                f"{where}: recording {name} has columns {', '.join(_columns(one))}, recording "
                f"{called[0]} has {', '.join(names)}; give all the same ones."
            )
        if one.forcing:
            raise DataError(
                f"{where}: recording {name} has a forcing, which methods of learning do not take."
            )
        if one.initial:
            raise DataError(
                f"{where}: recording {name} has known initial values, which methods of learning "
                "do not take; give them as data with a small variance."
            )
        if one.covariance is not None:
            raise DataError(f"{where}: noise must be independent: pass variance, not covariance.")
        if one.times.size < 3:
            raise DataError(
                f"{where}: recording {name} has {one.times.size} times; at least 3 are needed."
            )
        if not (np.diff(one.times) > 0.0).all():
            raise DataError(f"{where}: times of recording {name} repeat; each may occur once.")
        series.append(Series(name, one.times, one.values, one.variance))
    values = np.concatenate([one.values for one in series])
    for name, column in zip(names, values.T, strict=True):
        seen = column[np.isfinite(column)]
        if seen.size and np.ptp(seen) <= 1e-12 * np.abs(seen).max():
            raise DataError(
                f"{where}: {name} is constant, {seen[0]:.6g}; nothing can be learned of its rate. "
                "Leave it out, or make it a number in `known`."
            )
    return series, names


def _columns(one: Observations) -> tuple[str, ...]:
    return tuple(one.channels or (f"x{i}" for i in range(one.values.shape[1])))


def _recordings(data: Recordings, t: Times, where: str) -> tuple[list[str], list[Observations]]:
    """Return recordings and what they are called: by their keys, else by their numbers."""
    if isinstance(data, Mapping):
        return list(map(str, data)), _as_recordings(list(data.values()), t, where)
    found = _as_recordings(data, t, where)
    return [str(k + 1) for k in range(len(found))], found


def _as_recordings(
    data: Observations | Sequence[Observations] | ArrayLike, t: Times, where: str
) -> list[Observations]:
    if isinstance(data, Observations):
        data = [data]
    elif not isinstance(data, list | tuple) or not data or not _is_recording(data[0]):
        data = [np.asarray(data)]
    if all(isinstance(one, Observations) for one in data):
        if t is not None:
            raise DataError(f"{where}: t belongs to arrays; observations have their own times.")
        return list(data)
    try:
        arrays = [np.asarray(one, dtype=np.float64) for one in data]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: expected numbers (T, D), nan at gaps, or observations, and not both in one "
            f"list: {error}"
        ) from error
    if any(one.ndim not in (1, 2) for one in arrays):
        raise DataError(f"{where}: expected arrays (T,) or (T, D), got {arrays[0].shape}.")
    if t is None:
        raise DataError(f"{where}: arrays need t, a step or times: fit(values, t=0.01).")
    times = list(t) if isinstance(t, list) and len(t) == len(arrays) else [t] * len(arrays)
    found = []
    for values, one in zip(arrays, times, strict=True):
        given = np.asarray(one, dtype=np.float64)
        when = np.arange(len(values)) * float(given) if given.ndim == 0 else given
        column = values[:, None] if values.ndim == 1 else values
        found.append(Observations(when, column, variance=np.full(column.shape, np.nan)))
    return found


def _is_recording(one: Any) -> bool:
    """Whether an entry of a list is a recording, and no number or row of numbers."""
    return isinstance(one, Observations | np.ndarray) or np.ndim(one) > 1
