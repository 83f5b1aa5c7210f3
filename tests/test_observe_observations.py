"""Observations from arrays: shapes, gaps, variances, forcing, and what is refused."""

from __future__ import annotations

import datetime
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sympy
import xarray as xr

import symda as sd
from symda.declare import forcing, parameter, time
from symda.errors import DataError, DataWarning
from symda.observe import Observations, Samples

t = time()


def test_one_channel_becomes_a_column() -> None:
    data = Observations([0, 0.5, 2], [1, None, 3], variance=0.2)
    assert data.values.shape == data.variance.shape == (3, 1)
    np.testing.assert_array_equal(data.measured[:, 0], [True, False, True])
    np.testing.assert_array_equal(data.variance, np.full((3, 1), 0.2))
    assert data.channels is None
    assert data.forcing == {}


def test_one_observation_of_one_channel() -> None:
    data = Observations([3.0], [1.5], variance=[0.5])
    assert data.values.tolist() == [[1.5]]
    assert data.variance.tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("variance", "expected"),
    [
        (2.0, [[2, 2], [2, 2], [2, 2]]),
        ([1, 4], [[1, 4], [1, 4], [1, 4]]),
        ([[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_variance_per_channel_and_value(variance: object, expected: object) -> None:
    data = Observations([0, 1, 2], np.ones((3, 2)), variance=variance)
    np.testing.assert_array_equal(data.variance, expected)


def test_variance_in_time_of_one_channel() -> None:
    data = Observations([0, 1, 2], [1, 1, 1], variance=[1, 2, 3])
    np.testing.assert_array_equal(data.variance, [[1], [2], [3]])


def test_with_as_many_times_as_channels_a_flat_variance_belongs_to_channels() -> None:
    data = Observations([0, 1], np.ones((2, 2)), variance=[1, 4])
    np.testing.assert_array_equal(data.variance, [[1, 4], [1, 4]])


def test_variance_at_a_gap_does_not_matter() -> None:
    data = Observations([0, 1], [np.nan, 1], variance=[np.nan, 0.5])
    assert data.variance[1, 0] == 0.5


@pytest.mark.parametrize(
    "values",
    [
        [[1.0, np.nan], [3.0, 4.0]],
        np.array([[1.0, np.nan], [3.0, 4.0]], dtype=np.float32),
        np.ma.masked_equal([[1, -9], [3, 4]], -9),
        pd.DataFrame({0: [1.0, 3.0], 1: [None, 4.0]}),
        pd.DataFrame({0: [1, 3], 1: [None, 4]}, dtype="Int64"),
        pd.DataFrame({0: [1, 3], 1: [pd.NA, 4]}, dtype=object),
        xr.DataArray([[1.0, np.nan], [3.0, 4.0]]),
    ],
)
def test_what_counts_as_an_array(values: object) -> None:
    data = Observations(pd.Series([0, 1]), values, variance=1)
    assert data.values.dtype == np.float64
    np.testing.assert_array_equal(data.values, [[1, np.nan], [3, 4]])
    assert data.channels is None


def test_text_column_names_count_as_channel_names() -> None:
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, 4.0]})
    assert Observations([0, 1], frame, variance=1).channels == ("b", "a")
    assert Observations([0, 1], frame, variance=1, channels=["u", "v"]).channels == ("u", "v")


def test_arrays_are_copied_and_read_only() -> None:
    times, values, variance = np.array([0.0, 1.0]), np.ones((2, 1)), np.ones((2, 1))
    data = Observations(times, values, variance=variance)
    times[0] = values[0] = variance[0] = 9.0
    assert data.times[0] == 0.0
    assert data.values[0, 0] == data.variance[0, 0] == 1.0
    for array in (data.times, data.values, data.variance):
        assert not array.flags.writeable
    with pytest.raises(AttributeError):
        data.times = times


def test_every_kind_of_forcing() -> None:
    data = Observations(
        [0, 1, 2],
        [1, 1, 1],
        variance=1,
        forcing={
            "a": [3, 4, 5],
            forcing("b"): ([0, 2], [6, 8]),
            "c": Samples([0, 2], [1, 2], "hold"),
            "d": sympy.sin(t),
            "e": 2,
            "f": np.float32(0.5),
            "g": pd.Series([3, 4, 5]),
        },
    )
    assert list(data.forcing) == list("abcdefg")
    np.testing.assert_array_equal(data.forcing["a"](0.5), 3.5)
    np.testing.assert_array_equal(data.forcing["b"](0.5), 6.5)
    assert data.forcing["c"].rule == "hold"
    assert data.forcing["d"] == sympy.sin(t)
    assert data.forcing["e"] == 2.0
    assert data.forcing["f"] == 0.5
    np.testing.assert_array_equal(data.forcing["g"].values, [3, 4, 5])


def test_two_numbers_at_two_times_are_values_not_times_and_values() -> None:
    data = Observations([0, 1], [1, 1], variance=1, forcing={"I": (3.0, 5.0)})
    np.testing.assert_array_equal(data.forcing["I"](0.5), 4.0)


def test_survives_pickling() -> None:
    data = Observations(
        [0, 1], [1, np.nan], variance=1, channels="V", forcing={"I": sympy.cos(t), "J": [1, 2]}
    )
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy.values, data.values)
    assert copy.channels == ("V",)
    assert copy.forcing["I"] == data.forcing["I"]
    np.testing.assert_array_equal(copy.forcing["J"].values, [1, 2])


