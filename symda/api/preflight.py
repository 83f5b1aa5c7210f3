"""What is wrong with a problem whichever way it is annealed: for `check`, and said by `anneal`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import stiff
from symda.anneal.failure import DIGITS, precision_ratio
from symda.anneal.starts import Draw, Uniform
from symda.anneal.strategies.strategy import Growing
from symda.derive.field import Field, sparse_pattern
from symda.observe import Problem
from symda.observe.jumps import breaks, clocked, jumps
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from sympy import Expr

    from symda.build.abstract import Evaluator
    from symda.declare import Model, Parameter, Time
    from symda.derive.lattice import MachineField


#: Data beyond a bound by this many standard deviations of their noise are not the noise's doing.
FAR = 3.0
#: Random starts at which a parameter must do nothing to be called idle.
TRIALS = 2


class ProblemWarning(UserWarning):
    """Something about data, parameters or ladder that annealing cannot correct."""


#: Numbers that mark a gap in files of instruments, loggers, of NetCDF and of other languages.
MARKS = np.array(
    "-99 99 -999 999 -999.9 999.9 -9999 9999 -99999 99999 -999999 999999 -32768 -32767 32767 "
    "-2147483648 1e20 -1e30 1e30 1e35 9.969209968386869e36".split(),
    dtype=float,
)
#: They are told of from so many times the range of the other data on.
MARKED = 5.0


def warn(field: MachineField, at: Evaluator, rf: FloatArray, *, stacklevel: int) -> None:
    """Say what will spoil a run before it starts, as `ProblemWarning`.

    Parameters
    ----------
    field : Field
        F and h.
    at : Evaluator
        Kernels with the problem.
    rf : (B, D)
        The ladder.
    stacklevel : int
        As for `warnings.warn`, counted from the caller.
    """
    problem = at.problem
    unseen, unconstrained = loose(field, problem)
    for text in (
        *unseen_warnings(unseen),
        *unconstrained_warnings(unconstrained),
        *idle_warnings(at, rf[0], unconstrained),
        *constant_warnings(problem),
        *mark_warnings(problem),
        *(text for l in range(problem.L) for text in bounds_warnings(problem, l)),
        *ladder_warnings(problem, rf),
        *jump_warnings(field.model, problem),
    ):
        warnings.warn(text, ProblemWarning, stacklevel=stacklevel + 1)


def warn_of_window(strategy: object, problem: Problem, rf: FloatArray, *, stacklevel: int) -> None:
    """Warn if options of a growing window were given and it cannot grow.

    Parameters
    ----------
    strategy, problem
        What is annealed, and how.
    rf : (B, D)
        The ladder.
    stacklevel : int
        As for `warnings.warn`, counted from the caller.
    """
    if not isinstance(strategy, Growing) or len(strategy.plan(problem, rf).steps) > 1:
        return
    given = [f.name for f in fields(strategy) if getattr(strategy, f.name) != f.default]
    if given:
        times = int((problem.rm > 0.0).any(axis=1).sum())
        warnings.warn(
            f"the first window holds all {times} observation times, so that it does not grow: "
            f"{', '.join(given)} of {type(strategy).__name__} "
            f"{'have' if len(given) > 1 else 'has'} no effect. Leave strategy out, or take a "
            "smaller samples=.",
            ProblemWarning,
            stacklevel=stacklevel + 1,
        )


def loose(field: MachineField, problem: Problem) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the states that nothing measured sees, and of free parameters nothing constrains."""
    seen, constrained = reachable(field)
    if len(problem.segments) > 1:
        # a parameter of one experiment is constrained by what was measured there
        parts = [
            reachable(field, np.asarray((np.hstack([one.rm, one.cost]) > 0.0).any(axis=0)))[1]
            for one in problem.experiments
        ]
        constrained = np.zeros(problem.P, dtype=bool)
        constrained[problem.use[np.array(parts)]] = True
    if isinstance(field, Field) and field.initial:
        uses = sparse_pattern(field.initial["initial_jacobian"].sparsity_out(1)).toarray() > 0.0
        for use, tied in zip(problem.use, problem.tied, strict=True):
            constrained[use] |= uses[seen & tied].any(axis=0)
    declared = field.measurement.declarations(field.model)
    known = constrained | ~problem.free
    priors = [one.prior for one in declared.values() if one.prior is not None]
    asked = {s for prior in priors for term in prior.terms.values() for s in term.free_symbols}
    prior = [declared[p].prior is not None or p in asked for p in field.parameters]
    known[problem.use[:, np.array(prior, dtype=bool)]] = True
    return (
        tuple(name for name, found in zip(problem.states, seen, strict=True) if not found),
        tuple(name for name, found in zip(problem.parameters, known, strict=True) if not found),
    )


