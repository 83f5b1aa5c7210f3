"""Kernels of a library of terms, the path and coefficients together, and the search for terms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.build.serial import serial
from symda.build.terms import NumpyTerms, TermKernels, term_kernels, terms_source
from symda.derive.terms import term_functions
from symda.learn.joint import Joint, Profile
from symda.learn.points import make_points
from symda.learn.series import Series
from symda.learn.support import Prices

KINDS = ("compiled", "numpy")


def of_kind(kind: str, library: sd.learn.Library) -> TermKernels:
    if kind == "compiled":
        return term_kernels(library)
    return NumpyTerms(serial(term_functions(library)), len(library.states), len(library.terms))


@pytest.fixture(scope="module")
def mixed() -> sd.learn.Library:
    """Two states, a known part, a term that is no polynomial, and not all terms in each rate."""
    x, y = sd.states("x y")
    terms = [x, sp.sin(y)]
    return sd.learn.library([x, y], 2, [sp.sin(y)], known={y: -x}, only={x: terms}, name="mixed")


@pytest.fixture(scope="module")
def numbers(mixed: sd.learn.Library) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    M, D, T = 9, 2, len(mixed.terms)
    h = np.full(M, 0.1)
    h[[4, M - 1]] = 0.0  # two recordings
    free = np.array([[c is not None for c in row] for row in mixed.coefficients])
    C = np.where(free, rng.normal(size=(D, T)), 0.0)
    return {"X": rng.normal(size=(M, D)), "C": C, "h": h, "free": free}


def rate(library: sd.learn.Library, C: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The library's rates by SymPy."""
    rows = zip(library.known, C.tolist(), strict=True)
    F = [known + sum(c * e for c, e in zip(row, library.terms, strict=True)) for known, row in rows]
    return np.array(sp.lambdify([list(library.states)], F)(x), dtype=float)


