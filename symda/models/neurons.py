"""Neurons in current clamp: the current injected is known, the voltage can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import sympy as sp
from sympy import Expr

from symda.declare import Parameter, State, forcing, parameter, state, states
from symda.declare.factory import Model

FITZHUGH_NAGUMO: Mapping[str, float] = MappingProxyType({"a": 0.7, "b": 0.8, "tau": 12.5})

NAKL: Mapping[str, float] = MappingProxyType(
    {
        **{"gNa": 120.0, "ENa": 50.0, "gK": 20.0, "EK": -77.0, "gL": 0.3, "EL": -54.4},
        **{"Vm": -40.0, "dVm": 15.0, "tm0": 0.1, "tm1": 0.4},
        **{"Vh": -60.0, "dVh": -15.0, "th0": 1.0, "th1": 7.0},
        **{"Vn": -55.0, "dVn": 30.0, "tn0": 1.0, "tn1": 5.0},
    }
)

_NAKL_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        **{"gNa": (50.0, 200.0), "ENa": (0.0, 100.0), "gK": (5.0, 40.0)},
        **{"EK": (-100.0, -50.0), "gL": (0.1, 1.0), "EL": (-60.0, -50.0)},
        **{"Vm": (-60.0, -30.0), "dVm": (10.0, 100.0), "tm0": (0.05, 0.25), "tm1": (0.1, 1.0)},
        **{"Vh": (-70.0, -40.0), "dVh": (-100.0, -10.0), "th0": (0.1, 5.0), "th1": (1.0, 15.0)},
        **{"Vn": (-70.0, -40.0), "dVn": (10.0, 100.0), "tn0": (0.1, 5.0), "tn1": (2.0, 12.0)},
    }
)


def fitzhugh_nagumo() -> Model:
    """Return a spiking neuron simplified to two states.

    dv/dt = v - v^3/3 - w + I(t), dw/dt = (v + a - b w)/tau; no units. It spikes for a constant
    current between about 0.33 and 1.42 at the values of `FITZHUGH_NAGUMO`.

    Returns
    -------
    Model
        D = 2 (v, w), P = 3 (tau, b, a), U = 1 (I).

    Notes
    -----
    R. FitzHugh, Biophys. J. 1 (1961) 445.
    """
    v, w = states("v w", start=(-2.0, 2.0))
    a = parameter("a", bounds=(0.0, 2.0))
    b = parameter("b", bounds=(0.0, 2.0))
    tau = parameter("tau", bounds=(1.0, 50.0), start=(5.0, 25.0))
    return Model(
        {v: v - v**3 / 3 - w + forcing("I"), w: (v + a - b * w) / tau}, name="fitzhugh_nagumo"
    )


def nakl() -> Model:
    """Return the NaKL neuron: sodium, potassium and leak currents of Hodgkin-Huxley type.

    dV/dt = I(t) - gNa m^3 h (V - ENa) - gK n^4 (V - EK) - gL (V - EL), and for each gate
    g = m, h, n: dg/dt = (g_inf - g)/tau_g with s = tanh((V - Vg)/dVg), g_inf = (1 + s)/2 and
    tau_g = tg0 + tg1 (1 - s^2).

    V and reversal potentials in mV, times in ms, conductances in mS/cm^2, the current in uA/cm^2;
    the capacitance is known, 1 uF/cm^2. Gates lie in [0, 1], every parameter in the range that
    public programs of this field search: starts are drawn from all of it.

    Returns
    -------
    Model
        D = 4 (V, m, h, n), P = 18 (in an order of its own, not that of `NAKL`), U = 1 (I).

    Notes
    -----
    B. A. Toth, M. Kostuk, C. D. Meliza, D. Margoliash, H. D. I. Abarbanel, Biol. Cybern. 105 (2011)
    217; C. D. Meliza et al., Biol. Cybern. 108 (2014) 495. The values of `NAKL` are those of the
    NaKL examples of minAone and varanneal (there EL = -54), the bounds those of minAone, whose
    inverse widths 0.01 .. 0.1 per mV are widths of 10 .. 100 mV here.
    """
    V = state("V", bounds=(-150.0, 70.0), start=(-90.0, 50.0))
    m, h, n = states("m h n", bounds=(0.0, 1.0))
    p = {name: parameter(name, bounds=bounds) for name, bounds in _NAKL_BOUNDS.items()}
    return Model(
        {
            V: forcing("I")
            - p["gNa"] * m**3 * h * (V - p["ENa"])
            - p["gK"] * n**4 * (V - p["EK"])
            - p["gL"] * (V - p["EL"]),
            m: _gate(m, V, p["Vm"], p["dVm"], p["tm0"], p["tm1"]),
            h: _gate(h, V, p["Vh"], p["dVh"], p["th0"], p["th1"]),
            n: _gate(n, V, p["Vn"], p["dVn"], p["tn0"], p["tn1"]),
        },
        name="nakl",
    )


def _gate(
    gate: State, V: State, half: Parameter, width: Parameter, least: Parameter, more: Parameter
) -> Expr:
    """Relaxation of a gate to its steady state, half open at V = `half`."""
    s = sp.tanh((V - half) / width)
    return ((1 + s) / 2 - gate) / (least + more * (1 - s**2))