def adrift(field: MachineField, problem: Problem) -> tuple[str, ...]:
    """Name the states that nothing determines: neither data nor a start that is known.

    A state that no measurement sees follows its equation from a start that is given, a function of
    parameters, or known by a prior, unless it follows one that nothing determines.
    """
    unseen, _ = loose(field, problem)
    if not unseen or not isinstance(field, Field):
        return unseen
    declared = field.measurement.declarations(field.model)
    known = problem.given.all(axis=0)
    known |= np.array([declared[s].prior is not None for s in field.model.states], dtype=bool)
    hidden = np.isin(problem.states, unseen)
    uses = sparse_pattern(field.field_jacobian.sparsity_out(1)).toarray()[:, : problem.D] > 0.0
    found = hidden & ~known
    for _ in range(problem.D):
        found |= hidden & (uses & found).any(axis=1)
    return tuple(np.array(problem.states, dtype=str)[found].tolist())


def reachable(
    field: MachineField, measured_channels: BoolArray | None = None
) -> tuple[BoolArray, BoolArray]:
    """Which states and parameters the measurements depend on, by the equations' sparsity.

    A state is seen if a measured quantity uses it, or if the equation of a seen state does. A
    parameter is constrained if a measured quantity or the equation of a seen state uses it.

    Parameters
    ----------
    measured_channels : (L,)
        Which quantities were measured; all when left out.

    Returns
    -------
    seen : (D,)
    constrained : (P,)
    """
    uses, measured = field.structure()
    D = field.D
    found: BoolArray = np.zeros(D + field.P, dtype=bool)
    rows = slice(None) if measured_channels is None else np.flatnonzero(measured_channels)
    found[measured[rows].indices] = True
    fresh = found[:D].copy()
    while fresh.any():
        met = np.zeros_like(found)
        met[uses[np.flatnonzero(fresh)].indices] = True
        fresh = (met & ~found)[:D]
        found |= met
    return found[:D], found[D:]


def unseen_warnings(names: Sequence[str]) -> Iterator[str]:
    """Name the states that no measurement can see."""
    if names:
        yield (
            f"no measurement can see {_listed('the state', names)}: nothing measured depends on "
            "that, directly or through other equations. Measure something that does, or leave it "
            "out of the model."
        )


def unconstrained_warnings(names: Sequence[str]) -> Iterator[str]:
    """Name the free parameters that stand in no equation that matters."""
    if names:
        yield (
            f"nothing constrains {_listed('the parameter', names)}: no measured quantity and no "
            "equation of a state that is seen uses it. Fix it with fixed={...}."
        )


