"""Files, tables and stores that are wrong: what each message says, before anything is compiled."""

from __future__ import annotations

import math
import os
import platform
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cli_shell import symda  # noqa: F401
from stored import SHORT, small

import symda as sd
from symda.anneal import dispatch, remote
from symda.anneal.storage import StoreWarning, record_of
from symda.errors import DataError, InputError, OptionError

MODEL = """\
import symda as sd
x, y = sd.states("x y", start=(-1.0, 1.0))
k = sd.parameter("k", bounds=(0.0, 5.0))
I = sd.forcing("I")
model = sd.Model({x: -k * x + I, y: x - y}, name="chain")
measured = [x, y]
variance = 0.01
parameters = {"k": 0.8}
forcing = {"I": 0.0}
"""
HEAD = "t,x,y,I\n"
ROWS = HEAD + "0,1,2,3\n0.1,1.1,2,3\n0.2,1.5,2,3\n"
COLUMNS = {"values": ["x", "y"], "forcing": ["I"], "variance": 0.01}

#: A file -> what its message holds: where, what was expected and got, how to mend it.
FILES = {
    "missing": (ROWS.replace("y", "z"), ("no column 'y' for values", "it has 'x', 'z', 'I'")),
    "doubled": (ROWS.replace("y", "x"), ("column 'x' more than once", "Rename or drop")),
    "unnamed": (ROWS.replace("y", ""), ("no column 'y'", "it has 'x', '', 'I'")),
    "upper": (ROWS.replace("x", "X"), ("no column 'x'", "Did you mean 'X'?")),
    "semicolons": (ROWS.replace(",", ";"), ("one column 't;x;y;I'", "pass separator=';'")),
    "tabs": (ROWS.replace(",", "\t"), (r"one column 't\tx\ty\tI'", r"pass separator='\t'")),
    "commas": (
        ROWS.replace("0.1,", "0,1,"),
        ("line 3: expected 4 cells", "got 5", "within a number"),
    ),
    "quoted commas": (
        ROWS.replace("1.5", '"1,5"'),
        ("column 'x', line 4", "got text ('1,5'), with a decimal comma", "decimal=','"),
    ),
    "end": (
        ROWS.replace("3\n", "3,\n"),
        ("line 2: expected 4 cells", "got 5", "at the end of a line"),
    ),
    "short": (ROWS + "0.3,1\n", ("line 5: expected 4 cells", "got 2", "cell empty for a gap")),
    "remark": ("# cell 7\n" + ROWS, ("one column '# cell 7'", "a remark, delete the line")),
    "unit row": (
        ROWS.replace("0,1,2,3\n0.1", "s,mV,mV,nA\n0.1"),
        ("line 2: expected a row of numbers, got s, mV, mV, nA", "units", "delete the line"),
    ),
    "unit": (
        ROWS.replace("1.5", "1.5 mV"),
        ("column 'x', line 4", "expected numbers, got text ('1.5 mV')", "without units"),
    ),
    "percent": (ROWS.replace("1.5", "5%"), ("column 'x', line 4", "('5%')", "without units")),
    "word": (ROWS.replace("1.5", "low"), ("column 'x', line 4", "got text ('low')", "for a gap")),
    "blank lines count": (
        ROWS.replace("0.1,", "\n\n0.1,").replace("1.5", "low"),
        ("column 'x', line 6",),
    ),
    "spreadsheet": (ROWS.replace("1.5", "#DIV/0!"), ("column 'x', line 4", "'#DIV/0!'")),
    "date": (
        ROWS.replace("0.1,", "2026-01-02,"),
        ("column 't', line 3: '2026-01-02' is a date", "pd.to_datetime"),
    ),
    "infinite": (ROWS.replace("1.5", "inf"), ("column 'x', line 4", "got inf", "Leave it empty")),
    "overflow": (ROWS.replace("1.5", "1e400"), ("column 'x', line 4", "got inf")),
    "infinite forcing": (ROWS.replace("1.5,2,3", "1.5,2,inf"), ("column 'I', line 4", "got inf")),
    "gap of forcing": (
        ROWS.replace("1.5,2,3", "1.5,2,"),
        ("'data.csv': forcing 'I'", "(time 0.2) is nan", "has no gaps"),
    ),
    "gap of time": (ROWS.replace("0.1,", ","), ("column 't': line 3 is nan", "without a time")),
    "unsorted": (
        ROWS + "0.15,1,2,3\n",
        ("column 't': must not decrease, but line 5 is 0.15 after 0.2", "Sort the rows"),
    ),
    "two forcings": (
        ROWS + "0.2,1,2,4\n",
        ("'data.csv': forcing 'I': expected one value at time 0.2", "got 3.0 and 4.0"),
    ),
    "nothing measured": (HEAD + "0,,,3\n1,NA,nan,3\n", ("'data.csv': ", "nothing was measured")),
    "empty": ("", ("expected a line of names and rows of numbers, got 0",)),
    "names only": (HEAD, ("expected a line of names and rows of numbers, got 1",)),
    "no names": ("0,1,2,3\n1,1,2,3\n", ("expected column names in the first line", "t,x,y")),
    "utf-16": (ROWS.encode("utf-16"), ("no text in UTF-8, from byte 0 on", "Save it as CSV")),
    "binary": (b"PK\x03\x04" + bytes(range(256)), ("no text in UTF-8", "Save it as CSV")),
}


