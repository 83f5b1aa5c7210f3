"""Unknowns of a bound problem: start ranges, fixed values, typical sizes; `Problem` itself."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest

from symda.declare import parameter, state, states
from symda.errors import DataError, OptionError
from symda.observe import Observations, Problem, bind
from symda.scale import Scale

INF = math.inf


def make(observations: Observations | None = None, **changes: object) -> Problem:
    """Bind two states, of which x is measured, and one parameter, with anything replaced."""
    arguments: dict[str, object] = {
        "states": (state("x", start=(-1, 1)), state("y", start=(-2, 2))),
        "parameters": (parameter("nu", start=(1, 3)),),
        "forcing": (),
        "channels": ("x",),
        "direct": (0,),
        "abscissae": (0.0, 0.5, 1.0),
        "interior": (),
        "time": None,
    }
    if observations is None:
        observations = Observations([0, 1, 3], [1, np.nan, 2], variance=[0.5, 1, 0.25])
    arguments |= changes
    for kind in ("states", "parameters"):
        arguments[kind] = {symbol: symbol.declaration for symbol in arguments[kind]}
    return bind(observations, **arguments)


def test_state_start_declared_else_bounds_else_data() -> None:
    data = Observations([0, 1], [[0, 10], [4, 30]], variance=1)
    problem = make(
        data,
        states=(
            state("a"),  # own channel: 0 .. 4, widened by 2
            state("b", bounds=(6, INF)),  # own channel: 10 .. 30, widened by 10, clipped
            state("c", bounds=(-INF, 20)),  # both channels: 0 .. 30, widened by 15, clipped
            state("d", bounds=(-7, 7)),
            state("e", bounds=(-7, 7), start=(1, 2)),
        ),
        channels=("a", "b"),
        direct=(0, 1),
    )
    np.testing.assert_array_equal(
        problem.state_start, [[-2, 6], [6, 40], [-15, 20], [-7, 7], [1, 2]]
    )
    np.testing.assert_array_equal(
        problem.state_bounds, [[-INF, INF], [6, INF], [-INF, 20], [-7, 7], [-7, 7]]
    )


def test_expression_channels_say_nothing_about_states() -> None:
    data = Observations([0, 1], [[0, 100], [4, 300]], variance=1)
    problem = make(data, states=states("x y"), channels=("x", "h"), direct=(0, -1))
    np.testing.assert_array_equal(problem.state_start, [[-2, 6], [-2, 6]])


@pytest.mark.parametrize(("value", "half"), [(8.0, 4.0), (-8.0, 4.0), (0.0, 0.5)])
def test_state_start_of_constant_data(value: float, half: float) -> None:
    data = Observations([0, 1], [value, value], variance=0.25)
    problem = make(data, states=(state("x"),))
    np.testing.assert_array_equal(problem.state_start, [[value - half, value + half]])


def test_parameter_start_fixed_and_typical() -> None:
    every = (
        parameter("a", start=(1, 3)),
        parameter("b", bounds=(-4, 2)),
        parameter("c", value=5.0),
        parameter("d", value=-2.0, bounds=(-2.5, INF)),
        parameter("e", value=0.0),
        parameter("f", start=(1, 3), typical=10.0),
        parameter("g", value=6.0, bounds=(0, 10), typical=7.0),
    )
    problem = make(parameters=every)
    nan = math.nan
    np.testing.assert_array_equal(problem.fixed, [nan, nan, 5, -2, 0, nan, 6])
    np.testing.assert_array_equal(problem.free, [True, True, False, False, False, True, False])
    np.testing.assert_array_equal(
        problem.parameter_start, [[1, 3], [-4, 2], [5, 5], [-2, -2], [0, 0], [1, 3], [6, 6]]
    )
    np.testing.assert_array_equal(problem.typical, [3, 4, 5, 2, 1, 10, 7])
    np.testing.assert_array_equal(problem.parameter_bounds[3], [-2.5, INF])

    freed = make(parameters=every, fixed={"a": 2, "c": None, "d": None, every[4]: 1.5, "g": None})
    np.testing.assert_array_equal(freed.fixed, [2, nan, nan, nan, 1.5, nan, nan])
    np.testing.assert_array_equal(
        freed.parameter_start,
        [[2, 2], [-4, 2], [2.5, 7.5], [-2.5, -1], [1.5, 1.5], [1, 3], [0, 10]],
    )


PLAIN = Observations([0, 1, 3], [1, 2, 3], variance=1)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"fixed": {"mu": 1.0}},
            OptionError,
            "fixed: 'mu' is no parameter; the model has nu. Did you mean 'nu'?",
        ),
        (
            {"parameters": (), "fixed": {"mu": 1.0}},
            OptionError,
            "fixed: 'mu' is no parameter; the model has no parameters.",
        ),
        (
            {"parameters": (parameter("nu", bounds=(0, 20)),), "fixed": {"nu": 21}},
            OptionError,
            "fixed['nu']: expected a value within the bounds (0.0, 20.0), got 21. "
            "Change it, or the bounds of the parameter.",
        ),
        (
            {"fixed": {"nu": math.nan}},
            OptionError,
            "fixed['nu'] must be a finite number, got nan; None is to estimate the parameter.",
        ),
        (
            {"states": states("x y"), "direct": (-1,)},
            DataError,
            "state 'x': no start range is known, since no state is measured directly. Declare it, "
            "for instance sd.state('x', start=(-1.0, 1.0)), or give finite bounds.",
        ),
        (
            {"states": (state("x", bounds=(10, INF)),)},
            DataError,
            "state 'x': the data lie outside its bounds (10.0, inf). "
            "Check the units, or declare start= or other bounds=.",
        ),
        (
            {"parameters": (parameter("nu"),)},
            DataError,
            "parameter 'nu': no start range is known. Declare it, for instance "
            "sd.parameter('nu', start=(0.0, 1.0)), or give finite bounds.",
        ),
        (
            {"parameters": (parameter("nu", value=0.0),), "fixed": {"nu": None}},
            DataError,
            "parameter 'nu': no start range is known. Declare it, for instance "
            "sd.parameter('nu', start=(0.0, 1.0)), or give finite bounds.",
        ),
    ],
)
def test_bad_unknowns(changes: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        make(PLAIN, **changes)
    assert str(caught.value) == message


def test_a_problem_is_plain_frozen_data() -> None:
    problem = make(steps=2)
    copy = pickle.loads(pickle.dumps(problem))
    for field in dataclasses.fields(problem):
        np.testing.assert_array_equal(getattr(copy, field.name), getattr(problem, field.name))
    assert copy.digest == problem.digest
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.h = problem.weight
    with pytest.raises(ValueError, match="read-only"):
        problem.y[0, 0] = 3.0


def test_the_digest_sees_every_array_and_name() -> None:
    problem = make(steps=2)
    assert len(problem.digest) == 64
    seen, changes = {problem.digest}, 0
    for field in dataclasses.fields(problem):
        value = getattr(problem, field.name)
        if field.name == "interior":
            continue  # bound to the shapes of the arrays
        if isinstance(value, np.ndarray):
            if value.size == 0:
                continue
            changed = value.copy()
            changed.flat[0] = 0.125 if changed.dtype == np.float64 else not changed.flat[0]
        elif field.name == "segments":
            changed = (dataclasses.replace(value[0], name="z"),)
        elif field.name == "scales":
            changed = (Scale("log"),) * (problem.D + problem.P)
        elif isinstance(value, tuple):
            changed = ("z", *value[1:])
        else:
            changed = 0.5
        seen.add(dataclasses.replace(problem, **{field.name: changed}).digest)
        changes += 1
    assert len(seen) == 1 + changes > 25
    assert make(steps=2).digest == problem.digest


def test_a_problem_whose_shapes_disagree_is_refused() -> None:
    problem = make()
    with pytest.raises(DataError) as caught:
        dataclasses.replace(problem, y=problem.y[:-1])
    assert str(caught.value) == "y of Problem: expected shape (3, 1), got (2, 1)."
    with pytest.raises(DataError, match="times of Problem: expected shape"):
        dataclasses.replace(problem, interior=1)
    with pytest.raises(DataError, match="u of Problem"):
        dataclasses.replace(problem, u=np.zeros(3))
