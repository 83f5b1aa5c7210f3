"""Whether a run is one of an action and of data, for what is computed of all three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.apart import apart
from symda.api.run import Run
from symda.api.same import check_equations
from symda.errors import OptionError

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.observe import Problem


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
    _check_same(call, run, problem)
    fix = "Pass the action that the run was annealed with."
    check_equations(run.dataset, specification, call, fix)


def _check_same(call: str, run: Run, problem: Problem) -> None:
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
    }
    for what, (ran, given) in made.items():
        if ran != given:
            raise OptionError(
                f"{call}: the run has other {what} than these data give: {ran} and {given}. "
                "Pass the action, data, grid and fixed parameters that the run was annealed with."
            )
    if not _same_data(run, problem):
        raise OptionError(
            f"{call}: the run has other times, values or variances than these data. "
            "Pass the data that the run was annealed with."
        )


def _same_data(run: Run, problem: Problem) -> bool:
    """Whether a run's times, data and variances are the problem's."""
    d = run.dataset
    ran, given = (
        np.where(np.isnan(values), 0.0, values)
        for values in (
            np.stack([d["observed"].values, 1.0 / d["variance"].values]),
            np.stack([problem.y, 1.0 / problem.variance]),
        )
    )
    again = d["repeated"].values if "repeated" in d else np.empty((0, problem.L))
    given_again = np.where(problem.repeat_rm > 0.0, problem.repeat_y, np.nan)
    if not np.array_equal(again, given_again, equal_nan=True):
        return False
    if ("covariance" in d) != problem.correlated:
        return False
    if problem.covariance is not None and not np.allclose(
        d["covariance"].values, problem.covariance, rtol=1e-9, atol=0.0, equal_nan=True
    ):
        return False
    return np.allclose(ran, given, rtol=1e-12, atol=0.0) and np.allclose(
        d["time"].values, problem.times, rtol=1e-9, atol=1e-9 * float(np.ptp(problem.times))
    )