@pytest.fixture(autouse=True)
def uncompiled_yet(monkeypatch):
    """Fail if anything is compiled where input is refused; `allow` lifts that."""
    with monkeypatch.context() as patch:
        compiled = sd.Action.compile
        patch.setattr(sd.Action, "compile", lambda *_: pytest.fail("it was compiled"))
        yield lambda: patch.setattr(sd.Action, "compile", compiled)


def holds(message: str, parts: tuple[str, ...]) -> None:
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_wrong(name, symda):  # noqa: F811
    text, parts = FILES[name]
    raw = text if isinstance(text, bytes) else text.encode()
    (symda.folder / "data.csv").write_bytes(raw)
    symda.write("model.py", MODEL)
    with pytest.raises(DataError) as told:
        sd.Observations.from_csv("data.csv", **COLUMNS)
    holds(str(told.value), ("data.csv", *parts))
    done = symda("anneal", "model.py", "data.csv")
    assert done.code == 2 and done.out == "" and done.err == f"error: {told.value}\n"


def test_what_is_odd_and_right_is_read(tmp_path):
    path = tmp_path / "data.csv"
    usual = sd.Observations.from_csv(_written(path, ROWS), **COLUMNS)
    for text in (
        "\ufeff" + ROWS,
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("\n", "\r"),
        ROWS.replace("t,x,y,I", "time,x,y,I"),
        # the numbers of rows, as pandas writes them, are no times
        "\n".join(f"{k},{row}" for k, row in enumerate(ROWS.split())).replace("0,t", ",t", 1),
        "\n".join(f"{k},{row}" for k, row in enumerate(ROWS.split())).replace("0,t", ",time", 1),
        ROWS.replace("I\n", "I,note\n").replace(",3\n", ",3,5 mV\n"),
    ):
        read = sd.Observations.from_csv(_written(path, text), **COLUMNS)
        np.testing.assert_array_equal(read.times, usual.times)
        np.testing.assert_array_equal(read.values, usual.values)


def _written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_tabs_have_a_name_at_the_command_line(symda):  # noqa: F811
    symda.write("model.py", MODEL)
    symda.write("data.csv", ROWS.replace(",", "\t"))
    for word in ("tab", "\\t", "\t"):
        # past the data: what is refused is the parameter
        done = symda("anneal", "model.py", "data.csv", "--separator", word, "--fix", "mu=1")
        assert done.code == 2 and "'mu' is no parameter" in done.err


