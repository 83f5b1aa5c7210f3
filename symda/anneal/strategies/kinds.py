"""The kinds of starts that a run of its own choice takes in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.levels import expected_band
from symda.anneal.starts import Simulated
from symda.anneal.strategies.full_window import FullWindow
from symda.anneal.strategies.population import Population
from symda.anneal.strategies.regions import Regions
from symda.anneal.strategies.shooting import Shooting
from symda.anneal.strategies.shooting_window import ShootingWindow
from symda.anneal.strategies.window import Window

if TYPE_CHECKING:
    from symda.anneal.starts import FromPaths, Start
    from symda.anneal.strategies.strategy import Strategy
    from symda.anneal.task import Job


#: Starts of a round: two for each lane of two threads; and of a further one of shots in windows.
ROUND, PART = 16, 4
#: Candidates that are joined region by region.
JOINED = 8
#: Where simulated paths begin: a model error as large as the state's spread costs so much; and
#: where shaken ones do.
HIGH, SHAKEN = 1e3, 1e2
#: Of so many solutions the best is one to shoot from, and of so many in a first window.
BEST, FEW = 100, 20
#: Shares of the time limit: of the first rounds before shots in windows, and of theirs.
BRIEF, LONG = 0.05, 0.1
#: And of those that need not fit as well as the noise lets expect.
LONGER = 0.25
#: Where little is measured: rounds of shooting before the run may end, and before other kinds have
#: their first if it is known what to expect.
TURNS, ALONE = 2, 8
#: With fewer data than this share of a path's unknowns little is measured.
SPARSE = 0.1


@dataclass(frozen=True)
class Kind:
    """One way to start paths and to take them up the ladder."""

    name: str
    start: Start
    strategy: Strategy
    first: int = 0  #: The rung they start at.
    turns: int = 1  #: Rounds that it has before the next kind has its first.
    needed: int = 1  #: Rounds that it has before the run may end.
    starts: int = 0  #: Starts of a round, if not as many as others have.
    once: int = 0  #: It has so many starts and no further ones, if not 0.
    #: Whether it starts from the lowest path that was found, so that a round is one attempt.
    beside: bool = False
    rare: bool = False  #: Whether a round in vain is no reason to have no further one.
    #: Whether it has rounds only while the lowest level is above what the noise lets expect.
    doubts: bool = False
    #: Share of the time limit that its first round may take: what is not done then comes later.
    share: float = 1.0


def kinds_of(
    job: Job,
    starts: Mapping[str, Start],
    *,
    windows: bool,
    shoots: bool,
    regions: bool = False,
    earlier: FromPaths | None = None,
) -> list[Kind]:
    """Return the kinds of starts that a problem has, in the order in which they are tried.

    Parameters
    ----------
    job : Job
        What all paths share.
    starts : mapping of str to Start
        Those to choose from, by name.
    windows : bool
        Whether a window can grow.
    shoots : bool
        Whether the answer may be a solution of the equations.
    regions : bool
        Whether paths can be joined region by region.
    earlier : FromPaths, optional
        Paths that are there already: the first 16 are taken up first, and once. Then solutions do
        not come before ladders, however few the data are: these paths may be from one.
    """
    problem, uniform, nudged = job.problem, starts["uniform"], starts["nudged"]
    ladders = [Kind("uniform", uniform, FullWindow())]
    if regions:
        # of a large lattice no single path is the lowest everywhere
        ladders.insert(0, Kind("regions", uniform, Regions(), starts=JOINED))
    if (problem.direct < 0).any() or np.unique(problem.direct).size < int(problem.ruled.sum()):
        ladders.append(Kind("constant", starts["constant"], FullWindow()))
    if windows:
        ladders.append(Kind("windows", uniform, Window()))
    known = expected_band(problem) is not None
    if job.flow is not None and shoots and known:
        grown = Simulated(best_of=FEW)
        strict = Kind("shooting windows", grown, ShootingWindow(), rare=True, share=LONG)
        rough = replace(
            strict,
            name="rough shooting windows",
            strategy=ShootingWindow(rough=True),
            needed=0,
            doubts=True,
            share=LONGER,
        )
        ladders += [strict, rough]
    if (problem.rm > 0.0).sum(axis=0).max(initial=0) > 1:
        ladders.append(Kind("nudged", nudged, FullWindow()))
        if windows:
            ladders.append(Kind("nudged windows", nudged, Window()))
    few = problem.data_count < SPARSE * problem.M * int(problem.ruled.sum())
    sparse = few and earlier is None
    solutions = []
    if job.flow is not None:
        solutions = [Kind("simulated", Simulated(), FullWindow(), _high(job))]
        if shoots:
            one = Kind("shooting", Simulated(best_of=BEST), Shooting())
            turns = ALONE if known else TURNS
            solutions.insert(0, replace(one, turns=turns, needed=TURNS) if sparse else one)
    shots = next((i for i, kind in enumerate(ladders) if kind.rare), 0)
    if not sparse:
        ladders[:shots] = [replace(kind, share=BRIEF) for kind in ladders[:shots]]
    kinds = [*solutions, *ladders] if sparse else [*ladders, *solutions]
    if not sparse:
        first = _high(job, SHAKEN)
        kinds.append(Kind("shaken", uniform, FullWindow(), first, needed=0, beside=True))
    if windows:
        kinds.append(Kind("population", uniform, Population()))
    if sparse and job.flow is not None and shoots:
        # without a band nothing else says whether what shots met is the lowest
        also = {"shooting"} if known else {"shooting", "simulated", "uniform"}
        return [kind if kind.name in also else replace(kind, needed=0) for kind in kinds]
    if earlier is not None:
        count = min(len(earlier.paths), ROUND)
        kinds.insert(0, Kind("paths given", earlier, FullWindow(), _high(job), once=count))
    return kinds


def _high(job: Job, least: float = HIGH) -> int:
    """Return the rung at which a path that is nearly a solution is taken up.

    Rungs where its errors are cheap would only lead it away: where one as large as the state's
    spread costs `least`.
    """
    ruled = job.problem.ruled
    heights = job.rf[:, ruled] * job.problem.variances[ruled]
    high = np.log(heights).mean(axis=1) + math.log(job.problem.step_unit) >= math.log(least)
    return int(np.argmax(high)) if high.any() else len(job.rf) - 1
