"""Twin experiments over what is measured, how noisily and how long."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.analyse.levels import chosen_solution, path_counts
from symda.anneal.ladder import Ladder
from symda.anneal.levels import HIT
from symda.anneal.storage import RunStore
from symda.api.action import Action
from symda.api.anneal import anneal
from symda.api.forced import Values
from symda.api.preflight import ProblemWarning
from symda.api.run import Run
from symda.api.simulate import simulate
from symda.api.trajectory import Trajectory
from symda.api.twin import twin
from symda.checks import integer, number
from symda.declare import Model
from symda.errors import InputError, OptionError, SymdaError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from sympy import Expr

    from symda.observe import Observations
    from symda.observe.forcing import ForcingInput

#: What is set for a row, in the order of the columns.
KEYS = ("measured", "L", "variance", "steps", "seed")
#: What is known of an experiment without an answer.
NOTHING = {
    "level": np.nan, "truth_level": np.nan, "found": False, "hit_rate": np.nan,
    "consistent": False, "error": np.nan, "error_hidden": np.nan, "parameter_error": np.nan,
    "seconds": np.nan, "failed": "",
}  # fmt: skip
#: A level this share above the one from the truth is the same, beside `HIT`.
SHARE = 1e-3
#: The ladder from the truth, at whose end the level of a right answer is known.
FROM_TRUTH = Ladder(relative=1e5, alpha=10.0, rungs=3)


@dataclass(frozen=True)
class Twins:
    """What twin experiments found.

    Attributes
    ----------
    rows : pandas.DataFrame
        A row for each experiment: what was ``measured`` and how many quantities ``L``,
        ``variance``, ``steps``, ``seed``; the lowest ``level``, that from the truth
        ``truth_level``, whether it was ``found`` (no higher than that, but for 0.5 and a
        thousandth), ``hit_rate`` the share of attempts that did; ``consistent`` by the verdict; the
        rms error of all states and of those that are not measured over their spread, ``error`` and
        ``error_hidden``; the largest relative ``parameter_error``; ``seconds``; and ``failed``, why
        there is no answer.
    """

    rows: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """Shares and medians over the seeds, a row for each setting.

        ``found`` is the power: the share of experiments whose answer was found; ``lies`` the share
        that was called consistent and was not.
        """
        import pandas as pd

        keys = [name for name in KEYS if name != "seed"]
        rows = self.rows.assign(lies=self.rows["consistent"] & ~self.rows["found"])
        groups = rows.groupby(keys, sort=False)
        means = groups[["found", "consistent", "lies", "hit_rate"]].mean()
        medians = groups[["error", "error_hidden", "parameter_error", "seconds"]].median()
        table: pd.DataFrame = pd.concat([groups.size().rename("twins"), means, medians], axis=1)
        return table.reset_index()

    def plot(self, path: str | Path | None = None) -> Figure:
        """Plot the share found, and the error of states that are not measured, for each set."""
        from symda.show.twins import plot_twins

        return plot_twins(self.table, path)

    def __str__(self) -> str:
        told = self.table.to_string(index=False, float_format="{:.3g}".format)
        failed = self.rows.loc[self.rows["failed"] != "", "failed"]
        more = [f"{len(failed)} failed, such as: {failed.iloc[0]}"] if len(failed) else []
        return "\n".join([told, *more])


def twins(
    model: Model,
    measured: Sequence[Sequence[Expr] | Mapping[str, Expr]],
    *,
    parameters: Values | None = None,
    dt: float,
    steps: int | Sequence[int],
    variance: float | Sequence[float],
    seeds: int = 3,
    initial: Any = None,
    discard: float = 0.0,
    forcing: Mapping[str, ForcingInput] | None = None,
    options: Mapping[str, Any] | None = None,
    call: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
) -> Twins:
    """Ask which and how many measurements are needed: twin experiments over all settings.

    For each set of measured quantities, variance, length and seed data are made from a truth that
    is known (`twin`), annealed as data from nature would be, and compared with the truth.

    Parameters
    ----------
    model : Model
    measured : sequence of sequences or mappings of expressions
        Sets of what is measured, each as for `Action`: ``[[x[0]], [x[0], x[3]]]``.
    parameters, dt, initial, discard, forcing
        Of the truth, as for `twin`.
    steps : int or sequence of int
        Lengths of the data, in intervals dt.
    variance : float or sequence of float
        Variances of the noise, the same for all quantities.
    seeds : int
        Twins of each setting; all settings have the same truths.
    options : mapping, optional
        Of the action, such as ``{"scheme": "hermite-simpson"}``.
    call : mapping, optional
        Arguments of `anneal`, such as ``{"time_limit": 30.0}``; by default none.
    store : str or Path, optional
        Folder below which each run is kept, so that a study that was killed goes on.

    Returns
    -------
    Twins
        An experiment that fails is a row with its reason.

    Raises
    ------
    OptionError
        If a number is out of range, or nothing is measured.
    ModelError, DataError
        If model, parameters or sets do not fit.
    """
    import pandas as pd

    for what, given, function in (("options", options, Action.__init__), ("call", call, anneal)):
        _check_names(what, given, function)
    if store is not None:
        RunStore(store)
    sets = _sets(measured)
    lengths = [integer(n, "twins: steps") for n in _several(steps, "steps")]
    noises = [
        number(v, "twins: variance", "e.g. 0.2", kind="positive")
        for v in _several(variance, "variance")
    ]
    integer(seeds, "twins: seeds")
    actions = [Action(model, one, **(options or {})) for one in sets]
    truth = {
        "parameters": parameters, "dt": dt, "initial": initial, "discard": discard,
        "forcing": forcing,
    }  # fmt: skip
    # what is wrong with all of them is an error of the call
    twin(actions[0], **truth, steps=lengths[0], variance=noises[0], seed=0)
    rows = []
    for (i, action), v, n, seed in product(enumerate(actions), noises, lengths, range(seeds)):
        own = dict(call or {})
        if store is not None:
            own["store"] = Path(store) / f"set{i}-variance{v!r}-steps{n}-seed{seed}"
        names = ", ".join(action.measurement.names)
        row = {"measured": names, "L": len(sets[i]), "variance": v, "steps": n, "seed": seed}
        setting = truth | {"steps": n, "variance": v}
        try:
            rows.append(row | _experiment(action, setting, seed, own))
        except SymdaError as error:
            # what is wrong with the call, or its store, is wrong for all
            if isinstance(error, InputError) and not rows:
                raise
            rows.append(row | NOTHING | {"failed": str(error).splitlines()[0]})
    return Twins(pd.DataFrame(rows))


def _experiment(
    action: Action, truth: Mapping[str, Any], seed: int, call: Mapping[str, Any]
) -> dict[str, Any]:
    """Make one twin and judge what is found of it."""
    with warnings.catch_warnings():
        # of the truth: it is one that the call was not asked about
        warnings.simplefilter("ignore", ProblemWarning)
        true, data = twin(action, **truth, seed=seed)
        began = time.perf_counter()
        run = anneal(action, data, **{"progress": False, **call})
        seconds = time.perf_counter() - began
        if not path_counts(run.dataset).reached:
            why = str(run.dataset["message"].values[0])
            return NOTHING | {"seconds": seconds, "failed": f"no path reached a rung: {why}"}
        bar = _level(action, data, true, strong=chosen_solution(run.dataset) is not None)
    slack = HIT * float(run.dataset.attrs["measurement_scale"]) + SHARE * abs(bar)
    rate, _ = run.hit_rate(level=bar)
    return NOTHING | {
        "level": run.best.action,
        "truth_level": bar,
        "found": bool(run.best.action <= bar + slack),
        "hit_rate": rate,
        "consistent": bool(run.verdict().consistent),
        "seconds": seconds,
        **_errors(action, run, true),
    }


def _level(action: Action, data: Observations, true: Trajectory, *, strong: bool) -> float:
    """Return the level that is reached from the truth, as a solution of the equations if asked."""
    problem = action.bind(data)
    forcing = data.forcing if action.model.forcing else None
    known = dict(true.parameters)
    first = true.states.values[0]
    found = simulate(action.model, problem.times, first, parameters=known, forcing=forcing)
    start = (found.states.values, known)
    run = anneal(
        action, data, start=start, paths=1, ladder=FROM_TRUTH, strategy="ladder",
        finish="strong" if strong else "none", progress=False,
    )  # fmt: skip
    if not strong or chosen_solution(run.dataset) is not None:
        return float(run.best.action)
    # from there none was found: the truth is one
    theta = np.array([known[p.name] for p in action.parameters])
    kernels = action.compile()
    return float(kernels.action(found.states.values, theta, np.zeros(problem.D), problem))


def _errors(action: Action, run: Run, true: Trajectory) -> dict[str, float]:
    """Return rms errors over spreads, and the largest relative error of a free parameter."""
    names = list(run.dataset["state"].values)
    times = true.states["time"].values
    there = run.best.states.sel(time=times, method="nearest").values
    wanted = true.states.sel(state=names).values
    spread = wanted.std(axis=0)
    spread[spread == 0.0] = np.maximum(np.abs(wanted).max(axis=0), 1e-300)[spread == 0.0]
    square = (((there - wanted) / spread) ** 2).mean(axis=0)
    seen = {int(k) for k in action.direct if k >= 0}
    hidden = [a for a in range(len(names)) if a not in seen]
    fixed = run.dataset["fixed"].values
    pairs = [
        (run.best.parameters[str(n)], true.parameters[str(n)])
        for n, known in zip(run.dataset["parameter"].values, fixed, strict=True)
        if not known and str(n) in true.parameters
    ]
    off = [abs(a - float(b)) / (abs(float(b)) or 1.0) for a, b in pairs if np.ndim(b) == 0]
    return {
        "error": float(np.sqrt(square.mean())),
        "error_hidden": float(np.sqrt(square[hidden].mean())) if hidden else np.nan,
        "parameter_error": max(off, default=np.nan),
    }


def _sets(
    measured: Sequence[Sequence[Expr] | Mapping[str, Expr]],
) -> list[Sequence[Expr] | Mapping[str, Expr]]:
    try:
        sets: list[Any] = [dict(one) if isinstance(one, Mapping) else list(one) for one in measured]
    except TypeError:
        raise OptionError(
            "twins: measured is a sequence of sets, such as [[x[0]], [x[0], x[3]]], got "
            f"{measured!r}."
        ) from None
    if not sets or not all(len(one) for one in sets):
        raise OptionError("twins: measured must hold one set at least, and each set a quantity.")
    return sets


def _several(value: Any, what: str) -> list[Any]:
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    found = list(value) if several else [value]
    if not found:
        raise OptionError(f"twins: {what} must be a number or several, got none.")
    return found


def _check_names(what: str, given: object, function: Callable[..., object]) -> None:
    """Refuse what is no mapping, or names an argument that the function does not have.

    Its first arguments are what each twin has of its own, as its `store` is.
    """
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise OptionError(f"twins: {what} is a mapping of names, got {given!r}.")
    own = ("self", "model", "measured", "action", "data", "store")
    known = [name for name in signature(function).parameters if name not in own]
    for name in given:
        if name not in known:
            fix = " Pass store= to twins." if name == "store" else nearest(name, known)
            raise OptionError(f"twins: {what} has no {name!r}; there are {', '.join(known)}.{fix}")
