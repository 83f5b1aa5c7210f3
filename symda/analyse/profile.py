"""The least action as a function of one parameter: its profile likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import share as probability
from symda.errors import OptionError
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: Step from one value to the next, in standard deviations; how much longer it gets where the action
#: hardly rises, and when it is shortened.
STEP, LONGER, RISE, MOST_RISE = 0.5, 2.0, 0.05, 1.0
#: Values on either side, and shortest step, as a share of the first.
VALUES, SHORTEST = 40, 1e-3
#: The action may not fall by more than this below the minimum that it starts from.
LOWER = 1e-3


@dataclass(frozen=True, eq=False)
class Profile:
    """A parameter's profile likelihood.

    Attributes
    ----------
    parameter : str
    values : (K,)
        In order.
    actions : (K,)
        The least action at each, over everything else.
    best : float
        The estimate.
    sd : float
        Its error bar by Laplace's approximation, of what solvers move (a logarithm, say).
    share : float
        Probability up to whose interval it goes.
    ends : tuple of str
        Why it ends, below and above: empty where the action has risen enough.
    """

    parameter: str
    values: FloatArray
    actions: FloatArray
    best: float
    sd: float
    share: float
    ends: tuple[str, str]

    @property
    def rises(self) -> FloatArray:
        """By how much the action is above its least, (K,)."""
        found: FloatArray = self.actions - self.actions.min()
        return found

    def interval(self, share: float | None = None) -> tuple[float, float]:
        """Return the interval in which the action has not risen by what a probability takes.

        Parameters
        ----------
        share : float, optional
            The probability; that of the profile when left out, and no larger.

        Returns
        -------
        tuple of float
            nan where the profile ends before.
        """
        share = self.share if share is None else probability(share, "interval: share")
        if share > self.share:
            raise OptionError(
                f"interval: share={share:g} is beyond this profile's {self.share:g}; make it with "
                f"run.profile({self.parameter!r}, share={share:g})."
            )
        limit, rises = rise_of(share), self.rises
        least = int(rises.argmin())
        below = _crossing(self.values[least::-1], rises[least::-1], limit)
        return below, _crossing(self.values[least:], rises[least:], limit)

    def table(self) -> pd.DataFrame:
        """Tabulate `value`, `action` and `rise`."""
        import pandas as pd

        return pd.DataFrame({"value": self.values, "action": self.actions, "rise": self.rises})

    def __str__(self) -> str:
        low, high = self.interval()
        lines = [
            f"{self.parameter} = {self.best:.6g}, {100 * self.share:g} % by its profile: "
            f"{_end(low)} to {_end(high)}"
        ]
        sides = zip(("below", "above"), self.ends, strict=True)
        lines += [f"no end {side}: {why}" for side, why in sides if why]
        if self.actions.min() < self.actions[int(np.abs(self.values - self.best).argmin())] - LOWER:
            lines.append(
                "the action is lower elsewhere than at the estimate: that is no minimum of all"
            )
        return "\n".join(lines)


def rise_of(share: float) -> float:
    """Return by how much the action rises to the ends of an interval: half a chi-squared."""
    from scipy.stats import chi2

    return 0.5 * float(chi2.ppf(share, 1))


def followed(
    least: Callable[[float], tuple[float, str]],
    start: float,
    action: float,
    step: float,
    bounds: tuple[float, float],
    limit: float,
) -> tuple[list[float], list[float], str]:
    """Follow the least action from a minimum to one side, until it has risen by `limit`.

    Parameters
    ----------
    least : function
        Of a value, to the least action there, starting from the last one, and why there is none.
    start, action : float
        The minimum.
    step : float
        First step; its sign says to which side.
    bounds : tuple of float
    limit : float

    Returns
    -------
    values, actions : list of float
    why : str
        Why it ends before, empty if it does not.
    """
    values, actions, why, first = [start], [action], "", abs(step)
    while actions[-1] - action < limit:
        if len(values) > VALUES:
            return values[1:], actions[1:], f"{VALUES} values were not enough"
        value = min(max(values[-1] + step, bounds[0]), bounds[1])
        if value == values[-1]:
            return values[1:], actions[1:], "its bound is nearer"
        found, why = least(value)
        rise = found - actions[-1]
        if why or rise > MOST_RISE * limit:
            if abs(step) <= SHORTEST * first:
                return values[1:], actions[1:], why or "the action rises without a way on"
            step *= 0.5
            continue
        values.append(value)
        actions.append(found)
        if rise < RISE * limit:
            step *= LONGER
    return values[1:], actions[1:], ""


def _crossing(values: FloatArray, rises: FloatArray, limit: float) -> float:
    """Return where the rise first reaches a limit, by the root of twice it; nan if nowhere."""
    over = np.flatnonzero(rises >= limit)
    if not over.size:
        return math.nan
    k = int(over[0])
    a, b, goal = math.sqrt(rises[k - 1]), math.sqrt(rises[k]), math.sqrt(limit)
    part = (goal - a) / (b - a)
    return float(values[k - 1] + part * (values[k] - values[k - 1]))


def _end(value: float) -> str:
    return "no end" if math.isnan(value) else f"{value:.6g}"
