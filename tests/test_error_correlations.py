"""Errors of the model that are correlated across states: Rf is Rf^1/2 C^-1 Rf^1/2."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import symda as sd
from symda.api.machine import machine
from symda.solve import SOLVERS, Ipopt

C = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])
RF = np.array([4.0, 9.0, 2.0])
QUIET = {"progress": False, "workers": 1}
A = np.array([[0.9, 0.25, 0.0], [-0.3, 0.85, 0.1], [0.05, -0.2, 0.95]])


def three(**known):
    return sd.states("x y z", bounds=(-20.0, 20.0), start=(-1.0, 1.0), **known)


@cache
def curved(scheme: str, correlated: bool = True) -> sd.Action:
    """Equations whose second derivatives, and those by parameters, are not zero."""
    x, y, z = three()
    k, b = sd.parameters("k b", bounds=(0.0, 5.0))
    model = sd.Model({x: k * y, y: (1 - x**2) * y - b * x, z: x * y - z}, name="curved")
    return sd.Action(
        model, [x + 0.1 * y**2, z], scheme=scheme, error_correlations=C if correlated else None
    )


@cache
def linear(correlated: bool = True) -> sd.Action:
    """A linear map with an unknown drift of x."""
    states = three()
    k = sd.parameter("k", bounds=(-5.0, 5.0))
    drift = np.array([k, 0.3, -0.5])
    equations = {s: sum(A[a] * states) + drift[a] for a, s in enumerate(states)}
    model = sd.Model(equations, name="linear", discrete=True)
    return sd.Action(model, states[:2], error_correlations=C if correlated else None)


def data(T: int = 9, step: float = 1.0, seed: int = 3) -> sd.Observations:
    values = np.random.default_rng(seed).normal(size=(T, 2))
    return sd.Observations(step * np.arange(T), values, variance=[0.1, 0.4])


def precision(weight: float = 1.0) -> np.ndarray:
    return weight * np.linalg.inv(C) * np.sqrt(np.outer(RF, RF))


def dense(recordings) -> tuple[np.ndarray, np.ndarray]:
    """Minimiser and inverse Hessian of the linear action, by least squares of NumPy alone."""
    points = [one.times.size for one in recordings]
    size, rows, right, weights, first = 3 * sum(points) + 1, [], [], [], 0
    for one, T in zip(recordings, points, strict=True):
        for n in range(T - 1):
            block = np.zeros((3, size))
            at = 3 * (first + n)
            block[:, at : at + 3], block[:, at + 3 : at + 6] = -A, np.eye(3)
            block[0, -1] = -1.0
            rows.append(block)
            right.append([0.0, 0.3, -0.5])
            weights.append(precision())
        for n in range(T):
            block = np.zeros((2, size))
            block[[0, 1], [3 * (first + n), 3 * (first + n) + 1]] = 1.0
            rows.append(block)
            right.append(one.values[n])
            weights.append(np.diag(1.0 / one.variance[n]))
        first += T
    hessian = sum(J.T @ W @ J for J, W in zip(rows, weights, strict=True))
    slope = sum(J.T @ W @ v for J, W, v in zip(rows, weights, right, strict=True))
    return np.linalg.solve(hessian, slope), np.linalg.inv(hessian)


@pytest.fixture(scope="module")
def kernels():
    """The linear action's kernels, compiled and not."""
    from symda.api.machine import _virtual

    spec = linear().specification
    return {"compiled": machine(spec), "virtual machine": _virtual(spec, spec.field)}


