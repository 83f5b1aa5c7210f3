"""What a user passes as `start=` besides names and functions: runs and paths, checked."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.anneal.apart import apart
from symda.anneal.starts import FromPaths, Start, StartFunction
from symda.api.kernels import numbers
from symda.api.run import Run
from symda.errors import OptionError, nearest
from symda.scale import words
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe import Problem


Parameters: TypeAlias = ArrayLike | Mapping[str, ArrayLike]
StartLike: TypeAlias = str | StartFunction | Start | Run | ArrayLike | tuple[ArrayLike, Parameters]

#: Numbers this close to a bound, as a share of its size, are on it.
ROUNDING = 1e-9


def as_start(
    start: StartLike, problem: Problem, most: int | None = None
) -> str | StartFunction | Start:
    """Return what the annealer takes for what a user may pass.

    Parameters
    ----------
    start
        A name, a function, a `Start`; a `Run`, whose paths at their last rungs are the starts,
        interpolated where its grid is another; a path (M, D) or paths (J, M, D); or a tuple of
        those and parameters, a mapping of names to numbers or (J,) arrays, or an array (P,) or
        (J, P). Path k starts at path k, and from the first again when there are no more;
        parameters not given are drawn as in ``"uniform"``.
    problem
        Grid, names and bounds.
    most
        How many paths of a run are used, from its first on: others need not be read.

    Raises
    ------
    OptionError
        If shapes, grid or names do not fit the problem, if a number is not finite, or if bounds
        exclude it.
    """
    if isinstance(start, (str, Start)) or callable(start):
        return start
    if isinstance(start, Run):
        return _of_run(start, problem, most)
    X, theta = start if isinstance(start, tuple) and len(start) == 2 else (start, None)
    paths = numbers(X, "start")
    if paths.ndim == 2:
        paths = paths[None]
    if paths.ndim != 3 or paths.shape[1:] != (problem.M, problem.D) or len(paths) == 0:
        raise OptionError(
            f"anneal: start has the shape {numbers(X, 'start').shape}; expected a path (M, D) = "
            f"{(problem.M, problem.D)}, a row for each of the grid's points and a column for each "
            f"state{_last(problem)}, or any number of them, (J, {problem.M}, {problem.D})."
        )
    thetas = np.full((len(paths), problem.P), np.nan)
    if theta is not None:
        thetas = _thetas(theta, problem, len(paths))
    if not np.isfinite(paths).all():
        j, m, a = np.argwhere(~np.isfinite(paths))[0]
        raise OptionError(
            f"anneal: start is {paths[j, m, a]} for the state {problem.states[a]!r} at time "
            f"{problem.times[m]:.6g}; every grid point needs a number to start from."
        )
    return _inside(FromPaths("array", paths, thetas), problem)


def _of_run(run: Run, problem: Problem, most: int | None) -> FromPaths:
    d = run.dataset
    states = tuple(str(name) for name in d["state"].values)
    if states != problem.states:
        raise OptionError(
            f"anneal: the run given as start has the states {', '.join(states)}; expected "
            f"{', '.join(problem.states)}. Start from a run of the same model."
        )
    ran, given = [name for name, _ in apart(d)], [s.name for s in problem.segments]
    if ran != given:
        raise OptionError(
            f"anneal: the run given as start has the experiments {', '.join(ran)}; expected "
            f"{', '.join(given)}. Start from a run of the same experiments."
        )
    last = d["last_beta"].values
    able = np.flatnonzero(last >= 0)[:most]
    if able.size == 0:
        raise OptionError(
            "anneal: no path of the run given as start reached a rung, so there is nothing to "
            "start from."
        )
    thetas = np.full((able.size, problem.P), np.nan)
    rungs = np.searchsorted(d["beta"].values, last[able])
    ends = d["parameters"].isel(path=able).values[np.arange(able.size), rungs]
    names = [str(name) for name in d["parameter"].values]
    for i, name in enumerate(problem.parameters):
        if name in names:
            thetas[:, i] = ends[:, names.index(name)]
    parts = [
        _on_grid(
            one["time"].values, one["states"].isel(path=able).values, problem.times[s.own_points]
        )
        for (_, one), s in zip(apart(d), problem.segments, strict=True)
    ]
    return _inside(FromPaths("run", np.concatenate(parts, axis=1), thetas), problem)


def _on_grid(times: FloatArray, paths: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return paths (J, M, D) at other times of the same interval, between theirs linearly."""
    slack = 1e-9 * float(np.ptp(wanted))
    if not np.allclose(times[[0, -1]], wanted[[0, -1]], rtol=0.0, atol=slack):
        raise OptionError(
            f"anneal: the run given as start goes from {times[0]:.6g} to {times[-1]:.6g}; expected "
            f"{wanted[0]:.6g} to {wanted[-1]:.6g}, as these data do. Start from a run of the same "
            "recording, or pass paths as an array."
        )
    if times.shape == wanted.shape and np.allclose(times, wanted, rtol=0.0, atol=slack):
        return paths
    # at a pulse a time is there twice, before it and after it
    before = np.append(wanted[1:] == wanted[:-1], False)
    sides = [np.searchsorted(times, wanted, side=side) for side in ("left", "right")]
    place = np.where(before, *sides)
    at = np.clip(place, 1, len(times) - 1)
    gaps = times[at] - times[at - 1]
    share = np.where(gaps > 0.0, (wanted - times[at - 1]) / np.where(gaps > 0.0, gaps, 1.0), 1.0)
    share = np.where(place == 0, 0.0, share)
    left, right = paths[:, at - 1], paths[:, at]
    return np.asarray(left + np.clip(share, 0.0, 1.0)[:, None] * (right - left))


