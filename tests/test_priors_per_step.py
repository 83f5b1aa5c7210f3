"""Priors of each value of a parameter per step, against dense and independent computations."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm, t

import symda as sd
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step
from symda.observe.problem import TIE
from symda.solve import SOLVERS

RF, VARIANCE, SCALE, SIZE = 30.0, 0.2, 0.7, 3.0
A = np.array([[0.8, 0.3], [-0.25, 0.9]])

x, y = sd.states("x y", start=(-2.0, 2.0))
p, mean = sd.parameters("p mean", bounds=(-9.0, 9.0))
w = sd.parameter("w", per="step", start=(-SIZE, SIZE), prior=sd.Normal(2 * mean, SCALE))
MAP = sd.Model(
    {x: A[0, 0] * x + A[0, 1] * y + p, y: A[1, 0] * x + A[1, 1] * y + 2 * w}, discrete=True
)
FINE = SOLVERS["lbfgs"].with_options(ftol=1e-16, gtol=1e-12)
FINER = SOLVERS["ipopt"].with_options(tol=1e-11)
OPTIONS = {"paths": 1, "progress": False, "workers": 1}


def observations(steps: int = 12, seed: int = 4) -> sd.Observations:
    values = np.random.default_rng(seed).normal(1.0, 1.0, (steps + 1, 2))
    return sd.Observations(np.arange(steps + 1), values, variance=VARIANCE)


def dense(data: np.ndarray, walk: float | None = None):
    """Path (M, 3), (p, mean), their least action and the prior's part.

    Without `walk` each of the values but the last, which no equation uses, has the prior; with it
    the first one has, and from there on it is a random walk of that variance.
    """
    M = len(data)
    rows, right, priors = [], [], []

    def put(weights: dict[int, float], constant: float, weight: float, prior: bool = False) -> None:
        row = np.zeros(3 * M + 2)
        for at, value in weights.items():
            row[at] = value
        rows.append(np.sqrt(weight) * row)
        right.append(np.sqrt(weight) * constant)
        priors.append(prior)

    for n in range(M - 1):
        now, then = 3 * n, 3 * n + 3
        put({then: 1.0, now: -A[0, 0], now + 1: -A[0, 1], 3 * M: -1.0}, 0.0, RF)
        put({then + 1: 1.0, now: -A[1, 0], now + 1: -A[1, 1], now + 2: -2.0}, 0.0, RF)
        put({then + 2: 1.0, now + 2: -1.0}, 0.0, TIE / SIZE**2 if walk is None else 1.0 / walk)
        if walk is None or n == 0:
            put({now + 2: 1.0, 3 * M + 1: -2.0}, 0.0, 1.0 / SCALE**2, prior=True)
    for n in range(M):
        for a in (0, 1):
            put({3 * n + a: 1.0}, data[n, a], 1.0 / VARIANCE)
    J, b = np.array(rows), np.array(right)
    z = np.linalg.solve(J.T @ J, J.T @ b)
    costs = 0.5 * (J @ z - b) ** 2
    return (
        z[:-2].reshape(M, 3),
        z[-2:],
        np.linalg.inv(J.T @ J)[-2:, -2:],
        costs.sum(),
        costs[priors].sum(),
    )


@pytest.mark.parametrize("machine", ["compiled", "virtual machine"])
@pytest.mark.parametrize("solver", ["newton", FINER, FINE], ids=["newton", "ipopt", "lbfgs"])
def test_the_dense_gaussian(solver, machine, request) -> None:
    if machine != "compiled":
        request.getfixturevalue("uncompiled")
    data = observations()
    path, _, covariance, level, prior = dense(data.values)
    action = sd.Action(MAP, [x, y])
    run = sd.anneal(action, data, solver=solver, ladder=sd.Ladder(RF, 2.0, 1), **OPTIONS)
    assert run.dataset.attrs["kernels"] == machine
    assert run.best.action == pytest.approx(level, abs=1e-8)
    close = 1e-6 if solver is FINE else 1e-8
    np.testing.assert_allclose(run.best.states.values[:-1], path[:-1], atol=close)
    found = action.posterior(run, data)
    np.testing.assert_allclose([*found.sd.values()], np.sqrt(np.diag(covariance)), rtol=1e-8)
    # the prior's term is neither of the data nor of the model
    misfit = 0.5 * np.sum((path[:, :2] - data.values) ** 2) / VARIANCE
    assert run.best.measurement_term == pytest.approx(misfit, abs=1e-6)
    assert run.best.prior_term == pytest.approx(prior, abs=1e-6)
    # two states, p and mean are fitted: the values pay for themselves
    assert run.dataset.attrs["fitted"] == 4


def test_with_a_process_variance_it_is_the_prior_of_the_first() -> None:
    data = observations()
    path, _, covariance, level, prior = dense(data.values, walk=0.09)
    action = sd.Action(MAP.with_process_variance(w=0.09), [x, y])
    run = sd.anneal(action, data, solver="newton", ladder=sd.Ladder(RF, 2.0, 1), **OPTIONS)
    assert run.best.action == pytest.approx(level, abs=1e-8)
    np.testing.assert_allclose(run.best.states.values, path, atol=1e-8)
    assert run.best.prior_term == pytest.approx(prior, abs=1e-8)
    spread = [*action.posterior(run, data).sd.values()]
    np.testing.assert_allclose(spread, np.sqrt(np.diag(covariance)), rtol=1e-8)


def test_experiments_share_the_prior_and_have_values_of_their_own() -> None:
    """Two recordings: their Gaussians of (p, mean) are multiplied."""
    both = [observations(8, 1), observations(5, 2)]
    action = sd.Action(MAP, [x, y])
    run = sd.anneal(action, both, solver="newton", ladder=sd.Ladder(RF, 2.0, 1), **OPTIONS)
    parts = [dense(one.values) for one in both]
    inverses = [np.linalg.inv(part[2]) for part in parts]
    joint = np.linalg.inv(sum(inverses))
    centre = joint @ sum(i @ part[1] for i, part in zip(inverses, parts, strict=True))
    assert [run.best.parameters[n] for n in ("p", "mean")] == pytest.approx(centre, abs=1e-8)
    spread = [*action.posterior(run, both).sd.values()]
    np.testing.assert_allclose(spread, np.sqrt(np.diag(joint)), rtol=1e-8)
    assert action.bind(both).cost.sum(axis=0) == pytest.approx([8 + 5])
    assert run.dataset.attrs["fitted"] == 6


def test_grids_say_which_values_there_are() -> None:
    """A value that an equation uses pays once, at either end of a step and inside of it."""
    z = sd.state("z", start=(0.0, 4.0))
    v = sd.parameter("v", per="step", prior=sd.Normal(0.0, 1.0))
    dose = sd.forcing("dose")
    pulsed = {"dose": sd.Pulses([1.0, 2.0], 1.0)}
    model = sd.Model({z: -z + v + dose})
    counts = {
        "rk4": 6,
        "trapezoid": 7,
        "midpoint": 7,
        "hermite-simpson": 13,
        "radau3": 12,
        "gauss4": 12,
    }
    for scheme, values in counts.items():
        action = sd.Action(model, [z], scheme=scheme)
        data = sd.Observations([0.0, 1.0, 3.0], [1.0, 2.0, 1.0], variance=0.1, forcing={"dose": 0})
        problem = action.bind(data, steps=3)
        assert problem.cost.sum() == values
        assert problem.fitted == 1
        # at a pulse there is a value on either side, if the scheme uses both ends of a step
        data = sd.Observations([0.0, 1.0, 3.0], [1.0, 2.0, 1.0], variance=0.1, forcing=pulsed)
        more = action.bind(data, steps=3)
        steps = int((~more.pulses).sum())
        both = 2 if scheme in ("trapezoid", "midpoint", "hermite-simpson") else 0
        assert more.cost.sum() == values + (steps - 6) * values // 6 + both


def _spread() -> sd.Action:
    """A hierarchical scale, an own prior on another scale, and one that is no Gaussian."""
    size = sd.parameter("size", bounds=(0.1, 3.0), prior=sd.Gamma(30, 0.02))
    a = sd.parameter("a", per="step", bounds=(-4.0, 4.0), prior=sd.StudentT(4, 0.2, size))
    b = sd.parameter("b", per="step", scale="log", start=(0.3, 3.0), prior=sd.LogNormal(0.1, 0.5))
    c = sd.parameter("c", per="step", prior=sd.Density(lambda c: c**4 + c**2 / 3), start=(-1, 1))
    u = sd.control("u", 2.0, start=(-1.0, 1.0))
    v, s = sd.states("v s", start=(0.0, 2.0))
    model = sd.Model({v: a - b * v, s: c * v - s + u}, name="hierarchy of steps")
    return sd.Action(model, [v, s], scheme="trapezoid")


TIMES = np.linspace(0.0, 1.5, 4)
VALUES = np.array([[1.0, 0.3], [1.4, 0.6], [0.7, 0.5], [0.9, 0.2]])


def _minus_log(X: np.ndarray, size: float, rf: float) -> float:
    """Action of `_spread` by hand, the path (M, 6) as users see it: v, s, b, a, c, u."""
    h = TIMES[1] - TIMES[0]
    v, s, b, a, c, u = X.T
    F = np.stack([a - b * v, c * v - s + u], axis=1)
    r = np.diff(X[:, :2], axis=0) - h / 2 * (F[1:] + F[:-1])
    total = 0.5 * rf * np.sum(r**2) + 0.5 * np.sum((X[:, :2] - VALUES) ** 2) / 0.04
    total += -np.sum(t.logpdf(a, 4, 0.2, size)) + np.sum(c**4 + c**2 / 3)
    # no constants where nothing is estimated
    total += np.sum(np.log(b) + (np.log(b) - 0.1) ** 2 / (2 * 0.5**2))
    total += size / 0.02 - 29 * np.log(size)
    ends = np.array([0.5, 1.0, 1.0, 0.5]) * h
    return total + 0.5 * 2.0 * np.sum(ends * u**2)


def test_a_nonlinear_prior_against_scipy_and_derivatives() -> None:
    action = _spread()
    data = sd.Observations(TIMES, VALUES, variance=0.04)
    problem = action.bind(data)
    compiled = action.compile().machine.at(problem)
    virtual = virtual_kernels(derive_step(action.field, action.scheme), action.emitted, paid=4).at(
        problem
    )
    rng = np.random.default_rng(0)
    X = rng.uniform(0.3, 1.0, (problem.M, problem.D))
    theta = rng.uniform(0.3, 1.0, problem.P)
    rf = 9.0
    # the ties of free values are next to nothing
    natural = problem.natural(X, theta)
    assert problem.states == (*"vsbacu",)
    assert compiled.action(X, theta, rf) == pytest.approx(
        _minus_log(natural[0], natural[1][0], rf), abs=1e-6
    )
    assert compiled.terms(X, theta, rf) == pytest.approx(virtual.terms(X, theta, rf), rel=1e-13)
    assert compiled.prior(X, theta) == pytest.approx(virtual.prior(X, theta), rel=1e-13)
    z = problem.unknowns.join(X, theta)

    def gradient(at, point):
        return at.gradient(*problem.unknowns.split(point), rf)

    e = 1e-6 * np.eye(z.size)
    value = [compiled.action(*problem.unknowns.split(z + h), rf) for h in (*e, *-e)]
    slopes = (np.array(value[: z.size]) - value[z.size :]) / 2e-6
    bends = [(gradient(compiled, z + h) - gradient(compiled, z - h)) / 2e-6 for h in e]
    assert gradient(compiled, z) == pytest.approx(slopes, abs=1e-6)
    for at in (compiled, virtual):
        assert at.hessian(X, theta, rf).toarray() == pytest.approx(np.array(bends), abs=1e-5)

    run = sd.anneal(action, data, solver="newton", ladder=sd.Ladder(rf, 2.0, 1), **OPTIONS)
    found = run.best.states.values

    def of(q: np.ndarray) -> float:
        X = q[:-1].reshape(4, 6).copy()
        X[:, 2] = np.exp(X[:, 2])
        return _minus_log(X, np.exp(q[-1]), rf)

    begin = np.append(np.tile([1.0, 0.5, 0.0, 0.2, 0.1, 0.0], 4), -0.5)
    best = minimize(of, begin, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
    least = best.x[:-1].reshape(4, 6)
    least[:, 2] = np.exp(least[:, 2])
    assert run.best.action == pytest.approx(best.fun, abs=1e-6)
    np.testing.assert_allclose(found, least, atol=2e-4)
    assert run.best.parameters["size"] == pytest.approx(np.exp(best.x[-1]), rel=1e-4)
    terms = run.best.measurement_term + run.best.model_term + run.best.prior_term
    assert terms == pytest.approx(run.best.action)
    again = sd.anneal(action, data, solver="ipopt", ladder=sd.Ladder(rf, 2.0, 1), **OPTIONS)
    for name in ("action", "measurement_term", "model_term", "prior_term"):
        assert getattr(again.best, name) == pytest.approx(getattr(run.best, name), abs=1e-5)


def test_an_estimated_scale_counts_its_normaliser_once_a_value() -> None:
    size = sd.parameter("size", bounds=(0.1, 3.0))
    own = sd.parameter("w", per="step", start=(-3.0, 3.0), prior=sd.Normal(0.0, size))
    action = sd.Action(sd.Model({x: 0.5 * x + own, y: x}, discrete=True), [x])
    problem = action.bind(sd.Observations(np.arange(7), np.ones(7), variance=1.0))
    at = virtual_kernels(derive_step(action.field, action.scheme), action.emitted, paid=1)
    X = np.random.default_rng(1).normal(size=(7, 3))
    prior = at.at(problem).prior(X, np.array([0.8]))
    assert prior == pytest.approx(-norm.logpdf(X[:-1, 2], 0.0, 0.8).sum(), rel=1e-13)


def test_the_verdict_judges_values_as_data() -> None:
    """The least action is half the data's own square, so that n - p degrees are left."""
    rng = np.random.default_rng(3)
    size, N = 0.8, 30
    a = sd.state("a", start=(-3.0, 3.0))
    v = sd.parameter("v", per="step", prior=sd.Normal(0.0, size))
    action = sd.Action(sd.Model({a: 0.9 * a + v}, discrete=True), [a])
    # the path is that of an exact model
    values, state = [], 0.4
    for _ in range(N + 1):
        values.append(state + 0.3 * rng.normal())
        state = 0.9 * state + size * rng.normal()
    data = sd.Observations(np.arange(N + 1), values, variance=0.09)
    run = sd.anneal(action, data, solver="newton", ladder=sd.Ladder(1e3, 10.0, 6), **OPTIONS)
    from symda.analyse.judge import chi_squared

    judged = chi_squared(run.dataset)
    assert (judged.n, judged.p) == (N + 1, 1)
    # exactly: the data's own covariance, less what the first state fits
    past = np.tril(0.9 ** np.subtract.outer(np.arange(N + 1), np.arange(N + 1)).clip(0), -1)
    S = 0.09 * np.eye(N + 1) + size**2 * (past / 0.9) @ (past / 0.9).T
    first = 0.9 ** np.arange(N + 1)
    W = np.linalg.inv(S)
    best = first @ W @ values / (first @ W @ first)
    left = np.array(values) - best * first
    assert judged.value == pytest.approx(0.5 * left @ W @ left, rel=1e-4)
    assert judged.mean == pytest.approx(N / 2)


