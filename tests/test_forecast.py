"""Forecasts: exact ones of linear models, scores, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import symda as sd
from symda.analyse.scores import crps, valid_time
from symda.errors import DataError, OptionError, SolveError

QUIET = {"progress": False, "executor": "serial", "seed": 0, "solver": "newton"}


def ladder(rf: float) -> dict[str, object]:
    return {"ladder": sd.Ladder(rf, 1.0, 1), "paths": 2, **QUIET}


def cascade() -> tuple[sd.Action, sd.Observations]:
    """x_n+1 = 0.9 x_n + 0.2 v_n + b, v_n+1 = 0.7 v_n: linear in everything."""
    x, v = sd.states("x v", start=(-5.0, 5.0))
    b = sd.parameter("b", start=(-2.0, 2.0))
    model = sd.Model({x: 0.9 * x + 0.2 * v + b, v: 0.7 * v}, name="cascade", discrete=True)
    action = sd.Action(model, {"x": x, "both": x + v})
    values = np.random.default_rng(0).normal(size=(13, 2))
    return action, sd.Observations(np.arange(13.0), values, variance=[0.2, 0.5])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("rf", [2.0, 1e3])
def test_of_a_linear_map_it_is_the_exact_one(rf: float) -> None:
    action, data = cascade()
    run = sd.anneal(action, data, **ladder(rf))
    posterior = run.posterior()
    g = posterior.levels[0].gaussian
    joint = np.zeros((3, 3))
    joint[:2, :2], joint[2, 2] = g.covariance[-1], g.of_parameters[0, 0]
    joint[:2, 2] = joint[2, :2] = g.with_parameters[-1, :, 0]
    mean = np.array([*run.best.states.values[-1], run.best.parameters["b"]])
    A = np.array([[0.9, 0.2, 1.0], [0.0, 0.7, 0.0], [0.0, 0.0, 1.0]])
    noise = np.diag([1.0 / rf, 1.0 / rf, 0.0])
    found = run.forecast([12.0, 13.0, 16.0], draws=1600)
    assert found.rf == pytest.approx(rf)
    k = 0
    for n in range(5):
        if n in (0, 1, 4):
            assert found.mean.values[k] == pytest.approx(
                mean[:2], abs=5 * math.sqrt(joint[0, 0] / 1600)
            )
            got = np.cov(found.states.values[:, k].T)
            assert got == pytest.approx(joint[:2, :2], rel=0.2, abs=0.1 * joint[0, 0])
            h = found.data.values[:, k, 1]
            exact = joint[:2, :2].sum() + 0.5
            assert h.var() == pytest.approx(exact, rel=0.15)
            assert found.measured.values[:, k, 1].var() == pytest.approx(exact - 0.5, rel=0.15)
            k += 1
        mean, joint = A @ mean, A @ joint @ A.T + noise
    assert f"Rf = {rf:.4g}" in str(found)


def decay(*, discrete: bool, **declared: object) -> sd.Action:
    """x' = -k x + u, or x_n+1 = k x_n + u."""
    x = sd.state("x", start=(0.1, 5.0), **declared)
    k = sd.parameter("k", bounds=(0.1, 5.0))
    u = sd.forcing("u")
    rate = k * x + u if discrete else -k * x + u
    return sd.Action(sd.Model({x: rate}, name="decay", discrete=discrete), [x])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("declared", [{}, {"scale": "log"}])
