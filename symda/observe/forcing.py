"""Forcing: what a user may pass for a channel, and its values at given times."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import sympy
from numpy.typing import ArrayLike

from symda.declare import Forcing, Time, check_expression
from symda.errors import DataError, ModelError, nearest
from symda.names import is_name
from symda.observe.arrays import as_double, as_floats, dimensions
from symda.observe.pulses import Pulses
from symda.observe.samples import Samples
from symda.types import FloatArray

ForcingSource: TypeAlias = Samples | Pulses | sympy.Expr
ForcingInput: TypeAlias = Samples | Pulses | sympy.Expr | ArrayLike | tuple[ArrayLike, ArrayLike]


def as_forcing(
    forcing: Mapping[str | Forcing, ForcingInput] | None, times: FloatArray
) -> dict[str, ForcingSource]:
    """Bring every channel of `forcing` to `Samples` or an expression in time.

    Parameters
    ----------
    forcing
        Name or symbol -> `Samples`, T values at `times`, a tuple (times, values), an expression
        in time, or a number.
    times : (T,)
        Observation times.

    Raises
    ------
    DataError
        A channel that is none of these, or is given twice.
    """
    if forcing is None:
        return {}
    if not isinstance(forcing, Mapping):
        raise DataError(
            f"forcing: expected a mapping from channel name to samples or expression, got "
            f"{type(forcing).__name__}. Write forcing={{'I': values}}."
        )
    sources: dict[str, ForcingSource] = {}
    for key, value in forcing.items():
        if not isinstance(key, str | Forcing):
            raise DataError(
                f"forcing: expected names or sd.forcing symbols as keys, got {key!r} "
                f"({type(key).__name__})."
            )
        name = key if isinstance(key, str) else key.name
        if not is_name(name):
            raise DataError(
                "forcing: expected printable names without blanks around them as keys, got "
                f"{name!r}."
            )
        if name in sources:
            raise DataError(f"forcing {name!r} is given twice. Keep one of them.")
        try:
            sources[name] = _source(value, times)
        except DataError as error:
            raise DataError(f"forcing {name!r}: {error}") from error
    return sources


def evaluate(source: ForcingSource, time: Time | None, t: FloatArray) -> FloatArray:
    """Values of `source` at times `t` (any shape), in the same shape.

    Parameters
    ----------
    source
        Samples, or an expression in `time`.
    time
        The model's time symbol; None: the model does not use time, so any time symbol does.
    t
        Times.

    Raises
    ------
    DataError
        Samples that do not cover `t`; an expression in another time symbol, or one that is not
        a finite real number somewhere.
    """
    return as_function(source, time)(t)


def as_function(source: ForcingSource, time: Time | None) -> Callable[[FloatArray], FloatArray]:
    """`evaluate` with the work that does not depend on the times done once.

    Raises
    ------
    DataError
        An expression in another time symbol; when called, what `evaluate` raises.
    """
    if isinstance(source, Samples | Pulses):
        return source
    symbols = source.free_symbols
    foreign = sorted(s.name for s in symbols if time is not None and s != time)
    if time is not None and foreign:
        raise DataError(
            f"the expression uses the time symbol {foreign[0]!r}, but the model's is "
            f"{time.name!r}. Use the same sd.time() symbol in both."
        )
    argument = next(iter(symbols), sympy.Dummy())
    function = sympy.lambdify([argument], source, modules=["scipy", "numpy"])

    def call(t: FloatArray) -> FloatArray:
        try:
            with np.errstate(all="ignore"):  # what is not finite is reported below, with its time
                raw = np.asarray(function(t))
        except (NameError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise DataError(
                f"the expression {source} has no numerical form ({error}). Pass samples instead: "
                "(times, values)."
            ) from error
        values = np.broadcast_to(raw, t.shape)
        bad = t[~(np.isfinite(values) & (np.imag(values) == 0.0))]
        if bad.size:
            raise DataError(
                f"the expression {source} is not a finite real number at time {bad[0]}. "
                "Use sympy.Piecewise to give it a value there."
            )
        return np.real(values).astype(np.float64)

    return call


def match(
    names: tuple[str, ...],
    forcing: Mapping[str, ForcingSource],
    *,
    place: str = "the observations",
    call: str = "Observations",
) -> tuple[ForcingSource, ...]:
    """Put the sources in the order of the model's forcing channels `names`.

    Parameters
    ----------
    names
        The model's channels.
    forcing
        Sources by name.
    place, call
        How messages name what the sources were given with, and the call that takes them.

    Raises
    ------
    DataError
        A channel of the model without a source, or a source that is no channel of the model.
    """
    for name in forcing:
        if name not in names:
            has = f"has {', '.join(names)}" if names else "has none"
            raise DataError(
                f"forcing {name!r} is given with {place}, but the model "
                f"{has}.{nearest(name, names)}"
            )
    for name in names:
        if name not in forcing:
            raise DataError(
                f"forcing {name!r} of the model is missing from {place}. Pass "
                f"{call}(..., forcing={{{name!r}: ...}}) with samples or an expression in "
                "time."
            )
    return tuple(forcing[name] for name in names)


def _source(value: ForcingInput, times: FloatArray) -> ForcingSource:
    if isinstance(value, Samples | Pulses):
        return value
    if isinstance(value, sympy.Basic):
        return _expression(value)
    if isinstance(value, str):
        raise DataError(
            f"expected samples, numbers or an expression, got the text {value!r}; text is never "
            "evaluated. Write a SymPy expression in the symbol of sd.time()."
        )
    if callable(value) and not hasattr(value, "__array__"):
        raise DataError(
            "expected samples, numbers or an expression, got a Python function. Sample it, "
            "(times, function(times)), or write a SymPy expression in the symbol of sd.time()."
        )
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return _expression(sympy.Float(as_double(value)))
    if (
        isinstance(value, tuple)
        and len(value) == 2
        and all(dimensions(part) == 1 for part in value)
    ):
        return Samples(value[0], value[1])
    values = as_floats(value, "samples")
    if values.shape != times.shape:
        raise DataError(
            f"expected {times.size} values, one for each observation time, got shape "
            f"{values.shape}. Pass a tuple (times, values) for samples at other times."
        )
    # where something was measured again the forcing is what it was
    again = np.flatnonzero(times[1:] == times[:-1]) + 1
    other = again[~((values[again] == values[again - 1]) | np.isnan(values[again]))]
    if other.size:
        n = int(other[0])
        raise DataError(
            f"expected one value at time {times[n]}, which stands in two rows, got "
            f"{values[n - 1]} and {values[n]}. Pass a tuple (times, values) of samples, each time "
            "once."
        )
    return Samples(np.delete(times, again), np.delete(values, again))


def _expression(value: sympy.Basic) -> sympy.Expr:
    if not isinstance(value, sympy.Expr):
        raise DataError(f"expected an expression, got {value} ({type(value).__name__}).")
    foreign = sorted(str(s) for s in value.free_symbols if not isinstance(s, Time))
    if foreign:
        raise DataError(
            f"the expression may depend on time only, but has the symbol {foreign[0]!r}. "
            "Declare time with sd.time(), and substitute numbers for everything else."
        )
    if len(value.free_symbols) > 1:
        raise DataError(f"the expression {value} has two time symbols. Use one.")
    try:
        check_expression(value, "the expression")
    except ModelError as error:
        raise DataError(str(error)) from error
    return value
