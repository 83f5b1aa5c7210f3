"""What `sd.anneal(action, data)` does by itself: five systems, nothing set by hand.

Lorenz-96 with four of eleven states measured; Lorenz-63 of which x is; an enzyme of which the
product was measured twelve times, with noise of unknown size; a chaotic map with much noise and
gaps, of which many minima are about as low, so that the verdict names them; and a model that is
wrong, of which the verdict says so.
"""

import argparse

import numpy as np

import symda as sd


def lorenz96() -> tuple[sd.Action, sd.Observations, dict[str, float]]:
    """Four of eleven states measured, the forcing unknown."""
    model = sd.models.lorenz96()
    truth = {p.name: 10.0 for p in model.parameters}
    action = sd.Action(model, [model["x0"], model["x3"], model["x6"], model["x9"]])
    _, data = sd.twin(
        action, parameters=truth, dt=0.025, steps=165, variance=0.2, seed=1, discard=20.0
    )
    return action, data, truth


def lorenz63() -> tuple[sd.Action, sd.Observations, dict[str, float]]:
    """Only x measured, three unknown parameters."""
    model = sd.models.lorenz63()
    action = sd.Action(model, [model["x"]])
    truth = dict(sd.models.LORENZ63)
    _, data = sd.twin(
        action, parameters=truth, dt=0.01, steps=400, variance=1.0, seed=0, discard=10.0
    )
    return action, data, truth


def enzyme() -> tuple[sd.Action, sd.Observations, dict[str, float]]:
    """Take a saturating reaction: the product measured twelve times, rates over six decades."""
    s, p = sd.states("s p", bounds=(0.0, 100.0))
    v = sd.parameter("v", bounds=(1e-3, 1e3), scale="log")
    km = sd.parameter("km", bounds=(1e-3, 1e3), scale="log")
    sigma = sd.parameter("sigma", bounds=(1e-3, 1e2), scale="log")
    rate = v * s / (km + s)
    model = sd.Model({s: -rate, p: rate}, name="enzyme")
    action = sd.Action(model, {"p": sd.Normal(p, sigma)}, initial={s: 10.0, p: 0.0})
    truth = {"v": 2.0, "km": 3.0, "sigma": 0.1}
    times = np.linspace(0.0, 12.0, 13)
    product = sd.simulate(model, times, [10.0, 0.0], parameters={"v": 2.0, "km": 3.0}).states
    noise = np.random.default_rng(1).normal(0.0, truth["sigma"], times.size)
    values = product.sel(state="p").values + noise
    values[0] = np.nan  # known: nothing yet
    return action, sd.Observations(times, values), truth


def henon() -> tuple[sd.Action, sd.Observations, dict[str, float]]:
    """Henon's map: x with noise of 20 %, a third missing, both parameters unknown."""
    x, y = sd.state("x", bounds=(-4.0, 4.0)), sd.state("y", bounds=(-1.2, 1.2))
    a = sd.parameter("a", start=(0.7, 2.8), bounds=(0.35, 5.6))
    b = sd.parameter("b", start=(0.15, 0.6), bounds=(0.075, 1.2))
    truth = {"a": 1.4, "b": 0.3}
    model = sd.Model({x: 1 - a * x**2 + y, y: b * x}, name="henon", discrete=True)
    path = [[0.1, 0.1]]
    for _ in range(131):
        path.append([1.0 - truth["a"] * path[-1][0] ** 2 + path[-1][1], truth["b"] * path[-1][0]])
    values = np.array(path[52:])[:, 0]
    noise, rng = 0.2 * values.std(), np.random.default_rng(2)
    values = values + noise * rng.standard_normal(values.size)
    values[rng.uniform(size=values.size) < 0.35] = np.nan
    times = np.arange(values.size)
    return sd.Action(model, [x]), sd.Observations(times, values, variance=noise**2), truth


def wrong() -> tuple[sd.Action, sd.Observations, dict[str, float]]:
    """Take data of a damped oscillation, and a model without the damping."""
    x, v = sd.states("x v", start=(-3.0, 3.0))
    w = sd.parameter("w", bounds=(0.1, 5.0))
    action = sd.Action(sd.Model({x: v, v: -w * x}, name="undamped"), [x])
    t = np.linspace(0.0, 10.0, 51)
    noise = np.random.default_rng(0).normal(0.0, 0.05, t.size)
    return action, sd.Observations(t, np.exp(-0.1 * t) * np.cos(t) + noise, variance=0.0025), {}


def main() -> None:
    """Search each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of each search")
    seconds = parser.parse_args().seconds
    for make in (lorenz96, lorenz63, enzyme, henon, wrong):
        action, data, truth = make()
        run = sd.anneal(action, data, time_limit=seconds, progress=False)
        print(f"{make.__name__}: {run.verdict()}")
        for line in run.summary().partition("what was done:\n")[2].splitlines()[:-1]:
            print(line)
        for name, true in truth.items():
            sd_ = action.posterior(run, data).sd[name]
            print(f"  {name} = {run.best.parameters[name]:.4g} +- {sd_:.2g}, true {true:g}")
        print()


if __name__ == "__main__":
    main()
