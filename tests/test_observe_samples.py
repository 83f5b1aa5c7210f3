"""Sampled forcing: the three rules, and no extrapolation."""

from __future__ import annotations

import numpy as np
import pytest

from symda.errors import DataError, InputError, OptionError
from symda.observe import Samples


def test_linear_is_exact_for_a_line_and_at_the_samples() -> None:
    samples = Samples([0.0, 1.0, 4.0], [1.0, 3.0, 9.0])
    assert samples.rule == "linear"
    np.testing.assert_array_equal(samples([0.0, 0.5, 1.0, 2.5, 4.0]), [1.0, 2.0, 3.0, 6.0, 9.0])


def test_hold_keeps_the_previous_value_and_jumps_at_the_sample() -> None:
    samples = Samples([0.0, 1.0, 4.0], [1.0, 3.0, 9.0], "hold")
    before = np.nextafter(1.0, 0.0)
    np.testing.assert_array_equal(samples([0.0, before, 1.0, 3.9, 4.0]), [1.0, 1.0, 3.0, 3.0, 9.0])


def test_cubic_reproduces_a_cubic() -> None:
    t = np.array([0.0, 0.3, 1.0, 1.1, 2.0])
    samples = Samples(t, t**3 - 2.0 * t, "cubic")
    at = np.linspace(0.0, 2.0, 41)
    np.testing.assert_allclose(samples(at), at**3 - 2.0 * at, atol=1e-13)


@pytest.mark.parametrize("rule", ["linear", "hold", "cubic"])
def test_values_have_the_shape_of_the_times(rule: str) -> None:
    samples = Samples([0.0, 1.0], [1.0, 2.0], rule)
    assert samples(0.5).shape == ()
    assert samples(np.full((3, 2), 0.5)).shape == (3, 2)
    np.testing.assert_array_equal(samples([0.0, 1.0]), [1.0, 2.0])


@pytest.mark.parametrize("rule", ["linear", "hold"])
def test_one_sample_covers_its_own_time_only(rule: str) -> None:
    samples = Samples([2.0], [7.0], rule)
    np.testing.assert_array_equal(samples([2.0]), [7.0])
    with pytest.raises(DataError, match=r"cover times 2\.0 to 2\.0"):
        samples([2.0, 2.1])


def test_arrays_are_copied_and_read_only() -> None:
    values = np.array([1.0, 2.0])
    samples = Samples([0, 1], values)
    values[0] = 5.0
    assert samples.values[0] == 1.0
    assert samples.times.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        samples.values[0] = 5.0


@pytest.mark.parametrize("rule", ["linear", "hold", "cubic"])
@pytest.mark.parametrize("t", [-0.1, 1.0 + 1e-12, np.nan])
def test_never_extrapolates(rule: str, t: float) -> None:
    samples = Samples([0.0, 1.0], [1.0, 2.0], rule)
    with pytest.raises(DataError) as caught:
        samples([0.5, t, 7.0])
    assert str(caught.value) == (
        f"samples cover times 0.0 to 1.0, but a value is needed at {t}; samples are never "
        "extrapolated. Add samples, or choose times within that range (of observations with "
        "start=, stop=)."
    )


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        (
            [0, 2, 1],
            [1, 2, 3],
            "times of Samples: must be strictly increasing, but entry 2 is 1.0 after 2.0. "
            "Sort the rows by time and merge rows of the same time.",
        ),
        (
            [0, 1, 1],
            [1, 2, 3],
            "times of Samples: must be strictly increasing, but entry 2 is 1.0 after 1.0. "
            "Sort the rows by time and merge rows of the same time.",
        ),
        (
            [0, np.inf],
            [1, 2],
            "times of Samples: entry 1 is inf, expected a finite number. "
            "Drop the rows without a time.",
        ),
        ([], [], "times of Samples: expected at least one time, got none."),
        (
            [[0, 1]],
            [1, 2],
            "times of Samples: expected one dimension, got shape (1, 2). "
            "Pass a flat sequence of times.",
        ),
        (
            [0, 1],
            [1, 2, 3],
            "values of Samples: expected shape (2,), one value for each time, got (3,).",
        ),
        (
            [0, 1],
            [1, np.nan],
            "values of Samples: entry 1 (time 1.0) is nan, expected a finite number. "
            "A forcing has no gaps: leave out the samples that are missing.",
        ),
    ],
)
def test_bad_samples(times: object, values: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Samples(times, values)
    assert str(caught.value) == message
    assert isinstance(caught.value, InputError)


def test_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(OptionError) as caught:
        Samples([0, 1], [0, 1], "cubics")
    assert str(caught.value) == (
        "rule of Samples must be one of linear, hold, cubic, got 'cubics'. Did you mean 'cubic'?"
    )


def test_one_sample_is_too_few_for_a_spline() -> None:
    with pytest.raises(DataError, match=r"at least two samples, got one\. Use rule='hold'"):
        Samples([0], [1], "cubic")
