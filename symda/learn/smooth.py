"""Smooth paths through recordings, to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.learn.points import Points
from symda.learn.series import Series
from symda.types import FloatArray

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

#: Fewest values that a smoothing spline is made of.
FEWEST = 5
#: Moments of other recordings that stand in for a state that was not measured.
ALIKE = 10
#: How smooth they are is decided by how well all but one value in so many predict that one.
#: Of more than `MANY`, only `ENOUGH` such parts are predicted.
FOLDS, MANY, ENOUGH = 5, 1000, 1
#: How smooth they may be, logarithms in units of the mean distance of times.
LOGS = np.arange(-2.0, 9.0)


@dataclass(frozen=True, eq=False)
class Smooth:
    """Smoothing splines of recordings, each state by itself.

    Attributes
    ----------
    logs : list of (D,)
        For each recording the logarithm (base 10) of how smooth each state's spline is, chosen so
        that it predicts values left out best; nan where there are too few.
    errors : (D,)
        Mean square of those predictions: a little above the variance of the noise.
    """

    series: Sequence[Series]
    points: Points
    logs: list[FloatArray]
    errors: FloatArray

    @classmethod
    def of(cls, series: Sequence[Series], points: Points) -> Smooth:
        """Choose how smooth the splines are."""
        D = points.y.shape[1]
        logs, totals, counts = [], np.zeros(D), np.zeros(D)
        for one in series:
            mine = np.full(D, np.nan)
            for i in range(D):
                t, y, _, size = _in_units(one, i)
                if t.size >= 2 * FEWEST:
                    mine[i], error = _smoothness(t, y)
                    totals[i] += t.size * error * size**2
                    counts[i] += t.size
            logs.append(mine)
        with np.errstate(invalid="ignore"):
            return cls(series, points, logs, totals / counts)

    def path(self, factor: float = 1.0) -> tuple[FloatArray, FloatArray]:
        """Return the splines X (M, D) and their rates (M, D), smoother by a factor.

        Where there are too few values they are joined by straight lines. Of a state that a
        recording does not have, they are those of other recordings where what was measured, and its
        rates, were most alike; their mean where there is no such recording.
        """
        values = np.concatenate([one.values for one in self.series])
        means = [v[np.isfinite(v)].mean() if np.isfinite(v).any() else 0.0 for v in values.T]
        X, rates = np.tile(means, (len(self.points.y), 1)), np.zeros_like(self.points.y)
        for one, part, logs in zip(self.series, self.points.parts, self.logs, strict=True):
            when = self.points.times[part]
            for i, log in enumerate(logs):
                t, y, start, size = _in_units(one, i)
                if not t.size:
                    continue
                at = np.clip((when - start[0]) / start[1], t[0], t[-1])
                if np.isnan(log):
                    value = np.interp(at, t, y)
                    slope = np.gradient(value, at) if np.ptp(at) > 0 and at.size > 2 else 0.0 * at
                    slope = np.nan_to_num(slope, posinf=0.0, neginf=0.0)
                else:
                    spline = _spline(t, y, log + np.log10(factor))
                    value, slope = spline(at), spline(at, 1)
                X[part, i] = start[2] + size * value
                rates[part, i] = size / start[1] * slope
        self._borrow(X, rates)
        return X, rates

    def _borrow(self, X: FloatArray, rates: FloatArray) -> None:
        """Fill in states that a recording does not have from moments of others that are alike."""
        from scipy.spatial import cKDTree

        parts = self.points.parts
        seen = np.array([np.isfinite(one.values).any(axis=0) for one in self.series])
        for part, mine in zip(parts, seen, strict=True):
            for i in np.flatnonzero(~mine):
                like = [p for p, s in zip(parts, seen, strict=True) if s[i] and s[mine].all()]
                if not like or not mine.any():
                    continue
                at = np.concatenate([np.arange(p.start, p.stop) for p in like])
                both = np.column_stack([X[:, mine], rates[:, mine]])
                size = both[at].std(axis=0)
                both = both / np.where(size > 0.0, size, 1.0)
                near = cKDTree(both[at]).query(both[part], k=min(ALIKE, at.size))[1]
                near = at[np.reshape(near, (part.stop - part.start, -1))]
                X[part, i], rates[part, i] = X[near, i].mean(axis=1), rates[near, i].mean(axis=1)


def _in_units(
    one: Series, i: int
) -> tuple[FloatArray, FloatArray, tuple[float, float, float], float]:
    """Return times and values of a state in units of their own: start, unit of time, mean; size."""
    seen = np.isfinite(one.values[:, i])
    t, y = one.times[seen], one.values[seen, i]
    if t.size < 2:
        return 0.0 * t, 0.0 * y, (0.0, 1.0, float(y.sum())), 1.0
    unit, mean, size = float(np.diff(t).mean()), float(y.mean()), float(y.std()) or 1.0
    return (t - t[0]) / unit, (y - mean) / size, (float(t[0]), unit, mean), size


def _spline(t: FloatArray, y: FloatArray, log: float) -> CubicSpline:
    """Return the natural cubic spline f of least sum (y - f)^2 + 10^log integral of f''^2.

    By the equations of Reinsch (1967), Numerische Mathematik 10, 177, for f'' at the inner times;
    SciPy's `make_smoothing_spline` is the same spline, at twenty times the cost.
    """
    from scipy.interpolate import CubicSpline
    from scipy.linalg import solveh_banded

    h, smooth = np.diff(t), 10.0**log
    # column j of Q has second differences around point j + 1
    left, right = 1.0 / h[:-1], 1.0 / h[1:]
    middle = -left - right
    bands = np.zeros((3, middle.size))
    bands[0] = (h[:-1] + h[1:]) / 3.0 + smooth * (left**2 + middle**2 + right**2)
    bands[1, :-1] = h[1:-1] / 6.0 + smooth * (middle[:-1] * left[1:] + right[:-1] * middle[1:])
    bands[2, :-2] = smooth * right[:-2] * left[2:]
    bends = solveh_banded(bands, np.diff(np.diff(y) / h), lower=True)
    fitted = y.astype(float)
    fitted[:-2] -= smooth * left * bends
    fitted[1:-1] -= smooth * middle * bends
    fitted[2:] -= smooth * right * bends
    return CubicSpline(t, fitted, bc_type="natural")


def _smoothness(t: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Return the smoothness that predicts best, maybe of two minima, and its mean square error."""
    errors = np.array([_predicted(t, y, log) for log in LOGS])
    k = int(errors.argmin())
    if not 0 < k < len(LOGS) - 1:
        return float(LOGS[k]), float(errors[k])
    # the lowest point of a parabola through three
    left, here, right = np.log(np.maximum(errors[k - 1 : k + 2], 1e-300))
    curvature = left - 2.0 * here + right
    shift = 0.5 * (left - right) / curvature if curvature > 0.0 else 0.0
    return float(LOGS[k] + shift), float(errors[k])


def _predicted(t: FloatArray, y: FloatArray, log: float) -> float:
    """Mean square error with which the other values predict each."""
    errors, place = [], np.arange(t.size) % FOLDS
    # fewer values weigh less against smoothness
    log += np.log10(1.0 - 1.0 / FOLDS)
    for k in range(FOLDS if t.size < MANY else ENOUGH):
        out = place == k
        errors.append(_spline(t[~out], y[~out], log)(t[out]) - y[out])
    return float(np.mean(np.concatenate(errors) ** 2))
