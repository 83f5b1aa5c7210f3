"""The exact command that repeats a run, in Python and for the shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from symda.anneal.apart import apart
from symda.anneal.settings import COMMAND_LINE, DEFAULTS
from symda.anneal.starts import STARTS
from symda.anneal.strategies import STRATEGIES
from symda.registry import options_of, same
from symda.show.report.document import Block, Code, Paragraph, Part, Topic
from symda.solve import SOLVERS

if TYPE_CHECKING:
    import xarray as xr

#: Choices that are found by name.
KINDS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {"solver": SOLVERS, "start": STARTS, "strategy": STRATEGIES}
)
#: What is usual beside a ladder that is given, as it is here.
USUAL: Mapping[str, object] = MappingProxyType(
    {"paths": 100, "start": "uniform", "strategy": "ladder"}
)
#: Settings that decide what is found.
REPEATED = tuple(name for name in COMMAND_LINE if name != "workers")


def repeat(dataset: xr.Dataset) -> Part:
    """Return how to repeat a run.

    Path k depends on the seed and k only, so the same versions on the same kind of machine give
    the same numbers, whatever the number of workers.
    """
    if not {"rf0", "alpha", "rungs", "paths", "seed"} <= _settings(dataset).keys():
        return Part("Repeat this run", (Paragraph("This run does not hold its settings."),))
    python, missing = python_command(dataset)
    shell, why_not = shell_command(dataset)
    blocks: list[Block] = [
        Paragraph(
            "With the action and the data of this run, and the versions recorded below, this gives "
            "the same paths on the same kind of machine; the number of workers makes no difference "
            "unless a time limit or a number of hits ended the run."
        ),
        Topic("In Python", (*(Paragraph(said) for said in missing), Code(python, "python"))),
    ]
    said = (Code(shell, "sh"),) if shell else ()
    blocks.append(Topic("In a shell", (*(Paragraph(line) for line in why_not), *said)))
    return Part("Repeat this run", tuple(blocks))


def python_command(dataset: xr.Dataset) -> tuple[str, tuple[str, ...]]:
    """Return the call of `anneal`, and what it cannot say."""
    settings, missing = _settings(dataset), []
    binding = _binding(dataset)
    ladder = ", ".join(f"{name}={value!r}" for name, value in _rungs(settings).items())
    options = {"ladder": f"sd.Ladder({ladder})"}
    for name in (*_repeated(settings), "keep", "finish"):
        usual = _usual(settings, name)
        if settings.get(name, usual) not in (usual, DEFAULTS[name]):
            options[name] = repr(settings[name])
    if settings["solver_options"] and not _is_own(settings, "solver"):
        options["options"] = repr(settings["solver_options"])
    for name, known in _chosen(settings).items():
        if _is_own(settings, name):
            options[name] = name
            missing.append(
                f"The {name} was {settings[name]!r}, which the record cannot hold: pass the one "
                f"this run was given as {name}."
            )
        elif name != "solver":
            own = known[settings[name]]
            chosen = _changed(own, settings[f"{name}_options"])
            inside = ", ".join(f"{k}={v!r}" for k, v in chosen.items())
            if chosen:
                options[name] = f"sd.{type(own).__name__}({inside})"
    if binding is None:
        missing.append(
            "The data were put on their grid before: data is what action.bind made of them "
            f"({dataset.sizes['step']} steps)."
        )
    else:
        options |= {name: repr(value) for name, value in binding.items()}
    names = [name for name, _ in apart(dataset)]
    if len(names) > 1:
        missing.append(
            "The data are a mapping of the names of the experiments to recordings, in this order: "
            f"{', '.join(names)}."
        )
    arguments = "".join(f"    {name}={value},\n" for name, value in options.items())
    text = f"import symda as sd\n\nrun = sd.anneal(\n    action,\n    data,\n{arguments})\n"
    return text, tuple(missing)


def shell_command(dataset: xr.Dataset) -> tuple[str, tuple[str, ...]]:
    """Return the command line, empty if none says it all, and what is to be said of it."""
    if dataset.attrs.get("command"):
        return str(dataset.attrs["command"]) + "\n", ("As it was run:",)
    settings = _settings(dataset)
    binding = _binding(dataset)
    obstacles = list(_obstacles(settings, binding))
    if obstacles:
        return "", (f"The command line cannot say it all: {'; '.join(obstacles)}.",)
    names = [name for name, _ in apart(dataset)]
    files = [f"{name}.csv" for name in names] if len(names) > 1 else ["DATA.csv"]
    words = ["symda", "anneal", "MODEL.py", *files]
    words += [f"--{name}={value}" for name, value in _rungs(settings).items()]
    for name in _repeated(settings):
        usual = _usual(settings, name)
        if settings.get(name, usual) not in (usual, DEFAULTS[name]):
            words.append(f"--{name.replace('_', '-')}={settings[name]}")
    words += [f"--option={k}={json.dumps(v)}" for k, v in settings["solver_options"].items()]
    given = dict(binding or {})
    fixed = given.pop("fixed", None) or {}
    words += [f"--fix={k}={v}" for k, v in fixed.items() if v is not None]
    words += [f"--free={k}" for k, v in fixed.items() if v is None]
    if given.pop("midpoint_data", False):
        words.append("--midpoint-data")
    words += [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    usual = {"model_error": "step", "averaging": "sum"}
    own = {name: dataset.attrs.get(name, value) for name, value in usual.items()}
    also = ", ".join(f"{name} = {str(v)!r}" for name, v in own.items() if v != usual[name])
    noise = "covariance" if "covariance" in dataset else "variance"
    if "error_correlations" in dataset.attrs:
        noise += ", and error_correlations,"
    said = (
        f"MODEL.py defines model, measured, scheme and {noise} of this action"
        + (f", and {also}" if also else "")
        + f"; {'each file' if len(files) > 1 else files[0]} has a column t and one for each "
        "channel and forcing:"
    )
    return shlex.join([*words, "--output=run.nc"]) + "\n", (said,)


def _binding(dataset: xr.Dataset) -> dict[str, Any] | None:
    """Return how the call put the data on a grid; None if they had been before."""
    binding: dict[str, Any] | None = json.loads(dataset.attrs.get("binding", "null"))
    if binding is not None and "divided" in dataset.attrs:
        # steps that the run chose by itself
        binding = {name: value for name, value in binding.items() if name != "steps"}
    return binding


def _repeated(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings to repeat."""
    chosen = _chosen(settings)
    return [name for name in REPEATED if name not in KINDS or name in chosen]


