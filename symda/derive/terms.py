"""Candidate terms, and rates of a model, for the machine: values and slopes at a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Expr

from symda.declare.library import Library
from symda.declare.model import Model
from symda.derive.translate import to_casadi
from symda.errors import ModelError

if TYPE_CHECKING:
    import casadi as ca


def term_functions(library: Library) -> dict[str, ca.Function]:
    """Return x -> values (T,) and slopes (T, D) of the terms, and the same of what is known (D,)."""
    return {
        "terms": _with_slopes("terms", library, library.terms),
        "known": _with_slopes("known", library, library.known),
    }


def rate_function(model: Model) -> ca.Function:
    """Return x -> F (D,) and DF (D, D) of a model without parameters and forcing.

    Raises
    ------
    ModelError
        If the model has any, or is a map.
    """
    if model.parameters or model.forcing or model.time is not None or model.discrete:
        raise ModelError(
            f"model {model.name!r}: expected rates of the states alone, with numbers for "
            "parameters; substitute them in the equations."
        )
    return _with_slopes("rate", model, model.equations)


def _with_slopes(name: str, model: Model, expressions: tuple[Expr, ...]) -> ca.Function:
    import casadi as ca

    x = ca.SX.sym("x", len(model.states))
    symbols = {s: x[i] for i, s in enumerate(model.states)}
    values = ca.vertcat(*to_casadi(expressions, symbols, model.declarations))
    slopes = ca.densify(ca.jacobian(values, x))
    given = [ca.densify(values), slopes]
    return ca.Function(name, [x], given, ["x"], ["values", "slopes"], {"cse": True})
