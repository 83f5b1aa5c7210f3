"""The banded Newton solver, with and without a compiler, ends where IPOPT and the lanes do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from models import COMPILED, compiled_case, random_point, random_problem
from newton_tools import newton_kernels, polished, projected_gradient

from symda.observe import Problem
from symda.solve import BandedNewton, Ipopt, Newton

CASES = pytest.mark.parametrize(
    "index", range(len(COMPILED)), ids=lambda i: f"{COMPILED[i][1].name}{i}"
)
MACHINES = pytest.mark.parametrize("machine", ["compiled", "virtual"])


def boxed(problem: Problem, states=(-0.4, 0.5), parameters=(-0.3, 0.6)) -> Problem:
    """The same problem with bounds narrow enough to be active."""
    return dataclasses.replace(
        problem,
        state_bounds=np.tile(states, (problem.D, 1)),
        parameter_bounds=np.tile(parameters, (problem.P, 1)).reshape(problem.P, 2),
    )


def agree(kernels, problem, seed, **options):
    """Neither IPOPT nor the lanes can improve on the end point, nor it on theirs."""
    X, theta, rf = random_point(problem, np.random.default_rng(seed))
    banded = BandedNewton(kernels, problem, **options)
    found = banded.minimise(X, theta, rf)
    assert found.status == "converged", found.message
    assert abs(polished(kernels, problem, found, rf)) < 1e-8
    other = Ipopt(kernels, problem, tol=1e-10).minimise(X, theta, rf)
    again = banded.minimise(other.path, other.theta, rf)
    assert again.action == pytest.approx(other.action, rel=1e-8)
    return found, rf


@CASES
@MACHINES
@pytest.mark.parametrize("N", [1, 9])
def test_with_active_bounds_it_ends_where_ipopt_does(index, N, machine):
    case = compiled_case(index)
    kernels = getattr(case, machine)
    rng = np.random.default_rng([index, N])
    problem = boxed(random_problem(case, rng, N=N, uniform=False, observed="all"))
    found, rf = agree(kernels, problem, index)
    assert (np.abs(found.path + 0.4) < 1e-15).any() or (np.abs(found.path - 0.5) < 1e-15).any()
    assert found.path.min() >= -0.4 and found.path.max() <= 0.5
    left = np.abs(projected_gradient(kernels, problem, found, rf)).max()
    assert left < 1e-5 * np.abs(kernels.gradient(found.path, found.theta, rf, problem)).max()


@CASES
@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
def test_it_ends_where_the_lanes_do(index, hessian):
    case = compiled_case(index)
    kernels = newton_kernels(case)
    problem = random_problem(case, np.random.default_rng(index), N=8, observed="gaps")
    problem = boxed(problem, (-6.0, 6.0), (-3.0, 3.0))
    X, theta, _ = random_point(problem, np.random.default_rng(index))
    rf = np.full(problem.D, 3.0)
    found = BandedNewton(kernels, problem, hessian=hessian).minimise(X, theta, rf)
    lanes = Newton(kernels, problem, hessian=hessian).minimise(X, theta, rf)
    assert found.status == lanes.status == "converged"
    assert found.action == pytest.approx(lanes.action, rel=1e-9)
