"""Numbers for each of some names, as a user passes them, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from symda.checks import Kind, number
from symda.errors import DataError, InputError
from symda.types import FloatArray


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
