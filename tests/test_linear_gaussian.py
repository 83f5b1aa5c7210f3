"""Linear models with Gaussian errors: the minimiser is the Rauch-Tung-Striebel smoother.

With a flat prior, the transition x_{n+1} = A_n x_n + b_n + noise of covariance Q and the data
y = H x + noise of covariance R, the action is minus the logarithm of the posterior density. So its
minimum is the smoother's mean, and the diagonal blocks of its inverse Hessian are the smoother's
covariances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from models import Case, make_case

import symda as sd
from symda.observe import Problem
from symda.solve import Ipopt

#: Digits of the oracle. The flat prior is one of variance 1e40, whose traces lie far below the
#: tolerances and far above rounding.
DIGITS = 120
FLAT = mpmath.mpf(10) ** 40

A = np.array([[0.9, 0.25, 0.0], [-0.3, 0.85, 0.1], [0.05, -0.2, 0.95]])
B = np.array([0.3, 0.0, -0.5])
RM = 4.0


@dataclass(frozen=True)
class Smoother:
    """Means (N + 1, D) and covariances (N + 1, D, D), rounded to double precision at the end."""

    mean: np.ndarray
    covariance: np.ndarray


def rauch_tung_striebel(transitions, H, problem: Problem) -> Smoother:
    """Smooth; `transitions` are (A_n, b_n, Q_n), `H` is (L, D)."""
    with mpmath.workdps(DIGITS):
        D = problem.D
        state, spread = mpmath.zeros(D, 1), FLAT * mpmath.eye(D)
        filtered, predicted = [], []
        for n in range(problem.N + 1):
            if n:
                transition, drift, noise = (
                    mpmath.matrix(np.atleast_2d(part).tolist()) for part in transitions[n - 1]
                )
                state = transition * state + drift.T
                spread = transition * spread * transition.T + noise
                predicted.append((state, spread, transition))
            for l in np.flatnonzero(problem.rm[n]):
                row = mpmath.matrix([H[l].tolist()])
                total = (row * spread * row.T)[0] + 1 / mpmath.mpf(problem.rm[n, l])
                gain = spread * row.T / total
                state = state + gain * (mpmath.mpf(problem.y[n, l]) - (row * state)[0])
                spread = spread - gain * row * spread
            filtered.append((state, spread))
        means, covariances = [state], [spread]
        for (state, spread), (ahead, wide, transition) in zip(
            filtered[-2::-1], predicted[::-1], strict=True
        ):
            gain = spread * transition.T * wide**-1
            means.append(state + gain * (means[-1] - ahead))
            covariances.append(spread + gain * (covariances[-1] - wide) * gain.T)
        return Smoother(
            np.array([[float(v) for v in mean] for mean in means[::-1]]),
            np.array([np.array(c.tolist(), dtype=float) for c in covariances[::-1]]),
        )


def expressions(states, forcing):
    return {
        s: sp.Add(*(float(A[a, i]) * x for i, x in enumerate(states))) + float(B[a]) * forcing
        for a, s in enumerate(states)
    }


@cache
def linear(scheme: str) -> tuple[Case, Problem]:
    """D = 3, L = 2 (the second channel a combination of states), gaps, forcing, N = 11."""
    x = sd.states("x y z", start=(-1.0, 1.0))
    u = sd.forcing("u")
    discrete = scheme == "map"
    equations = expressions(x, u)
    if not discrete:
        # a damped oscillation: the map's matrix minus one, as rates
        equations = {s: 2 * (e - s) for s, e in equations.items()}
    model = sd.Model(equations, name="linear gaussian", discrete=discrete)
    case = make_case(model, [x[0], x[1] - 0.5 * x[2]], scheme)
    rng = np.random.default_rng(11)
    h = np.ones(11) if discrete else rng.uniform(0.1, 0.6, size=11)
    times = np.concatenate([[0.0], np.cumsum(h)])
    data = rng.normal(size=(12, 2))
    data[[0, 3, 4, 7], 0] = np.nan
    data[[4, 5, 11], 1] = np.nan
    forcing = {"u": (times, rng.normal(size=12))}
    return case, case.problem(times, data, variance=1.0 / RM, forcing=forcing)


def transitions(scheme: str, problem: Problem, rf: np.ndarray):
    """(A_n, b_n, Q_n) of each step, worked out by hand from the scheme's formula."""
    one = np.eye(3)
    F, g = 2.0 * (A - one), 2.0 * B
    for n, (h, u) in enumerate(zip(problem.h, problem.u[:, :, 0], strict=True)):
        Q = np.diag(1.0 / (rf * problem.weight[n]))
        if scheme == "map":
            yield A, B * u[0], Q
        elif scheme == "euler":
            yield one + h * F, h * g * u[0], Q
        else:
            # the residual is x' - x - h F (x + x')/2 - h g u(t + h/2)
            back = np.linalg.inv(one - h / 2 * F)
            yield back @ (one + h / 2 * F), back @ (h * g * u[0]), back @ Q @ back.T


H = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -0.5]])
SCHEMES = ("map", "euler", "midpoint")
RATIOS = (1e-2, 1.0, 1e3, 1e6)


