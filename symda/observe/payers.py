"""Parameters per step whose values are paid for: controls, and those with a prior of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from symda.declare import Control, Declaration, Distribution, Normal, State, StepParameter
from symda.observe.grid import Grid
from symda.observe.pulses import INSTANT
from symda.types import FloatArray


@dataclass(frozen=True)
class Payers:
    """Which states are paid for, and how much."""

    paid: tuple[int, ...]  #: Their numbers, (C,): the controls, then those with priors.
    costs: tuple[float, ...]  #: What the square of each control costs.
    priors: tuple[Distribution, ...]  #: Of each value of the others.

    @property
    def gaussian(self) -> bool:
        """Whether all priors are Gaussian with scales that are not estimated."""
        return all(isinstance(one, Normal) and "scale" not in one.terms for one in self.priors)

    def weights(
        self, grid: Grid, shares: tuple[float, ...], c_f: float, known: FloatArray
    ) -> FloatArray:
        """Return the weights at each grid point, (M, C).

        Of the square of a control the length of time that belongs to the point, times its cost and
        the factor `c_f` of the model's sum; of a prior 1 where an equation uses the value.

        Parameters
        ----------
        shares : (I + 2,)
            Share of a step's length that belongs to each of its points.
        known : (D,)
            Initial values that are given, else nan.
        """
        lengths = np.zeros(grid.M)
        # a pulse has no length, and uses no value
        moving = np.where(grid.steps == INSTANT, 0.0, grid.steps)
        for place, share in enumerate(shares):
            lengths[grid.nodes[:-1] + place] += share * moving
        used = np.repeat((lengths > 0.0)[:, None], len(self.priors), axis=1)
        # what is known beforehand is not estimated
        used[0] &= np.isnan(known[list(self.paid[len(self.costs) :])])
        return np.hstack([c_f * np.outer(lengths, self.costs), used])


def payers_of(states: Mapping[State, Declaration]) -> Payers:
    """Find them among the states and parameters per step."""
    controls = {a: one.cost for a, (s, one) in enumerate(states.items()) if isinstance(s, Control)}
    priors = {
        a: one.prior
        for a, (s, one) in enumerate(states.items())
        if isinstance(s, StepParameter) and one.independent
    }
    return Payers(
        (*controls, *priors),
        tuple(cost or 0.0 for cost in controls.values()),
        tuple(prior for prior in priors.values() if prior is not None),
    )
