"""The passes of a network: compiled as by NumPy, and derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from networks import compiled_passes, numpy_passes, problem_of, random_point, twin

import symda as sd
from symda.build.network import CompiledPasses, network_passes, network_source
from symda.build.network_layout import Layout, padded, room
from symda.build.network_numpy import NumpyPasses
from symda.declare.network import Network
from symda.solve.network import neurons

layered, recurrent = sd.Model.layered, sd.Model.recurrent

# With the inputs and outputs that are measured; widths off the tiles of 5 and the patches of 4.
NETWORKS = {
    "layers": (layered([3, 7, 4, 6], bias=True), 3, 6),
    "fewer measured": (layered([4, 1, 11, 5]), 2, 3),
    "shared": (layered([5] * 4, bias=True, share=True), 5, 5),
    "one neuron": (layered([1, 1, 1]), 1, 1),
    "no hidden layer": (layered([6, 2], bias=True), 6, 1),
    "eq. 16": (recurrent([3, 4, 2], 3, bias=True), 3, 2),
    "eq. 17": (recurrent([2, 5, 3], 2, within="logistic", bias=True), 1, 3),
}
PAIRS = (1, 37, 150)
CLOSE = 1e-12


class Given:
    """What passes of one network take: numbers in all rows, pairs that fill up the last vector."""

    def __init__(self, network: Network, L_in: int, L_out: int, M: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.layout, self.M = Layout.of(network, L_in, L_out), M
        rows, slopes, wide = self.layout.rows[-1], self.layout.slopes[-1], padded(M)

        def drawn(count: int, positive: bool = False) -> np.ndarray:
            made = room(count, wide)
            made[:, :M] = rng.normal(size=(count, M))
            return np.abs(made, out=made) if positive else made

        self.W, self.dW = rng.normal(size=(2, network.weights))
        self.X, self.T, self.V = drawn(rows), drawn(rows), drawn(rows)
        self.D, self.spread = drawn(slopes, True), drawn(rows, True)
        self.freedom = rng.uniform(0.5, 2.0, network.weights)
        half = rng.normal(size=(M, self.layout.outputs.size, self.layout.outputs.size))
        self.inverse = half @ half.transpose(0, 2, 1)
        self.rows, self.slopes, self.wide = rows, slopes, wide

    def all_of(self, passes: CompiledPasses | NumpyPasses) -> dict[str, np.ndarray]:
        """What each pass makes of it; pairs only."""
        M, W, X, D, found = self.M, self.W, self.X, self.D, {}
        D1, D2 = room(self.slopes, self.wide), room(self.slopes, self.wide)
        X1, X2, R = copied(X), copied(X), room(self.rows, self.wide)
        passes.forward(W, X1, D1, M)
        passes.forward(W, X2, None, M)
        found["forward"], found["without slopes"] = X1[:, :M], X2[:, :M]
        found["slopes"] = D1[:, :M]
        passes.linearise(W, X, D2, R, M)
        # nothing where there is no pair: sums run over whole rows
        found["residuals"], found["their slopes"] = R, D2[:, :M]
        T1, T2, V1, V2 = copied(self.T), copied(self.T), copied(self.V), copied(self.V)
        passes.tangent(W, X, D, self.dW, T1, M)
        passes.tangent(W, X, D, None, T2, M)
        found["tangent"], found["tangent of states"] = T1[:, :M], T2[:, :M]
        found["by weights"] = passes.adjoint(W, X, D, V1, M, weights=True)
        assert passes.adjoint(W, X, D, V2, M, weights=False) is None
        found["adjoint"], found["adjoint alone"] = V1[:, :M], V2[:, :M]
        GX = copied(self.V)
        value, found["gradient by weights"] = passes.gradient(W, X, 3.0, GX, M)
        found["value"], found["gradient by states"] = np.array(value), GX[:, :M]
        given = W, X, D
        found["covariance"] = passes.covariance(*given, self.freedom, 0.3, self.spread, M)
        found["of states"] = passes.covariance(*given, None, 0.3, self.spread, M)
        found["curvature"] = passes.curvature(*given, self.inverse, M)
        turned = room(self.inverse[0].size, self.wide)
        turned[:, :M] = self.inverse.reshape(M, -1).T
        found["normal"] = passes.normal(*given, self.dW, turned, M)
        return found


def copied(X: np.ndarray) -> np.ndarray:
    made = room(*X.shape)
    made[:] = X
    return made


@pytest.mark.parametrize("M", PAIRS)
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_as_by_numpy(name: str, M: int) -> None:
    given = Given(*NETWORKS[name], M)
    found = given.all_of(compiled_passes(*NETWORKS[name]))
    expected = given.all_of(numpy_passes(*NETWORKS[name]))
    for what, one in expected.items():
        np.testing.assert_allclose(
            found[what], one, rtol=0, atol=CLOSE * max(np.abs(one).max(), 1.0), err_msg=what
        )


@pytest.mark.parametrize("name", ["layers", "eq. 17"])
def test_bits_do_not_depend_on_threads(name: str) -> None:
    given = Given(*NETWORKS[name], 1000)
    one = given.all_of(compiled_passes(*NETWORKS[name]))
    for threads in (2, 3):
        other = given.all_of(compiled_passes(*NETWORKS[name], threads=threads))
        for what in one:
            assert one[what].tobytes() == other[what].tobytes(), what


def test_more_threads_than_parts() -> None:
    given = Given(*NETWORKS["layers"], 70)
    one = given.all_of(compiled_passes(*NETWORKS["layers"]))
    many = given.all_of(compiled_passes(*NETWORKS["layers"], threads=5))
    assert all(one[what].tobytes() == many[what].tobytes() for what in one)


@pytest.mark.parametrize("M", [4097, 8200])
def test_parts_grow_where_there_are_many_pairs(M: int) -> None:
    network = NETWORKS["no hidden layer"]
    given = Given(*network, M)
    found, expected = given.all_of(compiled_passes(*network)), given.all_of(numpy_passes(*network))
    for what, one in expected.items():
        np.testing.assert_allclose(
            found[what], one, rtol=0, atol=1e-11 * max(np.abs(one).max(), 1.0), err_msg=what
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_adjoint_is_the_tangent_transposed(name: str) -> None:
    g = Given(*NETWORKS[name], 37)
    passes, M = compiled_passes(*NETWORKS[name]), g.M
    # <v, T(dW, t)> = <adjoint by weights, dW> + <adjoint by states, t>
    T, V = copied(g.T), copied(g.V)
    passes.tangent(g.W, g.X, g.D, g.dW, T, M)
    by_weights = passes.adjoint(g.W, g.X, g.D, V, M, weights=True)
    assert by_weights is not None
    left = np.vdot(g.V[:, :M], T[:, :M])
    right = np.vdot(by_weights, g.dW) + np.vdot(V[:, :M], g.T[:, :M])
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_tangent_is_the_slope_of_forward(name: str) -> None:
    network, *sizes = NETWORKS[name]
    g, passes = Given(network, *sizes, 5), compiled_passes(network, *sizes)
    X, D, T = copied(g.X), room(g.slopes, g.wide), copied(g.T)
    passes.forward(g.W, X, D, g.M)
    passes.tangent(g.W, X, D, g.dW, T, g.M)
    errors = []
    for h in (1e-3, 5e-4):
        Xh = copied(g.X + h * g.T)
        passes.forward(g.W + h * g.dW, Xh, None, g.M)
        errors.append(np.abs((Xh - X - h * T)[:, : g.M]).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("name", ["layers", "fewer measured", "shared", "eq. 16", "eq. 17"])
def test_gradient_of_the_action(name: str, df: float | None) -> None:
    network, *sizes = NETWORKS[name]
    network = layered_with_priors(network)
    pairs, _ = twin(network, 13, *sizes)
    p = problem_of(network, pairs, df=df)
    p.passes = compiled_passes(network, *sizes)
    point, rf = random_point(p), 40.0
    value, GX, G = p.gradient(point, rf)
    assert value == pytest.approx(p.terms(point, rf).total, rel=1e-13)
    assert not GX[:, p.M :].any()
    rng = np.random.default_rng(1)
    dX, dW = rng.normal(size=(p.rows, p.M)), rng.normal(size=network.weights)
    slope = np.vdot(GX[:, : p.M], dX) + np.vdot(G, dW)

    def along(h: float) -> float:
        moved = point.copy()
        moved.X[:, : p.M] += h * dX
        moved.W[:] += h * dW
        return p.terms(moved, rf).total

    h = 1e-5
    assert (along(h) - along(-h)) / (2 * h) == pytest.approx(slope, rel=1e-8)
    errors = [abs(along(h) - value - h * slope) for h in (1e-3, 5e-4)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.05)


def layered_with_priors(network: Network) -> Network:
    from dataclasses import replace

    from symda.declare.network import Normals

    rng = np.random.default_rng(5)
    around = network.around(rng.normal(size=network.weights), 0.7)
    return replace(around, input_prior=Normals(np.array(0.2), np.array(1.5)))


def test_covariance_is_that_of_samples() -> None:
    """What the outputs vary by if nodes, inputs and weights err as they are said to.

    No weight is used twice: each use would count as one of its own.
    """
    network, L_in, L_out = NETWORKS["fewer measured"]
    g, passes = Given(network, L_in, L_out, 1), numpy_passes(network, L_in, L_out)
    rng, N, noise = np.random.default_rng(0), 20_000, 0.3
    found = passes.covariance(g.W, g.X, g.D, g.freedom, noise, g.spread, 1)[0]
    T = np.zeros((g.rows, N))
    every = passes.layout.every
    T[:] = np.sqrt(noise) * rng.normal(size=T.shape)
    T[every] = np.sqrt(g.spread[every, :1]) * rng.normal(size=(every.size, N))
    # changes of the weights, one for each sample, as errors of the nodes
    X, D = np.repeat(g.X[:, :1], N, axis=1), np.repeat(g.D[:, :1], N, axis=1)
    for k in range(network.weights):
        one, change = np.zeros(network.weights), np.zeros((g.rows, 1))
        one[k] = 1.0
        passes.tangent(np.zeros_like(g.W), g.X[:, :1], g.D[:, :1], one, change, 1)
        T += change * np.sqrt(g.freedom[k]) * rng.normal(size=N)
    passes.tangent(g.W, X, D, None, T, N)
    np.testing.assert_allclose(
        found, np.cov(T[passes.layout.outputs]), rtol=0, atol=0.05 * np.abs(found).max()
    )


@pytest.mark.parametrize("most", [neurons.MOST, 2])
@pytest.mark.parametrize("name", ["layers", "fewer measured"])
def test_curvature_makes_the_blocks_of_neurons(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hessian of the weights, neuron by neuron, against slopes of the outputs, one by one."""
    monkeypatch.setattr(neurons, "MOST", most)
    network, *sizes = NETWORKS[name]
    g, passes = Given(network, *sizes, 9), numpy_passes(network, *sizes)
    J = []
    for k in range(network.weights):
        T, one = room(g.rows, g.wide), np.zeros(network.weights)
        one[k] = 1.0
        passes.tangent(g.W, g.X, g.D, one, T, g.M)
        J.append(T[passes.layout.outputs, : g.M].T)
    exact = np.einsum("kma,mab,lmb->kl", np.array(J), g.inverse, np.array(J))
    exact += np.diag(g.freedom)
    found = np.zeros_like(exact)
    for index in neurons.weights_of_neurons(network):
        for own in index:
            block = exact[np.ix_(own, own)]
            large = own.size > most
            found[np.ix_(own, own)] = np.linalg.inv(np.diag(np.diag(block)) if large else block)
    pairs, _ = twin(network, 9, *sizes)
    weight = passes.curvature(g.W, g.X, g.D, g.inverse, g.M)
    blocks = neurons.Neurons(problem_of(network, pairs), g.X, weight, g.freedom)
    np.testing.assert_allclose(blocks(g.dW), found @ g.dW, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_weight_is_a_neurons(name: str) -> None:
    network, *_ = NETWORKS[name]
    groups = neurons.weights_of_neurons(network)
    numbers = np.concatenate([one.ravel() for one in groups])
    assert sorted(numbers) == list(range(network.weights))


def test_text_depends_on_activations_only() -> None:
    deep, small = network_source(layered([10] * 20)), network_source(layered([4, 3]))
    assert deep == small == network_source(layered([10] * 20))
    assert network_source(recurrent([3, 4], 9, within="logistic", bias=True)) == deep
    assert network_source(layered([4, 3], activation="tanh")) != small


z = sp.Symbol("z")
OTHERS = ["tanh", "softplus", "relu", z / (1 + sp.Abs(z)), "linear", "logistic"]


def test_every_activation() -> None:
    """Values and slopes, compiled and not, against SymPy; at sizes where exponentials overflow."""
    network = layered([2] * (len(OTHERS) + 1), activation=OTHERS)
    at = np.array([-800.0, -37.0, -3.0, -1e-9, 1e-9, 0.5, 3.0, 800.0])
    passes = network_passes(Layout.of(network, 2, 2))
    assert isinstance(passes, CompiledPasses)
    for each in (passes, numpy_passes(network, 2, 2)):
        layout = each.layout
        for k, one in enumerate(network.activations):
            # a layer alone: its residual at x = 0 is minus the activation
            X, R = room(2, layout.rows[-1] * 8).reshape(2, -1, 8)
            D = room(layout.slopes[-1], 8)
            W = np.zeros(network.weights)
            W[layout.places[k] : layout.places[k + 1]] = np.eye(2).ravel()
            X[layout.rows[k]] = at
            each.linearise(W, X, D, R, 8)
            symbol = next(iter(one.free_symbols))
            value = np.array([float(one.subs(symbol, sp.Rational(v)).evalf(30)) for v in at])
            slope = one.diff(symbol)
            slopes = np.array([float(slope.subs(symbol, sp.Rational(v)).evalf(30)) for v in at])
            found = X[layout.rows[k + 1]] - R[layout.rows[k + 1]]
            np.testing.assert_allclose(found, value, rtol=4e-15, atol=1e-160, err_msg=str(one))
            found = D[layout.slopes[k]]
            np.testing.assert_allclose(found, slopes, rtol=4e-15, atol=2e-16, err_msg=str(one))
