"""The commands: options in, the facade called, words out."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from symda.cli import stores, twins
from symda.cli.run_options import ladder_of, run_options
from symda.typeset.display import Readable

#: What `symda list` lists -> where its registry is.
KINDS = {
    "schemes": ("symda.discretise", "SCHEMES"),
    "integrators": ("symda.discretise", "INTEGRATORS"),
    "solvers": ("symda.solve", "SOLVERS"),
    "starts": ("symda.anneal.starts", "STARTS"),
    "strategies": ("symda.anneal.strategies", "STRATEGIES"),
}

Into = Annotated[Path, typer.Option(help="Folder to write into; made if it is not there.")]
ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL.py",
        help="Python file that defines `model`, and may define `measured`, `scheme`, "
        "`model_error`, `averaging`, `matrix_free`, `exact_initial`, `variance` or `covariance`; "
        "of a network `averaging`, `noise` and `pairs`.",
        show_default=False,
    ),
]

app = typer.Typer(
    help="Symbolic-to-code toolkit for statistical data assimilation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cache_app = typer.Typer(
    help="Show what has been compiled, or clear it away.", invoke_without_command=True
)
app.add_typer(cache_app, name="cache")
for command in (stores.resume, stores.runs, stores.export, twins.twin):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        from symda import __version__
        from symda.cli.console import say

        say(f"symda {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from; works anywhere.")
    ] = False,
) -> None:
    """Symbolic-to-code toolkit for statistical data assimilation."""


@app.command()
@run_options("paths", "start", "strategy", "attempts", "seed", seed=1)
def demo(into: Into = Path("demo-output"), **given: Any) -> None:
    """Anneal Lorenz-96 from its equations to levels, figures and a report.

    The seed is that of the data too.
    """
    from symda.cli.demo import demonstrate

    demonstrate(into, **given)


@app.command()
def derive(
    model: ModelArgument,
    continuous: Annotated[
        bool,
        typer.Option("--continuous", help="Lagrangian, Euler-Lagrange and Hamilton's equations."),
    ] = False,
    discrete: Annotated[
        bool, typer.Option("--discrete", help="Discrete Euler-Lagrange equations and momenta.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX (amsmath).")] = False,
) -> None:
    """Print the mathematics of a model."""
    from symda.api import Action
    from symda.cli.console import say
    from symda.cli.files import action_to_read
    from symda.errors import OptionError

    action = action_to_read(model)
    shown: list[Readable] = []
    if not isinstance(action, Action):
        if continuous or discrete:
            raise OptionError(
                f"derive: {model.name} declares a network, which has no equations of motion; leave "
                "out --continuous and --discrete."
            )
    else:
        if continuous:
            shown += [action.lagrangian(), action.euler_lagrange()]
            shown += [action.hamiltonian(), action.hamilton()]
        if discrete:
            shown.append(action.discrete_euler_lagrange())
    text = [part.latex() if latex else str(part) for part in shown or [action.equations()]]
    say(("" if latex else "\n\n").join(text), verbatim=True)


@app.command()
def generate(
    model: ModelArgument,
    into: Into = Path("generated"),
    compile: Annotated[bool, typer.Option(help="Compile what was written.")] = True,
) -> None:
    """Write the Cython source of a model, and compile it."""
    from symda.build import build, write_source
    from symda.cli.console import say
    from symda.cli.files import action_to_read

    source = action_to_read(model).emitted
    path = write_source(source, into)
    say(f"wrote {path}, {len(source.text.splitlines())} lines")
    if compile:
        artefact = build(source)
        how = "taken from the cache" if artefact.cached else "compiled"
        say(f"{how} in {artefact.seconds:.1f} s: {artefact.library}", verbatim=True)


@app.command()
def integrate(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL.py", help="Python file that defines `model`.", show_default=False
        ),
    ],
    method: Annotated[
        str | None,
        typer.Option(
            help="Integrator. Default: verlet for a separable Hamiltonian, gauss4 for another, "
            "rk4 for other models. `adaptive` chooses its steps, also for stiff models.",
            show_default=False,
        ),
    ] = None,
    step: Annotated[
        float, typer.Option(help="Length of a step; of adaptive ones, time between two outputs.")
    ] = 0.01,
    until: Annotated[float, typer.Option(help="Last time.")] = 10.0,
    begin: Annotated[float, typer.Option("--from", help="First time.")] = 0.0,
    initial: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Initial value of a state; repeatable. Default: `initial` of MODEL.py.",
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Value of a parameter; repeatable. Default: `parameters` of MODEL.py.",
        ),
    ] = None,
    points: Annotated[int, typer.Option(help="Times to keep at most, about.")] = 10_001,
    format: Annotated[str, typer.Option(help="nc or csv.")] = "nc",
    into: Into = Path("trajectory"),
) -> None:
    """Integrate a model and plot its trajectory, with the error of its energy.

    MODEL.py may also define `initial`, `parameters`, `forcing`, and `energy`, an expression that
    should stay constant; by default the Hamiltonian of a mechanical model.
    """
    from symda.cli.integrate import integrate_file

    integrate_file(
        model,
        into,
        method=method,
        step=step,
        until=until,
        begin=begin,
        points=points,
        initial=initial or [],
        parameters=parameter or [],
        form=format,
    )


@app.command()
@run_options()
def anneal(
    context: typer.Context,
    model: ModelArgument,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="CSV or NetCDF file whose columns are named like measured channels and forcing; "
            "times are in the column t, time or the first. Empty or nan: not measured. Of several "
            "files each is an experiment.",
            show_default=False,
        ),
    ],
    variance: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|NAME=NUMBER,...",
            help="Noise variance sigma^2, one or each. Default: `variance` of MODEL.py.",
        ),
    ] = None,
    separator: Annotated[str, typer.Option(help="What separates the columns of a CSV file.")] = ",",
    experiment: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of a CSV file that names the experiment of each row.",
            show_default=False,
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Option of the solver; repeatable."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Model steps between two observation times.")] = 1,
    max_step: Annotated[
        float | None, typer.Option(help="Largest step, instead of --steps.", show_default=False)
    ] = None,
    midpoint_data: Annotated[
        bool,
        typer.Option("--midpoint-data", help="hermite-simpson: every other datum on a midpoint."),
    ] = False,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Hold a parameter at a value; repeatable. NAME[EXPERIMENT]: in one of several.",
        ),
    ] = None,
    free: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Estimate a parameter declared with a value; repeatable."
        ),
    ] = None,
    initial: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Initial value of a state that is known exactly, or NAME=free; repeatable. "
            "NAME[EXPERIMENT]: in one of several. Default: `exact_initial` of MODEL.py.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="NetCDF file to save the run in.", show_default=False)
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep the run in this folder as it goes; the same command again, or `symda "
            "resume FOLDER`, goes on where it was killed.",
            show_default=False,
        ),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for figures and a report.", show_default=False)
    ] = None,
    **given: Any,
) -> None:
    """Find the paths and parameters of least action for your data."""
    from symda import api
    from symda.anneal import Settings
    from symda.anneal.storage import begun_by
    from symda.api.anneal import try_store
    from symda.cli import files, parse
    from symda.cli import output as written
    from symda.cli.console import note, say, show_levels

    files.refuse_swapped(model, data)
    # what can be checked without running the model's file is checked before
    chosen = {
        "ladder": ladder_of(given),
        "options": parse.parse_options(option or [], "--option"),
        **given,
    }
    Settings.of(chosen)
    fixed = parse.parse_fixed(fix or [], free or [])
    known = parse.parse_initial(initial or [])
    noise = None if variance is None else parse.parse_variance(variance)
    file = files.read_model(model)
    action = file.action
    observations = files.read_experiments(data, action, file.noise(noise), separator, experiment)
    observations = files.with_initial(observations, known, action)
    if file.initial is not None and not known and not action.specification.initial.any:
        note(
            f"initial values are estimated; `initial` of {model.name} is where `symda integrate` "
            "starts. Where they are known exactly pass --initial, or define `exact_initial`."
        )
    grid: dict[str, Any] = {
        "steps": steps,
        "max_step": max_step,
        "midpoint_data": midpoint_data,
        "fixed": fixed,
    }
    problem = action.bind(observations, **grid)
    # before the work, so that a folder that cannot be made does not cost a finished run
    for folder in (figures, output.parent if output else None):
        if folder is not None:
            written.make_folder(folder)
    with begun_by(context.obj or []):
        if store is not None:
            try_store(action, observations, store, **grid, **chosen)
        note(str(action.check(problem)))
        run = api.anneal(action, observations, **grid, **chosen, store=store)
    # the words themselves, so that a report can show them
    command = shlex.join(["symda", *(context.obj or [])])
    # file names need not be text, and what is saved has to be
    run.dataset.attrs["command"] = command.encode("utf-8", "backslashreplace").decode()
    if output is not None:
        run.save(output)
    say(run.summary())
    finished = bool((run.dataset["last_beta"].values >= 0).any())
    if finished:
        show_levels(run)
    if output is not None:
        say(f"saved in {output}")
    elif store is not None:
        say(f"kept in {store}")
    else:
        note("the run was not saved; --output run.nc or --store FOLDER keeps it")
    if figures is not None:
        say(f"report in {written.write_report(run, figures)[-1]}")
    if run.interrupted:
        raise typer.Exit(130)
    if not finished:
        raise typer.Exit(1)


@app.command()
def learn(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="CSV or NetCDF file of the states.", show_default=False
        ),
    ],
    degree: Annotated[int, typer.Option(help="Highest degree of the candidate terms.")] = 2,
    states: Annotated[
        str | None,
        typer.Option(help="Columns to take, with commas; by default all.", show_default=False),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Column of times; by default t, time or the first.", show_default=False),
    ] = None,
    variance: Annotated[
        float | None,
        typer.Option(help="Noise variance; by default it is estimated.", show_default=False),
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Longest step of the path.", show_default=False)
    ] = None,
    starts: Annotated[int, typer.Option(help="Most starts.")] = 12,
    separator: Annotated[str, typer.Option(help="Between columns of a CSV file.")] = ",",
    figure: Annotated[
        Path | None, typer.Option(help="Draw data and path into this file.", show_default=False)
    ] = None,
) -> None:
    """Find the equations of recorded states, terms and coefficients."""
    from symda.cli.learn import learn as find

    find(
        data,
        degree,
        states=states,
        time=time,
        variance=variance,
        step=step,
        starts=starts,
        separator=separator,
        figure=figure,
    )


@app.command()
def report(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL.py",
            help="File saved by --output or Run.save, folder of --store, or a model's Python file.",
            show_default=False,
        ),
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            help="File to write: .html, .md or .tex. Default: a page called like RUN.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.py",
            help="The model of a run, for its equations and source; the run of a network needs it, "
            "and in it `pairs`.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write all there is to read of a run or a model into one page."""
    from symda.cli.report import report as write

    write(file, into, model)


