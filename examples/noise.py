"""Counts, hares and lynxes, two gauges: noise that is not the usual, each beside SciPy's fit.

The outbreak: boys in bed with influenza in an English boarding school of 763, 14 days in 1978
(Anonymous, Influenza in a boarding school, Br. Med. J. 1 (1978) 587), a count a day; SIR model,
Poisson and negative binomial noise.

The animals: pelts of hares and lynxes, in thousands, that the Hudson's Bay Company traded from 1900
to 1920 (collected by C. G. Hewitt, The Conservation of the Wild Life of Canada, 1921; numbers as in
B. Carpenter's case study of 2017 for Stan, after P. Howard's lecture notes of 2009); Lotka and
Volterra's model, log-normal noise with an estimated scale, positive states on a logarithmic scale.

The gauges: the levels of two tanks that a pipe joins, a twin experiment. What the air's pressure
does to both gauges at once is five times what each does by itself, so their noise is correlated.

Each model is taken to be exact, so the ladder ends high, and an independent program maximises the
same likelihood: `solve_ivp` within `minimize`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.optimize import curve_fit, minimize
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
    S, I = sd.state("S", bounds=(0.0, BOYS)), sd.state("I", bounds=(1e-3, BOYS))
    beta = sd.parameter("beta", bounds=(0.5, 5.0), start=(1.0, 3.0))
    gamma = sd.parameter("gamma", bounds=(0.05, 2.0), start=(0.2, 1.0))
    first = sd.parameter("first", scale="log", start=(0.5, 10.0))
    size = sd.parameter("size", scale="log", start=(1.0, 50.0))
    infections = beta * S * I / BOYS
    model = sd.Model({S: -infections, I: infections - gamma * I}, name="SIR")
    noise = sd.Poisson(I) if kind == "Poisson" else sd.NegativeBinomial(I, size)
    days = np.arange(1.0, 15.0)
    run = sd.anneal(
        sd.Action(model, {"in bed": noise}, scheme="rk4", initial={S: BOYS - first, I: first}),
        sd.Observations(days, IN_BED),
        steps=8,
        paths=12,
        solver="newton",
        ladder=sd.Ladder(rf0=1e-4, alpha=10.0, rungs=11),
        progress=False,
    )

    def cost(logarithms: np.ndarray) -> float:
        b, g, i0, n = np.exp(logarithms)

        def rate(_: float, x: np.ndarray) -> list[float]:
            flow = b * x[0] * x[1] / BOYS
            return [-flow, flow - g * x[1]]

        means = solve_ivp(rate, (1, 14), [BOYS - i0, i0], t_eval=days, rtol=1e-9, atol=1e-9).y[1]
        law = poisson(means) if kind == "Poisson" else nbinom(n, n / (n + means))
        return -float(law.logpmf(IN_BED).sum())

    return run, least(cost, [1.7, 0.5, 3.0, 10.0])


def animals() -> tuple[sd.Run, float]:
    """Fit hares and lynxes; return the run and the cost of SciPy's own fit."""
    u, v = sd.states("hares lynxes", scale="log", start=(5.0, 80.0))
    names = "alpha beta gamma delta"
    alpha, beta, gamma, delta = sd.parameters(names, scale="log", start=(0.01, 2.0))
    # without a lower bound paths through all data, sigma = 0, are likeliest while Rf is small
    sigma = sd.parameter("sigma", bounds=(0.05, 2.0), scale="log", start=(0.1, 1.0))
    model = sd.Model({u: (alpha - beta * v) * u, v: (delta * u - gamma) * v}, name="hares")
    years = np.arange(21.0)
    measured = {"H": sd.LogNormal(sp.log(u), sigma), "L": sd.LogNormal(sp.log(v), sigma)}
    run = sd.anneal(
        sd.Action(model, measured, scheme="rk4"),
        sd.Observations(years, np.stack([HARES, LYNXES], axis=1)),
        steps=16,
        paths=24,
        solver="newton",
        ladder=sd.Ladder(rf0=1.0, alpha=4.0, rungs=16),
        progress=False,
    )

    def cost(logarithms: np.ndarray) -> float:
        a, b, g, d, u0, v0, s = np.exp(logarithms)

        def rate(_: float, x: np.ndarray) -> list[float]:
            return [(a - b * x[1]) * x[0], (d * x[0] - g) * x[1]]

        medians = solve_ivp(rate, (0, 20), [u0, v0], t_eval=years, rtol=1e-9, atol=1e-9).y
        return -float(lognorm(s, scale=medians).logpdf([HARES, LYNXES]).sum())

    return run, least(cost, [0.55, 0.028, 0.8, 0.024, 33.0, 6.0, 0.25])


