"""Whether a run belongs to an action: names may agree where equations do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.declare import measurement_digest, model_digest
from symda.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr

    from symda.api.specification import Specification


def digests(specification: Specification) -> dict[str, str]:
    """Return the fingerprints of an action, which a run keeps among its attributes."""
    return {
        "model_digest": model_digest(specification.model),
        "measurement_digest": measurement_digest(
            specification.model,
            specification.measurement,
            specification.initial,
            specification.correlations,
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
    """Refuse a run of other equations, or of other measured quantities.

    Parameters
    ----------
    dataset, specification
        Of the run and the action that were given together.
    call, fix : str
        How the message names the call, and what it advises.
    measured : bool
        Whether the measured quantities have to agree too.

    Raises
    ------
    OptionError
        If they differ. A run that was saved without fingerprints is taken as it is.
    """
    names = {"model_digest": "the equations of the model"}
    if measured:
        names["measurement_digest"] = (
            "the measured quantities, given initial values, priors or correlations of errors"
        )
    for name, expected in digests(specification).items():
        found = dataset.attrs.get(name)
        if name in names and found is not None and found != expected:
            raise OptionError(
                f"{call}: the run is not one of this action: {names[name]} differ, though their "
                f"names may be the same. {fix}"
            )
