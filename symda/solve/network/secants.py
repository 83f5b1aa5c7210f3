"""What steps have shown of the Hessian: the two loops of Nocedal's method (L-BFGS)."""

from __future__ import annotations

from collections.abc import Callable

from symda.build.network_layout import dot
from symda.types import FloatArray


class Secants:
    """The last steps with the changes of the gradient along them.

    They correct whatever inverse of the Hessian stands between the two loops, also one that differs
    from call to call (Nocedal, *Mathematics of Computation* 35, 773, 1980).

    Parameters
    ----------
    memory : int
        How many are kept.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self._kept: list[tuple[FloatArray, FloatArray, float]] = []

    def add(self, step: FloatArray, change: FloatArray) -> None:
        """Keep a step and what it changed the gradient by, if the action bends upward along it."""
        bend = dot(step, change)
        if bend > 0.0:
            self._kept = [*self._kept, (step, change, 1.0 / bend)][-self.memory :]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def forget(self) -> None:
        """Keep none."""
        self._kept = []

    def step(self, gradient: FloatArray, inverse: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Return minus a step, by an `inverse` that leaves what it is given as it is."""
        q, shares = gradient.copy(), []
        for s, y, rho in reversed(self._kept):
            shares.append(rho * dot(s, q))
            q -= shares[-1] * y
        step = inverse(q)
        for (s, y, rho), share in zip(self._kept, reversed(shares), strict=True):
            step += (share - rho * dot(y, step)) * s
        return step
