"""Whether a run is one of an action: names may agree where equations do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.declare import measurement_digest, model_digest
from symda.errors import OptionError

if TYPE_CHECKING:
    from symda.api.action import Action
    from symda.api.run import Run


def digests(action: Action) -> dict[str, str]:
    """Return the fingerprints of an action that a run keeps among its attributes."""
    return {
        "model_digest": model_digest(action.model),
        "measurement_digest": measurement_digest(action.measurement),
    }


def check_equations(
    run: Run, action: Action, call: str, fix: str, *, measured: bool = True
) -> None:
    """Refuse a run of other equations, or of other measured quantities.

    Parameters
    ----------
    run, action
        What was given together.
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
        names["measurement_digest"] = "the measured quantities"
    for name, expected in digests(action).items():
        found = run.dataset.attrs.get(name)
        if name in names and found is not None and found != expected:
            raise OptionError(
                f"{call}: the run is not one of this action: {names[name]} differ, though their "
                f"names may be the same. {fix}"
            )
