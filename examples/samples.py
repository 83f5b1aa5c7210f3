"""Samples where error bars are not enough: Lorenz-63, of which x is measured rarely.

Between data that are far apart the path may go several ways, and the distribution about the best
one is no Gaussian: `print(run.posterior())` says so. `run.sample()` draws from it, says how it did
and how far that can be trusted, and gives expected values of what is not linear. Writes
``samples.png``.
"""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd


def main() -> None:
    """Anneal up to Rf = 82, compare error bars with samples, draw both."""
    x, y, z = sd.states("x y z", start=(-20.0, 40.0))
    rho = sd.parameter("rho", bounds=(10.0, 60.0))
    model = sd.Model({x: 10.0 * (y - x), y: x * (rho - z) - y, z: x * y - 8.0 / 3.0 * z})
    action = sd.Action(model, measured=[x], scheme="rk4")
    truth, fine = sd.twin(
        action, parameters={"rho": 28.0}, dt=0.02, steps=120, variance=1.0, seed=5, discard=20.0
    )
    values = fine.values.copy()
    values[np.arange(121) % 12 != 0] = np.nan
    data = sd.Observations(fine.times, values, variance=1.0)
    ladder = sd.Ladder(rf0=0.01, alpha=2.0, rungs=14)
    run = sd.anneal(action, data, strategy="ladder", ladder=ladder, paths=40, progress=False)

    laplace = run.posterior()
    print(laplace)
    samples = run.sample(400, seed=1)
    print(samples)
    print(samples.levels[["paths", "method", "draws", "weight", "effective", "spread"]])
    assert samples.determined

    # of what is not linear the best path says too little or too much
    energy = samples.expected((x**2 + y**2 + z**2) / 2, over="mean")
    print(f"mean energy: {float(energy['mean']):.1f} +- {float(energy['sd']):.1f}")
    band = samples.interval(0.9)
    inside = (truth.states >= band["low"]) & (truth.states <= band["high"])
    print(f"of the true states {float(inside.mean()):.0%} lie in bands that are meant to hold 90 %")
    assert float(inside.mean()) > 0.75

    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(2.4, 1.0))
    t = truth.states["time"]
    own, bars = band.sel(state="z"), laplace.interval(0.9).sel(state="z")
    left.fill_between(t, own["low"], own["high"], color="#0072B2", alpha=0.3, label="samples, 90 %")
    left.plot(t, bars["low"], color="#D55E00", lw=1.0, ls="--", label="Laplace, 90 %")
    left.plot(t, bars["high"], color="#D55E00", lw=1.0, ls="--")
    left.plot(t, truth.states.sel(state="z"), color="black", lw=1.2, label="truth")
    left.set_xlabel("time")
    left.set_ylabel("z, never measured")
    left.legend(fontsize=8, loc="upper right")
    edges = np.linspace(20.0, 40.0, 41)
    right.hist(
        samples.parameter_draws["rho"],
        edges,
        weights=samples.weights,
        density=True,
        color="#0072B2",
        alpha=0.4,
        label="samples",
    )
    at, sum_of = np.linspace(20.0, 40.0, 400), np.zeros(400)
    for level in laplace.levels:
        bell = level.parameters
        sd_of = bell.sd["rho"]
        sum_of += (
            level.weight
            * np.exp(-0.5 * ((at - bell.values[0]) / sd_of) ** 2)
            / (sd_of * np.sqrt(2.0 * np.pi))
        )
    right.plot(at, sum_of, color="#D55E00", ls="--", label="Laplace")
    right.axvline(28.0, color="black", lw=1.0)
    right.set_xlabel("rho")
    right.legend(fontsize=8)
    figure.savefig("samples.png", dpi=110)


if __name__ == "__main__":
    main()
