"""Analog forecasting and fields fitted to raw data, against brute force and known parameters."""

from __future__ import annotations

import learning
import numpy as np
import pytest

import symda as sd
from symda.derive.forecast import forecast_loss
from symda.learn import Analogs, BiNN
from symda.learn.measures import forecast_errors
from symda.types import FloatArray


def analogs_by_hand(data: FloatArray, x: FloatArray, n: int, local: str) -> FloatArray:
    """Forecast one state from pairs of rows, as the papers say it."""
    first, then = data[:-1], data[1:]
    size = first.std(axis=0)
    square = (((first - x) / size) ** 2).sum(axis=1)
    near = np.argsort(square)[:n]
    weight = np.exp(-square[near] / np.median(square[near]))
    if local == "mean":
        return np.average(then[near], axis=0, weights=weight)
    if local == "increment":
        return x + np.average(then[near] - first[near], axis=0, weights=weight)
    root = np.sqrt(weight)[:, None]
    table = np.column_stack([np.ones(n), (first[near] - x) / size])
    return np.linalg.lstsq(root * table, root * then[near])[0][0]


@pytest.mark.parametrize("local", ["mean", "increment", "linear"])
def test_analogs_are_those_found_by_brute_force(local: str) -> None:
    data, x = learning.noisy(0, 1.0, 600), learning.clean(1, 40)[::10]
    found = Analogs(neighbours=20, local=local).fit(data, learning.H)
    later = found.predict(x, [0.0, learning.H, 2 * learning.H])
    assert later.shape == (4, 3, 3)
    for start, forecast in zip(x, later, strict=True):
        once = analogs_by_hand(data, start, 20, local)
        np.testing.assert_allclose(forecast[1], once, rtol=1e-9)
        np.testing.assert_allclose(forecast[2], analogs_by_hand(data, once, 20, local), rtol=1e-9)
    # a step of twice the length is two steps
    np.testing.assert_allclose(found.predict(x, [0.0, 2 * learning.H])[:, 1], later[:, 2])


def test_analogs_are_those_of_scikit_learn() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    data, x = learning.noisy(0, 1.0, 600), learning.clean(1, 40)
    size = data[:-1].std(axis=0)
    theirs = neighbors.KNeighborsRegressor(
        20, weights=lambda d: np.exp(-(d**2) / np.median(d**2, axis=1, keepdims=True))
    ).fit(data[:-1] / size, data[1:])
    mine = Analogs(neighbours=20, local="mean").fit(data, learning.H)
    np.testing.assert_allclose(mine.steps(x, learning.H, 1)[0], theirs.predict(x / size), rtol=1e-9)


def test_analogs_pass_gaps_and_joints_of_recordings() -> None:
    """A sawtooth: only a pair across a gap or a joint would ever rise by anything but 1."""
    first = np.arange(40.0)
    first[20:] += 100.0
    first[19:21] = np.nan
    second = np.arange(500.0, 540.0)
    method = Analogs(neighbours=1, local="mean").fit([first[:, None], second[:, None]], 1.0)
    x = np.array([[18.0], [39.4], [139.0], [np.nan]])
    assert method.steps(x, 1.0, 1)[0, :3].ravel().tolist() == [18.0, 18.0, 139.0]
    assert np.isnan(method.steps(x, 1.0, 1)[0, 3]).all()
    filled = Analogs(neighbours=1, local="mean", interpolate=True).fit(first[:, None], 1.0)
    assert filled.steps(np.array([[18.0]]), 1.0, 2).ravel().tolist() == pytest.approx(
        [18 + 103 / 3, 18 + 206 / 3]
    )


def test_analogs_fail_at_large_noise_as_the_paper_says() -> None:
    test = [learning.clean(99, 1000)]
    small, large = (
        forecast_errors(Analogs().fit(learning.noisy(0, v), learning.H), test, learning.H, (1,))
        for v in (0.0, 64.0)
    )
    assert small[0][1] < 0.15 and large[0][1] > 2.0
    score = sd.learn.score(
        Analogs().fit(learning.noisy(0, 0.5), learning.H), test, learning.H, steps=50, spin_up=5
    )
    assert np.isnan(score.exponents).all() and score.exact is None and score.distance < 3.0


