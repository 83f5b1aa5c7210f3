"""The solvers of networks against dense least squares, each other, and back-propagation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import (
    compiled_passes,
    equations,
    flat,
    least_squares,
    problem_of,
    random_point,
    slopes_of,
    twin,
)

import symda as sd
from symda.analyse.networks import determined, output_slopes
from symda.build.network_layout import room
from symda.declare.network import Normals
from symda.solve.network import levenberg
from symda.solve.network.descents import Blocks, Everything, Forcing
from symda.solve.network.levenberg import Levenberg
from symda.solve.network.linearised import Inverse, Linearised
from symda.solve.network.problem import NetworkProblem, Point
from symda.solve.network.secants import Secants
from symda.solve.network.solvers import SOLVERS, Chosen, network_solver
from symda.solve.network.training import Loss, by_adam, by_lbfgs
from symda.status import Reason, Status

layered, recurrent = sd.Model.layered, sd.Model.recurrent
PRIOR, SPREAD = sd.Normal(0.0, 0.7), sd.Normal(0.0, 1.0)


def problem(network, M: int, L_in: int, L_out: int, **options) -> NetworkProblem:
    pairs, _ = twin(network, M, L_in, L_out)
    made = problem_of(network, pairs, **options)
    made.passes = compiled_passes(network, L_in, L_out)
    return made


# Network, pairs, inputs, outputs. More weights than data, and more data than weights.
STEPS = {
    "lF = 4, L = 10": (layered([10] * 4), 24, 10, 10),
    "L = 8": (layered([10] * 4, input_prior=SPREAD, prior=PRIOR), 24, 8, 8),
    "many pairs": (layered([4, 3, 5], bias=True), 30, 4, 5),
    "many, L = 2": (layered([4, 3, 5], input_prior=SPREAD, prior=PRIOR), 30, 2, 2),
    "shared": (layered([4] * 4, share=True, bias=True, prior=PRIOR), 30, 4, 4),
    "eq. 16": (recurrent([3, 4, 2], 3, prior=PRIOR), 5, 3, 2),
    "eq. 17": (recurrent([3, 3], 3, within="logistic", bias=True), 30, 3, 1),
    "no hidden layer": (layered([3, 2]), 2, 3, 2),
    "one neuron": (layered([1, 1], bias=True), 1, 1, 1),
}


def test_noise_that_differs_from_datum_to_datum() -> None:
    """Variances of each pair, and each place of a sequence, weigh what they are of."""
    network, rng = recurrent([3, 4, 2], 3, prior=PRIOR), np.random.default_rng(4)
    pairs, _ = twin(network, 5, 2, 2)
    sizes = rng.uniform(0.001, 0.1, (5, 3, 2)), rng.uniform(0.001, 0.1, (3, 2))
    unlike = sd.Pairs(pairs.inputs, pairs.outputs, variance=sizes[0], input_variance=sizes[1])
    network = replace(network, input_prior=Normals(np.array(0.3), np.array(1.2)))
    p = problem_of(network, unlike)
    point, rf = random_point(p), 30.0
    r = least_squares(p, rf, flat(point, p.M))
    value, GX, G = p.gradient(point, rf)
    assert value == pytest.approx(0.5 * r @ r, rel=1e-12)
    exact = slopes_of(p, rf, flat(point, p.M)).T @ r
    np.testing.assert_allclose(
        np.concatenate([GX[:, : p.M].ravel(), G]), exact, rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize("rf", [1.0, 1e6])
@pytest.mark.parametrize("name", STEPS)
def test_step_is_that_of_dense_least_squares(name: str, rf: float) -> None:
    p = problem(*STEPS[name])
    start, mu = random_point(p), 0.1
    work = Linearised(p, start, rf)
    unit = work.unit()
    step = -Inverse(work, mu * unit, 1e-15, 5000)(work.gradient)
    moved, (_, weights, _) = work.activities(step), work.parts(step)
    z = flat(start, p.M)
    r, J = least_squares(p, rf, z), slopes_of(p, rf, z)
    assert work.action == pytest.approx(0.5 * r @ r, rel=1e-12)
    damped = np.zeros((p.network.weights, z.size))
    damped[:, p.rows * p.M :] = np.diag(np.sqrt(mu * unit))
    full = np.concatenate([J, damped])
    exact = np.linalg.lstsq(full, np.concatenate([-r, np.zeros(len(damped))]), rcond=None)[0]
    dX, dW = exact[: p.rows * p.M].reshape(p.rows, p.M), exact[p.rows * p.M :]
    np.testing.assert_allclose(weights, dW, rtol=0, atol=1e-9 * np.abs(dW).max())
    np.testing.assert_allclose(moved[:, : p.M], dX, rtol=0, atol=1e-9 * np.abs(dX).max())
    left = np.concatenate([r, np.zeros(len(damped))]) + full @ exact
    promised = -0.5 * work.gradient @ step
    assert promised == pytest.approx(0.5 * r @ r - 0.5 * left @ left, rel=1e-8)


def ended(p: NetworkProblem, solver: str, rf: float, seed: int = 3, **options: float):
    W = 0.5 * np.random.default_rng(seed).normal(size=p.network.weights)
    made = network_solver(solver, options or None)
    return made.minimise(p, Point(p.forward(W), W), rf)


ENDS = {
    "layers": (layered([4, 5, 3], bias=True, prior=PRIOR), 20, 4, 3),
    "L = 2": (layered([4, 5, 3], prior=PRIOR, input_prior=SPREAD), 20, 2, 3),
    "many pairs": (layered([3, 3, 2], prior=PRIOR), 60, 3, 2),
}


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("name", ENDS)
def test_solvers_end_at_one_level(name: str, df: float | None) -> None:
    p = problem(*ENDS[name], df=df)
    rf = p.rf_at(10.0)
    ends = {solver: ended(p, solver, rf) for solver in SOLVERS}
    lowest = min(end.terms.total for end in ends.values())
    for solver, end in ends.items():
        assert end.solver == solver
        assert end.status is Status.CONVERGED
        assert end.terms.total == pytest.approx(lowest, rel=1e-3), solver
        # what it says of itself is what there is
        assert end.terms.total == p.terms(end.point, rf).total
        assert not end.point.X[:, p.M :].any()
        assert end.iterations > 0 and end.inner >= end.iterations


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("name", ENDS)
def test_newton_has_converged_where_it_says_so(name: str, df: float | None) -> None:
    """Flat valleys, a Student t's above all: little promised by a damped step is no minimum."""
    p = problem(*ENDS[name], df=df)
    rf = p.rf_at(10.0)
    for seed in range(8):
        end = ended(p, "newton", rf, seed=seed)
        assert end.status is Status.CONVERGED, seed
        further = Blocks(max_iter=3000, tol=1e-9).minimise(p, end.point, rf)
        assert further.terms.total > (1.0 - 1e-3) * end.terms.total, seed


