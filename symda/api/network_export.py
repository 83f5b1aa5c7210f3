"""A trained network for use elsewhere: as NumPy source, a PyTorch module, or an ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike
from sympy.printing.codeprinter import PrintMethodNotImplementedError
from sympy.printing.numpy import NumPyPrinter

from symda.checks import package
from symda.declare.activations import ACTIVATIONS
from symda.declare.network import Network, Term
from symda.errors import OptionError
from symda.observe.pairs import Pairs
from symda.types import FloatArray

if TYPE_CHECKING:
    from torch import nn

#: How NumPy writes the activations that have a name; none of them overflows.
NUMPY = MappingProxyType(
    {
        "logistic": "0.5 + 0.5 * numpy.tanh(0.5 * z)",
        "tanh": "numpy.tanh(z)",
        "softplus": "numpy.logaddexp(0.0, z)",
        "relu": "numpy.maximum(z, 0.0)",
        "linear": "z",
    }
)
#: ONNX's operators for them.
ONNX = MappingProxyType(
    {"logistic": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus", "relu": "Relu"}
)
#: Operators as they were in 2020, and the file format that goes with them: every runtime has them.
OPSET, IR_VERSION = 13, 7


@dataclass(frozen=True, eq=False)
class NumpyNetwork:
    """A network with its weights, of which a call needs nothing but NumPy.

    Parameters
    ----------
    weights : dict of str to ndarray
        Matrices (rows, columns) and biases (rows,) by the names that blocks have.
    source : str
        A Python module with the function ``network(x, W1, ..)``.
    """

    weights: dict[str, FloatArray]
    source: str

    @cached_property
    def _function(self) -> Callable[..., FloatArray]:
        names: dict[str, Callable[..., FloatArray]] = {}
        exec(self.source, names)
        return names["network"]

    def __call__(self, inputs: ArrayLike) -> FloatArray:
        """Return outputs (M, L') for inputs (M, L), of sequences (M, S, L') for (M, S, L)."""
        return self._function(np.asarray(inputs, dtype=np.float64), **self.weights)

    def save(self, path: str | Path) -> None:
        """Write a Python module, and its weights beside it as ``.npz``.

        ``import digits; digits.predict(x)`` then works wherever NumPy is, without symda.

        Raises
        ------
        OptionError
            If the path does not end in ``.py``.
        """
        path = Path(path)
        if path.suffix != ".py":
            raise OptionError(
                f"save: a network is written as a Python module, {path.stem}.py, with its weights "
                f"beside it in {path.stem}.npz; got {path.name!r}."
            )
        path.write_text(self.source + _LOADER, encoding="utf-8")
        np.savez(path.with_suffix(".npz"), **self.weights)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        count = sum(one.size for one in self.weights.values())
        return f"<NumpyNetwork of {count} weights: {', '.join(self.weights)}>"


#: What a saved module has besides.
_LOADER = '''

def predict(x):
    """Return outputs for inputs, with the weights beside this file."""
    with numpy.load(Path(__file__).with_suffix(".npz")) as weights:
        return network(numpy.asarray(x, dtype=float), **weights)
'''


def to_numpy(network: Network, pairs: Pairs, mean: float, weights: FloatArray) -> NumpyNetwork:
    """Return a network as NumPy source; inputs that `pairs` do not have are at `mean`.

    Raises
    ------
    OptionError
        If an activation has a function that NumPy does not have.
    """
    sequences = pairs.inputs.ndim == 3
    blocks = [block.name for block in network.blocks]
    names = [_name(one) or f"g{k}" for k, one in enumerate(network.activations, start=1)]

    def written(term: Term) -> str:
        parts = [f"{network.nodes[c.source].name} @ {blocks[c.block]}.T" for c in term.connections]
        parts += [] if term.bias is None else [blocks[term.bias]]
        return f"{names[term.activation]}({' + '.join(parts)})"

    lines = ["from pathlib import Path", "", "import numpy"]
    for name, one in zip(names, network.activations, strict=True):
        text = NUMPY[name] if name in NUMPY else _printed(one)
        lines += ["", "", f"def {name}(z):", f"    return {text}"]
    shapes = [
        f"({'M, S' if sequences else 'M'}, {data.shape[-1]})"
        for data in (pairs.inputs, pairs.outputs)
    ]
    # the name in a comment, where quotation marks in it do no harm
    lines += ["", "", f"# {network.name}", f"def network(x, {', '.join(blocks)}):"]
    lines += [f'    """Return outputs {shapes[1]} for inputs {shapes[0]}."""']
    missing = network.nodes[0].width - pairs.inputs.shape[-1]
    for place, number in enumerate(network.inputs):
        own = f"x[:, {place}]" if sequences else "x"
        if missing:
            own = f"numpy.concatenate([{own}, numpy.full((len(x), {missing}), {mean!r})], axis=1)"
        lines.append(f"    {network.nodes[number].name} = {own}")
    for node in network.nodes[len(network.inputs) :]:
        lines.append(f"    {node.name} = {' + '.join(map(written, node.terms))}")
    kept = pairs.outputs.shape[-1]
    outputs = [f"{network.nodes[number].name}[:, :{kept}]" for number in network.outputs]
    found = f"numpy.stack([{', '.join(outputs)}], axis=1)" if sequences else outputs[0]
    lines += [f"    return {found}", ""]
    arrays = dict(zip(blocks, network.split(weights.copy()), strict=True))
    return NumpyNetwork(arrays, "\n".join(lines))


def _name(activation: sp.Expr) -> str | None:
    return next((name for name, known in ACTIVATIONS.items() if known == activation), None)


def _printed(activation: sp.Expr) -> str:
    # NumPy's maximum has two arguments, SymPy's any number: as cases they are the same
    plain = activation.replace(sp.Max, lambda *a: sp.Max(*a).rewrite(sp.Piecewise))
    plain = plain.replace(sp.Min, lambda *a: sp.Min(*a).rewrite(sp.Piecewise))
    printer = NumPyPrinter({"allow_unknown_functions": False})
    try:
        text = str(printer.doprint(plain))
    except PrintMethodNotImplementedError:
        text = ""
    # what NumPy lacks is printed as of another module, erf as math.erf
    if not text or set(printer.module_imports) - {"numpy"}:
        raise OptionError(
            f"to_numpy: NumPy does not have all functions of the activation {activation}. "
            "run.best.predict(inputs) computes it."
        )
    return text


@dataclass(frozen=True, eq=False)
class Layer:
    """g(W x + b), g by name."""

    matrix: FloatArray
    bias: FloatArray | None
    activation: str


def layers_of(
    network: Network,
    pairs: Pairs,
    mean: float,
    weights: FloatArray,
    where: Literal["to_torch", "to_onnx"],
) -> list[Layer]:
    """Return layers of measured inputs and outputs; other inputs are at `mean`, in the biases.

    Raises
    ------
    OptionError
        If the network is recurrent, or an activation has no name.
    """
    if network.sequence > 1 or pairs.inputs.ndim == 3:
        raise OptionError(
            f"{where}: {network.name!r} is recurrent, and only layers behind one another are "
            "written. run.best.to_numpy() writes any network."
        )
    arrays = network.split(weights.copy())
    made = []
    for node in network.nodes[1:]:
        (term,) = node.terms
        name = _name(network.activations[term.activation])
        if name is None:
            raise OptionError(
                f"{where}: the activation {network.activations[term.activation]} has no name; "
                f"written are {', '.join(ACTIVATIONS)}. run.best.to_numpy() writes any network."
            )
        bias = None if term.bias is None else arrays[term.bias]
        made.append(Layer(arrays[term.connections[0].block], bias, name))
    first, L = made[0], pairs.inputs.shape[-1]
    rest = mean * first.matrix[:, L:].sum(axis=1)
    bias = first.bias if not rest.any() else rest + (0.0 if first.bias is None else first.bias)
    made[0] = Layer(first.matrix[:, :L], bias, first.activation)
    last, kept = made[-1], pairs.outputs.shape[-1]
    bias = None if last.bias is None else last.bias[:kept]
    made[-1] = Layer(last.matrix[:kept], bias, last.activation)
    return made


def to_torch(layers: list[Layer]) -> nn.Sequential:
    """Return layers as a PyTorch module of 64-bit numbers."""
    torch = package("torch", "to_torch", "learn")
    activations = {
        "logistic": torch.nn.Sigmoid,
        "tanh": torch.nn.Tanh,
        # PyTorch takes z for log(1 + exp(z)) above a threshold: here where that is exact
        "softplus": lambda: torch.nn.Softplus(threshold=40.0),
        "relu": torch.nn.ReLU,
    }
    modules = []
    for layer in layers:
        rows, columns = layer.matrix.shape
        linear = torch.nn.Linear(columns, rows, bias=layer.bias is not None, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.matrix))
            if layer.bias is not None:
                linear.bias.copy_(torch.from_numpy(layer.bias))
        modules.append(linear)
        if layer.activation in activations:
            modules.append(activations[layer.activation]())
    return torch.nn.Sequential(*modules)


def to_onnx(layers: list[Layer], path: str | Path, name: str) -> None:
    """Write layers as an ONNX file: input ``x`` (M, L), output ``y`` (M, L'), 32-bit numbers."""
    onnx = package("onnx", "to_onnx", "learn")
    helper, single = onnx.helper, onnx.TensorProto.FLOAT
    nodes, arrays, value = [], [], "x"
    for number, layer in enumerate(layers, start=1):
        parts = {f"W{number}": layer.matrix}
        if layer.bias is not None:
            parts[f"b{number}"] = layer.bias
        arrays += [
            onnx.numpy_helper.from_array(one.astype(np.float32), key) for key, one in parts.items()
        ]
        nodes.append(helper.make_node("Gemm", [value, *parts], [f"z{number + 1}"], transB=1))
        value = f"z{number + 1}"
        if layer.activation in ONNX:
            nodes.append(helper.make_node(ONNX[layer.activation], [value], [f"x{number + 1}"]))
            value = f"x{number + 1}"
    nodes[-1].output[0] = "y"
    inputs, outputs = layers[0].matrix.shape[1], layers[-1].matrix.shape[0]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", single, ["M", inputs])],
        [helper.make_tensor_value_info("y", single, ["M", outputs])],
        arrays,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="symda",
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
