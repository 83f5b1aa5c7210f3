"""One test of a minimum for every solver, in unknowns of their own size."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp
from models import make_case
from scipy.optimize import least_squares

import symda as sd
from symda.api import ProblemWarning
from symda.solve import SOLVERS, Ipopt, judge
from symda.solve.banded import BandedNewton
from symda.solve.box import Box
from symda.solve.options import NewtonOptions, tolerance
from symda.solve.stationary import PATIENCE, POLISH, settled

MAKERS = ("ipopt", "newton", "lbfgs")


def decay_problem(size: float = 1.0, upper: float = 20.0, **bind):
    """51 data of x' = -k x with noise of 1 %, all of a size."""
    x, k = (
        sd.state("x", bounds=(0.0, upper * size), start=(0.0, size)),
        sd.parameter("k", bounds=(0.0, 10.0)),
    )
    case = make_case(sd.Model({x: -k * x}, name="decay"), [x], "rk4")
    t = np.linspace(0.0, 5.0, 51)
    y = size * (np.exp(-t) + 0.01 * np.random.default_rng(0).standard_normal(51))
    return case, case.problem(t, y, variance=(0.01 * size) ** 2, **bind)


def test_the_decrement_is_that_of_the_dense_matrix():
    """Half of g^T H^-1 g, with the fixed parameter left out, by NumPy."""
    x, y = sd.states("x y", start=(-1.0, 1.0))
    a, b = sd.parameters("a b", start=(0.5, 1.5))
    case = make_case(sd.Model({x: y, y: -a * x - b * y}, name="damped"), [x], "hermite-simpson")
    t = np.linspace(0.0, 2.0, 9)
    problem = case.problem(t, np.cos(t), variance=0.01)
    problem = dataclasses.replace(problem, fixed=np.array([np.nan, 0.2]))
    at, rf = case.virtual.at(problem), np.full(2, 30.0)
    found = BandedNewton(case.virtual, problem, NewtonOptions()).minimise(
        np.zeros((problem.M, 2)), np.array([1.0, 0.2]), rf
    )
    rng = np.random.default_rng(0)
    X = found.path + 1e-3 * rng.standard_normal(found.path.shape)
    here = judge(at).at(X, found.theta, rf)
    free = np.r_[np.ones(X.size, dtype=bool), True, False]
    H = at.hessian(X, found.theta, rf).toarray()[np.ix_(free, free)]
    g = at.gradient(X, found.theta, rf)[free]
    assert here.finite and here.convex and not here.minimum
    assert here.decrement == pytest.approx(0.5 * g @ np.linalg.solve(H, g), rel=1e-8)
    assert "the action would still fall by" in here.words(problem)
    end = judge(at).at(found.path, found.theta, rf)
    assert end.minimum and end.words(problem) == ""
    # which way the minimum lies, and how far, to first order
    moved = here.expansion.shift(g_full := at.gradient(X, found.theta, rf))
    assert np.allclose(X + moved[: X.size].reshape(X.shape), found.path, atol=1e-5)
    assert here.expansion.rise(moved) == pytest.approx(here.decrement, rel=1e-6)
    assert g_full.shape == moved.shape


def test_a_saddle_and_a_slope_that_is_none_are_told_apart():
    x, k = sd.state("x", start=(-1.0, 1.0)), sd.parameter("k", bounds=(0.0, 1.0))
    case = make_case(sd.Model({x: k * x}, name="well", discrete=True), {"square": x**2})
    problem = case.problem(np.arange(3.0), [1.0, 1.1, 0.9], variance=0.01)
    saddle = judge(case.virtual.at(problem)).at(np.zeros((3, 1)), np.array([0.5]), np.ones(1))
    assert saddle.finite and not saddle.convex and "a saddle" in saddle.words(problem)
    root = make_case(sd.Model({x: -x}, name="root", discrete=True), {"root": sp.sqrt(x)})
    data = root.problem(np.arange(3.0), [1.0, 0.5, 0.2], variance=0.01)
    edge = judge(root.virtual.at(data)).at(np.array([[1.0], [0.0], [0.5]]), np.zeros(0), np.ones(1))
    assert not edge.finite
    assert "no finite derivative by x at t = 1" in edge.words(data)


