"""A model with one equation for each field of a lattice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import final

import sympy as sp
from sympy import Expr

from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    symbols_in,
)
from symda.declare.declaration import Declaration
from symda.declare.declared import Declared, Forcing
from symda.declare.equations import EquationModel
from symda.declare.model import Model, check_kind, find, of_kind, only_time
from symda.declare.site import Lattice, Site, SiteState, StateField
from symda.declare.symbols import Parameter, State, StepParameter
from symda.declare.typeset import model_latex
from symda.errors import ModelError


@final
class LatticeModel(Model):
    """Equations of one site that hold at every site; what `Model` makes of ``{x[i]: ...}``.

    Everything a `Model` has is there: `states` and `equations` are those of all sites, written out
    when they are asked for. States are ordered field by field, the last direction fastest.

    Attributes
    ----------
    lattice : Lattice
        The sites.
    fields : tuple of StateField
        In the order of the equations.
    site_equations : tuple of Expr
        One right-hand side for each field, in ``x[i+1]``, parameters, forcing, time and the site
        numbers themselves.

    Raises
    ------
    ModelError
        If an equation is not of a field at its own site, the fields do not share their sites, an
        equation uses a state of one site by its number or a field without an equation, or for what
        no model may hold.
    """

    def __init__(
        self,
        equations: Mapping[SiteState, Expr | float],
        *,
        name: str = "model",
        discrete: bool = False,
    ) -> None:
        check_kind(name, discrete)
        where = f"Model {name!r}"
        fields = _fields(equations, where)
        wheres = [f"{where}, equation of {left}" for left in equations]
        right_hand_sides = tuple(
            as_expression(given, here)
            for given, here in zip(equations.values(), wheres, strict=True)
        )
        declared = [
            symbol
            for symbol in (*equations, *symbols_in(right_hand_sides))
            if isinstance(symbol, Declared)
        ]
        check_alike(declared, where)
        for expression, here in zip(right_hand_sides, wheres, strict=True):
            check_expression(expression, here)
            check_declared(symbols_in([expression]), {s.name for s in declared}, here)
            for symbol in symbols_in([expression]):
                _check_symbol(symbol, fields, here)
        for attribute, value in (
            ("name", name),
            ("discrete", discrete),
            ("lattice", fields[0].lattice),
            ("fields", fields),
            ("site_equations", right_hand_sides),
            ("parameters", of_kind(declared, Parameter)),
            ("forcing", of_kind(declared, Forcing)),
            ("time", only_time(declared, where)),
        ):
            object.__setattr__(self, attribute, value)
        self._check_names(where)

    lattice: Lattice
    fields: tuple[StateField, ...]
    site_equations: tuple[Expr, ...]

    def _repr_latex_(self) -> str:
        own = tuple(field[tuple(self.lattice.sites)] for field in self.fields)
        return model_latex(own, self.site_equations, self.discrete, self.time)

    @property
    def _rows(self) -> tuple[StateField, ...]:
        return self.fields

    @cached_property
    def declarations(self) -> Mapping[State | Parameter, Declaration]:
        """What is declared of the D states and P parameters."""
        return {s: s.declaration for s in (*self.states, *self.parameters)}

    def _meant(
        self, key: object, known: Mapping[str, State | Parameter], where: str
    ) -> Sequence[State | Parameter]:
        own = (field for field in self.fields if key == field.name)
        return super()._meant(next(own, key), known, where)

    def _check_names(self, where: str) -> None:
        names = {state.name for state in self.states}
        others = {s.name for s in (*self.parameters, *self.forcing)}
        if self.time is not None:
            others.add(self.time.name)
        shared = names & others
        if shared or len(names) < len(self.states):
            what = ", ".join(sorted(shared)) or ", ".join(field.name for field in self.fields)
            raise ModelError(
                f"{where}: the names of the sites' states are not unique ({what}); rename a field, "
                "or the parameter, forcing or time that is called like one of its states."
            )

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The D states."""
        return tuple(state for field in self.fields for state in field)

    @cached_property
    def equations(self) -> tuple[Expr, ...]:
        """The D right-hand sides, written out site by site."""
        used = [s for s in symbols_in(self.site_equations) if isinstance(s, SiteState)]
        count, start = self.lattice.count, {f: n for n, f in enumerate(self.fields)}
        neighbours = {s: self.lattice.neighbours(s.offsets).tolist() for s in used}
        numbers = self.lattice.coordinates().T.tolist()

        def at(place: int) -> dict[Expr, Expr]:
            values: dict[Expr, Expr] = {
                site: sp.Integer(number)
                for site, number in zip(self.lattice.sites, numbers[place], strict=True)
            }
            for symbol, places in neighbours.items():
                other = places[place]
                values[symbol] = (
                    sp.S.Zero if other < 0 else self.states[start[symbol.field] * count + other]
                )
            return values

        tables = [at(place) for place in range(count)]
        return tuple(
            equation.xreplace(table) for equation in self.site_equations for table in tables
        )

    def expand(self) -> EquationModel:
        """Return the ordinary model with an equation for each of the D states."""
        equations = dict(zip(self.states, self.equations, strict=True))
        made = EquationModel(equations, name=self.name, discrete=self.discrete)
        return made.with_declarations(self.declarations)

    # more than a model returns, but only for names that a model without sites does not have
    def __getitem__(self, name: str) -> State | Parameter | Forcing | StateField:  # type: ignore[override]
        """Return the symbol of a name, or the field, as in ``model["u"][::3]``; see `Model`."""
        kinds: dict[str, Sequence[State | Parameter | Forcing | StateField]]
        kinds = {**self._kinds, "fields": self.fields}
        return find(name, self.name, kinds)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LatticeModel)
            and self._content == other._content
            and self.declarations == other.declarations
        )

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def _content(self) -> tuple[object, ...]:
        return (self.name, self.discrete, self.fields, self.site_equations)

    def __repr__(self) -> str:
        kind = "map" if self.discrete else "ODE"
        shape = " x ".join(map(str, self.lattice.shape))
        sizes = f"D={len(self.states)}, P={len(self.parameters)}, U={len(self.forcing)}"
        return f"Model({self.name!r}, {kind}, {len(self.fields)} x {shape} sites, {sizes})"


