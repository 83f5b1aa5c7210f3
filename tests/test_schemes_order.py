"""Observed order of every scheme, from the residual that the machine squares."""

from __future__ import annotations

import numpy as np
import pytest
from models import EVERY, OWN_SCHEMES, SEPARABLE
from scipy.integrate import solve_ivp

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
    nodes, points = 0.0, 0.0
    for n in range(N):
        z, interior = advance(scheme, z, n * h, h)
        nodes = max(nodes, np.abs(z - solution((n + 1) * h)).max())
        for c, m in zip(scheme.interior_abscissae, interior, strict=True):
            points = max(points, np.abs(m - solution((n + c) * h)).max())
    return nodes, points


#: The map of an explicit scheme of higher order is observed in test_integrators_maps.py, on systems
#: that show it; that the residual is x[n+1] less that map, in test_schemes.py.
OBSERVED = [s for s in (*EVERY, *OWN_SCHEMES) if s.order <= 4 or not s.explicit]


@pytest.mark.parametrize("scheme", OBSERVED, ids=lambda scheme: scheme.name)
def test_observed_order(scheme):
    steps = np.array({6: [6, 8, 10, 13]}.get(scheme.order, [16, 24, 36, 54]))
    steps = steps if scheme.order > 2 else np.array([40, 60, 90, 135])
    errors, interior = np.array([error(scheme, N) for N in steps]).T
    # far above rounding, so that the slope means something
    assert errors.min() > 1e-11
    assert abs(slope_of(steps, errors) - scheme.order) < 0.15
    if scheme.interior:
        assert abs(slope_of(steps, interior) - interior_order(scheme)) < 0.15


def interior_order(scheme):
    """The order of quadrature of interior points, one more than that they are exact to."""
    A, c = np.array(scheme.tableau.A, float), np.array(scheme.c, float)
    exact = 0
    while all(
        abs(A[i] @ c**exact - c[i] ** (exact + 1) / (exact + 1)) < 1e-12 for i in scheme.interior
    ):
        exact += 1
    return min(exact + 1, scheme.order)


def slope_of(steps, errors):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


def velocity(p, t):
    return np.array([p[0] + p[1] / 3, p[1] ** 3 + p[0] / 3 + 0.2 * np.sin(t)])


def force(q, t):
    return np.array([-np.sin(q[0]) - q[0] * q[1], -(q[0] ** 2) / 2 + np.cos(2 * t) - q[1]])


@pytest.mark.parametrize("scheme", SEPARABLE, ids=lambda scheme: scheme.name)
def test_observed_order_in_mechanics(scheme):
    """q' = v(p, t), p' = f(q, t), which is what a separable Hamiltonian gives."""
    start = np.array([0.4, -0.3, 0.2, 0.6])
    exact = solve_ivp(
        lambda t, z: np.concatenate([velocity(z[2:], t), force(z[:2], t)]),
        (0.0, END), start, method="DOP853", rtol=1e-13, atol=1e-14,
    ).y[:, -1]  # fmt: skip

    def end(N):
        h, z = END / N, start
        for n in range(N):

            def slope(i, argument, n=n):
                when = (n + float(scheme.c[i])) * h
                if scheme.parts[i] == "q":
                    return [*velocity(argument[2:], when), 0.0, 0.0]
                return [0.0, 0.0, *force(argument[:2], when)]

            # r = z' - g(z'), in which g is constant for an explicit scheme and contracts for others
            to, off = z, np.inf
            while off > 1e-15:
                r = np.array(step_residual(scheme, slope, [z, to], h, float))
                to, off = to - r, np.abs(r).max()
            z = to
        return z

    steps = np.array([40, 60, 90, 135])
    errors = np.array([np.abs(end(N) - exact).max() for N in steps])
    assert abs(slope_of(steps, errors) - scheme.order) < 0.15


def test_the_exact_solution_solves_the_equation():
    for t in (0.0, 0.4, 1.3):
        centred = (solution(t + 1e-6) - solution(t - 1e-6)) / 2e-6
        np.testing.assert_allclose(field(solution(t), t), centred, atol=1e-9)
