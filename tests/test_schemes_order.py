"""Observed order of every scheme, from the residual that the machine squares."""

from __future__ import annotations

import numpy as np
import pytest
from models import ODE_SCHEMES, OWN_SCHEMES

from symda.discretise import step_residual

# x' = -x y + cos(2t), y' = x^2 / 2 - y^3 + forcing, with the forcing that makes this the solution:
END = 1.5


def solution(t):
    return np.array([1.0 + 0.5 * np.sin(2.0 * t), np.exp(-0.5 * t) + 0.3 * t])


def derivative(t):
    return np.array([np.cos(2.0 * t), -0.5 * np.exp(-0.5 * t) + 0.3])


def field(z, t):
    x, y = z
    X, Y = solution(t)
    forcing = derivative(t) - np.array([-X * Y, X**2 / 2 - Y**3])
    return np.array([-x * y, x**2 / 2 - y**3]) + forcing


def advance(scheme, z, t, h):
    """Solve the residual of one step for everything but x_n by Newton's method, exactly enough.

    A numerical Jacobian is good enough: only the residual decides where it ends.
    """
    points = 1 + len(scheme.interior)

    def residual(unknowns):
        window = [z, *unknowns.reshape(points, 2)]

        def slope(i, argument):
            return field(np.asarray(argument), t + float(scheme.c[i]) * h)

        return np.array(step_residual(scheme, slope, window, h, float))

    unknowns = np.tile(z, points)
    for _ in range(30):
        r = residual(unknowns)
        steps = 1e-7 * np.eye(unknowns.size)
        J = np.stack([(residual(unknowns + d) - r) / 1e-7 for d in steps], axis=1)
        change = np.linalg.solve(J, r)
        unknowns = unknowns - change
        if np.abs(change).max() < 1e-14:
            break
    assert np.abs(residual(unknowns)).max() < 1e-14
    return unknowns[-2:], unknowns[:-2].reshape(-1, 2)


def error(scheme, N):
    h = END / N
    z = solution(0.0)
    worst = 0.0
    for n in range(N):
        z, interior = advance(scheme, z, n * h, h)
        worst = max(worst, np.abs(z - solution((n + 1) * h)).max())
        for c, m in zip(scheme.interior_abscissae, interior, strict=True):
            # interior points converge at the scheme's order, too
            worst = max(worst, np.abs(m - solution((n + c) * h)).max())
    return worst


@pytest.mark.parametrize("scheme", (*ODE_SCHEMES, *OWN_SCHEMES), ids=lambda scheme: scheme.name)
def test_observed_order(scheme):
    steps = np.array([16, 24, 36, 54] if scheme.order > 2 else [40, 60, 90, 135])
    errors = np.array([error(scheme, N) for N in steps])
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    # far above rounding, so that the slope means something
    assert errors.min() > 1e-11
    assert abs(slope - scheme.order) < 0.15


def test_the_exact_solution_solves_the_equation():
    for t in (0.0, 0.4, 1.3):
        centred = (solution(t + 1e-6) - solution(t - 1e-6)) / 2e-6
        np.testing.assert_allclose(field(solution(t), t), centred, atol=1e-9)
