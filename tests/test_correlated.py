"""Noise that is correlated across channels: the dense Gaussian, derivatives, data, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from correlated import covariances, mixed
from several import Answer, answer, linear_model, recording
from test_experiments import SOLVERS, agree, anneal

import symda as sd
from symda.api import VirtualMachineWarning
from symda.build.kernels import virtual_kernels
from symda.declare.noise import cost_of
from symda.derive.step import derive_step

ROWS = tuple(np.array(row) for row in ([1.0, 0, 0, 0], [0, 1.0, -0.5, 0], [0.5, 0, 1.0, 0]))
RF = np.array([4000.0, 2000.0, 8000.0])
PRIORS = {"c": (2.5, 0.05), "k": (0.1, 0.5)}
NAMES = ("k[every]", "k[one]", "k[none]", "c")


def recordings() -> dict[str, sd.Observations]:
    """A covariance for each time with gaps and rows of one time; one for all; variances."""
    found = {}
    for name, seed, count in (("every", 1, 9), ("one", 2, 6), ("none", 3, 2)):
        data = recording(seed, count, ROWS, gaps=0.3 if name != "none" else 0.0)
        times, values, forcing = data.times, data.values, data.forcing
        if name == "every":
            # rows of one time: both whole, whole and in part, two that share no channel
            at = [0, 1, 2, 2, 3, 3, 3, 4, 5, 6, 7, 8]
            times, values = times[at], values[at].copy()
            values[[2, 4]] = values[[3, 5]] + 0.05
            values[5, 1] = values[6, [0, 2]] = np.nan
            values[8] = np.nan
        noise = {
            "every": {"covariance": covariances(4, len(times))},
            "one": {"covariance": covariances(5)},
            "none": {"variance": data.variance},
        }
        found[name] = sd.Observations(times, values, forcing=forcing, **noise[name])
    return found


DATA = recordings()


@pytest.fixture(scope="module")
def linear() -> tuple[sd.Action, Answer]:
    model, x, _ = linear_model(priors=PRIORS)
    action = sd.Action(model, [x[0], x[1] - 0.5 * x[2], 0.5 * x[0] + x[2]], scheme="rk4")
    return action, dense()


def dense(scheme: str = "rk4") -> Answer:
    return answer(scheme, DATA, RF, parameters=NAMES, measured=ROWS, priors=PRIORS)


@pytest.mark.parametrize(("solver", "options"), SOLVERS)
def test_the_minimum_is_that_of_the_dense_gaussian(linear, solver, options):
    """Own and shared parameters with priors, gaps, rows of one time; compiled."""
    action, expected = linear
    run = anneal(action, DATA, solver, options)
    agree(run, expected, NAMES)
    assert run.dataset.attrs["kernels"] == "compiled"
    # rows of one time that share no channel are one row
    assert action.bind(DATA).repeat_at.tolist() == [2, 3]
    assert run.dataset.attrs["data_count"] == sum(one.measured.sum() for one in DATA.values())


@pytest.mark.parametrize(("solver", "options"), SOLVERS)
def test_so_it_is_without_a_compiler_and_its_posterior(uncompiled, solver, options):
    model, x, _ = linear_model(priors=PRIORS)
    measured = [x[0], x[1] - 0.5 * x[2], 0.5 * x[0] + x[2]]
    action = sd.Action(model, measured, scheme="trapezoid")
    expected = dense("trapezoid")
    run = anneal(action, DATA, solver, options)
    agree(run, expected, NAMES)
    found = action.posterior(run, DATA)
    assert found.names == NAMES
    size = np.abs(expected.covariance).max()
    assert np.abs(found.covariance - expected.covariance).max() < 1e-8 * size


def test_the_compiled_posterior_is_that_of_the_dense_gaussian(linear):
    action, expected = linear
    found = action.posterior(anneal(action, DATA, "newton"), DATA)
    size = np.abs(expected.covariance).max()
    assert np.abs(found.covariance - expected.covariance).max() < 1e-8 * size


def misfit(action: sd.Action, data: sd.Observations, states, parameters) -> float:
    """Sum up what data cost, by NumPy: a row at a time, solving with the channels' own matrix."""
    total, noises = 0.0, action.measurement.noises
    symbols = (*action.model.states, *action.parameters)
    for i, (row, seen, x) in enumerate(zip(data.values, data.measured, states, strict=True)):
        at = dict(zip(symbols, [*x, *parameters], strict=True))
        own = [l for l in np.flatnonzero(seen) if noises[l].gaussian]
        h = {l: float(action.measurement.functions[l].subs(at)) for l in own}
        error = np.array([row[l] - h[l] for l in own])
        C = data.covariance[i][np.ix_(own, own)]
        total += 0.5 * error @ np.linalg.solve(C, error) if own else 0.0
        for l in set(np.flatnonzero(seen)) - set(own):
            values = {name: np.array([float(e.subs(at))]) for name, e in noises[l].terms.items()}
            total += float(cost_of(noises[l], values, row[[l]], np.ones(1))[0])
    return total


@pytest.fixture(scope="module")
def both():
    """Compiled and virtual kernels of the mixed problem, and a point."""
    action, data = mixed()
    problem = action.bind(data)
    own = action.of(problem)
    functions = derive_step(own.field, own.scheme)
    virtual = virtual_kernels(functions, own.emitted, paid=1, pairs=10)
    rng = np.random.default_rng(0)
    X, theta = rng.uniform(0.3, 1.5, (problem.M, problem.D)), rng.uniform(0.5, 1.5, problem.P)
    # the logarithm has no value where it is not measured
    X[1, 0] = -0.7
    return action, data, problem, own.compile().machine.at(problem), virtual.at(problem), X, theta


