"""The equations of a network, its action and back-propagation, to read."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Function, Idx, IndexedBase, Sum, Symbol

from symda.declare.activations import Z
from symda.declare.network import Network, Term
from symda.typeset.display import Line, Readable, Section


def network_equations(network: Network, averaging: str, df: float | None) -> Readable:
    """Return the nodes' equations, the action, and the recursion of the momenta."""
    g = [
        Function(f"g_{k}" if len(network.activations) > 1 else "g")
        for k in range(len(network.activations))
    ]
    activations = tuple(Line(g[k](Z), one) for k, one in enumerate(network.activations))
    sections = [
        Section(
            "Activations",
            activations,
            "z is what a neuron receives.",
        ),
        Section(
            "Nodes",
            _nodes(network, g),
            "Nodes that follow repeat the last lines with weights of their own, or, where they are "
            "shared, the same.",
        ),
        Section("Action", (_action(averaging, df),), _words(df)),
        Section(
            "Back-propagation",
            _back(),
            "p is the slope of the action by a neuron of layer l, its momentum, D the slope of its "
            "activation, e that of the cost of its data; i are the neurons that receive from it. "
            "Where the action is least p is minus R_f r with its factor; in the strong limit it "
            "comes from the outputs alone.",
        ),
    ]
    return Readable(tuple(sections))


def _nodes(network: Network, g: list[type[Function]]) -> tuple[Line, ...]:
    shown: list[Line] = []
    for node in network.nodes:
        if not node.terms:
            continue
        total: Expr = sp.Add(*(_term(network, one, g) for one in node.terms), evaluate=False)
        shown.append(Line(Symbol(node.name), total, f"{node.width} neurons"))
        if len(shown) == 4:
            break
    return tuple(shown)


def _term(network: Network, term: Term, g: list[type[Function]]) -> Expr:
    received = [
        sp.Mul(
            Symbol(network.blocks[one.block].name, commutative=False),
            Symbol(network.nodes[one.source].name, commutative=False),
            evaluate=False,
        )
        for one in term.connections
    ]
    if term.bias is not None:
        received.append(Symbol(network.blocks[term.bias].name, commutative=False))
    return g[term.activation](sp.Add(*received, evaluate=False))


def _action(averaging: str, df: float | None) -> Line:
    k, i, n = Idx("k"), Idx("i"), Idx("n")
    x, y, r = IndexedBase("x"), IndexedBase("y"), IndexedBase("r")
    Rm, Rf, L, M, size = sp.symbols("R_m R_f L M n_f", positive=True)
    square = (x[i, k] - y[i, k]) ** 2 * Rm / 2
    if df is not None:
        square = (df + 1) / 2 * sp.log(1 + Rm * (x[i, k] - y[i, k]) ** 2 / df)
    data = Sum(square, (i, 1, 2 * L), (k, 1, M))
    model = Sum(r[n, k] ** 2, (n, 1, size), (k, 1, M))
    prior = sp.log(Symbol("P"))
    if averaging == "eq14":
        right = (data - prior) / (L * M) + Rf / (M * size) * model
    else:
        right = data - prior + Rf / 2 * model
    return Line(Symbol("A"), right)


def _words(df: float | None) -> str:
    words = (
        "The first sum is over measured neurons of input and output and over pairs; r is a node "
        "less the sum of its terms, n_f the number of neurons behind the input, P the "
        "density of the priors of weights and of inputs that were not measured."
    )
    if df is not None:
        words += " Outputs have a Student t; inputs are Gaussian."
    return words


def _back() -> tuple[Line, ...]:
    p, e, x, D, W = (IndexedBase(name) for name in "p e x D W".split())
    i, j, l = Idx("i"), Idx("j"), Idx("l")
    sent = D[i, l + 1] * p[i, l + 1]
    return (
        Line(p[j, l], e[j, l] + Sum(W[i, j, l] * sent, (i, 1, Symbol("N")))),
        Line(IndexedBase("dA/dW")[i, j, l], sent * x[j, l]),
    )
