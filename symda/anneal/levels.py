"""Status codes of a run, and which actions are one level."""

from __future__ import annotations

import numpy as np

from symda.status import Status
from symda.types import FloatArray

#: Codes of the dataset's `status`.
STOPPED, FAILED = Status.STOPPED.code, Status.FAILED.code
#: Of rungs that ended with a path.
MINIMA = (Status.CONVERGED.code, Status.ACCEPTABLE.code, STOPPED)

#: A path has found the lowest level if its action is at most this far above it: the action is a
#: negative log probability, so half a unit is below the noise of the data. Times the measurement
#: scale, like every width in units of the action.
HIT = 0.5
#: Neighbouring actions at most this far apart are one level of a table: there, levels are to be
#: told apart, and a hundredth is well above what the solvers leave.
GAP = 0.01


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
