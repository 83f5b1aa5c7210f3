"""Networks of neurons: nodes, what each receives, and the blocks of weights it does so through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sympy import Expr

from symda.checks import number
from symda.declare.activations import Z
from symda.declare.distributions import Normal
from symda.errors import ModelError
from symda.types import FloatArray


@dataclass(frozen=True)
class Block:
    """A matrix of weights, (rows, columns), or with one column the biases of `rows` neurons.

    `fan_in` is the number of values that a neuron which uses it receives.
    """

    name: str
    rows: int
    columns: int
    fan_in: int
    bias: bool = False

    @property
    def size(self) -> int:
        """How many weights there are."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Connection:
    """What one node receives from another: the block's matrix times the activity of `source`."""

    source: int
    block: int


@dataclass(frozen=True)
class Term:
    """g(sum of W x over the connections + b): one of the terms of which a node is the sum."""

    activation: int
    connections: tuple[Connection, ...]
    bias: int | None = None


@dataclass(frozen=True)
class Node:
    """Neurons that are computed together: a layer, or a layer at one place of a sequence.

    A node without terms is an input.
    """

    name: str
    width: int
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Normals:
    """Independent Gaussians: means and standard deviations, numbers or arrays of one shape."""

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True, eq=False)
class Network:
    """Layers of neurons as a model: layer number is time, weights are parameters of a step.

    Activities x are the states; node n should be sum_terms g(sum_c W_c x_source + b), and Rf says
    how precisely. `sd.Model.layered` and `sd.Model.recurrent` make one.

    Attributes
    ----------
    nodes : tuple of Node
        In an order in which each comes behind those it receives from; the inputs are the first.
    inputs, outputs : tuple of int
        Nodes that are measured, of a sequence one for each of its places.
    blocks : tuple of Block
        The weights; a block may be used by several nodes.
    activations : tuple of Expr
        Those that the terms name by number, in `symda.declare.activations.Z`.
    prior : tuple of Normals or None, one for each block
        Priors of the weights; None leaves a block free.
    input_prior : Normals, optional
        Prior of the activities of the inputs that are not measured.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    blocks: tuple[Block, ...]
    activations: tuple[Expr, ...]
    prior: tuple[Normals | None, ...] = ()
    input_prior: Normals | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each node."""
        return tuple(node.width for node in self.nodes)

    @property
    def weights(self) -> int:
        """Number of weights and biases."""
        return sum(block.size for block in self.blocks)

    @property
    def sequence(self) -> int:
        """Places of a sequence; 1 where a pair is no sequence."""
        return len(self.inputs)

    def split(self, weights: FloatArray) -> list[FloatArray]:
        """Take a vector of all weights (W,) apart: a matrix (rows, columns) or biases (rows,)."""
        parts = np.split(weights, np.cumsum([block.size for block in self.blocks])[:-1])
        shapes = [(b.rows,) if b.bias else (b.rows, b.columns) for b in self.blocks]
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def join(self, weights: Sequence[ArrayLike] | FloatArray, where: str = "weights") -> FloatArray:
        """Put matrices and biases into one vector (W,); one that is a vector stays what it is.

        Raises
        ------
        ModelError
            If there are not as many as blocks, or one has another shape or is not finite.
        """
        if isinstance(weights, np.ndarray) and weights.ndim == 1:
            if weights.shape != (self.weights,):
                raise ModelError(f"{where}: expected {self.weights} weights, got {weights.size}.")
            weights = self.split(np.asarray(weights, dtype=np.float64))
        if not isinstance(weights, Sequence | np.ndarray) or isinstance(weights, str):
            raise ModelError(
                f"{where}: expected a vector of {self.weights} weights, or a list of matrices, got "
                f"{weights!r}."
            )
        if len(weights) != len(self.blocks):
            raise ModelError(
                f"{where}: {len(weights)} arrays for {len(self.blocks)} blocks of weights "
                f"({', '.join(b.name for b in self.blocks[:6])}, ..)."
            )
        made = []
        for block, given in zip(self.blocks, weights, strict=True):
            try:
                one = np.asarray(given, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ModelError(
                    f"{where}: {block.name} is no array of numbers: {error}."
                ) from error
            shape = (block.rows,) if block.bias else (block.rows, block.columns)
            if one.shape != shape:
                raise ModelError(f"{where}: {block.name} has shape {shape}, got {one.shape}.")
            if not np.isfinite(one).all():
                raise ModelError(f"{where}: {block.name} has numbers that are not finite.")
            made.append(one.ravel())
        return np.concatenate(made)

    def around(self, weights: Sequence[ArrayLike] | FloatArray, sd: float) -> Self:
        """Return the network with Gaussian priors of one standard deviation around these weights.

        Raises
        ------
        ModelError
            If the weights do not fit the network, or `sd` is not positive.
        """
        where = f"Network {self.name!r}, around"
        means = self.split(self.join(weights, where))
        size = number(sd, f"{where}: sd", kind="positive", error=ModelError)
        return replace(self, prior=tuple(Normals(m, np.full(m.shape, size)) for m in means))

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.widths[:4])) + ("-.." if len(self.nodes) > 4 else "")
        sizes = f"{len(self.nodes)} nodes {widths}, {self.weights} weights"
        return f"Network({self.name!r}, {sizes})"


def know_priors(
    given: Normal | Sequence[Normal] | None, blocks: Sequence[Block], steps: int, where: str
) -> tuple[Normals | None, ...]:
    """Return a prior for each block from one for all, or one for each of `steps` matrices.

    Biases have the prior of the matrix before them.

    Raises
    ------
    ModelError
        If one is not `sd.Normal(mean, sd)` with numbers.
    """
    if given is None:
        return (None,) * len(blocks)
    each = [given] * steps if isinstance(given, Normal) else given
    if not isinstance(each, Sequence) or len(each) != steps:
        raise ModelError(
            f"{where}: prior must be sd.Normal(mean, sd), or a list of {steps}, one for each "
            f"matrix of weights, got {given!r}."
        )
    numbers = [know_normal(one, f"{where}: prior") for one in each]
    made: list[Normals] = []
    step = -1
    for block in blocks:
        step += not block.bias
        mean, sd = numbers[step]
        shape = (block.rows,) if block.bias else (block.rows, block.columns)
        made.append(Normals(np.full(shape, mean), np.full(shape, sd)))
    return tuple(made)


def know_normal(given: object, where: str) -> tuple[float, float]:
    """Return mean and standard deviation of a Gaussian with numbers.

    Raises
    ------
    ModelError
        If it is none.
    """
    if isinstance(given, Normal) and given.scale is not None:
        try:
            mean, sd = float(given.loc), float(given.scale)
        except TypeError:
            mean, sd = float("nan"), float("nan")
        if isfinite(mean) and isfinite(sd) and sd > 0.0:
            return mean, sd
    raise ModelError(
        f"{where} must be a Gaussian with numbers, sd.Normal(0.0, 0.2), got {given!r}."
    )


def gain(activation: Expr, fan_in: int) -> float:
    """Return the standard deviation of start weights that keep a signal's size.

    Glorot and Bengio, AISTATS 2010: 1/sqrt(fan in), over the slope of the activation where it is
    linear; He et al., ICCV 2015, of a rectifier sqrt(2/fan in).
    """
    slope = activation.diff(Z)
    # on both sides: a rectifier has its kink at 0
    squares = [abs(complex(slope.subs(Z, side))) ** 2 for side in (-0.1, 0.1)]
    size = sqrt(sum(squares) / 2.0)
    return 1.0 / ((size if isfinite(size) and size > 0.0 else 1.0) * sqrt(fan_in))
