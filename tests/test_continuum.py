"""With model_error="rate" the discrete minimiser tends to the continuous one as h -> 0.

The continuous problem is linear: minimise the integral of Rf/2 (x' - F x)^2 plus the measurement
terms. Its Euler-Lagrange equations in Hamilton's form, x' = F x + p / Rf and p' = -F^T p with
jumps Rm H^T (H x - y) at the observation times and p = 0 outside, are solved here exactly by matrix
exponentials, which nothing in the package uses.
"""

import numpy as np
import pytest
from scipy.linalg import expm

import symda as sd
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step
from symda.solve import SOLVERS

F = np.array([[-0.3, 1.4], [-1.1, -0.2]])
RF, RM = 4.0, 9.0
TIMES = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
DATA = np.array([0.7, 0.2, -0.9, -0.4, 0.8])


def continuous_minimiser() -> np.ndarray:
    """x at the observation times, (T, 2)."""
    flow = expm(np.block([[F, np.eye(2) / RF], [np.zeros((2, 2)), -F.T]]) * 0.5)
    H = np.array([[1.0, 0.0]])
    # (x, p) just before each observation as an affine function of x(t0): columns (constant, slope)
    z = np.zeros((4, 3))
    z[:2, 1:] = np.eye(2)
    paths = []
    for k, y in enumerate(DATA):
        paths.append(z[:2].copy())
        z[2:] += RM * H.T @ (H @ z[:2])
        z[2:, 0] -= RM * H[0] * y
        if k < len(DATA) - 1:
            z = flow @ z
    initial = np.linalg.solve(z[2:, 1:], -z[2:, 0])
    return np.array([a[:, 0] + a[:, 1:] @ initial for a in paths])


def discrete_minimiser(scheme: str, steps: int) -> np.ndarray:
    x = sd.states("x y", start=(-2.0, 2.0))
    model = sd.Model(
        {x[a]: F[a, 0] * x[0] + F[a, 1] * x[1] for a in range(2)},
        name="linear",
    )
    action = sd.Action(model, [x[0]], scheme=scheme, model_error="rate")
    problem = action.bind(sd.Observations(TIMES, DATA, variance=1 / RM), steps=steps)
    kernels = virtual_kernels(derive_step(action.field, action.scheme), action.emitted)
    found = (
        SOLVERS["ipopt"]
        .with_options(tol=1e-12)
        .at(kernels, problem)
        .minimise(np.zeros((problem.M, 2)), np.zeros(0), np.full(2, RF))
    )
    assert found.status in ("converged", "acceptable")
    at = np.searchsorted(problem.times, TIMES)
    np.testing.assert_array_equal(problem.times[at], TIMES)
    return found.path[at]


@pytest.mark.parametrize(
    ("scheme", "order"),
    [("euler", 1), ("rk4", 1), ("trapezoid", 2), ("midpoint", 2), ("hermite-simpson", 2)],
)
def test_discrete_minimiser_tends_to_the_continuous_one(scheme: str, order: int) -> None:
    exact = continuous_minimiser()
    counts = np.array([16, 32, 64, 128])
    errors = [np.abs(discrete_minimiser(scheme, int(n)) - exact).max() for n in counts]
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.15, (slope, errors)


def test_the_continuous_reference_is_a_minimum_of_a_fine_discrete_problem() -> None:
    exact = continuous_minimiser()
    assert np.abs(discrete_minimiser("midpoint", 256) - exact).max() < 1e-4
