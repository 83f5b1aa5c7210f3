"""Back-propagation as momentum: equal to reverse mode, and the limit of the action's momenta."""

from __future__ import annotations

import re
import runpy
from dataclasses import dataclass
from pathlib import Path

import casadi as ca
import numpy as np
import pytest
import sympy as sp
from models import ODE_SCHEMES, PARTITIONED, make_case, oscillators, random_problem, relative

import symda as sd
from symda.analyse.backpropagation import backpropagate
from symda.errors import DataError, OptionError, SolveError
from symda.solve.banded import BandedNewton
from symda.solve.options import NewtonOptions


@dataclass(frozen=True)
class Network:
    """Layers of `width` units: x <- tanh(W_n x + b) + s x with W_n, and b and s shared."""

    width: int
    layers: int
    seed: int

    @property
    def rng(self):
        return np.random.default_rng([self.seed, self.width, self.layers])

    def layer(self, x, W, b, s, tanh):
        d = range(self.width)
        return [tanh(sum(W[i * self.width + j] * x[j] for j in d) + b[i]) + s * x[i] for i in d]

    def measured(self, x, W, c):
        """One unit, an expression with a parameter of its own, one of a weight."""
        return [x[0], c * x[-1] ** 2 + x[0], W[0] * x[-1]]

    def model(self, weight):
        """The map, with what `weight` makes as its weights."""
        wide = {"start": (-1.0, 1.0)}
        x = [sd.state(f"x{i}", **wide) for i in range(self.width)]
        W = [weight(f"w{i}") for i in range(self.width**2)]
        b = [sd.parameter(f"b{i}", **wide) for i in range(self.width)]
        s, c = sd.parameter("s", **wide), sd.parameter("c", **wide)
        layers = dict(zip(x, self.layer(x, W, b, s, sp.tanh), strict=True))
        model = sd.Model(layers, name="network", discrete=True)
        return model, dict(zip("abc", self.measured(x, W, c), strict=True))

    def draw(self):
        """Initial state, weights, constants, and values with gaps at some layers."""
        rng, d, N = self.rng, self.width, self.layers
        x0, W = rng.normal(size=d), rng.normal(size=(d * d, N + 1))
        constants = rng.normal(size=d + 2)
        values, variance = rng.normal(size=(N + 1, 3)), rng.uniform(0.1, 2.0, size=(N + 1, 3))
        values[rng.random(values.shape) < 0.5] = np.nan
        values[-1, 1] = 0.3
        return x0, W, constants, values, variance

    def reverse(self):
        """Loss and gradient by CasADi's reverse mode of the composed map, nothing of symda."""
        x0, W, constants, values, variance = self.draw()
        d, N = self.width, self.layers
        X, Ws, C = ca.SX.sym("x", d), ca.SX.sym("W", d * d, N + 1), ca.SX.sym("c", d + 2)
        b, s, c = ca.vertsplit(C[:d]), C[d], C[d + 1]
        x, loss = ca.vertsplit(X), ca.SX(0)
        for n in range(N + 1):
            weights = ca.vertsplit(Ws[:, n])
            for h, y, v in zip(self.measured(x, weights, c), values[n], variance[n], strict=True):
                loss += 0 if np.isnan(y) else (h - y) ** 2 / (2 * v)
            x = self.layer(x, weights, b, s, ca.tanh)
        inputs = [X, Ws, C]
        function = ca.Function("loss", inputs, [loss])
        gradient = function.reverse(1)
        value = function(x0, W, constants)
        return float(value), [g.full() for g in gradient(x0, W, constants, value, 1.0)]

    def action(self):
        return sd.Action(*self.model(lambda name: sd.parameter(name, per="step", start=(-1, 1))))

    def data(self):
        _, _, _, values, variance = self.draw()
        times = np.arange(self.layers + 1.0)
        return sd.Observations(times, values, variance=variance, channels=list("abc"))

    def parameters(self, action):
        x0, W, constants, _, _ = self.draw()
        names = [*(f"b{i}" for i in range(self.width)), "s", "c"]
        named = dict(zip(names, constants.tolist(), strict=True))
        assert set(named) == {p.name for p in action.parameters}
        return x0, named | {f"w{i}": row for i, row in enumerate(W)}


