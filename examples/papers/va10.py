"""Section 5.4 of Abarbanel, Rozdeba and Shirman (arXiv:1707.01415): symplectic maps.

Kepler's problem (eccentricity 0.6) and Henon and Heiles' galaxy over 10^5 periods, each method with
about as much work a period as the others. Methods that keep dq ^ dp keep the energy within a band
for as long as anybody looked; RK4, of higher order than some of them, loses energy without end.

Writes symplectic.png, prints two tables, and fails if a symplectic method drifts or RK4 does not.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd

PERIOD = 2.0 * np.pi
# Evaluations of the force in a step; gauss4 iterates, so its number only sets its steps.
WORK = {
    "rk4": 4,
    "symplectic-euler": 1,
    "verlet": 1,
    "yoshida4": 3,
    "kahan-li6": 9,
    "gauss4": 24,
}
COLOURS = {
    "rk4": "#D55E00",
    "symplectic-euler": "#999999",
    "verlet": "#0072B2",
    "yoshida4": "#009E73",
    "kahan-li6": "#CC79A7",
    "gauss4": "#808000",
}


@dataclass(frozen=True)
class System:
    """A model, where it starts, and how often the force is evaluated in 2 pi units of time."""

    title: str
    model: sd.MechanicalModel
    parameters: dict[str, float]
    start: np.ndarray
    work: int


@dataclass(frozen=True)
class Kept:
    """The relative energy error of a method at some times, in periods.

    `slope` and `slope_error` are those of a straight line through it, a period; `defect` is the
    largest entry of M^T J M - J for one step from the start, M its tangent.
    """

    system: System
    method: str
    steps: int
    time: np.ndarray
    error: np.ndarray
    states: np.ndarray
    slope: float
    slope_error: float
    defect: float
    seconds: float

    @property
    def bound(self) -> float:
        """The largest error."""
        return float(np.abs(self.error).max())

    @property
    def drift(self) -> float:
        """What the straight line gains over all periods."""
        return float(self.slope * self.time[-1])

    @property
    def h(self) -> float:
        """Length of a step."""
        return PERIOD / self.steps


def kepler(eccentricity: float = 0.6) -> System:
    """Start an ellipse of half axis 1, from its point nearest to the centre."""
    nearest, speed = 1 - eccentricity, np.sqrt((1 + eccentricity) / (1 - eccentricity))
    start = np.array([nearest, 0.0, 0.0, speed])
    return System("Kepler, e = 0.6", sd.models.kepler(), dict(sd.models.KEPLER), start, 1200)


def henon_heiles(energy: float = 1 / 12) -> System:
    """Start a regular orbit through x = 0."""
    y, py = 0.1, 0.05
    px = np.sqrt(2 * energy - py**2 - y**2 + 2 * y**3 / 3)
    model, values = sd.models.henon_heiles(), dict(sd.models.HENON_HEILES)
    return System("Hénon-Heiles, H = 1/12", model, values, np.array([0.0, y, px, py]), 240)


def run(system: System, method: str, periods: int, seed: int = 0) -> Kept:
    """Integrate, keeping states at times that are not in step with the orbit."""
    steps = round(system.work / WORK[method])
    h, last = PERIOD / steps, periods * steps
    rng = np.random.default_rng(seed)
    even = rng.integers(1, last, 2000)
    kept = np.unique([0, last, *even, *np.geomspace(1, last, 400).astype(int)])
    model, values = system.model, system.parameters
    step = sd.step_map(model, method, parameters=values)
    n = len(system.start) // 2
    J = np.block([[np.zeros((n, n)), np.eye(n)], [-np.eye(n), np.zeros((n, n))]])
    M = step.tangent(system.start, h)
    began = time.process_time()
    found = sd.integrate(model, h * kept, system.start, method=method, step=h, parameters=values)
    seconds = time.process_time() - began
    energy = found.evaluate(model.hamiltonian).values
    error = (energy - energy[0]) / abs(energy[0])
    fitted = np.isin(kept, even)
    (slope, _), covariance = np.polyfit(kept[fitted] / steps, error[fitted], 1, cov=True)
    return Kept(
        system,
        method,
        steps,
        kept / steps,
        error,
        found.states.values,
        float(slope),
        float(np.sqrt(covariance[0, 0])),
        float(np.abs(M.T @ J @ M - J).max()),
        seconds,
    )


def check(every: Sequence[Kept]) -> list[str]:
    """Say where a symplectic method drifts or is not symplectic, or RK4 does not lose energy."""
    wrong = []
    for one in every:
        where = f"{one.system.title}, {one.method}"
        if one.method == "rk4":
            parts = [part.mean() for part in np.array_split(one.error[one.time > 1.0], 10)]
            if not np.all(np.diff(parts) < 0.0) or one.drift > -0.5 * one.bound:
                wrong.append(
                    f"{where}: expected the energy to fall steadily, drift {one.drift:.3g}"
                )
            if one.defect < 1e-12:
                wrong.append(f"{where}: expected a map that is not symplectic")
            continue
        # a line through so few points of an oscillation has a slope by chance
        if abs(one.slope) > 4.0 * one.slope_error and abs(one.drift) > 0.02 * one.bound:
            wrong.append(f"{where}: drifts by {one.drift:.3g}, the bound is {one.bound:.3g}")
        if one.defect > 1e-10:
            wrong.append(f"{where}: M^T J M - J is {one.defect:.3g}")
    return wrong


def report(every: Sequence[Kept]) -> str:
    """Tabulate the runs."""
    lines = [
        f"{'':24s}{'method':18s}{'steps a period':>15s}{'largest error':>15s}"
        f"{'drift (line)':>14s}{'+-':>10s}{'M^T J M - J':>13s}{'CPU s':>8s}"
    ]
    for one in every:
        span = one.time[-1]
        lines.append(
            f"{one.system.title:24s}{one.method:18s}{one.steps:15d}{one.bound:15.3g}"
            f"{one.drift:14.2g}{one.slope_error * span:10.1g}{one.defect:13.1g}{one.seconds:8.1f}"
        )
    return "\n".join(lines)


def draw(every: Sequence[Kept], file: Path) -> None:
    """Draw energy errors (left), and (right) the last ellipses and a section of the galaxy."""
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, width_ratios=[1.6, 1.0])
    systems = list(dict.fromkeys(one.system.title for one in every))
    for (left, right), title, right_panel in zip(axes, systems, (ellipses, section), strict=True):
        shown = [one for one in every if one.system.title == title]
        for one in shown:
            left.loglog(
                one.time[1:],
                np.maximum(np.abs(one.error[1:]), 1e-16),
                ".",
                ms=2.2,
                mew=0,
                color=COLOURS[one.method],
                label=f"{one.method}, {one.steps} steps a period",
            )
        left.set(ylabel="|relative energy error|", xlabel="periods", ylim=(1e-11, 1.0))
        left.set_xlim(0.1, 1.5 * shown[0].time[-1])
        left.set_title(title, fontsize=10)
        left.legend(fontsize=8, markerscale=5, loc="lower right", ncols=2)
        right_panel(right, shown)
    figure.savefig(file, dpi=110)


def ellipses(ax: Axes, every: Sequence[Kept]) -> None:
    """Draw the orbit at the end, and the true one."""
    angle = np.linspace(0.0, PERIOD, 200)
    ax.plot(np.cos(angle) - 0.6, 0.8 * np.sin(angle), color="black", lw=1.0, ls="--", label="true")
    for one in every:
        if one.method in ("rk4", "verlet", "yoshida4"):
            step = sd.step_map(one.system.model, one.method, parameters=one.system.parameters)
            x = step.advance(one.states[-1], one.h, one.steps)
            ax.plot(x[:, 0], x[:, 1], color=COLOURS[one.method], lw=1.2, label=one.method)
    ax.plot([0], [0], "+", color="black")
    ax.set(xlabel="x", ylabel="y", aspect="equal")
    ax.set_title("orbit in the last period", fontsize=10)
    below(ax)


def section(ax: Axes, every: Sequence[Kept]) -> None:
    """Draw y and py where x = 0, px > 0, in stretches spread over all periods."""
    for one in every:
        if one.method in ("rk4", "verlet"):
            points = crossings(one, stretches=20, periods=60)
            ax.plot(*points.T, ".", ms=2.0, mew=0, color=COLOURS[one.method], label=one.method)
    ax.set(xlabel="y", ylabel="py", aspect="equal")
    ax.set_title("section x = 0, px > 0, over all periods", fontsize=10)
    below(ax)


def below(ax: Axes) -> None:
    """Put the legend where no line runs."""
    ax.legend(
        fontsize=8,
        markerscale=5,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=4,
        frameon=False,
    )


def crossings(one: Kept, stretches: int, periods: int) -> np.ndarray:
    """Return (y, py) of the section, (count, 2)."""
    step = sd.step_map(one.system.model, one.method, parameters=one.system.parameters)
    begins = np.searchsorted(one.time, np.linspace(0.0, one.time[-1], stretches))
    found = []
    for place in begins:
        path = step.advance(one.states[place], one.h, periods * one.steps)
        for n in np.flatnonzero((path[:-1, 0] < 0.0) & (path[1:, 0] >= 0.0)):
            x, reached = path[n], 0.0
            for _ in range(3):
                reached -= x[0] / x[2]
                x = step.step(path[n], reached)
            found.append(x[[1, 3]])
    return np.array(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, report, and fail on what is not as it should be."""
    parser = argparse.ArgumentParser(description="Energy over 10^5 periods.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure")
    parser.add_argument("--periods", type=int, default=100_000, help="periods of 2 pi")
    options = parser.parse_args(arguments)
    if options.periods < 10:
        parser.error(f"--periods: the checks need at least 10, got {options.periods}")
    options.out.mkdir(parents=True, exist_ok=True)
    every = [
        run(system, method, options.periods)
        for system in (kepler(), henon_heiles())
        for method in WORK
    ]
    print(f"\nVA-10, {options.periods} periods:")
    print(report(every), flush=True)
    draw(every, options.out / "symplectic.png")
    wrong = check(every)
    assert not wrong, "\n".join(["not as it should be:", *wrong])


if __name__ == "__main__":
    main()
