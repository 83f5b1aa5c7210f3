"""Samples: exact sums on grids, exact Gaussians, cut off distributions, chains that do not mix."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from error_bars import QUIET, exact_chain, ladder, pendulum, recorded, walk

import symda as sd
from symda.sample.mixing import effective, r_hat


def well(low: float, high: float, df: float = math.inf) -> sd.Action:
    """x_n+1 = x_n + (x_n - x_n^3 + c)/10: two wells, tilted by c."""
    x = sd.state("x", start=(-2.0, 2.0))
    c = sd.parameter("c", start=(-1.0, 1.0), bounds=(low, high))
    model = sd.Model({x: x + (x - x**3 + c) / 10}, name="well", discrete=True)
    noise = sd.StudentT(df, x, sp.sqrt(0.1)) if math.isfinite(df) else x
    return sd.Action(model, {"x": noise})


def recording(rf: float, variance: float, seed: int, steps: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = [0.8]
    for _ in range(steps):
        x.append(x[-1] + (x[-1] - x[-1] ** 3 + 0.1) / 10 + rng.normal() / math.sqrt(rf))
    values = np.array(x) + math.sqrt(variance) * rng.normal(size=steps + 1)
    values[np.arange(steps + 1) % 5 != 0] = np.nan
    return values


def square(variance: float) -> Callable[[np.ndarray, float], np.ndarray]:
    return lambda grid, y: 0.5 * (grid - y) ** 2 / variance


GRID = np.linspace(-2.8, 2.8, 281)


@pytest.mark.parametrize(
    ("rf", "variance", "method"), [(20.0, 0.05, "rto"), (20.0, 0.3, "hmc"), (200.0, 0.3, "rto")]
)
def test_samples_are_those_of_the_exact_distribution(
    rf: float, variance: float, method: str
) -> None:
    """Of a Markov chain with two wells, by forward and backward sums on a grid."""
    y = recording(rf, variance, 5)
    data = sd.Observations(np.arange(41.0), y, variance=variance)
    run = sd.anneal(well(-4.0, 4.0), data, **ladder(rf))
    found = run.sample(4000 if method == "rto" else 1000, method=method, seed=1)
    assert found.determined, found.notes
    mean, spread, c, c_sd = exact_chain(y, rf, np.linspace(-4.0, 4.0, 81), square(variance), GRID)
    off = (found.mean.values[:, 0] - mean) / spread
    assert np.sqrt(np.mean(off**2)) < 0.06
    assert abs(found.parameters.loc["c", "value"] - c) < 0.12 * c_sd
    assert found.sd.values[:, 0] == pytest.approx(spread, rel=0.12)
    assert found.parameters.loc["c", "sd"] == pytest.approx(c_sd, rel=0.12)
    # quadratic, so that the delta method would be wrong
    x = run.action.model.states[0]
    energy = found.expected(x**2)
    wanted = mean**2 + spread**2
    assert np.abs(energy["mean"].values - wanted).max() < 5.0 * energy["mcse"].values.max()
    assert energy["mcse"].values.max() < 0.1


def test_of_a_linear_model_every_draw_counts_the_same() -> None:
    action = walk(np.random.default_rng(1), 3)
    y = np.random.default_rng(2).normal(size=(8, 2))
    data = sd.Observations(np.arange(8.0), y, variance=0.3)
    run = sd.anneal(action, data, **ladder(3.0))
    found, laplace = run.sample(60, method="rto"), run.posterior()
    row = found.levels.iloc[0]
    assert row["spread"] < 1e-8 and row["failed"] == 0.0 and row["reached"] == 1.0
    # opposite numbers: expected values are exact
    assert found.mean.values == pytest.approx(laplace.mean.values, abs=1e-7)
    many = run.sample(4000, method="rto")
    assert many.sd.values == pytest.approx(laplace.sd.values, rel=0.06)
    assert many.parameters["sd"].values == pytest.approx(laplace.parameters["sd"].values, rel=0.06)


@pytest.mark.parametrize("method", ["rto", "hmc"])
def test_a_bound_cuts_the_distribution_off(method: str) -> None:
    """x_n+1 = x_n/2 + b with b >= 0, and data that ask for a negative one: a cut Gaussian."""
    x = sd.state("x", start=(-5.0, 5.0))
    data = sd.Observations(np.arange(9.0), -0.25 + 0.1 * np.cos(np.arange(9.0)), variance=0.3)

    def action(low: float) -> sd.Action:
        b = sd.parameter("b", start=(0.0, 1.0), bounds=(low, 20.0))
        return sd.Action(sd.Model({x: x / 2 + b}, name="cut", discrete=True), {"x": x})

    whole = sd.anneal(action(-20.0), data, **ladder(2.0)).posterior()
    centre, size = whole.parameters.loc["b", ["value", "sd"]]
    assert centre < 0.0
    bs = np.linspace(0.0, centre + 12.0 * size, 4001)
    weight = np.exp(-0.5 * ((bs - centre) / size) ** 2)
    weight /= weight.sum()
    mean = weight @ bs
    found = sd.anneal(action(0.0), data, **ladder(2.0)).sample(2000, method=method, seed=3)
    row = found.parameters.loc["b"]
    if method == "rto":
        # few of its draws are within the bounds, which is said
        assert not found.determined and "lie beyond a bound" in str(found)
        return
    assert found.determined, found.notes
    assert row["value"] == pytest.approx(mean, rel=0.1)
    assert row["sd"] == pytest.approx(math.sqrt(weight @ (bs - mean) ** 2), rel=0.12)
    assert (found.parameter_draws["b"] >= 0.0).all() and row["low"] >= 0.0


@pytest.mark.smoke
def test_noise_that_is_not_gaussian() -> None:
    """Student's t with 3 degrees of freedom, against sums on a grid."""
    y = recording(20.0, 0.05, 7)
    y[10] = 2.5
    data = sd.Observations(np.arange(41.0), y)
    action = well(-4.0, 4.0, df=3.0)
    run = sd.anneal(action, data, **ladder(20.0))
    found = run.sample(600, seed=2)
    assert found.determined, found.notes

    def cost(grid: np.ndarray, v: float) -> np.ndarray:
        return 2.0 * np.log1p((grid - v) ** 2 / (3.0 * 0.1))

    mean, spread, c, c_sd = exact_chain(y, 20.0, np.linspace(-4.0, 4.0, 81), cost, GRID)
    assert np.sqrt(np.mean(((found.mean.values[:, 0] - mean) / spread) ** 2)) < 0.08
    assert abs(found.parameters.loc["c", "value"] - c) < 0.15 * c_sd