def test_repr_says_what_is_there() -> None:
    data = Observations([0, 1], [1, np.nan], variance=1, channels=["V"], forcing={"I": 1})
    assert repr(data) == (
        "Observations(T=2, L=1, times 0.0 to 1.0, gaps=1, channels=('V',), forcing=('I',))"
    )
    assert repr(Samples([0, 1], [1, 2])) == "Samples(2 samples, times 0.0 to 1.0, rule='linear')"


NOISE = "Pass the variance sigma^2 of the measurement noise."
DATES = (
    "times of Observations: expected plain numbers in your own units, got dates or time "
    "differences. Convert them, for instance (times - times[0]) / numpy.timedelta64(1, 's')."
)


@pytest.mark.parametrize(
    ("times", "values", "options", "message"),
    [
        (
            [0, 1, 2],
            [1, 2],
            {},
            "values of Observations: expected shape (3,) or (3, L) for 3 times, got (2,). "
            "Pass one row for each time, one column for each channel.",
        ),
        (
            [0, 1, 2],
            np.ones((2, 3)),
            {},
            "values of Observations: expected shape (3,) or (3, L) for 3 times, got (2, 3). "
            "It looks transposed: pass values.T.",
        ),
        (
            [0, 1],
            [1, -np.inf],
            {},
            "values of Observations: entry [1, 0] (time 1.0) is -inf. "
            "Use nan where nothing was measured.",
        ),
        (
            [0, 1],
            [np.nan, np.nan],
            {},
            "values of Observations: every value is nan, nothing was measured. "
            "Pass at least one measured value.",
        ),
        (
            [0, 1],
            [1.0, "high"],
            {},
            "values of Observations, entry 1: expected numbers, got text ('high'). "
            "Convert it to float; use nan (an empty cell) for a gap.",
        ),
        (
            [0, 1],
            [1j, 2],
            {},
            "values of Observations: expected real numbers, got complex ones. "
            "Pass real and imaginary parts as two channels.",
        ),
        (pd.date_range("2020-01-01", periods=2), [1, 2], {}, DATES),
        (np.array([0, 1], dtype="timedelta64[s]"), [1, 2], {}, DATES),
        ([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], [1, 2], {}, DATES),
        (
            [0, np.nan],
            [1, 2],
            {},
            "times of Observations: entry 1 is nan, expected a finite number. "
            "Drop the rows without a time.",
        ),
        (
            [1, 0],
            [1, 2],
            {},
            "times of Observations: must not decrease, but entry 1 is 0.0 after 1.0. Sort the rows "
            "by time.",
        ),
        (
            [0, 1],
            [1, 2],
            {"variance": 0},
            f"variance of Observations: entry [0, 0] is 0.0, expected a positive, finite number. "
            f"{NOISE} For exact data use a small one.",
        ),
        (
            [0, 1],
            [1, 2],
            {"variance": [1, -0.1]},
            f"variance of Observations: entry [1, 0] is -0.1, expected a positive, finite number. "
            f"{NOISE}",
        ),
        (
            [0, 1],
            [1, 2],
            {"variance": np.inf},
            f"variance of Observations: entry [0, 0] is inf, expected a positive, finite number. "
            f"{NOISE}",
        ),
        (
            [0, 1, 2],
            np.ones((3, 2)),
            {"variance": [1, 2, 3]},
            "variance of Observations: expected a number or shape (2,) or (3, 2), got (3,). "
            "Pass one variance, one for each channel, or one for each value.",
        ),
        (
            [0, 1],
            [1, 2],
            {"channels": ["V", "W"]},
            "channels of Observations: expected 1 names, one for each column of values, got 2: "
            "'V', 'W'.",
        ),
        (
            [0, 1],
            np.ones((2, 2)),
            {"channels": ["V", "V"]},
            "channels of Observations: the name 'V' occurs twice. Rename one of them.",
        ),
        (
            [0, 1],
            [1, 2],
            {"channels": [3]},
            "channels of Observations: expected printable names without blanks around them, got 3. "
            "Pass text, such as 'x0'.",
        ),
    ],
)
def test_bad_observations(
    times: object, values: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        Observations(times, values, **{"variance": 1.0, **options})
    assert str(caught.value) == message


def test_ragged_rows_are_refused() -> None:
    with pytest.raises(DataError, match="the rows have different lengths or are not arrays"):
        Observations([0, 1], [[1, 2], [3]], variance=1)


def test_a_dataset_is_no_array() -> None:
    with pytest.raises(DataError, match=r"values of Observations: the rows .* are not arrays"):
        Observations([0, 1], xr.Dataset({"V": ("time", [1.0, 2.0])}), variance=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"I": [1, 2]},
            "forcing 'I': expected 3 values, one for each observation time, got shape (2,). "
            "Pass a tuple (times, values) for samples at other times.",
        ),
        (
            {"I": "sin(t)"},
            "forcing 'I': expected samples, numbers or an expression, got the text 'sin(t)'; text "
            "is never evaluated. Write a SymPy expression in the symbol of sd.time().",
        ),
        (
            {"I": np.sin},
            "forcing 'I': expected samples, numbers or an expression, got a Python function. "
            "Sample it, (times, function(times)), or write a SymPy expression in the symbol of "
            "sd.time().",
        ),
        (
            {"I": sympy.sin(sympy.Symbol("t"))},
            "forcing 'I': the expression may depend on time only, but has the symbol 't'. "
            "Declare time with sd.time(), and substitute numbers for everything else.",
        ),
        (
            {"I": parameter("nu") * t},
            "forcing 'I': the expression may depend on time only, but has the symbol 'nu'. "
            "Declare time with sd.time(), and substitute numbers for everything else.",
        ),
        (
            {"I": t + time("s")},
            "forcing 'I': the expression s + t has two time symbols. Use one.",
        ),
        (
            {"I": t > 0},
            "forcing 'I': expected an expression, got t > 0 (StrictGreaterThan).",
        ),
        (
            {"I": [1, np.nan, 2]},
            "forcing 'I': values of Samples: entry 1 (time 1.0) is nan, expected a finite number. "
            "A forcing has no gaps: leave out the samples that are missing.",
        ),
        (
            {"I": 1, forcing("I"): 2},
            "forcing 'I' is given twice. Keep one of them.",
        ),
        (
            {3: 1},
            "forcing: expected names or sd.forcing symbols as keys, got 3 (int).",
        ),
        (
            [1, 2, 3],
            "forcing: expected a mapping from channel name to samples or expression, got list. "
            "Write forcing={'I': values}.",
        ),
    ],
)
def test_bad_forcing(given: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Observations([0, 1, 2], [1, 1, 1], variance=1, forcing=given)
    assert str(caught.value) == message


@pytest.mark.parametrize("constant", [float("nan"), float("inf"), sympy.oo, sympy.I])
def test_forcing_constants_must_be_finite_and_real(constant: object) -> None:
    with pytest.raises(DataError, match=r"^forcing 'I': "):
        Observations([0, 1], [1, 1], variance=1, forcing={"I": constant})


def test_undefined_functions_in_forcing_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"^forcing 'I': .*g"):
        Observations([0, 1], [1, 1], variance=1, forcing={"I": sympy.Function("g")(t)})


