"""A path over a pole of the equations is a solution of the scheme, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import symda as sd


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(("bounds", "strays"), [((-9.0, 9.0), True), ((0.0, 9.0), False)])
def test_a_step_over_a_pole_is_named(bounds: tuple[float, float], strays: bool) -> None:
    """x' = -x / (0.15 + x) keeps the sign of x: it never gets to the last datum, at -0.4.

    The midpoint rule has a second root beyond the pole at x = -0.15: with h = 0.05 and x_n = 0.03
    the end is x_n - h m / (0.15 + m), m the middle of the step, which -0.38 solves as well.
    """
    x = sd.state("x", bounds=bounds, start=(0.0, 2.0))
    V = sd.parameter("V", bounds=(0.1, 10.0), start=(0.9, 1.1))
    action = sd.Action(sd.Model({x: -V * x / (0.15 + x)}, name="pole"), [x], scheme="midpoint")
    times = 0.05 * np.arange(49)
    # the solution: x + 0.15 log(x) = c - t
    values = [1.8]
    for t in times[1:]:
        z = values[-1]
        for _ in range(50):
            z -= (z + 0.15 * np.log(z) - 1.8 - 0.15 * np.log(1.8) + t) / (1.0 + 0.15 / z)
        values.append(z)
    y = np.array(values) + 0.2 * np.random.default_rng(4).standard_normal(times.size)
    y[-1] = -0.4
    run = sd.anneal(
        action,
        sd.Observations(times, y, variance=0.04),
        ladder=sd.Ladder(rf0=0.01, alpha=8.0, rungs=12),
        paths=6,
        solver="newton",
        executor="serial",
        progress=False,
    )
    found = {f.about: f for f in run.verdict().findings}["scheme"]
    crossed = run.best.states.values[-1, 0] < -0.15
    assert crossed == strays
    assert ("another root of the scheme" in found.text) == strays
    assert found.holds is not True if strays else found.holds
