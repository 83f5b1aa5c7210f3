"""Mechanical systems."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import sympy as sp

from symda.declare import MechanicalModel, forcing, parameter, parameters, state, states
from symda.declare.factory import Model

PENDULUM: Mapping[str, float] = MappingProxyType({"k": 4.0, "c": 0.3})
HARMONIC: Mapping[str, float] = MappingProxyType({"m": 1.0, "k": 1.0})
KEPLER: Mapping[str, float] = MappingProxyType({"mu": 1.0})
HENON_HEILES: Mapping[str, float] = MappingProxyType({"lambda": 1.0})
DOUBLE_PENDULUM: Mapping[str, float] = MappingProxyType(
    {"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0, "g": 9.81}
)


def pendulum() -> Model:
    """Return the damped, driven pendulum.

    d angle/dt = rate, d rate/dt = -k sin(angle) - c rate + drive(t); the angle in radians from the
    lower rest, k = g/length in 1/time^2, c the damping in 1/time. With a periodic drive it can be
    chaotic.

    Returns
    -------
    Model
        D = 2 (angle, rate), P = 2 (c, k), U = 1 (drive, 1/time^2).
    """
    angle = state("angle", start=(-3.0, 3.0))
    rate = state("rate", start=(-4.0, 4.0))
    k = parameter("k", bounds=(0.1, 20.0), start=(2.0, 8.0))
    c = parameter("c", bounds=(0.0, 2.0), start=(0.0, 1.0))
    drive = forcing("drive")
    return Model({angle: rate, rate: -k * sp.sin(angle) - c * rate + drive}, name="pendulum")


def harmonic() -> MechanicalModel:
    """Return the harmonic oscillator, a mass on a spring.

    H = p^2/(2 m) + k q^2/2; angular frequency sqrt(k/m).

    Returns
    -------
    MechanicalModel
        D = 2 (q, p), P = 2 (m, k), U = 0.
    """
    q = state("q", start=(-2.0, 2.0))
    p = state("p", start=(-2.0, 2.0))
    v = state("v")
    m, k = parameters("m k", bounds=(0.01, 100.0), start=(0.5, 2.0))
    return Model.from_lagrangian(m * v**2 / 2 - k * q**2 / 2, q, v, momenta=p, name="harmonic")


def kepler() -> MechanicalModel:
    """Return the Kepler problem: a body of unit mass about a fixed centre, in its plane.

    H = (px^2 + py^2)/2 - mu/r, r the distance from the centre, mu in length^3/time^2. A bound orbit
    of semi-major axis a is an ellipse run through in 2 pi sqrt(a^3/mu); with eccentricity e it
    starts nearest to the centre at x = a (1 - e), py = sqrt(mu/a (1 + e)/(1 - e)), y = px = 0.
    Besides H, the angular momentum x py - y px is constant.

    Returns
    -------
    MechanicalModel
        D = 4 (x, y, px, py), P = 1 (mu), U = 0.
    """
    x, y = states("x y", start=(-2.0, 2.0))
    momenta = states("px py", start=(-2.0, 2.0))
    vx, vy = states("vx vy")
    mu = parameter("mu", bounds=(0.01, 100.0), start=(0.5, 2.0))
    L = (vx**2 + vy**2) / 2 + mu / sp.sqrt(x**2 + y**2)
    return Model.from_lagrangian(L, [x, y], [vx, vy], momenta=momenta, name="kepler")


def henon_heiles() -> MechanicalModel:
    """Return the model of a star in the plane of a galaxy by Henon and Heiles.

    H = (px^2 + py^2)/2 + (x^2 + y^2)/2 + lambda (x^2 y - y^3/3). With lambda = 1 orbits of energy
    below 1/6 stay near the centre; nearly all are regular at 1/12, most are chaotic at 1/6.

    Returns
    -------
    MechanicalModel
        D = 4 (x, y, px, py), P = 1 (lambda), U = 0.

    Notes
    -----
    Henon and Heiles, Astronomical Journal 69 (1964) 73.
    """
    x, y = states("x y", start=(-0.5, 0.5))
    momenta = states("px py", start=(-0.5, 0.5))
    vx, vy = states("vx vy")
    strength = parameter("lambda", bounds=(0.0, 5.0), start=(0.5, 1.5))
    V = (x**2 + y**2) / 2 + strength * (x**2 * y - y**3 / 3)
    return Model.from_lagrangian(
        (vx**2 + vy**2) / 2 - V, [x, y], [vx, vy], momenta=momenta, name="henon_heiles"
    )


def double_pendulum() -> MechanicalModel:
    """Return two pendulums, the second hung from the bob of the first.

    Angles a1 and a2 in radians from the lower rest, p1 and p2 their momenta; point masses m1 and m2
    on rods without mass of length l1 and l2; g the gravity. Chaotic unless it swings little, and H
    is not separable.

    Returns
    -------
    MechanicalModel
        D = 4 (a1, a2, p1, p2), P = 5 (m2, m1, l1, l2, g), U = 0.
    """
    a1, a2 = states("a1 a2", start=(-3.0, 3.0))
    momenta = states("p1 p2", start=(-5.0, 5.0))
    w1, w2 = states("w1 w2")
    m1, m2, l1, l2 = parameters("m1 m2 l1 l2", bounds=(0.1, 10.0), start=(0.5, 2.0))
    g = parameter("g", bounds=(0.1, 30.0), start=(5.0, 15.0))
    T = (
        (m1 + m2) * l1**2 * w1**2 / 2
        + m2 * l2**2 * w2**2 / 2
        + m2 * l1 * l2 * w1 * w2 * sp.cos(a1 - a2)
    )
    minus_V = (m1 + m2) * g * l1 * sp.cos(a1) + m2 * g * l2 * sp.cos(a2)
    return Model.from_lagrangian(
        T + minus_V, [a1, a2], [w1, w2], momenta=momenta, name="double_pendulum"
    )