def _fields(equations: Mapping[SiteState, Expr | float], where: str) -> tuple[StateField, ...]:
    for left in equations:
        if not isinstance(left, SiteState) or any(left.offsets):
            raise ModelError(
                f"{where}: the left-hand side {left!r} is not a field at its own site. In a model "
                "with sites every equation is of a field, {x[i]: ...}; write a quantity of its own "
                "as a field, or the model without sites."
            )
    fields = tuple(left.field for left in equations)
    for field in fields:
        if field.lattice != fields[0].lattice:
            raise ModelError(
                f"{where}: {field.name} and {fields[0].name} are not declared on the same sites, "
                f"{field!r} and {fields[0]!r}."
            )
    return fields


def _check_symbol(symbol: object, fields: tuple[StateField, ...], where: str) -> None:
    if isinstance(symbol, SiteState) and symbol.field not in fields:
        raise ModelError(
            f"{where}: uses {symbol.name}, but the field {symbol.field.name!r} has no equation. "
            f"Add {symbol.field.name}[...]: ... to the equations."
        )
    if isinstance(symbol, StepParameter):
        raise ModelError(
            f"{where}: {symbol.name!r} is a parameter per step, which equations of sites cannot "
            "have. Make it a field of its own with rate 0, or write the model without sites."
        )
    if isinstance(symbol, State):
        raise ModelError(
            f"{where}: uses the state {symbol.name!r} of one site, which couples it to all sites. "
            "Equations of a lattice use neighbours, x[i + 1]; write such a model without sites."
        )
    if isinstance(symbol, Site) and symbol not in fields[0].lattice.sites:
        raise ModelError(f"{where}: {symbol.name!r} is not one of the sites of these fields.")
