"""LD-1 to LD-3: learning Lorenz's system from noisy and partial data, method by method.

Setting of the second paper's tables 1 and 2 (see docs/learning.md for its source and what survives
of it): 4,000 samples, 0.01 apart; noise of variance 0 to 64 on all of them (table 1), or one sample
in eight kept, regularly, or irregularly in time and component (table 2). Each method is judged on
a clean test trajectory: RMS error one and four steps ahead, largest exponent, valid forecast,
distance of attractors, and for libraries whether exactly the true terms were found.

Results are kept in ``ld.csv`` as they come; the same call again goes on. `--methods` and
`--seeds` choose; what needs the extra `learn` is left out where that is missing, and said.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.integrate import odeint

import symda as sd

H, SAMPLES, SHARE = 0.01, 4000, 8
TABLE_1 = (0.0, 0.5, 2.0, 8.0, 16.0, 32.0, 64.0)
TABLE_2 = (8.0, 64.0)
METHODS: dict[str, sd.learn.Learner] = {
    "AF": sd.learn.Analogs(),
    "SR": sd.learn.SparseRegression(),
    "SR_Hann": sd.learn.SparseRegression(smooth=20),
    "weak SR": sd.learn.WeakSparseRegression(),
    "BiNN": sd.learn.BiNN(starts=1),
    "EnKS-EM": sd.learn.EnKSEM(),
    "annealed terms": sd.learn.AnnealedTerms(step=H),
}
if find_spec("torch"):
    METHODS["VODEN"] = sd.learn.VODEN(rate=1e-2)
#: A fit of VODEN takes a quarter of an hour of a core: one seed of these cells, in place of all.
FEW = {"VODEN": {("full", 8.0), ("full", 64.0)}}
#: The noise that methods are told where there is none.
NONE = 1e-8


def lorenz(x: np.ndarray, _t: float) -> list[float]:
    """Return the rates of Lorenz (1963)."""
    return [10.0 * (x[1] - x[0]), x[0] * (28.0 - x[2]) - x[1], x[0] * x[1] - 8.0 / 3.0 * x[2]]


def clean(seed: int) -> np.ndarray:
    """Return states (4000, 3) on the attractor."""
    start = np.random.default_rng(seed).normal([0.0, 0.0, 25.0], 5.0)
    return odeint(lorenz, start, H * np.arange(SAMPLES + 2000), rtol=1e-10, atol=1e-10)[2000:]


def data(kind: str, variance: float, seed: int) -> np.ndarray:
    """Return what was measured (4000, 3), nan where nothing was."""
    rng = np.random.default_rng([seed, 1])
    y = clean(seed) + np.sqrt(variance) * rng.normal(size=(SAMPLES, 3))
    if kind == "regular":
        y[np.arange(SAMPLES) % SHARE != 0] = np.nan
    elif kind == "irregular":
        y[rng.random(y.shape) >= 1.0 / SHARE] = np.nan
    return y


def fitted(method: str, seen: sd.Observations, seed: int) -> sd.learn.Learner:
    """Fit a method."""
    learner = METHODS[method]
    if "seed" in learner.get_params():
        learner.set_params(seed=seed)
    return learner.fit(seen)


def judged(method: str, kind: str, variance: float, seed: int) -> dict[str, object]:
    """Fit a method and score it."""
    row: dict[str, object] = {"method": method, "kind": kind, "variance": variance, "seed": seed}
    y = data(kind, variance, seed)
    keep = np.isfinite(y).any(axis=1)
    seen = sd.Observations(H * np.flatnonzero(keep), y[keep], variance=max(variance, NONE))
    began = time.process_time()
    truth = sd.learn.with_numbers(sd.models.lorenz63(), sd.models.LORENZ63)
    try:
        fit = fitted(method, seen, seed)
        row["seconds"] = time.process_time() - began
        score = sd.learn.score(fit, clean(seed + 1000), t=H, truth=truth, exponent=0.9056)
    except sd.SymdaError as error:
        return row | {"failed": str(error).splitlines()[0]}
    return row | score.table | {"exact": score.exact}


def table(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Medians over seeds, a row for each method."""
    found = rows.pivot_table(
        index="method", columns=["kind", "variance"], values=column, aggfunc="median", sort=False
    )
    return found.sort_index(axis=1)


