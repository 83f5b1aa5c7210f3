"""Network -> NetworkIR: its activations as routines; nodes and connections stay tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.lower.instructions import lower_function
from symda.lower.ir import Routine

if TYPE_CHECKING:
    import casadi as ca


@dataclass(frozen=True)
class NetworkIR:
    """What the emitted text of a network depends on: its activations, as they read and lowered."""

    activations: tuple[str, ...]
    routines: tuple[Routine, ...]


def lower_network(activations: Sequence[str], functions: Sequence[ca.Function]) -> NetworkIR:
    """Lower z -> (g, slope) of each activation."""
    routines = (lower_function(one, ("g", "slope")) for one in functions)
    return NetworkIR(tuple(activations), tuple(routines))
