"""Rate functions with a removable singularity."""

import casadi as ca
import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symda.declare import exprel, parameters, state
from symda.derive.rates import safe_rates
from symda.derive.translate import to_casadi

V = state("V")
V1, DV, K = parameters("V1 dV k")
ALPHA_M = sp.Rational(1, 10) * (V + 40) / (1 - sp.exp(-(V + 40) / 10))
ALPHA_N = 0.01 * (V + 55) / (1 - sp.exp(-0.1 * (V + 55)))


def three(expression, **values: float):
    x = ca.SX.sym("x")
    symbols = {V: x} | {s: ca.SX(values[s.name]) for s in (V1, DV, K) if s.name in values}
    (f,) = to_casadi([expression], symbols)
    hessian, gradient = ca.hessian(f, x)
    return ca.Function("f", [x], [f, gradient, hessian])


def exprel_derivative(order: int, x: float) -> mpmath.mpf:
    """Integrate s**order exp(x s) over (0, 1), which is that derivative of exprel."""
    with mpmath.workdps(50):
        x = mpmath.mpf(x)
        if abs(x) < 30:
            terms = (x**k / (mpmath.factorial(k) * (k + order + 1)) for k in range(200))
            return mpmath.fsum(terms)
        e = mpmath.exp(x)
        first = (e - 1) / x
        second = (e - first) / x
        return [first, second, (e - 2 * second) / x][order]


@pytest.mark.parametrize(
    "x", [0.0, 1e-300, 1e-7, 1e-3, 0.5, 0.999999, 1.0, 20.0, 29.0, 31.0, 700.0]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_exprel_and_its_derivatives(x: float, sign: int) -> None:
    for order, out in enumerate(three(exprel(V))(sign * x)):
        assert float(out) == pytest.approx(float(exprel_derivative(order, sign * x)), rel=1e-13)


@pytest.mark.parametrize("x", [0.0, 1e-300, 1e-7, -1e-3, 0.5, -0.999999, 1.0, 2.5, -20.0])
def test_sinc_and_its_derivatives(x: float) -> None:
    with mpmath.workdps(50):
        # The integral of cos(x s) over (0, 1), differentiated under the integral.
        integrands = [
            lambda s: mpmath.cos(x * s),
            lambda s: -s * mpmath.sin(x * s),
            lambda s: -s * s * mpmath.cos(x * s),
        ]
        expected = [float(mpmath.quad(f, mpmath.linspace(0, 1, 9))) for f in integrands]
    got = [float(out) for out in three(sp.sinc(V))(x)]
    assert got == pytest.approx(expected, rel=1e-13, abs=1e-301)


@pytest.mark.parametrize(
    ("rate", "pole", "expected"),
    [
        # Near its pole x/(1 - exp(-x)) = 1 + x/2 + x**2/12, with x = (V - pole)/10.
        (ALPHA_M, -40.0, [1.0, 0.05, 1 / 600]),
        (ALPHA_N, -55.0, [0.1, 0.005, 1 / 6000]),
        (V / (1 - sp.exp(-V)), 0.0, [1.0, 0.5, 1 / 6]),
        ((25 - V) / (10 * (sp.exp((25 - V) / 10) - 1)), 25.0, [1.0, 0.05, 1 / 600]),
        (0.018 * (V - 35.0) / (1 - sp.exp(-(V - 35.0) / 9.0)), 35.0, [0.162, 0.009, 0.018 / 54]),
    ],
    ids=str,
)
def test_rates_at_the_removable_singularity(rate, pole: float, expected) -> None:
    f = three(rate)
    assert [float(out) for out in f(pole)] == pytest.approx(expected, rel=1e-13)
    for offset in (1e-7, -1e-7):
        assert [float(out) for out in f(pole + offset)] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("rate", [ALPHA_M, ALPHA_N], ids=["alpha_m", "alpha_n"])
@pytest.mark.parametrize("v", [-120.0, -65.0, -40.5, 0.0, 50.0, 400.0])
def test_rates_away_from_it(rate, v: float) -> None:
    derivatives = [rate, sp.diff(rate, V), sp.diff(rate, V, 2)]
    # As exact numbers, so that the reference does not depend on how decimals round.
    expected = [float(sp.nsimplify(d, rational=True).subs(V, v).evalf(40)) for d in derivatives]
    assert [float(out) for out in three(rate)(v)] == pytest.approx(expected, rel=1e-10)


def test_parameters_may_appear() -> None:
    f = three((V - V1) / (1 - sp.exp(-(V - V1) / DV)), V1=-40.0, dV=10.0)
    assert [float(out) for out in f(-40.0)] == pytest.approx([10.0, 0.5, 1 / 60], rel=1e-14)


@pytest.mark.parametrize(
    ("written", "safe"),
    [
        ((V - V1) / (1 - sp.exp(-(V - V1) / DV)), DV / exprel(-(V - V1) / DV)),
        (V / (sp.exp(V) - 1), 1 / exprel(V)),
        (V * K / (sp.exp(2 * V) - 1), K / (2 * exprel(2 * V))),
        (V / (K - K * sp.exp(-V)), 1 / (K * exprel(-V))),
        ((sp.exp(V) - 1) / V, exprel(V)),
        ((1 - sp.exp(-K * V)) / K, V * exprel(-K * V)),
        (V**2 / (sp.exp(V) - 1) ** 2, exprel(V) ** -2),
        (V**2 / (sp.exp(V) - 1), V / exprel(V)),
        ((sp.exp(V1) - 1) * V / (V1 * (sp.exp(V) - 1)), exprel(V1) / exprel(V)),
        (sp.sin(3 + V / (sp.exp(V) - 1)), sp.sin(3 + 1 / exprel(V))),
    ],
    ids=str,
)
def test_recognised(written, safe) -> None:
    assert sp.simplify(safe_rates(written) - safe) == 0
    assert not (safe_rates(written) - safe).has(sp.exp)


@pytest.mark.parametrize(
    "expression",
    [
        V / (1 + sp.exp(V)),
        V / (sp.exp(V) - 2),
        (V + 1) / (sp.exp(V) - 1),
        (V + 40) / (1 - sp.exp(-(V + 41) / 10)),
        V * V1 / (sp.exp(V1 + V) - 1),
        V / (sp.exp(V**2) - 1),
        (sp.exp(V) - 1) * V,
        1 / (V * (sp.exp(V) - 1)),
        1 / (sp.exp(V) - 1),
        sp.exp(V) / V,
        sp.exp(-V) + V**2,
        V,
        sp.Integer(1),
    ],
    ids=str,
)
def test_nothing_else_is_touched(expression) -> None:
    assert safe_rates(expression) is expression


QUARTERS = st.integers(-40, 40).map(lambda n: sp.Rational(n, 4))
SLOPES = QUARTERS.filter(bool)


@given(SLOPES, QUARTERS, SLOPES, SLOPES, st.booleans(), st.integers(-999, 999))
def test_values_are_kept(slope, offset, factor, scale, decimals: bool, at: int) -> None:
    if decimals:
        slope, offset = sp.Float(float(slope) / 7), sp.Float(float(offset) / 3)
    u = slope * V + offset
    written = factor * u / (scale * (sp.exp(u) - 1))
    safe = safe_rates(written)
    assert safe.has(exprel)
    point = sp.Rational(at, 101)
    expected, got = (e.subs(V, point).evalf(30) for e in (written, safe))
    if abs(u.subs(V, point)) > 1e-6:
        assert abs(got / expected - 1) < 1e-8
