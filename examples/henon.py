"""The Henon map, a model in discrete time: x measured, y and both parameters unknown.

x_(n+1) = 1 - a x_n^2 + y_n, y_(n+1) = b x_n (M. Henon 1976).
"""

import argparse
from pathlib import Path

import symda as sd

x, y = sd.states("x y", start=(-1.5, 1.5))
a = sd.parameter("a", bounds=(0.0, 2.0), start=(1.0, 1.8))
b = sd.parameter("b", bounds=(-1.0, 1.0), start=(0.0, 0.6))

model = sd.Model({x: 1 - a * x**2 + y, y: b * x}, name="henon", discrete=True)
measured = [x]
scheme = "map"

TRUE = {"a": 1.4, "b": 0.3}


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Measure x at sixty steps with noise of standard deviation 0.05 and anneal sixteen paths."""
    action = sd.Action(model, measured, scheme=scheme)
    truth, data = sd.twin(
        action,
        parameters=TRUE,
        dt=1.0,
        steps=60,
        variance=0.05**2,
        seed=3,
        initial={"x": 0.1, "y": 0.1},
        discard=100.0,
    )
    run = sd.anneal(action, data, ladder=sd.Ladder(1.0, 2.0, 26), paths=16, seed=0)
    return truth, data, run


def main(folder: Path) -> None:
    """Print what was found and draw the levels and both states."""
    truth, _, run = estimate()
    print(run.summary())
    print(run.table().head())
    for name, value in TRUE.items():
        print(f"{name} = {run.best.parameters[name]:.4f}, true value {value}")
    run.plot_levels(folder / "henon_levels.png")
    run.plot_states(folder / "henon_states.png", truth=truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The Henon map, x measured.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
