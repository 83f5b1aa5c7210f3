"""What only a run's kernels can tell; it is stored with the run, for its verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assessment import ATTRIBUTE, Assessment
from symda.analyse.expand import by_hessian
from symda.analyse.laplace import laplace
from symda.analyse.levels import best_path, last_rung, reached
from symda.analyse.places import places
from symda.analyse.posterior import Posterior
from symda.analyse.scheme_error import (
    polynomial_forcing,
    scheme_error,
    solution_tangents,
)
from symda.analyse.solution import (
    exact_jacobian,
    free_run,
    shift_of,
    strays,
)
from symda.analyse.stiff_steps import StepForcing
from symda.analyse.stiffness import fastest_decay
from symda.build.kernels import has_matrices
from symda.declare import NoiseNumbers
from symda.errors import SolveError
from symda.solve.judges import judge
from symda.solve.stationary import Expansion, on_edge, settled
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import casadi as ca
    import xarray as xr

    from symda.build.abstract import Evaluator
    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem


#: The shift that more steps are to leave, in standard deviations.
GOAL = 0.05
#: A minimum of the continuous problem with no more than this left to gain, in units of the action,
#: is one of the scheme's as well.
NEARBY = 1e-2
#: Shift of a parameter by the scheme's error, as a share of itself, from which on its error bar is
#: looked at as well: that changes by a few times as much.
FELT = 3e-4
#: A logarithm with this standard deviation is not known at all: the value is so to a factor of
#: 20,000 either way.
VAGUE = 10.0
#: Directions of the parameters that are named.
NAMES = 8


@dataclass(frozen=True, eq=False)
class ModelEquations:
    """What the check of the scheme needs to know of the equations."""

    #: (x, u, theta, t) -> F and dF/d(x, theta); None for a map, which has no scheme, and where
    #: there are no matrices.
    jacobian: ca.Function | None
    order: int  #: Of the scheme.
    damps: bool = False  #: Whether the scheme damps what is fast.
    #: The forcing inside the steps; as the scheme sees it when left out.
    forcing: StepForcing | None = None
    #: States and parameters that nothing measured depends on.
    unseen: Sequence[str] = ()
    #: States that nothing determines, not even a start that is known.
    adrift: Sequence[str] = ()
    unconstrained: Sequence[str] = ()
    #: What the noise says; None: it is Gaussian, with the data's variances.
    noise: NoiseNumbers | None = None
    #: Names the jumps of equations that a path (M, D) with parameters (P,) meets.
    jumps: Callable[[FloatArray, FloatArray], tuple[str, ...]] | None = None


def assess(
    dataset: xr.Dataset, evaluator: Evaluator, equations: ModelEquations, *, random: bool, own: bool
) -> xr.Dataset:
    """Add to a run's dataset what only its kernels can tell.

    Parameters
    ----------
    evaluator : Evaluator
        Kernels with the problem that was annealed.
    equations : ModelEquations
        The model behind them.
    random : bool
        Whether the starts of different paths differ.
    own : bool
        Whether the solver minimises this action; the continuous problem's minima are others.

    Returns
    -------
    xarray.Dataset
        With the variable `place` (path,), which numbers the distinct minima by action (-1: the last
        rung was not reached), and the attribute `assessment`.
    """
    if not reached(dataset).any():
        return dataset.assign(place=("path", np.full(dataset.sizes["path"], -1)))
    best, rung = best_path(dataset), last_rung(dataset)
    rf = dataset["rf"].values[rung]
    with np.errstate(all="ignore"):
        found, bars = _look(dataset, evaluator, equations, best, rung, rf, own)
        place = places(dataset, evaluator, rung)
        judged = dataset.assign(place=("path", place))
        if bars is not None:
            judged = judged.assign(bars)
        at = point_of(dataset, evaluator.problem, best, rung)
        if has_matrices(evaluator):
            found = replace(found, values=evaluator.prior_of_values(*at))
            if equations.noise is not None:
                judged, found = with_residuals(judged, found, evaluator, equations.noise, *at)
    found = replace(found, random=random)
    judged.attrs[ATTRIBUTE] = json.dumps(asdict(found))
    return judged


def point_of(
    dataset: xr.Dataset, problem: Problem, path: int, rung: int
) -> tuple[FloatArray, FloatArray]:
    """Return a path and its parameters as solvers move them."""
    X, theta = problem.internal(
        dataset["states"][path].values, dataset["parameters"].values[path, rung]
    )
    return np.ascontiguousarray(X), np.ascontiguousarray(theta)


def _look(
    dataset: xr.Dataset,
    evaluator: Evaluator,
    equations: ModelEquations,
    best: int,
    rung: int,
    rf: FloatArray,
    own: bool,
) -> tuple[Assessment, Mapping[str, object] | None]:
    """Return what is known of the best path, and the error bars of its states."""
    problem = evaluator.problem
    X, theta = point_of(dataset, problem, best, rung)
    judges = judge(evaluator)
    if judges is None:
        # the compiled solver's own test of a minimum is the same one
        converged = dataset["status"].values[best, rung] == Status.CONVERGED.code
        blind = Assessment(
            path=best,
            beta=int(dataset["beta"].values[rung]),
            minimum=bool(converged) if own else None,
            decrement=float(dataset["decrement"].values[best]),
            unseen=tuple(equations.unseen),
            n=int(problem.data_count),
            p=int(problem.fitted) - _unseen(problem, equations),
            notes=("the window is too long for a Hessian",),
        )
        return blind, None
    here = judges.at(X, theta, rf)
    decay = None
    if own and equations.jacobian is not None and not equations.damps:
        decay = fastest_decay(problem, equations.jacobian, X, theta)
    fixed = here.held | on_edge(judges, problem, X, theta, rf)
    notes: list[str] = []
    found = Assessment(
        path=best,
        beta=int(dataset["beta"].values[rung]),
        minimum=here.minimum if own else None,
        words=here.words(problem),
        decrement=here.decrement,
        held=tuple(held_names(problem, fixed)),
        unseen=tuple(equations.unseen),
        decay=decay,
        jumps=() if equations.jumps is None else equations.jumps(*problem.natural(X, theta)),
        n=int(problem.data_count),
        p=fitted(evaluator, equations, fixed, X, theta),
    )
    left = NEARBY * problem.measurement_scale
    if not (here.minimum if own else here.convex and here.decrement <= left):
        # nothing can be said of errors about a point that is none
        return found, None
    X, theta, here = settled(judges, problem, X, theta, rf, here)
    X, theta = evaluator.split(X, theta)
    fixed = here.held | on_edge(judges, problem, X, theta, rf)
    expansion = here.expansion
    if expansion is None or not has_matrices(evaluator):
        if not has_matrices(evaluator):
            notes.append("error bars, and what errors move the estimate by: there are no matrices")
        return replace(found, notes=tuple(notes)), None
    bars: Posterior | None = None
    variables: Mapping[str, object] | None = None
    try:
        unseen = tuple(equations.unseen)
        bars, spread = laplace(evaluator, X, theta, rf, held=fixed, unseen=unseen)
        adrift = tuple(equations.adrift)
        variables = by_hessian(evaluator, X, theta, rf, held=fixed, unseen=adrift).bars()
    except SolveError:
        notes.append("error bars: there is no minimum in all directions")
    else:
        found = replace(
            found,
            loose=(*open_directions(bars), *wide_parameters(bars, problem)),
            sds=tuple((name, float(sd)) for name, sd in bars.sd.items()),
            beyond=tuple(beyond_bounds(bars, problem)),
            spread=spread,
        )
    judged = _checked(found, evaluator, equations, X, theta, rf, expansion, bars, fixed, notes)
    return judged, variables


def with_residuals(
    dataset: xr.Dataset,
    found: Assessment,
    evaluator: BlockEvaluator,
    noise: NoiseNumbers,
    X: FloatArray,
    theta: FloatArray,
) -> tuple[xr.Dataset, Assessment]:
    """Add quantile residuals of the best path, and what its data and values cost on average."""
    from scipy.stats import kstest

    problem, repeated = evaluator.problem, evaluator.packed.repeated
    eta = evaluator.predictors(X, theta)
    y, rm, cross = evaluator.packed.rows
    mean, sd = noise.expected(eta, rm)
    # where the scale is estimated it takes up what fitting leaves out
    fixed, every_row = noise.fixed_scale(rm)
    fitted = found.p + every_row - problem.data_count
    residuals = noise.residuals(eta, y, rm, cross)
    judged = dataset.assign(residuals=(("time", "channel"), residuals[~repeated]))
    if repeated.any():
        judged = judged.assign(repeated_residuals=(("repeat", "channel"), residuals[repeated]))
    every = residuals[np.isfinite(residuals)]
    # values of their own at every step take up a part of each residual
    p_value = math.nan
    if every.size and not problem.priors:
        p_value = float(kstest(every, "norm").pvalue)
    taken = fitted * fixed / max(every_row, 1)
    # of Gaussian noise n - p in place of n, in the mean and in the variance; of other, about that
    mean, sd = mean - 0.5 * taken, sd * math.sqrt(max(1.0 - taken / max(every_row, 1), 0.0))
    names = [problem.channels[l] for l in noise.vanished(eta, y, rm)]
    return judged, replace(
        found, expected=mean, expected_sd=sd, normal=p_value, vanished=tuple(names)
    )


def held_names(problem: Problem, held: BoolArray) -> list[tuple[str, int]]:
    """Name the unknowns that bounds hold, states with the number of their points."""
    on_path, on_theta = problem.unknowns.split(held & problem.unknowns.free)
    points = on_path.sum(axis=0)
    states = [(problem.states[a], int(points[a])) for a in np.flatnonzero(points)]
    names = np.flatnonzero(on_theta)
    return [(problem.parameters[i], 0) for i in names] + states


def fitted(
    evaluator: Evaluator,
    equations: ModelEquations,
    fixed: BoolArray,
    X: FloatArray,
    theta: FloatArray,
) -> int:
    """Quantities that were fitted: those that no measurement sees, or a bound holds, were not."""
    problem = evaluator.problem
    _, on_theta = problem.unknowns.split(fixed)
    free = problem.free & ~on_theta
    idle = np.isin(problem.parameters, equations.unconstrained)
    if has_matrices(evaluator):
        # as the factor of a dose that was not given
        idle |= ~evaluator.felt(X, theta)
    held = int((problem.free & on_theta).sum())
    return int(problem.fitted) - _unseen(problem, equations) - int((free & idle).sum()) - held


def _unseen(problem: Problem, equations: ModelEquations) -> int:
    """Count the initial values that were estimated and no measurement sees."""
    at = [problem.states.index(name) for name in equations.unseen]
    return int((~problem.given[:, at]).sum())


def open_directions(bars: Posterior) -> tuple[str, ...]:
    """Name what the data leave open: directions without curvature, in relative units."""
    table = bars.directions(NAMES)
    endless = np.isinf(table["relative_sd"].to_numpy(dtype=float))
    return tuple(str(name) for name in table["components"][endless])


def wide_parameters(laplace: Posterior, problem: Problem) -> Iterator[str]:
    """Name the parameters of which their bounds say more than the data, or that run to 0."""
    widths = np.ptp(problem.parameter_bounds, axis=1)
    widths = np.where(problem.scaled[problem.D :], np.minimum(widths, VAGUE), widths)
    own = dict(zip(problem.parameters, widths, strict=True))
    for name, sd in laplace.internal_sd.items():
        if own[name] < sd < np.inf:
            yield f"{name} +1.00"


def beyond_bounds(laplace: Posterior, problem: Problem) -> Iterator[str]:
    """Name the parameters whose interval of 95 % goes beyond a bound."""
    limits = dict(zip(problem.parameters, problem.limits[problem.D :].tolist(), strict=True))
    for name, (low, high) in laplace.interval().items():
        known = np.isfinite(laplace.sd[name])
        if known and (low < limits[name][0] or high > limits[name][1]):
            yield name


def _felt(problem: Problem, theta: FloatArray, moved: FloatArray) -> bool:
    """Whether the scheme's error moves a parameter by a share that may change its error bar too."""
    change = np.abs(problem.unknowns.split(moved)[1])
    size = np.where(problem.scaled[problem.D :], 1.0, np.abs(theta))
    return bool((change > FELT * size)[problem.free].any())


