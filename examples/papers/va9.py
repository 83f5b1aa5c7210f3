"""Section 5.4 of Abarbanel, Rozdeba and Shirman (arXiv:1707.01415): continuous time.

Two systems, each with data at discrete times: Lorenz-63 with x measured and rho estimated, started
from an annealed path, and a driven pendulum with the sine of its angle measured and k estimated.
The boundary value problem of Hamilton's equations (eq. 20, p jumping at the data) is solved by
collocation; then the action with ``model_error="rate"`` is minimised directly for ever smaller
steps, with nine schemes, and must tend to it: path, momenta and parameter.

Writes continuum.png, prints tables, and fails if a scheme does not converge at its order, if the
momenta disagree, or if the boundary value problem is not solved.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd

SCHEMES = (
    *("euler", "rk4", "trapezoid", "midpoint", "hermite-simpson", "gauss4", "gauss6"),
    *("symplectic-euler", "verlet"),
)
#: How near to a scheme's order the measured slope has to be.
NEAR = 0.15
#: A parameter this near to the solution's is there, at whatever slope.
SMALL = 1e-6
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#808000", "#999999", "#8B4513"),
)
MARKERS = "osD^v<>pXh"


@dataclass(frozen=True)
class System:
    """A model, what is measured of it, the data, and the precision at which all are compared."""

    title: str
    model: sd.Model
    measured: dict[str, sp.Expr]
    truth: sd.Trajectory
    data: sd.Observations
    fixed: dict[str, float]
    rf: float
    start: str

    def action(self, scheme: str) -> sd.Action:
        """Return the action whose limit is the continuous one."""
        return sd.Action(self.model, self.measured, scheme=scheme, model_error="rate")


@dataclass(frozen=True)
class Row:
    """Differences between a scheme's minimiser and the solution of the boundary value problem.

    `multipliers` is how far p of the lifted form's multipliers is from Rf/h r_n, as a share.
    """

    scheme: str
    order: int
    h: np.ndarray
    x: np.ndarray
    p: np.ndarray
    parameter: np.ndarray
    multipliers: float

    def slope(self, errors: np.ndarray) -> float:
        """Slope over the last three steps."""
        return float(np.polyfit(np.log(self.h[-3:]), np.log(errors[-3:]), 1)[0])


def lorenz(intervals: int = 20) -> System:
    """Lorenz-63 for one time unit, x measured every 0.05."""
    model = sd.models.lorenz63()
    measured = {"x": model["x"]}
    action = sd.Action(model, measured, model_error="rate")
    truth, data = sd.twin(
        action,
        parameters=sd.models.LORENZ63,
        dt=0.05,
        steps=intervals,
        variance=0.25,
        seed=3,
        discard=20.0,
    )
    fixed = {"sigma": 10.0, "beta": 8.0 / 3.0}
    return System("Lorenz-63", model, measured, truth, data, fixed, 160.0, "nudged")


def pendulum(intervals: int = 20) -> System:
    """Drive a pendulum out of rest, without friction; the sine of its angle is measured."""
    q, p = sd.state("q", start=(-2.0, 2.0)), sd.state("p", start=(-3.0, 3.0))
    k = sd.parameter("k", bounds=(0.5, 20.0), start=(2.0, 8.0))
    t = sd.time("t")
    drive = sd.forcing("drive")
    model = sd.Model.from_hamiltonian(
        p**2 / 2 - k * sp.cos(q), q, p, forces={q: drive}, name="driven pendulum"
    )
    measured = {"sin q": sp.sin(q)}
    truth, data = sd.twin(
        sd.Action(model, measured, scheme="verlet", model_error="rate"),
        parameters={"k": 4.0},
        initial=[1.0, 0.0],
        dt=0.1,
        steps=intervals,
        variance=0.0025,
        seed=1,
        forcing={"drive": 1.5 * sp.sin(3 * t)},
    )
    return System("driven pendulum", model, measured, truth, data, {}, 40.0, "nudged")


def solve(system: System) -> sd.BoundarySolution:
    """Anneal, and solve the boundary value problem from there."""
    action = system.action("rk4")
    run = sd.anneal(
        action,
        system.data,
        ladder=sd.Ladder(system.rf / 4.0**6, 4.0, 7),
        paths=6,
        seed=0,
        start=system.start,
        steps=2,
        fixed=system.fixed,
        executor="serial",
    )
    return sd.boundary_value(
        action,
        system.data,
        rf=system.rf,
        start=run,
        fixed=system.fixed,
        options={"degree": 5, "intervals": 4},
    )


def schemes(system: System) -> list[str]:
    """Those of the schemes that the model can take, by what the registry says of them."""
    mechanical = isinstance(system.model, sd.MechanicalModel)
    return [name for name in SCHEMES if mechanical or not sd.SCHEMES[name].partitioned]


def compare(
    system: System, exact: sd.BoundarySolution, scheme: str, steps: Sequence[int]
) -> tuple[Row, sd.Run]:
    """Minimise directly with ever more steps between the data, the lifted form of IPOPT."""
    action = system.action(scheme)
    free = next(name for name in exact.parameters if name not in system.fixed)
    errors, multipliers, first = [], 0.0, None
    for count in steps:
        problem = action.bind(system.data, steps=count, fixed=system.fixed)
        run = sd.anneal(
            action,
            problem,
            ladder=sd.Ladder(system.rf, 2.0, 1),
            paths=1,
            start=(exact.x(problem.times), exact.parameters),
            solver="ipopt",
            options={"formulation": "lifted", "tol": 1e-11},
            executor="serial",
        )
        first = run if first is None else first
        best, D = run.best, problem.D
        p = best.momenta.values[:, :D]
        r = action.compile().residual(best.states.values, best.parameters, problem)[:, :D]
        own = system.rf / problem.h[:, None] * r
        multipliers = max(multipliers, float(np.max(np.abs(p - own)) / np.max(np.abs(p))))
        nodes = best.states.values[:: 1 + problem.interior]
        middle = problem.node_times[:-1] + 0.5 * problem.h
        errors.append(
            (
                float(problem.h[0]),
                np.max(np.abs(nodes - exact.x(problem.node_times))),
                np.max(np.abs(p - exact.p(middle))),
                abs(best.parameters[free] - exact.parameters[free]),
            )
        )
    h, x, momenta, parameter = np.array(errors).T
    order = sd.SCHEMES[scheme].continuum_order
    return Row(scheme, order, h, x, momenta, parameter, multipliers), first


def check(exact: sd.BoundarySolution, rows: Sequence[Row]) -> list[str]:
    """Say what is not as it must be.

    x and p tend to the solution at their order. The parameter, one number, may do so faster, as
    with symplectic Euler; and on Lorenz-63 rk4's error of first order is so small that here that of
    fourth order still hides it (with steps 2, 4, 8 times finer its slope is 0.96, 0.99 and 1.00).
    """
    wrong = []
    if max(exact.residuals.values()) > 1e-9 or exact.defect > 1e-5:
        wrong.append(f"the boundary value problem is not solved: {exact.residuals}, {exact.defect}")
    for row in rows:
        for what, errors in (("x", row.x), ("p", row.p)):
            slope = row.slope(errors)
            if abs(slope - row.order) > NEAR:
                wrong.append(f"{row.scheme}: {what} converges at {slope:.2f}, not {row.order}")
        slope = row.slope(row.parameter)
        if slope < row.order - NEAR and row.parameter[-1] > SMALL:
            wrong.append(f"{row.scheme}: parameter converges at {slope:.2f}, not {row.order}")
        if row.multipliers > 1e-5:
            wrong.append(f"{row.scheme}: multipliers and Rf/h r differ by {row.multipliers:.1e}")
    return wrong


def report(system: System, exact: sd.BoundarySolution, rows: Sequence[Row]) -> str:
    """Tabulate one system."""
    jumps = (exact.momenta.sel(side="right") - exact.momenta.sel(side="left")).values
    estimates = {n: v for n, v in exact.parameters.items() if n not in system.fixed}
    lines = [
        f"{system.title}: boundary value problem {exact.status}, action {exact.action:.6f}"
        f" (measurement {exact.measurement_term:.6f}, model {exact.model_term:.6f}), estimates"
        f" {estimates}",
        f"  residuals {', '.join(f'{n} {v:.1e}' for n, v in exact.residuals.items())},"
        f" defect {exact.defect:.1e}, largest jump of p {np.max(np.abs(jumps)):.3g},"
        f" {exact.iterations} iterations, {exact.seconds:.2f} s",
        "  scheme            order  slope x  slope p  slope parameter   smallest step: x        p"
        "  parameter  multipliers - Rf/h r",
    ]
    for row in rows:
        lines.append(
            f"  {row.scheme:16s} {row.order:6d} {row.slope(row.x):8.3f} {row.slope(row.p):8.3f}"
            f" {row.slope(row.parameter):16.3f}  {row.h[-1]:14.5f} {row.x[-1]:8.1e}"
            f" {row.p[-1]:8.1e} {row.parameter[-1]:10.1e} {row.multipliers:21.1e}"
        )
    return "\n".join(lines)


def draw_solution(
    axes: Sequence[Axes], system: System, exact: sd.BoundarySolution, run: sd.Run
) -> None:
    """Draw x(t) with the truth, and p(t) with its jumps and the discrete momenta of a run."""
    t = system.data.times
    fine = np.linspace(t[0], t[-1], 2001)
    for a, name in enumerate(exact.states["state"].values):
        axes[0].plot(fine, exact.x(fine)[:, a], color=COLOURS[a], label=str(name))
        true = system.truth.states.sel(state=name)
        axes[0].plot(true["time"], true, color=COLOURS[a], ls=":", lw=1.5)
    axes[0].set(xlabel="t", ylabel="x(t)")
    axes[0].set_title(f"{system.title}: solution, truth (dotted)", fontsize=10)
    axes[0].legend(fontsize=8)
    pieces = [np.linspace(a, b, 41) for a, b in pairwise(t)]
    for a, name in enumerate(exact.states["state"].values):
        for piece in pieces:
            p = np.vstack([exact.p(piece[:-1]), exact.p(piece[-1:], "left")])[:, a]
            axes[1].plot(piece, p, color=COLOURS[a], label=str(name) if piece is pieces[0] else "")
    nodes = run.dataset["time"].values
    nodes = nodes[:: (nodes.size - 1) // run.dataset.sizes["step"]]
    middle = 0.5 * (nodes[1:] + nodes[:-1])
    for a in range(exact.states.sizes["state"]):
        values = run.best.momenta.values[:, a]
        axes[1].plot(middle, values, "o", mfc="none", ms=4, color=COLOURS[a])
    scheme = run.dataset.attrs["scheme"]
    axes[1].set(xlabel="t", ylabel="p(t)")
    axes[1].set_title(f"p(t); circles: $p_n$ of {scheme}, h = {nodes[1] - nodes[0]:g}", fontsize=10)
    axes[1].legend(fontsize=8)


def draw_slopes(ax: Axes, rows: Sequence[Row], what: str) -> None:
    """Draw differences against the step, with the slopes 1 and 2."""
    for row, colour, marker in zip(rows, COLOURS * 2, MARKERS * 2, strict=False):
        errors = getattr(row, what)
        label = f"{row.scheme}: {row.slope(errors):.2f}"
        ax.loglog(row.h, errors, marker + "-", color=colour, ms=5, lw=1, label=label)
    h = rows[0].h
    for order, name in ((1, "euler"), (2, "midpoint")):
        anchor = next(getattr(row, what) for row in rows if row.scheme == name)
        ax.loglog(h, 2.0 * anchor[-1] * (h / h[-1]) ** order, "k:", lw=1)
        ax.text(h[-1], 2.6 * anchor[-1], f"slope {order}", fontsize=8)
    ax.set_xticks(h, [f"{value:.2g}" for value in h])
    ax.minorticks_off()
    ax.set(xlabel="step h")
    ax.set_title(f"largest difference in {what}, and its slope", fontsize=10)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw(
    results: Sequence[tuple[System, sd.BoundarySolution, Sequence[Row], sd.Run]], file: Path
) -> None:
    """Draw a row for each system."""
    figure = Figure(figsize=(21.0, 4.4 * len(results)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(results), 4, squeeze=False)
    for line, (system, exact, rows, run) in zip(axes, results, strict=True):
        draw_solution(line[:2], system, exact, run)
        draw_slopes(line[2], rows, "x")
        draw_slopes(line[3], rows, "p")
    figure.savefig(file, dpi=70)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, report, and fail on what is not as it must be."""
    parser = argparse.ArgumentParser(description="The continuous action: boundary value problem.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for what is written")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    results, wrong = [], []
    print("\nVA-9:")
    for system, steps in ((lorenz(), (4, 8, 16, 32, 64)), (pendulum(), (2, 4, 8, 16, 32))):
        started = time.perf_counter()
        exact = solve(system)
        compared = {name: compare(system, exact, name, steps) for name in schemes(system)}
        rows = [row for row, _ in compared.values()]
        results.append((system, exact, rows, compared["midpoint"][1]))
        print(report(system, exact, rows))
        print(f"  {time.perf_counter() - started:.0f} s", flush=True)
        wrong += [f"{system.title}: {line}" for line in check(exact, rows)]
    draw(results, options.out / "continuum.png")
    assert not wrong, "\n".join(["not as in the theory:", *wrong])


if __name__ == "__main__":
    main()
