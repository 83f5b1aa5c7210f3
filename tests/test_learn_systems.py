"""Systems whose equations are in the library: exactly their terms come out. Each takes seconds."""

from __future__ import annotations

from dataclasses import dataclass

import learning
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

import symda as sd

pytestmark = pytest.mark.smoke


@dataclass(frozen=True)
class System:
    """Rates, a point on the attractor and a period, of the package dysts 0.96 (W. Gilpin, MIT)."""

    rates: tuple[str, str, str]
    start: tuple[float, float, float]
    period: float
    degree: int = 2


SYSTEMS = {
    "Arneodo": System(("y", "z", "-x**3 + 5.5*x - 4.5*y - z"), (-2.75, 0.19, 3.47), 3.16, 3),
    "BurkeShaw": System(
        ("-10*x - 10*y", "-10*x*z + y", "10*x*y + 13"), (-0.79, 0.65, 0.225), 0.783
    ),
    "Chen": System(("-35*x + 35*y", "-x*z - 7*x + 28*y", "x*y - 3*z"), (3.27, 5.3, 19.44), 0.587),
    "Coullet": System(
        ("y", "z", "-x**3 + 0.8*x - 1.1*y - 0.45*z"), (0.345, 0.4285, 0.087), 5.77, 3
    ),
    "GenesioTesi": System(("y", "z", "x**2 - x - 1.1*y - 0.44*z"), (-0.0538, -0.2616, 0.335), 5.94),
    "Halvorsen": System(
        (
            "-1.4*x - y**2 - 4*y - 4*z",
            "-4*x - 1.4*y - z**2 - 4*z",
            "-x**2 - 4*x - 4*y - 1.4*z",
        ),
        (-8.68, -2.474, 0.071),
        1.489,
    ),
    "Laser": System(
        ("-10*x + y*z**2 + 10*y", "-x*z**2 + 5*x", "-6*x**2 - 5*z"),
        (-2.541, -1.941, -2.968),
        0.947,
        3,
    ),
    "NoseHoover": System(("y", "-x + y*z", "1.5 - y**2"), (-1.9759, 0.2465, 0.7902), 5.87),
    "Rucklidge": System(("-2*x - y*z + 6.7*y", "x", "y**2 - z"), (1.926, 3.192, 5.783), 6.07),
    # conservative: errors of its equations sum up along the recording
    "SprottTorus": System(
        ("2*x*y + x*z + y", "-2*x**2 + y*z + 1", "-x**2 + x - y**2"),
        (0.6883, -0.1802, 0.5854),
        13.6,
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_exactly_the_true_terms_come_out(name: str) -> None:
    """Noise of a tenth of each state's standard deviation, its size unknown, over ten periods."""
    system = SYSTEMS[name]
    states = sd.states("x y z")
    symbols = dict(zip("xyz", states, strict=True))
    rates = [sp.sympify(one, locals=symbols) for one in system.rates]
    times = np.linspace(0.0, 10.0 * system.period, 1001)
    rate = sp.lambdify([list(states)], rates)
    clean = solve_ivp(
        lambda _t, u: rate(u),
        (0.0, times[-1]),
        system.start,
        t_eval=times,
        rtol=1e-9,
        atol=1e-10,
        method="LSODA",
    ).y.T
    noise = 0.1 * clean.std(axis=0) * np.random.default_rng(0).normal(size=clean.shape)
    library = sd.learn.library(states, system.degree)
    fit = sd.learn.AnnealedTerms(library=library).fit(clean + noise, t=times[1])
    true = np.array(
        [[one.as_poly(*states).coeff_monomial(e) for e in library.terms] for one in rates],
        dtype=float,
    )
    assert (fit.result.free == (true != 0.0)).all()
    off = np.abs(fit.result.coefficients - true)
    assert (off <= 0.1 * np.abs(true)).all()
    assert "no solution" not in fit.summary()


def test_one_sample_in_eight_in_noise_as_large_as_the_signal() -> None:
    """Variance 64 of 4,000 samples: the data are explained, and forecasts are near the truth."""
    seen = learning.with_gaps(learning.noisy(6, 64.0), regular=False, seed=6)
    keep = np.isfinite(seen).any(axis=1)
    data = sd.Observations(learning.H * np.flatnonzero(keep), seen[keep], variance=64.0)
    fit = sd.learn.AnnealedTerms(step=learning.H).fit(data)
    assert fit.result.cautions == []
    assert sd.learn.score(fit, learning.clean(1), t=learning.H).table["e1"] < 0.2


def test_equations_that_cannot_hold_are_said() -> None:
    fit = sd.learn.AnnealedTerms(degree=1, variance=1.0, starts=1, step=0.01)
    assert "the path is no solution" in fit.fit(learning.noisy(0, 1.0, 200), t=0.01).summary()
