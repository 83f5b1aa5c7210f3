"""The command line. Typer and Rich are loaded when a command runs, not before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from symda.errors import InputError, SymdaError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command ``symda``.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; what the shell passed when left out.

    Raises
    ------
    SystemExit
        Always: 0 if all went well, 2 if something the user passed is wrong, 1 for anything else,
        130 after Ctrl-C.
    """
    from symda.cli.app import app
    from symda.cli.console import complain, show_warnings

    given = list(sys.argv[1:] if arguments is None else arguments)
    traced = "--traceback" in given
    for stream in (sys.stdout, sys.stderr):
        # letters that a terminal lacks are spelled out; names and paths may have any
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with show_warnings():
            words = [word for word in given if word != "--traceback"]
            app(words, prog_name="symda", obj=words)
    except SymdaError as error:
        complain(error, traced)
        sys.exit(2 if isinstance(error, InputError) else 1)
    sys.exit(0)
