"""What is declared of a state or parameter: bounds, start range and the like, checked."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from numbers import Real

from symda.declare.distributions import Distribution
from symda.errors import ModelError, nearest
from symda.scale import SCALES, Scale, ScaleName

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
    scale : {"log", "logit"} or None
        What solvers move: its logarithm, its logit between the bounds, or itself.
    prior : Distribution or None
        What is known of it beforehand; of a state, or a walk, of its first value; of a parameter
        per step without a process variance, of each of its values.
    """

    bounds: Range = UNBOUNDED
    start: Range | None = None
    value: float | None = None
    typical: float | None = None
    process_variance: float | None = None
    cost: float | None = None
    scale: ScaleName | None = None
    prior: Distribution | None = None

    @property
    def independent(self) -> bool:
        """Whether the prior of a parameter per step is one of each value, and not of the first."""
        return self.prior is not None and self.process_variance is None

    @property
    def coordinate(self) -> Scale:
        """What leads from the value that solvers move to the one declared here, and back."""
        return Scale(self.scale, *self.bounds) if self.scale == "logit" else Scale(self.scale)

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
            bounds, a size is not larger than zero, or the scale has no place for one of them.
        """
        bounds = _checked_bounds(what, self.bounds)
        if self.prior is not None:
            bounds = _within_prior(what, bounds, self.prior, self.scale)
        size = "it is the parameter's size, without its sign"
        constant = "it is a variance. Without it the values are free; one value is a constant"
        checked = Declaration(
            bounds,
            _checked_start(what, self.start, bounds),
            _checked_value(what, self.value, bounds),
            _positive(what, "typical", self.typical, size),
            _positive(what, "process_variance", self.process_variance, constant),
            _positive(what, "cost", self.cost, "without a cost a control is a free parameter"),
            self.scale,
            self.prior,
        )
        _check_scale(what, checked)
        return checked


def _within_prior(what: str, bounds: Range, prior: Distribution, scale: ScaleName | None) -> Range:
    """Return the bounds, cut where a prior that has ends of its own ends."""
    if not isinstance(prior, Distribution):
        raise ModelError(
            f"{what}: prior must be a distribution, such as sd.Normal(1.0, 0.1), got {prior!r}."
        )
    if prior.needs_variance:
        raise ModelError(
            f"{what}: prior = {prior} has no scale, and a prior has no data to take it from; "
            "write for instance sd.Normal(1.0, 0.1)."
        )
    if prior.counts:
        raise ModelError(f"{what}: prior = {prior} is of counts, and this is a real number.")
    low, high = prior.support()
    if not max(low, bounds[0]) < min(high, bounds[1]):
        raise ModelError(
            f"{what}: prior = {prior} has values in {low} .. {high}, and bounds = {bounds} exclude "
            "them all. Change one of the two."
        )
    if not prior.closed:
        return bounds
    if scale == "log" and low <= 0.0:
        # a logarithm does not go there
        low = bounds[0]
    return max(low, bounds[0]), min(high, bounds[1])


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


def _check_scale(what: str, given: Declaration) -> None:
    """Refuse an unknown scale, and numbers that have no logarithm or no logit."""
    scale, (low, high) = given.scale, given.bounds
    if scale is None:
        return
    if not isinstance(scale, str) or scale not in SCALES:
        raise ModelError(
            f"{what}: scale must be 'log' or 'logit', or left out, got {scale!r}."
            f"{nearest(str(scale), SCALES)}"
        )
    if given.typical is not None:
        raise ModelError(
            f"{what}: typical = {given.typical} has no effect with scale={scale!r}, since a "
            f"{'logarithm' if scale == 'log' else 'logit'} has no unit. Leave it out."
        )
    value = {"start": given.start, "value": None if given.value is None else (given.value,)}
    numbers = [(field, pair, end) for field, pair in value.items() if pair for end in pair]
    if scale == "log":
        if math.isfinite(low) or low > 0.0 or high <= 0.0:
            numbers = [("bounds", given.bounds, low), ("bounds", given.bounds, high), *numbers]
        for field, pair, end in numbers:
            if end <= 0.0:
                said = pair[0] if field == "value" else pair
                raise ModelError(
                    f"{what}: {field} = {said} and scale='log': {end:g} has no logarithm. Give "
                    "numbers above 0, or leave scale out"
                    + ("; without bounds it stays above 0." if field == "bounds" else ".")
                )
        return
    if math.isinf(low) or math.isinf(high):
        raise ModelError(
            f"{what}: scale='logit' needs two finite bounds, between which it stays, got "
            f"{given.bounds}. Give them, or take scale='log' for what is only positive."
        )
    for field, pair, end in numbers:
        if end in (low, high):
            said = pair[0] if field == "value" else pair
            raise ModelError(
                f"{what}: {field} = {said} and scale='logit': {end:g} is a bound, which has no "
                "logit. Stay inside of the bounds, or leave scale out"
                + ("; without start it is drawn between them." if field == "start" else ".")
            )
