"""Section "store": what a run costs on the disk, how long a large one takes to open, workers."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import xarray as xr
from common import DT, NU, STANDARD, VARIANCE, Row, Size, hand_over, pin, section_size, skip

import symda as sd
from symda.anneal.storage.rows import Rows
from symda.anneal.task import PathResult

SECTION = "store"
#: Paths and rungs of the large run, and how often each way is timed.
MANY, RUNGS, TIMES = 10_000, 30, 2
#: Paths of the campaign that workers share, and what two should be of one.
SHARED, TWICE = 32, 1.8


def campaign(size: Size) -> tuple[sd.Action, sd.Observations]:
    """Return Lorenz-96 and a twin of it."""
    x, nu = sd.states("x", size.D, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    D = size.D
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    action = sd.Action(model, [x[a] for a in size.measured])
    _, data = sd.twin(
        action, parameters={"nu": NU}, dt=DT, steps=size.steps, variance=VARIANCE, seed=1
    )
    return action, data


def overhead(size: Size, folder: Path) -> Row:
    """Time a run of Lorenz-96 by newton with a store and without, in turn."""
    action, data = campaign(size)
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


@contextmanager
def processes(count: int) -> Iterator[dict[str, object]]:
    """Take that many processes of this machine."""
    yield {"executor": "processes", "workers": count}


@contextmanager
def cluster(count: int) -> Iterator[dict[str, object]]:
    """Start a Dask cluster of that many processes on this machine."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as made,
        Client(made) as client,
    ):
        pool: Executor = client.get_executor()
        yield {"executor": pool}


def workers(size: Size, folder: Path, cores: Collection[int]) -> list[Row]:
    """Time one campaign by IPOPT, a path a task, kept in a store: one worker against two."""
    if len(cores) < 2:
        skip("two workers", "there is one core")
        return []
    action, data = campaign(size)
    paths = SHARED if size == STANDARD else 2
    ladder = sd.Ladder(rf0=0.01, alpha=2.0, rungs=size.rungs)
    call = {"paths": paths, "ladder": ladder, "solver": "ipopt", "progress": False}
    ways = {"processes": processes, "Dask": cluster}
    if find_spec("distributed") is None:
        skip("two workers of Dask", "pip install 'symda[distributed]'")
        del ways["Dask"]
    rows = []
    for name, way in ways.items():
        took, found = {}, {}
        for count in (1, 2):
            with way(count) as given:
                # workers import and load what they need before
                sd.anneal(action, data, **{**call, "paths": 2 * count}, **given)
                began = time.perf_counter()
                run = sd.anneal(action, data, store=folder / f"{name}{count}", **call, **given)
                took[count] = time.perf_counter() - began
                found[count] = run.dataset["action"].values
        assert np.array_equal(found[1], found[2]), "workers changed the numbers"
        what = f"{paths} paths of {took[1] / paths:.2g} s on two workers ({name}), one's time over"
        rows.append(
            Row(
                SECTION,
                f"{what} theirs",
                "times",
                took[1] / took[2],
                at_least=TWICE if size == STANDARD else None,
                main=name == "processes",
                points={"one": took[1], "two": took[2]},
            )
        )
    return rows


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
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    chosen = section_size()
    place = Path(tempfile.mkdtemp(prefix="symda-store-"))
    try:
        # those that share cores, before this process stays on one
        shared = workers(chosen, place, cores)
        pin()
        hand_over([overhead(chosen, place), *opening(chosen, place), *shared])
    finally:
        shutil.rmtree(place)
