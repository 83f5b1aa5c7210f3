"""A stiff model: the same data by three schemes, of which one damps what its steps do not resolve.

x decays slowly and z follows it within 1e-5, from 0 at first. Steps are 0.1 long, so that h times
the rate at which z follows is 1e4. The trapezoid, and Hermite-Simpson, throw z from one side of
what it should follow to the other at every step; `anneal` and the verdict say so. Radau's methods
are at their goal after one step, so that k is as good as if z were not stiff.
"""

from __future__ import annotations

import warnings

import numpy as np

import symda as sd
from symda.api import ProblemWarning

RATE, K = 1e5, 0.7

x, z = sd.states("x z", bounds=(-10.0, 10.0))
k = sd.parameter("k", bounds=(0.1, 3.0))
model = sd.Model({x: -k * x, z: RATE * (2 * x - z)}, name="follower")

times = np.linspace(0.0, 4.0, 41)
slow = 3.0 * np.exp(-K * times)
exact = np.stack([slow, 2.0 * RATE / (RATE - K) * (slow - 3.0 * np.exp(-RATE * times))], axis=1)
data = sd.Observations(
    times, exact + 0.05 * np.random.default_rng(0).standard_normal((41, 2)), variance=0.0025
)


def fit(scheme: str) -> sd.Run:
    """Anneal by one scheme; z is known to start at 0."""
    action = sd.Action(model, measured=[x, z], scheme=scheme, initial={z: 0.0})
    ladder = sd.Ladder(rf0=1e4, alpha=10.0, rungs=4)
    return sd.anneal(action, data, ladder=ladder, paths=2, solver="newton", progress=False)


if __name__ == "__main__":
    for scheme in ("trapezoid", "hermite-simpson", "radau3", "radau5"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ProblemWarning)
            run = fit(scheme)
        print(f"{scheme}: k = {run.best.parameters['k']:.4f}, A = {run.best.action:.4g}")
        for warning in said:
            if issubclass(warning.category, ProblemWarning):
                print(f"  {warning.message}")
        print(f"  {run.verdict()}")
