"""What an expression of a model may contain, and the messages for what it may not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from numbers import Complex, Rational, Real

import numpy as np
import sympy as sp
from sympy import Basic, Expr, Symbol
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanAtom, BooleanFunction

from symda.declare.declared import Declared
from symda.declare.delays import delay_words, is_time
from symda.declare.functions import KNOWN, known_names
from symda.errors import ModelError, nearest

_CONDITIONS = (Relational, sp.And, sp.Or, sp.Not, sp.ITE, BooleanAtom)
_ARITHMETIC = (sp.Add, sp.Mul, sp.Pow, ExprCondPair, *KNOWN)


def as_expression(given: object, where: str) -> Expr:
    """Return `given` as a SymPy expression.

    Parameters
    ----------
    given : Expr or number
        A right-hand side or measured quantity as the user wrote it.
    where : str
        What it is, for the message.

    Raises
    ------
    ModelError
        If it is text (never parsed), a truth value, a matrix, or anything else but an expression
        or a real number.
    """
    if isinstance(given, Expr) and not isinstance(given, sp.MatrixBase | sp.MatrixExpr):
        return given
    if isinstance(given, str):
        raise ModelError(
            f"{where}: got the text {given!r}; text is never parsed. Write the expression with "
            "declared symbols, for example -k*x with k = sd.parameter('k')."
        )
    if isinstance(given, bool | np.bool_ | Relational | BooleanFunction | BooleanAtom):
        raise ModelError(
            f"{where}: got the truth value {given}; expected a number or an expression. "
            "For cases use sympy.Piecewise."
        )
    if isinstance(given, Real):
        if isinstance(given, Rational):
            return sp.Rational(int(given.numerator), int(given.denominator))
        if not math.isfinite(given):
            raise ModelError(f"{where}: got {given}; every constant must be finite.")
        return sp.Float(float(given))
    if isinstance(given, Complex):
        raise ModelError(f"{where}: got the complex number {given}; models are real.")
    if isinstance(given, sp.MatrixBase | sp.MatrixExpr) or hasattr(given, "shape"):
        raise ModelError(
            f"{where}: got an array or matrix; expected one scalar expression. "
            "Write one expression for each component."
        )
    raise ModelError(
        f"{where}: expected an expression in declared symbols or a number, "
        f"got {type(given).__name__} ({given!r})."
    )


def check_expression(expression: Expr, where: str) -> None:
    """Refuse whatever no backend can evaluate in `expression`, by name.

    Raises
    ------
    ModelError
        If it holds an unknown or undefined function, a derivative, a complex or non-finite
        constant, or a Piecewise whose cases do not cover everything.
    """
    for node in sp.preorder_traversal(expression):
        if isinstance(node, Symbol):
            continue
        if isinstance(node, sp.Number | sp.NumberSymbol):
            _check_number(node, where)
        elif isinstance(node, _CONDITIONS):
            continue
        elif isinstance(node, _ARITHMETIC):
            _check_value(node, where)
        else:
            raise ModelError(_refusal(node, where))


def check_alike(symbols: Iterable[Symbol], where: str) -> None:
    """Refuse two different declared symbols that print alike.

    Raises
    ------
    ModelError
        Naming both.
    """
    first: dict[str, Symbol] = {}
    for symbol in symbols:
        other = first.setdefault(symbol.name, symbol)
        if other != symbol:
            raise ModelError(
                f"{where}: two different symbols print alike as {symbol.name!r}: "
                f"{describe(other)} and {describe(symbol)}. Declare it once and use that object "
                "everywhere, or rename one."
            )


def check_declared(symbols: Iterable[Symbol], declared: Iterable[str], where: str) -> None:
    """Refuse plain SymPy symbols.

    Raises
    ------
    ModelError
        With the declared symbol of the nearest name, if there is one.
    """
    names = list(declared)
    for symbol in symbols:
        if isinstance(symbol, Declared):
            continue
        if symbol.name in names:
            raise ModelError(
                f"{where}: {symbol.name!r} is a plain SymPy symbol that prints like a declared "
                "one; use the object that was declared."
            )
        raise ModelError(
            f"{where}: {symbol.name!r} is an undeclared SymPy symbol."
            f"{nearest(symbol.name, names)} "
            "Declare it with sd.state, sd.parameter, sd.forcing or sd.time."
        )


def symbols_in(expressions: Iterable[Expr]) -> Iterator[Symbol]:
    """Yield every symbol once, in the order of first appearance."""
    seen: set[Symbol] = set()
    for expression in expressions:
        for node in sp.preorder_traversal(expression):
            if isinstance(node, Symbol) and node not in seen:
                seen.add(node)
                yield node


def describe(symbol: Symbol) -> str:
    """Return a symbol's kind and declaration in words."""
    return symbol.words if isinstance(symbol, Declared) else "an undeclared SymPy symbol"


