"""Estimated parameters, to be passed to other calls as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn


class Estimates(dict[str, float]):
    """All parameters of an action: those of its model, and those of its measured quantities only.

    Calls that take the parameters of a model ignore the others here; in an ordinary mapping an
    unknown name is an error. So it cannot be changed; ``{**estimates, "k": 1.0}`` is an ordinary
    mapping.
    """

    def __setitem__(self, name: str, value: float) -> NoReturn:
        raise TypeError("estimates cannot be changed; make a mapping, {**estimates, name: value}")

    def __reduce__(self) -> tuple[type[Estimates], tuple[dict[str, float]]]:
        return Estimates, (dict(self),)

    def of(self, names: Iterable[str]) -> dict[str, float]:
        """Return those of some names."""
        return {name: self[name] for name in names if name in self}
