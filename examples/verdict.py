"""Five runs that fit their data, and which of them is to be trusted.

A decay, x' = -k x, measured with Gaussian noise. Each run has a flaw that a look at the fit does
not show; the last has none. `run.verdict()` says which is which, and what to do.
"""

from __future__ import annotations

import numpy as np

import symda as sd


def decay(**limits: object) -> sd.Action:
    """Make the action of a decay with its state measured."""
    x = sd.state("x", bounds=(-5.0, 20.0))
    k = sd.parameter("k", **{"bounds": (0.0, 10.0), **limits})
    return sd.Action(sd.Model({x: -k * x}, name="decay"), measured=[x], scheme="rk4")


def noisy(times: np.ndarray, sigma: float) -> sd.Observations:
    """Measure 10 exp(-t / 2)."""
    noise = sigma * np.random.default_rng(0).standard_normal(times.size)
    return sd.Observations(times, 10.0 * np.exp(-0.5 * times) + noise, variance=sigma**2)


long_steps = noisy(np.arange(0.0, 13.0), 0.05)
data = noisy(np.linspace(0.0, 6.0, 61), 0.05)
wave = np.sin(data.times) + 0.1 * np.random.default_rng(1).standard_normal(61)

RUNS = {
    # by rk4 a step of h k = 2.456 shrinks the state as much as one of 0.5
    "a step too long": (decay(start=(2.4, 2.5)), long_steps, sd.Ladder(1.0, 8.0, 9)),
    # the data term by itself is as small as it should be, at the cost of model errors
    "a wrong model": (
        decay(),
        sd.Observations(data.times, wave, variance=0.01),
        sd.Ladder(0.01, 2.0, 16),
    ),
    "a bound in the way": (decay(bounds=(0.0, 0.49)), data, sd.Ladder(1.0, 8.0, 10)),
    "a ladder that ends low": (decay(), data, sd.Ladder(1.0, 8.0, 3)),
    "nothing wrong": (decay(), data, sd.Ladder(1.0, 8.0, 10)),
}

trusted = []
for name, (action, observations, ladder) in RUNS.items():
    run = sd.anneal(
        action, observations, solver="newton", paths=6, ladder=ladder, seed=0, progress=False
    )
    verdict = run.verdict()
    print(f"{name}: k = {run.best.parameters['k']:.4f}\n  {verdict}")
    if verdict.consistent:
        trusted.append(name)
        sds = action.posterior(run, observations).sd
        print(f"  k = {run.best.parameters['k']:.4f} +- {sds['k']:.4f}; the truth is 0.5")

assert trusted == ["nothing wrong"], trusted
