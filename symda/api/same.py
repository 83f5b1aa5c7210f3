"""Whether a run belongs to an action: names may agree where equations do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.apart import apart
from symda.api.run import Run
from symda.declare import measurement_digest, model_digest
from symda.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr

    from symda.api.specification import Specification
    from symda.observe import Problem

#: Attribute of a run: the correlations of the model's errors, where there are any.
ERRORS = "error_correlations"


def digests(specification: Specification) -> dict[str, str]:
    """Return the fingerprints of an action, which a run keeps among its attributes."""
    known = specification.correlations
    return ({} if known is None else {ERRORS: json.dumps(known.entries)}) | {
        "model_digest": model_digest(specification.model),
        "measurement_digest": measurement_digest(
            specification.model, specification.measurement, specification.initial
        ),
    }


def check_equations(
    dataset: xr.Dataset,
    specification: Specification,
    call: str,
    fix: str,
    *,
    measured: bool = True,
) -> None:
    """Refuse a run of other equations, other errors of them, or other measured quantities.

    Parameters
    ----------
    dataset, specification
        Of the run and the action that were given together.
    call, fix : str
        How the message names the call, and what it advises.
    measured : bool
        Whether the measured quantities and the correlations of errors have to agree too.

    Raises
    ------
    OptionError
        If they differ. A run that was saved without fingerprints is taken as it is.
    """
    names = {"model_digest": "the equations of the model"}
    if measured:
        names["measurement_digest"] = "the measured quantities, given initial values or priors"
    for name, expected in digests(specification).items():
        found = dataset.attrs.get(name)
        if name in names and found is not None and found != expected:
            raise OptionError(
                f"{call}: the run is not one of this action: {names[name]} differ, though their "
                f"names may be the same. {fix}"
            )
    if measured and dataset.attrs.get(ERRORS) != digests(specification).get(ERRORS):
        raise OptionError(
            f"{call}: the run is not one of this action: the correlations of the model's errors "
            f"differ. {fix}"
        )


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
            np.stack(
                [
                    problem.y,
                    np.where(problem.own_scale, 0.0, problem.rm) / problem.measurement_scale,
                ]
            ),
        )
    )
    again = d["repeated"].values if "repeated" in d else np.empty((0, problem.L))
    given_again = np.where(problem.repeat_rm > 0.0, problem.repeat_y, np.nan)
    if not np.array_equal(again, given_again, equal_nan=True):
        return False
    return np.allclose(ran, given, rtol=1e-12, atol=0.0) and np.allclose(
        d["time"].values, problem.times, rtol=1e-9, atol=1e-9 * float(np.ptp(problem.times))
    )
