"""Runs a stored annealing many times, each killed at a random moment, until it ends; forks."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
from rings import ring, twin

import symda as sd

CALLS: dict[str, dict[str, object]] = {
    "ladder": {"paths": 48, "ladder": sd.Ladder(alpha=4.0, rungs=12)},
    "auto": {},
    "population": {"strategy": "population", "paths": 4, "attempts": 3},
    "shooting": {"strategy": "shooting", "paths": 12},
    "ipopt": {"solver": "ipopt", "paths": 4, "ladder": sd.Ladder(alpha=16.0, rungs=5)},
}
CLOCKS = ("seconds", "solution_seconds")


def differing(one, other) -> list[str]:
    """Name the variables of two datasets that are not the same to the last bit."""
    names = (set(one.variables) | set(other.variables)) - set(CLOCKS)
    return [n for n in sorted(map(str, names)) if not _same(one, other, n)]


def _same(one, other, name) -> bool:
    if name not in one.variables or name not in other.variables:
        return False
    a, b = one[name], other[name]
    number = a.dtype.kind == "f"
    return a.dims == b.dims and bool(np.array_equal(a.values, b.values, equal_nan=number))


def run(action, data, call: str, store: Path | None = None) -> sd.Run:
    """Anneal in this thread."""
    with_store = {} if store is None else {"store": store}
    return sd.anneal(action, data, seed=3, executor="serial", **CALLS[call], **with_store)


def main(call: str, kills: int, folder: Path) -> None:
    """Kill sessions of a call, compare what the last one ends with, and begin anew."""
    action = ring()
    _, data = twin(action, steps=20)
    began = time.monotonic()
    expected = run(action, data, call).dataset
    took = time.monotonic() - began
    rng, store, ends, done = random.Random(kills), folder / "run", 0, 0
    while done < kills:
        # later and later, so that it comes to its end in turn
        until = time.monotonic() + rng.uniform(0.0, 0.3 + 0.2 * (done % 5)) * took
        child = os.fork()
        if not child:
            try:
                found = run(action, data, call, store)
                bad = differing(found.dataset, expected) + differing(
                    sd.load(store).dataset, expected
                )
                sys.stderr.write(f"{bad}\n")
                os._exit(bool(bad))
            except BaseException as error:
                sys.stderr.write(f"{error!r}\n")
                os._exit(2)
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                if status:
                    sys.exit(f"after {done} kills a session ended with status {status}")
                ends += 1
                shutil.rmtree(store)
                break
            time.sleep(0.001)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            done += 1
    sys.stdout.write(f"{done} kills, {ends} ends, all with the same numbers\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
