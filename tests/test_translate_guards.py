"""Derivatives through cases that are singular where they are not selected."""

import math

import casadi as ca
import numpy as np
import pytest
import sympy as sp

from symda.declare import exprel, parameter, state
from symda.derive.translate import to_casadi

X, P = state("x"), parameter("p")


def three(expression):
    """Return a CasADi function x -> value, first and second derivative.

    Common subexpressions are merged first, as they are in a field that a scheme calls. CasADi
    keeps a derivative inside the case it belongs to, but an operation that two cases share
    belongs to none, and then only the guards keep zero times infinity out.
    """
    x = ca.SX.sym("x")
    f = ca.cse(to_casadi([expression], {X: x})[0])
    hessian, gradient = ca.hessian(f, x)
    return ca.Function("f", [x], [f, gradient, hessian])


def exact(expression, x: float) -> list[float]:
    derivatives = [expression, sp.diff(expression, X), sp.diff(expression, X, 2)]
    return [float(d.subs(X, sp.Rational(x)).evalf(30)) for d in derivatives]


# A function with a singularity at or left of 0, what stands there instead.
GUARDED = [
    (sp.log(X), X - 1),
    (1 / X, X**2),
    (X**-3, X**2),
    (sp.sqrt(X), sp.Integer(0)),
    (1 / sp.sqrt(X), X),
    (X ** sp.Rational(5, 3), -(X**2)),
    (X**sp.pi, X),
    (X ** (2 - X), X),
    (sp.log(X) / X * sp.sqrt(X), sp.cos(X)),
    (sp.exp(-(sp.log(X) ** 2)), sp.Integer(0)),
    (sp.exp(-1 / X), sp.Integer(0)),
    (sp.coth(X), sp.sin(X)),
    (sp.csch(X), sp.sin(X)),
    (sp.acot(X), sp.exp(X)),
    (sp.atan2(X, X**2), sp.exp(X)),
    (sp.atanh(X / (1 + X)) / X, X),
    (sp.acosh(1 + X), sp.Integer(1)),
    (sp.Piecewise((sp.log(X), X > 1), (sp.log(1 / X) / X, True)), X**2),
    (sp.Max(sp.log(X), -sp.log(X) * 2, -1), X),
]


@pytest.mark.parametrize(("right", "left"), GUARDED, ids=str)
def test_case_to_the_right(right, left) -> None:
    f = three(sp.Piecewise((right, X > 0), (left, True)))
    for x in (0.1, 0.3, 2.7, 40.0):
        got = [float(out) for out in f(x)]
        assert got == pytest.approx(exact(right, x), rel=1e-12, abs=1e-30), x
    for x in (0.0, -1e-9, -1.0, -3.5, -1e4):
        got = [float(out) for out in f(x)]
        assert got == pytest.approx(exact(left, x), rel=1e-12, abs=1e-30), x


@pytest.mark.parametrize(
    "function",
    [sp.exp, sp.sinh, sp.cosh, exprel, lambda x: 2**x, lambda x: sp.exp(x) / (1 + sp.exp(x))],
)
def test_overflow_where_not_selected(function) -> None:
    f = three(sp.Piecewise((function(X), X < 1), (X**2, True)))
    for x in (1.0, 800.0, 1e6):
        assert [float(out) for out in f(x)] == [x**2, 2 * x, 2.0]
    assert [float(out) for out in f(0.75)] == pytest.approx(exact(function(X), 0.75), rel=1e-12)


@pytest.mark.parametrize("function", [sp.asin, sp.acos, sp.atanh, sp.asech, sp.acoth, sp.asec])
def test_domain_of_inverse_functions(function) -> None:
    beyond = function in (sp.acoth, sp.asec)
    inside = sp.Abs(X) > 1 if beyond else sp.And(X > 0, X < 1)
    f = three(sp.Piecewise((function(X), inside), (X**2, True)))
    for x in (-0.5, 0.0, 1.0) if beyond else (-50.0, -1.0, 0.0, 1.0, 50.0):
        assert [float(out) for out in f(x)] == [x**2, 2 * x, 2.0]
    x = 1.75 if beyond else 0.75
    assert [float(out) for out in f(x)] == pytest.approx(exact(function(X), x), rel=1e-12)


