"""Priors: the dense Gaussian's answer, derivatives, hyperparameters, bounds, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import symda as sd
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step

RF = 7.0
TIMES = np.array([0.0, 1.0, 2.0, 3.0])
VALUES = np.array([0.3, 0.9, 1.1, 2.0])


def _line(**priors):
    """x' = b, measured as c x with noise: linear in (x, b)."""
    x = sd.state("x", start=(-1.0, 1.0), prior=priors.get("x"))
    b = sd.parameter("b", start=(-1.0, 1.0), prior=priors.get("b"))
    return sd.Action(sd.Model({x: b}, name="line with priors"), [2 * x], scheme="trapezoid"), (x, b)


def _dense():
    """Precision and least point of all unknowns, (x_0 .. x_3, b)."""
    rows, right = [], []

    def add(row, value, precision):
        rows.append(np.sqrt(precision) * np.array(row, dtype=float))
        right.append(np.sqrt(precision) * value)

    for i, y in enumerate(VALUES):
        add([2.0 * (i == j) for j in range(4)] + [0.0], y, 1 / 0.04)
    for i in range(3):
        add([float(j == i + 1) - float(j == i) for j in range(4)] + [-1.0], 0.0, RF)
    add([1.0, 0, 0, 0, 0], 0.5, 1 / 0.1**2)
    add([0, 0, 0, 0, 1.0], 0.2, 1 / 0.3**2)
    A, r = np.array(rows), np.array(right)
    H = A.T @ A
    z = np.linalg.solve(H, A.T @ r)
    return H, z, 0.5 * np.sum((A @ z - r) ** 2)


PRIORS = {"x": sd.Normal(0.5, 0.1), "b": sd.Normal(0.2, 0.3)}


@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
@pytest.mark.parametrize("machine", ["compiled", "virtual"])
def test_linear_gaussian_models_end_at_the_dense_gaussian(solver, machine, request):
    if machine == "virtual":
        request.getfixturevalue("uncompiled")
    action, _ = _line(**PRIORS)
    data = sd.Observations(TIMES, VALUES, variance=0.04)
    run = sd.anneal(action, data, solver=solver, paths=1, ladder=sd.Ladder(rf0=RF, rungs=1))
    H, z, least = _dense()
    assert run.best.action == pytest.approx(least, rel=1e-8)
    found = np.append(run.best.states.values[:, 0], run.best.parameters["b"])
    assert found == pytest.approx(z, abs=1e-8 if solver != "lbfgs" else 1e-7)
    sd_b = float(np.sqrt(np.linalg.inv(H)[4, 4]))
    assert action.posterior(run, data).sd["b"] == pytest.approx(sd_b, rel=1e-8)
    prior = 0.5 * ((z[0] - 0.5) / 0.1) ** 2 + 0.5 * ((z[4] - 0.2) / 0.3) ** 2
    assert run.best.prior_term == pytest.approx(prior, rel=1e-6)


def _nonlinear():
    tau = sd.parameter("tau", bounds=(0.1, 3.0), prior=sd.HalfNormal(1.0))
    k = sd.parameter("k", bounds=(0.1, 5.0), prior=sd.Normal(tau, tau / 2))
    s = sd.parameter("s", bounds=(0.01, 3.0), prior=sd.Gamma(2, 0.5))
    d = sd.parameter("d", bounds=(-1.0, 1.0), prior=sd.Density(lambda d: (d - 0.2) ** 4 + d**2 * s))
    x = sd.state("x", start=(0.5, 2.0), prior=sd.StudentT(3, 1.3, 0.1))
    v = sd.state("v", start=(0.5, 2.0), prior=sd.LogNormal(0.0, 0.3))
    model = sd.Model({x: v - x**2 / 2, v: k - x * v + d}, name="hierarchical")
    return sd.Action(model, {"x": sd.Normal(x, s)}, scheme="hermite-simpson")


@pytest.fixture(scope="module")
def both():
    action = _nonlinear()
    t = np.linspace(0.0, 1.0, 4)
    problem = action.bind(sd.Observations(t, [1.0, 1.2, 0.8, 1.1]))
    virtual = virtual_kernels(derive_step(action.field, action.scheme), action.emitted)
    return action.compile().machine.at(problem), virtual.at(problem), problem


