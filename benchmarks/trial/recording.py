"""A recording of a neuron: two sweeps to fit, two to predict.

A fast-spiking cell in current clamp (see data/README.md): sodium, delayed rectifier and leak of
Hodgkin and Huxley's kind, with gates whose steady state and time constant are hyperbolic tangents
of the voltage. Bounds are wide and the same that a physiologist would give for any neuron;
conductances, in nS, and the capacitance, in pF, are moved on a logarithmic scale.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
from numpy.typing import NDArray

import symda as sd

FILE = Path(__file__).resolve().parent / "data" / "neuron" / "fsi.npz"
FIT, PREDICT = (8, 12), (10, 14)
#: ms: the current steps up at 146.8.
BEGIN, FIT_END, PREDICT_END = 145.0, 185.0, 245.0
#: mV, mV^2 and GOhm: where a spike is counted, noise, the electrode's series resistance.
THRESHOLD, VARIANCE, SERIES = 0.0, 0.25, 0.0165
#: ms: a spike is predicted if one lies so near.
WITHIN = 3.0


def model() -> sd.Model:
    """Declare the neuron: V in mV, times in ms, currents in pA."""
    V = sd.state("V", bounds=(-120.0, 80.0))
    m, h, n = gates = sd.states("m h n", bounds=(0.0, 1.0))
    current = sd.forcing("I")

    def rate(gate: sp.Symbol, slope: float, slowest: float) -> sp.Expr:
        """Return dg/dt = (g_inf(V) - g)/tau(V)."""
        low, high = sorted((slope * 3.0, slope * 40.0))
        half = sd.parameter(f"V_{gate.name}", bounds=(-80.0, 10.0))
        width = sd.parameter(f"dV_{gate.name}", bounds=(low, high))
        fast = sd.parameter(f"t0_{gate.name}", bounds=(0.01, slowest), scale="log")
        slow = sd.parameter(f"t1_{gate.name}", bounds=(0.01, 10 * slowest), scale="log")
        bend = sp.tanh((V - half) / width)
        return ((1 + bend) / 2 - gate) / (fast + slow * (1 - bend**2))

    g_na, g_k, g_l = (
        sd.parameter(name, bounds=bounds, scale="log")
        for name, bounds in {"gNa": (10.0, 1e4), "gK": (10.0, 1e4), "gL": (0.1, 100.0)}.items()
    )
    e_na = sd.parameter("ENa", bounds=(30.0, 80.0))
    e_k = sd.parameter("EK", bounds=(-110.0, -60.0))
    e_l = sd.parameter("EL", bounds=(-90.0, -30.0))
    capacitance = sd.parameter("C", bounds=(5.0, 200.0), scale="log")
    channels = g_na * m**3 * h * (V - e_na) + g_k * n**4 * (V - e_k) + g_l * (V - e_l)
    kinetics = {"m": (1.0, 1.0), "h": (-1.0, 5.0), "n": (1.0, 5.0)}
    rates = {gate: rate(gate, *kinetics[gate.name]) for gate in gates}
    return sd.Model({V: (current - channels) / capacitance, **rates}, name="fast_spiking")


def sweep(number: int, end: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return times, current and voltage of a sweep, the electrode's own voltage taken out."""
    with np.load(FILE) as file:
        t, current, V = (file[key].astype(float) for key in ("t", f"I{number}", f"V{number}"))
    part = (t >= BEGIN) & (t <= end + 1e-9)
    return t[part], current[part], V[part] - SERIES * current[part]


def to_fit() -> tuple[sd.Action, dict[str, sd.Observations]]:
    """Return the action and the two sweeps that are fitted."""
    neuron = model()
    data = {}
    for number in FIT:
        t, current, V = sweep(number, FIT_END)
        data[str(number)] = sd.Observations(
            t, V[:, None], variance=VARIANCE, forcing={"I": sd.Samples(t, current, "hold")}
        )
    return sd.Action(neuron, [neuron["V"]]), data


def scores(run: sd.Run) -> dict[str, float]:
    """Predict the other sweeps from the estimate: spikes met, and the deviation before the first.

    The equations alone are integrated from the rest that the fitted sweeps begin at.
    """
    told: dict[str, float] = {}
    met = wanted = made = 0
    first = next(iter(run.best.experiments.values())).states.values[0]
    for number in PREDICT:
        t, current, V = sweep(number, PREDICT_END)
        seen = spikes(t, V)
        try:
            found = sd.simulate(
                model(),
                t,
                [V[0], *first[1:]],
                parameters=run.best.parameters,
                forcing={"I": sd.Samples(t, current, "hold")},
                rtol=1e-6,
            )
        except sd.SymdaError:
            predicted = np.array([])
        else:
            predicted = spikes(t, found.states.values[:, 0])
        met += coincident(seen, predicted)
        wanted, made = wanted + len(seen), made + len(predicted)
    told["spikes_met"], told["spikes"], told["spikes_made"] = met, wanted, made
    told["coincidence"] = 2.0 * met / (wanted + made)
    return told


def spikes(t: NDArray, V: NDArray) -> NDArray:
    """Return the times at which a voltage rises through the threshold."""
    return t[1:][(V[1:] >= THRESHOLD) & (V[:-1] < THRESHOLD)]


def coincident(seen: NDArray, predicted: NDArray) -> int:
    """Count the spikes that have a predicted one near, each of which counts once."""
    left, met = list(predicted), 0
    for time in seen:
        near = min(left, key=lambda other: abs(other - time), default=None)
        if near is not None and abs(near - time) <= WITHIN:
            left.remove(near)
            met += 1
    return met
