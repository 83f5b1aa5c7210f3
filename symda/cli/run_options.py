"""Options of a run on the command line, made from the settings themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from symda.anneal import Ladder
from symda.anneal.ladder import DEFAULT
from symda.anneal.settings import COMMAND_LINE, DEFAULTS

F = TypeVar("F", bound=Callable[..., Any])

#: The ladder's numbers, which are settings of their own here: help and types.
RUNGS: Mapping[str, tuple[str, type]] = {
    "rf0": ("Rf of the first rung, in absolute numbers.", float),
    "relative": ("Instead of it Rf times each state's variance, at the first rung.", float),
    "alpha": (f"Factor from rung to rung. Default: {DEFAULT.alpha:g}; with --rf0 2.", float),
    "rungs": (f"Rungs of the ladder. Default: {DEFAULT.rungs}; with --rf0 26.", int),
}
KNOWN = {**RUNGS, **COMMAND_LINE}


def ladder_of(given: dict[str, Any]) -> Ladder | None:
    """Take the ladder's numbers out of the options of a command; None if none was given."""
    numbers = {name: given.pop(name) for name in RUNGS}
    chosen = {name: value for name, value in numbers.items() if value is not None}
    if not chosen:
        return None
    absolute = "rf0" in chosen
    usual = {} if absolute else {"alpha": DEFAULT.alpha, "rungs": DEFAULT.rungs}
    return Ladder(**{**usual, **chosen})


def run_options(*names: str, **defaults: object) -> Callable[[F], F]:
    """Give a command, instead of its ``**given``, options for settings of a run.

    Parameters
    ----------
    *names
        Fields of `Settings` and `Ladder`; all that the command line knows if there are none.
    **defaults
        Other default values than theirs.
    """
    made = [_option(name, defaults) for name in names or KNOWN]

    def decorated(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        every: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            here = made if parameter.kind is parameter.VAR_KEYWORD else [parameter]
            # commands are called with names
            every += [one.replace(kind=parameter.KEYWORD_ONLY) for one in here]
        command.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
        return command

    return decorated


def _option(name: str, defaults: Mapping[str, object]) -> inspect.Parameter:
    words, kind = KNOWN[name]
    default = defaults.get(name, None if name in RUNGS else DEFAULTS[name])
    option = typer.Option(help=words, show_default=default is not None)
    annotation = Annotated[kind if default is not None else kind | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