def test_of_a_solution_the_model_is_exact(declared: dict[str, object], tmp_path: object) -> None:
    """x = 3 k^n with k = 0.9: its band is that of the fit of x0 and k."""
    action = decay(discrete=True, **declared)
    rng = np.random.default_rng(3)
    times, later = np.arange(21.0), np.arange(21.0, 31.0)
    data, new = (
        sd.Observations(
            n, 3.0 * 0.9**n + 0.02 * rng.normal(size=n.size), variance=4e-4, forcing={"u": 0.0}
        )
        for n in (times, later)
    )
    run = sd.anneal(action, data, finish="strong", **ladder(1e4))
    found = run.forecast(new_data=new, draws=400)
    assert np.isinf(found.rf).all()
    first, k = run.best.states.values[0, 0], run.best.parameters["k"]

    def slopes(n: np.ndarray) -> np.ndarray:
        return np.stack([k**n, first * n * k ** (n - 1)], axis=1)

    J, at = slopes(times), slopes(later)
    C = np.linalg.inv(J.T @ J) * 4e-4
    exact = np.sqrt(np.einsum("ti,ij,tj->t", at, C, at))
    assert found.sd.values[:, 0] == pytest.approx(exact, rel=0.15)
    assert found.best.values[:, 0] == pytest.approx(first * k**later, rel=1e-5)
    assert found.mean.values[:, 0] == pytest.approx(first * k**later, rel=2e-2)
    band = found.data_interval(0.9)
    width = (band["high"] - band["low"]).values[:, 0] / 3.2897
    assert width == pytest.approx(np.sqrt(exact**2 + 4e-4), rel=0.25)
    row = found.scores.loc["x"]
    assert row["count"] == 10 and row["covered"] >= 0.6
    rms = math.sqrt(np.mean((found.measured.values.mean(axis=0)[:, 0] - new.values[:, 0]) ** 2))
    assert row["rmse"] == pytest.approx(rms)
    assert 0.005 < row["crps"] < 0.03
    assert row["valid_time"] == pytest.approx(10.0)
    figure = found.plot(tmp_path / "forecast.png")
    assert len(figure.axes) == 1 and (tmp_path / "forecast.png").stat().st_size > 5000
    again = run.forecast(new_data=new, draws=400)
    assert (again.states.values == found.states.values).all()
    assert "model taken as exact" in str(found)


@pytest.mark.usefixtures("uncompiled")
def test_what_cannot_be_forecast_is_refused(tmp_path: object) -> None:
    action, data = cascade()
    run = sd.anneal(action, data, **ladder(10.0))
    with pytest.raises(OptionError, match="pass times, or new_data"):
        run.forecast()
    with pytest.raises(DataError, match="the window ends at t = 12, and the first time is 3"):
        run.forecast([3.0, 13.0])
    with pytest.raises(OptionError, match="draws"):
        run.forecast([13.0], draws=1)
    with pytest.raises(OptionError, match="no experiment 'one'"):
        run.forecast([13.0], experiment="one")
    with pytest.raises(DataError, match="new_data has 1 columns"):
        run.forecast(new_data=sd.Observations([13.0, 14.0], np.zeros(2), variance=1.0))
    other = sd.Observations([13.0, 14.0], np.zeros((2, 2)), variance=1.0, channels=["x", "y"])
    with pytest.raises(DataError, match="no channel 'both'"):
        run.forecast(new_data=other)
    with pytest.raises(OptionError, match="exponent"):
        run.forecast([13.0], exponent=-1.0)
    loaded = sd.load(run.save(tmp_path / "run.nc"))
    with pytest.raises(OptionError, match=r"run\.forecast\(action=action, data=data\)"):
        loaded.forecast([13.0])
    assert loaded.forecast([13.0], action=action, data=data).states.sizes["draw"] == 400
    x, z = sd.states("x z", start=(-2.0, 2.0))
    blind = sd.Action(sd.Model({x: x / 2, z: x - z / 2}, name="pair", discrete=True), [x])
    one = sd.Observations(data.times, data.values[:, 0], variance=0.1)
    with pytest.raises(SolveError, match=r"forecast: z: nothing determines this"):
        sd.anneal(blind, one, **ladder(10.0)).forecast([13.0])
    w = sd.parameter("w", per="step", start=(0.0, 1.0), process_variance=0.1)
    stepped = sd.Action(sd.Model({x: x / 2 + w}, name="stepped", discrete=True), [x])
    with pytest.raises(OptionError, match="w has a value of its own at each step"):
        sd.anneal(stepped, one, **ladder(10.0)).forecast([13.0])


@pytest.mark.compiled
def test_a_forcing_has_to_reach_as_far() -> None:
    action = decay(discrete=False)
    times = np.linspace(0.0, 2.0, 21)
    drive = sd.Samples(times, np.ones(21))
    data = sd.Observations(times, np.exp(-times) + 1.0, variance=0.01, forcing={"u": drive})
    run = sd.anneal(action, data, **ladder(1e3))
    with pytest.raises(DataError, match="forcing 'u'"):
        run.forecast([3.0], forcing={"u": drive}, draws=10)
    with pytest.raises(DataError, match="u"):
        run.forecast([3.0], draws=10)
    later = sd.Samples([2.0, 3.0], [1.0, 1.0])
    found = run.forecast([2.0, 3.0], forcing={"u": later}, draws=100)
    # a datum between two times of the grid: part of a step has part of its errors
    part = run.forecast([2.03], forcing={"u": later}, draws=100)
    assert part.sd.values[0, 0] < found.sd.values[1, 0]


