"""What can be told of a path that is the equations' own solution."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assess import (
    ModelEquations,
    beyond_bounds,
    fitted,
    held_names,
    open_directions,
    point_of,
    wide_parameters,
    with_residuals,
)
from symda.analyse.assessment import ATTRIBUTE, Assessment
from symda.analyse.expand import by_hessian, by_tangents
from symda.analyse.gaussian import Gaussian
from symda.analyse.laplace import laplace
from symda.analyse.levels import best_path, last_rung
from symda.analyse.posterior import Posterior, posterior
from symda.errors import SolveError
from symda.solve.banded import BandedNewton
from symda.solve.judges import judge
from symda.solve.options import NewtonOptions
from symda.solve.stationary import on_edge, settled
from symda.solve.strong import TOLERANCE, Strong
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.build.kernels import BlockEvaluator


#: Iterations to the minimum beside a solution, which is near.
BESIDE = NewtonOptions(max_iter=100)


def assess_exact(
    dataset: xr.Dataset,
    evaluator: BlockEvaluator,
    strong: Strong,
    equations: ModelEquations,
    *,
    random: bool,
) -> xr.Dataset:
    """Add to a run's dataset what only kernels and flow can tell of the solution that is its best.

    Parameters
    ----------
    evaluator, strong
        The problem that was annealed, with kernels, and its solutions.
    equations : ModelEquations
        The model behind them.
    random : bool
        Whether the starts of different paths differ.

    Returns
    -------
    xarray.Dataset
        With the attribute `assessment`.
    """
    best, rung, problem = best_path(dataset), last_rung(dataset), evaluator.problem
    X, theta = point_of(dataset, problem, best, rung)
    v = strong.unknowns(X, theta)
    gradient = strong.gradient(v)
    held = strong.held(v, gradient)
    fixed = np.zeros(problem.unknowns.count, dtype=bool)
    fixed[strong.places] = held
    found = Assessment(
        path=best,
        beta=int(dataset["beta"].values[rung]),
        exact=TOLERANCE,
        minimum=bool(dataset["status"].values[best, rung] == Status.CONVERGED.code),
        words=str(dataset["message"].values[best]),
        decrement=float(dataset["decrement"].values[best]),
        held=tuple(held_names(problem, fixed)),
        unseen=tuple(equations.unseen),
        jumps=() if equations.jumps is None else equations.jumps(*problem.natural(X, theta)),
        inside=equations.forcing is not None or not np.ptp(problem.u, axis=(0, 1)).any(),
        n=int(problem.data_count),
        p=fitted(evaluator, equations, fixed, X, theta),
        random=random,
    )
    notes: tuple[str, ...] = ()
    try:
        rf = dataset["rf"].values[rung]
        unseen, adrift = tuple(equations.unseen), tuple(equations.adrift)
        at = v, held, X, theta
        bars, gaussian = about_solution(strong, evaluator, at, rf, unseen=unseen, adrift=adrift)
    except SolveError:
        notes = ("error bars: there is no minimum in all directions",)
    else:
        dataset = dataset.assign(gaussian.bars())
        found = replace(
            found,
            loose=(*open_directions(bars), *wide_parameters(bars, problem)),
            sds=tuple((name, float(sd)) for name, sd in bars.sd.items()),
            beyond=tuple(beyond_bounds(bars, problem)),
        )
    if equations.noise is not None:
        dataset, found = with_residuals(dataset, found, evaluator, equations.noise, X, theta)
    dataset.attrs[ATTRIBUTE] = json.dumps(asdict(replace(found, notes=notes)))
    return dataset


def about_solution(
    strong: Strong,
    evaluator: BlockEvaluator,
    at: tuple[FloatArray, BoolArray, FloatArray, FloatArray],
    rf: FloatArray,
    *,
    unseen: tuple[str, ...],
    adrift: tuple[str, ...],
    unstable: bool | None = None,
) -> tuple[Posterior, Gaussian]:
    """Return the distribution of the parameters about a solution, and of everything.

    From its own Hessian, unless instability leaves that in rounding, `Strong.unstable`: then from
    the action's at Rf, at the minimum beside the solution, a band matrix that loses nothing.

    Parameters
    ----------
    at : tuple
        First states and parameters v (n,), which of them a bound holds, the path (M, D) and all
        parameters (P,).
    rf : (D,)
    unseen, adrift : tuple of str
        States that nothing measured depends on, and those that nothing at all determines.
    unstable : bool, optional
        Whether it does, if known.

    Raises
    ------
    SolveError
        If the action has no minimum there.
    """
    v, held, X, theta = at
    if not (strong.unstable(v) if unstable is None else unstable):
        bars = exact_posterior(strong, v, held, theta, unseen=unseen)
        return bars, by_tangents(strong, v, unseen=adrift)
    path, parameters, fixed = beside(evaluator, X, theta, rf)
    bars, _ = laplace(evaluator, path, parameters, rf, held=fixed, unseen=unseen)
    gaussian = by_hessian(evaluator, path, parameters, rf, held=fixed, unseen=adrift)
    # the estimate is the solution
    return bars, replace(gaussian, path=X, theta=theta)


def beside(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, rf: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return the action's minimum at Rf beside a solution, and what bounds hold there.

    Raises
    ------
    SolveError
        If there is none.
    """
    judges, problem = judge(evaluator), evaluator.problem
    if judges is None:
        raise SolveError("The window is too long for a Hessian.")
    # the scheme's own solution is another one, and stiff errors between the two are costly
    found = BandedNewton(evaluator.kernels, problem, BESIDE).minimise(X, theta, rf)
    here = judges.at(found.path, found.theta, rf)
    if not here.minimum:
        raise SolveError("The action has no minimum beside the solution.")
    path, parameters, here = settled(judges, problem, found.path, found.theta, rf, here)
    path, parameters = evaluator.split(path, parameters)
    return path, parameters, here.held | on_edge(judges, problem, path, parameters, rf)


def exact_posterior(
    strong: Strong, v: FloatArray, held: BoolArray, theta: FloatArray, *, unseen: tuple[str, ...]
) -> Posterior:
    """Return the distribution of the parameters about a solution, the first states integrated out.

    Parameters
    ----------
    v : (n,)
        First states and parameters.
    held : (n,)
        Those held by a bound.
    theta : (P,)
        All parameters, as solvers move them.

    Raises
    ------
    SolveError
        If the action has no minimum there.
    """
    from scipy.sparse import csc_array

    p = strong.problem
    firsts = v.size - int(p.free.sum())
    size = firsts + p.P
    at = np.concatenate([np.arange(firsts), firsts + np.flatnonzero(p.free)])
    hessian = np.zeros((size, size))
    hessian[np.ix_(at, at)] = strong.hessian(v) / p.measurement_scale
    on = np.zeros(size, dtype=bool)
    on[at] = held
    seen = np.array([p.states[k % p.D] not in unseen for k in strong.places[:firsts]], dtype=bool)
    return posterior(
        csc_array(hessian),
        p.parameters,
        theta,
        typical=p.typical,
        free=p.free,
        held=on,
        unseen=unseen,
        path=seen,
        coordinates=p.scales[p.D :],
    )
