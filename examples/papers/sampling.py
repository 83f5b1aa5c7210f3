"""Are samples right, and what do they cost: cases whose answer is known, and a published sampler.

`--parts` chooses:

- ``mirror``: two levels with a known weight. Of Lorenz-63 only z is measured, and x once, poorly:
  a path and its mirror image (-x, -y) explain z alike, and the one datum of x tells how much less
  likely the image is;
- ``order``: the next order of Laplace's method against draws, along the ladder of Lorenz-96;
- ``ranks``: simulation-based calibration (S. Talts and others, arXiv 1804.06788): truth drawn from
  the prior, then data; its rank among samples is uniform if the sampler is right;
- ``annealed``: Monte Carlo up the ladder of precisions (arXiv 1907.03137; its Hamiltonian form by
  Z. Fang, A. S. Wong, K. Hao, A. J. A. Ty and H. D. I. Abarbanel, Phys. Rev. Research 2, 2020,
  013050) on its own case, Lorenz-96 with 12 of 20 states measured, with the same action and
  gradient; lengths of steps follow what is taken, which is kinder than constants.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import kstest

import symda as sd
from symda.api.machine import machine
from symda.sample.mixing import effective, r_hat

ONE = {"progress": False, "workers": 1, "strategy": "ladder", "finish": "none"}


def mirror() -> pd.DataFrame:
    """Weight of a path against its mirror image: Laplace's, samples', and what x itself says."""
    rows = []
    x, y, z = sd.states("x y z", start=(-20.0, 40.0))
    rho = sd.parameter("rho", bounds=(10.0, 60.0))
    model = sd.Model({x: 10.0 * (y - x), y: x * (rho - z) - y, z: x * y - 8.0 / 3.0 * z})
    action = sd.Action(model, measured=[x, z], scheme="rk4")
    first = {"x": 6.0, "y": 7.0, "z": 25.0}
    _, made = sd.twin(
        action, parameters={"rho": 28.0}, dt=0.02, steps=60, variance=0.25, seed=3, initial=first
    )
    weak = made.values[30, 0]
    for variance in (150.0, 60.0):
        for rf in (100.0, 1e4):
            runs = []
            for seen in (True, False):
                values = made.values.copy()
                values[:, 0] = np.nan
                if seen:
                    values[30, 0] = weak
                data = sd.Observations(made.times, values, variance=np.array([variance, 0.25]))
                ladder = sd.Ladder(rf0=rf / 8.0, alpha=2.0, rungs=4)
                runs.append(
                    sd.anneal(action, data, ladder=ladder, start="simulated", paths=40, **ONE)
                )
            both, without = runs
            # of paths on the side of the datum
            levels = both.posterior().levels
            masses = sum(one.weight for one in levels if one.gaussian.path[30, 0] > 0.0)
            samples = both.sample(1000, seed=1)
            # of what z says alone, either image: how likely is the datum of x, and its mirror
            beside = without.sample(2000, seed=2)
            size = np.abs(beside.states.sel(state="x").isel(time=30).values)
            near, far = (
                np.exp(-0.5 * (side * size - weak) ** 2 / variance) for side in (1.0, -1.0)
            )
            w = beside.weights
            reference = (w @ near) / (w @ (near + far))
            error = math.sqrt(float(w**2 @ (near - reference * (near + far)) ** 2)) / float(
                w @ (near + far)
            )
            own = samples.states.sel(state="x").isel(time=30).values > 0.0
            rows.append(
                {
                    "variance of x": variance,
                    "Rf": rf,
                    "reference": reference,
                    "its error": error,
                    "masses": masses,
                    "samples": float(samples.weights @ own) if samples.determined else math.nan,
                    "method": ", ".join(samples.levels["method"]),
                }
            )
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def order() -> pd.DataFrame:
    """Compare the next order of expected values with 800 importance draws, beta = 10 to 25."""
    x, nu = sd.states("x", 11, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % 11] - x[a - 2]) - x[a] + nu for a in range(11)}, name="ring"
    )
    action = sd.Action(model, [x[a] for a in (0, 2, 4, 6, 8, 10)], scheme="rk4")
    _, data = sd.twin(
        action, parameters={"nu": 10.0}, dt=0.025, steps=165, variance=0.2, seed=1, discard=20.0
    )
    rows = []
    for beta in (10, 15, 20, 25):
        ladder = sd.Ladder(rf0=0.01, alpha=2.0, rungs=beta + 1)
        run = sd.anneal(action, data, ladder=ladder, paths=20, **ONE)
        laplace, drawn = run.posterior(), run.sample(800, method="rto", seed=1)
        sizes = laplace.sd.values.reshape(-1)
        predicted = laplace.shift.values.reshape(-1) / sizes
        found = (drawn.mean - laplace.mean).values.reshape(-1) / sizes
        mcse = [drawn.expected(x[a])["mcse"].values for a in range(11)]
        errors = np.stack(mcse, axis=1).reshape(-1) / sizes
        spreads = drawn.sd.values.reshape(-1) / sizes
        rows.append(
            {
                "beta": beta,
                "predicted, rms": _rms(predicted),
                "sampled, rms": _rms(found),
                "apart, rms": _rms(found - predicted),
                "error of samples, rms": _rms(errors),
                "slope": float(predicted @ found / (predicted @ predicted)),
                "sd, least": spreads.min(),
                "sd, most": spreads.max(),
            }
        )
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def well() -> sd.Action:
    """x_n+1 = x_n + (x_n - x_n^3 + c)/10: two wells, tilted by c."""
    x = sd.state("x", start=(-2.0, 2.0), prior=sd.Normal(0.8, 0.5))
    c = sd.parameter("c", start=(-1.0, 1.0), prior=sd.Normal(0.0, 0.5))
    return sd.Action(sd.Model({x: x + (x - x**3 + c) / 10}, name="well", discrete=True), {"x": x})


def lorenz() -> sd.Action:
    """Lorenz-63, of which x is measured every fifth step."""
    x, y, z = (
        sd.state(name, start=(low, high), prior=sd.Normal(mean, 1.0))
        for name, mean, low, high in (("x", -6, -20, 20), ("y", -6, -25, 25), ("z", 25, 0, 50))
    )
    rho = sd.parameter("rho", start=(25.0, 31.0), prior=sd.Normal(28.0, 1.0))
    model = sd.Model({x: 10.0 * (y - x), y: x * (rho - z) - y, z: x * y - 8.0 / 3.0 * z})
    return sd.Action(model, [x], scheme="rk4")


def ranks(times: int) -> pd.DataFrame:
    """Share of the samples that lie below the truth: uniform, by Kolmogorov and Smirnov's test."""
    rows = []
    for name, action, rf, variance, h, N, means in (
        ("two wells", well(), 20.0, 0.3, 1.0, 40, ([0.8], 0.5, 0.0, 0.5)),
        ("Lorenz-63", lorenz(), 1e3, 1.0, 0.02, 60, ([-6.0, -6.0, 25.0], 1.0, 28.0, 1.0)),
    ):
        found, lost = [], 0
        parameter = action.model.parameters[0].name
        for seed in range(times):
            rng = np.random.default_rng([seed, len(name)])
            theta = means[2] + means[3] * rng.normal()
            path = [np.array(means[0]) + means[1] * rng.normal(size=len(means[0]))]
            for _ in range(N):
                after = _stepped(name, path[-1], theta, h)
                path.append(after + rng.normal(size=after.size) / math.sqrt(rf))
            truth = np.array(path)
            values = truth[:, 0] + math.sqrt(variance) * rng.normal(size=N + 1)
            values[np.arange(N + 1) % 5 != 0] = np.nan
            data = sd.Observations(h * np.arange(N + 1), values, variance=variance)
            # from the middle of the prior, up a short ladder
            ladder = sd.Ladder(rf0=rf / 2.0**8, alpha=2.0, rungs=9)
            run = sd.anneal(action, data, ladder=ladder, paths=30, seed=seed, **ONE)
            drawn = run.sample(400, seed=seed, time_limit=30.0)
            if not drawn.determined:
                lost += 1
                continue
            below = {parameter: drawn.parameter_draws[parameter].values < theta}
            states = drawn.states.values
            for a, state in enumerate(action.model.states):
                for n in (0, N // 2, N):
                    below[f"{state.name}({n})"] = states[:, n, a] < truth[n, a]
            found.append({k: float(drawn.weights @ v) for k, v in below.items()})
        table = pd.DataFrame(found)
        for column in table:
            values = table[column].to_numpy()
            rows.append(
                {
                    "system": name,
                    "unknown": column,
                    "mean": values.mean(),
                    "below 5 %": (values < 0.05).mean(),
                    "above 95 %": (values > 0.95).mean(),
                    "p": kstest(values, "uniform").pvalue,
                }
            )
        print(f"{name}: {len(found)} truths, {lost} not determined", flush=True)
    return pd.DataFrame(rows)


def _stepped(name: str, x: np.ndarray, theta: float, h: float) -> np.ndarray:
    """Return a step of a system, written down once more."""
    if name == "two wells":
        return x + (x - x**3 + theta) / 10

    def rates(s: np.ndarray) -> np.ndarray:
        a, b, c = s
        return np.array([10.0 * (b - a), a * (theta - c) - b, a * b - 8.0 / 3.0 * c])

    k1 = rates(x)
    k2 = rates(x + h / 2 * k1)
    k3 = rates(x + h / 2 * k2)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + rates(x + h * k3))