def _usual(settings: Mapping[str, Any], name: str) -> object:
    """Return what a setting is if nothing is said, beside a ladder that is given."""
    own = {} if settings["strategy"] == "auto" else USUAL
    return own.get(name, DEFAULTS[name])


def _chosen(settings: Mapping[str, Any]) -> dict[str, Mapping[str, object]]:
    """Return the kinds of choices that were made; auto has no start of its own."""
    several = settings["start"] not in STARTS and settings["strategy"] == "auto"
    return {name: known for name, known in KINDS.items() if not (name == "start" and several)}


def _rungs(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of the ladder that were given."""
    numbers = {name: settings.get(name) for name in ("rf0", "relative", "alpha", "rungs")}
    return {name: value for name, value in numbers.items() if value is not None}


def _obstacles(settings: Mapping[str, Any], binding: object) -> Iterator[str]:
    if not isinstance(settings["rf0"], (int, float, type(None))):
        yield "Rf differs between states"
    for name, known in _chosen(settings).items():
        if _is_own(settings, name):
            yield f"the {name} {settings[name]!r}"
        elif (
            name != "solver"
            and settings[name] in known
            and _changed(known[settings[name]], settings[f"{name}_options"])
        ):
            yield f"the options of the {name}"
    if settings["keep"] != "last":
        yield "keep"
    if settings.get("finish", "auto") != "auto":
        yield "finish"
    if binding is None:
        yield "the grid was made before"
    elif isinstance(binding, Mapping) and isinstance(binding.get("steps"), list):
        yield "steps that differ between intervals"


def _is_own(settings: Mapping[str, Any], kind: str) -> bool:
    """Whether a choice was the user's own, or with options of another package's class."""
    name, known = settings[kind], KINDS[kind]
    if name not in known or kind in settings.get("own", ()):
        return True
    foreign = not type(known[name]).__module__.startswith("symda.")
    return foreign and kind != "solver" and bool(settings[f"{kind}_options"])


def _settings(dataset: xr.Dataset) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(dataset.attrs["provenance"])["settings"]
    named = {name: str(dataset.attrs[name]) for name in ("solver", "start", "strategy")}
    return {**{f"{name}_options": {} for name in KINDS}, **record, **named}


def _changed(choice: object, options: object) -> dict[str, object]:
    """Return the options that are not those of the named choice."""
    given = options if isinstance(options, Mapping) else {}
    usual = options_of(choice)
    return {k: v for k, v in given.items() if not same(v, usual.get(k))}
