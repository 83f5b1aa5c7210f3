"""Mappings x -> g(x, theta) at known times, written into the equations."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr

from symda.declare.check import as_expression
from symda.declare.declared import Event
from symda.declare.symbols import State, StepParameter
from symda.errors import ModelError
from symda.names import is_name


def with_events(
    equations: Mapping[State, Expr | float],
    events: Mapping[str, Mapping[State, Expr | float]],
    name: str,
    discrete: bool,
) -> dict[State, Expr | float]:
    """Return equations with a term s (g - x) for each state that an event maps to g.

    s is the event's channel, zero but for its times, when its integral is one.

    Raises
    ------
    ModelError
        If the model is a map, or an event is none.
    """
    where = f"Model {name!r}, events"
    if discrete:
        raise ModelError(
            f"{where}: a map has no times in between; write the cases into its equations with a "
            "forcing."
        )
    if not isinstance(events, Mapping):
        raise ModelError(
            f"{where}: expected a mapping of names to mappings of states, such as "
            f"{{'switch': {{x: 0}}}}, got {type(events).__name__}."
        )
    found: dict[State, Expr | float] = dict(equations)
    for event, mapping in events.items():
        if not is_name(event) or not isinstance(mapping, Mapping) or not mapping:
            raise ModelError(
                f"{where}: expected a name and a mapping of states to what they become, such as "
                f"{{'switch': {{x: 0}}}}, got {event!r}: {mapping!r}."
            )
        channel = Event(event)
        for state, value in mapping.items():
            if state not in equations or isinstance(state, StepParameter):
                raise ModelError(
                    f"{where}, {event!r}: {state!r} is no state with an equation of the model."
                )
            here = f"{where}, {event!r}, {state.name}"
            after = as_expression(value, here)
            paid = [
                s.name
                for s in after.free_symbols
                if isinstance(s, StepParameter) and s.declaration.independent
            ]
            if paid:
                raise ModelError(
                    f"{here}: {after} has {sorted(paid)[0]!r}, a parameter per step whose values "
                    "have priors, which is not supported in an event: the value would pay none. "
                    "Take a constant parameter, or one with process_variance=."
                )
            found[state] = as_expression(found[state], here) + channel * (after - state)
    return found
