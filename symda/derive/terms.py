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
    """Return x -> values, and x -> values, slopes, of the terms (T,) and of what is known (D,)."""
    found = {}
    for name, given in (("terms", library.terms), ("known", library.known)):
        found[name] = _function(name, library, given, slopes=False)
        both = f"{name}_and_slopes"
        found[both] = _function(both, library, given, slopes=True)
    return found


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
    return _function("rate", model, model.equations, slopes=True)


def _function(name: str, model: Model, given: tuple[Expr, ...], *, slopes: bool) -> ca.Function:
    import casadi as ca

    x = ca.SX.sym("x", len(model.states))
    symbols = {s: x[i] for i, s in enumerate(model.states)}
    values = ca.densify(ca.vertcat(*to_casadi(given, symbols, model.declarations)))
    if not slopes:
        return ca.Function(name, [x], [values], ["x"], ["values"], {"cse": True})
    both = [values, ca.densify(ca.jacobian(values, x))]
    return ca.Function(name, [x], both, ["x"], ["values", "slopes"], {"cse": True})