def agrees(found, network):
    loss, (by_initial, by_weight, by_constant) = network.reverse()
    d = network.width
    names = [*(f"b{i}" for i in range(d)), "s", "c"]
    assert found.loss == pytest.approx(loss, rel=1e-13)
    assert relative(found.by_initial.values, by_initial[:, 0]) < 1e-12
    weights = found.by_step.sel(state=[f"w{i}" for i in range(d * d)])
    assert relative(weights.values, by_weight.T) < 1e-12
    constants = [found.by_parameters[name] for name in names]
    assert relative(constants, by_constant[:, 0]) < 1e-12


@pytest.mark.parametrize("network", [Network(2, 5, 0), Network(1, 1, 1)], ids=str)
def test_the_gradient_is_casadis_reverse_mode(network):
    action = network.action()
    found = action.backpropagate(network.data(), *network.parameters(action))
    agrees(found, network)
    assert found.momenta.shape == (network.layers, network.width + network.width**2)
    assert not found.momenta.values[:, network.width :].any()


@pytest.mark.parametrize("seed", range(12))
def test_the_gradient_on_the_virtual_machine(seed):
    rng = np.random.default_rng(seed)
    network = Network(int(rng.integers(1, 5)), int(rng.integers(1, 9)), seed)
    action = network.action()
    case = make_case(action.model, action.measurement.functions)
    problem = action.bind(network.data())
    x0, named = network.parameters(action)
    path = np.stack(
        [
            np.broadcast_to(named.get(name, 0.0), problem.M)
            for name in problem.states
        ],
        axis=1,
    )  # fmt: skip
    path[0, : network.width] = x0
    theta = np.array([named[name] for name in problem.parameters])
    agrees(backpropagate(case.virtual.at(problem), path, theta, explicit=True), network)


def test_momenta_of_minimisers_tend_to_the_recursion_like_one_over_rf():
    """Weights known: forcing to the minimiser, parameters per step to back-propagation."""
    network = Network(2, 6, 3)
    _, W, constants, values, variance = network.draw()
    model, measured = network.model(sd.forcing)
    # forcing cannot be measured
    del measured["c"]
    case = make_case(model, measured)
    times = np.arange(network.layers + 1.0)
    forcing = {f"w{i}": sd.Samples(times, row, "hold") for i, row in enumerate(W)}
    names = [p.name for p in case.field.parameters]
    fixed = dict(zip([*(f"b{i}" for i in range(2)), "s", "c"], constants, strict=True))
    problem = case.problem(times, values[:, :2], variance[:, :2], forcing=forcing, fixed=fixed)
    theta = np.array([fixed[name] for name in names])
    solver = BandedNewton(case.virtual, problem, NewtonOptions(tol=1e-13))
    X = np.zeros((problem.M, problem.D))
    distances, scales = [], 10.0 ** np.arange(2, 9)
    at = case.virtual.at(problem)
    for rf in scales:
        found = solver.minimise(X, theta, np.full(problem.D, rf))
        X = found.path
        path = np.zeros_like(X)
        path[0] = X[0]
        limit = backpropagate(at, path, theta, explicit=True)
        distances.append(relative(found.momenta, limit.momenta.values))
    # p is Rf times a difference of states: its own rounding grows with Rf
    rounding = 10 * scales * np.finfo(float).eps
    trusted = np.array(distances) > rounding
    assert trusted[:5].all() and max(distances) < 1.0
    slope = np.polyfit(np.log(scales[trusted]), np.log(np.array(distances)[trusted]), 1)[0]
    assert abs(slope + 1.0) < 0.15, distances
    assert distances[-1] < 1e-5 * distances[0]


def problem_of(case, rng):
    return random_problem(case, rng, N=4, uniform=False, observed="gaps")


