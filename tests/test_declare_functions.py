"""The relative exponential as a SymPy function."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy.core.function import ArgumentIndexError

from symda.declare import exprel, parameter, state

X, P = state("x"), parameter("p")


def test_exact_values() -> None:
    assert exprel(0) == 1 and exprel(sp.Float(0)) == 1
    assert exprel(sp.nan) is sp.nan
    assert exprel(X).subs(X, 0) == 1


@pytest.mark.parametrize("x", [1e-20, -1e-9, 1e-3, 0.5, -1.0, 1.0, 30.0, -700.0])
def test_numeric_value(x: float) -> None:
    with mpmath.workdps(60):
        exact = mpmath.expm1(mpmath.mpf(x)) / mpmath.mpf(x)
        assert abs(exprel(sp.Float(x, 40)).evalf(30) / sp.Float(exact, 50) - 1) < 1e-29
        assert float(exprel(x)) == pytest.approx(float(exact), rel=1e-15)


def test_needs_no_number() -> None:
    assert exprel(X).evalf() == exprel(X)
    assert exprel(sp.pi).evalf(20) == ((sp.exp(sp.pi) - 1) / sp.pi).evalf(20)


def test_derivative() -> None:
    derivative = exprel(P * X).diff(X)
    expected = sp.diff((sp.exp(P * X) - 1) / (P * X), X)
    assert sp.simplify(derivative.rewrite(sp.exp) - expected) == 0
    with pytest.raises(ArgumentIndexError):
        exprel(X).fdiff(2)


def test_lambdify_uses_scipy() -> None:
    function = sp.lambdify(X, exprel(X))
    values = function(np.array([0.0, 1e-9, 2.0]))
    assert values == pytest.approx([1.0, 1.0 + 5e-10, math.expm1(2.0) / 2.0], rel=1e-15)


def test_prints() -> None:
    assert str(exprel(X)) == "exprel(x)"
    assert sp.latex(exprel(X) ** 2) == r"\operatorname{exprel}^{2}{\left(x \right)}"


def test_positive_on_the_real_line() -> None:
    assert exprel(X).is_real and exprel(X).is_positive
    assert exprel(sp.Symbol("z")).is_real is None
