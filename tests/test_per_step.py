"""Parameters per step: inputs and layer weights with a value of their own at every step."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from models import ODE_SCHEMES, disagreements, everything, make_case, random_point
from newton_tools import newton_kernels

import symda as sd
from symda.analyse import chi_squared
from symda.declare import StepParameter
from symda.errors import DataError, ModelError, OptionError
from symda.solve import SOLVERS

WIDE = {"start": (-2.0, 2.0)}


pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.mark.compiled
def test_linear_gaussian_input_is_linear_least_squares():
    """x_{n+1} = 0.9 x_n + 2 w_n with a random walk w: the minimiser solves one lstsq."""
    x, w = sd.state("x", **WIDE), sd.parameter("w", per="step", process_variance=0.25, **WIDE)
    action = sd.Action(sd.Model({x: 0.9 * x + 2 * w}, name="pushed", discrete=True), [x])
    rng = np.random.default_rng(0)
    N, variance, rf = 14, 0.1, 50.0
    y = rng.normal(size=(N + 1, 1))
    y[[3, 4, 9]] = np.nan
    rows, right = [], []

    def row(weight, value, **entries):
        line = np.zeros((N + 1, 2))
        for at, coefficient in entries.values():
            line[at] = coefficient
        rows.append(np.sqrt(weight) * line.reshape(-1))
        right.append(np.sqrt(weight) * value)

    for n in range(N + 1):
        if np.isfinite(y[n, 0]):
            row(1 / variance, y[n, 0], x=((n, 0), 1.0))
    for n in range(N):
        row(rf, 0.0, to=((n + 1, 0), 1.0), x=((n, 0), -0.9), w=((n, 1), -2.0))
        row(1 / 0.25, 0.0, to=((n + 1, 1), 1.0), w=((n, 1), -1.0))
    exact, *_ = np.linalg.lstsq(np.array(rows), np.array(right))
    least = 0.5 * np.sum((np.array(rows) @ exact - right) ** 2)
    data = sd.Observations(np.arange(N + 1.0), y, variance=variance)
    for solver in ("newton", "ipopt", "lbfgs"):
        run = sd.anneal(
            action, data, solver=solver, paths=1, ladder=sd.Ladder(rf, rungs=1), progress=False
        )
        tolerance = 1e-3 if solver == "lbfgs" else 1e-7
        np.testing.assert_allclose(
            run.dataset["states"][0].values.reshape(-1), exact, rtol=0, atol=tolerance
        )
        assert run.dataset["action"].values[0, 0] == pytest.approx(least, rel=1e-7)
        assert run.dataset["rf"].values.tolist() == [[rf, 4.0]]
        # a process variance is a prior, so w counts as a state does
        assert run.dataset.attrs["fitted"] == 2


def test_a_free_input_takes_what_the_data_ask_for():
    """Free, the input is x_{n+1} - 0.9 x_n of the data; nothing feels the last."""
    x, w = sd.state("x", **WIDE), sd.parameter("w", per="step", **WIDE)
    action = sd.Action(sd.Model({x: 0.9 * x + w}, name="pushed", discrete=True), [x])
    y = np.random.default_rng(1).normal(size=(9, 1))
    data = sd.Observations(np.arange(9.0), y, variance=0.1)
    wanted = y[1:, 0] - 0.9 * y[:-1, 0]
    for solver in ("newton", "ipopt"):
        run = sd.anneal(
            action, data, solver=solver, paths=2, ladder=sd.Ladder(1.0, 10.0, 6), progress=False
        )
        found = run.dataset["states"].sel(state="w").values
        np.testing.assert_allclose(found[:, :-1], np.tile(wanted, (2, 1)), atol=1e-6)
        np.testing.assert_allclose(found[:, -1], found[:, -2], atol=1e-6)
        assert (run.dataset["status"] == 1).all() and run.dataset["action"].max() < 1e-5
        # x_0 and w_0 .. w_7
        assert run.dataset.attrs["fitted"] == 9
        assert "9 data against 9 fitted quantities" in chi_squared(run.dataset).verdict


def layers(width=5, *, variance=None):
    """x_{n+1} = tanh(W_n x_n), a layer a step."""
    x = sd.states("x", width, **WIDE)
    options = {} if variance is None else {"process_variance": variance}
    W = sd.parameters("W", width**2, per="step", bounds=(-3.0, 3.0), **options)
    rows = {x[a]: sp.tanh(sum(W[width * a + b] * x[b] for b in range(width))) for a in range(width)}
    return sd.Model(rows, name=f"layers of {width}", discrete=True), x, W


@pytest.mark.compiled
def test_layers_have_exact_derivatives():
    """25 weights a step: the compiled kernels, CasADi, and differences of the action agree."""
    model, x, W = layers()
    assert model.per_step == W and len(model.states) == 30 and not model.parameters
    case = make_case(model, [x[0], x[3]])
    rng = np.random.default_rng(0)
    problem = case.problem(list(range(5)), rng.normal(size=(5, 2)))
    X, theta, rf = random_point(problem, rng)
    compiled = everything(case.compiled, problem, X, theta, rf)
    assert not disagreements(compiled, everything(case.virtual, problem, X, theta, rf))
    v = rng.normal(size=X.shape)
    ends = [case.compiled.at(problem).action(X + s * 1e-6 * v, theta, rf) for s in (1, -1)]
    slope = compiled["gradient"] @ v.reshape(-1)
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-7)


@pytest.mark.compiled
def test_layers_are_trained_alike_by_all_solvers():
    model, x, _ = layers(variance=0.04)
    case = make_case(model, list(x))
    kernels = newton_kernels(case)
    rng = np.random.default_rng(3)
    values = np.full((5, 5), np.nan)
    values[0], values[-1] = rng.uniform(-0.8, 0.8, (2, 5))
    problem = case.problem(list(range(5)), values, variance=0.01)
    X, theta, _ = random_point(problem, rng)
    rf = np.full(problem.D, 10.0)
    found = {
        name: SOLVERS[name].with_options(**options).at(kernels, problem).minimise(X, theta, rf)
        for name, options in {
            "newton": {},
            "ipopt": {"tol": 1e-10},
            "lbfgs": {"ftol": 1e-15, "gtol": 1e-9},
        }.items()
    }
    banded = SOLVERS["newton"].at(case.virtual, problem).minimise
    for name, minimum in found.items():
        polished = banded(minimum.path, minimum.theta, rf)
        assert polished.status == "converged"
        assert polished.action == pytest.approx(
            minimum.action, rel=1e-6 if name == "lbfgs" else 1e-8
        )
    assert found["newton"].status == "converged"


@pytest.mark.filterwarnings("ignore::symda.api.machine.VirtualMachineWarning")
@pytest.mark.parametrize("scheme", [s.name for s in ODE_SCHEMES])
def test_every_scheme_carries_its_own_values(scheme, monkeypatch):
    """An input recovered: dx/dt = -x + w(t), w a slow wave, x measured exactly."""
    monkeypatch.setenv("SYMDA_CC", "none")
    x, w = sd.state("x", **WIDE), sd.parameter("w", per="step", process_variance=0.0025, **WIDE)
    action = sd.Action(sd.Model({x: -x + w}, name="leak"), [x], scheme=scheme)
    times = np.linspace(0.0, 4.0, 81)
    wave = sd.Samples(times, np.sin(times), "linear")
    truth, data = sd.twin(
        action, parameters={"w": wave}, dt=0.05, steps=80, variance=1e-8, seed=0, initial=[0.5]
    )
    assert list(truth.states["state"].values) == ["x", "w"]
    np.testing.assert_allclose(truth.states.sel(state="w"), np.sin(times), atol=1e-12)
    options = {"ladder": sd.Ladder(1e5, 10.0, 3), "paths": 1, "progress": False}
    found = [
        sd.anneal(action, data, solver=solver, **options).dataset for solver in ("newton", "ipopt")
    ]
    for dataset in found:
        got = dataset["states"].sel(state="w")[0]
        expected = np.sin(dataset["time"].values)
        if action.scheme.explicit:
            expected = np.sin(dataset["time"].values + 0.025)
        assert np.abs(got - expected).values[4:-4].max() < 0.03
    np.testing.assert_allclose(found[0]["action"], found[1]["action"], rtol=1e-6)


@pytest.mark.compiled
def test_many_parameters_per_step_with_bounds_and_gaps():
    """Q = 100: every other one at a bound; newton and IPOPT cannot improve on each other."""
    x = sd.states("x", 2, **WIDE)
    W = sd.parameters("W", 100, per="step", bounds=(-0.1, 0.1), process_variance=0.01)
    equations = {x[a]: sum(W[50 * a + j] * sp.Rational(j, 50) for j in range(50)) for a in (0, 1)}
    case = make_case(sd.Model(equations, name="wide", discrete=True), list(x))
    rng = np.random.default_rng(0)
    values = 5.0 * np.sign(rng.normal(size=(6, 2)))
    values[3, 1] = np.nan
    problem = case.problem(list(range(6)), values)
    X, theta, _ = random_point(problem, rng)
    newton = SOLVERS["newton"].at(newton_kernels(case), problem)
    ipopt = SOLVERS["ipopt"].with_options(tol=1e-10).at(case.compiled, problem)
    rf = np.full(problem.D, 30.0)
    found, other = newton.minimise(X, theta, rf), ipopt.minimise(X, theta, rf)
    assert found.status == "converged"
    assert found.action == pytest.approx(other.action, rel=1e-6)
    assert (np.abs(found.path[:-1, 2:]) == 0.1).mean() > 0.1


def test_a_trajectory_takes_numbers_values_and_samples():
    x, w = sd.state("x", **WIDE), sd.parameter("w", per="step", **WIDE)
    k, u = sd.parameter("k", **WIDE), sd.forcing("u")
    model = sd.Model({x: k * x + w + u}, name="pushed", discrete=True)
    times, pushes = np.arange(4.0), np.array([1.0, -2.0, 3.0])
    given = {"forcing": {"u": 0.5}, "initial": {"x": 1.0}}
    path = [1.0]
    for push in pushes:
        path.append(0.5 * path[-1] + push + 0.5)
    for values in (
        pushes,
        [*pushes, 3.0],
        sd.Samples(times, [*pushes, 3.0], "hold"),
    ):
        made = sd.simulate(model, times, parameters={"k": 0.5, "w": values}, **given)
        np.testing.assert_allclose(made.states.sel(state="x"), path)
        np.testing.assert_allclose(made.states.sel(state="w"), [*pushes, 3.0])
        assert made.parameters == {"k": 0.5}
    constant = sd.simulate(model, times, parameters={"k": 0.5, "w": 2}, **given)
    assert (constant.states.sel(state="w") == 2.0).all()
    for wrong, words in [
        ({"k": 0.5}, "no values for the parameter per step 'w'"),
        ([0.5], "pass a mapping with a number, or a value each step, for w"),
        ({"k": 0.5, "w": [1.0, 2.0]}, r"a value for each of the 3 steps or 4 times.* got .*\(2,\)"),
    ]:
        with pytest.raises(DataError, match=words):
            sd.simulate(model, times, parameters=wrong, **given)


def test_what_is_said_of_them():
    x, w = sd.state("x", **WIDE), sd.parameter("w", per="step", process_variance=0.5, **WIDE)
    v = sd.parameter("v", per="step", **WIDE)
    ode = str(sd.Action(sd.Model({x: -w * x + v}, name="leak"), [x * w]).equations())
    assert "1 state, no parameter, no forcing channel." in ode
    assert "dx/dt = v - x*w" in ode and "dw/dt" not in ode and "dv/dt" not in ode
    assert "w(t), v(t)" in " ".join(ode.split())
    map_ = sd.Model({x: w * x}, name="layer", discrete=True)
    text = str(sd.Action(map_, [x]).equations())
    assert "x[n+1] = w[n]*x[n]" in text and "w[n+1] = " not in text
    assert "Process variance in a step: w 0.5." in " ".join(text.split())
    assert repr(map_) == "Model('layer', map, D=2 (1 of them per step), P=0, U=0)"


def test_mistakes_are_named():
    x = sd.state("x", **WIDE)
    w = sd.parameter("w", per="step", **WIDE)
    assert isinstance(w, StepParameter) and sd.parameters("a b", per="step")[1].name == "b"
    assert w != sd.state("w", **WIDE)
    for make, words in [
        (lambda: sd.parameter("w", per="layer"), "per must be 'step' or 'experiment', or left out"),
        (lambda: sd.parameter("w", per="step", value=1.0), "values are known is a forcing"),
        (lambda: sd.parameter("w", per="step", typical=1.0), "leave typical out"),
        (lambda: sd.parameter("w", process_variance=1.0), "add per='step'"),
        (
            lambda: sd.parameter("w", per="step", process_variance=0.0),
            "process_variance = 0.0 must be finite and larger",
        ),
        (lambda: sd.Model({x: w * x, w: 0}), "'w' is a parameter per step, which has no equation"),
        (lambda: sd.Action(sd.Model({x: -x}), [x + w]), "that no equation of the model uses"),
    ]:
        with pytest.raises(ModelError, match=words):
            make()
    bare = sd.parameter("w", per="step")
    action = sd.Action(sd.Model({x: bare * x}, discrete=True), [x])
    data = sd.Observations([0.0, 1.0], [1.0, 2.0], variance=1.0)
    with pytest.raises(DataError, match=r"parameter 'w': no start range is known.*per='step'"):
        action.bind(data)
    action = sd.Action(sd.Model({x: w * x}, discrete=True), [x])
    with pytest.raises(OptionError, match=r"fixed: 'w' has a value of its own at every step"):
        action.bind(data, fixed={w: 1.0})
    with pytest.raises(OptionError, match="rf0 names 'w', which is not a state"):
        sd.Ladder({"x": 1.0, "w": 1.0}).over(action.bind(data))
    assert sd.Ladder({"x": 1.0}, 2.0, 2).over(action.bind(data)).tolist() == [
        [1.0, 2.5e-9],
        [2.0, 2.5e-9],
    ]


def test_more_weights_than_data_end_in_a_perfect_fit_soon():
    """Free weights leave next to nothing of the action; no solver crawls along what ties them."""
    model, x, _ = layers()
    action = sd.Action(model, list(x))
    values = np.full((5, 5), np.nan)
    values[0], values[-1] = np.random.default_rng(3).uniform(-0.8, 0.8, (2, 5))
    data = sd.Observations(np.arange(5.0), values, variance=0.01)
    options = {"paths": 2, "ladder": sd.Ladder(1.0, 10.0, 4), "progress": False}
    run = sd.anneal(action, data, solver="newton", **options)
    assert run.dataset["action"].max() < 1e-6
    assert (run.dataset["iterations"] < 100).all() and (run.dataset["status"] != 4).all()


def pushed():
    """x' = w x + v, with w and v per step, and five data at random."""
    x, (w, v) = sd.state("x", **WIDE), sd.parameters("w v", per="step", **WIDE)
    action = sd.Action(sd.Model({x: w * x + v}, name="pushed"), [x])
    data = sd.Observations(np.arange(5.0), np.random.default_rng(0).normal(size=5), variance=0.1)
    return action, data


