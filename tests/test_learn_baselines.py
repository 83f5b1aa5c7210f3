"""Sparse regression and its weak form, against PySINDy, published numbers and other units."""

from __future__ import annotations

import learning
import numpy as np
import pytest
from scipy.integrate import odeint
from sympy import log

import symda as sd
from symda.learn import SparseRegression, WeakSparseRegression
from symda.learn.measures import forecast_errors
from symda.types import FloatArray

TIMES = 0.02 * np.arange(400)
#: No solution of an equation in the library, so that every coefficient depends on the method.
CURVES = np.column_stack(
    [
        np.sin(2 * TIMES) + 0.3 * np.cos(5 * TIMES),
        np.cos(2 * TIMES) - 0.2 * np.sin(3 * TIMES),
    ]
)
#: PySINDy 2.1 with STLSQ(alpha=0, normalize_columns=True) and
#: FiniteDifference(order=2, drop_endpoints=True): terms 1, x, y, x^2, x y, y^2.
DENSE = [
    [-0.889790892, 0.101997602, 1.918366624, 0.627859114, -0.175846261, 1.001769676],
    [-0.184096746, -1.78417885, -0.077051021, 0.181958183, -0.316526903, 0.18302173],
]
SPARSE = [
    [-0.87751026, 0.0, 1.90165863, 0.643840702, 0.0, 0.990496718],
    [0.0, -1.787163248, 0.0, 0.0, 0.0, 0.0],
]


def e1(method: sd.learn.SparseRegression) -> float:
    return forecast_errors(method, [learning.clean(99)], learning.H, (1,))[0][1]


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, DENSE), (0.1, SPARSE)])
def test_coefficients_are_those_that_pysindy_finds(threshold: float, expected: object) -> None:
    found = SparseRegression(threshold=threshold).fit(CURVES, 0.02)
    np.testing.assert_allclose(found.coefficients, expected, atol=2e-9)
    assert np.count_nonzero(found.coefficients) == np.count_nonzero(expected)


def test_coefficients_are_those_of_pysindy_itself() -> None:
    ps = pytest.importorskip("pysindy")
    terms = ps.PolynomialLibrary(degree=2)
    differences = ps.FiniteDifference(order=2, drop_endpoints=True)
    data = learning.noisy(3, 4.0, 1000)
    mine = SparseRegression(threshold=0.12).fit(data, learning.H)
    A = np.asarray(terms.fit_transform(data))[1:-1]
    B = np.gradient(data, learning.H, axis=0)[1:-1]
    for i in range(3):
        whole = np.linalg.norm(A @ np.linalg.lstsq(A, B[:, i])[0])
        other = ps.SINDy(
            optimizer=ps.STLSQ(threshold=0.12 * whole, alpha=0.0, normalize_columns=True),
            feature_library=terms,
            differentiation_method=differences,
        ).fit(data, t=learning.H)
        theirs = other.coefficients()[i]
        np.testing.assert_allclose(mine.coefficients[i], theirs, atol=1e-7 * abs(theirs).max())


@pytest.mark.parametrize(
    ("variance", "differences", "smoothed", "weak"),
    [(0.5, 0.027, 0.040, 0.0033), (8.0, 0.128, 0.050, 0.041), (64.0, 0.392, 0.118, 0.207)],
)
def test_errors_are_those_of_the_study(
    variance: float, differences: float, smoothed: float, weak: float
) -> None:
    """Reference values of the first of the papers' benchmarks, medians over a few seeds."""
    for expected, make, margin in (
        (differences, SparseRegression, 1.2),
        (smoothed, lambda: SparseRegression(smooth=20), 1.2),
        (weak, WeakSparseRegression, 1.6),
    ):
        found = [e1(make().fit(learning.noisy(seed, variance), learning.H)) for seed in range(5)]
        assert expected / margin < np.median(found) < expected * margin


@pytest.mark.parametrize("make", [SparseRegression, WeakSparseRegression])
def test_the_true_terms_come_out_of_clean_data(make: type[SparseRegression]) -> None:
    found = make().fit([learning.clean(1, 1500), learning.clean(2, 1500)], learning.H)
    expected = np.zeros((3, 10))
    expected[0, [1, 2]] = -10, 10
    expected[1, [1, 2, 6]] = 28, -1, -1
    expected[2, [3, 5]] = -8 / 3, 1
    exact = make is WeakSparseRegression
    np.testing.assert_allclose(found.coefficients, expected, atol=2e-4 if exact else 0.3)
    assert np.count_nonzero(found.coefficients) == 7
    assert [str(one) for one in found.candidates.terms[:4]] == ["1", "x0", "x1", "x2"]
    score = sd.learn.score(
        found, learning.clean(3, 500), learning.H, truth=learning.truth(), exponent=0.9, steps=50
    )
    assert score.exact


def test_a_term_that_counts_for_little_needs_a_small_threshold() -> None:
    """Roessler's system: 0.2 is a fortieth of the RMS of the third rate."""

    def rates(x: FloatArray, t: float) -> list[float]:
        return [-x[1] - x[2], x[0] + 0.2 * x[1], 0.2 + x[2] * (x[0] - 5.7)]

    data = odeint(rates, [-6.0, 5.0, 0.0], 0.05 * np.arange(2000), rtol=1e-10, atol=1e-10)
    found = WeakSparseRegression(threshold=0.02).fit(data, 0.05).coefficients
    expected = np.zeros((3, 10))
    expected[0, [2, 3]] = -1, -1
    expected[1, [1, 2]] = 1, 0.2
    expected[2, [0, 3, 6]] = 0.2, -5.7, 1
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.count_nonzero(found) == 7
    assert WeakSparseRegression(threshold=0.1).fit(data, 0.05).coefficients[2, 0] == 0.0


