"""The action of a lattice, site by site: where a step was good, and how far steps may go there."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from symda.build.patches import span
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.lattice import LatticeEvaluator

#: Residuals of the model (N, E), and misfits of the data (M, L).
Parts: TypeAlias = "tuple[FloatArray, FloatArray]"

#: What stands for an action that is not finite, so that sums of it are.
HUGE = 1e200
#: Shares of what a step was to change around a site: where the action is above the model's by more
#: than the first the step was poor, where by less than the second it was good.
POOR, GOOD = 0.75, 0.25
#: The damping of a first step, in units of the diagonal; what it grows and falls by; and the least.
FIRST, GROWS, FALLS, LEAST = 1e-2, 4.0, 0.2, 1e-6
#: Damping grows no further: such a step is none.
MOST = 1e12


class Sites:
    """Splits the action of one problem among the sites of its lattice.

    A site has the model term of its own residuals, and the misfits of its own states. Misfits of
    other measured expressions belong to none.

    Parameters
    ----------
    evaluator : LatticeEvaluator
    """

    def __init__(self, evaluator: LatticeEvaluator) -> None:
        self._evaluator = evaluator
        coupling = evaluator.kernels.shape.coupling
        self.shape, self.boundaries = coupling.shape, coupling.boundaries
        self.count = prod(self.shape)
        every = [reach for row in coupling.reach for reach in row]
        #: Sites on either side, along each direction, that a site's residuals depend on.
        self.reach = tuple(
            max((max(span(reach, d)) for reach in every), default=0) for d in range(len(self.shape))
        )

        every = [o for _, _, offsets in coupling.stencil for o in offsets]
        #: Sites on either side that a site's equations depend on.
        self.nearest = max(map(abs, every), default=0)

    def parts(self, path: FloatArray, theta: FloatArray) -> Parts:
        """Return residuals and misfits at a point."""
        at = self._evaluator
        return at.residual(path, theta), at.measure(path, theta) - at.problem.y

    def action(self, parts: Parts, rf: FloatArray) -> tuple[FloatArray, float]:
        """Return the action of each site (sites,), and the rest that belongs to none."""
        p = self._evaluator.problem
        residual, misfit = parts
        weights = np.tile(rf, 1 + p.interior)
        model = 0.5 * weights * np.einsum("n,ne->e", p.weight, residual**2)
        each = model.reshape(-1, self.count).sum(axis=0)
        data = 0.5 * np.einsum("ml,ml->l", p.rm, misfit**2)
        own = p.direct >= 0
        np.add.at(each, p.direct[own] % self.count, data[own])
        return each, float(data[~own].sum())

    def around(self, values: FloatArray) -> FloatArray:
        """Sum values (sites,) over all sites that one's residuals depend on."""
        from scipy.ndimage import convolve1d

        total = np.clip(np.nan_to_num(values, nan=HUGE), -HUGE, HUGE).reshape(self.shape)
        modes = {"periodic": "wrap", "reflect": "constant", "zero": "constant"}
        for d, (reach, boundary) in enumerate(zip(self.reach, self.boundaries, strict=True)):
            if 2 * reach + 1 >= self.shape[d]:
                total = np.repeat(total.sum(axis=d, keepdims=True), self.shape[d], axis=d)
            else:
                ones = np.ones(2 * reach + 1)
                total = convolve1d(total, ones, axis=d, mode=modes[boundary])
        return np.asarray(total.reshape(-1))

    def near(self, chosen: BoolArray) -> BoolArray:
        """Return the sites (sites,) in whose neighbourhood one of the chosen lies."""
        return self.around(chosen.astype(float)) > 0.5

    def on_path(self, values: FloatArray) -> FloatArray:
        """Give every unknown of a path the value (sites,) of its site: (D,)."""
        return np.tile(values, self._evaluator.problem.D // self.count)


@dataclass(frozen=True, eq=False)
class Verdict:
    """How good a step was around each site, (sites,)."""

    poor: BoolArray
    good: BoolArray

    @classmethod
    def of(
        cls,
        sites: Sites,
        rf: FloatArray,
        here: Parts,
        slopes: Parts,
        there: Parts,
        noise: float,
    ) -> Verdict:
        """Compare what a step did with what it does if residuals are linear.

        Parameters
        ----------
        sites : Sites
        rf : ndarray, shape (D,)
        here, slopes, there : Parts
            Residuals and misfits before the step, their change if they were linear, and after it.
        noise : float
            Changes of a site's action that count as none.
        """
        before, _ = sites.action(here, rf)
        linear, _ = sites.action((here[0] + slopes[0], here[1] + slopes[1]), rf)
        after, _ = sites.action(there, rf)
        wrong = sites.around(after - linear)
        change = sites.around(np.abs(linear - before))
        heard = np.abs(wrong) > noise
        return cls((wrong > POOR * change) & heard, (wrong < GOOD * change) | ~heard)


def adapted(damping: FloatArray, verdict: Verdict) -> FloatArray:
    """Return the damping (sites,) of the next step."""
    more = np.clip(GROWS * damping, FIRST, MOST)
    less = np.where(FALLS * damping < LEAST, 0.0, FALLS * damping)
    return np.where(verdict.poor, more, np.where(verdict.good, less, damping))