def test_what_does_not_mix_is_not_determined() -> None:
    y = recording(20.0, 0.05, 5)
    data = sd.Observations(np.arange(41.0), y, variance=0.05)
    run = sd.anneal(well(-4.0, 4.0), data, **ladder(20.0))
    found = run.sample(400, method="hmc", time_limit=0.05)
    assert not found.determined
    assert "NOT DETERMINED" in str(found) and "the time was over" in str(found)
    assert np.isnan(found.mean.values).all() and found.parameters["value"].isna().all()
    assert np.isnan(found.expected(run.action.model.states[0])["mean"].values).all()
    with pytest.raises(sd.SolveError, match="do not agree"):
        found.ends(40, 10)


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_large_precision_agrees_with_laplace(scheme: str) -> None:
    action = pendulum(scheme)
    run = sd.anneal(action, recorded(action, steps=30), **ladder(1e4))
    laplace, found = run.posterior(), run.sample(200, seed=1)
    assert found.determined and found.levels.loc[0, "method"] == "rto"
    assert found.levels.loc[0, "spread"] < 0.3
    off = (found.mean.values - laplace.mean.values) / laplace.sd.values
    shift = (laplace.shift.values / laplace.sd.values) if laplace.shift is not None else 0.0
    assert np.abs(off - shift).max() < 0.1
    assert found.sd.values == pytest.approx(laplace.sd.values, rel=0.35)


