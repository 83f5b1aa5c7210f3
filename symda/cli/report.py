"""``symda report``: a page about a saved run, or about a model."""

from __future__ import annotations

from pathlib import Path

from symda.api import Run, load
from symda.api.network_run import NetworkRun
from symda.cli.console import say
from symda.cli.files import PYTHON, NetworkFile, action_of_all, action_to_read, read_any
from symda.errors import OptionError
from symda.observe import Pairs


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
    target = Path(file.resolve().with_suffix(".html").name) if into is None else into
    if file.suffix == PYTHON:
        if model is not None:
            raise OptionError(
                f"report: --model goes with a run, and {str(file)!r} is a model already."
            )
        say(f"wrote {action_to_read(file).report(target)}")
        return
    of = None if model is None else read_any(model)
    written: Path
    run: Run | NetworkRun
    if isinstance(of, NetworkFile):
        run = _network(file, of)
        written = run.report(target)
    else:
        run = load(file)
        written = run.report(target, action=None if of is None else action_of_all(of))
    say(run.summary())
    say(f"wrote {written}")


def _network(file: Path, model: NetworkFile) -> NetworkRun:
    if not isinstance(model.pairs, Pairs):
        raise OptionError(
            f"report: {model.path.name} must define `pairs`, the sd.Pairs that the network of "
            f"{str(file)!r} was fitted to, got {model.pairs!r}."
        )
    return model.action.load(file, model.pairs)
