"""Four rates from three experiments of one reaction, and SciPy's own fit beside them.

A + B <-> C, C -> D + E, D -> F. C, E and F are measured, with one noise of unknown size; the
experiments differ in how much of A and of B there is at first, which is known exactly. They share
the four rates, which are moved on a logarithmic scale, and the size of the noise.

The model is taken to be exact, so the ladder ends high, and an independent program maximises the
same likelihood: `solve_ivp` within `minimize`.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import minimize
from scipy.stats import norm

import symda as sd

TRUE = {"forth": 0.8, "back": 0.3, "split": 0.5, "on": 0.2, "sigma": 0.02}
#: A(0) and B(0); there is nothing else at first.
AMOUNTS = {"even": (1.0, 1.0), "much A": (2.0, 0.5), "much B": (0.6, 1.8)}
#: Steps between two measurements.
STEPS = 4

A, B, C, D, E, F = states = sd.states("A B C D E F", bounds=(-0.5, 5.0), start=(0.0, 1.0))
rates = sd.parameters("forth back split on", bounds=(1e-3, 1e2), start=(0.03, 3.0), scale="log")
forth, back, split, on = rates
# without a lower bound paths through all data, sigma = 0, are likeliest while Rf is small
sigma = sd.parameter("sigma", bounds=(5e-3, 1.0), start=(0.01, 0.3), scale="log")
binding = forth * A * B - back * C
model = sd.Model(
    {
        A: -binding,
        B: -binding,
        C: binding - split * C,
        D: split * C - on * D,
        E: split * C,
        F: on * D,
    },
    name="reactions",
)
measured = {str(x): sd.Normal(x, sigma) for x in (C, E, F)}
scheme = "rk4"


def recordings(action: sd.Action) -> dict[str, sd.Observations]:
    """Measure each experiment 30 times."""
    data = {}
    for seed, (name, (a, b)) in enumerate(AMOUNTS.items()):
        initial = dict(zip("ABCDEF", [a, b, 0.0, 0.0, 0.0, 0.0], strict=True))
        _, made = sd.twin(action, parameters=TRUE, initial=initial, dt=0.4, steps=30, seed=seed)
        data[name] = made.with_initial(initial)
    return data


def likeliest(data: dict[str, sd.Observations]) -> tuple[float, dict[str, float]]:
    """Return the least -log likelihood, and where it is, by SciPy."""

    def cost(logarithms: np.ndarray) -> float:
        k1, k2, k3, k4, s = np.exp(logarithms)

        def rate(_: float, x: np.ndarray) -> list[float]:
            bound = k1 * x[0] * x[1] - k2 * x[2]
            made, used = k3 * x[2], k4 * x[3]
            return [-bound, -bound, bound - made, made - used, made, used]

        total = 0.0
        for name, (a, b) in AMOUNTS.items():
            times, values = data[name].times, data[name].values
            exact = solve_ivp(
                rate, times[[0, -1]], [a, b, 0, 0, 0, 0], t_eval=times, rtol=1e-9, atol=1e-11
            )
            total -= norm(exact.y[[2, 4, 5]].T, s).logpdf(values).sum()
        return float(total)

    found = minimize(cost, np.zeros(5) - 1.0, method="BFGS", options={"gtol": 1e-3})
    return float(found.fun), dict(zip(TRUE, np.exp(found.x).tolist(), strict=True))


def main() -> None:
    """Print what was found, beside the truth and SciPy's fit."""
    action = sd.Action(model, measured, scheme=scheme)
    data = recordings(action)
    run = sd.anneal(
        action,
        data,
        steps=STEPS,
        paths=8,
        solver="newton",
        ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=11),
        progress=False,
    )
    print(run.verdict())
    least, other = likeliest(data)
    mine = run.best.measurement_term
    print(f"-log likelihood {mine:.3f}, by SciPy {least:.3f}")
    assert run.verdict().consistent
    assert abs(mine - least) < 0.1
    posterior = action.posterior(run, data, steps=STEPS)
    for name, (low, high) in posterior.interval(0.95).items():
        value = run.best.parameters[name]
        print(
            f"{name} = {value:.4f}, 95 %: {low:.4f} .. {high:.4f}, "
            f"by SciPy {other[name]:.4f}, true value {TRUE[name]:g}"
        )
        spread = posterior.sd[name]
        assert abs(value - TRUE[name]) < 3 * spread
        assert abs(value - other[name]) < 0.05 * spread


if __name__ == "__main__":
    main()
