"""Networks out and in: NumPy, PyTorch and ONNX say what `predict` says; the rest is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda import checks
from symda.api.network_run import NetworkPath
from symda.declare.network import Network
from symda.errors import ModelError, OptionError

z = sp.Symbol("z")
NAMED = ("logistic", "tanh", "softplus", "relu", "linear")
pytestmark = pytest.mark.usefixtures("uncompiled")


def path_of(network: Network, inputs: int, outputs: int) -> NetworkPath:
    """A path with random weights, of pairs that measure some neurons."""
    rng = np.random.default_rng(3)
    places = (network.sequence,) if network.sequence > 1 else ()
    pairs = sd.Pairs(
        rng.normal(size=(6, *places, inputs)), rng.normal(size=(6, *places, outputs)), variance=1.0
    )
    weights = 2.0 * rng.normal(size=network.weights)
    return NetworkPath(network, sd.Action(network).problem(pairs), weights, 0.0, 0.0, 0.0, 0.0)


def partly(activation: object, *, bias: bool = True) -> NetworkPath:
    """Three of four inputs and two of three outputs are measured; the input left is at 0.5."""
    prior = sd.Normal(0.5, 1.0)
    net = sd.Model.layered([4, 5, 3], activation=activation, bias=bias, input_prior=prior)
    return path_of(net, 3, 2)


def new_inputs(*shape: int) -> np.ndarray:
    return 3.0 * np.random.default_rng(4).normal(size=shape)


@pytest.mark.parametrize(
    "activation",
    [
        *NAMED,
        z / (1 + sp.Abs(z)),
        sp.Max(z, z / 10),
        sp.Min(2 * z, z, 1) + sp.atan(z),
        sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True)),
        ["tanh", "linear"],
    ],
    ids=str,
)
def test_numpy_says_what_predict_says(activation: object) -> None:
    path, x = partly(activation), new_inputs(9, 3)
    np.testing.assert_allclose(path.to_numpy()(x), path.predict(x), rtol=1e-12, atol=1e-13)


def test_numpy_does_not_overflow() -> None:
    huge = 1e3 * new_inputs(9, 3)
    for activation in ("logistic", "softplus"):
        with np.errstate(all="raise", under="ignore"):
            found = partly(activation).to_numpy()(huge)
        assert np.isfinite(found).all()


def test_a_saved_module_needs_only_numpy(tmp_path: Path) -> None:
    net = sd.Model.recurrent(
        [4, 5, 3],
        3,
        activation="tanh",
        within="softplus",
        bias=True,
        input_prior=sd.Normal(0.5, 1.0),
        name='a "name""" \\',
    )
    path, x = path_of(net, 2, 3), new_inputs(8, 3, 2)
    made = path.to_numpy()
    np.testing.assert_allclose(made(x), path.predict(x), rtol=1e-12)
    made.save(tmp_path / "remembers.py")
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys, numpy as np, remembers\n"
        "np.save('y.npy', remembers.predict(np.load('x.npy')))\n"
        "assert 'symda' not in sys.modules and 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), made(x))
    with pytest.raises(OptionError, match=r"net\.py, with its weights"):
        made.save(tmp_path / "net.npz")


def test_exported_weights_are_copies() -> None:
    path = partly("tanh")
    before = path.vector.copy()
    path.to_numpy().weights["W2"][:] = 0.0
    np.testing.assert_array_equal(path.vector, before)


def test_functions_that_numpy_lacks_are_refused() -> None:
    with pytest.raises(OptionError, match=r"NumPy does not have all functions.*erf"):
        partly(sp.erf(z)).to_numpy()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", NAMED)
