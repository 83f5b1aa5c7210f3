"""What is no option at all, an array or ragged rows, is refused by name, not by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import symda as sd

X, K = sd.state("x", start=(0.0, 1.0)), sd.parameter("k", start=(0.0, 1.0))
DECAY = sd.Model({X: -K * X}, name="decay")
TIMES = 0.1 * np.arange(5.0)
RAGGED = [[1, 2], [3]]
EMPTY, SQUARE = np.array([]), np.zeros((2, 2))


def data(**options: object) -> sd.Observations:
    return sd.Observations(TIMES, np.exp(-TIMES), variance=0.01, **options)


@pytest.mark.parametrize("field", ["bounds", "start"])
def test_a_range_without_a_length(field: str) -> None:
    with pytest.raises(sd.ModelError, match=rf"{field} must be a pair \(low, high\), got array"):
        sd.state("x", **{field: np.array(1.0)})


@pytest.mark.parametrize("odd", [EMPTY, SQUARE], ids=["empty", "square"])
def test_an_array_is_no_name(odd: np.ndarray) -> None:
    calls = {
        "per must be 'step'": lambda: sd.parameter("k", per=odd),
        "averaging must be one of sum": lambda: sd.Action(DECAY, [X], averaging=odd),
        "model_error must be one of step": lambda: sd.Action(DECAY, [X], model_error=odd),
        "rule of Samples must be one of": lambda: sd.Samples(TIMES, TIMES, odd),
        "simulate: method must be one of": lambda: sd.simulate(
            DECAY, TIMES, [1.0], parameters=[1.0], method=odd
        ),
        "boundary": lambda: sd.site("i", 5, boundary=odd),
        "midpoint_data must be True or False": lambda: sd.Action(DECAY, [X]).bind(
            data(), midpoint_data=odd
        ),
    }
    for words, call in calls.items():
        with pytest.raises(sd.SymdaError, match=words):
            call()


def test_rows_of_different_lengths() -> None:
    with pytest.raises(sd.OptionError, match=r"Ladder: rf0\[0\] must be a positive number"):
        sd.Ladder(rf0=RAGGED)
    with pytest.raises(sd.OptionError, match="steps must be"):
        sd.Action(DECAY, [X]).bind(data(), steps=[(1, 0), 0, 1, 1])
    with pytest.raises(sd.DataError, match="initial"):
        sd.integrate(DECAY, TIMES, RAGGED, parameters=[1.0], method="rk4", step=0.1)


def test_a_number_of_steps_in_an_array() -> None:
    action = sd.Action(DECAY, [X])
    assert action.bind(data(), steps=np.array(2)).N == 8
    with pytest.raises(sd.OptionError, match="steps must be a whole number of at least 1"):
        action.bind(data(), steps=np.array(1.5))


@pytest.mark.parametrize("channels", [1, True, np.float32(1.5), np.array(1.0)], ids=repr)
def test_channels_that_are_no_names(channels: object) -> None:
    with pytest.raises(sd.DataError, match="channels of Observations: expected 1 names"):
        data(channels=channels)


def test_more_paths_than_memory_holds() -> None:
    with pytest.raises(sd.OptionError, match="paths must be at most 10000000, got 1000"):
        sd.anneal(sd.Action(DECAY, [X]), data(), paths=10**400)
