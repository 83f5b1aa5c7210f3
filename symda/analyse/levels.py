"""Distinct action levels of a run: which paths ended together, how low, with what parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symda.analyse.assessment import assessment
from symda.anneal.levels import DROPPED, FAILED, GAP, MINIMA, STOPPED, band
from symda.checks import number
from symda.errors import OptionError, SolveError
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = ("level", "solution", "paths", "share", "measurement_term", "model_term", "chi2_z")
"""Columns of every table of levels; the free parameters stand before the last one."""


@dataclass(frozen=True)
class PathCounts:
    """How the K paths of a run ended."""

    finished: int  #: Reached the last rung of the ladder.
    failed: int  #: Did not, because a solver failed.
    unfinished: int  #: Did not, because the run was stopped first.
    reached: int  #: Reached the last rung that any path reached: what there is to compare.
    rungs: tuple[int, ...] = ()  #: At which rungs (beta) solvers failed, in order.
    dropped: int = 0  #: Did not, since they were above the lowest level already.

    def __str__(self) -> str:
        total = self.finished + self.failed + self.dropped + self.unfinished
        where = ""
        if self.rungs:
            first, last = self.rungs[0], self.rungs[-1]
            where = f" at rung {first}" if first == last else f" at rungs {first} to {last}"
        return (
            f"{self.finished} of {total} finished, {self.failed} failed{where}, "
            + f"{self.dropped} dropped as too high, " * bool(self.dropped)
            + f"{self.unfinished} not finished"
        )


def reached(dataset: xr.Dataset) -> BoolArray:
    """Say which rungs ended with a path.

    Returns
    -------
    ndarray of bool, shape (K, B)
        True where the solver returned a path with a finite action, converged or stopped at its
        limit of iterations; False where it failed or never ran.
    """
    # asked often, so without making a DataArray of them each time
    status, action = (dataset.variables[name].values for name in ("status", "action"))
    both: BoolArray = np.isin(status, MINIMA) & np.isfinite(action)
    return both


def last_rung(dataset: xr.Dataset) -> int:
    """Return the index along `beta` of the last rung that any path reached.

    Raises
    ------
    SolveError
        If no path reached any rung.
    """
    rungs = np.flatnonzero(reached(dataset).any(axis=0))
    if rungs.size == 0:
        raise SolveError(_nothing_reached(dataset))
    return int(rungs[-1])


def path_counts(dataset: xr.Dataset) -> PathCounts:
    """Count the paths that finished, failed, and were not finished; never raises."""
    done = reached(dataset)
    rungs = np.flatnonzero(done.any(axis=0))
    common = int(done[:, rungs[-1]].sum()) if rungs.size else 0
    failures = dataset["status"].values == FAILED
    broken = failures.any(axis=1) & ~done[:, -1]
    count, failed = int(done[:, -1].sum()), int(broken.sum())
    high = (dataset["status"].values == DROPPED).any(axis=1) & ~done[:, -1] & ~broken
    where = np.unique(np.argmax(failures[broken], axis=1))
    return PathCounts(
        finished=count,
        failed=failed,
        unfinished=done.shape[0] - count - failed - int(high.sum()),
        dropped=int(high.sum()),
        reached=common,
        rungs=tuple(int(beta) for beta in dataset["beta"].values[where]),
    )


def status_counts(dataset: xr.Dataset) -> dict[str, int]:
    """Count how the finished paths ended at the last rung that any path reached.

    Returns
    -------
    dict of str to int
        Status to number of paths, for `converged`, `acceptable` and `stopped` in this order, those
        that occur; empty if no path reached a rung. A path that `stopped` ran into a limit of
        iterations or found no further way down: its numbers need not be those of a minimum.
    """
    done = reached(dataset)
    rungs = np.flatnonzero(done.any(axis=0))
    if rungs.size == 0:
        return {}
    status = dataset["status"].values[done[:, rungs[-1]], rungs[-1]]
    return {Status.of(code).value: int((status == code).sum()) for code in MINIMA if code in status}


def best_path(dataset: xr.Dataset) -> int:
    """Return the index of the path with the lowest action.

    Where paths were finished as solutions of the equations, and one of these is the answer, it is
    that one. Else paths are compared at one common rung, the last that any of them reached, since
    actions of different Rf are not comparable. Of equal actions the lowest index wins.

    Returns
    -------
    int
        Index along `path`.

    Raises
    ------
    SolveError
        If no path reached any rung.
    """
    rung = last_rung(dataset)
    chosen = chosen_solution(dataset)
    if chosen is not None:
        return int(dataset["solution_path"].values[chosen])
    action = np.where(reached(dataset)[:, rung], dataset["action"].values[:, rung], np.inf)
    return int(np.argmin(action))


def chosen_solution(dataset: xr.Dataset) -> int | None:
    """Return which of the solutions that paths were finished as is the answer, None if none is."""
    chosen = int(dataset.attrs.get("chosen_solution", -1))
    return None if chosen < 0 else chosen


def climbed(dataset: xr.Dataset, rung: int) -> FloatArray:
    """Return what each path climbed to at a rung, (K,), before any was finished."""
    action: FloatArray = dataset["action"].values[:, rung]
    if chosen_solution(dataset) is not None and rung == dataset.sizes["beta"] - 1:
        action = action.copy()
        action[dataset["solution_path"].values] = dataset["solution_climbed"].values
    return action


def free_parameters(dataset: xr.Dataset) -> list[str]:
    """Return the names of the parameters that were estimated, in the model's order."""
    fixed = dataset["fixed"].values.astype(bool)
    return [str(name) for name in dataset["parameter"].values[~fixed]]


