"""A damped, driven pendulum seen from the side: sin(angle) measured, drive known as a formula.

d angle/dt = rate, d rate/dt = -k sin(angle) - c rate + drive(t).

The horizontal position by itself does not tell angle from pi - angle; the dynamics does.
"""

import argparse
from pathlib import Path

import sympy as sp

import symda as sd

angle = sd.state("angle", start=(-3.0, 3.0))
rate = sd.state("rate", start=(-4.0, 4.0))
k = sd.parameter("k", bounds=(0.1, 20.0), start=(2.0, 8.0))
c = sd.parameter("c", bounds=(0.0, 2.0), start=(0.0, 1.0))
drive = sd.forcing("drive")
t = sd.time()

model = sd.Model(
    {angle: rate, rate: -k * sp.sin(angle) - c * rate + drive},
    name="pendulum",
)
measured = {"position": sp.sin(angle)}
scheme = "midpoint"

TRUE = {"k": 4.0, "c": 0.3}


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Measure the position every 0.05 for 10 time units and anneal eight paths."""
    action = sd.Action(model, measured, scheme=scheme)
    truth, data = sd.twin(
        action,
        parameters=TRUE,
        dt=0.05,
        steps=200,
        variance=0.05**2,
        seed=6,
        initial={"angle": 2.0, "rate": 0.0},
        forcing={"drive": 1.5 * sp.cos(1.5 * t)},
    )
    run = sd.anneal(action, data, ladder=sd.Ladder(1.0, 4.0, 10), paths=8, seed=0)
    return truth, data, run


def main(folder: Path) -> None:
    """Print what was found and draw angle and rate, neither of which was measured."""
    truth, _, run = estimate()
    print(run.summary())
    for name, value in TRUE.items():
        print(f"{name} = {run.best.parameters[name]:.4f}, true value {value}")
    run.plot_states(folder / "pendulum_states.png", truth=truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A driven pendulum, sin(angle) measured.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