T = np.arange(4.0)
FRAME = pd.DataFrame({"x": T}, index=T)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: sd.Observations.from_csv(None), ("name of a file", "got None")),
        (lambda: sd.Observations.from_csv("x" * 300), ("no file 'xxx", "working directory")),
        (lambda: sd.Observations.from_csv("."), ("'.' is a folder", "CSV or NetCDF")),
        (lambda: sd.Observations.from_netcdf("."), ("'.' is a folder",)),
        (lambda: sd.Observations.from_netcdf(3), ("name of a file", "got 3")),
        (lambda: sd.Observations.from_csv(__file__, separator=None), ("one character", "None")),
        (lambda: sd.Observations.from_pandas({"x": T}), ("a pandas DataFrame, got dict",)),
        (lambda: sd.Experiments.from_pandas(T, "x", "t"), ("a pandas DataFrame, got ndarray",)),
        (lambda: sd.Observations.from_xarray(T), ("a DataArray or a Dataset, got ndarray",)),
        (lambda: sd.Observations.from_pandas(FRAME, values=3), ("values must be names", "3")),
        (lambda: sd.Observations.from_pandas(FRAME, ["t"]), ("no column ['t'] for time",)),
        (
            lambda: sd.Observations.from_pandas(FRAME.set_index([T, T])),
            ("an index of times, got one of 2 levels", "reset_index"),
        ),
        (
            lambda: sd.Observations.from_pandas(FRAME.assign(x=["1", "2", "3 mV", "4"])),
            ("column 'x', row 0.0: expected numbers, got text ('1')",),
        ),
        (
            lambda: sd.Observations.from_pandas(
                FRAME.rename_axis("s").assign(x=[0, 1, math.inf, 3])
            ),
            ("column 'x', s 2.0: expected a number, got inf",),
        ),
        (
            lambda: sd.Observations.from_xarray(
                xr.Dataset({"x": (("time", "z"), np.ones((4, 2)))}, {"time": T}), values=["x"]
            ),
            ("'x' has the dimensions ('time', 'z'), expected ('time',)", "one slice"),
        ),
        (
            lambda: sd.Observations.from_xarray(
                xr.DataArray(np.ones((4, 2)), dims=("time", "c"), coords={"time": T, "c": [0, 0]})
            ),
            ("the channel 0 more than once",),
        ),
    ],
)
def test_what_is_no_table(call, parts):
    with pytest.raises(InputError) as told:
        call()
    holds(str(told.value), parts)


def test_experiments_of_a_file_name_their_lines(tmp_path):
    path = tmp_path / "e.csv"
    rows = "who,t,x\na,0,1\na,1,2\n\nb,0,1\n"
    with pytest.raises(DataError) as told:
        sd.Experiments.from_csv(_written(path, rows + "b,1,2 mV\n"), "who")
    holds(str(told.value), ("experiment 'b': file 'e.csv', column 'x', line 6", "'2 mV'"))
    with pytest.raises(DataError, match="line 6 has no name in the column 'who'"):
        sd.Experiments.from_csv(_written(path, rows + ",1,2\n"), "who")


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_a_number_that_marks_gaps_is_told_of(size):
    x = sd.state("x")
    action = sd.Action(sd.Model({x: -x}, name="decay"), [x])
    mark = -999.0 if size < 100.0 else 1e30

    def told(values, variance):
        from symda.api.preflight import mark_warnings

        return list(mark_warnings(action.bind(sd.Observations(T, values, variance=variance))))

    values = size * np.array([1.0, 0.5, 0.3, 0.2])
    assert told(values, 1e-4 * size**2) == []
    values[2] = mark
    (text,) = told(values, 1e-4 * size**2)
    holds(text, ("channel x: 1 of 4 values is", f"{mark:.6g}", "Make it nan"))
    # of such numbers, or of such noise, it is one among others
    assert told(np.array([-700.0, -999.0, -1200.0, -800.0]), 1.0) == []
    assert told(values, mark**2) == []


@pytest.fixture(scope="module")
def case():
    return small()