def test_torch_says_what_predict_says(activation: str, bias: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (symda[learn]) is not installed")
    path, x = partly(activation, bias=bias), new_inputs(9, 3)
    found = path.to_torch()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, path.predict(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", NAMED)
def test_onnx_says_what_predict_says(activation: str, bias: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx (symda[learn]) is not installed")
    from onnx.reference import ReferenceEvaluator

    path, x = partly(activation, bias=bias), new_inputs(9, 3)
    path.to_onnx(tmp_path / "net.onnx")
    (found,) = ReferenceEvaluator(str(tmp_path / "net.onnx")).run(None, {"x": x.astype("f4")})
    np.testing.assert_allclose(found, path.predict(x), rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


def test_what_torch_and_onnx_cannot_say_is_refused(tmp_path: Path) -> None:
    recurrent = path_of(sd.Model.recurrent([2, 3, 2], 3), 2, 2)
    own = partly(z / (1 + sp.Abs(z)))
    for path, message in ((recurrent, "is recurrent"), (own, "has no name; written are logistic")):
        with pytest.raises(OptionError, match=f"to_torch: .*{message}"):
            path.to_torch()
        with pytest.raises(OptionError, match=f"to_onnx: .*{message}"):
            path.to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    path = partly("tanh")
    monkeypatch.setattr(checks.importlib, "import_module", missing)
    for call, where in (
        (path.to_torch, "to_torch needs the package torch"),
        (lambda: path.to_onnx(tmp_path / "net.onnx"), "to_onnx needs the package onnx"),
        (lambda: sd.Model.from_torch(None), "from_torch needs the package torch"),
    ):
        with pytest.raises(OptionError, match=rf"{where}.*pip install 'symda\[learn\]'"):
            call()


def test_a_network_comes_in_from_torch_and_goes_out_the_same() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (symda[learn]) is not installed")
    nn = torch.nn
    torch.manual_seed(0)
    given = nn.Sequential(
        nn.Linear(4, 6),
        nn.Tanh(),
        nn.Linear(6, 6, bias=False),
        nn.Linear(6, 5),
        nn.Sigmoid(),
        nn.Linear(5, 3),
        nn.Softplus(),
    )
    net, weights = sd.Model.from_torch(given, name="given", prior=sd.Normal(0.0, 1.0))
    assert net.widths == (4, 6, 6, 5, 3)
    # the biases that one layer did not have
    assert not weights[3].any() and weights[1].any()
    x = new_inputs(9, 4)
    expected = given(torch.from_numpy(x).float()).detach().numpy()
    np.testing.assert_allclose(sd.Action(net).outputs(weights, x), expected, rtol=1e-4, atol=1e-6)
    path = path_of(net, 4, 3)
    again, back = sd.Model.from_torch(path.to_torch(), name="given", prior=sd.Normal(0.0, 1.0))
    assert again.blocks == net.blocks and again.activations == net.activations
    np.testing.assert_array_equal(np.concatenate([b.ravel() for b in back]), path.vector)
    bare, _ = sd.Model.from_torch(nn.Sequential(nn.Linear(3, 2, bias=False)))
    assert bare.weights == 6


def test_modules_that_are_not_read_are_named() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (symda[learn]) is not installed")
    nn = torch.nn
    linear = nn.Linear(3, 3)
    broken = nn.Linear(3, 3)
    with torch.no_grad():
        broken.weight[0, 0] = torch.nan
    for module, message in (
        (linear, "expected a torch.nn.Sequential, got a Linear"),
        (nn.Sequential(), "there is no Linear in it"),
        (nn.Sequential(nn.Tanh(), linear), "module 0: Tanh does not follow a Linear"),
        (nn.Sequential(linear, nn.Tanh(), nn.ReLU()), "module 2: ReLU does not follow a Linear"),
        (nn.Sequential(linear, nn.Dropout(0.5)), "module 1: Dropout is not read"),
        (nn.Sequential(nn.Sequential(linear)), "module 0: Sequential is not read"),
        (nn.Sequential(linear, nn.ReLU(), linear), "module 2: this Linear stands .* twice"),
        (nn.Sequential(linear, nn.Linear(4, 2)), "3 outputs is followed by one with 4 inputs"),
        (nn.Sequential(linear, nn.Softplus(beta=2)), "module 1: Softplus is read with beta=1"),
        (nn.Sequential(broken), "not finite"),
    ):
        with pytest.raises(ModelError, match=message):
            sd.Model.from_torch(module)


def test_torch_and_onnx_are_not_imported_unasked() -> None:
    script = (
        "import sys, symda as sd\n"
        "sd.Model.layered([2, 2]); sd.Action; import symda.api.network_run\n"
        "assert not {'torch', 'onnx', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
