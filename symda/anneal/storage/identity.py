"""What a store holds the paths of: a problem, an action, settings; two of them compared by name."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal.starts import Function
from symda.anneal.strategies import Auto

if TYPE_CHECKING:
    from symda.anneal.settings import Settings
    from symda.observe import Problem

#: Fields of a problem as users call them; others by their own names.
NAMES = {
    "y": "the data",
    "rm": "the noise variances, or what was measured",
    "times": "the times",
    "h": "the steps",
    "u": "the forcing",
    "states": "the states",
    "parameters": "the parameters",
    "channels": "the measured quantities",
    "state_bounds": "the bounds of states",
    "parameter_bounds": "the bounds of parameters",
    "state_start": "the start ranges of states",
    "parameter_start": "the start ranges of parameters",
    "fixed": "the values of fixed parameters",
    "free": "which parameters are free",
    "segments": "the experiments",
}


def identity(problem: Problem, settings: Settings, action: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be equal for two runs to be the same, as JSON has it.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    action : mapping
        What the caller knows of model, scheme and measurement: names -> text.
    """
    method = settings.method
    several = isinstance(method, Auto) and settings.start is None
    return {
        "action": dict(action),
        "problem": {NAMES.get(name, name): mark for name, mark in _marks(problem)},
        "settings": {
            "solver": settings.chosen.name,
            "strategy": method.name,
            **({} if several else {"start": _one(settings.begin)}),
            **{name: _plain(value) for name, value in settings.record().items()},
        },
    }


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Name what two identities do not share, with values where these say something."""
    return list(_differences(there, here, ""))


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], of: str) -> Iterator[str]:
    for name in dict.fromkeys((*there, *here)):
        a, b = there.get(name), here.get(name)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differences(a, b, name if of else of or " ")
        elif _mark(a) or _mark(b):
            yield str(name)
        else:
            yield f"{name} ({short(a)} there, {short(b)} here)"


def _mark(value: object) -> bool:
    return isinstance(value, str) and value.startswith("sha:")


def _marks(problem: Problem) -> Iterator[tuple[str, str]]:
    """Yield names and digests of a problem's fields."""
    for one in fields(problem):
        yield one.name, _digest(getattr(problem, one.name))


def _digest(value: object) -> str:
    if isinstance(value, np.ndarray):
        text = f"{value.dtype.str} {value.shape}\n".encode() + value.tobytes()
    else:
        text = repr(value).encode()
    return f"sha:{hashlib.sha256(text).hexdigest()[:16]}"


def _one(choice: object) -> str:
    """Return what tells a start from another, also one of the user's own."""
    if isinstance(choice, Function):
        try:
            return _digest(inspect.getsource(choice.function))
        except (OSError, TypeError):
            return choice.name
    names = [one.name for one in fields(choice)] if is_dataclass(choice) else []
    held = {name: getattr(choice, name) for name in names}
    options = ", ".join(f"{name}={_plain(value)}" for name, value in held.items())
    return f"{type(choice).__qualname__}({options})"


def _plain(value: object) -> object:
    """Return what JSON gives back as it is: arrays as marks, what it cannot hold as text."""
    if isinstance(value, np.ndarray):
        return _digest(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
