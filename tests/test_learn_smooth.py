"""Smoothing splines, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from symda.learn.smooth import _spline


@pytest.mark.parametrize("count", [5, 12, 300])
@pytest.mark.parametrize("log", [-2.0, 0.0, 3.0])
def test_splines_are_those_of_scipy(count: int, log: float) -> None:
    rng = np.random.default_rng(count)
    t = np.cumsum(rng.uniform(0.1, 2.0, count))
    y = np.sin(t) + rng.normal(size=count)
    found, wanted = _spline(t, y, log), make_smoothing_spline(t, y, lam=10.0**log)
    at = np.linspace(t[0], t[-1], 501)
    assert found(at) == pytest.approx(wanted(at), abs=1e-8)
    assert found(at, 1) == pytest.approx(wanted.derivative()(at), abs=1e-8)
