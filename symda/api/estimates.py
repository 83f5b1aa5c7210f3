"""Parameters that an estimation ended with, to be handed on as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn


class Estimates(dict[str, float]):
    """All parameters of an action: those of its model, and those of what it measures alone.

    What takes the parameters of a model passes over the others here. In a mapping that somebody
    wrote, they would be misspelt; so nothing can be written here: ``{**estimates, "k": 1.0}`` is a
    mapping of one's own.
    """

    def __setitem__(self, name: str, value: float) -> NoReturn:
        raise TypeError("estimates cannot be changed; make a mapping, {**estimates, name: value}")

    def __reduce__(self) -> tuple[type[Estimates], tuple[dict[str, float]]]:
        return Estimates, (dict(self),)

    def of(self, names: Iterable[str]) -> dict[str, float]:
        """Return those of some names."""
        return {name: self[name] for name in names if name in self}
