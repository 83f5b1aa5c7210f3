"""Twins whose truth lies where no estimate can go are named, with what to do."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import symda as sd
from symda.api import ProblemWarning


def ringing() -> sd.Action:
    """Return x'' = -x - 2 c x', drawn in its bounds but swinging beyond them at first."""
    x, v = sd.states("x v", bounds=(-1.0, 1.0), start=(0.8, 1.0))
    c = sd.parameter("c", bounds=(-0.5, 1.0))
    model = sd.Model({x: v, v: -x - 2 * c * v}, name="ringing")
    return sd.Action(model, [x])


def twin(action: sd.Action, c: float = 0.2, **options: object) -> sd.Trajectory:
    chosen: dict[str, object] = {"dt": 0.25, "steps": 40, "variance": 0.01, "seed": 0} | options
    return sd.twin(action, parameters={"c": c}, **chosen)[0]


def test_a_truth_that_leaves_its_bounds_is_named_and_discard_proposed() -> None:
    action = ringing()
    with pytest.warns(ProblemWarning) as said:
        truth = twin(action)
    assert len(said) == 1 and said[0].filename == __file__
    x, times = truth.states.values, truth.times
    outside = np.flatnonzero((np.abs(x) > 1.0).any(axis=1))
    n, settled = outside[0], times[outside[-1] + 1]
    assert str(said[0].message) == (
        f"twin: the truth has x = {x[n, 0]:.6g} at time {times[n]:.6g}, outside of its bounds "
        "(-1, 1), where no estimate can go. It starts at random in the states' start ranges and "
        f"is inside from time {settled:.6g} on: pass discard={settled:.6g} or more, so that it has "
        "settled before time 0; or initial=, or widen bounds=."
    )
    # what is proposed does it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        later = twin(action, discard=float(settled), steps=20)
    np.testing.assert_allclose(later.states.values[:5], x[outside[-1] + 1 :][:5], atol=1e-6)


def test_discard_is_counted_from_where_the_truth_starts() -> None:
    with pytest.warns(ProblemWarning, match=r"pass discard=([\d.]+) or more") as plain:
        twin(ringing())
    with pytest.warns(ProblemWarning, match=r"pass discard=([\d.]+) or more") as partly:
        twin(ringing(), discard=0.25)
    first, second = (
        re.findall(r"discard=([\d.]+)", str(said[0].message)) for said in (plain, partly)
    )
    assert first == second


def test_a_truth_that_never_settles_and_one_that_was_given() -> None:
    with pytest.warns(ProblemWarning, match=r"start ranges: pass initial=, or widen bounds=\.$"):
        twin(ringing(), c=-0.1)
    with pytest.warns(ProblemWarning, match=r"where no estimate can go\. Widen bounds=\.$"):
        twin(ringing(), initial=[1.5, 0.0])


def test_true_values_of_parameters_are_compared_with_their_bounds() -> None:
    text = "the true value 2 of c is outside of its bounds (-0.5, 1), where no estimate can go"
    with pytest.warns(ProblemWarning, match=re.escape(text)):
        twin(ringing(), c=2.0, initial=[0.5, 0.0])


def test_a_truth_within_its_bounds_is_not_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin(ringing(), initial=[1.0, 0.0])
