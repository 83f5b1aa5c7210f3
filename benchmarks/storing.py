"""Section "store": what a run costs on the disk, and how long a large one takes to open."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from common import DT, NU, STANDARD, VARIANCE, Row, Size, hand_over, pin, section_size

import symda as sd
from symda.anneal.storage.rows import Rows
from symda.anneal.task import PathResult

SECTION = "store"
#: Paths and rungs of the large run, and how often each way is timed.
MANY, RUNGS, TIMES = 10_000, 30, 2


def overhead(size: Size, folder: Path) -> Row:
    """Time a run of Lorenz-96 by newton with a store and without, in turn."""
    x, nu = sd.states("x", size.D, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    D = size.D
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    action = sd.Action(model, [x[a] for a in size.measured])
    _, data = sd.twin(
        action, parameters={"nu": NU}, dt=DT, steps=size.steps, variance=VARIANCE, seed=1
    )
    call = {"paths": 100 * size.paths, "ladder": sd.Ladder(rf0=0.01, alpha=2.0, rungs=size.rungs)}
    sd.anneal(action, data, **{**call, "paths": 2})
    took: dict[bool, list[float]] = {True: [], False: []}
    for k in range(TIMES):
        for stored in (True, False):
            began = time.perf_counter()
            sd.anneal(action, data, workers=1, store=folder / f"run{k}" if stored else None, **call)
            took[stored].append(time.perf_counter() - began)
    share = min(took[True]) / min(took[False]) - 1.0
    what = f"a run of {call['paths']} paths in {min(took[False]):.2g} s: more time with store="
    return Row(SECTION, what, "share", share, at_most=0.03 if size == STANDARD else None, main=True)


def opening(size: Size, folder: Path) -> list[Row]:
    """Write a large run whose paths are all alike, open it, and read what a summary needs."""
    many = MANY if size == STANDARD else 100
    D, M, L = size.D, size.steps + 1, len(size.measured)
    numbers = np.random.default_rng(0).normal(size=(M, D))
    state, rung = np.arange(D).astype(str), np.zeros(RUNGS)

    def part(a: int, b: int) -> xr.Dataset:
        n = b - a
        every = np.broadcast_to(numbers, (n, RUNGS, M, D))
        return xr.Dataset(
            {
                "action": (("path", "beta"), np.tile(rung, (n, 1)) + np.arange(a, b)[:, None]),
                "states": (("path", "time", "state"), every[:, 0]),
                "fit": (("path", "time", "channel"), np.zeros((n, M, L))),
                "states_by_beta": (("path", "beta", "time", "state"), every),
                "message": ("path", np.full(n, "")),
            },
            coords={"path": np.arange(n), "state": state},
        )

    one = PathResult(
        0, rung, rung, rung, rung, rung.astype(int), rung.astype(int), rung.astype(np.int8),
        rung[:, None], numbers, numbers, numbers, None, 0.0, RUNGS - 1, "", False,
    )  # fmt: skip
    rows = Rows(folder / "large.zarr")
    began = time.perf_counter()
    rows.write(part, [one] * many)
    written = time.perf_counter() - began
    began = time.perf_counter()
    found = rows.open()
    lowest = int(found["action"].values[:, -1].argmin())
    states = found["states"][lowest].values
    opened = time.perf_counter() - began
    assert lowest == 0 and np.array_equal(states, numbers), "it is not what was written"
    began = time.perf_counter()
    lot = found["states"][: many // 10].values
    read = time.perf_counter() - began
    megabytes = lot.nbytes / 1e6
    what = f"{many:,} paths x {RUNGS} rungs x {M} x {D}"
    return [
        Row(
            SECTION,
            f"open {what}, find the lowest level and its path",
            "s",
            opened,
            at_most=1.0 if size == STANDARD else None,
            main=True,
        ),
        Row(SECTION, f"write {what}", "s", written),
        Row(SECTION, f"read the states of a tenth of them, {megabytes:.3g} MB", "s", read),
    ]


if __name__ == "__main__":
    pin()
    chosen = section_size()
    place = Path(tempfile.mkdtemp(prefix="symda-store-"))
    try:
        hand_over([overhead(chosen, place), *opening(chosen, place)])
    finally:
        shutil.rmtree(place)
