"""Section "integrate": compiled step maps on Lorenz-96, against SciPy's solvers and a C program."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from common import STANDARD, Row, Size, hand_over, lorenz96, milliseconds, pin, section_size
from scipy.integrate import solve_ivp

import symda as sd
from symda.build import Options, toolchain
from symda.discretise.surd import decimal

SECTION = "integrate"
#: States, forcing, and how close the end point is to come.
D, NU, GOAL = 40, 8.0, 1e-6
#: Smallest relative tolerance that SciPy accepts.
LEAST = 2.3e-14
METHODS = ("rk4", "dopri5", "dop853")
SOLVERS = ("RK45", "DOP853")


def slope(_t: float, x: np.ndarray) -> np.ndarray:
    """Right-hand side as one writes it in NumPy, without `roll`."""
    y = np.empty(D + 3)
    y[2:-1], y[:2], y[-1] = x, x[-2:], x[0]
    return (y[3:] - y[:-3]) * y[1:-2] - x + NU


def on_the_attractor() -> np.ndarray:
    """Where the trajectories start."""
    x = NU + np.random.default_rng(0).normal(size=D)
    return np.asarray(
        sd.step_map(model(), "rk4", parameters=[NU]).advance(x, 0.01, 2000, every=2000)[-1]
    )


def model() -> sd.Model:
    """Lorenz-96 as a user declares it."""
    return lorenz96(D, (0,)).model


def reference(x: np.ndarray, end: float) -> np.ndarray:
    """End point in numbers of 64 bits' precision, by steps of order 8.

    Raises
    ------
    RuntimeError
        If twice the steps lead elsewhere, or SciPy's DOP853 does.
    """
    tableau = sd.INTEGRATORS["dop853"]
    A, b = (
        np.vectorize(lambda value: np.longdouble(str(decimal(value))))(np.array(numbers))
        for numbers in (tableau.A, tableau.b)
    )

    def run(steps: int) -> np.ndarray:
        h, at = np.longdouble(end) / steps, x.astype(np.longdouble)
        k = np.zeros((len(b), D), dtype=np.longdouble)
        for _ in range(steps):
            for i in range(len(b)):
                y = at + h * (A[i, :i] @ k[:i])
                k[i] = np.roll(y, 1) * (np.roll(y, -1) - np.roll(y, 2)) - y + NU
            at = at + h * (b @ k)
        return at

    best, coarse = run(round(end * 800)), run(round(end * 400))
    known = solve_ivp(slope, (0.0, end), x, method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    for other, bound in ((coarse, GOAL / 100), (known, 3 * GOAL)):
        if abs(other - best).max() > bound:
            raise RuntimeError(f"references differ by {abs(other - best).max():.2g}")
    return best.astype(float)


def cheapest(error: Callable[[float], float], candidates: np.ndarray) -> float:
    """Return the first of candidates, cheapest first, that reaches the goal with the next two.

    A single one may come close by chance; and where steps are very many, rounding is the error.
    """
    reached: list[bool] = []
    for one in candidates:
        reached.append(error(one) <= GOAL)
        if len(reached) >= 3 and all(reached[-3:]):
            return float(candidates[len(reached) - 3])
    return float(candidates[-1])


@contextmanager
def by_hand() -> Iterator[Callable[[np.ndarray, float, int], np.ndarray]]:
    """Compile the C program with the flags of emitted code."""
    chain = toolchain()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lorenz96.so"
        source = Path(__file__).with_name("lorenz96.c")
        flags = [*Options().resolve(chain), "-fPIC", "-shared"]
        subprocess.run([*chain.command, *flags, "-o", library, source], check=True)
        function = ctypes.CDLL(str(library)).rk4
        function.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_long]

        def run(x: np.ndarray, h: float, steps: int) -> np.ndarray:
            x = x.copy()
            function(x.ctypes.data, NU, h, steps)
            return x

        yield run


def tuned(x: np.ndarray, end: float, target: np.ndarray) -> dict[str, tuple[float, float]]:
    """Milliseconds of each method with the longest step, or loosest tolerance, that will do."""
    found: dict[str, tuple[float, float]] = {}
    for method in METHODS:
        step = sd.step_map(model(), method, parameters=[NU])

        def run(steps: float, step: sd.StepMap = step) -> np.ndarray:
            return step.advance(x, end / steps, int(steps), every=int(steps))[-1]

        counts = np.unique(np.round(np.geomspace(20 * end, 20_000 * end, 90)))
        steps = cheapest(lambda n, run=run: abs(run(n) - target).max(), counts)
        found[method] = milliseconds(lambda run=run, steps=steps: run(steps)), end / steps
    for solver in SOLVERS:

        def solve(tolerance: float, solver: str = solver) -> np.ndarray:
            given = {"method": solver, "rtol": max(tolerance, LEAST), "atol": tolerance}
            return solve_ivp(slope, (0.0, end), x, **given).y[:, -1]

        tolerances = np.geomspace(1e-5, 1e-15, 41)
        best = cheapest(lambda tol, solve=solve: abs(solve(tol) - target).max(), tolerances)
        found[solver] = milliseconds(lambda solve=solve, best=best: solve(best)), best
    return found


def simulated(x: np.ndarray, end: float, solver: str, tolerance: float) -> float:
    """Milliseconds of the same solver on symda's own right-hand side."""
    given = {"method": solver, "rtol": max(tolerance, LEAST), "atol": tolerance}
    return milliseconds(lambda: sd.simulate(model(), [0.0, end], x, parameters=[NU], **given))


