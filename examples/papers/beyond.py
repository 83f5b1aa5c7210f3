"""Beyond Figure 1 of Abarbanel, Rozdeba and Shirman (arXiv:1707.01415): the true path at L = 2.

Same experiments as in `va1.py`: Lorenz-96, D = 11, nu = 10 estimated, 166 times 0.025 apart, noise
of variance 0.2, RK4, Rf = 0.01 x 2^beta. With four measured states a few random starts in a hundred
reach the lowest level; with two the paper sees many levels, and none of our uniform starts
came near the true path's. Here the same data are given to other starts and strategies:

    four     hit rate of the lowest level and time to it, for each start and strategy
    two      attempts of a population that end at or below the true path's action
    one      the same with one measured state and 4,000 candidates (only if asked: ten minutes)

Each part prints its table; `beyond.png` shows the levels of `two` and an unmeasured state.
Everything runs with the structured Newton method, on as many cores as there are.

    python examples/papers/beyond.py [--parts four two one] [--out DIR]
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import symda as sd
from symda.analyse import wilson
from symda.analyse.lowest import repeats

D, NU, STEPS, DT = 11, 10.0, 165, 0.025
MEASURED = {1: (0,), 2: (0, 5), 4: (0, 3, 6, 9)}
LADDER = sd.Ladder(0.01, 2.0, 26)
# starts and strategies of the first part, with as many paths as make a rate
FOUR = {
    "ladder, uniform": {"paths": 100},
    "ladder, nudged": {"paths": 100, "start": "nudged"},
    "window": {"paths": 60, "strategy": "window"},
    "window, nudged": {"paths": 60, "strategy": "window", "start": "nudged"},
    "population": {"paths": 20, "attempts": 10, "strategy": "population"},
}
# candidates of an attempt with one measured state
MANY = 4000
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"

x = sd.states("x", D, start=(-10.0, 10.0))
nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
model = sd.Model(
    {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)},
    name="lorenz96",
)
scheme = "rk4"


@dataclass(frozen=True, eq=False)
class Experiment:
    """The data of one seed with L measured states."""

    L: int
    seed: int
    steps: int = STEPS

    @cached_property
    def action(self) -> sd.Action:
        """The action."""
        return sd.Action(model, [x[a] for a in MEASURED[self.L]], scheme=scheme)

    @cached_property
    def twin(self) -> tuple[sd.Trajectory, sd.Observations]:
        """Truth and data, those of `va1.py`."""
        return sd.twin(
            self.action,
            parameters={"nu": NU},
            dt=DT,
            steps=self.steps,
            variance=0.2,
            seed=self.seed,
            discard=20.0,
        )

    @cached_property
    def true(self) -> float:
        """Action of the true path at the last Rf."""
        truth, data = self.twin
        rf = LADDER.rf0 * LADDER.alpha ** (LADDER.rungs - 1)
        return self.action.compile().action(truth.states.values, {"nu": NU}, rf, data)

    def anneal(self, **options: object) -> tuple[sd.Run, float]:
        """Anneal with the structured Newton method; return the run and its CPU seconds."""
        chosen = {"ladder": LADDER, "solver": "newton", "seed": 0, "progress": False}
        before = time.process_time()
        run = sd.anneal(self.action, self.twin[1], **(chosen | options))
        return run, time.process_time() - before


@dataclass
class Tally:
    """Hits and time of attempts, over data sets.

    `seconds` are wall time on all cores, `cpu` those of the processor: on an idle machine they are
    that many times more, on a busy one the wall time says nothing.
    """

    hits: int = 0
    attempts: int = 0
    seconds: float = 0.0
    cpu: float = 0.0

    def add(self, run: sd.Run, cpu: float, level: float, within: float) -> None:
        """Count a run's attempts that end at most `within` above a level."""
        found = run.time_to_lowest(level, within)
        self.hits += found.hits
        self.attempts += found.attempts
        self.seconds += found.attempt * found.attempts
        self.cpu += cpu

    def __str__(self) -> str:
        rate = self.hits / self.attempts
        low, high = wilson(self.hits, self.attempts)
        each = self.seconds / self.attempts
        counts = f"{self.hits} of {self.attempts}"
        share = f"{100 * rate:.3g} % ({100 * low:.3g} .. {100 * high:.3g})"
        times = f"{each:11.3f}  {self.cpu / self.attempts:13.3f}  {each * repeats(rate):14.2f}"
        return f"{counts:>11}  {share:>22}  {times}"


HEADER = (
    f"{'hits':>11}  {'rate (95 % interval)':>22}  {'s / attempt':>11}  {'CPU s/attempt':>13}"
    f"  {'s to the level':>14}"
)


def four(data_seeds: Sequence[int]) -> dict[str, Tally]:
    """Compare starts and strategies with four measured states.

    A hit ends within 0.5 of the lowest level that any of them found for the same data.
    """
    total = {name: Tally() for name in FOUR}
    single: list[str] = []
    for seed in data_seeds:
        experiment = Experiment(4, seed)
        runs = {name: experiment.anneal(**options) for name, options in FOUR.items()}
        lowest = min(float(np.nanmin(run.levels[:, -1])) for run, _ in runs.values())
        rates = []
        for name, (run, cpu) in runs.items():
            total[name].add(run, cpu, lowest, 0.5)
            found = run.time_to_lowest(lowest)
            rates.append(f"{found.hits}/{found.attempts}")
        single.append(f"{seed:4d}  {lowest:8.2f}  {experiment.true:8.2f}  {', '.join(rates)}")
    print(f"\nL = 4, data seeds {list(data_seeds)}; hits of each: {'; '.join(FOUR)}")
    print("seed    lowest  true path  hits of each")
    print("\n".join(single))
    print(f"{'':18}{HEADER}")
    print("\n".join(f"{name:18}{tally}" for name, tally in total.items()), flush=True)
    return total


