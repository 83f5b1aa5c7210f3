"""Cycled assimilation: from data to cycles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.analyse.gaussian import Gaussian
from symda.anneal.cycled import Piece, dataset
from symda.anneal.cycling import Cycle, Cycler, State
from symda.anneal.storage.identity import NAMES, digest
from symda.api.cycles import Cycles
from symda.api.machine import flow_of, machine
from symda.api.run import Run
from symda.api.same import check_equations, digests
from symda.api.specification import Specification, require_one
from symda.build.course import unfit
from symda.checks import integer, number
from symda.errors import DataError, OptionError, SolveError, nearest
from symda.observe import Problem
from symda.observe.problem_data import OF_POINTS, OF_REPEATS, OF_STEPS
from symda.solve.cycle import Background
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.anneal.storage.cycles import CycleStore
    from symda.api.specification import Data, GridOptions

#: What is known before the first cycle: means and standard deviations by name, a run, or cycles.
Prior = Mapping[Any, tuple[float, float]] | Run | Cycles

#: Fields of a problem that grow with the data, or that its ranges of starts follow from.
GROWING = {
    *OF_STEPS, *OF_POINTS, *OF_REPEATS, "node_times", "repeat_at", "segments", "jumps", "missed",
    "state_start", "parameter_start", "typical",
}  # fmt: skip


def cycle(
    specification: Specification,
    data: Data,
    *,
    rf: float | Mapping[Any, float],
    window: int,
    every: int,
    prior: Prior | None,
    inflation: float,
    widen: float,
    store: str | os.PathLike[str] | None,
    grid: GridOptions,
) -> Cycles:
    """Assimilate; see `Action.cycle`."""
    window = integer(window, "cycle: window")
    every = integer(every, "cycle: every")
    inflation = number(inflation, "cycle: inflation", "e.g. 1.01", kind="positive")
    widen = number(widen, "cycle: widen", "a probability such as 1e-4", kind="non-negative")
    if inflation < 1.0 or widen >= 1.0:
        raise OptionError(
            f"cycle: inflation must be 1 or more, and widen below 1, got {inflation:g} and "
            f"{widen:g}."
        )
    before = _end_of(prior)
    if before is not None and grid.get("start") is None:
        grid = {**grid, "start": before}
    problem = specification.bind(data, **grid)
    specification = specification.of(problem)
    _refuse(specification, problem)
    precision = _precision(rf, problem)
    known, most = _background(prior, specification, problem)
    if before is not None and problem.times[0] != before:
        raise DataError(
            f"cycle: prior is of t = {before:.6g}, and the grid begins at "
            f"{problem.times[0]:.6g}. Leave start out, and give data after that time only."
        )
    about: dict[str, Any] = {
        "model": specification.model.name,
        "window": window,
        "every": every,
        "rf": "" if precision is None else _words(precision, problem),
        "inflation": inflation,
        "widen": widen,
        "scales": repr(_scales(problem)),
        "model_digest": digests(specification)["model_digest"],
        "states": list(problem.states),
        "parameters": _free(problem),
    }
    kept = None
    if store is not None:
        from symda.anneal.storage.cycles import CycleStore

        identity = _identity(
            specification, problem, about, (precision, known.mean, known.covariance)
        )
        kept = CycleStore(store, identity, about)
    ended: dict[str, object] = {}
    try:
        flow = flow_of(specification, problem)
        assert flow is not None
        cycler = Cycler(
            machine(specification),
            flow,
            problem,
            precision,
            every=every,
            window=window,
            inflation=inflation,
            level=widen,
            begun=before is not None,
            known=known,
            most=most,
        )
        pieces, state, ended = _taken_in(cycler, kept)
    finally:
        if kept is not None:
            kept.close(**ended)
    return Cycles(dataset(pieces, about | ended), state)


def _taken_in(
    cycler: Cycler, kept: CycleStore | None
) -> tuple[list[Piece], State, dict[str, object]]:
    """Do all cycles there are data for, after those that are kept."""
    pieces, state = [], cycler.begin()
    problem, count = cycler.problem, len(cycler.ends)
    if not count:
        raise DataError(
            f"cycle: every={cycler.every} times with data make a cycle, and after the first grid "
            f"point, t = {problem.times[0]:.6g}, there are fewer."
        )
    if kept is not None and kept.last is not None:
        there, before = kept.last
        _check_before(problem, there.last, before)
        pieces, state = kept.pieces, there
    found: list[Cycle] = []
    stopped = ""

    def marks(state: State) -> dict[str, Any]:
        return _marks(problem, state.last)

    try:
        while state.cycle < count:
            one, after = cycler.step(state)
            if kept is not None:
                kept.add(one, after, marks)
            found.append(one)
            state = after
    except SolveError as error:
        at = problem.times[cycler.ends[state.cycle] * (1 + problem.interior)]
        stopped = f"at the data of t = {at:.6g}: {error}"
        if not (found or pieces):
            raise SolveError(f"cycle: {stopped}. Give a prior nearer to the data.") from error
    finally:
        if kept is not None:
            kept.flush(marks)
    if found:
        pieces = [*pieces, Piece.of(found)]
    return (
        pieces,
        state,
        {
            "stopped": stopped,
            "waiting": cycler.waiting if not stopped else 0,
        },
    )


def _refuse(specification: Specification, problem: Problem) -> None:
    """Refuse what cannot be cycled."""
    fix = "Cycle each recording by itself."
    require_one(problem, "cycle", fix)
    if specification.matrix_free:
        raise OptionError(
            "cycle: a cycle hands on a covariance of all states, and this action is matrix-free. "
            "Make it with matrix_free=False where matrices of D x D fit."
        )
    if specification.averaging != "sum":
        raise OptionError(
            f"cycle: with averaging={specification.averaging!r} exp(-A) is not a probability. Make "
            "the action with averaging='sum'."
        )
    why = unfit(problem)
    if why:
        raise OptionError(f"cycle: a forecast integrates the model, and cannot: {why}.")
    if problem.given.any():
        name = problem.states[int(problem.given[0].argmax())]
        raise OptionError(
            f"cycle: {name} has an initial value that is known exactly. Say "
            f"prior={{{name!r}: (value, sd)}} with a small standard deviation instead, and leave "
            "it out of initial=."
        )
    declared = [s.name for s, one in specification.declarations.items() if one.prior is not None]
    if declared:
        raise OptionError(
            f"cycle: {declared[0]!r} has a declared prior, which each window would count again. "
            f"Declare it without, and say prior={{{declared[0]!r}: (mean, sd)}}."
        )


def _precision(rf: float | Mapping[Any, float], problem: Problem) -> FloatArray | None:
    """Return Rf of each state, (D,); None if the model makes no errors."""
    if isinstance(rf, Mapping):
        named = {getattr(key, "name", str(key)): value for key, value in rf.items()}
        _refuse_others("rf", named, problem.states)
        missing = [name for name in problem.states if name not in named]
        if missing:
            raise OptionError(f"cycle: rf names each state or none, and lacks {missing[0]!r}.")
        values = [named[name] for name in problem.states]
    else:
        values = [rf] * problem.D
    infinite = [isinstance(v, float | np.floating) and v == np.inf for v in values]
    if all(infinite):
        return None
    if any(infinite):
        raise OptionError(
            "cycle: rf must be finite for all states, or inf for all. Take a large number for an "
            "equation that is nearly exact."
        )
    fix = "e.g. 1e4, or float('inf') for a model without errors"
    return np.array([number(v, "cycle: rf", fix, kind="positive") for v in values])


def _words(rf: FloatArray, problem: Problem) -> str:
    if (rf == rf[0]).all():
        return f"{rf[0]:.6g}"
    return ", ".join(f"{v:.6g} of {n}" for n, v in zip(problem.states, rf, strict=True))


def _refuse_others(what: str, named: Mapping[str, object], names: tuple[str, ...]) -> None:
    for name in named:
        if name not in names:
            raise OptionError(
                f"cycle: {what} names {name!r}, which is none of {', '.join(names)}. "
                f"{nearest(name, names)}".rstrip()
            )


def _end_of(prior: Prior | None) -> float | None:
    """Return the time that a prior is of; None for that of the grid's first point."""
    if isinstance(prior, Run):
        return float(prior.dataset["time"].values[-1])
    if isinstance(prior, Cycles):
        if prior.state is None:
            raise OptionError(
                "cycle: these cycles were read from a file, which has no covariances. Go on with "
                "them by the same call with store=, or pass those that action.cycle returned."
            )
        return float(prior.dataset["time"].values[-1])
    return None


