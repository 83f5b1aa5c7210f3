"""Unknown inputs whose squares are paid, and data as a forcing, against exact answers."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

import symda as sd
from symda.errors import DataWarning
from symda.observe.problem import TIE
from symda.solve import SOLVERS

A = np.array([[0.8, 0.3], [-0.25, 0.9]])
RF, VARIANCE, COST, SIZE = 30.0, 0.2, 2.5, 100.0

x, y = sd.states("x y", start=(-2.0, 2.0))
p = sd.parameter("p", bounds=(-9.0, 9.0))
u = sd.control("u", COST, start=(-SIZE, SIZE))
MODEL = sd.Model(
    {x: A[0, 0] * x + A[0, 1] * y + p, y: A[1, 0] * x + A[1, 1] * y + 2 * u}, discrete=True
)
FINE = SOLVERS["lbfgs"].with_options(ftol=1e-16, gtol=1e-12, maxcor=80)
FINER = SOLVERS["ipopt"].with_options(tol=1e-11)


pytestmark = pytest.mark.usefixtures("uncompiled")


def observations(steps: int = 12) -> sd.Observations:
    values = np.random.default_rng(4).normal(1.0, 1.0, steps + 1)
    return sd.Observations(np.arange(steps + 1), values, variance=VARIANCE)


def quadratic(data: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Path (M, 3), covariance of p, action, and its part for the control, by least squares."""
    M = len(data)
    rows, right = [], []

    def put(weights: dict[int, float], constant: float, weight: float) -> None:
        row = np.zeros(3 * M + 1)
        for at, value in weights.items():
            row[at] = value
        rows.append(np.sqrt(weight) * row)
        right.append(np.sqrt(weight) * constant)

    for n in range(M - 1):
        now, then = 3 * n, 3 * n + 3
        put({then: 1.0, now: -A[0, 0], now + 1: -A[0, 1], 3 * M: -1.0}, 0.0, RF)
        put({then + 1: 1.0, now: -A[1, 0], now + 1: -A[1, 1], now + 2: -2.0}, 0.0, RF)
        put({then + 2: 1.0, now + 2: -1.0}, 0.0, TIE / SIZE**2)
        put({now + 2: 1.0}, 0.0, COST)
    for n in range(M):
        put({3 * n: 1.0}, data[n], 1.0 / VARIANCE)
    J, b = np.array(rows), np.array(right)
    z = np.linalg.solve(J.T @ J, J.T @ b)
    path = z[:-1].reshape(M, 3)
    covariance = np.linalg.inv(J.T @ J)[-1:, -1:]
    level = 0.5 * float(np.sum((J @ z - b) ** 2))
    return path, covariance, level, 0.5 * COST * float(np.sum(path[:-1, 2] ** 2))


def anneal(action: sd.Action, data, solver, **further) -> sd.Run:
    options = {"ladder": sd.Ladder(RF, 2.0, 1), "paths": 1, "progress": False, "workers": 1}
    return sd.anneal(action, data, solver=solver, **{**options, **further})


@pytest.mark.compiled
@pytest.mark.parametrize("compiler", ["", "none"], ids=["compiled", "virtual machine"])
@pytest.mark.parametrize("solver", ["newton", FINER, FINE], ids=["newton", "ipopt", "lbfgs"])
def test_the_exact_linear_quadratic_solution(
    solver, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = observations()
    path, covariance, level, paid = quadratic(data.values[:, 0])
    action = sd.Action(MODEL, [x])
    with warnings.catch_warnings():
        if compiler:
            monkeypatch.setenv("SYMDA_CC", compiler)
            warnings.simplefilter("ignore", UserWarning)
        run = anneal(action, data, solver)
        spread = action.posterior(run, data).sd["p"]
    assert run.dataset.attrs["kernels"] == ("virtual machine" if compiler else "compiled")
    assert run.best.action == pytest.approx(level, abs=1e-8)
    # without second derivatives the path is known to the root of what the action is
    close = 1e-6 if solver is FINE else 1e-8
    np.testing.assert_allclose(run.best.states.values[:-1], path[:-1], atol=close)
    assert spread == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-8)
    # the control is paid by the model, and fits nothing for free: two states and p
    misfit = 0.5 * np.sum((path[:, 0] - data.values[:, 0]) ** 2) / VARIANCE
    assert run.best.measurement_term == pytest.approx(misfit, abs=1e-6)
    assert run.best.model_term == pytest.approx(level - misfit, abs=1e-6)
    assert run.best.model_term > paid > 0.0
    assert run.dataset.attrs["fitted"] == 3


