"""A Hodgkin-Huxley neuron in current clamp: its voltage measured, gates and conductances unknown.

dV/dt = I(t) - gNa m^3 h (V - 50) - gK n^4 (V + 77) - gL (V + 54.4) and, for each gate g = m, h, n,
dg/dt = alpha_g(V) (1 - g) - beta_g(V) g. V in mV, times in ms, conductances in mS/cm^2, the
capacitance is 1 uF/cm^2 (A. L. Hodgkin and A. F. Huxley 1952, with rest near -65 mV).

The rates alpha_m and alpha_n have the form x / (1 - exp(-x)). Written like that they are 0/0 at a
voltage the neuron passes through; as 1 / exprel(-x) they are smooth.
"""

import argparse
from pathlib import Path

import numpy as np
import sympy as sp

import symda as sd

V = sd.state("V", bounds=(-100.0, 60.0), start=(-80.0, 40.0))
m, h, n = sd.states("m h n", bounds=(0.0, 1.0))
g_na = sd.parameter("gNa", bounds=(50.0, 200.0), start=(80.0, 160.0))
g_k = sd.parameter("gK", bounds=(10.0, 80.0), start=(20.0, 60.0))
g_l = sd.parameter("gL", bounds=(0.05, 1.0), start=(0.1, 0.6))
current = sd.forcing("I")


def gate(g: sp.Symbol, alpha: sp.Expr, beta: sp.Expr) -> sp.Expr:
    """Kinetics of a gate that opens at the rate alpha and closes at the rate beta."""
    return alpha * (1 - g) - beta * g


model = sd.Model(
    {
        V: current - g_na * m**3 * h * (V - 50) - g_k * n**4 * (V + 77) - g_l * (V + 54.4),
        m: gate(m, 1 / sd.exprel(-(V + 40) / 10), 4 * sp.exp(-(V + 65) / 18)),
        h: gate(h, 0.07 * sp.exp(-(V + 65) / 20), 1 / (1 + sp.exp(-(V + 35) / 10))),
        n: gate(n, 0.1 / sd.exprel(-(V + 55) / 10), 0.125 * sp.exp(-(V + 65) / 80)),
    },
    name="neuron",
)
measured = [V]
scheme = "hermite-simpson"

TRUE = {"gNa": 120.0, "gK": 36.0, "gL": 0.3}


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Inject a current that wanders for 30 ms, measure V with noise of 1 mV, anneal four paths."""
    action = sd.Action(model, measured, scheme=scheme)
    knots = np.arange(0.0, 31.0, 2.0)
    injected = sd.Samples(knots, np.random.default_rng(5).uniform(-5.0, 30.0, knots.size), "cubic")
    truth, data = sd.twin(
        action,
        parameters=TRUE,
        dt=0.1,
        steps=300,
        variance=1.0,
        seed=4,
        initial={"V": -65.0, "m": 0.05, "h": 0.6, "n": 0.32},
        forcing={"I": injected},
    )
    # An error of 0.01 in a gate weighs like one of 1 mV in the voltage.
    rf0 = {"V": 0.01, "m": 100.0, "h": 100.0, "n": 100.0}
    run = sd.anneal(action, data, ladder=sd.Ladder(rf0, 8.0, 8), paths=4, seed=0)
    return truth, data, run


def main(folder: Path) -> None:
    """Print what was found and draw voltage and gates."""
    truth, _, run = estimate()
    print(run.summary())
    for name, value in TRUE.items():
        print(f"{name} = {run.best.parameters[name]:.4f}, true value {value}")
    run.plot_states(folder / "neuron_states.png", truth=truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A Hodgkin-Huxley neuron, its voltage measured.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
