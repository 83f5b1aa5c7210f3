"""Status codes of a run, and which actions are one level."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe import Problem

#: Codes of the dataset's `status`.
STOPPED, FAILED, DROPPED = (s.code for s in (Status.STOPPED, Status.FAILED, Status.DROPPED))
#: Of rungs that ended with a path.
MINIMA = (Status.CONVERGED.code, Status.ACCEPTABLE.code, STOPPED)

#: A path has found the lowest level if its action is at most this far above it: the action is a
#: negative log probability, so half a unit is below the noise of the data. Times the measurement
#: scale, like every width in units of the action.
HIT = 0.5
#: Neighbouring actions at most this far apart are one level of a table: there, levels are to be
#: told apart, and a hundredth is well above what the solvers leave.
GAP = 0.01
#: A level that is at most so far above the lowest is near it: at most e^5 times less probable.
NEAR = 5.0
#: A path whose model errors cost at most this share of its level nearly is a solution; of a
#: density, whose zero depends on units, so many units of the action.
NEARLY, NEARLY_UNITS = 0.05, 5.0
#: Paths may end near the lowest level at one that was not met before with at most this probability.
RARE = 0.1


#: Two standard deviations of a Gaussian: a band leaves out so much on each side.
TAIL = 0.5 * math.erfc(2.0 / math.sqrt(2.0))


def band(freedom: int, scale: float) -> tuple[float, float]:
    """Return between which numbers the action of a right answer lies, with 95.4 %.

    Parameters
    ----------
    freedom
        Degrees of freedom of chi-squared, data less fitted quantities, at least 1.
    scale
        The problem's measurement scale.
    """
    from scipy.special import gammaincinv

    low, high = (scale * float(gammaincinv(0.5 * freedom, q)) for q in (TAIL, 1.0 - TAIL))
    return low, high


def expected_band(problem: Problem) -> tuple[float, float] | None:
    """Return between which numbers the least action lies if model and noise are right.

    None where that is not known before there is an estimate: of other noise than the Gaussian of
    the data's variance, of values per step that pay, and without a degree of freedom.
    """
    freedom = problem.data_count - problem.fitted
    if freedom <= 0 or not problem.gaussian or len(problem.paid):
        return None
    return band(freedom, problem.measurement_scale)


def count_hits(
    actions: FloatArray, scale: float, within: float = HIT, level: float | None = None
) -> int:
    """Count the paths at the lowest level.

    Parameters
    ----------
    actions : (K,)
        Actions at one rung; nan where a path did not reach it.
    scale
        The problem's measurement scale.
    within
        Width of the level, before scaling.
    level
        The lowest level; by default the lowest of `actions`.
    """
    known = actions[np.isfinite(actions)]
    if known.size == 0:
        return 0
    lowest = float(known.min()) if level is None else level
    return int(np.count_nonzero(known <= lowest + within * scale))


def unseen(actions: FloatArray, scale: float) -> tuple[float, int]:
    """Estimate how likely a path that ends near the lowest level ends at a level not met before.

    The share of levels met once among the hits of all levels near the lowest. Where that is not
    small, there are more such levels than were met, and a lower one may be among them.

    Parameters
    ----------
    actions : (K,)
        Actions of minima at one rung; nan where there is none.
    scale
        The problem's measurement scale.

    Returns
    -------
    share, levels
        That, and the number of distinct levels near the lowest.

    References
    ----------
    I. J. Good, The population frequencies of species and the estimation of population parameters,
    Biometrika 40 (1953) 237.
    """
    known = np.sort(actions[np.isfinite(actions)])
    if not known.size:
        return 0.0, 0
    near = known[known <= known[0] + NEAR * scale]
    sizes = [
        group.size for group in np.split(near, np.flatnonzero(np.diff(near) > GAP * scale) + 1)
    ]
    return sizes.count(1) / near.size, len(sizes)