def gauges(*, correlated: bool) -> tuple[float, float, float, float]:
    """Fit the flow between two tanks; return it and its error bar, then those of SciPy's fit."""
    a, b = sd.states("a b", start=(0.0, 3.0))
    k = sd.parameter("k", bounds=(0.0, 5.0), start=(0.1, 2.0))
    flow = k * (a - b)
    action = sd.Action(sd.Model({a: -flow, b: flow}, name="tanks"), [a, b], scheme="rk4")
    both, own = 0.1**2, 0.02**2
    C = np.full((2, 2), both) + own * np.eye(2)
    _, twin = sd.twin(
        action, parameters={"k": 0.7}, dt=0.1, steps=20, covariance=C, seed=4, initial=[2.0, 1.0]
    )
    noise = {"covariance": C} if correlated else {"variance": np.diag(C)}
    data = sd.Observations(twin.times, twin.values, channels=["a", "b"], **noise)
    run = sd.anneal(
        action,
        data,
        paths=4,
        solver="newton",
        ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=10),
        progress=False,
    )
    found = run.best.parameters["k"], action.posterior(run, data).sd["k"]

    def levels(_: np.ndarray, k: float, mean: float, half: float) -> np.ndarray:
        gone = half * np.exp(-2.0 * k * data.times)
        return np.concatenate([mean + gone, mean - gone])

    # the matrix of all values: those of one channel after the other
    whole = np.kron(C if correlated else np.diag(np.diag(C)), np.eye(data.times.size))
    fit, bars = curve_fit(
        levels,
        np.tile(data.times, 2),
        data.values.T.ravel(),
        p0=[1.0, 1.5, 0.5],
        sigma=whole,
        absolute_sigma=True,
        xtol=1e-12,
        ftol=1e-12,
    )
    return *found, float(fit[0]), float(np.sqrt(bars[0, 0]))


def least(cost: Callable[[np.ndarray], float], guess: Sequence[float]) -> float:
    """Return the least cost near a guess of positive numbers."""
    options = {"maxiter": 6000, "maxfev": 6000, "xatol": 1e-7}
    return float(minimize(cost, np.log(guess), method="Nelder-Mead", options=options).fun)


def show(title: str, run: sd.Run, other: float) -> None:
    """Print a fit beside SciPy's; they must be one."""
    found = ", ".join(f"{name} = {value:.4g}" for name, value in run.best.parameters.items())
    print(f"{title}: {found}")
    print(f"  -log likelihood {run.best.measurement_term:.3f}, by SciPy {other:.3f}")
    print(f"  {run.verdict()}")
    assert abs(run.best.measurement_term - other) < 0.1


def main() -> None:
    """Print each fit beside SciPy's."""
    for kind in ("Poisson", "negative binomial"):
        run, other = outbreak(kind)
        show(f"outbreak, {kind}", run, other)
    show("hares and lynxes", *animals())
    for correlated in (False, True):
        k, bar, other, other_bar = gauges(correlated=correlated)
        title = "with" if correlated else "without"
        print(f"gauges, {title} the correlation: k = {k:.4f} +- {bar:.4f}")
        print(f"  by SciPy {other:.4f} +- {other_bar:.4f}; the truth is 0.7")
        assert abs(k - other) < 1e-4 * other
        # SciPy's bar leaves out the second derivatives of the levels
        assert abs(bar - other_bar) < 0.03 * other_bar


if __name__ == "__main__":
    main()
