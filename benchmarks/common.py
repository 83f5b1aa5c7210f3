"""What the sections share: the problem, its sizes, rows of the table, clocks."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    import symda as sd


@dataclass(frozen=True)
class Size:
    """How much a section does.

    Parameters
    ----------
    D, measured, steps, rungs
        Lorenz-96: states, measured components, steps N, values of Rf.
    paths
        Starts for the time a path takes.
    builds
        Numbers of states to build kernels for.
    repeats
        Fresh processes for a median.
    """

    D: int = 11
    measured: tuple[int, ...] = (0, 3, 6, 9)
    steps: int = 165
    rungs: int = 26
    paths: int = 20
    builds: tuple[int, ...] = (11, 40)
    repeats: int = 7


SIZES = {
    "quick": Size(D=5, measured=(0, 2), steps=8, rungs=3, paths=2, builds=(5,), repeats=1),
    "standard": Size(),
}

DT, VARIANCE, NU, NU_BOUNDS = 0.025, 0.2, 10.0, (0.0, 20.0)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    section, what : str
        Where it belongs and what was measured.
    unit : str
        ``s``, ``ms``, ``iterations`` or ``share``.
    symda : float
        symda's number.
    instead : str
        What a user would take instead, empty where nothing is comparable.
    other : float, optional
        Its number.
    at_most, at_most_beyond, at_least_times : float, optional
        The project's target for symda's number, for its excess over the other, for the ratio.
    """

    section: str
    what: str
    unit: str
    symda: float
    instead: str = ""
    other: float | None = None
    at_most: float | None = None
    at_most_beyond: float | None = None
    at_least_times: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the other's number is symda's."""
        return None if self.other is None else self.other / self.symda

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_most is not None:
            return self.symda <= self.at_most
        if self.at_most_beyond is not None and self.other is not None:
            return self.symda - self.other <= self.at_most_beyond
        if self.at_least_times is not None and self.ratio is not None:
            return self.ratio >= self.at_least_times
        return None


def section_size() -> Size:
    """Size named on the command line of a section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=sorted(SIZES), default="standard")
    return SIZES[parser.parse_args().size]


def hand_over(rows: Sequence[Row]) -> None:
    """Print rows as one line of JSON, which `run.py` reads."""
    print(json.dumps([asdict(row) for row in rows]))


def pin() -> None:
    """Stay on one core, where the system can be told so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def milliseconds(call: Callable[[], object], batches: int = 7, seconds: float = 0.05) -> float:
    """Processor time of a call: the fastest of several batches of about `seconds` each."""
    count = 1
    while True:
        started = time.process_time()
        for _ in range(count):
            call()
        elapsed = time.process_time() - started
        if elapsed >= seconds / 2:
            break
        count *= 2
    best = elapsed
    for _ in range(batches - 1):
        started = time.process_time()
        for _ in range(count):
            call()
        best = min(best, time.process_time() - started)
    return 1e3 * best / count


def lorenz96(D: int, measured: Sequence[int]) -> sd.Action:
    """Declare the model and its action as a user does."""
    import symda as sd

    x = sd.states("x", D, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=NU_BOUNDS, start=(5.0, 15.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)},
        name="lorenz96",
    )
    return sd.Action(model, measured=[x[a] for a in measured], scheme="rk4")


def observations(action: sd.Action, steps: int) -> sd.Observations:
    """Make the data of a twin experiment."""
    import symda as sd

    _, data = sd.twin(action, parameters={"nu": NU}, dt=DT, steps=steps, variance=VARIANCE, seed=1)
    return data


def first_point(problem: object, path: int) -> tuple[NDArray, NDArray]:
    """Start number `path`, the one that `anneal(seed=0)` takes."""
    import numpy as np

    from symda.anneal.starts import STARTS

    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(path,)))
    return STARTS["uniform"](problem, rng)
