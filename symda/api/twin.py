"""Twin experiments: data from a truth that is known."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.api.forced import Values, drive, forced, split_values, with_values
from symda.api.inputs import vector
from symda.api.integrate import OdeOptions, Rates
from symda.api.preflight import ProblemWarning
from symda.api.simulate import (
    forcing_sources,
    initial_state,
    integration_options,
    parameter_vector,
    refuse_for_maps,
    trajectory,
)
from symda.api.stepping import OdeMethod
from symda.api.trajectory import Trajectory
from symda.checks import integer, number
from symda.covariance import correlations
from symda.declare import Measurement, Model
from symda.declare.noise import drawn_data
from symda.errors import DataError, OptionError
from symda.observe import Observations, Samples
from symda.observe.arrays import dimensions
from symda.observe.ranges import internal_ranges
from symda.observe.rows import require_gaussian
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.api.action import Action
    from symda.derive.lattice import MachineField
    from symda.observe.forcing import ForcingInput


#: Tolerance of the time before 0, of which only the end is kept.
SPIN_UP = 1e-8

#: More steps than memory holds in any case.
MOST_STEPS = 10**9


def twin(
    action: Action,
    *,
    parameters: Values | None = None,
    dt: float,
    steps: int,
    variance: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    seed: int,
    initial: ArrayLike | Mapping[str, float] | None = None,
    discard: float = 0.0,
    every: int = 1,
    forcing: Mapping[str, ForcingInput] | None = None,
    method: OdeMethod | None = None,
) -> tuple[Trajectory, Observations]:
    """Make the data of a twin experiment: a solution of the model, measured with noise.

    The noise is drawn from the distributions of the measured quantities, Gaussian unless the action
    says otherwise.

    Parameters
    ----------
    action : Action
        Its model is solved, its measured quantities are the data.
    parameters : array_like (P,) or mapping of str to float
        True values; those left out take the value they were declared with. One per step has a
        number, a value for each of the `steps`, or `Samples`.
    dt : float
        Time between points of the truth (a whole number for a map).
    steps : int
        Number of such intervals, from time 0.
    variance : float, or array_like (L,), optional
        Variance sigma^2 of the noise, positive: it is the weight of the data too. Channels whose
        noise says its own scale do not need one.
    covariance : array_like (L, L), optional
        Covariance of the channels' noise at one time instead, as for `Observations`.
    seed : int
        Seed of initial state and noise; the same seed gives the same truth whatever is measured.
    initial : array_like (D,) or mapping, optional
        Initial state; drawn uniformly from the states' start ranges when left out, except for
        the initial values that the action is given.
    discard : float
        Time solved and thrown away before time 0, so that the truth lies on the attractor. A
        sampled forcing must cover it.
    every : int
        Measure at every so many points of the truth.
    forcing : mapping of str to forcing
        As for `Observations`; plain values hold at the steps + 1 points of the truth.
    method : str, optional
        As for `simulate`.

    Returns
    -------
    truth : Trajectory
        The solution at times 0, dt, .., steps dt.
    data : Observations
        What is measured of it.

    Raises
    ------
    OptionError
        If one of the numbers, or the method, is wrong.
    DataError, SolveError
        As for `simulate`.

    Warns
    -----
    ProblemWarning
        If the truth, or a true value, lies outside of the model's own bounds.
    IntegrationWarning
        As for `simulate`.
    """
    from symda.api.action import Action

    if not isinstance(action, Action):
        raise OptionError(
            f"twin: the first argument is a symda.Action, got {type(action).__name__}; "
            "make one with sd.Action(model, measured)."
        )
    model = action.model
    dt = _duration(dt, "dt", "e.g. dt=1" if model.discrete else "e.g. dt=0.01", model)
    steps = integer(steps, "twin: steps", "e.g. steps=100", floats=True)
    if steps > MOST_STEPS:
        raise OptionError(f"twin: steps must be at most {MOST_STEPS}, got {short(steps)}.")
    every = integer(every, "twin: every", "e.g. every=1", floats=True)
    if steps % every:
        raise OptionError(
            f"twin: every must divide steps = {steps}, got {every!r}; choose e.g. every=1."
        )
    discard = _duration(discard, "discard", "discard=0 keeps everything", model, zero=True)
    matrix = _covariance(action, covariance, variance)
    sigma2 = _variances(action, variance if matrix is None else np.diag(matrix))
    seed = integer(seed, "twin: seed", "e.g. seed=0", least=0, floats=True)
    options = integration_options(method, 1e-10, None, where="twin")
    if model.discrete:
        refuse_for_maps({"method": method}, where="twin")
    times: FloatArray = dt * np.arange(steps + 1, dtype=float)
    constants, values = split_values(model, parameters, times, where="twin")
    theta = parameter_vector(action.specification.declarations, constants, where="twin")
    known = forced(model)
    sources = forcing_sources(known, drive(forcing, values), times, where="twin")
    field = _field(action, model)
    own = field if known is model else _field(action, known)
    rates = Rates(own, theta, sources)

    start_rng, noise_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    if initial is not None:
        first = initial_state(known, initial, where="twin")
    else:
        first = _draw(known, start_rng, _known_initial(action, theta))
    if discard and initial is None and action.specification.initial.any:
        raise OptionError(
            f"twin: discard={discard:g} solves the model before time 0, but the action is given "
            "initial values, which hold at time 0. Leave discard out, or pass initial=."
        )
    if discard:
        if rates.pulses.any:
            raise OptionError(
                f"twin: discard={discard:g} solves the model before time 0, and pulses belong to "
                "times of the data. Leave discard out, or pass initial=."
            )
        _require_forcing_before(rates, discard)
        # a chaotic truth depends on every digit: keep recorded twins as they are
        ranges = [known.declarations[s] for s in known.states]
        ordinary = all(np.abs(one.start or one.bounds).max() >= 1.0 for one in ranges)
        spin_up = OdeOptions(method, SPIN_UP, SPIN_UP if ordinary else None)
        before = np.array([-discard, 0.0])
        way_in = trajectory(rates, before, first, spin_up, longest=dt, where="twin")
        first = way_in.states.values[-1]
    found = trajectory(rates, times, first, options, longest=dt, where="twin")
    truth = with_values(found, model, values)
    for text in _bounds_warnings(action, truth, theta, dt, discard, drawn=initial is None):
        warnings.warn(text, ProblemWarning, stacklevel=2)
    eta = np.asarray(
        field.measure.map(steps + 1)(
            truth.states.values.T, np.repeat(theta[:, None], steps + 1, 1)
        ).full()
    ).T
    L = len(action.measurement.names)
    h = eta[:, :L]
    # states first, then a row for each expression: measuring more does not change the others' noise
    of_states = noise_rng.standard_normal((steps + 1, field.D))
    of_channels = noise_rng.standard_normal((L, steps + 1)).T
    noise = np.where(np.array(action.direct) >= 0, of_states[:, list(action.direct)], of_channels)
    if matrix is None:
        values = h + np.sqrt(np.nan_to_num(sigma2)) * noise
    else:
        related, sd = correlations(matrix[None], ~np.isnan(np.diag(matrix))[None])
        values = h + sd * (noise @ np.linalg.cholesky(related[0]).T)
    for l in (l for l, one in enumerate(action.measurement.noises) if not one.gaussian):
        own_rng = np.random.default_rng([seed, l])
        variances = np.full(len(eta), sigma2[l])
        measured = action.measurement.paid(action.model)
        values[:, l] = drawn_data(measured, l, eta, variances, own_rng)
    data = Observations(
        times[::every],
        values[::every],
        variance=sigma2 if matrix is None else None,
        covariance=matrix,
        channels=action.measurement.names,
        forcing={
            f.name: source
            for f, source in zip(known.forcing, sources, strict=True)
            if f in model.forcing
        },
    )
    return truth, data


def _covariance(
    action: Action, covariance: ArrayLike | None, variance: ArrayLike | None
) -> FloatArray | None:
    """Covariance of the channels' noise, (L, L), checked; None without one."""
    if covariance is None:
        return None
    names, noises = action.measurement.names, action.measurement.noises
    shape = np.shape(covariance) if dimensions(covariance) == 2 else ()
    if shape != (len(names), len(names)):
        raise OptionError(
            f"twin: covariance: expected one matrix of the {len(names)} channels "
            f"({', '.join(names)}), got {short(covariance)}."
        )
    nothing = np.zeros((1, len(names)))
    try:
        given = Observations([0.0], nothing, variance=variance, covariance=covariance)
        require_gaussian(given, names, noises)
    except DataError as error:
        raise OptionError(f"twin: {error}") from error
    assert given.covariance is not None
    found: FloatArray = given.covariance[0]
    return found


