"""Section "complete": Figure 1 of Abarbanel et al. 2017 as users run it, on two processes."""

from __future__ import annotations

import os
import tempfile
import time

from common import Row, hand_over, lorenz96, observations

import symda as sd

SECTION = "complete"
PANELS = ((0, 5), (0, 3, 6, 9), (0, 2, 4, 6, 8), (0, 2, 4, 6, 8, 10))


def measure() -> list[Row]:
    """Wall time of each panel and of all, builds included."""
    rows = []
    for measured in PANELS:
        started = time.perf_counter()
        action = lorenz96(11, measured)
        run = sd.anneal(
            action, observations(action, 165), paths=100, seed=0, workers=2, progress=False
        )
        seconds = time.perf_counter() - started
        if run.interrupted:
            raise KeyboardInterrupt
        rows.append(Row(SECTION, f"100 paths, L = {len(measured)}", "s", seconds))
    total = sum(row.symda for row in rows)
    return [*rows, Row(SECTION, "400 paths, 4 panels, 2 cores", "s", total, at_most=360.0)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SYMDA_CACHE"] = cache
        hand_over(measure())
