"""`NetworkAction`, what `sd.Action` makes of a network, and how it is annealed."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from symda.analyse.network_levels import SAME
from symda.analyse.networks import determined, predict
from symda.anneal.file import load_any
from symda.anneal.ladder import Ladder
from symda.anneal.networks import (
    FIRST,
    WeightStart,
    climb_all,
    spread_of,
    start_weights,
)
from symda.anneal.provenance import provenance
from symda.api.network_dataset import constant_level, lowest_level, network_dataset, train_all
from symda.api.network_run import NetworkRun
from symda.api.network_warnings import warn_of
from symda.build.network import network_passes
from symda.build.network_layout import Layout
from symda.checks import integer, number
from symda.declare import StudentT
from symda.declare.network import Network
from symda.errors import DataError, OptionError
from symda.observe.pairs import Pairs
from symda.registry import changed_options
from symda.solve.network.clock import Clock
from symda.solve.network.problem import Averaging, NetworkProblem
from symda.solve.network.solvers import network_solver
from symda.solve.network.training import Loss
from symda.types import FloatArray
from symda.typeset.network import network_equations

if TYPE_CHECKING:
    from symda.build import Options
    from symda.emit import Source
    from symda.solve.network.minimum import NetworkSolver
    from symda.typeset.display import Readable

#: The ladder of a run without one: c_f Rf from 10 to a million times the precision of the data.
LADDER = Ladder(alpha=10.0, rungs=6)


class NetworkAction:
    """The action of a network: eq. 14 of Abarbanel et al. 2017.

    A(X, W) = 1/(L M) [sum Rm/2 (x - y)^2 over inputs and outputs of M pairs - log prior]
    + Rf/(M n) sum r^2, r = x(l+1) - g(W(l) x(l)) of the n neurons behind the input, L the mean of
    measured inputs and outputs. ``averaging="sum"`` leaves both factors out: minus the logarithm of
    the probability. Made by ``sd.Action(network)``.

    Parameters
    ----------
    network : Network
        From `sd.Model.layered` or `sd.Model.recurrent`.
    averaging : {"eq14", "sum"}
        The factors on both sums.
    noise : StudentT, optional
        Of the outputs, ``sd.StudentT(4.0, 0.0)``, for outputs of which some are wrong; its scale is
        the pairs' own. Gaussian when left out.

    Raises
    ------
    OptionError
        For an option that a network does not have.
    """

    def __init__(
        self,
        network: Network,
        *,
        averaging: Averaging = "eq14",
        noise: StudentT | None = None,
    ) -> None:
        if averaging not in ("eq14", "sum"):
            raise OptionError(
                f"Action: averaging of a network is 'eq14' or 'sum', got {averaging!r}."
            )
        self.network, self.averaging = network, averaging
        self.df = _degrees(noise)

    def __repr__(self) -> str:
        return f"<Action of {self.network!r}>"

    def equations(self) -> Readable:
        """Return the network, its action and the gradient by back-propagation, to read."""
        return network_equations(self.network, self.averaging, self.df)

    def report(self, path: str | Path) -> Path:
        """Write all there is to read of this action: network, equations, emitted source.

        Parameters
        ----------
        path : str or Path
            ``.html``: one page that needs nothing else; ``.md`` or ``.tex``.

        Raises
        ------
        OptionError
            If the suffix is another, or the file cannot be written.
        """
        from symda.api.report import report_network

        return report_network(self.network, self.averaging, self.df, path)

    @property
    def emitted(self) -> Source:
        """The emitted Cython: passes through any network with these activations."""
        from symda.build.network import network_source

        return network_source(self.network)

    def problem(
        self, pairs: Pairs, *, threads: int = 1, options: Options | None = None
    ) -> NetworkProblem:
        """Compile what is needed, or take it from the cache, and bind pairs to it.

        Raises
        ------
        DataError
            If the pairs are not of this network.
        """
        if not isinstance(pairs, Pairs):
            raise DataError(
                f"a network is fitted to sd.Pairs(inputs, outputs, variance=...), got "
                f"{type(pairs).__name__}."
            )
        pairs.check(self.network)
        sizes = pairs.inputs.shape[-1], pairs.outputs.shape[-1]
        passes = network_passes(Layout.of(self.network, *sizes), options, threads)
        return NetworkProblem(passes, pairs, averaging=self.averaging, df=self.df)

    def anneal(
        self,
        pairs: Pairs,
        *,
        ladder: Ladder | None = None,
        paths: int | None = None,
        seed: int = 0,
        solver: str | NetworkSolver = "newton",
        options: Mapping[str, object] | None = None,
        start: WeightStart | Sequence[ArrayLike] | FloatArray | None = None,
        workers: int | None = None,
        threads: int = 1,
        time_limit: float | None = None,
        baseline: bool = True,
        progress: bool | None = None,
    ) -> NetworkRun:
        """Anneal the weights and activities of a network; as ``sd.anneal(action, pairs)`` does.

        Parameters
        ----------
        ladder : Ladder, optional
            Values of Rf in absolute numbers. Left out, six from where c_f Rf is ten times c_m Rm,
            each ten times the one before.
        paths : int, optional
            Number of starts, 10 when left out.
        start : str, function, or weights
            ``"orthogonal"``, ``"xavier"``, ``"prior"``, ``"uniform"``, a function of a NumPy
            generator that returns weights (W,), or weights: then there is one path. When left out
            ``"orthogonal"``, or, if the priors have means, those means and a tenth of their spread.
        workers : int, optional
            Paths that climb at once, in threads.
        threads : int
            Threads that share the pairs of one path; results do not depend on it.
        baseline : bool
            Whether back-propagation is run beside it, Adam and L-BFGS: from the same starts, from
            each for as many seconds of a core as its path took. Weights that ended lower than all
            paths are taken up as paths more, on the last rung.
        """
        where = "anneal"
        seed = integer(seed, f"{where}: seed", least=0)
        problem = self.problem(pairs, threads=integer(threads, f"{where}: threads"))
        pairs.check_fit()
        chosen = network_solver(solver, options)
        warn_of(problem)
        rungs = _rungs(problem, ladder)
        draw = _start(problem, start)
        fixed = isinstance(draw, np.ndarray)
        count = 1 if fixed else integer(10 if paths is None else paths, f"{where}: paths")
        if fixed and paths not in (None, 1):
            raise OptionError(
                f"{where}: weights are one start, but paths={paths}; pass a function."
            )
        weights = [
            _checked(problem, draw if isinstance(draw, np.ndarray) else _draw(draw, seed, k))
            for k in range(count)
        ]
        if time_limit is not None:
            time_limit = number(time_limit, f"{where}: time_limit", kind="positive")
        many = min(count, (os.cpu_count() or 1) // threads or 1) if workers is None else workers
        began = time.perf_counter()
        if time_limit is not None:
            problem.clock.until = began + time_limit
        workers = integer(many, f"{where}: workers")
        climbed, failed = climb_all(
            problem,
            weights,
            rungs,
            chosen,
            workers=workers,
            tell=_teller(progress),
        )
        seconds = time.perf_counter() - began
        trained, extra = {}, []
        if baseline and not problem.clock.over():
            own = np.array([sum(rung.seconds for rung in path) for path in climbed])
            trained = train_all(problem, weights, own, workers)
            # what ended lower is taken up where the ladder ends
            lowest = lowest_level(climbed, len(rungs))
            above = (1.0 - SAME) * lowest if lowest > problem.rounding(rungs[-1]) else 0.0
            extra = [one.weights for one in trained.values() if one.level < above]
            more, lost = climb_all(
                problem, extra, rungs, chosen, first=len(rungs) - 1, tell=lambda *_: None
            )
            failed |= {len(climbed) + k: why for k, why in lost.items()}
            climbed += more
        dataset = network_dataset(problem, climbed, [*weights, *extra], rungs)
        dataset.attrs |= {
            "model": self.network.name,
            "network": repr(self.network),
            "averaging": self.averaging,
            "solver": chosen.name,
            "seed": seed,
            "seconds": seconds,
            "pairs": len(pairs),
            "kind": problem.passes.kind,
            "digest": problem.digest,
            "constant": constant_level(problem),
            "time_limit": float("nan") if time_limit is None else time_limit,
            "failed": json.dumps(failed),
            "taken_up": len(extra),
            "provenance": provenance(
                problem=problem.digest,
                source=None,
                seconds=time.perf_counter() - began,
                climb_seconds=seconds,
                settings={
                    **({} if ladder is None else asdict(ladder)),
                    "paths": count,
                    "seed": seed,
                    "solver": chosen.name,
                    "solver_options": changed_options(chosen),
                    "start": start if start is None or isinstance(start, str) else "given",
                    "workers": workers,
                    "threads": threads,
                    "time_limit": time_limit,
                    "baseline": baseline,
                },
            ),
        }
        run = NetworkRun(dataset, self.network, problem)
        run.add_training(trained)
        if run.reached and not problem.clock.stopped:
            # Ctrl-C leaves it out, and the run stays
            with contextlib.suppress(KeyboardInterrupt):
                run.add_directions()
        problem.clock = Clock()
        return run

    def outputs(self, weights: Sequence[ArrayLike] | FloatArray, inputs: ArrayLike) -> FloatArray:
        """Return what weights give for inputs, the equations exact: a twin's data without noise.

        Parameters
        ----------
        weights : list of arrays, or ndarray (W,)
            A matrix, or biases, for each block of `network.blocks`; or all in one vector.
        inputs : (M, L), or (M, S, L) of sequences
            L neurons of the input; others are at their prior's mean, 0 without one.

        Returns
        -------
        ndarray (M, N) or (M, S, N)
            All N neurons of the output.

        Raises
        ------
        DataError, ModelError
            If inputs or weights do not fit the network.
        """
        network = self.network
        x = np.asarray(inputs, dtype=np.float64)
        places, width = network.sequence, network.nodes[network.outputs[0]].width
        if x.ndim != (3 if places > 1 else 2) or (places > 1 and x.shape[1] != places):
            expected = f"(M, {places}, L)" if places > 1 else "(M, L)"
            raise DataError(f"outputs: inputs must have the shape {expected}, got {x.shape}.")
        if x.shape[-1] > network.nodes[0].width:
            raise DataError(f"outputs: {x.shape[-1]} inputs for {network.nodes[0].width} neurons.")
        passes = network_passes(Layout.of(network, x.shape[-1], width))
        mean = 0.0 if network.input_prior is None else float(network.input_prior.mean)
        found = predict(passes, network.join(weights, "outputs"), x.reshape(len(x), -1), mean)
        return found.reshape(*x.shape[:-1], width)

    def determined(self, pairs: Pairs, weights: Sequence[ArrayLike] | FloatArray) -> float:
        """Count the directions among weights that data determine rather than priors, at `weights`.

        sum s^2/(1 + s^2), s the singular values of the outputs' slopes in units of noise and prior;
        of weights without a prior, in which a change of 1 counts. nan where there are too many.
        """
        problem = self.problem(pairs)
        return determined(problem, self.network.join(weights, "determined"))

    def load(self, path: str | Path, pairs: Pairs) -> NetworkRun:
        """Read a run written by `NetworkRun.save`, of this network and these pairs.

        Raises
        ------
        DataError
            If the file is of another network or other pairs, is damaged, or cannot be read.
        """
        dataset = load_any(path)
        problem = self.problem(pairs)
        own = {"network": repr(self.network), "pairs": len(pairs), "averaging": self.averaging}
        for what, value in own.items():
            if dataset.attrs.get(what) != value:
                raise DataError(
                    f"load: {path} has {what} {dataset.attrs.get(what)}, expected {value}."
                )
        if dataset.attrs.get("digest") != problem.digest:
            raise DataError(
                f"load: {path} was written of other pairs, priors, activations or noise of the "
                "outputs. Declare network and action as they were, and pass the pairs fitted."
            )
        return NetworkRun(dataset, self.network, problem)

    def backpropagate(
        self, pairs: Pairs, weights: Sequence[ArrayLike] | FloatArray
    ) -> NetworkGradient:
        """Return the level of weights with the equations exact, and its gradient.

        Inputs are as they were measured; the action lets them move within their noise, so that its
        limit as Rf goes to infinity is this only where they are exact.
        """
        problem = self.problem(pairs)
        level, gradient = Loss(problem)(self.network.join(weights, "backpropagate"))
        return NetworkGradient(level, self.network.split(gradient))


def network_action(network: Network, *rest: object, **options: Any) -> NetworkAction:
    """Return what `sd.Action` makes of a network.

    Raises
    ------
    OptionError
        For an argument that only equations have.
    """
    known = list(signature(NetworkAction).parameters)[1:]
    if rest or not options.keys() <= set(known):
        said = [*map(repr, rest), *(f"{name}={value!r}" for name, value in options.items())]
        raise OptionError(
            f"Action: of a network there are {' and '.join(known)}, got {', '.join(said)}."
        )
    return NetworkAction(network, **options)


@dataclass(frozen=True, eq=False)
class NetworkGradient:
    """A level, and its gradient by each block of weights."""

    loss: float
    by_weights: list[FloatArray]


def _degrees(noise: object) -> float | None:
    if noise is None:
        return None
    if isinstance(noise, StudentT):
        try:
            df, loc = float(noise.df), float(noise.loc)
        except TypeError:
            df, loc = float("nan"), float("nan")
        if df > 0.0 and loc == 0.0 and noise.scale is None:
            return df
    raise OptionError(
        f"Action: noise of a network's outputs is sd.StudentT(df, 0.0), its scale the pairs' own, "
        f"got {noise!r}."
    )


def _rungs(problem: NetworkProblem, ladder: Ladder | None) -> list[float]:
    if ladder is None:
        return [problem.rf_at(FIRST * LADDER.alpha**k) for k in range(LADDER.rungs)]
    if not isinstance(ladder, Ladder):
        raise OptionError(f"anneal: ladder must be an sd.Ladder, got {ladder!r}.")
    if ladder.rf0 is None:
        first = FIRST if ladder.relative is None else ladder.relative
        return [problem.rf_at(first * ladder.alpha**k) for k in range(ladder.rungs)]
    if not isinstance(ladder.rf0, float):
        raise OptionError(
            "anneal: the neurons of a network have one Rf; pass a ladder with a single rf0."
        )
    return [ladder.rf0 * ladder.alpha**k for k in range(ladder.rungs)]


def _start(
    problem: NetworkProblem, start: WeightStart | Sequence[ArrayLike] | FloatArray | None
) -> Callable[[np.random.Generator], FloatArray] | FloatArray:
    network = problem.network
    if start is None:
        priors = [p for p in network.prior if p is not None]
        if priors and len(priors) == len(network.blocks) and any(p.mean.any() for p in priors):
            return lambda rng: np.concatenate(
                [rng.normal(p.mean, 0.1 * p.sd).ravel() for p in priors]
            )
        start = "orthogonal"
    if isinstance(start, str) or callable(start):
        return start_weights(network, start, spread_of(problem))
    return network.join(start, "anneal, start")


def _draw(draw: Callable[[np.random.Generator], FloatArray], seed: int, k: int) -> FloatArray:
    given = draw(np.random.default_rng([seed, k]))
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"anneal: start must return a vector of weights, got {given!r}."
        ) from error


def _checked(problem: NetworkProblem, weights: FloatArray) -> FloatArray:
    if weights.shape != (problem.network.weights,) or not np.isfinite(weights).all():
        raise OptionError(
            f"anneal: start must return {problem.network.weights} finite weights, got an array "
            f"of shape {weights.shape}."
        )
    return weights


def _teller(progress: bool | None) -> Callable[[int, int], None]:
    done = 0

    def tell(_: int, count: int) -> None:
        nonlocal done
        done += 1
        if progress:
            sys.stderr.write(f"\r{done} of {count} paths" + ("\n" if done == count else ""))

    return tell
