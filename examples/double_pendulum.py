"""A double pendulum from its Lagrangian: symplectic steps, and how fast trajectories separate.

Also a MODEL.py: `symda integrate double_pendulum.py --until 60` draws one trajectory.
"""

import argparse
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd

a1, a2 = sd.states("a1 a2", start=(-3.0, 3.0))  # angles from the lower rest
w1, w2 = sd.states("w1 w2")  # their velocities, in the Lagrangian only
m1, m2, l1, l2 = sd.parameters("m1 m2 l1 l2", bounds=(0.1, 10.0))
g = sd.parameter("g", value=9.81)

kinetic = (
    (m1 + m2) * l1**2 * w1**2 / 2
    + m2 * l2**2 * w2**2 / 2
    + m2 * l1 * l2 * w1 * w2 * sp.cos(a1 - a2)
)
height = -(m1 + m2) * l1 * sp.cos(a1) - m2 * l2 * sp.cos(a2)  # times mass
model = sd.Model.from_lagrangian(kinetic - g * height, [a1, a2], [w1, w2], name="double_pendulum")

parameters = {"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0}
initial = {"a1": 2.0, "a2": 2.5, "p_a1": 0.0, "p_a2": 0.0}


def spread(members: int = 20) -> sd.Trajectory:
    """Integrate an ensemble whose members begin a billionth apart."""
    start = np.tile(list(initial.values()), (members, 1))
    start[:, 0] += 1e-9 * np.arange(members)
    times = np.linspace(0.0, 30.0, 1501)
    return sd.integrate(model, times, start, method="gauss4", step=0.01, parameters=parameters)


def main(folder: Path) -> None:
    """Print H and the error of the energy; draw the ensemble."""
    print("H =", model.hamiltonian)
    found = spread()
    energy = found.evaluate(model.hamiltonian)
    print(f"energy {energy.values[0, 0]:.4f}, error at most {np.ptp(energy.values):.1e}")
    apart = found.states.sel(state="a1").std("member")
    print(f"angles spread from {apart.values[0]:.1e} to {apart.values[-1]:.1e}")
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(found.times, found.states.sel(state="a1").T, color="#0072B2", lw=0.6)
    upper.set_ylabel("a1")
    lower.semilogy(found.times, apart, color="#D55E00")
    lower.set(xlabel="time", ylabel="spread of a1")
    figure.savefig(folder / "double_pendulum.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A double pendulum, twenty times.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure")
    main(parser.parse_args().out)
