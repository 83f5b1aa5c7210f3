"""The error tree. Messages say what is wrong, where, what was expected and got, and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SymdaError(Exception):
    """Base of every error symda raises on purpose."""


class InputError(SymdaError, ValueError):
    """Something the user passed is wrong; also a `ValueError`."""


class ModelError(InputError):
    """The declared equations, symbols or measured expressions are wrong."""


class DataError(InputError):
    """Observations, forcing samples, times or files are wrong."""


class DataWarning(UserWarning):
    """Observations or times that lose digits."""


class OptionError(InputError):
    """An option, a name from a registry, or a combination of options is wrong."""


class BuildError(SymdaError, RuntimeError):
    """Generated code could not be compiled or loaded."""


class SolveError(SymdaError, RuntimeError):
    """A solver could not even start; failures on the way are recorded per path instead."""


def nearest(name: object, choices: Iterable[object]) -> str:
    """Return `" Did you mean 'x'?"` for the closest choice, or an empty string.

    Upper and lower case count as the same. What is no text has no neighbours, and neither has
    `"None"`, the text of an option that somebody left empty.
    """
    if not isinstance(name, str) or name == str(None):
        return ""
    folded: dict[str, str] = {}
    for choice in choices:
        if isinstance(choice, str):
            folded.setdefault(choice.casefold(), choice)
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""
