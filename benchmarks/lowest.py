"""Section "lowest": time to the lowest level, by start and strategy, on two cores.

Time per attempt x max(1, ln 0.01 / ln(1 - hit rate)): wall time until the lowest level has been
found with 99 % certainty. Builds are not counted. A hit lies within half a unit of the lowest level
that any of the methods found.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from common import (
    DT,
    NU,
    STANDARD,
    VARIANCE,
    Row,
    Size,
    hand_over,
    lorenz96,
    observations,
    section_size,
    skip,
)

import symda as sd
from symda.analyse import wilson
from symda.anneal.levels import count_hits

SECTION = "lowest"
TARGET = 0.5
WORKERS = 2
CANDIDATES = 20
#: Two measured states: candidates of an attempt, share of attempts that hit, seconds to a hit.
MANY, SHARE, TIME_LIMIT = 300, 0.8, 15.0
REFERENCE = "IPOPT compiled, ladder, uniform"


@dataclass(frozen=True)
class Method:
    """How to look for the lowest level.

    Parameters
    ----------
    name : str
        For the table.
    attempts : int
        How often.
    settings : mapping
        For `sd.anneal`.
    pooled : bool
        Whether the paths of a run are candidates of one attempt.
    """

    name: str
    attempts: int
    settings: Mapping[str, object] = field(default_factory=dict)
    pooled: bool = False


@dataclass(frozen=True)
class Search:
    """Results of the attempts: their lowest actions, and wall seconds of one."""

    actions: np.ndarray
    seconds: float

    def time(self, level: float) -> float:
        """Seconds to the level with 99 % certainty."""
        rate = count_hits(self.actions, 1.0, level=level) / len(self.actions)
        if rate in (0.0, 1.0):
            return self.seconds if rate else math.inf
        return self.seconds * max(1.0, math.log(0.01) / math.log1p(-rate))


def methods(size: Size) -> list[Method]:
    """Newton with every start and strategy, then the reference."""
    newton = {"solver": "newton", "executor": "threads"}
    tries = max(2, size.many // 4)
    return [
        Method("newton, ladder, uniform", size.many, newton),
        Method("newton, ladder, nudged", tries, newton | {"start": "nudged"}),
        Method("newton, window", tries, newton | {"strategy": "window"}),
        Method("newton, window, nudged", tries, newton | {"strategy": "window", "start": "nudged"}),
        Method(
            "newton, population",
            max(2, size.some // 10),
            newton | {"strategy": "population"},
            pooled=True,
        ),
        Method(
            "newton, auto",
            max(2, size.some // 10),
            {"strategy": "auto", "ladder": sd.Ladder(alpha=8.0, rungs=10), "finish": "none"},
            pooled=True,
        ),
        Method(REFERENCE, size.some, {"solver": "ipopt"}),
    ]


def search(action: sd.Action, data: sd.Observations, method: Method, size: Size) -> Search:
    """Make the attempts of a method."""
    settings = {
        "ladder": sd.Ladder(0.01, 2.0, size.rungs),
        "workers": WORKERS,
        "progress": False,
        **method.settings,
    }
    began = time.perf_counter()
    if method.pooled:
        actions = []
        for seed in range(method.attempts):
            run = sd.anneal(action, data, paths=min(CANDIDATES, size.many), seed=seed, **settings)
            actions.append(float(run.levels.values[:, -1].min(initial=np.inf, where=_known(run))))
    else:
        run = sd.anneal(action, data, paths=method.attempts, **settings)
        actions = list(run.levels.values[:, -1])
    return Search(np.array(actions), (time.perf_counter() - began) / method.attempts)


def _known(run: sd.Run) -> np.ndarray:
    return np.isfinite(run.levels.values[:, -1])


def interpreted(size: Size) -> float:
    """Wall seconds of an attempt with IPOPT on CasADi's virtual machine."""
    before = os.environ.get("SYMDA_CC")
    os.environ["SYMDA_CC"] = "none"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action = lorenz96(size.D, size.measured)
            action.compile()
            data = observations(action, size.steps)
            return search(action, data, Method("", size.paths, {"solver": "ipopt"}), size).seconds
    finally:
        os.environ.pop("SYMDA_CC")
        if before is not None:
            os.environ["SYMDA_CC"] = before


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    action = lorenz96(size.D, size.measured)
    data = observations(action, size.steps)
    for solver in ("newton", "ipopt"):  # builds both modules, starts the worker processes
        ladder = sd.Ladder(rungs=1)
        sd.anneal(
            action, data, ladder=ladder, paths=2, solver=solver, workers=WORKERS, progress=False
        )
    found: dict[str, Search] = {}
    for method in methods(size):
        try:
            found[method.name] = search(action, data, method, size)
        except sd.OptionError as error:  # a start or strategy that this version does not have
            skip(method.name, str(error))
    return [*rows(found, interpreted(size), size), *beyond(size)]


