"""Checks of the numbers in a declaration; each message names the symbol and the fix."""

from __future__ import annotations

import math
import sys
from numbers import Real

from symda.errors import ModelError

Range = tuple[float, float]


def _number(what: str, value: float) -> float:
    # NumPy's scalars and SymPy's numbers also count as numbers; booleans are most likely a slip.
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ModelError(f"{what} must be a number, got {value!r}.")
    try:
        return float(value)
    except OverflowError:
        largest = f"{sys.float_info.max:.4g}"
        raise ModelError(f"{what} is beyond the largest double, {largest}.") from None


def _checked_range(what: str, field: str, given: Range) -> Range:
    """Return a pair of numbers as floats, low <= high, none of them nan."""
    try:
        pair = () if isinstance(given, str) else tuple(given)
    except TypeError:  # an array without dimensions among others
        pair = ()
    if len(pair) != 2:
        raise ModelError(f"{what}: {field} must be a pair (low, high), got {given!r}.")
    low, high = (_number(f"{what}: each end of {field}", end) for end in pair)
    if math.isnan(low) or math.isnan(high):
        raise ModelError(
            f"{what}: {field} = ({low}, {high}) holds nan; use -inf or inf for no limit."
        )
    if low > high:
        raise ModelError(
            f"{what}: {field} = ({low}, {high}) are the wrong way round; write ({high}, {low})."
        )
    return low, high


def checked_bounds(what: str, bounds: Range) -> Range:
    """Return bounds as floats, low < high."""
    low, high = _checked_range(what, "bounds", bounds)
    if low == high:
        raise ModelError(
            f"{what}: bounds = ({low}, {high}) leave no room; widen them, or declare a parameter "
            f"with value={low} to hold it fixed."
        )
    return low, high


def checked_start(what: str, start: Range | None, bounds: Range) -> Range | None:
    """Return a start range as floats, finite and inside the bounds."""
    if start is None:
        return None
    low, high = _checked_range(what, "start", start)
    if math.isinf(low) or math.isinf(high):
        raise ModelError(f"{what}: start = ({low}, {high}) must be finite to draw from it.")
    if low < bounds[0] or high > bounds[1]:
        raise ModelError(
            f"{what}: start = ({low}, {high}) leaves bounds = {bounds}; "
            "narrow start or widen bounds."
        )
    return low, high


def checked_value(what: str, value: float | None, bounds: Range) -> float | None:
    """Return a fixed value, finite and inside the bounds."""
    if value is None:
        return None
    number = _number(f"{what}: value", value)
    if not math.isfinite(number):
        raise ModelError(f"{what}: value = {number} must be finite.")
    if not bounds[0] <= number <= bounds[1]:
        raise ModelError(
            f"{what}: value = {number} lies outside bounds = {bounds}; "
            "change the value or widen bounds."
        )
    return number


def checked_typical(what: str, typical: float | None) -> float | None:
    """Return a typical size, finite and larger than zero."""
    return _positive(what, "typical", typical, "it is the parameter's size, without its sign")


def checked_drift(what: str, drift: float | None) -> float | None:
    """Return a variance, finite and larger than zero."""
    return _positive(what, "drift", drift, "it is a variance. Without drift take a constant")


def _positive(what: str, field: str, given: float | None, meaning: str) -> float | None:
    if given is None:
        return None
    number = _number(f"{what}: {field}", given)
    if not (math.isfinite(number) and number > 0.0):
        raise ModelError(
            f"{what}: {field} = {number} must be finite and larger than zero; {meaning}."
        )
    return number
