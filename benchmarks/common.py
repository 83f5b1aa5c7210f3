"""What the sections share: the problem, its sizes, rows of the table, clocks."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
        Starts for the time a path takes with IPOPT.
    many
        Starts for the time a path takes with newton, and for its hit rate.
    some
        Starts for IPOPT's hit rate.
    beyond
        Data sets with two measured states.
    slow
        Seconds after which a path of L-BFGS is given up.
    builds, lanes_built, sites
        Numbers of states to build kernels for, and newton's module; of sites of a stencil.
    exported
        Those to export with CasADi as well.
    time_limit
        Seconds that gcc may take over an export.
    repeats
        Fresh processes for a median.
    N, states, parameters, lanes
        What the cost of an iteration is measured over: steps, states, parameters, paths at once.
    iterations
        Iterations of newton that are enough to time one.
    memory
        Steps of the problems whose peak memory is measured.
    experiments
        How many experiments there are, and the steps of each.
    neuron
        Milliseconds and paths of the neuron.
    flow
        Time units and members of the trajectories that are integrated.
    figure, solvers
        Paths a panel of the paper's figure, and the solvers to draw it with.
    """

    D: int = 11
    measured: tuple[int, ...] = (0, 3, 6, 9)
    steps: int = 165
    rungs: int = 26
    paths: int = 5
    many: int = 400
    some: int = 100
    beyond: int = 0
    slow: float = 25.0
    builds: tuple[int, ...] = (11, 40, 100)
    lanes_built: tuple[int, ...] = (11, 40)
    sites: int = 1000
    exported: tuple[int, ...] = (11, 40)
    time_limit: float = 30.0
    repeats: int = 5
    N: tuple[int, ...] = (100, 1000, 10_000)
    states: tuple[int, ...] = (5, 10, 20, 40, 100)
    parameters: tuple[int, ...] = (1, 5, 10, 20)
    lanes: tuple[int, ...] = (1, 2, 4, 8, 16, 64)
    iterations: int = 30
    experiments: tuple[int, int] = (100, 100)
    memory: tuple[int, ...] = (100_000,)
    neuron: tuple[float, int] = (120.0, 8)
    flow: tuple[float, int] = (10.0, 1000)
    figure: int = 100
    solvers: tuple[str, ...] = ("newton",)


STANDARD = Size()
SIZES = {
    "quick": Size(
        D=5,
        measured=(0, 2),
        steps=8,
        rungs=3,
        paths=2,
        many=4,
        some=2,
        beyond=1,
        slow=0.5,
        builds=(5,),
        lanes_built=(5,),
        sites=20,
        exported=(5,),
        repeats=1,
        N=(4, 8),
        states=(4, 5),
        parameters=(),
        lanes=(1, 2),
        iterations=2,
        experiments=(2, 3),
        memory=(50,),
        neuron=(0.4, 1),
        flow=(0.4, 4),
        figure=2,
    ),
    "standard": STANDARD,
    "full": replace(STANDARD, memory=(100_000, 1_000_000), solvers=("newton", "ipopt"), beyond=10),
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
        ``s``, ``ms``, ``GiB``, ``iterations``, ``share``, ``power``, ``times`` or ``Gflop/s``.
    symda : float
        symda's number.
    instead : str
        What a user would take instead, empty where nothing is comparable.
    other : float, optional
        Its number.
    at_most, at_most_beyond, at_least, at_least_times : float, optional
        The project's target for symda's number, for its excess over the other, for symda's number
        where more is better, for the ratio.
    interval : (float, float), optional
        95 % interval of symda's number.
    endless : bool
        Whether `other` is where the time limit ended it.
    main : bool
        Whether the row belongs in the README.
    points : mapping of str to float, optional
        The measurements behind the number.
    """

    section: str
    what: str
    unit: str
    symda: float
    instead: str = ""
    other: float | None = None
    at_most: float | None = None
    at_most_beyond: float | None = None
    at_least: float | None = None
    at_least_times: float | None = None
    interval: tuple[float, float] | None = None
    endless: bool = False
    main: bool = False
    points: Mapping[str, float] | None = None

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
        if self.at_least is not None:
            return self.symda >= self.at_least
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


def skip(what: str, why: str) -> None:
    """Say on standard error what is left out; the table goes without it."""
    print(f"left out: {what}: {why}", file=sys.stderr, flush=True)


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


def lorenz96_sites(sites: int, measured: Sequence[int]) -> sd.Action:
    """Declare the same model with an index over its sites."""
    import symda as sd

    i = sd.site("i", sites)
    x = sd.states("x", i, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=NU_BOUNDS, start=(5.0, 15.0))
    model = sd.Model({x[i]: x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + nu}, name="lorenz96_sites")
    return sd.Action(model, measured=[x[a] for a in measured], scheme="rk4")


def library(name: str) -> object | None:
    """Import what is comparable, if it is installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        skip(name, f"not installed; `make bench` does so, or `pip install {name}`")
        return None


def observations(action: sd.Action, steps: int) -> sd.Observations:
    """Make the data of a twin experiment."""
    import symda as sd

    _, data = sd.twin(action, parameters={"nu": NU}, dt=DT, steps=steps, variance=VARIANCE, seed=1)
    return data


def first_point(problem: object, path: int) -> tuple[NDArray, NDArray]:
    """Start number `path`, the one that `anneal(seed=0)` takes."""
    from symda.anneal.starts import Draw, Uniform

    return Uniform().point(Draw(problem, number=path))
