"""``symda report``: a page about a saved run, or about a model."""

from __future__ import annotations

from pathlib import Path

from symda.api import load
from symda.cli.console import say
from symda.cli.files import PYTHON, action_to_read
from symda.errors import OptionError


def report(file: Path, into: Path | None, model: Path | None) -> None:
    """Write the report of a run's file or a model's; its name decides which.

    Parameters
    ----------
    file : Path
        Run in NetCDF, or MODEL.py.
    into : Path or None
        File to write; by default a page called like `file`, in the working directory.
    model : Path or None
        MODEL.py the run was made with.
    """
    target = Path(file.with_suffix(".html").name) if into is None else into
    if file.suffix == PYTHON:
        if model is not None:
            raise OptionError(
                f"report: --model goes with a run, and {str(file)!r} is a model already."
            )
        say(f"wrote {action_to_read(file).report(target)}")
        return
    run = load(file)
    action = None if model is None else action_to_read(model)
    written = run.report(target, action=action)
    say(run.summary())
    say(f"wrote {written}")
