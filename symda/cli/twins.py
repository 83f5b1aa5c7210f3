"""``symda twin``: which and how many measurements are enough."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from symda.cli.files import ModelFile


def twin(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL.py",
            help="Python file that defines `model`, and may define `measured`, `parameters`, "
            "`initial`, `forcing`, `scheme`.",
            show_default=False,
        ),
    ],
    dt: Annotated[float, typer.Option(help="Time between two data.")],
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="A set of states that are measured; repeatable. Default: the first of `measured`, "
            "the first two, and so on.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        str, typer.Option(metavar="NUMBER,...", help="Lengths of the data, in intervals.")
    ] = "100",
    variance: Annotated[str, typer.Option(metavar="NUMBER,...", help="Noise variances.")] = "0.1",
    seeds: Annotated[int, typer.Option(help="Twins of each setting.")] = 3,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="True value of a parameter; repeatable. Default: `parameters` of MODEL.py.",
            show_default=False,
        ),
    ] = None,
    discard: Annotated[float, typer.Option(help="Time that the truth has to settle.")] = 0.0,
    seconds: Annotated[float, typer.Option(help="Time limit of each search.")] = 60.0,
    store: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the runs; go on from there.", show_default=False),
    ] = None,
    into: Annotated[
        Path, typer.Option(help="Folder for twins.csv and twins.png; made if it is not there.")
    ] = Path("twins-output"),
) -> None:
    """Ask which and how many measurements are needed, by twin experiments.

    Data are made from a truth that is known, for each set of measured states, variance and length,
    annealed, and compared with the truth.
    """
    from symda.api.twins import twins
    from symda.checks import integer
    from symda.cli.console import say
    from symda.cli.files import read_model
    from symda.cli.output import make_folder, writing
    from symda.cli.parse import parse_values

    file = read_model(model)
    sets = _sets(file, measure)
    given: Any = parse_values(parameter, "--parameter") if parameter else file.parameters
    folder = make_folder(into)
    found = twins(
        file.model,
        sets,
        parameters=given,
        dt=dt,
        steps=[integer(n, "--steps", floats=True) for n in _numbers(steps, "--steps")],
        variance=_numbers(variance, "--variance"),
        seeds=seeds,
        initial=file.initial,
        discard=discard,
        forcing=file.forcing,
        options=file.options,
        call={"time_limit": seconds},
        store=store,
    )
    say(str(found), verbatim=True)
    with writing(folder):
        found.rows.to_csv(folder / "twins.csv", index=False)
        found.plot(folder / "twins.png")
    say(f"wrote {folder / 'twins.csv'} and {folder / 'twins.png'}", verbatim=True)


def _sets(file: ModelFile, measure: list[str] | None) -> list[Any]:
    from symda.errors import OptionError, nearest

    states = {one.name: one for one in file.model.states}
    if not measure:
        named = file.measured if isinstance(file.measured, Mapping) else None
        every = list(named.items() if named else file.measured or states.values())
        sets = [every[:n] for n in range(1, len(every) + 1)]
        return [dict(one) for one in sets] if named else sets
    sets = []
    for text in measure:
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in states:
                raise OptionError(
                    f"--measure: there is no state {name!r} in the model.{nearest(name, states)}"
                )
        sets.append([states[name] for name in names])
    return sets


def _numbers(text: str, option: str) -> list[float]:
    from symda.errors import OptionError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"{option}: expected numbers with commas, got {text!r}.") from None