@pytest.mark.smoke
def test_bounds_beside_the_most_likely_values() -> None:
    """y = x + c with x_n+1 = x_n/2 + b: two correlated parameters, each with a bound close by."""
    x = sd.state("x", start=(-5.0, 5.0))
    y = 0.5 + 0.3 * np.cos(2.0 * np.arange(9.0))
    data = sd.Observations(np.arange(9.0), np.stack([y, y + 0.1], axis=1), variance=[0.05, 2.0])

    def annealed(low: tuple[float, float]) -> sd.Run:
        b = sd.parameter("b", start=(0.5, 1.0), bounds=(low[0], 20.0))
        c = sd.parameter("c", start=(0.5, 1.0), bounds=(low[1], 20.0))
        model = sd.Model({x: x / 2 + b}, name="cut", discrete=True)
        return sd.anneal(sd.Action(model, {"y": x + c, "x": x}), data, **ladder(2.0))

    free = annealed((-20.0, -20.0)).posterior()
    centre, g = free.parameters["value"].to_numpy(), free.levels[0].gaussian
    C = g.of_parameters
    low = centre - 0.2 * np.sqrt(np.diag(C))
    assert abs(C[0, 1]) > 0.6 * np.sqrt(C[0, 0] * C[1, 1])
    draws = np.random.default_rng(0).multivariate_normal(centre, C, 400_000)
    wanted = draws[(draws >= low).all(axis=1)].mean(axis=0)
    found = annealed((float(low[0]), float(low[1]))).sample(400, method="hmc", seed=1)
    assert found.determined, found.notes
    off = (found.parameters["value"].to_numpy() - wanted) / found.parameters["mcse"].to_numpy()
    assert np.abs(off).max() < 3.5, off


