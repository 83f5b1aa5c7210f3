"""Newton's rows of the section "path": many paths at once on one core, and on two threads."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import flops
import numpy as np
from common import STANDARD, Row, Size, first_point, skip

import symda as sd
from symda.api.assessed import assessed
from symda.build.abstract import Kernels
from symda.observe import Problem
from symda.solve import SOLVERS, Climber

SECTION = "path"
#: How many times faster a path than the alternatives.
TIMES = {"CasADi virtual machine": 60.0, "direct": 12.0}
ITERATION, SPEEDUP, VERDICT = 0.1, 1.8, 0.02
#: Machines of symda's IPOPT.
OWN = ("direct", "lifted", "direct, no compiler")


@dataclass(frozen=True)
class Climbed:
    """K paths up the whole ladder: their last actions, all iterations, processor seconds."""

    actions: np.ndarray
    iterations: int
    seconds: float

    @property
    def path(self) -> float:
        """Seconds a path."""
        return self.seconds / len(self.actions)

    @property
    def iteration(self) -> float:
        """Milliseconds an iteration and path."""
        return 1e3 * self.seconds / self.iterations


def climb(
    kernels: Kernels, problem: Problem, rf: np.ndarray, paths: int, **options: object
) -> Climbed:
    """Take the first paths of `anneal(seed=0)` up a ladder, in one call if newton can.

    Parameters
    ----------
    kernels, problem
        What to minimise.
    rf : ndarray, shape (B, D)
        The ladder.
    paths : int
        Number of paths, K.
    **options
        For newton.
    """
    solver = SOLVERS["newton"].with_options(**options).at(kernels, problem)
    starts = [first_point(problem, k) for k in range(paths)]
    if isinstance(solver, Climber):
        X, theta = (np.stack(part) for part in zip(*starts, strict=True))
        began = time.process_time()
        found = solver.ladder(X, theta, rf)
        seconds = time.process_time() - began
        actions = found.measurement_terms[:, -1] + found.model_terms[:, -1]
        return Climbed(actions, int(found.iterations.sum()), seconds)
    began, actions, iterations = time.process_time(), np.full(paths, np.nan), 0
    for k, (path, values) in enumerate(starts):
        for row in rf:
            ended = solver.minimise(path, values, row)
            path, values, iterations = ended.path, ended.theta, iterations + ended.iterations
        actions[k] = ended.action
    return Climbed(actions, iterations, time.process_time() - began)


def newton_rows(
    action: sd.Action,
    found: Climbed,
    others: Mapping[str, float],
    size: Size,
    most: float | None,
    endless: Collection[str],
) -> list[Row]:
    """Set newton's seconds a path against the others', and its iterations against the processor.

    Parameters
    ----------
    action : Action
        What was minimised.
    found : Climbed
        By newton.
    others : mapping of str to float
        Seconds a path of everything else.
    size : Size
        What was done.
    most : float, optional
        Gflop/s that this core can do.
    endless : collection of str
        Those of the others that were given up after their seconds.
    """
    real = size.D == STANDARD.D
    name = f"newton, {len(found.actions)} paths"
    rows = [
        Row(
            SECTION,
            name,
            "s",
            found.path,
            f"symda's IPOPT, {other}" if other in OWN else other,
            seconds,
            at_least_times=TIMES.get(other) if real else None,
            endless=other in endless,
            main=other in (*TIMES, "L-BFGS-B"),
        )
        for other, seconds in others.items()
    ]
    each = found.iterations / len(found.actions)
    rate = flops.iteration(action.specification.lowered, size.steps) / (1e6 * found.iteration)
    rows += [
        Row(SECTION, "newton: iterations", "iterations", each),
        Row(
            SECTION,
            "newton: an iteration and path",
            "ms",
            found.iteration,
            at_most=ITERATION if real else None,
            main=True,
        ),
        Row(SECTION, "newton: operations a second", "Gflop/s", rate),
    ]
    if most is None:
        skip("share of peak", "there is no gcc to measure the peak with")
        return rows
    points = {"newton, Gflop/s": rate, "peak, Gflop/s": most}
    what = f"newton: share of the core's {most:.0f} Gflop/s"
    return [*rows, Row(SECTION, what, "share", rate / most, points=points, main=True)]


def thread_rows(action: sd.Action, data: sd.Observations, size: Size) -> list[Row]:
    """Wall time of an annealing run on one thread over that on two; call it before `pin`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (cores or 1) < 2:
        skip("threads", "there is one core")
        return []
    seconds = {1: np.inf, 2: np.inf}
    for workers in (1, 2, 2, 1):
        began = time.perf_counter()
        sd.anneal(
            action,
            data,
            ladder=sd.Ladder(0.01, 2.0, size.rungs),
            paths=max(2, size.many // 2),
            solver="newton",
            executor="threads",
            workers=workers,
            progress=False,
        )
        seconds[workers] = min(seconds[workers], time.perf_counter() - began)
    return [
        Row(
            SECTION,
            "newton: speed of two threads over one, wall time",
            "times",
            seconds[1] / seconds[2],
            at_least=SPEEDUP if size.D == STANDARD.D else None,
            points={f"{workers} threads, s": value for workers, value in seconds.items()},
            main=True,
        )
    ]


def verdict_row(action: sd.Action, data: sd.Observations, size: Size) -> Row:
    """Share that judging a run has of the wall time of `anneal`; call it before `pin`."""
    paths = min(100, size.many)
    ladder = sd.Ladder(0.01, 2.0, size.rungs)
    runs, judged = [], []
    for _ in range(3):
        began = time.perf_counter()
        run = sd.anneal(action, data, ladder=ladder, paths=paths, solver="newton", progress=False)
        runs.append(time.perf_counter() - began)
    at = action.compile().machine.at(action.bind(data))
    for _ in range(7):
        began = time.perf_counter()
        assessed(run.dataset, action, at, data.forcing, own=True)
        run.verdict()
        judged.append(time.perf_counter() - began)
    whole, own = statistics.median(runs), statistics.median(judged)
    return Row(
        SECTION,
        f"the verdict's share of a run of {paths} paths with newton",
        "share",
        own / whole,
        at_most=VERDICT if size.D == STANDARD.D else None,
        points={"run, s": whole, "verdict, s": own},
        main=True,
    )