@pytest.mark.parametrize(
    ("store", "parts"),
    [
        (b"x", ("name of a folder", "b'x'")),
        ("a\0b", ("name of a folder",)),
        ("x" * 300, ("cannot be written", "name too long")),
        ("/proc/none/s", ("'/proc/none/s' cannot be written", "give a folder that can")),
        ("taken", ("'taken' cannot be written: it is a file", "a folder that is empty")),
        ("taken/s", ("'taken/s' cannot be written",)),
    ],
)
def test_a_store_that_cannot_be_one(case, store, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("")
    with pytest.raises(DataError) as told:
        sd.anneal(*case, **SHORT, store=store)
    holds(str(told.value).lower(), tuple(part.lower() for part in parts))
    assert sorted(os.listdir()) == ["taken"]


def test_the_command_line_refuses_a_store_before_it_compiles(symda, monkeypatch):  # noqa: F811
    from symda.api import check

    monkeypatch.setattr(check, "machine", lambda *_: pytest.fail("it was compiled"))
    symda.write("model.py", MODEL)
    symda.write("data.csv", ROWS)
    symda.write("notes.txt", "")
    for store, text in (
        (".", "other things (data.csv, model.py, notes.txt)"),
        ("model.py", "file"),
    ):
        done = symda("anneal", "model.py", "data.csv", "--store", store)
        assert done.code == 2 and text in done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("resume", "."), "'.' is no store: there is no run.json in it. Pass the folder that"),
        (("resume", "x" * 300), "is no store"),
        (("export", ".", "a.csv"), "load: '.' is no store"),
        (("report", "."), "is no store"),
        (("twin", "model.py", "--dt", "0.1", "--steps", "nan"), "--steps must be a whole number"),
        (("twin", "model.py", "--dt", "0.1", "--steps", "2.5"), "--steps must be a whole number"),
        (("twin", "model.py", "--dt", "nan"), "dt must be a positive number, got nan"),
        (
            ("twin", "model.py", "--dt", "0.1", "--store", "model.py"),
            "cannot be written: Not a dir",
        ),
    ],
)
def test_commands_of_stores_and_twins(symda, words, text):  # noqa: F811
    symda.write("model.py", MODEL)
    done = symda(*words)
    assert done.code == 2 and text in done.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"steps": []}, "twins: steps must be a number or several, got none"),
        ({"variance": []}, "twins: variance must be a number or several"),
        ({"options": {"schem": "rk4"}}, "options has no 'schem'; .* Did you mean 'scheme'?"),
        ({"options": 3}, "options is a mapping"),
        ({"call": {"pths": 3}}, "call has no 'pths'; .* Did you mean 'paths'?"),
        ({"call": {"store": "s"}}, "Pass store= to twins"),
        ({"store": 3}, "must be the name of a folder"),
        ({"forcing": {"I": ([0.0, 0.1], [1.0, 2.0])}}, "samples cover times 0 to 0.1"),
    ],
)
def test_twins_that_cannot_be(change, text):
    known: dict[str, object] = {}
    exec(MODEL, known)
    given = {"dt": 0.1, "steps": 8, "variance": 0.01, "forcing": {"I": 0.0}, **change}
    with pytest.raises(InputError, match=text):
        sd.twins(known["model"], [[known["x"]]], parameters={"k": 0.8}, **given)


class Takes(Executor):
    """An executor that answers with one thing."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        if isinstance(self.answer, Exception):
            future.set_exception(self.answer)
        return future if isinstance(self.answer, Exception) else self.answer


class Client:
    """Looks like Dask's, which is no executor but has one."""

    def submit(self, fn, *args):
        return object()

    def get_executor(self):
        return None


class Elsewhere(Executor):
    """Runs tasks as a worker with another Python would."""

    def __init__(self, python: str) -> None:
        self.python = python

    def submit(self, fn, /, *args, **kwargs):
        future, here = Future(), remote.versions
        remote.versions = lambda: {**here(), "python": self.python}
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        finally:
            remote.versions = here
        return future


