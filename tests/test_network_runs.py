"""What annealing a network finds and says of it, against dense answers and published numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from networks import VARIANCE, logistic

import symda as sd
from symda.analyse.networks import predict, prediction_error
from symda.api.network import NetworkAction
from symda.api.network_run import NetworkRun
from symda.api.network_warnings import NetworkWarning
from symda.declare.network import Network
from symda.solve.network.problem import Point
from symda.solve.network.solvers import Chosen
from symda.solve.network.training import by_lbfgs
from symda.status import Reason, Status

layered = sd.Model.layered
SHORT = sd.Ladder(relative=10.0, alpha=100.0, rungs=3)


def orthogonal(rng: np.random.Generator, lF: int, N: int, size: float) -> np.ndarray:
    """Weights of twin b: orthogonal, the mean taken out behind the first layer."""
    W = np.empty((lF - 1, N, N))
    centre = np.eye(N) - np.ones((N, N)) / N
    for l in range(lF - 1):
        q, r = np.linalg.qr(rng.normal(size=(N, N)))
        q = q * np.sign(np.diag(r))
        W[l] = size * q @ centre if l else q
    return W


def twin_b(
    lF: int, N: int, M: int, new: int, seed: int = 0
) -> tuple[np.ndarray, sd.Pairs, sd.Pairs]:
    """Weights, noisy pairs, and new ones."""
    rng = np.random.default_rng(seed)
    W = orthogonal(rng, lF, N, 4.4)
    x = rng.normal(size=(M + new, N))
    y = x
    for matrix in W:
        y = logistic(y @ matrix.T)
    x = x + VARIANCE**0.5 * rng.normal(size=x.shape)
    y = y + VARIANCE**0.5 * rng.normal(size=y.shape)
    return (
        W,
        sd.Pairs(x[:M], y[:M], variance=VARIANCE),
        sd.Pairs(x[M:], y[M:], variance=VARIANCE),
    )


@pytest.fixture(scope="module")
def small() -> tuple[NetworkAction, sd.Pairs, sd.Pairs, NetworkRun]:
    """Six layers of 6, 40 pairs; a prior around weights that are near the true ones."""
    W, pairs, new = twin_b(6, 6, 40, 300)
    near = W + 0.2 * np.random.default_rng(1).normal(size=W.shape)
    action = sd.Action(layered([6] * 6).around(near, 0.2))
    return action, pairs, new, sd.anneal(action, pairs, paths=4)


def test_starts_end_in_one_level(small) -> None:
    _, pairs, _, run = small
    last = run.levels.values[:, -1]
    assert run.reached == 4 and last.max() < 1.001 * last.min()
    table = run.table()
    assert len(table) == 1 and table["paths"].tolist() == [4] and run.second is None
    assert table["level"][0] == run.best.action == last.min()
    best = run.best
    assert best.measurement_term + best.model_term + best.prior_term == pytest.approx(best.action)
    assert run.levels.dims == ("path", "beta") and run.levels["rf"].size == 6
    # the first rung is where c_f Rf is ten times c_m Rm
    c_m, c_f = 1.0 / (6 * 40), 2.0 / (40 * 30)
    assert run.levels["rf"].values[0] == pytest.approx(10.0 * c_m / VARIANCE / c_f)
    assert (run.dataset["status"].values == Status.CONVERGED.code).all()
    assert [w.shape for w in best.weights] == [(6, 6)] * 5
    assert run[1].action == run.levels.values[1, -1] and len(pairs) == 40


def test_summary_says_what_it_must(small) -> None:
    run = small[3]
    text, constant = run.summary(), run.dataset.attrs["constant"]
    for words in (
        "40 pairs: 6 inputs, 6 outputs",
        "4 starts, 6 rungs",
        "solver newton (compiled)",
        f"lowest level {run.best.action:.6g}",
        "met by 4 of 4 paths; 1 levels",
        f"the constant network has {constant:.6g}",
        "back-propagation (Adam; same prior, starts and time; then inputs moved",
        "back-propagation (L-BFGS; same prior, starts and time; then inputs moved",
        f"the data determine {run.determined:.1f} of 180 directions",
    ):
        assert words in text
    assert "not converge" not in text and run.verdict().consistent
    assert repr(run) == f"<NetworkRun\n{text}\n>"
    assert run.trained["L-BFGS"] == pytest.approx(run.best.action, rel=0.05)


def test_constant_is_the_level_of_the_mean(small) -> None:
    _, pairs, _, run = small
    y = pairs.outputs
    level = ((y - y.mean(axis=0)) ** 2).sum() / (2 * VARIANCE * 6 * 40)
    assert run.dataset.attrs["constant"] == pytest.approx(level, rel=1e-12)


def slopes(run: NetworkRun, pairs: sd.Pairs) -> np.ndarray:
    """Derivatives (M L, W) of the outputs by the weights in units of their noise, whitened.

    By differences in the complex plane; the noise of the inputs is carried to the outputs.
    """

    def moved(weight: int | None, neuron: int | None) -> np.ndarray:
        W, y = run.best.vector.astype(complex), pairs.inputs.T.astype(complex)
        if weight is not None:
            W[weight] += 1e-30j
        if neuron is not None:
            y[neuron] += 1e-30j
        for matrix in run.network.split(W):
            y = logistic(matrix @ y)
        return y.imag.T / 1e-30

    by_inputs = np.array([moved(None, i) for i in range(pairs.inputs.shape[1])])
    covariance = np.einsum("ima,imb->mab", by_inputs, by_inputs) + np.eye(by_inputs.shape[2])
    white = np.linalg.inv(np.linalg.cholesky(VARIANCE * covariance))
    columns = [
        np.einsum("mab,mb->ma", white, moved(k, None)).ravel() for k in range(run.network.weights)
    ]
    return np.array(columns).T


def test_determined_directions_by_singular_values(small) -> None:
    _, pairs, _, run = small
    s = np.linalg.svd(slopes(run, pairs) * 0.2, compute_uv=False)
    assert run.determined == pytest.approx((s**2 / (1 + s**2)).sum(), rel=1e-9)
    assert 10.0 < run.determined < 180.0


def test_posterior_by_a_dense_inverse(small) -> None:
    _, pairs, _, run = small
    J = slopes(run, pairs)
    covariance = np.linalg.inv(J.T @ J + np.eye(180) / 0.2**2)
    posterior = run.posterior()
    np.testing.assert_allclose(posterior.covariance, covariance, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(posterior.sd, np.sqrt(np.diag(covariance)), rtol=1e-8)
    assert (posterior.sd <= 0.2).all()


def test_prediction_errors(small) -> None:
    _, pairs, new, run = small
    y = new.inputs
    for matrix in run.best.weights:
        y = logistic(y @ matrix.T)
    np.testing.assert_allclose(run.best.predict(new.inputs), y, rtol=1e-12)
    table = run.prediction_errors(new)
    assert list(table.index) == [
        "lowest level",
        "constant",
        "back-propagation, Adam",
        "back-propagation, L-BFGS",
    ]
    each = ((y - new.outputs) ** 2).mean(axis=1)
    assert table["error"]["lowest level"] == pytest.approx(each.mean(), rel=1e-12)
    error = table["standard error"]["lowest level"]
    assert error == pytest.approx(each.std() / np.sqrt(300), rel=0.1)
    constant = ((pairs.outputs.mean(axis=0) - new.outputs) ** 2).mean()
    assert table["error"]["constant"] == pytest.approx(constant, rel=1e-12)
    assert table["error"]["lowest level"] < 0.5 * constant
    # the same seed, the same error
    assert run.prediction_errors(new, seed=0).equals(table)
    assert run.prediction_errors(new, seed=1)["standard error"]["lowest level"] != error


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros((3, 5)), r"inputs must have the shape \(M, 6\), got \(3, 5\)"),
        (np.zeros(6), r"got \(6,\)"),
        (np.zeros((0, 6)), r"got \(0, 6\)"),
        (np.zeros((2, 1, 6)), r"got \(2, 1, 6\)"),
        (np.full((2, 6), np.nan), "not finite"),
    ],
)
def test_inputs_that_cannot_be_predicted(small, inputs: np.ndarray, words: str) -> None:
    with pytest.raises(sd.DataError, match=f"predict: .*{words}"):
        small[3].best.predict(inputs)


def test_pairs_that_cannot_be_compared(small) -> None:
    run, new = small[3], small[2]
    fewer = sd.Pairs(new.inputs[:, :4], new.outputs, variance=1.0)
    with pytest.raises(sd.DataError, match=r"pairs have \(4,\) inputs and \(6,\) outputs"):
        run.prediction_errors(fewer)
    with pytest.raises(sd.OptionError, match="the run has no path 9"):
        run.at(9)


def test_a_path_depends_on_its_seed_only(small) -> None:
    action, pairs, _, run = small
    for options in ({"paths": 2}, {"paths": 5, "workers": 2}, {"paths": 3, "threads": 2}):
        other = action.anneal(pairs, baseline=False, **options)
        count = min(options["paths"], 4)
        for name in ("action", "weights", "start", "iterations"):
            np.testing.assert_array_equal(
                other.dataset[name].values[:count], run.dataset[name].values[:count]
            )
    other = action.anneal(pairs, paths=1, seed=7, baseline=False)
    assert (other.dataset["start"].values[0] != run.dataset["start"].values[0]).any()


def test_saved_and_read_again(small, tmp_path: Path) -> None:
    action, pairs, new, run = small
    run.save(tmp_path / "run.nc")
    again = action.load(tmp_path / "run.nc", pairs)
    assert again.summary() == run.summary()
    assert again.prediction_errors(new).equals(run.prediction_errors(new))
    with pytest.raises(sd.DataError, match="has pairs 40, expected 39"):
        action.load(tmp_path / "run.nc", pairs[:39])
    others = (
        (action, sd.Pairs(pairs.inputs, pairs.outputs, variance=0.1)),
        (sd.Action(action.network.around(run.best.vector, 0.2)), pairs),
        (sd.Action(action.network, noise=sd.StudentT(4.0, 0.0)), pairs),
    )
    for other, given in others:
        with pytest.raises(sd.DataError, match="of other pairs, priors, activations or noise"):
            other.load(tmp_path / "run.nc", given)
    with pytest.raises(sd.DataError, match="load: there is no file"):
        action.load(tmp_path / "none.nc", pairs)


def test_plot_of_levels(small, tmp_path: Path) -> None:
    figure = small[3].plot_levels(tmp_path / "levels.png")
    assert (tmp_path / "levels.png").stat().st_size > 5000
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert words == [
        "paths (4)",
        "constant output",
        "back-propagation, Adam",
        "back-propagation, L-BFGS",
    ]
    with pytest.raises(sd.OptionError):
        small[3].plot_levels(tmp_path / "missing" / "levels.png")


@pytest.mark.smoke
def test_study_numbers() -> None:
    """Twin b of the study of networks: lF = 20, 100 pairs, a prior of sd 0.2 around other weights.

    A level of 2.0438e-3 at Rf = 1e6 with Rm = 1, so 400 times that at 4e8 with Rm = 1/0.0025; back-
    propagation with the same prior ends at 2.0583e-3; new pairs have the error 0.0042.
    """
    _, pairs, new = twin_b(20, 10, 100, 1000)
    rng = np.random.default_rng(100)
    # the study drew states before the weights
    rng.uniform(0.4, 0.6, (20, 10, 104))
    W0 = orthogonal(rng, 20, 10, 4.0).ravel()
    p = sd.Action(layered([10] * 20).around(W0, 0.2)).problem(pairs)
    found = Chosen(tol=1e-4).minimise(p, Point(p.forward(W0), W0), 4e8)
    assert found.terms.total == pytest.approx(400 * 2.0438e-3, rel=0.002)
    assert by_lbfgs(p, W0, 2.0).level == pytest.approx(400 * 2.0583e-3, rel=0.002)
    error = prediction_error(predict(p.passes, found.point.W, new.inputs, 0.0), new)
    assert error.mean == pytest.approx(0.0042, abs=0.0001)
    constant = np.broadcast_to(pairs.outputs.mean(axis=0), new.outputs.shape)
    assert prediction_error(constant, new).mean == pytest.approx(0.01514, abs=0.00005)


def warned(network: Network, pairs: sd.Pairs, **options: object) -> tuple[NetworkRun, list[str]]:
    given = {"paths": 1, "ladder": SHORT} | options
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = sd.anneal(sd.Action(network), pairs, **given)
    assert all(one.category is NetworkWarning and one.filename == __file__ for one in caught)
    return run, [str(one.message) for one in caught]


def test_weights_without_a_prior_are_warned_of() -> None:
    _, pairs, _ = twin_b(3, 4, 5, 1)
    run, words = warned(layered([4, 4, 4]), pairs)
    assert len(words) == 1
    assert "32 weights, 32 of them without a prior, against 20 measured outputs" in words[0]
    assert "more weights than outputs, and not all have a prior" in run.summary()
    with pytest.raises(sd.OptionError, match="some weights have no prior"):
        run.posterior()
    assert not warned(layered([4, 4, 4], prior=sd.Normal(0.0, 1.0)), pairs)[1]
    # data enough
    assert not warned(layered([4, 4, 4]), twin_b(3, 4, 9, 1)[1])[1]


def test_unmeasured_inputs_without_a_prior_are_warned_of() -> None:
    _, pairs, _ = twin_b(3, 4, 6, 1)
    some = sd.Pairs(pairs.inputs[:, :2], pairs.outputs, variance=VARIANCE)
    prior = sd.Normal(0.0, 1.0)
    one = sd.Ladder(relative=10.0, rungs=1)
    run, words = warned(layered([4, 4, 4], prior=prior), some, ladder=one)
    assert len(words) == 1 and "2 neurons of the input are not measured and have no" in words[0]
    assert "input_prior=sd.Normal(0.0, 1.0)" in words[0]
    assert (run.dataset["solver_used"].values == "block").all()
    assert "inputs without data or prior can memorise the outputs" in run.summary()
    held, words = warned(layered([4, 4, 4], prior=prior, input_prior=prior), some)
    assert not words and (held.dataset["solver_used"].values == "newton").all()


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_outputs_in_other_units_are_warned_of(uncompiled, unit: float) -> None:
    _, pairs, _ = twin_b(3, 4, 20, 1)
    other = sd.Pairs(
        pairs.inputs, unit * pairs.outputs, variance=VARIANCE * unit**2, input_variance=VARIANCE
    )
    priors = [sd.Normal(0.0, 1.0), sd.Normal(0.0, unit)]
    network = layered([4, 4, 4], activation=["tanh", "linear"], prior=priors)
    run, words = warned(network, other)
    assert len(words) == 1 and "the outputs vary by" in words[0]
    assert np.isfinite(run.best.action) and run.dataset.attrs["kind"] == "virtual machine"


def test_levels_that_differ() -> None:
    """No prior: each start its own minimum, which the table counts, the lowest first."""
    _, pairs, new = twin_b(4, 4, 9, 50)
    one = sd.Ladder(relative=10.0, rungs=1)
    run, _ = warned(
        layered([4] * 4), pairs, paths=6, ladder=one, options={"max_iter": 30, "rescue": 9}
    )
    last = np.sort(run.levels.values[:, -1])
    table = run.table()
    assert len(table) > 1 and table["paths"].sum() == run.dataset.sizes["path"] >= 6
    np.testing.assert_array_equal(run.levels.values[run.order, -1], last)
    assert table["level"].is_monotonic_increasing
    assert (table["level"].values[1:] > 1.001 * table["level"].values[:-1]).all()
    parts = table[["measurement", "model", "prior"]].sum(axis=1)
    np.testing.assert_allclose(parts, table["level"], rtol=1e-12)
    assert run.second is not None and run.second.action == table["level"][1]
    errors = run.prediction_errors(new)["error"]
    y = run.second.predict(new.inputs)
    assert errors["second level"] == pytest.approx(((y - new.outputs) ** 2).mean(), rel=1e-12)
    assert f"second level {run.second.action:.6g}, " in run.summary()


def test_predictions_take_the_mean_of_inputs_without_data() -> None:
    _, pairs, _ = twin_b(3, 4, 9, 1)
    some = sd.Pairs(pairs.inputs[:, :2], pairs.outputs, variance=VARIANCE)
    prior = sd.Normal(0.0, 1.0)
    network = layered([4, 4, 4], prior=prior, input_prior=sd.Normal(0.7, 1.0))
    run, _ = warned(network, some)
    y = np.column_stack([some.inputs, np.full((9, 2), 0.7)])
    for matrix in run.best.weights:
        y = logistic(y @ matrix.T)
    np.testing.assert_allclose(run.best.predict(some.inputs), y, rtol=1e-12)


def test_a_linear_layer_is_least_squares(uncompiled) -> None:
    """Two layers, exact inputs, large Rf: regression with a prior, and its posterior."""
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(30, 3)), rng.normal(size=(2, 3))
    y = x @ W.T + 0.05 * rng.normal(size=(30, 2))
    pairs = sd.Pairs(x, y, variance=VARIANCE, input_variance=1e-12)
    network = layered([3, 2], activation="linear", prior=sd.Normal(0.0, 0.7))
    run = sd.anneal(sd.Action(network), pairs, paths=1, ladder=sd.Ladder(rf0=1e9, rungs=1))
    precision = x.T @ x / VARIANCE + np.eye(3) / 0.7**2
    exact = np.linalg.solve(precision, x.T @ y / VARIANCE).T
    np.testing.assert_allclose(run.best.weights[0], exact, atol=1e-5)
    sizes = np.tile(np.sqrt(np.diag(np.linalg.inv(precision))), 2)
    np.testing.assert_allclose(run.posterior().sd, sizes, rtol=1e-6)


@pytest.mark.parametrize("M", [1, 2])
def test_a_few_pairs(M: int) -> None:
    _, pairs, _ = twin_b(3, 4, M, 1)
    run = sd.anneal(
        sd.Action(layered([4, 4, 4], prior=sd.Normal(0.0, 1.0))), pairs, paths=2, ladder=SHORT
    )
    assert run.reached == 2 and 0.0 < run.best.action < 10.0
    if M == 1:
        assert "a constant output fits no worse: nothing was learned" in run.summary()


def test_weights_that_meet_everything() -> None:
    """One pair and no prior: the level is 0, which is said and divides nothing."""
    pairs = sd.Pairs([[1.0, -0.5]], [[0.3]], variance=0.01)
    run, _ = warned(layered([2, 3, 1], bias=True), pairs, paths=3)
    assert run.best.action < 1e-20 and len(run.table()) == 1
    assert (run.dataset["status"].values == Status.CONVERGED.code).all()
    assert "met by 3 of 3 paths" in run.summary()


@pytest.mark.parametrize("widths", [[1, 1], [1, 1, 1], [3, 1, 2], [1, 4]])
def test_narrow_networks_learn(widths: list[int]) -> None:
    """One neuron, no hidden layer, a bottleneck: starts send a signal on."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, widths[0]))
    y = logistic(2.0 * x[:, :1]) * np.ones(widths[-1])
    y = y + 0.05 * rng.normal(size=y.shape)
    network = layered(widths, bias=True, prior=sd.Normal(0.0, 3.0))
    run = sd.anneal(sd.Action(network), sd.Pairs(x, y, variance=VARIANCE), paths=2)
    assert run.best.action < 0.1 * run.dataset.attrs["constant"]
    assert np.abs(run.best.predict(x) - y).mean() < 0.1


