"""What integrators need of a model: F and its parts with their first derivatives, in CasADi SX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sympy import Symbol

from symda.declare import Model
from symda.declare.mechanics import MechanicalModel
from symda.derive.translate import to_casadi

if TYPE_CHECKING:
    import casadi as ca


@dataclass(frozen=True)
class Motion:
    """The functions of a model that step maps are made of, each with its Jacobian.

    All take (x, u, theta, t); those of the Lagrangian (q, v, u, theta, t). A function named
    ``.._jacobian`` returns the value and its sparse derivative by x, or by (q, v).
    """

    model: Model  #: An ODE.

    @property
    def D(self) -> int:
        """Number of states."""
        return len(self.model.states)

    @property
    def n(self) -> int:
        """Number of coordinates; 0 for a model that is not mechanical."""
        return len(self.model.coordinates) if isinstance(self.model, MechanicalModel) else 0

    @cached_property
    def field(self) -> ca.Function:
        """F, shape (D,)."""
        return self._part("field", 0, self.D)

    @cached_property
    def field_jacobian(self) -> ca.Function:
        """F and dF/dx, sparse (D, D)."""
        return self._part("field_jacobian", 0, self.D)

    @cached_property
    def velocity(self) -> ca.Function:
        """dq/dt, shape (n,)."""
        return self._part("velocity", 0, self.n)

    @cached_property
    def velocity_jacobian(self) -> ca.Function:
        """dq/dt and its derivative by x, sparse (n, D)."""
        return self._part("velocity_jacobian", 0, self.n)

    @cached_property
    def force(self) -> ca.Function:
        """dp/dt, shape (n,)."""
        return self._part("force", self.n, self.D)

    @cached_property
    def force_jacobian(self) -> ca.Function:
        """dp/dt and its derivative by x, sparse (n, D)."""
        return self._part("force_jacobian", self.n, self.D)

    def _part(self, name: str, first: int, last: int) -> ca.Function:
        """Equations `first` to `last`, with their Jacobian if the name says so."""
        import casadi as ca

        u, theta, t, symbols = self._others()
        x = ca.SX.sym("x", self.D)
        symbols |= dict(zip(self.model.states, ca.vertsplit(x), strict=True))
        value = ca.vertcat(
            *to_casadi(self.model.equations[first:last], symbols, self.model.declarations)
        )
        return _function(name, value, x, [x, u, theta, t], ["x", "u", "theta", "t"])

    @cached_property
    def legendre(self) -> ca.Function:
        """(P, R) = (dL/dv, dL/dq + force), shape (2 n,); forces are taken at p = P."""
        return self._legendre("legendre")

    @cached_property
    def legendre_jacobian(self) -> ca.Function:
        """The same and its derivative by (q, v), sparse (2 n, 2 n)."""
        return self._legendre("legendre_jacobian")

    def _legendre(self, name: str) -> ca.Function:
        import casadi as ca

        model = self.model
        assert isinstance(model, MechanicalModel)
        u, theta, t, symbols = self._others()
        q, v = ca.SX.sym("q", self.n), ca.SX.sym("v", self.n)
        symbols |= dict(zip(model.coordinates, ca.vertsplit(q), strict=True))
        moving = dict(zip(model.velocities, ca.vertsplit(v), strict=True))
        assert model.lagrangian is not None
        (L,) = to_casadi((model.lagrangian,), symbols | moving, model.declarations)
        P = ca.densify(ca.gradient(L, v))
        momenta = dict(zip(model.momenta, ca.vertsplit(P), strict=True))
        force = ca.vertcat(*to_casadi(model.forces, symbols | momenta, model.declarations))
        value = ca.vertcat(P, ca.densify(ca.gradient(L, q)) + force)
        unknowns = ca.vertcat(q, v)
        return _function(
            name, value, unknowns, [q, v, u, theta, t], ["q", "qdot", "u", "theta", "t"]
        )

    def _others(self) -> tuple[ca.SX, ca.SX, ca.SX, dict[Symbol, ca.SX]]:
        """Return forcing, parameters and time, and which symbol of the model each of them is."""
        import casadi as ca

        model = self.model
        u, theta = ca.SX.sym("u", len(model.forcing)), ca.SX.sym("theta", len(model.parameters))
        t = ca.SX.sym("t")
        symbols: dict[Symbol, ca.SX] = {}
        for declared, values in ((model.forcing, u), (model.parameters, theta)):
            symbols |= {symbol: values[i] for i, symbol in enumerate(declared)}
        if model.time is not None:
            symbols[model.time] = t
        return u, theta, t, symbols


def _function(
    name: str, value: ca.SX, unknowns: ca.SX, inputs: Sequence[ca.SX], names: Sequence[str]
) -> ca.Function:
    import casadi as ca

    outputs = {"value": ca.densify(value)}
    if name.endswith("_jacobian"):
        outputs["jacobian"] = ca.jacobian(outputs["value"], unknowns)
    values = list(outputs.values())
    return ca.Function(name, list(inputs), values, list(names), list(outputs), {"cse": True})
