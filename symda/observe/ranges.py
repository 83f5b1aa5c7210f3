"""Bounds, start ranges, fixed values and typical sizes of the unknowns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from reprlib import repr as short

import numpy as np

from symda.checks import number
from symda.declare import Declaration, Parameter, State, StepParameter
from symda.errors import DataError, ModelError, OptionError, nearest
from symda.observe.observations import Observations
from symda.scale import Scale, has_place, words
from symda.types import FloatArray

_Range = tuple[float, float]

#: A logit goes no farther, where doubles end, and starts no farther than a hundredth from a bound.
EDGE, INNER = 36.0, math.log(99.0)
#: A logarithm without bounds goes no farther from its start range: by a factor of 1e100.
FAR = math.log(1e100)
#: Values of a prior that are drawn to find where it lies.
DRAWS = 1000
#: Share of where a prior has its values below which a start range is none.
NARROW = 1e-3


def fixed_values(
    parameters: Mapping[Parameter, Declaration],
    fixed: Mapping[str | Parameter, float | None] | None,
) -> FloatArray:
    """Value of each fixed parameter, nan where it is free, (P,).

    Parameters
    ----------
    parameters
        The P parameters with what is declared of them; one with a value is fixed at it.
    fixed
        Name or symbol -> another value to fix it at, or None to free it.

    Raises
    ------
    OptionError
        Something that is no mapping, an unknown parameter, or a value that is not a number within
        the bounds.
    """
    names = [p.name for p in parameters]
    chosen = {p.name: one.value for p, one in parameters.items()}
    example = f"{{{(names or ['k'])[0]!r}: 1.0}}"
    if fixed is not None and not isinstance(fixed, Mapping):
        raise OptionError(
            f"fixed: expected a mapping of parameters to values, such as {example}, got "
            f"{short(fixed)}."
        )
    for key, value in (fixed or {}).items():
        if isinstance(key, StepParameter):
            raise OptionError(
                f"fixed: {key.name!r} has a value of its own at every step, which is estimated; "
                "one whose values are known is a forcing, sd.forcing."
            )
        if not isinstance(key, (str, Parameter)):
            raise OptionError(
                f"fixed: expected parameters or their names for keys, as in {example}, got "
                f"{short(key)}."
            )
        name = key if isinstance(key, str) else key.name
        if name not in chosen:
            has = ", ".join(names) if names else "no parameters"
            raise OptionError(
                f"fixed: {name!r} is no parameter; the model has {has}.{nearest(name, names)}"
            )
        bounds = [*parameters.values()][names.index(name)].bounds
        if value is not None:
            number(value, f"fixed[{name!r}]", "None is to estimate the parameter")
        if value is not None and not bounds[0] <= value <= bounds[1]:
            raise OptionError(
                f"fixed[{name!r}]: expected a value within the bounds {bounds}, got {value!r}. "
                "Change it, or the bounds of the parameter."
            )
        scale = [*parameters.values()][names.index(name)].coordinate
        if value is not None and not has_place(scale, value):
            raise OptionError(
                f"fixed[{name!r}]: {value!r} has no {words(scale)}, and the parameter was declared "
                f"with scale={scale.name!r}. Change it, or make the model with_scale({name}=None)."
            )
        chosen[name] = value
    return np.array(
        [math.nan if v is None else float(v) for v in chosen.values()], dtype=np.float64
    )


def state_starts(
    states: Mapping[State, Declaration], observations: Observations, direct: Sequence[int]
) -> FloatArray:
    """Ranges of random starts of the states, (D, 2).

    A state's declared start; else its bounds when both are finite; else the range of its own
    channel, or of all directly measured channels together when it has none, widened by half of
    itself on each side (data without spread: by half of the value, at least one noise standard
    deviation) and clipped to the bounds. The range of a state with a scale is one of its logarithm
    or logit, of those data that have one.

    Parameters
    ----------
    states
        The D states with what is declared of them.
    observations
        Channels in the order of `direct`.
    direct : (L,)
        State index of each channel that is a plain state, else -1.

    Raises
    ------
    DataError
        A state for which nothing of this is known, or whose data lie outside its bounds.
    """
    ranges: list[_Range] = []
    for a, (state, declared) in enumerate(states.items()):
        known = _declared(declared)
        if known is None and isinstance(state, StepParameter):
            known = _by_prior(declared)
        if known is None and isinstance(state, StepParameter):
            raise DataError(
                f"parameter {state.name!r}: no start range is known. Declare it, for instance "
                f"sd.parameter({state.name!r}, per='step', start=(0.0, 1.0)), or give finite "
                "bounds."
            )
        if known is None:
            seen = [bool(np.isfinite(column).any()) for column in observations.values.T]
            own = [l for l, index in enumerate(direct) if index == a and seen[l]]
            channels = own or [l for l, index in enumerate(direct) if index >= 0 and seen[l]]
            if not channels:
                raise DataError(
                    f"state {state.name!r}: no start range is known, since no state is measured "
                    "directly. "
                    f"Declare it, for instance sd.state({state.name!r}, start=(-1.0, 1.0)), or "
                    "give finite bounds."
                )
            known = _widened(observations, channels, declared)
            if known is None:
                if declared.scale is not None:
                    raise DataError(
                        f"state {state.name!r}: no start range is known, since no datum within "
                        f"its bounds has a {words(declared.coordinate)} (scale="
                        f"{declared.scale!r}). Declare start=, or leave scale out."
                    )
                raise DataError(
                    f"state {state.name!r}: the data lie outside its bounds {declared.bounds}. "
                    "Check the units, or declare start= or other bounds=."
                )
        prior = _by_prior(declared) if isinstance(state, StepParameter) else None
        if prior and declared.independent and 0.0 < np.ptp(known) < NARROW * np.ptp(prior):
            raise DataError(
                f"parameter {state.name!r}: its start range {known} is narrower than a thousandth "
                f"of {prior}, where its prior has 95 % of its values, and neighbouring values are "
                "kept together on that scale. Leave start= out, or make it wider."
            )
        ranges.append(known)
    return np.array(ranges, dtype=np.float64).reshape(-1, 2)


def parameter_starts(parameters: Mapping[Parameter, Declaration], fixed: FloatArray) -> FloatArray:
    """Ranges of random starts of the parameters, (P, 2).

    A fixed parameter starts at its value. Else its declared start; else its bounds when both are
    finite; else its declared value plus or minus 50 %, clipped to the bounds; else where its prior
    has 95 % of its values, if numbers say which.

    Parameters
    ----------
    parameters
        The P parameters with what is declared of them.
    fixed : (P,)
        From `fixed_values`.

    Raises
    ------
    DataError
        A free parameter for which nothing of this is known.
    """
    ranges: list[_Range] = []
    for (parameter, declared), at in zip(parameters.items(), fixed.tolist(), strict=True):
        if not math.isnan(at):
            ranges.append((at, at))
            continue
        known = _declared(declared)
        if known is None and declared.value:
            half = 0.5 * abs(declared.value)
            known = _clip((declared.value - half, declared.value + half), declared.bounds)
        if known is None:
            known = _by_prior(declared)
        if known is None:
            raise DataError(
                f"parameter {parameter.name!r}: no start range is known. Declare it, for instance "
                f"sd.parameter({parameter.name!r}, start=(0.0, 1.0)), or give finite bounds."
            )
        ranges.append(known)
    return np.array(ranges, dtype=np.float64).reshape(-1, 2)


def typical_sizes(parameters: Mapping[Parameter, Declaration], starts: FloatArray) -> FloatArray:
    """Typical sizes (P,): as declared, else the larger end of the start range, else 1.

    1 for a parameter with a scale.
    """
    sizes = np.abs(starts).max(axis=1)
    declared = [1.0 if one.scale else one.typical for one in parameters.values()]
    return np.array(
        [
            size or 1.0 if typical is None else typical
            for typical, size in zip(declared, sizes.tolist(), strict=True)
        ],
        dtype=np.float64,
    )


def internal_ranges(
    scales: Sequence[Scale], bounds: FloatArray, starts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Bounds and start ranges (n, 2) of the unknowns as solvers move them.

    Where a scale leaves no bound there is one far away, so that nothing overflows.
    """
    found = np.array(bounds, dtype=float), np.array(starts, dtype=float)
    with np.errstate(all="ignore"):
        for i, scale in enumerate(scales):
            if scale.name is None:
                continue
            within, begin = (scale.internal(np.array(one[i])) for one in found)
            if scale.name == "logit":
                within, begin = np.array([-EDGE, EDGE]), np.clip(begin, -INNER, INNER)
            else:
                far = begin[0] - FAR, begin[1] + FAR
                within = np.where(np.isfinite(within), within, far)
            found[0][i], found[1][i] = within, begin
    return found


