"""Whether a run is one of an action and of data, for what is computed of all three."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.apart import apart
from symda.api.run import Run
from symda.api.same import check_equations, differing
from symda.errors import OptionError
from symda.observe import Problem

if TYPE_CHECKING:
    from symda.api.specification import Data, GridOptions, Specification


def as_annealed(run: Run, data: Data, grid: GridOptions) -> GridOptions:
    """Return grid options with the steps that a run chose by itself, if none are given."""
    if isinstance(data, Problem) or not isinstance(run, Run) or not set(grid) <= {"fixed"}:
        return grid
    if run.dataset.attrs["strategy"] != "auto":
        return grid
    binding = json.loads(run.dataset.attrs.get("binding", "null")) or {}
    steps = binding.get("steps", 1)
    return {**grid, "steps": steps} if isinstance(steps, int) and steps != 1 else grid


def check_run(call: str, specification: Specification, run: Run, problem: Problem) -> None:
    """Refuse what is no run of an action and data whose exp(-A) is a probability.

    Parameters
    ----------
    call : str
        How messages name the call.

    Raises
    ------
    OptionError
        If it is none.
    """
    if specification.averaging != "sum":
        raise OptionError(
            f"{call}: with averaging={specification.averaging!r} exp(-A) is not a probability. "
            "Make the action with averaging='sum'."
        )
    if not isinstance(run, Run):
        raise OptionError(
            f"{call}: the first argument is a symda.Run, got {type(run).__name__}; "
            "make one with sd.anneal(action, data)."
        )
    _check_same(call, specification, run, problem)
    fix = "Pass the action that the run was annealed with."
    check_equations(run.dataset, specification, call, fix)
    _check_data(call, run, specification, problem)


def _check_same(call: str, specification: Specification, run: Run, problem: Problem) -> None:
    d = run.dataset
    made = {
        "experiments": (
            tuple(name for name, _ in apart(d)),
            tuple(segment.name for segment in problem.segments),
        ),
        "states": (tuple(d["state"].values.tolist()), problem.states),
        "parameters": (tuple(d["parameter"].values.tolist()), problem.parameters),
        "fixed parameters": (
            tuple(d["parameter"].values[d["fixed"].values].tolist()),
            tuple(np.array(problem.parameters, dtype=str)[~problem.free].tolist()),
        ),
        "grid points": (d.sizes["time"], problem.M),
        "scheme": (str(d.attrs["scheme"]), specification.scheme.name),
        "model_error": (
            str(d.attrs.get("model_error", specification.model_error)),
            specification.model_error,
        ),
    }
    for what, (ran, given) in made.items():
        if ran != given:
            raise OptionError(
                f"{call}: the run has other {what} than this call gives: {ran} and {given}. "
                "Pass the action, data, grid and fixed parameters that the run was annealed with."
            )


def _check_data(call: str, run: Run, specification: Specification, problem: Problem) -> None:
    others = [*_other_data(run, problem), *differing(run.dataset, specification, problem)]
    if others:
        raise OptionError(
            f"{call}: these are not the data of the run: {', '.join(others)} "
            f"{'differ' if len(others) > 1 or others[0].endswith('s') else 'differs'}. Pass the "
            "data, grid and fixed values that the run was annealed with."
        )


def _other_data(run: Run, problem: Problem) -> list[str]:
    """Name what of a run's times, data and variances is not the problem's."""
    d = run.dataset
    here = {
        "values": np.where(problem.rm > 0.0, problem.y, np.nan),
        "variances": 1.0 / problem.variance,
    }
    ran = {"values": d["observed"].values, "variances": 1.0 / d["variance"].values}
    others = [
        f"the {name}"
        for name, values in here.items()
        if not np.allclose(ran[name], values, rtol=1e-12, atol=0.0, equal_nan=True)
    ]
    again = d["repeated"].values if "repeated" in d else np.empty((0, problem.L))
    given_again = np.where(problem.repeat_rm > 0.0, problem.repeat_y, np.nan)
    if not np.array_equal(again, given_again, equal_nan=True):
        others.append("the values measured again")
    near = 1e-9 * float(np.ptp(problem.times))
    if not np.allclose(d["time"].values, problem.times, rtol=1e-9, atol=near):
        others.insert(0, "the times")
    if ("covariance" in d) != problem.correlated or (
        problem.covariance is not None
        and not np.allclose(
            d["covariance"].values, problem.covariance, rtol=1e-9, atol=0.0, equal_nan=True
        )
    ):
        others.append("the covariances")
    return others
