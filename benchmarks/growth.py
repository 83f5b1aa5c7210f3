"""Section "growth": an iteration of newton over N, D, P and paths at once; peak memory.

The exponent is the slope of log time against log size; an iteration is one of one path, on one
core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from climbs import climb
from common import (
    NU_BOUNDS,
    STANDARD,
    Row,
    Size,
    first_point,
    hand_over,
    lorenz96,
    observations,
    pin,
    section_size,
    skip,
)

import symda as sd
from symda.solve import Newton

SECTION = "growth"
#: GiB, by number of steps.
MEMORY = {100_000: 1.5}
TURNS = 3


def iteration(
    action: sd.Action, data: sd.Observations | sd.Experiments, paths: int, most: int
) -> float:
    """Milliseconds of an iteration and path: the fastest of several climbs of one rung."""
    problem, kernels = action.bind(data), action.compile().machine
    rf = np.ones((1, problem.D))
    climb(kernels, problem, rf, 1, max_iter=1)  # builds
    return min(climb(kernels, problem, rf, paths, max_iter=most).iteration for _ in range(TURNS))


def with_parameters(P: int) -> sd.Action:
    """Lorenz-96 with P parameters: a forcing for each state in turn, then their dampings."""
    D = STANDARD.D
    x = sd.states("x", D, start=(-10.0, 10.0))
    p = [
        sd.parameter(f"p{j}", bounds=NU_BOUNDS, start=(5.0, 15.0) if j < D else (0.5, 1.5))
        for j in range(P)
    ]
    equations = {}
    for a in range(D):
        damping = p[D + a] if D + a < P else 1
        force = p[a % min(P, D)]
        equations[x[a]] = x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - damping * x[a] + force
    model = sd.Model(equations, name="lorenz96_parameters")
    return sd.Action(model, measured=[x[a] for a in STANDARD.measured], scheme="rk4")


def parameter_data(action: sd.Action, steps: int) -> sd.Observations:
    """Twin data with every forcing at 10 and every damping at 1."""
    values = {p.name: 10.0 if j < STANDARD.D else 1.0 for j, p in enumerate(action.parameters)}
    _, data = sd.twin(action, parameters=values, dt=0.025, steps=steps, variance=0.2, seed=1)
    return data


def slope(points: Mapping[int, float]) -> float:
    """Exponent of a power law through the points, by least squares in logarithms."""
    sizes, values = np.log(list(points)), np.log(list(points.values()))
    return float(np.polyfit(sizes, values, 1)[0])


def row_of(letter: str, points: Mapping[int, float]) -> Row:
    """Sum up how the time of an iteration grows."""
    what = f"{letter} = {min(points)} to {max(points):,}: exponent of an iteration's time"
    named = {f"{letter} = {size}, ms": value for size, value in points.items()}
    return Row(SECTION, what, "power", slope(points), points=named, main=letter in "ND")


def growth(size: Size) -> list[Row]:
    """Time an iteration over every size of the problem."""
    main = lorenz96(size.D, size.measured)
    eight = max(p for p in size.lanes if p <= 8)
    over_N = {N: iteration(main, observations(main, N), eight, size.iterations) for N in size.N}
    over_K = {
        K: iteration(main, observations(main, size.N[0]), K, size.iterations) for K in size.lanes
    }
    over_D = {}
    for D in size.states:
        action = lorenz96(D, range(0, D - 1, 3))
        over_D[D] = iteration(action, observations(action, size.N[0]), eight, size.iterations)
    over_P = {}
    for P in size.parameters:
        action = with_parameters(P)
        data = parameter_data(action, size.N[0])
        over_P[P] = iteration(action, data, eight, size.iterations)
    every = {"N": over_N, "D": over_D, "P": over_P, "K": over_K}
    return [row_of(letter, points) for letter, points in every.items() if points]


def own_parameters(D: int, measured: Sequence[int]) -> sd.Action:
    """Lorenz-96 whose forcing, damping and coupling are each experiment's own."""
    x = sd.states("x", D, start=(-10.0, 10.0))
    nu = sd.parameter("nu", per="experiment", bounds=NU_BOUNDS, start=(5.0, 15.0))
    damping, coupling = sd.parameters("damping coupling", per="experiment", start=(0.5, 1.5))
    model = sd.Model(
        {
            x[a]: coupling * x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - damping * x[a] + nu
            for a in range(D)
        },
        name="lorenz96_own",
    )
    return sd.Action(model, measured=[x[a] for a in measured], scheme="rk4")


