"""Output of commands: results on standard output, remarks on standard error."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from symda.anneal.executors import ExecutorWarning
from symda.anneal.storage import StoreWarning
from symda.api import ProblemWarning, Run, VirtualMachineWarning
from symda.build import CacheWarning
from symda.errors import DataWarning
from symda.registry import RegistryWarning

if TYPE_CHECKING:
    from typing import TextIO

#: Columns assumed when the output is not a terminal.
WIDTH = 100
#: Levels and parameters in the table of a run.
LEVELS, PARAMETERS = 10, 4


def console(*, stderr: bool = False) -> Console:
    """Return a console for plain text: no markup, no colours guessed from the words."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = WIDTH
    return made


def visible(text: str) -> str:
    """Return a text in which nothing but line ends and tabs acts on a terminal.

    Files of other people are quoted here, and a terminal obeys what it is sent.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def say(text: str, *, verbatim: bool = False) -> None:
    """Print a result; lines are broken between words in a terminal, never in a file or pipe."""
    out = console()
    out.print(visible(text), soft_wrap=verbatim or not out.is_terminal)


def note(text: str) -> None:
    """Print a remark on standard error."""
    err = console(stderr=True)
    err.print(visible(text), soft_wrap=not err.is_terminal)


def complain(error: Exception, traced: bool) -> None:
    """Print an error, or all of where it came from."""
    note("".join(traceback.format_exception(error)) if traced else f"error: {error}")


@contextmanager
def show_warnings() -> Iterator[None]:
    """Show symda's own warnings as sentences, without the line of code that raised them."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        own = (
            CacheWarning,
            DataWarning,
            ExecutorWarning,
            ProblemWarning,
            RegistryWarning,
            StoreWarning,
            VirtualMachineWarning,
        )
        if issubclass(category, own):
            note(f"warning: {message}")
        else:
            usual(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        usual, warnings.showwarning = warnings.showwarning, show
        yield


def show_levels(run: Run) -> None:
    """Print the lowest levels of a run as a table."""
    levels = run.table()
    terms = ["level", "paths", "share", "measurement_term", "model_term"]
    estimated = [name for name in levels.columns if name not in (*terms, "chi2_z")]
    table = Table(title=f"levels at beta = {levels.attrs['beta']}", title_justify="left")
    for column in (*terms, *estimated[:PARAMETERS], "chi2_z"):
        table.add_column(column.replace("_", " "), justify="right")
    for row in levels.head(LEVELS).to_dict("records"):
        table.add_row(
            f"{row['level']:.6g}",
            f"{row['paths']}",
            f"{100.0 * row['share']:.3g} %",
            f"{row['measurement_term']:.6g}",
            f"{row['model_term']:.4g}",
            *(f"{row[name]:.6g}" for name in estimated[:PARAMETERS]),
            f"{row['chi2_z']:.2f}",
        )
    console().print(table)
    if len(levels) > LEVELS:
        say(f"and {len(levels) - LEVELS} higher levels")