def _checked(
    found: Assessment,
    evaluator: BlockEvaluator,
    equations: ModelEquations,
    X: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
    expansion: Expansion,
    bars: Posterior | None,
    fixed: BoolArray,
    notes: list[str],
) -> Assessment:
    """Add whether the path is a solution: of the scheme's equations, and of the model's."""
    p = evaluator.problem
    jacobian = evaluator.residual_jacobian(X, theta)
    # what ties parameters per step is no equation of the model
    ruled = np.tile(p.ruled, 1 + p.interior).astype(float)
    residual = evaluator.residual(X, theta)
    moved = expansion.shift(jacobian.T @ evaluator.weigh(rf, ruled * residual).reshape(-1))
    found = replace(found, model=shift_of(evaluator, X, theta, moved, bars))
    error = None
    if equations.jacobian is not None:
        u = equations.forcing or polynomial_forcing(p)
        error = scheme_error(evaluator, equations.jacobian, X, theta, u)
        local = np.where(error.settled[:, None], error.residual, 0.0)
        moved = expansion.shift(jacobian.T @ evaluator.weigh(rf, ruled * local).reshape(-1))
        shift = shift_of(evaluator, X, theta, moved, bars)
        worst = max(shift.sds, shift.fit)
        away = strays(evaluator, X, theta, error)
        factor = max(1.0, (worst / GOAL) ** (1.0 / equations.order))
        found = replace(
            found,
            scheme=shift,
            stray=float(p.right_times[np.flatnonzero(away)[0]]) if away.any() else math.nan,
            unsettled=int((~error.settled).sum()),
            # a forcing that is the same at all times is so inside of steps as well
            inside=equations.forcing is not None or not np.ptp(p.u, axis=(0, 1)).any(),
            factor=math.ceil(factor) if math.isfinite(factor) else 0,
        )
        known = error.settled.all() and not error.stiff.size
        if bars is not None and known and _felt(p, theta, moved):
            tangents = solution_tangents(error, evaluator, equations.jacobian, X, theta, u)
            exact = exact_jacobian(evaluator, X, theta, tangents)
            unseen = tuple(equations.unseen)
            _, change = laplace(evaluator, X, theta, rf, held=fixed, unseen=unseen, other=exact)
            # and those of a parameter known by a share of itself go along with it
            own = np.where(p.scaled[p.D :], 1.0, np.abs(theta))[p.free]
            size = np.fmax(own, [*bars.internal_sd.values()])  # none of one on a bound
            share = np.abs(p.unknowns.split(moved)[1])[p.free] / size
            found = replace(found, bars=change + float(share.max(initial=0.0)))
    defect = residual.reshape(p.N, -1)[:, : p.D] if error is None else error.defect
    if found.unsettled:
        return replace(found, notes=tuple(notes))
    # parameters per step are followed as they are
    defect = np.where(p.ruled, defect, 0.0)
    runs = [
        (free_run(at, x, own, defect[segment.own_steps]), segment.name, one)
        for at, segment, (one, x, own) in zip(
            evaluator.experiments, p.segments, p.apart(X, theta), strict=True
        )
    ]
    (follows, growth, explained), name, _ = min(runs, key=lambda run: _share(run[0][0], run[2]))
    return replace(
        found,
        follows=follows,
        followed=name if len(runs) > 1 else "",
        growth=growth,
        explained=explained,
        notes=tuple(notes),
    )


def _share(time: float, problem: Problem) -> float:
    """Share of an experiment's time that has gone by."""
    return (time - float(problem.times[0])) / float(np.ptp(problem.times))
