"""Weather as data arrive: Lorenz's ring of 20 sites, every other one measured, cycle after cycle.

Each cycle forecasts the next data, takes them in, and hands on what it knows. The forcing is
estimated besides. Cycles are kept in a folder: with further data the same call goes on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import symda as sd

D = 20
x = sd.states("x", D, start=(-10.0, 10.0))
F = sd.parameter("F", start=(6.0, 10.0))
model = sd.Model(
    {x[a]: (x[(a + 1) % D] - x[a - 2]) * x[a - 1] - x[a] + F for a in range(D)}, name="weather"
)
action = sd.Action(model, x[::2])


def main() -> None:
    """Take in half of the data, then all of them."""
    truth, data = sd.twin(
        action, parameters={"F": 8.0}, dt=0.05, steps=160, variance=1.0, seed=1, discard=5.0
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "weather"
        half = sd.Observations(data.times[:81], data.values[:81], variance=1.0)
        first = action.cycle(half, window=10, store=store)
        cycles = action.cycle(data, window=10, store=store)
    assert first.dataset.sizes["cycle"] == 80 and cycles.dataset.sizes["cycle"] == 160
    print(cycles)
    errors = cycles.errors(truth).isel(cycle=slice(80, None)).mean()
    print(", ".join(f"{kind} {float(errors[kind]):.3f}" for kind in errors))
    cycles.plot("cycles.png", states=["x0", "x1", "x2"], truth=truth)
    assert float(errors["smoothed"]) < float(errors["analysis"]) < float(errors["forecast"]) < 0.6


if __name__ == "__main__":
    main()