def test_what_is_read(tmp_path: Path) -> None:
    action = sd.Action(MAP, [x, y])
    text = " ".join(str(action.equations()).split())
    assert "Prior of each value that an equation uses: w Normal(2*mean, 0.7)" in text
    assert "(channel prior of w: Normal(2*mean, 0.7))" in text
    walk = sd.Action(MAP.with_process_variance(w=0.09), [x, y])
    assert "P(w) = " in str(walk.equations()) and "channel prior" not in str(walk.equations())
    page = action.report(tmp_path / "page.md").read_text()
    assert "prior of each Normal(2\\*mean, 0.7)" in page
    page = walk.report(tmp_path / "walk.md").read_text()
    assert "process variance 0.09, prior of the first Normal(2\\*mean, 0.7)" in page


def test_a_run_of_another_prior_is_refused(uncompiled) -> None:
    data, walk = observations(), sd.Action(MAP.with_process_variance(w=0.09), [x, y])
    run = sd.anneal(walk, data, solver="newton", ladder=sd.Ladder(RF, 2.0, 1), **OPTIONS)
    with pytest.raises(sd.OptionError, match="priors differ"):
        sd.Action(MAP, [x, y]).posterior(run, data)


def test_windows_and_lifted_ipopt_end_there_too(uncompiled) -> None:
    data = observations(20)
    level = dense(data.values)[3]
    action = sd.Action(MAP, [x, y])
    lifted = SOLVERS["ipopt"].with_options(formulation="lifted")
    ladder = sd.Ladder(RF, 2.0, 1)
    run = sd.anneal(action, data, solver=lifted, ladder=ladder, **OPTIONS)
    assert run.best.action == pytest.approx(level, abs=1e-6)
    grown = {**OPTIONS, "strategy": "window", "start": "nudged"}
    run = sd.anneal(action, data, solver="newton", ladder=ladder, **grown)
    assert run.best.action == pytest.approx(level, abs=1e-6)


