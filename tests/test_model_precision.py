"""Rf estimated: E is the Kalman filter's marginal likelihood where the model is linear."""

from __future__ import annotations

import math
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import symda as sd
from symda.analyse.model_precision import Marginal, most_probable
from symda.api.machine import machine
from symda.solve import SOLVERS, judge

QUIET = {"progress": False, "workers": 1, "paths": 1, "solver": "newton"}
PHI, VARIANCE = 0.8, 0.25
LADDER = sd.Ladder(rf0=0.05, alpha=4.0, rungs=8)


def recorded(rf: float, N: int, seed: int) -> sd.Observations:
    """AR(1) with errors of the variance 1/rf, measured with noise."""
    rng = np.random.default_rng(seed)
    x = [rng.normal()]
    for e in rng.normal(size=N) / math.sqrt(rf):
        x.append(PHI * x[-1] + e)
    y = np.array(x) + math.sqrt(VARIANCE) * rng.normal(size=N + 1)
    return sd.Observations(np.arange(N + 1.0), y, variance=VARIANCE)


@cache
def autoregression() -> sd.Action:
    x = sd.state("x", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    return sd.Action(sd.Model({x: PHI * x}, name="ar1", discrete=True), [x])


@cache
def decaying(steps: int) -> tuple[sd.Action, float]:
    """The same as an ODE, by rk4: a step takes x to `factor` x."""
    x = sd.state("x", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    h = 1.0 / steps
    z = 0.25 * h
    factor = 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24
    return sd.Action(sd.Model({x: -0.25 * x}, name="decaying"), [x], scheme="rk4"), factor


def filtered(y: np.ndarray, rf: float, factor: float = PHI, substeps: int = 1) -> float:
    """-log likelihood of a Kalman filter, less constants; a first state of infinite variance.

    In that limit the first datum says what x is, to the noise's variance, and nothing else.
    """
    mean, variance, total = y[0], VARIANCE, 0.0
    for value in y[1:]:
        for _ in range(substeps):
            mean, variance = factor * mean, factor**2 * variance + 1.0 / rf
        spread = variance + VARIANCE
        total += 0.5 * math.log(spread) + 0.5 * (value - mean) ** 2 / spread
        gain = variance / spread
        mean, variance = mean + gain * (value - mean), (1.0 - gain) * variance
    return total


def estimated(action: sd.Action, data: sd.Observations, **options):
    ladder = options.pop("ladder", LADDER)
    run = sd.anneal(action, data, ladder=ladder, **QUIET, **options)
    return action.model_precision(run, data, **options)


@pytest.mark.parametrize("form", ["map", "ode", "substeps"])
def test_it_is_the_likelihood_of_the_kalman_filter(form: str, uncompiled) -> None:
    """Up to a constant, at every Rf; and so is what is least."""
    data, options = recorded(2.0, 60, seed=1), {}
    action, factor, substeps = autoregression(), PHI, 1
    if form != "map":
        substeps = 3 if form == "substeps" else 1
        (action, factor), options = decaying(substeps), {"steps": substeps}
    found = estimated(action, data, **options)

    def oracle(rf: float) -> float:
        return filtered(data.values[:, 0], rf, factor, substeps)

    off = found.profile - [oracle(rf) for rf in found.profile_rf[:, 0]]
    np.testing.assert_allclose(off, off[0], rtol=0, atol=1e-8)
    best = minimize_scalar(
        lambda s: oracle(math.exp(s)), bounds=(-2.0, 6.0), method="bounded", options={"xatol": 1e-9}
    ).x
    assert math.log(found.rf[0]) == pytest.approx(best, abs=1e-5)
    curvature = sum(
        oracle(math.exp(best + i * 0.01)) * w for i, w in [(-1, 1e4), (0, -2e4), (1, 1e4)]
    )
    assert found.sd == pytest.approx(curvature**-0.5, rel=1e-3)
    assert found.end == ""
    assert not found.held


def test_the_interval_holds_the_truth_as_often_as_it_should() -> None:
    """100 twins, of each the 95 % interval: 95 plus or minus three standard deviations."""
    action, truth, hits = autoregression(), 4.0, 0
    kernels = machine(action.specification)
    for seed in range(100):
        problem = action.bind(recorded(truth, 80, seed))
        at, solver = kernels.at(problem), SOLVERS["newton"].at(kernels, problem)
        nothing = np.zeros(problem.unknowns.count, dtype=bool)
        start = problem.y, np.empty(0)
        marginal = Marginal(at, judge(at), solver, np.array([truth]), nothing, *start)
        found, end, curvature = most_probable(marginal, np.log([0.02, 0.2, 2.0, 20.0, 200.0]))
        assert not end
        hits += abs(found.s) < 1.959964 / math.sqrt(curvature)
    assert 88 <= hits <= 100


def test_parameters_are_integrated_out(uncompiled) -> None:
    """With an unknown drift E is the restricted likelihood of the data, by dense matrices."""
    x = sd.state("x", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    k = sd.parameter("k", bounds=(-10.0, 10.0))
    action = sd.Action(sd.Model({x: PHI * x + k}, name="drift", discrete=True), [x])
    data = recorded(2.0, 40, seed=5)
    y, N = data.values[:, 0], 40
    # x_n = PHI^n x_0 + k sum_j PHI^j + errors
    powers = PHI ** np.arange(N + 1.0)
    G = np.c_[powers, np.append(0.0, np.cumsum(powers)[:-1])]
    reach = np.array(
        [[PHI ** (n - j) if j <= n else 0.0 for j in range(1, N + 1)] for n in range(N + 1)]
    )

    def restricted(rf: float) -> float:
        S = VARIANCE * np.eye(N + 1) + reach @ reach.T / rf
        inner = G.T @ np.linalg.solve(S, G)
        r = y - G @ np.linalg.solve(inner, G.T @ np.linalg.solve(S, y))
        logs = np.linalg.slogdet(S)[1] + np.linalg.slogdet(inner)[1]
        return 0.5 * (logs + r @ np.linalg.solve(S, r))

    found = estimated(action, data)
    off = found.profile - [restricted(rf) for rf in found.profile_rf[:, 0]]
    np.testing.assert_allclose(off, off[0], rtol=0, atol=1e-8)
    assert set(found.parameters) == {"k"}


def test_the_common_factor_of_two_states_of_known_ratio(uncompiled) -> None:
    """Of two independent chains, measured apart, E is the sum of both; also of correlated ones."""
    x, z = sd.states("x z", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    model = sd.Model({x: PHI * x, z: PHI * z}, name="two", discrete=True)
    one, other = recorded(2.0, 50, seed=2), recorded(18.0, 50, seed=3)
    values = np.c_[one.values, other.values]
    data = sd.Observations(one.times, values, variance=VARIANCE)
    ladder = sd.Ladder(rf0={"x": 0.05, "z": 0.45}, alpha=4.0, rungs=7)
    found = estimated(sd.Action(model, [x, z]), data, ladder=ladder)
    oracle = [filtered(values[:, 0], a) + filtered(values[:, 1], b) for a, b in found.profile_rf]
    np.testing.assert_allclose(np.diff(found.profile - oracle), 0.0, atol=1e-8)
    assert found.rf[1] == pytest.approx(9.0 * found.rf[0])
    # x + z and x - z of equal chains whose errors go together are independent chains again
    mixed = np.c_[values[:, 0] + values[:, 1], values[:, 0] - values[:, 1]] / math.sqrt(2.0)
    turned = sd.Observations(one.times, mixed, variance=VARIANCE)
    correlation = (1 / 1.0 - 1 / 9.0) / (1 / 1.0 + 1 / 9.0)
    action = sd.Action(model, [x, z], error_correlations={(x, z): correlation})
    again = estimated(action, turned, ladder=sd.Ladder(rf0=0.09, alpha=4.0, rungs=7))
    pairs = again.profile_rf[:, :1] / 0.09 * [0.05, 0.45]
    oracle = [filtered(values[:, 0], a) + filtered(values[:, 1], b) for a, b in pairs]
    np.testing.assert_allclose(np.diff(again.profile - oracle), 0.0, atol=1e-8)
    # with all normalisers: turning changes no likelihood
    assert again.profile[0] == pytest.approx(found.profile[0], abs=1e-8)


def test_a_relative_ladder_and_a_log_scale_give_the_same_number(uncompiled) -> None:
    """In units of the state's variance; and what is printed is what was found."""
    data = recorded(2.0, 60, seed=1)
    absolute = estimated(autoregression(), data)
    relative = estimated(
        autoregression(), data, ladder=sd.Ladder(relative=0.05, alpha=4.0, rungs=7)
    )
    assert relative.rf[0] == pytest.approx(absolute.rf[0], rel=1e-5)
    assert relative.relative == pytest.approx(relative.rf[0] * data.values.var(), rel=1e-9)
    assert math.isnan(absolute.relative)
    text = str(relative)
    assert text.startswith(
        f"Rf of x = {relative.rf[0]:.4g}, log Rf known to {relative.sd:.2g}; c = "
    )
    low, high = relative.interval()[0]
    assert math.log(high / relative.rf[0]) == pytest.approx(1.959964 * relative.sd, rel=1e-6)
    assert low < relative.rf[0] < high
    assert list(relative.table().index) == ["x"]


def test_several_experiments_add_up(uncompiled) -> None:
    both = {"one": recorded(2.0, 30, seed=7), "two": recorded(2.0, 45, seed=8)}
    found = estimated(autoregression(), both)
    oracle = [
        sum(filtered(one.values[:, 0], rf) for one in both.values())
        for rf in found.profile_rf[:, 0]
    ]
    np.testing.assert_allclose(np.diff(found.profile - oracle), 0.0, atol=1e-8)


@pytest.mark.filterwarnings("ignore:no measurement can see the state z")
def test_a_state_that_nothing_measures_changes_nothing(uncompiled) -> None:
    x, z = sd.states("x z", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    model = sd.Model({x: PHI * x, z: 0.5 * z + x}, name="unseen", discrete=True)
    data = recorded(2.0, 60, seed=1)
    found = estimated(sd.Action(model, [x]), data)
    alone = estimated(autoregression(), data)
    np.testing.assert_allclose(np.diff(found.profile - alone.profile), 0.0, atol=1e-5)


def test_an_exact_model_has_no_estimate(uncompiled) -> None:
    """The data do not bound Rf above, and no number is given."""
    y = 3.0 * PHI ** np.arange(41.0) + 0.5 * np.random.default_rng(1).normal(size=41)
    found = estimated(autoregression(), sd.Observations(np.arange(41.0), y, variance=VARIANCE))
    assert found.end == "above"
    assert np.isnan([*found.rf, found.sd, found.relative, *found.interval()[0]]).all()
    assert "The data do not bound Rf above: the model may be exact. There is no estimate" in str(
        found
    )


def test_a_range_that_begins_too_high(uncompiled) -> None:
    data = recorded(0.01, 60, seed=1)
    found = estimated(autoregression(), data, ladder=sd.Ladder(rf0=1.0, alpha=2.0, rungs=4))
    assert found.end == "below"
    assert math.isnan(found.rf[0])
    assert "The data do not bound Rf below" in str(found)


def test_an_end_that_the_data_do_not_exclude_is_none_of_the_interval(uncompiled) -> None:
    """Few data: E has a minimum, and rises by less than 1.92 up to the last rung."""
    for seed in range(40):
        data = recorded(6.0, 25, seed)
        found = estimated(autoregression(), data)
        if not found.end and found.rise[1] < 1.9:
            break
    assert found.interval()[0, 1] == math.inf
    assert found.interval(0.1)[0, 1] < math.inf
    assert "The data do not bound Rf above with 95 % probability" in str(found)


def test_what_has_no_estimate(uncompiled) -> None:
    data, action = recorded(2.0, 20, seed=1), autoregression()
    short = sd.anneal(action, data, ladder=sd.Ladder(rf0=1.0, alpha=4.0, rungs=2), **QUIET)
    with pytest.raises(sd.OptionError, match="model_precision: Rf is searched between the rungs"):
        action.model_precision(short, data)
    with pytest.raises(sd.OptionError, match="model_precision: the run has other"):
        action.model_precision(short, recorded(2.0, 21, seed=1))
    averaged = sd.Action(action.model, [action.model["x"]], averaging="eq2")
    with pytest.raises(sd.OptionError, match="model_precision: with averaging='eq2'"):
        averaged.model_precision(short, data)
    with pytest.raises(sd.OptionError, match=r"first argument is a symda.Run, got dict"):
        action.model_precision({}, data)


def test_the_example_finds_what_is_true() -> None:
    """A nonlinear model with correlated errors, and the same equations without errors."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "model_error.py"))
    action, data, run = script["estimate"]()
    found = action.model_precision(run, data)
    low, high = found.interval()[0]
    assert low < script["RF"] < high < 2.5 * low
    action, data, run = script["estimate"](math.inf)
    assert action.model_precision(run, data).end == "above"
