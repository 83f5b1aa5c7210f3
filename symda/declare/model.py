"""A model: one equation for each state, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from sympy import Expr, S, Symbol

from symda.declare.check import (
    as_expression,
    check_alike,
    check_declared,
    check_expression,
    describe,
    symbols_in,
)
from symda.declare.site import Site, SiteState, StateField
from symda.declare.symbols import Declared, Forcing, Parameter, State, StepParameter, Time
from symda.declare.typeset import model_html, model_latex
from symda.errors import ModelError, nearest
from symda.names import is_name

if TYPE_CHECKING:
    from sympy.physics.mechanics import KanesMethod, LagrangesMethod

    from symda.declare.mechanics import MechanicalModel

Kind = TypeVar("Kind", bound=Declared)
Named = TypeVar("Named", bound=Declared | StateField)


@dataclass(frozen=True, init=False, repr=False)
class Model:
    """Equations dx/dt = F(x, u, theta, t), or a map x_{n+1} = f(x_n, u, theta, n).

    Parameters
    ----------
    equations : mapping of State to Expr or number
        One right-hand side for each state, D of them; their order is the order of the states. With
        sites (see `site`) one for each field, ``{x[i]: x[i+1] - x[i]}``; the model then is a
        `LatticeModel`.
    name : str
        What to call the model; the names of generated modules begin with it.
    discrete : bool, optional
        True for a map.

    Attributes
    ----------
    states : tuple of State, (D,)
        Those of the equations; then the parameters per step, in the order of first appearance.
    parameters : tuple of Parameter, (P,)
        In the order of first appearance.
    forcing : tuple of Forcing, (U,)
        In the order of first appearance.
    time : Time or None
        None if no equation uses it.
    equations : tuple of Expr, (D,)
        The right-hand sides as they were written; that of a parameter per step says that it stays
        what it is.

    Raises
    ------
    ModelError
        For whatever could not be compiled or is most likely a slip; the message says which
        equation, what was found there, and how to mend it.
    """

    name: str
    discrete: bool
    states: tuple[State, ...]
    parameters: tuple[Parameter, ...]
    forcing: tuple[Forcing, ...]
    time: Time | None
    equations: tuple[Expr, ...]

    def __new__(cls, equations: object = None, **options: object) -> Self:
        """Equations of sites, {x[i]: ...}, make a `LatticeModel`."""
        from symda.declare.lattice import LatticeModel

        sites = isinstance(equations, Mapping) and any(isinstance(k, SiteState) for k in equations)
        # a LatticeModel is a Model, which is all that is promised when cls is Model
        return object.__new__(LatticeModel if sites else cls)  # type: ignore[return-value]

    def __init__(
        self,
        equations: Mapping[State, Expr | float] | Mapping[SiteState, Expr | float],
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
        carried = _of_kind(declared, StepParameter)
        times = _of_kind(declared, Time)
        if len(times) > 1:
            raise ModelError(
                f"Model {name!r}: uses {len(times)} times, "
                f"{', '.join(symbol.name for symbol in times)}; a model has one. "
                "Declare the others as forcing."
            )
        for field, value in (
            ("name", name),
            ("discrete", discrete),
            ("states", (*states, *carried)),
            ("parameters", _of_kind(declared, Parameter)),
            ("forcing", _of_kind(declared, Forcing)),
            ("time", times[0] if times else None),
            # constant but for their own drift, of which the action knows
            ("equations", (*right_hand_sides, *(w if discrete else S.Zero for w in carried))),
        ):
            object.__setattr__(self, field, value)

    @staticmethod
    def from_hamiltonian(
        H: Expr | float,
        q: State | Sequence[State],
        p: State | Sequence[State],
        *,
        forces: Mapping[State, Expr | float] | None = None,
        dissipation: Expr | float | None = None,
        name: str = "model",
    ) -> MechanicalModel:
        """Make the model of a Hamiltonian: dq/dt = dH/dp, dp/dt = -dH/dq + force.

        Parameters
        ----------
        H : Expr
            The Hamiltonian H(q, p); parameters, forcing (`sd.forcing`) and time may stand in it.
        q, p : State or sequence of State, (n,)
            Coordinates and momenta in the same order.
        forces : mapping of State to Expr, optional
            Generalised forces along some coordinates, in the same symbols as H.
        dissipation : Expr, optional
            Rayleigh's function R written in q and p: it adds the force -dR/dv, v = dH/dp, so that
            dH/dt = -v dR/dv (-2 R if R is quadratic).
        name : str
            As for `Model`.

        Returns
        -------
        MechanicalModel
            With the states (*q, *p).

        Raises
        ------
        ModelError
            If coordinates and momenta do not pair, H depends on no momentum, something in H, a
            force or R is not declared or is another state, or for what no model may hold.

        Notes
        -----
        Goldstein, Classical Mechanics, chapter 8; R in chapter 1.5.
        """
        from symda.declare.mechanics import from_hamiltonian

        return from_hamiltonian(H, q, p, forces=forces, dissipation=dissipation, name=name)

    @staticmethod
    def from_lagrangian(
        L: Expr | float,
        q: State | Expr | Sequence[State] | Sequence[Expr],
        v: Symbol | Sequence[Symbol] | None = None,
        *,
        momenta: State | Sequence[State] | None = None,
        forces: Mapping[State, Expr | float] | None = None,
        dissipation: Expr | float | None = None,
        name: str = "model",
    ) -> MechanicalModel:
        """Make the model of a Lagrangian, in coordinates q and momenta p = dL/dv.

        Parameters
        ----------
        L : Expr
            The Lagrangian L(q, v); parameters, forcing (`sd.forcing`) and time may stand in it.
            If it is not quadratic in v, declare by bounds which parameters are never negative.
        q : State or sequence of State, (n,)
            Coordinates. Functions of time as `sympy.physics.mechanics.dynamicsymbols` makes them
            are accepted: L then holds their derivatives, `v` is left out, other functions of time
            become forcing, and plain symbols parameters.
        v : Symbol or sequence of Symbol, (n,)
            What stands for dq/dt in L, states or plain SymPy symbols. They are not in the model.
        momenta : State or sequence of State, (n,), optional
            What to call the momenta, with bounds and start ranges. By default ``p_x`` for ``x``.
        forces : mapping of State to Expr, optional
            Generalised forces along some coordinates, in the same symbols as L.
        dissipation : Expr, optional
            Rayleigh's function R(q, v), which adds the force -dR/dv.
        name : str
            As for `Model`.

        Returns
        -------
        MechanicalModel
            With the states (*q, *p) and H = p v - L.

        Raises
        ------
        ModelError
            If L is degenerate in the velocities, or these do not follow from the momenta in a
            closed form that keeps its digits; if coordinates and velocities do not pair; and as
            `from_hamiltonian`.

        Notes
        -----
        The matrix d2L/dv2 is inverted in symbols, and equations grow with the coordinates that it
        couples: of a chain of three pendulums they hold 10,000 operations and take 2 s to make, of
        four 90,000 and 15 s, of five with numbers for masses and lengths 180,000 and 25 s.

        Goldstein, Classical Mechanics, chapters 1.5 and 8.1.
        """
        from symda.declare.mechanics_lagrange import from_lagrangian

        return from_lagrangian(
            L, q, v, momenta=momenta, forces=forces, dissipation=dissipation, name=name
        )

    @staticmethod
    def from_mechanics(
        method: LagrangesMethod | KanesMethod,
        *,
        symbols: Mapping[Expr, Expr | float] | None = None,
        name: str = "model",
    ) -> Model:
        """Make the model of a system derived with `sympy.physics.mechanics`.

        Parameters
        ----------
        method : LagrangesMethod or KanesMethod
            Its equations formed. Coordinates and speeds become the states (q, u) under their own
            names, a speed dq/dt as ``q_dot``. Multipliers of constraints are solved for and left
            out, so start on the constraint.
        symbols : mapping of Expr to Expr or number, optional
            What stands for constants and inputs: declared symbols, expressions in them, numbers.
            Other constants become parameters, other functions of time forcing, and derivatives of
            these forcing of their own, ``f_dot``.
        name : str
            As for `Model`.

        Returns
        -------
        Model
            An ordinary one, since (q, u) are not canonical: for momenta, and integrators that keep
            them so, pass the Lagrangian to `from_lagrangian`.

        Raises
        ------
        ModelError
            If the equations are not formed or the mass matrix is singular, or something in
            `symbols` is not in the system.
        """
        from symda.declare.mechanics_sympy import from_mechanics

        return from_mechanics(method, symbols=symbols, name=name)

    @property
    def _beside(self) -> tuple[Expr, ...]:
        """Expressions whose symbols are the model's as those of its equations are."""
        return ()

    @property
    def per_step(self) -> tuple[StepParameter, ...]:
        """The parameters per step, (Q,): the last of the states."""
        return _of_kind(self.states, StepParameter)

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

    def _repr_latex_(self) -> str:
        return model_latex(self, self.states, self.equations)

    def _repr_html_(self) -> str:
        return model_html(self, self.states)


def check_kind(name: object, discrete: object) -> None:
    """Refuse a name that is none, and what says neither ODE nor map.

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


def _of_kind(symbols: Iterable[Declared], kind: type[Kind]) -> tuple[Kind, ...]:
    return tuple(dict.fromkeys(symbol for symbol in symbols if isinstance(symbol, kind)))


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