@pytest.mark.parametrize("scheme", (*ODE_SCHEMES, *PARTITIONED), ids=lambda s: s.name)
def test_every_scheme_has_the_gradient_of_its_loss(scheme):
    """Along random directions against central differences, extrapolated."""
    case = make_case(*oscillators(), scheme)
    rng = np.random.default_rng(5)
    problem = problem_of(case, rng)
    at, own = case.virtual.at(problem), problem.per_step
    start = 0.5 * rng.normal(size=(problem.M, problem.D))
    theta = 0.5 * rng.normal(size=problem.P)

    def run(path, theta):
        return backpropagate(at, path, theta, explicit=scheme.explicit)

    found = run(start.copy(), theta)
    assert np.abs(at.residual(found.states.values, theta)[:, : problem.D][:, ~own]).max() < 1e-14
    for _ in range(2):
        move, turn = np.zeros_like(start), rng.normal(size=problem.P)
        move[0, ~own], move[:, own] = rng.normal(size=4), rng.normal(size=(problem.M, 1))
        expected = (
            move[0, ~own] @ found.by_initial.values + (move[:, own] * found.by_step.values).sum()
        )
        expected += turn @ np.array([found.by_parameters[name] for name in problem.parameters])

        def change(e, move=move, turn=turn):
            ends = (run(start + s * e * move, theta + s * e * turn).loss for s in (1, -1))
            return np.subtract(*ends) / (2 * e)

        got = (4 * change(1e-3) - change(2e-3)) / 3
        assert got == pytest.approx(expected, rel=1e-7, abs=1e-7 * abs(found.loss))


def test_an_ode_under_rk4_is_reverse_mode_of_the_formulas_written_out():
    x, y = sd.states("x y", start=(-1.0, 1.0))
    k = sd.parameter("k", value=0.8)
    model = sd.Model({x: y, y: -k * sp.sin(x) - y / 5}, name="pendulum of one length")
    action = sd.Action(model, [x])
    data = sd.Observations([0.0, 0.3, 0.6], [[0.1], [np.nan], [0.5]], variance=0.1)
    found = action.backpropagate(data, {"x": 0.4, "y": 1.0}, steps=2)

    X, K = ca.SX.sym("x", 2), ca.SX.sym("k")

    def F(z):
        return ca.vertcat(z[1], -K * ca.sin(z[0]) - z[1] / 5)

    z, h = X, 0.15
    for _ in range(4):
        k1 = F(z)
        k2 = F(z + h / 2 * k1)
        k3 = F(z + h / 2 * k2)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + F(z + h * k3))
    loss = (X[0] - 0.1) ** 2 / 0.2 + (z[0] - 0.5) ** 2 / 0.2
    gradient = ca.Function("g", [X, K], [loss, ca.gradient(loss, X), ca.gradient(loss, K)])
    value, by_initial, by_k = gradient([0.4, 1.0], 0.8)
    assert found.loss == pytest.approx(float(value), rel=1e-13)
    assert relative(found.by_initial.values, by_initial.full()[:, 0]) < 1e-12
    assert found.by_parameters["k"] == pytest.approx(float(by_k), rel=1e-12)