@pytest.mark.smoke
@pytest.mark.parametrize("method", ["rto", "hmc"])
def test_a_well_that_a_bound_cuts_has_its_weight(method: str) -> None:
    x = sd.state("x", start=(-3.0, 2.0), bounds=(-5.0, 2.06))
    model = sd.Model({x: x}, name="still", discrete=True)
    action = sd.Action(model, {"square": x**2, "tilt": x})
    data = sd.Observations([0.0, 1.0], [[4.0, 0.3], [4.0, np.nan]], variance=[0.5, 4.0])
    run = sd.anneal(action, data, **{**ladder(1e3), "paths": 12})
    grid = np.linspace(-5.0, 2.06, 4001)
    log = -0.5 * (2.0 * (grid**2 - 4.0) ** 2 / 0.5 + (grid - 0.3) ** 2 / 4.0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    means = [run.sample(300, method=method, seed=seed) for seed in range(3)]
    for found in means:
        assert found.determined, found.notes
        off = float(found.mean.values[0, 0]) - weight @ grid
        error = float(found.expected(x)["mcse"].values[0])
        assert abs(off) < 4.0 * error and error < 0.2, (off, error)


@pytest.mark.parametrize("scale", [None, "log"])
def test_a_prior_is_of_values_whatever_the_scale(scale: str | None) -> None:
    """Nothing is measured of k but k itself: prior times likelihood, summed."""
    x = sd.state("x", start=(-5.0, 5.0))
    prior = sd.LogNormal(0.0, 0.4)
    k = sd.parameter("k", start=(0.5, 2.0), bounds=(1e-3, 50.0), prior=prior, scale=scale)
    model = sd.Model({x: x}, name="still", discrete=True)
    action = sd.Action(model, {"x": x, "k": k + x})
    data = sd.Observations([0.0, 1.0], [[0.0, 1.5], [0.0, np.nan]], variance=[1e-4, 0.5])
    run = sd.anneal(action, data, **ladder(1e2))
    found = run.sample(1500, seed=2)
    assert found.determined, found.notes
    grid = np.linspace(1e-3, 12.0, 20_001)
    log = -0.5 * (np.log(grid) / 0.4) ** 2 - np.log(grid) - 0.5 * (grid - 1.5) ** 2 / 0.5
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    row = found.parameters.loc["k"]
    assert abs(row["value"] - weight @ grid) < 4.0 * row["mcse"], row


def test_a_model_without_free_parameters() -> None:
    x = sd.state("x", start=(-3.0, 3.0))
    action = sd.Action(sd.Model({x: x - x**3 / 10}, name="cubic", discrete=True), [x])
    run = sd.anneal(action, sd.Observations(np.arange(4.0), [0.1, 0.2, 0.1, 0.0], variance=0.1),
                    **ladder(20.0))  # fmt: skip
    found = run.sample(100, method="hmc", seed=1)
    assert found.determined and found.parameters.empty and "path" in str(found)
    with pytest.raises(sd.OptionError, match="equal: seed"):
        found.equal(3, seed=-1)
    with pytest.raises(sd.OptionError, match="has the states x"):
        run.expected(sp.Symbol("w"))
    said = found.expected(sp.log(x))
    assert "not finite" in said.attrs["notes"]


def test_two_wells_have_their_weights() -> None:
    """x'' pushed by nothing, measured as x^2: two minima that mirror each other, and a tilt."""
    x = sd.state("x", start=(-3.0, 3.0), bounds=(-5.0, 5.0))
    model = sd.Model({x: x}, name="still", discrete=True)
    action = sd.Action(model, {"square": x**2, "tilt": x})
    data = sd.Observations([0.0, 1.0], [[4.0, 0.3], [4.0, np.nan]], variance=[0.5, 4.0])
    run = sd.anneal(action, data, **{**ladder(1e3), "paths": 12})
    found = run.sample(400, seed=1)
    assert found.determined and len(found.levels) == 2
    grid = np.linspace(-5.0, 5.0, 4001)
    log = -0.5 * (2.0 * (grid**2 - 4.0) ** 2 / 0.5 + (grid - 0.3) ** 2 / 4.0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    share = weight[grid > 0.0].sum()
    assert found.levels["weight"].max() == pytest.approx(max(share, 1 - share), abs=0.005)
    assert found.mean.values[0, 0] == pytest.approx(weight @ grid, abs=0.03)


@pytest.mark.smoke
def test_levels_that_are_not_apart_are_drawn_from_together() -> None:
    """The same with a barrier of 0.9 between the two: the sum of two Gaussians counts it twice."""
    x = sd.state("x", start=(-3.0, 3.0), bounds=(-5.0, 5.0))
    model = sd.Model({x: x}, name="still", discrete=True)
    action = sd.Action(model, {"square": x**2, "tilt": x})
    data = sd.Observations([0.0, 1.0], [[1.5, 0.3], [1.5, np.nan]], variance=[2.5, 4.0])
    run = sd.anneal(action, data, **{**ladder(1e3), "paths": 12})
    found = run.sample(400, seed=1)
    assert found.determined and len(found.levels) == 1, found.levels
    grid = np.linspace(-5.0, 5.0, 4001)
    log = -0.5 * (2.0 * (grid**2 - 1.5) ** 2 / 2.5 + (grid - 0.3) ** 2 / 4.0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    assert found.mean.values[0, 0] == pytest.approx(weight @ grid, abs=0.2)
    second = found.expected(x**2)["mean"].values[0]
    assert second == pytest.approx(weight @ grid**2, rel=0.12)


def test_solutions_are_sampled_by_their_first_states_and_parameters() -> None:
    """x' = -k x^2, finished as a solution: against sums over x_0 and k."""
    x = sd.state("x", start=(0.1, 3.0), bounds=(0.0, 20.0))
    k = sd.parameter("k", bounds=(0.0, 10.0), start=(0.1, 3.0))
    action = sd.Action(sd.Model({x: -k * x**2}, name="decay"), {"x": x})
    t = np.linspace(0.0, 3.0, 7)
    y = 2.0 / (1.0 + 2.0 * t) + 0.2 * np.random.default_rng(3).normal(size=7)
    data = sd.Observations(t, y, variance=0.04)
    run = sd.anneal(action, data, finish="strong", **{k: v for k, v in QUIET.items()})
    found = run.sample(1500, seed=4)
    assert found.determined, found.notes
    first, rate = np.meshgrid(np.linspace(0.01, 6.0, 600), np.linspace(0.01, 10.0, 700))
    log = np.zeros_like(first)
    for when, value in zip(t, y, strict=True):
        log -= 0.5 * (first / (1.0 + first * rate * when) - value) ** 2 / 0.04
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = (weight * rate).sum()
    spread = math.sqrt((weight * (rate - mean) ** 2).sum())
    row = found.parameters.loc["k"]
    assert abs(row["value"] - mean) < 0.15 * spread
    assert row["sd"] == pytest.approx(spread, rel=0.15)
    assert abs(found.mean.values[0, 0] - (weight * first).sum()) < 0.05


def test_first_states_that_follow_parameters_leave_chains_only() -> None:
    x, v = sd.states("x v", start=(-3.0, 3.0))
    k = sd.parameter("k", bounds=(0.5, 8.0))
    model = sd.Model({x: v, v: -k * sp.sin(x)}, name="tied")
    action = sd.Action(model, measured=[x], initial={x: k / 4})
    _, data = sd.twin(action, parameters={"k": 4.0}, initial={"x": 1.0, "v": 0.0}, dt=0.1, steps=12,
                      variance=0.01, seed=1)  # fmt: skip
    found = sd.anneal(action, data, **ladder(1e3)).sample(100, seed=1)
    assert found.levels.loc[0, "method"] == "hmc"
    assert "functions of parameters" in " ".join(found.notes)
    assert found.determined, found.notes
    # the first state is what it is a function of
    first = found.states.values[:, 0, 0]
    assert first == pytest.approx(found.parameter_draws["k"].values / 4.0, rel=1e-9)


def test_forecasts_start_from_samples() -> None:
    action = walk(np.random.default_rng(1), 3)
    y = np.random.default_rng(2).normal(size=(8, 2))
    data = sd.Observations(np.arange(8.0), y, variance=0.3)
    run = sd.anneal(action, data, **ladder(3.0))
    samples = run.sample(2000, method="rto", seed=1)
    one = run.forecast([9.0, 10.0], draws=2000, samples=samples).interval()
    other = run.forecast([9.0, 10.0], draws=2000).interval()
    width = (other["high"] - other["low"]).values
    assert np.abs(one["low"].values - other["low"].values).max() < 0.12 * width.max()
    assert np.abs(one["high"].values - other["high"].values).max() < 0.12 * width.max()
    again = sd.anneal(action, sd.Observations(np.arange(8.0), y + 1.0, variance=0.3), **ladder(3.0))
    with pytest.raises(sd.OptionError, match="another run"):
        again.forecast([9.0], samples=samples)


def test_chains_are_judged_like_everybody_does() -> None:
    """Of an autoregression R-hat is 1, and n (1 - a)/(1 + a) draws count."""
    rng = np.random.default_rng(0)
    chains = np.zeros((4, 4000, 3))
    for k in range(1, 4000):
        chains[:, k] = np.array([0.0, 0.5, 0.9]) * chains[:, k - 1] + rng.normal(size=(4, 3))
    wanted = 16000 * np.array([1.0, 0.5 / 1.5, 0.1 / 1.9])
    assert effective(chains) == pytest.approx(wanted, rel=0.15)
    assert r_hat(chains) == pytest.approx(1.0, abs=0.01)
    chains[0] += 1.0
    assert (r_hat(chains) > 1.02).all()
    assert r_hat(chains)[0] == pytest.approx(math.sqrt(1.0 + 0.25 * 8 / 7), rel=0.03)


def test_samples_go_to_arviz() -> None:
    arviz = pytest.importorskip("arviz")
    action = pendulum("rk4")
    run = sd.anneal(action, recorded(action, steps=10), **ladder(1e3))
    chains = run.sample(200, method="hmc", seed=1)
    given = chains.to_arviz()["posterior"]
    assert given["k"].dims == ("chain", "draw") and given.sizes["chain"] == 4
    assert float(given["k"].mean()) == pytest.approx(chains.parameters.loc["k", "value"], rel=1e-9)
    assert given["x"].dims == ("chain", "draw", "time")
    table = arviz.summary(given[["k", "c"]], kind="all", round_to="none")
    assert table.loc["k", "r_hat"] < 1.1
    draws = run.sample(200, method="rto", seed=1).to_arviz()["posterior"]
    assert draws.sizes["chain"] == 1 and draws.sizes["draw"] > 100


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"draws": 3}, "draws must be a whole number of at least 50"),
        ({"chains": 1}, "chains must be a whole number of at least 2"),
        ({"method": "nuts"}, "one of auto, rto, hmc"),
        ({"time_limit": 0.0}, "time_limit"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_that_make_no_sense_are_refused(how: dict[str, object], message: str) -> None:
    action = pendulum("rk4")
    run = sd.anneal(action, recorded(action, steps=6), **ladder(100.0))
    with pytest.raises(sd.OptionError, match=message):
        run.sample(**how)


def test_what_nothing_determines_cannot_be_drawn() -> None:
    x, v = sd.states("x v", start=(-3.0, 3.0))
    a = sd.parameter("a", start=(0.0, 2.0))
    b = sd.parameter("b", start=(0.0, 2.0))
    model = sd.Model({x: v, v: -(a + b) * x}, name="twice")
    action = sd.Action(model, measured=[x])
    values = np.sin(np.arange(10) / 3.0)
    run = sd.anneal(action, sd.Observations(np.arange(10) / 3.0, values, variance=1e-2),
                    **ladder(100.0))  # fmt: skip
    with pytest.raises(sd.SolveError, match="nothing determines a, b"):
        run.sample()
