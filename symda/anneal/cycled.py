"""The dataset of cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.anneal.cycling import Cycle
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

#: Of what each record of a cycle is made, but for its message -> which dimension it has.
OF = {
    one.name: "parameter"
    if one.name.startswith("parameters")
    else "state"
    if one.type == "FloatArray"
    else ""
    for one in fields(Cycle)
    if one.name != "message"
}


@dataclass(frozen=True, eq=False)
class Piece:
    """Some cycles, one after the other."""

    arrays: Mapping[str, FloatArray]  #: By the names of `Cycle`, a row each.
    messages: tuple[str, ...]

    @classmethod
    def of(cls, cycles: Sequence[Cycle]) -> Piece:
        """Put cycles together."""
        arrays = {name: np.array([getattr(one, name) for one in cycles]) for name in OF}
        return cls(arrays, tuple(one.message for one in cycles))


def dataset(pieces: Sequence[Piece], about: Mapping[str, Any]) -> xr.Dataset:
    """Make the dataset of all pieces.

    Parameters
    ----------
    pieces : sequence of Piece
        One at least.
    about : mapping
        ``states`` and ``parameters``, their names; all else are attributes.
    """
    import xarray as xr

    variables: dict[str, Any] = {}
    for name, dimension in OF.items():
        values = np.concatenate([piece.arrays[name] for piece in pieces])
        variables[name] = (("cycle", dimension) if dimension else ("cycle",), values)
    messages = [message for piece in pieces for message in piece.messages]
    variables["message"] = ("cycle", np.array(messages, dtype=str))
    attrs = {name: one for name, one in about.items() if name not in ("states", "parameters")}
    return xr.Dataset(
        variables,
        coords={
            "state": np.array(about["states"], dtype=str),
            "parameter": np.array(about["parameters"], dtype=str),
        },
        attrs=attrs,
    )