def _thetas(theta: Parameters, problem: Problem, count: int) -> FloatArray:
    """Parameters (J, P) as given; nan where they are to be drawn."""
    if not isinstance(theta, Mapping):
        values = numbers(theta, "start parameters")
        if values.shape not in {(problem.P,), (count, problem.P)}:
            raise OptionError(
                f"anneal: the parameters of start have the shape {values.shape}; expected (P,) = "
                f"{(problem.P,)} or one row for each path, {(count, problem.P)}, in the order "
                f"{', '.join(problem.parameters)}; or a mapping of names to numbers."
            )
        values = np.array(np.broadcast_to(values, (count, problem.P)))
        if not np.isfinite(values).all():
            raise OptionError(
                f"anneal: the parameters of start are {short(theta)}; expected finite numbers. "
                "Pass a mapping to give some of them only."
            )
        return values
    thetas = np.full((count, problem.P), np.nan)
    for key, value in theta.items():
        name = str(key)
        if name in problem.states and name not in problem.parameters:
            a = problem.states.index(name)
            own = problem.per_step[a]
            raise OptionError(
                f"anneal: start names {name!r} among the parameters, but it "
                f"{'has a value of its own at every step' if own else 'is a state'}: it is the "
                f"column X[..., {a}] of the path X. Put its values there."
            )
        if name not in problem.parameters:
            raise OptionError(
                f"anneal: start names {name!r}, which is no parameter of this action."
                f"{nearest(name, problem.parameters)} The parameters are: "
                f"{', '.join(problem.parameters) or 'none'}."
            )
        given = numbers(value, f"start parameter {name!r}")
        if given.shape not in {(), (1,), (count,)} or not np.isfinite(given).all():
            raise OptionError(
                f"anneal: start gives {short(value)} for the parameter {name!r}; expected one "
                f"finite number, or one for each of {count} paths."
            )
        thetas[:, problem.parameters.index(name)] = given
    return thetas


def _last(problem: Problem) -> str:
    count = int(problem.per_step.sum())
    return f" (the last {count} are parameters per step)" if count else ""


def _inside(given: FromPaths, problem: Problem) -> FromPaths:
    """Refuse starts that the bounds exclude; those on them up to rounding are put there."""
    X, theta = problem.internal(given.paths, given.thetas)
    _check_placed(problem, given, X, theta)
    limits = problem.limits
    low, high = limits[: problem.D].T
    sizes = np.where(problem.scaled, 0.0, problem.sizes)
    slack_low, slack_high = _slack(low, sizes[: problem.D]), _slack(high, sizes[: problem.D])
    outside = (given.paths < low - slack_low) | (given.paths > high + slack_high)
    if outside.any():
        j, m, a = np.argwhere(outside)[0]
        share = outside[..., a].mean()
        raise OptionError(
            f"anneal: start has the state {problem.states[a]!r} at {given.paths[j, m, a]:.6g} at "
            f"time {problem.times[m]:.6g} of path {j}, outside its bounds {low[a]:.6g} .. "
            f"{high[a]:.6g} ({100 * share:.3g} % of its points are). Widen bounds=, or clip the "
            "start with numpy.clip."
        )
    bottom, top = limits[problem.D :].T
    slack_bottom, slack_top = _slack(bottom, sizes[problem.D :]), _slack(top, sizes[problem.D :])
    wrong = (given.thetas < bottom - slack_bottom) | (given.thetas > top + slack_top)
    wrong &= problem.free
    if wrong.any():
        j, i = np.argwhere(wrong)[0]
        raise OptionError(
            f"anneal: start has the parameter {problem.parameters[i]!r} at "
            f"{given.thetas[j, i]:.6g} in path {j}, outside its bounds {bottom[i]:.6g} .. "
            f"{top[i]:.6g}. Widen bounds=, or start it inside."
        )
    return FromPaths(
        given.name,
        np.clip(X, *problem.state_bounds.T),
        np.clip(theta, *problem.parameter_bounds.T),
    )


def _check_placed(problem: Problem, given: FromPaths, X: FloatArray, theta: FloatArray) -> None:
    """Refuse values that have no logarithm or logit where a scale asks for one."""
    for a in np.flatnonzero(~np.isfinite(X).all(axis=(0, 1))):
        j, m = np.argwhere(~np.isfinite(X[..., a]))[0]
        raise OptionError(
            f"anneal: start has the state {problem.states[a]!r} at {given.paths[j, m, a]:.6g} at "
            f"time {problem.times[m]:.6g} of path {j}, which has no {words(problem.scales[a])} "
            f"(scale={problem.scales[a].name!r}). Start it inside, for instance with numpy.clip."
        )
    missing = problem.free & ~np.isfinite(theta) & ~np.isnan(given.thetas)
    for j, i in np.argwhere(missing)[:1]:
        scale = problem.scales[problem.D + i]
        raise OptionError(
            f"anneal: start has the parameter {problem.parameters[i]!r} at "
            f"{given.thetas[j, i]:.6g} in path {j}, which has no {words(scale)} "
            f"(scale={scale.name!r}). Start it inside."
        )


def _slack(bound: FloatArray, sizes: FloatArray) -> FloatArray:
    """Return a bound's rounding, by its own size or the unknown's, the larger of the two."""
    return ROUNDING * np.where(np.isfinite(bound), np.maximum(np.abs(bound), sizes), 0.0)
