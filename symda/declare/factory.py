"""`Model` as users make it: from equations, a Hamiltonian, a Lagrangian or `sympy.physics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, cast

from sympy import Expr

from symda.declare import layered as layers
from symda.declare import mechanics, mechanics_lagrange, mechanics_sympy, torch_layers
from symda.declare import model as base
from symda.declare.equations import EquationModel
from symda.declare.events import with_events
from symda.declare.lattice import LatticeModel
from symda.declare.site import SiteState
from symda.declare.symbols import State
from symda.errors import ModelError


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
    events : mapping of str to mapping of State to Expr, optional
        Mappings x -> g(x, theta) at times that come with the data, ``{"switch": {x: x/2}}`` with
        ``forcing={"switch": sd.Pulses(times, 1.0)}``; states that are not named stay.

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
        equation, what was found there, and how to correct it.
    """

    def __new__(
        cls,
        equations: Mapping[State, Expr | float] | Mapping[SiteState, Expr | float],
        *,
        name: str = "model",
        discrete: bool = False,
        events: Mapping[str, Mapping[State, Expr | float]] | None = None,
    ) -> Self:
        """Equations of sites, {x[i]: ...}, make a `LatticeModel`."""
        sites = isinstance(equations, Mapping) and any(isinstance(k, SiteState) for k in equations)
        if events is not None:
            if sites or not isinstance(equations, Mapping):
                raise ModelError(
                    f"Model {name!r}: events belong to a model with an equation for each state, "
                    "{x: ...}."
                )
            written = cast("Mapping[State, Expr | float]", equations)
            equations = with_events(written, events, name, discrete)
        kind: type[EquationModel | LatticeModel] = LatticeModel if sites else EquationModel
        # of another class, which `__subclasshook__` makes a Model
        return kind(equations, name=name, discrete=discrete)  # type: ignore[return-value]

    @classmethod
    def __subclasshook__(cls, kind: type) -> bool:
        """Every model is one, whatever made it."""
        return base.Model in kind.__mro__

    layered = staticmethod(layers.layered)
    recurrent = staticmethod(layers.recurrent)
    from_torch = staticmethod(torch_layers.from_torch)
    from_hamiltonian = staticmethod(mechanics.from_hamiltonian)
    from_lagrangian = staticmethod(mechanics_lagrange.from_lagrangian)
    from_mechanics = staticmethod(mechanics_sympy.from_mechanics)
