"""Mechanical systems."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import sympy as sp

from symda.declare import Model, forcing, parameter, state

PENDULUM: Mapping[str, float] = MappingProxyType({"k": 4.0, "c": 0.3})


def pendulum() -> Model:
    """Return the damped, driven pendulum.

    d angle/dt = rate, d rate/dt = -k sin(angle) - c rate + drive(t); the angle in radians from the
    lower rest, k = g/length in 1/time^2, c the damping in 1/time. With a periodic drive it can be
    chaotic.

    Returns
    -------
    Model
        D = 2 (angle, rate), P = 2 (k, c), U = 1 (drive, 1/time^2).
    """
    angle = state("angle", start=(-3.0, 3.0))
    rate = state("rate", start=(-4.0, 4.0))
    k = parameter("k", bounds=(0.1, 20.0), start=(2.0, 8.0))
    c = parameter("c", bounds=(0.0, 2.0), start=(0.0, 1.0))
    drive = forcing("drive")
    return Model({angle: rate, rate: -k * sp.sin(angle) - c * rate + drive}, name="pendulum")