@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson", "gauss4"])
def test_action_and_derivatives(scheme: str, uncompiled) -> None:
    """The model term is that of NumPy; slopes of 2 and 3 follow from differences."""
    at, plain = (
        machine(curved(scheme, one).specification).at(
            curved(scheme, one).bind(data(4, 0.3), steps=2)
        )
        for one in (True, False)
    )
    rng, p = np.random.default_rng(0), at.problem
    X, theta = rng.normal(size=(p.M, p.D)), np.array([1.2, 0.7])
    r = plain.residual(X, theta).reshape(-1, 3)
    measured, model = at.terms(X, theta, RF)
    assert measured == plain.terms(X, theta, RF)[0]
    assert model == pytest.approx(0.5 * np.einsum("na,ab,nb", r, precision(), r), rel=1e-13)
    np.testing.assert_allclose(at.weigh(RF, r.reshape(p.N, -1)).reshape(-1, 3), r @ precision())
    J = plain.residual_jacobian(X, theta)
    slope = plain.gradient(X, theta, RF) - J.T @ plain.weigh(RF, r.reshape(p.N, -1)).reshape(-1)
    expected = slope + J.T @ (r @ precision()).reshape(-1)
    gradient = at.gradient(X, theta, RF)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-11)
    direction, e = rng.normal(size=gradient.size), 1e-5
    v = p.unknowns.join(X, theta)
    ends = [at.gradient(*p.unknowns.split(v + s * e * direction), RF) for s in (1.0, -1.0)]
    product = at.hessian(X, theta, RF) @ direction
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * e), product, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_compiled_kernels_and_their_solver_agree_with_casadi(scheme: str) -> None:
    """Explicit, and implicit with interior points; the emitted solver takes the same steps.

    Beside them stand what has no error of its own, a parameter per step, and a first value that is
    a function of parameters.
    """
    from symda.api.machine import _virtual

    x, y, z = three()
    k, b, first = sd.parameters("k b first", bounds=(-5.0, 5.0))
    w = sd.parameter("w", per="step", bounds=(-5.0, 5.0), process_variance=0.1)
    model = sd.Model({x: k * y + w, y: (1 - x**2) * y - b * x, z: x * y - z}, name="mixed")
    action = sd.Action(
        model, [x + 0.1 * y**2, z], scheme=scheme, initial={x: first}, error_correlations=C
    )
    spec, problem = action.specification, action.bind(data(4, 0.3), steps=2)
    rng = np.random.default_rng(1)
    X, theta = 0.3 * rng.normal(size=(problem.M, problem.D)), np.array([1.2, 0.7, 0.1])
    both, rf = (machine(spec), _virtual(spec, spec.field)), np.append(RF, 1.0)
    for name in ("gradient", "hessian"):
        one, other = (getattr(k.at(problem), name)(X, theta, rf) for k in both)
        np.testing.assert_allclose(
            *(v if name == "gradient" else v.toarray() for v in (one, other)), atol=1e-12
        )
    ends = [SOLVERS["newton"].at(k, problem).minimise(X, theta, rf) for k in both]
    assert ends[0].status == ends[1].status == "converged"
    assert ends[0].iterations == ends[1].iterations
    np.testing.assert_allclose(ends[0].path, ends[1].path, atol=1e-9)
    np.testing.assert_allclose(ends[0].momenta, ends[1].momenta, atol=1e-9)


@pytest.mark.parametrize("kind", ["compiled", "virtual machine"])
@pytest.mark.parametrize(
    "solver", [SOLVERS["newton"], SOLVERS["ipopt"], Ipopt("lifted"), SOLVERS["lbfgs"]]
)
def test_the_minimiser_is_that_of_dense_least_squares(solver, kind: str, kernels) -> None:
    recording = data()
    problem = linear().bind(recording)
    found = solver.at(kernels[kind], problem).minimise(np.zeros((problem.M, 3)), np.zeros(1), RF)
    expected, _ = dense([recording])
    tolerance = 1e-5 if solver.name == "lbfgs" else 1e-8
    np.testing.assert_allclose(np.append(found.path, found.theta), expected, atol=tolerance)
    x = found.path
    r = x[1:] - x[:-1] @ A.T - np.append(found.theta, [0.3, -0.5])
    np.testing.assert_allclose(found.momenta, r @ precision(), atol=1e-8)


def test_several_experiments_and_the_posterior_of_a_run(tmp_path) -> None:
    """A run, its posterior and its momenta are those of the dense Gaussian, also after a file."""
    recordings = [data(9), data(6, seed=8)]
    action, expected = linear(), dense([data(9), data(6, seed=8)])
    run = sd.anneal(
        action, recordings, paths=1, ladder=sd.Ladder(rf0=RF / 16.0, alpha=4.0, rungs=3), **QUIET
    )
    assert run.best.parameters["k"] == pytest.approx(expected[0][-1], abs=1e-8)
    x = run.dataset["states"].values[0]
    np.testing.assert_allclose(x.reshape(-1), expected[0][:-1], atol=1e-6)
    bars = action.posterior(run, recordings)
    assert bars.sd["k"] == pytest.approx(np.sqrt(expected[1][-1, -1]), rel=1e-8)
    run.save(tmp_path / "run.nc")
    again = sd.load(tmp_path / "run.nc")
    assert action.posterior(again, recordings).sd["k"] == bars.sd["k"]
    with pytest.raises(sd.OptionError, match="the correlations of the model's errors differ"):
        linear(correlated=False).posterior(again, recordings)
    page = run.report(tmp_path / "run.md", action=action).read_text(encoding="utf-8")
    assert "x, y: 0.6; x, z: -0.3; y, z: 0.2" in page


