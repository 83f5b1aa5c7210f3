"""Where a path starts. To add a start: one file in this folder, one line in `STARTS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.anneal.starts.uniform import uniform

if TYPE_CHECKING:
    from symda.observe import Problem

Point: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
StartFunction: TypeAlias = Callable[["Problem", np.random.Generator], Point]

STARTS: Mapping[str, StartFunction] = MappingProxyType({"uniform": uniform})

__all__ = ["STARTS", "Point", "StartFunction", "uniform"]
