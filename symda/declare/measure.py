"""What is measured: functions h(x, theta) of a model's states and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sympy import Expr, Symbol

from symda.covariance import below
from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    symbols_in,
)
from symda.declare.declaration import Declaration
from symda.declare.declared import Declared
from symda.declare.distributions import Distribution, Normal, PriorOfValue
from symda.declare.model import Model
from symda.declare.site import SiteState
from symda.declare.symbols import ExperimentParameter, Parameter, State, StepParameter
from symda.errors import ModelError, nearest
from symda.names import is_name

#: What users give as measured quantities.
Measured: TypeAlias = Sequence[Expr | Distribution] | Mapping[str, Expr | Distribution]


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
        Those that appear in the functions, the noise or priors only, then those of initial values
        only. All parameters of a problem are `model.parameters + measurement.parameters`.
    noises : tuple of Distribution, (L,)
        How each scatters; its location is the function. Gaussian with the data's own variance when
        left out.
    correlated : bool
        Whether noise of several channels at one time may be correlated.
    paying : int
        How many of the channels, the last ones, are values that are paid for.
    """

    names: tuple[str, ...]
    functions: tuple[Expr, ...]
    parameters: tuple[Parameter, ...] = ()
    noises: tuple[Distribution, ...] = ()
    correlated: bool = False
    paying: int = 0

    def __post_init__(self) -> None:
        if not self.noises:
            object.__setattr__(self, "noises", tuple(Normal(h) for h in self.functions))

    @property
    def gaussian(self) -> bool:
        """Whether all noise is Gaussian with the data's own variance."""
        return all(noise.gaussian for noise in self.noises)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of channels k > m, as `symda.covariance.below` has them; () without correlation."""
        if not self.correlated:
            return ()
        rows, columns = below(len(self.functions) - self.paying)
        return tuple(zip(rows.tolist(), columns.tolist(), strict=True))

    @property
    def places(self) -> tuple[dict[str, int], ...]:
        """Where each noise's terms stand among the `predictors`, by name, (L,)."""
        found, following = [], len(self.functions)
        for l, noise in enumerate(self.noises):
            own: dict[str, int] = {}
            for name, term in noise.terms.items():
                if term == self.functions[l]:
                    own[name] = l
                else:
                    own[name], following = following, following + 1
            found.append(own)
        return tuple(found)

    @property
    def predictors(self) -> tuple[Expr, ...]:
        """What the costs of data depend on: h, then further terms of the noise, Q in all."""
        further = {
            place: noise.terms[name]
            for noise, own in zip(self.noises, self.places, strict=True)
            for name, place in own.items()
        }
        L = len(self.functions)
        return (*self.functions, *(further[k] for k in range(L, max([L - 1, *further]) + 1)))

    def paid(self, model: Model) -> Measurement:
        """Return it with what each value of a parameter per step costs after it.

        First the controls, whose squares are misfits to 0, then the priors of values.
        """
        paid: list[tuple[str, StepParameter, Distribution]] = [
            *((f"cost of {u.name}", u, Normal(u)) for u in model.controls),
            *((f"prior of {w.name}", w, PriorOfValue(w, p)) for w, p in model.independent.items()),
        ]
        if not paid:
            return self
        names = list(self.names)
        for name, _, _ in paid:
            while name in names:
                name += "_"
            names.append(name)
        return replace(
            self,
            names=tuple(names),
            functions=(*self.functions, *(symbol for _, symbol, _ in paid)),
            noises=(*self.noises, *(noise for _, _, noise in paid)),
            paying=len(paid),
        )

    def declarations(self, model: Model) -> dict[State | Parameter, Declaration]:
        """Return what is declared of the states and all P parameters of a model measured so."""
        return {**model.declarations, **{p: p.declaration for p in self.parameters}}


