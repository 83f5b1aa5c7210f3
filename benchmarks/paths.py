"""Section "path": a ladder climbed by newton, by IPOPT on symda's kernels and on CasADi only.

The same data, starts, values of Rf and options of IPOPT for all; one core; processor time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import baseline_casadi
import numpy as np
from baseline_casadi import Twin, export, exported, virtual_machine
from climbs import climb, newton_rows, thread_rows, verdict_row
from common import (
    DT,
    NU_BOUNDS,
    STANDARD,
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
from peak import peak

import symda as sd
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step
from symda.solve import Ipopt, Lbfgs, Solver
from symda.solve.ipopt import DIRECT_DEFAULTS

SECTION = "path"
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
        rungs = baseline_casadi.climb(solver, twin, np.append(path, theta), ladder(size))
        iterations = sum(rung.iterations for rung in rungs)
        return Climb(rungs[-1].action, iterations, time.process_time() - started)

    return run


def patiently(
    solver: Solver, start: tuple[np.ndarray, np.ndarray], size: Size
) -> tuple[float, bool]:
    """Climb until `size.slow` seconds have gone; return seconds, and whether they ended it."""
    started = time.process_time()
    for rf in ladder(size):
        found = solver.minimise(*start, np.full(size.D, rf))
        start = found.path, found.theta
        if time.process_time() - started > size.slow:
            return time.process_time() - started, rf < ladder(size)[-1]
    return time.process_time() - started, False


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    action = lorenz96(size.D, size.measured)
    data = observations(action, size.steps)
    threads = [*thread_rows(action, data, size), verdict_row(action, data, size)]
    pin()
    problem, kernels, twin = action.bind(data), action.compile().machine, twin_of(size, data)
    interpreted = virtual_kernels(derive_step(action.field, action.scheme), action.emitted)
    with tempfile.TemporaryDirectory() as folder:
        library = export(twin, Path(folder), "-O2")
        machines = {
            "direct": by_symda(Ipopt().at(kernels, problem), size),
            "lifted": by_symda(Ipopt("lifted").at(kernels, problem), size),
            "direct, no compiler": by_symda(Ipopt().at(interpreted, problem), size),
            "CasADi virtual machine": by_hand(virtual_machine(twin, DIRECT_DEFAULTS), twin, size),
            "CasADi's C export": by_hand(exported(library, DIRECT_DEFAULTS), twin, size),
        }
        climbs: dict[str, list[Climb]] = {name: [] for name in machines}
        for number in range(size.paths):  # in turns, so that a change of load meets all of them
            start = first_point(problem, number)
            for name, machine in machines.items():
                climbs[name].append(machine(*start))
    rows = compare(climbs)
    limits = {} if size.D == STANDARD.D else {"maxiter": 20}
    slow, given_up = patiently(
        Lbfgs().with_options(**limits).at(kernels, problem), first_point(problem, 0), size
    )
    seconds = {name: statistics.median(c.seconds for c in done) for name, done in climbs.items()}
    seconds["L-BFGS-B"] = slow
    rf = np.repeat(np.array(ladder(size))[:, None], size.D, axis=1)
    climb(kernels, problem, rf[:1], 1)  # loads the module
    found = climb(kernels, problem, rf, size.many)
    return [
        *newton_rows(action, found, seconds, size, peak(), {"L-BFGS-B"} if given_up else set()),
        *threads,
        *rows,
    ]


def compare(climbs: dict[str, list[Climb]]) -> list[Row]:
    """Medians over the paths; one row for each of IPOPT's machines and each alternative."""
    ours, alternatives = list(climbs)[:3], list(climbs)[3:]
    seconds = {name: statistics.median(c.seconds for c in done) for name, done in climbs.items()}
    rows = [
        Row(SECTION, f"IPOPT, {name}", "s", seconds[name], other, seconds[other], main=True)
        for other in alternatives
        for name in ours
    ]
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
            Row(SECTION, f"IPOPT, {name}: iterations", "iterations", count[0], other, count[1]),
            Row(SECTION, f"IPOPT, {name}: an iteration", "ms", each[0], other, each[1]),
            Row(SECTION, f"IPOPT, {name}: same level as {other}", "share", sum(same) / len(same)),
        ]
    return rows


if __name__ == "__main__":
    hand_over(measure(section_size()))
