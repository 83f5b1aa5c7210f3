"""What is known of the state at the first grid point: numbers, and functions of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sympy import Expr

from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    symbols_in,
)
from symda.declare.declared import Declared
from symda.declare.measure import Measurement
from symda.declare.model import Model
from symda.declare.symbols import Parameter, State
from symda.errors import ModelError, nearest
from symda.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Initial:
    """The initial values that an action is given; made by `know_initial`.

    Attributes
    ----------
    functions : tuple of Expr or None, (D,)
        Number or function of parameters that each state has at the first grid point; None where
        it is estimated.
    """

    functions: tuple[Expr | None, ...]

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return any(g is not None for g in self.functions)

    @property
    def numbers(self) -> FloatArray:
        """Values that are numbers, (D,); nan elsewhere."""
        known = [math.nan if g is None or g.free_symbols else float(g) for g in self.functions]
        return np.array(known, dtype=np.float64)

    @property
    def tied(self) -> BoolArray:
        """Which are functions of parameters, (D,)."""
        return np.array([bool(g is not None and g.free_symbols) for g in self.functions])


def know_initial(
    model: Model,
    measurement: Measurement,
    given: Mapping[State | str, Expr | float] | None,
) -> tuple[Initial, Measurement]:
    """Check what a user says of the initial state.

    Parameters
    ----------
    model : Model
    measurement : Measurement
        What is measured of it.
    given : mapping of State or str to Expr or float, optional
        Functions of parameters, which may be new ones, and numbers; other states are estimated.

    Returns
    -------
    initial : Initial
    measurement : Measurement
        With the parameters that are used here only after its own.

    Raises
    ------
    ModelError
        If a key is no state of the model, or a value no such function.
    """
    where = f"initial of an action of model {model.name!r}"
    if given is None:
        return Initial((None,) * len(model.states)), measurement
    if not isinstance(given, Mapping):
        raise ModelError(
            f"{where}: expected a mapping of states to numbers or expressions of parameters, such "
            f"as {{{model.states[0].name}: 0.0}}, got {type(given).__name__}."
        )
    functions: dict[State, Expr] = {}
    for key, value in given.items():
        state = _state(key, model, where)
        if state in functions:
            raise ModelError(f"{where}: {state.name!r} is given twice.")
        functions[state] = as_expression(value, f"{where}, {state.name}")
    parameters = (*model.parameters, *measurement.parameters)
    used = [s for s in symbols_in(functions.values()) if isinstance(s, Declared)]
    names = {symbol.name for symbol in (*model.states, *parameters, *used)}
    for state, function in functions.items():
        here = f"{where}, {state.name}"
        check_expression(function, here)
        check_declared(symbols_in([function]), names, here)
        for symbol in symbols_in([function]):
            if not isinstance(symbol, Parameter):
                raise ModelError(
                    f"{here}: uses {symbol.name!r}, a {type(symbol).__name__}; an initial value "
                    "is a number, or a function of parameters that are the same at all times."
                )
    check_alike((*model.states, *parameters, *model.forcing, *used), where)
    new = tuple(s for s in used if isinstance(s, Parameter) and s not in parameters)
    return (
        Initial(tuple(functions.get(state) for state in model.states)),
        replace(measurement, parameters=(*measurement.parameters, *new)),
    )


def _state(key: object, model: Model, where: str) -> State:
    name = key if isinstance(key, str) else getattr(key, "name", None)
    for state in model.states:
        if state == key or (isinstance(key, str) and state.name == key):
            return state
        if state.name == name:
            raise ModelError(
                f"{where}: {name!r} prints like a state of the model but was declared differently; "
                f"use its name, or the model's own, model[{name!r}]."
            )
    names = [state.name for state in model.states]
    raise ModelError(
        f"{where}: {key!r} is no state of the model.{nearest(str(name), names)} "
        f"Its states are {', '.join(names[:20])}."
    )