def test_secants_correct_an_inverse_that_is_wrong() -> None:
    """What steps have shown holds whatever inverse stands between the loops."""
    rng, secants = np.random.default_rng(0), Secants(3)
    half = rng.normal(size=(6, 6))
    H = half @ half.T + np.eye(6)
    steps = rng.normal(size=(4, 6))
    for s in steps:
        secants.add(s, H @ s)
    secants.add(steps[0], -H @ steps[0])  # bent downward: not kept
    assert len(secants) == 3
    wrong = np.diag(rng.uniform(0.1, 10.0, 6))
    np.testing.assert_allclose(
        secants.step(H @ steps[-1], lambda q: wrong @ q), steps[-1], rtol=1e-12
    )
    # conjugate steps are all known
    axes = np.linalg.eigh(H)[1][:, :3].T
    for s in axes:
        secants.add(s, H @ s)
    along = axes.T @ np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(secants.step(H @ along, lambda q: wrong @ q), along, rtol=1e-10)
    secants.forget()
    np.testing.assert_array_equal(secants.step(along, lambda q: wrong @ q), wrong @ along)


@pytest.mark.parametrize("solver", SOLVERS)
def test_level_of_nothing_is_a_minimum(solver: str) -> None:
    """Few pairs and no prior: weights meet all data, and there is nothing left to gain."""
    p = problem(layered([4, 5, 3], bias=True), 3, 4, 3)
    end = ended(p, solver, p.rf_at(10.0))
    assert end.status is Status.CONVERGED
    assert end.terms.total < 1e-20


