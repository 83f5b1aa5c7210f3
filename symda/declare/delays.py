"""Messages for a state that is called like a function: x(t) is x, and x(t - tau) a delay."""

from __future__ import annotations

import sympy as sp
from sympy import Basic, Expr

from symda.declare.declared import Time


def called(name: str, arguments: tuple[object, ...]) -> str:
    """Say what is wrong with a state that is called like a function."""
    written = f"{name}({', '.join(map(str, arguments))})"
    argument = arguments[0] if len(arguments) == 1 else None
    if isinstance(argument, Expr) and not is_time(argument):
        if any(is_time(s) for s in argument.free_symbols):
            return f"{written} is {name} at another time{delay_words(name, argument, written)}"
    return (
        f"{written}: {name} is a state, not a function; it stands for its own time course, so "
        f"write {name}. A product needs its sign, {name}*(...)."
    )


def is_time(symbol: Basic) -> bool:
    """Tell whether a symbol is time, or called like it."""
    return isinstance(symbol, Time) or getattr(symbol, "name", None) == "t"


def delay_words(name: str, argument: Expr, written: object) -> str:
    """Say that delays are not supported, and what to write for the value of a state at `argument`.

    Parameters
    ----------
    name : str
        The state's name.
    argument : Expr
        What is written for the time.
    written : object
        The complete expression as the user wrote it.
    """
    time = next(s for s in argument.free_symbols if is_time(s))
    lag = sp.expand(time - argument)
    if lag.has(time) or lag.is_negative:
        return "; delays are not supported, nor is any other time than the present one."
    text = sp.sstr(lag, full_prec=False)
    rate = f"4/({text})" if lag.is_Add or lag.is_Mul else f"4/{text}"
    return (
        ", and delays are not supported. A chain of lags comes near one: with z = sd.states('z', "
        f"4), the equations z[0]: ({name} - z[0])*{rate}, **{{z[i]: (z[i - 1] - z[i])*{rate} for i "
        f"in range(1, 4)}}, and z[3] in place of {written}. Its lag is spread around {text} with "
        "the variance lag**2/4; more states make it sharper. In a map, a state that keeps the "
        f"value before, {{before: {name}}}, is a delay of one step."
    )
