"""Chaotic systems that every method is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from symda.checks import integer
from symda.declare import parameter, state, states
from symda.declare.factory import Model
from symda.errors import ModelError

LORENZ63: Mapping[str, float] = MappingProxyType({"sigma": 10.0, "rho": 28.0, "beta": 8.0 / 3.0})
LORENZ96: Mapping[str, float] = MappingProxyType({"nu": 10.0})
HENON: Mapping[str, float] = MappingProxyType({"a": 1.4, "b": 0.3})


def lorenz63() -> Model:
    """Return the convection model of Lorenz, three states.

    dx/dt = sigma (y - x), dy/dt = x (rho - z) - y, dz/dt = x y - beta z; no units. At the values
    of `LORENZ63` its largest Lyapunov exponent is about 0.906.

    Returns
    -------
    Model
        D = 3 (x, y, z), P = 3 (sigma, rho, beta).

    Notes
    -----
    E. N. Lorenz, J. Atmos. Sci. 20 (1963) 130.
    """
    x, y = states("x y", start=(-20.0, 20.0))
    z = state("z", start=(0.0, 50.0))
    sigma = parameter("sigma", bounds=(0.0, 50.0), start=(5.0, 20.0))
    rho = parameter("rho", bounds=(0.0, 100.0), start=(15.0, 45.0))
    beta = parameter("beta", bounds=(0.0, 10.0), start=(1.0, 5.0))
    return Model(
        {x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z},
        name="lorenz63",
    )


def lorenz96(D: int = 11) -> Model:
    """Return the ring of D sites of Lorenz.

    dx_a/dt = x_{a-1} (x_{a+1} - x_{a-2}) - x_a + nu, indices modulo D; a time unit is about five
    days of weather. Chaotic at the nu of `LORENZ96`.

    Parameters
    ----------
    D : int
        Sites, at least 4.

    Returns
    -------
    Model
        States x0, x1, .. and P = 1 (nu).

    Raises
    ------
    ModelError
        If there are fewer than 4 sites.

    Notes
    -----
    E. N. Lorenz, Proc. Seminar on Predictability 1, ECMWF (1996) 1.
    """
    fix = "a site sees four different ones"
    D = integer(D, "lorenz96: D", fix, least=4, error=ModelError)
    x = states("x", D, start=(-10.0, 10.0))
    nu = parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    return Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)},
        name="lorenz96",
    )


def henon() -> Model:
    """Return the map of Henon, two states.

    x' = 1 - a x^2 + y, y' = b x; no units. Chaotic at the values of `HENON`.

    Returns
    -------
    Model
        A map, D = 2 (x, y), P = 2 (a, b).

    Notes
    -----
    M. Henon, Commun. Math. Phys. 50 (1976) 69.
    """
    x, y = states("x y", start=(-1.5, 1.5))
    a = parameter("a", bounds=(0.0, 2.0), start=(0.8, 1.8))
    b = parameter("b", bounds=(0.0, 1.0), start=(0.1, 0.6))
    return Model({x: 1 - a * x**2 + y, y: b * x}, name="henon", discrete=True)