def test_nearness_to_a_bound_is_in_units_of_the_unknown():
    """The same answer whatever the box; an unknown that no slope pushes is not held."""
    _, narrow = decay_problem(1e-8, upper=1.5)
    _, wide = decay_problem(1e-8, upper=1e38)
    scale = np.full(52, 1e20)
    for problem in (narrow, wide):
        assert Box(problem.unknowns).reach(scale)[0] == pytest.approx(1e-4 * 1e-10)
    case, problem = decay_problem()
    at = case.virtual.at(problem)
    X = np.exp(-problem.times)[:, None].copy()
    X[-1] = 0.0
    held = judge(at).at(X, np.array([1.0]), np.array([1e4])).held
    # the datum there is positive and the model pulls up: the bound holds nothing
    assert not held.any()
    X[:] = 0.0
    pushed = dataclasses.replace(problem, y=-np.abs(problem.y))
    held = judge(case.virtual.at(pushed)).at(X, np.array([1.0]), np.array([1e-4])).held
    assert held[:51].all()


@pytest.mark.parametrize("label", MAKERS)
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_every_solver_finds_the_fit_whatever_the_size(label, size):
    """SciPy's fit of x0 exp(-k t); Rf is so large that the model is exact."""
    case, problem = decay_problem(size)
    y, t = problem.y[:, 0] / size, problem.times
    fit = least_squares(lambda p: (p[0] * np.exp(-p[1] * t) - y) / 0.01, [1.0, 1.0], xtol=1e-14)
    start = size * np.exp(-0.8 * t)[:, None]
    rf = np.array([1e10 / size**2])
    end = SOLVERS[label].at(case.virtual, problem).minimise(start, np.array([0.8]), rf)
    assert judge(case.virtual.at(problem)).at(end.path, end.theta, rf).minimum
    assert end.action == pytest.approx(fit.cost, rel=1e-3)
    assert end.theta[0] == pytest.approx(fit.x[1], rel=1e-3)


@pytest.mark.parametrize("label", MAKERS)
def test_an_infinite_slope_on_a_bound_is_no_trap(label):
    """sqrt(x) measured, x >= 0, from the bound itself: all end where IPOPT does."""
    t = np.linspace(0.0, 4.0, 21)
    noise = 0.3 * np.random.default_rng(0).standard_normal(21)
    x, k = sd.state("x", bounds=(0.0, 100.0)), sd.parameter("k", bounds=(0.0, 5.0))
    case = make_case(sd.Model({x: -k * x}, name="root"), {"y": sp.sqrt(x)}, "rk4")
    problem = case.problem(t, np.sqrt(50.0 * np.exp(-0.8 * t)) + noise, variance=0.09)
    start, rf = 50.0 * np.exp(-t)[:, None], np.array([10.0])
    start[10:] = 0.0
    reference = Ipopt().at(case.virtual, problem).minimise(start, np.array([1.0]), rf)
    end = SOLVERS[label].at(case.virtual, problem).minimise(start, np.array([1.0]), rf)
    assert end.status == "converged", end.message
    assert end.action == pytest.approx(reference.action, rel=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_what_a_solver_says_of_a_minimum_does_not_count():
    """IPOPT asked for more than rounding allows says so; the path is a minimum all the same."""
    x, k = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0.0, 10.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="rk4")
    t = np.linspace(0.0, 5.0, 51)
    y = np.exp(-t) + 0.01 * np.random.default_rng(0).standard_normal(51)
    data = sd.Observations(t, y, variance=1e-4)
    chosen = {"paths": 2, "ladder": sd.Ladder(1.0, 10.0, 7), "progress": False}
    run = sd.anneal(action, data, solver="ipopt", options={"tol": 1e-30}, **chosen)
    assert (run.dataset["status"].values[:, -1] == 1).all()
    assert set(run.dataset["message"].values) == {""}
    assert (run.dataset["decrement"].values < 1e-9).all()
    few = sd.anneal(action, data, solver="lbfgs", options={"maxiter": 3}, **chosen)
    assert (few.dataset["status"].values[:, -1] == 3).all()
    for message in few.dataset["message"].values:
        assert "not a minimum: the action would still fall by" in message


