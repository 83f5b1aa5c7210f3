"""EnKS-EM: its smoother against Kalman's, its regression against known steps, its fits."""

from __future__ import annotations

from dataclasses import dataclass

import learning
import numpy as np
import pytest

import symda as sd
from symda.learn import EnKSEM
from symda.learn.ensemble import Ensemble, EnsembleOptions, StatePrior, smoothed
from symda.learn.measures import forecast_errors
from symda.learn.points import make_points
from symda.learn.series import Series
from symda.learn.transitions import StatePairs, Transitions
from symda.types import FloatArray

A = np.array([[-0.4, 2.0], [-2.0, -0.3]])
Q = np.array([[0.5, 0.1], [0.1, 0.3]])
R = np.array([0.2, 0.4])
STEP = 0.1


def oscillator() -> tuple[sd.learn.Library, FloatArray]:
    """Return x' = A x as a library, and its coefficients."""
    library = sd.learn.library(sd.states("x0 x1"), degree=1)
    values = {f"c_x{i}_{j}": A[i, j - 1] if j else 0.0 for i in range(2) for j in range(3)}
    return library, np.array([values[p.name] for p in library.parameters])


def recording(times: int, seed: int = 0) -> Series:
    """Return data of both states on uneven times, half of them missing."""
    random = np.random.default_rng(seed)
    when = STEP * np.cumsum(random.integers(1, 3, times))
    x, values = np.array([1.0, -1.0]), np.empty((times, 2))
    for k in range(times):
        h = 0.0 if k == 0 else when[k] - when[k - 1]
        x = rk4(A, h) @ x + np.linalg.cholesky(Q) @ random.normal(size=2) * np.sqrt(h)
        values[k] = x + np.sqrt(R) * random.normal(size=2)
    values[random.random((times, 2)) < 0.5] = np.nan
    return Series("1", when, values, np.full((times, 2), np.nan))


def rk4(matrix: FloatArray, h: float) -> FloatArray:
    """Return what a step of the classic method multiplies a state by."""
    term, total = np.eye(2), np.eye(2)
    for k in range(1, 5):
        term = term @ matrix * h / k
        total = total + term
    return total


@dataclass
class Exact:
    filtered: FloatArray
    mean: FloatArray
    spread: FloatArray
    log_likelihood: float


def kalman(one: Series, prior: StatePrior, matrix: FloatArray = A, inflation: float = 1.0) -> Exact:
    """Kalman's filter, and the smoother of Rauch, Tung and Striebel."""
    m, P, total = prior.mean, np.diag(prior.variance), 0.0
    before, after = [], []
    steps = [0.0, *np.diff(one.times)]
    for h, y in zip(steps, one.values, strict=True):
        F = rk4(matrix, h)
        m, P = F @ m, inflation**2 * (F @ P @ F.T + h * prior.Q)
        before.append((m, P))
        seen = np.isfinite(y)
        if seen.any():
            H = np.eye(2)[seen]
            S = H @ P @ H.T + np.diag(R[seen])
            gain = P @ H.T @ np.linalg.inv(S)
            error = y[seen] - H @ m
            total -= 0.5 * float(error @ np.linalg.solve(S, error))
            total -= 0.5 * float(np.linalg.slogdet(2.0 * np.pi * S)[1])
            m, P = m + gain @ error, P - gain @ H @ P
        after.append((m, P))
    filtered = np.array([one[0] for one in after])
    mean, covariance = [m], [P]
    for k in range(len(steps) - 2, -1, -1):
        own, then = after[k], before[k + 1]
        gain = own[1] @ rk4(matrix, steps[k + 1]).T @ np.linalg.inv(then[1])
        mean.append(own[0] + gain @ (mean[-1] - then[0]))
        covariance.append(own[1] + gain @ (covariance[-1] - then[1]) @ gain.T)
    spread = np.sqrt([np.diag(one) for one in covariance[::-1]])
    return Exact(filtered, np.array(mean[::-1]), spread, total)


