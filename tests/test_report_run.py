"""Reports of runs: what a page says is what the run holds, however it ended."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import api_cases as cases
import numpy as np
import pytest
from report_pages import Page, read
from test_analyse_datasets import CASES, Case, make_run, through_file

import symda as sd
from symda.analyse import Assessment
from symda.anneal.levels import STOPPED
from symda.errors import DataError, OptionError
from symda.show.report import found
from symda.show.report.document import Judgement, Table
from symda.show.report.found import _error_bar
from symda.show.report.repeat import python_command, shell_command


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "run.html"
    assert cases.run().report(path) == path
    return read(path)


def test_every_part_is_there_in_order(page: Page) -> None:
    assert [said for tag, said in page.headings if tag == "h2"] == [
        *("Result", "Levels", "Estimates", "States", "Model", "Derived equations"),
        *("Discrete equations of motion", "Continuous equations of motion"),
        *("Structure", "Emitted source", "Repeat this run", "Record"),
    ]
    topics = {said for tag, said in page.headings if tag == "h3"}
    assert {"Timings", "Settings", "Versions", "Provenance", "In Python", "In a shell"} <= topics
    assert {section.title for section in cases.action().equations().sections} <= topics


def test_numbers_are_those_of_the_run(page: Page) -> None:
    run = cases.run()
    best = run.best
    assert page.fact["lowest level"].startswith(f"{best.action:.6g} at beta = 9, ")
    assert page.fact["measurement term"] == f"{best.measurement_term:.6g}"
    assert page.fact["model term"] == f"{best.model_term:.6g}"
    judged = run.chi_squared()
    expected = f"{judged.mean:.6g} ({judged.low:.6g} .. {judged.high:.6g}, 95.4 %)"
    said = f"{expected}; n = 123 data, p = 6 fitted"
    assert page.fact["expected of a right answer"] == said
    verdict = str(run.verdict())
    assert f"{verdict[0].upper()}{verdict[1:]}." in "".join(page.words)
    assert all(finding.text in page.cells for finding in run.verdict().findings)
    rate, (low, high) = run.hit_rate()
    assert (
        f"{100 * rate:.3g} %, 95 % interval {100 * low:.3g} .. {100 * high:.3g} %"
        in (page.fact["hit rate"])
    )
    assert page.fact["time to the lowest level"] == str(run.time_to_lowest())
    for value in run.table().to_numpy().ravel():
        assert f"{value:.6g}" in page.cells
    assert f"{best.parameters['nu']:.6g}" in page.cells
    sd_of_nu = cases.action().posterior(run, cases.experiment()[1]).sd["nu"]
    assert f"{sd_of_nu:.2g}" in page.cells
    record = json.loads(run.dataset.attrs["provenance"])
    for name, value in record["versions"].items():
        assert page.fact[name] == value
    assert page.fact["the whole call"] == f"{record['seconds']:.4g} s"
    assert page.fact["iterations"] == f"{int(run.dataset['iterations'].sum()):,}"
    assert page.fact["problem"] == record["problem"]
    assert page.fact["seed"] == "3"


def test_formulas_figures_and_source(page: Page) -> None:
    action = cases.action()
    lines = sum(len(section.lines) for section in action.equations().sections)
    assert len(page.maths) >= lines
    drawings = page.text.count("<svg")
    assert drawings == page.text.count('role="img"') == 1 + 1 + 5 + 3
    for name in ("x0", "x1", "x2", "x3", "x4"):
        assert f"Estimate of {name} against time" in page.text
    shown = "".join(page.words)
    source = action.emitted.text.splitlines()
    assert all(line in shown for line in source if line.strip())


def test_the_python_command_repeats_the_run() -> None:
    text, missing = python_command(cases.run().dataset)
    assert missing == ()
    names = {"action": cases.action(), "data": cases.experiment()[1]}
    exec(text, names)
    np.testing.assert_array_equal(names["run"].levels, cases.run().levels)


def test_commands_hold_what_is_not_usual() -> None:
    run = cases.anneal(
        paths=2,
        solver="lbfgs",
        start=sd.Nudged(gains=(3.0,)),
        strategy=sd.Window(samples=20),
        options={"maxiter": 50},
        steps=2,
        fixed={"nu": 8.0},
        keep="all",
        stop_after=2,
    )
    text, missing = python_command(run.dataset)
    assert missing == ()
    names = {"action": cases.action(), "data": cases.experiment()[1]}
    exec(text, names)
    np.testing.assert_array_equal(names["run"].levels, run.levels)
    shell, why = shell_command(run.dataset)
    assert shell == ""
    assert why == (
        "The command line cannot say it all: the options of the start; the options of the "
        "strategy; keep.",
    )
    plain = run.dataset.assign_attrs(start="uniform", strategy="ladder")
    record = json.loads(plain.attrs["provenance"])
    record["settings"] |= {"keep": "last", "start_options": {}, "strategy_options": {}}
    shell, _ = shell_command(plain.assign_attrs(provenance=json.dumps(record)))
    assert shell == (
        "symda anneal MODEL.py DATA.csv --rf0=0.01 --alpha=4.0 --rungs=10 --paths=2 --seed=3 "
        "--solver=lbfgs --stop-after=2 --option=maxiter=50 --fix=nu=8.0 --steps=2 "
        "--output=run.nc\n"
    )


def test_the_shell_command_says_what_is_free_and_what_the_model_file_defines() -> None:
    binding = json.dumps({"fixed": {"nu": None}, "max_step": 0.1, "midpoint_data": True})
    own = {"binding": binding, "model_error": "rate", "averaging": "minaone"}
    shell, (said,) = shell_command(cases.run().dataset.assign_attrs(own))
    assert " --free=nu --midpoint-data --max-step=0.1 --output=run.nc" in shell
    assert "of this action, and model_error = 'rate', averaging = 'minaone'; DATA.csv" in said
    assert "model_error" not in shell_command(cases.run().dataset)[1][0]


def test_a_start_that_no_text_holds_is_named() -> None:
    def own(problem: object, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(41, 5)), np.array([8.0])

    run = cases.anneal(paths=1, start=own)
    text, missing = python_command(run.dataset)
    assert "start=start" in text and "'own'" in missing[0]
    assert "the start 'own'" in shell_command(run.dataset)[1][0]


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_dataset(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what plots of them look like is tested elsewhere, and drawing takes most of the time
    monkeypatch.setattr("symda.show.report.writers.svg", lambda figure, prefix: "<svg></svg>")
    dataset = through_file(make_run(CASES[name]), tmp_path)
    page = read(sd.Run(dataset).report(tmp_path / "run.html"))
    assert not any(cell in ("nan", "inf") for cell in page.cells)
    finished = bool((dataset["last_beta"].values >= 0).any())
    assert ("h2", "Levels") in page.headings or not finished
    assert page.maths == []


def test_what_is_not_known_of_an_error_bar_is_said() -> None:
    known = Assessment(0, 0, sds=(("k", 0.25), ("a", np.inf)), held=(("b", 0), ("x", 3)))
    words = {name: _error_bar(known, name) for name in ("k", "a", "b", "x")}
    assert words == {"k": "0.25", "a": "not determined", "b": "on a bound", "x": "not known"}
    assert _error_bar(None, "k") == "not known"


def test_a_run_in_which_nothing_finished_says_why(tmp_path: Path) -> None:
    dataset = cases.run().dataset.copy(deep=True)
    for name in ("action", "measurement_term", "model_term", "parameters", "states"):
        dataset[name][:] = np.nan
    dataset["status"][:] = 0
    dataset["status"][:, 0] = 4
    dataset["last_beta"][:] = -1
    dataset["message"] = ("path", np.array([f"<b>lost</b> {k}" for k in range(5)]))
    dataset.attrs["interrupted"] = 1
    page = read(sd.Run(dataset, cases.action()).report(tmp_path / "run.html"))
    assert "No path reached a rung" in sd.Run(dataset)._repr_latex_()
    said = "".join(page.words)
    assert "No path reached a rung" in said and "interrupted" in said
    assert "<b>lost</b> 0" in page.cells and "5 paths did not reach their end" in said
    assert ("h2", "Levels") not in page.headings and page.maths


def test_verdicts_are_marked_by_what_they_say() -> None:
    """The action has n = 22 data and p = 4 fitted: 9, from 4.0 to 15.9; nothing else is known."""
    moods = {}
    for end in (12.0, 1.0, 40.0):
        first, *_ = found(make_run(Case(ends=(end, end))))[0].blocks
        assert isinstance(first, Judgement)
        moods[end] = first.mood
    assert moods == {12.0: "open", 1.0: "bad", 40.0: "bad"}
    few = make_run(Case(ends=(12.0, 12.0))).assign_attrs(fitted=22)
    assert found(few)[0].blocks[0].mood == "open"
    stopped = found(make_run(Case(statuses={0: STOPPED, 1: STOPPED, 2: STOPPED})))[0].blocks
    assert stopped[0].mood == "bad" and stopped[0].text.startswith("Not consistent (minimum)")


def test_remarks_of_solvers_are_apart_from_why_paths_ended_early() -> None:
    dataset = make_run(Case(failed={2: 2}))
    dataset["message"][0] = "at a bound: nu"
    blocks = found(dataset)[0].blocks
    tables = {block.caption: block.rows for block in blocks if isinstance(block, Table)}
    assert tables.pop("What was asked of it")[0][:2] == ("minimum", "not known")
    assert tables == {
        "1 path did not reach its end": (("2", "step became tiny at rung 2"),),
        "1 path with a remark": (("0", "at a bound: nu"),),
    }
    said = [block.text for block in blocks if isinstance(block, Judgement)]
    assert "The lowest path: at a bound: nu" in said
    assert "the lowest path: at a bound: nu" in sd.Run(dataset).summary().splitlines()


def test_many_points_become_dots(tmp_path: Path) -> None:
    long = make_run().isel(time=np.tile(np.arange(11), 2000), state=[0])
    long = long.assign_coords(time=np.arange(long.sizes["time"]) * 0.02)
    page = read(sd.Run(long).report(tmp_path / "run.html"))
    assert any(load.startswith("data:image/png;base64,") for load in page.loads)


def test_the_truth_is_drawn(tmp_path: Path) -> None:
    dataset = make_run()
    truth = dataset["states"][0]
    pale = [
        read(sd.Run(dataset).report(tmp_path / f"{n}.html", truth=one)).text
        for n, one in enumerate((None, truth))
    ]
    assert ["The truth is pale." in text for text in pale] == [False, True]
    states = dataset.sizes["state"]
    assert pale[1].count("var(--plot-pale)") == pale[0].count("var(--plot-pale)") + states


def test_markdown_and_latex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symda.show.report.writers.drawn", lambda figure, kind: kind.encode())
    run, best = cases.run(), cases.run().best
    markdown = run.report(tmp_path / "run.md").read_text(encoding="utf-8")
    latex = run.report(tmp_path / "run.tex").read_text(encoding="utf-8")
    for text, kind in ((markdown, "png"), (latex, "pdf")):
        figures = re.findall(rf"run_files/[\w.-]+\.{kind}", text)
        assert len(figures) == len(set(figures)) == 10
        assert all((tmp_path / figure).read_text() == kind for figure in figures)
        assert f"{best.action:.6g}" in text and f"{best.parameters['nu']:.6g}" in text
        assert r"\frac{d x_{0}}{d t}" in text and "cdef void field(" in text
    assert markdown.count("\n$$\n") % 2 == 0 and markdown.count("\n```") % 2 == 0
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert rows and all(line.endswith("|") for line in rows)
    begun, ended = (re.findall(rf"\\{word}{{(\w+\*?)}}", latex) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    # outside of programs braces match
    prose = re.sub(r"\\begin{verbatim}.*?\\end{verbatim}", "", latex, flags=re.DOTALL)
    prose = prose.replace(r"\{", "").replace(r"\}", "")
    assert prose.count("{") == prose.count("}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", "expected one of .html, .md, .tex, got none. For a page write"),
        ("run.htm", "got '.htm'. Did you mean '.html'?"),
        ("missing/run.html", "there is no folder"),
        ("folder.html", "is a folder; give the name of a file"),
    ],
)
def test_a_place_that_cannot_be_is_refused_first(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OptionError, match=re.escape(words)):
        cases.run().report(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", [3, "", ".", "x\0.html"])
def test_a_name_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(OptionError, match="expected the name of a file"):
        cases.run().report(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["md", "tex"])
def test_figures_have_names_that_texts_can_hold_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("symda.show.report.writers.drawn", lambda figure, kind: kind.encode())
    folder = tmp_path / "my-run-1-50-_files"
    form = {"md": "png", "tex": "pdf"}[kind]
    kept = {folder / f"01-mine.{form}x", folder / f"mine.{form}"}
    folder.mkdir()
    for file in (*kept, folder / f"17-state-x9.{form}"):
        file.touch()
    text = sd.Run(make_run()).report(tmp_path / f"my run #1 (50%).{kind}").read_text("utf-8")
    named = {tmp_path / name for name in re.findall(r"[({]([\w-]+_files/[\w.-]+)", text)}
    assert named and set(folder.iterdir()) == named | kept


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.html"
    path.write_text("an earlier report")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OptionError, match=r"cannot be written \(No space left on device\)"):
        sd.Run(make_run()).report(path)
    assert path.read_text() == "an earlier report"
    assert list(tmp_path.iterdir()) == [path]


def test_another_action_is_refused(tmp_path: Path) -> None:
    model, x = cases.lorenz96()
    other = sd.Action(model, x[:2], scheme="rk4")
    with pytest.raises(OptionError, match=r"its channels is \(x0, x2, x3\), the action's \(x0"):
        cases.run().report(tmp_path / "run.html", action=other)


def test_what_is_no_action_or_no_truth_is_named(tmp_path: Path) -> None:
    run, path = cases.run(), tmp_path / "run.html"
    with pytest.raises(OptionError, match=r"type EquationModel, .* sd.Action\(model, measured\)"):
        run.report(path, action=cases.lorenz96()[0])  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="type str, expected an Action"):
        run.report(path, action="x")  # type: ignore[arg-type]
    for truth in (3, "x", cases.action()):
        with pytest.raises(DataError, match=r"truth: expected .* dims \(time, state\), got"):
            run.report(path, truth=truth)  # type: ignore[arg-type]
    assert not path.exists()


def test_a_run_from_a_file_takes_the_action(page: Page, tmp_path: Path) -> None:
    loaded = sd.load(cases.run().save(tmp_path / "run.nc"))
    assert loaded.action is None and cases.run().action is cases.action()
    given = loaded.report(tmp_path / "given.html", action=cases.action())
    # nothing in it depends on the time of writing, or on chance
    assert given.read_text(encoding="utf-8") == page.text
