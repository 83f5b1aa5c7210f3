"""Every command, run as a user runs it: what it prints, writes and returns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import api_cases as cases
import numpy as np
import pytest
import xarray as xr
from cli_shell import MODEL, Done, Shell, symda

import symda as sd
from symda.build import Diagnosis

__all__ = ["symda"]

FORCED = """\
import symda as sd

v = sd.state("v", start=(-2.0, 2.0))
k = sd.parameter("k", bounds=(0.1, 10.0))
I = sd.forcing("I")
model = sd.Model({v: -k * v + I}, name="membrane")
measured = {"voltage": 10 * v}
scheme = "trapezoid"
"""

BROKEN = """\
import symda as sd
import sympy as sp

x, y = sd.states("x y", start=(-1.0, -0.5))
model = sd.Model({x: sp.log(y), y: -y}, name="logarithm")
measured, scheme = [x], "euler"
"""

SHORT = ["--rf0", "0.01", "--alpha", "4", "--rungs", "10", "--workers", "1"]


@pytest.fixture
def lorenz(symda: Shell) -> tuple[str, str]:
    """MODEL.py and DATA of the twin experiment, with one gap."""
    data = cases.experiment()[1]
    table = np.column_stack([data.times, data.values])
    rows = [",".join(map(repr, row)) for row in table.tolist()]
    cells = rows[3].split(",")
    rows[3] = ",".join([*cells[:2], "", cells[3]])
    return symda.write("model.py", MODEL), symda.write("data.csv", "\n".join(["t,x0,x2,x3", *rows]))


def test_version_and_help(symda: Shell) -> None:
    assert symda("--version") == Done(0, f"symda {sd.__version__}\n", "")
    help_ = symda("--help")
    for command in "demo derive generate integrate anneal learn report doctor cache".split():
        assert f" {command} " in help_.out
    assert help_.code == 0


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, symda.cli; print(*sorted({'typer', 'rich', 'casadi'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_derive_prints_the_equations(symda: Shell, lorenz: tuple[str, str]) -> None:
    done = symda("derive", lorenz[0])
    assert done.code == 0
    assert "dx1/dt = nu + x0*(x2 - x4) - x1" in done.out
    assert done.out.strip() == str(cases.action().equations()).strip()
    latex = symda("derive", lorenz[0], "--latex")
    assert latex.out.strip() == cases.action().equations().latex().strip()


def test_derive_without_measured_says_what_it_does(symda: Shell) -> None:
    file = symda.write("m.py", MODEL.split("measured")[0])
    done = symda("derive", file)
    assert done.code == 0
    assert done.err == "m.py does not define `measured`; every state is taken as measured.\n"
    assert "h_5 = x4" in done.out


def test_generate_writes_and_compiles(symda: Shell, lorenz: tuple[str, str]) -> None:
    done = symda("generate", lorenz[0], "--into", "out")
    written = (symda.folder / "out" / "lorenz96_rk4.pyx").read_text()
    assert written == cases.action().emitted.text
    first, second = done.out.splitlines()
    assert first == f"wrote out/lorenz96_rk4.pyx, {len(written.splitlines())} lines"
    how, library = second.split(" s: ")
    assert how.startswith(("compiled in ", "taken from the cache in "))
    assert Path(library).is_file()


def test_generate_can_leave_the_compiler_alone(
    symda: Shell, lorenz: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    done = symda("generate", lorenz[0], "--no-compile")
    assert (done.code, len(done.out.splitlines())) == (0, 1)
    assert (symda.folder / "generated" / "lorenz96_rk4.pyx").is_file()
    without = symda("generate", lorenz[0])
    assert without.code == 1
    assert "error: lorenz96_rk4_" in without.err
    assert "switched off by SYMDA_CC=none" in without.err


def test_anneal_finds_what_the_facade_finds(symda: Shell, lorenz: tuple[str, str]) -> None:
    arguments = [*SHORT, "--paths", "3", "--seed", "3", "--output", "runs/run.nc"]
    done = symda("anneal", *lorenz, *arguments, "--figures", "figures")
    assert done.code == 0, done.err
    assert "N = 40 steps of 0.02" in done.err
    assert "data: 122 values at T = 41 times" in done.err
    assert "lowest level: " in done.out
    assert "levels at beta = 9" in done.out
    assert "saved in runs/run.nc" in done.out
    run = sd.load(symda.folder / "runs" / "run.nc")
    data = cases.experiment()[1]
    gap = data.values.copy()
    gap[3, 1] = np.nan
    expected = sd.anneal(
        cases.action(),
        sd.Observations(data.times, gap, variance=0.1),
        ladder=cases.LADDER,
        paths=3,
        seed=3,
        executor="serial",
        progress=False,
    )
    np.testing.assert_array_equal(run.levels, expected.levels)
    files = {path.name for path in (symda.folder / "figures").iterdir()}
    assert files == {"levels.png", "states.png", "parameters.png", "report.html"}
    # the page of the run says how it was called
    again = symda("report", "runs/run.nc", "--into", "again.md")
    assert again.code == 0
    called = " ".join(("symda", "anneal", *lorenz, *arguments, "--figures", "figures"))
    assert called in (symda.folder / "again.md").read_text()


def test_anneal_passes_its_options_on(symda: Shell, lorenz: tuple[str, str]) -> None:
    done = symda(
        *("anneal", *lorenz, *SHORT, "--paths", "1", "--output", "run.nc", "--fix", "nu=8.5"),
        *("--variance", "0.4", "--steps", "2", "--option", "max_iter=7"),
    )
    assert done.code == 0, done.err
    assert "N = 80 steps of 0.01" in done.err
    run = sd.load(symda.folder / "run.nc")
    assert run.best.parameters == {"nu": 8.5}
    assert int(run.dataset["iterations"].max()) <= 7
    assert set(run.dataset["variance"].values.ravel()[:1]) == {0.4}
    lbfgs = symda("anneal", *lorenz, *SHORT, "--paths", "1", "--solver", "lbfgs")
    assert "solver lbfgs" in lbfgs.out
    assert "the run was not saved; --output run.nc or --store FOLDER keeps it" in lbfgs.err


@pytest.mark.parametrize("kind", ["csv", "nc"])
def test_a_forced_model_with_a_measured_expression(symda: Shell, kind: str) -> None:
    t = np.linspace(0.0, 3.0, 31)
    drive = np.where(t < 1.5, t, 3.0 - t)
    model = symda.write("membrane.py", FORCED)
    namespace: dict[str, object] = {}
    exec(FORCED, namespace)  # the file's own model, to make its data
    truth = sd.api.simulate(
        namespace["model"], t, [0.5], parameters={"k": 2.0}, forcing={"I": (t, drive)}
    )
    voltage = 10 * truth.states.values[:, 0]
    if kind == "csv":
        lines = ["time,I,temperature,voltage"]
        lines += [f"{a},{b},20,{c}" for a, b, c in zip(t, drive, voltage, strict=True)]
        data = symda.write("data.csv", "\n".join(lines))
    else:
        columns = {"I": ("time", drive), "voltage": ("time", voltage)}
        data = "data.nc"
        xr.Dataset(columns, {"time": t}).to_netcdf(data, engine="h5netcdf")
    arguments = ["--variance", "voltage=0.01", "--rf0", "1e4", "--alpha", "10", "--rungs", "5"]
    done = symda(
        *("anneal", model, data, *arguments, "--paths", "2", "--workers", "1"),
        *("--output", "run.nc"),
    )
    assert done.code == 0, done.err
    run = sd.load(symda.folder / "run.nc")
    assert run.dataset.attrs["scheme"] == "trapezoid"
    assert run.best.parameters["k"] == pytest.approx(2.0, abs=0.01)
    assert float(np.abs(run.best.states.values - truth.states.values).max()) < 0.01


def test_without_a_compiler_anneal_says_so_and_works(
    symda: Shell, lorenz: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    done = symda("anneal", *lorenz, "--rungs", "2", "--paths", "1")
    assert done.code == 0
    assert done.err.count("warning: ") == 1
    assert "switched off by SYMDA_CC=none" in done.err
    assert "kernels: virtual machine" in done.err


def test_a_run_in_which_nothing_finished_fails_but_is_kept(symda: Shell) -> None:
    model = symda.write("broken.py", BROKEN)
    data = symda.write("data.csv", "t,x\n0,0\n0.1,0.1\n")
    arguments = ["--variance", "1", "--rungs", "2", "--paths", "2", "--workers", "1"]
    done = symda("anneal", model, data, *arguments, "--output", "run.nc", "--figures", "figures")
    assert done.code == 1
    assert "warning: the action or its Hessian is not finite at a random start" in done.err
    assert "lowest level: none, no path reached a rung" in done.out
    assert [path.name for path in (symda.folder / "figures").iterdir()] == ["report.html"]
    report = symda("report", "run.nc", "--into", "again.html", "--model", "broken.py")
    assert report.code == 0, report.err
    assert "No path reached a rung" in (symda.folder / "again.html").read_text()


def test_ctrl_c_keeps_what_is_done_and_is_told_by_the_exit_code(
    symda: Shell, lorenz: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = sd.Run(cases.run().dataset.assign_attrs(interrupted=1))
    monkeypatch.setattr("symda.api.anneal", lambda *_, **__: cut)
    done = symda("anneal", *lorenz, "--output", "run.nc")
    assert done.code == 130
    assert "(interrupted)" in done.out
    assert sd.load(symda.folder / "run.nc").interrupted


@pytest.mark.smoke
def test_demo_goes_all_the_way(symda: Shell) -> None:
    done = symda("demo", "--into", "out", "--paths", "2", "--seed", "1")
    assert done.code == 0, done.err
    for step in range(1, 6):
        assert f"{step}. " in done.out
    assert "dx0/dt = nu - x0 + x10*(x1 - x9)" in done.out
    assert "against the truth: nu = " in done.out
    files = {path.name for path in (symda.folder / "out").iterdir()}
    assert files == {
        *("equations.txt", "lorenz96_rk4.pyx", "report.html", "run.nc"),
        *("levels.png", "states.png", "parameters.png", "search.png"),
    }
    assert all(name in done.out for name in files)
    run = sd.load(symda.folder / "out" / "run.nc")
    assert dict(run.dataset.sizes)["state"] == 11
    assert run.levels.shape == (2, 15)
    assert run.dataset.attrs["data_count"] == 4 * 166


@pytest.mark.parametrize("attempts", ["1", "3"])
def test_demo_passes_its_options_on(
    symda: Shell, monkeypatch: pytest.MonkeyPatch, attempts: str
) -> None:
    passed = {}

    def stop(*arguments: object, **options: object) -> None:
        passed.update(options)
        raise sd.SolveError("that was enough")

    monkeypatch.setenv("SYMDA_CC", "none")
    monkeypatch.setattr("symda.cli.demo.anneal", stop)
    words = ("--paths", "4", "--seed", "7", "--start", "nudged", "--strategy", "population")
    done = symda("demo", "--into", "out", *words, "--attempts", attempts)
    assert done.code == 1 and "that was enough" in done.err
    assert "4 paths, start nudged, strategy population" in done.out
    assert passed == {
        "paths": 4,
        "seed": 7,
        "start": "nudged",
        "strategy": "population",
        "attempts": int(attempts),
    }


def test_doctor(symda: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    done = symda("doctor")
    assert done.code == 0
    assert "all that is needed works" in done.out
    monkeypatch.setenv("SYMDA_CC", "none")
    without = symda("doctor")
    assert without.code == 0
    assert "warning" in without.out
    assert "not ok" not in without.out


@pytest.mark.parametrize(
    ("failing", "code"),
    [
        ({"compiler", "test compile", "cython"}, 0),
        ({"cache"}, 0),
        ({"test compile"}, 1),
        ({"cython"}, 1),
        ({"ipopt"}, 1),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else str(value),
)
def test_doctor_tells_what_is_needed_from_what_is_not(
    symda: Shell, monkeypatch: pytest.MonkeyPatch, failing: set[str], code: int
) -> None:
    names = ("compiler", "test compile", "cython", "ipopt", "cache")
    checks = [Diagnosis(name, name not in failing, f"[{name}]") for name in names]
    monkeypatch.setattr("symda.build.doctor", lambda: checks)
    done = symda("doctor")
    assert done.code == code
    assert all(f"[{name}]" in done.out for name in names)
    assert done.out.count("warning") == (0 if code else len(failing))


def test_cache_lists_and_clears(symda: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = symda.folder / "cache"
    monkeypatch.setenv("SYMDA_CACHE", str(folder))
    assert symda("cache").out == f"{folder}: 0 modules, 0.0 MB\n"
    decay = "import symda as sd\nx = sd.state('x')\nmodel = sd.Model({x: -x}, name='decay')\n"
    assert symda("generate", symda.write("decay.py", decay)).code == 0
    listed = symda("cache").out.splitlines()
    assert listed[0].startswith(f"{folder}: 1 modules, ")
    assert "decay_rk4_" in listed[1]
    assert symda("cache", "clear").out.startswith("removed 0.")
    assert symda("cache").out == f"{folder}: 0 modules, 0.0 MB\n"


def test_letters_that_an_output_lacks_are_spelled_out(symda: Shell) -> None:
    symda.write("m.py", "import symda as sd\nx = sd.state('größe')\nmodel = sd.Model({x: -x})\n")
    done = subprocess.run(
        [sys.executable, "-m", "symda", "derive", "m.py"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        cwd=symda.folder,
        check=True,
    )
    assert rb"dgr\xf6\xdfe/dt = -gr\xf6\xdfe" in done.stdout


@pytest.mark.smoke
def test_learn_prints_the_equations_of_a_file(symda: Shell, uncompiled: None) -> None:
    t = 0.1 * np.arange(60)
    noise = 0.02 * np.random.default_rng(0).normal(size=(2, 60))
    rows = zip(t, np.cos(t) + noise[0], np.sin(t) + noise[1], strict=True)
    lines = ["t,a,b", *(",".join(map(repr, map(float, row))) for row in rows)]
    file = symda.write("circle.csv", "\n".join(lines))
    done = symda("learn", file, "--degree", "1", "--figure", "circle.png")
    assert done.code == 0, done.err
    assert "2 of 6 candidate terms" in done.out and "da/dt = -" in done.out
    assert "wrote circle.png" in done.out
    wrong = symda("learn", file, "--states", "a,c")
    assert wrong.code != 0 and "'c'" in wrong.err and "Traceback" not in wrong.err
