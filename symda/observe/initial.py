"""Values at the first grid point that come with the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symda.checks import number
from symda.declare import State
from symda.errors import DataError, nearest
from symda.types import BoolArray, FloatArray


def as_initial(initial: Mapping[str | State, float | None] | None) -> dict[str, float]:
    """Check values by state, as `Observations` takes them; nan for None.

    Raises
    ------
    DataError
        If it is no such mapping, or a value is no finite number.
    """
    if initial is None:
        return {}
    if not isinstance(initial, Mapping):
        raise DataError(
            "initial of Observations: expected a mapping of states to numbers, such as "
            f"initial={{'x': 0.0}}, got {type(initial).__name__}."
        )
    fix = "give a number, or None to estimate it"
    known: dict[str, float] = {}
    for key, value in initial.items():
        if not isinstance(key, str | State):
            raise DataError(
                f"initial of Observations: expected names or states as keys, got {key!r}."
            )
        name = key if isinstance(key, str) else key.name
        if name in known:
            raise DataError(f"initial of Observations: {name!r} is given twice. Keep one of them.")
        what = f"initial of Observations, {name!r}"
        known[name] = np.nan if value is None else number(value, what, fix, error=DataError)
    return known


def known_values(
    names: tuple[str, ...],
    bounds: FloatArray,
    declared: tuple[FloatArray, BoolArray],
    given: Mapping[str, float],
) -> tuple[FloatArray, BoolArray]:
    """Return the numbers (D,) that hold, nan elsewhere, and which states are functions instead.

    Parameters
    ----------
    names : tuple of str, (D,)
    bounds : (D, 2)
    declared
        Numbers, and which are functions, of the action.
    given
        What the data say instead; nan frees a state.

    Raises
    ------
    DataError
        If the data name what is no state, or a number is outside of the state's bounds.
    """
    values, tied = declared[0].copy(), declared[1].copy()
    for name, value in given.items():
        if name not in names:
            raise DataError(
                f"initial of the observations: {name!r} is no state of the model."
                f"{nearest(name, names)} Its states are {', '.join(names[:20])}."
            )
        values[names.index(name)], tied[names.index(name)] = value, False
    low, high = bounds.T
    outside = np.flatnonzero((values < low) | (values > high))
    if outside.size:
        a = int(outside[0])
        raise DataError(
            f"the initial value {values[a]:.6g} of {names[a]} is outside of its bounds "
            f"({low[a]:.6g}, {high[a]:.6g}). Correct it, or widen bounds=."
        )
    return values, tied