@pytest.mark.parametrize(
    "singular",
    [
        sp.log(X),
        1 / X,
        sp.sqrt(X),
        X ** sp.Rational(5, 3),
        X**sp.pi,
        sp.exp(-1 / X),
        sp.coth(X),
        sp.acosh(1 + X),
        sp.asin(X / 9),
        sp.acos(1 - X / 9),
        sp.atanh(X / 9) / X,
        sp.atan2(X, X),
        sp.csc(X / 9),
        sp.acsch(X),
    ],
    ids=str,
)
def test_singular_operations_shared_by_two_cases(singular) -> None:
    first, second, last = singular, singular * sp.cos(singular), X**2
    f = three(sp.Piecewise((first, X > 3), (second, X > 0), (last, True)))
    for x, case in ((7.0, first), (3.0, second), (0.5, second), (0.0, last), (-25.0, last)):
        got = [float(out) for out in f(x)]
        assert got == pytest.approx(exact(case, x), rel=1e-11, abs=1e-12), x


def test_overflow_shared_by_two_cases() -> None:
    for growing in (sp.exp(X), sp.sinh(X), sp.cosh(X), 2**X, exprel(X)):
        first, second = growing, growing * sp.cos(X)
        f = three(sp.Piecewise((first, X < 0), (second, X < 1), (X**2, True)))
        for x, case in ((-2.0, first), (0.5, second), (1.0, X**2), (5000.0, X**2)):
            got = [float(out) for out in f(x)]
            assert got == pytest.approx(exact(case, x), rel=1e-12), (growing, x)


def test_singular_arguments_of_min_and_max() -> None:
    f = three(sp.Min(sp.exp(X), 5))
    assert [float(out) for out in f(1000.0)] == [5.0, 0.0, 0.0]
    assert [float(out) for out in f(1.0)] == pytest.approx([math.e] * 3, rel=1e-15)
    g = three(sp.Max(sp.log(X), -2))
    assert [float(out) for out in g(0.0)] == [-2.0, 0.0, 0.0]
    assert [float(out) for out in g(2.0)] == pytest.approx([math.log(2), 0.5, -0.25], rel=1e-15)


def test_modulo_by_zero_where_not_selected() -> None:
    f = three(sp.Piecewise((sp.Mod(5, X), X > 0), (X, True)))
    assert [float(out) for out in f(0.0)] == [0.0, 1.0, 0.0]
    assert [float(out) for out in f(2.0)] == [1.0, -2.0, 0.0]


def test_mixed_derivatives_and_adjoint_sums() -> None:
    """A sum weighted by multipliers, as in the Hessian of a Lagrangian, is not poisoned."""
    x, p, mu = ca.SX.sym("x"), ca.SX.sym("p"), ca.SX.sym("mu", 2)
    expressions = [
        sp.Piecewise((sp.log(X * P) / (X - P), X > P), (P * X, True)),
        sp.Piecewise((sp.sqrt(P - X), X < P), (X**2 * P, True)),
    ]
    f = ca.dot(mu, ca.vertcat(*to_casadi(expressions, {X: x, P: p})))
    hessian, gradient = ca.hessian(f, ca.vertcat(x, p))
    evaluate = ca.Function("f", [x, p, mu], [gradient, hessian])
    gradient_at, hessian_at = evaluate(2.0, 2.0, [3.0, 5.0])
    assert np.allclose(gradient_at.full().ravel(), [3 * 2 + 5 * 8, 3 * 2 + 5 * 4])
    assert np.allclose(hessian_at.full(), [[5 * 4, 3 + 5 * 4], [3 + 5 * 4, 0]])


def test_an_extremum_of_many_has_no_case_of_a_case() -> None:
    """Each is compared with the others by value: what is emitted grows by squares, not doubles."""
    x, k = sp.symbols("x k", real=True)
    counts = {}
    for n in (4, 8):
        terms = [(i + 1) * x / (x + k + i) for i in range(n)]
        z = ca.SX.sym("z", 2)
        (value,) = to_casadi([sp.Min(*terms)], dict(zip((x, k), ca.vertsplit(z), strict=True)))
        function = ca.Function("f", [z], [value, ca.gradient(value, z)])
        counts[n] = function.n_instructions()
        # at the last the first of them is infinite
        for at in ([0.7, 0.2], [3.0, 0.1], [30.0, 1.0], [-2.0, 2.0], [1.0, -1.0]):
            with np.errstate(all="ignore"):
                numbers = [np.float64((i + 1) * at[0]) / (at[0] + at[1] + i) for i in range(n)]
            least = int(np.argmin(numbers))
            got, slope = function(at)
            assert float(got) == pytest.approx(numbers[least], rel=1e-14)
            if np.isfinite(numbers[least]):
                exact = [float(terms[least].diff(s).subs({x: at[0], k: at[1]})) for s in (x, k)]
                assert slope.full().ravel() == pytest.approx(exact, rel=1e-12)
    assert counts[8] < 5 * counts[4]
