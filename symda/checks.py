"""Checks of single numbers and words that a user passes: what was expected, got, and the fix."""

from __future__ import annotations

import contextlib
import importlib
import math
import operator
import sys
from collections.abc import Collection
from pathlib import Path
from reprlib import repr as short
from types import ModuleType
from typing import Literal, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np

from symda.errors import InputError, OptionError, nearest

PACKAGE = str(Path(__file__).parent)

Kind: TypeAlias = Literal["finite", "positive", "non-negative"]


def outside() -> int:
    """Return the `stacklevel` of a warning, so that it names the line of the user's own code."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def package(name: str, where: str, extra: str) -> ModuleType:
    """Import a package that comes with an extra of symda's.

    Raises
    ------
    OptionError
        If it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise OptionError(
            f"{where} needs the package {name}, which could not be imported ({error}): "
            f"pip install 'symda[{extra}]'."
        ) from error


def number(
    value: object,
    what: str,
    fix: str = "",
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
    fits = kind == "finite" or got > 0.0 or (kind == "non-negative" and got == 0.0)
    if not (math.isfinite(got) and fits):
        raise error(_message(value, what, f"a {kind} number", fix))
    return got


def share(value: object, what: str, *, closed: bool = False) -> float:
    """Return a number between 0 and 1 as a float; `closed`: 1 is one as well.

    Raises
    ------
    OptionError
        If it is not such a number.
    """
    got = _as_float(value)
    if not (0.0 < got < 1.0 or (closed and got == 1.0)):
        between = "above 0 and at most 1" if closed else "between 0 and 1"
        raise OptionError(_message(value, what, f"a number {between}"))
    return got


def integer(
    value: object,
    what: str,
    fix: str = "",
    *,
    least: int = 1,
    most: int | None = None,
    floats: bool = False,
    error: type[InputError] = OptionError,
) -> int:
    """Return `value` as an int from `least` to `most`.

    Parameters
    ----------
    value
        A whole number of Python, NumPy or SymPy.
    what, fix, error
        As for `number`.
    least, most
        Ends of the range; there is none above where `most` is None.
    floats
        Whether 2.0 is a whole number too.

    Raises
    ------
    InputError
        If it is not such a number.
    """
    got = _as_int(value, floats)
    if got is None or got < least or (most is not None and got > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise error(_message(value, what, f"a whole number {limits}", fix))
    return got


def choice(
    value: object, what: str, choices: Collection[str], *, error: type[InputError] = OptionError
) -> None:
    """Refuse what is not one of `choices`.

    Raises
    ------
    InputError
        With the nearest of them.
    """
    # an array is none, and cannot be compared with one
    if not isinstance(value, str) or value not in choices:
        raise error(_message(value, what, f"one of {', '.join(choices)}") + nearest(value, choices))


def _as_float(value: object) -> float:
    """`value` if it is one number, else nan."""
    if type(value) is float:
        return value
    if not isinstance(value, SupportsFloat) or isinstance(value, bool | np.bool_):
        return math.nan
    if getattr(value, "ndim", 0):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # a SymPy expression with symbols; 10**400
        return math.nan


def _as_int(value: object, floats: bool) -> int | None:
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, SupportsIndex):
        with contextlib.suppress(TypeError):  # an array of something else
            return operator.index(value)
    got = _as_float(value)
    return int(got) if floats and got.is_integer() else None


def _message(value: object, what: str, expected: str, fix: str = "") -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return f"{what} must be {expected}, got {short(plain)}" + (f"; {fix}." if fix else ".")
