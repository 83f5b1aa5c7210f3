"""A reaction in moles, litres and seconds: rates anywhere in ten decades, units left as they are.

2 A <-> B -> C. A and C are measured, B is not; concentrations are some 1e-5 mol/l, the three rates
20,000 l/(mol s), 0.03/s and 0.005/s. On a logarithmic scale a rate is positive by itself, is drawn
from all decades alike, and has an error bar that is a factor. The ladder is the usual one, which is
relative to the sizes of the states, so that nothing is to be scaled by hand.
"""

import argparse
from pathlib import Path

import symda as sd

A, B, C = sd.states("A B C", start=(0.0, 2e-5))
forth = sd.parameter("forth", bounds=(1e-1, 1e9), scale="log")
back = sd.parameter("back", bounds=(1e-7, 1e3), scale="log")
on = sd.parameter("on", bounds=(1e-7, 1e3), scale="log")

model = sd.Model(
    {
        A: -2 * forth * A**2 + 2 * back * B,
        B: forth * A**2 - back * B - on * B,
        C: on * B,
    },
    name="dimer",
)
measured = [A, C]
scheme = "radau3"

TRUE = {"forth": 2e4, "back": 0.03, "on": 0.005}


def estimate() -> tuple[sd.Action, sd.Observations, sd.Run]:
    """Measure A and C every 5 s for 5 min, with noise of 1e-7 mol/l."""
    action = sd.Action(model, measured, scheme=scheme)
    _, data = sd.twin(
        action,
        parameters=TRUE,
        dt=5.0,
        steps=60,
        variance=1e-14,
        seed=1,
        initial={"A": 1e-5, "B": 0.0, "C": 0.0},
    )
    run = sd.anneal(action, data, steps=6, paths=8, seed=0, solver="newton")
    return action, data, run


def main(folder: Path) -> None:
    """Print the rates with their factors, and draw levels and states."""
    action, data, run = estimate()
    print(run.verdict())
    posterior = action.posterior(run, data, steps=6)
    for name, (low, high) in posterior.interval(0.95).items():
        value = run.best.parameters[name]
        factor = high / value
        print(
            f"{name} = {value:.4g}, 95 %: {low:.4g} .. {high:.4g} (a factor of {factor:.3f}), "
            f"true value {TRUE[name]:g}"
        )
    run.plot_levels(folder / "scales_levels.png")
    run.plot_states(folder / "scales_states.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A reaction with rates over ten decades.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figures")
    main(parser.parse_args().out)
