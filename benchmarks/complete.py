"""Section "complete": Figure 1 of Abarbanel et al. 2017 as users run it, on two cores."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from common import STANDARD, VARIANCE, Row, Size, hand_over, lorenz96, observations, section_size

import symda as sd

SECTION = "complete"
PANELS = ((0, 5), (0, 3, 6, 9), (0, 2, 4, 6, 8), (0, 2, 4, 6, 8, 10))
#: Seconds for all panels.
TARGETS = {"newton": 15.0, "ipopt": 360.0}


def panels(solver: str, measured: Sequence[Sequence[int]], size: Size) -> list[float]:
    """Wall time of each panel from symbols to levels, with a cache that holds nothing at first.

    One action, and so one build, serves all panels: what one does not measure is nan there.
    """
    seconds = []
    everything = sorted(set().union(*measured))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SYMDA_CACHE"] = cache
        started = time.perf_counter()
        action = lorenz96(size.D, everything)
        for some in measured:
            data = observations(lorenz96(size.D, some), size.steps)
            values = np.full((len(data.times), len(everything)), np.nan)
            values[:, [everything.index(a) for a in some]] = data.values
            run = sd.anneal(
                action,
                sd.Observations(data.times, values, variance=VARIANCE),
                ladder=sd.Ladder(0.01, 2.0, size.rungs),
                paths=size.figure,
                seed=0,
                solver=solver,
                workers=2,
                progress=False,
            )
            if run.interrupted:
                raise KeyboardInterrupt
            seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
    return seconds


def measure(size: Size) -> list[Row]:
    """Wall time of all panels and of each."""
    shown = PANELS if size.D == STANDARD.D else (size.measured,)
    rows, totals = [], []
    for solver in size.solvers:
        seconds = panels(solver, shown, size)
        totals.append(sum(seconds))
        rows += [
            Row(SECTION, f"{solver}, L = {len(measured)}: {size.figure} paths", "s", value)
            for measured, value in zip(shown, seconds, strict=True)
        ]
    instead = "the same with IPOPT" if len(totals) > 1 else ""
    every = f"{size.figure * len(shown)} paths, 2 cores"
    first = Row(
        SECTION,
        f"{every}, {size.solvers[0]}",
        "s",
        totals[0],
        instead,
        totals[1] if instead else None,
        at_most=TARGETS[size.solvers[0]] if size.D == STANDARD.D else None,
        main=True,
    )
    others = [
        Row(SECTION, f"{every}, {solver}", "s", total, at_most=TARGETS[solver])
        for solver, total in zip(size.solvers[1:], totals[1:], strict=True)
    ]
    return [first, *others, *rows]


if __name__ == "__main__":
    hand_over(measure(section_size()))