def beyond(size: Size) -> list[Row]:
    """Two measured states: attempts of a population, a data set each, against the true path.

    A hit ends at or below the true path's action at the last Rf.
    """
    real = size.D == STANDARD.D
    action = lorenz96(size.D, (0, 5) if real else (0, 2))
    ladder = sd.Ladder(0.01, 2.0, size.rungs)
    misses, seconds = [], 0.0
    for seed in range(1, size.beyond + 1):
        truth, data = sd.twin(
            action,
            parameters={"nu": NU},
            dt=DT,
            steps=size.steps,
            variance=VARIANCE,
            seed=seed,
            discard=20.0,
        )
        rf = ladder.rf0 * ladder.alpha ** (ladder.rungs - 1)
        true = action.compile().action(truth.states.values, {"nu": NU}, rf, data)
        settings = {"ladder": ladder, "solver": "newton", "workers": WORKERS, "progress": False}
        if not misses:
            sd.anneal(action, data, paths=1, **settings)  # builds
        candidates = min(MANY, size.many)
        started = time.perf_counter()
        run = sd.anneal(action, data, strategy="population", paths=candidates, **settings)
        seconds += time.perf_counter() - started
        lowest = run.levels.values[:, -1].min(initial=np.inf, where=_known(run))
        misses.append(float(lowest > true))
    if not misses:
        skip("two measured states", "only with --full")
        return []
    found = Search(np.array(misses), seconds / len(misses))
    hits = misses.count(0.0)
    name = "L = 2, newton, population, to the true path's action"
    return [
        Row(
            SECTION,
            name,
            "s",
            found.time(0.0),
            at_most=TIME_LIMIT if real else None,
            points={"seconds an attempt": found.seconds, "attempts": len(misses), "hits": hits},
            main=True,
        ),
        Row(
            SECTION,
            f"{name}: {len(misses)} data sets that reach it",
            "share",
            hits / len(misses),
            at_least=SHARE if real else None,
            interval=wilson(hits, len(misses)),
            main=True,
        ),
    ]


def rows(found: Mapping[str, Search], virtual: float, size: Size) -> list[Row]:
    """Set every method against the ladder with IPOPT; the best also against the virtual machine.

    Parameters
    ----------
    found : mapping of str to Search
        The methods' attempts, with the reference's.
    virtual : float
        Seconds of an attempt with IPOPT on the virtual machine, which hits as the reference does.
    size : Size
        What was done.
    """
    level = min(float(np.nanmin(s.actions)) for s in found.values())
    times = {name: s.time(level) for name, s in found.items()}
    reference = found[REFERENCE]
    best = min((name for name in times if name != REFERENCE), key=times.__getitem__)
    interpreter = Search(reference.actions, virtual).time(level)
    made = [
        Row(
            SECTION,
            f"best: {best}, {WORKERS} cores",
            "s",
            times[best],
            "IPOPT on the virtual machine, ladder, uniform",
            interpreter,
            at_most=TARGET if size.D == STANDARD.D else None,
            main=True,
        )
    ]
    for name, s in found.items():
        hits, attempts = count_hits(s.actions, 1.0, level=level), len(s.actions)
        instead = (REFERENCE, times[REFERENCE]) if name != REFERENCE else ("", None)
        made += [
            Row(
                SECTION,
                name,
                "s",
                times[name],
                *instead,
                main=True,
                points={"seconds an attempt": s.seconds, "attempts": attempts, "hits": hits},
            ),
            Row(
                SECTION,
                f"{name}: {attempts} attempts that find it",
                "share",
                hits / attempts,
                interval=wilson(hits, attempts),
                main=True,
            ),
        ]
    return made


if __name__ == "__main__":
    hand_over(measure(section_size()))
