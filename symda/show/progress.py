"""A progress display for the terminal; it satisfies the protocol in `symda.anneal.report`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from symda.anneal.report import Silent as NoProgress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["NoProgress", "ProgressBar"]


class ProgressBar:
    """Show paths done, the lowest level so far with its multiplicity, failures, and time.

    Nothing is shown when the console is not a terminal.

    Parameters
    ----------
    tolerance : float
        Actions at most this far above the lowest count as the same level.
    console : rich.console.Console, optional
        Where to draw; by default standard error.
    """

    def __init__(self, *, tolerance: float = 0.01, console: Console | None = None) -> None:
        self._tolerance = tolerance
        self._console = console
        self._levels: list[float] = []
        self._failures = 0
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    @property
    def note(self) -> str:
        """What stands after the bar: lowest level, multiplicity, failures."""
        failures = f", {self._failures} failed" if self._failures else ""
        if not self._levels:
            return f"no level yet{failures}"
        lowest = min(self._levels)
        count = sum(level <= lowest + self._tolerance for level in self._levels)
        return f"lowest {lowest:.6g} \N{MULTIPLICATION SIGN}{count}{failures}"

    def start(self, total: int) -> None:
        """Draw the empty bar for `total` paths."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._levels, self._failures = [], 0
        console = self._console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("paths"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("paths", total=total, note=self.note)
        self._progress.start()

    def path_done(self, _path: int, level: float, status: str, /) -> None:
        """Count a path: its action at the last rung, nan if it never got there."""
        if status == "failed":
            self._failures += 1
        if math.isfinite(level):
            self._levels.append(level)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=1, note=self.note)

    def stop(self) -> None:
        """Leave the bar as it stands and give the terminal back."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None