def parameters_per_step(dataset: xr.Dataset) -> int:
    """Return how many of the D states are parameters per step; 0 if an old file does not say."""
    return int(dataset["per_step"].sum()) if "per_step" in dataset.coords else 0


def measured_channels(dataset: xr.Dataset) -> int:
    """Return the number L of channels that carry data."""
    return int(dataset["observed"].notnull().any("time").sum())


@dataclass(frozen=True)
class Expected:
    """What the action of a right answer is, in the units of the run; nan if n <= p."""

    #: Number of data, and of quantities fitted to them.
    n: int
    p: int
    #: Expectation c (n - p) / 2 and standard deviation c sqrt((n - p) / 2), c being the factor of
    #: the averaging option on the measurement term (1 for eq. 10).
    mean: float
    sd: float
    #: Between these it lies with a probability of 95.4 %, two standard deviations of a Gaussian.
    low: float
    high: float


def expected_action(dataset: xr.Dataset) -> Expected:
    """Return what the action of a right answer is; priors of constants and first states out.

    Twice the least action is chi-squared distributed with n - p degrees of freedom: n data, of
    which p are used up by fitting; a value of a parameter per step that has a prior is a datum and
    a fitted quantity, and adds nothing. With other noise than the Gaussian of the data's variance,
    its mean and spread are those of data drawn from the noise at the estimate, less p/2 (of
    channels whose scale is not estimated).

    Notes
    -----
    A. F. Bennett, Inverse Methods in Physical Oceanography (Cambridge, 1992), section 5.
    """
    found = assessment(dataset)
    n, p = int(dataset.attrs["data_count"]), int(dataset.attrs["fitted"])
    if found is not None and found.n:
        n, p = found.n, found.p
    scale = float(dataset.attrs["measurement_scale"])
    freedom = n - p
    if found is not None and math.isfinite(found.expected):
        mean, sd = found.expected, found.expected_sd
        return Expected(n, p, mean, sd, mean - 2.0 * sd, mean + 2.0 * sd)
    if not dataset.attrs.get("gaussian", True):
        return Expected(n, p, math.nan, math.nan, math.nan, math.nan)
    if freedom <= 0:
        return Expected(n, p, math.nan, math.nan, math.nan, math.nan)
    low, high = band(freedom, scale)
    return Expected(n, p, scale * freedom / 2, scale * math.sqrt(freedom / 2), low, high)


