"""Section "build": from symbols to loaded kernels, against CasADi's C export."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from baseline_casadi import Twin, export
from common import DT, NU_BOUNDS, VARIANCE, Row, Size, hand_over, section_size

SECTION = "build"
#: (cold, from the cache) in seconds, by number of states
TARGETS = {11: (6.0, 0.3), 40: (15.0, None)}
PATIENCE = 180.0


def fresh(D: int, cache: str) -> float:
    """Build in a fresh process."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fresh_build.py")), str(D)],
        env=os.environ | {"SYMDA_CACHE": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def export_seconds(D: int, steps: int, level: str) -> float | None:
    """Export the same problem and compile it; None if gcc takes too long."""
    measured = range(0, D - 1, 3)
    # any data do: they change neither the size of the code nor the time
    y = np.random.default_rng(0).normal(size=(steps + 1, len(measured)))
    twin = Twin(y, tuple(measured), VARIANCE, DT, D, NU_BOUNDS)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        try:
            export(twin, Path(folder), level, PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"D = {D}: gcc {level} takes over {PATIENCE:.0f} s", file=sys.stderr)
            return None
        return time.perf_counter() - started


def rows_of(D: int, size: Size) -> list[Row]:
    """Cold and from the cache, in fresh processes, and the export at two levels of the compiler."""
    cold, cached = [], []
    for _ in range(max(1, size.repeats // 2)):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(fresh(D, cache))
            cached += [fresh(D, cache) for _ in range(2)]
    ours = statistics.median(cold)
    first, again = TARGETS.get(D, (None, None))
    rows = [
        Row(
            SECTION,
            f"D = {D}, from the cache",
            "s",
            statistics.median(cached),
            at_most=again,
        )
    ]
    for level in ("-O1", "-O2"):
        seconds = export_seconds(D, size.steps, level)
        instead = "" if seconds is None else f"CasADi's C export, gcc {level}"
        rows.append(Row(SECTION, f"D = {D}, cold", "s", ours, instead, seconds, at_most=first))
        if seconds is None:
            break
    return rows


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    return [row for D in size.builds for row in rows_of(D, size)]


if __name__ == "__main__":
    hand_over(measure(section_size()))
