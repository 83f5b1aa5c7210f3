"""Paths of a lattice joined region by region: each site takes what costs least there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from symda.anneal.group import climb, first_points
from symda.anneal.strategies.strategy import (
    finished,
    part,
    rung_of,
    typical_precision,
    with_effort,
)
from symda.anneal.task import Job, PathResult, joined, workspace
from symda.checks import integer, number
from symda.errors import OptionError
from symda.types import BoolArray, IntArray

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.anneal.starts import Point
    from symda.build.abstract import Evaluator
    from symda.solve.sites import Sites


#: Two paths differ at a site where the mean square of their difference is above this share of the
#: states' variance.
DIFFERENT = 0.05


@dataclass(frozen=True)
class Regions:
    """Climb with many paths of a lattice to one rung, and go on with the best of each region.

    Far parts of a lattice hardly feel each other, so a path from a random start ends in the lowest
    minimum of some regions and in others not, and of all regions it never does. Where two paths
    agree it makes no difference whose sites are taken; what lies between falls into regions that
    can be chosen one by one: that of the path whose action is less there. The candidates are joined
    to the lowest of them one after the other, each time followed by a minimisation, which is kept
    if the whole action fell. What comes out climbs the rest of the ladder: it is the one path of
    the attempt, and its first rung at which it is alone counts the effort of all candidates.

    Parameters
    ----------
    rf : float, optional
        They are joined at the rung whose Rf (the geometric mean over the measured states) is
        nearest to this. Left out: the precision of the data, Rm.
    loose : int
        Iterations a candidate has on each rung: it need not converge.

    Raises
    ------
    OptionError
        An option out of range, or kernels of a model without sites.

    Notes
    -----
    The choice by regions is the partition crossover of D. Whitley, D. Hains, A. Howe, Proc. GECCO
    (2009) 915, for sums of terms of few unknowns each: R. Tinós, D. Whitley, F. Chicano, Proc. FOGA
    (2015) 137.
    """

    rf: float | None = None
    loose: int = 10

    def __post_init__(self) -> None:
        if self.rf is not None:
            number(self.rf, "Regions: rf", kind="positive")
        integer(self.loose, "Regions: loose")

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "regions"

    @property
    def pooled(self) -> bool:
        """All paths are candidates of one attempt."""
        return True

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Run one attempt; the result is one path, numbered `paths[0]`; see `Strategy.run`."""
        sites = sites_of(workspace(job).kernels.at(job.problem))
        rung = max(
            rung_of(job.problem, job.rf, self.rf or typical_precision(job.problem)), job.rungs[0]
        )
        early = self._loose(part(job, job.problem.N, [b for b in job.rungs if b <= rung], "ends"))
        starts, failed = first_points(job, paths)
        found = climb(early, starts, deadline, halt)
        able = sorted((one for one in found if finished(early, one)), key=_action)
        if not able:
            return [replace((found or failed)[0], path=paths[0])]
        best, efforts, last = able[0], list(found), part(job, job.problem.N, [rung], "ends")
        for other in able[1:]:
            point = joined_at(sites, job, best, other, rung)
            if point is None:
                continue
            (again,) = climb(last, {best.path: point}, deadline, halt)
            efforts.append(again)
            if finished(last, again) and _action(again) < _action(best):
                best = again
        # near its minimum; what the time limit leaves of the ladder comes after it
        (result,) = climb(replace(last, keep=job.keep), {paths[0]: _end(best)}, None, halt)
        later = [b for b in job.rungs if b > rung]
        if later and finished(last, result):
            rest = part(job, job.problem.N, later, job.keep)
            (above,) = climb(rest, {paths[0]: _end(result)}, deadline, halt)
            result = joined(result, above)
        return [with_effort(result, efforts, rung)]

    def _loose(self, job: Job) -> Job:
        """Return a job whose rungs need not converge, if its solver counts iterations."""
        if "max_iter" not in vars(job.solver):
            return job
        return replace(job, solver=job.solver.with_options(max_iter=self.loose))


def sites_of(evaluator: Evaluator) -> Sites:
    """Return what splits an action among sites.

    Raises
    ------
    OptionError
        If the kernels know of no sites.
    """
    from symda.build.lattice import LatticeEvaluator
    from symda.solve.sites import Sites

    if isinstance(evaluator, LatticeEvaluator):
        return Sites(evaluator)
    raise OptionError(
        "anneal: strategy='regions' joins paths site by site, and this action is not matrix-free: "
        "its kernels know of no sites. Write the model with sd.site and take "
        "sd.Action(..., matrix_free=True), or strategy='ladder'."
    )


def joined_at(
    sites: Sites, job: Job, best: PathResult, other: PathResult, rung: int
) -> Point | None:
    """Return the first path with the regions of the other that cost less there; None: no region."""
    problem, rf = job.problem, job.rf[rung]
    theta, path = best.theta[rung], best.states
    share = ((path - other.states) ** 2).mean(axis=0) / problem.variances
    region = regions_of(share.reshape(-1, sites.count).max(axis=0) > DIFFERENT, sites)
    # of each path by itself: where they are joined the next minimisation brings them together
    mine, others = (
        sites.action(sites.parts(one.states, one.theta[rung]), rf)[0] for one in (best, other)
    )
    better = np.bincount(region, mine - others) > 0.0
    better[0] = False
    taken = sites.on_path(better[region])
    # parameters, which all sites share, stay those of the first
    return (np.where(taken, other.states, path), theta) if better.any() else None


def regions_of(apart: BoolArray, sites: Sites) -> IntArray:
    """Return the regions of sites (sites,) that chosen ones act on, numbered from 1; 0: none.

    Sites that act on one another's equations are of one region.
    """
    from scipy.ndimage import maximum_filter
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    modes: list[Literal["wrap", "constant"]] = [
        "wrap" if boundary == "periodic" else "constant" for boundary in sites.boundaries
    ]
    size = 2 * sites.nearest + 1
    near = maximum_filter(apart.reshape(sites.shape), size=size, mode=modes).reshape(-1)
    place = np.arange(sites.count).reshape(sites.shape)
    edges = []
    for d, boundary in enumerate(sites.boundaries):
        pair = [place, np.roll(place, -1, axis=d)]
        if boundary != "periodic":
            pair = [np.delete(one, -1, axis=d) for one in pair]
        both = np.stack([one.reshape(-1) for one in pair])
        edges.append(both[:, near[both].all(axis=0)])
    first, second = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), (sites.count, sites.count))
    _, label = connected_components(graph, directed=False)
    region = np.zeros(sites.count, dtype=np.int64)
    region[near] = np.unique(label[near], return_inverse=True)[1] + 1
    return region


def _action(one: PathResult) -> float:
    return float(one.action[one.last_beta])


def _end(one: PathResult) -> Point:
    return one.states, one.theta[one.last_beta]