@pytest.mark.filterwarnings("ignore:no measurement can see the state z")
def test_a_state_that_nothing_measures_says_nothing_but_by_its_error() -> None:
    """Its first value is free; the Laplace covariance is the dense Gaussian's."""
    x, z = sd.states("x z", bounds=(-20.0, 20.0), start=(-1.0, 1.0))
    k = sd.parameter("k", bounds=(-5.0, 5.0))
    model = sd.Model({x: 0.8 * x + k, z: 0.5 * z + 0.1 * x}, name="unseen", discrete=True)
    action = sd.Action(model, [x], error_correlations={(x, z): 0.7})
    recording = sd.Observations(np.arange(9.0), data().values[:, 0], variance=0.1)
    run = sd.anneal(action, recording, paths=1, ladder=sd.Ladder(rf0=4.0, rungs=1), **QUIET)
    # z can follow whatever error x has, so x alone with errors of the variance 1/Rf is left
    alone = sd.Action(sd.Model({x: 0.8 * x + k}, name="alone", discrete=True), [x])
    other = sd.anneal(alone, recording, paths=1, ladder=sd.Ladder(rf0=4.0, rungs=1), **QUIET)
    assert run.best.parameters["k"] == pytest.approx(other.best.parameters["k"], abs=1e-8)
    ours, theirs = action.posterior(run, recording), alone.posterior(other, recording)
    assert ours.unseen == ("z",)
    assert ours.sd["k"] == pytest.approx(theirs.sd["k"], rel=1e-8)


def test_errors_of_logarithms(uncompiled) -> None:
    """The errors of a state on a log scale are those of its logarithm."""
    x, y = sd.states("x y", bounds=(0.01, 100.0), scale="log")
    model = sd.Model({x: 0.5 * x * (1 - y / 4), y: 0.3 * y * (x / 3 - 1)}, name="logs")
    action = sd.Action(model, [x, y], scheme="rk4", error_correlations=[[1.0, 0.5], [0.5, 1.0]])
    recording = sd.Observations(0.2 * np.arange(5), 1.0 + data(5).values ** 2, variance=0.1)
    problem = action.bind(recording)
    at = machine(action.specification).at(problem)
    X = np.log(1.0 + np.random.default_rng(2).uniform(size=(5, 2)))
    r = at.residual(X, np.empty(0))
    W = np.linalg.inv([[1.0, 0.5], [0.5, 1.0]]) * np.sqrt(np.outer([2.0, 3.0], [2.0, 3.0]))
    assert at.terms(X, [], [2.0, 3.0])[1] == pytest.approx(0.5 * np.einsum("na,ab,nb", r, W, r))


def test_no_correlation_is_no_option(uncompiled) -> None:
    """Zeros give the emitted text of an action without."""
    x, y, _ = three()
    model = linear().model
    assert (
        sd.Action(model, [x], error_correlations={(x, y): 0.0}).specification.correlations is None
    )
    assert (
        sd.Action(model, [x], error_correlations=np.eye(3)).emitted == sd.Action(model, [x]).emitted
    )


def test_residuals_for_solvers_of_least_squares(kernels) -> None:
    """Half the sum of their squares is the action, and their Jacobian gives its gradient."""
    from symda.solve.objective import Objective

    problem = linear().bind(data())
    at = kernels["virtual machine"].at(problem)
    objective = Objective(at, RF)
    x = np.random.default_rng(4).normal(size=problem.unknowns.free.sum())
    r, J = objective.residuals(x), objective.jacobian(x)
    assert 0.5 * r @ r == pytest.approx(objective.value(x), rel=1e-12)
    np.testing.assert_allclose(J.T @ r, objective.gradient(x), atol=1e-10)


