"""The machine form of a model: F and h with their derivatives in CasADi SX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympy import Expr, S

from symda.declare import Initial, Measurement, Model, Parameter
from symda.derive.masked import Channels
from symda.derive.translate import to_casadi

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Measured:
    """A model and what is measured of it, with their sizes."""

    model: Model  #: The declared model.
    measurement: Measurement  #: What is measured of it.
    #: All P parameters: the model's, then those of the measurement alone.
    parameters: tuple[Parameter, ...]

    @property
    def D(self) -> int:
        """Number of states."""
        return len(self.model.states)

    @property
    def P(self) -> int:
        """Number of parameters."""
        return len(self.parameters)

    @property
    def L(self) -> int:
        """Number of measured channels."""
        return len(self.measurement.functions)

    @property
    def U(self) -> int:
        """Number of forcing channels."""
        return len(self.model.forcing)


@dataclass(frozen=True)
class Field(Measured):
    """F, h and their first and second derivatives as CasADi functions of (x, u, theta, t)."""

    field: ca.Function  #: (x, u, theta, t) -> k, shape (D,): F, or the map f.
    field_jacobian: ca.Function  #: (x, u, theta, t) -> k and dF/d(x, theta), sparse (D, D + P).
    #: (x, u, theta, t, mu) -> sum_a mu_a d2F_a/d(x, theta)2, sparse lower triangle (D + P, D + P).
    field_curvature: ca.Function
    measure: ca.Function  #: (x, theta) -> h, shape (L,).
    measure_jacobian: ca.Function  #: (x, theta) -> h and dh/d(x, theta), sparse (L, D + P).
    #: (x, theta, nu) -> sum_l nu_l d2h_l/d(x, theta)2, sparse lower triangle (D + P, D + P).
    measure_curvature: ca.Function
    #: Initial values that are functions of theta; empty if there are none. ``initial`` (theta) ->
    #: g, shape (D,), 0 for the others; ``initial_jacobian`` -> g and dg/dtheta, sparse (D, P);
    #: ``initial_curvature`` (theta, mu) -> sum_a mu_a d2g_a, sparse lower triangle (P, P).
    initial: Mapping[str, ca.Function]

    @property
    def functions(self) -> dict[str, ca.Function]:
        """F and h by name, for solvers in continuous time."""
        return {"field": self.field, "measure": self.measure}

    def structure(self) -> tuple[csr_array, csr_array]:
        """Which unknowns (x, theta) each equation uses, (D, D + P), and each channel, (L, D + P).

        A stored entry is one that is used.
        """
        equations, channels = (
            sparse_pattern(f.sparsity_out(1)) for f in (self.field_jacobian, self.measure_jacobian)
        )
        return equations, channels


def sparse_pattern(sparsity: ca.Sparsity) -> csr_array:
    """Matrix with a one at each structural nonzero."""
    from scipy.sparse import csr_array

    rows, columns = sparsity.get_triplet()
    return csr_array(([1.0] * len(rows), (rows, columns)), shape=sparsity.shape)


def derive_field(model: Model, measurement: Measurement, initial: Initial | None = None) -> Field:
    """Translate a model to CasADi SX and differentiate it twice."""
    import casadi as ca

    parameters = (*model.parameters, *measurement.parameters)
    x = ca.SX.sym("x", len(model.states))
    u = ca.SX.sym("u", len(model.forcing))
    theta = ca.SX.sym("theta", len(parameters))
    t = ca.SX.sym("t")
    symbols = dict(zip(model.states, ca.vertsplit(x), strict=True))
    symbols |= dict(zip(model.forcing, ca.vertsplit(u) if model.forcing else [], strict=True))
    symbols |= dict(zip(parameters, ca.vertsplit(theta) if parameters else [], strict=True))
    if model.time is not None:
        symbols[model.time] = t
    declared = measurement.declarations(model)

    def differentiate(
        values: ca.SX, prefix: str, inputs: list[ca.SX], names: list[str]
    ) -> tuple[ca.Function, ca.Function, ca.Function]:
        unknowns = theta if prefix == "initial" else ca.vertcat(x, theta)
        multipliers = ca.SX.sym("mu", values.shape[0])
        jacobian = ca.jacobian(values, unknowns)
        # a channel that was not measured has the multiplier 0, and need not be finite
        channels = (
            Channels(multipliers * values, multipliers, values) if prefix == "measure" else None
        )
        curvature = ca.tril(
            channels.hessian(unknowns)
            if channels
            else ca.hessian(ca.dot(multipliers, values), unknowns)[0]
        )
        options = {"cse": True}
        return (
            ca.Function(prefix, inputs, [values], names, ["value"], options),
            ca.Function(
                f"{prefix}_jacobian",
                inputs,
                [values, jacobian],
                names,
                ["value", "jacobian"],
                options,
            ),
            ca.Function(
                f"{prefix}_curvature",
                [*inputs, multipliers],
                [curvature],
                [*names, "mu"],
                ["curvature"],
                options,
            ),
        )

    F = ca.vertcat(*to_casadi(model.equations, symbols, declared))
    h = ca.vertcat(ca.SX(0, 1), *to_casadi(measurement.functions, symbols, declared))
    tied: dict[str, ca.Function] = {}
    if initial is not None and initial.tied.any():
        functions: list[Expr] = [
            g if g is not None and is_tied else S.Zero
            for g, is_tied in zip(initial.functions, initial.tied, strict=True)
        ]
        start = ca.vertcat(*to_casadi(functions, symbols, declared))
        tied = {f.name(): f for f in differentiate(start, "initial", [theta], ["theta"])}
    of_f = differentiate(F, "field", [x, u, theta, t], ["x", "u", "theta", "t"])
    of_h = differentiate(h, "measure", [x, theta], ["x", "theta"])
    return Field(model, measurement, parameters, *of_f, *of_h, initial=tied)
