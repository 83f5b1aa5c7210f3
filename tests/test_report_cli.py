"""``symda report``: of a run, of a model, of a run with its model, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import api_cases as cases
import pytest
from cli_shell import MODEL, Shell, symda

from symda.cli.files import read_model

__all__ = ["symda"]


def test_a_run_becomes_a_page_called_like_it(symda: Shell) -> None:
    (symda.folder / "runs").mkdir()
    cases.run().save(symda.folder / "runs" / "first.nc")
    done = symda("report", "runs/first.nc")
    assert done.code == 0, done.err
    assert cases.run().summary() in done.out
    assert "wrote first.html" in done.out
    page = (symda.folder / "first.html").read_text(encoding="utf-8")
    assert "<h2>Levels</h2>" in page
    assert "<math" not in page  # the file of a run has no equations


def test_the_models_file_adds_the_mathematics(symda: Shell) -> None:
    cases.run().save(symda.folder / "run.nc")
    model = symda.write("l96.py", MODEL)
    done = symda("report", "run.nc", "--model", model, "--into", "full.html")
    assert done.code == 0, done.err
    page = (symda.folder / "full.html").read_text(encoding="utf-8")
    assert "<math" in page and "<h2>Levels</h2>" in page and "cdef void field" not in done.out


def test_a_models_file_says_all_of_the_action(symda: Shell) -> None:
    own = 'scheme = "rk4"\nmodel_error = "rate"\naveraging = "minaone"\nmatrix_free = False\n'
    action = read_model(Path(symda.write("l96.py", MODEL + own))).action
    assert (action.scheme.name, action.model_error) == ("rk4", "rate")
    assert (action.averaging, action.matrix_free) == ("minaone", False)
    assert cases.action().model_error == "step"
    cases.run().save(symda.folder / "run.nc")
    done = symda("report", "run.nc", "--model", symda.write("rate.py", MODEL + own.splitlines()[1]))
    assert done.code == 2
    assert "its model error is 'step', the action's 'rate'" in " ".join(done.err.split())


@pytest.mark.parametrize("form", ["html", "md", "tex"])
def test_a_model_becomes_each_form(symda: Shell, form: str) -> None:
    model = symda.write("l96.py", MODEL)
    done = symda("report", model, "--into", f"page.{form}")
    assert done.code == 0, done.err
    assert f"wrote page.{form}" in done.out
    assert "lorenz96" in (symda.folder / f"page.{form}").read_text(encoding="utf-8")
    beside = {path.read_bytes()[:4] for path in symda.folder.glob("page_files/*")}
    assert beside == {"html": set(), "md": {b"\x89PNG"}, "tex": {b"%PDF"}}[form]


def test_what_is_refused(symda: Shell) -> None:
    cases.run().save(symda.folder / "run.nc")
    model = symda.write("l96.py", MODEL)
    other = symda.write("other.py", MODEL.replace('name="lorenz96"', 'name="another"'))
    for arguments, words in (
        (("run.nc", "--into", "out"), "expected one of .html, .md, .tex, got none"),
        (("run.nc", "--into", "out.pdf"), "expected one of .html, .md, .tex, got '.pdf'"),
        (("run.nc", "--into", "no/run.html"), "there is no folder 'no'"),
        (("run.nc", "--model", other), "its model is 'lorenz96', the action's 'another'"),
        ((model, "--model", model), "is a model already"),
        (("none.py",), "there is no file 'none.py'"),
    ):
        done = symda("report", *arguments)
        assert done.code == 2
        assert words in " ".join(done.err.split())
    assert sorted(path.suffix for path in Path(symda.folder).iterdir()) == [".nc", ".py", ".py"]
