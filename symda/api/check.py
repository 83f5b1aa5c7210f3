"""`check`: what can be known of a problem before the first path starts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.ladder import DEFAULT
from symda.anneal.starts import Draw, Uniform
from symda.api.machine import machine
from symda.api.preflight import (
    bounds_warnings,
    constant_warnings,
    idle_warnings,
    jump_warnings,
    loose,
    mark_warnings,
    unconstrained_warnings,
    unseen_warnings,
)
from symda.build.kernels import has_matrices
from symda.observe import Problem
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.build.abstract import Evaluator


#: Paths of the run that memory is reckoned for; its ladder is the default one.
PATHS = 100
#: IPOPT's own seconds an iteration and nonzero of the Hessian, and its iterations a rung: about
#: what Lorenz-96 takes with 5 to 20 states and 40 to 500 steps (4 to 19 iterations).
IPOPT_SECONDS = 4e-8
ITERATIONS = 10
#: Hessian products an iteration of truncated Newton takes, about.
PRODUCTS = 50
#: Share of a channel's values that may lie outside the start range of its state.
OUTSIDE = 0.25
#: A parameter whose start range is this many times off its typical size is badly scaled.
OFF_SCALE = 100.0
LISTED = 12


@dataclass(frozen=True)
class ChannelScale:
    """Range of a channel's data, their standard deviation, and that of their noise."""

    name: str
    low: float
    high: float
    spread: float
    noise: float