def test_the_bilinear_network_is_what_the_paper_writes() -> None:
    x = sd.states("x y z")
    model = sd.learn.bilinear(x)
    assert len(model.parameters) == 69
    random = np.random.default_rng(0)
    values = {p.name: random.normal() for p in model.parameters}

    def matrix(name: str, rows: int, columns: int) -> FloatArray:
        return np.array([[values[f"{name}_{i}_{j}"] for j in range(columns)] for i in range(rows)])

    def vector(name: str) -> FloatArray:
        return np.array([values[f"{name}_{i}"] for i in range(3)])

    at = random.normal(size=3)
    first, second = (matrix(f"B{k}", 3, 3) @ at + vector(f"c{k}") for k in (1, 2))
    units = np.r_[matrix("W", 3, 3) @ at + vector("b"), first * second]
    inner = matrix("A1", 3, 6) @ units + vector("a1")
    expected = matrix("A2", 3, 3) @ inner + vector("a2")
    numbers = sd.learn.with_numbers(model, values)
    found = [e.xreplace(dict(zip(x, at, strict=True))) for e in numbers.equations]
    np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-12)


def test_sizes_of_networks() -> None:
    x = sd.states("x y")
    assert len(sd.learn.bilinear(x, 4, 5).parameters) == 12 + 30 + 2 * 9 + 2 + 6
    assert len(sd.learn.tanh_field(x, 7).parameters) == 7 * 3 + 2 * 8
    with pytest.raises(sd.ModelError, match="tanh_field: hidden must be a whole number"):
        sd.learn.tanh_field(x, 0)
    with pytest.raises(sd.ModelError, match=r"bilinear: states must be states.* got str"):
        sd.learn.bilinear(["x"])


def test_gradients_of_forecasts_by_differences() -> None:
    model = sd.learn.tanh_field(sd.states("x y"), 3)
    random = np.random.default_rng(1)
    N, S, P = 5, 3, len(model.parameters)
    loss = forecast_loss(model, S, N)
    theta, way = random.normal(size=(2, P))
    rest = [random.uniform(0.1, 0.3, (S, N)), *random.normal(size=(2, 2 * S, N))]
    x = random.normal(size=(2, N))
    values = [float(np.asarray(loss(x, theta + e * way, *rest)[0]).sum()) for e in (1e-5, -1e-5)]
    slope = way @ np.asarray(loss(x, theta, *rest)[1]).ravel()
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-7)


def test_parameters_of_a_model_come_out_of_clean_data_with_gaps() -> None:
    """Values one step in eight: forecasts of eight steps are compared at the last of them."""
    model = sd.models.lorenz63().with_bounds(beta=(0.1, 10.0)).with_scale(beta="log")
    data = learning.with_gaps(learning.clean(1, 800), regular=True)
    method = BiNN(form=model, loss_steps=8, starts=1).fit(data, learning.H)
    assert method.parameters == pytest.approx(dict(sd.models.LORENZ63), rel=1e-4)
    assert method.losses[0] < 1e-8 and method.model.parameters == ()
    bound = BiNN(form=model.with_start(rho=(5.0, 9.0)).with_bounds(rho=(0.0, 20.0)), starts=1)
    assert bound.fit(learning.clean(1, 300), learning.H).parameters["rho"] == pytest.approx(20.0)


def test_the_loss_is_that_of_steps_by_hand() -> None:
    """Windows begin at complete rows only, and count what is there behind, in units of sizes."""
    x, y = sd.states("x y")
    k = sd.parameter("k", bounds=(0.0, 3.0), start=(0.5, 0.7))
    model = sd.Model({x: k * y, y: -x - 0.2 * y})
    data = np.random.default_rng(0).normal([1.0, 0.0], [0.1, 5.0], (9, 2))
    data[4, 1] = data[6] = np.nan
    times = np.r_[0.0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.0]
    method = BiNN(form=model, loss_steps=2, starts=1).fit(data, times)
    field = sd.learn.field.Field(sd.learn.with_numbers(model, k=method.parameters["k"]))
    size, wrong, still = np.nanstd(data, axis=0), 0.0, 0.0
    for start in (0, 1, 2, 3, 5):
        state = data[start : start + 1]
        for to in (start + 1, start + 2):
            state = field.step(state, times[to] - times[to - 1])
            wrong += np.nansum(((state[0] - data[to]) / size) ** 2)
            still += np.nansum(((data[start] - data[to]) / size) ** 2)
    assert method.losses[0] == pytest.approx(wrong / still, rel=1e-9)


def test_the_network_fails_at_large_noise_as_the_paper_says() -> None:
    test, data = [learning.clean(99, 1000)], learning.noisy(0, 64.0, 1500)
    network, regression = (
        forecast_errors(method.fit(data, learning.H), test, learning.H, (1,))[0][1]
        for method in (BiNN(starts=1), sd.learn.SparseRegression(smooth=20))
    )
    assert network > 2.0 > 0.4 > regression


