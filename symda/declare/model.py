"""What every model is: states, parameters, forcing, equations, and a table of declarations."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias, TypeVar

from sympy import Expr

from symda.declare.declaration import Declaration, Range
from symda.declare.declared import Declared, Forcing, Time
from symda.declare.distributions import Distribution
from symda.declare.site import StateField
from symda.declare.symbols import Control, Parameter, State, StepParameter
from symda.declare.typeset import model_html, model_latex
from symda.errors import ModelError, nearest
from symda.names import is_name
from symda.scale import ScaleName

Kind = TypeVar("Kind", bound=Declared)
Named = TypeVar("Named", bound=Declared | StateField)
Value = TypeVar("Value")
#: How a user says which states or parameters are meant.
Key: TypeAlias = "str | State | Parameter | Sequence[State] | Sequence[Parameter]"


@dataclass(frozen=True, init=False, repr=False)
class Model(ABC):
    """The base of all kinds of models; users make one with `sd.Model`, which says what it has."""

    name: str
    discrete: bool
    states: tuple[State, ...]
    parameters: tuple[Parameter, ...]
    forcing: tuple[Forcing, ...]
    time: Time | None
    equations: tuple[Expr, ...]
    declarations: Mapping[State | Parameter, Declaration] = field(hash=False)

    @property
    def per_step(self) -> tuple[StepParameter, ...]:
        """The parameters per step, (Q,): the last of the states."""
        return of_kind(self.states, StepParameter)

    @property
    def controls(self) -> tuple[Control, ...]:
        """The unknown inputs whose squares are paid, (Q,), of the parameters per step."""
        return of_kind(self.states, Control)

    @property
    def independent(self) -> dict[StepParameter, Distribution]:
        """The parameters per step of which each value has a prior, W of them, and the priors."""
        declared = ((w, self.declarations[w]) for w in self.per_step)
        return {w: one.prior for w, one in declared if one.prior is not None and one.independent}

    def with_bounds(self, bounds: Mapping[Key, Range] | None = None, /, **named: Range) -> Self:
        """Return the model with other bounds, its symbols and equations the same.

        Its siblings `with_start`, `with_value`, `with_typical`, `with_process_variance`,
        `with_scale` and `with_cost` do the same with what else is declared, as the arguments of
        `sd.state` and `sd.parameter` say it; None takes it back.

        Parameters
        ----------
        bounds : mapping of str, State, Parameter or a sequence of these to (float, float)
            Which unknowns get which bounds; the name or the field of a lattice means all its
            states.
        **named : (float, float)
            The same by name, ``model.with_bounds(nu=(0.0, 30.0))``.

        Raises
        ------
        ModelError
            If the model has no such unknown, or one that has no bounds; for invalid bounds,
            or that a start range or value declared before leaves.
        """
        return self._with("bounds", bounds, named)

    def with_start(
        self, start: Mapping[Key, Range | None] | None = None, /, **named: Range | None
    ) -> Self:
        """Return the model with other ranges of start values; see `with_bounds`."""
        return self._with("start", start, named)

    def with_value(
        self, value: Mapping[Key, float | None] | None = None, /, **named: float | None
    ) -> Self:
        """Return the model with other known values of parameters; see `with_bounds`."""
        return self._with("value", value, named)

    def with_typical(
        self, typical: Mapping[Key, float | None] | None = None, /, **named: float | None
    ) -> Self:
        """Return the model with other typical sizes of parameters; see `with_bounds`."""
        return self._with("typical", typical, named)

    def with_process_variance(
        self, variance: Mapping[Key, float | None] | None = None, /, **named: float | None
    ) -> Self:
        """Return the model with other variances of parameters per step; see `with_bounds`."""
        return self._with("process_variance", variance, named)

    def with_cost(self, cost: Mapping[Key, float] | None = None, /, **named: float) -> Self:
        """Return the model with other costs of its controls; see `with_bounds`."""
        return self._with("cost", cost, named)

    def with_scale(
        self, scale: Mapping[Key, ScaleName | None] | None = None, /, **named: ScaleName | None
    ) -> Self:
        """Return the model with other scales of states and parameters; see `with_bounds`."""
        return self._with("scale", scale, named)

    def with_declarations(self, declarations: Mapping[State | Parameter, Declaration]) -> Self:
        """Return the model with these in its table; symbols that it does not have are left out."""
        found = copy(self)
        table = {s: declarations.get(s, own) for s, own in self.declarations.items()}
        object.__setattr__(found, "declarations", table)
        return found

    def _with(
        self, what: str, given: Mapping[Key, Value] | None, named: Mapping[str, Value]
    ) -> Self:
        where = f"Model {self.name!r}, with_{what}"
        if not isinstance(given, Mapping | None):
            raise ModelError(
                f"{where}: expected a mapping of states or parameters, or their names as keywords, "
                f"got {given!r}."
            )
        changed: dict[State | Parameter, Declaration] = {}
        known = {symbol.name: symbol for symbol in self.declarations}
        for key, value in [*(given or {}).items(), *named.items()]:
            for symbol in self._meant(key, known, where):
                if what not in symbol.declares:
                    raise ModelError(
                        f"{where}: {symbol.name!r} is a {symbol.kind_name.lower()}, which has no "
                        f"{what}; it has {', '.join(symbol.declares)}."
                    )
                if symbol in changed:
                    raise ModelError(f"{where}: {symbol.name!r} is given twice.")
                if what == "cost" and value is None:
                    raise ModelError(f"{where}: {symbol.name!r} needs a cost larger than zero.")
                # of whatever type the value is, it is checked
                other = replace(self.declarations[symbol], **{what: value})  # type: ignore[arg-type]
                changed[symbol] = other.checked(f"{where}: {symbol.name!r}")
        return self.with_declarations(changed)

    def _meant(
        self, key: object, known: Mapping[str, State | Parameter], where: str
    ) -> Sequence[State | Parameter]:
        """Return the states and parameters, known by name, that a key means."""
        if isinstance(key, Sequence) and not isinstance(key, str):
            return [symbol for one in key for symbol in self._meant(one, known, where)]
        name = key if isinstance(key, str) else getattr(key, "name", None)
        found = known.get(name) if isinstance(name, str) else None
        if found is None:
            raise ModelError(
                f"{where}: {key!r} is no state or parameter of the model.{nearest(name, known)} "
                f"It has {listed([*known.values()])}."
            )
        if not isinstance(key, str) and key != found:
            raise ModelError(
                f"{where}: {name!r} prints like a symbol of the model but was declared "
                f"differently; use its name, or the model's own, model[{name!r}]."
            )
        return [found]

    def __getitem__(self, name: str) -> State | Parameter | Forcing:
        """Return the state, parameter or forcing of a name, as in ``model["V"]``.

        Raises
        ------
        ModelError
            If the model has no symbol of that name.
        """
        return find(name, self.name, self._kinds)

    @property
    def _kinds(self) -> dict[str, Sequence[State | Parameter | Forcing]]:
        return {"states": self.states, "parameters": self.parameters, "forcing": self.forcing}

    def __repr__(self) -> str:
        kind = "map" if self.discrete else "ODE"
        own = f" ({len(self.per_step)} of them per step)" if self.per_step else ""
        sizes = f"D={len(self.states)}{own}, P={len(self.parameters)}, U={len(self.forcing)}"
        return f"Model({self.name!r}, {kind}, {sizes})"

    @property
    def _rows(self) -> Sequence[State | StateField]:
        """What has a line in the table that notebooks show, besides parameters and forcing."""
        return self.states

    def declared(self, row: State | StateField | Parameter) -> Declaration | None:
        """Return what is declared of a row; None if not the same of all states of a field."""
        if not isinstance(row, StateField):
            return self.declarations[row]
        every = {self.declarations[state] for state in row}
        return every.pop() if len(every) == 1 else None

    def _repr_latex_(self) -> str:
        return model_latex(self.states, self.equations, self.discrete, self.time)

    def _repr_html_(self) -> str:
        rows = [[(s, self.declared(s)) for s in part] for part in (self._rows, self.parameters)]
        return model_html(repr(self), self._repr_latex_(), rows, self.forcing)


def check_kind(name: object, discrete: object) -> None:
    """Refuse an invalid name, and a `discrete` that is no truth value.

    Raises
    ------
    ModelError
        If the name is no text, empty, has blanks around it or characters that cannot be printed.
    """
    if not is_name(name):
        raise ModelError(
            "Model: name must be a printable text that is not empty and has no blanks around it, "
            f"got {name!r}."
        )
    if not isinstance(discrete, bool):
        raise ModelError(
            f"Model {name!r}: discrete must be True (a map) or False (an ODE), got {discrete!r}."
        )


def of_kind(symbols: Iterable[Declared], kind: type[Kind]) -> tuple[Kind, ...]:
    """Return those of a kind, each once, in the order of first appearance."""
    return tuple(dict.fromkeys(symbol for symbol in symbols if isinstance(symbol, kind)))


def only_time(declared: Iterable[Declared], where: str) -> Time | None:
    """Return the time among a model's symbols, if there is one.

    Raises
    ------
    ModelError
        If there are several.
    """
    times = of_kind(declared, Time)
    if len(times) > 1:
        raise ModelError(
            f"{where}: uses {len(times)} times, {', '.join(t.name for t in times)}; a model has "
            "one. Declare the others as forcing."
        )
    return times[0] if times else None


def find(name: str, model: str, kinds: Mapping[str, Sequence[Named]]) -> Named:
    """Return what a model calls by a name, from all it has of each kind; a slip is an error."""
    known = [symbol for symbols in kinds.values() for symbol in symbols]
    for symbol in known:
        if symbol.name == name:
            return symbol
    (first, states), *rest = kinds.items()
    others = "".join(f", its {kind} {listed(symbols)}" for kind, symbols in rest)
    raise ModelError(
        f"Model {model!r} has no symbol {name!r}.{nearest(name, (s.name for s in known))} "
        f"Its {first} are {listed(states)}{others}."
    )


def listed(symbols: Sequence[Declared | StateField], most: int = 20) -> str:
    """Return their names as a list to print, the first of many."""
    names = [symbol.name for symbol in symbols[:most]]
    more = [f".. {symbols[-1].name}"] if len(symbols) > most else []
    return ", ".join([*names, *more]) or "none"
