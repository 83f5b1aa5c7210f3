"""The cases of the trial set, and how a run of each is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import published
import recording
import systems
import twins
from numpy.typing import NDArray

import symda as sd
from symda.analyse.levels import chosen_solution

#: A level is the truth's if it is at most so far above it: in units of the action, and a share.
NEAR, SHARE = 0.5, 1e-3
#: Seconds to reach the level from the truth, either way.
PATIENCE = 60.0
#: An interval of two standard deviations on either side holds so much.
TWO_DEVIATIONS = 0.9545


@dataclass(frozen=True)
class Outcome:
    """What a run is worth.

    Parameters
    ----------
    level, reference : float
        What was reached, and what it is compared with: for twins the action from the true path at
        the same Rf, for published problems -log likelihood of the model's own solution at the
        estimate, and at the published optimum.
    found : bool
        Whether the level is at most `near` above the reference.
    inside, unknown : int
        Parameters whose published or true value lies within the error bars, and how many there are.
    note : str
        What else should be said.
    more : mapping of str to float
        Further numbers.
    """

    level: float
    reference: float
    found: bool
    inside: int
    unknown: int
    note: str
    more: Mapping[str, float]


@dataclass(frozen=True)
class Case:
    """What is annealed, and the judge of the run."""

    action: sd.Action
    data: Any
    judge: Callable[[sd.Run], Outcome]


TIERS = (*twins.TIERS, "published")


def listed(tier: str) -> list[tuple[str, str]]:
    """Return (kind, name) of the cases of a tier, in the order of their names."""
    if tier == "published":
        return [("petab", name) for name in published.PROBLEMS] + [("recording", "Neuron")]
    return sorted(
        (
            (kind, name)
            for kind in systems.FILES
            for name in systems.names(kind)
            if not systems.left_out(kind, name)
        ),
        key=lambda one: (one[1].lower(), one[0]),
    )


def case(tier: str, kind: str, name: str) -> Case:
    """Make a case."""
    if kind == "petab":
        problem = published.PROBLEMS[name]()
        return Case(problem.action, problem.bound, lambda run: _published(problem, run))
    if kind == "recording":
        return _recording()
    made = twins.twin(systems.system(kind, name), tier)
    return Case(made.action, made.data, lambda run: _twin(made, run))


def _twin(made: twins.Twin, run: sd.Run) -> Outcome:
    best = run.best
    last = int(run.dataset["last_beta"].sel(path=best.path))
    top = len(run.dataset["beta"]) - 1
    # a call may choose another scheme
    action = run.action if isinstance(run.action, sd.Action) else made.action
    made = replace(made, action=action)
    grid = grid_of(made, run)
    solved = chosen_solution(run.dataset) is not None
    reference, word = from_truth(made, run, run.dataset["rf"].values[last], grid, solved)
    near = NEAR + SHARE * abs(reference)
    ended = run.dataset["action"].values[:, last]
    inside, note = within(made.action, made.data, run, made.parameters, **grid)
    if last < top:
        note = f"rung {last + 1} of {top + 1}; {note}"
    expected = 0.5 * (run.dataset.attrs["data_count"] - run.dataset.attrs["fitted"])
    more = {
        "expected": expected,
        "coarse": float(reference > expected + 3.0 * np.sqrt(expected)),
        "hits": float(np.sum(ended <= reference + near)),
        "paths": float(len(ended)),
        "ended": float(np.sum(run.dataset["last_beta"].values == last)),
        "steps": float(np.mean(grid.get("steps", 1))),
        "truth_" + word: 1.0,
    }
    if not np.isfinite(reference):
        note = f"no level from the truth to compare with; {note}"
    found = bool(last == top and np.isfinite(reference) and best.action <= reference + near)
    unknown = len(made.parameters)
    return Outcome(best.action, reference, found, inside, unknown, note.strip("; "), more)


def grid_of(made: twins.Twin, run: sd.Run) -> dict[str, Any]:
    """Return the run's option of the grid: how many steps it took from one datum to the next."""
    if made.action.model.discrete:
        return {}
    times = run.dataset["time"].values
    points = np.diff(np.searchsorted(times, made.data.times))
    return {"steps": [int(count) // (1 + len(made.action.scheme.interior)) for count in points]}


def from_truth(
    made: twins.Twin, run: sd.Run, rf: NDArray, grid: Mapping[str, Any], solved: bool
) -> tuple[float, str]:
    """Return the lowest action at Rf from the true path and parameters, and what is said of it.

    On the grid of the run; both at once at that Rf, and along a short ladder that ends there. Of a
    run whose answer is a solution of the equations, which no grid has a part in: that of the
    solution that each ends in, and of the truth itself.
    """
    truth = made.path(run.dataset["time"].values)
    start = (truth, dict(made.parameters))
    levels = []
    if solved:
        problem = made.action.bind(made.data, **grid)
        at = made.action.compile().machine.at(problem)
        theta = np.array([made.parameters[name] for name in problem.parameters])
        levels.append((at.terms(truth, theta, rf)[0], "itself"))
    for ladder in (sd.Ladder(rf0=rf, rungs=1), sd.Ladder(rf0=rf / 1e6, alpha=100.0, rungs=4)):
        again = sd.anneal(
            made.action,
            made.data,
            ladder=ladder,
            paths=1,
            start=start if made.parameters else start[0],
            solver="newton",
            options={"max_iter": 2000},
            **grid,
            workers=1,
            progress=False,
            time_limit=PATIENCE,
            finish="strong" if solved else "none",
        )
        ended = int(again.dataset["last_beta"][0]) == ladder.rungs - 1
        if ended and (chosen_solution(again.dataset) is not None) == solved:
            levels.append((again.best.action, again.verdict().first.about))
    return min(levels) if levels else (np.inf, "none")


def within(
    action: sd.Action, data: Any, run: sd.Run, truth: Mapping[str, float], **grid: Any
) -> tuple[int, str]:
    """Count the parameters whose true value lies within two standard deviations."""
    if not truth:
        return 0, ""
    try:
        intervals = action.posterior(run, data, **grid).interval(TWO_DEVIATIONS)
    except sd.SymdaError:
        return 0, "no error bars"
    held = sum(
        low <= truth[name] <= high for name, (low, high) in intervals.items() if name in truth
    )
    return held, ""


def _published(problem: published.Published, run: sd.Run) -> Outcome:
    estimate = run.best.parameters
    exact = problem.cost(estimate)
    inside, note = within(problem.action, problem.bound, run, problem.nominal)
    last = int(run.dataset["last_beta"].sel(path=run.best.path))
    if last < len(run.dataset["beta"]) - 1:
        note = f"rung {last + 1} of {len(run.dataset['beta'])}; {note}"
    return Outcome(
        exact,
        problem.optimum,
        bool(exact <= problem.optimum + 1.0),
        inside,
        len(problem.nominal),
        note.strip("; "),
        {"action": run.best.action + problem.constant, "model_term": run.best.model_term},
    )


def _recording() -> Case:
    action, data = recording.to_fit()

    def judge(run: sd.Run) -> Outcome:
        scores = recording.scores(run)
        share = run.best.model_term / run.best.action
        return Outcome(
            scores["coincidence"],
            1.0,
            scores["coincidence"] >= 0.8 and share < 0.05,
            0,
            0,
            "",
            {**scores, "action": run.best.action, "model_share": share},
        )

    return Case(action, data, judge)
