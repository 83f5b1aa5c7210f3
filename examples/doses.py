"""Two compartments and doses: pulses, exact initial states, and a fit by SciPy beside them.

A drug is given into the central compartment A1, from which it is eliminated and goes to and comes
back from the peripheral compartment A2; measured is the concentration A1/V.

INDOMETHACIN is subject 1 of K. C. Kwan et al., J. Pharmacokinet. Biopharm. 4 (1976) 255, the data
set Indometh of R: one intravenous injection, hours and mg/l. The data set does not say the dose; 25
mg is a usual assumption, and V is proportional to it, the rates do not depend on it. FIVE_DOSES is
simulated, with the values TRUE: 100 mg every twelve hours, and noise of ten per cent; samples at
the time of a dose were taken before it. Published data of many doses are in `newborns.py`.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.optimize import least_squares

import symda as sd

A1, A2 = sd.states("A1 A2", bounds=(0.0, 1e4), start=(0.0, 100.0))
dose = sd.forcing("dose")
k = sd.parameter("k", bounds=(0.01, 10.0), start=(0.1, 2.0))
k12 = sd.parameter("k12", bounds=(0.01, 10.0), start=(0.1, 2.0))
k21 = sd.parameter("k21", bounds=(0.01, 10.0), start=(0.05, 2.0))
V = sd.parameter("V", bounds=(1.0, 100.0), start=(5.0, 50.0))

model = sd.Model({A1: dose - (k + k12) * A1 + k21 * A2, A2: k12 * A1 - k21 * A2}, name="doses")
measured = {"c": A1 / V}
scheme = "gauss6"

# fmt: off
INDOMETHACIN = {
    "doses": ([0.0], [25.0]),
    "hours": [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
    "c": [np.nan, 1.50, 0.94, 0.78, 0.48, 0.37, 0.19, 0.12, 0.11, 0.08, 0.07, 0.05],
}
TRUE = {"k": 0.3, "k12": 0.4, "k21": 0.2, "V": 20.0}
FIVE_DOSES = {
    "doses": ([0.0, 12.0, 24.0, 36.0, 48.0], [100.0] * 5),
    "hours": [
        0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 13.0, 16.0, 24.0, 25.0, 28.0,
        36.0, 37.0, 40.0, 48.0, 48.5, 49.0, 50.0, 52.0, 56.0, 60.0, 72.0,
    ],
    "c": [
        np.nan, 3.56, 2.68, 1.48, 0.714, 0.457, 0.319, 2.95, 1.19, 0.477, 2.88, 1.22,
        0.584, 3.16, 1.09, 0.588, 4.42, 2.73, 1.94, 0.992, 0.704, 0.49, 0.246,
    ],
}
# fmt: on

#: Hours.
MAX_STEP = 0.5
#: Standard deviation of the noise, as a share of the value.
SHARE = 0.1


def estimate(given: Mapping[str, Any] = FIVE_DOSES) -> tuple[sd.Action, sd.Observations, sd.Run]:
    """Anneal sixteen paths; both compartments are empty before the first dose, exactly."""
    action = sd.Action(model, measured, scheme=scheme, initial={A1: 0.0, A2: 0.0})
    c = np.array(given["c"])
    forcing = {"dose": sd.Pulses(*given["doses"])}
    data = sd.Observations(given["hours"], c, variance=(SHARE * c) ** 2, forcing=forcing)
    ladder = sd.Ladder(rf0=1e-2, alpha=4.0, rungs=17)
    settings = {"paths": 16, "seed": 0, "solver": "newton", "options": {"max_iter": 500}}
    run = sd.anneal(action, data, ladder=ladder, max_step=MAX_STEP, **settings)
    return action, data, run


def least(given: Mapping[str, Any] = FIVE_DOSES) -> tuple[np.ndarray, np.ndarray]:
    """Fit the sum of matrix exponentials by SciPy: parameters (k, k12, k21, V) and their errors."""
    seen = np.isfinite(given["c"])
    hours, c = np.array(given["hours"])[seen], np.array(given["c"])[seen]

    def residuals(logs: np.ndarray) -> np.ndarray:
        out, there, back, volume = np.exp(logs)
        rates = np.array([[-out - there, back], [there, -back]])
        amount = np.zeros(hours.size)
        for when, much in zip(*given["doses"], strict=True):
            since = hours - when
            # a sample at the time of a dose was taken before it
            amount += [much * expm(rates * t)[0, 0] if t > 0.0 else 0.0 for t in since]
        return (amount / volume - c) / (SHARE * c)

    starts = np.log([[0.3, 0.5, 0.5, 10.0], [1.0, 1.0, 0.3, 10.0], [2.0, 0.3, 0.1, 20.0]])
    fits = [least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14) for start in starts]
    best = min(fits, key=lambda fit: fit.cost)
    values = np.exp(best.x)
    return values, values * np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))


def main(folder: Path) -> None:
    """Print both estimates of each data set and draw the states."""
    for title, given in (("five doses", FIVE_DOSES), ("indomethacin", INDOMETHACIN)):
        action, data, run = estimate(given)
        print(f"{title}: {run.verdict()}")
        spread = action.posterior(run, data, max_step=MAX_STEP).sd
        values, errors = least(given)
        for name, value, error in zip(TRUE, values, errors, strict=True):
            mine = run.best.parameters[name]
            print(
                f"  {name:4} {mine:.4f} +- {spread[name]:.4f}, by SciPy {value:.4f} +- {error:.4f}"
            )
        run.plot_states(folder / f"doses_{title.replace(' ', '_')}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two compartments and doses.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
