"""Checks of single numbers and words: what they take, and what they say."""

import fractions

import numpy as np
import pytest
import sympy as sp

from symda.checks import choice, integer, number, share
from symda.errors import ModelError, OptionError
from symda.status import Reason, Status


@pytest.mark.parametrize(
    "value",
    [2, 2.0, np.float32(2), np.int8(2), np.array(2.0), sp.Integer(2), fractions.Fraction(2)],
)
def test_numbers_of_any_kind(value: object) -> None:
    got = number(value, "x", kind="positive")
    assert got == 2.0 and type(got) is float
    assert integer(value, "x", floats=True) == 2


@pytest.mark.parametrize(
    "value", ["2", True, np.True_, None, [2.0], np.array([2.0]), sp.Symbol("a"), 2j, 10**400]
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(OptionError, match=r"^f: x must be a finite number, got .*; fix it\.$"):
        number(value, "f: x", "fix it")
    with pytest.raises(OptionError, match=r"^x must be a number between 0 and 1, got "):
        share(value, "x")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.nan, "finite"),
        (-np.inf, "finite"),
        (0.0, "positive"),
        (np.inf, "positive"),
        (-1e-300, "non-negative"),
    ],
)
def test_numbers_out_of_range(value: float, kind: str) -> None:
    with pytest.raises(ModelError) as caught:
        number(value, "x", kind=kind, error=ModelError)
    assert str(caught.value) == f"x must be a {kind} number, got {value!r}."


def test_ends_of_a_range_count_where_they_are_to() -> None:
    assert number(0, "x", kind="non-negative") == 0.0
    assert share(1, "x", closed=True) == 1.0 and integer(3, "x", least=3, most=3) == 3
    for wrong in (0.0, 1.0):
        with pytest.raises(OptionError, match="between 0 and 1"):
            share(wrong, "x")
    with pytest.raises(OptionError, match="above 0 and at most 1"):
        share(0.0, "x", closed=True)
    with pytest.raises(OptionError, match=r"^x must be a whole number from 1 to 8, got 9\.$"):
        integer(9, "x", most=8)


@pytest.mark.parametrize("value", [0, 2.0, "2", True, None, np.array(2.0), sp.Float(2), -(10**400)])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(OptionError, match=r"^x must be a whole number of at least 1, got "):
        integer(value, "x")


def test_whole_numbers_keep_all_their_digits() -> None:
    assert integer(2**53 + 1, "x", floats=True) == 2**53 + 1
    assert integer(10**400, "x") == 10**400


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(OptionError) as caught:
        number(list(range(10**5)), "x")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("value", ["lineer", None, 1, np.array(["linear"]), ["linear"]])
def test_words_that_are_no_choice(value: object) -> None:
    with pytest.raises(OptionError, match=r"^rule must be one of linear, hold, got ") as caught:
        choice(value, "rule", ("linear", "hold"))
    assert str(caught.value).endswith("Did you mean 'linear'?") == (value == "lineer")


def test_codes_are_those_of_saved_runs() -> None:
    words = ["not_run", "converged", "acceptable", "stopped", "failed"]
    assert [Status.of(code) for code in range(5)] == words
    assert [Status(word).code for word in words] == [0, 1, 2, 3, 4]
    assert [reason.status for reason in Reason] == ["converged", *4 * ["stopped"], *2 * ["failed"],
                                                    "stopped", "acceptable"]  # fmt: skip
