"""Values and derivatives where a formula as written has infinity times zero, but a limit.

The reference is the same SymPy expression, differentiated by SymPy and evaluated by mpmath with 60
digits and unlimited exponents at the same doubles; at a singular point, the limit by hand.
"""

from __future__ import annotations

import math
from functools import cache

import casadi as ca
import mpmath
import pytest
import sympy as sp

from symda.declare import parameter, state
from symda.derive.translate import to_casadi

X, Y = state("x"), state("y")
N, K = parameter("n"), parameter("K", bounds=(0.1, 10.0))
SYMBOLS = (X, Y, N, K)
NAMES = ["value", "d/dx", "d/dn", "d2/dx2", "d2/dxdn", "d2/dn2"]
PAIRS = [(), (X,), (N,), (X, X), (X, N), (N, N)]


@cache
def machine(expression) -> ca.Function:
    """Return value and derivatives by x and n, as a field has them: common parts merged."""
    z = ca.SX.sym("z", 4)
    (f,) = to_casadi(
        [expression], dict(zip(SYMBOLS, ca.vertsplit(z), strict=True)), {K: K.declaration}
    )
    x, n = z[0], z[2]
    (fx, fn) = (ca.gradient(f, s) for s in (x, n))
    outputs = [f, fx, fn, ca.gradient(fx, x), ca.gradient(fx, n), ca.gradient(fn, n)]
    return ca.Function("f", [z], outputs, {"cse": True})


def got(expression, x: float, n: float = 2.5) -> list[float]:
    return [float(out) for out in machine(expression)([x, 0.7, n, 0.5])]


@cache
def reference(expression):
    derivatives = [expression.diff(*by) if by else expression for by in PAIRS]
    return sp.lambdify(SYMBOLS, derivatives, [{"exprel": lambda x: mpmath.expm1(x) / x}, "mpmath"])


def exact(expression, x: float, n: float = 2.5, digits: int = 60) -> list[float]:
    with mpmath.workdps(digits):
        return [float(out) for out in reference(expression)(*map(mpmath.mpf, (x, 0.7, n, 0.5)))]


def agree(expression, left: list[float], right: list[float], rel: float, least: float) -> None:
    """Name the derivative that is wrong."""
    for name, a, b in zip(NAMES, left, right, strict=True):
        assert a == pytest.approx(b, rel=rel, abs=least), f"{name} of {expression}: {a}, not {b}"


e = sp.exp
#: Those whose argument of an exponential is one itself: 60 digits do not hold exp(exp(1e3)).
NESTED = [e(-N * e(-X))]
SATURATED = [
    1 / (1 + e(-X)),
    1 / (1 + e(-1000 * X)),
    1 / (1 + e((X - N) / K)),
    Y / (1 + e(-N * (X - Y))) ** 3,
    1 / (1 + N * e(-X)),
    1 / (N + e(X)),
    e(X) / (1 + e(X)),
    e(X) / (1 + e(X)) ** 2,
    e(N * X) / (e(N * X) + e(Y * X)),
    (1 + e(X)) * e(-X),
    e(X - Y) / (1 + e(X)),
    1 / ((1 + e(X)) * (1 + e(-N * X))),
    1 / (e(X) - e(-X)),
    (e(X) - e(-X)) / (e(X) + e(-X)),
    (1 - e(-2 * X)) / (1 + e(-2 * X)),
    1 / sp.cosh(X),
    1 / sp.cosh(N * X) ** 2,
    sp.sinh(X) / sp.cosh(X),
    1 / (1 + sp.cosh(X)),
    sp.sech(X) ** 2,
    sp.csch(X),
    sp.coth(X),
    e(X) / (1 + e(X) + e(2 * X)),
    1 / (1 + 2**X),
    1 / (1 + sp.Rational(1, 2) ** X),
    sp.log(1 + sp.Float(0.1) ** X),
    2**X / (1 + e(X)),
    1 / (1 + 10 ** (N * (X - Y))),
    (1 + e(-X)) ** (-1 / N),
    sp.log(1 + e(X)),
    sp.log(1 + e(1000 * X)) / 1000,
    sp.log(1 + N * e(-X)),
    sp.log(1 / (1 + e(-X))),
    sp.log(e(X) + e(N * X)),
    sp.log(sp.cosh(X)),
    X / (e(X) - 1),
    X / (1 - e(-X)),
    X * e(X) / (e(X) - 1),
    X**2 * e(X) / (e(X) - 1) ** 2,
    (X - Y) / (1 - e(-(X - Y) / K)),
    X * e(-(X**2) / N),
    *NESTED,
    sp.tanh(X / K),
]
SIZES = [0.3, -0.3, 2.0, -2.0, 35.0, -35.0, 380.0, -380.0, 1e3, -1e3, 1e8, -1e8]