def test_bounds_and_starts_follow_the_prior() -> None:
    own = sd.parameter("own", per="step", prior=sd.Uniform(-1.0, 2.0), bounds=(0.0, 9.0))
    assert own.declaration.bounds == (0.0, 2.0)
    v = sd.parameter("v", per="step", prior=sd.Normal(3.0, 0.5))
    k = sd.parameter("k", prior=sd.LogNormal(0.0, 1.0), scale="log")
    action = sd.Action(sd.Model({x: 0.5 * k * x + v, y: x}, discrete=True), [x])
    problem = action.bind(sd.Observations(np.arange(3), np.ones(3), variance=1.0))
    low, high = problem.state_start[problem.states.index("v")]
    assert (low, high) == pytest.approx((3.0 - 0.98, 3.0 + 0.98), abs=0.1)
    assert tuple(problem.parameter_start[0]) == pytest.approx((-1.96, 1.96), abs=0.2)


def test_what_does_not_go_together(uncompiled) -> None:
    rate = sd.Action(sd.Model({x: p - x + w, y: x - y}), [x, y], model_error="rate")
    data = sd.Observations([0.0, 1.0, 2.0], [[1, 2], [2, 1], [0, 1]], variance=0.1)
    with pytest.raises(sd.OptionError, match="collocation: the model has a prior of each value of"):
        sd.anneal(rate, data, solver="collocation", **OPTIONS)
    with pytest.raises(sd.OptionError, match="boundary_value: the model has a prior of each value"):
        path = np.zeros((3, 3)), [0.5, 0.0]
        sd.boundary_value(rate, data, rf=1.0, start=path)
    with pytest.raises(sd.OptionError, match="here is the prior of w"):
        rate.lagrangian()
    with pytest.raises(sd.OptionError, match="prior of each value of 'w', minus a log"):
        sd.Action(MAP, [x, y], averaging="eq2").bind(observations())
    with pytest.raises(sd.OptionError, match="priors of values per step, use averaging='sum'"):
        sd.Action(MAP, [x, y], averaging="eq2").bind([observations(), observations()])
    s = sd.parameter("s")
    loose = sd.parameter("loose", per="step", prior=sd.Normal(0.0, s))
    with pytest.raises(sd.ModelError, match="prior of 'loose', scale: 's' must be larger than"):
        sd.Action(sd.Model({x: loose - x}), [x])
    other = sd.parameter("other", per="step", prior=sd.Normal(w, 1.0))
    with pytest.raises(sd.ModelError, match="depends on 'w', a StepParameter"):
        sd.Action(sd.Model({x: other - x + w}), [x])
    i = sd.site("i", 300)
    field = sd.states("s", i, start=(-1.0, 1.0))
    with pytest.raises((sd.OptionError, sd.ModelError), match="per step"):
        sd.Action(sd.Model({field[i]: field[i - 1] - field[i] + w}), [field[0]])