def runge_kutta(library: sd.learn.Library, C: np.ndarray, x: np.ndarray, h: float) -> np.ndarray:
    k1 = rate(library, C, x)
    k2 = rate(library, C, x + h / 2 * k1)
    k3 = rate(library, C, x + h / 2 * k2)
    k4 = rate(library, C, x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@pytest.mark.parametrize("kind", KINDS)
def test_residuals_and_derivatives_are_those_of_the_classic_method(
    kind: str, mixed: sd.learn.Library, numbers: dict[str, np.ndarray]
) -> None:
    kernels, (X, C, h, free) = of_kind(kind, mixed), numbers.values()
    r = kernels.residuals(X, C, h)
    A, B = kernels.linearise(X, C, h, free)
    rows, columns = np.nonzero(free)
    for m in range(len(X)):
        if h[m] == 0.0:
            assert not r[m].any() and not A[m].any() and not B[m].any()
            continue
        step = runge_kutta(mixed, C, X[m], h[m])
        assert r[m] == pytest.approx(X[m + 1] - step, abs=1e-13)
        assert B[m, :, -1] == pytest.approx(-r[m], abs=1e-13)
        for d in range(2):
            ahead, behind = X[m].copy(), X[m].copy()
            ahead[d] += 1e-5
            behind[d] -= 1e-5
            slope = runge_kutta(mixed, C, ahead, h[m]) - runge_kutta(mixed, C, behind, h[m])
            assert A[m, :, d] == pytest.approx(slope / 2e-5, abs=1e-8)
        for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
            ahead, behind = C.copy(), C.copy()
            ahead[i, j] += 1e-5
            behind[i, j] -= 1e-5
            slope = runge_kutta(mixed, ahead, X[m], h[m]) - runge_kutta(mixed, behind, X[m], h[m])
            assert B[m, :, k] == pytest.approx(slope / 2e-5, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_elimination_is_that_of_the_dense_matrix(
    kind: str, mixed: sd.learn.Library, numbers: dict[str, np.ndarray]
) -> None:
    kernels, (X, C, h, free) = of_kind(kind, mixed), numbers.values()
    rng = np.random.default_rng(4)
    W, g = np.array([3.0, 0.5]), rng.normal(size=X.shape)
    d = rng.uniform(0.5, 2.0, size=X.shape)
    A, B = kernels.linearise(X, C, h, free)
    M, D = X.shape
    J = np.zeros((M, D, M * D + B.shape[2]))
    for m in np.flatnonzero(h):
        J[m, :, m * D : (m + 1) * D] = -A[m]
        J[m, :, (m + 1) * D : (m + 2) * D] = np.eye(D)
        J[m, :, M * D :] = -B[m]
    flat = J.reshape(M * D, -1)
    H = flat.T @ (np.tile(W, M)[:, None] * flat)
    H[range(M * D), range(M * D)] += d.ravel()
    H[: M * D, -1] += g.ravel()
    path, border = H[: M * D, : M * D], H[: M * D, M * D :]
    found = kernels.eliminate(h, A, B, W, g, d)
    assert found is not None
    expected = border.T @ np.linalg.solve(path, border)
    assert found.lost == pytest.approx(expected, rel=1e-9, abs=1e-11)
    change = rng.normal(size=B.shape[2] - 1)
    back = -np.linalg.solve(path, border[:, -1] + border[:, :-1] @ change)
    assert found.back(change).ravel() == pytest.approx(back, rel=1e-9, abs=1e-11)
    assert kernels.eliminate(h, A, B, W, g, d - 1e3) is None


def test_the_emitted_text_depends_on_the_terms_only(mixed: sd.learn.Library) -> None:
    x, y = mixed.states
    terms = [x, sp.sin(y)]
    same = sd.learn.library([x, y], 2, [sp.sin(y)], known={y: -x}, only={x: terms}, name="mixed")
    assert terms_source(same) == terms_source(mixed)
    assert "sin(y)" in terms_source(mixed).text
    other = sd.learn.library([x, y], 2, name="mixed")
    assert terms_source(other).digest != terms_source(mixed).digest


def linear_recording(seed: int, N: int) -> tuple[sd.learn.Library, Series, np.ndarray, np.ndarray]:
    x, y = sd.states("x y")
    library = sd.learn.library([x, y], 1, constant=False, name="linear")
    true = np.array([[-0.3, 1.0], [-1.0, -0.2]])
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eig(true)
    t = 0.1 * np.arange(N)
    start = np.linalg.solve(vectors, np.array([2.0, 1.0]))
    X = np.real((vectors * start) @ np.exp(np.outer(values, t))).T
    y_ = X + 0.1 * rng.normal(size=X.shape)
    y_[rng.random(y_.shape) < 0.3] = np.nan
    return library, Series("1", t, y_, np.full(y_.shape, 0.01)), true, X


def test_a_linear_system_is_its_exact_maximum_likelihood_estimate() -> None:
    """As Rf grows, the fit is least squares of the exact solution of the step map."""
    from scipy.optimize import least_squares

    library, series, true, X = linear_recording(0, 60)
    points = make_points([series], np.full(2, 0.01), None, "test")
    joint = Joint(term_kernels(library), points, np.full(2, 0.01), np.full((2, 2), 1e6))
    at, free = joint.place(X, true, 1.0), np.ones((2, 2), dtype=bool)
    for b in range(1, 15):
        at = joint.minimise(at, 4.0**b, free, steps=50, tol=1e-13)

    def misfit(unknown: np.ndarray) -> np.ndarray:
        x, A = unknown[:2], unknown[2:].reshape(2, 2)
        B, steps = 0.1 * A, [x]
        step = np.eye(2) + B + B @ B / 2 + B @ B @ B / 6 + B @ B @ B @ B / 24
        for _ in range(59):
            steps.append(step @ steps[-1])
        off = (np.array(steps) - series.values) / 0.1
        return off[np.isfinite(off)]

    exact = least_squares(misfit, [*X[0], *true.ravel()], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert at.C.ravel() == pytest.approx(exact.x[2:], rel=1e-6)
    profile = joint.profile(at, 4.0**14, free)
    assert profile is not None
    covariance = np.linalg.inv(exact.jac.T @ exact.jac)[2:, 2:]
    assert np.linalg.inv(profile.hessian) == pytest.approx(covariance, rel=1e-4, abs=1e-9)


def random_prices(seed: int, p: int, D: int) -> Prices:
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(3 * p, p)) * rng.uniform(0.2, 3.0, size=p)
    free = np.zeros((D, p), dtype=bool)
    free[np.arange(p) % D, np.arange(p)] = True
    cost = rng.uniform(0.0, 3.0, size=free.shape)
    centre = rng.normal(size=p) * (rng.random(p) < 0.5)
    return Prices(Profile(free, centre, J.T @ J), cost)


@pytest.mark.parametrize("seed", range(5))
def test_prices_are_those_of_fits_of_each_support(seed: int) -> None:
    prices = random_prices(seed, 7, 2)
    F, t = prices.profile.hessian, prices.profile.centre
    cost = prices.cost[prices.profile.free]
    for support in product([False, True], repeat=7):
        S = np.array(support)
        theta = np.zeros(7)
        if S.any():
            theta[S] = np.linalg.solve(F[np.ix_(S, S)], (F @ t)[S])
        q = 0.5 * (theta - t) @ F @ (theta - t) - 0.5 * t @ F @ t
        size = np.linalg.slogdet(F[np.ix_(S, S)])[1] if S.any() else 0.0
        assert prices.price(S) == pytest.approx(q + 0.5 * size + cost[S].sum(), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_support_of_one_state_is_the_best_of_all(seed: int) -> None:
    prices = random_prices(seed, 7, 1)
    every = [np.array(one) for one in product([False, True], repeat=7)]
    lowest = min(prices.price(one) for one in every)
    assert prices.price(prices.best(np.ones(7, dtype=bool))) == pytest.approx(lowest, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_single_changes_are_priced_as_supports_are(seed: int) -> None:
    prices = random_prices(seed, 13, 1)  # more than are priced exhaustively
    support = np.random.default_rng(seed).random(13) < 0.5
    now = prices.price(support)
    for k, price in enumerate(prices._changed(support)):
        other = support.copy()
        other[k] = not other[k]
        assert price == pytest.approx(prices.price(other) - now, abs=1e-8)
    found = prices.best(support)
    assert prices.price(found) <= now
    assert (prices._changed(found) > -1e-5).all()


@pytest.mark.parametrize("seed", range(3))
def test_supports_without_a_coefficient_are_the_best_of_those(seed: int) -> None:
    prices = random_prices(seed, 7, 1)
    support = prices.best(np.ones(7, dtype=bool))
    every = [np.array(one) for one in product([False, True], repeat=7)]
    found = list(prices.instead(support))
    assert len(found) == support.sum()
    for k, other in zip(np.flatnonzero(support), found, strict=True):
        lowest = min(prices.price(one) for one in every if not one[k])
        assert not other[k] and prices.price(other) == pytest.approx(lowest, abs=1e-9)
