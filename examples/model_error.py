"""How large the errors of a model are, found from the data: predators and prey in changing weather.

Prey x and predators y follow Lotka and Volterra's equations, but a good month is good for both: the
logarithms of both get a random change every step, of a variance per unit of time 1/Rf, correlated
by 0.6. The last value of the ladder should then not be the largest that solvers bear but this Rf,
which `action.model_precision` finds; with it come the error bars of the rates. Of data of the
equations themselves it finds that there is nothing to find: the model may be exact.
"""

import argparse
from pathlib import Path

import numpy as np

import symda as sd

x, y = sd.states("x y", start=(0.2, 5.0), scale="log")
growth = sd.parameter("growth", bounds=(0.05, 5.0), scale="log")
eaten = sd.parameter("eaten", bounds=(0.05, 5.0), scale="log")
deaths = sd.parameter("deaths", bounds=(0.05, 5.0), scale="log")
model = sd.Model({x: growth * x - eaten * x * y, y: x * y - deaths * y}, name="weather")
measured = [x, y]
scheme = "rk4"

TRUE = {"growth": 1.0, "eaten": 0.8, "deaths": 0.7}
RF, CORRELATION, STEP, SIGMA = 25.0, 0.6, 0.25, 0.1


def action() -> sd.Action:
    """Errors of rates, so that Rf does not depend on the length of the steps."""
    return sd.Action(
        model,
        measured,
        scheme=scheme,
        model_error="rate",
        error_correlations={(x, y): CORRELATION},
    )


def recorded(steps: int, rf: float, seed: int) -> sd.Observations:
    """Follow the equations of the logarithms, add errors after each step, measure with noise."""
    rng = np.random.default_rng(seed)

    def rate(z: np.ndarray) -> np.ndarray:
        prey, predators = np.exp(z)
        return np.array([TRUE["growth"] - TRUE["eaten"] * predators, prey - TRUE["deaths"]])

    together = np.linalg.cholesky([[1.0, CORRELATION], [CORRELATION, 1.0]])
    root = np.sqrt(STEP / rf) * together
    path = [np.log([1.0, 1.0])]
    for _ in range(steps):
        z = path[-1]
        k1 = rate(z)
        k2 = rate(z + 0.5 * STEP * k1)
        k3 = rate(z + 0.5 * STEP * k2)
        k4 = rate(z + STEP * k3)
        step = STEP * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0
        path.append(z + step + root @ rng.normal(size=2))
    values = np.exp(path)
    times = STEP * np.arange(steps + 1)
    noise = SIGMA * rng.normal(size=values.shape)
    return sd.Observations(times, values + noise, variance=SIGMA**2)


def estimate(rf: float = RF) -> tuple[sd.Action, sd.Observations, sd.Run]:
    """Anneal over Rf from 0.1 to 10^6, to be searched."""
    problem, data = action(), recorded(160, rf, seed=2)
    ladder = sd.Ladder(rf0=0.1, alpha=4.0, rungs=13)
    return problem, data, sd.anneal(problem, data, ladder=ladder, paths=8, seed=0, solver="newton")


def main(folder: Path) -> None:
    """Print Rf, then the rates with error bars at this Rf, then what an exact model gives."""
    problem, data, run = estimate()
    found = problem.model_precision(run, data)
    print(found)
    print(f"true Rf: {RF:g}\n")
    # a ladder that ends there: its last rung has the path and the error bars of this Rf
    ladder = sd.Ladder(rf0=found.rf / 4.0**6, alpha=4.0, rungs=7)
    known = sd.anneal(problem, data, ladder=ladder, paths=8, seed=0, solver="newton")
    print(problem.posterior(known, data).table(TRUE)[["value", "low", "high", "truth", "z"]], "\n")
    exact, exact_data, exact_run = estimate(rf=np.inf)
    print("The same of equations without errors:")
    print(exact.model_precision(exact_run, exact_data).words())
    known.plot_states(folder / "model_error_states.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How large the errors of a model are.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
