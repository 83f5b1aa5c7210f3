"""Mistakes on the command line: one clean message, exit code 2, and nothing computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import MODEL, Shell, symda

__all__ = ["symda"]

HEAD = "import symda as sd\nx = sd.state('x', start=(-1.0, 1.0))\n"
DATA = "t,x0,x2,x3\n0,1,2,3\n0.1,1,2,3\n"
ANNEAL = ("anneal", "model.py", "data.csv")


@pytest.fixture
def files(symda: Shell) -> Shell:
    symda.write("model.py", MODEL)
    symda.write("data.csv", DATA)
    return symda


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "y = 1 / 0\n", "m.py, line 3: ZeroDivisionError: division by zero\n    y = 1 / 0"),
        (HEAD + "model = sd.Model({x: -x\n", "m.py, line 3: SyntaxError: '{' was never closed"),
        (
            HEAD + "def make():\n    return sd.Model({x: -z})\nmodel = make()\n",
            "m.py, line 4: NameError: name 'z' is not defined\n    return sd.Model({x: -z})",
        ),
        (
            HEAD + "z = sd.state('z')\nmodel = sd.Model({x: -z})\n",
            "m.py, line 4: ModelError: Model 'model', equation of x: uses the state 'z'",
        ),
        ("import no_such_module\n", "m.py, line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)\n", "m.py, line 1: SystemExit: 3"),
        (HEAD, "m.py defines no `model`. Write model = sd.Model({...})."),
        (
            HEAD + "decay = sd.Model({x: -x})\n",
            "m.py defines no `model`. Add the line: model = decay",
        ),
        (
            HEAD + "model = {x: -x}\n",
            "m.py: `model` is a dict, expected a symda.Model. "
            "Write model = sd.Model({x: dx/dt, ...}).",
        ),
        (
            HEAD + "model = sd.Model({x: -x})\nscheme = 'rk5'\n",
            "Did you mean 'rk4'?",
        ),
        (
            HEAD + "model = sd.Model({x: -x})\nmeasured = [x]\nmodel_error = 'rates'\n",
            "'rates'",
        ),
        (
            HEAD + "model = sd.Model({x: -x})\nmeasured = x\n",
            "got the expression x; put it in a list, [x].",
        ),
        ("\0", "m.py cannot be run: "),
    ],
)
def test_a_bad_model_file(symda: Shell, text: str, message: str) -> None:
    done = symda("derive", symda.write("m.py", text))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err


def test_a_model_file_may_import_its_neighbours_and_guard_its_script(symda: Shell) -> None:
    symda.write("parts_of_it.py", HEAD)
    text = "from parts_of_it import sd, x\nmodel = sd.Model({x: -x})\n"
    file = symda.write("m.py", text + "if __name__ == '__main__':\n    raise RuntimeError\n")
    assert symda("derive", file).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("derive", "none.py"), "there is no file 'none.py'."),
        (("anneal", "none.py", "data.csv"), "there is no file 'none.py'."),
        (
            ("derive", "data.csv"),
            "MODEL: expected a Python file, whose name ends in .py, got 'data.csv'.",
        ),
        (
            ("anneal", "model.txt", "data.csv"),
            "MODEL: expected a Python file, whose name ends in .py, got 'model.txt'.",
        ),
        ((*ANNEAL, "--separator", ";;"), "separator: expected one character"),
        ((*ANNEAL, "--time-limit", "0"), "time_limit must be a positive number, got 0"),
        (("anneal", "model.py", "none.csv"), "there is no file 'none.csv'."),
        (("anneal", "model.py", "none.nc"), "there is no file 'none.nc'."),
        (("report", "none.nc"), "there is no file 'none.nc'"),
        (("report", "data.csv"), "cannot be read as NetCDF"),
        (("report", "data.csv", "--into", "x"), "cannot be read as NetCDF"),
        ((*ANNEAL, "--variance", "much"), "--variance: expected a number, got 'much'."),
        ((*ANNEAL, "--variance", "0"), "is 0.0, expected a positive, finite number"),
        (
            (*ANNEAL, "--variance", "x0=1,x1=1"),
            "variance: 'x1' is not a measured channel; there are x0, x2, x3.",
        ),
        (
            (*ANNEAL, "--variance", "x0=1,x2=1"),
            "channel 'x3' at time 0.0 has no variance. Pass variance= to the observations",
        ),
        ((*ANNEAL, "--variance", "x0=1,x2"), "--variance: expected name=value, got 'x2'."),
        ((*ANNEAL, "--fix", "nu"), "--fix: expected name=value, got 'nu'."),
        ((*ANNEAL, "--fix", "nu=ten"), "--fix nu: expected a number, got 'ten'."),
        ((*ANNEAL, "--fix", "mu=10"), "'mu' is no parameter"),
        ((*ANNEAL, "--free", "mu"), "'mu' is no parameter"),
        ((*ANNEAL, "--rungs", "0"), "rungs must be a whole number of at least 1, got 0."),
        ((*ANNEAL, "--rf0", "-1"), "rf0 must be a positive number, got -1.0."),
        ((*ANNEAL, "--max-step", "-1"), "max_step"),
        ((*ANNEAL, "--midpoint-data"), "midpoint_data"),
        ((*ANNEAL, "--paths", "0"), "paths must be a whole number of at least 1, got 0."),
        ((*ANNEAL, "--solver", "ipot"), "Did you mean 'ipopt'?"),
        ((*ANNEAL, "--option", "max_itr=3"), "max_itr"),
        ((*ANNEAL, "--output", "data.csv/run.nc"), "the folder 'data.csv' cannot be made"),
        ((*ANNEAL, "--figures", "data.csv"), "the folder 'data.csv' cannot be made"),
        (("generate", "model.py", "--into", "data.csv"), "data.csv"),
        (("demo", "--into", "data.csv"), "the folder 'data.csv' cannot be made"),
        (("demo", "--paths", "0"), "paths must be a whole number of at least 1"),
        (("demo", "--start", "uniformly"), "Did you mean 'uniform'?"),
        (("demo", "--strategy", "windows"), "Did you mean 'window'?"),
        (("demo", "--attempts", "2"), "leave attempts out"),
        ((*ANNEAL, "--fix", "nu=1", "--free", "nu"), "--fix and --free: nu is given with both"),
        (
            ("anneal", "model.py", "data.nc", "--separator", ";"),
            "--separator: data.nc is NetCDF, which has no separators; leave it out.",
        ),
        (("anneal", "model.py"), "Missing argument 'DATA...'."),
        (("derive", "model.py", "--latx"), "No such option: --latx"),
        (("anneel",), "No such command 'anneel'."),
        ((*ANNEAL, "--paths", "many"), "--paths"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_named(files: Shell, arguments: tuple[str, ...], message: str) -> None:
    done = files(*arguments)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("line", "name", "meant"),
    [
        ('shceme = "rk4"', "shceme", "scheme"),
        ("meassured = [x[0]]", "meassured", "measured"),
        ("varaince = 0.1", "varaince", "variance"),
        ('Scheme = "rk4"', "Scheme", "scheme"),
        ('modelerror = "rate"', "modelerror", "model_error"),
        ("inital = [0.0] * 5", "inital", "initial"),
        ("params = {'nu': 1.0}", "params", "parameters"),
    ],
)
def test_a_misspelt_name_of_the_model_file_is_refused(
    files: Shell, line: str, name: str, meant: str
) -> None:
    lines = [one for one in MODEL.splitlines() if not one.startswith(f"{meant} =")]
    files.write("model.py", "\n".join([*lines, line]))
    done = files("derive", "model.py")
    assert done.code == 2 and done.out == ""
    assert done.err == (
        f"error: model.py defines `{name}`, which nothing looks for and the file does not use. Did "
        f"you mean `{meant}`? If it is your own, begin it with an underscore.\n"
    )


@pytest.mark.parametrize(
    "lines",
    [
        'schemes = ["rk4", "euler"]\nscheme = schemes[0]',  # used, and the name itself is there
        "variances = [0.1, 0.2]\nnoise = max(variances)",  # used
        "params = {'nu': 10.0}\nif __name__ == '__main__':\n    print(params)",
        "def initials():\n    return 5 * [0.0]",  # functions, modules and symbols help to write
        "import math as scheme_",
        "_scheme = 'rk4'",
        "paths = 20",
        "TRUTH = {'nu': 10.0}",
    ],
)
def test_variables_of_a_model_files_own_are_left_alone(files: Shell, lines: str) -> None:
    kept = MODEL.replace('variance = {"x0": 0.1, x[2]: 0.1, "x3": 0.1}\n', "")
    files.write("model.py", f"{kept}{lines}\n")
    assert files("derive", "model.py").code == 0


def test_swapped_arguments_run_nothing(files: Shell) -> None:
    # Both would run: data can be a program, and a program is text.
    files.write("data.csv", "open('ran', 'w').close()\n")
    files.write("model.py", "open('ran', 'w').close()\n")
    done = files("anneal", "data.csv", "model.py")
    assert done.code == 2
    assert done.err == (
        "error: DATA: expected a CSV or NetCDF file, got the Python file 'model.py'. The model "
        "comes first: symda anneal MODEL.py DATA; got 'data.csv' for it.\n"
    )
    assert files("derive", "data.csv").code == files("generate", "data.csv").code == 2
    assert not (files.folder / "ran").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--paths", "0"),
        ("--seed", "-1"),
        ("--solver", "ipot"),
        ("--workers", "0"),
        ("--stop-after", "0"),
        ("--rungs", "0"),
        ("--fix", "nu"),
        ("--variance", "much"),
    ],
    ids=" ".join,
)
def test_options_are_checked_before_anything_is_run(files: Shell, wrong: tuple[str, ...]) -> None:
    files.write("model.py", "open('ran', 'w').close()\n" + MODEL)
    assert files(*ANNEAL, *wrong).code == 2
    assert not (files.folder / "ran").exists()


def test_a_column_of_dates_says_how_to_convert_it(files: Shell) -> None:
    files.write("data.csv", DATA.replace("0,1", "2026-01-01,1").replace("0.1,1", "2026-01-02,1"))
    done = files(*ANNEAL)
    assert done.code == 2
    assert done.err == (
        "error: file 'data.csv', column 't', line 2: '2026-01-01' is a date, and expected are "
        "plain numbers in your own units. Convert the column first, for instance with pandas: "
        "t = pd.to_datetime(column); (t - t[0]).dt.total_seconds()\n"
    )
    # A date that nobody reads is not the mistake.
    files.write("data.csv", "t,x0,x2,x3,day\n0,a,2,3,2026-01-01\n0.1,1,2,3,2026-01-02\n")
    done = files(*ANNEAL)
    assert "got text ('a')" in done.err and "date" not in done.err


def test_other_separators_have_an_option(files: Shell) -> None:
    files.write("data.csv", DATA.replace(",", ";"))
    assert "separator" in files(*ANNEAL).err
    # Past the data: what is refused now is the parameter.
    done = files(*ANNEAL, "--separator", ";", "--fix", "mu=1")
    assert done.code == 2
    assert "'mu' is no parameter" in done.err


def test_a_column_that_is_missing_is_named(files: Shell) -> None:
    files.write("data.csv", DATA.replace("x2", "x02"))
    done = files(*ANNEAL)
    assert done.code == 2
    assert "file 'data.csv' has no column 'x2' for values; it has 'x0', 'x02', 'x3'." in done.err


def test_a_forcing_column_that_is_missing_is_named(files: Shell) -> None:
    text = HEAD + "I = sd.forcing('I')\nmodel = sd.Model({x: I - x})\nmeasured = [x]\n"
    files.write("model.py", text)
    files.write("data.csv", "t,x\n0,1\n1,2\n")
    done = files(*ANNEAL, "--variance", "1")
    assert done.code == 2
    assert "file 'data.csv' has no column 'I' for forcing 'I'; it has 'x'." in done.err


def test_nothing_measured_is_named(files: Shell) -> None:
    files.write("model.py", HEAD + "model = sd.Model({x: -x})\n")
    done = files(*ANNEAL, "--variance", "1")
    assert done.code == 2
    assert done.err == (
        "error: model.py does not say what is measured. Define `measured`, a list of states or "
        "expressions, for instance measured = [x].\n"
    )


def test_a_variance_that_is_not_known_is_named(files: Shell) -> None:
    files.write("model.py", MODEL.split("variance")[0])
    done = files(*ANNEAL)
    assert done.code == 2
    assert done.err == (
        "error: the noise variance of the data is not known: pass --variance 0.2 (or "
        "--variance x0=0.2,...), or define `variance` in the model's file.\n"
    )


@pytest.mark.parametrize("place", [0, 2], ids=["before", "after"])
def test_the_traceback_is_shown_when_asked_for(files: Shell, place: int) -> None:
    files.write("model.py", HEAD + "y = 1 / 0\n")
    arguments = ["derive", "model.py"]
    arguments.insert(place, "--traceback")
    done = files(*arguments)
    assert done.code == 2
    assert "Traceback (most recent call last):" in done.err
    assert "ZeroDivisionError: division by zero" in done.err
    assert str(Path("symda") / "cli" / "files.py") in done.err
