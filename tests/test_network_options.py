"""Options and starts of a network's run, back-propagation of given weights, equations to read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from networks import VARIANCE, logistic

import symda as sd
from symda.solve.network.levenberg import Levenberg

layered = sd.Model.layered


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 2}, "a network has no use for steps=2; there are ladder, paths"),
        ({"strategy": "window"}, "a network has no use for strategy='window'"),
        ({"finish": "strong"}, "a network has no use for finish='strong'"),
        ({"options": {"foo": 1}}, "solver 'newton' has no option 'foo'"),
        ({"solver": "ipopt"}, "networks have no solver 'ipopt'"),
        ({"paths": 0}, "paths must be a whole number of at least 1"),
        ({"workers": 0}, "workers must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"time_limit": 0}, "time_limit must be a positive number"),
        ({"ladder": 5}, r"ladder must be an sd\.Ladder, got 5"),
        ({"ladder": sd.Ladder(rf0=[1.0, 2.0])}, "neurons of a network have one Rf"),
        ({"start": "orthogonl"}, "Did you mean 'orthogonal'"),
        ({"start": "prior"}, "start='prior' draws weights from their priors, and some have none"),
        ({"start": np.zeros(6), "paths": 3}, "weights are one start, but paths=3"),
        ({"start": lambda _: [1.0, 2.0]}, "start must return 6 finite weights"),
        ({"start": lambda _: np.full(6, np.nan)}, "start must return 6 finite weights"),
        ({"start": lambda _: "abc"}, "start must return a vector of weights, got 'abc'"),
        ({"start": np.zeros(5)}, "anneal, start: expected 6 weights, got 5"),
        ({"start": [np.zeros((3, 2))]}, r"start: W1 has shape \(2, 3\), got \(3, 2\)"),
    ],
)
def test_options_that_are_refused(uncompiled, options: dict, words: str) -> None:
    x = np.random.default_rng(0).normal(size=(9, 3))
    pairs = sd.Pairs(x, logistic(x[:, :2]), variance=0.01)
    with pytest.raises((sd.OptionError, sd.ModelError), match=words):
        sd.anneal(sd.Action(layered([3, 2])), pairs, **options)


@pytest.mark.parametrize("start", ["orthogonal", "xavier", "prior", "uniform"])
def test_starts(uncompiled, start: str) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    pairs = sd.Pairs(x, logistic(x[:, :2]), variance=0.01)
    network = layered([3, 5, 2], bias=True, prior=sd.Normal(0.0, 1.0))
    action, one = sd.Action(network), sd.Ladder(relative=10.0, rungs=1)
    run = action.anneal(pairs, start=start, paths=2, ladder=one, baseline=False)
    drawn = run.dataset["start"].values
    assert run.reached == 2 and not np.array_equal(*drawn)
    W1, b1, W2, b2 = network.split(drawn[0])
    if start == "uniform":
        assert np.abs(drawn).max() <= 0.1 and np.abs(drawn).max() > 0.08
    if start == "orthogonal":
        np.testing.assert_allclose(W1.T @ W1, np.eye(3) / x.std() ** 2, atol=1e-12)
        # nothing of the mean of activities is sent on
        np.testing.assert_allclose(W2.sum(axis=1), 0.0, atol=1e-12)
        assert not b1.any() and not b2.any()
    # weights of one's own are one path
    own = action.anneal(pairs, start=network.split(drawn[0]), ladder=one, baseline=False)
    np.testing.assert_array_equal(own.dataset["start"].values, drawn[:1])
    assert own.best.action == run[0].action


def test_back_propagation_of_given_weights() -> None:
    network = layered([3, 4, 2], bias=True, prior=sd.Normal(0.0, 0.5))
    rng = np.random.default_rng(0)
    pairs = sd.Pairs(rng.normal(size=(9, 3)), rng.uniform(size=(9, 2)), variance=VARIANCE)
    action, W = sd.Action(network), rng.normal(size=network.weights)
    found = action.backpropagate(pairs, W)
    gradient = network.join(found.by_weights)
    assert [one.shape for one in found.by_weights] == [(4, 3), (4,), (2, 4), (2,)]
    for k in (0, 13, 20, network.weights - 1):
        step = np.zeros_like(W)
        step[k] = 1e-5
        up, down = (action.backpropagate(pairs, W + s * step).loss for s in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / 2e-5, rel=1e-6)
    assert action.backpropagate(pairs, network.split(W)).loss == found.loss
    with pytest.raises(sd.ModelError, match="backpropagate: expected 26 weights, got 5"):
        action.backpropagate(pairs, np.zeros(5))


def test_equations_to_read() -> None:
    layers = sd.Action(layered([3, 4, 2], bias=True)).equations()
    text = str(layers)
    for line in (
        "g(z) = tanh(z/2)/2 + 1/2",
        "x2 = g(W1*x1 + b1)   (4 neurons)",
        "x3 = g(W2*x2 + b2)   (2 neurons)",
        "p[j,l] = e[j,l] + sum_{i=1..N} (D[i,l+1]*W[i,j,l]*p[i,l+1])",
        "dA/dW[i,j,l] = D[i,l+1]*p[i,l+1]*x[j,l]",
    ):
        assert line in text, line
    latex = layers.latex()
    for part in (r"\tanh", "R_{f}", "W_{1} x_{1} + b_{1}", r"\sum_{k=1}^{M}", r"\log{\left(P"):
        assert part in latex, part
    assert r"\hat" not in latex


def test_equations_of_recurrent_networks() -> None:
    seventeen = sd.Model.recurrent([2, 3], 3, within="tanh")
    text = str(sd.Action(seventeen, averaging="sum").equations())
    assert "x2_1 = g_0(w2*x1_1)   (3 neurons)" in text
    assert "x2_2 = g_0(w2*x1_2) + g_1(W2*x2_1)   (3 neurons)" in text
    assert "g_1(z) = tanh(z)" in text and "M*n_f" not in text
    sixteen = sd.Model.recurrent([2, 3], 2, bias=True)
    text = str(sd.Action(sixteen, noise=sd.StudentT(4.0, 0.0)).equations())
    assert "x2_2 = g(W2*x2_1 + b2 + w2*x1_2)   (3 neurons)" in text
    assert "Student t" in text and "2.5*log(" in text


def test_momenta_as_they_are_written() -> None:
    """dA/dW = D p x with p = e + W^T D p, and the same of p = -c_f Rf r where A is least."""
    network = layered([2, 3, 2])
    rng = np.random.default_rng(0)
    pairs = sd.Pairs(rng.normal(size=(1, 2)), rng.uniform(size=(1, 2)), variance=1.0)
    W1, W2 = rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
    x1 = pairs.inputs[0]
    x2 = logistic(W1 @ x1)
    x3 = logistic(W2 @ x2)
    p3 = (x3 - pairs.outputs[0]) / 2.0
    D2, D3 = x2 * (1 - x2), x3 * (1 - x3)
    p2 = W2.T @ (D3 * p3)
    found = sd.Action(network).backpropagate(pairs, [W1, W2]).by_weights
    np.testing.assert_allclose(found[1], np.outer(D3 * p3, x2), rtol=1e-12)
    np.testing.assert_allclose(found[0], np.outer(D2 * p2, x1), rtol=1e-12)


def small() -> tuple[object, sd.Pairs]:
    x = np.random.default_rng(0).normal(size=(20, 3))
    action = sd.Action(layered([3, 2], prior=sd.Normal(0.0, 1.0)))
    return action, sd.Pairs(x, logistic(x[:, :2]), variance=0.01)


def test_a_file_that_was_changed_is_refused(uncompiled, tmp_path: Path) -> None:
    action, pairs = small()
    run = action.anneal(pairs, paths=1, baseline=False)
    run.save(tmp_path / "run.nc")
    with h5py.File(tmp_path / "run.nc", "r+") as file:
        file["weights"][0, 0, 0] += 1.0
    with pytest.raises(sd.DataError, match="was changed or damaged after it was written"):
        action.load(tmp_path / "run.nc", pairs)
    (tmp_path / "half.nc").write_bytes((tmp_path / "run.nc").read_bytes()[:3000])
    with pytest.raises(sd.DataError, match="load: "):
        action.load(tmp_path / "half.nc", pairs)
    with pytest.raises(sd.DataError, match="there is no folder"):
        run.save(tmp_path / "none" / "run.nc")


class Ending:
    """Newton, but the second path ends by an exception."""

    name = "ending"

    def __init__(self, error: type[BaseException]) -> None:
        self.error, self.begun = error, 0

    def minimise(self, problem, start, rf, *, final=True):  # type: ignore[no-untyped-def]
        self.begun += 1
        if self.begun == 2:
            raise self.error("by the test")
        return Levenberg().minimise(problem, start, rf, final=final)


@pytest.mark.parametrize("error", [KeyboardInterrupt, np.linalg.LinAlgError])
def test_what_is_done_stays_when_a_path_ends_badly(uncompiled, error: type[BaseException]) -> None:
    action, pairs = small()
    given = {"ladder": sd.Ladder(relative=10.0, rungs=1), "paths": 3, "workers": 1}
    run = action.anneal(pairs, solver=Ending(error), **given)
    done = np.isfinite(run.levels.values[:3, 0])
    interrupted = error is KeyboardInterrupt
    assert done.tolist() == [True, False, not interrupted]
    assert ("(interrupted)" in run.summary()) == interrupted
    assert ("path 1 failed, LinAlgError: by the test" in run.summary()) != interrupted
    # and the next run has its time
    assert action.anneal(pairs, **given).reached == 3
