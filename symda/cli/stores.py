"""``symda resume``, ``symda runs``, ``symda export``: what is done with folders of runs."""

from __future__ import annotations

import math
import os
import shlex
import socket
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder of --store.", show_default=False)
]


def resume(context: typer.Context, folder: Folder) -> None:
    """Go on with a run that was killed: make the command again that began it.

    The command, which runs a model's Python file, is the one that the folder says. It is shown
    first, and only made for a folder that is where it was begun, on this machine, by you.
    """
    from symda.anneal.storage import record_of
    from symda.cli.console import note
    from symda.errors import DataError

    record = record_of(folder, "resume")
    words, place = record.get("command"), record.get("folder")
    if not isinstance(words, list) or not isinstance(place, str):
        call = "action.cycle(data, ..." if "about" in record else "sd.anneal(action, data, ..."
        raise DataError(
            f"resume: what is in {str(folder)!r} was made in Python. Make the same call again, "
            f"{call}, store={str(folder)!r})."
        )
    given = [str(word) for word in words]
    shown = shlex.join(["symda", *given])
    here = str(folder.resolve())
    own = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    if not (own and record.get("path") == here and record.get("host") == socket.gethostname()):
        raise DataError(
            f"resume: the run in {str(folder)!r} was not begun there by you on this machine. Read "
            f"the command that began it, and give it yourself with --store {folder}: {shown}"
        )
    if given[:1] != ["anneal"]:
        raise DataError(f"resume: the folder {str(folder)!r} names no run: {shown}")
    if not Path(place).is_dir():
        raise DataError(f"resume: the run was begun in the folder {place!r}, which is gone.")
    note(f"in {place}: {shown}")
    os.chdir(place)
    context.find_root().command(given, prog_name="symda", obj=given)


def runs(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where to look.", show_default=False)
    ] = Path("runs"),
) -> None:
    """List the runs that are kept below a folder, and how far they are."""
    from rich.table import Table

    from symda.anneal.storage import is_store, stored_run
    from symda.cli.console import console, say
    from symda.errors import DataError

    if not folder.is_dir():
        raise DataError(f"runs: there is no folder {str(folder)!r}.")
    found = [folder] if is_store(folder) else [one for one in folder.iterdir() if is_store(one)]
    if not found:
        say(f"there is no run in {folder}", verbatim=True)
        return
    table = Table("run", "model", "begun", "state", "paths", "lowest action")
    for path in sorted(found):
        try:
            one = stored_run(path)
        # of somebody else, maybe: one that is odd does not hide the others
        except Exception as error:
            table.add_row(path.name, "", "", str(error), "", "")
            continue
        lowest = "" if math.isnan(one.lowest) else f"{one.lowest:.6g}"
        table.add_row(path.name, one.model, one.begun, one.state, str(one.paths), lowest)
    console().print(table)


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="Folder of --store, or file of --output.", show_default=False
        ),
    ],
    into: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="NAME.nc, or NAME.csv: the states of the lowest path, and beside it "
            "NAME-paths.csv, a row for each path.",
            show_default=False,
        ),
    ],
) -> None:
    """Write a run for other programs."""
    from symda.api import load
    from symda.cli.console import say

    for path in load(run).export(into):
        say(f"wrote {path}", verbatim=True)