def _background(
    prior: Prior | None, specification: Specification, problem: Problem
) -> tuple[Background, FloatArray]:
    """Return what is known of the first state and the free parameters, as solvers move them.

    Also the variances (D + p,) up to which it may be widened: those of declared start ranges.
    """
    p = problem
    names = (*p.states, *_free(p))
    low, high = np.concatenate([p.state_start, p.parameter_start[p.free]]).T
    declared = {s.name: one for s, one in specification.declarations.items()}
    # ranges of other states follow from the data, of later times too
    own = np.array([name not in p.states or declared[name].start is not None for name in names])
    most = np.where(own, (high - low) ** 2 / 12.0, 0.0)
    if isinstance(prior, Run):
        return _of_run(prior, specification, p), most
    if isinstance(prior, Cycles):
        return _of_cycles(prior, specification, p), most
    if not isinstance(prior, Mapping | None):
        raise OptionError(
            "cycle: prior must be a mapping {state or parameter: (mean, sd)}, a run or cycles, got "
            f"{type(prior).__name__}."
        )
    mean, sd = 0.5 * (low + high), np.sqrt(most)
    named = {getattr(key, "name", str(key)): value for key, value in (prior or {}).items()}
    _refuse_others("prior", named, names)
    for i, name in enumerate(names):
        if name in named:
            mean[i], sd[i] = _internal(named[name], name, i, p)
    if not (sd > 0.0).all():
        name = names[int(np.argmin(sd > 0.0))]
        raise OptionError(
            f"cycle: nothing says how well {name} is known at the beginning. Say prior={{{name!r}: "
            "(mean, sd)}, or declare start=(low, high)."
        )
    return Background(mean, np.diag(sd**2)), most


