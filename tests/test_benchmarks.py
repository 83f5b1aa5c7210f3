"""The benchmarks run, and measure the action of the program written by hand."""

from __future__ import annotations

import json
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
    # 2 statements; cache and 2 levels of gcc; 3 quantities from Python, and for each alternative 3
    # and their sum; 3 machines against 2 alternatives, and 3 rows of detail each
    assert counts == {"import": 2, "build": 3, "evaluate": 3 + 2 * 4, "path": 3 * 2 + 3 * 3}
    assert set(record["load_before_and_after"]) == set(counts)
    for r in record["rows"]:
        assert r["symda"] > 0.0, r
        assert (r["other"] is None) == (r["instead"] == ""), r
        assert r["other"] is None or r["other"] > 0.0, r
    for r in record["rows"]:
        assert r["what"] in done.stdout
    shares = [r["symda"] for r in record["rows"] if r["unit"] == "share"]
    assert shares == [1.0, 1.0, 1.0]  # so short a ladder leads everyone to the same minimum


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


def test_starts_are_those_of_anneal(load: Load) -> None:
    from symda.anneal.starts import STARTS

    common = load("common")
    action = common.lorenz96(5, (0, 2))
    problem = action.bind(common.observations(action, 4))
    path, theta = common.first_point(problem, 2)
    expected = STARTS["uniform"](
        problem, np.random.default_rng(np.random.SeedSequence(0, spawn_key=(2,)))
    )
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
        row(load, what="same level", unit="share", symda=0.95),
    ]
    assert load("report").table(rows, MACHINE) == (
        "A processor, 2 cores; casadi 3, numpy 2, cython 3, gcc 12, Python 3.11.\n\n"
        "| | symda | instead | | times | target |\n"
        "|---|---:|---|---:|---:|---|\n"
        "| **One path up the ladder with IPOPT, one core** | | | | | |\n"
        "| direct | 2 s | CasADi virtual machine | 7 s | 3.5 | at least 3.5 times |\n"
        "| direct: iterations | 211 |  |  |  |  |\n"
        "| same level | 95 % |  |  |  |  |"
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
