"""Tables that say of their rows and columns what these are: pandas' and xarray's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symda.types import FloatArray


def axis_labels(table: object) -> list[list[str]]:
    """Return the labels of a table's last axes, one or two; [] of a plain array.

    Labels that are numbers say nothing: pandas makes them up.
    """
    coords, dims = getattr(table, "coords", None), getattr(table, "dims", None)
    if coords is not None and dims is not None:
        found = [list(np.asarray(coords[d]).tolist()) for d in dims[-2:] if d in coords]
    else:
        axes = [getattr(table, name, None) for name in ("index", "columns")]
        found = [list(axis) for axis in axes if axis is not None and hasattr(axis, "get_indexer")]
    return found if all(isinstance(one, str) for axis in found for one in axis) else []


def in_order(table: object, names: Sequence[str]) -> FloatArray | None:
    """Return a labelled square table with rows and columns in the order of `names`.

    None of a plain one.

    Raises
    ------
    KeyError
        If it is labelled, but not by these names.
    """
    labels = axis_labels(table)
    if not labels:
        return None
    if len(labels) != 2 or any(sorted(axis) != sorted(names) for axis in labels):
        raise KeyError(", ".join(labels[-1]))
    rows, columns = ([axis.index(name) for name in names] for axis in labels)
    return np.asarray(table, dtype=float)[..., rows, :][..., columns]
