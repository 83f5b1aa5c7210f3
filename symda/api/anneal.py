"""`anneal`: from an action and data to a run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal import driver
from symda.anneal.dynamics import Dynamics
from symda.anneal.ladder import Ladder
from symda.anneal.remote import try_executor
from symda.anneal.settings import LIMIT, Settings
from symda.anneal.starts import Draw, Start
from symda.anneal.storage import COMMAND, RunStore, identity
from symda.anneal.strategies import Auto
from symda.anneal.strategies.regions import Regions, sites_of
from symda.anneal.strategies.strategy import Growing
from symda.api import preflight
from symda.api.assessed import assessed, coarse, moves_within
from symda.api.check import estimate
from symda.api.divided import divided
from symda.api.kinked import name_kinks
from symda.api.machine import build_ahead, flow_of
from symda.api.run import Run
from symda.api.same import check_equations, digests, given_digests
from symda.api.specification import require_one
from symda.api.starts import StartLike, as_start
from symda.build.parts import PARTS
from symda.errors import OptionError
from symda.observe import Problem
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.anneal.report import Reporter
    from symda.anneal.strategies import Strategy
    from symda.api.action import Action
    from symda.api.network import NetworkAction
    from symda.api.specification import Data
    from symda.build.abstract import Kernels
    from symda.declare import Parameter
    from symda.solve import Solver


#: Arguments that are handed on by themselves.
HANDED = ("action", "data")


def anneal(
    action: Action,
    data: Data,
    *,
    ladder: Ladder | None = None,
    paths: int | None = None,
    seed: int = 0,
    solver: str | Solver = "newton",
    options: Mapping[str, object] | None = None,
    start: StartLike | None = None,
    strategy: str | Strategy | Auto | None = None,
    attempts: int = 1,
    fixed: Mapping[str | Parameter, float | None] | None = None,
    steps: int | Sequence[int] = 1,
    max_step: float | None = None,
    midpoint_data: bool = False,
    executor: str | Executor | None = None,
    workers: int | None = None,
    keep: str = "last",
    time_limit: float | None = None,
    stop_after: int | None = None,
    finish: str = "auto",
    store: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Run:
    """Find paths and parameters of least action by raising the model precision step by step.

    Each of K paths starts at its own random point at the first rung, where Rf is small and the
    action nearly quadratic, and is minimised again at each rung from where it ended at the one
    before: variational annealing, section 4 of Abarbanel, Rozdeba and Shirman 2017. Compiles what
    it needs.

    Parameters
    ----------
    action : Action
        The model, what is measured, the scheme.
    data : Observations, Experiments or Problem
        What was measured: one recording, or several of one system, as a list, a mapping of names to
        them, or `Experiments`. Each has its own path; parameters are shared, unless they were
        declared with ``per="experiment"``.
    ladder : Ladder
        The values of Rf. Left out, ``sd.Ladder(alpha=4.0, rungs=15)``: in units of one over each
        state's own variance, from a hundredth of the data's precision to about a million times
        that. ``sd.Ladder(rf0=0.01, alpha=2.0, rungs=26)`` is the papers', in absolute numbers.
    paths : int
        Number of starts K; with ``strategy="population"`` or ``"regions"`` the candidates of one
        attempt.
    seed : int
        Path k depends on (seed, k) only.
    solver : str or Solver
        ``"ipopt"``, the reference; ``"newton"``, many times faster, compiled for this model;
        ``"lbfgs"``, which needs least memory. For actions with ``model_error="rate"`` also the
        continuous problem itself: ``"collocation"`` (``"bvp"``, ``"sweeps"``), see
        `symda.boundary_value`. Or one of your own, see `symda.Descent`.
    options : mapping, optional
        The solver's own options, e.g. ``{"formulation": "lifted", "max_iter": 500}``.
    start : str, function, Nudged, Run, array, or tuple of arrays
        ``"uniform"``, as in the paper: measured components at the data, the others uniform in
        their start range. ``"nudged"``: the model integrated with a coupling to the data;
        ``sd.Nudged(gains=...)`` chooses the couplings. ``"constant"``: as ``"uniform"``, but the
        others each keep one value in time. A `Run`: path k starts where its path k ended,
        interpolated if the grid is another. A path (M, D) or paths (J, M, D), by itself or in a
        tuple with parameters, a mapping of names to numbers or (J,) arrays, or an array (P,) or
        (J, P); parameters not given are drawn as in ``"uniform"``. Or a function
        ``(problem, rng) -> (X, theta)``.
    strategy : str, Auto, Window, Population or Regions
        ``"auto"``, if none of ladder, paths, start, stop_after is given: rounds of several kinds of
        starts, until the lowest level was met often enough; paths given as `start` are taken up
        first. ``"ladder"``: the whole window climbs every rung. ``"window"``: anneal the first
        samples, then let the window grow by the model's own forecast, and climb the rest at full
        length.
        ``"population"``: the same for `paths` candidates of one attempt, with selection and
        perturbed copies; the paths of the run are its survivors. ``sd.Window(...)`` and
        ``sd.Population(...)`` take options; what is left out follows from the problem.
        ``"regions"``, of matrix-free actions: `paths` candidates are joined region by region on
        one rung, and the one path that is the best of each goes on; see `symda.Regions`.
        ``"shooting"``: no ladder; first states and parameters of the model's own solutions are
        fitted. ``"shooting-window"``: these, to the first data, then to more of them;
        ``sd.ShootingWindow(rough=True)`` where the model is not quite right.
    attempts : int
        Attempts of a population, each with `paths` candidates of its own.
    fixed : mapping of parameter to float or None
        Values to hold parameters at; None estimates one declared with a value. ``"k[sweep 1]"`` is
        k in the experiment ``"sweep 1"`` only.
    steps, max_step, midpoint_data
        The grid, see `Action.bind`.
    executor : str or concurrent.futures.Executor, optional
        ``"processes"`` (the default; with ``"newton"`` threads), ``"threads"``,
        ``"serial"`` or an executor of yours.
    workers : int, optional
        Processes or threads, or how many an executor of yours has; as many as cores when left
        out.
    keep : {"last", "all"}
        States of each path's last rung, or of all its rungs.
    time_limit : float, optional
        Seconds after which no rung is begun; what is done is returned.
    stop_after : int, optional
        Stop once the lowest level has been hit so often.
    finish : {"auto", "strong", "none"}
        Whether the lowest distinct levels are finished at the end as solutions of the equations:
        minimised over first states and parameters alone. Levels are then ranked by that action;
        both numbers are reported. ``"auto"``: with ``strategy="auto"``, where the model can be
        integrated.
    store : str or path, optional
        Folder that keeps the run as it goes, in Zarr: paths are on the disk when they end. The same
        call again goes on where it was killed, and ends with the numbers it would have had; of a
        run that is over it returns what is there. `load` reads it, also while it is written.
    progress : bool, optional
        Show a progress bar; when left out, if standard error is a terminal.

    Returns
    -------
    Run
        A path that fails is recorded with its reason and does not touch the others; Ctrl-C returns
        what is done.

    Raises
    ------
    DataError, OptionError, BuildError
        If data, options or compiler are at fault, before any path starts; or the store holds
        another run, is written by another process or cannot be; or an executor of yours takes no
        task, or its workers have other versions.

    Warns
    -----
    ProblemWarning
        What no solver can correct: parameters that nothing constrains or that have no effect, data
        of zero variance or outside bounds, a forcing that jumps where steps do not see it, a
        ladder that ends beyond the digits of doubles; also options of a window that cannot grow.
        At the end, steps that are too long for a decay of the model which the scheme does not damp.
    ExecutorWarning
        An executor of yours has no workers, and the run waits for some.
    StoreWarning
        The store could not be written while the run went on, which it does in memory; or a run is
        gone on with by other versions of what computes it.
    """
    given = {n: v for n, v in locals().items() if n not in HANDED}
    from symda.api.network import NetworkAction

    if isinstance(action, NetworkAction):
        return _of_network(action, data, given)
    folder = None if store is None else RunStore(store)
    try:
        run = _annealed(action, data, given, folder)
        if folder is not None and not folder.complete:
            folder.finish(run.dataset, int(run.dataset.attrs.get("grid", 0)))
        return run
    finally:
        if folder is not None:
            folder.close()


def try_store(action: Action, data: Data, store: str | os.PathLike[str], **given: Any) -> None:
    """Refuse a store before anything is compiled: it is opened for this call, and closed.

    Raises
    ------
    DataError, OptionError
        As `anneal` with the same arguments.
    """
    usual = {name: one.default for name, one in signature(anneal).parameters.items()}
    folder = RunStore(store)
    try:
        settings, problem, action = _bound(action, data, {**usual, **given})
        _open(folder, action, problem, settings, midpoint_data=bool(given.get("midpoint_data")))
    finally:
        folder.close()


def _open(
    folder: RunStore, action: Action, problem: Problem, settings: Settings, *, midpoint_data: bool
) -> None:
    told = _told_of(action, midpoint_data)
    folder.open(identity(problem, settings, told), action.model.name, COMMAND.get())


def _bound(
    action: Action, data: Data, given: Mapping[str, Any]
) -> tuple[Settings, Problem, Action]:
    """Check the arguments of `anneal`; return settings, problem and the action that fits it."""
    from symda.api.action import Action

    start = given["start"]
    if not isinstance(action, Action):
        raise OptionError(
            f"anneal: the first argument is a symda.Action, got {type(action).__name__}."
        )
    # a path or a run fits a problem, which there is not yet
    plain = start is None or isinstance(start, (str, Start)) or callable(start)
    early = start if plain else None if given["strategy"] is not None else "uniform"
    settings = Settings.of({**given, "start": early})
    grid = {name: given[name] for name in ("steps", "max_step", "midpoint_data", "fixed")}
    problem = action.bind(data, **grid)
    action = action.of(problem)
    if isinstance(start, Run):
        fix = (
            "To start from it all the same, pass its arrays: "
            "start=(start.dataset['states'].values, start.best.parameters)."
        )
        check_equations(start.dataset, action.specification, "anneal: start", fix, measured=False)
    if start is not None:
        settings = replace(settings, start=as_start(start, problem, settings.starts_used))
    return settings, problem, action


def _annealed(
    action: Action,
    data: Data,
    given: Mapping[str, Any],
    folder: RunStore | None = None,
    grid: int = 0,
    spent: float = 0.0,
) -> Run:
    """Anneal with the other arguments of `anneal`, so many seconds of the limit being over.

    In the run's folder, if it has one, on the grid of this number: 0, or one with finer steps.
    """
    fixed, time_limit = given["fixed"], given["time_limit"]
    steps, max_step, midpoint_data = given["steps"], given["max_step"], given["midpoint_data"]
    settings, problem, action = _bound(action, data, given)
    if folder is not None and grid == 0:
        _open(folder, action, problem, settings, midpoint_data=midpoint_data)
        if folder.complete:
            return _stored(folder, action, data, given)
    if grid == 0:
        try_executor(settings.executor)
    capability = settings.chosen.capability
    parts = capability.needs | capability.wants
    if capability.continuous:
        fix = "Use solver='newton', 'ipopt' or 'lbfgs', or anneal the experiments one by one."
        require_one(problem, f"anneal: solver={settings.chosen.name!r}", fix)
    specification, integrates = action.specification, settings.integrates
    build_ahead(specification, problem, lanes="lanes" in parts, flow=integrates)
    kernels = action.compile().machine
    _check_provided(settings.chosen, kernels, problem)
    rf = settings.climb.over(problem)
    _try_growing(settings.method, kernels, problem, rf)
    if isinstance(settings.method, Regions):
        sites_of(kernels.at(problem))
    if time_limit is not None and settings.chosen.name == "ipopt":
        _, seconds = estimate(kernels.at(problem), settings.climb.rungs)
        preflight.warn_of_time(float(time_limit), seconds, stacklevel=3)
    preflight.warn(action.field, kernels.at(problem), rf, stacklevel=3)
    preflight.warn_of_window(settings.method, problem, rf, stacklevel=3)
    flow = flow_of(specification, problem) if integrates else None
    uneven = flow is not None and moves_within(action, problem, data)
    if uneven or (flow is None and settings.finish == "strong"):
        if settings.finish == "strong":
            _refuse_finish(action, problem, uneven=uneven)
        flow = None
    own = not capability.continuous
    plain = isinstance(steps, int) and steps == 1 and max_step is None and not midpoint_data
    divides = plain and not isinstance(data, Problem) and not action.model.discrete

    def judged(dataset: xr.Dataset) -> Run:
        known = name_kinks(dataset, action, problem)
        return Run(assessed(known, action, kernels.at(problem), data, own=own), action, problem)

    def off(dataset: xr.Dataset) -> bool:
        return coarse(dataset, action, kernels.at(problem), data)

    ledger = None if folder is None else folder.stage(grid, kernels.emitted.digest)
    # earlier sessions count
    began = time.monotonic() - (0.0 if ledger is None else ledger.now())
    dataset = driver.anneal(
        kernels.payload(problem, parts),
        problem,
        settings,
        reporter=_reporter(given["progress"]),
        flow=flow,
        coarse=off if divides else None,
        spent=spent,
        ledger=ledger,
        attrs={
            "model": action.model.name,
            "scheme": action.scheme.name,
            "model_error": action.model_error,
            "averaging": action.averaging,
            "kernels": kernels.kind,
            "source_digest": kernels.emitted.digest,
            **digests(action.specification),
            "given_digests": given_digests(action.specification, problem),
            "binding": _binding(data, steps, max_step, midpoint_data, fixed),
            **({} if folder is None else {"grid": grid}),
        },
    )
    try:
        run = judged(dataset)
    except KeyboardInterrupt:
        # what is done is done, though not looked at
        run = Run(dataset, action, problem)
        run.dataset.attrs["interrupted"] = 1
    if isinstance(settings.method, Auto) and divides:
        others = {**given, "strategy": settings.method}

        def again(start: Run, steps: int, grid: int, spent: float) -> Run:
            finer = others | {"start": start, "steps": steps}
            return _annealed(action, data, finer, folder, grid, spent)

        def elapsed() -> float:
            return time.monotonic() - began + (0.0 if folder is None else folder.earlier)

        limit = LIMIT if given["time_limit"] is None else float(given["time_limit"])
        finer = divided(run, again, problem.limits, elapsed, limit)
        if finer is not run:
            return finer
    preflight.warn_of_stiffness(run.dataset, stacklevel=3)
    return run


def _told_of(action: Action, midpoint_data: bool) -> dict[str, object]:
    """Return what tells an action from another, as a store compares it."""
    names = {"model_digest": "the equations", "measurement_digest": "the measured quantities"}
    known = {names.get(n, n): f"sha:{mark}" for n, mark in digests(action.specification).items()}
    options = ("model_error", "averaging", "matrix_free")
    return {
        "model": action.model.name,
        "scheme": action.scheme.name,
        "midpoint_data": midpoint_data,
        **{name: getattr(action, name) for name in options},
        **known,
    }


def _stored(folder: RunStore, action: Action, data: Data, given: Mapping[str, Any]) -> Run:
    """Return the run that is in a folder, which is over."""
    dataset = folder.dataset()
    grid = {name: given[name] for name in ("steps", "max_step", "midpoint_data", "fixed")}
    grid["steps"] = dataset.attrs.get("divided", grid["steps"])
    problem = action.bind(data, **grid)
    return Run(dataset, action.of(problem), problem)


def _of_network(action: NetworkAction, data: Any, given: Mapping[str, Any]) -> Any:
    """Anneal a network; what it has no use for is refused.

    Raises
    ------
    OptionError
        For an option that networks do not have.
    """
    usual = {name: one.default for name, one in signature(anneal).parameters.items()}
    said = {name: value for name, value in given.items() if value is not usual[name]}
    known = signature(action.anneal).parameters
    for name in said:
        if name not in known:
            raise OptionError(
                f"anneal: a network has no use for {name}={said[name]!r}; there are "
                f"{', '.join(name for name in known if name in usual)}, and by "
                "action.anneal(pairs, ...) also threads and baseline."
            )
    return action.anneal(data, **said)


def _refuse_finish(action: Action, problem: Problem, *, uneven: bool) -> None:
    """Refuse to finish what cannot be integrated."""
    from symda.build.course import unfit

    why = "the action is matrix-free" if action.matrix_free else unfit(problem)
    if uneven:
        why = "the forcing moves within steps more than a cubic follows; take max_step="
    raise OptionError(
        f"anneal: finish='strong' integrates the model from first states and parameters, and "
        f"cannot: {why}. Leave finish out."
    )


def _check_provided(solver: Solver, kernels: Kernels, problem: Problem) -> None:
    """Refuse a solver that needs what these kernels cannot have."""
    for part in sorted(solver.capability.needs - kernels.provides):
        raise OptionError(
            f"anneal: solver={solver.name!r} needs {PARTS[part]}, and this action is matrix-free "
            f"(a lattice of {problem.D} states). Use solver='newton' or 'lbfgs', or "
            "sd.Action(..., matrix_free=False) where blocks of D x D fit."
        )


def _binding(
    data: Data,
    steps: int | Sequence[int],
    max_step: float | None,
    midpoint_data: bool,
    fixed: Mapping[str | Parameter, float | None] | None,
) -> str:
    """Return as JSON how the data were bound, without what is usual; null if they had been."""
    if isinstance(data, Problem):
        return "null"
    given: dict[str, object] = {}
    if not (isinstance(steps, int) and steps == 1):
        given["steps"] = np.asarray(steps).tolist()
    if max_step is not None:
        given["max_step"] = float(max_step)
    if midpoint_data:
        given["midpoint_data"] = True
    if fixed:
        values = {str(name): value for name, value in fixed.items()}
        given["fixed"] = {n: None if v is None else float(v) for n, v in values.items()}
    return json.dumps(given)


def _try_growing(strategy: object, kernels: Kernels, problem: Problem, rf: FloatArray) -> None:
    """Go one step forward, if a window is to grow: kernels that cannot would fail every path."""
    if not isinstance(strategy, Growing):
        return
    first, *longer = strategy.plan(problem, rf).steps
    if longer:
        window = problem.window(first)
        draw = Draw(window)
        one, path, theta = next(window.apart(draw.path(), draw.parameters()))
        Dynamics(kernels, one).step(0, path[:1], theta)


def _reporter(progress: bool | None) -> Reporter:
    from symda.show import NoProgress, ProgressBar

    wanted = sys.stderr.isatty() if progress is None else progress
    return ProgressBar() if wanted else NoProgress()