def test_units_do_not_matter_to_analogs() -> None:
    data, start, size = learning.noisy(0, 1.0, 600), learning.clean(1, 5), [1e-6, 40.0, 3e5]
    first = Analogs().fit(data, learning.H).steps(start, learning.H, 3)
    second = Analogs().fit(data * size, 36.0).steps(start * size, 36.0, 3)
    np.testing.assert_allclose(second / size, first, rtol=1e-9)


@pytest.fixture(scope="module")
def learned() -> BiNN:
    return BiNN(starts=1, iterations=300).fit(learning.clean(1, 600), learning.H)


def test_the_network_learns_clean_data(learned: BiNN) -> None:
    errors = forecast_errors(learned, [learning.clean(2, 500)], learning.H, (1, 4))[0]
    assert errors[1] < 0.02 and errors[4] < 0.08
    # written out, in the units of the data
    assert all(len(one.args) == 10 for one in learned.model.equations)
    assert len(learned.parameters) == 69


def test_the_network_learns_from_one_row_in_four() -> None:
    data = learning.with_gaps(learning.clean(1, 1200), 4, regular=True)
    found = BiNN(loss_steps=4, starts=1, iterations=200).fit(data, learning.H)
    assert forecast_errors(found, [learning.clean(2, 500)], learning.H, (1,))[0][1] < 0.05


def test_units_of_the_data_do_not_matter(learned: BiNN) -> None:
    size = np.array([1e-6, 40.0, 3e5])
    other = BiNN(starts=1, iterations=20).fit(learning.clean(1, 600) * size, learning.H * 3600)
    first = BiNN(starts=1, iterations=20).fit(learning.clean(1, 600), learning.H)
    assert other.losses == pytest.approx(first.losses, rel=1e-6)
    start = learning.clean(2, 5)
    np.testing.assert_allclose(
        other.steps(start * size, learning.H * 3600, 2) / size,
        first.steps(start, learning.H, 2),
        rtol=1e-6,
    )


def test_a_seed_repeats_and_starts_differ() -> None:
    data = learning.clean(1, 200)
    one, same, other = (
        BiNN(form="tanh", units=4, starts=2, iterations=5, seed=seed).fit(data, learning.H)
        for seed in (3, 3, 4)
    )
    assert one.parameters == same.parameters != other.parameters
    assert one.losses.shape == (2,) and one.losses[0] != one.losses[1]
    assert len(one.parameters) == 4 * 4 + 3 * 5


DATA = learning.clean(0, 100)
x, y, z = sd.states("x y z")


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        (Analogs(neighbours=0), DATA, "neighbours must be a whole number"),
        (Analogs(local="mode"), DATA, "local must be one of mean, increment, linear"),
        (Analogs(), DATA[:40], "39 pairs of complete rows one step, 0.01, apart; 50 neighbours"),
        (Analogs(), learning.with_gaps(DATA, regular=True), "0 pairs .* interpolate=True fills"),
        (BiNN(form="linear"), DATA, "form must be one of bilinear, tanh"),
        (BiNN(form=7), DATA, "form must be one of bilinear, tanh or a model, got int"),
        (BiNN(loss_steps=0), DATA, "loss_steps must be a whole number"),
        (BiNN(units=0), DATA, "units must be a whole number"),
        (BiNN(), learning.with_gaps(DATA, regular=True), "no complete row has data within 1 step"),
        (BiNN(), DATA * [1, np.nan, 1], "x1 is never measured"),
        (BiNN(form=learning.truth()), DATA, "has no parameter that could be learned"),
        (BiNN(form=sd.models.henon()), DATA[:, :2], "expected rates of states"),
        (BiNN(form=sd.models.henon()), DATA, "has the states x, y, the data have columns x0"),
        (
            BiNN(form=sd.Model({x: sd.parameter("k", prior=sd.Normal(0.0, 1.0)) * x})),
            DATA[:, 0],
            "the parameter k has a prior",
        ),
    ],
)
def test_bad_input(method: Analogs | BiNN, data: FloatArray, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        method.fit(data, learning.H)


def test_forecasts_of_analogs_are_at_multiples_of_their_step() -> None:
    method = Analogs().fit(DATA, learning.H)
    with pytest.raises(sd.OptionError, match=r"the step 0.015 is no multiple .* the data, 0.01"):
        method.predict(DATA[0], [0.0, 0.015])
    with pytest.raises(sd.SolveError, match="call fit"):
        Analogs().predict(DATA[0], [0.0, 0.01])


def test_options_are_listed_and_what_is_fitted_is_none() -> None:
    assert set(Analogs().get_params()) == {"neighbours", "local", "interpolate"}
    assert not [name for name in sd.learn.AnnealedTerms().get_params() if name.startswith("_")]
    assert set(BiNN().get_params()) == {
        *("form", "units", "loss_steps", "interpolate", "starts", "iterations", "seed")
    }
