"""Figure 1 of Abarbanel, Rozdeba and Shirman (arXiv:1707.01415): action levels of Lorenz-96.

Eleven states, nu = 10, data every 0.025 on [0, 4.125] with noise of variance 0.2; two, four, five
or six states measured; 100 paths climb Rf = 0.01 x 2^beta, beta = 0 .. 25. The paper does not say
whether nu was estimated: here it is, unless --fixed holds it at 10.

Writes va1.png and va1_L2.nc, .. (va1_fixed.png, ..), prints a table, and fails if a panel does not
show what the paper's does.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd
from symda.show import plot_levels

D, NU = 11, 10.0
PANELS = {2: (0, 5), 4: (0, 3, 6, 9), 5: (0, 2, 4, 6, 8), 6: (0, 2, 4, 6, 8, 10)}
# What "much smaller" is, as a ratio of neighbouring levels.
APART = 2.5

x = sd.states("x", D, start=(-10.0, 10.0))
nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))

model = sd.Model(
    {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)},
    name="lorenz96",
)
scheme = "rk4"
# One action, and so one build, for all panels: what a panel does not measure is nan there.
MEASURED = sorted(set().union(*PANELS.values()))
action = sd.Action(model, [x[a] for a in MEASURED], scheme=scheme)


@dataclass(frozen=True)
class Panel:
    """One panel of the figure, and the numbers of its last rung.

    `gap` is the distance to the next level, infinite when there is none; `hits` the number of paths
    on the lowest level; `true` the action of the true path.
    """

    L: int
    run: sd.Run
    lowest: float
    gap: float
    levels: int
    hits: int
    true: float
    seconds: float


def anneal_panel(
    L: int,
    *,
    fixed: bool,
    data_seed: int,
    seed: int,
    paths: int,
    solver: str,
    ladder: sd.Ladder,
    steps: int,
) -> Panel:
    """Anneal the data of one panel; the truth and the noise are the same in all panels."""
    started = time.perf_counter()
    truth, measured = sd.twin(
        sd.Action(model, [x[a] for a in PANELS[L]], scheme=scheme),
        parameters={"nu": NU},
        dt=0.025,
        steps=steps,
        variance=0.2,
        seed=data_seed,
        discard=20.0,
    )
    values = np.full((len(measured.times), len(MEASURED)), np.nan)
    values[:, [MEASURED.index(a) for a in PANELS[L]]] = measured.values
    data = sd.Observations(measured.times, values, variance=0.2)
    run = sd.anneal(
        action,
        data,
        ladder=ladder,
        paths=paths,
        seed=seed,
        solver=solver,
        fixed={"nu": NU} if fixed else None,
    )
    table = run.table()
    rf = run.dataset["rf"].values[-1]
    true = action.compile().action(truth.states.values, {"nu": NU}, rf, data)
    lowest = float(table["level"][0])
    gap = float(table["level"][1]) - lowest if len(table) > 1 else np.inf
    hits = int(table["paths"][0])
    seconds = time.perf_counter() - started
    return Panel(L, run, lowest, gap, len(table), hits, true, seconds)


def check(panels: Sequence[Panel]) -> list[str]:
    """Say in what the panels differ from the paper's.

    The figure's axis is logarithmic, so a level stands apart when the next is at least `APART`
    times as high. With four states or more the action of the lowest must also be what the noise
    leads one to expect. How many levels are few depends on the data (the paper has two with
    five states): here, at most half as many as with four.
    """
    levels = {panel.L: panel.levels for panel in panels}
    wrong = []
    for p in panels:
        chi = p.run.chi_squared()
        paths = p.run.dataset.sizes["path"]
        ratio = 1 + p.gap / p.lowest
        if p.L == 2:
            if p.levels < paths / 2:
                wrong.append(f"L = 2: expected many levels, found {p.levels} for {paths} paths")
            if ratio >= APART:
                wrong.append(
                    f"L = 2: expected none apart, but the next is {ratio:.3g} times as high"
                )
            continue
        if not chi.low <= chi.value <= chi.high:
            wrong.append(f"L = {p.L}: {chi.verdict}")
        if ratio < APART:
            wrong.append(f"L = {p.L}: the next level is only {ratio:.3g} times as high")
        if p.L == 5 and p.levels > levels[4] / 2:
            wrong.append(f"L = 5: expected few levels, found {p.levels}, with four {levels[4]}")
        if p.L == 6 and p.hits < paths:
            wrong.append(f"L = 6: expected every path on one level, found {p.hits} of {paths}")
    return wrong


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Draw the levels of all panels in one figure."""
    figure = Figure(figsize=(11.0, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, squeeze=False).flat
    for ax, panel in zip(axes, panels, strict=False):
        plot_levels(panel.run.dataset, ax=ax)
    figure.savefig(file, dpi=100)


def report(panels: Sequence[Panel]) -> str:
    """Tabulate the panels."""
    lines = [
        "  L  levels    lowest      next  paths on lowest  true path  expected (mean, band)"
        "          nu      seconds  verdict"
    ]
    for p in panels:
        chi = p.run.chi_squared()
        verdict = str(p.run.verdict()).split(":")[0]
        lines.append(
            f"{p.L:3d}  {p.levels:6d}  {p.lowest:8.2f}  {p.lowest + p.gap:8.2f}  {p.hits:15d}"
            f"  {p.true:9.2f}  {chi.mean:8.2f} ({chi.low:.2f} .. {chi.high:.2f})"
            f"  {p.run.best.parameters['nu']:8.4f}  {p.seconds:7.1f}  {verdict}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, report, and fail on what differs from the paper."""
    parser = argparse.ArgumentParser(description="Action levels of Lorenz-96 against Rf.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for what is written")
    parser.add_argument("--fixed", action="store_true", help="hold nu at 10")
    parser.add_argument("--paths", type=int, default=100, help="starts of each panel")
    parser.add_argument("--data-seed", type=int, default=3, help="seed of truth and noise")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts")
    parser.add_argument("--solver", default="ipopt", help="ipopt, newton or lbfgs")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    name = "va1_fixed" if options.fixed else "va1"
    panels = []
    for L in PANELS:
        panel = anneal_panel(
            L,
            fixed=options.fixed,
            data_seed=options.data_seed,
            seed=options.seed,
            paths=options.paths,
            solver=options.solver,
            ladder=sd.Ladder(0.01, 2.0, 26),
            steps=165,
        )
        panel.run.save(options.out / f"{name}_L{L}.nc")
        panels.append(panel)
    draw(panels, options.out / f"{name}.png")
    estimated = "fixed at 10" if options.fixed else "estimated"
    print(f"\nVA-1, nu {estimated}, data seed {options.data_seed}, solver {options.solver}:")
    print(report(panels))
    print(
        f"total {sum(p.seconds for p in panels):.0f} s for {options.paths * len(panels)} paths,"
        f" {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    wrong = check(panels)
    assert not wrong, "\n".join(["not as in the paper:", *wrong])


if __name__ == "__main__":
    main()