def _variances(action: Action, variance: ArrayLike | None) -> FloatArray:
    """Variance of each channel, (L,); nan where the noise says its own scale."""
    needed = [noise.needs_variance for noise in action.measurement.noises]
    fix = "pass the variance the data should be weighted with; for exact data take simulate"
    if variance is None:
        if any(needed):
            name = action.measurement.names[needed.index(True)]
            raise OptionError(
                f"twin: variance is missing, and the noise of channel {name!r} has no scale of its "
                f"own; {fix}."
            )
        return np.full(len(needed), np.nan)
    # `vector` says what is no array
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        given = np.asarray(variance)
        if given.ndim == 1 and given.dtype.kind == "f" and given.size == len(needed):
            # nan says that there is none
            variance = np.where(np.isnan(given) & ~np.array(needed), 1.0, given)
    found = vector(
        variance,
        action.measurement.names,
        "twin: variance",
        fix,
        kind="positive",
        broadcast=True,
        error=OptionError,
    )
    return np.where(needed, found, np.nan)


def _field(action: Action, known: Model) -> MachineField:
    """F and h of the action without scales, or F of its model with known parameters per step."""
    from symda.derive.field import derive_field

    if known is not action.model:
        nothing = Measurement((), (), action.measurement.parameters)
        return derive_field(known, nothing, natural=True)
    if all(one.scale is None for one in action.specification.declarations.values()):
        return action.field
    return derive_field(known, action.measurement.paid(action.model), natural=True)