def level_members(
    dataset: xr.Dataset, beta: int | None = None, tolerance: float = GAP
) -> list[NDArray[np.intp]]:
    """Group the paths by level, the lowest first.

    At the last rung levels are places: paths of equal action that ended in different minima are
    levels of their own, where the run's assessment tells them apart. Elsewhere two neighbours among
    the sorted actions belong to one level when they differ by at most `tolerance` times the run's
    `measurement_scale`. Without averaging an action is a negative log probability, so that the
    default 0.01 means 1 % in probability; with averaging the whole measurement term is multiplied
    by that scale, and the tolerance with it.

    Parameters
    ----------
    beta : int, optional
        Rung at which to compare, by its coordinate; by default the last rung any path reached.
    tolerance : float
        Largest gap inside a level.

    Returns
    -------
    list of ndarray of int
        For each level the indices of its paths, sorted by action; empty if none reached `beta`.

    Raises
    ------
    OptionError
        If `beta` is not on the ladder or `tolerance` is not a number >= 0.
    SolveError
        If `beta` is not given and no path reached any rung.
    """
    fix = "0.01 counts actions that differ by 1 % in probability as one level"
    number(tolerance, "tolerance", fix, kind="non-negative")
    rung = _rung(dataset, beta)
    action = climbed(dataset, rung)
    paths = np.flatnonzero(reached(dataset)[:, rung])
    paths = paths[np.argsort(action[paths], kind="stable")]
    if paths.size == 0:
        return []
    gap = tolerance * float(dataset.attrs["measurement_scale"])
    groups = np.split(paths, np.flatnonzero(np.diff(action[paths]) > gap) + 1)
    if chosen_solution(dataset) is not None and rung == last_rung(dataset):
        return _by_solution(dataset, groups)
    if "place" not in dataset or rung != last_rung(dataset):
        return groups
    place = dataset["place"].values
    apart: list[NDArray[np.intp]] = []
    for group in groups:
        _, first = np.unique(place[group], return_index=True)
        apart += [group[place[group] == place[group[i]]] for i in np.sort(first)]
    return apart


def _by_solution(dataset: xr.Dataset, groups: list[NDArray[np.intp]]) -> list[NDArray[np.intp]]:
    """Put levels that were finished first, by their solutions' action; a finished path leads."""
    action = dict(
        zip(
            dataset["solution_path"].values.tolist(),
            dataset["solution_action"].values.tolist(),
            strict=True,
        )
    )

    def least(k: int) -> float:
        found = action.get(k, math.nan)
        return math.inf if math.isnan(found) else found

    ordered = [np.array(sorted(group.tolist(), key=least), dtype=np.intp) for group in groups]
    return sorted(ordered, key=lambda group: least(int(group[0])))