@pytest.mark.usefixtures("uncompiled")
def test_times_of_a_map_may_have_gaps() -> None:
    x, g = sd.state("x", start=(-5.0, 5.0)), sd.parameter("g", bounds=(0.5, 2.0))
    model = sd.Model({x: 0.9 * x + 0.1}, name="slow", discrete=True)
    # the gain is the measurement's only
    action = sd.Action(model, {"y": g * x, "x": x})
    n = np.arange(21.0)
    path = 1.0 + 0.9**n
    data = sd.Observations(n, np.stack([1.5 * path, path], axis=1), variance=1e-4)
    run = sd.anneal(action, data, finish="strong", **ladder(1e6) | {"paths": 1})
    found = run.forecast([22.0, 25.0, 30.0], draws=50)
    assert found.best.values[:, 0] == pytest.approx(1.0 + 0.9 ** np.array([22, 25, 30]), abs=1e-3)
    with pytest.raises(DataError, match=r"whole numbers; got 22\.5"):
        run.forecast([22.5])
    with pytest.raises(OptionError, match=r"new_data is symda\.Observations, got dict"):
        run.forecast(new_data={"x": 1.0})


@pytest.mark.usefixtures("uncompiled")
def test_bounds_hold_after_the_window_and_are_said() -> None:
    x = sd.state("x", start=(0.5, 2.0), bounds=(0.0, 3.0))
    k = sd.parameter("k", bounds=(0.0, 0.5))
    action = sd.Action(sd.Model({x: (1 - k) * x}, name="fall", discrete=True), [x])
    data = sd.Observations(np.arange(6.0), 0.3 ** np.arange(6.0), variance=0.01)
    run = sd.anneal(action, data, **ladder(4.0))
    found = run.forecast(np.arange(6.0, 12.0), draws=100)
    assert found.states.values.min() == 0.0
    words = str(found)
    assert "beyond a bound of a state" in words
    run = sd.anneal(action, data, **ladder(1e4))
    assert "k: on a bound, and taken as known" in str(run.forecast([6.0], draws=10))


@pytest.mark.usefixtures("uncompiled")
def test_noise_that_goes_together_goes_together_after_the_window() -> None:
    action, data = cascade()
    noise = [[0.2, 0.25], [0.25, 0.5]]
    joint = sd.Observations(data.times, data.values, covariance=noise)
    found = sd.anneal(action, joint, **ladder(10.0)).forecast([13.0], draws=3000)
    own = (found.data - found.measured).values[:, 0]
    assert np.cov(own.T) == pytest.approx(np.array(noise), rel=0.15)


@pytest.mark.usefixtures("uncompiled")
def test_each_experiment_ends_where_it_ends() -> None:
    action, data = cascade()
    short = sd.Observations(data.times[:6], data.values[:6], variance=[0.2, 0.5])
    run = sd.anneal(action, {"long": data, "short": short}, **ladder(10.0))
    with pytest.raises(OptionError, match="experiment= one of long, short"):
        run.forecast([13.0])
    found = run.forecast([5.0, 8.0], experiment="short")
    assert found.start == 5.0
    assert found.best.values[0] == pytest.approx(run.best.experiments["short"].states.values[-1])


def test_scores_are_those_of_their_formulas() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 3))
    # of a standard normal at y, see Hersbach (2000)
    exact = [(math.sqrt(2.0) - 1.0) / math.sqrt(math.pi), 1.4581, 0.6024]
    assert crps(draws, np.array([0.0, 2.0, 1.0])) == pytest.approx(exact, abs=0.03)
    assert crps(np.array([[3.0]]), np.array([1.0]))[0] == 2.0
    times = np.array([1.0, 2.0, 3.0])
    assert valid_time(times, 0.5, np.array([0.1, 0.5, 0.9]), 1.0) == 1.5
    assert valid_time(times, 0.5, np.array([0.1, np.nan, 0.3]), 1.0) == 2.5
