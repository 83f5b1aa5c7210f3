"""The machine form of a model: F and h with their derivatives in CasADi SX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympy import Expr, S

from symda.correlations import ErrorCorrelations
from symda.declare import (
    Initial,
    Measurement,
    Model,
    Parameter,
    State,
)
from symda.derive.loss import Loss, derive_loss
from symda.derive.masked import Channels
from symda.derive.prior import Prior, derive_prior
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
    """F, h and their first and second derivatives as CasADi functions of (x, u, theta, t).

    x and theta are what solvers move; see `derive_field`.
    """

    field: ca.Function  #: (x, u, theta, t) -> k, shape (D,): F, or the map f.
    field_jacobian: ca.Function  #: (x, u, theta, t) -> k and dF/d(x, theta), sparse (D, D + P).
    #: (x, u, theta, t, mu) -> sum_a mu_a d2F_a/d(x, theta)2, sparse lower triangle (D + P, D + P).
    field_curvature: ca.Function
    measure: ca.Function  #: (x, theta) -> the predictors eta, shape (Q,); the first L are h.
    measure_jacobian: ca.Function  #: (x, theta) -> eta and deta/d(x, theta), sparse (Q, D + P).
    #: (x, theta, nu) -> sum_k nu_k d2eta_k/d(x, theta)2, sparse lower triangle (D + P, D + P).
    measure_curvature: ca.Function
    loss: Loss  #: What the data cost, as a function of eta.
    prior: Prior | None  #: What is known of the first state and of theta beforehand.
    #: Initial values that are functions of theta; empty if there are none. ``initial`` (theta) ->
    #: g, shape (D,), 0 for the others; ``initial_jacobian`` -> g and dg/dtheta, sparse (D, P);
    #: ``initial_curvature`` (theta, mu) -> sum_a mu_a d2g_a, sparse lower triangle (P, P).
    initial: Mapping[str, ca.Function]
    correlations: ErrorCorrelations | None = None  #: Of the errors of the equations.

    @property
    def Q(self) -> int:
        """Number of predictors."""
        return int(self.measure.size1_out(0))

    @property
    def functions(self) -> dict[str, ca.Function]:
        """F and h by name, for solvers in continuous time."""
        found = {"field": self.field, "measure": self.measure}
        return found if self.prior is None else found | {"prior": self.prior.function}

    def structure(self) -> tuple[csr_array, csr_array]:
        """Which unknowns (x, theta) each equation uses, (D, D + P), and each channel, (L, D + P).

        A stored entry is one that is used.
        """
        from scipy.sparse import csr_array

        rows, columns = self.measure_jacobian.sparsity_out(1).get_triplet()
        # a channel uses what any term of its noise does
        places = ([self.loss.channel[k] for k in rows], columns)
        channels = csr_array(([1.0] * len(columns), places), shape=(self.L, self.D + self.P))
        return sparse_pattern(self.field_jacobian.sparsity_out(1)), channels


def sparse_pattern(sparsity: ca.Sparsity) -> csr_array:
    """Matrix with a one at each structural nonzero."""
    from scipy.sparse import csr_array

    rows, columns = sparsity.get_triplet()
    return csr_array(([1.0] * len(rows), (rows, columns)), shape=sparsity.shape)


def derive_field(
    model: Model,
    measurement: Measurement,
    initial: Initial | None = None,
    correlations: ErrorCorrelations | None = None,
    *,
    natural: bool = False,
) -> Field:
    """Translate a model to CasADi SX and differentiate it twice.

    Parameters
    ----------
    initial
        What is known of the first state.
    correlations
        Of the errors of the equations; None where they are independent.
    natural
        Leave out the scales that states and parameters were declared with: x, theta and F are the
        user's. Otherwise x and theta are what solvers move, such as logarithms, and F is the rate
        of that, or of a map its next value.
    """
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
    moved = [*model.states, *parameters] if not natural else []
    scales = {s: declared[s].coordinate for s in moved if declared[s].scale is not None}
    own = {s: symbols[s] for s in scales}
    symbols |= {s: scale.natural(own[s], ca.exp) for s, scale in scales.items()}

    def rate(state: State, value: ca.SX) -> ca.SX:
        """Return what is said of x as what is said of the unknown that solvers move."""
        if state not in scales:
            return value
        if not model.discrete:
            rate_of_own: ca.SX = value / scales[state].slope(own[state], ca.exp)
            return rate_of_own
        # a value that stays is the number itself, without rounding
        if ca.is_equal(value, symbols[state]):
            return own[state]
        next_value: ca.SX = scales[state].internal(value, ca.log)
        return next_value

    def differentiate(
        values: ca.SX, prefix: str, inputs: list[ca.SX], names: list[str]
    ) -> tuple[ca.Function, ca.Function, ca.Function]:
        unknowns = theta if prefix == "initial" else ca.vertcat(x, theta)
        multipliers = ca.SX.sym("mu", values.shape[0])
        jacobian = ca.jacobian(values, unknowns)
        # a channel that was not measured has the multiplier 0, and need not be finite
        channels = (
            Channels(multipliers * values, multipliers, [True] * values.shape[0], values)
            if prefix == "measure"
            else None
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

    values = to_casadi(model.equations, symbols, declared)
    F = ca.vertcat(*(rate(s, value) for s, value in zip(model.states, values, strict=True)))
    eta = ca.vertcat(ca.SX(0, 1), *to_casadi(measurement.predictors, symbols, declared))
    of_field = differentiate(F, "field", [x, u, theta, t], ["x", "u", "theta", "t"])
    of_eta = differentiate(eta, "measure", [x, theta], ["x", "theta"])
    known = {s: one for s, one in declared.items() if s not in model.independent}
    prior = derive_prior(x, theta, model.states, parameters, known, symbols)
    loss = derive_loss(measurement)
    tied: dict[str, ca.Function] = {}
    if initial is not None and initial.tied.any():
        functions: list[Expr] = [
            g if g is not None and is_tied else S.Zero
            for g, is_tied in zip(initial.functions, initial.tied, strict=True)
        ]
        first = [
            scales[s].internal(g, ca.log) if is_tied and s in scales else g
            for s, g, is_tied in zip(
                model.states, to_casadi(functions, symbols, declared), initial.tied, strict=True
            )
        ]
        of_first = differentiate(ca.vertcat(*first), "initial", [theta], ["theta"])
        tied = {f.name(): f for f in of_first}
    parts = (*of_field, *of_eta, loss, prior, tied)
    return Field(model, measurement, parameters, *parts, correlations)
