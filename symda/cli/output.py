"""What the command line writes: folders, and the report of a run with its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from symda.analyse import free_parameters, path_counts
from symda.api import Run, Trajectory
from symda.errors import OptionError
from symda.show import report_markdown


def make_folder(path: Path) -> Path:
    """Make a folder, with those it lies in, unless it is there.

    Raises
    ------
    OptionError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"the folder {str(path)!r} cannot be made ({error.strerror}). Choose another one."
        ) from error
    return path


def write_report(
    run: Run,
    folder: Path,
    *,
    truth: Trajectory | None = None,
    true_parameters: Mapping[str, float] | None = None,
) -> list[Path]:
    """Write report.md and the figures it shows; return the files.

    A run in which nothing finished has nothing to draw, one without a free parameter none of those.
    """
    make_folder(folder)
    figures: dict[str, str] = {}
    if path_counts(run.dataset).finished:
        run.plot_levels(folder / "levels.png")
        figures["Action levels of all paths against Rf"] = "levels.png"
        run.plot_states(folder / "states.png", truth=truth)
        figures["States of the best path"] = "states.png"
        if free_parameters(run.dataset):
            run.plot_parameters(folder / "parameters.png", truth=true_parameters)
            figures["Parameters of all paths against beta"] = "parameters.png"
    report = folder / "report.md"
    report.write_text(report_markdown(run.dataset, figures), encoding="utf-8")
    return [*(folder / name for name in figures.values()), report]
