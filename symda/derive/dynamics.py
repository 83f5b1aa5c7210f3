"""A model's field and its derivatives in SymPy, to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

import sympy as sp
from sympy import Expr, Symbol

from symda.declare import Model

#: Functions that jump; between two jumps they are flat, Mod except for its argument.
STEPS = (sp.sign, sp.Heaviside, sp.floor, sp.ceiling, sp.Mod)


def jacobian(model: Model, wrt: Sequence[Symbol] | None = None) -> sp.ImmutableMatrix:
    """Return the first derivatives of the field.

    Parameters
    ----------
    wrt : sequence of Symbol, (C,), optional
        What to differentiate by: by default the states; for example `model.parameters`.

    Returns
    -------
    ImmutableMatrix, (D, C)
        Entry (a, b) is dF_a/dwrt_b.
    """
    symbols = model.states if wrt is None else tuple(wrt)
    entries = first_derivatives(model.equations, symbols)
    shape = (len(model.equations), len(symbols))
    return sp.ImmutableMatrix(*shape, lambda a, b: entries.get((int(a), int(b)), sp.S.Zero))


def hessian_tensor(
    model: Model, wrt: Sequence[Symbol] | None = None
) -> Mapping[tuple[int, int, int], Expr]:
    """Return the second derivatives of the field that are not zero.

    Parameters
    ----------
    wrt : sequence of Symbol, (C,), optional
        What to differentiate by: by default the states.

    Returns
    -------
    mapping of (a, b, c) to Expr
        d2F_a/dwrt_b dwrt_c for b <= c, each pair once, in ascending order.
    """
    symbols = model.states if wrt is None else tuple(wrt)
    return second_derivatives(model.equations, symbols)


def derivative(expression: Expr, by: Symbol) -> Expr:
    """Differentiate as the emitted code does, away from the jumps of `STEPS`.

    SymPy's own derivatives of `sign` and `Heaviside` are delta functions, those of `floor`,
    `ceiling` and `Mod` are left as they are.
    """
    held: dict[Expr, Expr] = {}
    back: dict[Expr, Expr] = {}
    # the inner ones first
    for step in sorted(expression.atoms(*STEPS), key=lambda step: step.count_ops()):
        level = sp.Dummy(real=True)
        held[step], back[level] = level, step
        if isinstance(step, sp.Mod):
            # a - b floor(a/b)
            a, b = step.args
            held[step] = a.xreplace(held) - b.xreplace(held) * level
            back[level] = (a - step) / b
    return expression.xreplace(held).diff(by).xreplace(back) if held else expression.diff(by)


def first_derivatives(
    expressions: Sequence[Expr], wrt: Sequence[Symbol]
) -> dict[tuple[int, int], Expr]:
    """Differentiate each expression by the symbols that appear in it.

    Returns
    -------
    dict of (a, b) to Expr
        The derivatives that are not zero, in ascending order.
    """
    derivatives = (
        ((a, b), derivative(expression, wrt[b]))
        for a, expression in enumerate(expressions)
        for b in _present(expression, wrt)
    )
    return {key: value for key, value in derivatives if value != 0}


def second_derivatives(
    expressions: Sequence[Expr], wrt: Sequence[Symbol]
) -> dict[tuple[int, int, int], Expr]:
    """Differentiate each expression twice by the symbols that appear in it.

    Returns
    -------
    dict of (a, b, c) to Expr
        The derivatives that are not zero for b <= c, in ascending order.
    """
    found = {}
    for a, expression in enumerate(expressions):
        first = {b: derivative(expression, wrt[b]) for b in _present(expression, wrt)}
        for b, c in combinations_with_replacement(first, 2):
            if wrt[c] in first[b].free_symbols:
                value = derivative(first[b], wrt[c])
                if value != 0:
                    found[a, b, c] = value
    return found


def _present(expression: Expr, wrt: Sequence[Symbol]) -> list[int]:
    present = expression.free_symbols
    return [position for position, symbol in enumerate(wrt) if symbol in present]
