"""SymPy -> SX: values of every function, symbols, refusals, and random expressions."""

import math
import random

import casadi as ca
import mpmath
import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

from symda.declare import KNOWN, exprel, log1p, log_ndtr, log_rise, parameter, states
from symda.derive import translate
from symda.derive.translate import to_casadi
from symda.errors import ModelError

X, Y = states("x y")
P = parameter("p")
SYMBOLS = (X, Y, P)


def value(expression, *point: float) -> float:
    """Evaluate an expression of SYMBOLS by CasADi."""
    sx = ca.SX.sym("z", len(SYMBOLS))
    (out,) = to_casadi([expression], dict(zip(SYMBOLS, ca.vertsplit(sx), strict=True)))
    padded = [*point, *[0.5] * (len(SYMBOLS) - len(point))]
    return float(ca.Function("f", [sx], [out])(padded))


def exact(expression, *point: float) -> mpmath.mpf:
    """Evaluate it by SymPy with 40 digits at the same doubles."""
    padded = [*point, *[0.5] * (len(SYMBOLS) - len(point))]
    numbers = {s: sp.Rational(v) for s, v in zip(SYMBOLS, padded, strict=True)}
    return sp.N(expression.subs(numbers), 40)


# Points inside the domain of the functions that do not take every number.
DOMAIN = {
    sp.acosh: (1.25, 30.0),
    sp.acoth: (1.25, -7.0),
    sp.acsc: (1.25, -7.0),
    sp.asec: (1.25, -7.0),
    sp.asech: (0.25, 0.9),
    sp.asin: (0.25, -0.9),
    sp.acos: (0.25, -0.9),
    sp.atanh: (0.25, -0.9),
    sp.log: (0.25, 300.0),
}
SEVERAL = {sp.atan2, sp.Mod, sp.Min, sp.Max, sp.Piecewise}


def test_one_table_of_functions() -> None:
    """What a model and what costs accept is exactly what has a rule here."""
    ruled = {
        *translate._PLAIN,
        *translate._SINGULAR,
        *translate._WRITTEN_OUT,
        *translate._SPECIAL,
    }
    costs = {sp.loggamma, log1p, log_ndtr, log_rise}
    assert ruled == {*KNOWN, *costs, sp.Add, sp.Mul, sp.Pow}


