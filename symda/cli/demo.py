"""``symda demo``: the whole way from equations to levels, on Lorenz-96."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from symda.anneal import Settings
from symda.api import Action, Run, Trajectory, anneal, twin
from symda.build import NoCompiler, build, write_source
from symda.cli.console import say, show_levels
from symda.cli.output import make_folder, write_report, writing
from symda.declare import parameter, states
from symda.declare.factory import Model
from symda.observe import Observations
from symda.show import plot_search

D = 11
MEASURED = (0, 3, 6, 9)
TRUTH = {"nu": 10.0}
DT, STEPS, DISCARD, VARIANCE = 0.025, 165, 20.0, 0.2
SHOWN = 8
#: Paths of the reference.
REFERENCE = 4


def lorenz96() -> Action:
    """Lorenz-96 with eleven states, four of them measured, in classical Runge-Kutta steps."""
    x = states("x", D, start=(-10.0, 10.0))
    nu = parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    equations = {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}
    return Action(Model(equations, name="lorenz96"), [x[a] for a in MEASURED], scheme="rk4")


def demonstrate(folder: Path, **given: Any) -> Run:
    """Run the demonstration and write its results to a folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    **given
        Settings of the run, see `symda.anneal`; the seed is that of the data too.

    Raises
    ------
    OptionError
        If an option is wrong, or the folder cannot be written.
    """
    # refuses what is wrong before anything is made
    settings = Settings.of(given)
    make_folder(folder)
    action = lorenz96()
    say(f"1. The model: Lorenz-96, D = {D} states; {len(MEASURED)} are measured, nu is unknown.")
    _equations(action, folder)
    say("\n2. The code: Cython for exactly this model, with gradient and sparse Hessian.")
    _build(action, folder)
    truth, data = twin(
        action,
        parameters=TRUTH,
        dt=DT,
        steps=STEPS,
        variance=VARIANCE,
        seed=settings.seed,
        discard=DISCARD,
    )
    say(
        f"\n3. The data: a solution with nu = {TRUTH['nu']:g}, measured at {STEPS + 1} times with "
        f"noise of variance {VARIANCE:g}."
    )
    say(f"\n4. The annealing: {_words(settings)}.")
    run = anneal(action, data, **given)
    say(f"\n5. What was found:\n{run.summary()}")
    show_levels(run)
    _compare(action, run, truth)
    picture = _reference(action, data, run, folder, settings.seed)
    files = write_report(run, folder, truth=truth, true_parameters=TRUTH)
    saved = run.save(folder / "run.nc")
    names = ", ".join(path.name for path in (*files, picture, saved))
    say(f"\n{folder}: equations.txt, {action.emitted.stem}.pyx, {names}")
    return run


def _equations(action: Action, folder: Path) -> None:
    text = str(action.equations())
    path = folder / "equations.txt"
    with writing(path):
        path.write_text(text + "\n", encoding="utf-8")
    lines = text.splitlines()
    say("\n".join(f"   {line}".rstrip() for line in lines[:SHOWN]), verbatim=True)
    say(f"   ... {len(lines) - SHOWN} more lines in {path}")


def _build(action: Action, folder: Path) -> None:
    path = write_source(action.emitted, folder)
    say(f"   {len(action.emitted.text.splitlines())} lines in {path}")
    try:
        artefact = build(action.emitted)
    except NoCompiler as reason:
        say(f"   {reason}")
        return
    how = "taken from the cache" if artefact.cached else "compiled"
    say(f"   {how} in {artefact.seconds:.1f} s:")
    say(f"   {artefact.library}", verbatim=True)


def _words(settings: Settings) -> str:
    """Say how it is searched."""
    if settings.strategy == "auto":
        return (
            "several kinds of starts with Newton's method, until the lowest level was met often "
            "enough; then it is finished as a solution of the equations"
        )
    return (
        f"{settings.most} paths, start {settings.begin.name}, strategy {settings.method.name}, "
        f"each over {settings.climb.rungs} values of Rf"
    )


def _reference(action: Action, data: Observations, run: Run, folder: Path, seed: int) -> Path:
    """Anneal a few paths with the reference, and draw what both cost."""
    say(f"\n6. The reference: {REFERENCE} paths with IPOPT, solver='ipopt'.")
    other = anneal(action, data, solver="ipopt", paths=REFERENCE, seed=seed)
    for name, one in (("newton", run), ("ipopt", other)):
        seconds = json.loads(one.dataset.attrs["provenance"])["climb_seconds"]
        count = one.dataset.sizes["path"]
        lowest = float(np.nanmin(one.levels.values[:, -1]))
        say(
            f"   {name}: {count} paths in {seconds:.3g} s, {seconds / count:.3g} s each; lowest "
            f"level {lowest:.6g}"
        )
    path = folder / "search.png"
    with writing(path):
        plot_search({"newton, auto": run.dataset, "ipopt, ladder": other.dataset}, path)
    return path


def _compare(action: Action, run: Run, truth: Trajectory) -> None:
    """Compare the best path with the truth, which only a twin experiment knows."""
    best = run.best
    miss = np.sqrt(np.mean((best.states.values - truth.states.values) ** 2, axis=0))
    hidden = [a for a in range(D) if a not in action.direct]
    say(
        f"against the truth: nu = {best.parameters['nu']:.4f} for {TRUTH['nu']:g}; mean distance "
        f"of the measured states {miss[list(action.direct)].mean():.2f}, of the unmeasured "
        f"{miss[hidden].mean():.2f} (noise {VARIANCE**0.5:.2f})"
    )
