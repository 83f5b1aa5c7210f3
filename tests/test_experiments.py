"""Several experiments: one action over all of them, checked against the dense Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from models import ODE_SCHEMES
from several import answer, linear_model, recording

import symda as sd
from symda.solve import lanes
from symda.solve.newton import Newton

#: What is measured: a state, and a combination of states.
ROWS = (np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 1.0, -0.5, 0.0]))
RF = np.array([4000.0, 2000.0, 8000.0])
LADDER = sd.Ladder(rf0=tuple(RF), alpha=2.0, rungs=1)
#: Unequal lengths, gaps, variances and forcing; one is of a single step.
RECORDINGS = {
    "a": recording(1, 9, ROWS),
    "b 2": recording(2, 6, ROWS),
    "c": recording(3, 2, ROWS, gaps=0.0),
}
NAMES = ("k[a]", "k[b 2]", "k[c]", "c")
SOLVERS = (("newton", {}), ("ipopt", {}), ("ipopt", {"formulation": "lifted"}), ("lbfgs", {}))


pytestmark = pytest.mark.usefixtures("uncompiled")


def action(scheme: str) -> sd.Action:
    model, x, _ = linear_model()
    return sd.Action(model, [x[0], x[1] - 0.5 * x[2]], scheme=scheme)


def anneal(of: sd.Action, data, solver: str, options=None, **more) -> sd.Run:
    # no solver stops before the digits end
    exact = {
        "newton": {"tol": 1e-15},
        "ipopt": {"tol": 1e-13},
        "lbfgs": {"ftol": 0.0, "gtol": 0.0, "maxcor": 100, "maxls": 100},
    }
    chosen = {**exact[solver], **(options or {})}
    return sd.anneal(
        of,
        data,
        **{"ladder": LADDER, "paths": 1, "solver": solver, "options": chosen, "workers": 1, **more},
    )


def agree(run: sd.Run, expected, names=NAMES, tolerance: float = 1e-8) -> None:
    best = run.best
    size = np.abs(expected.path).max()
    assert abs(best.action - expected.action) < tolerance * expected.action
    assert np.abs(best.states.values - expected.path).max() < tolerance * size
    free = [best.parameters[name] for name in names]
    np.testing.assert_allclose(free, expected.theta, atol=tolerance * size)


@pytest.mark.compiled
@pytest.mark.parametrize(("solver", "options"), SOLVERS)
@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson"])
def test_the_minimum_is_that_of_the_dense_gaussian(scheme, solver, options):
    """Compiled; own and shared parameters, experiments of 8 steps, 5 and one."""
    run = anneal(action(scheme), RECORDINGS, solver, options)
    expected = answer(scheme, RECORDINGS, RF, parameters=NAMES, measured=ROWS)
    agree(run, expected)
    assert run.dataset.attrs["fitted"] == 3 * 3 + 4


@pytest.mark.parametrize(("solver", "options"), SOLVERS)
@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_so_it_is_without_a_compiler(uncompiled, scheme, solver, options):
    run = anneal(action(scheme), RECORDINGS, solver, options)
    expected = answer(scheme, RECORDINGS, RF, parameters=NAMES, measured=ROWS)
    agree(run, expected)


@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson"])
def test_the_posterior_is_that_of_the_dense_gaussian(uncompiled, scheme):
    of = action(scheme)
    run = anneal(of, RECORDINGS, "newton")
    expected = answer(scheme, RECORDINGS, RF, parameters=NAMES, measured=ROWS)
    found = of.posterior(run, RECORDINGS)
    assert found.names == NAMES
    size = np.abs(expected.covariance).max()
    assert np.abs(found.covariance - expected.covariance).max() < 1e-8 * size


def test_one_state_one_datum():
    """D = 1; an experiment of one step with one datum, and one of one datum in three steps."""
    model, x, _ = linear_model(1, forced=False)
    of = sd.Action(model, [x[0]], scheme="euler")
    rows = (np.array([1.0, 0.0]),)
    data = {
        "one": sd.Observations([0.0, 0.5], [np.nan, 0.7], variance=0.2),
        "late": sd.Observations([1.0, 1.5, 2.0, 2.5], [np.nan, np.nan, 0.4, np.nan], variance=0.1),
        "long": recording(5, 12, rows, forced=False),
    }
    fixed = {"k": 0.3, "k[late]": -0.2}
    held = {"k[one]": 0.3, "k[late]": -0.2, "k[long]": 0.3}
    names = ("c",)
    rf = np.array([50.0])
    expected = answer("euler", data, rf, parameters=names, fixed=held, measured=rows, D=1)
    for solver, options in SOLVERS:
        ladder = sd.Ladder(rf0=50.0, rungs=1)
        run = anneal(of, data, solver, options, ladder=ladder, fixed=fixed)
        agree(run, expected, names)


@pytest.mark.compiled
def test_threads_that_share_the_experiments_change_no_bit(monkeypatch):
    of = action("rk4")
    problem, kernels = of.bind(RECORDINGS), of.compile().machine
    monkeypatch.setattr(lanes, "SHARED_WORK", 0)
    solver = Newton().at(kernels, problem)
    assert isinstance(solver, lanes.NewtonLanes)
    rng = np.random.default_rng(2)
    paths, thetas = rng.normal(size=(2, problem.M, 3)), rng.normal(size=(2, problem.P))
    rf = np.stack([RF, 10.0 * RF])
    one, *others = (solver.ladder(paths, thetas, rf, threads=threads) for threads in (1, 2, 3, 9))
    assert (one.status == 1).all()
    for other in others:
        for name in ("paths", "thetas", "measurement_terms", "model_terms", "iterations"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_how_a_parameter_of_each_experiment_is_declared():
    k, q = sd.parameters("k q", per="experiment", bounds=(0.0, 1.0))
    assert (k.name, q.declaration.bounds) == ("k", (0.0, 1.0))
    assert k != sd.parameter("k", bounds=(0.0, 1.0))
    with pytest.raises(sd.ModelError, match="process_variance is that of a parameter's change"):
        sd.parameter("k", per="experiment", process_variance=1.0)
    x = sd.state("x")
    with pytest.raises(sd.ModelError, match="k"):
        sd.Model({x: k * x + sd.parameter("k", bounds=(0.0, 1.0))})


@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
def test_a_shared_parameter_may_be_fixed_in_one_experiment(solver):
    """It then has a value of its own there, which is no unknown; the others go on sharing it."""
    of = action("rk4")
    fixed = {"c[b 2]": 0.25, "k[a]": -0.4}
    names = ("k[b 2]", "k[c]", "c")
    expected = answer("rk4", RECORDINGS, RF, parameters=names, fixed=fixed, measured=ROWS)
    run = anneal(of, RECORDINGS, solver, fixed=fixed)
    agree(run, expected, names)
    best = run.best
    assert best.parameters["c[b 2]"] == 0.25
    assert best.experiments["b 2"].parameters["c"] == 0.25
    assert best.experiments["a"].parameters["c"] == best.parameters["c"] != 0.25
    assert run.dataset.attrs["fitted"] == 3 * 3 + 3
    problem = of.bind(RECORDINGS, fixed={"c": 0.5})
    assert problem.fixed[problem.parameters.index("c")] == 0.5
    assert problem.parameters == NAMES
    problem = of.bind(RECORDINGS, fixed={"k": 1.0, "k[c]": None})
    assert problem.free.tolist() == [False, False, True, True]


def test_without_shared_parameters_experiments_are_annealed_as_if_alone():
    """Nothing joins them: paths, parameters and actions are those of each by itself."""
    model, x, _ = linear_model()
    of = sd.Action(model, [x[0], x[1] - 0.5 * x[2]], scheme="hermite-simpson")
    run = anneal(of, RECORDINGS, "newton", fixed={"c": 0.2})
    alone = {
        name: anneal(of, data, "newton", fixed={"c": 0.2}).best for name, data in RECORDINGS.items()
    }
    assert run.best.action == pytest.approx(sum(one.action for one in alone.values()), rel=1e-12)
    for name, one in alone.items():
        part = run.best.experiments[name]
        assert part.parameters["k"] == pytest.approx(one.parameters["k"], rel=1e-9)
        np.testing.assert_allclose(part.states, one.states, atol=1e-9)
        np.testing.assert_allclose(part.states["time"], one.states["time"])
        np.testing.assert_allclose(part.momenta, one.momenta, atol=1e-7)


def test_derivatives_of_the_whole_are_right(uncompiled):
    """Gradient and Hessian by differences, products and Jacobians by the gradient and action."""
    of = action("hermite-simpson")
    problem = of.bind(RECORDINGS)
    at = of.compile().machine.at(problem)
    rng = np.random.default_rng(0)
    X, theta = rng.normal(size=(problem.M, 3)), rng.normal(size=problem.P)
    x, v = problem.unknowns.join(X, theta), rng.normal(size=problem.unknowns.count)

    def value(z):
        return at.action(*problem.unknowns.split(z), RF)

    slope = (value(x + 1e-5 * v) - value(x - 1e-5 * v)) / 2e-5
    assert at.gradient(X, theta, RF) @ v == pytest.approx(slope, rel=1e-7)
    H = at.hessian(X, theta, RF)
    ahead = at.gradient(*problem.unknowns.split(x + v), RF)
    # the action is quadratic, so that differences are exact
    np.testing.assert_allclose(H @ v, ahead - at.gradient(X, theta, RF), rtol=1e-8, atol=1e-8)
    J = at.residual_jacobian(X, theta)
    moved = at.residual(*problem.unknowns.split(x + v)) - at.residual(X, theta)
    np.testing.assert_allclose(J @ v, moved.reshape(-1), atol=1e-10)
    K = at.measure_jacobian(X, theta)
    change = at.measure(*problem.unknowns.split(x + v)) - at.measure(X, theta)
    np.testing.assert_allclose(K @ v, change.reshape(-1), atol=1e-10)
    # what is of one experiment does not reach into another
    assert len(problem.segments) == 3
    for segment, other in zip(problem.segments, problem.segments[1:], strict=False):
        left = slice(3 * segment.first_point, 3 * other.first_point)
        right = slice(3 * other.first_point, 3 * problem.M)
        assert not H[left, right].nnz


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_bounds_hold_shared_and_own_parameters(scheme):
    """The best c is near 3, that of k in one experiment above its bound, in another below."""
    model, x, _ = linear_model()
    model = model.with_start(c=(0.0, 1.0), k=(0.0, 0.1)).with_bounds(c=(-1.0, 2.0), k=(-1.0, 0.3))
    of = sd.Action(model, [x[0], x[1] - 0.5 * x[2]], scheme=scheme)
    newton, ipopt = (anneal(of, RECORDINGS, solver).best for solver in ("newton", "ipopt"))
    assert newton.parameters["c"] == 2.0
    held = [name for name in NAMES if newton.parameters[name] in (-1.0, 0.3)]
    assert 0 < len(held) < 3
    assert newton.action == pytest.approx(ipopt.action, rel=1e-8)
    for name in NAMES:
        assert newton.parameters[name] == pytest.approx(ipopt.parameters[name], abs=1e-6)


@pytest.mark.parametrize("averaging", ["eq2", "eq14", "minaone", "varanneal"])
def test_averages_are_over_all_experiments(uncompiled, averaging):
    model, x, _ = linear_model()
    problem = sd.Action(model, [x[0], x[1] - 0.5 * x[2]], scheme="euler", averaging=averaging).bind(
        RECORDINGS
    )
    plain = action("euler").bind(RECORDINGS)
    c_m, c_f = sd.observe.averaging_factors(averaging, N=14, M=17, D=3, L=2, T=17)
    np.testing.assert_allclose(problem.rm, c_m * plain.rm)
    np.testing.assert_allclose(problem.weight, c_f * plain.weight)
    assert problem.measurement_scale == c_m


def test_each_experiment_is_a_problem_of_its_own():
    """Taken apart, the whole is what each recording is bound to alone."""
    of = action("hermite-simpson")
    problem = of.bind(RECORDINGS, steps=2)
    for part, segment, data in zip(
        problem.experiments, problem.segments, RECORDINGS.values(), strict=True
    ):
        alone = of.bind(data, steps=2)
        for name in ("times", "node_times", "h", "u", "weight", "y", "rm", "typical"):
            np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))
        assert part.parameters == alone.parameters == ("k", "c")
        assert (segment.steps, segment.points) == (alone.N, alone.M)
    assert problem.N == sum(part.N for part in problem.experiments)
    assert problem.M == 2 * problem.N + 3
    np.testing.assert_array_equal(
        problem.left_times, np.concatenate([p.node_times[:-1] for p in problem.experiments])
    )
    np.testing.assert_allclose(problem.right_times - problem.left_times, problem.h)


def test_windows_take_the_same_share_of_each_experiment():
    problem = action("hermite-simpson").bind(RECORDINGS, steps=4)
    assert [s.steps for s in problem.segments] == [32, 20, 4]
    before = None
    for steps in range(1, problem.N + 1):
        window = problem.window(steps)
        shares = [
            part.N / whole.N
            for part, whole in zip(window.experiments, problem.experiments, strict=True)
        ]
        assert all(steps / problem.N <= share < steps / problem.N + 1 / 4 for share in shares)
        points = problem.shortened(np.arange(problem.M), steps)
        np.testing.assert_array_equal(window.times, problem.times[points])
        np.testing.assert_array_equal(window.y, problem.y[points])
        if before is not None:
            assert set(before) <= set(points)
        before = points
    np.testing.assert_array_equal(points, np.arange(problem.M))


@pytest.mark.parametrize("scheme", [*ODE_SCHEMES, "map"], ids=lambda s: getattr(s, "name", s))
def test_the_whole_is_the_sum_of_its_experiments(uncompiled, scheme):
    """Action, gradient, Hessian and residuals of a nonlinear model, whatever the scheme."""
    x, y = sd.states("x y", start=(0.5, 1.5))
    a = sd.parameter("a", bounds=(0.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 2.0), per="experiment")
    model = sd.Model(
        {x: a * x - k * x * y, y: k * x * y - y / (1 + a)},
        name=f"prey {scheme}",
        discrete=scheme == "map",
    )
    of = sd.Action(model, [x * y, k * y], scheme=scheme)
    rng = np.random.default_rng(3)
    data = [
        sd.Observations(np.arange(float(n)), rng.uniform(0.5, 1.5, (n, 2)), variance=0.1 * n)
        for n in (4, 2, 3)
    ]
    problem = of.bind(data, fixed={"a[2]": 1.0})
    at = of.compile().machine.at(problem)
    X, theta = rng.uniform(0.5, 1.5, (problem.M, 2)), rng.uniform(0.5, 1.5, problem.P)
    rf = np.array([2.0, 3.0])
    action, gradient = at.value_and_gradient(X, theta, rf)
    hessian = at.hessian(X, theta, rf).toarray()
    count, on_path = problem.unknowns.count, problem.unknowns.on_path
    total, slopes, matrix, residuals = 0.0, np.zeros(count), np.zeros((count, count)), []
    for one, segment, use, (_, path, own) in zip(
        at.experiments, problem.segments, problem.use, problem.apart(X, theta), strict=True
    ):
        first = 2 * segment.first_point
        mine = np.concatenate([first + np.arange(path.size), on_path + use])
        total += one.action(path, own, rf)
        slopes[mine] += one.gradient(path, own, rf)
        matrix[np.ix_(mine, mine)] += one.hessian(path, own, rf).toarray()
        residuals.append(one.residual(path, own))
    assert action == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(hessian, matrix, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(at.residual(X, theta), np.concatenate(residuals))


def test_the_unit_of_a_rate_is_that_of_the_experiments(uncompiled):
    """Two of the same length have the typical time between data of each, wherever they lie."""
    x = sd.state("x", start=(0.0, 1.0))
    action = sd.Action(sd.Model({x: -x}), [x], model_error="rate")
    data = [sd.Observations(at + np.arange(5.0), np.ones(5), variance=0.1) for at in (0.0, 100.0)]
    units = [action.bind(one, steps=2).step_unit for one in (data[0], data)]
    assert units[1] == units[0] == pytest.approx(1.0)  # one over the time between data