def test_a_prior_that_is_not_gaussian_is_not_judged(uncompiled) -> None:
    own = sd.parameter("own", per="step", prior=sd.StudentT(3, 0.0, 0.5))
    action = sd.Action(sd.Model({x: 0.8 * x + own}, discrete=True), [x])
    values = np.random.default_rng(0).normal(size=12)
    data = sd.Observations(np.arange(12), values, variance=0.1)
    run = sd.anneal(action, data, solver="newton", ladder=sd.Ladder(1.0, 10.0, 4), **OPTIONS)
    assert "a prior that is not Gaussian" in run.chi_squared().verdict


def test_backpropagation_counts_the_values(uncompiled) -> None:
    data = observations(4)
    values = np.array([0.3, -0.2, 0.5, 0.1])
    found = sd.Action(MAP, [x, y]).backpropagate(
        data, [1.0, 0.5], {"p": 0.2, "mean": 0.1, "w": values}
    )
    path = [np.array([1.0, 0.5])]
    for value in values:
        path.append(A @ path[-1] + [0.2, 2 * value])
    misfit = 0.5 * np.sum((np.array(path) - data.values) ** 2) / VARIANCE
    assert found.loss == pytest.approx(misfit + 0.5 * np.sum((values - 0.2) ** 2) / SCALE**2)


