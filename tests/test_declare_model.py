"""Models: what they collect from their equations, and what they refuse."""

import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symda.declare import exprel, forcing, parameter, parameters, state, states, time
from symda.declare.factory import Model
from symda.errors import InputError, ModelError

X, Y = states("x y")
K, RATE = parameters("k rate")
DRIVE = forcing("I")
T = time("t")


def test_collects_symbols_in_order() -> None:
    x, y, z = states("x y z")
    sigma, rho, beta = parameters("sigma rho beta")
    model = Model({x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z}, name="lorenz63")
    assert model.states == (x, y, z)
    assert model.parameters == (sigma, rho, beta)
    assert model.forcing == () and model.time is None and model.discrete is False
    assert model.equations[2] == x * y - beta * z
    assert repr(model) == "Model('lorenz63', ODE, D=3, P=3, U=0)"


def test_forcing_and_time() -> None:
    model = Model({X: DRIVE - X * sp.sin(T)}, name="driven", discrete=True)
    assert model.forcing == (DRIVE,) and model.time == T and model.discrete


def test_a_model_is_a_value() -> None:
    model = Model({X: -K * X}, name="decay")
    assert model == Model({X: -K * X}, name="decay") and hash(model) == hash(model)
    assert model != Model({X: -K * X}, name="decay", discrete=True)
    assert pickle.loads(pickle.dumps(model)) == model
    with pytest.raises(AttributeError):
        model.name = "other"


@pytest.mark.parametrize(
    ("number", "expression"),
    [
        (0, sp.Integer(0)),
        (np.int64(-3), sp.Integer(-3)),
        (0.5, sp.Float(0.5)),
        (np.float32(0.25), sp.Float(0.25)),
        (Fraction(1, 3), sp.Rational(1, 3)),
    ],
)
def test_numbers_as_right_hand_sides(number, expression) -> None:
    assert Model({X: number}).equations == (expression,)


def test_natural_names() -> None:
    S, E, N, Q = states("S E N Q")
    rate, current = parameter("lambda"), forcing("I")
    model = Model({S: -rate * S * current, E: rate * S - E, N: 0, Q: Q * sp.E * sp.pi})
    assert model.parameters == (rate,) and model.forcing == (current,)


def test_known_functions_are_accepted() -> None:
    cases = sp.Piecewise(
        (sp.sqrt(X), sp.And(X > 1, Y < 2)), (sp.Abs(X), sp.Or(X < 0, Y > 3)), (1, True)
    )
    covered = sp.Piecewise((1, X < 0), (2, X >= 0))
    equation = (
        cases
        + covered
        + exprel(X)
        + sp.Max(X, Y, 0)
        + sp.Mod(X, 2)
        + sp.atan2(Y, X)
        + sp.Heaviside(X)
    )
    assert Model({X: equation, Y: sp.erf(X) ** sp.Rational(1, 3)}).equations[0] == equation


def model_of(right_hand_side, name: str = "m"):
    return Model({X: right_hand_side}, name=name)