@pytest.mark.parametrize("expression", SATURATED, ids=str)
def test_saturated(expression) -> None:
    for x in SIZES[:6] if expression in NESTED else SIZES:
        right = exact(expression, x)
        # What is truly infinite as a double is none of this test.
        if all(map(math.isfinite, right)):
            # What cancels does so against the largest of value and slopes at an ordinary point.
            agree((expression, x), got(expression, x), right, 1e-11, 1e-12)


INF = math.inf
AT_ZERO = [
    # expression, n, value and derivatives at x = 0 in the order of NAMES
    (X**N, 2.5, [0, 0, 0, 0, 0, 0]),
    (X**N, 2.0, [0, 0, 0, 2, 0, 0]),
    (X**N, 1.5, [0, 0, 0, INF, 0, 0]),
    (X**N, 1.0, [0, 1, 0, 0, None, 0]),  # d2/dxdn is minus infinity
    (X**N, 0.5, [0, INF, 0, -INF, None, 0]),
    (X**N / (K**N + X**N), 2.0, [0, 0, 0, 8, 0, 0]),
    (X**N / (K**N + X**N), 3.5, [0, 0, 0, 0, 0, 0]),
    (K**N / (K**N + X**N), 2.0, [1, 0, 0, -8, 0, 0]),
    ((X * Y) ** N, 2.0, [0, 0, 0, 0.98, 0, 0]),
    (sp.Abs(X) ** N, 2.0, [0, 0, 0, 2, 0, 0]),
    (sp.Abs(X) ** N, 3.0, [0, 0, 0, 0, 0, 0]),
    (X**1.5, 1.0, [0, 0, 0, INF, 0, 0]),
    (X**2.5, 1.0, [0, 0, 0, 0, 0, 0]),
    (sp.sqrt(X), 1.0, [0, INF, 0, -INF, 0, 0]),
    (X ** sp.Rational(1, 3), 1.0, [0, INF, 0, -INF, 0, 0]),
    (sp.Abs(X) ** 2.5, 1.0, [0, 0, 0, 0, 0, 0]),
    (sp.exp(-1 / X**2), 1.0, [0, 0, 0, 0, 0, 0]),
    (sp.exp(-(sp.log(X) ** 2)), 1.0, [0, 0, 0, 0, 0, 0]),
    # Quotients of K = 0.5, and logarithms
    (1 / (1 + (K / X) ** N), 2.0, [0, 0, 0, 8, 0, 0]),
    (1 / (1 + (X / K) ** -N), 2.0, [0, 0, 0, 8, 0, 0]),
    (1 / (1 + K / X), 1.0, [0, 2, 0, -8, 0, 0]),
    (1 / (1 / X + 1 / K + 3 / X**2), 1.0, [0, 0, 0, 2 / 3, 0, 0]),
    (X * sp.log(X / K), 1.0, [0, -INF, 0, INF, 0, 0]),
    (N * X * sp.log(K / X), 1.0, [0, INF, 0, -INF, None, 0]),
    (X**2 * sp.log(X), 1.0, [0, 0, 0, -INF, 0, 0]),
    (X**3 * sp.log(X) ** 2, 1.0, [0, 0, 0, 0, 0, 0]),
    # The constant side where both are equal.
    (sp.sqrt(sp.Max(X, 0)), 1.0, [0, 0, 0, 0, 0, 0]),
    (sp.acos(sp.Min(X + 1, 1)), 1.0, [0, 0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("expression", "n", "limits"), AT_ZERO, ids=str)
def test_at_zero(expression, n: float, limits) -> None:
    for name, a, b in zip(NAMES, got(expression, 0.0, n), limits, strict=True):
        assert b is None or a == pytest.approx(b, rel=1e-14), f"{name} of {expression}: {a}"


POWERS = [
    X**N,
    X**N / (K**N + X**N),
    X**1.5,
    X**2.5,
    1 / (1 + X**N),
    X ** (-N),
    1 / (1 + (K / X) ** N),
    N * X * sp.log(X / K),
]


@pytest.mark.parametrize("expression", POWERS, ids=str)
def test_powers(expression) -> None:
    for x in (1e-300, 1e-3, 0.7, 1e3, 1e8):
        for n in (1.0, 1.5, 2.0, 3.7):
            # What cancels in SymPy's derivatives is as large as x**-2.
            right = exact(expression, x, n, digits=700)
            if all(map(math.isfinite, right)):
                agree((expression, x, n), got(expression, x, n), right, 1e-11, 1e-12)


@pytest.mark.parametrize("n", [1.0, 2.5])
def test_a_negative_number_has_no_free_power(n: float) -> None:
    value, _, by_n, *_ = got(X**N, -1.5, n)
    assert math.isnan(by_n)
    assert math.isnan(value) or n == 1.0


h = sp.Max(X, 0)
#: Expression, what it is for negative x, for positive x.
SIDES = [
    (sp.sqrt(h), 0, sp.sqrt(X)),
    (h**1.5, 0, X**1.5),
    (h**N, 0, X**N),
    (sp.sqrt(N * h), 0, sp.sqrt(N * X)),
    (sp.sqrt(h + sp.Max(Y - 1, 0)), 0, sp.sqrt(X)),
    (sp.log(1 + h), 0, sp.log(1 + X)),
    (sp.log(sp.Max(X, sp.Float(1e-300))), sp.log(sp.Float(1e-300)), sp.log(X)),
    (1 / sp.Max(X, sp.Float(1e-200)), 1 / sp.Float(1e-200), 1 / X),
    (sp.asin(sp.Min(1, sp.Max(-1, 1 - X))), sp.pi / 2, None),
    (sp.sqrt(sp.Piecewise((X, X > 0), (0, True))), 0, sp.sqrt(X)),
    (sp.sqrt(X * sp.Heaviside(X)), 0, sp.sqrt(X)),
    (sp.sqrt(X) * sp.Heaviside(X), 0, sp.sqrt(X)),
    (sp.Heaviside(X) * sp.exp(-1000 * X), 0, sp.exp(-1000 * X)),
    (sp.Abs(X) ** sp.Rational(1, 2), sp.sqrt(-X), sp.sqrt(X)),
    (sp.Max(sp.sqrt(X + 5), 0), None, sp.sqrt(X + 5)),
    (sp.Min(2, sp.exp(1000 * X)), sp.exp(1000 * X), 2),
    (sp.Abs(X) ** N, (-X) ** N, X**N),
    (sp.exp(sp.Min(0, -sp.exp(X))), sp.exp(-sp.exp(X)), sp.exp(-sp.exp(X))),
]


@pytest.mark.parametrize(("expression", "left", "right"), SIDES, ids=str)
def test_each_side_has_its_own_derivative(expression, left, right) -> None:
    for side, points in ((left, (-1e-300, -0.25, -2.0, -1e3)), (right, (1e-3, 0.25, 3.0, 1e3))):
        if side is not None:
            for x in points:
                agree(
                    (expression, x), got(expression, x), exact(sp.sympify(side), x), 1e-12, 1e-300
                )


@cache
def _exponentials(expression) -> int:
    x = ca.SX.sym("z", 4)
    (f,) = to_casadi(
        [expression], dict(zip(SYMBOLS, ca.vertsplit(x), strict=True)), {K: K.declaration}
    )
    function = ca.Function("f", [x], [f], {"cse": True})
    ids = [function.instruction_id(k) for k in range(function.n_instructions())]
    return ids.count(ca.OP_EXP) + ids.count(ca.OP_EXPM1)


@pytest.mark.parametrize(
    "expression",
    [1 / (1 + e(-X)), e(X) / (1 + e(X)), 1 / sp.cosh(X) ** 2, sp.log(1 + e(X)), sp.sech(X)],
    ids=str,
)
def test_one_exponential_is_enough(expression) -> None:
    assert _exponentials(expression) == 1


def test_a_free_power_shared_by_two_cases() -> None:
    root = X**N
    cases = sp.Piecewise((root, X > 3), (root * sp.cos(root), X > 0), (X**2, True))
    assert got(cases, 0.0, 0.5) == [0, 0, 0, 2, 0, 0]
    agree(cases, got(cases, 2.0, 0.5), exact(root * sp.cos(root), 2.0, 0.5), 1e-12, 1e-14)