def test_lifted_ipopt_and_windows_too() -> None:
    data = observations(24)
    _, _, level, _ = quadratic(data.values[:, 0])
    action = sd.Action(MODEL, [x])
    lifted = SOLVERS["ipopt"].with_options(formulation="lifted")
    assert anneal(action, data, lifted).best.action == pytest.approx(level, abs=1e-8)
    grown = anneal(action, data, "newton", strategy="window", start="nudged", paths=2)
    assert grown.best.action == pytest.approx(level, abs=1e-8)


def test_the_objective_is_a_sum_of_squares() -> None:
    from symda.solve.objective import Objective

    action = sd.Action(MODEL, [x])
    at = action.compile().machine.at(action.bind(observations()))
    objective = Objective(at, RF)
    z = np.random.default_rng(0).normal(size=objective.n)
    residuals, jacobian = objective.residuals(z), objective.jacobian(z)
    assert 0.5 * residuals @ residuals == pytest.approx(objective.value(z))
    np.testing.assert_allclose(jacobian.T @ residuals, objective.gradient(z), atol=1e-9)


@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson", "gauss4"])
def test_the_least_energy_to_a_target(scheme: str) -> None:
    """x' = -x + v from x(0) = 1 to about 3 at T = 2: v = c exp(-(T - t)) by Pontryagin."""
    T, target, variance = 2.0, 3.0, 0.01
    z = sd.state("z", start=(0.0, 4.0))
    v = sd.control("v", COST)
    action = sd.Action(sd.Model({z: -z + v}), [z], scheme=scheme, initial={z: 1.0})
    data = sd.Observations([0.0, T], [np.nan, target], variance=variance)
    run = anneal(action, data, "newton", steps=100, ladder=sd.Ladder(1e8, 2.0, 1))
    gramian = (1.0 - np.exp(-2.0 * T)) / 2.0
    missing = target - np.exp(-T)
    pull = missing / (variance + gramian / COST)
    level = 0.5 * missing**2 / (variance + gramian / COST)
    assert run.best.action == pytest.approx(level, rel=2e-4)
    # in the middle of a step where it is constant there
    points = run.dataset["time"].values
    shift = 0.01 if scheme == "rk4" else 0.0
    exact = pull * np.exp(-(T - points - shift)) / COST
    inner = (
        slice(5, -5)
        if scheme != "gauss4"
        else np.arange(4, points.size - 4)[np.arange(4, points.size - 4) % 3 != 0]
    )
    np.testing.assert_allclose(
        run.best.states.sel(state="v").values[inner], exact[inner], rtol=1e-2
    )


def test_a_mesh_pays_the_same() -> None:
    z = sd.state("z", start=(0.0, 4.0))
    v = sd.control("v", COST)
    data = sd.Observations([0.0, 1.0, 4.0], [1.0, 2.0, 1.0], variance=0.1)
    for scheme in ("rk4", "hermite-simpson", "radau3", "midpoint"):
        for steps in (1, 7):
            problem = sd.Action(sd.Model({z: -z + v}), [z], scheme=scheme).bind(data, steps=steps)
            assert problem.cost.sum() == pytest.approx(4.0 * COST)


def test_what_is_read(tmp_path: Path) -> None:
    action = sd.Action(MODEL, [x])
    text = str(action.equations())
    assert "channel cost of u" in text and "u 2.5" in text
    with pytest.raises(sd.OptionError, match="not derived with the control 'u'"):
        sd.Action(sd.Model({x: u - x}), [x]).lagrangian()
    page = action.report(tmp_path / "page.md").read_text()
    assert "cost of the square 2.5" in page
    assert MODEL.with_cost(u=4.0).declarations[u].cost == 4.0
    with pytest.raises(sd.ModelError, match="needs a cost"):
        MODEL.with_cost(u=None)


@pytest.mark.compiled
def test_code_without_controls_is_what_it_was() -> None:
    plain = sd.Action(sd.Model({x: 0.5 * x + p}, discrete=True), [x]).emitted_newton.text
    assert "control" not in plain


def test_wrong_controls() -> None:
    with pytest.raises(sd.ModelError, match=r"cost = -1.0 must be finite and larger than zero"):
        sd.control("u", -1.0)
    with pytest.raises(sd.ModelError, match="expected one name"):
        sd.control("u v", 1.0)
    z = sd.state("z", start=(0.0, 1.0))
    action = sd.Action(sd.Model({z: u - z}), [z], model_error="rate")
    data = sd.Observations([0.0, 1.0, 2.0], [1.0, 2.0, 1.0], variance=0.1)
    with pytest.raises(sd.OptionError, match="collocation: the model has the control u"):
        anneal(action, data, "collocation")
    i = sd.site("i", 300)
    field = sd.states("s", i, start=(-1.0, 1.0))
    with pytest.raises((sd.OptionError, sd.ModelError), match=r"control|per step"):
        sd.Action(sd.Model({field[i]: field[i - 1] - field[i] + u}), [field[0]])


