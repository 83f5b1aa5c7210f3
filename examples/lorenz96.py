"""Lorenz-96 with eleven states, six of them measured: find the other five and the forcing nu.

dx_a/dt = x_(a-1) (x_(a+1) - x_(a-2)) - x_a + nu, indices modulo 11 (E. N. Lorenz 1996).

Six measured states are enough for every start to end on the same lowest level; try four or two.
"""

import argparse
from pathlib import Path

import symda as sd

D = 11
x = sd.states("x", D, start=(-10.0, 10.0))
nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))

model = sd.Model(
    {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)},
    name="lorenz96",
)
measured = [x[0], x[2], x[4], x[6], x[8], x[10]]
scheme = "rk4"


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Make data with noise of variance 0.2 and anneal eight paths."""
    action = sd.Action(model, measured, scheme=scheme)
    truth, data = sd.twin(
        action, parameters={"nu": 10.0}, dt=0.025, steps=100, variance=0.2, seed=1, discard=20.0
    )
    run = sd.anneal(action, data, ladder=sd.Ladder(0.01, 2.0, 26), paths=8, seed=0)
    return truth, data, run


def main(folder: Path) -> None:
    """Print what was found and draw the levels and the unmeasured states."""
    truth, _, run = estimate()
    print(run.summary())
    print(f"nu = {run.best.parameters['nu']:.4f}, true value {truth.parameters['nu']}")
    run.plot_levels(folder / "lorenz96_levels.png")
    run.plot_states(folder / "lorenz96_states.png", states=["x1", "x3", "x5", "x7"], truth=truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Lorenz-96, six of eleven states measured.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
