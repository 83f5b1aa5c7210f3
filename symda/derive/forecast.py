"""Steps of a model as functions of its parameters, and the error of short forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.declare.model import Model
from symda.derive.translate import to_casadi
from symda.errors import ModelError

if TYPE_CHECKING:
    import casadi as ca


def forecast_loss(model: Model, steps: int, count: int) -> ca.Function:
    """Return the sum of squares of forecast errors, and its gradient by reverse mode.

    Parameters
    ----------
    model : Model
        Rates with P parameters.
    steps : int
        Steps S of the classic method of Runge and Kutta that a forecast takes.
    count : int
        Forecasts N.

    Returns
    -------
    Function
        (x (D, N), theta (P,), h (S, N), y (S D, N), w (S D, N)) -> for each forecast the sum of
        (w (forecast - y))^2, (1, N), and the gradient of all of them together (P,).

    Raises
    ------
    ModelError
        If the model has forcing or time, parameters per step or none, or is a map.
    """
    import casadi as ca

    rate = parametric_rate(model)
    D, P = len(model.states), len(model.parameters)
    x, theta = ca.SX.sym("x", D), ca.SX.sym("theta", P)
    h, y, w = ca.SX.sym("h", steps), ca.SX.sym("y", steps * D), ca.SX.sym("w", steps * D)
    later, forecasts = x, []
    for step in ca.vertsplit(h):
        later = _stepped(rate, later, theta, step)
        forecasts.append(later)
    loss = ca.sumsqr(w * (ca.vertcat(*forecasts) - y))
    outputs = [loss, ca.densify(ca.gradient(loss, theta))]
    one = ca.Function("loss", [x, theta, h, y, w], outputs, {"cse": True})
    # theta is one for all, its gradient their sum
    return one.map("losses", "serial", count, [1], [1])


def step_functions(model: Model) -> tuple[ca.Function, ca.Function]:
    """Return one step of the classic method, and the same with its slopes in the parameters.

    Parameters
    ----------
    model : Model
        Rates with P parameters.

    Returns
    -------
    tuple of Function
        (x (D,), theta (P,), h) -> later (D,), and -> later (D,), slopes (D P,) by columns.

    Raises
    ------
    ModelError
        As for `forecast_loss`.
    """
    import casadi as ca

    rate = parametric_rate(model)
    D, P = len(model.states), len(model.parameters)
    x, theta, h = ca.SX.sym("x", D), ca.SX.sym("theta", P), ca.SX.sym("h")
    later = ca.densify(_stepped(rate, x, theta, h))
    slopes = ca.densify(ca.vec(ca.jacobian(later, theta)))
    step = ca.Function("step", [x, theta, h], [later], {"cse": True})
    both = ca.Function("step_and_slopes", [x, theta, h], [later, slopes], {"cse": True})
    return step, both


def parametric_rate(model: Model) -> ca.Function:
    """Return (x (D,), theta (P,)) -> rates (D,).

    Raises
    ------
    ModelError
        As for `forecast_loss`.
    """
    import casadi as ca

    if model.forcing or model.time is not None or model.discrete or model.per_step:
        raise ModelError(
            f"model {model.name!r}: expected rates of states and constant parameters alone, "
            "without forcing, time or parameters per step."
        )
    if not model.parameters:
        raise ModelError(f"model {model.name!r} has no parameter that could be learned.")
    x, theta = ca.SX.sym("x", len(model.states)), ca.SX.sym("theta", len(model.parameters))
    symbols = {s: x[i] for i, s in enumerate(model.states)}
    symbols |= {p: theta[i] for i, p in enumerate(model.parameters)}
    rates = ca.vertcat(*to_casadi(model.equations, symbols, model.declarations))
    return ca.Function("rate", [x, theta], [ca.densify(rates)], {"cse": True})


def _stepped(rate: ca.Function, x: ca.SX, theta: ca.SX, h: ca.SX) -> ca.SX:
    k1 = rate(x, theta)
    k2 = rate(x + h / 2 * k1, theta)
    k3 = rate(x + h / 2 * k2, theta)
    k4 = rate(x + h * k3, theta)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
