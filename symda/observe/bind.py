"""`bind`: observations and the declared unknowns, brought onto the model grid as one `Problem`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from sympy import Symbol

from symda.declare import (
    Declaration,
    Distribution,
    Event,
    Forcing,
    Normal,
    Parameter,
    State,
    StepParameter,
    Time,
)
from symda.errors import DataError, DataWarning, OptionError, nearest
from symda.observe.arrays import dimensions
from symda.observe.forcing import ForcingSource, evaluate, match
from symda.observe.grid import Grid
from symda.observe.initial import known_values
from symda.observe.jumps import evaluate_within, jumps, off_ends
from symda.observe.measured import with_measured
from symda.observe.observations import Observations
from symda.observe.payers import payers_of
from symda.observe.problem import Problem
from symda.observe.problem_data import Missed
from symda.observe.pulses import INSTANT, Pulses, PulseSteps, pulse_steps
from symda.observe.ranges import (
    fixed_values,
    internal_ranges,
    parameter_starts,
    state_starts,
    typical_sizes,
)
from symda.observe.rows import weighed_rows
from symda.observe.weights import Averaging, ErrorForm, averaging_factors, step_weights
from symda.types import BoolArray, FloatArray

#: Where in a step its forcing is kept as a cubic.
THIRDS = np.array([0.0, 1 / 3, 2 / 3, 1.0])


def bind(
    observations: Observations,
    *,
    states: Mapping[State, Declaration],
    parameters: Mapping[Parameter, Declaration],
    forcing: tuple[Forcing, ...],
    channels: tuple[str, ...],
    direct: Sequence[int],
    abscissae: tuple[float, ...],
    interior: tuple[float, ...],
    time: Time | None,
    noises: Sequence[Distribution] = (),
    steps: int | Sequence[int] = 1,
    max_step: float | None = None,
    start: float | None = None,
    stop: float | None = None,
    midpoint_data: bool = False,
    model_error: ErrorForm = "step",
    averaging: Averaging = "sum",
    fixed: Mapping[str | Parameter, float | None] | None = None,
    discrete: bool = False,
    hidden: Sequence[bool] = (),
    initial: tuple[FloatArray, BoolArray] | None = None,
    shares: tuple[float, ...] = (),
    start_stage: tuple[int, float] = (0, 0.0),
    correlations: tuple[tuple[float, ...], ...] = (),
) -> Problem:
    """Make the `Problem` of a model, its measured channels and a scheme for these observations.

    Parameters
    ----------
    observations
        What was measured.
    states, parameters, forcing
        The model's D states and P parameters (those of measured expressions included), each with
        what is declared of it, and the U forcing channels.
    channels
        Names of the L measured quantities; observations with names are matched by name, others by
        position.
    direct : (L,)
        State index where a measured quantity is a plain state, else -1.
    abscissae : (S,)
        The scheme's distinct abscissae in [0, 1]: u[n, s] is the forcing at t_n + c_s h_n.
    interior : (I,)
        Abscissae of the scheme's interior points.
    time
        The model's time symbol, if it has one.
    noises : (L,)
        How each channel scatters; Gaussian with the data's variance when left out.
    steps, max_step, start, stop, midpoint_data
        The grid, as in `Grid.make`. A step within which a forcing jumps is cut there, unless the
        steps are given for each interval, the data lie on midpoints, or there are more such jumps
        than steps: those are in `Problem.missed`. A discrete map has one step for each unit of
        time instead: nodes are the whole numbers from the first time to the last, and observation
        times must be among them.
    model_error
        ``"step"`` (Rf weighs the squared residual of a step) or ``"rate"`` (Rf / h_n).
    averaging
        Factors c_m and c_f on the two sums of the action: ``"sum"`` (1, 1), ``"eq2"`` (1/L, 1),
        ``"eq14"`` (1/L, 2/(D N)), ``"minaone"`` (2/M, 2/M), ``"varanneal"`` (2/(L T), 2/(D N)), in
        A = c_m sum Rm/2 (h - y)^2 + c_f sum Rf/2 r^2; see `averaging_factors`. c_m enters
        `Problem.rm` and is kept as `Problem.measurement_scale`; c_f enters `Problem.weight`.
    fixed
        Parameter -> value to fix it at, or None to estimate one declared with a value.
    discrete
        Whether the model is a map.
    hidden : (D,)
        Which states stand in no measured quantity; by `direct` if it is left out.
    initial : (D,), (D,)
        Known initial values, nan where there is none, and which states are functions of the
        parameters there; what the data say comes first.
    shares : (I + 2,)
        Share of a step's length that belongs to each of its points, for the cost of controls.
    start_stage : (int, float)
        Which abscissa is that of the stage at x_n, and the weight of its slope, for events.
    correlations : (D, D)
        Of the model's errors; empty if they are independent.

    Raises
    ------
    DataError
        Observations, forcing or times that do not fit the model, or an unknown without a start
        range.
    OptionError
        Options that are unknown or do not go together.
    """
    if not isinstance(midpoint_data, bool | np.bool_):
        raise OptionError(f"midpoint_data must be True or False, got {midpoint_data!r}.")
    ordered = match_channels(observations, channels)
    noises = noises or [Normal(Symbol(name)) for name in channels]
    rows = weighed_rows(ordered, channels, noises, averaging)
    payers = payers_of(states)
    if payers.priors and averaging != "sum":
        raise OptionError(
            f"averaging={averaging!r} does not go with the prior of each value of "
            f"{[*states][payers.paid[-1]].name!r}, minus a log probability. Use averaging='sum'."
        )
    times, place = np.unique(ordered.times, return_inverse=True)
    given = with_measured(ordered, forcing, channels, direct, tuple(states))
    sources = dict(zip(forcing, match(tuple(f.name for f in forcing), given), strict=True))
    missed: tuple[Missed, ...] = ()
    pulses = pulse_steps(sources)
    if pulses.any and midpoint_data:
        raise OptionError(
            "midpoint_data=True does not go with pulses, at which a step must end. Leave "
            "midpoint_data out."
        )
    if discrete:
        grid = _map_grid(times, steps, max_step, start, stop, midpoint_data)
    else:
        make = partial(
            Grid.make,
            times,
            steps=steps,
            max_step=max_step,
            interior=interior,
            midpoint_data=midpoint_data,
            start=start,
            stop=stop,
        )
        fixed_grid = "midpoint_data" if midpoint_data else "steps" if dimensions(steps) else ""
        grid, missed = _grid_with_jumps(make, sources, time, fixed_grid, pulses)
    if pulses.any:
        grid = pulses.onto(grid, np.array(interior))
    D = len(states)
    c_m, c_f = averaging_factors(averaging, N=grid.N, M=grid.M, D=D, L=len(channels), T=times.size)
    when = _stage_times(grid, abscissae, interior)
    left, right = grid.times[grid.nodes[:-1]], grid.times[grid.nodes[1:]]
    instants = grid.steps == INSTANT
    moving = ~instants
    within = np.repeat(when[:, :1], 4, axis=1)
    if not discrete:
        within = np.minimum(left[:, None] + THIRDS * (right - left)[:, None], right[:, None])
        within[:, -1] = right
    when = np.concatenate([when, within], axis=1)
    u = np.empty((*when.shape, len(forcing)))
    jumps_u = pulses.amounts / INSTANT
    slot, share = start_stage
    for symbol, source in sources.items():
        if isinstance(symbol, Event) and isinstance(source, Pulses) and share == 0.0:
            raise OptionError(
                f"the event {symbol.name!r} needs a scheme that evaluates F at the beginning of a "
                "step, such as 'rk4', 'trapezoid' or 'hermite-simpson'; this one does not."
            )
    for i, (symbol, source) in enumerate(sources.items()):
        try:
            # a map takes the forcing at its own times, where it has jumped already
            read = evaluate
            if not discrete:
                read = partial(evaluate_within, left=left[moving], right=right[moving])
            u[moving, :, i] = read(source, time, when[moving])
            u[instants, :, i] = evaluate(source, time, when[instants])
            if isinstance(source, Pulses):
                u[instants, :, i] = jumps_u[:, None, i]
                if isinstance(symbol, Event):
                    # all of it is the slope at x_n
                    u[instants, :-4, i] = 0.0
                    u[instants, slot, i] = jumps_u[:, i] / share
        except DataError as error:
            raise DataError(f"forcing {symbol.name!r}: {error}") from error

    on_grid = rows.at(grid.observed[place], grid.M, c_m)
    held = fixed_values(parameters, fixed)
    starts = parameter_starts(parameters, held)
    begins = state_starts(states, ordered, direct)
    declared = [*states.values(), *parameters.values()]
    ranges = [np.array([one.bounds for one in declared]), np.concatenate([begins, starts])]
    scales = tuple(one.coordinate for one in declared)
    if all(scale.name is None for scale in scales):
        scales = ()
    else:
        ranges = list(internal_ranges(scales, *ranges))
        at = [scale.internal(v) for scale, v in zip(scales[D:], held.tolist(), strict=True)]
        held = np.array(at, dtype=np.float64)
    bounds, begin = (one.reshape(-1, 2) for one in ranges)
    names = tuple(s.name for s in states)
    said = initial or (np.full(D, np.nan), np.zeros(D, dtype=bool))
    natural = np.array([one.bounds for one in states.values()]).reshape(-1, 2)
    known, tied = known_values(names, natural, said, observations.initial)
    if scales:
        values = [scale.internal(v) for scale, v in zip(scales[:D], known, strict=True)]
        known = np.array(values, dtype=np.float64)
    return Problem(
        times=grid.times,
        node_times=grid.times[grid.nodes],
        h=grid.steps,
        u=u[:, :-4],
        forcing=u[:, -4:],
        # a jump is as sure as the step beside it
        weight=step_weights(model_error, c_f, _beside(grid.steps), discrete=discrete),
        state_bounds=bounds[:D],
        parameter_bounds=bounds[D:],
        state_start=begin[:D],
        parameter_start=begin[D:],
        fixed=held,
        typical=typical_sizes(parameters, starts),
        direct=np.array(direct, dtype=np.int64),
        states=names,
        parameters=tuple(p.name for p in parameters),
        channels=channels,
        interior=len(interior),
        measurement_scale=c_m,
        abscissae=abscissae,
        model_error=model_error,
        averaging=averaging,
        process_variance=np.array(
            [_process_variance(s, one) for s, one in states.items()], dtype=np.float64
        ),
        missed=missed,
        scales=scales,
        hidden=np.array(hidden, dtype=bool),
        gaussian=all(noise.gaussian for noise in noises) and payers.gaussian,
        own_scale=np.array([not noise.in_data_units for noise in noises], dtype=np.bool_),
        initial=known[None],
        tied=tied[None],
        jumps=jumps_u,
        cost=payers.weights(grid, shares, c_f, known),
        paid=np.array(payers.paid, np.int64),
        priors=len(payers.priors),
        **on_grid,
        correlations=correlations,
    )


def _grid_with_jumps(
    make: Callable[..., Grid],
    sources: Mapping[Forcing, ForcingSource],
    time: Time | None,
    fixed_grid: str,
    pulses: PulseSteps,
) -> tuple[Grid, tuple[Missed, ...]]:
    """Make the grid with steps that end where a forcing jumps, or say what is missed.

    `fixed_grid` is the option, if any, by which the user has fixed the steps. They end at pulses
    in any case.
    """
    grid = make()
    if pulses.any:
        ends = grid.times[grid.nodes]
        off = pulses.off(ends)
        also = off[(off > ends[0]) & (off < ends[-1])]
        grid = make(also=also)
    else:
        also = np.empty(0)
    first, last = float(grid.times[0]), float(grid.times[-1])
    found = {
        symbol.name: jumps(source, time, first, last, finest=float(grid.steps.min()))
        for symbol, source in sources.items()
    }
    every = np.concatenate([*found.values(), []])
    nodes = grid.times[grid.nodes]
    inner = off_ends(every, nodes)
    if not fixed_grid and inner.size <= grid.N:
        added = inner[:0]
        while inner.size:
            # the shorter steps may leave a jump off their ends that was near enough before
            added = np.union1d(added, inner)
            grid = make(also=np.union1d(added, also))
            inner = off_ends(every, grid.times[grid.nodes])
        return grid, ()
    fix = {
        "midpoint_data": "Leave midpoint_data out, so that steps end at the jumps.",
        "steps": "Give steps= as one number, or max_step=, so that steps end at the jumps.",
    }.get(fixed_grid, f"Take shorter steps with max_step=, at least {inner.size} in all.")
    missed = []
    for name, at in found.items():
        inside = off_ends(at, nodes)
        if inside.size:
            step = int(np.searchsorted(nodes, inside[0])) - 1
            missed.append(Missed(name, inside.size, float(inside[0]), step, fix))
    return grid, tuple(missed)


def _beside(h: FloatArray) -> FloatArray:
    """Return the lengths of steps, of a pulse that of the next step that has one, or the last."""
    moving = np.flatnonzero(h != INSTANT)
    if moving.size == h.size:
        return h
    following = np.searchsorted(moving, np.arange(h.size))
    return h[moving[np.minimum(following, moving.size - 1)]]


def _process_variance(state: State, declared: Declaration) -> float:
    """Variance of a parameter per step's change, infinite if it is free; nan for a state."""
    if not isinstance(state, StepParameter):
        return math.nan
    return math.inf if declared.process_variance is None else declared.process_variance


