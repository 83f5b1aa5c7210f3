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


class OptionError(InputError):
    """An option, a name from a registry, or a combination of options is wrong."""


class BuildError(SymdaError, RuntimeError):
    """Generated code could not be compiled or loaded."""


class SolveError(SymdaError, RuntimeError):
    """A solver could not even start; failures on the way are recorded per path instead."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the closest choice, or an empty string."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
