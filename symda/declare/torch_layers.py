"""A PyTorch `Sequential` as a network, with the weights it has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import package
from symda.declare.distributions import Normal
from symda.declare.layered import layered
from symda.declare.network import Network
from symda.errors import ModelError
from symda.types import FloatArray

if TYPE_CHECKING:
    from torch import nn

#: PyTorch's activations by class.
ACTIVATIONS = {
    "Sigmoid": "logistic",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "ReLU": "relu",
    "Identity": "linear",
}


def from_torch(
    sequential: nn.Sequential,
    *,
    prior: Normal | Sequence[Normal] | None = None,
    name: str = "layered",
) -> tuple[Network, list[FloatArray]]:
    """Return a PyTorch network as one to anneal, and its weights.

    Parameters
    ----------
    sequential : torch.nn.Sequential
        ``Linear`` layers with or without biases, behind each at most one of ``Sigmoid``, ``Tanh``,
        ``Softplus``, ``ReLU`` and ``Identity``. Where some have biases all get them, those that
        were missing 0.
    prior : Normal, or a sequence
        As in `layered`; around the weights: `Network.around`.
    name : str
        What to call it.

    Returns
    -------
    Network, list of ndarray
        A matrix (rows, columns), or biases (rows,), for each block: a start for ``sd.anneal``.

    Raises
    ------
    ModelError
        For any other module, or weights that are not finite.
    OptionError
        If PyTorch is not installed.
    """
    torch = package("torch", "Model.from_torch", "learn")
    where = f"Model.from_torch {name!r}"
    if not isinstance(sequential, torch.nn.Sequential):
        raise ModelError(
            f"{where}: expected a torch.nn.Sequential, got a {type(sequential).__name__}."
        )
    linears: list[nn.Linear] = []
    activations: list[str | None] = []
    for place, module in enumerate(sequential):
        kind, here = type(module).__name__, f"{where}, module {place}"
        if type(module) is torch.nn.Linear:
            if any(module is one for one in linears):
                raise ModelError(
                    f"{here}: this Linear stands in the network twice. Shared weights are declared "
                    "by sd.Model.layered(..., share=True)."
                )
            linears.append(module)
            activations.append(None)
            continue
        if kind not in ACTIVATIONS or type(module) is not getattr(torch.nn, kind):
            raise ModelError(
                f"{here}: {kind} is not read. Known are Linear and behind it one of "
                f"{', '.join(ACTIVATIONS)}."
            )
        if not linears or activations[-1] is not None:
            raise ModelError(f"{here}: {kind} does not follow a Linear.")
        if kind == "Softplus" and (module.beta != 1 or module.threshold < 20):
            raise ModelError(
                f"{here}: Softplus is read with beta=1 and a threshold of at least 20, got "
                f"beta={module.beta}, threshold={module.threshold}."
            )
        activations[-1] = ACTIVATIONS[kind]
    if not linears:
        raise ModelError(f"{where}: there is no Linear in it.")
    for before, behind in pairwise(linears):
        if before.out_features != behind.in_features:
            raise ModelError(
                f"{where}: a Linear with {before.out_features} outputs is followed by one with "
                f"{behind.in_features} inputs."
            )
    network = layered(
        [linears[0].in_features, *(one.out_features for one in linears)],
        activation=[one or "linear" for one in activations],
        bias=any(one.bias is not None for one in linears),
        prior=prior,
        name=name,
    )
    weights = []
    for one in linears:
        weights.append(_array(one.weight))
        if len(network.blocks) > len(linears):
            weights.append(np.zeros(one.out_features) if one.bias is None else _array(one.bias))
    network.join(weights, where)
    return network, weights


def _array(given: nn.Parameter) -> FloatArray:
    return np.array(given.detach().cpu().numpy(), dtype=np.float64)