def match_channels(observations: Observations, channels: tuple[str, ...]) -> Observations:
    """Return the observations with their L columns in the order of `channels`.

    Raises
    ------
    DataError
        If there are others.
    """
    given = observations.channels
    listed = ", ".join(channels)
    if given is None:
        L = observations.values.shape[1]
        if len(channels) != L:
            raise DataError(
                f"observations: expected {len(channels)} channels ({listed}), got {L}. "
                "Pass one column for each measured quantity, with nan where nothing was measured."
            )
        return observations
    for name in given:
        if name not in channels:
            raise DataError(
                f"observations: channel {name!r} is not measured in the action, which has {listed}."
                f"{nearest(name, channels)} Rename it with channels=, or leave it out with values=."
            )
    for name in channels:
        if name not in given:
            raise DataError(
                f"observations: channel {name!r} of the action is missing; there are "
                f"{', '.join(given)}. Add it, or leave it out of measured=."
            )
    order = [given.index(name) for name in channels]
    matrices = observations.covariance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said when they were made
        return Observations(
            observations.times,
            observations.values[:, order],
            variance=None if matrices is not None else observations.variance[:, order],
            covariance=None if matrices is None else matrices[:, order][:, :, order],
            channels=channels,
            forcing=observations.forcing,
            initial={s: None if math.isnan(v) else v for s, v in observations.initial.items()},
        )


