"""What only a run's kernels can tell; it is stored with the run, for its verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assessment import ATTRIBUTE, Assessment
from symda.analyse.laplace import laplace
from symda.analyse.levels import best_path, last_rung, reached
from symda.analyse.places import places
from symda.analyse.posterior import Posterior
from symda.analyse.scheme_error import (
    StepForcing,
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
from symda.build.kernels import has_matrices
from symda.errors import SolveError
from symda.solve.judges import judge
from symda.solve.stationary import Expansion, Stationarity, settled
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca
    import xarray as xr

    from symda.build.kernels import BlockEvaluator, Evaluator
    from symda.observe import Problem


#: The shift that more steps are to leave, in standard deviations.
GOAL = 0.05
#: A minimum of the continuous problem with no more than this left to gain, in units of the action,
#: is one of the scheme's as well.
NEARBY = 1e-2
#: Shift of a parameter by the scheme's error, as a share of itself, from which on its error bar is
#: looked at as well: that changes by a few times as much.
FELT = 3e-4
#: Directions of the parameters that are named.
NAMES = 8


@dataclass(frozen=True, eq=False)
class ModelEquations:
    """What the check of the scheme needs to know of the equations."""

    field: ca.Function | None  #: F(x, u, theta, t); None for a map, which has no scheme.
    order: int  #: Of the scheme.
    #: The forcing inside the steps; as the scheme sees it when left out.
    forcing: StepForcing | None = None
    #: States and parameters that nothing measured depends on.
    unseen: Sequence[str] = ()
    unconstrained: Sequence[str] = ()
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
        found = _look(dataset, evaluator, equations, best, rung, rf, own)
        place = places(dataset, evaluator, rung)
    found = replace(found, random=random)
    judged = dataset.assign(place=("path", place))
    judged.attrs[ATTRIBUTE] = json.dumps(asdict(found))
    return judged


def _look(
    dataset: xr.Dataset,
    evaluator: Evaluator,
    equations: ModelEquations,
    best: int,
    rung: int,
    rf: FloatArray,
    own: bool,
) -> Assessment:
    problem = evaluator.problem
    X = np.ascontiguousarray(dataset["states"].values[best])
    theta = np.ascontiguousarray(dataset["parameters"].values[best, rung])
    judges = judge(evaluator)
    if judges is None:
        # the compiled solver's own test of a minimum is the same one
        converged = dataset["status"].values[best, rung] == Status.CONVERGED.code
        return Assessment(
            path=best,
            beta=int(dataset["beta"].values[rung]),
            minimum=bool(converged) if own else None,
            decrement=float(dataset["decrement"].values[best]),
            unseen=tuple(equations.unseen),
            n=int(problem.data_count),
            p=int(problem.fitted) - _unseen(problem, equations),
            notes=("the window is too long for a Hessian",),
        )
    here = judges.at(X, theta, rf)
    held = tuple(_held(evaluator, here))
    notes: list[str] = []
    found = Assessment(
        path=best,
        beta=int(dataset["beta"].values[rung]),
        minimum=here.minimum if own else None,
        words=here.words(problem),
        decrement=here.decrement,
        held=held,
        unseen=tuple(equations.unseen),
        jumps=() if equations.jumps is None else equations.jumps(X, theta),
        n=int(problem.data_count),
        p=_fitted(evaluator, equations, here),
    )
    left = NEARBY * problem.measurement_scale
    if not (here.minimum if own else here.convex and here.decrement <= left):
        # nothing can be said of errors about a point that is none
        return found
    X, theta, here = settled(judges, problem, X, theta, rf, here)
    X, theta = evaluator.split(X, theta)
    expansion = here.expansion
    if expansion is None or not has_matrices(evaluator):
        if not has_matrices(evaluator):
            notes.append("error bars, and what errors move the estimate by: there are no matrices")
        return replace(found, notes=tuple(notes))
    bars: Posterior | None = None
    try:
        bars, spread = laplace(
            evaluator, X, theta, rf, held=here.held, unseen=tuple(equations.unseen)
        )
    except SolveError:
        notes.append("error bars: there is no minimum in all directions")
    else:
        found = replace(
            found,
            loose=(*_open(bars), *_wide(bars, problem)),
            sds=tuple((name, float(sd)) for name, sd in bars.sd.items()),
            spread=spread,
        )
    return _checked(found, evaluator, equations, X, theta, rf, expansion, bars, notes)


def _held(evaluator: Evaluator, here: Stationarity) -> list[tuple[str, int]]:
    problem = evaluator.problem
    on_path, on_theta = problem.unknowns.split(here.held & problem.unknowns.free)
    points = on_path.sum(axis=0)
    held = [(problem.states[a], int(points[a])) for a in np.flatnonzero(points)]
    names = np.flatnonzero(on_theta)
    return [(problem.parameters[i], 0) for i in names] + held


def _fitted(evaluator: Evaluator, equations: ModelEquations, here: Stationarity) -> int:
    """Quantities that were fitted: those that no measurement sees, or a bound holds, were not."""
    problem = evaluator.problem
    _, on_theta = problem.unknowns.split(here.held)
    free = problem.free & ~on_theta
    idle = sum(bool(free[problem.parameters.index(name)]) for name in equations.unconstrained)
    held = int((problem.free & on_theta).sum())
    return int(problem.fitted) - _unseen(problem, equations) - idle - held


def _unseen(problem: Problem, equations: ModelEquations) -> int:
    """Count the initial values that were estimated and no measurement sees."""
    return sum(not problem.given[problem.states.index(name)] for name in equations.unseen)


def _open(bars: Posterior) -> tuple[str, ...]:
    """Name what the data leave open: directions without curvature, in relative units."""
    table = bars.directions(NAMES)
    endless = np.isinf(table["relative_sd"].to_numpy(dtype=float))
    return tuple(str(name) for name in table["components"][endless])


def _wide(laplace: Posterior, problem: Problem) -> Iterator[str]:
    """Name the parameters of which their bounds say more than the data."""
    widths = dict(zip(problem.parameters, np.ptp(problem.parameter_bounds, axis=1), strict=True))
    for name, sd in laplace.sd.items():
        if widths[name] < sd < np.inf:
            yield f"{name} +1.00"


def _felt(problem: Problem, theta: FloatArray, moved: FloatArray) -> bool:
    """Whether the scheme's error moves a parameter by a share that may change its error bar too."""
    change = np.abs(problem.unknowns.split(moved)[1])[problem.free]
    return bool((change > FELT * np.abs(theta[problem.free])).any())


