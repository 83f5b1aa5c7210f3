"""Split Hamiltonian Monte Carlo in white coordinates, and moves to draws of a map in between."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from symda.sample.target import Target
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.sample.proposal import Proposal

#: Angle that a trajectory turns by, a quarter of a circle: of a Gaussian the end is independent.
ANGLE = 0.5 * math.pi
#: How much it varies, so that nothing resonates.
VARIED = 0.2
#: Angle of a step at first, at least and at most, and the share of moves taken that it goes for.
FIRST, LEAST, MOST, TAKEN = 0.8, 0.02, 0.9, 0.85
#: After so many trajectories a draw of the map is proposed.
EVERY = 8


@dataclass(eq=False)
class Chain:
    """A Markov chain that leaves exp(-A) as it is.

    exp(-q.q/2 - p.p/2) is followed exactly, by turning (q, p); the rest of A, A - q.q/2, kicks p
    between half turns (B. Shahbaba, S. Lan, W. Johnson and R. Neal, Statistics and Computing 24,
    2014, 339). Moves beyond a bound are refused; where a bound holds an unknown it is mirrored.

    Attributes
    ----------
    target : Target
    x : (n,)
        Where it is.
    rng : Generator
    proposal : Proposal or None
        Draws that it may jump to.
    """

    target: Target
    x: FloatArray
    rng: np.random.Generator
    proposal: Proposal | None = None
    angle: float = FIRST
    moves: int = 0
    taken: float = 0.0
    _fit: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._at(self.x)

    def _at(self, x: FloatArray) -> None:
        self.x = x
        self.q = self.target.white.together(x - self.target.centre)
        self.value, self.slope = self._look(self.q)

    def _look(self, q: FloatArray) -> tuple[float, FloatArray]:
        """Return A and the derivatives of A - q.q/2 by q."""
        target = self.target
        x, signs = target.folded(target.centre + target.white.apart(q))
        if not target.inside(x):
            return math.inf, q
        with np.errstate(all="ignore"):
            value, gradient = target.value_and_gradient(x)
            return value, target.white.pull(gradient * signs) - q

    def move(self) -> None:
        """Follow one trajectory, and take its end or stay."""
        angle = ANGLE * (1.0 + VARIED * (2.0 * self.rng.random() - 1.0))
        steps = max(1, math.ceil(angle / self.angle))
        step = angle / steps
        q, slope, value = self.q, self.slope, self.value
        p = np.where(self.target.white.free, self.rng.normal(size=q.size), 0.0)
        before = value + 0.5 * float(p @ p)
        cos, sin = math.cos(step), math.sin(step)
        for _ in range(steps):
            p = p - 0.5 * step * slope
            q, p = cos * q + sin * p, cos * p - sin * q
            value, slope = self._look(q)
            if not math.isfinite(value) or not np.isfinite(slope).all():
                value = math.inf
                break
            p = p - 0.5 * step * slope
        with np.errstate(over="ignore"):
            gain = before - value - 0.5 * float(p @ p)
        chance = math.exp(min(0.0, gain)) if math.isfinite(gain) else 0.0
        self.moves += 1
        self.taken += chance
        self._fit.append(chance)
        if self.rng.random() >= chance:
            return
        x, signs = self.target.folded(self.target.centre + self.target.white.apart(q))
        if (signs < 0.0).any():
            self._at(x)
        else:
            self.x, self.q, self.value, self.slope = x, q, value, slope

    def jump(self) -> None:
        """Propose a draw of the map; exact wherever the chain is, and no move beyond its reach."""
        assert self.proposal is not None
        density = float(self.proposal.densities(self.x[None])[0])
        if not math.isfinite(density):
            # the map never leads here: no draw may be taken, or this place would be left too often
            return
        found = self.proposal.next()
        if found is None or not self.target.inside(found.x):
            return
        weight = -self.target.value(found.x) - found.log_density
        if math.log(max(self.rng.random(), 1e-300)) < weight + self.value + density:
            self._at(found.x)

    def adapt(self, rounds: int, deadline: float = math.inf) -> None:
        """Find the angle of a step at which about `TAKEN` of the moves are taken."""
        log, mean = math.log(self.angle), math.log(self.angle)
        for k in range(1, rounds + 1):
            if time.time() > deadline:
                break
            self.move()
            log += (self._fit[-1] - TAKEN) / k**0.6
            log = min(max(log, math.log(LEAST)), math.log(MOST))
            mean += (log - mean) / k**0.75
            self.angle = math.exp(log)
        self.angle = math.exp(mean)

    def run(self, count: int, deadline: float = math.inf) -> FloatArray:
        """Return where it is after each of so many moves, (count, n).

        Or of as many as there is time for, at least one.
        """
        found = []
        for k in range(count):
            if k and time.time() > deadline:
                break
            self.move()
            if self.proposal is not None and (self.moves % EVERY) == 0:
                self.jump()
            found.append(self.x)
        return np.array(found)