def test_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "shocks.py"))
    script["main"]()
    assert "1898 to 1899:  -190.6, by SciPy  -190.6" in capsys.readouterr().out


def test_code_without_priors_of_values_is_what_it_was() -> None:
    plain = sd.Action(sd.Model({x: 0.5 * x + p}, discrete=True), [x]).emitted_newton.text
    known = sd.Action(sd.Model({x: 0.5 * x + w}, discrete=True), [x]).emitted_newton.text
    assert "c.trial_prior + at[" in known and "c.trial_prior + at[" not in plain


def test_arguments_of_the_same_name_are_those_declared_last() -> None:
    """SymPy keeps symbols that are equal: a prior's own parameters must count in equality."""
    x = sd.state("x", start=(-1.0, 1.0))
    for bounds in ((0.01, 0.5), (1.0, 9.0)):
        size = sd.parameter("size", bounds=bounds)
        w = sd.parameter("w", per="step", start=(-1.0, 1.0), prior=sd.Normal(0.0, size))
        action = sd.Action(sd.Model({x: 0.8 * x + w}, name="line", discrete=True), [x])
        data = sd.Observations(np.arange(3), [0.0, 1.0, 0.0], variance=1.0)
        assert action.bind(data).parameter_bounds.tolist() == [list(bounds)]


