"""Three batches of one enzyme: what no recording says by itself, all of them say together.

A substrate s is used up at the rate v s / (K + s). With much of it the enzyme works at its limit v
whatever K is; with little the rate is v / K times s. The rates are the enzyme's own, so the batches
share them; the background b of the photometer is each recording's own.
"""

from __future__ import annotations

import symda as sd

TRUE = {"v": 1.0, "K": 2.0}
AMOUNTS = {"much": 15.0, "some": 3.0, "little": 0.5}
BACKGROUNDS = {"much": 0.4, "some": -0.2, "little": 0.1}
SETTINGS = {
    "ladder": sd.Ladder(rf0=1.0, alpha=10.0, rungs=9),
    "paths": 8,
    "solver": "newton",
    "start": "nudged",
    "progress": False,
}

s = sd.state("s", bounds=(0.0, 30.0))
v = sd.parameter("v", bounds=(0.1, 5.0))
K = sd.parameter("K", bounds=(0.1, 20.0))
b = sd.parameter("b", bounds=(-2.0, 2.0), per="experiment")
model = sd.Model({s: -v * s / (K + s)}, name="enzyme")
measured = {"light": s + b}
scheme = "rk4"


def recordings(action: sd.Action) -> dict[str, sd.Observations]:
    """Make the recordings, of different length."""
    data = {}
    for number, (name, amount) in enumerate(AMOUNTS.items()):
        _, data[name] = sd.twin(
            action,
            parameters={**TRUE, "b": BACKGROUNDS[name]},
            initial={"s": amount},
            dt=0.25,
            steps=40 if name == "much" else 24,
            variance=0.05**2,
            seed=number,
        )
    return data


def main() -> None:
    """Compare each recording alone with all of them."""
    action = sd.Action(model, measured, scheme=scheme)
    data = recordings(action)
    run = sd.anneal(action, data, **SETTINGS)
    together = action.posterior(run, data)
    print(run.verdict())
    for name, recording in data.items():
        alone = sd.anneal(action, recording, **SETTINGS)
        own = action.posterior(alone, recording)
        bound = " (one is on a bound)" * bool(own.at_bound.any())
        print(f"{name} alone: v +- {own.sd['v']:.2f}, K +- {own.sd['K']:.2f}{bound}")
        assert all(bound or together.sd[each] < own.sd[each] for each in TRUE)
    for name, value in TRUE.items():
        found, spread = run.best.parameters[name], together.sd[name]
        print(f"together: {name} = {found:.3f} +- {spread:.3f}, true value {value}")
        assert abs(found - value) < 4 * spread
    for name, part in run.best.experiments.items():
        amount = float(part.states.sel(state="s")[0])
        print(f"{name}: b = {part.parameters['b']:.2f}, s(0) = {amount:.2f} of {AMOUNTS[name]}")


if __name__ == "__main__":
    main()