@app.command(name="list")
def choices(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.", show_default=False)
    ],
) -> None:
    """List the choices of a kind by name, other packages' included."""
    from symda.checks import choice
    from symda.cli.console import say
    from symda.registry import summary_of

    choice(kind, "list: KIND", KINDS)
    module, name = KINDS[kind]
    registry = getattr(import_module(module), name)
    width = max(map(len, registry))
    for one in registry.values():
        say(f"{one.name:{width}}  {summary_of(one)}", verbatim=True)


@app.command()
def doctor() -> None:
    """Check whether everything symda needs works on this machine."""
    from rich.table import Table
    from rich.text import Text

    from symda.build import doctor as examine
    from symda.cli.console import console, say

    # without them everything still works: the virtual machine evaluates, a temporary folder serves
    dispensable = {"compiler", "cache"}
    checks = examine()
    if any(check.name == "compiler" and not check.ok for check in checks):
        dispensable |= {"test compile", "cython"}
    broken = [check for check in checks if not check.ok and check.name not in dispensable]
    table = Table("", "state", "detail")
    for check in checks:
        state = "ok" if check.ok else "not ok" if check in broken else "warning"
        style = {"ok": "green", "warning": "yellow", "not ok": "red"}[state]
        table.add_row(check.name, Text(state, style), check.detail)
    console().print(table)
    if broken:
        say(f"not ok: {', '.join(check.name for check in broken)}")
        raise typer.Exit(1)
    say("all that is needed works")


@cache_app.callback()
def cache(ctx: typer.Context) -> None:
    """Show what has been compiled."""
    if ctx.invoked_subcommand is not None:
        return
    from symda.build import cache_entries, cache_folder
    from symda.cli.console import say

    entries = cache_entries()
    size = sum(entry.bytes for entry in entries) / 1e6
    say(f"{cache_folder()}: {len(entries)} modules, {size:.1f} MB", verbatim=True)
    for entry in entries:
        say(
            f"  {entry.created:%Y-%m-%d %H:%M} {entry.bytes / 1e6:6.2f} MB  {entry.name}",
            verbatim=True,
        )


@cache_app.command()
def clear() -> None:
    """Remove every compiled module."""
    from symda.build import cache_clear
    from symda.cli.console import say

    say(f"removed {cache_clear() / 1e6:.1f} MB")