@pytest.mark.parametrize(
    "function", [f for f in KNOWN if f not in SEVERAL], ids=lambda f: f.__name__
)
def test_functions_of_one_argument(function) -> None:
    for x in DOMAIN.get(function, (1e-3, 0.25, -2.5, 3.75, -20.25)):
        reference = exact(function(X), x)
        assert value(function(X), x) == pytest.approx(float(reference), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize(
    ("expression", "point", "expected"),
    [
        (sp.Mod(X, 3), (-1.0,), 2.0),
        (sp.Mod(X, -3), (1.0,), -2.0),
        (sp.Mod(X, Y), (7.5, -2.0), -0.5),
        (sp.Mod(X, 3), (6.0,), 0.0),
        (sp.Mod(X, 3), (-6.0,), 0.0),
        (sp.sign(X), (0.0,), 0.0),
        (sp.Heaviside(X), (0.0,), 0.5),
        (sp.Heaviside(X, 1), (0.0,), 1.0),
        (sp.Heaviside(X), (-1e-300,), 0.0),
        (sp.acot(X), (0.0,), math.pi / 2),
        (sp.sinc(X), (0.0,), 1.0),
        (exprel(X), (0.0,), 1.0),
        (sp.atan2(Y, X), (-1.0, 0.0), math.pi),
        (sp.atan2(Y, X), (-1.0, -1.0), -0.75 * math.pi),
        (sp.Min(X, Y, 3), (5.0, 4.0), 3.0),
        (sp.Max(X, Y, 3), (5.0, 4.0), 5.0),
        (sp.Max(sp.log(X), -1), (0.0,), -1.0),
        (sp.Min(sp.exp(X), Y), (1000.0, 2.0), 2.0),
        (sp.floor(X), (-0.5,), -1.0),
        (sp.ceiling(X), (-0.5,), 0.0),
        (sp.log(X, 10), (1000.0,), 3.0),
        (X**2, (-3.0,), 9.0),
        (X**-3, (-2.0,), -0.125),
        (X ** sp.Float(2.0), (-3.0,), 9.0),
        (sp.sqrt(X), (0.0,), 0.0),
        (X ** sp.Rational(-1, 2), (4.0,), 0.5),
        (X ** sp.Rational(3, 2), (4.0,), 8.0),
        (X ** sp.Rational(1, 3), (27.0,), 3.0),
        (X**Y, (2.0, -1.5), 2.0**-1.5),
        (2**X, (-1.5,), 2.0**-1.5),
        (X**17, (-1.5,), (-1.5) ** 17),
        (sp.pi * sp.E * sp.GoldenRatio * X, (1.0,), math.pi * math.e * (1 + math.sqrt(5)) / 2),
        (sp.Rational(1, 3) * X, (1.0,), 1.0 / 3.0),
        (sp.Float(0.1) + X, (0.0,), 0.1),
        (sp.Integer(4), (0.0,), 4.0),
    ],
    ids=str,
)
def test_values(expression, point, expected) -> None:
    assert value(expression, *point) == pytest.approx(expected, rel=4e-16, abs=0.0)


@pytest.mark.parametrize("function", [sp.Max, sp.Min])
@pytest.mark.parametrize("other", [-50.0, 50.0])
def test_an_extremum_of_what_has_no_value_has_none(function, other) -> None:
    """C's fmax gives the other argument, and the action would seem finite where it is not."""
    nested = (sp.Min(sp.log(X), 5), Y), (sp.Max(sp.log(X), 5), Y)
    for arguments in ((sp.log(X), Y), (Y, sp.log(X)), (Y, sp.sqrt(X), 3), *nested):
        expression = function(*arguments)
        assert math.isnan(value(expression, -1.0, other))
    assert value(function(sp.log(X), Y), 1.0, other) == float(function(0, other))


CASES = sp.Piecewise(
    (1, sp.And(X > 0, Y > 0)),
    (2, sp.Or(sp.Eq(X, -1), sp.And(X < -2, sp.Ne(Y, 0)))),
    (3, sp.ITE(X > 0, Y < -2, Y > 2)),
    (sp.Piecewise((4, X >= 5), (5, Y <= 0), (6, True)), sp.Not(sp.And(X > -1, Y > 0))),
    (7, True),
)


@pytest.mark.parametrize("x", [-3.0, -2.0, -1.0, -0.5, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("y", [-3.0, -2.0, 0.0, 1.0, 3.0])
def test_conditions(x: float, y: float) -> None:
    assert value(CASES, x, y) == float(CASES.subs({X: sp.Rational(x), Y: sp.Rational(y)}))


def test_equal_parts_are_translated_once() -> None:
    x = ca.SX.sym("x")
    shared = sp.sin(X) ** 2
    first, second = to_casadi([shared + 1, shared * sp.exp(shared)], {X: x})
    function = ca.Function("f", [x], [first, second])
    sines = [k for k in range(function.n_instructions()) if function.instruction_id(k) == ca.OP_SIN]
    assert len(sines) == 1


def test_no_expressions() -> None:
    assert to_casadi([], {}) == []


def test_a_symbol_without_sx() -> None:
    with pytest.raises(ModelError, match=r"no SX was given for the symbol 'y'"):
        to_casadi([X * Y], {X: ca.SX.sym("x")})


def test_an_unknown_function() -> None:
    message = r"gamma is not a function that symda can compile\. Known are: Abs, acos"
    with pytest.raises(ModelError, match=message):
        to_casadi([sp.gamma(X)], {X: ca.SX.sym("x")})
    xor = sp.Piecewise((1, sp.Xor(X > 0, X < 5)), (0, True))
    with pytest.raises(ModelError, match=r"The condition .* is not a comparison"):
        to_casadi([xor], {X: ca.SX.sym("x")})


BINARY = [sp.Add, sp.Mul, sp.Min, sp.Max, lambda a, b: a / (1 + b**2), sp.atan2, lambda a, b: a - b]
TAME = [
    sp.sin,
    sp.cos,
    sp.tanh,
    sp.atan,
    sp.erf,
    sp.asinh,
    sp.Abs,
    sp.sinc,
    lambda a: sp.exp(sp.sin(a)),
    lambda a: exprel(sp.tanh(a)),
    lambda a: sp.log(1 + a**2),
    lambda a: sp.sqrt(2 + sp.cos(a)),
    lambda a: (1 + a**2) ** sp.Rational(-2, 3),
    lambda a: sp.Mod(a, 3) if not a.is_number else a,
    lambda a: sp.Piecewise((a, a > sp.Rational(1, 7)), (sp.cos(a), True)),
    lambda a: sp.sech(a) + sp.acot(2 + a**2),
]
LEAVES = st.sampled_from([X, Y, P, sp.Rational(2, 3), sp.Integer(-2), sp.Float(0.37), sp.pi])
TREES = st.recursive(
    LEAVES,
    lambda sub: st.one_of(
        st.builds(lambda f, a: f(a), st.sampled_from(TAME), sub),
        st.builds(lambda f, a, b: f(a, b), st.sampled_from(BINARY), sub, sub),
    ),
    max_leaves=8,
)


@given(TREES, st.integers(0, 2**32))
def test_random_expressions(expression, seed: int) -> None:
    # Uniform numbers, since those that hypothesis likes sit on the jumps of Mod and Piecewise.
    point = [random.Random(seed + k).uniform(-2.0, 2.0) for k in range(3)]
    assume(not expression.has(sp.zoo, sp.nan, sp.oo))
    reference = exact(expression, *point)
    assume(reference.is_Number)
    # Sums may cancel: errors are relative to the largest number on the way.
    parts = [
        exact(sp.sympify(part), *point)
        for part in sp.preorder_traversal(expression)
        if isinstance(part, sp.Expr)
    ]
    scale = max([abs(float(part)) for part in parts if part.is_Number] + [1e-3])
    assert abs(value(expression, *point) - float(reference)) <= 1e-12 * scale
