"""Lorenz-63 pulled towards its data by an unknown gain whose square is paid.

The measured x enters its own equation, x' = F + u (x_data - x), with the gain u(t) at the cost
int u^2 (H. D. I. Abarbanel, D. R. Creveling, R. Farsian, M. Kostuk, SIAM J. Appl. Dyn. Syst. 8
(2009) 1341). The pull makes the action smooth where the free equations are chaotic; at the best
path the gain is near 0 and the parameters are those of the data.
"""

import argparse
from pathlib import Path

import numpy as np

import symda as sd

x, y, z = sd.states("x y z", start=(-20.0, 20.0))
sigma = sd.parameter("sigma", bounds=(5.0, 20.0))
rho = sd.parameter("rho", bounds=(10.0, 50.0))
beta = sd.parameter("beta", bounds=(1.0, 5.0))
u = sd.control("u", cost=1.0, start=(0.0, 10.0))

equations = {x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z}
free = sd.Model(equations, name="lorenz63")
model = sd.Model({**equations, x: equations[x] + u * (sd.measured(x) - x)}, name="synchronised")
measured = [x]
scheme = "rk4"

TRUE = {"sigma": 10.0, "rho": 28.0, "beta": 8.0 / 3.0}


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Make data with the free equations, and anneal eight paths of those that are pulled."""
    truth, data = sd.twin(
        sd.Action(free, measured, scheme=scheme),
        parameters=TRUE,
        dt=0.02,
        steps=200,
        variance=0.25,
        seed=1,
        discard=20.0,
    )
    run = sd.anneal(
        sd.Action(model, measured, scheme=scheme),
        data,
        ladder=sd.Ladder(rf0=1.0, alpha=4.0, rungs=12),
        paths=8,
        seed=0,
        solver="newton",
    )
    return truth, data, run


def main(folder: Path) -> None:
    """Print parameters and what the gain is at the best path, and draw the states."""
    truth, _, run = estimate()
    print(run.summary())
    for name, value in TRUE.items():
        print(f"{name} = {run.best.parameters[name]:.4f}, true value {value:.4f}")
    gain = run.best.states.sel(state="u").values
    print(f"gain: mean {np.mean(gain):.3g}, largest {np.max(gain):.3g}")
    run.plot_states(folder / "synchronisation.png", truth=truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Lorenz-63 with a paid coupling to its data.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
