"""Cycled assimilation, against Kalman's filter and smoother, and against one action of all data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import swings
import xarray as xr
from scipy import optimize
from swings import pendulum

import symda as sd
from symda.errors import DataError, OptionError, SolveError

RNG = np.random.default_rng


def linear(D, seed=0):
    """A map x -> A x + b u, with A a little damped rotation of all."""
    rng = RNG(seed)
    A = rng.normal(size=(D, D))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    x = sd.states("x", D, start=(-2.0, 2.0))
    u = sd.forcing("u")
    rows = {x[a]: sum(float(A[a, b]) * x[b] for b in range(D)) + 0.3 * u for a in range(D)}
    return sd.Model(rows, name="linear", discrete=True), x, A


def kalman(A, Q, H, R_of, m, C, ys, u, update_first):
    """Filtered means and covariances at each time, and forecasts, by the textbook."""
    found = []
    for n, y in enumerate(ys):
        if n:
            m, C = A @ m + 0.3 * u[n - 1], A @ C @ A.T + Q
        f, F = m, C
        seen = ~np.isnan(y)
        if seen.any() and (n or update_first):
            h, R = H[seen], R_of(n)[np.ix_(seen, seen)]
            S = h @ C @ h.T + R
            K = C @ h.T @ np.linalg.inv(S)
            m, C = m + K @ (y[seen] - h @ m), C - K @ S @ K.T
        found.append((m, C, f, F))
    return found


def fixed_lag(A, found, u, k, lag):
    """Mean and covariance at time k - lag from data up to k, by Rauch, Tung and Striebel."""
    m, C = found[k][:2]
    for n in range(k - 1, k - lag - 1, -1):
        fm, FC = found[n][:2]
        pm, PC = found[n + 1][2:]
        G = fm, FC @ A.T @ np.linalg.inv(PC)
        m, C = fm + G[1] @ (m - pm), FC + G[1] @ (C - PC) @ G[1].T
    return m, C


@pytest.mark.parametrize(
    ("D", "L", "window", "every", "rf", "gaps", "correlated"),
    [
        (3, 2, 4, 1, 50.0, True, False),
        (3, 2, 1, 1, np.inf, False, False),
        (1, 1, 3, 1, np.inf, True, False),
        (2, 2, 2, 2, 20.0, False, True),
        (4, 3, 30, 1, 1e3, True, True),
    ],
)
def test_a_linear_model_has_kalmans_answers(D, L, window, every, rf, gaps, correlated):
    """Whatever the window: nothing is lost or counted twice where nothing is linearised."""
    model, x, A = linear(D, seed=D + L)
    rng = RNG(7)
    H = rng.normal(size=(L, D))
    action = sd.Action(model, [sum(float(H[l, a]) * x[a] for a in range(D)) for l in range(L)])
    T, q = 13, 0.0 if np.isinf(rf) else 1.0 / rf
    u = rng.normal(size=T)
    truth = [rng.normal(size=D)]
    for n in range(T - 1):
        truth.append(A @ truth[-1] + 0.3 * u[n] + np.sqrt(q) * rng.normal(size=D))
    root = rng.normal(size=(L, L)) + 2.0 * np.eye(L)
    R = 0.05 * (root @ root.T if correlated else np.diag(np.diagonal(root @ root.T)))
    ys = np.array(truth) @ H.T + rng.multivariate_normal(np.zeros(L), R, size=T)
    if gaps:
        ys[rng.random(ys.shape) < 0.3] = np.nan
        ys[5] = np.nan
        ys[[0, -1], 0] = 0.1
    noise = {"covariance": R} if correlated else {"variance": np.diagonal(R)}
    data = sd.Observations(np.arange(T), ys, forcing={"u": u}, **noise)
    m, sds = rng.normal(size=D), rng.uniform(0.5, 2.0, size=D)
    prior = {x[a]: (m[a], sds[a]) for a in range(D)}
    cycles = action.cycle(
        data, rf=rf, window=window, every=every, prior=prior, inflation=1.0, widen=0.0
    )
    d = cycles.dataset
    found = kalman(A, q * np.eye(D), H, lambda _: R, m, np.diag(sds**2), ys, u, update_first=True)
    times = [n for n in range(1, T) if not np.isnan(ys[n]).all()][every - 1 :: every]
    assert d["time"].values.tolist() == times and (d["message"].values == "").all()
    for k, n in enumerate(times):
        mean, C = found[n][:2]
        np.testing.assert_allclose(d["analysis"][k], mean, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(d["analysis_sd"][k], np.sqrt(np.diag(C)), rtol=1e-5)
        # the first cycle has the data of the first point as well
        if every == 1 and k:
            np.testing.assert_allclose(d["forecast"][k], found[n][2], rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(
                d["forecast_sd"][k], np.sqrt(np.diag(found[n][3])), rtol=1e-5
            )
            S = H @ found[n][3] @ H.T + R
            seen = ~np.isnan(ys[n])
            off = (ys[n] - H @ found[n][2])[seen]
            chi = off @ np.linalg.solve(S[np.ix_(seen, seen)], off)
            assert d["innovation"][k] == pytest.approx(chi, rel=1e-5)
        at = times[k - window] if k >= window else 0
        assert d["smoothed_time"][k] == at
        mean, C = fixed_lag(A, found, u, n, n - at)
        np.testing.assert_allclose(d["smoothed"][k], mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(d["smoothed_sd"][k], np.sqrt(np.diag(C)), rtol=1e-4)


@pytest.fixture(scope="module")
def swing():
    return swings.swing()


@pytest.mark.parametrize("rf", [1e4, np.inf])
def test_one_window_is_the_minimum_of_one_action(swing, rf):
    """All data in one window: the answer of `anneal` with the prior as declared distributions."""
    action, truth, data, prior = swing
    cycles = action.cycle(data, rf=rf, window=100, prior=prior, inflation=1.0, widen=0.0)
    x, v = action.model.states
    (k,) = action.parameters
    given = {one.name: prior[one] for one in (x, v, k)}
    X, V = (sd.state(n, start=(-2.0, 2.0), prior=sd.Normal(*given[n])) for n in ("x", "v"))
    K = sd.parameter("k", bounds=(0.1, 10.0), start=(0.5, 4.0), prior=sd.Normal(*given["k"]))
    model = sd.Model({X: V, V: -K * X - 0.1 * X**3}, name="pendulum")
    again = sd.Action(model, [X], scheme="rk4")
    precise = rf if np.isfinite(rf) else 1e4
    run = sd.anneal(
        again, data, ladder=sd.Ladder(rf0=precise / 1e3, alpha=10.0, rungs=4), paths=1, seed=1,
        strategy="ladder", start=(truth.states.values, {"k": 2.0}),
        finish="none" if np.isfinite(rf) else "strong", progress=False,
    )  # fmt: skip
    d, best = cycles.dataset, run.best
    # a solution's search ends a little earlier
    near = {"rtol": 1e-5 if np.isfinite(rf) else 1e-4}
    np.testing.assert_allclose(cycles.parameters["k"], best.parameters["k"], **near)
    np.testing.assert_allclose(d["analysis"][-1], best.states.values[-1], **near)
    np.testing.assert_allclose(d["smoothed"][-1], best.states.values[0], **near)
    assert d["action"][-1] == pytest.approx(best.action, rel=1e-6)
    # Gauss-Newton's curvature and the whole Hessian differ by the misfit
    covariance = run.posterior().levels[0].gaussian.of_parameters
    np.testing.assert_allclose(d["parameters_sd"][-1], np.sqrt(np.diagonal(covariance)), rtol=0.05)


def test_short_windows_track_a_nonlinear_model(swing):
    action, truth, data, prior = swing
    cycles = action.cycle(data, window=5, prior=prior)
    errors = cycles.errors(truth)
    last = errors.isel(cycle=slice(20, None))
    assert (last["analysis"] < 4.0 * last["analysis_spread"]).all()
    assert float(last["analysis"].max()) < 0.15
    sd_k = float(cycles.dataset["parameters_sd"][-1, 0])
    assert cycles.parameters["k"] == pytest.approx(2.0, abs=4 * sd_k) and sd_k < 0.1
    assert "as it should be" in cycles.summary() and "k = " in str(cycles)
    ratio = float(last["analysis"].mean() / last["analysis_spread"].mean())
    assert 0.3 < ratio < 3.0


def test_a_parameter_on_a_logarithmic_scale_is_as_well_known(swing):
    _, _, data, _ = swing
    log, x, v, k = pendulum("log")
    prior = {x: (0.8, 0.5), v: (0.3, 0.5), k: (1.5, 0.5)}
    found = log.cycle(data, window=8, prior=prior)
    plain = swing[0].cycle(data, window=8, prior=swing[3])
    assert found.parameters["k"] == pytest.approx(plain.parameters["k"], rel=0.01)
    np.testing.assert_allclose(
        found.dataset["parameters_sd"][-1], plain.dataset["parameters_sd"][-1], rtol=0.1
    )


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_do_not_matter(unit):
    """A state in other units has the same answer in these."""
    found = []
    for size in (1.0, unit):
        x, v = sd.states("x v", start=(-2.0 * size, 2.0 * size))
        k = sd.parameter("k", start=(0.5, 4.0))
        model = sd.Model({x: v, v: -k * x - 0.1 / size**2 * x**3}, name="pendulum")
        action = sd.Action(model, [x], scheme="rk4")
        t = 0.2 * np.arange(12)
        values = size * (np.cos(1.45 * t) + 0.05 * RNG(1).normal(size=12))
        data = sd.Observations(t, values, variance=0.0025 * size**2)
        prior = {x: (0.9 * size, 0.3 * size), v: (0.0, 0.3 * size), k: (1.5, 0.5)}
        for rf in (np.inf, 1e4 / size**2):
            d = action.cycle(data, rf=rf, window=4, prior=prior).dataset
            found.append((d["analysis"][-1].values / size, d["parameters_sd"][-1].values))
    for a, b in zip(found[:2], found[2:], strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-5)
        np.testing.assert_allclose(a[1], b[1], rtol=1e-5)


def test_a_wrong_prior_is_widened_and_said(swing):
    action, truth, data, prior = swing
    x, v = action.model.states
    wrong = prior | {x: (-1.5, 0.02), v: (-1.0, 0.02)}
    cycles = action.cycle(data, window=5, prior=wrong)
    assert (cycles.dataset["widened"][:2] > 1.0).any() and "contradicted" in str(cycles)
    assert float(cycles.errors(truth)["analysis"][-1]) < 0.2
    believed = action.cycle(data, window=5, prior=wrong, widen=0.0, inflation=1.0)
    assert (believed.dataset["widened"] == 1.0).all()
    # and what is believed wrongly is told
    assert float(believed.dataset["innovation"][:3].max()) > 100.0


def test_forecasts_that_err_more_than_they_say_are_told(swing):
    """Of a model whose damping is missing, without inflation or widening."""
    action, x, v, k = pendulum()
    t = 0.2 * np.arange(80)
    rng = RNG(5)
    values = np.exp(-0.15 * t) * np.cos(1.4 * t) + 0.02 * rng.normal(size=80)
    data = sd.Observations(t, values, variance=0.0004)
    prior = {x: (1.0, 0.1), v: (0.0, 0.1), k: (2.0, 0.2)}
    sure = action.cycle(data, window=5, prior=prior, inflation=1.0, widen=0.0)
    assert "MORE THAN 1" in sure.summary()


def test_a_bound_holds_and_is_named():
    x = sd.state("x", start=(0.0, 2.0), bounds=(0.0, 5.0))
    k = sd.parameter("k", bounds=(0.5, 1.0), start=(0.6, 0.9))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
    t = 0.1 * np.arange(20)
    data = sd.Observations(t, 2.0 * np.exp(-1.4 * t), variance=1e-4)
    for rf in (np.inf, 1e5):
        cycles = action.cycle(data, rf=rf, window=6, prior={x: (2.0, 0.1), k: (0.8, 0.2)})
        assert cycles.parameters["k"] == 1.0 and "k is on a bound" in cycles.summary()
        assert np.isnan(cycles.dataset["parameters_sd"][-1, 0])
        assert (cycles.dataset["analysis"] >= 0.0).all()


@pytest.mark.parametrize("rf", [1e3, np.inf])
def test_a_bound_leads_to_the_least_within_it(rf):
    """Of two parameters that data hardly tell apart one is on its bound; against SciPy's."""
    x = sd.state("x", start=(-1.0, 1.0))
    a = sd.parameter("a", bounds=(-5.0, 1.0), start=(-1.0, 1.0))
    b = sd.parameter("b", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    u = sd.forcing("u")
    action = sd.Action(sd.Model({x: a + b * u}, name="line", discrete=True), [x])
    T, rng = 6, RNG(0)
    force = 1.0 + 0.1 * rng.normal(size=T)
    y = np.append(0.0, 4.0 - 3.0 * force[:-1])
    data = sd.Observations(np.arange(T), y, variance=1e-4, forcing={"u": force})
    prior = {x: (0.0, 1.0), a: (0.9, 3.0), b: (0.0, 3.0)}
    d = action.cycle(data, rf=rf, prior=prior, inflation=1.0, widen=0.0).dataset
    assert (d["message"] == "").all()
    # an error of the step and one of the datum add up
    sigma = np.sqrt(1e-4 + (0.0 if np.isinf(rf) else 1.0 / rf))
    for n in range(2, T):
        rows = np.concatenate([np.c_[np.ones(n), force[:n]] / sigma, np.eye(2) / 3.0])
        right = np.concatenate([y[1 : n + 1] / sigma, [0.3, 0.0]])
        known = optimize.lsq_linear(rows, right, ([-5.0, -50.0], [1.0, 50.0]), tol=1e-14)
        found = d["parameters"][n - 1].sel(parameter=["a", "b"])
        np.testing.assert_allclose(found, known.x, rtol=1e-4, atol=1e-4)
        assert d["action"][n - 1] == pytest.approx(known.cost, rel=1e-5)


def test_errors_of_the_model_lead_a_state_back_within_its_bounds():
    x = sd.state("x", start=(0.0, 2.0), bounds=(0.0, np.inf))
    action = sd.Action(sd.Model({x: -1.0 + 0.0 * x}, name="drain"), [x])
    t = 0.5 * np.arange(12)
    y = np.maximum(1.0 - t, 0.0)
    d = action.cycle(
        sd.Observations(t, y, variance=1e-2), rf=25.0, window=4, prior={x: (1.0, 0.3)}
    ).dataset
    assert d.sizes["cycle"] == 11 and not d.attrs["stopped"] and (d["analysis"] >= 0.0).all()
    assert float(d["analysis"][-1, 0]) < 0.2


def test_what_a_stable_model_contracts_stays_a_number():
    x = sd.state("x", start=(-2.0, 2.0))
    u = sd.forcing("u")
    action = sd.Action(sd.Model({x: 0.01 * x + u}, name="damped", discrete=True), [x])
    T = 300
    force = np.sin(np.arange(T))
    data = sd.Observations(
        np.arange(T), np.append(0.0, force[:-1]), variance=1.0, forcing={"u": force}
    )
    d = action.cycle(data, window=3).dataset
    assert d.sizes["cycle"] == T - 1 and not d.attrs["stopped"]
    assert (d["analysis_sd"] > 0.0).all() and np.isfinite(d["analysis_sd"]).all()
    np.testing.assert_allclose(d["analysis"][-1], force[-2] + 0.01 * force[-3], rtol=1e-3)


def test_data_to_come_change_nothing_before(swing):
    action, _, data, prior = swing
    values = data.values.copy()
    values[20:] *= 30.0
    wrong = prior | {k: (-1.5, 0.02) for k in list(prior)[:1]}
    few, all_of = (
        action.cycle(sd.Observations(data.times[:n], values[:n], variance=0.01), prior=wrong)
        for n in (10, 21)
    )
    assert (few.dataset["widened"] > 1.0).any()
    np.testing.assert_array_equal(few.dataset["analysis"], all_of.dataset["analysis"][:9])
    x, v = sd.states("x v")
    plain = sd.Action(sd.Model({x: v, v: -x}, name="plain"), [x])
    with pytest.raises(OptionError, match=r"nothing says how well x .*prior"):
        plain.cycle(data)


def test_a_wrong_datum_widens_no_farther_than_nothing_is_known(swing):
    action, truth, data, prior = swing
    values = data.values.copy()
    values[15] += 30.0
    cycles = action.cycle(sd.Observations(data.times, values, variance=0.01), window=5, prior=prior)
    d = cycles.dataset
    # what is on a bound has none, and counts as such
    assert (d["parameters_sd"].fillna(0.0) <= 1.2 * 3.5 / np.sqrt(12.0)).all()
    assert float(cycles.errors(truth)["analysis"][-1]) < 0.2


def test_few_data_do_not_tell_and_much_too_good_ones_do(swing):
    action, truth, data, prior = swing
    exact = truth.states.sel(state=["x"]).values
    said = []
    for count in (12, 41):
        some = sd.Observations(data.times[:count], exact[:count], variance=0.01)
        said.append(action.cycle(some, prior=prior).summary())
    assert "too few to tell" in said[0] and "less than 1" in said[1]


def test_a_model_that_cannot_be_followed_stops_and_keeps_what_was():
    x = sd.state("x", start=(0.5, 2.0))
    action = sd.Action(sd.Model({x: x**2}, name="blow-up"), [x])
    t = np.array([0.0, 0.2, 0.4, 0.6, 1.4, 2.0])
    data = sd.Observations(t, np.array([1.0, 1.25, 1.67, 2.5, 9.0, 9.0]), variance=1e-4)
    cycles = action.cycle(data, prior={x: (1.0, 0.1)})
    assert cycles.dataset.sizes["cycle"] == 3
    assert "STOPPED" in cycles.summary() and "t = 1.4" in cycles.summary()
    np.testing.assert_allclose(cycles.dataset["analysis"][-1], 2.5, rtol=0.02)
    late = sd.Observations(t[[0, 4, 5]], [1.0, 9.0, 9.0], variance=1e-4)
    with pytest.raises(SolveError, match=r"t = 1\.4.*prior"):
        action.cycle(late, prior={x: (1.0, 0.01)})


def test_rows_of_one_time_and_a_start_before_the_data_count(swing):
    """Two measurements of one time are one with half the variance."""
    action, _, data, prior = swing
    keep = slice(1, 12)
    once = sd.Observations(data.times[keep], data.values[keep], variance=0.005)
    twice = sd.Observations(
        np.repeat(data.times[keep], 2), np.repeat(data.values[keep], 2, axis=0), variance=0.01
    )
    a, b = (
        action.cycle(one, window=4, prior=prior, start=0.0, widen=0.0).dataset
        for one in (once, twice)
    )
    assert a.sizes["cycle"] == b.sizes["cycle"] == 11
    np.testing.assert_allclose(a["analysis"], b["analysis"], rtol=1e-6)
    np.testing.assert_allclose(2 * a["count"], b["count"])


def test_a_run_is_the_prior_of_what_comes_after_it(swing):
    action, truth, data, _ = swing
    half = data.times.size // 2
    first = sd.Observations(data.times[:half], data.values[:half], variance=0.01)
    rest = sd.Observations(data.times[half - 1 :], data.values[half - 1 :], variance=0.01)
    run = sd.anneal(action, first, paths=4, seed=0, progress=False, strategy="ladder",
                    ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=6), finish="strong")  # fmt: skip
    cycles = action.cycle(rest, prior=run, window=5)
    d = cycles.dataset
    # the datum at the run's end is known already
    assert d["time"][0] == data.times[half] and d["smoothed_time"][0] == data.times[half - 1]
    forecast = run.forecast(data.times[half : half + 1], draws=4000, seed=0)
    np.testing.assert_allclose(d["forecast"][0], forecast.best.values[0], rtol=1e-5)
    np.testing.assert_allclose(d["forecast_sd"][0], forecast.states.std("draw").values[0], rtol=0.1)
    assert float(cycles.errors(truth)["analysis"][-1]) < 0.1
    # and cycles are the prior of further ones
    mid = half + 5
    early = sd.Observations(data.times[half - 1 : mid], data.values[half - 1 : mid], variance=0.01)
    late = sd.Observations(data.times[mid:], data.values[mid:], variance=0.01)
    begun = action.cycle(early, prior=run, window=5)
    gone_on = action.cycle(late, prior=begun, window=5)
    assert gone_on.dataset["time"][0] == data.times[mid]
    np.testing.assert_allclose(
        gone_on.dataset["analysis"][-1],
        d["analysis"][-1],
        atol=2 * float(d["analysis_sd"][-1].max()),
    )


