"""Figure 2 of Abarbanel, Rozdeba and Shirman (arXiv:1707.01415): model steps between observations.

Lorenz-96 with eleven states, nu = 10 estimated, six states measured at 28 times, every 0.15; the
model takes 1, 3, 6 or 12 steps from one observation to the next (0, 2, 5, 11 points in between).

Writes va2.png and va2_1.nc, .., prints a table, and fails if a panel does not show what the paper's
does.
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
from va1 import NU, model, scheme, x

import symda as sd
from symda.show import plot_levels

STEPS = (1, 3, 6, 12)
# How near to its true value nu is found where the paper finds it.
NEAR = 0.1
measured = [x[0], x[2], x[4], x[6], x[8], x[10]]


@dataclass(frozen=True)
class Panel:
    """Action levels and estimates of nu with so many model steps between observations.

    `estimates` are those of all paths at the last rung, `hits` the paths on the lowest level.
    """

    steps: int
    run: sd.Run
    lowest: float
    levels: int
    hits: int
    estimates: np.ndarray
    seconds: float


def anneal_panel(
    steps: int,
    *,
    data_seed: int,
    seed: int,
    paths: int,
    solver: str,
    ladder: sd.Ladder,
    intervals: int,
) -> Panel:
    """Anneal the same data on one grid."""
    started = time.perf_counter()
    action = sd.Action(model, measured, scheme=scheme)
    _, data = sd.twin(
        action,
        parameters={"nu": NU},
        dt=0.15,
        steps=intervals,
        variance=0.2,
        seed=data_seed,
        discard=20.0,
    )
    run = sd.anneal(action, data, ladder=ladder, paths=paths, seed=seed, solver=solver, steps=steps)
    table = run.table()
    estimates = run.dataset["parameters"].sel(parameter="nu").values[:, run.last_beta]
    return Panel(
        steps,
        run,
        float(table["level"][0]),
        len(table),
        int(table["paths"][0]),
        estimates,
        time.perf_counter() - started,
    )


def check(panels: Sequence[Panel]) -> list[str]:
    """Say in what the panels differ from the paper's.

    One step of 0.15 is too long for RK4, so its lowest level must lie above the expected band and
    its estimates of nu off; with 6 and 12 steps every path must end on one level in the band and
    with nu near 10. Three steps are not judged: the paper finds many levels there, see
    docs/experiments.md.
    """
    wrong = []
    for p in panels:
        chi = p.run.chi_squared()
        off = float(np.max(np.abs(p.estimates - NU)))
        if p.steps == 1:
            if p.levels == 1:
                wrong.append("1 step: expected several levels, found one")
            if not chi.value > chi.high:
                wrong.append(f"1 step: expected a level above the band: {chi.verdict}")
            if off < NEAR:
                wrong.append(f"1 step: expected nu to be off, the worst estimate is by {off:.3g}")
        elif p.steps > 3:
            if p.levels > 1:
                wrong.append(f"{p.steps} steps: expected one level, found {p.levels}")
            if not chi.low <= chi.value <= chi.high:
                wrong.append(f"{p.steps} steps: {chi.verdict}")
            if off > NEAR:
                wrong.append(f"{p.steps} steps: expected nu near 10, it is off by {off:.3g}")
    return wrong


def report(panels: Sequence[Panel]) -> str:
    """Tabulate the panels."""
    lines = [
        "steps  levels    lowest  paths on lowest  expected (mean, band)       nu of the lowest"
        "  of all paths (mean, sd)  seconds  verdict"
    ]
    for p in panels:
        chi = p.run.chi_squared()
        lines.append(
            f"{p.steps:5d}  {p.levels:6d}  {p.lowest:8.2f}  {p.hits:15d}"
            f"  {chi.mean:6.2f} ({chi.low:.2f} .. {chi.high:.2f})"
            f"  {p.run.best.parameters['nu']:16.4f}"
            f"  {np.mean(p.estimates):13.4f} {np.std(p.estimates):9.4f}  {p.seconds:7.1f}"
            f"  {str(p.run.verdict()).split(':')[0]}"
        )
    return "\n".join(lines)


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Draw the levels (left) and the estimates of nu (right), a row for each number of steps."""
    figure = Figure(figsize=(11.0, 3.4 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 2, squeeze=False)
    for (left, right), p in zip(axes, panels, strict=True):
        plot_levels(p.run.dataset, ax=left)
        left.set_title(f"{p.steps} step{'s' * (p.steps > 1)} between observations", fontsize=10)
        rf = p.run.dataset["rf"].values[:, 0]
        every = p.run.dataset["parameters"].sel(parameter="nu").values
        right.semilogx(rf, every.T, color="#0072B2", lw=0.9, alpha=0.25)
        right.axhline(NU, color="#808000", ls="--")
        right.set(xlabel="$R_f$", ylabel="nu")
    figure.savefig(file, dpi=80)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, report, and fail on what differs from the paper."""
    parser = argparse.ArgumentParser(description="Lorenz-96: model steps between observations.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for what is written")
    parser.add_argument("--paths", type=int, default=100, help="starts of each panel")
    parser.add_argument("--data-seed", type=int, default=1, help="seed of truth and noise")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts")
    parser.add_argument("--solver", default="ipopt", help="ipopt, newton or lbfgs")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    panels = []
    for steps in STEPS:
        panel = anneal_panel(
            steps,
            data_seed=options.data_seed,
            seed=options.seed,
            paths=options.paths,
            solver=options.solver,
            ladder=sd.Ladder(0.01, 2.0, 26),
            intervals=27,
        )
        panel.run.save(options.out / f"va2_{steps}.nc")
        panels.append(panel)
    draw(panels, options.out / "va2.png")
    print(f"\nVA-2, data seed {options.data_seed}, solver {options.solver}:")
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
