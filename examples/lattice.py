"""A spiral wave in an excitable sheet: the voltage seen with noise, the recovery variable never.

The FitzHugh-Nagumo equations on 32 x 32 sites, D = 2,048 states, written once for a site:

    du/dt = diffusion (u of the four neighbours - 4 u) + u - u^3/3 - v + 0.35
    dv/dt = rate (u + 0.7 - 0.8 v)

with no flux through the edges. Diffusion and rate are found along with the recovery variable v.
"""

import argparse
from pathlib import Path

import numpy as np

import symda as sd

SIZE = 32
i, j = (sd.site(name, SIZE, boundary="reflect") for name in "ij")
u = sd.states("u", (i, j), start=(-2.0, 2.0))
v = sd.states("v", (i, j), start=(-0.7, 1.5))
diffusion = sd.parameter("diffusion", bounds=(0.0, 2.0), start=(0.1, 1.0))
rate = sd.parameter("rate", bounds=(0.0, 0.5), start=(0.02, 0.2))

around = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4 * u[i, j]
model = sd.Model(
    {
        u[i, j]: diffusion * around + u[i, j] - u[i, j] ** 3 / 3 - v[i, j] + 0.35,
        v[i, j]: rate * (u[i, j] + 0.7 - 0.8 * v[i, j]),
    },
    name="excitable sheet",
)
measured = u
scheme = "rk4"
TRUE = {"diffusion": 0.3, "rate": 0.08}


def broken_wave() -> np.ndarray:
    """Return a state whose wave has a free end, about which it curls up: fields u, then v."""
    down, across = np.indices((SIZE, SIZE)) - SIZE // 2
    excited = (down < 0) & (across > -4) & (across <= 0)
    recovering = (down < 0) & (across <= -4)
    fields = np.where(excited, 2.0, -1.0), np.where(recovering, 1.2, -0.4)
    return np.concatenate([field.reshape(-1) for field in fields])


def estimate() -> tuple[sd.Trajectory, sd.Observations, sd.Run]:
    """Let the wave curl up, make data with noise of variance 0.04 and anneal two paths."""
    action = sd.Action(model, measured, scheme=scheme)
    before = sd.simulate(model, [0.0, 60.0], broken_wave(), parameters=TRUE, rtol=1e-6, atol=1e-6)
    truth, data = sd.twin(
        action, parameters=TRUE, dt=0.25, steps=40, variance=0.04, seed=1, initial=before.states[-1]
    )
    ladder = sd.Ladder(rf0=1.0, alpha=10.0, rungs=6)
    run = sd.anneal(action, data, ladder=ladder, paths=2, seed=0, solver="newton")
    return truth, data, run


def draw(truth: sd.Trajectory, data: sd.Observations, run: sd.Run, file: Path) -> None:
    """Draw both variables in the middle of the data: true, measured, estimated."""
    import matplotlib.pyplot as plt

    n = len(data.times) // 2
    true, found = truth.states.values[n], run.best.states.values[n]
    sheets = {"true": true, "measured": np.append(data.values[n], 0 * true[len(u) :] + np.nan)}
    figure, axes = plt.subplots(
        2, 3, figsize=(9.0, 5.4), layout="constrained", sharex=True, sharey=True
    )
    for column, (name, state) in enumerate((sheets | {"estimated": found}).items()):
        fields = state.reshape(2, SIZE, SIZE)
        for axis, field, label in zip(axes[:, column], fields, "uv", strict=True):
            low, high = {"u": (-2.0, 2.0), "v": (-0.6, 1.4)}[label]
            image = axis.imshow(field, origin="lower", vmin=low, vmax=high)
            axis.set_title(f"{label}, {name}" if np.isfinite(field).all() else f"{label}: no data")
            if column == 2:
                figure.colorbar(image, ax=axis, shrink=0.9)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def main(folder: Path) -> None:
    """Print what was found and draw the sheet."""
    truth, data, run = estimate()
    print(run.summary())
    for name, value in run.best.parameters.items():
        print(f"{name} = {value:.4f}, true value {truth.parameters[name]}")
    error = (run.best.states - truth.states.values).values[:, len(u) :]
    print(f"v, never measured: root mean square error {np.sqrt(np.mean(error**2)):.3f}")
    draw(truth, data, run, folder / "lattice_sheet.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A spiral wave on a lattice of 2,048 states.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure")
    main(parser.parse_args().out)