def _internal(given: object, name: str, i: int, p: Problem) -> tuple[float, float]:
    """Return mean and standard deviation of one unknown as solvers move it."""
    if not (isinstance(given, tuple | list | np.ndarray) and len(given) == 2):
        raise OptionError(f"cycle: prior of {name} must be (mean, sd), got {given!r}.")
    what = f"cycle: prior of {name}"
    mean = number(given[0], f"{what}: mean")
    sd = number(given[1], f"{what}: sd", kind="positive")
    x, theta = np.zeros(p.D), np.zeros(p.P)
    at = i if i < p.D else int(np.flatnonzero(p.free)[i - p.D])
    part = x if i < p.D else theta
    part[at] = mean
    moved = p.internal(x, theta)[0 if i < p.D else 1][at]
    part[at] = moved
    slope = p.slopes(x, theta)[0 if i < p.D else 1][at]
    if not np.isfinite(moved):
        raise OptionError(f"{what}: {name} cannot be {mean:g} on the scale it was declared with.")
    low, high = (side[i if i < p.D else p.D + at] for side in p.ends)
    if not low <= moved <= high:
        raise OptionError(f"{what}: {name} cannot be {mean:g} within its bounds.")
    return float(moved), sd / float(slope)


def _of_run(run: Run, specification: Specification, p: Problem) -> Background:
    """Return the posterior of the end of a run's window, of its heaviest level."""
    fix = "Pass a run of this model, or prior={name: (mean, sd)}."
    check_equations(run.dataset, specification, "cycle", fix)
    gaussian: Gaussian = run.posterior().levels[0].gaussian
    own = gaussian.problem
    free = np.flatnonzero(own.free)
    if len(own.segments) > 1 or _free(own) != _free(p) or _scales(own) != _scales(p):
        raise OptionError(
            "cycle: the run that is prior is of several recordings, has other scales, or estimated "
            "other parameters. Give both the same fixed=, or prior={name: (mean, sd)}."
        )
    covariance = gaussian.of_points()(np.array([own.M - 1]), free[None])[0]
    known = np.diagonal(covariance) > 0.0
    known[: p.D] &= ~gaussian.open[-1]
    known[p.D :] &= np.isfinite(np.diagonal(gaussian.of_parameters)[free])
    if not known.all():
        name = (*p.states, *_free(p))[int(np.argmin(known))]
        raise OptionError(
            f"cycle: the run that is prior does not say how well {name} is known at its end: no "
            "datum tells, or it is on a bound. Say prior={name: (mean, sd)} for all."
        )
    mean = np.concatenate([gaussian.path[-1], gaussian.theta[free]])
    return Background.of(mean, covariance, 1.0, np.zeros(mean.size))


