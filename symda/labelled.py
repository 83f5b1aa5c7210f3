"""Tables that say of their rows and columns what these are: pandas' and xarray's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symda.types import FloatArray


def axis_labels(table: object) -> list[list[object]]:
    """Return the labels of a table's last axes, one or two; [] of a plain array."""
    coords, dims = getattr(table, "coords", None), getattr(table, "dims", None)
    if coords is not None and dims is not None:
        return [np.asarray(coords[d]).tolist() if d in coords else [] for d in dims[-2:]]
    axes = [getattr(table, name, None) for name in ("index", "columns")]
    return [list(axis) for axis in axes if axis is not None and hasattr(axis, "get_indexer")]


def _place(labels: Sequence[object], names: Sequence[str]) -> list[int] | None:
    """Return where each name stands; None of labels that are no text: pandas makes numbers up."""
    words = [label for label in labels if isinstance(label, str)]
    if not words or len(words) < len(labels):
        return None
    if sorted(words) != sorted(names):
        raise KeyError(", ".join(words))
    return [words.index(name) for name in names]


def columns_in_order(table: object, names: Sequence[str]) -> FloatArray | None:
    """Return a table with its last axis in the order of `names`; None of a plain one.

    Raises
    ------
    KeyError
        If it is labelled, but not by these names.
    """
    labels = axis_labels(table)
    place = _place(labels[-1], names) if labels else None
    return None if place is None else np.asarray(table, dtype=float)[..., place]


def in_order(table: object, names: Sequence[str]) -> FloatArray | None:
    """Return a labelled square table with rows and columns in the order of `names`.

    None of a plain one.

    Raises
    ------
    KeyError
        If it is labelled, but not by these names.
    """
    places = [_place(labels, names) for labels in axis_labels(table)]
    if len(places) != 2 or places[0] is None or places[1] is None:
        return None
    return np.asarray(table, dtype=float)[..., places[0], :][..., places[1]]
