"""What a store holds the paths of: a problem, an action, settings; two of them compared by name."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from reprlib import repr as short
from types import CellType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal.starts import Function
from symda.anneal.strategies import Auto
from symda.errors import DataError

if TYPE_CHECKING:
    from symda.anneal.settings import Settings
    from symda.observe import Problem

#: Packages whose objects say what they are.
KNOWN = ("sympy", "numpy", "scipy", "builtins", "enum")
#: Objects within objects that are looked into.
DEEP = 8
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
            **_own("start", None if several else settings.begin),
            **_own("the strategy's own", method),
            **_own("the solver's own", settings.chosen),
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
        if isinstance(a, Mapping) and isinstance(b, Mapping) and not of:
            yield from _differences(a, b, str(name))
        elif _mark(a) or _mark(b):
            yield str(name)
        else:
            yield f"{name} ({short(a)} there, {short(b)} here)"


def _mark(value: object) -> bool:
    return isinstance(value, str) and value.startswith("sha:")


def _marks(problem: Problem) -> Iterator[tuple[str, str]]:
    """Yield names and digests of a problem's fields."""
    for one in fields(problem):
        yield one.name, digest(getattr(problem, one.name))


def digest(value: object) -> str:
    """Return a mark of an array, or of what else has a repr that says what it is."""
    if isinstance(value, np.ndarray):
        text = f"{value.dtype.str} {value.shape}\n".encode() + value.tobytes()
    else:
        text = repr(value).encode()
    return f"sha:{hashlib.sha256(text).hexdigest()[:16]}"


def _own(name: str, choice: object) -> dict[str, object]:
    """Return what tells a choice from another: of symda's own, whose options stand apart, a start.

    Raises
    ------
    DataError
        If it holds something that cannot be told from another in another process.
    """
    ours = type(choice).__module__.startswith("symda.")
    if choice is None or (ours and name != "start"):
        return {}
    told = _plain(choice)
    if re.search(r"\bat 0x[0-9a-f]+", json.dumps(told)):
        raise DataError(
            f"anneal: {name} {getattr(choice, 'name', choice)!r} holds an object that cannot be "
            "told from another when the run is gone on with: its repr is an address. Give that "
            "object a __repr__ that says what it is, or leave store out."
        )
    return {name: told}


def _code(code: CodeType) -> str:
    """Return a mark of what a function does."""
    constants = [
        _code(one)
        if isinstance(one, CodeType)
        # the order of a set is another one in another process
        else sorted(map(repr, one))
        if isinstance(one, frozenset)
        else one
        for one in code.co_consts
    ]
    return digest((code.co_code, constants, code.co_names, code.co_varnames))


def _function(function: FunctionType) -> object:
    cells = [_content(one) for one in function.__closure__ or ()]
    given = (function.__defaults__ or (), function.__kwdefaults__ or {}, cells)
    return [function.__qualname__, _code(function.__code__), _plain(given)]


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # of a name that has no value yet
        return None


def _plain(value: object, depth: int = 0) -> Any:
    """Return what JSON gives back as it is: arrays as marks, objects by what they hold."""
    if depth > DEEP:
        return repr(value)
    if isinstance(value, np.ndarray):
        return digest(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        order = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_plain(one, depth + 1) for one in order]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, functools.partial):
        return _plain([value.func, value.args, value.keywords], depth + 1)
    if isinstance(value, Function):
        return _plain(value.function, depth + 1)
    if isinstance(value, FunctionType):
        return _function(value)
    if isinstance(value, MethodType):
        return [_plain(value.__self__, depth + 1), _plain(value.__func__, depth + 1)]
    kind = type(value)
    if not hasattr(value, "__dict__") or kind.__module__.split(".")[0] in KNOWN:
        return repr(value)
    held = {"class": kind.__qualname__, **_plain(vars(value), depth + 1)}
    if not kind.__module__.startswith("symda."):
        own = {name: one for name, one in vars(kind).items() if isinstance(one, FunctionType)}
        held["methods"] = _plain(own, depth + 1)
    return held