def test_derivatives_of_priors(both):
    compiled, virtual, problem = both
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 2.0, (problem.M, problem.D))
    theta = rng.uniform(0.3, 1.0, problem.P)
    assert problem.parameters == ("d", "k", "s", "tau")
    assert compiled.prior(X, theta) == pytest.approx(virtual.prior(X, theta), rel=1e-14)
    z = problem.unknowns.join(X, theta)

    def gradient(at, x):
        return at.gradient(*problem.unknowns.split(x), 2.0)

    def value(x):
        return compiled.action(*problem.unknowns.split(x), 2.0)

    e = 1e-6 * np.eye(z.size)
    slopes = [(value(z + h) - value(z - h)) / 2e-6 for h in e]
    bends = [(gradient(compiled, z + h) - gradient(compiled, z - h)) / 2e-6 for h in e]
    assert gradient(compiled, z) == pytest.approx(slopes, abs=1e-6)
    assert gradient(virtual, z) == pytest.approx(gradient(compiled, z), rel=1e-12)
    for at in (compiled, virtual):
        assert at.hessian(X, theta, 2.0).toarray() == pytest.approx(np.array(bends), abs=1e-6)


def test_priors_of_parameters_that_stand_in_no_equation_are_no_warning():
    action = _nonlinear()
    t = np.linspace(0.0, 1.0, 4)
    data = sd.Observations(t, [1.0, 1.2, 0.8, 1.1])
    assert not [w for w in action.check(data).warnings if "constrains" in w]


def test_a_prior_cuts_bounds_or_is_refused():
    k = sd.parameter("k", bounds=(-1.0, 5.0), prior=sd.HalfNormal(1.0))
    assert k.declaration.bounds == (0.0, 5.0)
    k = sd.parameter("k", bounds=(-1.0, 5.0), prior=sd.Uniform(1.0, 9.0))
    assert k.declaration.bounds == (1.0, 5.0)
    assert sd.parameter("k", prior=sd.LogNormal(0.0, 1.0)).declaration.bounds[0] == -np.inf
    with pytest.raises(sd.ModelError, match="exclude them all"):
        sd.parameter("k", bounds=(-5.0, -1.0), prior=sd.LogNormal(0.0, 1.0))
    with pytest.raises(sd.ModelError, match="exclude them all"):
        sd.parameter("k", bounds=(0.0, 1.0), prior=sd.Uniform(2.0, 3.0))


REFUSED = [
    (lambda: sd.parameter("k", prior=3.0), "must be a distribution"),
    (lambda: sd.parameter("k", prior=sd.Normal(1.0)), "has no scale"),
    (lambda: sd.parameter("k", prior=sd.Poisson(1.0)), "is of counts"),
    (lambda: sd.parameter("w", per="step", prior=sd.Poisson(1.0)), "is of counts"),
    (lambda: sd.states("x", sd.site("i", 5), prior=sd.Normal(0.0, 1.0)), "states at sites"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_what_is_no_prior_is_refused(wrong, message):
    with pytest.raises(sd.ModelError, match=message):
        wrong()


def test_a_prior_depends_on_parameters_only():
    x = sd.state("x", start=(0.0, 1.0))
    k = sd.parameter("k", start=(0.0, 1.0), prior=sd.Normal(x, 1.0))
    with pytest.raises(sd.ModelError, match="depends on 'x', a State"):
        sd.Action(sd.Model({x: -k * x}, name="m"), [x])


def test_priors_are_shown_and_saved(tmp_path, uncompiled):
    action, _ = _line(**PRIORS)
    assert "P(b) = " in str(action.equations())
    data = sd.Observations(TIMES, VALUES, variance=0.04)
    run = sd.anneal(action, data, paths=1, ladder=sd.Ladder(rf0=RF, rungs=1))
    run.save(tmp_path / "run.nc")
    assert sd.load(tmp_path / "run.nc").best.prior_term == run.best.prior_term > 0.0
    with pytest.raises(sd.OptionError, match="prior of x"):
        action.discrete_euler_lagrange()


def test_a_shared_prior_does_not_depend_on_one_of_each_experiment():
    x = sd.state("x", start=(-1.0, 1.0))
    b = sd.parameter("b", start=(-1.0, 1.0), per="experiment")
    z = sd.parameter("z", start=(-1.0, 1.0), prior=sd.Normal(b, 1.0))
    with pytest.raises(sd.ModelError, match=r"prior of 'z': .* each experiment has its own"):
        sd.Action(sd.Model({x: -z * x}), [x])


def test_a_run_of_another_prior_is_refused(uncompiled):
    """Names, equations and data agree; the priors do not."""
    data = sd.Observations(TIMES, VALUES, variance=0.5)
    plain, _ = _line()
    other, _ = _line(b=sd.Normal(0.0, 1.0))
    run = sd.anneal(plain, data, paths=1, ladder=sd.Ladder(rf0=1.0, rungs=1), solver="newton")
    assert np.isfinite(plain.posterior(run, data).sd["b"])
    with pytest.raises(sd.OptionError, match="given initial values or priors differ"):
        other.posterior(run, data)