def _checked(
    found: Assessment,
    evaluator: BlockEvaluator,
    equations: ModelEquations,
    X: FloatArray,
    theta: FloatArray,
    rf: FloatArray,
    expansion: Expansion,
    bars: Posterior | None,
    notes: list[str],
) -> Assessment:
    """Add whether the path is a solution: of the scheme's equations, and of the model's."""
    p = evaluator.problem
    jacobian = evaluator.residual_jacobian(X, theta)
    # what ties parameters per step is no equation of the model
    weights = evaluator.weights(rf) * np.tile(p.ruled, 1 + p.interior)
    residual = evaluator.residual(X, theta)
    moved = expansion.shift(jacobian.T @ (weights * residual).reshape(-1))
    found = replace(found, model=shift_of(evaluator, X, theta, moved, bars))
    error = None
    if equations.field is not None:
        u = equations.forcing or polynomial_forcing(p)
        error = scheme_error(evaluator, equations.field, X, theta, u)
        local = np.where(error.settled[:, None], error.residual, 0.0)
        moved = expansion.shift(jacobian.T @ (weights * local).reshape(-1))
        shift = shift_of(evaluator, X, theta, moved, bars)
        worst = max(shift.sds, shift.fit)
        away = strays(evaluator, X, theta, error)
        factor = max(1.0, (worst / GOAL) ** (1.0 / equations.order))
        found = replace(
            found,
            scheme=shift,
            stray=float(p.node_times[1 + np.flatnonzero(away)[0]]) if away.any() else math.nan,
            unsettled=int((~error.settled).sum()),
            # a forcing that is the same at all times is so inside of steps as well
            inside=equations.forcing is not None or not np.ptp(p.u, axis=(0, 1)).any(),
            factor=math.ceil(factor) if math.isfinite(factor) else 0,
        )
        if bars is not None and error.settled.all() and _felt(p, theta, moved):
            tangents = solution_tangents(error, evaluator, equations.field, X, theta, u)
            exact = exact_jacobian(evaluator, X, theta, tangents)
            held = expansion.held
            unseen = tuple(equations.unseen)
            _, change = laplace(evaluator, X, theta, rf, held=held, unseen=unseen, other=exact)
            # and those of a parameter known by a share of itself go along with it
            size = np.maximum(np.abs(theta[p.free]), [*bars.sd.values()])
            share = np.abs(p.unknowns.split(moved)[1])[p.free] / size
            found = replace(found, bars=change + float(share.max(initial=0.0)))
    defect = residual.reshape(p.N, -1)[:, : p.D] if error is None else error.defect
    if found.unsettled:
        return replace(found, notes=tuple(notes))
    # parameters per step are followed as they are
    follows, growth, explained = free_run(evaluator, X, theta, np.where(p.ruled, defect, 0.0))
    return replace(found, follows=follows, growth=growth, explained=explained, notes=tuple(notes))
