"""How far to trust the lowest level: the chi-squared test of its action, and hit rates."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assessment import assessment
from symda.analyse.levels import (
    Expected,
    best_path,
    chosen_solution,
    climbed,
    expected_action,
    last_rung,
    reached,
)
from symda.anneal.levels import DROPPED, FAILED, HIT, count_hits
from symda.checks import number
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class ChiSquared:
    """The action of the best path against what right data and a right model give.

    Attributes
    ----------
    mean, sd : float
        Expectation c (n - p) / 2 and standard deviation c sqrt((n - p) / 2) of the least action, c
        being the factor of the averaging option (1 for eq. 10); nan if n <= p.
    n, p : int
        Number of data, and of quantities fitted to them (initial state and free parameters; not
        those that nothing measured depends on, or that a bound holds).
    low, high : float
        It lies between these with a probability of 95.4 %.
    value : float
        The action of the best path, in the same units, without the priors of constants and first
        states.
    measurement, model : float
        Its two terms; the rest is what values of parameters per step pay.
    verdict : str
        One sentence. Whether a run is to be trusted, `verdict` of `symda.analyse.verdict` says.
    """

    mean: float
    sd: float
    n: int
    p: int
    low: float
    high: float
    value: float
    measurement: float
    model: float
    verdict: str


def chi_squared(dataset: xr.Dataset) -> ChiSquared:
    """Judge the best path by its action.

    Twice the least action (with the right variances and the right Rf) is chi-squared distributed:
    of n data, p are used up by fitting, which leaves the mean (n - p) / 2 and the standard
    deviation sqrt((n - p) / 2).

    Returns
    -------
    ChiSquared
        Expectation, band, the best path's value at the last rung reached, and a sentence.

    Raises
    ------
    SolveError
        If no path reached any rung.

    Notes
    -----
    A. F. Bennett, Inverse Methods in Physical Oceanography (Cambridge, 1992), section 5.
    """
    best, rung = best_path(dataset), last_rung(dataset)
    measurement, model = (
        float(dataset[name].values[best, rung]) for name in ("measurement_term", "model_term")
    )
    expected = expected_action(dataset)
    found = assessment(dataset)
    value = measurement + model + (0.0 if found is None else found.values)
    return ChiSquared(
        expected.mean,
        expected.sd,
        expected.n,
        expected.p,
        expected.low,
        expected.high,
        value,
        measurement,
        model,
        _sentence(value, model, expected),
    )


def _sentence(value: float, model: float, expected: Expected) -> str:
    n, p = expected.n, expected.p
    if n > p and not math.isfinite(expected.mean):
        return (
            "cannot be judged: what a right answer costs is not known of noise that is an "
            "expression, nor of values per step with a prior that is not Gaussian"
        )
    if n <= p:
        return (
            f"cannot be judged: {n} data against {p} fitted quantities leave no degree of freedom"
        )
    band = f"{expected.low:.6g} .. {expected.high:.6g}"
    share = f"the model's errors are {percent(model / value)} of it" if value > 0 else ""
    tail = f"; {share}" if share else ""
    if value > expected.high:
        return (
            f"the action is above the expected band, {value:.6g} > {band}: the model is wrong, the "
            f"variances are too small, or the lowest level was not found{tail}"
        )
    if value < expected.low:
        return (
            f"the action is below the expected band, {value:.6g} < {band}: the noise is being "
            f"fitted, since Rf is low or the variances are too large{tail}"
        )
    return f"the action, {value:.6g}, lies in the expected band {band}{tail}"


def percent(share: float) -> str:
    """Write a share with two digits, or as a whole number."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def hits(dataset: xr.Dataset, within: float = HIT, level: float | None = None) -> tuple[int, int]:
    """Count the attempts that found the lowest level.

    Each path is an attempt, unless they were candidates of a population: then an attempt hits if
    one of its paths does.

    Parameters
    ----------
    within : float
        Paths count whose action is at most this far above `level`, in units of
        `measurement_scale` like the tolerance of `levels_table`.
    level : float, optional
        The action to compare with, say of a known solution; lower actions count too. By default
        the lowest action of this run.

    Returns
    -------
    hits, attempts : int
        Attempts that failed missed; those that an interruption or a time limit cut short do not
        count. After `stop_after` their ratio is biased upwards, since such a run
        ends on a hit.

    Raises
    ------
    OptionError
        If `within` is not a number >= 0 or `level` is not finite.
    """
    number(within, "within", kind="non-negative")
    if level is not None:
        number(level, "level", "leave it out to use the run's lowest")
    done = reached(dataset)
    rungs = np.flatnonzero(done.any(axis=0))
    if rungs.size == 0:
        action = np.full(len(done), np.nan)
    else:
        action = np.where(done[:, rungs[-1]], climbed(dataset, int(rungs[-1])), np.nan)
    scale = float(dataset.attrs["measurement_scale"])
    if chosen_solution(dataset) is not None and level is None:
        action, level = _as_solutions(dataset, action, scale)
    # a path that was dropped on its way was above the lowest level already
    failed = np.isin(dataset["status"].values, (FAILED, DROPPED)).any(axis=1)
    numbers = dataset["attempt"].values
    ended = numbers[np.isfinite(action) | failed]
    lowest = np.array([np.fmin.reduce(action[numbers == k]) for k in np.unique(ended)])
    return count_hits(lowest, scale, within, level), lowest.size


def _as_solutions(
    dataset: xr.Dataset, climbed: FloatArray, scale: float
) -> tuple[FloatArray, float]:
    """Return the action of the solution that each path's level led to, and the answer's.

    That of the nearest level that was finished, within a hit of it; what is near none has none, and
    missed.
    """
    chosen = chosen_solution(dataset)
    levels, actions = (dataset[f"solution_{name}"].values for name in ("climbed", "action"))
    nearest = np.argmin(np.abs(climbed[:, None] - levels), axis=1)
    near = np.abs(climbed - levels[nearest]) <= HIT * scale
    found = np.where(near & np.isfinite(actions[nearest]), actions[nearest], np.finfo(float).max)
    return np.where(np.isnan(climbed), np.nan, found), float(actions[chosen])


def stopped_after(dataset: xr.Dataset) -> int | None:
    """Return the `stop_after` that the run was given, None if there was none."""
    settings = json.loads(dataset.attrs["provenance"]).get("settings", {})
    number = settings.get("stop_after")
    return None if number is None else int(number)


def wilson(hits: int, attempts: int) -> tuple[float, float]:
    """Return Wilson's interval of a rate at 95 %; without an attempt nothing is known: (0, 1).

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    J. Am. Stat. Assoc. 22 (1927) 209.
    """
    from scipy.stats import binomtest

    if attempts == 0:
        return 0.0, 1.0
    interval = binomtest(hits, attempts).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