MISTAKES = {
    "no weights": (
        {"b0": 0.1, "s": 0.0, "c": 1.0},
        [0.1],
        DataError,
        "backpropagate: no values for the parameter per step 'w0'; pass parameters={'w0': ...} "
        "with a number, or a value for each of the 4 grid points, or 3 steps.",
    ),
    "too many weights": (
        {"w0": np.zeros(5), "b0": 0.1, "s": 0.0, "c": 1.0},
        [0.1],
        DataError,
        "backpropagate: parameters['w0']: got shape (5,); pass",
    ),
    "nan": (
        {"w0": [0.0, np.nan, 1.0], "b0": 0.1, "s": 0.0, "c": 1.0},
        [0.1],
        DataError,
        "backpropagate: parameters['w0']: got values that are not finite; pass",
    ),
    "words": ({"w0": "deep"}, [0.1], DataError, "backpropagate: parameters['w0'] is not numbers"),
    "no constant": (
        {"w0": 0.0, "b0": 0.1, "s": 0.0},
        [0.1],
        sd.InputError,
        "no value for the parameter 'c'",
    ),
    "initial state of weights too": (
        {"w0": 0.0, "b0": 0.1, "s": 0.0, "c": 1.0},
        [0.1, 0.2],
        DataError,
        "backpropagate: initial must have length 1, one for each of x0; got 2 values",
    ),
    "blown up": (
        {"w0": 0.0, "b0": 0.1, "s": 1e200, "c": 1.0},
        [0.1],
        SolveError,
        "backpropagate: in step 1, from t = 1, the path leaves finite numbers. Start nearer",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    parameters, initial, error, message = MISTAKES[name]
    network = Network(1, 3, 0)
    with pytest.raises(error, match=re.escape(message)):
        network.action().backpropagate(network.data(), initial, parameters)


@pytest.mark.filterwarnings("error")
def test_what_overflows_behind_the_path_is_named_and_the_result_reads_in_a_line():
    x, y = sd.states("x y", start=(-1, 1))
    c = sd.parameter("c", start=(-1, 1))
    model = sd.Model({x: sp.tanh(x + c * y), y: y}, discrete=True, name="net")
    values = [[0.3], [np.nan], [0.5]]
    data = sd.Observations(np.arange(3.0), values, variance=0.5, channels=["o"])
    action = sd.Action(model, {"o": x * y})
    with pytest.raises(SolveError, match="at t = 0, the measurement term leaves finite numbers"):
        action.backpropagate(data, [1e200, 1e200], {"c": 0.7})
    late = sd.Observations(data.times, [[np.nan], [np.nan], [0.5]], variance=0.5, channels=["o"])
    with pytest.raises(SolveError, match="in step 1, from t = 1, the momenta leave finite numbers"):
        sd.Action(model, {"o": 1e200 * x}).backpropagate(late, [0.0, 1e150], {"c": 0.0})
    found = action.backpropagate(data, [0.1, 0.2], {"c": 0.7})
    assert repr(found) == (
        f"<Backpropagation through 2 steps: loss {found.loss:.6g}, by 2 initial values, c>"
    )
    assert found.momenta["component"].values.tolist() == ["x", "y"]


def test_a_matrix_free_action_is_refused():
    i = sd.site("i", 5)
    x = sd.states("x", i, start=(-1.0, 1.0))
    model = sd.Model({x[i]: x[i - 1] - x[i]}, name="chain")
    action = sd.Action(model, [x[0]], matrix_free=True)
    with pytest.raises(OptionError, match="has no Jacobians of its steps"):
        action.backpropagate(sd.Observations([0.0, 0.1], [[0.0], [1.0]], variance=1.0), np.ones(5))


def test_the_example_learns():
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "backpropagation.py"))
    distance, loss, answers = script["train"]()
    assert distance < 1e-12 and loss < 1e-6
    np.testing.assert_allclose(answers, [answer for _, answer in script["PAIRS"]], atol=1e-2)


def test_replicates_count_each(uncompiled) -> None:
    """A value measured twice is two terms of the loss: that of half the variance, but for a sum."""
    x, k = sd.state("x", start=(0.0, 1.0)), sd.parameter("k", start=(0.0, 1.0))
    action = sd.Action(sd.Model({x: -k * x}), [x], scheme="rk4")
    twice = sd.Observations([0.0, 1.0, 1.0, 2.0], [1.0, 0.5, 0.7, 0.2], variance=0.1)
    once = sd.Observations([0.0, 1.0, 2.0], [1.0, 0.6, 0.2], variance=[[0.1], [0.05], [0.1]])
    got, wanted = (
        action.backpropagate(data, {"x": 1.1}, {"k": 0.7}, steps=2) for data in (twice, once)
    )
    assert got.by_parameters["k"] == pytest.approx(wanted.by_parameters["k"], rel=1e-12)
    assert got.loss == pytest.approx(wanted.loss + 0.5 * 0.02 / 0.1, rel=1e-12)
