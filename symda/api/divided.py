"""A run made again with finer steps, where the scheme's error may be why it is not consistent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import path_counts
from symda.analyse.levels import chosen_solution
from symda.anneal.levels import HIT
from symda.anneal.strategies.kinds import ROUND
from symda.api.run import Run
from symda.errors import SymdaError
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

#: Steps from one datum to the next, one after the other, where the scheme's error may stand in the
#: way.
STEPS = (4, 16)
#: A path that is so little lower than a solution, in units of the action, does not replace it.
NO_LOWER = 1.0


def divided(
    run: Run,
    again: Callable[[Run, int, int, float], Run],
    limits: FloatArray,
    elapsed: Callable[[], float],
    limit: float,
) -> Run:
    """Make a run again with finer steps, and again, while that may be why it is not consistent.

    Parameters
    ----------
    run : Run
        On the grid of the data.
    again : function
        Makes it from a start, with so many steps from datum to datum, on the grid of a number, so
        many seconds of the limit being over.
    limits : (D + P, 2)
        Of states and parameters.
    elapsed : function
        Returns the seconds that are over.
    limit : float
        The seconds it has.
    """
    for grid, steps in enumerate(STEPS, start=1):
        spent = elapsed()
        if run.interrupted or spent >= limit or not _coarse(run):
            break
        try:
            finer = again(_lowest(run, limits), steps, grid, spent)
        except KeyboardInterrupt:
            run.dataset.attrs["interrupted"] = 1
            break
        except SymdaError as error:
            # the run is there, whatever is wrong with finer steps
            told = json.loads(run.dataset.attrs["told"])
            told.append(f"steps could not be divided by {STEPS[0]}: {error}")
            run.dataset.attrs["told"] = json.dumps(told)
            break
        better = _better(run, finer)
        if better is run:
            break
        run = better
        run.dataset.attrs["divided"] = steps
    return run


def _lowest(run: Run, limits: FloatArray) -> Run:
    """Return the run of its lowest paths alone, as many as a round has, the lowest first.

    Within the limits (D + P, 2): a solution of the equations may leave those of its states.
    """
    d = run.dataset
    able = np.flatnonzero(d["last_beta"].values >= 0)
    ends = d["action"].values[able, d["last_beta"].values[able]]
    order = np.lexsort((ends, -d["last_beta"].values[able]))
    d = d.isel(path=able[order[:ROUND]])
    within = np.clip(d["states"].values, *limits[: d.sizes["state"]].T)
    return Run(d.assign(states=d["states"].copy(data=within)), run.action)


def _coarse(run: Run) -> bool:
    """Return whether a run is to be made again with finer steps.

    Where the answer is not consistent with the data, and the scheme's error may be why: it moves
    the estimate, or levels are other ones as solutions of the equations.
    """
    d = run.dataset
    if not path_counts(d).reached or run.verdict().consistent:
        return False
    if chosen_solution(d) is not None and not _fails(run, "chi-squared"):
        # no grid has a part in it; but noise that is estimated makes up for a wrong answer
        return bool(d.attrs.get("coarse")) and not d.attrs["gaussian"]
    if d.attrs.get("coarse") or _fails(run, "scheme"):
        return True
    return "solution_action" in d and not _settled(d)


def _fails(run: Run, about: str) -> bool:
    return any(one.about == about and one.holds is False for one in run.verdict().findings)


def _settled(dataset: xr.Dataset) -> bool:
    """Whether the levels that were finished are about the same as solutions of the equations."""
    scale = float(dataset.attrs["measurement_scale"])
    moved = dataset["solution_action"].values - dataset["solution_climbed"].values
    known = moved[np.isfinite(moved)]
    return bool(known.size and (np.abs(known) <= HIT * scale).all())


def _better(run: Run, again: Run) -> Run:
    """Return the run with finer steps, with what was done before; the first if that is lower."""
    first, then = (json.loads(one.dataset.attrs.get("told", "[]")) for one in (run, again))
    reason = (
        f"steps were divided by {STEPS[0]} and all was done again, since the scheme's error may be "
        "why the answer is not consistent with the data"
    )
    whole = path_counts(again.dataset).finished and not again.interrupted
    # a path that is no solution is a little lower than one that is, and proves less
    slack = 0.0 if chosen_solution(again.dataset) is not None else NO_LOWER
    lower = chosen_solution(run.dataset) is not None and (
        whole
        and run.best.action < again.best.action + slack * run.dataset.attrs["measurement_scale"]
        and not again.verdict().consistent
    )
    better = again if whole and not lower else run
    better.dataset.attrs["interrupted"] = int(again.interrupted)
    better.dataset.attrs["told"] = json.dumps([*first, reason, *then])
    return better
