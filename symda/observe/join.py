"""Several experiments as one `Problem`: each is bound by itself, then they are joined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from symda.declare import Declaration, ExperimentParameter, Parameter
from symda.errors import DataError, OptionError, nearest
from symda.observe.bind import bind
from symda.observe.experiments import Experiments
from symda.observe.problem import Problem
from symda.observe.problem_data import (
    OF_PARAMETERS,
    OF_POINTS,
    OF_REPEATS,
    OF_SEGMENTS,
    OF_STEPS,
)
from symda.observe.ranges import fixed_values
from symda.observe.segment import Segment
from symda.observe.weights import Averaging, averaging_factors
from symda.types import FloatArray, IntArray

#: What `fixed=` takes.
Fixed = Mapping[str | Parameter, float | None]


def bind_experiments(
    experiments: Experiments,
    *,
    parameters: Mapping[Parameter, Declaration],
    averaging: Averaging = "sum",
    fixed: Fixed | None = None,
    **options: Any,
) -> Problem:
    """Make the `Problem` of several experiments.

    Parameters
    ----------
    experiments
        What was measured.
    parameters
        As for `bind`.
    averaging
        As for `bind`; the numbers of steps, grid points and observation times are those of all
        experiments together.
    fixed
        As for `bind`; ``"k[sweep 1]"`` is the parameter k in the experiment ``"sweep 1"`` only, be
        it shared otherwise or not.
    **options
        As for `bind`, the same for each experiment.

    Raises
    ------
    DataError, OptionError
        As for `bind`, naming the experiment; or an experiment in `fixed` that there is none of.
    """
    names = list(experiments)
    if len(names) == 1:
        return bind(
            experiments[names[0]],
            parameters=parameters,
            averaging=averaging,
            fixed=fixed,
            **options,
        )
    if fixed is not None and not isinstance(fixed, Mapping):
        fixed_values(parameters, fixed)  # says what is wrong
    everywhere, own = _split(fixed, [p.name for p in parameters], names)
    problems: list[Problem] = []
    for name, data in experiments.items():
        try:
            problems.append(
                bind(data, parameters=parameters, fixed=everywhere | own[name], **options)
            )
        except (DataError, OptionError) as error:
            raise type(error)(f"experiment {name!r}: {error}") from error
    times = sum(data.times.size for data in experiments.values())
    return _joined(names, problems, list(parameters), averaging, times)


def _split(
    fixed: Fixed | None, parameters: Sequence[str], experiments: Sequence[str]
) -> tuple[dict[Any, Any], dict[str, dict[str, float | None]]]:
    """Tell what is fixed in every experiment from what is in one of them only."""
    own: dict[str, dict[str, float | None]] = {name: {} for name in experiments}
    everywhere: dict[Any, Any] = {}
    for key, value in (fixed or {}).items():
        stem, bracket, rest = str(key).partition("[")
        if not (isinstance(key, str) and bracket and key not in parameters):
            everywhere[key] = value
            continue
        name = rest.removesuffix("]")
        if name not in own:
            raise OptionError(
                f"fixed: {key!r} is of the experiment {name!r}, and there is none of that name."
                f"{nearest(name, experiments)} There are {', '.join(map(repr, experiments))}."
            )
        own[name][stem] = value
    return everywhere, own


def _joined(
    names: Sequence[str],
    problems: Sequence[Problem],
    declared: Sequence[Parameter],
    averaging: Averaging,
    times: int,
) -> Problem:
    """Join problems of one model, one after the other."""
    first = problems[0]
    if (not first.gaussian or first.priors) and averaging != "sum":
        raise OptionError(
            f"averaging={averaging!r} is of Gaussian noise with the data's variance; with other "
            "noise, and priors of values per step, use averaging='sum', minus the log probability."
        )
    steps, points = [p.N for p in problems], [p.M for p in problems]
    c_m, c_f = averaging_factors(
        averaging, N=sum(steps), M=sum(points), D=first.D, L=first.L, T=times
    )
    segments = tuple(
        Segment(name, step, own_steps, point, own_points)
        for name, step, own_steps, point, own_points in zip(
            names,
            accumulate(steps, initial=0),
            steps,
            accumulate(points, initial=0),
            points,
            strict=False,
        )
    )
    starts = np.stack([p.state_start for p in problems])
    entries, use = _entries(names, problems, declared)
    scales = first.scales
    if scales:
        scales = (*scales[: first.D], *(scales[first.D + p] for _, _, p in entries))

    K = max(p.cross.shape[1] for p in problems)
    arrays: dict[str, Any] = {
        name: np.concatenate([_wide(p, name, K) for p in problems])
        for name in (*OF_STEPS, *OF_POINTS, *OF_SEGMENTS, *OF_REPEATS, "node_times", "jumps")
    }
    for name in ("rm", "repeat_rm", "cross", "repeat_cross"):
        arrays[name] = c_m * arrays[name]
    arrays["weight"] = c_f * arrays["weight"]
    squares = arrays["cost"].shape[1] - first.priors
    arrays["cost"] = arrays["cost"] * np.repeat([c_f, 1.0], [squares, first.priors])
    for name in OF_PARAMETERS if entries else ():
        arrays[name] = np.stack([getattr(problems[s], name)[p] for _, s, p in entries])
    return replace(
        first,
        **arrays,
        repeat_at=np.concatenate(
            [p.repeat_at + one.first_point for p, one in zip(problems, segments, strict=True)]
        ),
        scales=scales,
        # of what is not declared: as wide as the data of any experiment ask for
        state_start=np.stack([starts[..., 0].min(axis=0), starts[..., 1].max(axis=0)], axis=1),
        parameters=tuple(name for name, _, _ in entries),
        kernel_parameters=first.parameters,
        measurement_scale=c_m,
        averaging=averaging,
        segments=segments,
        use=use,
        missed=tuple(
            one._replace(step=one.step + segment.first_step)
            for segment, p in zip(segments, problems, strict=True)
            for one in p.missed
        ),
    )


def _wide(problem: Problem, name: str, K: int) -> FloatArray:
    """Return an array of a problem; where only others' noise is correlated, with its zeros."""
    found: FloatArray = getattr(problem, name)
    if name.endswith("cross") and found.shape[1] < K:
        return np.zeros((len(found), K))
    return found


def _entries(
    names: Sequence[str], problems: Sequence[Problem], declared: Sequence[Parameter]
) -> tuple[list[tuple[str, int, int]], IntArray]:
    """Parameters of the joined problem, and which of them each experiment uses.

    Returns
    -------
    entries : list of (name, s, p)
        Name, an experiment that has it, and its number there.
    use : (S, p)
    """
    entries: list[tuple[str, int, int]] = []
    use = np.zeros((len(problems), len(declared)), dtype=np.int64)
    fixed = np.stack([p.fixed for p in problems])
    for p, parameter in enumerate(declared):
        apart = isinstance(parameter, ExperimentParameter)
        common = None if apart else _common(fixed[:, p])
        at: dict[str, int] = {}
        for s, name in enumerate(names):
            shared = common is not None and _same(fixed[s, p], common)
            entry = parameter.name if shared else f"{parameter.name}[{name}]"
            if entry not in at:
                at[entry] = len(entries)
                entries.append((entry, s, p))
            use[s, p] = at[entry]
    return entries, use


def _common(values: FloatArray) -> float:
    """Return the value, nan if estimated, that most experiments share, the first of such."""
    counts = [sum(_same(value, other) for other in values) for value in values]
    return float(values[int(np.argmax(counts))])


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
