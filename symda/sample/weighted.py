"""Importance draws and what their weights say of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from symda.sample.proposal import Proposal
from symda.sample.target import Target
from symda.types import FloatArray, IntArray

#: Importance draws can be trusted if at most so many lead nowhere, and the tail of their weights
#: has at most this shape. So few draws say nothing of a tail; where logarithms vary by less than
#: the last there is none.
FAILED, SHAPE, FEW, SPREAD = 0.03, 0.7, 150, 0.5
#: Share of the draws that has to be within bounds.
INSIDE = 0.5


@dataclass(frozen=True, eq=False)
class Weighted:
    """Draws with weights.

    Attributes
    ----------
    x : (S, n)
    log_weights : (S,)
        -A - log density; -inf for draws beyond a bound.
    pairs : (S,)
        Which of them are of opposite numbers.
    failed, turned : int
        Numbers that led nowhere, draws at which a map's determinant has another sign.
    """

    x: FloatArray
    log_weights: FloatArray
    pairs: IntArray
    failed: int
    turned: int

    @property
    def weights(self) -> FloatArray:
        """Weights, together 1."""
        top = self.log_weights.max(initial=-math.inf)
        if not math.isfinite(top):
            return np.zeros(len(self.log_weights))
        found = np.exp(self.log_weights - top)
        return np.asarray(found / found.sum())

    @property
    def effective(self) -> float:
        """How many independent draws they are worth."""
        w = self.weights
        return float(1.0 / (w @ w)) if w.any() else 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of the weights of those within bounds."""
        inside = self.log_weights[np.isfinite(self.log_weights)]
        return float(inside.std()) if inside.size > 1 else math.inf

    @property
    def log_evidence(self) -> float:
        """Logarithm of the mean weight: of the integral of exp(-A), but for sqrt(2 pi)^n.

        What led nowhere weighs nothing.
        """
        top = self.log_weights.max(initial=-math.inf)
        if not math.isfinite(top):
            return -math.inf
        asked = len(self.log_weights) + self.failed
        return float(top + np.log(np.exp(self.log_weights - top).sum() / asked))

    @property
    def shape(self) -> float:
        """Shape of the generalised Pareto distribution of the largest weights.

        Above 0.7 means are not to be trusted, however many draws there are (A. Vehtari, D. Simpson,
        A. Gelman, Y. Yao and J. Gabry, J. Machine Learning Research 25, 2024, 72).
        """
        logs = np.sort(self.log_weights[np.isfinite(self.log_weights)])
        count = int(min(0.2 * logs.size, 3.0 * math.sqrt(logs.size)))
        if count < 5:
            return math.inf
        top = np.exp(logs[-count:] - logs[-1])
        return _shape(top - np.exp(logs[-count - 1] - logs[-1]))

    @property
    def log_error(self) -> float:
        """Standard error of the logarithm of the mean weight."""
        w = self.weights * len(self.log_weights)
        if w.size < 2 or not w.any():
            return math.inf
        # opposite numbers go together
        total = np.zeros(int(self.pairs.max()) + 1)
        np.add.at(total, self.pairs, w - 1.0)
        return float(np.sqrt((total**2).sum()) / w.size)

    def doubts(self) -> list[str]:
        """Say why they cannot be trusted; empty where they can."""
        found = []
        asked = len(self.x) + self.failed
        if self.failed > FAILED * asked:
            found.append(f"{self.failed} of {asked} draws led nowhere")
        if self.turned:
            found.append(f"the map folds: its determinant turns at {self.turned} draws")
        inside = int(np.isfinite(self.log_weights).sum())
        shape = self.shape
        if self.spread > SPREAD and (inside < FEW or shape > SHAPE):
            tail = f", their tail has the shape {shape:.2g}, {SHAPE:g} is allowed"
            found.append(f"log weights vary by {self.spread:.2g}" + tail * (inside >= FEW))
        if inside < INSIDE * len(self.x):
            found.append(f"{len(self.x) - inside} of {len(self.x)} draws lie beyond a bound")
        return found


def _shape(beyond: FloatArray) -> float:
    """Return the shape of a generalised Pareto distribution of what is beyond a threshold, sorted.

    J. Zhang and M. Stephens, Technometrics 51 (2009), 316, with the weak prior of Vehtari and
    others.
    """
    n = beyond.size
    if not beyond[-1] > 0.0 or not beyond[0] >= 0.0 or beyond[int(n / 4 + 0.5) - 1] <= 0.0:
        return -math.inf
    grid = np.arange(1, 30 + int(math.sqrt(n)) + 1)
    theta = (1.0 - np.sqrt(grid.size / (grid - 0.5))) / (3.0 * beyond[int(n / 4 + 0.5) - 1])
    theta += 1.0 / beyond[-1]
    k = np.log1p(-theta[:, None] * beyond).mean(axis=1)
    fit = n * (np.log(-theta / k) - k - 1.0)
    weight = 1.0 / np.exp(fit - fit[:, None]).sum(axis=1)
    best = float((weight @ theta) / weight.sum())
    shape = float(np.log1p(-best * beyond).mean())
    return (n * shape + 10.0 * 0.5) / (n + 10.0)


def weighted(proposal: Proposal, target: Target, count: int, deadline: float) -> Weighted:
    """Draw so many, in pairs, or as many as there is time for."""
    xs: list[FloatArray] = []
    logs: list[float] = []
    pairs: list[int] = []
    failed = turned = 0
    count, some = count + count % 2, proposal.together + proposal.together % 2
    for first in range(0, count, some):
        if first and time.time() > deadline:
            break
        found = [(k, proposal.next()) for k in range(first, min(first + some, count))]
        known = [(k, one) for k, one in found if one is not None]
        failed += len(found) - len(known)
        turned += sum(one.turned for _, one in known)
        within = np.array([target.inside(one.x) for _, one in known], dtype=bool)
        values = np.full(len(known), math.inf)
        if within.any():
            values[within] = target.values(np.array([one.x for _, one in known])[within])
        for (k, one), value in zip(known, values.tolist(), strict=True):
            # nan: there is no action there
            logs.append(-value - one.log_density if math.isfinite(value) else -math.inf)
            xs.append(one.x)
            pairs.append(k // 2)
    x = np.array(xs).reshape(len(xs), target.centre.size)
    return Weighted(x, np.array(logs), np.array(pairs, dtype=int), failed, turned)


def together(parts: Iterable[Weighted]) -> Weighted:
    """Return several sets of draws of one proposal as one."""
    every = list(parts)
    pairs, first = [], 0
    for one in every:
        pairs.append(one.pairs + first)
        first += int(one.pairs.max(initial=-1)) + 1
    return Weighted(
        np.concatenate([one.x for one in every]),
        np.concatenate([one.log_weights for one in every]),
        np.concatenate(pairs),
        sum(one.failed for one in every),
        sum(one.turned for one in every),
    )