def test_kernels_cost_what_numpy_says(both):
    action, data, problem, compiled, virtual, X, theta = both
    states = X[np.searchsorted(problem.times, data.times)]
    expected = misfit(action, data, states, theta)
    kernels = action.compile()
    for terms in (
        compiled.terms(X, theta, 2.0),
        virtual.terms(X, theta, 2.0),
        kernels.terms(X, theta, 2.0, data),
    ):
        assert terms[0] == pytest.approx(expected, rel=1e-12)
    assert problem.repeat_at.tolist() == [2, 2]


def test_compiled_and_virtual_kernels_agree(both):
    _, _, _, compiled, virtual, X, theta = both
    a, b = (at.gradient(X, theta, 2.0) for at in (compiled, virtual))
    assert np.isfinite(a).all()
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    a, b = (at.hessian(X, theta, 2.0).toarray() for at in (compiled, virtual))
    assert np.isfinite(a).all()
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    packed = compiled.packed
    a, b = (
        at.kernels.engine.point_gauss_newton(packed.row_states(X), theta, packed.points)
        for at in (compiled, virtual)
    )
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_the_gauss_newton_part_is_j_transposed_p_j(both):
    """Of the correlated channels, at a point where no other was measured."""
    action, _, _, compiled, _, X, theta = both
    C = covariances(7, L=3)
    full = np.full((5, 5), np.nan)
    full[np.ix_([0, 2, 4], [0, 2, 4])] = C
    row = [[0.1, np.nan, 0.2, np.nan, 0.3]]
    data = sd.Observations(
        [0.0, 1.0], row * 2, covariance=full, channels=list(action.measurement.names)
    )
    problem = action.bind(data)
    at = compiled.kernels.at(problem)
    engine, packed = at.kernels.engine, at.packed
    X = X[:2] * [[1.0, 1.0, 0.0]]
    X[:, 0] = np.abs(X[:, 0])
    values = engine.point_gauss_newton(packed.row_states(X), theta, packed.points)[0]
    sparsity = at.kernels.functions["point_hessian"].sparsity_out(0)
    found = np.zeros(sparsity.shape)
    found[tuple(sparsity.get_triplet())] = values
    J = at.measure_slopes(X, theta)[1][0][[0, 2, 4]]
    expected = J.T @ np.linalg.solve(C, J)
    # the control is paid
    expected[2, 2] += problem.cost[0, 0]
    np.testing.assert_allclose(found, np.triu(expected), rtol=1e-9, atol=1e-9)


def test_taylor_slopes(both):
    """Remainders of order 2 and 3 along a direction, after gradient and Hessian."""
    _, _, problem, at, _, X, theta = both
    x = problem.unknowns.join(X, theta)
    d = np.random.default_rng(1).standard_normal(x.size)

    def value(z):
        return at.action(*problem.unknowns.split(z), 3.0)

    slope, bend = at.gradient(X, theta, 3.0) @ d, d @ (at.hessian(X, theta, 3.0) @ d)
    steps = 1e-2 * 0.5 ** np.arange(5)
    first = np.abs([value(x + h * d) - value(x) - h * slope for h in steps])
    second = np.abs([value(x + h * d) - value(x) - h * slope - h**2 / 2 * bend for h in steps])
    assert np.log2(first[:-1] / first[1:]) == pytest.approx(2.0, abs=0.15)
    assert np.log2(second[:-1] / second[1:]) == pytest.approx(3.0, abs=0.15)


def test_solvers_end_in_one_minimum_of_mixed_noise(both, monkeypatch):
    """Compiled; and newton without a compiler."""
    action, data, problem, *_ = both
    ladder = sd.Ladder(rf0=10.0, rungs=1)
    start = np.full((problem.M, problem.D), 0.5), np.ones(problem.P)
    first = anneal(action, data, "newton", ladder=ladder, start=start)
    near = first.best.states.values * 1.01, np.array(list(first.best.parameters.values())) * 0.99
    found = {
        solver: anneal(action, data, solver, ladder=ladder, start=near)
        for solver in ("newton", "ipopt", "lbfgs")
    }
    monkeypatch.setenv("SYMDA_CC", "none")
    with pytest.warns(VirtualMachineWarning):
        found["virtual"] = anneal(mixed()[0], data, "newton", ladder=ladder, start=start)
    assert found["virtual"].dataset.attrs["kernels"] == "virtual machine"
    for run in found.values():
        assert run.best.action == pytest.approx(first.best.action, rel=1e-9)
        np.testing.assert_allclose(run.best.states, first.best.states, atol=1e-4)
    # quantile residuals of the mixed noise: those of the correlated channels are whitened
    best = first.best
    at = action.of(problem).compile().machine.at(problem)
    h = at.measure(best.states.values, list(best.parameters.values()))
    row = np.array([0, 2, 4])
    C = data.covariance[0][np.ix_(row, row)]
    white = np.linalg.solve(np.linalg.cholesky(C), (data.values[0] - h[0])[row])
    np.testing.assert_allclose(best.residuals[0].values[row], white, rtol=1e-6)
    assert first.dataset["repeated_residuals"].notnull().sum() == data.measured[3:5].sum()
