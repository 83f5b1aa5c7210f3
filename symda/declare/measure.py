"""What is measured: functions h(x, theta) of a model's states and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sympy import Expr, Symbol

from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    symbols_in,
)
from symda.declare.declaration import Declaration
from symda.declare.declared import Declared
from symda.declare.model import Model
from symda.declare.site import SiteState
from symda.declare.symbols import Parameter, State, StepParameter
from symda.errors import ModelError, nearest
from symda.names import is_name


@dataclass(frozen=True)
class Measurement:
    """The measured quantities of a model; made by `measure`.

    Attributes
    ----------
    names : tuple of str, (L,)
        Channel names.
    functions : tuple of Expr, (L,)
        h_l(x, theta).
    parameters : tuple of Parameter
        Those that appear in the functions only, then those of initial values only. All parameters
        of a problem, in order, are `model.parameters + measurement.parameters`.
    """

    names: tuple[str, ...]
    functions: tuple[Expr, ...]
    parameters: tuple[Parameter, ...] = ()

    def paid(self, model: Model) -> Measurement:
        """Return it with the model's controls after it, whose squares are misfits to 0."""
        if not model.controls:
            return self
        names = list(self.names)
        for control in model.controls:
            name = f"cost of {control.name}"
            while name in names:
                name += "_"
            names.append(name)
        return Measurement(tuple(names), (*self.functions, *model.controls), self.parameters)

    def declarations(self, model: Model) -> dict[State | Parameter, Declaration]:
        """Return what is declared of the states and all P parameters of a model measured so."""
        return {**model.declarations, **{p: p.declaration for p in self.parameters}}


def measure(model: Model, measured: Sequence[Expr] | Mapping[str, Expr]) -> Measurement:
    """Check and name the measured quantities of a model.

    Parameters
    ----------
    model : Model
    measured : sequence of Expr, or mapping of str to Expr
        L functions of at least one state each, and of parameters, which may be new ones. In a
        sequence a plain state lends its name to its channel; other expressions are called h0, h1,
        ... by their place.

    Returns
    -------
    Measurement

    Raises
    ------
    ModelError
        If nothing is measured, something is measured twice, a channel uses no state, a state that
        is not in the model, forcing or time, or holds what no model may contain.
    """
    where = f"measured quantities of model {model.name!r}"
    given = _pairs(measured, where)
    wheres = [f"{where}, {label}" for label, _ in given]
    functions = tuple(
        as_expression(value, here) for (_, value), here in zip(given, wheres, strict=True)
    )
    known: list[Declared] = [*model.states, *model.parameters, *model.forcing]
    if model.time is not None:
        known.append(model.time)
    used = [symbol for symbol in symbols_in(functions) if isinstance(symbol, Declared)]
    names, states = {symbol.name for symbol in (*known, *used)}, set(model.states)
    for function, here in zip(functions, wheres, strict=True):
        check_expression(function, here)
        check_declared(symbols_in([function]), names, here)
        _check_symbols(function, model, states, here)
    check_alike((*known, *used), where)
    firsts: dict[Expr, int] = {}
    for position, function in enumerate(functions):
        first = firsts.setdefault(function, position)
        if first != position:
            raise ModelError(
                f"{wheres[position]}: {function} is measured twice, also as {given[first][0]}; "
                "remove one. Repeated measurements of one quantity belong to the data."
            )
    return Measurement(
        names=_names(measured, functions),
        functions=functions,
        parameters=tuple(
            symbol
            for symbol in used
            if isinstance(symbol, Parameter) and symbol not in model.parameters
        ),
    )


def _pairs(
    measured: Sequence[Expr] | Mapping[str, Expr], where: str
) -> list[tuple[str, Expr | float]]:
    """Return (label, expression) for each channel; labels are for messages."""
    if isinstance(measured, Expr):
        raise ModelError(f"{where}: got the expression {measured}; put it in a list, [{measured}].")
    if isinstance(measured, Mapping):
        for key in measured:
            if not is_name(key):
                raise ModelError(
                    f"{where}: channel name {key!r} must be a printable text that is not empty "
                    "and has no blanks around it; write {'name': expression}."
                )
        pairs = [(f"channel {key!r}", value) for key, value in measured.items()]
    elif isinstance(measured, Sequence) and not isinstance(measured, str):
        pairs = [(f"channel {position}", value) for position, value in enumerate(measured)]
    else:
        raise ModelError(
            f"{where}: expected a list of expressions or a mapping of names to expressions, "
            f"got {measured!r}."
        )
    if not pairs:
        raise ModelError(f"{where}: nothing is measured; name at least one state.")
    return pairs


def _check_symbols(function: Expr, model: Model, states: set[State], where: str) -> None:
    measures_state = False
    for symbol in symbols_in([function]):
        if isinstance(symbol, State):
            measures_state = True
            if symbol not in states:
                _refuse_state(symbol, model, where)
        elif isinstance(symbol, SiteState):
            raise ModelError(
                f"{where}: {symbol.name} is the state of every site; measured are states of "
                f"certain sites, {symbol.field.name}[0], {symbol.field.name}[::3] or all of "
                f"{symbol.field.name}."
            )
        elif not isinstance(symbol, Parameter):
            raise ModelError(
                f"{where}: uses {symbol.name!r}, a {type(symbol).__name__}; a measurement is a "
                "function of states and parameters only. Subtract known inputs from the data, or "
                "make them a state."
            )
    if not measures_state:
        raise ModelError(
            f"{where}: {function} uses no state of the model, so it says nothing about the path; "
            "measure an expression in at least one state."
        )


def _refuse_state(state: State, model: Model, where: str) -> None:
    names = [other.name for other in model.states]
    if state.name in names:
        raise ModelError(
            f"{where}: {state.name!r} prints like a state of the model but was declared "
            "differently; use the object the model was written with."
        )
    if isinstance(state, StepParameter):
        raise ModelError(
            f"{where}: {state.name!r} is a parameter per step that no equation of the model uses. "
            f"If only measurements depend on it, make it a constant state: {state.name} = "
            f"sd.state({state.name!r}) with the equation {state.name}: "
            f"{state.name if model.discrete else 0}."
        )
    raise ModelError(
        f"{where}: {state.name!r} is not a state of the model.{nearest(state.name, names)} "
        f"Its states are: {', '.join(names)}."
    )


def _names(
    measured: Sequence[Expr] | Mapping[str, Expr], functions: tuple[Expr, ...]
) -> tuple[str, ...]:
    if isinstance(measured, Mapping):
        return tuple(measured)
    taken = {function.name for function in functions if isinstance(function, Symbol)}
    names: list[str] = []
    for position, function in enumerate(functions):
        name = function.name if isinstance(function, Symbol) else f"h{position}"
        while not isinstance(function, Symbol) and name in taken:
            name += "_"
        names.append(name)
    return tuple(names)
