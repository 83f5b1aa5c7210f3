"""Annealing of a network: starts, the ladder, and what each path came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from symda.declare.activations import Z
from symda.declare.network import Block, Network, gain
from symda.errors import OptionError, nearest
from symda.solve.network.minimum import NetworkMinimum, NetworkSolver
from symda.solve.network.problem import NetworkProblem, Point
from symda.status import Reason
from symda.types import FloatArray

#: What start weights may be: a name, or a function of a generator.
WeightStart: TypeAlias = "str | Callable[[np.random.Generator], FloatArray]"

#: c_f Rf over c_m Rm of the first rung: lower the layers decouple, and a prior round 0 draws all
#: weights there, the constant network.
FIRST = 10.0
#: Half the width of the paper's weights.
UNIFORM = 0.1


@dataclass(frozen=True, eq=False)
class Rung:
    """A rung: its number and Rf, where it ended, how many seconds it took."""

    beta: int
    rf: float
    minimum: NetworkMinimum
    seconds: float


def climb(
    problem: NetworkProblem,
    weights: FloatArray,
    rungs: Sequence[float],
    solver: NetworkSolver,
    first: int = 0,
) -> Iterator[Rung]:
    """Climb a ladder from start weights, activities by a forward pass; each rung as it ends.

    The `first` rungs are left out. Not begun is a rung when the problem's clock is over. Seconds
    are those of the own thread.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        point = Point(problem.forward(weights), weights.copy())
        terms = problem.terms(point, rungs[first])
    if not np.isfinite(terms.total):
        why = Reason.NO_VALUE
        nothing = NetworkMinimum(point, terms, why.status, why, 0, 0, np.nan, solver.name)
        yield Rung(first, rungs[first], nothing, 0.0)
        return
    for b, rf in list(enumerate(rungs))[first:]:
        began = time.thread_time()
        if problem.clock.over():
            return
        minimum = solver.minimise(problem, point, rf, final=b == len(rungs) - 1)
        point = minimum.point
        yield Rung(b, rf, minimum, time.thread_time() - began)
        if not np.isfinite(minimum.terms.total):
            return


def start_weights(
    network: Network, start: WeightStart, spread: float
) -> Callable[[np.random.Generator], FloatArray]:
    """Return what draws start weights.

    ``"orthogonal"`` (Saxe, McClelland, Ganguli, ICLR 2014) and ``"xavier"`` (Glorot, Bengio,
    AISTATS 2010) keep a signal's size from layer to layer: the gain is one over the slope of the
    activation at 0, and one over `spread`, that of the inputs, for weights of inputs. ``"prior"``
    draws from the priors, ``"uniform"`` from the paper's [-0.1, 0.1].

    Raises
    ------
    OptionError
        If there is no start of that name, or weights have no prior to draw from.
    """
    if callable(start):
        return start
    if start == "prior":
        if None in network.prior or not network.prior:
            raise OptionError(
                "anneal: start='prior' draws weights from their priors, and some have none. "
                "Declare them, sd.Model.layered(..., prior=sd.Normal(0.0, 0.2)), or take "
                "start='orthogonal'."
            )
        return lambda rng: np.concatenate(
            [rng.normal(p.mean, p.sd).ravel() for p in network.prior if p is not None]
        )
    if start == "uniform":
        return lambda rng: rng.uniform(-UNIFORM, UNIFORM, network.weights)
    names = ("orthogonal", "xavier", "prior", "uniform")
    if start not in names:
        raise OptionError(
            f"anneal: networks have no start {start!r}.{nearest(start, names)} There are "
            f"{', '.join(names)}, or pass a function of a NumPy generator that returns weights."
        )
    made = [_drawn(network, k, block, start, spread) for k, block in enumerate(network.blocks)]
    return lambda rng: np.concatenate([draw(rng).ravel() for draw in made])


def _drawn(
    network: Network, number: int, block: Block, start: str, spread: float
) -> Callable[[np.random.Generator], FloatArray]:
    """Return what draws a block: of size by the activation of the term that uses it last."""
    if block.bias:
        return lambda _: np.zeros(block.rows)
    # where weights are shared, all layers but the first receive activities
    term, source = next(
        (term, one.source)
        for node in reversed(network.nodes)
        for term in node.terms
        for one in term.connections
        if one.block == number
    )
    size = gain(network.activations[term.activation], 1)
    before = network.nodes[source].terms
    shifted = bool(before) and not _vanishes(network, before[0].activation)
    if not before:
        size = 1.0 / spread
    if start == "xavier":
        return lambda rng: rng.normal(
            0.0, size / np.sqrt(block.fan_in), (block.rows, block.columns)
        )

    def draw(rng: np.random.Generator) -> FloatArray:
        n = max(block.rows, block.columns)
        q, r = np.linalg.qr(rng.normal(size=(n, n)))
        q *= np.sign(np.diag(r))
        matrix = q[: block.rows, : block.columns]
        if shifted and block.columns > 1:
            # activities have a mean, of which nothing is to be sent on
            matrix = matrix - matrix.mean(axis=1, keepdims=True)
        found: FloatArray = size * np.sqrt(block.columns / block.fan_in) * matrix
        return found

    return draw


def _vanishes(network: Network, activation: int) -> bool:
    return bool(network.activations[activation].subs(Z, 0) == 0)


def spread_of(problem: NetworkProblem) -> float:
    """Return the standard deviation of the inputs; 1 where they do not differ."""
    found = float(problem.pairs.inputs.std())
    return found if found > 0.0 else 1.0


def climb_all(
    problem: NetworkProblem,
    weights: Sequence[FloatArray],
    rungs: Sequence[float],
    solver: NetworkSolver,
    *,
    workers: int = 1,
    first: int = 0,
    tell: Callable[[int, int], None],
) -> tuple[list[list[Rung]], dict[int, str]]:
    """Climb from each of the start weights; return rungs, and why a path failed.

    Of a path that fails, and after Ctrl-C, what there is is kept.
    """
    climbed: list[list[Rung]] = [[] for _ in weights]
    failed: dict[int, str] = {}

    def one(k: int) -> None:
        found = climbed[k]
        try:
            for rung in climb(problem, weights[k], rungs, solver, first):
                found.append(rung)
                if len(found) > 1:
                    # of the rungs below weights stay; activities would fill the memory
                    last = found[-2]
                    bare = Point(np.empty((0, 0)), last.minimum.point.W)
                    found[-2] = replace(last, minimum=replace(last.minimum, point=bare))
        except (ArithmeticError, ValueError, np.linalg.LinAlgError, MemoryError) as error:
            failed[k] = f"{type(error).__name__}: {error}"
        tell(k, len(weights))

    run_each(one, len(weights), workers, problem)
    return climbed, failed


def run_each(one: Callable[[int], None], count: int, workers: int, problem: NetworkProblem) -> None:
    """Call for each number below `count`, in threads; Ctrl-C stops the problem's clock."""
    if workers == 1:
        try:
            for k in range(count):
                one(k)
        except KeyboardInterrupt:
            problem.clock.stop()
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(one, k) for k in range(count)]
        try:
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            problem.clock.stop()
            pool.shutdown(cancel_futures=True)
