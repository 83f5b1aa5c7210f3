"""The ordinary kind of model: one equation for each state, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr, S, Symbol

from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    describe,
    symbols_in,
)
from symda.declare.declared import Declared, Forcing
from symda.declare.model import Model, check_kind, of_kind, only_time
from symda.declare.site import Site, SiteState
from symda.declare.symbols import Parameter, State, StepParameter
from symda.errors import ModelError, nearest


@dataclass(frozen=True, init=False, repr=False)
class EquationModel(Model):
    """A model with an equation for each state; what `sd.Model` makes of ``{x: ...}``."""

    def __init__(
        self,
        equations: Mapping[State, Expr | float],
        *,
        name: str = "model",
        discrete: bool = False,
    ) -> None:
        check_kind(name, discrete)
        states = _checked_states(equations, name)
        wheres = [f"Model {name!r}, equation of {state}" for state in states]
        right_hand_sides = tuple(
            as_expression(given, where)
            for given, where in zip(equations.values(), wheres, strict=True)
        )
        declared = [
            symbol
            for symbol in (*states, *symbols_in((*right_hand_sides, *self._beside)))
            if isinstance(symbol, Declared)
        ]
        names = {symbol.name for symbol in declared}
        check_alike(declared, f"Model {name!r}")
        for expression, where in zip(right_hand_sides, wheres, strict=True):
            check_expression(expression, where)
            check_declared(symbols_in([expression]), names, where)
            for symbol in symbols_in([expression]):
                if isinstance(symbol, Site | SiteState):
                    raise ModelError(
                        f"{where}: uses {symbol.name}, which needs equations of sites, "
                        "{x[i]: ...}; the left-hand side here is one state."
                    )
                if type(symbol) is State and symbol not in states:
                    raise ModelError(
                        f"{where}: uses the state {symbol.name!r}, which has no equation."
                        f"{nearest(symbol.name, (state.name for state in states))} "
                        f"Add {symbol.name}: ... to the equations, or declare it as a parameter "
                        "or forcing."
                    )
        carried = of_kind(declared, StepParameter)
        unknowns = (*states, *carried), of_kind(declared, Parameter)
        for field, value in (
            ("name", name),
            ("discrete", discrete),
            ("states", unknowns[0]),
            ("parameters", unknowns[1]),
            ("forcing", of_kind(declared, Forcing)),
            ("time", only_time(declared, f"Model {name!r}")),
            ("declarations", {s: s.declaration for s in (*unknowns[0], *unknowns[1])}),
            # constant here; their own change is a term of the action
            ("equations", (*right_hand_sides, *(w if discrete else S.Zero for w in carried))),
        ):
            object.__setattr__(self, field, value)

    @property
    def _beside(self) -> tuple[Expr, ...]:
        """Expressions whose symbols are the model's as those of its equations are."""
        return ()


def _checked_states(equations: Mapping[State, Expr | float], name: str) -> tuple[State, ...]:
    if not isinstance(equations, Mapping):
        raise ModelError(
            f"Model {name!r}: equations must be a mapping of state to right-hand side, "
            f"{{x: -x}}, got {type(equations).__name__}."
        )
    if not equations:
        raise ModelError(f"Model {name!r}: no equation given; a model needs at least one state.")
    for key in equations:
        if isinstance(key, StepParameter):
            raise ModelError(
                f"Model {name!r}: the left-hand side {key.name!r} is a parameter per step, which "
                "has no equation; use it in the equations of states. A quantity with an equation "
                "of its own is a state, sd.state."
            )
        if not isinstance(key, State):
            what = describe(key) if isinstance(key, Symbol) else type(key).__name__
            raise ModelError(
                f"Model {name!r}: the left-hand side {key!r} is {what}; "
                "equations belong to states. Declare it with sd.state."
            )
    return tuple(equations)