def climb(action, data, **options):
    ladder = sd.Ladder(1.0, 10.0, 2)
    given = {"solver": "newton", "paths": 2, "ladder": ladder, "progress": False}
    return sd.anneal(action, data, **given | options)


@pytest.mark.filterwarnings("ignore::symda.api.preflight.ProblemWarning")
def test_they_are_told_from_states_where_sizes_are_said(tmp_path):
    action, data = pushed()
    sizes = "D = 3 states (2 of them parameters per step), P = 0 parameters (0 free)"
    assert sizes in str(action.check(data)) and action.check(data).per_step == 2
    run = climb(action, data)
    for each in (run, sd.load(run.save(tmp_path / "run.nc"))):
        assert each.dataset["per_step"].values.tolist() == [False, True, True]
        assert sizes in each.summary()
        # a file that an older version wrote does not know
        old = sd.Run(each.dataset.drop_vars("per_step"))
        assert "D = 3 states, P = 0" in old.summary()
    x = sd.state("x", **WIDE)
    plain = sd.Action(sd.Model({x: -x}), [x])
    assert "D = 1 states, P = 0" in str(plain.check(data))


@pytest.mark.filterwarnings("ignore::symda.api.preflight.ProblemWarning")
def test_posterior_says_where_they_are():
    action, data = pushed()
    words = r"posterior: no parameter.*step \(w, v\).*run\.best\.states\.sel\(state='w'\)"
    with pytest.raises(OptionError, match=words):
        action.posterior(climb(action, data), data)


