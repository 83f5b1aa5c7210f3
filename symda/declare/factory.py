"""`Model` as users make it: from equations, a Hamiltonian, a Lagrangian or `sympy.physics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from sympy import Expr, Symbol

from symda.declare import model as base
from symda.declare.equations import EquationModel
from symda.declare.lattice import LatticeModel
from symda.declare.mechanics import MechanicalModel, from_hamiltonian
from symda.declare.mechanics_lagrange import from_lagrangian
from symda.declare.mechanics_sympy import from_mechanics
from symda.declare.site import SiteState
from symda.declare.symbols import State

if TYPE_CHECKING:
    from sympy.physics.mechanics import KanesMethod, LagrangesMethod


class Model(base.Model):
    """Equations dx/dt = F(x, u, theta, t), or a map x_{n+1} = f(x_n, u, theta, n).

    What it makes is of the kind that the equations ask for; every kind is a `Model`.

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
    declarations : mapping of State or Parameter to Declaration
        Bounds, start ranges and the like, as the symbols were declared; `with_bounds` and its
        siblings return a model with others.

    Raises
    ------
    ModelError
        For whatever could not be compiled or is most likely a slip; the message says which
        equation, what was found there, and how to mend it.
    """

    def __new__(
        cls,
        equations: Mapping[State, Expr | float] | Mapping[SiteState, Expr | float],
        *,
        name: str = "model",
        discrete: bool = False,
    ) -> Self:
        """Equations of sites, {x[i]: ...}, make a `LatticeModel`."""
        sites = isinstance(equations, Mapping) and any(isinstance(k, SiteState) for k in equations)
        kind: type[EquationModel | LatticeModel] = LatticeModel if sites else EquationModel
        # of another class, which `__subclasshook__` makes a Model
        return kind(equations, name=name, discrete=discrete)  # type: ignore[return-value]

    @classmethod
    def __subclasshook__(cls, kind: type) -> bool:
        """Every model is one, whatever made it."""
        return base.Model in kind.__mro__

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
        return from_lagrangian(
            L, q, v, momenta=momenta, forces=forces, dissipation=dissipation, name=name
        )

    @staticmethod
    def from_mechanics(
        method: LagrangesMethod | KanesMethod,
        *,
        symbols: Mapping[Expr, Expr | float] | None = None,
        name: str = "model",
    ) -> EquationModel:
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
        return from_mechanics(method, symbols=symbols, name=name)
