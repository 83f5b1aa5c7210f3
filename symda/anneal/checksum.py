"""A digest of all that a dataset holds, to tell a file that changed after it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def checksum(dataset: xr.Dataset) -> str:
    """Return SHA-256 of variables, dimensions and attributes, whatever their order.

    Numbers count by their bytes and their type, text by its letters; so neither byte order nor the
    width of a text array matters, which files need not keep.
    """
    total = hashlib.sha256()

    def add(*words: object) -> None:
        total.update(json.dumps(words).encode() + b"\n")

    def put(values: object) -> None:
        array = np.atleast_1d(np.asarray(values))
        if array.dtype.kind in "US":
            add("text", array.shape, array.astype(str).ravel().tolist())
        else:
            plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
            add(plain.dtype.str, plain.shape)
            total.update(plain.tobytes())

    def attributes(of: Mapping[object, object]) -> None:
        for name in sorted(map(str, of)):
            add("attribute", name)
            put(of[name])

    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        add("variable", name, name in dataset.coords, variable.dims)
        put(variable.values)
        attributes(variable.attrs)
    attributes(dataset.attrs)
    return total.hexdigest()
