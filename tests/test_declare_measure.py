"""What is measured."""

import pytest
import sympy as sp

from symda.declare import forcing, measure, parameter, parameters, state, states, time
from symda.declare.factory import Model
from symda.errors import ModelError

X, Y = states("x yy")
K = parameter("k")
DRIVE, T = forcing("I"), time("t")
MODEL = Model({X: -K * X + DRIVE * sp.sin(T), Y: X - Y}, name="m")


def test_plain_states_keep_their_names() -> None:
    measurement = measure(MODEL, [Y, X])
    assert measurement.names == ("yy", "x")
    assert measurement.functions == (Y, X) and measurement.parameters == ()


def test_expressions_are_called_by_their_place() -> None:
    assert measure(MODEL, [X, X * Y, 2 * Y]).names == ("x", "h1", "h2")


def test_names_do_not_collide() -> None:
    h1, x = state("h1"), state("x")
    model = Model({h1: -x, x: h1})
    assert measure(model, [h1, x**2]).names == ("h1", "h1_")


def test_mapping_names_channels() -> None:
    measurement = measure(MODEL, {"voltage": X, "sum": X + Y})
    assert measurement.names == ("voltage", "sum") and measurement.functions == (X, X + Y)


def test_new_parameters_follow_in_order_of_appearance() -> None:
    gain, offset = parameters("gain offset")
    measurement = measure(MODEL, [offset + X, gain * Y + offset, K * X * Y])
    assert measurement.parameters == (offset, gain)


def test_one_state_model() -> None:
    model = Model({X: 0})
    assert measure(model, (X,)).names == ("x",)


AT = r"^measured quantities of model 'm', channel "
BAD = [
    ([], r"nothing is measured; name at least one state"),
    ({}, r"nothing is measured"),
    (X, r"got the expression x; put it in a list, \[x\]"),
    ("x", r"expected a list of expressions or a mapping .*, got 'x'"),
    (None, r"expected a list of expressions or a mapping .*, got None"),
    (["x"], AT + r"0: got the text 'x'; text is never parsed"),
    ([X, K], AT + r"1: k uses no state of the model"),
    ([1.0], AT + r"0: 1\.0+ uses no state"),
    (
        [X, X * DRIVE],
        AT + r"1: uses 'I', a Forcing; a measurement is a function of states and parameters only",
    ),
    ([X * T], AT + r"0: uses 't', a Time;"),
    (
        [state("y")],
        AT + r"0: 'y' is not a state of the model\. Did you mean 'yy'\? Its states are: x, yy",
    ),
    (
        [state("x", bounds=(0, 1))],
        AT + r"0: 'x' prints like a state of the model but was declared differently",
    ),
    ([X, Y, X], AT + r"2: x is measured twice, also as channel 0"),
    ({"a": X, "b": X}, AT + r"'b': x is measured twice, also as channel 'a'"),
    ({"": X}, r"channel name '' must be a printable text that is not empty"),
    ({X: X}, r"channel name x must be a printable text"),
    ([sp.gamma(X)], AT + r"0: gamma is not a function that symda can compile"),
    ([X * sp.Symbol("kk") * K], AT + r"0: 'kk' is an undeclared SymPy symbol\. Did you mean 'k'\?"),
    ([X * parameter("k", value=3)], r"two different symbols print alike as 'k'"),
    (
        [X * parameter("yy")],
        r"two different symbols print alike as 'yy': State\(.*\) and Parameter",
    ),
]


@pytest.mark.parametrize(("measured", "message"), BAD)
def test_bad_measurements(measured, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        measure(MODEL, measured)
