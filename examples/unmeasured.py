"""Equations learned although a component is never measured: Lorenz's system from x and z alone.

What is not measured has no unit and no zero: any function of it would do as well. So the third
state is chosen to be v = dx/dt, of which x says much. Lorenz's equations in x, v and z are
    dv/dt = 270 x - 11 v - 10 x z,  dz/dt = x^2 + x v/10 - 8/3 z,
quadratic again: six of the twenty candidates.
"""

import argparse
from pathlib import Path

import numpy as np

import symda as sd

VARIANCE, STEP = 1.0, 0.01
TRUE = {"x in v": 270.0, "v in v": -11.0, "x*z in v": -10.0}
TRUE |= {"z in z": -8 / 3, "x**2 in z": 1.0, "v*x in z": 0.1}


def recording() -> tuple[np.ndarray, np.ndarray]:
    """Return clean states of Lorenz's system (1500, 3) and noisy x and z."""
    a, b, c = sd.states("a b c")
    model = sd.Model({a: 10 * (b - a), b: a * (28 - c) - b, c: a * b - 8 * c / 3})
    times = STEP * np.arange(1500)
    clean = sd.simulate(model, times, [-8.0, 8.0, 27.0]).states.values
    noise = np.sqrt(VARIANCE) * np.random.default_rng(0).normal(size=(times.size, 2))
    return clean, clean[:, [0, 2]] + noise


def main(folder: Path) -> None:
    """Learn, print the equations beside the true ones, draw the path."""
    x, v, z = sd.states("x v z")
    library = sd.learn.library([x, v, z], degree=2, known={x: v}, only={x: []})
    clean, seen = recording()
    times = STEP * np.arange(len(seen))
    data = sd.Observations(times, seen, variance=VARIANCE, channels=["x", "z"])
    fit = sd.learn.AnnealedTerms(library=library).fit(data)
    print(fit.summary())
    for row in fit.terms.itertuples(index=False):
        name = f"{row.term} in {row.state}"
        print(f"{name:10} {row.coefficient:9.4f}, true value {TRUE.get(name, 0.0):9.4f}")
    assert {f"{r.term} in {r.state}" for r in fit.terms.itertuples(index=False)} == set(TRUE)
    hidden = np.interp(times, fit.result.times, fit.result.path[:, 1])
    off = np.sqrt(np.mean((hidden - 10.0 * (clean[:, 1] - clean[:, 0])) ** 2))
    print(f"error of the unmeasured v: {off / hidden.std():.2%} of its standard deviation")
    fit.plot(folder / "unmeasured.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Lorenz's system from x and z alone.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure")
    main(parser.parse_args().out)
