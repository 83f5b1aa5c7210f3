"""Phenobarbital in newborns: published doses and samples, beside a fit of the closed form by SciPy.

Four of the 59 newborns of T. H. Grasela and S. M. Donn, Neonatal population pharmacokinetics of
phenobarbital derived from routine clinical data, Dev. Pharmacol. Ther. 8 (1985) 374: subjects 9,
14, 18 and 38 of the data set Phenobarb of R's package nlme, those with twelve or more doses (mg,
given into a vein) and four samples (mg/l), the last of them five days or more after the last dose.
Each is an experiment with a rate of elimination k and a volume V of its own; the noise, log-normal,
is one for all and estimated. Before the first dose there is nothing in the body, exactly. With
their weights of 1.4, 1.1, 1.0 and 1.3 kg the volumes are 0.88, 0.88, 1.10 and 1.09 l/kg and the
clearances k V 0.0034, 0.0051, 0.0070 and 0.0056 l/h/kg; the paper has 0.96 and 0.0047 on average.

These data do not determine a second compartment. With one, whose exchange rates k12 and k21 are the
same for all, twice the log likelihood is higher by 7.2, the logarithms of k12 and k21 are known to
1.0 and 1.5, and Akaike's criterion falls from 89.3 to 86.1; in its form for few data, of which
there are sixteen against eleven parameters, it rises from 119.3 to 152.1. FIVE_DOSES of `doses.py`,
simulated, has two compartments.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import sympy as sp
from scipy.optimize import least_squares

import symda as sd

# fmt: off
#: Hours and mg of the doses, hours and mg/l of the samples.
NEWBORNS = {
    "9": (
        [0.0, 11.1, 22.3, 34.6, 46.6, 58.7, 70.9, 83.2, 94.6, 106.6, 118.6, 130.6, 142.6],
        [27.0] + [3.2] * 12,
        [1.1, 82.7, 142.1, 312.6], [22.1, 29.2, 34.2, 19.6],
    ),
    "14": (
        [0.0, 11.8, 23.8, 35.8, 47.8, 59.8, 71.8, 83.8, 95.8, 107.3, 119.8, 131.8, 143.8],
        [22.0] + [2.8] * 12,
        [2.3, 59.3, 131.5, 303.3], [25.6, 25.6, 25.7, 14.3],
    ),
    "18": (
        [0.0, 11.8, 23.8, 35.8, 48.1, 59.3, 71.8, 82.8, 95.8, 107.8, 119.8, 131.8],
        [20.0, 20.0] + [2.5] * 10,
        [2.8, 71.3, 143.8, 389.8], [21.9, 25.9, 28.9, 6.7],
    ),
    "38": (
        [
            0.0, 11.6, 23.3, 35.3, 47.3, 59.3, 71.3, 83.3, 95.3, 107.3, 119.3, 131.3, 143.3,
            155.3, 167.3,
        ],
        [26.0] + [3.0] * 14,
        [1.8, 118.8, 183.3, 310.3], [17.9, 21.6, 30.5, 13.0],
    ),
}
# fmt: on

A = sd.state("A", bounds=(0.0, 200.0), start=(10.0, 60.0))
dose = sd.forcing("dose")
k = sd.parameter("k", per="experiment", scale="log", bounds=(1e-4, 0.1), start=(1e-3, 0.02))
V = sd.parameter("V", per="experiment", scale="log", bounds=(0.1, 10.0), start=(0.5, 3.0))
# without a lower bound paths through all data are likeliest while Rf is small
sigma = sd.parameter("sigma", scale="log", bounds=(0.03, 1.0), start=(0.05, 0.5))

model = sd.Model({A: dose - k * A}, name="newborns")
measured = {"c": sd.LogNormal(sp.log(A / V), sigma)}
scheme = "gauss4"


def recordings() -> dict[str, sd.Observations]:
    """Return samples and doses of each; nothing is measured at the first dose."""
    return {
        name: sd.Observations(
            [0.0, *hours], [np.nan, *c], forcing={"dose": sd.Pulses(when, amounts)}
        )
        for name, (when, amounts, hours, c) in NEWBORNS.items()
    }


def estimate() -> tuple[sd.Action, dict[str, sd.Observations], sd.Run]:
    """Anneal eight paths."""
    action, data = sd.Action(model, measured, scheme=scheme, initial={A: 0.0}), recordings()
    ladder = sd.Ladder(rf0=1e-2, alpha=8.0, rungs=12)
    settings = {"paths": 8, "seed": 0, "solver": "newton", "options": {"max_iter": 500}}
    return action, data, sd.anneal(action, data, ladder=ladder, max_step=12.0, **settings)


def least(*, exchange: bool = False) -> tuple[dict[str, float], dict[str, float], float]:
    """Maximise the likelihood of the doses' sum by SciPy.

    Returns
    -------
    values, errors : dict
        Each k and V, with `exchange` k12 and k21, and sigma; standard errors of their logarithms.
    cost : float
        -log of the likelihood.
    """

    def log_c(name: str, out: float, volume: float, there: float, back: float) -> np.ndarray:
        when, amounts, hours, _ = (np.array(part) for part in NEWBORNS[name])
        gone = hours[:, None] - when
        # the rates at which the central compartment empties, and the share of each
        total = out + there + back
        root = np.sqrt(total**2 - 4.0 * out * back)
        fast, slow = (total + root) / 2.0, (total - root) / 2.0
        share = (fast - back) / root
        left = share * np.exp(-fast * gone) + (1.0 - share) * np.exp(-slow * gone)
        return np.log(np.where(gone > 0.0, left, 0.0) @ amounts / volume)

    def misfit(logs: np.ndarray) -> np.ndarray:
        there, back = np.exp(logs[8:]) if exchange else (0.0, 1.0)
        pairs = np.exp(logs[:8]).reshape(4, 2)
        found = [
            log_c(name, out, volume, there, back) - np.log(NEWBORNS[name][3])
            for name, (out, volume) in zip(NEWBORNS, pairs, strict=True)
        ]
        return np.concatenate(found)

    begin = np.log([0.006, 1.2] * 4 + [0.005, 0.02] * exchange)
    # no data say more of a rate of exchange than that it is within a million times of this
    fit = least_squares(misfit, begin, bounds=(begin - 14.0, begin + 14.0), xtol=1e-14, ftol=1e-14)
    n, scale = fit.fun.size, float(np.sqrt(np.mean(fit.fun**2)))
    names = [f"{one}[{name}]" for name in NEWBORNS for one in "kV"] + ["k12", "k21"] * exchange
    values = dict(zip(names, np.exp(fit.x), strict=True)) | {"sigma": scale}
    spread = scale * np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    errors = dict(zip(names, spread, strict=True)) | {"sigma": 1.0 / np.sqrt(2.0 * n)}
    logs = sum(np.log(c).sum() for *_, c in NEWBORNS.values())
    return values, errors, n * (np.log(scale) + 0.5 + 0.5 * np.log(2.0 * np.pi)) + logs


def main(out: Path) -> None:
    """Print each estimate beside SciPy's, and what a second compartment is worth."""
    action, data, run = estimate()
    print(run.summary())
    values, errors, cost = least()
    spread = action.posterior(run, data, max_step=12.0).internal_sd
    for name, value in values.items():
        found = run.best.parameters[name]
        print(
            f"  {name:6} = {found:.5f} (log +- {spread[name]:.4f}), SciPy {value:.5f} "
            f"(log +- {errors[name]:.4f})"
        )
        assert abs(np.log(found / value)) < 1e-2 * errors[name]
    print(f"-log likelihood {run.best.measurement_term:.4f}, SciPy {cost:.4f}")
    more, errors, lower = least(exchange=True)
    print(f"with k12 = {more['k12']:.4f}, k21 = {more['k21']:.4f} for all: {lower:.4f} (SciPy)")
    print(f"  their logarithms +- {errors['k12']:.1f} and {errors['k21']:.1f}")
    for name, few in (("AIC", 0.0), ("AIC for few data", 1.0)):
        one, two = (criterion(c, p, few) for c, p in ((cost, 9), (lower, 11)))
        print(f"  {name}: {one:.1f}, with the second compartment {two:.1f}")
    run.plot_states(out / "newborns_states.png")


def criterion(cost: float, p: int, few: float) -> float:
    """Akaike's criterion of p parameters; with `few` = 1 that for sixteen data."""
    n = sum(len(c) for *_, c in NEWBORNS.values())
    return 2.0 * cost + 2.0 * p + few * 2.0 * p * (p + 1) / (n - p - 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the plot")
    main(parser.parse_args().out)
