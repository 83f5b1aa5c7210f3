"""Classic models, ready to use: each function returns a fresh `symda.Model`.

Bounds and start ranges are declared; the parameter values that twin experiments usually take are
the mapping of the same name in capitals::

    model = sd.models.nakl()
    action = sd.Action(model, [model["V"]])
    truth, data = sd.twin(action, parameters=sd.models.NAKL, ...)
"""

from symda.models.chaos import HENON, LORENZ63, LORENZ96, henon, lorenz63, lorenz96
from symda.models.mechanics import (
    DOUBLE_PENDULUM,
    HARMONIC,
    HENON_HEILES,
    KEPLER,
    PENDULUM,
    double_pendulum,
    harmonic,
    henon_heiles,
    kepler,
    pendulum,
)
from symda.models.neurons import FITZHUGH_NAGUMO, NAKL, fitzhugh_nagumo, nakl

__all__ = [
    "DOUBLE_PENDULUM",
    "FITZHUGH_NAGUMO",
    "HARMONIC",
    "HENON",
    "HENON_HEILES",
    "KEPLER",
    "LORENZ63",
    "LORENZ96",
    "NAKL",
    "PENDULUM",
    "double_pendulum",
    "fitzhugh_nagumo",
    "harmonic",
    "henon",
    "henon_heiles",
    "kepler",
    "lorenz63",
    "lorenz96",
    "nakl",
    "pendulum",
]