def levels_table(
    dataset: xr.Dataset, beta: int | None = None, tolerance: float = GAP
) -> pd.DataFrame:
    """Tabulate the distinct action levels with their multiplicities.

    Parameters
    ----------
    beta : int, optional
        Rung at which to compare, by its coordinate; by default the last rung any path reached.
    tolerance : float
        Largest gap between neighbouring actions of one level, see `level_members`.

    Returns
    -------
    pandas.DataFrame
        One row a level, the lowest first. Columns: `level` (the action); where levels were
        finished, `solution` (the action of the equations' own solution, by which rows are then
        ordered, nan where a level was not finished; terms and parameters are the solution's);
        `paths` (multiplicity), `share` (of the paths that reached `beta`), `measurement_term`,
        `model_term`, each free parameter by its name, `chi2_z` (standard deviations of the action
        from its expectation, nan without a degree of freedom). Level, terms and parameters are
        those of the level's lowest path. A parameter named like another column is listed as "name
        (parameter)".
        `.attrs` holds `beta`; `unfinished`: how many paths did not reach it, which are not
        counted; and `stopped`: how many of those counted did not end in a minimum.

    Raises
    ------
    OptionError
        If `beta` is not on the ladder or `tolerance` is not a number >= 0.
    SolveError
        If `beta` is not given and no path reached any rung.
    """
    import pandas as pd

    groups = level_members(dataset, beta, tolerance)
    rung = _rung(dataset, beta)
    counted = sum(group.size for group in groups)

    def lowest(variable: str) -> list[float]:
        values = dataset[variable].values[:, rung]
        return [float(values[group[0]]) for group in groups]

    expected, levels = expected_action(dataset), climbed(dataset, rung)
    columns: dict[str, list[float] | list[int]] = {
        "level": [float(levels[group[0]]) for group in groups],
        **_solved(dataset, rung, groups),
        "paths": [group.size for group in groups],
        "share": [group.size / counted for group in groups],
        "measurement_term": lowest("measurement_term"),
        "model_term": lowest("model_term"),
    }
    for name in free_parameters(dataset):
        values = dataset["parameters"].sel(parameter=name).values[:, rung]
        column = f"{name} (parameter)" if name in COLUMNS else name
        columns[column] = [float(values[group[0]]) for group in groups]
    # without the priors of constants, as `chi_squared` has it
    told = assessment(dataset)
    prior = np.array(lowest("prior_term")) if "prior_term" in dataset else np.zeros(len(groups))
    # the lowest level is the path that was assessed
    prior = prior if told is None else prior - prior[:1] + told.values
    value = np.array(lowest("measurement_term")) + np.array(lowest("model_term")) + prior
    columns["chi2_z"] = ((value - expected.mean) / expected.sd).tolist()
    table = pd.DataFrame(columns)
    table.attrs["beta"] = int(dataset["beta"].values[rung])
    table.attrs["unfinished"] = dataset.sizes["path"] - counted
    stopped = dataset["status"].values[:, rung] == STOPPED
    table.attrs["stopped"] = int(np.count_nonzero(stopped & reached(dataset)[:, rung]))
    return table


def _solved(
    dataset: xr.Dataset, rung: int, groups: list[NDArray[np.intp]]
) -> dict[str, list[float]]:
    """Return the column of the solutions' actions, nan where a level was not finished."""
    if "solution_path" not in dataset or rung != dataset.sizes["beta"] - 1:
        return {}
    paths, actions = (dataset[f"solution_{name}"].values for name in ("path", "action"))
    found = []
    for group in groups:
        own = actions[np.isin(paths, group)]
        found.append(float(np.nanmin(own)) if np.isfinite(own).any() else math.nan)
    return {"solution": found}


def _rung(dataset: xr.Dataset, beta: int | None) -> int:
    if beta is None:
        return last_rung(dataset)
    ladder = dataset["beta"].values
    found = np.flatnonzero(ladder == beta)
    if found.size == 0:
        raise OptionError(
            f"beta: the ladder of this run has the rungs {ladder[0]} .. {ladder[-1]}, "
            f"got {beta!r}; leave beta out to use the last rung any path reached"
        )
    return int(found[0])


def _nothing_reached(dataset: xr.Dataset) -> str:
    counts = path_counts(dataset)
    text = (
        f"no path of this run reached a rung of the ladder: of {dataset.sizes['path']} paths "
        f"{counts.failed} failed and {counts.unfinished} did not run to an end"
    )
    messages = [(k, str(why)) for k, why in enumerate(dataset["message"].values) if str(why)]
    if messages:
        text += f"; path {messages[0][0]} says: {messages[0][1]}"
    return text + ". Check data, bounds and starts, allow more time, or try another solver"
