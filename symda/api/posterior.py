"""The posterior of a run's parameters, from the Hessian of its action."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.exact import solution_posterior
from symda.analyse.laplace import laplace
from symda.analyse.levels import chosen_solution
from symda.analyse.posterior import Posterior
from symda.api.checked_run import check_run
from symda.api.machine import machine, strong_of
from symda.api.preflight import loose
from symda.api.run import Run
from symda.build.kernels import matrices_of
from symda.errors import OptionError, SolveError
from symda.solve import judge, on_edge, settled

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.observe import Problem


#: A point with more than this left to gain, in units of the action, is no minimum to expand about.
LEFT = 1e-2


def posterior(
    specification: Specification, run: Run, problem: Problem, path: int | None
) -> Posterior:
    """Distribution of the parameters around one path of a run; see `Action.posterior`."""
    check_run("posterior", specification, run, problem)
    _check_asked(problem)
    best = run.best if path is None else run.path(path)
    d = run.dataset
    rf = d["rf"].values[int(d["last_beta"].values[best.path])]
    values = np.array(list(best.parameters.values()))
    X, theta = problem.internal(best.states.values, values)
    evaluator = machine(specification).at(problem)
    unseen, _ = loose(specification.field, problem)
    if chosen_solution(d) is not None and best.path in d["solution_path"].values:
        exactly = matrices_of(evaluator, "Hessian")
        strong = strong_of(specification, exactly)
        v = strong.unknowns(X, theta)
        at = v, strong.held(v, strong.gradient(v)), X, theta
        found = solution_posterior(strong, exactly, at, rf, unseen=tuple(unseen))
        return replace(found, values=values[problem.free])
    judges = judge(evaluator)
    if judges is None:
        raise OptionError(
            f"posterior: the Hessian of {problem.N} steps is too large to be made. Ask it of a "
            "shorter window."
        )
    here = judges.at(X, theta, rf)
    near = here.convex and here.decrement <= LEFT * problem.measurement_scale
    if not (near or here.minimum):
        raise SolveError(
            f"posterior: there is no minimum here, at path {best.path}: {here.words(problem)}."
        )
    # the estimate is the run's; its error bars are those of the minimum itself
    X, exact, here = settled(judges, problem, X, theta, rf, here)
    X, exact = evaluator.split(X, exact)
    matrices = matrices_of(evaluator, "Hessian")
    held = here.held | on_edge(judges, problem, X, exact, rf)
    found, _ = laplace(matrices, X, exact, rf, held=held, unseen=unseen)
    return replace(found, values=values[problem.free])


def _check_asked(problem: Problem) -> None:
    """Refuse where every estimated parameter has a value at each step: none is left."""
    carried = list(compress(problem.states, problem.per_step))
    if carried and not problem.free.any():
        raise OptionError(
            "posterior: no parameter that is the same at all times is free, and those with a value "
            f"of their own at every step ({', '.join(carried)}) are part of the path, which is "
            f"integrated out. Their values are run.best.states.sel(state={carried[0]!r}); their "
            "variances stand in the inverse of action.compile().hessian(X, theta, rf, data)."
        )
