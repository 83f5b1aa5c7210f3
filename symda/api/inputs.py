"""Numbers a user passes to `simulate` and `twin`, checked, with messages that name the fix."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.errors import DataError, InputError, OptionError, nearest

FloatArray = NDArray[np.float64]
Kind: TypeAlias = Literal["finite", "positive", "non-negative"]


def number(
    value: object,
    what: str,
    fix: str,
    *,
    kind: Kind = "finite",
    error: type[InputError] = OptionError,
) -> float:
    """Return `value` as a float.

    Parameters
    ----------
    value
        Anything that is a number, SymPy's included; text is never converted.
    what, fix
        How messages call it, and what they advise.
    kind
        What it must be besides finite.
    error
        What to raise.

    Raises
    ------
    InputError
        If it is not such a number.
    """
    got = _as_float(value)
    fits = math.isfinite(got) and (
        kind == "finite" or got > 0.0 or (kind == "non-negative" and got == 0.0)
    )
    if not fits:
        raise error(f"{what} must be a {kind} number, got {_show(value)}; {fix}.")
    return got


def whole(value: object, what: str, fix: str, *, least: int) -> int:
    """Return `value` as an int of at least `least`.

    Raises
    ------
    OptionError
        If it is not such a number.
    """
    got = _as_float(value)
    if not (math.isfinite(got) and got == round(got) and got >= least):
        raise OptionError(
            f"{what} must be a whole number of at least {least}, got {_show(value)}; {fix}."
        )
    # not by way of the float, which has 53 bits only
    return int(value) if isinstance(value, int | np.integer) else round(got)


def vector(
    values: object,
    names: Sequence[str],
    what: str,
    fix: str,
    *,
    kind: Kind = "finite",
    broadcast: bool = False,
    error: type[InputError] = DataError,
) -> FloatArray:
    """Return one number for each of `names`, shape (len(names),).

    Parameters
    ----------
    values
        A sequence or an array; a single number when there is one name, or to `broadcast` it.
    names
        What the numbers belong to.
    what, fix, kind, error
        As for `number`.
    broadcast
        Whether a single number stands for all.

    Raises
    ------
    InputError
        If there are more or fewer, or one of them is not such a number.
    """
    single = (
        isinstance(values, str | bytes)
        or not isinstance(values, Iterable)
        or getattr(values, "ndim", 1) == 0
    )
    items = [values] if single or not isinstance(values, Iterable) else list(values)
    if single and broadcast:
        items *= len(names)
    if len(items) != len(names):
        listed = f", one for each of {', '.join(names)}" if names else ""
        raise error(
            f"{what} must have length {len(names)}{listed}; got {len(items)} values: {fix}."
        )
    return np.array(
        [
            number(item, f"{what}[{name!r}]", fix, kind=kind, error=error)
            for name, item in zip(names, items, strict=True)
        ],
        dtype=np.float64,
    )


def choice(value: object, choices: Sequence[str], what: str) -> None:
    """Refuse what is not one of `choices`.

    Raises
    ------
    OptionError
        With the nearest of them.
    """
    # an array is none, and cannot be compared with one
    if not isinstance(value, str) or value not in choices:
        raise OptionError(
            f"{what} must be one of {', '.join(choices)}, got {value!r}."
            f"{nearest(str(value), choices)}"
        )


def _as_float(value: object) -> float:
    """`value` if it is one number, else nan."""
    if not isinstance(value, SupportsFloat) or isinstance(value, bool | np.bool_):
        return math.nan
    if getattr(value, "ndim", 0):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # a SymPy expression with symbols; 10**400
        return math.nan


def _show(value: object) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)