@pytest.mark.parametrize(
    "method",
    [SparseRegression(), SparseRegression(smooth=12), WeakSparseRegression(half_width=12)],
    ids=lambda one: f"{one.name}-{one.smooth}",
)
def test_units_do_not_matter(method: SparseRegression) -> None:
    data = learning.noisy(5, 2.0, 1200)
    first = method.fit(data, learning.H).coefficients
    size, time = np.array([1e-6, 40.0, 3e5]), 86400.0
    second = method.fit(data * size, learning.H * time).coefficients
    i, j = np.triu_indices(3)
    terms = np.concatenate([[1.0], size, size[i] * size[j]])
    np.testing.assert_allclose(second * time * terms / size[:, None], first, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", [SparseRegression(), WeakSparseRegression()])
def test_uneven_times(method: SparseRegression) -> None:
    """A linear system, whose solution is exact; steps that differ by up to a factor of three."""
    times = np.cumsum(np.random.default_rng(0).uniform(0.005, 0.015, 800))
    data = np.exp(-0.1 * times)[:, None] * np.column_stack([np.cos(2 * times), np.sin(2 * times)])
    method.set_params(degree=1, threshold=0.02)
    found = method.fit(data, times).coefficients
    np.testing.assert_allclose(found, [[0, -0.1, -2], [0, 2, -0.1]], atol=2e-3)


def test_gaps_are_linear_and_ends_without_values_are_left_out() -> None:
    data = learning.clean(4, 600)[::2].copy()
    data[:5, 0] = data[290:, 2] = data[100:110] = np.nan
    by_hand = data[5:290].copy()
    by_hand[95:105] = np.linspace(data[99], data[110], 12)[1:-1]
    found = SparseRegression(smooth=4).fit(data, 0.02).coefficients
    np.testing.assert_allclose(
        found, SparseRegression(smooth=4).fit(by_hand, 0.02).coefficients, rtol=1e-9, atol=1e-12
    )


def test_what_is_known_is_not_learned() -> None:
    x, y, z = sd.states("x y z")
    terms = sd.learn.library(
        [z, x, y], 2, known={x: 10 * (y - x)}, only={x: [], z: [x * y, z]}, name="part"
    )
    observed = sd.Observations(
        learning.H * np.arange(2000),
        learning.noisy(6, 0.01, 2000),
        variance=0.01,
        channels=["x", "y", "z"],
    )
    found = WeakSparseRegression(library=terms).fit(observed)
    assert found.model.states == (z, x, y)
    assert found.model.equations[1].expand() == 10 * y - 10 * x
    by_state = dict(zip(found.candidates.states, found.coefficients, strict=True))
    coefficients = dict(zip(found.candidates.terms, by_state[z], strict=True))
    assert coefficients[x * y] == pytest.approx(1.0, abs=0.01)
    assert coefficients[z] == pytest.approx(-8 / 3, abs=0.02)
    assert np.count_nonzero(by_state[z]) == 2 and not by_state[x].any()


DATA = learning.clean(0, 100)


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        (SparseRegression(), DATA[:9], "the data give 7 equations for 10 candidate terms"),
        (SparseRegression(smooth=99), DATA, "has 100 times; 101 are needed to smooth by 99"),
        (SparseRegression(threshold=-1), DATA, "threshold must be a non-negative number"),
        (SparseRegression(smooth=2.5), DATA, "smooth must be a whole number"),
        (SparseRegression(degree=-1), DATA, "degree must be a whole number"),
        (SparseRegression(library="quadratic"), DATA, "must be one of symda.learn.library"),
        (SparseRegression(), DATA * [1, 1, np.nan], "x2 is never measured in recording 1"),
        (
            SparseRegression(),
            np.where(np.arange(100)[:, None] < [40, 100, 100], DATA, DATA * np.nan)[38:],
            "recording 1 has 2 times at which every state is measured",
        ),
        (
            SparseRegression(library=sd.learn.library(sd.states("a b"), 1)),
            DATA,
            "has the states a, b, the data have columns x0, x1, x2",
        ),
        (WeakSparseRegression(half_width=60), DATA, "has 100 times; a window has 121"),
        (WeakSparseRegression(half_width=1), DATA, "half_width must be a whole number"),
    ],
)
def test_bad_input(method: SparseRegression, data: FloatArray, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        method.fit(data, learning.H)


def test_dependent_terms_are_named() -> None:
    a, b, c = sd.states("a b c")

    twice = np.column_stack([DATA[:, 0], DATA[:, 1], 2.0 * DATA[:, 0]])
    with pytest.raises(sd.DataError, match=r"the terms a, c depend on each other"):
        SparseRegression(library=sd.learn.library([a, b, c], 1)).fit(twice, learning.H)
    with pytest.raises(sd.DataError, match=r"the term log\(a\) has no value at some of the data"):
        SparseRegression(library=sd.learn.library([a, b, c], 1, [log(a)])).fit(DATA, learning.H)


def test_nothing_is_predicted_before_it_was_fitted() -> None:
    with pytest.raises(sd.SolveError, match="call fit"):
        SparseRegression().predict(np.zeros(3), [0.0, 0.1])
    with pytest.raises(sd.SolveError, match="call fit"):
        sd.learn.score(SparseRegression(), DATA, learning.H)
