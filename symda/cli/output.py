"""What the command line writes: folders, and the figures and the report of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from symda.analyse import free_parameters, path_counts
from symda.api import Run, Trajectory
from symda.errors import OptionError


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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of what is written inside that it cannot be, if so.

    Raises
    ------
    OptionError
        If the disk is full, the file is not ours to write, or the like.
    """
    try:
        yield
    # what HDF5 cannot write, it says in exceptions of any kind
    except Exception as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise OptionError(
            f"{str(path)!r} cannot be written ({reason}). Choose another place."
        ) from error


def write_report(
    run: Run,
    folder: Path,
    *,
    truth: Trajectory | None = None,
    true_parameters: Mapping[str, float] | None = None,
) -> list[Path]:
    """Write the figures of a run and report.html; return the files.

    A run in which nothing finished has nothing to draw, one without a free parameter none of those.
    """
    make_folder(folder)
    files: list[Path] = []
    if path_counts(run.dataset).reached:
        files = [folder / "levels.png", folder / "states.png"]
        run.plot_levels(files[0])
        run.plot_states(files[1], truth=truth)
        if free_parameters(run.dataset):
            files.append(folder / "parameters.png")
            run.plot_parameters(files[2], truth=true_parameters)
    return [*files, run.report(folder / "report.html", truth=truth)]
