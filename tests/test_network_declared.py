"""Networks as users declare them, pairs they are fitted to, and what is refused of both."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from networks import logistic, numpy_passes

import symda as sd
from symda.build.network_layout import Layout, padded, room
from symda.declare.activations import ACTIVATIONS, Z
from symda.declare.network import Block, Connection, Network, Node, Normals, Term, gain

layered, recurrent = sd.Model.layered, sd.Model.recurrent
z, w = sp.symbols("z w")


def outputs(network: Network, W: np.ndarray, x: np.ndarray) -> np.ndarray:
    """All activities (rows, M) of inputs (M, L), by the passes."""
    passes = numpy_passes(network, network.widths[0], network.widths[-1])
    X = room(passes.layout.rows[-1], padded(len(x)))
    X[passes.layout.every, : len(x)] = x.T
    passes.forward(W, X, None, len(x))
    return X[:, : len(x)]


def drawn(network: Network, M: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    count = sum(network.widths[n] for n in network.inputs)
    return rng.normal(size=network.weights), rng.normal(size=(M, count))


def test_layers_of_unlike_widths() -> None:
    network = layered([3, 5, 2], bias=True)
    assert network.widths == (3, 5, 2) and network.weights == 3 * 5 + 5 + 5 * 2 + 2
    assert network.blocks == (
        Block("W1", 5, 3, 3),
        Block("b1", 5, 1, 3, bias=True),
        Block("W2", 2, 5, 5),
        Block("b2", 2, 1, 5, bias=True),
    )
    assert network.nodes[1].terms == (Term(0, (Connection(0, 0),), 1),)
    assert network.nodes[2].terms == (Term(0, (Connection(1, 2),), 3),)
    assert (network.inputs, network.outputs, network.sequence) == ((0,), (2,), 1)
    W, x = drawn(network)
    W1, b1, W2, b2 = network.split(W)
    assert (W1.shape, b1.shape, W2.shape, b2.shape) == ((5, 3), (5,), (2, 5), (2,))
    hidden = logistic(x @ W1.T + b1)
    np.testing.assert_allclose(
        outputs(network, W, x)[8:].T, logistic(hidden @ W2.T + b2), rtol=1e-13
    )


def test_shared_weights_are_one_matrix() -> None:
    network = layered([4] * 6, share=True, bias=True)
    assert network.weights == 4 * 4 + 4 and len(network.blocks) == 2
    assert [b.name for b in network.blocks] == ["W", "b"]
    W, x = drawn(network)
    matrix, bias = network.split(W)
    for _ in range(5):
        x = logistic(x @ matrix.T + bias)
    np.testing.assert_allclose(outputs(network, W, drawn(network)[1])[20:].T, x, rtol=1e-13)


def test_an_activation_for_each_layer() -> None:
    network = layered([2, 2, 2, 2], activation=["tanh", z**3 / (1 + z**2), "tanh"])
    assert network.activations == (ACTIVATIONS["tanh"], Z**3 / (1 + Z**2))
    assert [node.terms[0].activation for node in network.nodes[1:]] == [0, 1, 0]
    W, x = drawn(network)
    W1, W2, W3 = network.split(W)
    x = np.tanh(x @ W1.T)
    s = x @ W2.T
    x = np.tanh(s**3 / (1 + s**2) @ W3.T)
    np.testing.assert_allclose(outputs(network, W, drawn(network)[1])[6:].T, x, rtol=1e-12)


def test_tables_of_eq_16_by_hand() -> None:
    network = recurrent([2, 3], 2, bias=True)
    assert network.nodes == (
        Node("x1_1", 2),
        Node("x1_2", 2),
        Node("x2_1", 3, (Term(0, (Connection(0, 0),), 1),)),
        Node("x2_2", 3, (Term(0, (Connection(1, 0), Connection(2, 2)), 1),)),
    )
    assert [(b.name, b.rows, b.columns, b.fan_in) for b in network.blocks] == [
        ("w2", 3, 2, 5),
        ("b2", 3, 1, 5),
        ("W2", 3, 3, 5),
    ]
    assert (network.inputs, network.outputs, network.sequence) == ((0, 1), (2, 3), 2)
    nodes, terms, connections = Layout.of(network, 2, 3).tables
    # row, width, first term, terms
    assert nodes.tolist() == [[0, 2, 0, 0], [2, 2, 0, 0], [4, 3, 0, 1], [7, 3, 1, 1]]
    # activation, row of the slopes, first connection, connections, place of the bias
    assert terms.tolist() == [[0, 0, 0, 1, 6], [0, 3, 1, 2, 6]]
    # row, width, place of the weights
    assert connections.tolist() == [[0, 2, 0], [2, 2, 0], [4, 3, 9]]


def test_tables_of_eq_17_by_hand() -> None:
    network = recurrent([2, 3], 2, within="tanh", bias=True)
    assert network.activations == (ACTIVATIONS["logistic"], ACTIVATIONS["tanh"])
    assert network.nodes[2].terms == (Term(0, (Connection(0, 0),), 1),)
    assert network.nodes[3].terms == (Term(0, (Connection(1, 0),), 1), Term(1, (Connection(2, 2),)))
    assert [b.fan_in for b in network.blocks] == [2, 2, 3]
    nodes, terms, connections = Layout.of(network, 1, 2).tables
    assert nodes.tolist() == [[0, 2, 0, 0], [2, 2, 0, 0], [4, 3, 0, 1], [7, 3, 1, 2]]
    assert terms.tolist() == [[0, 0, 0, 1, 6], [0, 3, 1, 1, 6], [1, 6, 2, 1, -1]]
    assert connections.tolist() == [[0, 2, 0], [2, 2, 0], [4, 3, 9]]


@pytest.mark.parametrize("within", [None, "tanh", "logistic"])
def test_recurrent_by_plain_loops(within: str | None) -> None:
    widths, places = [3, 4, 2], 3
    network = recurrent(widths, places, within=within, bias=True)
    W, x = drawn(network)
    parts = network.split(W)
    g = np.tanh if within == "tanh" else logistic
    state = {(0, s): x[:, 3 * s : 3 * s + 3] for s in range(places)}
    for l in (1, 2):
        own, bias, last = parts[3 * (l - 1) : 3 * l]
        for s in range(places):
            below = state[l - 1, s] @ own.T + bias
            before = state[l, s - 1] @ last.T if s else 0.0
            if within is None:
                state[l, s] = logistic(below + before)
            else:
                state[l, s] = logistic(below) + (g(before) if s else 0.0)
    exact = np.concatenate([state[l, s] for l in (0, 1, 2) for s in range(places)], axis=1)
    np.testing.assert_allclose(outputs(network, W, x).T, exact, rtol=1e-12)


def test_a_sequence_of_one_place_is_layered() -> None:
    one, layers = recurrent([3, 4, 2], 1), layered([3, 4, 2])
    rng = np.random.default_rng(0)
    w2, w3, x = rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=(5, 3))
    # W(l) has nothing to act on
    W = one.join([w2, rng.normal(size=(4, 4)), w3, rng.normal(size=(2, 2))])
    exact = outputs(layers, layers.join([w2, w3]), x)
    np.testing.assert_array_equal(outputs(one, W, x), exact)


def test_one_prior_for_all() -> None:
    network = layered([3, 2, 4], bias=True, prior=sd.Normal(0.5, 0.2))
    assert [p.mean.shape for p in network.prior] == [(2, 3), (2,), (4, 2), (4,)]
    assert all((p.mean == 0.5).all() and (p.sd == 0.2).all() for p in network.prior)
    assert layered([3, 2]).prior == (None,)


def test_a_prior_for_each_step() -> None:
    each = [sd.Normal(0.0, 0.1), sd.Normal(1.0, 0.3)]
    network = layered([3, 2, 4], bias=True, prior=each)
    # biases have that of their matrix
    assert [p.sd.flat[0] for p in network.prior] == [0.1, 0.1, 0.3, 0.3]
    assert [p.mean.flat[0] for p in network.prior] == [0.0, 0.0, 1.0, 1.0]
    both = recurrent([3, 2], 2, bias=True, prior=each)
    assert [b.name for b in both.blocks] == ["w2", "b2", "W2"]
    assert [p.sd.flat[0] for p in both.prior] == [0.1, 0.1, 0.3]
    assert layered([2, 2, 2], share=True, prior=[sd.Normal(0.0, 0.4)]).prior[0].sd[0, 0] == 0.4


def test_priors_around_weights() -> None:
    network = layered([3, 2, 4], bias=True, input_prior=sd.Normal(0.1, 2.0))
    W, _ = drawn(network)
    one, other = network.around(W, 0.2), network.around(network.split(W), np.float32(0.25))
    np.testing.assert_array_equal(np.concatenate([p.mean.ravel() for p in one.prior]), W)
    assert (one.prior[2].sd == 0.2).all() and (other.prior[2].sd == 0.25).all()
    assert isinstance(one.input_prior, Normals) and one.input_prior.sd == 2.0
    assert network.prior == (None,) * 4
    np.testing.assert_array_equal(network.join(network.split(W)), W)
    square = layered([2] * 4)
    np.testing.assert_array_equal(square.join(np.arange(12.0).reshape(3, 2, 2)), np.arange(12.0))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("logistic", 4.0),
        ("tanh", 1.0),
        ("linear", 1.0),
        ("softplus", 2.0),
        ("relu", np.sqrt(2.0)),
        (sp.Abs(z), 1.0),
    ],
)
def test_gain_keeps_the_size_of_a_signal(activation: object, expected: float) -> None:
    written = layered([2, 2], activation=activation).activations[0]
    assert gain(written, 1) == pytest.approx(expected, rel=0.02)
    assert gain(written, 4) == pytest.approx(expected / 2, rel=0.02)


def test_activations_with_jumps_or_complex_sides() -> None:
    """A saw has a slope between its jumps; the gain of a root takes the side that there is."""
    saw = layered([2, 2], activation=sp.Mod(z, 1)).activations[0]
    assert saw == sp.Mod(Z, 1)
    assert np.isfinite(gain(sp.sqrt(Z), 1))


NAMES = "logistic, tanh, softplus, relu, linear"
NONE = r"must be sd\.Normal\(mean, sd\), or a list of 1, one for each matrix"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"widths": 5}, "'layered': widths must be a list of numbers of neurons, got 5"),
        ({"widths": "33"}, "widths must be a list of numbers"),
        ({"widths": [3]}, "at least two layers, input and output, got 1"),
        ({"widths": []}, "at least two layers, input and output, got 0"),
        ({"widths": [3, 0]}, "the width of layer 2 must be a whole number of at least 1, got 0"),
        ({"widths": [3, 2.5]}, "the width of layer 2 must be a whole number"),
        ({"widths": [3, 2], "share": True}, "share=True needs layers of one width, got 3, 2"),
        ({"bias": 1}, "bias must be True or False, got 1"),
        ({"share": "yes"}, "share must be True or False"),
        ({"name": ""}, "name must be a printable text"),
        ({"activation": "logistc"}, f"called 'logistc'. Did you mean 'logistic'.*{NAMES}"),
        ({"activation": "erf"}, "no activation is called 'erf'"),
        ({"activation": w * z}, r"must have one symbol, the sum.* receives; it has w, z"),
        ({"activation": sp.Integer(3)}, "it has none"),
        ({"activation": sp.sign(z)}, r"slope of the activation sign\(z\) is 0.*tanh\(10\*z\)"),
        ({"activation": sp.floor(z)}, "is 0 wherever it has one"),
        ({"activation": sp.Heaviside(z)}, "is 0 wherever it has one"),
        ({"activation": sp.Piecewise((0, z < 0), (1, True))}, "is 0 wherever it has one"),
        ({"activation": sp.gamma(z)}, r"activation gamma\(z\): gamma is not a function that"),
        ({"activation": sp.Function("h")(z)}, r"h\(z\) is an undefined function"),
        ({"activation": sp.I * z}, "imaginary unit"),
        ({"activation": z > 0}, "activation must be a name"),
        ({"activation": 5}, f"activation must be a name .{NAMES}"),
        ({"activation": None}, "activation must be a name"),
        ({"activation": np.tanh}, "activation must be a name"),
        ({"activation": ["tanh"] * 2}, "2 activations for 1 layers behind the first"),
        ({"activation": [3]}, "layer 2: an activation is a name"),
        ({"prior": 0.2}, f"{NONE}.* got 0.2"),
        ({"prior": sd.LogNormal(0.0, 1.0)}, NONE),
        ({"prior": [sd.Normal(0.0, 1.0)] * 2}, NONE),
        ({"prior": [0.2]}, r"prior must be a Gaussian with numbers, sd\.Normal\(0\.0, 0\.2\)"),
        ({"prior": sd.Normal(0.0, w)}, "prior must be a Gaussian with numbers"),
        ({"prior": sd.Normal(0.0)}, "prior must be a Gaussian with numbers"),
        ({"input_prior": 1.0}, "input_prior must be a Gaussian with numbers"),
    ],
)
def test_layers_that_are_refused(arguments: dict, words: str) -> None:
    given = {"widths": [3, 2]} | arguments
    with pytest.raises(sd.ModelError, match=words):
        layered(given.pop("widths"), **given)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sequence": 0}, "'recurrent': sequence must be a whole number of at least 1, got 0"),
        ({"sequence": 2.5}, "sequence must be a whole number"),
        ({"within": "tan"}, "within: no activation is called 'tan'. Did you mean 'tanh'"),
        ({"within": ["tanh"] * 2}, "within: 2 activations for 1 layers"),
        ({"prior": [sd.Normal(0.0, 1.0)]}, "or a list of 2, one for each matrix"),
        ({"widths": [3]}, "'recurrent': a network has at least two layers"),
    ],
)
def test_recurrent_that_are_refused(arguments: dict, words: str) -> None:
    given = {"widths": [3, 2], "sequence": 2} | arguments
    with pytest.raises(sd.ModelError, match=words):
        recurrent(given.pop("widths"), given.pop("sequence"), **given)


@pytest.mark.parametrize(
    ("weights", "deviation", "words"),
    [
        (np.zeros(5), 0.2, "around: expected 6 weights, got 5"),
        ([np.zeros((3, 2))], 0.2, r"around: W\w+ has shape \(2, 3\), got \(3, 2\)"),
        ([np.zeros((2, 3))] * 2, 0.2, "2 arrays for 1 blocks of weights"),
        ([np.full((2, 3), np.nan)], 0.2, "numbers that are not finite"),
        (np.full(6, np.inf), 0.2, "numbers that are not finite"),
        ([[[1, 2], [1]]], 0.2, "is no array of numbers"),
        ("w", 0.2, "expected a vector of 6 weights, or a list of matrices, got 'w'"),
        (3, 0.2, "expected a vector of 6 weights, or a list of matrices, got 3"),
        (np.zeros(6), 0.0, "sd must be a positive number, got 0.0"),
        (np.zeros(6), [0.2], "sd must be a positive number"),
    ],
)
def test_weights_that_are_refused(weights: object, deviation: object, words: str) -> None:
    with pytest.raises(sd.ModelError, match=words):
        layered([3, 2]).around(weights, deviation)


x = np.random.default_rng(0).normal(size=(5, 3))
y = np.random.default_rng(1).normal(size=(5, 2))
gap = np.where(np.arange(15).reshape(5, 3) == 7, np.nan, x)


@pytest.mark.parametrize(
    ("inputs", "outputs", "variance", "words"),
    [
        (gap, y, 1.0, "1 of 15 inputs are no finite numbers, the first in pair 2"),
        (x, np.where(y > 0, np.inf, y), 1.0, "outputs are no finite numbers"),
        (x, y[:4], 1.0, r"inputs \(5, 3\) and outputs \(4, 2\) do not belong together"),
        (x[:, None], y, 1.0, "do not belong together"),
        (x[0], y[0], 1.0, r"inputs must have the shape \(M, L\)"),
        (x[:0], y[:0], 1.0, "none of them 0"),
        (x[:, :0], y, 1.0, "none of them 0"),
        ("a", y, 1.0, "inputs must be an array of numbers"),
        (x * 1j, y, 1.0, "inputs must be an array of numbers: they are complex"),
        ([[1.0, 2.0], [1.0]], y, 1.0, "inputs must be an array of numbers"),
        (x, 0 * y + 3.0, 1.0, "the outputs of all 5 pairs are the same"),
        (x, y, 0.0, "variance must be positive and finite everywhere"),
        (x, y, -1.0, "variance must be positive"),
        (x, y, np.nan, "variance must be positive"),
        (x, y, [1.0, 2.0, 3.0, 4.0], r"variance must be a number, or an array that fits \(5, 2\)"),
        (x, y, [[1.0, 2.0]], r"variance must be a number, or an array that fits \(5, 3\)"),
        (x, y, "a", "variance must be a number"),
    ],
)
def test_pairs_that_are_refused(inputs: object, outputs: object, variance: object, words) -> None:
    with pytest.raises(sd.DataError, match=f"Pairs: .*{words}"):
        sd.Pairs(inputs, outputs, variance=variance)


def test_pairs() -> None:
    pairs = sd.Pairs(x, y, variance=[0.1, 0.2], input_variance=0.3)
    assert len(pairs) == 5 and pairs.places == 1 and repr(pairs) == "<5 Pairs, 3 -> 2>"
    assert pairs.variance.tolist() == [[0.1, 0.2]] * 5 and (pairs.input_variance == 0.3).all()
    some = pairs[[0, 3]]
    np.testing.assert_array_equal(some.inputs, x[[0, 3]])
    assert len(pairs[1:4]) == 3 and len(pairs[np.arange(5) > 2]) == 2
    # a copy: what the user does to his arrays later is not seen
    mine = x.copy()
    kept = sd.Pairs(mine, y, variance=1.0)
    mine[:] = 0.0
    np.testing.assert_array_equal(kept.inputs, x)
    # one pair says nothing of whether outputs vary
    assert len(sd.Pairs(x[:1], y[:1], variance=1.0)) == 1
    # one constant output among others is data
    sd.Pairs(x, np.column_stack([y, np.ones(5)]), variance=1.0)
    sequences = sd.Pairs(x[:, None], y[:, None], variance=1.0)
    assert sequences.places == 1
    both = sd.Pairs(np.stack([x, x], axis=1), np.stack([y, y], axis=1), variance=1.0)
    assert both.places == 2 and repr(both) == "<5 Pairs, 2 places, 3 -> 2>"


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (layered([2, 2]), "inputs have 3 values, but the layer has 2 neurons"),
        (layered([3, 1]), "outputs have 2 values, but the layer has 1 neurons"),
        (recurrent([3, 2], 2), r"sequences of 1 places, but 'recurrent' has 2\. Pass arrays"),
    ],
)
def test_pairs_of_another_network(network: Network, words: str) -> None:
    with pytest.raises(sd.DataError, match=words):
        sd.anneal(sd.Action(network), sd.Pairs(x, y, variance=1.0))


def test_no_pairs() -> None:
    with pytest.raises(sd.DataError, match=r"fitted to sd\.Pairs.*, got ndarray"):
        sd.anneal(sd.Action(layered([3, 2])), x)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scheme": "rk4"}, "of a network there are averaging and noise, got scheme='rk4'"),
        ({"averaging": "eq2"}, "averaging of a network is 'eq14' or 'sum', got 'eq2'"),
        ({"noise": sd.LogNormal(0.0, 1.0)}, r"is sd\.StudentT\(df, 0\.0\)"),
        ({"noise": sd.StudentT(4.0, 1.0)}, r"is sd\.StudentT\(df, 0\.0\)"),
        ({"noise": sd.StudentT(w, 0.0)}, r"is sd\.StudentT\(df, 0\.0\)"),
    ],
)
def test_actions_that_are_refused(arguments: dict, words: str) -> None:
    with pytest.raises(sd.OptionError, match=f"Action: .*{words}"):
        sd.Action(layered([3, 2]), **arguments)
    with pytest.raises(sd.OptionError, match=r"Action: .*got \['x'\]"):
        sd.Action(layered([3, 2]), ["x"])
