"""Section "path": a ladder climbed by IPOPT on symda's kernels and on what CasADi alone offers.

The same data, starts, values of Rf and options of IPOPT for all; one core; processor time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from baseline_casadi import Twin, climb, export, exported, virtual_machine
from common import (
    DT,
    NU_BOUNDS,
    SIZES,
    VARIANCE,
    Row,
    Size,
    first_point,
    hand_over,
    lorenz96,
    observations,
    pin,
    section_size,
)

import symda as sd
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step
from symda.solve import Ipopt, Solver
from symda.solve.ipopt import DIRECT_DEFAULTS

SECTION = "path"
TARGET = 3.5
#: Two levels nearer than this are one.
SAME = 1e-6


@dataclass(frozen=True)
class Climb:
    """One path up the whole ladder: action at its end, iterations and processor seconds."""

    action: float
    iterations: int
    seconds: float


Machine = Callable[[np.ndarray, np.ndarray], Climb]


def twin_of(size: Size, data: sd.Observations) -> Twin:
    """Take the same data for the program written by hand."""
    return Twin(np.asarray(data.values), size.measured, VARIANCE, DT, size.D, NU_BOUNDS)


def ladder(size: Size) -> list[float]:
    """Rf = 0.01 x 2^beta."""
    return [0.01 * 2.0**beta for beta in range(size.rungs)]


def by_symda(solver: Solver, size: Size) -> Machine:
    """Climb with one of symda's solvers."""

    def run(path: np.ndarray, theta: np.ndarray) -> Climb:
        started, iterations, action = time.process_time(), 0, np.nan
        for rf in ladder(size):
            found = solver.minimise(path, theta, np.full(size.D, rf))
            path, theta, action = found.path, found.theta, found.action
            iterations += found.iterations
        return Climb(action, iterations, time.process_time() - started)

    return run


def by_hand(solver: object, twin: Twin, size: Size) -> Machine:
    """Climb with the program written by hand."""

    def run(path: np.ndarray, theta: np.ndarray) -> Climb:
        started = time.process_time()
        rungs = climb(solver, twin, np.append(path, theta), ladder(size))
        iterations = sum(rung.iterations for rung in rungs)
        return Climb(rungs[-1].action, iterations, time.process_time() - started)

    return run


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    action = lorenz96(size.D, size.measured)
    data = observations(action, size.steps)
    problem, kernels, twin = action.bind(data), action.compile().machine, twin_of(size, data)
    interpreted = virtual_kernels(derive_step(action.field, action.scheme), action.emitted)
    with tempfile.TemporaryDirectory() as folder:
        library = export(twin, Path(folder), "-O2")
        machines = {
            "direct": by_symda(Ipopt(kernels, problem), size),
            "lifted": by_symda(Ipopt(kernels, problem, formulation="lifted"), size),
            "direct, no compiler": by_symda(Ipopt(interpreted, problem), size),
            "CasADi virtual machine": by_hand(virtual_machine(twin, DIRECT_DEFAULTS), twin, size),
            "CasADi's C export": by_hand(exported(library, DIRECT_DEFAULTS), twin, size),
        }
        climbs: dict[str, list[Climb]] = {name: [] for name in machines}
        for number in range(size.paths):  # in turns, so that a change of load meets all of them
            start = first_point(problem, number)
            for name, machine in machines.items():
                climbs[name].append(machine(*start))
    return compare(climbs, TARGET if size == SIZES["standard"] else None)


def compare(climbs: dict[str, list[Climb]], target: float | None) -> list[Row]:
    """Medians over the paths; one row for each of symda's machines and each alternative."""
    ours, alternatives = list(climbs)[:3], list(climbs)[3:]
    seconds = {name: statistics.median(c.seconds for c in done) for name, done in climbs.items()}
    rows = []
    for other in alternatives:
        for name in ours:
            goal = target if (name, other) == (ours[0], alternatives[0]) else None
            rows.append(
                Row(SECTION, name, "s", seconds[name], other, seconds[other], at_least_times=goal)
            )
    for name in ours:
        other = alternatives[0]
        count = [statistics.median(c.iterations for c in climbs[n]) for n in (name, other)]
        each = [
            1e3 * sum(c.seconds for c in climbs[n]) / sum(c.iterations for c in climbs[n])
            for n in (name, other)
        ]
        same = [
            abs(a.action - b.action) <= SAME * abs(b.action)
            for a, b in zip(climbs[name], climbs[other], strict=True)
        ]
        rows += [
            Row(SECTION, f"{name}: iterations", "iterations", count[0], other, count[1]),
            Row(SECTION, f"{name}: an iteration", "ms", each[0], other, each[1]),
            Row(SECTION, f"{name}: same level as {other}", "share", sum(same) / len(same)),
        ]
    return rows


if __name__ == "__main__":
    hand_over(measure(section_size()))
