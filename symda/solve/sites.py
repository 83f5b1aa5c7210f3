"""The action of a lattice, site by site: where a step was good, and how far steps may go there."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from symda.build.patches import span
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.lattice import LatticeEvaluator

Scalar = TypeVar("Scalar", bound=np.generic)

#: Residuals of the model (N, E), and misfits of the data (M, L).
Parts: TypeAlias = "tuple[FloatArray, FloatArray]"

#: What stands for an action that is not finite, so that sums of it are.
HUGE = 1e200
#: Shares of what a step was to change around a site: where the action is above the model's by more
#: than the first the step was poor, where by less than the second it was good.
POOR, GOOD = 0.75, 0.25
#: The damping of a first step, in units of the diagonal, and the least after a poor one; what it
#: grows and falls by; and below what it is none.
FIRST, AGAIN, GROWS, FALLS, LEAST = 1e-3, 1e-4, 8.0, 0.25, 1e-6
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
        reaches = [reach for row in coupling.reach for reach in row]
        #: Sites on either side, along each direction, that a site's residuals depend on.
        self.reach = tuple(
            max((max(span(reach, d)) for reach in reaches), default=0)
            for d in range(len(self.shape))
        )

        #: Sites on either side, along any direction, that a site's equations depend on.
        self.nearest = max((abs(o) for _, _, far in coupling.stencil for o in far), default=0)

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
        for d, (reach, boundary) in enumerate(zip(self.reach, self.boundaries, strict=True)):
            if 2 * reach + 1 >= self.shape[d]:
                total = np.repeat(total.sum(axis=d, keepdims=True), self.shape[d], axis=d)
            else:
                ones = np.ones(2 * reach + 1)
                mode: Literal["wrap", "constant"] = "wrap" if boundary == "periodic" else "constant"
                total = convolve1d(total, ones, axis=d, mode=mode)
        return np.asarray(total.reshape(-1))

    def most_around(self, values: FloatArray) -> FloatArray:
        """Return the largest of values (sites,) in each site's neighbourhood."""
        from scipy.ndimage import maximum_filter1d

        most = values.reshape(self.shape)
        for d, (reach, boundary) in enumerate(zip(self.reach, self.boundaries, strict=True)):
            size = min(2 * reach + 1, 2 * self.shape[d] + 1)
            mode: Literal["wrap", "nearest"] = "wrap" if boundary == "periodic" else "nearest"
            most = maximum_filter1d(most, size, axis=d, mode=mode)
        return np.asarray(most.reshape(-1))

    def on_path(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Give every state the value (sites,) of its site: (D,)."""
        return np.tile(values, self._evaluator.problem.D // self.count)

    def compared(
        self, rf: FloatArray, here: Parts, slopes: Parts, there: Parts, noise: float
    ) -> tuple[BoolArray, BoolArray]:
        """Say around which sites (sites,) a step was poor, and around which it was good.

        It is compared with what it would do if residuals were linear.

        Parameters
        ----------
        rf : ndarray, shape (D,)
        here, slopes, there : Parts
            Before the step, their change if they were linear, and after it.
        noise : float
            Changes of a site's action that count as none.
        """
        before, _ = self.action(here, rf)
        linear, _ = self.action((here[0] + slopes[0], here[1] + slopes[1]), rf)
        after, _ = self.action(there, rf)
        wrong = self.around(after - linear)
        change = self.around(np.abs(linear - before))
        heard = np.abs(wrong) > noise
        return (wrong > POOR * change) & heard, (wrong < GOOD * change) | ~heard


def adapted(sites: Sites, damping: FloatArray, poor: BoolArray, good: BoolArray) -> FloatArray:
    """Return the damping (sites,) of the next step.

    From a site to those around it falls off by a factor at most: what was poor there may be their
    doing.
    """
    more = np.clip(GROWS * damping, AGAIN, MOST)
    less = np.where(FALLS * damping < LEAST, 0.0, FALLS * damping)
    found = np.where(poor, more, np.where(good, less, damping))
    return np.maximum(found, sites.most_around(found) / GROWS)