def cut(data: sd.Observations, count: int, steps: int) -> sd.Experiments:
    """Cut a recording into experiments of so many steps each."""
    pieces = [slice(k * steps, (k + 1) * steps + 1) for k in range(count)]
    return sd.Experiments(
        [
            sd.Observations(data.times[piece], data.values[piece], variance=data.variance[piece])
            for piece in pieces
        ]
    )


def experiments(size: Size) -> list[Row]:
    """Time an iteration over many experiments against one recording of as many steps."""
    count, steps = size.experiments
    eight = max(p for p in size.lanes if p <= 8)
    main, own = lorenz96(size.D, size.measured), own_parameters(size.D, size.measured)
    whole = observations(main, count * steps)
    pieces = cut(whole, count, steps)
    alone = iteration(main, whole, eight, size.iterations)
    shared = iteration(main, pieces, eight, size.iterations)
    three = iteration(own, pieces, eight, size.iterations)
    name = f"{count} experiments of {steps} steps"
    base = f"one of {count * steps:,} steps, ms"
    return [
        Row(
            SECTION,
            f"{name}: an iteration, of one of {count * steps:,}",
            "times",
            shared / alone,
            at_most=1.2,
            points={base: alone, "shared, ms": shared},
            main=True,
        ),
        Row(
            SECTION,
            f"{name}, 3 parameters each its own: an iteration, the same",
            "times",
            three / alone,
            at_most=2.0,
            points={base: alone, "own, ms": three},
            main=True,
        ),
    ]


def on_threads(size: Size) -> list[Row]:
    """Time one path over many experiments, which two threads share, against one thread."""
    count, steps = size.experiments
    if (os.cpu_count() or 1) < 2:
        skip("a path on two threads", "there is one core")
        return []
    action = lorenz96(size.D, size.measured)
    problem = action.bind(cut(observations(action, count * steps), count, steps))
    solver = Newton(max_iter=size.iterations).at(action.compile().machine, problem)
    path, theta = first_point(problem, 0)
    rf = np.ones((1, problem.D))
    seconds = {1: np.inf, 2: np.inf}
    for _ in range(TURNS):
        for threads in seconds:
            began = time.perf_counter()
            solver.ladder(path[None], theta[None], rf, threads=threads)
            seconds[threads] = min(seconds[threads], time.perf_counter() - began)
    return [
        Row(
            SECTION,
            f"{count} experiments of {steps} steps, one path: on 2 threads faster",
            "times",
            seconds[1] / seconds[2],
            at_least=1.7,
            points={f"{threads} threads, ms": 1e3 * s for threads, s in seconds.items()},
        )
    ]


def peak_memory(N: int, D: int) -> float:
    """GiB that a fresh process of an annealing run with N steps takes at most, imports included."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("memory.py")), str(N), str(D)],
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.strip().split("\n")[-1])


def available() -> float:
    """GiB that this machine can still give; infinite where it does not say."""
    names = ("SC_AVPHYS_PAGES", "SC_PAGE_SIZE")
    if not all(name in os.sysconf_names for name in names):
        return np.inf
    return float(np.prod([os.sysconf(name) for name in names])) / 2**30


def memory(sizes: Sequence[int], D: int) -> list[Row]:
    """Peak memory over N, as far as this machine's goes."""
    rows: list[Row] = []
    for N in sizes:
        # as much a step as the run before took, and some
        expected = 1.2 * rows[-1].symda * N / sizes[len(rows) - 1] if rows else 0.0
        if expected > available():
            skip(f"memory at N = {N}", f"it may take {expected:.0f} GiB")
            break
        rows.append(
            Row(
                SECTION,
                f"peak memory, D = {D}, N = {N:,}",
                "GiB",
                peak_memory(N, D),
                at_most=MEMORY.get(N),
                main=True,
            )
        )
    return rows


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    held, threads = memory(size.memory, size.D), on_threads(size)
    pin()
    return [*growth(size), *experiments(size), *threads, *held]


if __name__ == "__main__":
    hand_over(measure(section_size()))