#: Their setting: states of 20 that are measured, of 200 points, and the ladder 1.4^beta.
SEEN, POINTS, NOISE = (0, 1, 3, 5, 6, 8, 10, 11, 13, 15, 16, 18), 200, 0.4
RUNGS, ALPHA = 46, 1.4
#: Leapfrog steps a proposal, proposals a rung and at the last one, and the share to be taken.
LEAPS, PROPOSALS, LAST, TAKEN = 100, 20, 400, 0.7


def annealed() -> pd.DataFrame:
    """Chains that climb the ladder, against draws about the minimum that a ladder ends at."""
    x, nu = sd.states("x", 20, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % 20] - x[a - 2]) - x[a] + nu for a in range(20)}, name="ring"
    )
    action = sd.Action(model, [x[a] for a in SEEN], scheme="trapezoid")
    first = dict.fromkeys((s.name for s in model.states), 1.0) | {"x0": 0.01}
    truth, data = sd.twin(
        action,
        parameters={"nu": 8.17},
        dt=0.025,
        steps=POINTS - 1,
        variance=NOISE**2,
        seed=1,
        initial=first,
        discard=12.5,
    )
    exact = truth.states.values
    hidden = [a for a in range(20) if a not in SEEN]
    began = time.process_time()
    ladder = sd.Ladder(rf0=1.0, alpha=ALPHA, rungs=RUNGS)
    run = sd.anneal(action, data, ladder=ladder, paths=20, **ONE)
    drawn = run.sample(400, method="rto", seed=1)
    print(drawn)
    rows = [
        {
            "sampler": "20 ladders, 400 draws about the lowest",
            "CPU s": time.process_time() - began,
            "effective, worst": drawn.levels.iloc[0]["effective"],
            "R-hat": math.nan,
            "nu": drawn.parameters.loc["nu", "value"],
            "sd of nu": drawn.parameters.loc["nu", "sd"],
            "error of hidden states": _rms((drawn.mean.values - exact)[:, hidden]),
        }
    ]
    print(rows[-1], flush=True)
    problem = action.bind(data)
    at = machine(action.specification.of(problem)).at(problem)
    began = time.process_time()
    places = np.stack([_climbing(at, data.values, seed) for seed in range(4)])
    mean = places.mean(axis=(0, 1))
    rows.append(
        {
            "sampler": "4 chains up the ladder",
            "CPU s": time.process_time() - began,
            "effective, worst": float(effective(places).min()),
            "R-hat": float(r_hat(places).max()),
            "nu": mean[-1],
            "sd of nu": places[:, :, -1].std(),
            "error of hidden states": _rms((mean[:-1].reshape(-1, 20) - exact)[:, hidden]),
        }
    )
    for one in places:
        path = one.mean(axis=0)[:-1].reshape(-1, 20)
        print(f"a chain: error of hidden states {_rms((path - exact)[:, hidden]):.3g}", flush=True)
    return pd.DataFrame(rows)