@dataclass(frozen=True)
class Check:
    """A preflight: sizes, scales, cost, and what looks wrong.

    Attributes
    ----------
    model, scheme : str
        Names.
    N, M, D, P, L, T : int
        Sizes; T counts the grid points that carry data.
    per_step : int
        How many of the D states are parameters per step.
    free : int
        Parameters that are estimated.
    data_count, unknowns : int
        Measured values; M D and the free parameters.
    hessian_nonzeros : int
        Of the whole symmetric matrix; 0 where none is formed (a large lattice).
    times, steps : (float, float)
        First and last grid point; shortest and longest step.
    experiments : tuple of str
        Names of the experiments; of one recording ``"1"``.
    channels : tuple of ChannelScale
        Scales of the L channels.
    unseen, unconstrained : tuple of str
        States that no measurement depends on, through any number of equations; free parameters
        that stand neither in a measured quantity nor in the equation of a state that is seen.
    path_bytes, hessian_bytes, keep_all_bytes : int
        Memory of one path; of the Hessian; of all rungs of 100 paths on the default ladder, as with
        ``keep="all"``.
    kernels : str
        ``"compiled"`` or ``"virtual machine"``.
    evaluation_seconds : float
        One gradient and one Hessian, measured.
    path_seconds : float
        The default ladder on one core, with IPOPT or, of a large lattice, truncated Newton: an
        estimate, easily wrong by a factor of three.
    warnings : tuple of str
        What looks wrong, a sentence each.
    """

    model: str
    scheme: str
    N: int
    M: int
    D: int
    P: int
    L: int
    T: int
    per_step: int
    free: int
    data_count: int
    unknowns: int
    hessian_nonzeros: int
    times: tuple[float, float]
    steps: tuple[float, float]
    experiments: tuple[str, ...]
    channels: tuple[ChannelScale, ...]
    unseen: tuple[str, ...]
    unconstrained: tuple[str, ...]
    path_bytes: int
    hessian_bytes: int
    keep_all_bytes: int
    kernels: str
    evaluation_seconds: float
    path_seconds: float
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing looks wrong."""
        return not self.warnings

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        rungs = DEFAULT.rungs
        low, high = self.steps
        steps = f"{low:.6g}" if np.isclose(low, high) else f"{low:.6g} .. {high:.6g}"
        own = f" ({self.per_step} of them parameters per step)" if self.per_step else ""
        yield (
            f"{self.model}, scheme {self.scheme}: D = {self.D} states{own}, P = {self.P} "
            f"parameters ({self.free} free), L = {self.L} measured channels"
        )
        if len(self.experiments) > 1:
            names = ", ".join(self.experiments[:LISTED]) + ", ..." * (
                len(self.experiments) > LISTED
            )
            yield f"{len(self.experiments)} experiments: {names}"
        yield (
            f"grid: N = {self.N} steps of {steps}, M = {self.M} points, "
            f"t = {self.times[0]:.6g} .. {self.times[1]:.6g}"
        )
        yield f"data: {self.data_count} values at T = {self.T} times, for {self.unknowns} unknowns"
        matrix = f"Hessian {_size(self.hessian_bytes)} ({self.hessian_nonzeros} nonzeros)"
        second, solver = "Hessian", "IPOPT"
        if not self.hessian_nonzeros:
            matrix, second, solver = "no Hessian is formed", "a Hessian product", "truncated Newton"
        yield (
            f"memory: path {_size(self.path_bytes)}, {matrix}, {PATHS} paths x {rungs} rungs with "
            f'keep="all" {_size(self.keep_all_bytes)}'
        )
        evaluation = _duration(self.evaluation_seconds)
        yield f"kernels: {self.kernels}, gradient and {second} in {evaluation}"
        yield (
            f"time: about {_duration(self.path_seconds)} a path on one core (an estimate for "
            f"{solver}: {rungs} rungs, {ITERATIONS} iterations each; it can be wrong by a factor "
            "of 3)"
        )
        for channel in self.channels[:LISTED]:
            if math.isnan(channel.low):
                yield f"channel {channel.name}: no data"
                continue
            yield (
                f"channel {channel.name}: {channel.low:.6g} .. {channel.high:.6g}, "
                f"noise sd {channel.noise:.3g}"
            )
        if self.L > LISTED:
            yield f"and {self.L - LISTED} more channels"
        if self.ok:
            yield "nothing looks wrong"
        yield from (f"warning: {warning}" for warning in self.warnings[: 2 * LISTED])
        if len(self.warnings) > 2 * LISTED:
            yield f"and {len(self.warnings) - 2 * LISTED} more warnings"


def estimate(at: Evaluator, rungs: int) -> tuple[float, float]:
    """Return the seconds of an evaluation with all derivatives, and of a path with IPOPT, about.

    Parameters
    ----------
    at : Evaluator
        Kernels with the problem.
    rungs : int
        Of the ladder.
    """
    X, theta = Uniform().point(Draw(at.problem))
    rf = DEFAULT.over(at.problem)[0]
    elapsed = []
    hessian = _curvature(at, X, theta, rf)
    for _ in range(3):
        # of this process only, so that a busy machine does not count
        began = time.process_time()
        at.gradient(X, theta, rf)
        _curvature(at, X, theta, rf)
        elapsed.append(time.process_time() - began)
    products = 1 if "hessian" in at.kernels.provides else PRODUCTS
    step = min(elapsed) * products + IPOPT_SECONDS * hessian.nonzeros
    return min(elapsed), rungs * ITERATIONS * step


def check(specification: Specification, problem: Problem) -> Check:
    """Check a problem before annealing it.

    Compiles the kernels if that was not done yet and evaluates them at one random start.

    Parameters
    ----------
    specification : Specification
        Of the action.
    problem : Problem
        What its `bind` made of the data.

    Returns
    -------
    Check
        ``print`` it; `ok` and `warnings` say whether something looks wrong.
    """
    unseen, unconstrained = loose(specification.field, problem)
    kernels = machine(specification)
    at = kernels.at(problem)
    X, theta = Uniform().point(Draw(problem))
    rf = DEFAULT.over(problem)[0]
    # the first evaluation also makes tables that later ones find
    value, hessian = at.action(X, theta, rf), _curvature(at, X, theta, rf)
    rungs = DEFAULT.rungs
    evaluation, path_seconds = estimate(at, rungs)
    free = int(problem.free.sum())
    channels = tuple(_scale(problem, l) for l in range(problem.L))
    return Check(
        model=specification.model.name,
        scheme=specification.scheme.name,
        N=problem.N,
        M=problem.M,
        D=problem.D,
        P=problem.P,
        L=int((problem.rm > 0.0).any(axis=0).sum()),
        T=int((problem.rm > 0.0).any(axis=1).sum()),
        per_step=int(problem.per_step.sum()),
        free=free,
        data_count=problem.data_count,
        unknowns=int(problem.unknowns.free.sum()),
        hessian_nonzeros=hessian.nonzeros,
        times=(float(problem.times.min()), float(problem.times.max())),
        steps=(problem.shortest, float(problem.h.max())),
        experiments=tuple(segment.name for segment in problem.segments),
        channels=channels,
        unseen=unseen,
        unconstrained=unconstrained,
        path_bytes=int(X.nbytes),
        hessian_bytes=hessian.bytes,
        keep_all_bytes=int(X.nbytes) * PATHS * rungs,
        kernels=kernels.kind,
        evaluation_seconds=evaluation,
        path_seconds=path_seconds,
        warnings=(
            *unseen_warnings(unseen),
            *unconstrained_warnings(unconstrained),
            *idle_warnings(at, rf, unconstrained),
            *constant_warnings(problem),
            *mark_warnings(problem),
            *jump_warnings(specification.model, problem),
            *_count_warnings(problem, free),
            *_channel_warnings(problem, channels),
            *_parameter_warnings(problem),
            *_start_warnings(value, hessian.values),
        ),
    )


@dataclass(frozen=True)
class _Curvature:
    """Second derivatives as the kernels have them: a matrix, or without one a product."""

    values: FloatArray
    nonzeros: int
    bytes: int


def _curvature(at: Evaluator, X: FloatArray, theta: FloatArray, rf: FloatArray) -> _Curvature:
    if not has_matrices(at):
        product = at.hessian_product(X, theta, rf, np.ones(X.size + theta.size))
        return _Curvature(product, 0, 0)
    matrix = at.hessian(X, theta, rf)
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    return _Curvature(matrix.data, int(matrix.nnz), int(size))


def _scale(problem: Problem, channel: int) -> ChannelScale:
    weighed = problem.rm[:, channel] > 0.0
    y = problem.y[weighed, channel]
    if not y.size:
        return ChannelScale(problem.channels[channel], *(4 * [math.nan]))
    noise = math.nan
    if not problem.own_scale[channel]:
        noise = np.sqrt(np.mean(problem.variance[weighed, channel]))
    return ChannelScale(
        problem.channels[channel], float(y.min()), float(y.max()), float(y.std()), float(noise)
    )


def _count_warnings(problem: Problem, free: int) -> Iterator[str]:
    fitted, many = problem.fitted, len(problem.segments)
    each = f" of all {many} experiments" if many > 1 else ""
    if problem.data_count < fitted:
        yield (
            f"fewer data than fitted quantities: {problem.data_count} measured values for "
            f"{int((~problem.given).sum())} states at the start{each} and {free} free parameters"
            f"{', and for each value of those per step' * bool(problem.untied.any())}. "
            "Measure more, or fix parameters."
        )


def _channel_warnings(problem: Problem, channels: Sequence[ChannelScale]) -> Iterator[str]:
    for l, channel in enumerate(channels):
        if not (problem.rm[:, l] > 0.0).any():
            yield f"channel {channel.name}: every value is nan, so nothing was measured there."
            continue
        # two values are too few to estimate a spread; equal ones were named above
        few = np.count_nonzero(problem.rm[:, l]) <= 2 or channel.low == channel.high
        if not few and channel.spread**2 < 2.0 * channel.noise**2:
            yield (
                f"channel {channel.name}: the signal is smaller than its noise: the data vary with "
                f"a standard deviation of {channel.spread:.3g}, the declared noise with "
                f"{channel.noise:.3g}. Check the variance (sigma^2, in the data's units)."
            )
        state = int(problem.direct[l])
        if state >= 0:
            yield from _range_warnings(problem, l, state, channel)


def _range_warnings(problem: Problem, l: int, state: int, channel: ChannelScale) -> Iterator[str]:
    outside = list(bounds_warnings(problem, l))
    if outside:
        yield from outside
        return
    y = problem.y[problem.rm[:, l] > 0.0, l]
    low, high = _starts(problem)[state]
    share = float(np.mean((y < low) | (y > high)))
    if share > OUTSIDE:
        yield (
            f"channel {channel.name}: {100.0 * share:.0f} % of the data, which go from "
            f"{channel.low:.6g} to {channel.high:.6g}, lie outside the start range ({low:.6g}, "
            f"{high:.6g}) of the state {problem.states[state]}. Check the units, or declare start= "
            "to fit them."
        )


def _starts(problem: Problem) -> FloatArray:
    """Start ranges of the states as users see them, (D, 2)."""
    ends, _ = problem.natural(problem.state_start.T, problem.parameter_start.T)
    return ends.T


def _parameter_warnings(problem: Problem) -> Iterator[str]:
    for j, name in enumerate(problem.parameters):
        if problem.scaled[problem.D + j]:
            continue
        low, high = problem.parameter_start[j]
        largest, typical = max(abs(low), abs(high)), float(problem.typical[j])
        if problem.free[j] and not typical / OFF_SCALE <= largest <= typical * OFF_SCALE:
            yield (
                f"parameter {name}: the start range ({low:.6g}, {high:.6g}) is far from its "
                f"typical size {typical:.6g}. Check units, start= and typical=."
            )


def _start_warnings(value: float, hessian: FloatArray) -> Iterator[str]:
    if not (np.isfinite(value) and np.all(np.isfinite(hessian))):
        yield (
            "the action or its Hessian is not finite at a random start: an equation cannot be "
            "evaluated everywhere in the start ranges. Narrow bounds= and start= to where it can."
        )


def _size(count: int) -> str:
    power = next((p for p in (3, 2, 1) if count >= 1000**p), 0)
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB', 'GB')[power]}"


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{1e3 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 100.0 else f"{seconds / 60.0:.0f} min"
