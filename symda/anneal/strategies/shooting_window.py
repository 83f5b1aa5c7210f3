"""No ladder: solutions of the equations that are fitted to a window, which grows from the left."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.finish import ended
from symda.anneal.starts import Draw
from symda.anneal.strategies.shooting import Shooting
from symda.anneal.strategies.strategy import ends_of
from symda.anneal.task import Job, PathResult, blank, not_run, workspace
from symda.errors import SolveError
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.anneal.group import Halt
    from symda.observe import Problem
    from symda.solve import Solution, Strong

#: The first window holds at least so many data for each fitted quantity, in turn, and observation
#: times: a few may say too little, and many make too many minima.
DATA, TIMES = (4.0, 2.0, 8.0), 6
#: It grows by this share of itself; by half of that where a fit is lost, which is tried so often.
GROWTH, HALVED = 0.3, 12
#: After an extension that was fitted the next is so much longer, up to `GROWTH`.
LONGER = 1.5
#: A window is fitted if its action is at most so many standard deviations, and units besides,
#: above what is expected.
SDS, UNITS = 3.0, 5.0
#: What is so many times above that after some iterations is given up.
HOPELESS = 20.0
#: Roughly it is fitted if the solution leaves at most this share of the data's variance.
ROUGH = 0.05
#: Draws of a first window for one path, until one grows to the end.
TRIES = 6


@dataclass(frozen=True)
class ShootingWindow(Shooting):
    """Each path is a solution of the equations, fitted to the first data, then to more of them.

    First states and parameters alone are fitted, as by `Shooting`, but at first to the fewest data
    that say something of them. Solutions of so short a stretch are nearly linear in what they
    start from, so that many more starts lead to the right one. Then the window grows, by a third at
    a time, or less where the fit is lost; one not fitted as well as the noise lets expect is
    left at once. What comes to the end is a solution through all data. Equations that are fast from
    one datum to the next need no finer grid, and unstable ones are followed from the first state as
    far as the data say where they go.

    Parameters
    ----------
    rough : bool
        Whether a window, but for the first, is also fitted if the solution leaves at most a
        twentieth of the data's variance. So it is where the model is not quite right, or the noise
        larger than said: no solution then follows the data as well as expected, but one that
        follows them to here is a good start for what comes next.

    Notes
    -----
    The progressive, or incremental, approach to single shooting; see H. U. Voss, J. Timmer and
    J. Kurths, Int. J. Bifurcation Chaos 14 (2004) 1905, on short stretches and their joining.
    """

    rough: bool = False

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "shooting-window"

    def _fit(self, job: Job, k: int, deadline: float | None, halt: Halt | None) -> PathResult:
        """Try some first windows, until one of them grows to the end."""
        grown, shots = Grown(job, deadline, halt, rough=self.rough), 0
        for turn in range(TRIES):
            if grown.over or time.time() >= job.until:
                break
            shots += 1
            found = grown.path(k, turn)
            if found is not None:
                result = ended(job, blank(job, k), found)
                result.iterations[job.rungs[-1]] += math.ceil(grown.iterations) - found.iterations
                return result
        late = grown.over or time.time() >= job.until
        why = "the time limit was reached" if late else f"none of {shots} first windows grew"
        result = not_run(job, k, f"{why} to the end: the farthest to {grown.farthest} of its steps")
        result.iterations[job.rungs[-1]] = math.ceil(grown.iterations)
        return result


class Grown:
    """Windows of one path, and what was done in them."""

    def __init__(
        self, job: Job, deadline: float | None, halt: Halt | None, *, rough: bool = False
    ) -> None:
        self.job, self._deadline, self._halt, self._rough = job, deadline, halt, rough
        self._windows: dict[int, tuple[Problem, Strong]] = {}
        problem = job.problem
        own = [n for n in ends_of(problem) if n > 0]
        each = problem.data_count / max(len(own), 1)
        self._ends = sorted({*own, problem.N})
        self._lengths = [
            min(max(math.ceil(data * problem.fitted / each), TIMES), len(own)) - 1 for data in DATA
        ]
        self.iterations = 0.0  #: Of full windows: one in a tenth of the data costs a tenth.
        self.farthest = 0  #: Steps of the longest window that was fitted.

    @property
    def over(self) -> bool:
        """Whether there is no time left."""
        late = self._deadline is not None and time.time() >= self._deadline
        return late or (self._halt is not None and self._halt.is_set())

    def path(self, k: int, turn: int) -> Solution | None:
        """Return a solution through all data, None if none was reached from this start."""
        at, last = self._lengths[(k + turn) % len(self._lengths)], len(self._ends) - 1
        problem, strong = self._window(at)
        draw = Draw(problem, self.job.seed, k, turn, flow=lambda: strong)
        try:
            path, theta = self.job.start.point(draw)
        except SolveError:
            return None
        begins = _firsts(problem if len(path) == problem.M else self.job.problem)
        here = self._fitted(at, path[begins], theta, first=True)
        share, failed = GROWTH, 0
        while here is not None and at < last and not self.over:
            after = min(at + max(int(share * (at + 1)), 1), last)
            firsts = here.path[_firsts(self._window(at)[0])]
            found = self._fitted(after, firsts, here.theta)
            if found is not None:
                here, at, share = found, after, min(GROWTH, LONGER * share)
                continue
            failed += 1
            if after == at + 1 or failed > HALVED:
                return None
            share *= 0.5
        return here if at == last else None

    def _window(self, i: int) -> tuple[Problem, Strong]:
        n = self._ends[i]
        if n not in self._windows:
            whole = self.job.problem
            problem = whole if n == whole.N else whole.window(n)
            self._windows[n] = problem, workspace(self.job).strong_of(self.job, problem)
        return self._windows[n]

    def _fitted(
        self, i: int, firsts: FloatArray, theta: FloatArray, *, first: bool = False
    ) -> Solution | None:
        """Fit a window from first states (S, D); None where that does not succeed."""
        problem, strong = self._window(i)
        path = np.zeros((problem.M, problem.D))
        path[_firsts(problem)] = firsts
        lid, rough = _lid(problem), self._rough and not first
        if rough:
            lid = max(lid, ROUGH * _spread(problem))
        found = strong.minimise(
            path, theta, self._deadline, self._halt, HOPELESS * lid, patient=False, hurry=rough
        )
        self.iterations += found.iterations * problem.N / self.job.problem.N
        if not found.action <= lid:
            return None
        self.farthest = max(self.farthest, problem.N)
        return found


def _firsts(problem: Problem) -> IntArray:
    """Return where experiments begin among the grid points, (S,)."""
    return np.array([segment.first_point for segment in problem.segments])


def _lid(problem: Problem) -> float:
    """Return what the action of a fit is at most; endless where it is not known what to expect."""
    if not problem.gaussian:
        return math.inf
    half = 0.5 * max(problem.data_count - problem.fitted, 1)
    return problem.measurement_scale * (half + SDS * math.sqrt(half) + UNITS)


def _spread(problem: Problem) -> float:
    """Return the action of what is constant in each experiment, at the mean of its data."""
    total = 0.0
    for segment in problem.segments:
        rm, y = problem.rm[segment.own_points], problem.y[segment.own_points]
        y = np.where(rm > 0.0, y, 0.0)
        mean = (rm * y).sum(axis=0) / np.maximum(rm.sum(axis=0), np.finfo(float).tiny)
        total += 0.5 * float((rm * (y - mean) ** 2).sum())
    return total
