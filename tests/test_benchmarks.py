"""The benchmarks run, and measure the action of the program written by hand."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest

if TYPE_CHECKING:
    from benchmarks.common import Row

Load: TypeAlias = Callable[[str], ModuleType]

FOLDER = Path(__file__).parents[1] / "benchmarks"
MACHINE = {
    "processor": "A processor",
    "cores": 2,
    "python": "3.11",
    "casadi": "3",
    "numpy": "2",
    "cython": "3",
    "gcc": "12",
}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module


def row(load: Load, **given: object) -> Row:
    return load("common").Row(
        **({"section": "path", "what": "direct", "unit": "s", "symda": 2.0} | given)
    )


@pytest.mark.smoke
def test_quick_mode_fills_every_row(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), "--quick", "--into", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("*.json")
    record = json.loads(kept.read_text(encoding="utf-8"))
    assert kept.stem == record["date"] + "-quick"
    assert record["size"]["name"] == "quick"
    assert set(MACHINE) <= set(record["machine"])
    sections = [r["section"] for r in record["rows"]]
    counts = {name: sections.count(name) for name in dict.fromkeys(sections)}
    jax, dask = (importlib.util.find_spec(name) is not None for name in ("jax", "distributed"))
    assert counts == {
        "import": 2,
        # kernels against 2 levels of gcc and JAX, the cache, newton's module, a stencil
        "build": 5 + jax,
        # 3 quantities and their sum against 2 alternatives and JAX; without it 3 from Python
        "evaluate": 3 * 4 if jax else 3 + 2 * 4,
        # newton against 6 machines and 4 rows of detail, threads; IPOPT's 3 machines against 2
        # alternatives, and 3 rows of detail each
        "path": 6 + 5 + (os.cpu_count() > 1) + 3 * 2 + 3 * 3,
        # the best, and two rows for each of 7 methods and for two measured states
        "lowest": 1 + 2 * 7 + 2,
        # N, D, K; experiments, of shared and own parameters, on threads; memory
        "growth": 3 + 2 + (os.cpu_count() > 1) + 1,
        # 4 weights for 2 sizes of patches, a product, a solution, levels of random starts
        "lattice": 2 * 4 + 3,
        "neuron": 2,
        # 3 methods, SciPy on symda's own F, C by hand, threads
        "integrate": 5 + (os.cpu_count() > 1),
        # 1 panel, and all
        "complete": 2,
        # a stiff system against SciPy and CVODES, slopes; a neuron against two, slopes;
        # ensembles against SciPy, and lanes against none
        "simulate": 7 + 4,
        # the gradient against NumPy and JAX, the level against L-BFGS-B
        "network": 2 + jax,
        # a step on two machines, a whole fit
        "learn": 2,
        # against the dense inverse and the factor, the next order, a neuron
        "trust": 4,
        # at four precisions; a draw, and one of many states
        "sample": 6,
        # the time that a store takes, a large one opened, written, read; two workers of two kinds
        "store": 4 + (1 + dask) * (len(os.sched_getaffinity(0)) > 1),
        # errors and times of two windows
        "cycle": 4,
    }
    assert record["failures"] == []
    assert set(record["sections"]) == set(counts)
    for r in record["rows"]:
        assert r["unit"] in ("power", "share") or r["symda"] > 0.0, r
        assert (r["other"] is None) == (r["instead"] == ""), r
        assert r["other"] is None or r["other"] > 0.0, r
        assert r["what"] in done.stdout
        low, high = r["interval"] or (0.0, 1.0)
        assert 0.0 <= low <= high <= 1.0
    same = [r["symda"] for r in record["rows"] if "same level" in r["what"]]
    assert same[0] == same[2] == 1.0  # the same program; lifted may find another minimum
    assert len(same) == 3
    assert any(r["main"] for r in record["rows"])


@pytest.mark.parametrize(("D", "measured", "steps"), [(5, (0, 2), 7), (4, (0, 1, 2, 3), 1)])
def test_the_program_written_by_hand_is_the_same_problem(
    load: Load, D: int, measured: tuple[int, ...], steps: int
) -> None:
    import casadi as ca

    common, paths, baseline = (load(n) for n in ("common", "paths", "baseline_casadi"))
    action = common.lorenz96(D, measured)
    data = common.observations(action, steps)
    problem = action.bind(data)
    twin = paths.twin_of(common.Size(D=D, measured=measured, steps=steps), data)
    path, theta = common.first_point(problem, 3)
    kernels = action.compile()
    x = np.append(path, theta)
    for form in (baseline.expanded, baseline.mapped):
        nlp = form(twin)
        f = ca.Function("f", [nlp["x"], nlp["p"]], [nlp["f"], ca.gradient(nlp["f"], nlp["x"])])
        value, gradient = (np.asarray(v.full()).ravel() for v in f(x, 3.0))
        assert kernels.action(path, theta, 3.0, problem) == pytest.approx(value[0], rel=1e-12)
        ours = kernels.gradient(path, theta, 3.0, problem)
        assert np.abs(ours - gradient).max() <= 1e-12 * np.abs(gradient).max()
    np.testing.assert_array_equal(twin.lower, [-np.inf] * (D * (steps + 1)) + [0.0])
    np.testing.assert_array_equal(twin.upper, [np.inf] * (D * (steps + 1)) + [20.0])


@pytest.mark.parametrize(("D", "measured", "steps"), [(5, (0, 2), 7), (4, (0, 1, 2, 3), 1)])
def test_the_program_in_jax_is_the_same_problem(
    load: Load, D: int, measured: tuple[int, ...], steps: int
) -> None:
    pytest.importorskip("jax")
    common, paths, baseline = (load(n) for n in ("common", "paths", "baseline_jax"))
    action = common.lorenz96(D, measured)
    data = common.observations(action, steps)
    problem, kernels = action.bind(data), action.compile()
    twin = paths.twin_of(common.Size(D=D, measured=measured, steps=steps), data)
    path, theta = common.first_point(problem, 3)
    made = baseline.calls(twin, path, float(theta[0]), 3.0)
    value = float(made["action"]())
    assert value == pytest.approx(kernels.action(path, theta, 3.0, problem), rel=1e-12)
    gradient = np.append(*(np.asarray(part).ravel() for part in made["gradient"]()))
    ours = kernels.gradient(path, theta, 3.0, problem)
    assert np.abs(ours - gradient).max() <= 1e-12 * np.abs(gradient).max()
    blocks = np.asarray(made["Hessian"]())
    whole = np.zeros((path.size + 1, path.size + 1))
    for n, block in enumerate(blocks):
        at = [*range(n * D, (n + 2) * D), path.size]
        whole[np.ix_(at, at)] += block
    for n in range(steps + 1):
        for a in measured:
            whole[n * D + a, n * D + a] += 1.0 / twin.variance
    exact = kernels.hessian(path, theta, 3.0, problem).toarray()
    assert np.abs(whole - exact).max() <= 1e-12 * np.abs(exact).max()


def test_starts_are_those_of_anneal(load: Load) -> None:
    from symda.anneal.starts import Draw, Uniform

    common = load("common")
    action = common.lorenz96(5, (0, 2))
    problem = action.bind(common.observations(action, 4))
    path, theta = common.first_point(problem, 2)
    expected = Uniform().point(Draw(problem, number=2))
    np.testing.assert_array_equal(path, expected[0])
    np.testing.assert_array_equal(theta, expected[1])


@pytest.mark.parametrize(
    ("given", "met", "words"),
    [
        ({}, None, ""),
        ({"at_most": 2.0}, True, "at most 2 s"),
        ({"at_most": 1.9}, False, "at most 1.9 s: missed"),
        ({"other": 1.9, "at_most_beyond": 0.2}, True, "at most 0.2 s longer"),
        ({"other": 1.7, "at_most_beyond": 0.2}, False, "at most 0.2 s longer: missed"),
        ({"other": 7.0, "at_least_times": 3.5}, True, "at least 3.5 times"),
        ({"other": 6.9, "at_least_times": 3.5}, False, "at least 3.5 times: missed"),
        ({"unit": "times", "at_least": 1.8}, True, "at least 1.8"),
        ({"unit": "times", "symda": 1.7, "at_least": 1.8}, False, "at least 1.8: missed"),
    ],
)
def test_targets(load: Load, given: dict[str, float], met: bool | None, words: str) -> None:
    made = row(load, **given)
    assert made.met is met
    assert load("report").target(made) == words


def test_table(load: Load) -> None:
    rows = [
        row(load, instead="CasADi virtual machine", other=7.0, at_least_times=3.5),
        row(load, what="direct: iterations", unit="iterations", symda=211.4),
        row(load, what="same level", unit="share", symda=0.95, interval=(0.9, 0.975)),
        row(load, what="beyond the limit", instead="gcc", other=30.0, endless=True),
        row(load, what="growth", unit="power", symda=1.02, points={"10": 0.1, "20": 0.2}),
    ]
    assert load("report").table(rows, MACHINE) == (
        "A processor, 2 cores; casadi 3, numpy 2, cython 3, gcc 12, Python 3.11.\n\n"
        "| | symda | instead | | times | target |\n"
        "|---|---:|---|---:|---:|---|\n"
        "| **One path up the ladder, one core** | | | | | |\n"
        "| direct | 2 s | CasADi virtual machine | 7 s | 3.5 | at least 3.5 times |\n"
        "| direct: iterations | 211 |  |  |  |  |\n"
        "| same level | 95 % (90 .. 97.5) |  |  |  |  |\n"
        "| beyond the limit | 2 s | gcc | over 30 s | over 15 |  |\n"
        "| growth | 1.02 (0.1 ms .. 0.2 ms) |  |  |  |  |"
    )


def test_the_readme_keeps_everything_but_the_table(load: Load, tmp_path: Path) -> None:
    report = load("report")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        report.into_readme(readme, "| new |")
        assert readme.read_text(encoding="utf-8") == (
            f"before\n{report.BEGIN}\n| new |\n{report.END}\nafter\n"
        )


@pytest.mark.parametrize("text", ["nothing", "{BEGIN}", "{END} {BEGIN}", "{BEGIN}{BEGIN}{END}"])
def test_a_readme_without_its_marks_is_refused(load: Load, tmp_path: Path, text: str) -> None:
    report = load("report")
    readme = tmp_path / "README.md"
    readme.write_text(text.format(BEGIN=report.BEGIN, END=report.END), encoding="utf-8")
    with pytest.raises(ValueError, match=r"README\.md must hold .* once each and in this order"):
        report.into_readme(readme, "x")
    assert "x" not in readme.read_text(encoding="utf-8").replace(report.BEGIN, "")


def test_the_readme_has_the_marks_once(load: Load) -> None:
    report = load("report")
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_every_table_has_its_marks(load: Load) -> None:
    report = load("report")
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_comparison_with_a_record(load: Load) -> None:
    rows = [row(load), row(load, what="new"), row(load, instead="gcc", other=1.0)]
    before = [
        {"section": "path", "what": "direct", "instead": "", "symda": 4.0},
        {"section": "path", "what": "direct", "instead": "gcc", "symda": 1.0},
    ]
    assert load("report").comparison(rows, before).splitlines()[2:] == [
        "| path: direct | 4 s | 2 s | 0.50 |",
        "| path: direct | 1 s | 2 s | 2.00 |",
        "",
        "1 rows have no counterpart in the record.",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--readme", "--only", "path"], "leave out --only and --quick"),
        (["--readme", "--quick"], "leave out --only and --quick"),
        (["--full", "--quick"], "two sizes"),
        (["--compare", "nowhere.json"], "there is no file nowhere.json"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    load: Load, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load("run").parse(arguments)
    assert words in capsys.readouterr().err


def test_a_section_that_fails_is_named_and_the_others_go_on(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load("run")

    def section(name: str, size: str, cache: str) -> list[Row]:
        if name == "build":
            raise run.SectionError("build: gcc is gone")
        return [row(load, section=name)]

    monkeypatch.setattr(run, "run_section", section)
    rows, notes, failures = run.measure(["import", "build", "path"], "quick")
    assert [r.section for r in rows] == ["import", "path"]
    assert list(notes) == ["import", "build", "path"]
    assert failures == ["build: gcc is gone"]


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "print('no rows')"])
def test_a_program_without_rows_is_a_failure(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    run = load("run")
    (tmp_path / "imports.py").write_text(program, encoding="utf-8")
    monkeypatch.setattr(run, "HERE", tmp_path)
    with pytest.raises(run.SectionError, match="import: "):
        run.run_section("import", "quick", str(tmp_path))


def test_time_to_the_lowest_level(load: Load) -> None:
    lowest = load("lowest")
    one_in_four = lowest.Search(np.array([0.0, 7.0, np.nan, 9.0]), 2.0)
    assert one_in_four.time(0.0) == pytest.approx(2.0 * math.log(0.01) / math.log(0.75))
    assert one_in_four.time(-1.0) == math.inf
    always = lowest.Search(np.array([0.0, 0.3]), 2.0)
    assert always.time(0.0) == 2.0
    nearly_always = lowest.Search(np.array([*np.zeros(999), 7.0]), 2.0)
    assert nearly_always.time(0.0) == 2.0


def test_the_exponent_of_a_power_law(load: Load) -> None:
    points = {size: 3e-4 * size**2.5 for size in (10, 20, 80)}
    made = load("growth").row_of("D", points)
    assert made.symda == pytest.approx(2.5, abs=1e-12)
    assert made.points["D = 20, ms"] == points[20]


def test_models_of_any_number_of_parameters(load: Load) -> None:
    growth = load("growth")
    for P in (1, 5, 11, 20):
        assert len(growth.with_parameters(P).parameters) == P


def test_operations_of_an_iteration_by_hand(load: Load) -> None:
    import symda as sd

    x = sd.state("x", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: 2 * x}, name="linear"), [x], scheme="euler")
    # One state, no parameter, N steps. Slope and its constant derivative: 1. Residual and its
    # derivative: two sums of a product, 4; momentum and action: 4; adjoint: 2. Gauss-Newton
    # product: scaled, 2, and squared, 2. Cholesky: 1/3 for the pivot, 2 x 1 for the two rows below
    # it, 4 for what they leave. Back: 1 x (1 + 2). Trial: the slope 1, its sum 2, 11 for the step.
    step = 1 + 4 + 4 + 2 + 2 + 2 + (1 / 3 + 2 + 4) + 3 + (1 + 2 + 11)
    end = 1 / 3 + 1
    counted = load("flops").iteration(action.specification.lowered, 7)
    assert counted == pytest.approx(7 * step + end)


def test_the_peak_of_a_core_is_above_what_one_sum_at_a_time_could_do(load: Load) -> None:
    found = load("peak").peak(turns=100_000, repeats=2)
    assert found is None or 1.0 < found < 1000.0
