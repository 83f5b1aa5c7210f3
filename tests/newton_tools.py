"""Kernels with their structured Newton solver, and how to tell that two solvers agree."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from models import Case

from symda.build import Options, build
from symda.build.abstract import Kernels
from symda.build.kernels import compiled_kernels
from symda.emit import emit_newton
from symda.lower import lower
from symda.observe import Problem
from symda.solve import Ipopt, Minimum


def newton_kernels(case: Case, options: Options | None = None) -> Kernels:
    """Compiled kernels of a case that can build its structured solver."""
    source = emit_newton(lower(case.field, case.scheme))
    chosen = Options() if options is None else options

    def newton(_given: bool, *flags: str) -> Path:
        return build(source, dataclasses.replace(chosen, flags=(*chosen.flags, *flags))).library

    return compiled_kernels(build(case.source, options), newton)


def polished(kernels: Kernels, problem: Problem, found: Minimum, rf: np.ndarray) -> float:
    """How much IPOPT still lowers the action from where Newton ended, as a fraction of it."""
    ipopt = Ipopt().with_options(tol=1e-10).at(kernels, problem)
    again = ipopt.minimise(found.path, found.theta, rf)
    return (found.action - again.action) / abs(found.action)


def projected_gradient(
    kernels: Kernels, problem: Problem, found: Minimum, rf: np.ndarray
) -> np.ndarray:
    """Gradient without what a bound, or a fixed parameter, takes up."""
    gradient = kernels.at(problem).gradient(found.path, found.theta, rf)
    x = np.concatenate([found.path.reshape(-1), found.theta])
    tiled = np.tile(problem.state_bounds, (problem.M, 1))
    theta = np.where(
        problem.free[:, None], problem.parameter_bounds, np.nan_to_num(problem.fixed)[:, None]
    )
    lower, upper = np.concatenate([tiled, theta]).T
    taken = ((x <= lower) & (gradient >= 0)) | ((x >= upper) & (gradient <= 0)) | (lower == upper)
    return np.where(taken, 0.0, gradient)