@cache
def oracle(scheme: str, ratio: float) -> Smoother:
    problem = linear(scheme)[1]
    return rauch_tung_striebel(list(transitions(scheme, problem, precision(ratio))), H, problem)


def precision(ratio: float) -> np.ndarray:
    """Rf of each state, unequal."""
    return ratio * RM * np.array([1.0, 0.5, 2.0])


@pytest.mark.parametrize("formulation", ["direct", "lifted"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_minimiser_is_the_smoother_on_every_rung(scheme, formulation):
    """From a random start up the ladder, each rung from the end point of the one below."""
    case, problem = linear(scheme)
    solver = Ipopt(formulation).at(case.virtual, problem)
    path = np.random.default_rng(0).normal(size=(problem.M, 3))
    for ratio in RATIOS:
        end = solver.minimise(path, np.zeros(0), precision(ratio))
        expected = oracle(scheme, ratio).mean
        assert end.status == "converged"
        assert np.abs(end.path - expected).max() < 1e-9 * np.abs(expected).max(), ratio
        path = end.path


@pytest.mark.parametrize("formulation", ["direct", "lifted"])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_minimiser_is_the_smoother_from_a_random_start(scheme, ratio, formulation):
    case, problem = linear(scheme)
    expected = oracle(scheme, ratio).mean
    solver = Ipopt(formulation).at(case.virtual, problem)
    start = np.random.default_rng(0).normal(size=(problem.M, 3))
    end = solver.minimise(start, np.zeros(0), precision(ratio))
    assert end.status == "converged"
    # the one Newton step from residuals of size 1 rounds at eps Rf / Rm, unless they are unknowns
    tolerance = 3e-8 if formulation == "direct" and ratio == 1e6 else 1e-9
    assert np.abs(end.path - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_inverse_hessian_is_the_smoothers_covariance(scheme, ratio):
    case, problem = linear(scheme)
    expected = oracle(scheme, ratio)
    hessian = case.virtual.at(problem).hessian(expected.mean, np.zeros(0), precision(ratio))
    inverse = np.linalg.inv(hessian.toarray())
    blocks = np.stack([inverse[i : i + 3, i : i + 3] for i in range(0, 3 * problem.M, 3)])
    distance = np.linalg.norm(blocks - expected.covariance, axis=(1, 2))
    # inverting loses as many digits as the condition number has
    tolerance = 1e-9 if ratio <= 1e3 else 1e-7
    assert (distance < tolerance * np.linalg.norm(expected.covariance, axis=(1, 2))).all()


def test_compiled_kernels_find_the_smoother():
    case, problem = linear("map")
    rf = precision(1e3)
    for formulation in ("direct", "lifted"):
        solver = Ipopt(formulation).at(case.compiled, problem)
        end = solver.minimise(np.zeros((problem.M, 3)), np.zeros(0), rf)
        expected = oracle("map", 1e3).mean
        assert np.abs(end.path - expected).max() < 1e-9 * np.abs(expected).max()


def test_one_step_one_state_one_observation():
    """With one datum the smoother goes through it and follows the model: no error is left."""
    x = sd.state("x", start=(-1.0, 1.0))
    case = make_case(sd.Model({x: 0.5 * x}, name="half", discrete=True), [x])
    problem = case.problem([0.0, 1.0], [np.nan, 3.0], variance=0.25)
    rf = np.array([7.0])
    expected = rauch_tung_striebel([([[0.5]], [0.0], [[1.0 / 7.0]])], np.ones((1, 1)), problem)
    np.testing.assert_allclose(expected.mean[:, 0], [6.0, 3.0], rtol=1e-14)
    np.testing.assert_allclose(expected.covariance[:, 0, 0], [4 * (0.25 + 1 / 7), 0.25], rtol=1e-14)
    for formulation in ("direct", "lifted"):
        solver = Ipopt(formulation).at(case.virtual, problem)
        end = solver.minimise(np.zeros((2, 1)), np.zeros(0), rf)
        np.testing.assert_allclose(end.path, expected.mean, rtol=1e-9)
        assert end.action < 1e-15


def test_the_oracle_is_least_squares():
    """The oracle's own test: a dense least-squares fit of all residuals and data at once."""
    problem = linear("euler")[1]
    rf = precision(1.0)
    steps = list(transitions("euler", problem, rf))
    rows, right = [], []
    for n, (transition, drift, noise) in enumerate(steps):
        block = np.zeros((3, 3 * problem.M))
        block[:, 3 * n : 3 * n + 3], block[:, 3 * n + 3 : 3 * n + 6] = -transition, np.eye(3)
        weight = 1.0 / np.sqrt(np.diag(noise))
        rows.append(weight[:, None] * block)
        right.append(weight * drift)
    for n, l in np.argwhere(problem.rm > 0.0):
        row = np.zeros((1, 3 * problem.M))
        row[0, 3 * n : 3 * n + 3] = H[l]
        rows.append(np.sqrt(problem.rm[n, l]) * row)
        right.append(np.sqrt(problem.rm[n, l]) * problem.y[n, l : l + 1])
    fit = np.linalg.lstsq(np.vstack(rows), np.concatenate(right), rcond=None)[0]
    expected = oracle("euler", 1.0)
    np.testing.assert_allclose(expected.mean.reshape(-1), fit, atol=1e-12)
