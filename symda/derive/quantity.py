"""A quantity of a user's own, such as an energy, with its derivatives by states and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sympy import Expr

from symda.declare import Parameter, State, Time
from symda.derive.translate import to_casadi

if TYPE_CHECKING:
    import casadi as ca


def quantity(
    expression: Expr,
    states: Sequence[State],
    parameters: Sequence[Parameter],
    time: Time | None,
) -> ca.Function:
    """Return (x, theta, t) -> G and dG/d(x, theta), in the units of the model.

    Parameters
    ----------
    expression : Expr
        Of states, parameters and time.
    states, parameters : sequence
        D and P of them.
    time : Time, optional
        The model's time, if it has one.

    Raises
    ------
    ModelError
        For a symbol that is none of these, or a function that is not known.
    """
    import casadi as ca

    x = ca.SX.sym("x", len(states))
    theta = ca.SX.sym("theta", len(parameters))
    t = ca.SX.sym("t")
    symbols = dict(zip(states, ca.vertsplit(x), strict=True))
    symbols |= dict(zip(parameters, ca.vertsplit(theta) if parameters else [], strict=True))
    if time is not None:
        symbols[time] = t
    value = to_casadi([expression], symbols)[0]
    slopes = ca.densify(ca.jacobian(value, ca.vertcat(x, theta)))
    return ca.Function("quantity", [x, theta, t], [value, slopes], {"cse": True})
