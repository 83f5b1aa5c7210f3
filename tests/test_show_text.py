"""The summary, the Markdown report and the progress display, word for word."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from rich.console import Console
from test_analyse_datasets import CASES, Case, make_run, through_file

from symda.anneal.report import Reporter
from symda.show import NoProgress, ProgressBar, summary

TIMES = "\N{MULTIPLICATION SIGN}"


def test_summary_word_for_word() -> None:
    case = Case(ends=(20.004, 20.0, 35.0, 1.0, 1.0), failed={3: 2}, stopped={4: 3})
    assert summary(make_run(case)).splitlines() == [
        "toy: scheme rk4, solver ipopt, start uniform, strategy ladder",
        "sizes: D = 3 states, P = 2 parameters (1 free), L = 2 measured channels, N = 10 steps, "
        "22 data, B = 6 rungs",
        "paths: 3 of 5 finished, 1 failed at rung 2, 1 not finished (interrupted)",
        "lowest level: 20 at beta = 5, multiplicity 2; 2 of 4 attempts within 0.5 "
        "(50 %, 95 % interval 15 .. 85 %)",
        "time to the lowest level: 4.98 s (1.82 .. 21.2) on 2 cores, 0.75 s an attempt "
        "(99 % sure of it, if no lower level exists)",
        # chi-squared with 18 degrees of freedom, halved, by SciPy
        "verdict: not consistent (chi-squared): the action is above the expected band, 20 > "
        "4.04554 .. 15.9374: the model is wrong, the variances are too small, or the lowest level "
        "was not found; the model's errors are 25 % of it",
        "  minimum, not known: the run has no assessment: it is an old one, or was interrupted",
        "  level, yes: the lowest level was met by 2 of 4 attempts (95 % interval 15 .. 85 %)",
        "parameter nu = 10.1 (10 .. 10.1 over the lowest level)",
        "solver time: 11.5 s over all paths",
    ]


def test_summary_of_a_run_in_which_nothing_finished() -> None:
    lines = summary(make_run(Case(ends=(1.0, 1.0), failed={0: 0, 1: 1}))).splitlines()
    assert "paths: 0 of 2 finished, 2 failed at rungs 0 to 1, 0 not finished" in lines
    lines = summary(make_run(Case(ends=(1.0, 1.0), failed={0: 0, 1: 0}))).splitlines()
    assert lines[2:] == [
        "paths: 0 of 2 finished, 2 failed at rung 0, 0 not finished",
        "lowest level: none, no path reached a rung",
        "path 0: step became tiny at rung 0",
        "path 1: step became tiny at rung 0",
        "solver time: 0 s over all paths",
    ]


def test_summary_of_paths_that_did_not_converge() -> None:
    some = Case(ends=(20.0, 20.0, 35.0, 36.0), statuses={1: 2, 2: 3})
    lines = summary(make_run(some)).splitlines()
    assert lines[2] == "paths: 4 of 4 finished, 0 failed, 0 not finished"
    assert lines[3] == "ends: 2 converged, 1 acceptable, 1 stopped"
    assert lines[4].startswith("lowest level: 20 ")
    lowest = Case(ends=(20.0, 30.0), statuses={0: 3})
    lines = summary(make_run(lowest)).splitlines()
    assert lines[3] == "ends: 1 converged, 1 stopped"
    assert (
        "verdict: not consistent (minimum): the lowest path did not end in a minimum: the solver "
        "stopped" in lines
    )
    none = Case(ends=(20.0, 30.0), statuses={0: 3, 1: 3})
    lines = summary(make_run(none)).splitlines()
    assert lines[3] == "ends: 2 stopped"
    assert any(line.startswith("verdict: not consistent (minimum)") for line in lines)


def test_a_rate_after_stop_after_is_called_biased() -> None:
    bias = "; biased upwards, since the run was to stop after 2 hits"
    for number, ends, said in ((2, (1.0, 1.0, 9.0), bias), (2, (1.0, 9.0), ""), (None, (1.0,), "")):
        line = summary(make_run(Case(ends=ends, stop_after=number))).splitlines()[3]
        assert line.startswith("lowest level: 1 ")
        assert line.endswith(f" %){said}")


@pytest.mark.parametrize("name", CASES)
def test_loaded_files_give_the_same_words(name: str, tmp_path: Path) -> None:
    dataset = make_run(CASES[name])
    loaded = through_file(dataset, tmp_path)
    assert summary(loaded) == summary(dataset)


def test_progress_satisfies_the_protocol() -> None:
    reporters: list[Reporter] = [ProgressBar(), NoProgress()]
    for reporter in reporters:
        reporter.start(1)
        reporter.path_done(0, 1.0, "converged")
        reporter.stop()


def test_progress_shows_level_multiplicity_and_failures() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    bar = ProgressBar(console=console)
    bar.start(5)
    assert bar.note == "no level yet"
    bar.path_done(0, math.nan, "failed")
    assert bar.note == "no level yet, 1 failed"
    bar.path_done(3, 35.0, "converged")
    assert bar.note == f"lowest 35 {TIMES}1, 1 failed"
    bar.path_done(1, 20.004, "acceptable")
    bar.path_done(2, 20.0, "converged")
    assert bar.note == f"lowest 20 {TIMES}2, 1 failed"
    bar.stop()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "4/5" in shown and f"lowest 20 {TIMES}2, 1 failed" in shown


def test_progress_is_silent_when_nobody_looks() -> None:
    stream = io.StringIO()
    bar = ProgressBar(console=Console(file=stream, force_terminal=False))
    bar.start(1)
    bar.path_done(0, 1.0, "converged")
    bar.stop()
    assert stream.getvalue() == ""


def test_progress_counts_afresh_in_the_next_run() -> None:
    bar = ProgressBar(console=Console(file=io.StringIO()), tolerance=1.0)
    bar.start(2)
    bar.path_done(0, 1.0, "converged")
    bar.path_done(1, 2.0, "converged")
    assert bar.note == f"lowest 1 {TIMES}2"
    bar.stop()
    bar.start(1)
    assert bar.note == "no level yet"
    bar.stop()
