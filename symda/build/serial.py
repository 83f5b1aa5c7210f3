"""CasADi functions as plain data, for other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import casadi as ca


def serial(functions: Mapping[str, ca.Function]) -> tuple[tuple[str, str], ...]:
    """Return the texts of CasADi functions."""
    return tuple((name, f.serialize()) for name, f in functions.items())


def functions_of(texts: tuple[tuple[str, str], ...]) -> dict[str, ca.Function]:
    """Return CasADi functions of their texts."""
    import casadi as ca

    return {name: ca.Function.deserialize(text) for name, text in texts}
