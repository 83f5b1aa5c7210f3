"""How often exactly the true terms come out: noise against length of the recording.

The setting of ODR-BINDy (arXiv 2507.23426): Lorenz-63 from (-8, 8, 27), 0.01 apart, all 30 terms up
to degree 2; Roessler from (-6, 5, 0), 0.05 apart, 30 terms; Van der Pol with mu = 2 from (-2, 1),
0.01 apart, 20 terms up to degree 3. Noise as a share of the standard deviation of all values of all
components; every draw has a seed of its own. A miss whose evidence is better than that of the true
terms, fitted from the truth, is a limit of the data; the others are failures of the search.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

import symda as sd


@dataclass(frozen=True)
class System:
    """True rates as terms of the library, a start, a step, and lengths of the recording."""

    terms: list[dict[str, float]]
    start: tuple[float, ...]
    step: float
    degree: int
    lengths: tuple[float, ...]

    @property
    def library(self) -> sd.learn.Library:
        """Its candidates."""
        names = ["x", "y", "z"][: len(self.start)]
        return sd.learn.library(sd.states(names), self.degree)

    def table(self, library: sd.learn.Library) -> np.ndarray:
        """Return the true coefficients, (D, T)."""
        names = [str(one) for one in library.terms]
        found = np.zeros((len(self.terms), len(names)))
        for i, row in enumerate(self.terms):
            for term, value in row.items():
                found[i, names.index(term)] = value
        return found


SYSTEMS = {
    "Lorenz": System(
        [{"x": -10.0, "y": 10.0}, {"x": 28.0, "y": -1.0, "x*z": -1.0}, {"x*y": 1.0, "z": -8 / 3}],
        (-8.0, 8.0, 27.0),
        0.01,
        2,
        (4.0, 6.0, 8.0, 10.0),
    ),
    "Roessler": System(
        [{"y": -1.0, "z": -1.0}, {"x": 1.0, "y": 0.2}, {"1": 0.2, "x*z": 1.0, "z": -5.7}],
        (-6.0, 5.0, 0.0),
        0.05,
        2,
        (10.0, 20.0, 30.0),
    ),
    "Van der Pol": System(
        [{"y": 1.0}, {"y": 2.0, "x**2*y": -2.0, "x": -1.0}],
        (-2.0, 1.0),
        0.01,
        3,
        (4.0, 7.0, 10.0),
    ),
}
NOISE = (0.025, 0.1, 0.2, 0.3, 0.4)


def path(system: System, length: float, rate: Callable[..., object]) -> np.ndarray:
    """Return the clean recording."""
    times = system.step * np.arange(round(length / system.step))
    ends, options = (0.0, times[-1]), {"rtol": 1e-10, "atol": 1e-10, "method": "LSODA"}
    return solve_ivp(rate, ends, system.start, t_eval=times, **options).y.T


def clean_at(fit: sd.learn.AnnealedTerms, clean: np.ndarray, step: float) -> np.ndarray:
    """Return the clean path at the points of the fit."""
    times = step * np.arange(len(clean))
    return np.column_stack([np.interp(fit.result.times, times, x) for x in clean.T])


def cell(name: str, share: float, length: float, draws: int) -> dict[str, object]:
    """Fit so many draws of one noise and length."""
    system = SYSTEMS[name]
    library = system.library
    true = system.table(library)
    field = sd.learn.Field(library.fitted(true))
    clean = path(system, length, lambda _t, x: field.rate(x[None])[0])
    size = share * clean.std()
    exact = limits = 0
    began = time.process_time()
    for seed in range(draws):
        noisy = clean + size * np.random.default_rng(seed).normal(size=clean.shape)
        fit = sd.learn.AnnealedTerms(library=library, variance=size**2).fit(noisy, t=system.step)
        if (fit.result.free == (true != 0.0)).all():
            exact += 1
        elif fit.compared(true, clean_at(fit, clean, system.step)) > 0.0:
            limits += 1
    seconds = (time.process_time() - began) / draws
    cells = {"system": name, "noise": share, "length": length, "draws": draws}
    return cells | {"exact": exact / draws, "limits": limits / draws, "seconds": seconds}


def draw(rows: pd.DataFrame) -> None:
    """Draw the map of each system."""
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    systems = list(dict.fromkeys(rows["system"]))
    for ax, name in zip(np.atleast_1d(figure.subplots(1, len(systems))), systems, strict=True):
        mine = rows[rows["system"] == name]
        grid = mine.pivot_table(index="noise", columns="length", values="exact")
        limits = mine.pivot_table(index="noise", columns="length", values="limits")
        ax.imshow(grid.values, vmin=0.0, vmax=1.0, cmap="Blues", origin="lower", aspect="auto")
        for (i, j), value in np.ndenumerate(grid.values):
            text = f"{value:.0%}" + (f"\n({limits.values[i, j]:.0%})" if value < 1.0 else "")
            colour = "white" if value > 0.6 else "black"
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
        ax.set_xticks(range(grid.shape[1]), [f"{one:g}" for one in grid.columns])
        ax.set_yticks(range(grid.shape[0]), [f"{one:.3g}" for one in grid.index])
        ax.set_xlabel("length, units of time")
        ax.set_title(name, fontsize=10)
    figure.axes[0].set_ylabel("noise over standard deviation")
    figure.suptitle(
        "Share of draws with exactly the true terms; in brackets misses that the data prefer",
        fontsize=10,
    )
    figure.savefig("recovery.png", dpi=110)


def main() -> None:
    """Fill the map, print and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=32)
    parser.add_argument("--into", type=Path, default=Path("recovery.csv"))
    given = parser.parse_args()
    rows = pd.read_csv(given.into).to_dict("records") if given.into.exists() else []
    done = {(r["system"], r["noise"], r["length"]) for r in rows if r["draws"] == given.draws}
    for name, system in SYSTEMS.items():
        for share in reversed(NOISE):
            for length in reversed(system.lengths):
                if (name, share, length) not in done:
                    rows.append(cell(name, share, length, given.draws))
                    pd.DataFrame(rows).to_csv(given.into, index=False)
                    print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    draw(table)
    best = table[(table["system"] == "Lorenz") & (table["length"] == 10.0)]
    assert (best["exact"] >= 0.9).all(), "Lorenz over 10 units of time"


if __name__ == "__main__":
    main()