def idle_warnings(at: Evaluator, rf: FloatArray, named: Sequence[str]) -> Iterator[str]:
    """Name the free parameters, except those `named` before, that do nothing at random starts.

    Parameters
    ----------
    at : Evaluator
        Kernels with the problem.
    rf : (D,)
        Model precision to look at.
    named : sequence of str
        Parameters that were already named.
    """
    problem = at.problem
    idle = problem.free & np.array([name not in named for name in problem.parameters], dtype=bool)
    for trial in range(TRIALS if idle.any() else 0):
        X, theta = Uniform().point(Draw(problem, number=trial))
        with np.errstate(all="ignore"):
            slope = at.gradient(X, theta, rf)[problem.M * problem.D :]
            # the terms that hold it give exactly nothing; how large the others are does not matter
            idle &= slope == 0.0
            for j in np.flatnonzero(idle):
                # nor would it matter as soon as a state has moved
                unit = np.zeros(X.size + theta.size)
                unit[X.size + j] = 1.0
                idle[j] = not at.hessian_product(X, theta, rf, unit).any()
    names = [name for name, still in zip(problem.parameters, idle, strict=True) if still]
    if names:
        yield (
            f"nothing depends on {_listed('the parameter', names)}: the action's derivative is "
            "zero at random starts, as behind a forcing that is zero or in a case that never "
            "applies. What it starts at is what it ends at. Fix it with fixed={...}, or leave it "
            "out of the model."
        )


def constant_warnings(problem: Problem) -> Iterator[str]:
    """Name the channels whose data are all the same number."""
    for l, name in enumerate(problem.channels):
        y = problem.y[problem.rm[:, l] > 0.0, l]
        # two equal values may be chance
        if y.size > 2 and y.min() == y.max():
            yield (
                f"channel {name}: all {y.size} measured values are {y[0]:.6g}, data of zero "
                "variance, which any model at rest explains. Check that the right column was "
                "read; leave the channel out if the instrument was stuck."
            )


def mark_warnings(problem: Problem) -> Iterator[str]:
    """Name numbers that stand for nothing measured in files of others, far from all other data."""
    for l, name in enumerate(problem.channels):
        weighed = problem.rm[:, l] > 0.0
        y = problem.y[weighed, l]
        marks = np.isin(y, MARKS)
        others = y[~marks]
        if not marks.any() or others.size < 2:
            continue
        noise = 0.0 if problem.own_scale[l] else np.sqrt(problem.variance[weighed, l].mean())
        away = MARKED * max(float(np.ptp(others)), float(noise))
        far = y[marks & ((y < others.min() - away) | (y > others.max() + away))]
        if far.size:
            count = int((far == far[0]).sum())
            yield (
                f"channel {name}: {count} of {y.size} values {'is' if count == 1 else 'are'} "
                f"{far[0]:.6g}, which often marks what was not measured, and the others go from "
                f"{others.min():.6g} to {others.max():.6g}. Make it nan, or an empty cell, if it "
                "does."
            )


def bounds_warnings(problem: Problem, l: int) -> Iterator[str]:
    """Say whether data of channel l lie outside the bounds of the state it measures."""
    state = int(problem.direct[l])
    weighed = problem.rm[:, l] > 0.0
    if state < 0 or not weighed.any():
        return
    if problem.own_scale[l]:
        return
    y = problem.y[weighed, l]
    noise = np.sqrt(np.mean(problem.variance[weighed, l]))
    low, high = problem.limits[state]
    if y.min() < low - FAR * noise or y.max() > high + FAR * noise:
        yield (
            f"channel {problem.channels[l]}: data from {y.min():.6g} to {y.max():.6g} lie outside "
            f"the bounds ({low:.6g}, {high:.6g}) of the state {problem.states[state]} by more "
            f"than {FAR:g} standard deviations of the noise. Check the units, or widen bounds=."
        )


def ladder_warnings(problem: Problem, rf: FloatArray) -> Iterator[str]:
    """Say from which rung on doubles no longer hold the model's precision beside the data's."""
    ratios = [precision_ratio(problem, row) for row in rf]
    beyond = [beta for beta, ratio in enumerate(ratios) if ratio > DIGITS]
    if beyond:
        beta = beyond[0]
        yield (
            f"from beta = {beta} on, Rf = {rf[beta].max():.3g} is more than {DIGITS:.0e} times "
            "the data's Rm, and doubles have 16 digits: rungs there fail, or stop before they "
            f"converge. Take {f'rungs={beta}' if beta else 'a smaller rf0'}."
        )