def test_a_plot_and_the_truths_errors(swing, tmp_path):
    action, truth, data, prior = swing
    cycles = action.cycle(data, window=4, prior=prior)
    cycles.plot(tmp_path / "c.png", truth=truth)
    assert (tmp_path / "c.png").stat().st_size > 5000
    with pytest.raises(OptionError, match="no state 'y'"):
        cycles.plot(states=["y"])
    with pytest.raises(DataError, match="no value at t"):
        cycles.errors(truth.states.isel(time=slice(10)))
    with pytest.raises(DataError, match="all states"):
        cycles.errors(xr.DataArray(np.zeros((3, 1)), dims=("time", "state")))


def test_noise_without_a_variance_is_not_checked_and_said():
    x = sd.state("x", start=(0.5, 2.0))
    action = sd.Action(sd.Model({x: -0.5 * x}, name="decay"), [sd.StudentT(4, x, 0.1)])
    t = 0.2 * np.arange(10)
    cycles = action.cycle(sd.Observations(t, 1.5 * np.exp(-0.5 * t)), prior={x: (1.4, 0.3)})
    assert "not checked" in cycles.summary()
    np.testing.assert_allclose(cycles.dataset["analysis"][-1], 1.5 * np.exp(-0.9), rtol=0.02)


def test_without_a_compiler_it_is_the_same(swing, uncompiled):
    action = pendulum()[0]
    _, _, data, prior = swing
    few = sd.Observations(data.times[:4], data.values[:4], variance=0.01)
    named = {"x": prior[swing[0].model.states[0]], "v": (0.3, 0.5), "k": (1.5, 0.5)}
    for rf in (1e4, np.inf):
        a = action.cycle(few, rf=rf, window=2, prior=named).dataset
        b = swing[0].cycle(few, rf=rf, window=2, prior=named).dataset
        np.testing.assert_allclose(a["analysis"], b["analysis"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rf", [1e9, np.inf])
def test_schemes_with_points_inside_of_steps_forcing_and_fixed_parameters(rf):
    """Data on midpoints of Hermite-Simpson's steps are taken in at the steps' ends."""
    found = []
    for scheme, midpoint in (("hermite-simpson", True), ("rk4", False)):
        x = sd.state("x", start=(0.0, 2.0))
        k, b = sd.parameters("k b", start=(0.2, 1.0))
        u = sd.forcing("u")
        action = sd.Action(sd.Model({x: -k * x + b * u}, name="leaky"), [x], scheme=scheme)
        t = 0.1 * np.arange(13)
        exact = np.exp(-0.5 * t) * 1.5 + 0.3 * t
        data = sd.Observations(
            t, exact, variance=1e-4, forcing={"u": (np.array([0.0, 2.0]), np.array([0.0, 1.0]))}
        )
        prior = {x: (1.4, 0.2), k: (0.6, 0.2)}
        cycles = action.cycle(
            data, rf=rf, window=4, every=2 - midpoint, prior=prior, fixed={b: 0.5},
            midpoint_data=midpoint, inflation=1.0,
        )  # fmt: skip
        assert list(cycles.parameters) == ["k"] and cycles.dataset.sizes["cycle"] == 6
        found.append(cycles.dataset)
    a, b = found
    np.testing.assert_allclose(a["time"], b["time"])
    np.testing.assert_allclose(a["analysis"], b["analysis"], rtol=1e-3)
    np.testing.assert_allclose(a["parameters_sd"], b["parameters_sd"], rtol=1e-2)


def test_times_that_wait_are_told(swing):
    action, _, data, prior = swing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cycles = action.cycle(data, every=3, window=3, prior=prior)
    assert cycles.dataset.sizes["cycle"] == 13 and "1 times with data wait" in str(cycles)