def ensemble(x: np.ndarray, end: float, members: int, threads: int) -> float:
    """Seconds of an ensemble, by the wall clock: the fastest of five."""
    many = x + 1e-3 * np.random.default_rng(1).normal(size=(members, D))
    best = np.inf
    for _ in range(5):
        started = time.perf_counter()
        sd.integrate(model(), [0.0, end], many, step=0.01, parameters=[NU], threads=threads)
        best = min(best, time.perf_counter() - started)
    return best


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0, 1]
    end, members = size.flow
    x = on_the_attractor()
    one, two = (ensemble(x, end, members, threads) for threads in (1, 2))
    pin()
    times = tuned(x, end, reference(x, end))
    best = min(METHODS, key=lambda method: times[method])
    other = min(SOLVERS, key=lambda solver: times[solver])
    what, goal = f"D = {D}, {end:g} time units to {GOAL:g}", 20.0 if size == STANDARD else None
    rows = [
        Row(
            SECTION,
            f"{what}, {method}",
            "ms",
            times[method][0],
            f"solve_ivp, {other}, NumPy",
            times[other][0],
            at_least_times=goal if method == best else None,
            main=method == best,
            points={"step": times[method][1], **{s: times[s][0] for s in SOLVERS}},
        )
        for method in METHODS
    ]
    own = simulated(x, end, other, times[other][1])
    rows.append(Row(SECTION, f"{what}, {best}", "ms", times[best][0], f"sd.simulate, {other}", own))
    h = times["rk4"][1]
    steps = round(end / h)
    with by_hand() as run:
        step = sd.step_map(model(), "rk4", parameters=[NU])
        pairs = [
            (
                milliseconds(lambda: step.advance(x, h, steps, every=steps)),
                milliseconds(lambda: run(x, h, steps)),
            )
            for _ in range(3)
        ]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    rows.append(
        Row(
            SECTION,
            f"rk4, {steps} steps",
            "ms",
            ours,
            "the same in C by hand",
            theirs,
            at_least_times=0.5 if size == STANDARD else None,
            main=True,
        )
    )
    if len(cores) > 1:
        rows.append(
            Row(
                SECTION,
                f"ensemble of {members}, rk4, two threads",
                "s",
                two,
                "one thread",
                one,
                at_least_times=1.5 if size == STANDARD else None,
                main=True,
            )
        )
    return rows


if __name__ == "__main__":
    hand_over(measure(section_size()))