def few(
    L: int, data_seeds: Sequence[int], seeds: int, options: dict[str, object]
) -> tuple[Tally, dict[int, list[sd.Run]]]:
    """Run attempts of a population one after the other, each on all cores.

    A hit ends at or below the true path's action.
    """
    tally, runs = Tally(), {}
    print(f"\nL = {L}, measured {MEASURED[L]}, population {options}, {seeds} seeds a data set")
    print("seed  true path  hits  s / attempt  CPU s/attempt  levels")
    for number in data_seeds:
        experiment, own = Experiment(L, number), Tally()
        experiment.action.compile()
        runs[number] = []
        for seed in range(seeds):
            run, cpu = experiment.anneal(strategy="population", seed=seed, **options)
            own.add(run, cpu, experiment.true, 0.0)
            tally.add(run, cpu, experiment.true, 0.0)
            runs[number].append(run)
        levels = ", ".join(f"{float(np.nanmin(run.levels[:, -1])):.2f}" for run in runs[number])
        each = f"{own.seconds / own.attempts:11.2f}  {own.cpu / own.attempts:13.2f}"
        print(
            f"{number:4d}  {experiment.true:9.2f}  {own.hits:4d}  {each}  {levels}",
            flush=True,
        )
    print(f"{HEADER}\n{tally}", flush=True)
    return tally, runs


def strip(values: Sequence[float], at: float) -> Iterator[tuple[float, float]]:
    """Place points side by side where they lie close, so that each can be seen."""
    logs = np.log(values)
    placed: list[tuple[float, float]] = []
    for value in np.sort(logs):
        near = [offset for offset, other in placed if abs(other - value) < 0.06]
        offset = next(o for o in _offsets() if o not in near)
        placed.append((offset, value))
        yield at + offset, math.exp(value)


def _offsets() -> Iterator[float]:
    """0, 1, -1, 2, -2, ... in units of a point's width."""
    yield 0.0
    for step in range(1, 10_000):
        yield 0.045 * step
        yield -0.045 * step


def draw(
    experiment: Experiment, population: Sequence[sd.Run], file: Path, paths: tuple[int, int]
) -> None:
    """Draw the levels of three strategies, and a state that nobody measured."""
    ladder, _ = experiment.anneal(paths=paths[0])
    window, _ = experiment.anneal(paths=paths[1], strategy="window")
    best = min(population, key=lambda run: float(np.nanmin(run.levels[:, -1])))
    shown = {
        "ladder,\nuniform starts": (ladder.levels.values[:, -1], GREY),
        "window": (window.levels.values[:, -1], ORANGE),
        "population": (np.array([np.nanmin(run.levels[:, -1]) for run in population]), BLUE),
    }
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.45))
    for at, (levels, colour) in enumerate(shown.values()):
        points = list(strip(levels[np.isfinite(levels)], at))
        left.plot(*zip(*points, strict=True), "o", ms=5, mew=0, color=colour, alpha=0.75)
    left.axhline(experiment.true, color=GREEN, lw=1.6, zorder=0)
    left.text(
        -0.62, experiment.true * 1.06, f"true path, {experiment.true:.0f}", color=GREEN, va="bottom"
    )
    left.set_yscale("log")
    ticks = [tick for tick in (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)]
    left.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    left.yaxis.set_minor_formatter(NullFormatter())
    left.set_xlim(-0.65, 2.5)
    left.set_xticks(range(3), [f"{name}\n({len(v)})" for name, (v, _) in shown.items()])
    left.set_ylabel("action at the last Rf, one point an attempt")
    left.set_title("where attempts end, two of eleven states measured", fontsize=10)

    state = "x8"
    times = best.dataset["time"].values
    truth = experiment.twin[0].states.sel(state=state).values
    right.plot(times, truth, color=GREEN, lw=4.0, alpha=0.45, label="truth")
    right.plot(
        times, ladder.best.states.sel(state=state), color=GREY, lw=1.2, ls="--",
        label=f"ladder, lowest of {paths[0]}: action {ladder.best.action:.0f}",
    )  # fmt: skip
    right.plot(
        times, best.best.states.sel(state=state), color=BLUE, lw=1.4,
        label=f"population: action {best.best.action:.1f}",
    )  # fmt: skip
    right.set_xlabel("time")
    right.set_ylabel(state)
    right.set_title(f"{state}, which is not measured", fontsize=10)
    right.legend(fontsize=9, loc="best", framealpha=0.9)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are asked for, and fail if the second misses what it claims."""
    parser = argparse.ArgumentParser(description="The lowest level where the paper sees none.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure")
    parser.add_argument("--parts", nargs="+", choices=("four", "two", "one"),
                        default=["four", "two"], help="what to run")  # fmt: skip
    parser.add_argument("--data-seeds", nargs="+", type=int, default=list(range(1, 11)),
                        help="seeds of truth and noise")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5, help="attempts of each data set")
    parser.add_argument("--paths", type=int, default=300, help="candidates of an attempt at L = 2")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    if "four" in options.parts:
        four(options.data_seeds[:5])
    if "two" in options.parts:
        tally, runs = few(2, options.data_seeds, options.seeds, {"paths": options.paths})
        shown = 3 if 3 in runs else options.data_seeds[0]
        draw(Experiment(2, shown), runs[shown], options.out / "beyond.png", (100, 40))
        assert tally.hits >= 0.8 * tally.attempts, "fewer than 80 % of the attempts hit"
    if "one" in options.parts:
        few(1, options.data_seeds[:5], 1, {"paths": MANY})
    print(f"load average at the end {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