def jump_warnings(model: Model, problem: Problem) -> Iterator[str]:
    """Name what jumps in time where the steps do not see it: forcing, and the model's own clock."""
    for one in problem.missed:
        begins, ends = problem.left_times[one.step], problem.right_times[one.step]
        where = problem.named(int(problem.left_points[one.step]))
        more = f", and {one.jumps - 1} more times inside of steps" if one.jumps > 1 else ""
        yield (
            f"forcing {one.forcing}{where} jumps at time {one.time:.10g}, inside of step "
            f"{one.step} ({begins:.10g} to {ends:.10g}){more}: a step sees a forcing only at its "
            f"own few times, and takes a jump to be at one of them. {one.fix}"
        )
    if model.time is None or model.discrete:
        return
    for segment, alone in zip(problem.segments, problem.experiments, strict=True):
        where = problem.named(segment.first_point)
        yield from _clock_warnings(model, model.time, alone, where)


def _clock_warnings(model: Model, clock: Time, problem: Problem, where: str) -> Iterator[str]:
    """Name the equation of one experiment that switches by the model's own clock."""
    span, finest = problem.node_times[[0, -1]].tolist(), problem.shortest
    _, fixed = problem.natural(problem.state_start[:, 0], problem.fixed)
    theta = dict(zip(problem.parameters, fixed.tolist(), strict=True))
    known = {p: theta[p.name] for p in model.parameters if np.isfinite(theta[p.name])}
    for name, equation in clocked(model):
        at = breaks(equation, *span, finest=finest, known=known)
        if at.size and (at := _jumping(equation, clock, known, at, span, finest)).size:
            yield (
                f"the equation of {name} switches at time {at[0]:.10g}{where} by a condition in "
                f"{clock.name}: no step knows on which side of it its ends are. Make what "
                "switches a forcing, u = sd.forcing('u'), and pass the expression with the data, "
                "forcing={'u': ...}: steps then end at its jumps."
            )
            return


def _jumping(
    equation: Expr,
    time: Time,
    known: Mapping[Parameter, float],
    at: FloatArray,
    span: Sequence[float],
    finest: float,
) -> FloatArray:
    """Those of the times `at` where an equation jumps, and not only its slope."""
    from sympy import Float

    rng = np.random.default_rng(0)
    others = sorted(equation.free_symbols - {time}, key=str)
    values = dict(zip(others, rng.uniform(0.5, 1.5, len(others)).tolist(), strict=True))
    numbers = {symbol: Float(value) for symbol, value in (values | dict(known)).items()}
    return np.intersect1d(at, jumps(equation.xreplace(numbers), time, *span, finest=finest))


def _listed(kind: str, names: Sequence[str]) -> str:
    return f"{kind} {names[0]}" if len(names) == 1 else f"{kind}s {', '.join(names)}"


def warn_of_time(limit: float, seconds: float, *, stacklevel: int) -> None:
    """Warn if a time limit (s) is shorter than a path is likely to take (s).

    Parameters
    ----------
    limit, seconds : float
    stacklevel : int
        As for `warnings.warn`, counted from the caller.
    """
    if seconds > limit:
        text = (
            f"time_limit = {limit:g} s, but one path takes about {seconds:.2g} s (to a factor of "
            "3): what is done by then is kept, but it is not the end of the ladder. Allow more "
            "time, take fewer rungs, or solver='newton'."
        )
        warnings.warn(text, ProblemWarning, stacklevel=stacklevel + 1)


def warn_of_stiffness(dataset: xr.Dataset, *, stacklevel: int) -> None:
    """Warn if the scheme does not damp a decay that is too fast for its steps.

    Parameters
    ----------
    dataset : xarray.Dataset
        That of a run, with its assessment.
    stacklevel : int
        As for `warnings.warn`, counted from the caller.
    """
    for finding in stiff(dataset):
        if not finding.holds:
            warnings.warn(f"anneal: {finding.text}.", ProblemWarning, stacklevel=stacklevel + 1)
