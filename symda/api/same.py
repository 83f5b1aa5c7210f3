"""Whether a run belongs to an action: names may agree where equations do not."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from symda.declare import measurement_digest, model_digest
from symda.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr

    from symda.api.specification import Specification
    from symda.observe import Problem
    from symda.types import FloatArray

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


def given_digests(specification: Specification, problem: Problem) -> str:
    """Return fingerprints of what was given besides the data, by name, as JSON.

    To nine digits, so that another computer's rounding makes no other ones.
    """
    parts = {
        "the given initial values": np.where(problem.tied, np.inf, problem.initial),
        "the values of fixed parameters": problem.fixed,
        "the weights of steps": problem.weight,
        "the bounds": np.concatenate([problem.state_bounds, problem.parameter_bounds]),
        "the variances of what was measured again": np.hstack(
            [problem.repeat_rm, problem.repeat_cross]
        ),
        "the process variances, costs or priors": np.append(problem.process_variance, problem.cost),
    }
    for one in problem.experiments:
        of = f" of experiment {one.segments[0].name!r}" if len(problem.segments) > 1 else ""
        for i, channel in enumerate(specification.model.forcing):
            parts[f"forcing {channel.name!r}{of}"] = one.u[:, :, i]
    return json.dumps({name: _fingerprint(values) for name, values in parts.items()})


def _fingerprint(values: FloatArray) -> str:
    mantissa, exponent = np.frexp(values)
    rounded = np.round(mantissa * 2.0**30) + 0.0
    return hashlib.sha256(rounded.tobytes() + exponent.tobytes()).hexdigest()[:12]


def differing(dataset: xr.Dataset, specification: Specification, problem: Problem) -> list[str]:
    """Name what was given besides a run's data and is another here; an old run does not say."""
    ran = json.loads(dataset.attrs.get("given_digests", "{}"))
    here = json.loads(given_digests(specification, problem))
    return [name for name, mark in here.items() if ran.get(name, mark) != mark]


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