def test_posterior_of_the_constant_ones_integrates_them_out():
    x, k = sd.state("x", **WIDE), sd.parameter("k", start=(0.0, 1.0), value=0.5)
    w = sd.parameter("w", per="step", process_variance=0.1, **WIDE)
    action = sd.Action(sd.Model({x: w - k * x}, name="pushed"), {"x": x, "half": x + w / 2})
    values = np.random.default_rng(1).normal(size=(9, 2)) + 2.0
    data = sd.Observations(0.5 * np.arange(9), values, variance=0.1)
    with pytest.raises(OptionError, match=r"step \(w\)"):
        action.posterior(climb(action, data), data)
    grid = {"fixed": {"k": None}}
    run = climb(action, data, **grid)
    found = action.posterior(run, data, **grid)
    best = run.best
    hessian = action.compile().hessian(
        best.states.values, list(best.parameters.values()), run.dataset["rf"].values[-1],
        action.bind(data, **grid),
    )  # fmt: skip
    exact = np.sqrt(np.linalg.inv(hessian.toarray())[-1, -1])
    assert found.sd == {"k": pytest.approx(exact, rel=1e-6)}


def test_starts_give_them_in_the_path():
    action, data = pushed()
    X = np.zeros((5, 3))
    words = r"'v' among.*a value of its own at every step: it is the column X\[\.\.\., 2\]"
    with pytest.raises(OptionError, match=words):
        climb(action, data, start=(X, {"v": 1.0}))
    with pytest.raises(
        OptionError, match=r"'x' among.*is a state: it is the column X\[\.\.\., 0\]"
    ):
        climb(action, data, start=(X, {"x": 1.0}))
    with pytest.raises(OptionError, match=r"for each state \(the last 2 are parameters per step\)"):
        climb(action, data, start=X[:, :1])
    X[:, 1:] = 0.3, -0.2
    kept = climb(action, data, start=X, ladder=sd.Ladder(1e9, rungs=1), paths=1)
    assert kept.dataset.attrs["start"] == "array"
