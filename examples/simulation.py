"""An enzyme's rates from its product, by least squares on a stiff simulation and its sensitivities.

E + S <-> C -> E + P, with a known rate of binding. It is some thousand times faster than the rest,
so explicit methods would need steps a thousand times shorter than what is seen.
`sd.integrate(method="adaptive")` takes the equations as they are, gives the exact derivatives by
all rates in the same pass, and simulates a hundred random parameter sets in some milliseconds; one
that could not be integrated would be nan.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

import symda as sd

TRUE = {"bind": 2e4, "loose": 3e3, "turn": 8.0}
FIRST = {"S": 1.0, "E": 0.05, "C": 0.0, "P": 0.0}
TIMES = np.linspace(0.0, 10.0, 41)
NOISE = 0.01

S, E, C, P = sd.states("S E C P", start=(0.0, 1.0))
bind = sd.parameter("bind", value=TRUE["bind"])
loose, turn = sd.parameters("loose turn", bounds=(1e-3, 1e6), scale="log")
model = sd.Model(
    {
        S: loose * C - bind * E * S,
        E: (loose + turn) * C - bind * E * S,
        C: bind * E * S - (loose + turn) * C,
        P: turn * C,
    },
    name="enzyme",
)


def simulate(values: dict[str, object], *, sensitivities: bool = False) -> sd.Trajectory:
    """Solve the equations at these rates, or at those of each member."""
    return sd.integrate(
        model, TIMES, FIRST, method="adaptive", parameters=values, sensitivities=sensitivities
    )


def measure(seed: int = 0) -> np.ndarray:
    """Product at each time, with noise."""
    exact = simulate(TRUE).states.sel(state="P").values
    return exact + NOISE * np.random.default_rng(seed).normal(size=exact.shape)


def fit(product: np.ndarray, start: dict[str, float]) -> tuple[dict[str, float], np.ndarray, float]:
    """Rates, the standard errors of their logarithms, and half the sum of squares."""
    names = list(start)

    def values(logarithms: np.ndarray) -> dict[str, float]:
        return dict(zip(names, np.exp(logarithms), strict=True))

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        found = simulate(values(logarithms))
        return (found.states.sel(state="P").values - product) / NOISE

    def slopes(logarithms: np.ndarray) -> np.ndarray:
        found = simulate(values(logarithms), sensitivities=True)
        by = found.sensitivities.sel(state="P", by=names).values
        # by the logarithm of a rate: the rate times what is by the rate
        return by * np.exp(logarithms) / NOISE

    bounds = np.log([1e-3, 1e6])
    best = least_squares(residuals, np.log(list(start.values())), slopes, bounds=bounds)
    errors = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))
    return values(best.x), errors, float(best.cost)


def ensemble(members: int = 100, seed: int = 1) -> sd.Trajectory:
    """Simulate random parameter sets, each rate within a factor of ten thousand."""
    spread = np.random.default_rng(seed).uniform(-2.0, 2.0, (len(TRUE), members))
    return simulate({name: TRUE[name] * 10.0**s for name, s in zip(TRUE, spread, strict=True)})


def main() -> None:
    """Fit, and simulate the ensemble."""
    product = measure()
    found, errors, cost = fit(product, {"loose": 100.0, "turn": 1.0})
    print(f"half the sum of squares: {cost:.1f} for {product.size} data and {len(found)} rates")
    for (name, value), error in zip(found.items(), errors, strict=True):
        factor = np.exp(2.0 * error)
        print(f"{name:5s} {value:8.4g}, within a factor of {factor:.3f}; truly {TRUE[name]:g}")
    last = ensemble().states.sel(state="P").isel(time=-1)
    low, middle, high = np.nanpercentile(last, [5, 50, 95])
    print(f"product at the end of {last.sizes['member']} random sets: {middle:.2g}")
    print(f"                5 to 95 %: {low:.2g} to {high:.2g}")


if __name__ == "__main__":
    main()
