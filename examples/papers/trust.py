"""VA-11 to VA-13: error bars, the next order, how many measurements, forecasts; calibrated.

Twins of Lorenz-63 (x measured) and Lorenz-96 (six of eleven states) by the call without options:
how often intervals hold the truth, in the window and after it. Then the next order of Laplace's
method against Rf, and conditional Lyapunov exponents of Lorenz-96 against the number of measured
states, beside where its action has a single level (VA-1).

Results are kept in ``trust.csv`` as they come; the same call again goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import symda as sd

SHARES = (0.5, 0.9, 0.95)
LEADS = (0.25, 0.5, 1.0)
SIZE = 11
PLACES = {
    1: [0],
    2: [0, 5],
    3: [0, 3, 7],
    4: [0, 3, 6, 8],
    5: [0, 2, 4, 6, 8],
    6: [0, 2, 4, 6, 8, 10],
    7: [0, 1, 3, 4, 6, 8, 9],
}


def lorenz63(seed: int) -> tuple[sd.Action, sd.Trajectory, sd.Observations, dict[str, float]]:
    """X measured with unit noise, three unknown parameters."""
    model = sd.models.lorenz63()
    action, true = sd.Action(model, [model["x"]]), dict(sd.models.LORENZ63)
    truth, data = sd.twin(
        action, parameters=true, dt=0.02, steps=250, variance=1.0, seed=seed, discard=20.0
    )
    return action, truth, data, true


def lorenz96(seed: int) -> tuple[sd.Action, sd.Trajectory, sd.Observations, dict[str, float]]:
    """Six of eleven states, the forcing unknown."""
    model = sd.models.lorenz96()
    true = {p.name: 10.0 for p in model.parameters}
    action = sd.Action(model, [model[f"x{a}"] for a in PLACES[6]])
    truth, data = sd.twin(
        action, parameters=true, dt=0.025, steps=205, variance=0.2, seed=seed, discard=20.0
    )
    return action, truth, data, true


def calibrated(name: str, seed: int) -> dict[str, object]:
    """Return how much of the truth each interval holds, for one twin."""
    action, truth, data, true = {"Lorenz-63": lorenz63, "Lorenz-96": lorenz96}[name](seed)
    N = 200 if name == "Lorenz-63" else 165
    window = sd.Observations(data.times[: N + 1], data.values[: N + 1], variance=data.variance[0])
    run = sd.anneal(action, window, progress=False)
    row: dict[str, object] = {"system": name, "seed": seed, "verdict": str(run.verdict())}
    posterior = run.posterior()
    measured = {str(c) for c in run.dataset["channel"].values}
    row["nonlinearity"] = posterior.nonlinearity
    exact = truth.states.values[: N + 1]
    for share in SHARES:
        band = posterior.interval(share)
        inside = (exact >= band["low"].values) & (exact <= band["high"].values)
        seen = np.array([s.name in measured for s in action.model.states])
        row[f"measured {share}"] = inside[:, seen].mean()
        row[f"unmeasured {share}"] = inside[:, ~seen].mean()
        table = posterior.parameter_table(share)
        held = [table.loc[p, "low"] <= true[p] <= table.loc[p, "high"] for p in table.index]
        row[f"parameters {share}"] = float(np.mean(held))
    step = float(data.times[1] - data.times[0])
    later = window.times[-1] + np.array(LEADS) if name == "Lorenz-96" else data.times[N + 10 :: 20]
    forecast = run.forecast(later)
    at = np.rint(later / step).astype(int)
    for share in SHARES:
        band, of_data = forecast.interval(share), forecast.data_interval(share)
        true_states = truth.states.values[at]
        inside = (true_states >= band["low"].values) & (true_states <= band["high"].values)
        y = data.values[at]
        within = (y >= of_data["low"].values) & (y <= of_data["high"].values)
        row[f"forecast {share}"], row[f"data {share}"] = inside.mean(), within.mean()
    return row


def next_order() -> pd.DataFrame:
    """Size of the next order along the paper's ladder."""
    action, _, data, _ = lorenz96(1)
    rows = []
    for beta in (10, 13, 16, 19, 22):
        ladder = sd.Ladder(rf0=0.01, alpha=2.0, rungs=beta + 1)
        run = sd.anneal(action, data, ladder=ladder, paths=10, strategy="ladder", progress=False)
        posterior = run.posterior()
        relative = posterior.shift / posterior.sd
        sizes = {"rms": float(np.sqrt((relative**2).mean())), "most": posterior.nonlinearity}
        rows.append({"beta": beta, "Rf": 0.01 * 2.0**beta} | sizes)
    return pd.DataFrame(rows)


def measurements(time: float) -> pd.DataFrame:
    """Conditional exponents of Lorenz-96 against the number of measured states."""
    model = sd.models.lorenz96()
    given = {"parameters": {p.name: 10.0 for p in model.parameters}, "time": time}
    rows = []
    for L, places in PLACES.items():
        found = sd.lyapunov(model, coupled=[model[f"x{a}"] for a in places], **given)
        rows.append(
            {
                "L": L,
                "strength": found.coupling,
                "largest": found.exponents[0],
                "error": found.errors[0],
                "positive": found.positive,
                "substituted": found.substituted.exponents[0],
                "positive, substituted": found.substituted.positive,
            }
        )
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Run what is missing, print the tables, check what is claimed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--twins", type=int, default=200)
    parser.add_argument("--time", type=float, default=100.0)
    parser.add_argument("--into", type=Path, default=Path("trust.csv"))
    given = parser.parse_args()
    orders = next_order()
    print(orders.to_string(index=False))
    assert orders["rms"].iloc[-1] < orders["rms"].iloc[0]
    exponents = measurements(given.time)
    print(exponents.to_string(index=False))
    assert (exponents.loc[exponents["L"] >= 5, "largest"] < 0.0).all()
    assert exponents.loc[exponents["L"] <= 3, "positive"].min() >= 1
    rows = pd.read_csv(given.into).to_dict("records") if given.into.exists() else []
    done = {(r["system"], r["seed"]) for r in rows}
    for name in ("Lorenz-96", "Lorenz-63"):
        for seed in range(given.twins):
            if (name, seed) in done:
                continue
            try:
                rows.append(calibrated(name, seed))
            except sd.SymdaError as error:
                rows.append({"system": name, "seed": seed, "verdict": f"failed: {error}"})
            pd.DataFrame(rows).to_csv(given.into, index=False)
    every = pd.DataFrame(rows)
    good = every[every["verdict"].str.startswith("consistent")]
    print(every.groupby("system")["verdict"].apply(lambda v: v.str[:40].value_counts()))
    columns = [c for c in every.columns if any(c.endswith(str(s)) for s in SHARES)]
    mean, error = good.groupby("system")[columns].mean(), good.groupby("system")[columns].sem()
    both = pd.concat({"mean": mean, "error": error}, axis=0).T
    print(both.to_string(float_format="{:.3f}".format))
    print(good.groupby("system")["nonlinearity"].describe().to_string())


if __name__ == "__main__":
    main()
