"""Analog forecasting: what followed the states of the data that are most alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import choice, integer
from symda.errors import DataError, OptionError, SolveError
from symda.learn.candidates import filled
from symda.learn.learner import Learner
from symda.learn.series import Series
from symda.types import FloatArray

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

#: What is made of the analogs.
LOCAL = ("mean", "increment", "linear")
#: Directions in which analogs spread less than this share of the widest say nothing, in `linear`.
FLAT = 1e-6


@dataclass
class Analogs(Learner):
    """Forecast a state by what followed the most similar states of the data; there is no model.

    Similar are states whose components, in units of their standard deviations, are nearest. They
    count with weights exp(-d^2 / m), m the median of their squared distances d^2 (Lguensat et al.,
    Monthly Weather Review 145 (2017) 4093).

    Attributes
    ----------
    neighbours : int
        How many analogs.
    local : str
        What is forecast: the mean of their successors (``"mean"``), the state itself and the mean
        of their increments (``"increment"``), or a linear map that is fitted to their successors
        (``"linear"``).
    interpolate : bool
        Whether gaps are filled, linearly; else only pairs of complete rows count.

    Notes
    -----
    Forecasts are at multiples of the step of the data.
    """

    neighbours: int = 50
    local: str = "increment"
    interpolate: bool = False

    name = "AF"

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """Remember all pairs of successive states; see `Learner`."""
        from scipy.spatial import cKDTree

        neighbours = integer(self.neighbours, f"{where}: neighbours")
        choice(self.local, f"{where}: local", LOCAL)
        h = min(one.step for one in series)
        first, then = [], []
        for one in series:
            times, values = (
                filled(one, names, where) if self.interpolate else (one.times, one.values)
            )
            whole = np.all(np.isfinite(values), axis=1)
            even = np.abs(np.diff(times) - h) <= 1e-6 * h
            pair = whole[:-1] & whole[1:] & even
            first.append(values[:-1][pair])
            then.append(values[1:][pair])
        states, successors = np.concatenate(first), np.concatenate(then)
        if len(states) < neighbours:
            fix = "" if self.interpolate else "; interpolate=True fills gaps"
            raise DataError(
                f"{where}: the data have {len(states)} pairs of complete rows one step, {h:.6g}, "
                f"apart; {neighbours} neighbours need as many{fix}."
            )
        self._h, self._states, self._successors = h, states, successors
        self._size = states.std(axis=0)
        self._size[self._size == 0.0] = 1.0
        self._tree: cKDTree = cKDTree(states / self._size)
        self._use = neighbours, self.local  # options may change after a fit

    @property
    def D(self) -> int:
        """Number of states."""
        self.check_fitted("D")
        return int(self._states.shape[1])

    def check_fitted(self, what: str) -> None:
        """See `Learner`."""
        if not hasattr(self, "_tree"):
            raise SolveError(f"Analogs.{what}: call fit(data) first.")

    def steps(self, x: FloatArray, h: float, count: int) -> FloatArray:
        """See `Learner`.

        Raises
        ------
        OptionError
            If `h` is no multiple of the step of the data.
        """
        times = round(h / self._h)
        if times < 1 or not np.isclose(times * self._h, h, rtol=1e-6, atol=0.0):
            raise OptionError(
                f"Analogs: the step {h:.6g} is no multiple of that of the data, {self._h:.6g}; "
                "forecast at multiples of it."
            )
        found = np.empty((count, *x.shape))
        for k in range(count):
            for _ in range(times):
                x = self._step(x)
            found[k] = x
        return found

    def _step(self, x: FloatArray) -> FloatArray:
        later = np.full(x.shape, np.nan)
        going = np.isfinite(x).all(axis=1)
        if not going.any():
            return later
        here = x[going]
        neighbours, local = self._use
        apart, which = self._tree.query(here / self._size, np.arange(1, neighbours + 1))
        square = np.asarray(apart) ** 2
        median = np.median(square, axis=1, keepdims=True)
        weight = np.exp(-square / np.where(median > 0.0, median, 1.0))
        weight /= weight.sum(axis=1, keepdims=True)
        analogs, successors = self._states[which], self._successors[which]
        mean = np.einsum("kn,knd->kd", weight, successors)
        if local == "mean":
            later[going] = mean
            return later
        centre = np.einsum("kn,knd->kd", weight, analogs)
        if local == "increment":
            later[going] = here + mean - centre
            return later
        left = (analogs - centre[:, None]) / self._size
        spread = np.einsum("kn,kni,knj->kij", weight, left, left)
        product = np.einsum("kn,kni,knj->kij", weight, left, successors)
        slope = np.linalg.pinv(spread, rcond=FLAT**2, hermitian=True) @ product
        later[going] = mean + np.einsum("ki,kij->kj", (here - centre) / self._size, slope)
        return later