PRIOR = StatePrior(np.array([0.5, 0.5]), np.array([1.0, 2.0]), Q)


def smooth(one: Series, members: int, seed: int, lag: int | None = None) -> Ensemble:
    library, theta = oscillator()
    points = make_points([one], R, 10.0, "test")
    options = EnsembleOptions(members, lag, 1.0, None)
    random = np.random.default_rng(seed)
    return smoothed(Transitions(library), theta, points, PRIOR, options, random)


def test_the_smoother_is_kalmans_within_an_error_that_falls_like_one_over_the_root() -> None:
    one = recording(40)
    exact = kalman(one, PRIOR)
    sizes, errors = [25, 100, 400, 1600], []
    for members in sizes:
        found = [smooth(one, members, seed) for seed in range(4)]
        wrong = [(each.mean - exact.mean) / exact.spread for each in found]
        errors.append(float(np.sqrt(np.mean(np.square(wrong)))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    assert errors[-1] < 0.08
    np.testing.assert_allclose(found[0].members.std(axis=2, ddof=1) / exact.spread, 1.0, atol=0.1)
    assert found[0].log_likelihood == pytest.approx(exact.log_likelihood, abs=0.3)


def test_without_a_lag_it_is_kalmans_filter_and_a_long_lag_is_the_whole_window() -> None:
    one = recording(40)
    exact = kalman(one, PRIOR)
    np.testing.assert_allclose(smooth(one, 3000, 0, lag=0).mean, exact.filtered, atol=0.1)
    assert np.abs(exact.filtered - exact.mean).max() > 0.3
    whole = smooth(one, 30, 0)
    np.testing.assert_array_equal(whole.mean, smooth(one, 30, 0, lag=39).mean)
    near = np.abs(smooth(one, 30, 0, lag=15).mean - whole.mean).max()
    assert 0.0 < near < 0.5


def test_members_go_on_from_member_to_member() -> None:
    """What the smoothed steps are wrong by has the covariance that the exact smoother has."""
    one = recording(200, 3)
    found = smooth(one, 2000, 0)
    library, theta = oscillator()
    X = found.mean[:, :, None] + found.members
    x, y = X[:-1].transpose(1, 0, 2).reshape(2, -1), X[1:].transpose(1, 0, 2).reshape(2, -1)
    errors = Transitions(library).errors(
        StatePairs(x, y, np.repeat(np.diff(one.times), 2000)), theta
    )
    # at the true parameters an iteration of EM leaves Q as it is, within the data's own scatter
    np.testing.assert_allclose(errors @ errors.T / errors.shape[1], Q, atol=0.12)


def test_localisation_helps_few_members_of_many_states() -> None:
    D = 24
    states = sd.states([f"x{i}" for i in range(D)])
    only = {x: [x] for x in states}
    library = sd.learn.library(states, degree=1, constant=False, only=only)
    theta, random = np.full(D, -1.0), np.random.default_rng(0)
    times, values = 0.1 * np.arange(30), random.normal(size=(30, D))
    one = Series("1", times, values, np.full((30, D), np.nan))
    points = make_points([one], np.ones(D), 10.0, "test")
    prior = StatePrior(np.zeros(D), np.ones(D), np.eye(D))
    steps = Transitions(library)

    def run(members: int, radius: float | None) -> FloatArray:
        options = EnsembleOptions(members, None, 1.0, radius)
        return smoothed(steps, theta, points, prior, options, np.random.default_rng(1)).mean

    exact = run(2000, 0.4)  # zero from the nearest neighbour on: each state by itself
    plain, local = (np.sqrt(np.mean((run(12, r) - exact) ** 2)) for r in (None, 1.0))
    assert local < 0.6 * plain


def test_inflation_is_of_the_forecasts_spread() -> None:
    one = recording(40)
    library, theta = oscillator()
    points, options = make_points([one], R, 10.0, "test"), EnsembleOptions(3000, 0, 1.2, None)
    random = np.random.default_rng(0)
    found = smoothed(Transitions(library), theta, points, PRIOR, options, random).mean
    exact = kalman(one, PRIOR, inflation=1.2).filtered
    np.testing.assert_allclose(found, exact, atol=0.1)
    assert np.abs(exact - kalman(one, PRIOR).filtered).max() > 0.2


@pytest.mark.parametrize("form", ["library", "bilinear"])
def test_slopes_and_parameters_of_steps(form: str) -> None:
    x = sd.states("x y z")
    steps = Transitions(sd.learn.library(x) if form == "library" else sd.learn.bilinear(x))
    random = np.random.default_rng(0)
    states, theta, way = random.normal(size=(3, 200)), *(0.3 * random.normal(size=(2, steps.P)))
    h = random.uniform(0.05, 0.2, 200)
    later = [steps.step(states, theta + e * way, h) for e in (1e-5, -1e-5)]
    slopes = steps.slopes(states, theta, h)[1]
    np.testing.assert_allclose(
        np.tensordot(way, slopes, 1), (later[0] - later[1]) / 2e-5, rtol=1e-5, atol=1e-8
    )
    pairs = StatePairs(states, steps.step(states, theta, h), h)
    first = theta + 0.1 * way
    found = steps.fitted(pairs, first, np.diag([1e-8, 1.0, 1e8]), 50)
    if form == "library":
        np.testing.assert_allclose(found, theta, atol=1e-6)
    before, after = (np.sum(steps.errors(pairs, one)[0] ** 2) for one in (first, found))
    assert after < 1e-8 * before


def test_the_exact_likelihood_rises() -> None:
    """Of a linear system, whose likelihood Kalman's filter says, from the first model on."""
    one = recording(150, 1)

    def exact(iterations: int) -> float:
        library = sd.learn.library(sd.states("x0 x1"), degree=1, constant=False)
        method = EnKSEM(library=library, iterations=iterations, variance=R.tolist())
        method.fit(one.values, one.times)
        best = max(method.history, key=lambda one: one.log_likelihood)
        names = [[f"c_x{i}_{j}" for j in range(2)] for i in range(2)]
        C = np.array([[method.parameters[name] for name in row] for row in names])
        first = np.nanmean(one.values, axis=0), np.nanvar(one.values, axis=0)
        found = kalman(one, StatePrior(*first, best.Q), C).log_likelihood
        assert best.log_likelihood == pytest.approx(found, abs=3.0)
        return found

    truth = kalman(one, PRIOR).log_likelihood
    assert exact(25) > max(exact(1) + 5.0, truth - 1.0)


def test_lorenz_from_noise_and_from_noise_with_gaps() -> None:
    test = [learning.clean(99, 1000)]
    data, clean = learning.noisy(0, 8.0, 800), learning.clean(0, 800)
    method = EnKSEM(iterations=4).fit(data, learning.H)
    plain = sd.learn.SparseRegression(smooth=20).fit(data, learning.H)
    mine, other = (forecast_errors(m, test, learning.H, (1,))[0][1] for m in (method, plain))
    assert mine < 0.07 and mine < other
    assert np.sqrt(np.mean((method.path - clean) ** 2)) < 0.7
    np.testing.assert_allclose(method.times, learning.H * np.arange(800))
    np.testing.assert_allclose(method.history[-1].variance, 8.0, rtol=0.15)
    rare = learning.with_gaps(data, 4, regular=False)
    method = EnKSEM(iterations=4, variance=8.0).fit(rare, learning.H)
    assert forecast_errors(method, test, learning.H, (1,))[0][1] < 0.2
    assert all((one.variance == 8.0).all() for one in method.history)


def test_the_network_learns_too() -> None:
    data = learning.noisy(0, 2.0, 300)
    method = EnKSEM(form="bilinear", iterations=3).fit(data, learning.H)
    assert forecast_errors(method, [learning.clean(99, 1000)], learning.H, (1,))[0][1] < 0.15
    assert len(method.parameters) == 69 and not method.model.parameters
    assert np.sqrt(np.mean((method.path - learning.clean(0, 300)) ** 2)) < 0.6
    assert method.times[-1] == pytest.approx(2.99)


def test_units_do_not_matter_and_a_seed_repeats() -> None:
    data, size = learning.noisy(0, 4.0, 300), np.array([1e-9, 40.0, 3e8])
    first, same, other = (EnKSEM(iterations=2, seed=k).fit(data, learning.H) for k in (1, 1, 2))
    assert first.parameters == same.parameters != other.parameters
    scaled = EnKSEM(iterations=2, seed=1).fit(data * size, learning.H * 3600)
    np.testing.assert_allclose(scaled.path / size, first.path, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        scaled.history[1].Q / np.outer(size, size) * 3600, first.history[1].Q, rtol=1e-5
    )
    moved = [one.log_likelihood for one in scaled.history]
    moved += np.log(size).sum() * 300
    np.testing.assert_allclose(moved, [one.log_likelihood for one in first.history], rtol=1e-7)


def test_recordings_a_finer_step_and_columns_in_another_order() -> None:
    data = learning.noisy(0, 1.0, 400)
    x, y, z = sd.states("x y z")
    library = sd.learn.library([z, x, y])
    parts = [
        sd.Observations(0.02 * np.arange(100), some, channels=["x", "y", "z"], variance=1.0)
        for some in (data[:200:2], data[200::2])
    ]
    method = EnKSEM(library=library, iterations=3, step=0.01).fit(parts)
    assert [one.name for one in method.model.states] == ["z", "x", "y"]
    assert method.path.shape == (2 * 199, 3)
    clean = learning.clean(0, 400)[:199, [2, 0, 1]]
    assert np.sqrt(np.mean((method.path[:199] - clean) ** 2)) < 0.6


DATA = learning.noisy(0, 1.0, 100)
x, y, z = sd.states("x0 x1 x2")


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        (EnKSEM(members=2), DATA, "members must be a whole number of at least 3"),
        (EnKSEM(lag=-1), DATA, "lag must be a whole number of at least 0"),
        (EnKSEM(inflation=0.0), DATA, "inflation must be a positive number"),
        (EnKSEM(localisation=-1.0), DATA, "localisation must be a positive number"),
        (EnKSEM(variance=[1.0, 2.0]), DATA, "variance must be a number or 3 of them, got 2"),
        (EnKSEM(variance=0.0), DATA, "variance must be a positive number"),
        (EnKSEM(step=0.0), DATA, "step must be a positive number"),
        (EnKSEM(form="tanh"), DATA, "form must be one of library, bilinear"),
        (EnKSEM(form="bilinear", library=sd.learn.library([x])), DATA, "has the form 'library'"),
        (EnKSEM(library=sd.learn.library([x, y])), DATA, "has the states x0, x1, the data have"),
        (EnKSEM(), DATA * [1, np.nan, 1], "x1 is never measured"),
        (EnKSEM(), DATA[:8], "24 values cannot decide among 30 parameters"),
        (
            EnKSEM(library=sd.learn.library([x, y, z], 1)),
            DATA[:, [0, 1, 0]],
            "the terms .* depend on each other",
        ),
        (
            EnKSEM(degree=0),
            learning.with_gaps(DATA, regular=True)[:40],
            "too few values to estimate their noise; pass variance",
        ),
    ],
)
def test_bad_input(method: EnKSEM, data: FloatArray, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        method.fit(data, learning.H)


def test_a_first_model_that_diverges_is_said() -> None:
    data = np.random.default_rng(0).normal(size=(60, 1)) * 5.0
    with pytest.raises(sd.SolveError, match="the members diverge at the first estimate"):
        EnKSEM(degree=9, variance=1e4).fit(data, 0.5)


def test_options_are_listed_and_what_is_fitted_is_none() -> None:
    assert set(EnKSEM().get_params()) == {
        *("degree", "library", "form", "members", "iterations", "lag", "inflation"),
        *("localisation", "variance", "step", "seed"),
    }