def _map_grid(
    times: FloatArray,
    steps: int | Sequence[int],
    max_step: float | None,
    start: float | None,
    stop: float | None,
    midpoint_data: bool,
) -> Grid:
    """Make unit steps at the whole numbers, for a discrete map."""
    if max_step is not None or midpoint_data or dimensions(steps) != 0 or steps != 1:
        raise OptionError(
            "steps, max_step and midpoint_data do not apply to a discrete map, which takes one "
            "step for each unit of time. Leave them out."
        )
    ends = np.unique(np.concatenate((times, [t for t in (start, stop) if t is not None])))
    broken = ends[ends != np.round(ends)]
    if broken.size:
        raise DataError(
            f"a discrete map needs whole numbers as times, got {broken[0]}. Number the iterations "
            "0, 1, 2, ..., for instance numpy.round((times - times[0]) / dt)."
        )
    return Grid.make(times, steps=np.diff(ends).astype(int).tolist(), start=start, stop=stop)


def _stage_times(
    grid: Grid, abscissae: tuple[float, ...], interior: tuple[float, ...]
) -> FloatArray:
    """Return the times t_n + c_s h_n, (N, S)."""
    # grid points are taken as they are: rounding must not ask samples for a time past their last
    left, right = grid.times[grid.nodes[:-1]], grid.times[grid.nodes[1:]]
    when = np.empty((grid.N, len(abscissae)))
    for s, c in enumerate(abscissae):
        if c == 1.0:
            when[:, s] = right
        elif c in interior:
            when[:, s] = grid.times[grid.nodes[:-1] + 1 + interior.index(c)]
        else:
            when[:, s] = np.minimum(left + c * grid.steps, right)
    return when
