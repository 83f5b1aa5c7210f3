"""Counts of an outbreak, and hares and lynxes: noise other than Gaussian, each beside SciPy's fit.

The outbreak: boys in bed with influenza in an English boarding school of 763, 14 days in 1978
(Anonymous, Influenza in a boarding school, Br. Med. J. 1 (1978) 587), a count a day; SIR model,
Poisson and negative binomial noise.

The animals: pelts of hares and lynxes, in thousands, that the Hudson's Bay Company traded from 1900
to 1920 (collected by C. H. Hewitt, The Conservation of the Wild Life of Canada, 1921; as printed in
J. M. Mahaffy's and B. Carpenter's case studies); Lotka and Volterra's model, log-normal noise with
an estimated scale, positive states on a logarithmic scale.

Each model is taken to be exact, so the ladder ends high, and an independent program maximises the
same likelihood: `solve_ivp` within `minimize`.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.optimize import minimize
from scipy.stats import lognorm, nbinom, poisson

import symda as sd

BOYS = 763
IN_BED = [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]
HARES = [
    *(30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1),
    *(40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7),
]
LYNXES = [
    *(4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4),
    *(8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6),
]


def outbreak(kind: str) -> tuple[sd.Run, float]:
    """Fit the outbreak; return the run and the cost of SciPy's own fit."""
    S, I = sd.state("S", bounds=(1.0, BOYS)), sd.state("I", bounds=(0.01, BOYS))
    beta = sd.parameter("beta", bounds=(0.5, 5.0), start=(1.0, 3.0))
    gamma = sd.parameter("gamma", bounds=(0.05, 2.0), start=(0.2, 1.0))
    size = sd.parameter("size", bounds=(0.1, 1000.0), start=(1.0, 50.0))
    infected = beta * S * I / BOYS
    model = sd.Model({S: -infected, I: infected - gamma * I}, name="SIR")
    noise = sd.Poisson(I) if kind == "poisson" else sd.NegativeBinomial(I, size)
    days = np.arange(1.0, 15.0)
    run = sd.anneal(
        sd.Action(model, {"in bed": noise}, scheme="rk4"),
        sd.Observations(days, IN_BED),
        steps=4,
        paths=12,
        solver="newton",
        ladder=sd.Ladder(rf0=1e-4, alpha=10.0, rungs=11),
        progress=False,
    )

    def cost(p: np.ndarray) -> float:
        b, g, s0, i0 = np.exp(p[:4])
        flow = lambda t, x: [-b * x[0] * x[1] / BOYS, b * x[0] * x[1] / BOYS - g * x[1]]
        means = solve_ivp(flow, (1, 14), [s0, i0], t_eval=days, rtol=1e-9, atol=1e-9).y[1]
        if kind == "poisson":
            return -float(poisson(means).logpmf(IN_BED).sum())
        n = np.exp(p[4])
        return -float(nbinom(n, n / (n + means)).logpmf(IN_BED).sum())

    start = np.log([1.7, 0.5, 740.0, 3.0] + ([] if kind == "poisson" else [10.0]))
    best = minimize(cost, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-7})
    return run, float(best.fun)


def animals() -> tuple[sd.Run, float]:
    """Fit hares and lynxes; return the run and the cost of SciPy's own fit."""
    u, v = sd.states("hares lynxes", scale="log", start=(5.0, 80.0))
    rates = sd.parameters("alpha beta gamma delta", scale="log", start=(0.01, 2.0))
    sigma = sd.parameter("sigma", scale="log", start=(0.1, 1.0))
    alpha, beta, gamma, delta = rates
    model = sd.Model({u: (alpha - beta * v) * u, v: (delta * u - gamma) * v}, name="hares")
    years = np.arange(1900.0, 1921.0) - 1900.0
    measured = {name: sd.LogNormal(sp.log(x), sigma) for name, x in {"H": u, "L": v}.items()}
    run = sd.anneal(
        sd.Action(model, measured, scheme="rk4"),
        sd.Observations(years, np.stack([HARES, LYNXES], axis=1)),
        steps=4,
        paths=24,
        solver="newton",
        ladder=sd.Ladder(rf0=1.0, alpha=4.0, rungs=16),
        progress=False,
    )

    def cost(p: np.ndarray) -> float:
        a, b, g, d, u0, v0, s = np.exp(p)
        flow = lambda t, x: [(a - b * x[1]) * x[0], (d * x[0] - g) * x[1]]
        means = solve_ivp(flow, (0, 20), [u0, v0], t_eval=years, rtol=1e-9, atol=1e-9).y
        return -float(sum(lognorm(s, scale=m).logpdf(y).sum() for m, y in zip(means, (HARES, LYNXES))))

    start = np.log([0.55, 0.028, 0.8, 0.024, 33.0, 6.0, 0.25])
    best = minimize(cost, start, method="Nelder-Mead", options={"maxiter": 6000, "xatol": 1e-7})
    return run, float(best.fun)


def main() -> None:
    """Print each fit beside SciPy's."""
    for kind in ("poisson", "negative binomial"):
        run, other = outbreak(kind)
        found = ", ".join(f"{k} = {v:.4g}" for k, v in run.best.parameters.items())
        print(f"outbreak, {kind}: {found}")
        print(f"  -log likelihood {run.best.measurement_term:.3f}, by SciPy {other:.3f}")
        print(f"  {run.verdict()}")
        assert abs(run.best.measurement_term - other) < 0.1
        # boys are not independent of each other
        assert run.verdict().consistent == (kind != "poisson")
    run, other = animals()
    found = ", ".join(f"{k} = {v:.4g}" for k, v in run.best.parameters.items())
    print(f"hares and lynxes: {found}")
    print(f"  -log likelihood {run.best.measurement_term:.3f}, by SciPy {other:.3f}")
    print(f"  {run.verdict()}")
    assert abs(run.best.measurement_term - other) < 0.1


if __name__ == "__main__":
    main()
