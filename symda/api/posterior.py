"""The posterior of a run's parameters, from the Hessian of its action."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.laplace import laplace
from symda.analyse.posterior import Posterior
from symda.anneal.apart import apart
from symda.api.machine import machine
from symda.api.preflight import loose
from symda.api.run import Run
from symda.api.same import check_equations, differing
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
    if specification.averaging != "sum":
        raise OptionError(
            f"posterior: with averaging={specification.averaging!r} exp(-A) is not a probability. "
            "Make the action with averaging='sum'."
        )
    if not isinstance(run, Run):
        raise OptionError(
            f"posterior: the first argument is a symda.Run, got {type(run).__name__}; "
            "make one with sd.anneal(action, data)."
        )
    _check_same(run, problem)
    fix = "Pass the action that the run was annealed with."
    check_equations(run.dataset, specification, "posterior", fix)
    _check_data(run, specification, problem)
    _check_asked(problem)
    best = run.best if path is None else run.path(path)
    d = run.dataset
    rf = d["rf"].values[int(d["last_beta"].values[best.path])]
    values = np.array(list(best.parameters.values()))
    X, theta = problem.internal(best.states.values, values)
    evaluator = machine(specification).at(problem)
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
    unseen, _ = loose(specification.field, problem)
    matrices = matrices_of(evaluator, "Hessian")
    held = here.held | on_edge(judges, problem, X, exact, rf)
    found, _ = laplace(matrices, X, exact, rf, held=held, unseen=unseen)
    return replace(found, values=values[problem.free])


def _check_same(run: Run, problem: Problem) -> None:
    d = run.dataset
    made = {
        "experiments": (
            tuple(name for name, _ in apart(d)),
            tuple(segment.name for segment in problem.segments),
        ),
        "states": (tuple(d["state"].values.tolist()), problem.states),
        "parameters": (tuple(d["parameter"].values.tolist()), problem.parameters),
        "fixed parameters": (
            tuple(d["parameter"].values[d["fixed"].values].tolist()),
            tuple(np.array(problem.parameters, dtype=str)[~problem.free].tolist()),
        ),
        "grid points": (d.sizes["time"], problem.M),
    }
    for what, (ran, given) in made.items():
        if ran != given:
            raise OptionError(
                f"posterior: the run has other {what} than these data give: {ran} and {given}. "
                "Pass the action, data, grid and fixed parameters that the run was annealed with."
            )


def _check_data(run: Run, specification: Specification, problem: Problem) -> None:
    others = [*_other_data(run, problem), *differing(run.dataset, specification, problem)]
    if others:
        raise OptionError(
            f"posterior: these are not the data of the run: {', '.join(others)} "
            f"{'differ' if len(others) > 1 or others[0].endswith('s') else 'differs'}. Pass the "
            "data that the run was annealed with."
        )


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


def _other_data(run: Run, problem: Problem) -> list[str]:
    """Name what of a run's times, data and variances is not the problem's."""
    d = run.dataset
    seen = problem.rm > 0.0
    known = seen & ~problem.own_scale
    here = {
        "values": np.where(seen, problem.y, np.nan),
        "variances": np.where(known, problem.rm, np.nan) / problem.measurement_scale,
    }
    ran = {"values": d["observed"].values, "variances": 1.0 / d["variance"].values}
    others = [
        f"the {name}"
        for name, values in here.items()
        if not np.allclose(ran[name], values, rtol=1e-12, atol=0.0, equal_nan=True)
    ]
    again = d["repeated"].values if "repeated" in d else np.empty((0, problem.L))
    given_again = np.where(problem.repeat_rm > 0.0, problem.repeat_y, np.nan)
    if not np.array_equal(again, given_again, equal_nan=True):
        others.append("the values measured again")
    near = 1e-9 * float(np.ptp(problem.times))
    if not np.allclose(d["time"].values, problem.times, rtol=1e-9, atol=near):
        others.insert(0, "the times")
    return others
