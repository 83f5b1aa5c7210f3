"""How an annealing run reports its progress."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """What a progress display must offer; `anneal` calls it from the thread it was called in."""

    def start(self, total: int) -> None:
        """Get ready for `total` paths."""

    def path_done(self, path: int, level: float, status: str, /) -> None:
        """Record a path: its action at the last rung, nan if it never got there."""

    def stop(self) -> None:
        """Finish; called exactly once, also after an error."""


class Silent:
    """Reports nothing: the default."""

    def start(self, total: int) -> None:
        """Do nothing."""

    def path_done(self, path: int, level: float, status: str, /) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
