"""The profile likelihood of a parameter of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.profile import STEP, Profile, followed, rise_of
from symda.api.checked_run import check_run
from symda.api.machine import machine, strong_of
from symda.api.posterior import Expansion
from symda.build.kernels import matrices_of
from symda.checks import share as probability
from symda.errors import OptionError, nearest
from symda.solve import SOLVERS
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.api.run import Run
    from symda.api.specification import Specification
    from symda.observe import Problem
    from symda.solve import Minimum
    from symda.solve.strong import Solution


def profile(
    specification: Specification, run: Run, problem: Problem, parameter: str, share: float
) -> Profile:
    """Return the least action for each value of a parameter; see `Run.profile`."""
    check_run("profile", specification, run, problem)
    limit = rise_of(probability(share, "profile: share"))
    free = [problem.parameters[i] for i in np.flatnonzero(problem.free)]
    if parameter not in free:
        raise OptionError(
            f"profile: {parameter!r} is no free parameter; there are {', '.join(free) or 'none'}."
            f"{nearest(parameter, free)}"
        )
    at = problem.parameters.index(parameter)
    expansion = Expansion(specification, run, problem)
    best = run.best
    bars, gaussian = expansion.at(best.path)
    assert gaussian is not None
    start, action = float(gaussian.theta[at]), best.action
    sd = bars.internal_sd[parameter]
    low, high = (float(end) for end in problem.parameter_bounds[at])
    step = STEP * sd if np.isfinite(sd) else 0.1 * max(abs(start), float(problem.typical[at]))
    sides, ends = [], []
    for sign in (-1.0, 1.0):
        least = _least(expansion, specification, problem, at, best.path, gaussian.path)
        *side, why = followed(least, start, action, sign * step, (low, high), limit)
        sides.append(side)
        ends.append(why)
    values = np.array([*sides[0][0][::-1], start, *sides[1][0]])
    full = np.tile(gaussian.theta, (values.size, 1))
    full[:, at] = values
    natural = problem.natural(np.zeros((values.size, problem.D)), full)[1][:, at]
    return Profile(
        parameter=parameter,
        values=natural,
        actions=np.array([*sides[0][1][::-1], action, *sides[1][1]]),
        best=best.parameters[parameter],
        sd=float(sd),
        share=share,
        ends=(ends[0], ends[1]),
    )


def _least(
    expansion: Expansion,
    specification: Specification,
    problem: Problem,
    at: int,
    path: int,
    X: FloatArray,
) -> Callable[[float], tuple[float, str]]:
    """Return the least action at a value of a parameter, each from where the last one ended."""
    kernels, rf = machine(specification), expansion.rf(path)
    last = X, expansion.theta(path)

    def least(value: float) -> tuple[float, str]:
        nonlocal last
        fixed = problem.fixed.copy()
        fixed[at] = value
        held = replace(problem, fixed=fixed)
        X, theta = last[0], last[1].copy()
        theta[at] = value
        if path in expansion.solutions:
            strong = strong_of(specification, matrices_of(kernels.at(held), "solution"))
            found: Solution | Minimum = strong.minimise(X, theta)
        else:
            found = SOLVERS["newton"].at(kernels, held).minimise(X, theta, rf)
        if found.status is not Status.CONVERGED:
            return found.action, str(found.message) or found.status.value
        last = found.path, found.theta
        return float(found.action), ""

    return least
