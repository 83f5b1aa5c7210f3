"""Scales: how an unknown is written where solvers move it, itself, its logarithm or its logit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

#: What a user may declare; without one an unknown is moved as it is.
ScaleName: TypeAlias = Literal["log", "logit"]
SCALES: tuple[str, ...] = get_args(ScaleName)


@dataclass(frozen=True)
class Scale:
    """The map between the value k of an unknown, which users see, and the z that solvers move.

    Without a name z = k; ``"log"``: z = log k; ``"logit"``: z = log((k - low)/(high - k)).
    """

    name: ScaleName | None = None
    #: Bounds of k, which the logit needs.
    low: float = 0.0
    high: float = 1.0

    # any arithmetic: NumPy's, or CasADi's with its exp and log
    def natural(self, z: Any, exp: Callable[[Any], Any] = np.exp) -> Any:
        """Return k."""
        if self.name == "log":
            return exp(z)
        if self.name == "logit":
            # from the nearer end, so that the distance of it keeps its digits
            return (self.low * exp(-0.5 * z) + self.high * exp(0.5 * z)) / (
                exp(-0.5 * z) + exp(0.5 * z)
            )
        return z

    def internal(self, k: Any, log: Callable[[Any], Any] = np.log) -> Any:
        """Return z."""
        if self.name == "log":
            return log(k)
        if self.name == "logit":
            return log((k - self.low) / (self.high - k))
        return k

    def slope(self, z: Any, exp: Callable[[Any], Any] = np.exp) -> Any:
        """Return dk/dz."""
        if self.name == "log":
            return exp(z)
        if self.name == "logit":
            return (self.high - self.low) / (exp(-0.5 * z) + exp(0.5 * z)) ** 2
        return 0.0 * z + 1.0


def words(scale: Scale) -> str:
    """Say what solvers move."""
    return {"log": "logarithm", "logit": "logit between its bounds"}.get(scale.name or "", "value")


def has_place(scale: Scale, value: float) -> bool:
    """Whether a value has a finite logarithm or logit."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(scale.internal(np.float64(value))))