def _declared(declared: Declaration) -> _Range | None:
    if declared.start is not None:
        return declared.start
    return declared.bounds if all(map(math.isfinite, declared.bounds)) else None


def _by_prior(declared: Declaration) -> _Range | None:
    """Range of 95 % of a prior's values, within the bounds; None where they cannot be drawn."""
    prior = declared.prior
    if prior is None or prior.terms:
        return None
    try:
        frozen = prior.frozen(prior.columns({}, DRAWS), np.full(DRAWS, np.nan))
    except ModelError:
        return None
    drawn = frozen.rvs(random_state=np.random.default_rng(0))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _clip((float(low), float(high)), declared.bounds)


def _widened(
    observations: Observations, channels: list[int], declared: Declaration
) -> _Range | None:
    """Range of the data of some channels, widened, within the bounds; None if they are outside."""
    seen = observations.measured[:, channels]
    data = observations.values[:, channels][seen]
    if declared.scale is not None:
        scale = declared.coordinate
        with np.errstate(all="ignore"):
            data = scale.internal(data)
        data = data[np.isfinite(data)]
        if not data.size:
            return None
        half = 0.5 * float(np.ptp(data)) or math.log(2.0)
        ends = scale.natural(np.array([data.min() - half, data.max() + half]))
        return _clip((float(ends[0]), float(ends[1])), declared.bounds)
    low, high = float(data.min()), float(data.max())
    half = 0.5 * (high - low)
    if half == 0.0:
        noise = math.sqrt(float(observations.variance[:, channels][seen].max()))
        half = max(0.5 * abs(low), noise)
    return _clip((low - half, high + half), declared.bounds)


def _clip(wanted: _Range, bounds: _Range) -> _Range | None:
    low, high = max(wanted[0], bounds[0]), min(wanted[1], bounds[1])
    return (low, high) if low < high else None