class TestMeasured:
    """The data of a channel in the equations."""

    k = sd.parameter("k", bounds=(0.0, 5.0))
    times = np.array([0.0, 0.5, 1.0, 2.0])

    def data(self, values=(1.0, 2.0, 0.5, 1.5), **further) -> sd.Observations:
        return sd.Observations(self.times, values, variance=0.1, **further)

    def test_it_is_the_same_as_passing_the_data(self) -> None:
        mine, other = sd.measured(x), sd.forcing("other")
        made = sd.Action(sd.Model({x: self.k * (mine - x)}), [x]).bind(self.data(), steps=3)
        given = self.data(forcing={"other": [1.0, 2.0, 0.5, 1.5]})
        passed = sd.Action(sd.Model({x: self.k * (other - x)}), [x]).bind(given, steps=3)
        np.testing.assert_array_equal(made.u, passed.u)

    def test_by_the_name_of_a_channel_and_by_other_rules(self) -> None:
        square = sd.measured("square", rule="hold")
        action = sd.Action(sd.Model({x: square - x}), {"square": x**2}, scheme="euler")
        assert action.bind(self.data(), steps=2).u[:, 0, 0].tolist() == [1, 1, 2, 2, 0.5, 0.5]

    def test_gaps_are_bridged_with_a_warning_or_a_limit(self) -> None:
        values = [1.0, np.nan, 0.5, 1.5]
        with pytest.warns(DataWarning, match="from 0 to 1") as told:
            problem = sd.Action(sd.Model({x: sd.measured(x) - x}), [x]).bind(self.data(values))
        assert told[0].filename == __file__
        assert problem.u[0, :, 0].tolist() == [1.0, 0.875, 0.75]
        limited = sd.Model({x: sd.measured(x, longest=0.75) - x})
        with pytest.raises(sd.DataError, match=r"longer than longest = 0.75"):
            sd.Action(limited, [x]).bind(self.data(values))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sd.Action(sd.Model({x: sd.measured(x, longest=1.0) - x}), [x]).bind(self.data(values))

    def test_replicates_are_no_forcing(self) -> None:
        action = sd.Action(sd.Model({x: sd.measured(x) - x}), [x])
        data = sd.Observations([0.0, 1.0, 1.0, 2.0], [1.0, 0.5, 0.6, 0.3], variance=0.1)
        with pytest.raises(sd.DataError, match="measured more than once at one time"):
            action.bind(data)

    def test_it_is_never_extrapolated(self) -> None:
        action = sd.Action(sd.Model({x: sd.measured(x) - x}), [x])
        with pytest.raises(sd.DataError, match=r"forcing 'x_data': samples cover times 0.0 to 2.0"):
            action.bind(self.data(), stop=3.0)
        with pytest.raises(sd.DataError, match="samples are never extrapolated"):
            action.bind(self.data([np.nan, 1.0, 2.0, 1.0]))

    def test_what_was_not_measured(self) -> None:
        z = sd.state("z", start=(0.0, 1.0))
        with pytest.raises(sd.DataError, match="no channel of the action measures that"):
            sd.Action(sd.Model({x: sd.measured(z) - x, z: -z}), [x]).bind(self.data())
        with pytest.raises(sd.DataError, match="needs two data of the channel x"):
            sd.Action(sd.Model({x: sd.measured(x) - x, z: -z}), [x, z]).bind(
                sd.Observations(self.times, [[1, 1], *[[np.nan, 1]] * 3], variance=1.0)
            )
        with pytest.raises(sd.ModelError, match="expected a state, or the name of a channel"):
            sd.measured(x**2)
        with pytest.raises(sd.ModelError, match="measured: rule must be one of"):
            sd.measured(x, rule="nearest")

    def test_a_run_of_the_synchronisation_form_is_judged(self) -> None:
        g = sd.control("g", 1.0)
        action = sd.Action(sd.Model({x: -self.k * x + g * (sd.measured(x) - x)}), [x])
        times = np.arange(11) * 0.3
        values = np.exp(-times) + 0.05 * np.random.default_rng(1).normal(size=11)
        data = sd.Observations(times, values, variance=0.05**2)
        run = anneal(action, data, "newton", steps=2, ladder=sd.Ladder(1.0, 4.0, 10), paths=4)
        assert run.best.parameters["k"] == pytest.approx(1.0, abs=0.15)
        assert run.verdict().findings


@pytest.mark.smoke
def test_the_example(tmp_path: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "synchronisation.py"))
    _, _, run = script["estimate"]()
    for name, value in script["TRUE"].items():
        assert run.best.parameters[name] == pytest.approx(value, rel=0.03)
