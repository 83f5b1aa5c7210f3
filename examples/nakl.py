"""The NaKL neuron at full size: 18 parameters and three gates from its voltage only.

120 ms of a neuron in current clamp: V measured every 0.02 ms (6,001 times) with noise of 1 mV, the
current injected known (a Lorenz system's x, so that it visits many voltages). Every parameter
starts anywhere in the range that this field searches, every gate anywhere in [0, 1], at every grid
point by itself. Then a new current is injected, and the voltage is predicted.

What makes it work from any start is the relative weight of the model errors. A gate's error of one
thousandth weighs like one of 1 mV in V: on the first rungs the gates almost obey their equations,
V follows the data, and what is left to fit is the current balance, which is nearly a regression.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import symda as sd

model = sd.models.nakl()
measured = [model["V"]]
scheme = "rk4"

TRUE = sd.models.NAKL
REST = {"V": -65.0, "m": 0.05, "h": 0.6, "n": 0.3}
DT = 0.02
#: The last rung has model errors of about 0.02 mV a step; beyond, RK4's own error begins to count.
LADDER = sd.Ladder({"V": 0.01, "m": 1e4, "h": 1e4, "n": 1e4}, alpha=8.0, rungs=7)


def current(times: np.ndarray, seed: int) -> sd.Samples:
    """Chaotic current in uA/cm^2: 10 + 2 x of Lorenz-63, of which 0.2 time units pass in 1 ms."""
    # so short a time before that rounding errors, which chaos amplifies, stay small everywhere
    spun_up = np.concatenate([[times[0] - 25.0], times])
    initial = np.random.default_rng(seed).normal([0.0, 0.0, 25.0], 5.0)
    lorenz = sd.simulate(
        sd.models.lorenz63(), 0.2 * spun_up, initial, parameters=sd.models.LORENZ63, rtol=1e-8
    )
    return sd.Samples(times, 10.0 + 2.0 * lorenz.states.sel(state="x").values[1:])


def experiment(
    milliseconds: float = 120.0, seed: int = 1
) -> tuple[sd.Action, sd.Trajectory, sd.Observations]:
    """Inject a current from rest and measure the voltage."""
    action = sd.Action(model, measured, scheme=scheme)
    steps = round(milliseconds / DT)
    truth, data = sd.twin(
        action,
        parameters=TRUE,
        dt=DT,
        steps=steps,
        variance=1.0,
        seed=seed,
        initial=REST,
        forcing={"I": current(DT * np.arange(steps + 1), seed)},
    )
    return action, truth, data


def estimate(action: sd.Action, data: sd.Observations, **options: object) -> sd.Run:
    """Anneal from uniform starts, or as `options` of `sd.anneal` say."""
    # eight paths share the vector lanes of a core
    chosen = {"ladder": LADDER, "paths": 16, "solver": "newton"}
    newton = {"tol": 1e-6, "max_iter": 300}
    return sd.anneal(action, data, **chosen | {"options": newton} | options)


def predict(
    truth: sd.Trajectory, run: sd.Run, seed: int = 2, milliseconds: float = 100.0
) -> tuple[sd.Samples, sd.Trajectory, sd.Trajectory]:
    """Go on with a new current, from true end state and parameters and from the estimated ones."""
    times = truth.times[-1] + DT * np.arange(round(milliseconds / DT) + 1)
    injected = current(times, seed)
    estimated = (run.best.states.values[-1], run.best.parameters)
    true, predicted = (
        sd.simulate(model, times, x, parameters=theta, forcing={"I": injected}, rtol=1e-8)
        for x, theta in ((truth.states.values[-1], TRUE), estimated)
    )
    return injected, true, predicted


def draw_prediction(
    injected: sd.Samples, true: sd.Trajectory, predicted: sd.Trajectory, path: Path
) -> None:
    """Draw the new current, and the voltage it leads to."""
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(9, 5), sharex=True, height_ratios=(1, 3), layout="constrained"
    )
    upper.plot(injected.times, injected.values, color="0.4", lw=1)
    upper.set_ylabel("I (uA/cm$^2$)")
    lower.plot(true.times, true.states.sel(state="V"), color="0.7", lw=4, label="truth")
    lower.plot(predicted.times, predicted.states.sel(state="V"), "C3", lw=1.2, label="prediction")
    lower.set(ylabel="V (mV)", xlabel="time (ms)")
    lower.legend(loc="upper right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def report(action: sd.Action, data: sd.Observations, run: sd.Run) -> str:
    """Say how well each parameter is known, and how far off it is."""
    found = action.posterior(run, data)
    table = found.table(truth=TRUE)
    known = table[table["relative_sd"] < 0.01]
    loose = table[~(table["relative_sd"] < 0.05)]
    return "\n".join(
        [
            table.to_string(
                formatters={
                    **dict.fromkeys(("value", "sd", "truth"), "{:.4f}".format),
                    **dict.fromkeys(("relative_sd", "error"), "{:.2%}".format),
                    "z": "{:+.1f}".format,
                }
            ),
            f"Known to better than 1 %: {', '.join(known.index) or 'none'}; "
            f"largest error {known['error'].abs().max():.2%}.",
            f"Not determined to 5 %: {', '.join(loose.index) or 'none'}.",
            "Least determined combinations (relative changes):",
            found.directions(3).to_string(
                index=False, header=False, formatters={"relative_sd": "{:.1%}".format}
            ),
        ]
    )


def main(folder: Path, milliseconds: float, paths: int) -> None:
    """Print what was found and draw states and prediction."""
    action, truth, data = experiment(milliseconds)
    run = estimate(action, data, paths=paths)
    print(run.summary())
    print(report(action, data, run))
    injected, true, predicted = predict(truth, run)
    off = (predicted.states - true.states).sel(state="V").values
    print(f"New current: predicted voltage off by {np.sqrt(np.mean(off**2)):.2f} mV (rms).")
    run.plot_states(folder / "nakl_states.png", truth=truth)
    draw_prediction(injected, true, predicted, folder / "nakl_prediction.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The NaKL neuron, its voltage measured.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    parser.add_argument("--ms", type=float, default=120.0, help="length of the window in ms")
    parser.add_argument("--paths", type=int, default=16, help="number of starts")
    given = parser.parse_args()
    main(given.out, given.ms, given.paths)
