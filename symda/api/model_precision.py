"""The model's precision at which the data of a run are most probable."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.marginal import Marginal
from symda.analyse.model_precision import ModelPrecision, most_probable
from symda.api.checked_run import check_run
from symda.api.estimates import Estimates
from symda.api.machine import machine
from symda.api.preflight import loose
from symda.api.run import Run
from symda.build.kernels import matrices_of
from symda.errors import OptionError
from symda.solve import SOLVERS, judge
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.observe import Problem

#: Rungs that a minimum between others needs.
LEAST_RUNGS = 3


def model_precision(specification: Specification, run: Run, problem: Problem) -> ModelPrecision:
    """Estimate the common factor of Rf; see `Action.model_precision`."""
    import xarray as xr

    check_run("model_precision", specification, run, problem)
    if specification.matrix_free:
        raise OptionError(
            "model_precision: this action is matrix-free, and the estimate needs the Hessian. Make "
            "it with matrix_free=False where blocks of D x D fit."
        )
    best, d = run.best, run.dataset
    last = int(d["last_beta"].values[best.path])
    if last + 1 < LEAST_RUNGS:
        raise OptionError(
            f"model_precision: Rf is searched between the rungs that the best path climbed, of "
            f"which there must be {LEAST_RUNGS} at least, got {last + 1}. Anneal with a ladder "
            "of more rungs, for example sd.Ladder(alpha=4.0, rungs=15)."
        )
    if not problem.ruled.any():
        raise OptionError(
            "model_precision: the model has no equation, so no error of one: all states are "
            "parameters per step."
        )
    kernels = machine(specification)
    evaluator = matrices_of(kernels.at(problem), "Hessian")
    judges = judge(evaluator)
    if judges is None:
        raise OptionError(
            f"model_precision: the Hessian of {problem.N} steps is too large to be made. Ask it of "
            "a shorter window."
        )
    rungs: FloatArray = d["rf"].values[: last + 1]
    ruled = np.flatnonzero(problem.ruled)
    s = np.log(rungs[:, ruled[0]] / rungs[0, ruled[0]])
    values = np.array(list(best.parameters.values()))
    X, theta = problem.internal(best.states.values, values)
    marginal = Marginal(
        evaluator,
        judges,
        SOLVERS["newton"].at(kernels, problem),
        rungs[0],
        _left_out(specification, problem),
        X,
        theta,
    )
    search = most_probable(marginal, s)
    found = search.best
    known = [marginal.known[at] for at in sorted(marginal.known)]
    base = rungs[0][ruled]
    profile = np.array([one.value for one in known])
    path, parameters = problem.natural(found.path, found.theta)
    estimated = math.nan if search.why else 1.0
    c = float(d["relative_rf"].values[0]) if "relative_rf" in d.variables else math.nan
    return ModelPrecision(
        states=tuple(problem.states[a] for a in ruled),
        rf=base * math.exp(found.s) * estimated,
        relative=c * math.exp(found.s) * estimated,
        sd=1.0 / math.sqrt(search.curvature) if search.curvature > 0.0 else math.nan,
        end=search.end,
        why=search.why,
        log_likelihood=math.nan if search.why and not search.end else -found.value,
        rise=search.rise,
        searched=np.exp([known[0].s, known[-1].s])[:, None] * base,
        profile_rf=np.exp([one.s for one in known])[:, None] * base,
        profile=profile,
        path=xr.DataArray(
            path,
            dims=("time", "state"),
            coords={"time": problem.times, "state": list(problem.states)},
        ),
        parameters=Estimates(zip(problem.parameters, parameters.tolist(), strict=True)),
        held=int((found.held & problem.unknowns.free).sum()),
        unchecked=search.unchecked,
    )


def _left_out(specification: Specification, problem: Problem) -> BoolArray:
    """Return which unknowns no datum sees, (M D + P,): any value is as good.

    Of a state it is the first value: from there it can follow its equation.
    """
    unseen, unconstrained = loose(specification.field, problem)
    on_path = np.zeros((problem.M, problem.D), dtype=bool)
    firsts = [segment.first_point for segment in problem.segments]
    on_path[np.ix_(firsts, [name in unseen for name in problem.states])] = True
    idle = np.array([name in unconstrained for name in problem.parameters], dtype=bool)
    return np.append(on_path, idle)
