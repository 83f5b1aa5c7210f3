"""When a climb is to end."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Clock:
    """A limit of time, which solvers ask between steps; `stop` ends it at once."""

    until: float = float("inf")

    def over(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() > self.until

    @property
    def stopped(self) -> bool:
        """Whether it was ended before its time."""
        return self.until == float("-inf")

    def stop(self) -> None:
        """End it now."""
        self.until = float("-inf")
