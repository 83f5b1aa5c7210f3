"""Section "build": from symbols to loaded kernels, against CasADi's C export and JAX's jit."""

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
from common import DT, NU_BOUNDS, VARIANCE, Row, Size, hand_over, library, section_size, skip

SECTION = "build"
#: Seconds, by number of states.
COLD = {11: 3.0, 40: 6.0, 100: 15.0}
CACHED = {11: 0.3}
STENCIL = {1000: 10.0}
LEVELS = ("-O1", "-O2")


def fresh(D: int, what: str, cache: str) -> float:
    """Build in a fresh process."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fresh_build.py")), str(D), what],
        env=os.environ | {"SYMDA_CACHE": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def twin_without_data(D: int, steps: int) -> Twin:
    """Make a twin of any data: they change neither the size of the code nor the time."""
    measured = range(0, D - 1, 3)
    y = np.random.default_rng(0).normal(size=(steps + 1, len(measured)))
    return Twin(y, tuple(measured), VARIANCE, DT, D, NU_BOUNDS)


def export_seconds(D: int, size: Size, level: str) -> tuple[float, bool]:
    """Export the same problem and compile it: seconds, and whether the time limit ended it."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        try:
            export(twin_without_data(D, size.steps), Path(folder), level, size.time_limit)
        except subprocess.TimeoutExpired:
            return size.time_limit, True
        return time.perf_counter() - started, False


def jit_seconds(D: int, size: Size) -> float | None:
    """First calls of JAX's action, gradient and Hessian, tracing and compiling included."""
    if library("jax") is None:
        return None
    from baseline_jax import calls

    made = calls(twin_without_data(D, size.steps), np.ones((size.steps + 1, D)), 8.0, 1.0)
    started = time.perf_counter()
    for call in made.values():
        call()
    return time.perf_counter() - started


def rows_of(D: int, size: Size) -> list[Row]:
    """Cold and from the cache, in fresh processes, and what a user would build instead."""
    cold, cached, lanes = [], [], []
    for _ in range(max(1, size.repeats // 2) if D <= 20 else 1):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(fresh(D, "kernels", cache))
            cached += [fresh(D, "kernels", cache) for _ in range(2)]
            if D in size.lanes_built:
                lanes.append(fresh(D, "newton", cache))
    ours = statistics.median(cold)
    instead: list[tuple[str, float | None, bool]] = []
    if D in size.exported:
        for level in LEVELS:
            seconds, endless = export_seconds(D, size, level)
            instead.append((f"CasADi's C export, gcc {level}", seconds, endless))
            if endless:
                break
        traced = jit_seconds(D, size)
        if traced is not None:
            instead.append(("JAX, first calls", traced, False))
    main = D in COLD
    rows = [
        Row(
            SECTION,
            f"D = {D}, cold",
            "s",
            ours,
            other,
            seconds,
            at_most=COLD.get(D),
            endless=endless,
            main=main and other in ("", f"CasADi's C export, gcc {LEVELS[0]}"),
        )
        for other, seconds, endless in instead or [("", None, False)]
    ]
    again = Row(
        SECTION, f"D = {D}, from the cache", "s", statistics.median(cached), at_most=CACHED.get(D)
    )
    own = [
        Row(SECTION, f"D = {D}, newton's own module, cold", "s", statistics.median(lanes))
        for _ in lanes[:1]
    ]
    return [*rows, again, *own]


def stencil(sites: int) -> list[Row]:
    """Build a model of many sites, written once with an index."""
    import symda as sd

    if not hasattr(sd, "site"):
        skip("stencil", "this symda has no sd.site")
        return []
    with tempfile.TemporaryDirectory() as cache:
        seconds = fresh(sites, "sites", cache)
    what = f"stencil of {sites} sites, cold"
    return [Row(SECTION, what, "s", seconds, at_most=STENCIL.get(sites), main=True)]


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    return [*(row for D in size.builds for row in rows_of(D, size)), *stencil(size.sites)]


if __name__ == "__main__":
    hand_over(measure(section_size()))