def shut() -> Executor:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    return pool


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (shut, ("a ThreadPoolExecutor, takes no task", "after shutdown", "Make a new one")),
        (lambda: ThreadPoolExecutor, ("the `submit` of", "ThreadPoolExecutor")),
        (Client, ("a Client, returns no concurrent.futures.Future", "Pass its get_executor()")),
        (lambda: Elsewhere("3.9.1"), ("a worker of the executor has python 3.9 (here 3.", "same")),
        (lambda: Takes(3), ("but <class 'int'>", "Pass a concurrent.futures.Executor")),
        (
            lambda: Takes(ModuleNotFoundError("No module named 'symda'")),
            ("cannot do a task of symda", "No module named 'symda'", "Install the same symda"),
        ),
    ],
)
def test_an_executor_that_is_none(case, made, parts, tmp_path):
    call = {**SHORT, "store": tmp_path / "s", "executor": made()}
    with pytest.raises(OptionError) as told:
        sd.anneal(*case, **call)
    holds(str(told.value), parts)


def test_an_executor_that_is_one():
    last = platform.python_version_tuple()[:2]
    remote.try_executor(Elsewhere(".".join([*last, "99"])))
    # busy, or of workers that still come
    remote.ANSWER, before = 0.01, remote.ANSWER
    try:
        remote.try_executor(Takes(Future()))
    finally:
        remote.ANSWER = before


class Breaks(ThreadPoolExecutor):
    """Does some tasks, and then none: those it has are given up, or it takes no more."""

    def __init__(self, tasks: int, how: str) -> None:
        super().__init__(1)
        self.left, self.how = tasks, how

    def submit(self, fn, /, *args, **kwargs):
        self.left -= 1
        if self.left >= 0:
            return super().submit(fn, *args, **kwargs)
        if self.how == "refuses":
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        # as `shutdown(cancel_futures=True)` does, of which `wait` hears nothing
        future.cancel()
        return future


@pytest.mark.parametrize("how", ["refuses", "cancels"])
def test_paths_that_an_executor_lost_are_done_again(
    case, tmp_path, how, uncompiled_yet, monkeypatch
):
    uncompiled_yet()
    monkeypatch.setattr(dispatch, "LOOK", 0.02)
    call = {**SHORT, "ladder": sd.Ladder(alpha=16.0, rungs=2), "solver": "lbfgs"}
    whole = sd.anneal(*case, **call)
    store = tmp_path / "s"
    with Breaks(3, how) as pool, pytest.warns(StoreWarning, match="lost with their executor"):
        run = sd.anneal(*case, **{**call, "executor": pool}, store=store)
    done = np.isfinite(run.dataset["action"].values[:, -1])
    assert 0 < done.sum() < 5 and record_of(store, "test")["state"] == "interrupted"
    again = sd.anneal(*case, **call, store=store)
    np.testing.assert_array_equal(again.dataset["action"].values, whole.dataset["action"].values)
    assert record_of(store, "test")["state"] == "complete"


def test_an_error_of_a_path_is_its_result():
    """A worker answers with it, so that what the way there raises is told from it."""

    class Strategy:
        def run(self, *_):
            raise ZeroDivisionError("by zero")

    import cloudpickle

    parcel = remote.Parcel("one", remote.alike(), cloudpickle.dumps("job"))
    assert remote.run(parcel, Strategy(), (0,), None) == remote.PathsFailed(
        "ZeroDivisionError: by zero"
    )


def test_a_forecast_that_is_too_far_or_not_forced(case, uncompiled_yet, monkeypatch):
    uncompiled_yet()
    from symda.api import forecasting

    known: dict[str, object] = {}
    exec(MODEL, known)
    t = 0.1 * np.arange(9)
    values = np.stack([np.cos(t), np.sin(t)], axis=1)
    data = sd.Observations(t, values, variance=0.01, forcing={"I": (t, t)})
    run = sd.anneal(sd.Action(known["model"], known["measured"]), data, **SHORT)
    monkeypatch.setattr(forecasting, "path_posterior", lambda *_: pytest.fail("it was worked on"))
    for end, forcing, parts in (
        (1e300, 0.0, ("t = 1e+300 is more than 1,000,000 of its steps of 0.1", "units")),
        (1.0, (t, t), ("samples cover times 0 to 0.8", "needed from 0.8 to 1")),
    ):
        with pytest.raises(DataError) as told:
            run.forecast([end], forcing={"I": forcing})
        holds(str(told.value), ("forecast: ", *parts))
