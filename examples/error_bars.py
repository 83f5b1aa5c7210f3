"""How far to trust an answer: error bars, a profile, a forecast, and which states to measure.

Lorenz-63 of which x is measured, all three parameters unknown. The truth is known here, so every
band is compared with it.
"""

import numpy as np

import symda as sd


def main() -> None:
    """Estimate, ask how well, forecast, and compare with what was true."""
    model = sd.models.lorenz63()
    x, y, z = model.states
    action = sd.Action(model, [x])
    truth, every = sd.twin(
        action,
        parameters=sd.models.LORENZ63,
        dt=0.02,
        steps=300,
        variance=1.0,
        seed=2,
        discard=10.0,
    )
    data = sd.Observations(every.times[:201], every.values[:201], variance=1.0)
    later = sd.Observations(every.times[201:], every.values[201:], variance=1.0)
    run = sd.anneal(action, data, progress=False)

    posterior = run.posterior()
    print(posterior)
    band = posterior.interval(0.95)
    true = truth.states.sel(time=band["time"], method="nearest").values
    inside = (true >= band["low"].values) & (true <= band["high"].values)
    print(f"\nwithin their 95 % band: {inside.mean():.0%} of the true states")
    assert inside.mean() > 0.7
    for name, row in posterior.parameters.iterrows():
        assert abs(row["value"] - sd.models.LORENZ63[name]) < 4.0 * row["sd"]

    energy = posterior.expected((x**2 + y**2 + z**2) / 2)
    mean = posterior.expected((x**2 + y**2 + z**2) / 2, over="mean")
    exact = float(((truth.states.values[:201] ** 2).sum(axis=1) / 2).mean())
    print(
        f"energy: {float(energy['mean'].min()):.4g} to {float(energy['mean'].max()):.4g}; its mean "
        f"over the window {float(mean['mean']):.5g} +- {float(mean['sd']):.2g}, true {exact:.5g}"
    )

    profile = run.profile("rho")
    print(profile)
    low, high = profile.interval()
    row = posterior.parameters.loc["rho"]
    assert abs((high - low) - (row["high"] - row["low"])) < 0.2 * (row["high"] - row["low"])

    left = run.residuals()
    print(left)
    assert (left.channels["p"] > 1e-3).all()

    print(posterior.information().to_string(float_format="{:.3g}".format))
    further = action.design(run, {"x": (x, 1.0), "y": (y, 1.0), "z": (z, 1.0)})
    print(further.to_string(float_format="{:.3g}".format))
    # what was measured already tells least on average
    assert further.index[0] == "z" and further["mean"].idxmin() == "x"

    forecast = run.forecast(new_data=later, exponent=0.906)
    print(forecast)
    forecast.plot("forecast.png")
    run.plot_states("states.png", truth=truth)
    assert float(forecast.scores.loc["x", "covered"]) > 0.6

    given = {"parameters": sd.models.LORENZ63, "initial": [1.0, 2.0, 20.0], "time": 100.0}
    print("nothing measured:", sd.lyapunov(model, **given))
    for measured in (x, y, z):
        found = sd.lyapunov(model, coupled=[measured], coupling=20.0, **given)
        print(f"{measured} measured: largest conditional exponent {found.exponents[0]:.3g}")
    assert np.isfinite(found.exponents).all()


if __name__ == "__main__":
    main()
