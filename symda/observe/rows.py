"""Rows of data with their weights, and where they stand on the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symda.covariance import below, precisions
from symda.declare import Distribution
from symda.errors import DataError, OptionError
from symda.observe.observations import Observations
from symda.observe.weights import Averaging
from symda.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Rows:
    """The data of one recording, a row each time."""

    values: FloatArray  #: (T, L), nan where nothing was measured.
    #: One over the variances of the data, 1 where the noise says its own scale, (T, L); of
    #: correlated noise the diagonal of the covariance's inverse.
    precision: FloatArray
    cross: FloatArray  #: What that has below its diagonal, (T, K); K = 0 without correlation.
    together: bool  #: Whether the values of a row belong together.

    def at(self, at: IntArray, points: int, factor: float) -> dict[str, Any]:
        """Put the rows on the grid: the first values of each point, and rows of further ones.

        Parameters
        ----------
        at : (T,)
            Grid point of each row, in order.
        points
            How many there are.
        factor
            Of the averaging option, on all weights.

        Returns
        -------
        dict
            Those of the fields of a `Problem` that hold data.
        """
        seen = ~np.isnan(self.values)
        slots = self._slots(at, seen)
        row, channel = np.nonzero(seen)
        place = np.stack([at[row], slots[row, channel]], axis=1)
        again = place[:, 1] > 0
        further, order = np.unique(place[again], axis=0, return_inverse=True)
        target = place[:, 0].copy()
        target[again] = points + order.reshape(-1)
        L, K = self.values.shape[1], self.cross.shape[1]
        y, rm = np.zeros((2, points + len(further), L))
        y[target, channel] = self.values[row, channel]
        rm[target, channel] = factor * self.precision[row, channel]
        cross = np.zeros((points + len(further), K))
        if K:
            # rows that share a place have no channel in common, so no pair either
            own = np.unique(np.stack([row, target], axis=1), axis=0)
            np.add.at(cross, own[:, 1], factor * self.cross[own[:, 0]])
        found = {"y": y, "rm": rm, "cross": cross}
        return {
            **{name: rows[:points] for name, rows in found.items()},
            **{f"repeat_{name}": rows[points:] for name, rows in found.items()},
            "repeat_at": further[:, 0].astype(np.int64),
        }

    def _slots(self, at: IntArray, seen: BoolArray) -> IntArray:
        """Give each value its number at its grid point, (T, L): 0, 1, ...

        Values that belong together have one number; a row without a channel of another's shares
        its number.
        """
        slots = np.zeros(seen.shape, dtype=np.int64)
        if not self.together:
            for l in range(seen.shape[1]):
                rows = np.flatnonzero(seen[:, l])
                slots[rows, l] = np.arange(rows.size) - np.searchsorted(at[rows], at[rows])
            return slots
        taken: dict[int, list[BoolArray]] = {}
        for t in np.flatnonzero(seen.any(axis=1)).tolist():
            others = taken.setdefault(int(at[t]), [])
            k = next((k for k, one in enumerate(others) if not (one & seen[t]).any()), len(others))
            others[k : k + 1] = [seen[t] | others[k] if k < len(others) else seen[t]]
            slots[t] = k
        return slots


def weighed_rows(
    data: Observations,
    channels: tuple[str, ...],
    noises: Sequence[Distribution],
    averaging: Averaging,
) -> Rows:
    """Check data against the noise of their channels, and weigh them.

    Raises
    ------
    DataError
        A datum that its noise does not know, one without a variance, or noise that is correlated
        and not Gaussian.
    OptionError
        Other noise than the Gaussian, averaged.
    """
    precision = np.ones(data.values.shape)
    for l, (name, noise) in enumerate(zip(channels, noises, strict=True)):
        if not noise.gaussian and averaging != "sum":
            raise OptionError(
                f"averaging={averaging!r} is of Gaussian noise with the data's variance, and the "
                f"channel {name!r} has {noise}. Use averaging='sum', minus the log probability."
            )
        for t in np.flatnonzero(data.measured[:, l]):
            value = float(data.values[t, l])
            wrong = noise.wrong(value)
            if wrong:
                raise DataError(
                    f"observations: channel {name!r} at time {data.times[t]} is {value}, but its "
                    f"noise, {noise}, expects {wrong}. Correct the datum, make it nan, or choose "
                    "another noise."
                )
            if noise.needs_variance:
                if np.isnan(data.variance[t, l]):
                    raise DataError(
                        f"observations: channel {name!r} at time {data.times[t]} has no variance. "
                        "Pass variance= to the observations, or give its noise a scale: "
                        f"measured={{{name!r}: sd.Normal(..., sigma)}}."
                    )
                precision[t, l] = 1.0 / data.variance[t, l]
    if data.covariance is None or len(channels) == 1:
        return Rows(data.values, precision, np.zeros((len(data.times), 0)), together=False)
    require_gaussian(data, channels, noises)
    rm, cross = precisions(data.covariance, data.measured & ~np.isnan(data.variance))
    own = np.array([noise.gaussian for noise in noises])
    return Rows(data.values, np.where(own, rm, precision), cross, together=True)


def require_gaussian(
    data: Observations, channels: tuple[str, ...], noises: Sequence[Distribution]
) -> None:
    """Refuse noise that is correlated with another's and is not Gaussian.

    Raises
    ------
    DataError
        If there is such.
    """
    covariance = data.covariance
    if covariance is None:
        return
    present = data.measured & ~np.isnan(data.variance)
    i, j = below(len(channels))
    linked = present[:, i] & present[:, j] & (covariance[:, i, j] != 0.0)
    for l, noise in enumerate(noises):
        if noise.gaussian:
            continue
        for t, pair in np.argwhere(linked & ((i == l) | (j == l))):
            other = channels[int(i[pair] + j[pair]) - l]
            value = float(covariance[t, i[pair], j[pair]])
            raise DataError(
                f"observations: the noise of channel {channels[l]!r} is {noise}, and its "
                f"covariance with that of {other!r} at time {data.times[t]} is {value:.6g}. Only "
                "Gaussian noise of the data's variance may be correlated across channels: make "
                f"the entry 0, or measure {channels[l]!r} as a plain expression."
            )
