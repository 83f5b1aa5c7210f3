"""Lorenz-63: one state measured, a third of the data missing, all three parameters unknown.

dx/dt = sigma (y - x), dy/dt = x (rho - z) - y, dz/dt = x y - beta z (E. N. Lorenz 1963).

Data come every 0.05 time units; the model takes five steps from one to the next.
"""

import argparse
from pathlib import Path

import numpy as np

import symda as sd

x, y, z = sd.states("x y z", start=(-20.0, 20.0))
sigma = sd.parameter("sigma", bounds=(1.0, 30.0), start=(5.0, 15.0))
rho = sd.parameter("rho", bounds=(1.0, 60.0), start=(20.0, 40.0))
beta = sd.parameter("beta", bounds=(0.1, 10.0), start=(1.0, 5.0))

model = sd.Model(
    {x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z},
    name="lorenz63",
)
measured = [x]
scheme = "trapezoid"

TRUE = {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3}


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Measure x every 0.05 with noise of variance 0.5, lose a third of it, anneal eight paths."""
    action = sd.Action(model, measured, scheme=scheme)
    truth, whole = sd.twin(
        action, parameters=TRUE, dt=0.05, steps=120, variance=0.5, seed=2, discard=20.0
    )
    lost = np.random.default_rng(0).random(whole.values.shape) < 1 / 3
    data = sd.Observations(
        whole.times, np.where(lost, np.nan, whole.values), variance=0.5, channels=["x"]
    )
    run = sd.anneal(action, data, ladder=sd.Ladder(0.01, 2.0, 26), paths=8, seed=0, steps=5)
    return truth, data, run


def main(folder: Path) -> None:
    """Print what was found and draw all three states."""
    truth, _, run = estimate()
    print(run.summary())
    for name, value in TRUE.items():
        print(f"{name} = {run.best.parameters[name]:.4f}, true value {value:.4f}")
    run.plot_states(folder / "lorenz63_states.png", truth=truth)
    run.plot_parameters(folder / "lorenz63_parameters.png", truth=TRUE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Lorenz-63, one state measured, with gaps.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
