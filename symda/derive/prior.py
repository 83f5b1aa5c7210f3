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

    #: (x, theta) -> cost, slope (D + P,), sure (D + P,), mixed: -log p, its gradient, the size of
    #: its Hessian's diagonal, and the Hessian's lower triangle, sparse, less that diagonal.
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
        The unknowns with what is declared of them.
    symbols : mapping of Symbol to SX
        Their natural values, made of `x` and `theta`.
    """
    import casadi as ca

    every = [*states, *parameters]
    costs = [cost(declared[one].prior, one) for one in every if declared[one].prior is not None]
    if not costs:
        return None
    unknowns = ca.vertcat(x, theta)
    total = sum(to_casadi(costs, symbols, declared), ca.SX(0.0))
    hessian, slope = ca.hessian(total, unknowns)
    sure = ca.fabs(ca.diag(hessian))
    mixed = ca.sparsify(ca.simplify(ca.tril(hessian) - ca.diag(sure)))
    outputs = [ca.densify(total), ca.densify(slope), ca.densify(sure), mixed]
    names = ["cost", "slope", "sure", "mixed"]
    return Prior(ca.Function("prior", [x, theta], outputs, ["x", "theta"], names, {"cse": True}))


def cost(prior: Distribution | None, of: sp.Symbol) -> sp.Expr:
    """Return -log of the prior of an unknown."""
    # no data, so no precision of theirs
    return sp.S.Zero if prior is None else prior.cost(of, sp.nan)