def draw(rows: pd.DataFrame) -> None:
    """LD-3: forecasts and attractors at variance 64, from the first seed."""
    y, test = data("full", 64.0, 0), clean(1000)
    shown = [m for m in ("SR_Hann", "EnKS-EM", "annealed terms") if m in set(rows["method"])]
    figure = Figure(figsize=(10.5, 2.6 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), 2, width_ratios=(2.2, 1.0), squeeze=False)
    times = H * np.arange(800)
    for (left, right), method in zip(axes, shown, strict=True):
        seen = sd.Observations(H * np.arange(SAMPLES), y, variance=64.0)
        fit = fitted(method, seen, 0)
        forecast = fit.predict(test[0], times)
        left.plot(times, test[:800, 0], color="0.6", lw=2.5, label="truth")
        left.plot(times, forecast[:, 0], color="#D55E00", lw=1.1, label="forecast")
        left.set_ylabel(f"x, {method}")
        right.plot(test[:, 0], test[:, 2], color="0.75", lw=0.5)
        free = fit.predict(test[0], H * np.arange(SAMPLES))
        right.plot(free[:, 0], free[:, 2], color="#D55E00", lw=0.5)
        right.set_ylabel("z")
    axes[0, 0].legend(fontsize=8, loc="upper right")
    axes[-1, 0].set_xlabel("time")
    axes[-1, 1].set_xlabel("x")
    figure.suptitle("Learned from noise of variance 64: forecasts, and free runs over the truth")
    figure.savefig("ld3.png", dpi=110)


def main() -> None:
    """Run what is missing, print the tables, check what is claimed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas")
    parser.add_argument("--into", type=Path, default=Path("ld.csv"))
    given = parser.parse_args()
    if "VODEN" not in METHODS:
        print("VODEN is left out: pip install 'symda[learn]'")
    rows = pd.read_csv(given.into).to_dict("records") if given.into.exists() else []
    done = {(r["method"], r["kind"], r["variance"], r["seed"]) for r in rows}
    cells = [("full", v) for v in TABLE_1]
    cells += [(kind, v) for kind in ("regular", "irregular") for v in TABLE_2]
    for method in given.methods.split(","):
        few = FEW.get(method)
        for seed in range(1 if few else given.seeds):
            for kind, variance in cells:
                known = (method, kind, variance, seed) in done
                if known or (few and (kind, variance) not in few):
                    continue
                rows.append(judged(method, kind, variance, seed))
                pd.DataFrame(rows).to_csv(given.into, index=False)
                last = rows[-1]
                print(method, kind, variance, seed, last.get("e1", last.get("failed")), flush=True)
    every = pd.DataFrame(rows)
    every["exact"] = every["exact"].astype(float)
    for column in ("e1", "e4", "exponent1", "valid_lyapunov", "distance", "exact", "seconds"):
        print(f"\n{column}\n{table(every, column).to_string(float_format='{:.4g}'.format)}")
    if "failed" in every:
        for row in every[every["failed"].notna()].itertuples():
            print(f"failed: {row.method} {row.kind} {row.variance} {row.seed}: {row.failed}")
    draw(every)
    e1 = table(every, "e1")
    if {"annealed terms", "SR_Hann"} <= set(e1.index):
        ratio = e1.loc["annealed terms"] / e1.loc["SR_Hann"]
        print(f"\nannealed terms over SR_Hann\n{ratio.to_string(float_format='{:.3f}'.format)}")
        assert ratio["full", 64.0] < 1 / 5 and ratio["full", 8.0] < 1 / 7
        assert (ratio[["regular", "irregular"]].xs(8.0, level="variance") < 1 / 4).all()


if __name__ == "__main__":
    main()
