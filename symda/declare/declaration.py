"""What is declared of a state or parameter: bounds, start range and the like, checked."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from numbers import Real

from symda.errors import ModelError

Range = tuple[float, float]

UNBOUNDED: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Declaration:
    """What is declared of a state or parameter besides its name; a model has one for each.

    Attributes
    ----------
    bounds : (float, float)
        Lowest and highest value a solver may give it; infinite where there is no limit.
    start : (float, float) or None
        Range of its start values.
    value : float or None
        The known value of a parameter.
    typical : float or None
        The typical size of a parameter.
    process_variance : float or None
        Of a parameter per step: variance of its change over a step.
    cost : float or None
        Of a control: what its square costs.
    """

    bounds: Range = UNBOUNDED
    start: Range | None = None
    value: float | None = None
    typical: float | None = None
    process_variance: float | None = None
    cost: float | None = None

    def checked(self, what: str) -> Declaration:
        """Return it with floats for the numbers a user gave.

        Parameters
        ----------
        what : str
            What it is declared of, for messages.

        Raises
        ------
        ModelError
            If a range is not a pair of numbers in ascending order, `start` or `value` leaves the
            bounds, or a size is not larger than zero.
        """
        bounds = _checked_bounds(what, self.bounds)
        size = "it is the parameter's size, without its sign"
        constant = "it is a variance. Without it the values are free; one value is a constant"
        return Declaration(
            bounds,
            _checked_start(what, self.start, bounds),
            _checked_value(what, self.value, bounds),
            _positive(what, "typical", self.typical, size),
            _positive(what, "process_variance", self.process_variance, constant),
            _positive(what, "cost", self.cost, "without a cost a control is a free parameter"),
        )


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


def _checked_bounds(what: str, bounds: Range) -> Range:
    """Return bounds as floats, low < high."""
    low, high = _checked_range(what, "bounds", bounds)
    if low == high:
        raise ModelError(
            f"{what}: bounds = ({low}, {high}) leave no room; widen them, or declare a parameter "
            f"with value={low} to hold it fixed."
        )
    return low, high


def _checked_start(what: str, start: Range | None, bounds: Range) -> Range | None:
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


def _checked_value(what: str, value: float | None, bounds: Range) -> float | None:
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


def _positive(what: str, field: str, given: float | None, meaning: str) -> float | None:
    if given is None:
        return None
    number = _number(f"{what}: {field}", given)
    if not (math.isfinite(number) and number > 0.0):
        raise ModelError(
            f"{what}: {field} = {number} must be finite and larger than zero; {meaning}."
        )
    return number