AT = r"^Model 'm', equation of x: "
BAD = [
    (
        lambda: model_of("-k*x"),
        AT + r"got the text '-k\*x'; text is never parsed\. Write the expression",
    ),
    (lambda: model_of(True), AT + r"got the truth value True; expected a number or an expression"),
    (lambda: model_of(np.True_), AT + r"got the truth value True"),
    (lambda: model_of(X > 0), AT + r"got the truth value x > 0; .* use sympy\.Piecewise"),
    (lambda: model_of(sp.Eq(X, 1)), AT + r"got the truth value Eq\(x, 1\)"),
    (lambda: model_of(1j), AT + r"got the complex number 1j; models are real"),
    (lambda: model_of(sp.I * X), AT + r"holds the imaginary unit sympy\.I; .*sd\.forcing\('I'\)"),
    (lambda: model_of(sp.nan), AT + r"holds the constant nan; every constant must be finite"),
    (lambda: model_of(sp.oo), AT + r"holds the constant oo; every constant must be finite"),
    (lambda: model_of(sp.zoo), AT + r"holds the constant zoo, a division by zero"),
    (lambda: model_of(float("inf")), AT + r"got inf; every constant must be finite"),
    (lambda: model_of(10**400), AT + r"holds a constant beyond the range of doubles"),
    (lambda: model_of(sp.Rational(1, 10**400)), AT + r"holds the constant 1\.0*E-400, which is 0"),
    (
        lambda: model_of(X * sp.Pow(-1, K)),
        AT + r"\(-1\)\*\*k is a free power of -1, which is negative, .* write cos\(pi\*n\)",
    ),
    (lambda: model_of((-1 - X**2) ** K), AT + r".* of the power \(x\*\*2 \+ 1\)\*\*k\.$"),
    (lambda: model_of((1 - sp.sqrt(5)) ** X), AT + r"\(1 - sqrt\(5\)\)\*\*x is a free power"),
    (lambda: model_of(sp.sqrt(-(X**2))), AT + r".* root or logarithm of something negative"),
    (
        lambda: model_of(-sp.Function("y")(T - K)),
        AT + r"y\(-k \+ t\) is y at another time, and delays are not supported\. .* chain of lags "
        r".* z\[0\]: \(y - z\[0\]\)\*4/k, .* z\[3\] in place of y\(-k \+ t\)",
    ),
    (lambda: model_of(sp.Function("y")(T - 0.5) * X), AT + r".*not supported\. .*\*4/0\.5,"),
    (lambda: model_of(sp.Function("y")(T / 2)), AT + r".*; delays are not supported, nor is any"),
    (lambda: model_of(sp.Derivative(sp.Function("y")(T - K), T)), AT + r".*delays are not supp"),
    (lambda: model_of(sp.Integral(sp.Function("y")(T - K), (K, 0, 1))), AT + r".*delays are not"),
    (lambda: model_of(sp.Integral(X, (T, 0, T))), AT + r"holds the integral .* whose rate is the"),
    (lambda: X(T - K), r"x\(-k \+ t\) is x at another time, and delays are not supported"),
    (lambda: X(X - 1), r"x\(x - 1\): x is a state, .* A product needs its sign, x\*\(\.\.\.\)"),
    (lambda: X(T), r"x\(t\): x is a state, not a function; .* so write x\."),
    (lambda: model_of(sp.sqrt(-1 - X**2)), AT + r"sqrt\(-x\*\*2 - 1\) is complex or not finite"),
    (lambda: model_of(X * sp.asin(2)), AT + r"asin\(2\) is complex or not finite"),
    (lambda: model_of(X * sp.log(-2)), AT + r".* is complex or not finite; models are real"),
    (
        lambda: model_of(sp.gamma(X)),
        AT + r"gamma is not a function that symda can compile\. Known are: Abs, acos, .*, tanh\.$",
    ),
    (lambda: model_of(sp.besselj(1, X)), AT + r"besselj is not a function that symda can compile"),
    (lambda: model_of(sp.zeta(X)), AT + r"zeta is not a function that symda can compile"),
    (lambda: model_of(sp.loggamma(X)), AT + r"loggamma is not a function that symda can compile"),
    (lambda: model_of(sp.DiracDelta(X)), AT + r"DiracDelta is not a function"),
    (lambda: model_of(sp.Integral(X, X)), AT + r".*Integral is not a function"),
    (
        lambda: model_of(sp.Function("f")(X)),
        AT + r"f\(x\) is an undefined function\. Write 'f' out, .* write x, not x\(t\)",
    ),
    (lambda: model_of(sp.Function("y")(T)), AT + r"y\(t\) is an undefined function"),
    (
        lambda: model_of(sp.Derivative(X, T)),
        AT + r"holds the derivative Derivative\(x, t\)\. A right-hand side",
    ),
    (
        lambda: model_of(sp.Piecewise((X, X > 0))),
        AT + r"the cases of .* not covered is x <= 0\. End it with a default, \(expression, True\)",
    ),
    (
        lambda: model_of(sp.Piecewise((1, sp.Contains(X, sp.Interval(0, 1))), (2, True))),
        AT + r"Contains is not a function",
    ),
    (
        lambda: model_of(K * sp.Symbol("rat") + RATE),
        AT + r"'rat' is an undeclared SymPy symbol\. Did you mean 'rate'\? Declare it with",
    ),
    (
        lambda: model_of(sp.Symbol("w")),
        AT + r"'w' is an undeclared SymPy symbol\. Declare it with sd\.state",
    ),
    (
        lambda: model_of(-sp.Symbol("x")),
        AT + r"'x' is a plain SymPy symbol that prints like a declared one; use the object",
    ),
    (
        lambda: model_of(X * Y),
        AT + r"uses the state 'y', which has no equation\. Add y: \.\.\. to the equations",
    ),
    (lambda: model_of([X]), AT + r"expected an expression .*, got list \(\[x\]\)"),
    (
        lambda: model_of(None),
        AT + r"expected an expression in declared symbols or a number, got NoneType",
    ),
    (
        lambda: model_of(np.array([X])),
        AT + r"got an array or matrix; expected one scalar expression",
    ),
    (lambda: model_of(sp.Matrix([X])), AT + r"got an array or matrix"),
    (lambda: model_of(sp.Tuple(X)), AT + r"expected an expression .*, got Tuple"),
    (
        lambda: model_of(state("x", bounds=(0, 1))),
        r"^Model 'm': two different symbols print alike as 'x': State\(bounds=\(-inf, inf\)\) "
        r"and State\(bounds=\(0\.0, 1\.0\)\)",
    ),
    (
        lambda: model_of(K * parameter("k", value=2) * X),
        r"two different symbols print alike as 'k': .*value=2\.0",
    ),
    (
        lambda: model_of(forcing("x") * X),
        r"two different symbols print alike as 'x': State\(.*\) and Forcing\(\)",
    ),
    (lambda: model_of(T * time("s")), r"^Model 'm': uses 2 times, s, t; a model has one"),
    (
        lambda: Model({}, name="m"),
        r"^Model 'm': no equation given; a model needs at least one state",
    ),
    (lambda: Model([X], name="m"), r"^Model 'm': equations must be a mapping .*, got list"),
    (
        lambda: Model({K: X}, name="m"),
        r"^Model 'm': the left-hand side k is Parameter\(.*equations belong to states",
    ),
    (
        lambda: Model({"x": 1}, name="m"),
        r"the left-hand side 'x' is str; equations belong to states",
    ),
    (
        lambda: Model({sp.Symbol("x"): 1}, name="m"),
        r"the left-hand side x is an undeclared SymPy symbol",
    ),
    (
        lambda: Model({X: 1}, name=" "),
        r"^Model: name must be a printable text that is .* blanks around it, got ' '\.",
    ),
    (
        lambda: Model({X: 1}, name="m", discrete="yes"),
        r"discrete must be True \(a map\) or False \(an ODE\), got 'yes'",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_models(make, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        make()
    assert isinstance(caught.value, InputError)


def test_a_text_is_not_evaluated() -> None:
    with pytest.raises(ModelError, match="never parsed"):
        model_of("__import__('sys').exit(3)")


def test_equations_do_not_depend_on_hash_seed() -> None:
    script = (
        "import symda as sd; x = sd.states('x', 5); a, b = sd.parameters('a b');"
        "m = sd.Model({s: b*s*x[0] + a*x[2]**2 - sd.exprel(x[1]*a) for s in x});"
        "print(m.equations, m.parameters)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
