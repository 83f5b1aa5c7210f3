"""A run that is killed and gone on with: the same numbers, to the last bit.

Lorenz-96 with five states, of which two are measured. A process of its own anneals eight paths into
a folder and is killed, hard, when some are done. The same call goes on from there.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np

import symda as sd

D = 5
x = sd.states("x", D, start=(-10.0, 10.0))
nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
model = sd.Model(
    {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="lorenz96"
)
action = sd.Action(model, measured=[x[0], x[2]])


def campaign(store: Path | None) -> sd.Run:
    """Anneal; with L-BFGS-B, whose paths end one by one."""
    _, data = sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=15, variance=0.5, seed=3, discard=20.0
    )
    ladder = sd.Ladder(alpha=64.0, rungs=3)
    return sd.anneal(
        action, data, paths=8, ladder=ladder, seed=1, solver="lbfgs", executor="serial",
        store=store,
    )  # fmt: skip


def main() -> None:
    """Kill a run, look at what is there, go on, and compare with one that was not killed."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs" / "first"
        child = multiprocessing.get_context("spawn").Process(target=campaign, args=(store,))
        child.start()
        journal = store / "0" / "journal"
        while child.is_alive() and not (journal.exists() and journal.stat().st_size > 6_000):
            time.sleep(0.01)
        child.kill()
        child.join()
        print(f"killed with {journal.stat().st_size} bytes in the journal")
        run = campaign(store)
        whole = campaign(None)
        for name in ("action", "states", "parameters"):
            assert np.array_equal(run.dataset[name], whole.dataset[name], equal_nan=True), name
        assert sd.load(store).best.action == whole.best.action
        print(f"gone on with, it ends at {run.best.action:.12g}, as the whole one does")


if __name__ == "__main__":
    main()
