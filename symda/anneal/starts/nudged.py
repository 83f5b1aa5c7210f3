"""Starts that follow the data: the model integrated with a coupling to what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.measured import near, spacing
from symda.anneal.starts.start import Draw, Point
from symda.checks import number
from symda.errors import OptionError
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.anneal.dynamics import Dynamics
    from symda.observe import Problem


#: Gains tried by default, times the typical distance of two observations in time.
GAINS = (0.0625, 0.125, 0.25, 0.5, 1.0)
#: The weight of a model error that gains are compared at, in units of Rm.
WEIGHT = 1.0


@dataclass(frozen=True)
class Nudged:
    """Integrate the model from a random state with random parameters, nudged towards the data.

    The initial state and the parameters are those of `Uniform`. After each step of length h a
    state measured as it is moves by the share 1 - exp(-g h) of its distance from the data, which
    is what the term g (y - x) does in the equations. For a measured function h_l(x) the state moves
    along its gradient, each component scaled by its start range, until that share of
    y_l - h_l(x) is gone to first order. Data are taken linear in time between two observations;
    farther from the nearest one than the channel's typical distance between two, there is no
    coupling; a channel measured once, or hardly more often, couples only at its data. Of the
    trajectories of several gains, the one of least action is kept.

    Parameters
    ----------
    gains : sequence of float, optional
        Gains g, in one over the unit of time (for a map, one over a step). Left out: five between
        1/16 and 1 divided by the typical distance of two observations.

    Raises
    ------
    OptionError
        Gains that are not positive numbers.

    Notes
    -----
    Nudging as in H. D. I. Abarbanel, Predicting the Future (Springer, 2013), chapter 3.
    """

    gains: Sequence[float] | FloatArray | None = None

    def __post_init__(self) -> None:
        if self.gains is None:
            return
        gains = tuple(self.gains) if isinstance(self.gains, Sequence | np.ndarray) else ()
        if not gains:
            raise OptionError(
                "Nudged: gains must be positive numbers, such as gains=(2.0, 5.0, 10.0), got "
                f"{self.gains!r}."
            )
        checked = [number(g, f"Nudged: gains[{i}]", kind="positive") for i, g in enumerate(gains)]
        object.__setattr__(self, "gains", tuple(checked))

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "nudged"

    def point(self, draw: Draw) -> Point:
        """Return the trajectory of the gain with the least action, and its parameters."""
        path, theta = draw.path(), draw.parameters()
        parts = [
            self._followed(dynamics, own[0], values)
            for dynamics, (_, own, values) in zip(
                draw.dynamics.experiments, draw.problem.apart(path, theta), strict=True
            )
        ]
        return np.concatenate(parts), theta

    def _followed(self, dynamics: Dynamics, start: FloatArray, theta: FloatArray) -> FloatArray:
        """Return the trajectory (M, D) of one experiment."""
        problem = dynamics.problem
        gains = np.array(self.gains or [g / _spacing(problem) for g in GAINS])
        paths = _integrate(dynamics, dynamics.initial(start, theta), theta, gains)
        paths = np.asarray(np.clip(paths, *problem.state_bounds.T))
        if len(paths) == 1:
            return np.asarray(paths[0])
        guide = float(np.mean(problem.guide[problem.guide > 0.0]))
        weight = WEIGHT * guide / float(problem.weight.max())
        actions = [dynamics.action(tried, theta, weight) for tried in paths]
        least = int(np.argmin(np.where(np.isnan(actions), np.inf, actions)))
        return np.asarray(paths[least])


def _spacing(problem: Problem) -> float:
    """Typical distance in time of two observations of a channel; of all times if there is none."""
    found = [spacing(problem, column) for column in (problem.rm > 0.0).T]
    typical = [one for one in found if one > 0.0]
    return float(np.median(typical or [problem.times[-1] - problem.times[0]]))


def _targets(problem: Problem) -> FloatArray:
    """Return the data at every grid point, (M, L); nan where there are none nearby."""
    targets = np.full((problem.M, problem.L), np.nan)
    y, rm = problem.placed
    for channel, seen in enumerate((rm > 0.0).T):
        if seen.any():
            at = near(problem, seen)
            values = np.interp(problem.times[at], problem.times[seen], y[seen, channel])
            targets[at, channel] = values
    return targets


def _integrate(
    dynamics: Dynamics, start: FloatArray, theta: FloatArray, gains: FloatArray
) -> FloatArray:
    """Trajectories (G, M, D), one for each gain."""
    problem = dynamics.problem
    stride = 1 + problem.interior
    plain = [(l, int(a)) for l, a in enumerate(problem.direct) if a >= 0]
    others = [l for l, a in enumerate(problem.direct) if a < 0]
    # channels that measure one state move it one after the other
    targets = _targets(problem)
    paths = np.empty((len(gains), problem.M, problem.D))
    paths[:, 0] = start
    for n in range(problem.N):
        ends = dynamics.step(n, paths[:, n * stride], theta)
        x = ends[:, -1]
        share = 1.0 - np.exp(-gains * problem.h[n])
        target = targets[(n + 1) * stride]
        for channel, state in plain:
            if not np.isnan(target[channel]):
                x[:, state] += share * (target[channel] - x[:, state])
        if others and not np.isnan(target[others]).all():
            for one, fraction in zip(x, share, strict=True):
                _move(dynamics, one, theta, target, others, fraction)
        paths[:, n * stride + 1 : (n + 1) * stride + 1] = ends
    return paths


def _move(
    dynamics: Dynamics,
    x: FloatArray,
    theta: FloatArray,
    target: FloatArray,
    channels: Sequence[int],
    share: float,
) -> None:
    """Move x (D,) so that a share of the misfit of these channels is gone to first order."""
    low, high = dynamics.problem.state_start.T
    values, slopes = dynamics.slopes(x, theta)
    for channel in channels:
        direction = (high - low) ** 2 * slopes[channel]
        length = float(slopes[channel] @ direction)
        misfit = float(target[channel] - values[channel])
        if math.isfinite(misfit) and 0.0 < length < math.inf:
            change = share * misfit * direction / length
            # a flat spot of h must not throw the state out of its range
            x += np.clip(change, low - high, high - low)