def test_unknown_inputs_go_to_blocks() -> None:
    """Inputs that nothing holds memorise the outputs, which other steps do not find."""
    p = problem(layered([4, 5, 3], bias=True), 3, 2, 3)
    end = ended(p, "newton", p.rf_at(10.0))
    assert end.solver == "block" and end.terms.total < 1e-20


def test_little_gained_is_no_minimum() -> None:
    """Quasi-Newton steps that gain a little each have not converged where Rf is large."""
    p = problem(*ENDS["layers"])
    rf = p.rf_at(1e5)
    lowest, poor = ended(p, "newton", rf), ended(p, "lbfgs", rf, tol=1e-5)
    assert poor.reason is Reason.CREEPING and poor.status is Status.ACCEPTABLE
    assert poor.terms.total > 1.01 * lowest.terms.total
    short = ended(p, "lbfgs", rf, max_iter=5)
    assert short.reason is Reason.LIMIT and short.iterations == 5


def test_little_of_a_slope_counts_in_activities_and_weights() -> None:
    """Errors in place of activities are no unknowns for small Rf, which it does not hide."""
    p = problem(*ENDS["layers"])
    found, poor = ended(p, "newton", 1e-8), ended(p, "forcing", 1e-8)
    assert found.status is Status.CONVERGED
    assert poor.terms.total > 1e3 * found.terms.total and poor.reason is Reason.CREEPING


