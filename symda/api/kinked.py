"""Jumps and kinks of the equations that paths stopped at, named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.levels import STOPPED
from symda.derive.kinks import Kink, along, kinks
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.api.action import Action
    from symda.observe import Problem


#: A path this near a kink, as a share of how far it goes from it, is on it.
NEAR = 1e-3


def name_kinks(dataset: xr.Dataset, action: Action, problem: Problem) -> xr.Dataset:
    """Add to the messages of paths that stopped at which jump or kink they did.

    A minimiser goes by derivatives: on a kink those of one side tell nothing of the other.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset of a run.
    action, problem
        What was annealed.
    """
    last = dataset["last_beta"].values
    ended = dataset["status"].values[np.arange(last.size), np.maximum(last, 0)]
    stopped = np.flatnonzero((last >= 0) & (ended == STOPPED))
    found = kinks(action.model, action.measurement) if stopped.size else ()
    if not found:
        return dataset
    messages = [str(text) for text in dataset["message"].values]
    for k in stopped:
        theta = dataset["parameters"].values[k, last[k]]
        X = dataset["states"][k].values
        for segment, (one, x, own) in zip(problem.segments, problem.apart(X, theta), strict=True):
            share, crossed = _near(found, action, one, x, own)
            m, i = np.unravel_index(int(np.argmin(share)), share.shape)
            if share[m, i] > NEAR and not crossed[i]:
                continue
            where = f"{one.times[m]:.6g}{problem.named(segment.first_point)}"
            messages[k] += (
                f"; {found[i].words}: the path is there at t = {where}, and no "
                "derivative shows the way down; write a smooth function instead"
            )
            break
    return dataset.assign(message=("path", np.array(messages, dtype=str)))


def jumps_met(
    action: Action, problem: Problem, X: FloatArray, theta: FloatArray
) -> tuple[str, ...]:
    """Name the jumps of equations and measured quantities that a path meets within a step.

    Parameters
    ----------
    action, problem
        What was annealed.
    X : (M, D)
    theta : (P,)
    """
    found = tuple(k for k in kinks(action.model, action.measurement) if k.effect != "kink")
    if not found:
        return ()
    words: dict[str, None] = {}
    for one, x, own in problem.apart(X, theta):
        share, crossed = _near(found, action, one, x, own)
        # the stages of a step look as far as the step goes
        reach = np.abs(np.diff(share, axis=0)).max(axis=0)
        met = crossed | (share.min(axis=0) <= np.maximum(NEAR, reach))
        words |= dict.fromkeys(found[i].words for i in np.flatnonzero(met))
    return tuple(words)


def _near(
    found: tuple[Kink, ...], action: Action, problem: Problem, X: FloatArray, theta: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Distances (M, K) of a path from kinks, as shares of the largest, and which it crosses."""
    steps = np.minimum(np.arange(problem.M) // (1 + problem.interior), problem.N - 1)
    u = problem.u[steps, 0]
    with np.errstate(all="ignore"):
        g = along(found, action.model, action.measurement, X, u, theta, problem.times)
        share = np.abs(g) / np.abs(g).max(axis=0)
    crossed = (np.sign(g).min(axis=0) < 0) & (np.sign(g).max(axis=0) > 0)
    return np.where(np.isfinite(share), share, np.inf), crossed
