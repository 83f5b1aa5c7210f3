"""-log of the prior as a CasADi function of the first state and the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from symda.declare import Declaration, Distribution, Parameter, State
from symda.derive.translate import to_casadi

if TYPE_CHECKING:
    import casadi as ca


@dataclass(frozen=True)
class Prior:
    """What is known of the first state and the parameters beforehand, with two derivatives."""

    #: (x, theta, own) -> cost, slope (D + P,), sure (D + P,), mixed: -log p, its gradient, the size
    #: of its Hessian's diagonal, and the Hessian's lower triangle, sparse, less that diagonal.
    #: `own` (P,) multiplies the priors of the parameters, so that each is counted once.
    function: ca.Function

    @property
    def mixed(self) -> ca.Sparsity:
        """Nonzeros of the last result."""
        return self.function.sparsity_out(3)


def derive_prior(
    x: ca.SX,
    theta: ca.SX,
    states: Sequence[State],
    parameters: Sequence[Parameter],
    declared: Mapping[State | Parameter, Declaration],
    symbols: Mapping[sp.Symbol, ca.SX],
) -> Prior | None:
    """Add up and differentiate the priors of all unknowns; None where there are none.

    Parameters
    ----------
    x, theta : SX, (D, 1) and (P, 1)
        What solvers move.
    states, parameters, declared
        The unknowns with what is declared of them; one that is missing has no prior here.
    symbols : mapping of Symbol to SX
        Their natural values, made of `x` and `theta`.
    """
    import casadi as ca

    own = ca.SX.sym("own", len(parameters))
    weights = [ca.SX(1.0)] * len(states) + ca.vertsplit(own)[: len(parameters)]
    known = [
        (cost(declared[one].prior, one), weight)
        for one, weight in zip([*states, *parameters], weights, strict=True)
        if one in declared and declared[one].prior is not None
    ]
    if not known:
        return None
    values = to_casadi([one for one, _ in known], symbols, declared)
    total = sum((w * v for v, (_, w) in zip(values, known, strict=True)), ca.SX(0.0))
    hessian, slope = ca.hessian(total, ca.vertcat(x, theta))
    sure = ca.fabs(ca.diag(hessian))
    mixed = ca.sparsify(ca.simplify(ca.tril(hessian) - ca.diag(sure)))
    outputs = [ca.densify(total), ca.densify(slope), ca.densify(sure), mixed]
    names = ["cost", "slope", "sure", "mixed"]
    inputs = ["x", "theta", "own"]
    return Prior(ca.Function("prior", [x, theta, own], outputs, inputs, names, {"cse": True}))


def cost(prior: Distribution | None, of: sp.Symbol) -> sp.Expr:
    """Return -log of the prior of an unknown."""
    # no data, so no precision of theirs
    return sp.S.Zero if prior is None else prior.cost(of, sp.nan)
