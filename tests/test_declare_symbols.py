"""States, parameters, forcing and time as SymPy symbols with a declaration."""

import copy
import math
import pickle

import numpy as np
import pytest
import sympy as sp

from symda.declare import (
    Forcing,
    Parameter,
    State,
    Time,
    forcing,
    parameter,
    parameters,
    state,
    states,
    time,
)
from symda.errors import InputError, ModelError

SYMBOLS = [
    State("x"),
    State("x", bounds=(0, 1), start=(0.25, 0.5)),
    Parameter("p", bounds=(-1, 5), start=(0, 1), value=2, typical=3),
    Parameter("p"),
    Forcing("I"),
    Time("t"),
]


@pytest.mark.parametrize("symbol", SYMBOLS, ids=repr)
@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_symbols_survive_copying(symbol, clone) -> None:
    twin = clone(symbol)
    assert twin == symbol and hash(twin) == hash(symbol) and type(twin) is type(symbol)
    assert twin.words == symbol.words
    assert getattr(twin, "declaration", None) == getattr(symbol, "declaration", None)
    assert twin.is_real


def test_declaration_counts_in_equality() -> None:
    assert State("x") == State("x")
    assert State("x", bounds=(0, 1)) != State("x")
    assert State("x") != Parameter("x")
    assert Parameter("p", value=1.0) != Parameter("p", typical=1.0)
    assert State("x") != sp.Symbol("x", real=True)
    assert (State("x", bounds=(0, 1)) + State("x")).args != (2 * State("x")).args


def test_symbols_survive_algebra() -> None:
    x, p = State("x", bounds=(0, 2)), Parameter("p", value=3.0)
    (found,) = (x * p).diff(p).free_symbols
    assert found is x
    assert (x**2 * p).subs(p, 2) == 2 * x**2
    assert (x * p).xreplace({p: x}) == x**2
    assert sp.simplify(x + p - x) == p
    assert sp.expand((x + p) ** 2).free_symbols == {x, p}
    assert sp.lambdify([x, p], x * p)(2.0, 3.0) == 6.0
    assert sp.latex(State("tau_m")) == r"\tau_{m}"


def test_two_alike_have_an_order() -> None:
    alike = [State("x"), State("x", bounds=(0, 1)), State("x", start=(0, 1))]
    total = sp.Add(*alike)
    assert len(total.args) == 3
    assert sp.Add(*alike[::-1]).args == total.args


def test_helpers() -> None:
    x = states("x", 11, start=(-10.0, 10.0))
    assert [s.name for s in x] == [f"x{a}" for a in range(11)]
    assert x[3].declaration.start == (-10.0, 10.0)
    assert x[3].declaration.bounds == (-math.inf, math.inf)
    assert states("V") == (State("V"),) and states("x", 1) == (State("x0"),)
    assert [s.name for s in states("x y, z")] == ["x", "y", "z"]
    assert [s.name for s in states(["firing rate", "V"])] == ["firing rate", "V"]
    assert state("V", bounds=(0, 1)) == State("V", bounds=(0.0, 1.0))
    assert parameters("sigma rho beta", bounds=(0, 1))[2] == Parameter("beta", bounds=(0, 1))
    assert [p.name for p in parameters("a", 2)] == ["a0", "a1"]
    assert parameter("nu", value=np.float64(2)).declaration.value == 2.0
    assert forcing("I") == Forcing("I") and time() == Time("t") and time("n").name == "n"


def test_numbers_of_every_kind_become_floats() -> None:
    p = Parameter(
        "p", bounds=(np.int64(0), sp.Rational(3, 2)), value=1, typical=sp.Float(2.0)
    ).declaration
    assert p.bounds == (0.0, 1.5) and p.value == 1.0 and p.typical == 2.0
    assert all(type(v) is float for v in (*p.bounds, p.value, p.typical))


@pytest.mark.parametrize("name", ["I", "lambda", "E", "S", "N", "Q", "pi", "λ", "x[0]"])
def test_natural_names(name: str) -> None:
    assert str(State(name)) == name


BAD = [
    (
        lambda: state("x", bounds=(2, 1)),
        r"State 'x': bounds = \(2.0, 1.0\) are the wrong way round; write \(1.0, 2.0\)",
    ),
    (
        lambda: state("x", bounds=(1, 1)),
        r"State 'x': bounds = \(1.0, 1.0\) leave no room; .*value=1.0",
    ),
    (lambda: state("x", bounds=(math.nan, 1)), r"bounds = \(nan, 1.0\) holds nan; use -inf or inf"),
    (lambda: state("x", bounds=(math.inf, math.inf)), r"bounds = \(inf, inf\) leave no room"),
    (lambda: state("x", bounds=(1, 2, 3)), r"bounds must be a pair \(low, high\), got \(1, 2, 3\)"),
    (lambda: state("x", bounds=5), r"bounds must be a pair \(low, high\), got 5"),
    (lambda: state("x", bounds=("a", 1)), r"each end of bounds must be a number, got 'a'"),
    (lambda: state("x", bounds=(0, True)), r"each end of bounds must be a number, got True"),
    (lambda: state("x", start=(2, 1)), r"start = \(2.0, 1.0\) are the wrong way round"),
    (lambda: state("x", start=(0, math.inf)), r"start = \(0.0, inf\) must be finite"),
    (
        lambda: state("x", bounds=(0, 1), start=(0.5, 2)),
        r"start = \(0.5, 2.0\) leaves bounds = \(0.0, 1.0\)",
    ),
    (
        lambda: parameter("p", bounds=(0, 1), value=2),
        r"Parameter 'p': value = 2.0 lies outside bounds = \(0.0, 1.0\)",
    ),
    (lambda: parameter("p", value=math.nan), r"value = nan must be finite"),
    (lambda: parameter("p", value="2"), r"value must be a number, got '2'"),
    (lambda: parameter("p", typical=0), r"typical = 0.0 must be finite and larger than zero"),
    (lambda: parameter("p", typical=-1), r"typical = -1.0 must be finite and larger than zero"),
    (lambda: state(""), r"State: the name '' is empty or has blanks"),
    (lambda: State(" x"), r"State: the name ' x' is empty or has blanks"),
    (lambda: State(3), r"State: the name must be text, got 3"),
    (lambda: state("x y"), r"state\('x y'\): expected one name, got several; use states\('x y'\)"),
    (lambda: forcing("I J"), r"expected one name, got several; call forcing\(\) once for each"),
    (lambda: states(""), r"states\(\): no name given"),
    (lambda: states("x y x"), r"states\(\): 'x' given more than once"),
    (lambda: states("x", 0), r"states\('x', 0\): the size must be a whole number of at least 1"),
    (lambda: states("x", 2.5), r"states\('x', 2.5\): the size must be a whole number"),
    (lambda: states("x", True), r"states\('x', True\): the size must be a whole number"),
    (lambda: states("x y", 3), r"a size goes with one name, got 2 names"),
    (
        lambda: parameters(3),
        r"parameters\(\): expected names as text or a sequence of texts, got 3",
    ),
]


@pytest.mark.parametrize(("declare", "message"), BAD)
def test_bad_declarations(declare, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        declare()
    assert isinstance(caught.value, InputError) and isinstance(caught.value, ValueError)
