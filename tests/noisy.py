"""A model with one channel of every kind of noise, and data for it."""

from __future__ import annotations

import numpy as np
import sympy as sp

import symda as sd

START = {"start": (0.5, 2.0)}
x, v = sd.states("x v", **START)
k = sd.parameter("k", bounds=(0.1, 5.0), **START)
s = sd.parameter("s", bounds=(0.01, 3.0), start=(0.1, 1.0))

MODEL = sd.Model({x: v - x**2 / 2, v: k - x * v}, name="noisy")
NOISES = {
    "gauss": sd.Normal(x),
    "scaled": sd.Normal(x * v, s),
    "shared": sd.Normal(v, s),
    "student": sd.StudentT(4, x + v, s),
    "freedom": sd.StudentT(2 + s, 2 * x, 0.3),
    "huber": sd.Huber(v**2, 0.3),
    "lognormal": sd.LogNormal(sp.log(2 + x), s),
    "gamma": sd.Gamma(2, 1 + x**2),
    "poisson": sd.Poisson(k * (x**2 + 1)),
    "negative": sd.NegativeBinomial(3 * (v**2 + 1), 2 * s),
    "binomial": sd.Binomial(7, 1 / (1 + sp.exp(-x))),
    "censored": sd.Censored(sd.Normal(x, s), low=0.9, high=1.8),
    "density": sd.Density(lambda y: sp.sqrt(1 + (y - x * k) ** 2), location=x * k),
}
COUNTS = ("poisson", "negative", "binomial")


def action(scheme: str = "trapezoid") -> sd.Action:
    return sd.Action(MODEL, NOISES, scheme=scheme)


def data(times: int = 9, seed: int = 0) -> sd.Observations:
    """Values anywhere, three of ten missing, three times measured again."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.5, 2.0, (times, len(NOISES)))
    for name in COUNTS:
        values[:, list(NOISES).index(name)] = rng.integers(0, 8, times)
    values[rng.uniform(size=values.shape) < 0.3] = np.nan
    t = np.linspace(0.0, 1.0, times)
    again = [2, 2, 5]
    order = np.argsort(np.concatenate([t, t[again]]), kind="stable")
    every = np.concatenate([t, t[again]])[order]
    rows = np.vstack([values, values[again] + 0.0])[order]
    return sd.Observations(every, rows, variance=0.1, channels=list(NOISES))