def test_an_event_that_would_use_a_value_for_nothing_is_refused() -> None:
    y = sd.state("y", start=(-5.0, 5.0))
    w = sd.parameter("w", per="step", prior=sd.Normal(0.0, 0.1))
    with pytest.raises(sd.ModelError, match="event: the value would pay none"):
        sd.Model({y: 0 * w}, events={"add": {y: y + w}}, name="added")


def test_a_known_first_value_pays_nothing() -> None:
    x = sd.state("x", start=(-5.0, 5.0))
    v = sd.parameter("v", per="step", prior=sd.Normal(0.0, 0.5))
    action = sd.Action(sd.Model({x: 0.8 * x + v}, name="line", discrete=True), [x])
    values = [0.0, 5.0, 4.0, 3.2]
    known = sd.Observations(np.arange(4), values, variance=0.1, initial={"v": 5.0})
    free = sd.Observations(np.arange(4), values, variance=0.1)
    assert action.bind(free).cost[:, 0].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert action.bind(known).cost[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_the_test_of_other_noise_is_as_narrow_as_chi_squared(uncompiled) -> None:
    """Student's t of a million degrees of freedom is Gaussian: the same data, the same test."""
    x = sd.state("x", start=(-5.0, 5.0))
    w = sd.parameter("w", per="step", prior=sd.Normal(0.0, 1.0))
    model = sd.Model({x: 0.8 * x + w}, name="line", discrete=True)
    values = np.random.default_rng(0).normal(size=21)
    data = sd.Observations(10.0 * np.arange(21), values, variance=1.0)
    judged = []
    for noise in (x, sd.StudentT(1e6, x)):
        run = sd.anneal(
            sd.Action(model, {"x": noise}),
            data,
            paths=1,
            solver="newton",
            progress=False,
            ladder=sd.Ladder(1.0, 10.0, 8),
        )
        judged.append(run.chi_squared())
    assert judged[1].mean == pytest.approx(judged[0].mean, abs=1.5)
    assert judged[1].sd == pytest.approx(judged[0].sd, rel=0.2)


def test_a_start_range_that_would_tie_values_is_refused() -> None:
    x = sd.state("x", start=(-5.0, 5.0))
    data = sd.Observations(np.arange(4), [0.0, 1.0, 0.0, 1.0], variance=0.1)
    for width, fine in ((1e-2, True), (1e-4, False)):
        v = sd.parameter("v", per="step", start=(-width, width), prior=sd.Normal(0.0, 1.0))
        action = sd.Action(sd.Model({x: 0.8 * x + v}, name="line", discrete=True), [x])
        if fine:
            action.bind(data)
        else:
            with pytest.raises(sd.DataError, match="narrower than a thousandth"):
                action.bind(data)
