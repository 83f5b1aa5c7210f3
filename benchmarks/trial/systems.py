"""The systems of the package `dysts` as SymPy equations: its own Python functions, given symbols.

`dysts` (W. Gilpin, MIT licence) has flows and maps as classes whose right-hand sides are NumPy
code, and JSON files of parameters, initial conditions and periods. Importing the package imports
much that equations do not need. So its two files of equations are read here as text and run with
base classes of our own: once with NumPy, for numbers, and once with a stand-in for NumPy that takes
symbols.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

FILES = {"flow": ("flows.py", "chaotic_attractors.json"), "map": ("maps.py", "discrete_maps.json")}
T = sp.Symbol("t", real=True)

#: What NumPy and SymPy call differently; other functions have the same name in both.
NAMES = {
    "abs": sp.Abs,
    "sign": sp.sign,
    "arccos": sp.acos,
    "heaviside": lambda x, at_zero: sp.Heaviside(x, at_zero),
}
SAME = ("sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh")


@dataclass(frozen=True)
class System:
    """One system: its equations in symbols, its numbers, and its right-hand side by NumPy.

    Parameters
    ----------
    name : str
        As in dysts; of a map that shares it with a flow, with ``Map`` after it.
    kind : str
        ``flow`` or ``map``.
    states : tuple of Symbol
        D states.
    equations : tuple of Expr
        dx/dt, of a map the next x; time is the symbol `T`.
    parameters : mapping of Symbol to float
        Published values of the parameters that stand in the equations.
    initial : ndarray (D,)
        Initial condition.
    period : float
        Length of the dominant period; 1 for maps.
    rate : callable
        ``rate(x, t)``, (D,), the same by the code of dysts itself.
    """

    name: str
    kind: str
    states: tuple[sp.Symbol, ...]
    equations: tuple[sp.Expr, ...]
    parameters: Mapping[sp.Symbol, float]
    initial: NDArray
    period: float
    rate: Callable[[NDArray, float], NDArray]


class _Symbolic:
    """What equations use of NumPy, for symbols and arrays of symbols."""

    pi = sp.pi

    def __getattr__(self, name: str) -> object:
        function = NAMES.get(name) or (getattr(sp, name) if name in SAME else None)
        if function is None:
            return getattr(np, name)  # sums, products and shapes: NumPy does these on objects

        def each(x: Any, *others: Any) -> Any:
            if isinstance(x, np.ndarray):
                return np.array([each(one, *others) for one in x], dtype=object)
            return function(x, *others)

        return each

    @staticmethod
    def min(x: NDArray, axis: int | None = None) -> Any:
        if axis is None:
            return sp.Min(*x.flat)
        return np.array([sp.Min(*row) for row in np.moveaxis(x, axis, -1)], dtype=object)


class _Base:
    """Base class of the systems in both files."""

    _rhs: Callable[..., Any]

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)
        self._values = [values[name] for name in sorted(values)]

    def rhs(self, x: Any, t: Any) -> Any:
        return self._rhs(*x, t, *self._values)


class _Map(_Base):
    def rhs(self, x: Any, t: Any) -> Any:  # noqa: ARG002  # a map does not know the time
        new = self._rhs(*x, *self._values)
        return new if isinstance(new, tuple) else (new,)


class _Delay(_Base):
    pass


def installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("dysts") is not None


@cache
def _folder() -> Path:
    spec = importlib.util.find_spec("dysts")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("dysts is not installed: `make trial`, or pip install --no-deps dysts")
    return Path(spec.submodule_search_locations[0])


@cache
def _numbers(kind: str) -> dict[str, dict[str, Any]]:
    return json.loads((_folder() / "data" / FILES[kind][1]).read_text())


@cache
def _classes(kind: str, symbolic: bool) -> dict[str, type[_Base]]:
    """Run a file of equations without its imports of the package, and return its classes."""
    tree = ast.parse((_folder() / FILES[kind][0]).read_text())
    tree.body = [one for one in tree.body if not isinstance(one, ast.ImportFrom)]
    space: dict[str, Any] = {
        "__name__": "dysts_equations",
        "DynSys": _Base,
        "DynMap": _Map,
        "DynSysDelay": _Delay,
        "staticjit": staticmethod,
    }
    exec(compile(tree, FILES[kind][0], "exec"), space)
    if symbolic:
        space |= {"np": _Symbolic(), "max": sp.Max, "min": sp.Min}
    else:
        # what is called with plain floats all over
        space["max"] = np.maximum
    return {
        name: made
        for name, made in space.items()
        if isinstance(made, type) and issubclass(made, _Base) and made not in (_Base, _Map, _Delay)
    }


def names(kind: str) -> list[str]:
    """Names of all systems that dysts lists: in its code, its numbers, or both."""
    return sorted(set(_classes(kind, True)) | set(_numbers(kind)), key=str.lower)


def left_out(kind: str, name: str) -> str:
    """Why a system is not in the trial set; empty if it is."""
    if name not in _classes(kind, True):
        return "dysts has numbers of it, but no equations"
    if name not in _numbers(kind):
        return "dysts has equations of it, but no numbers"
    if issubclass(_classes(kind, True)[name], _Delay):
        return "a delay equation: its state is a function, not D numbers"
    code = getattr(getattr(_classes(kind, True)[name], "_rhs", None), "__code__", None)
    if code and "fsolve" in code.co_names:
        return "its step solves an equation numerically, which has no expression"
    return ""


@cache
def system(kind: str, name: str) -> System:
    """Convert one system."""
    numbers = _numbers(kind)[name]
    given = {key: _plain(value) for key, value in numbers["parameters"].items()}
    initial = np.atleast_1d(np.array(numbers["initial_conditions"], dtype=float))
    flow = _classes(kind, False)[name](given)
    made = _classes(kind, True)[name]
    symbols = {key: _symbols(key, value) for key, value in given.items()}
    states = _state_symbols(made, len(initial))
    new = made(symbols).rhs(np.array(states, dtype=object), T)
    equations = tuple(sp.sympify(one) for one in new)
    used = set().union(*(one.free_symbols for one in equations))
    values = {
        symbol: float(value)
        for key in given
        for symbol, value in zip(np.ravel(symbols[key]), np.ravel(given[key]), strict=True)
        if symbol in used
    }
    return System(
        name + ("Map" if kind == "map" and name in _numbers("flow") else ""),
        kind,
        states,
        equations,
        values,
        initial,
        float(numbers.get("period", 1.0)),
        lambda x, t: np.array(flow.rhs(np.asarray(x, dtype=float), t), dtype=float).ravel(),
    )


def catalogue() -> tuple[dict[str, System], dict[str, str]]:
    """Return all systems by name, and those left out with the reason."""
    there, missing = {}, {}
    for kind in FILES:
        for name in names(kind):
            reason = left_out(kind, name)
            if reason:
                missing[name] = reason
            else:
                made = system(kind, name)
                there[made.name] = made
    return there, missing


def _plain(value: Any) -> Any:
    return np.array(value, dtype=float) if isinstance(value, list) else float(value)


def _symbols(name: str, value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return sp.Symbol(name, real=True)
    made = [
        sp.Symbol(name + "_".join(str(i) for i in index), real=True)
        for index in np.ndindex(value.shape)
    ]
    return np.array(made, dtype=object).reshape(value.shape)


def _state_symbols(made: type[_Base], D: int) -> tuple[sp.Symbol, ...]:
    """Name the states as the function of dysts does, else X0, X1, ..."""
    code = getattr(getattr(made, "_rhs", None), "__code__", None)
    own = code.co_varnames[:D] if code else [f"X{a}" for a in range(D)]
    return tuple(sp.Symbol(name, real=True) for name in own)