@pytest.mark.smoke
def test_a_flat_valley_is_followed_to_its_end():
    """Four states, two of them measured; newton and its tolerance of 1e-12 gave 76.56857."""
    x, y, z, w = sd.states("x y z w", start=(-80.0, 80.0))
    a = sd.parameter("a", value=0.25, bounds=(0.125, 0.5))
    b = sd.parameter("b", value=3.0, bounds=(1.5, 6.0))
    equations = {x: -y - z, y: x + a * y + w, z: b + x * z, w: -0.5 * z + 0.05 * w}
    action = sd.Action(sd.Model(equations, name="hyperrossler"), [x, y], scheme="rk4")
    n, dt = 80, 0.027893691736984416
    first = [-93.667697, 15.5078, 0.032086964, 43.792796]
    times = dt * np.arange(2 * n + 1) / 2
    X = sd.simulate(action.model, times, first, rtol=1e-11, atol=1e-12).states.values
    s = 0.02 * X.std(axis=0)
    Y = X[::2, :2] + s[:2] * np.random.default_rng(4).standard_normal((n + 1, 2))
    variance = np.broadcast_to(s[:2] ** 2, Y.shape)
    data = sd.Observations(dt * np.arange(n + 1), Y, variance=variance)
    ladder = sd.Ladder(rf0=(1e-3 / s**2).tolist(), rungs=27)
    free = {"a": None, "b": None}
    chosen = {"ladder": ladder, "steps": 2, "fixed": free, "progress": False, "solver": "newton"}
    run = sd.anneal(action, data, paths=4, **chosen)
    np.testing.assert_allclose(run.dataset["action"].values[:, -1], 76.56857, atol=1e-4)
    assert (run.dataset["status"].values[:, -1] == 1).all()


def test_tolerances_are_neither_above_a_log_probability_nor_below_rounding():
    _, problem = decay_problem()
    assert tolerance(problem, 20.0, 1e-9) == pytest.approx(2e-8)
    assert tolerance(problem, 1e9, 1e-9) == pytest.approx(1e-4)
    assert tolerance(problem, 1e12, 1e-9) == pytest.approx(0.1)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
def test_a_measured_quantity_that_is_0_in_doubles_is_not_seen(solver: str) -> None:
    """exp(-1000) is 0 in doubles: A = sum y^2 / (2 variance) = 12.25, and no path failed."""
    x = sd.state("x", start=(-2, 2))
    action = sd.Action(sd.Model({x: -x}, name="unseen"), [sp.exp(-1000) * x], scheme="trapezoid")
    data = sd.Observations([0.0, 0.1, 0.2], [[1.0], [0.9], [0.8]], variance=[0.1])
    with pytest.warns(ProblemWarning, match="no measurement can see the state x"):
        run = sd.anneal(action, data, paths=2, solver=solver, progress=False)
    assert run.best.action == pytest.approx(12.25)
    assert not run.verdict().consistent


def test_a_bound_holds_a_parameter_whose_slope_points_inwards_while_others_are_off():
    """Reference: the dense Gaussian. A small error of the path turns the sign of the slope of a."""
    x = sd.state("x", start=(-5.0, 5.0))
    a, b = sd.parameter("a", bounds=(-1.0, 1.0)), sd.parameter("b", bounds=(-5.0, 5.0))
    model = sd.Model({x: x + a + b * sd.time()}, name="slope", discrete=True)
    case = make_case(model, [x])
    n, rf, nothing = np.arange(12.0), np.full(1, 1e4), (np.zeros((12, 1)), np.zeros(2))
    # without noise the data's a is 1.1 or 0.9: beyond the bound, or within it
    for true in (1.1, 0.9):
        problem = case.problem(n, true * n, variance=0.3)
        at, i = case.virtual.at(problem), 12 + problem.parameters.index("a")
        H, g = at.hessian(*nothing, rf).toarray(), at.gradient(*nothing, rf)
        assert np.linalg.solve(H, -g)[i] == pytest.approx(true)
        u, others = np.zeros(14), np.arange(14) != i
        u[i] = 1.0
        u[others] = np.linalg.solve(H[np.ix_(others, others)], -(g + H[:, i])[others])
        slope = at.gradient(u[:12, None], u[12:], rf)[i]
        assert (slope < 0.0) == (true > 1.0)
        assert judge(at).at(u[:12, None], u[12:], rf).held[i] == (true > 1.0)
        if true > 1.0:
            u[11] -= 2.0 * slope / H[i, 11]
            assert at.gradient(u[:12, None], u[12:], rf)[i] == pytest.approx(-slope, rel=1e-6)
            assert judge(at).at(u[:12, None], u[12:], rf).held[i]