def test_equations_show_the_matrix() -> None:
    text = str(linear().equations())
    assert "Rf[a,b]*(r[n,a]*r[n,b])/2" in text
    assert "Rf[a,b] = (C^-1)[a,b]*sqrt(Rf[a])*sqrt(Rf[b])" in text
    assert "C = Matrix([ [1.0,0.6,-0.3], [0.6,1.0,0.2], [-0.3,0.2,1.0]])   (of x, y, z)" in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.eye(2), r"shape \(3, 3\), a row and a column for each of x, y, z.*got \(2, 2\)"),
        ("high", "expected a matrix of the shape.*got 'high'"),
        ([[1, 0.5, 0], [0.4, 1, 0], [0, 0, 1]], "not symmetric: 'x' with 'y' is 0.5, 'y' with 'x'"),
        (2.0 * np.eye(3), r"the diagonal must be 1, got 2, 2, 2.*sd.Ladder\(rf0=1 / s\*\*2\)"),
        (np.full((3, 3), 1.0), "the eigenvalue .*e-.*must be positive"),
        ([[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]], "the eigenvalue -0.273"),
        (np.full((3, 3), np.nan), "not finite"),
        ({("x", "y"): 1.0}, "that of 'x' and 'y' must be between -1 and 1, got 1"),
        ({("x", "y"): "0.5"}, "'x', 'y'. must be a finite number"),
        ({("x", "x"): 0.1}, "'x' is paired with itself"),
        ({("x", "y"): 0.1, ("y", "x"): 0.1}, "'y' and 'x' is given twice"),
        ({"x": 0.1}, r"a key is a pair of states, such as \('x', 'y'\), got 'x'"),
        ({("x", "w"): 0.1}, "'w' is a parameter per step: it has no equation"),
        ({("x", "u"): 0.1}, "'u' is no state of the model.* Its states are x, y, z"),
    ],
)
def test_what_are_no_correlations(given, message: str) -> None:
    x, y, z = three()
    w = sd.parameter("w", per="step", bounds=(0.0, 1.0))
    model = sd.Model({x: -w * x + y, y: -y, z: -z})
    with pytest.raises(sd.OptionError, match=f"Action: error_correlations.*{message}"):
        sd.Action(model, [x], error_correlations=given)


def test_what_does_not_know_them_says_so() -> None:
    action = curved("rk4")
    for name in ("lagrangian", "hamilton", "discrete_euler_lagrange"):
        with pytest.raises(sd.OptionError, match="independent errors of the model"):
            getattr(action, name)()
    x, y = sd.states("x y", bounds=(-9.0, 9.0), start=(-1.0, 1.0))
    slow = sd.Model({x: -x + y, y: -y})
    rate = sd.Action(slow, [x], model_error="rate", error_correlations={(x, y): 0.5})
    recording = sd.Observations(np.arange(4.0), np.arange(4.0), variance=0.1)
    with pytest.raises(sd.OptionError, match="boundary_value: the action has error_correlations"):
        sd.boundary_value(rate, recording, rf=1.0, start=np.ones((4, 2)))
    with pytest.raises(sd.OptionError, match="collocation: the action has error_correlations"):
        sd.anneal(rate, recording, solver="collocation", paths=1, **QUIET)
    i = sd.site("i", 5)
    u = sd.states("u", i, bounds=(-9.0, 9.0))
    with pytest.raises(sd.OptionError, match="error_correlations need matrices"):
        sd.Action(
            sd.Model({u[i]: -u[i + 1]}, name="sites"),
            [u[0]],
            matrix_free=True,
            error_correlations={("u0", "u1"): 0.1},
        )


def test_labels_decide_the_order_of_a_matrix() -> None:
    import pandas as pd

    x, y, z = sd.states("x y z", start=(-1.0, 1.0))
    model = sd.Model({x: y, y: z, z: x}, name="ring")
    names = ["z", "y", "x"]
    given = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    action = sd.Action(
        model, [x], error_correlations=pd.DataFrame(given, index=names, columns=names)
    )
    np.testing.assert_array_equal(action.specification.correlations.matrix, given[::-1, ::-1])
    other = ["z", "y", "q"]
    with pytest.raises(sd.OptionError, match="rows and columns of the matrix are z, y, q"):
        sd.Action(model, [x], error_correlations=pd.DataFrame(given, index=other, columns=other))