def _of_cycles(cycles: Cycles, specification: Specification, p: Problem) -> Background:
    attrs, state = cycles.dataset.attrs, cycles.state
    assert state is not None
    same = attrs["model_digest"] == digests(specification)["model_digest"]
    parameters = list(cycles.dataset["parameter"].values)
    if not same or parameters != _free(p) or attrs["scales"] != repr(_scales(p)):
        raise OptionError(
            "cycle: the cycles that are prior are of another model, have other scales, or "
            "estimated other parameters. Give both the same fixed=, or prior={name: (mean, sd)}."
        )
    mean = np.concatenate([state.path[-1], state.theta[p.free]])
    return Background.of(mean, state.errors, 1.0, np.zeros(mean.size))


def _free(p: Problem) -> list[str]:
    return [str(n) for n in np.array(p.parameters)[p.free]]


def _scales(p: Problem) -> tuple[object, ...]:
    """Return how the states and free parameters stand in what solvers move."""
    kept = [*range(p.D), *(p.D + np.flatnonzero(p.free)).tolist()]
    return tuple(p.scales[i] for i in kept) if p.scales else ()


def _identity(
    specification: Specification,
    problem: Problem,
    about: Mapping[str, Any],
    known: tuple[object, ...],
) -> dict[str, Any]:
    """Return what must be equal for cycles to follow each other."""
    marks = {NAMES.get(one.name, one.name): digest(getattr(problem, one.name))
             for one in fields(problem) if one.name not in GROWING}  # fmt: skip
    return {
        "action": {"what": "cycles", "scheme": specification.scheme.name, **digests(specification)},
        "problem": marks,
        "settings": {**about, "rf or prior": [digest(one) for one in known]},
    }


def _marks(problem: Problem, step: int) -> dict[str, str]:
    """Return digests of the data up to the end of a step."""
    points = step * (1 + problem.interior) + 1
    again = problem.repeat_at < points
    cut = {name: getattr(problem, name)[:step] for name in OF_STEPS}
    cut |= {name: getattr(problem, name)[:points] for name in OF_POINTS}
    cut |= {name: getattr(problem, name)[again] for name in (*OF_REPEATS, "repeat_at")}
    cut["jumps"] = problem.jumps[: int(problem.pulses[:step].sum())]
    return {NAMES.get(name, name): digest(one) for name, one in cut.items()}


def _check_before(problem: Problem, step: int, marks: Mapping[str, str]) -> None:
    """Refuse other data than those that were taken in."""
    if problem.N < step:
        raise DataError(
            f"cycle: the store has cycles up to step {step}, and these data end after {problem.N} "
            "steps. Give all data so far, or take another folder."
        )
    here = _marks(problem, step)
    other = [name for name, mark in here.items() if marks.get(name) != mark]
    if other:
        raise DataError(
            f"cycle: the store holds cycles of other data: up to t = "
            f"{problem.times[step * (1 + problem.interior)]:.6g} different are "
            f"{', '.join(other)}. Give all data so far, unchanged, or take another folder."
        )