def test_settled_knows_momenta_that_a_minimum_of_the_action_does_not():
    """A linear model: the exact minimum by rational numbers, and a point 1e-6 of the noise off."""
    rf, variance, N = 1e10, 0.25, 4
    x, b = sd.state("x", start=(-1.0, 1.0)), sd.parameter("b", start=(-1.0, 1.0))
    case = make_case(sd.Model({x: x / 2 + b}, name="line", discrete=True), [x])
    values = [1.0, 0.25, -0.5, 1.25, 2.0]
    problem = case.problem(np.arange(N + 1.0), values, variance=variance)
    # the steps, then the data
    J, W = sp.zeros(2 * N + 1, N + 2), sp.diag(*[int(rf)] * N, *[int(1 / variance)] * (N + 1))
    for n in range(N):
        J[n, n], J[n, n + 1], J[n, N + 1] = -sp.Rational(1, 2), 1, -1
    for n in range(N + 1):
        J[N + n, n] = 1
    right = [0] * N + [sp.Rational(str(value)) for value in values]
    exact = (J.T * W * J).LUsolve(J.T * W * sp.Matrix(right))
    momenta = np.array([int(rf) * p for p in (J * exact)[:N]], dtype=float)
    path, theta = np.array(exact[: N + 1], dtype=float)[:, None], np.array([float(exact[-1])])

    at, precision = case.virtual.at(problem), np.array([rf])
    near = path + 1e-6 * np.sqrt(1.0 / rf) * np.random.default_rng(0).normal(size=path.shape)
    test = judge(at)
    here = test.at(near, theta, precision)
    assert here.minimum
    X, found, end = settled(test, problem, near, theta, precision, here)
    before, after = (rf * at.residual(one, p)[:, 0] for one, p in ((near, theta), (X, found)))
    assert np.abs(before / momenta - 1.0).max() > 1e-2
    # what is left is the rounding of states, times Rf
    assert np.abs(after - momenta).max() < 4.0 * rf * np.finfo(float).eps * np.abs(path).max()
    assert end.decrement < here.decrement


class Scripted:
    """A judge that says one decrement after the other, of a point that it does not look at."""

    def __init__(self, decrements: list[float], action: float = 1.0, minimum: bool = True) -> None:
        self.said, self.action, self.minimum = iter(decrements), action, minimum
        self.asked = -1

    def at(self, path, theta, rf):
        self.asked += 1
        point = SimpleNamespace(gradient=None, action=self.action)
        # each step moves the path by one
        expansion = SimpleNamespace(shift=lambda _: np.array([1.0, 0.0]), point=point)
        return SimpleNamespace(minimum=self.minimum, decrement=next(self.said), expansion=expansion)


ONE = SimpleNamespace(
    unknowns=SimpleNamespace(
        join=lambda path, theta: np.append(path.reshape(-1), theta),
        split=lambda x: (x[:1][:, None], x[1:]),
        lower=np.full(2, -100.0),
        upper=np.full(2, 100.0),
    )
)


@pytest.mark.parametrize(
    ("decrements", "asked", "best"),
    [
        # quadratic, down to rounding
        ([1e-4, 1e-8, 1e-16, 1e-19, 0.0], 3, 3),
        # no fall at all: patience ends, and the start is best
        ([1e-4, *[1e-4] * 30], PATIENCE, 0),
        # falls by less than a tenth are none either, though the last is the lowest
        ([1e-4, *[1e-4 * (1 - 0.01 * i) for i in range(1, 31)]], PATIENCE, PATIENCE),
        # a curved valley: it rises before it falls
        ([1e-4, 3e-4, 2e-4, 1e-9, 1e-19], 4, 4),
        # halves for ever
        ([2.0**-i for i in range(60)], POLISH, POLISH),
    ],
)
def test_settled_ends(decrements, asked, best):
    script = Scripted(decrements)
    start = np.zeros((1, 1)), np.zeros(1)
    here = script.at(*start, None)
    path, _, end = settled(script, ONE, *start, None, here)
    assert script.asked == asked
    assert (path[0, 0], end.decrement) == (best, decrements[best])


def test_what_is_no_minimum_is_not_settled():
    script = Scripted([1e-4, 1e-8], minimum=False)
    start = np.ones((1, 1)), np.zeros(1)
    here = script.at(*start, None)
    assert settled(script, ONE, *start, None, here)[2] is here and script.asked == 0