def _check_number(number: Expr, where: str) -> None:
    if number in (sp.nan, sp.oo, -sp.oo):
        raise ModelError(
            f"{where}: holds the constant {number}; every constant must be finite. "
            "Look for a division by zero."
        )
    if abs(number) > sp.Float("1.7976931348623157e308"):
        raise ModelError(f"{where}: holds a constant beyond the range of doubles (1.8e308).")
    if not number.is_zero and abs(number) < sp.Float("4.9e-324"):
        raise ModelError(
            f"{where}: holds the constant {sp.Float(number, 3)}, which is 0 in doubles (4.9e-324). "
            "Give the states and measured quantities other units."
        )


def _check_value(node: Basic, where: str) -> None:
    if isinstance(node, sp.Piecewise) and node.args[-1].cond is not sp.true:
        raise ModelError(
            f"{where}: the cases of {node} do not cover every value: not covered is "
            f"{sp.Not(sp.Or(*(pair.cond for pair in node.args)))}. "
            "End it with a default, (expression, True)."
        )
    if isinstance(node, ExprCondPair):
        return
    if node.is_real is False or (not node.free_symbols and _is_not_real(node)):
        raise ModelError(
            f"{where}: {node} is complex or not finite; models are real. "
            "Check the domain of its roots, logarithms and inverse functions."
        )
    if node.is_Pow and _is_free_power_of_a_negative(node):
        raise ModelError(
            f"{where}: {node} is a free power of {node.base}, which is negative, so it is complex "
            "except for integer exponents; models are real. For a sign that alternates with an "
            f"integer n write cos(pi*n), for the size of the power {sp.Pow(-node.base, node.exp)}."
        )


def _is_free_power_of_a_negative(power: Expr) -> bool:
    """Tell whether a base below 0 has an exponent that is not known to be whole."""
    base, exponent = power.args
    below = base.is_nonpositive and not base.is_zero
    return bool(below and exponent.free_symbols and not exponent.is_integer)


def _is_not_real(constant: Expr) -> bool:
    value = constant.evalf()
    return not value.is_Number or not value.is_finite


def _refusal(node: Basic, where: str) -> str:
    name = type(node).__name__
    if node is sp.I:
        return (
            f"{where}: holds the imaginary unit sympy.I; models are real. If I is a quantity of "
            "the model, declare it, for example I = sd.forcing('I'); if it comes from the root or "
            "logarithm of something negative, correct its sign."
        )
    if node is sp.zoo:
        return f"{where}: holds the constant zoo, a division by zero."
    delayed = next((f for f in _applied(node) if _is_delayed(f)), None)
    if delayed is not None:
        return f"{where}: {_delay_refusal(delayed)}"
    if isinstance(node, AppliedUndef):
        return (
            f"{where}: {node} is an undefined function. Write {name!r} out, or declare a state, "
            "parameter or forcing; a state stands for its own time course, so write x, not x(t)."
        )
    if isinstance(node, sp.Derivative):
        return (
            f"{where}: holds the derivative {node}. A right-hand side gives dx/dt in terms of "
            "states themselves; substitute it, or carry out the derivative with .doit()."
        )
    if isinstance(node, sp.Integral):
        return (
            f"{where}: holds the integral {node}. Integral is not a function that symda can "
            "compile: carry it out with .doit(), or, for one over past time, declare a state whose "
            "rate is the integrand."
        )
    return f"{where}: {name} is not a function that symda can compile. Known are: {known_names()}."


def _applied(node: Basic) -> list[AppliedUndef]:
    return sorted(node.atoms(AppliedUndef), key=str)


def _is_delayed(function: AppliedUndef) -> bool:
    """Tell whether it is the value at another time, such as x(t - tau)."""
    argument = function.args[0]
    times = [s for s in argument.free_symbols if is_time(s)]
    return len(function.args) == 1 and bool(times) and argument != times[0]


def _delay_refusal(function: Expr) -> str:
    name = type(function).__name__
    return f"{function} is {name} at another time{delay_words(name, function.args[0], function)}"