def test_no_time() -> None:
    action = sd.Action(layered([6] * 6, prior=sd.Normal(0.0, 1.0)))
    _, pairs, _ = twin_b(6, 6, 40, 1)
    run = action.anneal(pairs, paths=3, time_limit=1e-9, baseline=False)
    assert run.reached == 0
    assert "no path reached the last rung" in run.summary()
    assert "3 paths did not reach the last rung within time_limit=1e-09 s" in run.summary()
    assert run.trained == {} and np.isnan(run.determined)
    with pytest.raises(sd.OptionError, match="no path reached the last rung"):
        _ = run.best
    with pytest.raises(sd.OptionError, match="path 0 did not reach rung 0"):
        run.at(0, 0)


def test_a_path_that_is_not_finite_takes_no_other_along(uncompiled) -> None:
    """Weights that overflow are recorded; the path beside it is what it is alone."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    pairs = sd.Pairs(x, x @ rng.normal(size=(2, 2)) + 0.05, variance=VARIANCE)
    network = layered([2, 3, 2], activation=["softplus", "linear"], prior=sd.Normal(0.0, 1.0))
    calls = []

    def start(rng: np.random.Generator) -> np.ndarray:
        calls.append(None)
        drawn = rng.normal(size=network.weights)
        return drawn * 1e200 if len(calls) % 2 else drawn

    action = sd.Action(network)
    for solver in ("newton", "block", "forcing", "lbfgs"):
        run = action.anneal(
            pairs,
            paths=2,
            start=start,
            ladder=SHORT,
            solver=solver,
            options={"max_iter": 20},
            baseline=False,
        )
        assert run.reached == 1 and run.order == [1]
        assert run.dataset["status"].values[0, 0] == Status.FAILED.code
        assert Reason.of(int(run.dataset["reason"].values[0, 0])) is Reason.NO_VALUE
        assert run.dataset["status"].values[0, 1] == Status.NOT_RUN.code
        assert "1 paths ended where the action is not finite" in run.summary()
        assert "time_limit" not in run.summary()


def test_runs_that_did_not_converge_say_so(small) -> None:
    action, pairs, _, run = small
    short = action.anneal(
        pairs, paths=3, ladder=SHORT, options={"max_iter": 2, "rescue": 1}, baseline=False
    )
    text = short.summary()
    assert "the lowest path did not converge: max_iter reached" in text
    assert "2 other paths did not converge at the last rung" in text
    assert "not compared with back-propagation (baseline=False, or there was no time)" in text
    assert short.best.action > run.best.action


def test_errors_of_the_equations_are_cautioned_of(small) -> None:
    action, pairs, _, _ = small
    loose = action.anneal(pairs, paths=1, ladder=sd.Ladder(relative=1.0, rungs=1), baseline=False)
    assert "of the level are errors of the equations" in loose.summary()


@pytest.mark.parametrize("within", [None, "tanh"])
def test_recurrent_runs(uncompiled, within: str | None) -> None:
    network = sd.Model.recurrent([2, 3, 1], 3, within=within, prior=sd.Normal(0.0, 1.0))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3, 2))
    y = logistic(np.cumsum(x[..., :1], axis=1))
    pairs = sd.Pairs(x, y, variance=VARIANCE)
    run = sd.anneal(sd.Action(network), pairs, paths=1, ladder=SHORT)
    assert run.best.predict(x).shape == (20, 3, 1)
    assert run.best.action < run.dataset.attrs["constant"]
    errors = run.prediction_errors(pairs)
    mean = ((y - y.mean(axis=0)) ** 2).mean()
    assert errors["error"]["constant"] == pytest.approx(mean, rel=1e-12)
    with pytest.raises(sd.DataError, match=r"shape \(M, 3, 2\), got \(20, 2\)"):
        run.best.predict(x[:, 0])


def test_what_back_propagation_found_lower_is_taken_up() -> None:
    """Paths that are ended early lie above it; then it is a path more, and said."""
    action = sd.Action(layered([4] * 4, prior=sd.Normal(0.0, 1.0)))
    _, pairs, _ = twin_b(4, 4, 30, 5)
    given = {"paths": 2, "options": {"max_iter": 1, "rescue": 1}}
    run = action.anneal(pairs, **given)
    alone = action.anneal(pairs, baseline=False, **given)
    extra = run.dataset.attrs["taken_up"]
    assert extra > 0 and run.dataset.sizes["path"] == 2 + extra
    assert run.order[0] >= 2 and run.best.action < 0.999 * alone.best.action
    assert np.isnan(run.levels.values[2:, :-1]).all()
    assert f"{extra} of the paths began on the last rung, at weights of back-" in run.summary()
    assert "2 starts" in run.summary()
    legend = run.plot_levels().axes[0].get_legend().get_texts()
    words = [text.get_text() for text in legend]
    assert words[:2] == ["paths (2)", f"taken up from back-propagation ({extra})"]
