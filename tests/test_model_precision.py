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
from symda.analyse.marginal import Marginal
from symda.analyse.model_precision import most_probable
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
def decaying(steps: int, scheme: str = "rk4") -> tuple[sd.Action, float]:
    """The same as an ODE: a step takes x to `factor` x."""
    x = sd.state("x", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    h = 1.0 / steps
    z = 0.25 * h
    factor = 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24
    if scheme != "rk4":
        factor = (1 - z / 2) / (1 + z / 2)
    return sd.Action(sd.Model({x: -0.25 * x}, name="decaying"), [x], scheme=scheme), factor


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


@pytest.mark.parametrize("form", ["map", "ode", "substeps", "trapezoid", "midpoint"])
def test_it_is_the_likelihood_of_the_kalman_filter(form: str, uncompiled) -> None:
    """But for the noise's normaliser, at every Rf; and so is what is least."""
    data, options = recorded(2.0, 60, seed=1), {}
    action, factor, substeps, size = autoregression(), PHI, 1, 1.0
    if form != "map":
        substeps = 1 if form == "ode" else 3
        scheme = form if form in ("trapezoid", "midpoint") else "rk4"
        (action, factor), options = decaying(substeps, scheme), {"steps": substeps}
        # of an implicit step the error is not x's, but what the residual sees of it
        size = 1.0 if scheme == "rk4" else 1.0 + 0.125 / substeps
    found = estimated(action, data, **options)

    def oracle(rf: float) -> float:
        return filtered(data.values[:, 0], rf * size**2, factor, substeps)

    off = found.profile - [oracle(rf) for rf in found.profile_rf[:, 0]]
    np.testing.assert_allclose(off, -30.5 * math.log(VARIANCE), rtol=0, atol=1e-8)
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


@pytest.mark.smoke
def test_the_interval_holds_the_truth_as_often_as_it_should() -> None:
    """100 twins, of each the 95 % interval: 95 plus or minus three standard deviations."""
    action, truth, hits = autoregression(), 4.0, 0
    for seed in range(100):
        marginal = marginal_of(action, recorded(truth, 80, seed))
        found = most_probable(marginal, np.log([0.08, 0.8, 8.0, 80.0, 800.0]))
        assert not found.why
        hits += abs(found.best.s - math.log(truth)) < 1.959964 / math.sqrt(found.curvature)
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


def test_what_is_not_checked_is_said(uncompiled, monkeypatch) -> None:
    """Too many parameters; or a scale of the noise at its bound, where the path follows all."""
    data, action = recorded(1.0, 60, seed=2), autoregression()
    run = sd.anneal(action, data, ladder=LADDER, **QUIET)
    said = "Not checked: whether the parameters are where the marginal likelihood is largest"
    assert said not in action.model_precision(run, data).words()
    monkeypatch.setattr("symda.analyse.model_precision.LOOKED_AT", -1)
    found = action.model_precision(run, data)
    assert found.unchecked
    assert said in found.words()
    monkeypatch.undo()
    x = sd.state("x", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    s = sd.parameter("s", bounds=(0.01, 5.0), start=(0.1, 1.0))
    model = sd.Model({x: PHI * x}, name="scaled", discrete=True)
    action = sd.Action(model, {"a": sd.Normal(x, s)})
    data = sd.Observations(data.times, data.values, channels=["a"])
    found = estimated(action, data, ladder=sd.Ladder(rf0=0.01, alpha=4.0, rungs=9))
    assert found.held == 1
    assert said in found.words()


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


@pytest.mark.parametrize("first, last", [(0.003, 1.5), (0.7, 700.0), (0.0005, 1.0), (30.0, 300.0)])
def test_the_search_goes_on_beyond_the_ladder(first: float, last: float, uncompiled) -> None:
    """Where E falls up to its end, or has its minimum in the last interval, or ends there."""
    data, action = recorded(2.0, 200, seed=4), autoregression()
    whole = estimated(action, data)
    ladder = sd.Ladder(rf0=first * whole.rf[0], alpha=(last / first) ** (1 / 5), rungs=6)
    found = estimated(action, data, ladder=ladder)
    assert found.rf[0] == pytest.approx(whole.rf[0], rel=1e-5)
    assert found.sd == pytest.approx(whole.sd, rel=1e-3)
    assert found.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-8)
    assert not found.why


def marginal_of(action: sd.Action, data: sd.Observations, theta=()) -> Marginal:
    """At s = 0 Rf is 1."""
    problem, kernels = action.bind(data), machine(action.specification)
    at, solver = kernels.at(problem), SOLVERS["newton"].at(kernels, problem)
    nothing = np.zeros(problem.unknowns.count, dtype=bool)
    start = problem.y, np.array(theta, dtype=float)
    return Marginal(at, judge(at), solver, np.array([1.0]), nothing, *start)


@pytest.mark.parametrize("truth, end", [(50.0, "above"), (0.05, "below")])
def test_where_e_falls_and_nothing_can_be_solved_the_model_is_not_exact(
    truth: float, end: str, monkeypatch
) -> None:
    marginal = marginal_of(autoregression(), recorded(truth, 200, seed=1))
    at = marginal.at
    monkeypatch.setattr(marginal, "at", lambda s: None if abs(s) > 1.5 else at(s))
    found = most_probable(marginal, np.array([-1.0, 0.0, 1.0]))
    assert found.end == end
    assert found.why.startswith("E still falls at Rf = ")
    assert ("end the ladder later" if end == "above" else "begin the ladder lower") in found.why
    assert math.isnan(found.curvature)
    monkeypatch.setattr(marginal, "at", lambda s: None)
    marginal.known.clear()
    with pytest.raises(sd.SolveError, match="near where the run's best path ended"):
        marginal.value(0.0)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_unknown_that_reaches_a_bound(seed: int, unit: float, uncompiled) -> None:
    """Away from the estimate it changes nothing; near it there is none. Whatever the units."""
    rng, z = np.random.default_rng(seed), [1.0]
    for _ in range(80):
        z.append(max(PHI * z[-1] + 0.1 + 0.3 * rng.normal(), 0.0))
    y = unit * (np.array(z) + 0.3 * rng.normal(size=81))
    data = sd.Observations(np.arange(81.0), y, variance=0.09 * unit**2)
    x = sd.state("x", bounds=(0.0, 50.0 * unit), start=(0.1 * unit, unit))
    action = sd.Action(sd.Model({x: PHI * x + 0.1 * unit}, name="positive", discrete=True), [x])
    ladder = sd.Ladder(rf0=0.5 / unit**2, alpha=4.0, rungs=8)
    found = estimated(action, data, ladder=ladder)
    if seed == 2:
        wide = sd.state("x", bounds=(-50.0 * unit, 50.0 * unit), start=(0.1 * unit, unit))
        model = sd.Model({wide: PHI * wide + 0.1 * unit}, name="signed", discrete=True)
        free = estimated(sd.Action(model, [wide]), data, ladder=ladder)
        assert found.rf[0] == pytest.approx(free.rf[0], rel=1e-5)
        k = int(np.abs(found.profile_rf[:, 0] - found.rf[0]).argmin())
        assert found.log_likelihood == -found.profile[k]
        return
    assert np.isnan([*found.rf, found.sd, *found.interval()[0], found.log_likelihood]).all()
    assert "x at t = " in found.words()
    assert "is at its lower bound 0 at Rf = " in found.words()
    assert "widen bounds=" in found.words()


def test_a_parameter_of_the_equations_that_the_determinant_moves(uncompiled) -> None:
    """Of x -> k x by dense matrices; where it moves k too far there is no estimate."""
    x = sd.state("x", bounds=(-50.0, 50.0), start=(-1.0, 1.0))
    k = sd.parameter("k", bounds=(-10.0, 10.0), start=(0.1, 1.0))
    action = sd.Action(sd.Model({x: k * x}, name="factor", discrete=True), [x])
    data = recorded(1.0, 40, seed=2)
    marginal = marginal_of(action, data, [0.5])
    one = marginal.at(0.0)

    def volume(k: float) -> float:
        J = np.eye(41)[1:] - k * np.eye(41)[:-1]
        return 0.5 * np.linalg.slogdet(J.T @ J + np.eye(41) / VARIANCE)[1]

    H = action.compile().hessian(one.path, one.theta, [1.0], data).toarray()
    deviation = np.linalg.inv(H)[-1, -1] ** 0.5
    at, step = one.theta[0], 0.1 * deviation
    move = -(volume(at + step) - volume(at - step)) / 0.2
    assert marginal.moves(one) == pytest.approx({41: move}, rel=1e-6)
    # many steps between data: the path has room to follow a slower rate
    decay = sd.Model({x: -k * x}, name="decay")
    rng, z = np.random.default_rng(0), [0.0]
    for _ in range(100):
        z.append(math.exp(-1.0) * z[-1] + 0.6 * rng.normal())
    y = np.array(z) + 0.1 * rng.normal(size=101)
    data = sd.Observations(np.arange(101.0), y, variance=0.01)
    for scheme in ("rk4", "trapezoid"):
        action = sd.Action(decay, [x], scheme=scheme, model_error="rate")
        found = estimated(action, data, steps=4)
        assert np.isnan([*found.rf, found.sd, *found.interval()[0], found.log_likelihood]).all()
        assert "k would be higher by " in found.words()
        assert "of its standard deviations or more. Fix k, give it a prior, or" in found.words()
        fixed = estimated(action, data, steps=4, fixed={"k": 1.0})
        assert not fixed.why
        assert not fixed.unchecked


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