def measure(model: Model, measured: Measured) -> Measurement:
    """Check and name the measured quantities of a model.

    Parameters
    ----------
    model : Model
    measured : sequence of Expr or Distribution, or mapping of str to them
        L functions of at least one state each, and of parameters, which may be new ones. A
        distribution says how a quantity scatters; a plain expression is Gaussian with the data's
        own variance. In a sequence a plain state lends its name to its channel; other expressions
        are called h0, h1, ... by their place.

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
    noises = tuple(
        value if isinstance(value, Distribution) else Normal(as_expression(value, here))
        for (_, value), here in zip(given, wheres, strict=True)
    )
    functions = tuple(noise.location for noise in noises)
    known: list[Declared] = [*model.states, *model.parameters, *model.forcing]
    if model.time is not None:
        known.append(model.time)
    terms = [term for noise in noises for term in noise.terms.values()]
    used = [symbol for symbol in symbols_in([*functions, *terms]) if isinstance(symbol, Declared)]
    used += _of_priors(model, [symbol for symbol in used if isinstance(symbol, Parameter)])
    for one, prior in model.independent.items():
        for name, term in prior.terms.items():
            if name in prior.positive and isinstance(term, Parameter):
                _check_positive(term, f"prior of {one.name!r}, {name}")
    names, states = {symbol.name for symbol in (*known, *used)}, set(model.states)
    for function, here in zip(functions, wheres, strict=True):
        check_expression(function, here)
        check_declared(symbols_in([function]), names, here)
        _check_symbols(function, model, states, here)
    for noise, here in zip(noises, wheres, strict=True):
        for name, term in noise.terms.items():
            check_expression(term, f"{here}, {name}")
            check_declared(symbols_in([term]), names, f"{here}, {name}")
            _check_symbols(term, model, states, f"{here}, {name}", noise=True)
            if name in noise.positive and isinstance(term, Parameter):
                _check_positive(term, f"{here}, {name}")
    check_alike((*known, *used), where)
    firsts: dict[Distribution, int] = {}
    for position, (function, noise) in enumerate(zip(functions, noises, strict=True)):
        first = firsts.setdefault(noise, position)
        if first != position:
            raise ModelError(
                f"{wheres[position]}: {function} is measured twice, also as {given[first][0]}; "
                "remove one. Repeated measurements of one quantity belong to the data."
            )
    return Measurement(
        names=_names(measured, functions),
        noises=noises,
        functions=functions,
        parameters=tuple(
            symbol
            for symbol in used
            if isinstance(symbol, Parameter) and symbol not in model.parameters
        ),
    )


def _pairs(measured: Measured, where: str) -> list[tuple[str, Expr | Distribution | float]]:
    """Return (label, expression) for each channel; labels are for messages."""
    if isinstance(measured, Expr | Distribution):
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


def _check_symbols(
    function: Expr, model: Model, states: set[State], where: str, *, noise: bool = False
) -> None:
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
    if not measures_state and not noise:
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


def _check_positive(parameter: Parameter, where: str) -> None:
    """Refuse a parameter that may be 0 where it is to be larger."""
    declared = parameter.declaration
    if declared.scale == "log" or declared.bounds[0] > 0.0 or declared.value is not None:
        return
    raise ModelError(
        f"{where}: {parameter.name!r} must be larger than zero, and nothing keeps it there: its "
        f"lower bound is {declared.bounds[0]}. Declare it with scale='log', or with bounds=(low, "
        "high) and low > 0."
    )


def _of_priors(model: Model, parameters: list[Parameter]) -> list[Parameter]:
    """Return the parameters that the priors of these and of the model's unknowns depend on."""
    declared = {**{p: p.declaration for p in parameters}, **model.declarations}
    found: list[Parameter] = []
    open_ = [(one, declaration.prior) for one, declaration in declared.items()]
    while open_:
        of, prior = open_.pop(0)
        for term in () if prior is None else prior.terms.values():
            for symbol in symbols_in([term]):
                if not isinstance(symbol, Parameter):
                    raise ModelError(
                        f"prior of {of.name!r}: {prior} depends on {symbol.name!r}, a "
                        f"{type(symbol).__name__}; a prior depends on numbers and parameters only."
                    )
                if isinstance(symbol, ExperimentParameter) and not (
                    isinstance(of, ExperimentParameter | State)
                ):
                    raise ModelError(
                        f"prior of {of.name!r}: {prior} depends on {symbol.name!r}, of which each "
                        f"experiment has its own, but {of.name!r} is one for all. Make it "
                        f'per="experiment", or {symbol.name!r} shared.'
                    )
                if symbol not in declared and symbol not in found:
                    found.append(symbol)
                    open_.append((symbol, symbol.declaration.prior))
    return found


def _names(measured: Measured, functions: tuple[Expr, ...]) -> tuple[str, ...]:
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