@pytest.mark.parametrize(
    ("origin", "step", "apart"),
    [(1.7e15, 1.0, 0.25), (1.7e15, 25.0, 0.25), (2.46e6, 1e-3, 4.7e-10)],
)
def test_times_whose_digits_are_few_are_named(origin: float, step: float, apart: float) -> None:
    """Microseconds since 1970, and Julian days; doubles have 53 bits."""
    times = origin + step * np.arange(5.0)
    with pytest.warns(DataWarning) as said:
        Observations(times, np.ones(5), variance=1)
    assert len(said) == 1 and said[0].filename == __file__
    assert str(said[0].message) == (
        f"times of Observations: near {origin:.6g} doubles are {apart:.2g} apart, and two times "
        f"lie {np.diff(times).min():.6g} apart there: lengths of steps and times within them are "
        f"rounded to that. Measure time from a nearer origin: times - {origin:.17g}."
    )


@pytest.mark.parametrize(
    ("origin", "step"), [(0.0, 1e-15), (2024.0, 1e-3), (1e6, 1.0), (0.0, 1e15)]
)
def test_times_with_digits_enough_are_not_named(origin: float, step: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Observations(origin + step * np.arange(5.0), np.ones(5), variance=1)
        Observations([origin], [1.0], variance=1)
        Observations([0.0, 1e-300, 1.0], [1.0, 1.0, 1.0], variance=1)


def test_whole_numbers_that_are_one_double_are_named() -> None:
    """Nanoseconds since 1970, which 64-bit integers tell apart and doubles do not."""
    times = 1_700_000_000_000_000_000 + np.arange(3)
    with pytest.raises(DataError) as caught:
        Observations(times, np.ones(3), variance=1)
    assert str(caught.value) == (
        "times of Observations: entries 0 and 1, 1700000000000000000 and 1700000000000000001, are "
        "the same double. Measure time from a nearer origin: times - 1700000000000000000."
    )
    with pytest.raises(DataError, match=r"got dates or time differences\. Convert them"):
        Observations(np.array(["2024-01-01", "2024-01-02"], "M8[us]"), [1, 2], variance=1)


def test_forcing_in_the_rows_of_replicates() -> None:
    """Rows of one time are several measurements; what drove the system there is one value."""
    x, u = sd.state("x", start=(0.0, 1.0)), sd.forcing("u")
    action = sd.Action(sd.Model({x: u - x}), [x])
    times, values = [0.0, 1.0, 1.0, 2.0], [0.0, 0.5, 0.6, 1.0]
    data = sd.Observations(times, values, variance=0.1, forcing={"u": [0.0, 2.0, 2.0, 1.0]})
    np.testing.assert_array_equal(action.bind(data).u[:, :, 0], [[0.0, 1.0, 2.0], [2.0, 1.5, 1.0]])
    with pytest.raises(sd.DataError, match=r"one value at time 1\.0, which stands in two rows"):
        sd.Observations(times, values, variance=0.1, forcing={"u": [0.0, 2.0, 3.0, 1.0]})