def test_rescue_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all steps are refused blocks take over, and it says so."""
    p = problem(*ENDS["many pairs"])
    rf = p.rf_at(10.0)
    expected = ended(p, "newton", rf)
    # no step gains ten times what it promises
    monkeypatch.setattr(levenberg, "LEAST", 10.0)
    W = 0.5 * np.random.default_rng(3).normal(size=p.network.weights)
    alone = Levenberg().minimise(p, Point(p.forward(W), W), rf)
    assert alone.reason is Reason.STUCK and alone.iterations == Levenberg().rejections
    helped = ended(p, "newton", rf, rescue=1000)
    assert helped.solver == "block" and helped.status is Status.CONVERGED
    assert helped.terms.total == pytest.approx(expected.terms.total, rel=1e-3)
    assert helped.iterations > 100


@pytest.mark.parametrize("M", [20, 1])
def test_sum_is_eq14_without_its_factors(M: int) -> None:
    network = layered([4, 5, 3], prior=PRIOR, input_prior=SPREAD)
    p, total = problem(network, M, 3, 2), problem(network, M, 3, 2, averaging="sum")
    L = (3 + 2) / 2
    assert (total.c_m, total.c_f) == (1.0, 1.0)
    rf = 70.0
    matched = rf * p.c_f / p.c_m
    point = random_point(p)
    one, other = p.terms(point, rf), total.terms(point, matched)
    for word in ("measurement", "model", "prior"):
        assert getattr(other, word) == pytest.approx(L * M * getattr(one, word), rel=1e-12)
    assert p.rf_at(10.0) * p.c_f / p.c_m == pytest.approx(total.rf_at(10.0))


def test_terms_of_eq14() -> None:
    """The action written out: L the mean of measured inputs and outputs, N (lF - 1) neurons."""
    network, M = layered([3, 4, 4, 2]).around(np.full(36, 0.1), 0.5), 7
    p, rf = problem(network, M, 3, 1), 12.0
    point = random_point(p)
    X, W = point.X[:, :M], point.W
    data = (X[:3] - p.pairs.inputs.T) ** 2, (X[11:12] - p.pairs.outputs.T) ** 2
    terms = p.terms(point, rf)
    measured = sum(one.sum() for one in data) / (2 * 0.0025 * 2 * M)
    assert terms.measurement == pytest.approx(measured, rel=1e-12)
    assert terms.model == pytest.approx(rf / (M * 10) * (equations(network, X, W) ** 2).sum())
    assert terms.prior == pytest.approx(((W - 0.1) ** 2).sum() / (2 * 0.25 * 2 * M))


def test_student_t_is_moved_less_by_an_outlier() -> None:
    network = layered([2, 3, 1], bias=True, prior=sd.Normal(0.0, 1.0))
    pairs, true = twin(network, 60, 2, 1, seed=2)
    y = pairs.outputs.copy()
    y[::6] += 0.6
    wrong = sd.Pairs(pairs.inputs, y, variance=0.0025)
    moved = {}
    for df in (None, 3.0):
        fits = []
        for one in (pairs, wrong):
            p = problem_of(network, one, df=df)
            p.passes = compiled_passes(network, 2, 1)
            end = Chosen().minimise(p, Point(p.forward(true), true.copy()), p.rf_at(1e4))
            assert end.status is Status.CONVERGED
            fits.append(p.forward(end.point.W)[p.outputs, : p.M])
        moved[df] = np.abs(fits[1] - fits[0]).mean()
    assert moved[3.0] < 0.2 * moved[None]


def test_student_t_of_many_degrees_is_gaussian() -> None:
    p, t = problem(*ENDS["layers"]), problem(*ENDS["layers"], df=1e9)
    point = random_point(p)
    assert t.terms(point, 5.0).total == pytest.approx(p.terms(point, 5.0).total, rel=1e-5)


def exact_inputs(network, M: int, L_in: int, L_out: int) -> NetworkProblem:
    pairs, _ = twin(network, M, L_in, L_out)
    known = sd.Pairs(pairs.inputs, pairs.outputs, variance=0.0025, input_variance=1e-10)
    p = problem_of(network, known)
    p.passes = compiled_passes(network, L_in, L_out)
    return p


def test_back_propagation_is_the_limit_of_large_rf() -> None:
    p = exact_inputs(layered([3, 4, 2], prior=PRIOR), 20, 3, 2)
    W = 0.5 * np.random.default_rng(3).normal(size=p.network.weights)
    trained = by_lbfgs(p, W, 5.0)
    gaps = []
    for rf in (1e5, 1e6, 1e7):
        end = Forcing(tol=1e-12).minimise(p, Point(p.forward(trained.weights), trained.weights), rf)
        gaps.append(trained.level - end.terms.total)
    # the errors that are left gain as 1/Rf
    assert gaps[2] < 1e-3 * trained.level
    assert gaps[0] / gaps[1] == pytest.approx(10.0, rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(10.0, rel=0.1)


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("name", [*ENDS, "eq. 17"])
def test_gradient_of_back_propagation(name: str, df: float | None) -> None:
    p = problem(*(ENDS | STEPS)[name], df=df)
    loss, rng = Loss(p), np.random.default_rng(0)
    W, dW = rng.normal(size=(2, p.network.weights))
    value, gradient = loss(W)
    errors = [loss(W + h * dW)[0] - value - h * gradient @ dW for h in (1e-4, 5e-5)]
    assert np.log2(abs(errors[0] / errors[1])) == pytest.approx(2.0, abs=0.02)
    # the level written out: data of the outputs, and the prior
    X = p.forward(W)
    terms = p.terms(Point(X, W), 1.0)
    free, _ = p.input_cost(X)
    assert terms.model < 1e-25
    assert value == pytest.approx(terms.total - free - p.input_cost(X)[1], rel=1e-12)


def test_training_methods_end_alike() -> None:
    p = exact_inputs(layered([3, 4, 2], prior=PRIOR), 20, 3, 2)
    W = 0.5 * np.random.default_rng(3).normal(size=p.network.weights)
    first, _ = Loss(p)(W)
    exact, adam = by_lbfgs(p, W, 5.0), by_adam(p, W, 0.4)
    assert exact.level < first and exact.level == Loss(p)(exact.weights)[0]
    assert adam.level == pytest.approx(exact.level, rel=0.02)
    _, gradient = Loss(p)(exact.weights)
    assert np.linalg.norm(gradient) < 1e-4 * np.linalg.norm(Loss(p)(W)[1])
    # no time: what it began with
    assert by_lbfgs(p, W, 1e-9).level <= first


@pytest.mark.parametrize(
    ("solver", "options", "words"),
    [
        ("nwton", None, r"networks have no solver 'nwton'\. Did you mean 'newton'"),
        (5, None, "networks have no solver 5"),
        ("newton", {"tolerance": 1e-6}, "no option 'tolerance'.*It has tol, cg_tol"),
        ("newton", {"tol": -1.0}, "option 'tol' must be a positive number"),
        ("lbfgs", {"max_iter": 2.5}, "option 'max_iter' must be a whole number"),
        ("block", 3, "options must be a mapping"),
        ("block", {"name": "x"}, "no option 'name'"),
        (Forcing(), {"tol": 1e-3}, "options belong to a solver that is named"),
    ],
)
def test_solvers_that_there_are_not(solver: object, options: object, words: str) -> None:
    with pytest.raises(sd.OptionError, match=words):
        network_solver(solver, options)


def test_solvers_with_options() -> None:
    assert network_solver("block", {"renew": 7}) == Blocks(renew=7)
    assert network_solver("lbfgs", {"tol": 1}) == Everything(tol=1.0)
    assert network_solver(Levenberg(max_iter=3)) == Levenberg(max_iter=3)


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("name", ["shared", "eq. 16", "eq. 17", "L = 8"])
def test_slopes_of_outputs_are_tangents(name: str, df: float | None) -> None:
    p = problem(*STEPS[name], df=df)
    W = np.random.default_rng(0).normal(size=p.network.weights)
    found = np.array(list(output_slopes(p, W)))
    assert found.shape == (p.outputs.size, p.M, p.network.weights)
    X, D, R = p.forward(W), room(p.slopes, p.wide), room(p.rows, p.wide)
    p.passes.linearise(W, X, D, R, p.M)
    e2 = (X[p.outputs] - p.y_out)[:, : p.M] ** 2
    precision = np.full(e2.shape, 400.0) if df is None else 400.0 * 5.0 / (4.0 + 400.0 * e2)
    # noise of the inputs, carried to the outputs
    moved = []
    for row in p.layout.every:
        T = room(p.rows, p.wide)
        T[row] = np.sqrt(p.spread[row] * p.c_m)
        p.passes.tangent(W, X, D, None, T, p.M)
        moved.append(T[p.outputs, : p.M].copy())
    noise = np.einsum("iam,ibm->mab", moved, moved)
    noise += np.einsum("am,ab->mab", 1.0 / precision, np.eye(p.outputs.size))
    for k in range(0, W.size, 7):
        T, one = room(p.rows, p.wide), np.zeros(W.size)
        one[k] = 1.0
        p.passes.tangent(W, X, D, one, T, p.M)
        exact = np.einsum(
            "am,mab,bm->m", T[p.outputs, : p.M], np.linalg.inv(noise), T[p.outputs, : p.M]
        )
        np.testing.assert_allclose((found[:, :, k] ** 2).sum(axis=0), exact, rtol=1e-8, atol=1e-12)


def test_directions_by_weights_and_by_data_agree() -> None:
    """Which Gram matrix is taken depends on the numbers of both."""
    few, many = problem(*STEPS["L = 8"]), problem(*STEPS["many, L = 2"])
    for p, in_weights in ((few, False), (many, True)):
        W = np.random.default_rng(0).normal(size=p.network.weights)
        assert (W.size <= p.outputs.size * p.M) == in_weights
        J = np.concatenate(list(output_slopes(p, W))) * 0.7
        s = np.linalg.svd(J, compute_uv=False)
        assert determined(p, W) == pytest.approx((s**2 / (1 + s**2)).sum(), rel=1e-9)
