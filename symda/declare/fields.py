"""Rates with many parameters that can take the form of many systems: two small networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sympy import Expr, tanh

from symda.checks import integer
from symda.declare.factory import Model
from symda.declare.parameters import parameter
from symda.declare.symbols import State
from symda.errors import ModelError


def bilinear(
    states: Sequence[State], linear: int = 3, bilinear: int = 3, *, name: str = "bilinear"
) -> Model:
    """Return the bilinear residual network: rates of degree two.

    F(x) = A2 (A1 [W x + b; (B1 x + c1) * (B2 x + c2)] + a1) + a2, the product by components.

    Parameters
    ----------
    states : sequence of State, (D,)
        Whose rates they are.
    linear, bilinear : int
        Rows of W, and of B1 and B2.
    name : str
        What to call the model.

    Returns
    -------
    Model
        With 69 parameters for D = 3 and three units of each kind.

    Raises
    ------
    ModelError
        If `states` are no states, or a number is below 1.

    Notes
    -----
    R. Fablet, S. Ouala and C. Herzet, Bilinear residual neural network for the identification and
    forecasting of dynamical systems, EUSIPCO 2018, arXiv:1712.07003.
    """
    x = _states(states, "bilinear")
    L = integer(linear, "bilinear: linear", error=ModelError)
    B = integer(bilinear, "bilinear: bilinear", error=ModelError)
    first, second = _affine("B1", "c1", x, B), _affine("B2", "c2", x, B)
    units = [*_affine("W", "b", x, L), *(p * q for p, q in zip(first, second, strict=True))]
    rates = _affine("A2", "a2", _affine("A1", "a1", units, len(x)), len(x))
    return Model(dict(zip(x, rates, strict=True)), name=name)


def tanh_field(states: Sequence[State], hidden: int = 16, *, name: str = "tanh") -> Model:
    """Return a network with one hidden layer, F(x) = V tanh(W x + b) + c.

    Parameters
    ----------
    states : sequence of State, (D,)
        Whose rates they are.
    hidden : int
        Units of the hidden layer, H.
    name : str
        What to call the model.

    Returns
    -------
    Model
        With H (D + 1) + D (H + 1) parameters.

    Raises
    ------
    ModelError
        If `states` are no states, or `hidden` is below 1.
    """
    x = _states(states, "tanh_field")
    H = integer(hidden, "tanh_field: hidden", error=ModelError)
    units = [tanh(one) for one in _affine("W", "b", x, H)]
    return Model(dict(zip(x, _affine("V", "c", units, len(x)), strict=True)), name=name)


def _affine(weight: str, bias: str, inputs: Sequence[Expr], rows: int) -> list[Expr]:
    return [
        sum((parameter(f"{weight}_{i}_{j}") * one for j, one in enumerate(inputs)), start=0)
        + parameter(f"{bias}_{i}")
        for i in range(rows)
    ]


def _states(states: Sequence[State], where: str) -> list[State]:
    found = list(states) if isinstance(states, Iterable) else [states]
    for one in found:
        if not isinstance(one, State):
            raise ModelError(
                f"{where}: states must be states, sd.states('x y'), got {type(one).__name__}."
            )
    return found
