"""What a run can be told is listed once: the call, the command line and the record agree."""

from __future__ import annotations

import inspect
import json
import shlex
from dataclasses import fields

import pytest
import xarray as xr
from cli_shell import Shell, symda

import symda as sd
from symda.anneal.settings import COMMAND_LINE, DEFAULTS, Settings
from symda.cli.run_options import KNOWN, RUNGS
from symda.registry import summary_of
from symda.show.report.repeat import shell_command

__all__ = ["symda"]

MODEL = """\
import symda as sd

x = sd.state("x", start=(-2.0, 2.0))
k = sd.parameter("k", bounds=(0.1, 10.0))
model = sd.Model({x: -k * x}, name="decay")
measured, variance = [x], 0.01
"""
DATA = "t,x\n" + "\n".join(f"{0.1 * n!r},{(-0.5) ** (n % 2) + 1.0!r}" for n in range(6))
#: Option -> another value than the usual one, what has to be said with it, and what is recorded.
OTHER: dict[str, tuple[object, tuple[str, ...], object]] = {
    "rf0": (0.5, (), 0.5),
    "relative": (0.7, (), 0.7),
    "alpha": (3.0, (), 3.0),
    "rungs": (4, (), 4),
    "paths": (3, (), 3),
    "start": ("nudged", (), "nudged"),
    "strategy": ("window", (), "window"),
    "attempts": (2, ("--strategy=population", "--paths=2"), 2),
    "seed": (5, (), 5),
    "solver": ("lbfgs", (), "lbfgs"),
    "workers": (2, ("--paths=2",), 2),
    "time_limit": (500.0, (), 500.0),
    "stop_after": (1, (), 1),
}
FEW = {"rungs": 2, "paths": 1, "solver": "newton", "workers": 1}

pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture
def ran(symda: Shell):
    """Anneal with some words of the command line and return the record of the run."""
    model, data = symda.write("model.py", MODEL), symda.write("data.csv", DATA)

    def run(*words: str) -> xr.Dataset:
        given = {word.partition("=")[0] for word in words}
        few = [f"--{name}={value}" for name, value in FEW.items() if f"--{name}" not in given]
        done = symda("anneal", model, data, *few, *words, "--output=run.nc")
        assert done.code == 0, done.err
        return sd.load("run.nc").dataset

    return run


def recorded(dataset: xr.Dataset, name: str) -> object:
    settings = json.loads(dataset.attrs["provenance"])["settings"]
    return settings[name] if name in settings else dataset.attrs[name]


def test_the_call_takes_what_the_settings_are() -> None:
    signature = inspect.signature(sd.anneal)
    names = {one.name for one in fields(Settings)}
    taken = {name: one.default for name, one in signature.parameters.items() if name in names}
    assert set(taken) == names
    assert {name: taken[name] for name in DEFAULTS} == dict(DEFAULTS)
    # the others are the data, their grid, what keeps it and what shows that it goes on
    assert set(signature.parameters) - names == {
        *("action", "data", "fixed", "steps", "max_step", "midpoint_data", "store", "progress")
    }
    for name in names:
        assert f"    {name} : " in sd.anneal.__doc__ or f"    {name}, " in sd.anneal.__doc__


def test_every_option_is_tried_here() -> None:
    assert set(OTHER) == set(KNOWN) == {*RUNGS, *COMMAND_LINE}


@pytest.mark.parametrize("name", OTHER)
def test_an_option_of_the_command_line_has_an_effect(ran, name: str) -> None:
    value, with_it, expected = OTHER[name]
    usual = recorded(ran(*with_it), name)
    words = f"--{name.replace('_', '-')}={value}"
    assert usual != expected
    assert recorded(ran(*with_it, words), name) == expected


def test_the_command_of_a_run_gives_the_same_settings(ran, symda: Shell) -> None:
    """That of the record, and the one that is written from the settings."""
    words = ("--rf0=0.5", "--paths=2", "--start=nudged", "--option=max_iter=9", "--seed=3")
    first = ran(*words)
    first.attrs["command"] = ""
    command, _ = shell_command(first)
    program, verb, _, _, *rest = shlex.split(command)
    assert (program, verb) == ("symda", "anneal")
    again = ran(*[word for word in rest if not word.startswith("--output")])
    for name in ("rf0", "alpha", "rungs", "paths", "seed", "solver", "start", "solver_options"):
        assert recorded(again, name) == recorded(first, name)
    assert again["states"].equals(first["states"])


@pytest.mark.parametrize(
    ("kind", "registry"),
    [
        ("schemes", "symda.discretise:SCHEMES"),
        ("integrators", "symda.discretise:INTEGRATORS"),
        ("solvers", "symda.solve:SOLVERS"),
        ("starts", "symda.anneal.starts:STARTS"),
        ("strategies", "symda.anneal.strategies:STRATEGIES"),
    ],
)
def test_choices_are_listed_with_a_line_each(symda: Shell, kind: str, registry: str) -> None:
    module, _, name = registry.partition(":")
    choices = getattr(__import__(module, fromlist=[name]), name)
    done = symda("list", kind)
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == list(choices)
    for line, choice in zip(lines, choices.values(), strict=True):
        assert len(summary_of(choice)) > 4 and line.endswith(summary_of(choice))


def test_a_kind_that_there_is_not(symda: Shell) -> None:
    done = symda("list", "solver")
    assert done.code == 2 and "Did you mean 'solvers'?" in done.err
