"""The ladder: its rungs, and what it refuses."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symda.anneal import Ladder
from symda.declare import states
from symda.errors import OptionError


def test_the_papers_ladder():
    values = Ladder(0.01).values(("x",))
    assert values.shape == (26, 1)
    assert values[0, 0] == 0.01
    assert values[25, 0] == 0.01 * 2.0**25


@pytest.mark.parametrize(
    "rf0", [[1.0, 3.0], (1, 3), np.array([1.0, 3.0]), {"y": 3.0, "x": 1.0}], ids=repr
)
def test_a_value_for_each_state(rf0):
    values = Ladder(rf0=rf0, alpha=1.5, rungs=3).values(("x", "y"))
    assert values == pytest.approx(np.array([[1, 3], [1.5, 4.5], [2.25, 6.75]]), rel=1e-15)


def test_state_symbols_name_states():
    x, y = states("x y")
    assert Ladder(rf0={x: 1.0, y: 2.0}, rungs=1).values(("x", "y")).tolist() == [[1.0, 2.0]]


def test_one_rung_needs_no_factor():
    assert Ladder(rf0=3, alpha=1.0, rungs=1).values(("a", "b")).tolist() == [[3.0, 3.0]]


def test_the_caller_keeps_his_mapping():
    given_values = {"x": 1.0}
    ladder = Ladder(rf0=given_values)
    given_values["x"] = 5.0
    assert ladder.values(("x",))[0, 0] == 1.0


@given(
    rf0=st.floats(1e-300, 1e300),
    alpha=st.floats(1.01, 1e6),
)
def test_the_largest_beta_it_names_fits_and_the_next_does_not(rf0, alpha):
    with pytest.raises(OptionError) as caught:
        Ladder(rf0=rf0, alpha=alpha, rungs=10**9)
    last = int(re.search(r"largest beta that fits is (\d+)", str(caught.value))[1])
    assert np.isfinite(Ladder(rf0=rf0, alpha=alpha, rungs=last + 1).values(("x",))).all()
    with pytest.raises(OptionError, match="leaves the range of doubles"):
        Ladder(rf0=rf0, alpha=alpha, rungs=last + 2)


REFUSED = [
    ({"rungs": 0}, "Ladder: rungs must be a whole number of at least 1, got 0."),
    ({"rungs": 2.5}, "Ladder: rungs must be a whole number of at least 1, got 2.5."),
    ({"rungs": True}, "Ladder: rungs must be a whole number of at least 1, got True."),
    ({"rf0": 0.0}, "Ladder: rf0 must be a positive number, got 0.0."),
    ({"rf0": float("nan")}, "Ladder: rf0 must be a positive number, got nan."),
    ({"rf0": "0.1"}, "Ladder: rf0 must be a positive number, got '0.1'."),
    ({"rf0": [1.0, -2.0]}, "Ladder: rf0[1] must be a positive number, got -2.0."),
    ({"rf0": {"x": -1.0}}, "Ladder: rf0[x] must be a positive number, got -1.0."),
    ({"rf0": {}}, "Ladder: rf0 is an empty mapping. Give every state a value."),
    (
        {"rf0": np.ones((2, 2))},
        "Ladder: rf0 must be one number, one a state, or a mapping, got shape (2, 2). A ladder has "
        "one number a state; alpha and rungs make the rest. Of a full matrix these are one over "
        "the errors' variances, and their correlations go to sd.Action(..., "
        "error_correlations=...).",
    ),
    ({"alpha": -2.0}, "Ladder: alpha must be a positive number, got -2.0."),
    (
        {"alpha": 1.0},
        "Ladder: alpha must be above 1 so that Rf grows from rung to rung, got 1.0. Take for "
        "example alpha=2.0, or rungs=1 for a single value of Rf.",
    ),
    (
        {"alpha": 4.0, "rungs": 1},
        "Ladder: alpha=4.0 has no effect on one rung, which is rf0. Leave alpha out, or take more "
        "rungs.",
    ),
    (
        {"rf0": 1.0, "alpha": 2.0, "rungs": 1025},
        "Ladder: Rf = 1.0 * 2.0**beta leaves the range of doubles: the largest beta that fits is "
        "1023, but rungs=1025 climbs to beta=1024. Take rungs=1024 or fewer, or a smaller alpha.",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[repr(o) for o, _ in REFUSED])
def test_refused(options, message):
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Ladder(**options)


def test_a_wrong_number_of_values():
    with pytest.raises(OptionError) as caught:
        Ladder(rf0=[1.0, 2.0, 3.0]).values(("x", "y"))
    assert str(caught.value) == (
        "Ladder: rf0 has 3 values, but the model has 2 states (x, y). Give one value a state, or a "
        "single number for all."
    )


def test_a_name_that_is_no_state():
    with pytest.raises(OptionError) as caught:
        Ladder(rf0={"voltage": 1.0, "voltige": 2.0}).values(("voltage", "gate"))
    assert str(caught.value) == (
        "Ladder: rf0 names 'voltige', which is not a state of the model (voltage, gate). Did you "
        "mean 'voltage'?"
    )


def test_a_state_without_a_value():
    with pytest.raises(OptionError) as caught:
        Ladder(rf0={"x": 1.0}).values(("x", "y", "z"))
    assert str(caught.value) == (
        "Ladder: rf0 has no value for y, z. Give every state one, or pass a single number for all."
    )
