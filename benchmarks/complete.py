"""Section "complete": Figure 1 of Abarbanel et al. 2017 as users run it, on two cores."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence

from common import STANDARD, Row, Size, hand_over, lorenz96, observations, section_size

import symda as sd

SECTION = "complete"
PANELS = ((0, 5), (0, 3, 6, 9), (0, 2, 4, 6, 8), (0, 2, 4, 6, 8, 10))
#: Seconds for all panels.
TARGETS = {"newton": 15.0, "ipopt": 360.0}


def panel(measured: Sequence[int], solver: str, size: Size) -> float:
    """Wall time from symbols to levels, with a cache that holds nothing."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SYMDA_CACHE"] = cache
        started = time.perf_counter()
        action = lorenz96(size.D, measured)
        run = sd.anneal(
            action,
            observations(action, size.steps),
            ladder=sd.Ladder(0.01, 2.0, size.rungs),
            paths=size.figure,
            seed=0,
            solver=solver,
            workers=2,
            progress=False,
        )
        seconds = time.perf_counter() - started
    if run.interrupted:
        raise KeyboardInterrupt
    return seconds


def measure(size: Size) -> list[Row]:
    """Wall time of all panels and of each."""
    panels = PANELS if size.D == STANDARD.D else (size.measured,)
    rows, totals = [], []
    for solver in size.solvers:
        seconds = [panel(measured, solver, size) for measured in panels]
        totals.append(sum(seconds))
        rows += [
            Row(SECTION, f"{solver}, L = {len(measured)}: {size.figure} paths", "s", value)
            for measured, value in zip(panels, seconds, strict=True)
        ]
    instead = "the same with IPOPT" if len(totals) > 1 else ""
    every = f"{size.figure * len(panels)} paths, 2 cores"
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