def _duration(value: float, name: str, fix: str, model: Model, *, zero: bool = False) -> float:
    """`value` as a float: a time, or for a map a number of iterations."""
    if model.discrete:
        return float(
            integer(value, f"twin: {name} of a map", fix, least=0 if zero else 1, floats=True)
        )
    return number(value, f"twin: {name}", fix, kind="non-negative" if zero else "positive")


def _bounds_warnings(
    action: Action, truth: Trajectory, theta: FloatArray, dt: float, discard: float, *, drawn: bool
) -> Iterator[str]:
    """Name what of a truth lies outside the bounds of the model, which no estimate can reach."""
    declared = action.specification.declarations
    for parameter, value in zip(action.parameters, theta.tolist(), strict=True):
        low, high = declared[parameter].bounds
        if not low <= value <= high:
            yield (
                f"twin: the true value {value:.6g} of {parameter.name} is outside of its bounds "
                f"{_range((low, high))}, where no estimate can go. Widen bounds=."
            )
    model, states, times = action.model, truth.states.values, truth.times
    bounds = np.array([declared[s].bounds for s in model.states], dtype=float)
    rounding = 1e-9 * np.abs(states).max(axis=0, initial=0.0)
    outside = (states < bounds[:, 0] - rounding) | (states > bounds[:, 1] + rounding)
    if not outside.any():
        return
    n, a = np.argwhere(outside)[0]
    limits = _range((bounds[a, 0], bounds[a, 1]))
    last = int(np.flatnonzero(outside.any(axis=1))[-1])
    fix = "Widen bounds=."
    if drawn and last < len(times) - 1:
        # it was inside from there on
        enough = discard + dt * (last + 1)
        fix = (
            "It starts at random in the states' start ranges and is inside from time "
            f"{times[last + 1]:.6g} on: pass discard={enough:.6g} or more, so that it has settled "
            "before time 0; or initial=, or widen bounds=."
        )
    elif drawn:
        fix = "It starts at random in the states' start ranges: pass initial=, or widen bounds=."
    yield (
        f"twin: the truth has {model.states[a].name} = {states[n, a]:.6g} at time {times[n]:.6g}, "
        f"outside of its bounds {limits}, where no estimate can go. {fix}"
    )


def _range(bounds: tuple[float, float]) -> str:
    return f"({bounds[0]:.6g}, {bounds[1]:.6g})"


def _require_forcing_before(rates: Rates, discard: float) -> None:
    for channel, source in zip(rates.field.model.forcing, rates.sources, strict=True):
        if isinstance(source, Samples) and source.times[0] > -discard:
            raise DataError(
                f"twin: discard={discard:g} needs the forcing {channel.name!r} from time "
                f"{-discard:g} on, but its samples begin at {source.times[0]:g}; pass (times, "
                "values) covering it, or discard=0."
            )


def _known_initial(action: Action, theta: FloatArray) -> FloatArray:
    """Return the initial values that the action is given, (D,); nan for others."""
    place = dict(zip(action.parameters, theta.tolist(), strict=True))
    known = action.specification.initial.functions
    return np.array([np.nan if g is None else float(g.subs(place)) for g in known])


def _draw(model: Model, rng: np.random.Generator, given: FloatArray) -> FloatArray:
    declared = [model.declarations[s] for s in model.states]
    # what is given needs no range, and costs the others no random number of theirs
    known = dict(zip(model.states, given[: len(model.states)].tolist(), strict=True))
    ranges = [
        (known[s], known[s]) if np.isfinite(known[s]) else one.start or one.bounds
        for s, one in zip(model.states, declared, strict=True)
    ]
    for state, (least, most) in zip(model.states, ranges, strict=True):
        if not (np.isfinite(least) and np.isfinite(most)):
            raise OptionError(
                f"twin: no initial value for the state {state.name!r}: it has no start range "
                "to draw from. "
                "Pass initial=, or declare the states with start=(low, high)."
            )
    scales = [one.coordinate for one in declared]
    bounds = np.array([one.bounds for one in declared])
    _, starts = internal_ranges(scales, bounds, np.array(ranges, dtype=float))
    drawn: FloatArray = rng.uniform(starts[:, 0], starts[:, 1])
    return np.array([scale.natural(z) for scale, z in zip(scales, drawn, strict=True)])
