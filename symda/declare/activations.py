"""Activations of networks: SymPy expressions in one symbol, some of them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import sympy as sp
from sympy import Expr, Symbol

from symda.declare.check import check_expression
from symda.errors import ModelError, nearest

#: What a user may say: a name, or an expression in one symbol.
Activation: TypeAlias = "str | Expr"

#: The symbol that activations of models are written in, the sum a neuron receives.
Z = Symbol("z", real=True)

#: Those that have a name. The logistic function is g of eq. 13, Abarbanel et al. 2017.
ACTIVATIONS: Mapping[str, Expr] = MappingProxyType(
    {
        "logistic": (1 + sp.tanh(Z / 2)) / 2,
        "tanh": sp.tanh(Z),
        "softplus": sp.log(1 + sp.exp(Z)),
        "relu": sp.Max(Z, 0),
        "linear": Z,
    }
)


def know_activations(
    given: Activation | Sequence[Activation], count: int, where: str
) -> list[Expr]:
    """Return an activation in `Z` for each of `count` layers.

    Raises
    ------
    ModelError
        If one is no name and no expression in one symbol, of functions that are known, if its slope
        is 0 wherever it has one (what is in front of it could not be learned), or if there are not
        as many as layers.
    """
    if isinstance(given, str | Expr):
        return [_known(given, where)] * count
    if not isinstance(given, Sequence):
        raise ModelError(
            f"{where}: activation must be a name ({', '.join(ACTIVATIONS)}), a SymPy expression in "
            f"one symbol, or one of these for each layer but the first, got {given!r}."
        )
    if len(given) != count:
        raise ModelError(
            f"{where}: {len(given)} activations for {count} layers behind the first; give one, or "
            "one for each of them."
        )
    return [_known(one, f"{where}, layer {l}") for l, one in enumerate(given, start=2)]


def _known(given: object, where: str) -> Expr:
    if isinstance(given, str):
        if given not in ACTIVATIONS:
            raise ModelError(
                f"{where}: no activation is called {given!r}.{nearest(given, ACTIVATIONS)} There "
                f"are {', '.join(ACTIVATIONS)}; others are written as SymPy expressions in one "
                "symbol, z/(1 + abs(z))."
            )
        return ACTIVATIONS[given]
    if not isinstance(given, Expr):
        raise ModelError(
            f"{where}: an activation is a name ({', '.join(ACTIVATIONS)}) or a SymPy expression in "
            f"one symbol, got {given!r}."
        )
    symbols = sorted(given.free_symbols, key=str)
    if len(symbols) != 1:
        named = ", ".join(map(str, symbols)) or "none"
        raise ModelError(
            f"{where}: the activation {given} must have one symbol, the sum that a neuron "
            f"receives; it has {named}."
        )
    check_expression(given, f"{where}: the activation {given}")
    written = given.subs(symbols[0], Z)
    if _slope(written) == 0:
        raise ModelError(
            f"{where}: the slope of the activation {given} is 0 wherever it has one, so no weight "
            "in front of it could be learned. Take a smooth one, tanh(10*z) for sign(z)."
        )
    return written


def _slope(written: Expr) -> Expr:
    """Return the derivative, those of jumps left out."""
    slope = sp.diff(written.replace(sp.Mod, lambda a, b: a - b * sp.floor(a / b)), Z)
    jumps = {one: sp.S.Zero for one in slope.atoms(sp.DiracDelta)}
    jumps |= {one: sp.S.Zero for one in slope.atoms(sp.Derivative)}
    return sp.simplify(slope.xreplace(jumps))
