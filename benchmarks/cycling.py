"""Section "cycle": Lorenz-96 of 40 states, 20 measured every 0.05, against DAPPER's smoothers."""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np
import xarray as xr
from common import STANDARD, Row, Size, hand_over, library, pin, section_size

import symda as sd

SECTION = "cycle"
DT, D = 0.05, 40
#: Windows of symda's, in cycles; that of `Action.cycle` if nothing is said.
WINDOWS, DEFAULT = (10, 20), 20


def rates(x: np.ndarray) -> np.ndarray:
    """F of Lorenz (1996) with forcing 8."""
    return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8.0


def made(cycles: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth (K + 1, D), data (K, D/2), and what is known at time 0, (D,).

    By classical Runge-Kutta steps of DT, which are DAPPER's.
    """
    rng = np.random.default_rng(seed)
    x = 8.0 + rng.normal(size=D)
    found = []
    for n in range(400 + cycles + 1):
        if n >= 400:
            found.append(x)
        a = rates(x)
        b = rates(x + 0.5 * DT * a)
        c = rates(x + 0.5 * DT * b)
        d = rates(x + DT * c)
        x = x + DT / 6.0 * (a + 2.0 * b + 2.0 * c + d)
    truth = np.array(found)
    data = truth[1:, ::2] + rng.normal(size=(cycles, D // 2))
    return truth, data, truth[0] + rng.normal(size=D)


def cycled(
    truth: np.ndarray, data: np.ndarray, known: np.ndarray, window: int
) -> tuple[np.ndarray, float]:
    """Return rms errors of symda's analyses by cycle, and ms of CPU time a cycle."""
    x = sd.states("x", D, start=(-10.0, 10.0))
    equations = {x[a]: (x[(a + 1) % D] - x[a - 2]) * x[a - 1] - x[a] + 8.0 for a in range(D)}
    action = sd.Action(sd.Model(equations, name="ring"), x[::2], scheme="rk4")
    t = DT * np.arange(len(truth))
    made_of = sd.Observations(t[1:], data, variance=1.0)
    prior = {one: (mean, 1.0) for one, mean in zip(x, known, strict=True)}
    action.cycle(sd.Observations(t[1:3], data[:2], variance=1.0), prior=prior, start=0.0)  # builds
    began = time.process_time()
    cycles = action.cycle(made_of, window=window, prior=prior, start=0.0)
    took = time.process_time() - began
    states = xr.DataArray(
        truth, dims=("time", "state"), coords={"time": t, "state": [one.name for one in x]}
    )
    return cycles.errors(states)["analysis"].values, 1e3 * took / len(data)


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    real = size.D == STANDARD.D
    cycles, spin_up = (2000, 200) if real else (12, 2)
    truth, data, known = made(cycles, seed=3)
    others: dict[str, tuple[float, float]] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        # it greets
        there = library("dapper") is not None
    if there:
        from baseline_dapper import assimilated, methods

        for name, method in methods(real=real).items():
            errors, took = assimilated(method, truth, data, DT, known)
            others[name] = float(errors[-len(data) :][spin_up:].mean()), took
    best = min(others, key=lambda name: others[name][0]) if others else ""
    rows = []
    for window in WINDOWS:
        errors, took = cycled(truth, data, known, window)
        error = float(errors[spin_up:].mean())
        what = f"windows of {window}, {cycles:,} cycles"
        points = {name: error for name, (error, _) in others.items()}
        for unit, mine, i in (("rmse", error, 0), ("ms", took, 1)):
            kind = "rms error of analyses" if unit == "rmse" else "a cycle"
            rows.append(
                Row(
                    SECTION,
                    f"{kind}, {what}",
                    unit,
                    mine,
                    f"DAPPER's {best}, the best of {len(others)}" if others else "",
                    others[best][i] if others else None,
                    at_least_times=1.0 if real and unit == "rmse" and window == DEFAULT else None,
                    main=window == DEFAULT,
                    points=points if unit == "rmse" else {},
                )
            )
    return rows


if __name__ == "__main__":
    hand_over(measure(section_size()))
