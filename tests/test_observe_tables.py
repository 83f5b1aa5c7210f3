"""Observations from pandas, xarray, CSV and NetCDF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from symda.errors import DataError, OptionError
from symda.observe import Observations, Samples

TIMES = [0.0, 0.1, 0.3]
V = [1.0, np.nan, 3.0]
W = [4.0, 5.0, 6.0]
I = [7.0, 8.0, 9.0]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"t": TIMES, "V": V, "W": W, "I": I})


@pytest.fixture
def dataset() -> xr.Dataset:
    return xr.Dataset(
        {"V": ("time", V), "W": ("time", W), "I": ("time", I), "site": ("place", [1.0])},
        coords={"time": TIMES},
    )


def check(data: Observations) -> None:
    np.testing.assert_array_equal(data.times, TIMES)
    np.testing.assert_array_equal(data.values, np.column_stack([V, W]))
    assert data.channels == ("V", "W")
    np.testing.assert_array_equal(data.forcing["I"].times, TIMES)
    np.testing.assert_array_equal(data.forcing["I"].values, I)


def test_pandas_with_a_time_column(frame: pd.DataFrame) -> None:
    check(Observations.from_pandas(frame, "t", variance=1, forcing=["I"]))


def test_pandas_with_times_in_the_index(frame: pd.DataFrame) -> None:
    indexed = frame.set_index("t")
    check(Observations.from_pandas(indexed, variance=[1, 2], forcing=["I"]))
    check(Observations.from_pandas(indexed, "t", variance=1, forcing=["I"]))


def test_columns_are_chosen_ordered_and_renamed(frame: pd.DataFrame) -> None:
    one = Observations.from_pandas(frame, "t", "W", variance=1)
    assert one.channels == ("W",)
    two = Observations.from_pandas(frame, "t", ["W", "V"], variance=1)
    np.testing.assert_array_equal(two.values[:, 0], W)
    assert two.channels == ("W", "V")
    renamed = Observations.from_pandas(frame, "t", {"u": "W"}, variance=1, forcing={"J": "I"})
    assert renamed.channels == ("u",)
    np.testing.assert_array_equal(renamed.forcing["J"].values, I)


def test_forcing_may_mix_columns_and_other_sources(frame: pd.DataFrame) -> None:
    held = Samples([0, 1], [2, 3], "hold")
    data = Observations.from_pandas(
        frame, "t", ["V", "W"], variance=1, forcing={"I": "I", "J": held, "K": 2.0}
    )
    assert data.forcing["J"] is held
    assert data.forcing["K"] == 2.0
    check(data)


def test_a_series_is_one_channel() -> None:
    data = Observations.from_pandas(pd.Series(W, index=TIMES, name="W"), variance=1)
    assert data.channels == ("W",)
    unnamed = Observations.from_pandas(pd.Series(W, index=TIMES), variance=1)
    assert unnamed.channels is None
    np.testing.assert_array_equal(unnamed.values[:, 0], W)


def test_nullable_columns_have_gaps() -> None:
    frame = pd.DataFrame({"t": [0, 1], "V": pd.array([1, None], dtype="Int64")})
    np.testing.assert_array_equal(
        Observations.from_pandas(frame, "t", variance=1).values, [[1], [np.nan]]
    )


def test_xarray_dataset_takes_its_series_in_time(dataset: xr.Dataset) -> None:
    check(Observations.from_xarray(dataset, variance=1, forcing=["I"]))


def test_xarray_array_with_named_channels() -> None:
    array = xr.DataArray(
        np.array([V, W]), dims=("channel", "time"), coords={"channel": ["V", "W"], "time": TIMES}
    )
    data = Observations.from_xarray(array, variance=1, forcing={"I": (TIMES, I)})
    check(data)
    assert Observations.from_xarray(array, values=["W"], variance=1).channels == ("W",)


def test_xarray_array_without_channel_names() -> None:
    array = xr.DataArray(np.ones((3, 2)), dims=("t", "x"), coords={"t": TIMES})
    data = Observations.from_xarray(array, variance=1)
    assert data.values.shape == (3, 2)
    assert data.channels is None
    single = Observations.from_xarray(array[:, 0], variance=1)
    assert single.values.shape == (3, 1)
    assert single.channels is None


def test_xarray_variable_with_two_dimensions_in_a_dataset(dataset: xr.Dataset) -> None:
    wide = dataset.drop_vars(["V", "W"]).assign(
        data=(("time", "channel"), np.column_stack([V, W]), {}),
    )
    wide = wide.assign_coords(channel=["V", "W"])
    check(Observations.from_xarray(wide, values="data", variance=1, forcing=["I"]))


def test_csv_reads_numbers_exactly_and_empty_cells_as_gaps(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    times = [0.1 * k for k in range(40)]
    rows = [f"{5.0 * k!r}, {t!r}, {'' if k % 3 else repr(t / 7)}" for k, t in enumerate(times)]
    path.write_text("I, t, V\n" + "\n".join(rows) + "\n")
    data = Observations.from_csv(path, variance=1, forcing=["I"])
    np.testing.assert_array_equal(data.times, times)
    expected = [np.nan if k % 3 else t / 7 for k, t in enumerate(times)]
    np.testing.assert_array_equal(data.values[:, 0], expected)
    assert data.channels == ("V",)
    np.testing.assert_array_equal(data.forcing["I"].values, 5.0 * np.arange(40))


def test_csv_without_t_takes_the_first_column_and_any_separator(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("seconds;V\n0;1\n1;2\n")
    data = Observations.from_csv(str(path), variance=1, separator=";")
    np.testing.assert_array_equal(data.times, [0, 1])
    assert data.channels == ("V",)


def test_netcdf_is_read_like_a_dataset(tmp_path: Path, dataset: xr.Dataset) -> None:
    dataset["time"].attrs["units"] = "days since 2000-01-01"
    path = tmp_path / "data.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    check(Observations.from_netcdf(path, variance=1, forcing=["I"]))
    assert Observations.from_netcdf(path, values="W", variance=1).channels == ("W",)


def test_missing_columns_name_the_nearest(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError) as caught:
        Observations.from_pandas(frame.rename(columns={"V": "voltage"}), "t", "voltge", variance=1)
    assert str(caught.value) == (
        "the DataFrame has no column 'voltge' for values; it has 'voltage', 'W', 'I'. "
        "Did you mean 'voltage'?"
    )
    with pytest.raises(DataError) as caught:
        Observations.from_pandas(frame.rename(columns={"t": "time"}), "tme", variance=1)
    assert str(caught.value) == (
        "the DataFrame has no column 'tme' for time; it has 'time', 'V', 'W', 'I'. "
        "Did you mean 'time'?"
    )
    with pytest.raises(DataError, match="has no column 'J' for forcing 'J'; it has 'V', 'W', 'I'"):
        Observations.from_pandas(frame, "t", variance=1, forcing=["J"])


def test_nothing_left_to_measure(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no column of measured values besides time and forcing"):
        Observations.from_pandas(frame[["t", "I"]], "t", variance=1, forcing=["I"])


def test_a_column_given_twice(frame: pd.DataFrame) -> None:
    twice = pd.concat([frame, frame[["V"]]], axis=1)
    with pytest.raises(DataError) as caught:
        Observations.from_pandas(twice, "t", variance=1)
    assert (
        str(caught.value) == "the DataFrame has the column 'V' more than once. Rename or drop one."
    )


def test_dates_in_the_index_are_refused(frame: pd.DataFrame) -> None:
    dated = frame.drop(columns="t").set_index(pd.date_range("2020-01-01", periods=3))
    with pytest.raises(DataError, match=r"the DataFrame, index: expected plain numbers .* dates"):
        Observations.from_pandas(dated, variance=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0,1\n1,2\n",
            "file 'data.csv': expected column names in the first line, got 0, 1. "
            "Add a line such as t,x,y at the top.",
        ),
        (
            "t;V\n0;1\n",
            "file 'data.csv': expected a time column and at least one more, got the one column "
            "'t;V'. If ';' separates its names, pass separator=';'. If it is a remark, delete the "
            "line.",
        ),
        (
            "t,V\n0,low\n1,2\n",
            "file 'data.csv', column 'V', line 2: expected numbers, got text ('low'). "
            "Convert it to float; use nan (an empty cell) for a gap.",
        ),
        (
            "t,V\n2,1\n1,2\n",
            "file 'data.csv', column 't': must not decrease, but line 3 is 1.0 after 2.0. Sort "
            "the rows by time.",
        ),
        ("", "file 'data.csv': expected a line of names and rows of numbers, got 0."),
        ("t,V\n", "file 'data.csv': expected a line of names and rows of numbers, got 1."),
        (
            "t,V\n0,1\n\n1,2,3\n",
            "file 'data.csv', line 4: expected 2 cells, as many as there are names, got 3. "
            "A separator at the end of a line, or within a number, makes one more.",
        ),
        (
            "t,V,V\n0,1,2\n",
            "file 'data.csv' has the column 'V' more than once. Rename or drop one.",
        ),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        Observations.from_csv(path, variance=1)
    assert str(caught.value) == message


def test_csv_gaps_text_elsewhere_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('t,V,note\n0,NaN,"first, last"\n1,n/a,\n\n2,3e-1,x\n', encoding="utf-8-sig")
    data = Observations.from_csv(path, values=["V"], variance=1)
    np.testing.assert_array_equal(data.times, [0, 1, 2])
    np.testing.assert_array_equal(data.values[:, 0], [np.nan, np.nan, 0.3])


def test_csv_bad_separator_encoding_and_time(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"t,V\xff\n0,1\n")
    with pytest.raises(
        DataError, match=r"^file 'data\.csv' cannot be read as CSV: .* byte 3 on .*Save"
    ):
        Observations.from_csv(path, variance=1)
    with pytest.raises(OptionError, match="separator: expected one character"):
        Observations.from_csv(path, variance=1, separator=", ")
    path.write_text("time,V\n0,1\n1,1_0\n")
    with pytest.raises(DataError, match=r"no column 'tim' for time; .* Did you mean 'time'\?"):
        Observations.from_csv(path, "tim", variance=1)
    with pytest.raises(DataError, match=r"got text \('1_0'\)"):
        Observations.from_csv(path, variance=1)


@pytest.mark.parametrize("read", [Observations.from_csv, Observations.from_netcdf])
def test_no_such_file(read: object, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(DataError) as caught:
        read(path, variance=1)
    assert str(caught.value) == (
        f"there is no file {str(path)!r}. Check the path and the working directory."
    )


def test_a_file_that_is_not_netcdf(tmp_path: Path) -> None:
    path = tmp_path / "data.nc"
    path.write_text("t,V\n0,1\n")
    with pytest.raises(DataError, match=r"^file 'data\.nc' cannot be read as NetCDF: "):
        Observations.from_netcdf(path, variance=1)


def test_bad_xarray_dimensions(dataset: xr.Dataset) -> None:
    array = xr.DataArray(np.ones((3, 2)), dims=("when", "x"))
    with pytest.raises(DataError) as caught:
        Observations.from_xarray(array, variance=1)
    assert str(caught.value) == (
        "the xarray object: which of the dimensions 'when', 'x' is time? Pass time='...'."
    )
    with pytest.raises(DataError) as caught:
        Observations.from_xarray(array, "whem", variance=1)
    assert str(caught.value) == (
        "the xarray object has no dimension 'whem' for time; it has 'when', 'x'. "
        "Did you mean 'when'?"
    )
    with pytest.raises(DataError) as caught:
        Observations.from_xarray(array, "when", variance=1)
    assert str(caught.value) == (
        "the xarray object: the dimension 'when' has no coordinate, so the times are not known. "
        "Add them with .assign_coords(when=times)."
    )
    with pytest.raises(DataError, match=r"expected dimensions \(time,\) or \(time, channel\)"):
        Observations.from_xarray(xr.DataArray(np.ones((3, 2, 2))), "dim_0", variance=1)
    with pytest.raises(DataError, match=r"no column 'Q' for values; it has 'V', 'W', 'I'"):
        Observations.from_xarray(dataset, values="Q", variance=1)
