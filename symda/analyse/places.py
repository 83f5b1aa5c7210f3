"""Which paths of a run ended in the same minimum; equal actions do not decide that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.levels import reached
from symda.anneal.levels import GAP
from symda.build.kernels import has_matrices
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import xarray as xr
    from scipy.sparse import csc_array

    from symda.build.abstract import Evaluator
    from symda.observe import Problem


#: Two paths whose unknowns agree to this share of their largest value are at one place.
ALIKE = 1e-4
#: Places of one level that are told apart by curvature, which takes a matrix for each.
MOST = 16


def places(dataset: xr.Dataset, evaluator: Evaluator, rung: int) -> IntArray:
    """Return the number of each path's minimum at a rung, the lowest 0; -1 where not reached.

    Two paths are at one place if their actions are one level and, by the action's curvature at the
    lower one, the way between them is no higher than that.
    """
    done = reached(dataset)[:, rung]
    labels = np.full(done.size, -1)
    action = dataset["action"].values[:, rung]
    scale = GAP * float(dataset.attrs["measurement_scale"])
    rf = dataset["rf"].values[rung]
    problem = evaluator.problem
    ordered = np.flatnonzero(done)
    ordered = ordered[np.argsort(action[ordered], kind="stable")]
    groups = np.split(ordered, np.flatnonzero(np.diff(action[ordered]) > scale) + 1)
    count = 0
    for group in groups:
        heads: list[int] = []
        hessians: dict[int, csc_array] = {}
        # of one level at a time: a run may be larger than the memory
        own = problem.internal(
            dataset["states"][group].values, dataset["parameters"].values[group, rung]
        )
        path, theta = (dict(zip(group.tolist(), one, strict=True)) for one in own)
        for k in group.tolist():
            for number, head in enumerate(heads):
                change = np.concatenate([(path[k] - path[head]).ravel(), theta[k] - theta[head]])
                at = path[head], theta[head]
                if _alike(problem, path[k] - path[head], theta[k] - theta[head], *at) or (
                    number < MOST and _rise(evaluator, *at, rf, change, head, hessians) <= scale
                ):
                    labels[k] = count + number
                    break
            else:
                labels[k] = count + len(heads)
                heads.append(int(k))
        count += len(heads)
    return labels


def _alike(
    problem: Problem, dx: FloatArray, dtheta: FloatArray, path: FloatArray, theta: FloatArray
) -> bool:
    sizes = np.concatenate([np.abs(path).max(axis=0), np.abs(theta)])
    sizes = ALIKE * np.where(problem.scaled, 1.0, sizes)
    near = np.abs(dx) <= sizes[: problem.D]
    return bool(near.all() and (np.abs(dtheta) <= sizes[problem.D :]).all())


def _rise(
    evaluator: Evaluator,
    path: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
    change: FloatArray,
    head: int,
    hessians: dict[int, csc_array],
) -> float:
    if not has_matrices(evaluator):
        curved = evaluator.hessian_product(path, theta, rf, change)
    else:
        if head not in hessians:
            hessians[head] = evaluator.hessian(path, theta, rf)
        curved = hessians[head] @ change
    return 0.5 * float(change @ curved)
