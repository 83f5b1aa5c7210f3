"""What is written for limits and saturation, compiled: as CasADi evaluates it, everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from models import disagreements, everything, make_case
from newton_tools import newton_kernels

import symda as sd
from symda.solve import Newton
from symda.solve.banded import BandedNewton
from symda.solve.options import NewtonOptions

X = sd.state("x", bounds=(-1e4, 1e4))
N = sd.parameter("n", bounds=(1.0, 4.0))
MODEL = sd.Model(
    {X: 1 / (1 + sp.exp(N * X)) - sp.log(1 + sp.exp(X)) + sp.sqrt(sp.Max(X, 0)) + 1 / sp.cosh(X)},
    name="limits",
)
CHANNELS = {"x": X, "hill": sp.Abs(X) ** N / (1 + sp.Abs(X) ** N), "rate": X / (sp.exp(X) - 1)}


@pytest.fixture(scope="module")
def case():
    return make_case(MODEL, CHANNELS, "trapezoid")


@pytest.fixture(scope="module")
def problem(case):
    values = np.array([[0.1, 0.2, 0.9], [0.2, np.nan, 0.8], [np.nan, 0.4, 1.1], [0.3, 0.5, np.nan]])
    return case.problem([0.0, 0.1, 0.2, 0.3], values, variance=0.01)


@pytest.mark.parametrize("size", [0.0, 0.5, 30.0, 1e3])
def test_compiled_and_interpreted(case, problem, size: float) -> None:
    X = size * np.random.default_rng(1).uniform(-1.0, 1.0, (4, 1))
    point = X, np.array([2.0]), np.array([3.0])
    one, other = (everything(k, problem, *point) for k in (case.compiled, case.virtual))
    assert all(np.isfinite(values).all() for values in one.values())
    assert disagreements(one, other, 1e-11) == {}


def test_in_the_lanes_of_newton(case, problem) -> None:
    kernels = newton_kernels(case)
    start = np.array([[0.1], [0.2], [0.4], [0.3]])
    first, second = (
        solver.minimise(start, np.array([2.5]), 100.0)
        for solver in (
            Newton().at(kernels, problem),
            BandedNewton(case.virtual, problem, NewtonOptions()),
        )
    )
    assert first.status == second.status == "converged"
    assert first.action == pytest.approx(second.action, rel=1e-7)
