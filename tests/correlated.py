"""Problems whose noise is correlated across channels."""

from __future__ import annotations

import numpy as np
import sympy as sp

import symda as sd

C2 = np.array([[0.3, 0.1], [0.1, 0.07]])


def covariances(seed: int, *shape: int, L: int = 3, size: float = 0.01) -> np.ndarray:
    """Make up covariances; channels of other sizes, correlations up to 0.9."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(*shape, L, L + 1)) * np.linspace(1.0, 3.0, L)[:, None]
    return size * root @ np.swapaxes(root, -1, -2)


def mixed() -> tuple[sd.Action, sd.Observations]:
    """Curved quantities, one without a value where it is not measured; other noise; a control."""
    x, y = sd.states("x y", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.1, 5.0), start=(0.5, 2.0))
    q, s = sd.parameters("q s", bounds=(0.1, 5.0), start=(0.5, 2.0))
    u = sd.control("u", cost=0.3)
    model = sd.Model({x: -k * x + y + u, y: -x * y}, name="mixed noise")
    measured = {
        "product": q * x * y,
        "other": sd.Normal(x - y**2, s),
        "log": sp.log(x),
        "count": sd.Poisson(sp.exp(y)),
        "y": y,
    }
    t = np.array([0.0, 0.3, 0.5, 0.5, 0.5, 0.9])
    rng = np.random.default_rng(3)
    values = rng.normal(size=(6, 5))
    values[:, 3] = rng.poisson(2.0, size=6)
    values[:, 2] = np.nan
    values[[0, 2], 2] = 0.3, -0.2
    values[1, 0] = values[3, 1] = values[4, 4] = values[5, 3] = np.nan
    C = np.zeros((6, 5, 5))
    C[np.ix_(range(6), [0, 2, 4], [0, 2, 4])] = covariances(1, 6, size=0.1)
    C[:, [1, 3], [1, 3]] = np.nan
    data = sd.Observations(t, values, covariance=C, channels=list(measured))
    return sd.Action(model, measured, scheme="trapezoid"), data


def plain(noise: dict[str, object], **more) -> sd.Observations:
    rng = np.random.default_rng(8)
    values = rng.normal(size=(8, 2)).cumsum(axis=0)
    values[2, 0] = values[5, 1] = np.nan
    return sd.Observations(0.1 * np.arange(8), values, **noise, **more)


def spring() -> sd.Action:
    """Return a linear model, all of it measured."""
    x, y = sd.states("x y", start=(-3.0, 3.0))
    w = sd.parameter("w", bounds=(0.1, 5.0), start=(0.5, 2.0))
    return sd.Action(sd.Model({x: y, y: -w * x}, name="spring"), [x, y], scheme="rk4")
