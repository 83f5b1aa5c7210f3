"""Layered and recurrent networks, as users declare them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symda.checks import integer
from symda.declare.activations import Activation, know_activations
from symda.declare.distributions import Normal
from symda.declare.network import (
    Block,
    Connection,
    Network,
    Node,
    Normals,
    Term,
    know_normal,
    know_priors,
)
from symda.errors import ModelError
from symda.names import is_name


def layered(
    widths: Sequence[int],
    *,
    activation: Activation | Sequence[Activation] = "logistic",
    bias: bool = False,
    share: bool = False,
    prior: Normal | Sequence[Normal] | None = None,
    input_prior: Normal | None = None,
    name: str = "layered",
) -> Network:
    """Make a feedforward network: x(l+1) = g(W(l) x(l) + b(l)), eq. 13 of Abarbanel et al. 2017.

    Parameters
    ----------
    widths : sequence of int
        Neurons of each layer, the input's and the output's included; lF of them.
    activation : str, Expr, or a sequence of lF - 1
        ``"logistic"``, ``"tanh"``, ``"softplus"``, ``"relu"``, ``"linear"``, or a SymPy expression
        in one symbol.
    bias : bool
        Whether neurons have biases b.
    share : bool
        Whether all steps use one matrix, and one vector of biases; all layers are of one width.
    prior : Normal, or a sequence of lF - 1
        Prior of the weights, and biases, of a step: ``sd.Normal(0.0, 0.2)``. Around given weights:
        `Network.around`.
    input_prior : Normal, optional
        Prior of the activities of inputs that are not measured.
    name : str
        What to call it.

    Raises
    ------
    ModelError
        For whatever is not as said here.
    """
    where = f"Model.layered {name!r}"
    sizes = _widths(widths, where)
    _check(name, {"bias": bias, "share": share}, where)
    if share and len(set(sizes)) > 1:
        raise ModelError(
            f"{where}: share=True needs layers of one width, got {', '.join(map(str, sizes))}."
        )
    steps = len(sizes) - 1
    activations = know_activations(activation, steps, where)
    known = tuple(dict.fromkeys(activations))
    blocks: list[Block] = []
    nodes = [Node("x1", sizes[0])]
    for l in range(1, len(sizes)):
        if l == 1 or not share:
            number = "" if share else str(l)
            fan_in = sizes[l - 1]
            blocks.append(Block(f"W{number}", sizes[l], sizes[l - 1], fan_in))
            if bias:
                blocks.append(Block(f"b{number}", sizes[l], 1, fan_in, bias=True))
        matrix = len(blocks) - 1 - bias
        term = Term(
            known.index(activations[l - 1]),
            (Connection(l - 1, matrix),),
            matrix + 1 if bias else None,
        )
        nodes.append(Node(f"x{l + 1}", sizes[l], (term,)))
    return Network(
        name,
        tuple(nodes),
        (0,),
        (steps,),
        tuple(blocks),
        known,
        know_priors(prior, blocks, 1 if share else steps, where),
        _input_prior(input_prior, where),
    )


def recurrent(
    widths: Sequence[int],
    sequence: int,
    *,
    activation: Activation | Sequence[Activation] = "logistic",
    within: Activation | Sequence[Activation] | None = None,
    bias: bool = False,
    prior: Normal | Sequence[Normal] | None = None,
    input_prior: Normal | None = None,
    name: str = "recurrent",
) -> Network:
    """Make a network whose layers remember: eqs. 16 and 17 of Abarbanel et al. 2017.

    States are x(l, s), l a layer and s a place in a sequence:
    x(l, s) = f[w(l) x(l-1, s) + W(l) x(l, s-1)] (eq. 16), and with `within`, an activation g of its
    own, f[w(l) x(l-1, s)] + g[W(l) x(l, s-1)] (eq. 17). There is no x(l, 0), and layer 1 is the
    input.

    Parameters
    ----------
    widths : sequence of int
        Neurons of each layer, lF of them.
    sequence : int
        Places of a sequence; data are (M, places, L).
    activation : str, Expr, or a sequence of lF - 1
        f, as in `layered`.
    within : str, Expr, or a sequence of lF - 1, optional
        g of eq. 17; eq. 16 when left out.
    bias : bool
        Whether f has biases.
    prior : Normal, or a sequence
        As in `layered`; a sequence has one for w(2), W(2), w(3), W(3), ...
    input_prior : Normal, optional
        As in `layered`.

    Raises
    ------
    ModelError
        For whatever is not as said here.
    """
    where = f"Model.recurrent {name!r}"
    sizes = _widths(widths, where)
    places = integer(
        sequence,
        f"{where}: sequence",
        "With one place nothing is remembered: take sd.Model.layered.",
        least=2,
        error=ModelError,
    )
    _check(name, {"bias": bias}, where)
    steps = len(sizes) - 1
    outer = know_activations(activation, steps, where)
    inner = None if within is None else know_activations(within, steps, f"{where}, within")
    known = tuple(dict.fromkeys([*outer, *(inner or [])]))
    blocks: list[Block] = []
    nodes = [Node(f"x1_{s + 1}", sizes[0]) for s in range(places)]
    for l in range(1, len(sizes)):
        n, before = sizes[l], sizes[l - 1]
        first = len(blocks)
        both = before if inner is not None else before + n
        blocks.append(Block(f"w{l + 1}", n, before, both))
        if bias:
            blocks.append(Block(f"b{l + 1}", n, 1, both, bias=True))
        blocks.append(Block(f"W{l + 1}", n, n, n if inner is not None else both))
        own, biases, last = first, first + 1 if bias else None, len(blocks) - 1
        f = known.index(outer[l - 1])
        for s in range(places):
            below = Connection(len(nodes) - places, own)
            left = () if s == 0 else (Connection(len(nodes) - 1, last),)
            if inner is None:
                terms = (Term(f, (below, *left), biases),)
            else:
                second = (Term(known.index(inner[l - 1]), left),) if left else ()
                terms = (Term(f, (below,), biases), *second)
            nodes.append(Node(f"x{l + 1}_{s + 1}", n, terms))
    count = len(nodes)
    return Network(
        name,
        tuple(nodes),
        tuple(range(places)),
        tuple(range(count - places, count)),
        tuple(blocks),
        known,
        know_priors(prior, blocks, 2 * steps, where),
        _input_prior(input_prior, where),
    )


def _widths(widths: object, where: str) -> list[int]:
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
        raise ModelError(f"{where}: widths must be a list of numbers of neurons, got {widths!r}.")
    if len(widths) < 2:
        raise ModelError(
            f"{where}: a network has at least two layers, input and output, got {len(widths)}."
        )
    return [
        integer(width, f"{where}: the width of layer {l}", error=ModelError)
        for l, width in enumerate(widths, start=1)
    ]


def _check(name: object, truths: dict[str, object], where: str) -> None:
    if not is_name(name):
        raise ModelError(f"{where}: name must be a printable text that is not empty, got {name!r}.")
    for what, value in truths.items():
        if not isinstance(value, bool):
            raise ModelError(f"{where}: {what} must be True or False, got {value!r}.")


def _input_prior(given: Normal | None, where: str) -> Normals | None:
    if given is None:
        return None
    mean, sd = know_normal(given, f"{where}: input_prior")
    return Normals(np.array(mean), np.array(sd))
