"""An activation and its slope for the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Expr

from symda.declare.activations import ACTIVATIONS, Z
from symda.derive.translate import to_casadi

if TYPE_CHECKING:
    import casadi as ca


def activation_function(expression: Expr, number: int) -> ca.Function:
    """Return z -> (g(z), g'(z)).

    Raises
    ------
    ModelError
        If the expression has a function that is not known.
    """
    import casadi as ca

    z = ca.SX.sym("z")
    if expression == ACTIVATIONS["logistic"]:
        # exp is the cheapest of functions
        value = 1.0 / (1.0 + ca.exp(-z))
        # value (1 - value) would become a second division
        slope = value - value**2
    else:
        value = to_casadi([expression], {Z: z})[0]
        slope = ca.gradient(value, z)
    values = [ca.densify(value), ca.densify(slope)]
    return ca.Function(f"activation_{number}", [z], values, ["z"], ["g", "slope"], {"cse": True})