def _slopes(at, precision: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray]:
    return at.value_and_gradient(v[:-1].reshape(-1, precision.size), v[-1:], precision)


def _climbing(at, y: np.ndarray, seed: int) -> np.ndarray:
    """Return where a chain is at the last rung, (T, n)."""
    rng, D = np.random.default_rng(seed), 20

    def rates(s: np.ndarray) -> np.ndarray:
        return np.roll(s, 1) * (np.roll(s, -1) - np.roll(s, 2)) - s + 8.0

    # they begin with the equations' own solution, what is measured put in at every step
    path = np.empty((len(y), D))
    path[0] = rng.uniform(-10.0, 10.0, D)
    path[0, SEEN] = y[0]
    for n in range(len(y) - 1):
        path[n + 1] = path[n] + 0.025 * rates(path[n] + 0.0125 * rates(path[n]))
        path[n + 1, SEEN] = y[n + 1]
    place, length = np.append(path.reshape(-1), 8.0), 0.05
    for beta in range(RUNGS):
        slopes = partial(_slopes, at, np.full(D, ALPHA**beta))
        value, slope = slopes(place)
        met = []
        for k in range(LAST if beta == RUNGS - 1 else PROPOSALS):
            moved, pull, p = place, slope, rng.normal(size=place.size)
            energy = value + 0.5 * p @ p
            with np.errstate(all="ignore"):
                for _ in range(LEAPS):
                    p = p - 0.5 * length * pull
                    moved = moved + length * p
                    after, pull = slopes(moved)
                    p = p - 0.5 * length * pull
                change = energy - after - 0.5 * p @ p
            good = math.isfinite(change) and rng.uniform() < math.exp(min(0.0, change))
            if good:
                place, value, slope = moved, after, pull
            # the length follows what is taken, but in the second half of the last rung
            if k < LAST // 2:
                length *= math.exp(0.3 * (good - TAKEN))
            met.append(place)
        if beta < RUNGS - 1:
            # the expected path is where the next rung begins
            place = np.mean(met[len(met) // 2 :], axis=0)
    return np.array(met[LAST // 2 :])


def main() -> None:
    """Run what is asked for, print the tables, check what is claimed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="mirror,order,ranks,annealed")
    parser.add_argument("--times", type=int, default=200, help="truths of `ranks`: 3 s each")
    given = parser.parse_args()
    parts = given.parts.split(",")
    if "mirror" in parts:
        table = mirror()
        print(table.to_string(index=False, float_format="{:.4g}".format))
        assert ((table["masses"] - table["reference"]).abs() < 0.002 + 3 * table["its error"]).all()
        assert ((table["samples"] - table["reference"]).abs() < 0.05).all()
    if "order" in parts:
        table = order()
        print(table.to_string(index=False, float_format="{:.3g}".format))
        late = table[table["beta"] >= 15]
        assert (late["apart, rms"] <= 1.5 * late["error of samples, rms"]).all()
        assert late["slope"].between(0.9, 1.15).all()
    if "ranks" in parts:
        table = ranks(given.times)
        print(table.to_string(index=False, float_format="{:.3g}".format))
        assert (table["p"] > 0.01 / len(table)).all()
    if "annealed" in parts:
        table = annealed()
        print(table.to_string(index=False, float_format="{:.4g}".format))
        assert table.loc[0, "effective, worst"] > 200 and table.loc[1, "R-hat"] > 1.1


if __name__ == "__main__":
    main()
